package mysql

import (
	"context"
	"database/sql"
	"strconv"
	"strings"

	"palmops/libs/fault"
	"palmops/libs/lang"
	"palmops/libs/wire"
	"palmops/services/executor/internal/kind"
	"palmops/services/executor/internal/phone"
)

// report is what one report needs.
type report struct {
	*server
	*session
	k    *Kind
	work kind.Work
}

// finding is what a report says: a sentence, and what is printed below it.
type finding struct{ text, output string }

// reports are the verbs that only read and print.
var reports = map[string]func(context.Context, report) (finding, error){
	verbStatus:      status,
	verbLocks:       locks,
	verbSlow:        slow,
	verbTop:         top,
	verbReplication: replication,
	verbSizes:       sizes,
	verbQuery:       query,
}

func (r report) say(key string, args ...any) string { return texts.Say(r.work.Lang, key, args...) }

func (r report) lang() lang.Tag { return r.work.Lang }

func (k *Kind) report(ctx context.Context, w kind.Work) kind.Result {
	s, err := k.server(w.Action)
	if err != nil {
		return kind.Failed(fault.SafeIn(err, w.Lang))
	}
	var f finding
	err = s.within(ctx, func(in *session) (err error) {
		f, err = reports[w.Action.Verb](ctx, report{server: s, session: in, k: k, work: w})
		return err
	})
	if err == nil {
		return kind.Result{State: wire.StateSucceeded, Text: f.text, Output: strings.TrimRight(f.output, "\n")}
	}
	if ctx.Err() != nil {
		say := func(key string, args ...any) string { return texts.Say(w.Lang, key, args...) }
		return kind.Unread(ctx, say("report.canceled"), say("report.lost"), say("report.late", int(w.Timeout.Seconds())))
	}
	return kind.Failed(fault.SafeIn(explain(err, w.Lang, s.Name), w.Lang))
}

// read reads rows as texts, with the names of their columns; NULL is "".
func (in *session) read(ctx context.Context, query string, args ...any) (columns []string, out [][]string, err error) {
	rows, err := in.conn.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, nil, err
	}
	defer rows.Close()
	if columns, err = rows.Columns(); err != nil {
		return nil, nil, err
	}
	for rows.Next() {
		cells := make([]sql.NullString, len(columns))
		into := make([]any, len(columns))
		for i := range cells {
			into[i] = &cells[i]
		}
		if err := rows.Scan(into...); err != nil {
			return nil, nil, err
		}
		row := make([]string, len(cells))
		for i, c := range cells {
			row[i] = c.String
		}
		out = append(out, row)
	}
	return columns, out, rows.Err()
}

// texts is read without the names.
func (in *session) texts(ctx context.Context, query string, args ...any) ([][]string, error) {
	_, out, err := in.read(ctx, query, args...)
	return out, err
}

// named is read with each row by the names of the columns, in small letters.
func (in *session) named(ctx context.Context, query string, args ...any) ([]map[string]string, error) {
	columns, rows, err := in.read(ctx, query, args...)
	out := make([]map[string]string, len(rows))
	for i, row := range rows {
		out[i] = map[string]string{}
		for n, v := range row {
			out[i][strings.ToLower(columns[n])] = v
		}
	}
	return out, err
}

// slow lists what has been running for long.
func slow(ctx context.Context, r report) (finding, error) {
	atLeast := int64(slowDefault)
	if n, given := r.work.Args["seconds"].(int64); given {
		atLeast = n
	}
	all, err := r.threads(ctx, r.server, 0)
	if err != nil {
		return finding{}, err
	}
	var rows [][]string
	for _, t := range all {
		if !t.Sleeping && t.Seconds >= atLeast {
			rows = append(rows, []string{
				strconv.FormatUint(t.ID, 10), phone.Span(seconds(t.Seconds)), t.DB, t.who(), phone.Line(t.State, 24), t.what(r.lang(), 48),
			})
		}
	}
	if len(rows) == 0 {
		return finding{text: r.say("slow.none", atLeast)}, nil
	}
	head := []string{"id", r.say("head.time"), r.say("head.database"), r.say("head.client"), r.say("head.state"), r.say("head.statement")}
	return finding{r.say("slow.some", len(rows), atLeast), phone.Table(head, rows)}, nil
}

// top lists the statements that have cost most since the statistics began.
func top(ctx context.Context, r report) (finding, error) {
	on, err := r.texts(ctx, "SELECT @@GLOBAL.performance_schema")
	if err != nil {
		return finding{}, err
	}
	if len(on) == 0 || on[0][0] != "1" {
		return finding{text: r.say("top.off")}, nil
	}
	within, args := r.bounds("SCHEMA_NAME")
	found, err := r.texts(ctx, `SELECT SCHEMA_NAME, DIGEST_TEXT, COUNT_STAR, SUM_TIMER_WAIT DIV 1000000, SUM_TIMER_WAIT DIV GREATEST(COUNT_STAR, 1) DIV 1000000,
 SUM_ROWS_EXAMINED DIV GREATEST(COUNT_STAR, 1) FROM performance_schema.events_statements_summary_by_digest WHERE `+within+
		" AND DIGEST_TEXT IS NOT NULL ORDER BY SUM_TIMER_WAIT DESC LIMIT 15", args...)
	if err != nil {
		return finding{}, err
	}
	if len(found) == 0 {
		return finding{text: r.say("top.none")}, nil
	}
	var rows [][]string
	for _, f := range found {
		rows = append(rows, []string{phone.Span(micros(f[3])), phone.Count(unsigned(f[2])), phone.Span(micros(f[4])), phone.Count(unsigned(f[5])), f[0], f[1]})
	}
	head := []string{r.say("head.total"), r.say("head.calls"), r.say("head.each"), r.say("head.examined"), r.say("head.database"), r.say("head.statement")}
	return finding{r.say("top.some", len(rows)), phone.Table(head, rows)}, nil
}

// sizes lists the largest tables, as the server estimates them.
func sizes(ctx context.Context, r report) (finding, error) {
	within, args := r.bounds("TABLE_SCHEMA")
	found, err := r.texts(ctx, `SELECT TABLE_SCHEMA, TABLE_NAME, COALESCE(DATA_LENGTH, 0) + COALESCE(INDEX_LENGTH, 0), COALESCE(INDEX_LENGTH, 0), COALESCE(TABLE_ROWS, 0),
 COALESCE(DATA_FREE, 0) FROM information_schema.TABLES WHERE TABLE_TYPE = 'BASE TABLE' AND `+within+" ORDER BY 3 DESC, 1, 2 LIMIT 20", args...)
	if err != nil {
		return finding{}, err
	}
	if len(found) == 0 {
		return finding{text: r.say("sizes.none")}, nil
	}
	var rows [][]string
	for _, f := range found {
		rows = append(rows, []string{phone.Bytes(unsigned(f[2])), phone.Bytes(unsigned(f[3])), phone.Count(unsigned(f[4])), f[0] + "." + f[1]})
	}
	head := []string{r.say("head.size"), r.say("head.index"), r.say("head.rows"), r.say("head.table")}
	return finding{r.say("sizes.some", len(rows)), phone.Table(head, rows)}, nil
}
