package mysql

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"database/sql"
	sqldriver "database/sql/driver"
	"encoding/hex"
	"net"
	"strconv"
	"strings"
	"time"

	driver "github.com/go-sql-driver/mysql"

	"palmops/libs/fault"
	"palmops/services/executor/internal/credential"
)

// Bounds of the connections to one server.
const (
	maxOpen     = 4
	maxIdle     = 1
	idleTime    = time.Minute
	dialTimeout = 3 * time.Second
	ownTime     = 5 * time.Second // for what must be done after the work's own time
)

// server is the way to one server. Connections are opened when they are needed.
type server struct {
	Server
	db        *sql.DB
	passwords credential.Secrets
}

// connect makes the way; it speaks to nobody yet. Invalid when a file that it needs cannot be used.
func connect(c Server) (*server, error) {
	s := &server{Server: c}
	if _, err := s.passwords.Read(s.PasswordFile); err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "mysql "+c.Name)
	}
	cfg := driver.NewConfig()
	cfg.User, cfg.Net, cfg.Addr = c.User, "unix", c.Socket
	if c.Address != "" {
		cfg.Net, cfg.Addr = "tcp", c.Address
	}
	cfg.Timeout = dialTimeout
	cfg.Logger = &driver.NopLogger{} // it would go to a global log
	cfg.ConnectionAttributes = "program_name:palmops-executor"
	if c.TLS {
		t, err := tlsOf(c)
		if err != nil {
			return nil, err
		}
		cfg.TLS = t
	}
	// The password is read anew for each connection, so that a changed one needs no restart.
	if err := cfg.Apply(driver.BeforeConnect(func(_ context.Context, cfg *driver.Config) (err error) {
		cfg.Passwd, err = s.passwords.Read(s.PasswordFile)
		return err
	})); err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "mysql "+c.Name)
	}
	connector, err := driver.NewConnector(cfg)
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "mysql "+c.Name)
	}
	s.db = sql.OpenDB(connector)
	s.db.SetMaxOpenConns(maxOpen)
	s.db.SetMaxIdleConns(maxIdle)
	s.db.SetConnMaxIdleTime(idleTime)
	return s, nil
}

func tlsOf(c Server) (*tls.Config, error) {
	host, _, err := net.SplitHostPort(c.Address)
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "mysql "+c.Name)
	}
	roots, err := credential.Roots(c.CAFile)
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "mysql "+c.Name)
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, ServerName: host, RootCAs: roots}, nil
}

// session is one connection for a piece of work: everything in it happens in the same session of the server.
type session struct {
	conn    *sql.Conn
	id      uint64
	version string
	maria   bool
	now     int64 // Unix seconds of the server
	booted  int64 // when the server was started, about
}

// within runs fn in one session. When the context ends while a statement runs, the driver only hangs up and the server works on;
// therefore the session is killed then, and statements have a limit of their own besides, should that fail.
func (s *server) within(ctx context.Context, fn func(*session) error) error {
	conn, err := s.db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	in := &session{conn: conn}
	if err = in.greet(ctx); err == nil {
		err = fn(in)
	}
	if ctx.Err() != nil && in.id != 0 {
		s.end(ctx, in.id)
	}
	if powerless(err) { // a session keeps the rights that it began with: the next one sees what has been granted since
		_ = conn.Raw(func(any) error { return sqldriver.ErrBadConn }) // hangs up; that is all its error says
	}
	return err
}

// greet learns who is on the other side, and bounds the statements of the session.
func (in *session) greet(ctx context.Context) error {
	var uptime int64
	if err := in.conn.QueryRowContext(ctx, "SELECT CONNECTION_ID(), VERSION(), UNIX_TIMESTAMP()").Scan(&in.id, &in.version, &in.now); err != nil {
		return err
	}
	in.maria = strings.Contains(in.version, "MariaDB")
	var name string
	if err := in.conn.QueryRowContext(ctx, "SHOW GLOBAL STATUS LIKE 'Uptime'").Scan(&name, &uptime); err != nil {
		return err
	}
	in.booted = in.now - uptime
	limit := time.Hour
	if d, ok := ctx.Deadline(); ok {
		limit = max(time.Until(d), 0) + time.Second
	}
	bound := "SET SESSION max_execution_time=" + strconv.FormatInt(limit.Milliseconds(), 10)
	if in.maria {
		bound = "SET SESSION max_statement_time=" + strconv.FormatFloat(limit.Seconds(), 'f', 3, 64)
	}
	_, err := in.conn.ExecContext(ctx, bound+", sql_select_limit="+strconv.Itoa(maxRows+1))
	return err
}

// end kills a session of our own whose statement may still run.
func (s *server) end(ctx context.Context, id uint64) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), ownTime)
	defer cancel()
	conn, err := s.db.Conn(ctx)
	if err != nil {
		return // the statement's own limit ends it
	}
	defer conn.Close()
	_, _ = conn.ExecContext(ctx, "KILL CONNECTION "+strconv.FormatUint(id, 10)) // gone already is as good
}

// fenceName is the name of the server's lock that the session of an action holds while it works.
func fenceName(action string) string {
	sum := sha256.Sum256([]byte(action))
	return "palmops:" + hex.EncodeToString(sum[:16])
}

// hold takes the action's lock. It is free again when the session ends; false when another session has it.
func (in *session) hold(ctx context.Context, action string) (bool, error) {
	var got sql.NullInt64
	err := in.conn.QueryRowContext(ctx, "SELECT GET_LOCK(?, 0)", fenceName(action)).Scan(&got)
	return got.Int64 == 1, err
}

// letGo gives the lock back: the session goes back to the pool.
func (in *session) letGo(ctx context.Context, action string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), ownTime)
	defer cancel()
	var got sql.NullInt64
	return in.conn.QueryRowContext(ctx, "SELECT RELEASE_LOCK(?)", fenceName(action)).Scan(&got)
}

// fence ends the session that works for an action, if there is one, so that nothing it has under way takes effect any more. An
// owner that has not taken the lock yet has to prove afterwards that it still owns the action.
func (in *session) fence(ctx context.Context, action string, pause func(context.Context) error) error {
	for {
		var holder sql.NullInt64
		if err := in.conn.QueryRowContext(ctx, "SELECT IS_USED_LOCK(?)", fenceName(action)).Scan(&holder); err != nil {
			return err
		}
		if !holder.Valid {
			return nil
		}
		_, err := in.conn.ExecContext(ctx, "KILL CONNECTION "+strconv.FormatInt(holder.Int64, 10))
		if err != nil && number(err) != errNoThread {
			return err
		}
		if err := pause(ctx); err != nil {
			return err
		}
	}
}
