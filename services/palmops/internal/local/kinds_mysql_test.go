package local

import (
	"bufio"
	"bytes"
	"io"
	"os/exec"
	"strings"
	"testing"

	"palmops/libs/mariadbtest"
)

const databasePassword = "palmops-of-orders"

// orders is a real MariaDB with the table of the sample and the account that the kind's README asks for, and the sample for it.
func orders(t *testing.T, swaps ...string) (*mariadbtest.Server, shipped) {
	t.Helper()
	db, err := mariadbtest.Start("--performance-schema=ON")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Stop)
	do(t, db, `CREATE DATABASE shop CHARACTER SET utf8mb4;
		CREATE TABLE shop.orders (id BIGINT PRIMARY KEY, status VARCHAR(20), amount DECIMAL(10,2), created DATETIME);
		INSERT INTO shop.orders VALUES (10001, '已付款', 128.50, '2026-11-23 10:20:30'), (10002, '待付款', 9.90, '2026-11-23 10:21:00');
		CREATE USER palmops@localhost IDENTIFIED BY '`+databasePassword+`';
		GRANT PROCESS, CONNECTION ADMIN, REPLICA MONITOR ON *.* TO palmops@localhost;
		GRANT SELECT ON shop.* TO palmops@localhost; GRANT SELECT ON performance_schema.* TO palmops@localhost`)
	return db, shipped{
		kind:  "mysql",
		swaps: append([]string{"address: db-1.example:3306", "socket: " + db.Socket(), "      tls: true ", "      #"}, swaps...),
		files: map[string]string{"orders.password": databasePassword + "\n"},
	}
}

func do(t *testing.T, db *mariadbtest.Server, statements string) string {
	t.Helper()
	out, err := db.Do(t.Context(), statements)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// user is somebody at the database's own client.
type user struct {
	t    *testing.T
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Reader
	said bytes.Buffer
	id   string
}

func connects(t *testing.T, db *mariadbtest.Server) *user {
	t.Helper()
	u := &user{t: t, cmd: db.Client(t.Context(), "shop", "--force")} // goes on after an error
	u.cmd.Stderr = &u.said
	var err error
	if u.in, err = u.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := u.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	u.out = bufio.NewReader(out)
	if err := u.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = u.cmd.Process.Kill()
		_ = u.cmd.Wait()
	})
	u.runs("SELECT CONNECTION_ID()")
	u.id = u.prints()
	return u
}

// runs gives the server a statement and does not wait for its end.
func (u *user) runs(statement string) {
	u.t.Helper()
	if _, err := io.WriteString(u.in, statement+";\n"); err != nil {
		u.t.Fatal(err)
	}
}

// prints waits for the next line of a result.
func (u *user) prints() string {
	u.t.Helper()
	line, err := u.out.ReadString('\n')
	if err != nil {
		u.t.Fatalf("%v\n%s", err, u.said.String())
	}
	return strings.TrimSuffix(line, "\n")
}

// errors lets the client run what it was given, and returns the errors it printed.
func (u *user) errors() string {
	u.t.Helper()
	_ = u.in.Close()
	_, _ = io.Copy(io.Discard, u.out)
	_ = u.cmd.Wait() // the code says less than what was printed
	return u.said.String()
}

// busy waits until the server says that a statement of the connection is at work.
func busy(t *testing.T, db *mariadbtest.Server, u *user, state string) {
	t.Helper()
	until(t, "connection "+u.id+" at "+state, func() bool {
		return do(t, db, "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE ID = "+u.id+" AND COMMAND = 'Query' AND STATE = '"+state+"'") == "1"
	})
}

// TestDatabase goes the way of somebody who is called at night: what runs, stop it, who blocks whom, end that one, look up an order.
func TestDatabase(t *testing.T) {
	db, s := orders(t)
	slow, blocker, blocked := connects(t, db), connects(t, db), connects(t, db)
	slow.runs("SELECT SLEEP(1000), 'nightly report'")
	busy(t, db, slow, "User sleep")
	blocker.runs("BEGIN; UPDATE orders SET status = '退款' WHERE id = 10001; SELECT 'locked'")
	if got := blocker.prints(); got != "locked" {
		t.Fatal(got)
	}
	blocked.runs("UPDATE orders SET status = '已发货' WHERE id = 10001; SELECT 'sent'")
	until(t, "a wait for a lock", func() bool {
		return do(t, db, "SELECT COUNT(*) FROM information_schema.INNODB_LOCK_WAITS") == "1"
	})
	r := s.start(t)
	r.plays(t, "mysql")
	slow.runs("SELECT 'still there'")
	if got := slow.prints(); got != "still there" {
		t.Errorf("the connection of the slow statement says %q", got)
	}
	if said := slow.errors(); !strings.Contains(said, "1317") {
		t.Errorf("the slow statement ended with %q", said)
	}
	if got := blocked.prints(); got != "sent" {
		t.Errorf("who was blocked got %q", got)
	}
	until(t, "no wait for a lock", func() bool { // the server goes on telling of the ended one for a moment
		return do(t, db, "SELECT COUNT(*) FROM information_schema.INNODB_LOCK_WAITS") == "0"
	})
	r.tell(t, "afterwards", "wangwu> 00\nwangwu> [订单数据库]\nwangwu> [锁等待]\n  没有锁等待\n")
	blocker.runs("SELECT 1")
	if said := blocker.errors(); !strings.Contains(said, "ERROR 2006") && !strings.Contains(said, "ERROR 2013") && !strings.Contains(said, "ERROR 1927") {
		t.Errorf("who blocked got %q", said)
	}
	if got := do(t, db, "SELECT status FROM shop.orders WHERE id = 10001"); got != "已发货" {
		t.Errorf("the order is %q", got)
	}
}
