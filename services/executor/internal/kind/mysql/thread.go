package mysql

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"palmops/libs/lang"
	"palmops/libs/wire"
	"palmops/services/executor/internal/phone"
)

// thread is one connection to the server, as its process list shows it.
type thread struct {
	ID       uint64
	User     string
	Host     string // with the port, unless the client came by a socket
	DB       string
	Command  string // Sleep, Query, Execute, Killed…
	Seconds  int64  // since the statement, or the sleep, began
	State    string
	Info     string // the beginning of the statement
	Digest   string // of the whole statement; "none" without one
	QueryID  uint64 // MariaDB's number of the statement; 0 elsewhere
	Trx      int64  // seconds since its transaction began; -1 without one
	Started  int64  // Unix seconds of the server, about: the statement's or the sleep's beginning
	Sleeping bool
}

const (
	noStatement = "none"
	cutInfo     = 2000 // characters of a statement that are read
)

// processList is the process list with the transactions. The one difference between the servers is the number of the statement,
// without which a statement is known again by its digest and its beginning. Threads of the server itself, its replicas' ones
// and this session are left out.
const processList = `SELECT p.ID, p.USER, p.HOST, COALESCE(p.DB, ''), COALESCE(p.COMMAND, ''), COALESCE(p.TIME, 0), COALESCE(p.STATE, ''),
 COALESCE(LEFT(p.INFO, 2000), ''), IF(p.INFO IS NULL OR p.INFO = '', 'none', LEFT(SHA2(p.INFO, 256), 16)), %s,
 COALESCE(TIMESTAMPDIFF(SECOND, t.trx_started, NOW()), -1), UNIX_TIMESTAMP() - COALESCE(p.TIME, 0)
 FROM information_schema.PROCESSLIST p LEFT JOIN information_schema.INNODB_TRX t ON t.trx_mysql_thread_id = p.ID
 WHERE p.ID <> CONNECTION_ID() AND p.USER NOT IN ('system user', 'event_scheduler')
 AND p.COMMAND NOT IN ('Daemon', 'Binlog Dump', 'Binlog Dump GTID', 'Connect', 'Slave_IO', 'Slave_SQL', 'Slave_worker')`

// threads reads the process list, or of it the one with an id that is not 0, as far as the target goes.
func (in *session) threads(ctx context.Context, s *server, id uint64) ([]thread, error) {
	query := fmt.Sprintf(processList, "0")
	if in.maria {
		query = fmt.Sprintf(processList, "p.QUERY_ID")
	}
	var args []any
	if id != 0 {
		query += " AND p.ID = ?"
		args = append(args, id)
	}
	in1, databases := s.bounds("p.DB")
	query += " AND (" + in1
	args = append(args, databases...)
	if s.Unattached {
		query += " OR p.DB IS NULL"
	}
	query += ") ORDER BY p.COMMAND = 'Sleep', p.TIME DESC, p.ID LIMIT " + strconv.Itoa(maxRows)
	rows, err := in.conn.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []thread
	for rows.Next() {
		var t thread
		if err := rows.Scan(&t.ID, &t.User, &t.Host, &t.DB, &t.Command, &t.Seconds, &t.State, &t.Info, &t.Digest, &t.QueryID, &t.Trx, &t.Started); err != nil {
			return nil, err
		}
		t.Sleeping = t.Command == "Sleep"
		out = append(out, t)
	}
	return out, rows.Err()
}

// bounds is the condition that a column holds one of the target's databases, and its arguments. The column is a name of this
// package's own.
func (s *server) bounds(column string) (string, []any) {
	args := make([]any, len(s.Databases))
	for i, db := range s.Databases {
		args[i] = db
	}
	return column + " IN (?" + strings.Repeat(", ?", len(args)-1) + ")", args
}

// running keeps what a person looks for under load: what runs, and who sleeps with a transaction open.
func running(all []thread) []thread {
	var out []thread
	for _, t := range all {
		if (!t.Sleeping || t.Trx >= 0) && len(out) < maxThreads {
			out = append(out, t)
		}
	}
	return out
}

func (t thread) who() string {
	host := t.Host
	if host == "" {
		return t.User
	}
	return t.User + "@" + host
}

// what is the statement in one line, or that there is none.
func (t thread) what(tag lang.Tag, width int) string {
	if t.Info != "" {
		return phone.Line(t.Info, width)
	}
	if t.Trx >= 0 {
		return texts.Say(tag, "thread.idle_trx", phone.Span(seconds(t.Trx)))
	}
	if t.Sleeping {
		return texts.Say(tag, "thread.idle")
	}
	return phone.Line(t.Command, width)
}

func (t thread) item(tag lang.Tag) wire.Item {
	label := strings.TrimSpace(phone.Span(seconds(t.Seconds))+" "+t.DB) + " " + t.what(tag, 60)
	detail := t.who()
	if t.State != "" {
		detail += texts.Say(tag, "thread.and") + phone.Line(t.State, 40)
	}
	return wire.Item{Value: strconv.FormatUint(t.ID, 10), Label: label, Detail: detail}
}

// fields are what a menu shows of a connection, and what it hands back to kill as what was seen.
func (t thread) fields() map[string]string {
	out := map[string]string{
		"id": strconv.FormatUint(t.ID, 10), "user": t.User, "host": t.Host, "database": t.DB, "command": t.Command,
		"seconds": strconv.FormatInt(t.Seconds, 10), "state": t.State, "statement": phone.Line(t.Info, 600), "digest": t.Digest,
		"started": strconv.FormatInt(t.Started, 10), "transaction": "",
	}
	if t.Trx >= 0 {
		out["transaction"] = strconv.FormatInt(t.Trx, 10)
	}
	return out
}

func seconds(n int64) time.Duration { return time.Duration(n) * time.Second }
