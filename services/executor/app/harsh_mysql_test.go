package app

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"palmops/libs/mariadbtest"
	"palmops/libs/wire"
)

const ordersPassword = "palmops-of-orders"

// orders is a real MariaDB with a table and an account.
func orders(t *testing.T) *mariadbtest.Server {
	t.Helper()
	db, err := mariadbtest.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Stop)
	do(t, db, `CREATE DATABASE shop CHARACTER SET utf8mb4; CREATE TABLE shop.orders (id INT PRIMARY KEY, name VARCHAR(300)); INSERT INTO shop.orders VALUES (1, 'pear');
		CREATE USER palmops@'127.0.0.1' IDENTIFIED BY '`+ordersPassword+`'; GRANT PROCESS, CONNECTION ADMIN ON *.* TO palmops@'127.0.0.1'; GRANT SELECT ON shop.* TO palmops@'127.0.0.1'`)
	return db
}

func do(t *testing.T, db *mariadbtest.Server, statements string) string {
	t.Helper()
	out, err := db.Do(t.Context(), statements)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// cable lies between the executor and its database; what the executor sends can be looked at before it goes on.
type cable struct {
	net.Listener
	mu    sync.Mutex
	conns []net.Conn
	done  sync.WaitGroup
	on    func(sent []byte) bool // true cuts everything, and what was sent does not arrive
}

func newCable(t *testing.T, to string, on func(sent []byte) bool) *cable {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cable{Listener: l, on: on}
	c.done.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", to)
			if err != nil {
				_ = in.Close()
				continue
			}
			c.mu.Lock()
			c.conns = append(c.conns, in, out)
			c.mu.Unlock()
			c.done.Go(func() { _, _ = io.Copy(in, out); _ = in.Close() })
			c.done.Go(func() { c.pump(out, in); _ = out.Close() })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		c.cut()
		c.done.Wait()
	})
	return c
}

func (c *cable) pump(out, in net.Conn) {
	buf := make([]byte, 64<<10)
	for {
		n, err := in.Read(buf)
		if n > 0 && c.on(buf[:n]) {
			c.cut()
			return
		}
		if _, werr := out.Write(buf[:n]); err != nil || werr != nil {
			return
		}
	}
}

func (c *cable) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, conn := range c.conns {
		_ = conn.Close()
	}
}

const ordersCatalog = `
targets:
  mysql:
    orders: {address: %q, user: palmops, password_file: orders.password, databases: [shop]}
actions:
  db.status: {kind: mysql, verb: status, timeout: 10s}
  db.wait:
    kind: mysql
    verb: query
    timeout: 60s
    params: {n: {type: int, min: 1, max: 60}}
    settings: {sql: "SELECT SLEEP(?) FROM orders", args: [n]}
  db.kill: {kind: mysql, verb: kill, timeout: 20s, params: {id: {type: string}}}
`

// victim is a connection that sleeps, by its number.
func victim(t *testing.T, db *mariadbtest.Server) (id string) {
	t.Helper()
	cmd := db.Client(t.Context(), "shop", "--execute=SELECT CONNECTION_ID(); SELECT SLEEP(1000)")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	if _, err := fmt.Fscan(out, &id); err != nil {
		t.Fatal(err)
	}
	return id
}

// running waits until the server says that the executor's query is at work.
func running(t *testing.T, db *mariadbtest.Server) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	late := time.After(hang)
	for do(t, db, "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE USER = 'palmops' AND STATE = 'User sleep'") != "1" {
		select {
		case <-tick.C:
		case <-late:
			t.Fatal("the query does not begin")
		}
	}
}

// TestADatabaseThatGoesAway kills the server (SIGKILL) in the middle of a query, and right before a KILL arrives; then nobody is there.
func TestADatabaseThatGoesAway(t *testing.T) {
	t.Parallel()
	db := orders(t)
	var deadly atomic.Bool // the next KILL
	dead := make(chan struct{})
	c := newCable(t, db.Address(), func(sent []byte) bool {
		if !bytes.Contains(sent, []byte("KILL CONNECTION")) || !deadly.CompareAndSwap(true, false) {
			return false
		}
		db.Kill()
		close(dead)
		return true
	})
	p := newPlace(t, fmt.Sprintf(ordersCatalog, c.Addr().String()), map[string]string{"orders.password": ordersPassword})
	if ev := p.does("status", "db.status", nil); ev.State != wire.StateSucceeded {
		t.Fatalf("%+v", ev)
	}
	id := p.send("wait", "db.wait", map[string]any{"n": 50})
	running(t, db)
	db.Kill()
	if ev := p.ends(id); ev.State != wire.StateFailed || !strings.Contains(ev.Text, "数据库 orders 暂时不可用，没有执行任何操作") {
		t.Errorf("in the middle of a query: %+v", ev)
	}
	if ev := p.does("wait-2", "db.wait", map[string]any{"n": 50}); ev.State != wire.StateFailed || !strings.Contains(ev.Text, "请稍后重试") {
		t.Errorf("a query of a server that is gone: %+v", ev)
	}
	if ev := p.does("kill-0", "db.kill", map[string]any{"id": "7"}); ev.State != wire.StateFailed || !strings.Contains(ev.Text, "没有执行任何操作") {
		t.Errorf("a kill at a server that is gone: %+v", ev)
	}
	if err := db.Restart(); err != nil {
		t.Fatal(err)
	}
	id = victim(t, db)
	deadly.Store(true)
	if ev := p.does("kill", "db.kill", map[string]any{"id": id}); ev.State != wire.StateUnknown || !strings.Contains(ev.Text, "请先查看连接列表，不要直接重试") {
		t.Errorf("killed before a KILL: %+v", ev)
	}
	select {
	case <-dead:
	case <-time.After(hang):
		t.Fatal("no KILL was sent")
	}
	if err := db.Restart(); err != nil {
		t.Fatal(err)
	}
	id = victim(t, db)
	if ev := p.does("kill-2", "db.kill", map[string]any{"id": id}); ev.State != wire.StateSucceeded {
		t.Errorf("afterwards: %+v", ev)
	}
	if ev := p.does("kill-3", "db.kill", map[string]any{"id": id}); ev.State != wire.StateFailed || !strings.Contains(ev.Text, "没有连接") {
		t.Errorf("a target that is gone: %+v", ev)
	}
}
