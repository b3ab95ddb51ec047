package mysql

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"palmops/libs/fault"
	"palmops/services/executor/internal/phone"
)

// query runs what the catalog fixes, in a transaction that may only read, as a prepared statement: there is never more than
// one of them, and arguments stay arguments.
func query(ctx context.Context, r report) (finding, error) {
	set, ok := r.work.Action.Settings.(Query)
	if !ok {
		return finding{}, fault.New(fault.Internal, "action %s has no query", r.work.Action.Name)
	}
	database := set.Database
	if database == "" {
		database = r.Databases[0]
	}
	// The name was held against databaseName, so that the quotes hold it.
	if _, err := r.conn.ExecContext(ctx, "USE `"+database+"`"); err != nil {
		return finding{}, err
	}
	tx, err := r.conn.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return finding{}, err
	}
	defer tx.Rollback() //nolint:errcheck // nothing was changed
	stmt, err := tx.PrepareContext(ctx, set.SQL)
	if err != nil {
		return finding{}, err
	}
	defer stmt.Close()
	args := make([]any, len(set.Args))
	for i, name := range set.Args {
		args[i] = r.work.Args[name] // nil, which is NULL, for an optional one
	}
	began := time.Now()
	rows, err := stmt.QueryContext(ctx, args...)
	if err != nil {
		return finding{}, err
	}
	defer rows.Close()
	head, err := rows.Columns()
	if err != nil {
		return finding{}, err
	}
	var cells [][]string
	more := false
	for rows.Next() {
		if more = len(cells) == maxRows; more {
			break
		}
		values := make([]any, len(head))
		into := make([]any, len(head))
		for i := range values {
			into[i] = &values[i]
		}
		if err := rows.Scan(into...); err != nil {
			return finding{}, err
		}
		row := make([]string, len(head))
		for i, v := range values {
			row[i] = phone.Line(cell(v), phone.MaxCell) // cut at once: a thousand long ones are not kept
		}
		cells = append(cells, row)
	}
	if err := rows.Err(); err != nil {
		return finding{}, err
	}
	took := phone.Span(time.Since(began))
	switch {
	case len(cells) == 0:
		return finding{text: r.say("query.none", took)}, nil
	case more:
		return finding{r.say("query.more", maxRows, took), phone.Table(head, cells)}, nil
	}
	return finding{r.say("query.some", len(cells), took), phone.Table(head, cells)}, nil
}

// cell writes one value. What is no text is only counted.
func cell(v any) string {
	switch x := v.(type) {
	case nil:
		return "NULL"
	case []byte:
		if !utf8.Valid(x) || strings.IndexByte(string(x), 0) >= 0 {
			return fmt.Sprintf("<%s>", phone.Bytes(uint64(len(x))))
		}
		return string(x)
	case time.Time:
		return x.Format(time.DateTime)
	}
	return fmt.Sprint(v)
}
