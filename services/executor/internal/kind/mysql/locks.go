package mysql

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"palmops/libs/lang"
	"palmops/services/executor/internal/phone"
)

// party is one side of a wait for a lock.
type party struct {
	id        uint64
	statement string
	trx       int64 // seconds since its transaction began
}

// wait says that one transaction waits for another.
type wait struct {
	waiting, blocking party
	seconds           int64
	table, mode       string
}

const mariaWaits = `SELECT r.trx_mysql_thread_id, b.trx_mysql_thread_id, COALESCE(TIMESTAMPDIFF(SECOND, r.trx_wait_started, NOW()), 0),
 l.lock_table, l.lock_mode, COALESCE(r.trx_query, ''), COALESCE(b.trx_query, ''), TIMESTAMPDIFF(SECOND, r.trx_started, NOW()),
 TIMESTAMPDIFF(SECOND, b.trx_started, NOW())
 FROM information_schema.INNODB_LOCK_WAITS w
 JOIN information_schema.INNODB_TRX r ON r.trx_id = w.requesting_trx_id
 JOIN information_schema.INNODB_TRX b ON b.trx_id = w.blocking_trx_id
 JOIN information_schema.INNODB_LOCKS l ON l.lock_id = w.requested_lock_id
 ORDER BY 3 DESC, 1, 2 LIMIT 1000`

const mysqlWaits = `SELECT r.trx_mysql_thread_id, b.trx_mysql_thread_id, COALESCE(TIMESTAMPDIFF(SECOND, r.trx_wait_started, NOW()), 0),
 CONCAT(COALESCE(l.OBJECT_SCHEMA, ''), '.', COALESCE(l.OBJECT_NAME, '')), l.LOCK_MODE, COALESCE(r.trx_query, ''), COALESCE(b.trx_query, ''),
 TIMESTAMPDIFF(SECOND, r.trx_started, NOW()), TIMESTAMPDIFF(SECOND, b.trx_started, NOW())
 FROM performance_schema.data_lock_waits w
 JOIN information_schema.INNODB_TRX r ON r.trx_id = w.REQUESTING_ENGINE_TRANSACTION_ID
 JOIN information_schema.INNODB_TRX b ON b.trx_id = w.BLOCKING_ENGINE_TRANSACTION_ID
 JOIN performance_schema.data_locks l ON l.ENGINE_LOCK_ID = w.REQUESTING_ENGINE_LOCK_ID AND l.ENGINE = w.ENGINE
 ORDER BY 3 DESC, 1, 2 LIMIT 1000`

// locks says who waits for whom.
func locks(ctx context.Context, r report) (finding, error) {
	waits, err := r.waits(ctx)
	if err != nil {
		return finding{}, err
	}
	all, err := r.threads(ctx, r.server, 0)
	if err != nil {
		return finding{}, err
	}
	people := map[uint64]thread{}
	meta := 0
	for _, t := range all {
		people[t.ID] = t
		if strings.HasPrefix(t.State, "Waiting for") && strings.Contains(t.State, "metadata lock") {
			meta++
		}
	}
	lines := tree(waits, people, r.lang())
	if meta > 0 {
		lines = append(lines, r.say("locks.meta", meta))
	}
	if len(lines) == 0 {
		return finding{text: r.say("locks.none")}, nil
	}
	waiting, roots := map[uint64]bool{}, map[uint64]bool{}
	for _, w := range waits {
		waiting[w.waiting.id] = true
	}
	for _, w := range waits {
		if !waiting[w.blocking.id] {
			roots[w.blocking.id] = true
		}
	}
	return finding{r.say("locks.some", len(waiting), len(roots)), strings.Join(lines, "\n")}, nil
}

// waits reads the waits for locks of tables in the target's databases.
func (r report) waits(ctx context.Context) ([]wait, error) {
	query := mysqlWaits
	if r.maria {
		query = mariaWaits
	}
	rows, err := r.texts(ctx, query)
	if err != nil {
		return nil, err
	}
	var out []wait
	for _, f := range rows {
		table := strings.ReplaceAll(f[3], "`", "")
		if db, _, _ := strings.Cut(table, "."); !slices.Contains(r.Databases, db) {
			continue
		}
		out = append(out, wait{
			waiting:  party{unsigned(f[0]), f[5], signed(f[7])},
			blocking: party{unsigned(f[1]), f[6], signed(f[8])},
			seconds:  signed(f[2]), table: table, mode: f[4],
		})
	}
	return out, nil
}

func signed(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// tree writes the waits as a forest: who waits for nobody stands left, below it whoever waits for it. A connection that waits for
// several is below each of them, but what is below it is written once. Waits in a circle, which the server will
// break, begin anywhere.
func tree(waits []wait, people map[uint64]thread, t lang.Tag) []string {
	below := map[uint64][]wait{} // by who blocks
	parties := map[uint64]party{}
	waiting := map[uint64]bool{}
	var order []uint64
	for _, w := range waits {
		if slices.ContainsFunc(below[w.blocking.id], func(o wait) bool { return o.waiting.id == w.waiting.id }) {
			continue // for several locks of the same
		}
		for _, p := range []party{w.blocking, w.waiting} {
			if _, known := parties[p.id]; !known {
				order = append(order, p.id)
			}
			parties[p.id] = p
		}
		below[w.blocking.id] = append(below[w.blocking.id], w)
		waiting[w.waiting.id] = true
	}
	var lines []string
	written := map[uint64]bool{}
	var write func(id uint64, depth int)
	write = func(id uint64, depth int) {
		if written[id] {
			return
		}
		written[id] = true
		for _, w := range below[id] {
			p := w.waiting
			lines = append(lines, strings.Repeat("  ", min(depth, 8))+
				texts.Say(t, "locks.waits", p.id, phone.Span(seconds(w.seconds)), phone.Line(w.table, 40), w.mode, statementOf(p, people, t)))
			write(p.id, depth+1)
		}
	}
	root := func(id uint64) {
		p := parties[id]
		who := people[id].who()
		if who == "" {
			who = "-"
		}
		lines = append(lines, texts.Say(t, "locks.blocks", id, who, len(below[id]), phone.Span(seconds(p.trx)), statementOf(p, people, t)))
		write(id, 1)
	}
	for _, id := range order {
		if !waiting[id] {
			root(id)
		}
	}
	for _, id := range order { // circles
		if len(below[id]) > 0 && !written[id] {
			root(id)
		}
	}
	return lines
}

// statementOf is what a party runs; one that blocks often runs nothing.
func statementOf(p party, people map[uint64]thread, t lang.Tag) string {
	if p.statement != "" {
		return phone.Line(p.statement, 60)
	}
	if one, known := people[p.id]; known {
		return one.what(t, 60)
	}
	return texts.Say(t, "thread.idle")
}
