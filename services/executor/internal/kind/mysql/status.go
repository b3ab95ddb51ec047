package mysql

import (
	"context"
	"math"
	"strconv"
	"strings"
	"time"

	"palmops/services/executor/internal/kind"
	"palmops/services/executor/internal/phone"
)

// figures are the server's counters and settings by name, in small letters.
type figures map[string]string

func (f figures) number(name string) float64 {
	n, err := strconv.ParseFloat(f[name], 64)
	if err != nil || math.IsNaN(n) || math.IsInf(n, 0) || n < 0 {
		return 0
	}
	return n
}

func (f figures) whole(name string) uint64 { return uint64(min(f.number(name), 1<<62)) }

const (
	statusQuery = `SHOW GLOBAL STATUS WHERE Variable_name IN ('Uptime', 'Questions', 'Threads_connected', 'Threads_running', 'Max_used_connections',
 'Slow_queries', 'Aborted_connects', 'Innodb_buffer_pool_pages_total', 'Innodb_buffer_pool_pages_free', 'Innodb_buffer_pool_pages_dirty',
 'Innodb_buffer_pool_read_requests', 'Innodb_buffer_pool_reads', 'Innodb_row_lock_current_waits', 'Created_tmp_tables', 'Created_tmp_disk_tables')`
	variableQuery = `SHOW GLOBAL VARIABLES WHERE Variable_name IN ('max_connections', 'innodb_buffer_pool_size', 'long_query_time', 'read_only',
 'super_read_only', 'slow_query_log')`
)

func (in *session) figures(ctx context.Context, query string, into figures) error {
	rows, err := in.texts(ctx, query)
	for _, r := range rows {
		into[strings.ToLower(r[0])] = r[1]
	}
	return err
}

// status is the server on one screen. What is counted per second is counted for a second.
func status(ctx context.Context, r report) (finding, error) {
	f, later := figures{}, figures{}
	if err := r.figures(ctx, variableQuery, f); err != nil {
		return finding{}, err
	}
	if err := r.figures(ctx, statusQuery, f); err != nil {
		return finding{}, err
	}
	began := time.Now()
	if err := kind.Pause(ctx, r.k.sample); err != nil {
		return finding{}, err
	}
	if err := r.figures(ctx, statusQuery, later); err != nil {
		return finding{}, err
	}
	lines := []string{
		r.say("status.server", phone.Line(r.version, 40), phone.Span(time.Duration(f.whole("uptime"))*time.Second)),
		r.say("status.connections", f.whole("threads_connected"), f.whole("max_connections"), f.whole("threads_running"), f.whole("max_used_connections")),
		r.say("status.questions", max(later.number("questions")-f.number("questions")-1, 0)/time.Since(began).Seconds(), // one was ours
			f.number("questions")/max(f.number("uptime"), 1)),
		r.say("status.slow", f.whole("slow_queries"), phone.Span(time.Duration(f.number("long_query_time")*float64(time.Second)))),
		r.say("status.pool", phone.Bytes(f.whole("innodb_buffer_pool_size")),
			phone.Percent(f.number("innodb_buffer_pool_pages_total")-f.number("innodb_buffer_pool_pages_free"), f.number("innodb_buffer_pool_pages_total")),
			phone.Percent(f.number("innodb_buffer_pool_pages_dirty"), f.number("innodb_buffer_pool_pages_total")),
			phone.Percent(f.number("innodb_buffer_pool_read_requests")-f.number("innodb_buffer_pool_reads"), f.number("innodb_buffer_pool_read_requests"))),
		r.say("status.waits", f.whole("innodb_row_lock_current_waits")),
		r.say("status.temporary", phone.Percent(f.number("created_tmp_disk_tables"), f.number("created_tmp_tables"))),
	}
	if f["read_only"] == "ON" || f["super_read_only"] == "ON" {
		lines = append(lines, r.say("status.read_only"))
	}
	return finding{r.say("status.head", r.Name), strings.Join(lines, "\n")}, nil
}

func unsigned(s string) uint64 {
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// micros reads microseconds; more than 200 years are none.
func micros(s string) time.Duration {
	n := unsigned(s)
	if n > uint64(math.MaxInt64/time.Microsecond) {
		return 0
	}
	return time.Duration(n) * time.Microsecond
}
