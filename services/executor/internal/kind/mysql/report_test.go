package mysql

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"palmops/libs/lang"
	"palmops/libs/mariadbtest"
	"palmops/libs/wire"
	"palmops/services/executor/internal/kind"
	"palmops/services/executor/internal/kind/kindtest"
)

func queryWork(stmt string, names []string, args map[string]any) kind.Work {
	w := work(verbQuery, args)
	w.Action.Settings = Query{SQL: stmt, Args: names}
	return w
}

func run(t *testing.T, k *Kind, w kind.Work) kind.Result {
	t.Helper()
	r := k.Apply(within(t), w, nil, kindtest.Denied(kind.ErrLost)) // a report asks for no leave
	if strings.Contains(r.Text+r.Output, "[") && strings.Contains(r.Text+r.Output, "%!") {
		t.Errorf("a text is not filled in: %+v", r)
	}
	return r
}

func report1(t *testing.T, k *Kind, verb string, args map[string]any) kind.Result {
	t.Helper()
	r := run(t, k, work(verb, args))
	if r.State != wire.StateSucceeded {
		t.Fatalf("%s: %+v", verb, r)
	}
	return r
}

func TestQuery(t *testing.T) {
	k := newKind(t)
	r := run(t, k, queryWork("SELECT id, name, body FROM orders WHERE id >= ? AND (name <> ? OR ? IS NULL) ORDER BY id", []string{"id", "name", "none"},
		map[string]any{"id": int64(1), "name": "x' OR '1'='1"}))
	want := "id  name  body\n 1  苹果  NULL\n 2  pear  <2 B>\n 3  plum  text"
	if r.State != wire.StateSucceeded || r.Output != want || !strings.HasPrefix(r.Text, "3 行，用时 ") {
		t.Errorf("%+v", r)
	}
	if r := run(t, k, queryWork("SELECT id FROM many", nil, nil)); r.State != wire.StateSucceeded || strings.Count(r.Output, "\n") != maxRows || !strings.Contains(r.Text, "只显示前 1000 行") {
		t.Errorf("%s %q: %d lines", r.State, r.Text, strings.Count(r.Output, "\n"))
	}
	if r := run(t, k, queryWork("SELECT id FROM many WHERE id < 0", nil, nil)); r.State != wire.StateSucceeded || r.Output != "" {
		t.Errorf("%+v", r)
	}
	// What inspect would not let into a catalog is refused by the server as well.
	for _, stmt := range []string{
		"INSERT INTO orders VALUES (9, 'x', NULL)", "DELETE FROM orders", "SELECT 1; DELETE FROM orders", "SELECT * FROM hidden.nothing", "SELEC 1", "SELECT ?",
	} {
		if r := run(t, k, queryWork(stmt, nil, nil)); r.State != wire.StateFailed || !strings.Contains(r.Text, "没有执行任何操作") {
			t.Errorf("%s: %+v", stmt, r)
		}
	}
	var n int
	if err := root(t).QueryRow("SELECT COUNT(*) FROM orders").Scan(&n); err != nil || n != 3 {
		t.Errorf("%d orders, %v", n, err)
	}
}

func TestStatus(t *testing.T) {
	r := report1(t, newKind(t), verbStatus, nil)
	for _, want := range []string{"版本 10.", "MariaDB", "连接 ", "缓冲池 16 MB", "命中率 "} {
		if !strings.Contains(r.Output, want) {
			t.Errorf("no %q in %s", want, r.Output)
		}
	}
}

func TestSlow(t *testing.T) {
	k := newKind(t)
	v := newVictim(t).runs(t, "SELECT SLEEP(100)")
	if r := report1(t, k, verbSlow, map[string]any{"seconds": int64(0)}); !strings.Contains(r.Output, v.text()) || !strings.Contains(r.Output, "SELECT SLEEP(100)") {
		t.Errorf("%+v", r)
	}
	if r := report1(t, k, verbSlow, map[string]any{"seconds": int64(3000)}); r.Output != "" || r.Text != "没有运行超过 3000 秒的语句。" {
		t.Errorf("%+v", r)
	}
}

func TestTopAndSizes(t *testing.T) {
	k := newKind(t)
	if _, err := root(t).Exec("SELECT COUNT(*) FROM orders WHERE id > 1"); err != nil {
		t.Fatal(err)
	}
	if r := report1(t, k, verbTop, nil); !strings.Contains(r.Output, "orders") || !strings.Contains(r.Output, "shop") {
		t.Errorf("%+v", r)
	}
	if r := report1(t, k, verbSizes, nil); !strings.Contains(r.Output, "shop.orders") || !strings.Contains(r.Output, "KB") || strings.Contains(r.Output, "mysql.") {
		t.Errorf("%+v", r)
	}
}

func TestLocks(t *testing.T) {
	k := newKind(t)
	if r := report1(t, k, verbLocks, nil); r.Text != "没有锁等待。" {
		t.Errorf("%+v", r)
	}
	holder := newVictim(t)
	for _, q := range []string{"BEGIN", "UPDATE orders SET name = 'held' WHERE id = 1"} {
		if _, err := holder.conn.ExecContext(within(t), q); err != nil {
			t.Fatal(err)
		}
	}
	first := newVictim(t).runs(t, "UPDATE orders SET name = 'a' WHERE id = 1")
	second := newVictim(t).runs(t, "DELETE FROM orders WHERE id = 1")
	ctx := within(t)
	for {
		r := report1(t, k, verbLocks, nil) // the server takes a moment to show it
		if strings.HasPrefix(r.Text, "2 个连接在等待锁，源头 1 个") {
			lines := strings.Split(r.Output, "\n")
			if len(lines) < 3 || !strings.HasPrefix(lines[0], holder.text()+" root@localhost 阻塞 ") || !strings.Contains(r.Output, first.text()) ||
				!strings.Contains(r.Output, second.text()) || !strings.Contains(r.Output, "shop.orders（X）：UPDATE orders") {
				t.Errorf("%s", r.Output)
			}
			break
		}
		if err := kind.Pause(ctx, 1e8); err != nil {
			t.Fatalf("%+v", r)
		}
	}
}

// TestMetadataLocks: who waits for the lock of a table's structure is counted, though nobody can tell for whom.
func TestMetadataLocks(t *testing.T) {
	k := newKind(t)
	holder := newVictim(t)
	for _, q := range []string{"BEGIN", "SELECT COUNT(*) FROM many"} {
		if _, err := holder.conn.ExecContext(within(t), q); err != nil {
			t.Fatal(err)
		}
	}
	v := newVictim(t).runs(t, "ALTER TABLE many ADD COLUMN more INT")
	v.await(t, "STATE = 'Waiting for table metadata lock'", 1)
	if r := report1(t, k, verbLocks, nil); !strings.Contains(r.Output, "另有 1 个连接在等待表结构锁") {
		t.Errorf("%+v", r)
	}
}

func TestReplication(t *testing.T) {
	k := newKind(t)
	await := func(k *Kind, want string) {
		t.Helper()
		ctx := within(t)
		for {
			r := report1(t, k, verbReplication, nil)
			if strings.Contains(r.Text+"\n"+r.Output, want) {
				return
			}
			if err := kind.Pause(ctx, 1e7); err != nil {
				t.Fatalf("%q never comes: %+v", want, r)
			}
		}
	}
	await(k, "没有配置复制")
	replica, err := mariadbtest.Start("--server-id=2")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(replica.Stop)
	other, err := sql.Open("mysql", replica.DSN(""))
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	host, port, _ := strings.Cut(real.Address(), ":")
	for _, q := range []string{
		"CREATE USER palmops@'%' IDENTIFIED BY '" + password + "'", "GRANT PROCESS, REPLICA MONITOR ON *.* TO palmops@'%'",
		fmt.Sprintf("CHANGE MASTER TO MASTER_HOST='%s', MASTER_PORT=%s, MASTER_USER='root', MASTER_PASSWORD='%s', MASTER_USE_GTID=slave_pos", host, port, mariadbtest.Password),
		"START SLAVE",
	} {
		if _, err := other.ExecContext(within(t), q); err != nil {
			t.Fatalf("%s: %v", q, err)
		}
	}
	s := target(t)
	s.Address = replica.Address()
	follower := kindOf(t, s)
	// The replica lacks the accounts and tables that the binary log speaks of only from some point on: whether its SQL thread runs or
	// has stopped with an error, the report says so.
	await(follower, "来源 "+real.Address())
	await(follower, "接收线程 Yes")
	if r := report1(t, k, verbReplication, nil); r.Text != "有 1 个副本连接到这里" {
		t.Errorf("%+v", r)
	}
	if r := report1(t, follower, verbTop, nil); !strings.Contains(r.Text, "performance_schema=ON") {
		t.Errorf("%+v", r)
	}
	if _, err := other.ExecContext(within(t), "STOP SLAVE"); err != nil {
		t.Fatal(err)
	}
	await(follower, "复制异常：1/1 个来源有问题")
	await(follower, "接收线程 No")
}

func TestChannelLines(t *testing.T) {
	t.Parallel()
	lines, well := channelLines(map[string]string{
		"source_host": "db-1", "source_port": "3306", "replica_io_running": "Yes", "replica_sql_running": "Yes", "seconds_behind_source": "12",
	}, lang.English)
	if got := strings.Join(lines, "|"); !well || got != "source db-1:3306|  receiving Yes, applying Yes|  behind by 12 s" {
		t.Errorf("%t %s", well, got)
	}
	lines, well = channelLines(map[string]string{
		"master_host": "db-1", "slave_io_running": "Connecting", "slave_sql_running": "Yes", "last_io_error": "cannot\nconnect " + strings.Repeat("x", 500),
	}, lang.English)
	if well || len(lines) != 4 || len(lines[3]) > 230 {
		t.Errorf("%t %q", well, lines)
	}
}

// TestTree: everybody who waits is written, whatever the waits look like, circles included.
func TestTree(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var waits []wait
		for range rapid.IntRange(0, 12).Draw(t, "waits") {
			a, b := rapid.Uint64Range(1, 6).Draw(t, "waiting"), rapid.Uint64Range(1, 6).Draw(t, "blocking")
			if a != b {
				waits = append(waits, wait{waiting: party{id: a}, blocking: party{id: b}, table: "shop.t", mode: "X"})
			}
		}
		lines := tree(waits, nil, lang.English)
		for _, w := range waits {
			for _, id := range []uint64{w.waiting.id, w.blocking.id} {
				found := false
				for _, l := range lines {
					found = found || strings.HasPrefix(strings.TrimLeft(l, " └"), fmt.Sprint(id, " "))
				}
				if !found {
					t.Fatalf("%d is missing in %q", id, lines)
				}
			}
		}
		if len(lines) > 2*len(waits) {
			t.Fatalf("%d lines of %d waits", len(lines), len(waits))
		}
	})
}

func TestReportsOfACanceledContext(t *testing.T) {
	k := newKind(t)
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(kind.ErrCanceled)
	if r := k.Apply(ctx, work(verbStatus, nil), nil, &kindtest.Hand{}); r.State != wire.StateCanceled {
		t.Errorf("%+v", r)
	}
}
