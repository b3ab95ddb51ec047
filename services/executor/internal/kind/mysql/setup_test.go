package mysql

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	driver "github.com/go-sql-driver/mysql"
	"go.uber.org/goleak"

	"palmops/libs/lang"
	"palmops/libs/looptest"
	"palmops/libs/mariadbtest"
	"palmops/libs/wire"
	"palmops/services/executor/catalog"
	"palmops/services/executor/internal/kind"
)

// hang is a guard against waiting for ever and no measure of anything.
const hang = 60 * time.Second

const password = "palmops-secret-1"

// real is the server of all tests.
var real *mariadbtest.Server

// rights are what the README says that the executor's account needs.
var rights = []string{
	"CREATE USER palmops@'%' IDENTIFIED BY '" + password + "'",
	"CREATE USER palmops@localhost IDENTIFIED BY '" + password + "'",
}

func init() {
	for _, who := range []string{"palmops@'%'", "palmops@localhost"} {
		rights = append(rights, "GRANT PROCESS, CONNECTION ADMIN, REPLICA MONITOR ON *.* TO "+who,
			"GRANT SELECT ON shop.* TO "+who, "GRANT SELECT ON performance_schema.* TO "+who)
	}
}

func TestMain(m *testing.M) {
	if err := driver.SetLogger(&driver.NopLogger{}); err != nil { // of the tests' own connections, which get killed
		panic(err)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		if real != nil {
			real.Stop()
		}
		if authority != "" {
			_ = os.RemoveAll(filepath.Dir(authority))
		}
		os.Exit(code)
	}), goleak.IgnoreAnyFunction("palmops/libs/mariadbtest.(*Server).run.func1"))
}

// begin starts the server for the first test that needs it: a fuzzer's workers run TestMain too.
var begin = sync.OnceValue(func() error {
	dir, err := os.MkdirTemp("", "tls")
	if err != nil {
		return err
	}
	host := looptest.Host()
	cert, key, err := looptest.Certificate(dir, host)
	authority = cert
	if err != nil {
		return err
	}
	real, err = mariadbtest.StartAt(host, "--ssl-cert="+cert, "--ssl-key="+key, "--server-id=1", "--log-bin=bin", "--performance-schema=ON", "--max-connections=30")
	if err != nil {
		return err
	}
	return furnish()
})

// authority is a file with the certificate of the server, which is its own authority.
var authority string

func furnish() error {
	db, err := sql.Open("mysql", real.DSN(""))
	if err != nil {
		return err
	}
	defer db.Close()
	for _, q := range append([]string{
		"CREATE DATABASE shop CHARACTER SET utf8mb4", "CREATE DATABASE hidden", "CREATE TABLE shop.orders (id INT PRIMARY KEY, name VARCHAR(80), body BLOB)",
		"INSERT INTO shop.orders VALUES (1, '苹果', NULL), (2, 'pear', x'00ff'), (3, 'plum', 'text')",
		"CREATE TABLE shop.many (id INT PRIMARY KEY)",
	}, rights...) {
		if _, err := db.Exec(q); err != nil {
			return fmt.Errorf("%s: %w", q, err)
		}
	}
	_, err = db.Exec("INSERT INTO shop.many SELECT a.n + 40 * b.n FROM (" + numbers(40) + ") a, (" + numbers(40) + ") b")
	return err
}

func numbers(n int) string {
	out := "SELECT 0 AS n"
	for i := 1; i < n; i++ {
		out += " UNION ALL SELECT " + strconv.Itoa(i)
	}
	return out
}

// root is a way in with all rights.
func root(t testing.TB) *sql.DB {
	t.Helper()
	if err := begin(); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("mysql", real.DSN("shop"))
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxIdleConns(1)
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func passwordFile(t testing.TB, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func target(t testing.TB) Server {
	t.Helper()
	if err := begin(); err != nil {
		t.Fatal(err)
	}
	return Server{Name: "orders", Address: real.Address(), User: "palmops", PasswordFile: passwordFile(t, password+"\n"), Databases: []string{"shop", "gone"}}
}

func kindOf(t testing.TB, s Server) *Kind {
	t.Helper()
	k, err := New(map[string]Server{"orders": s})
	if err != nil {
		t.Fatal(err)
	}
	k.pace, k.sample = 5*time.Millisecond, 10*time.Millisecond
	t.Cleanup(k.Close)
	return k
}

func newKind(t testing.TB) *Kind {
	t.Helper()
	return kindOf(t, target(t))
}

func action(verb string) catalog.Action {
	return catalog.Action{Name: "db." + verb, Kind: Name, Verb: verb, Target: "orders", Timeout: hang}
}

func work(verb string, args map[string]any) kind.Work {
	return kind.Work{ID: wire.DeriveID(verb, time.Now().String()), Action: action(verb), Args: args, Timeout: hang, Lang: lang.Chinese}
}

func within(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), hang)
	t.Cleanup(cancel)
	return ctx
}

// victim is a connection of somebody else.
type victim struct {
	conn *sql.Conn
	id   uint64
	done chan error // of the statement that it runs
}

// newVictim connects; it is put away with the test, whatever has become of it.
func newVictim(t testing.TB) *victim {
	t.Helper()
	conn, err := root(t).Conn(within(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	v := &victim{conn: conn, done: make(chan error, 1)}
	if err := conn.QueryRowContext(within(t), "SELECT CONNECTION_ID()").Scan(&v.id); err != nil {
		t.Fatal(err)
	}
	return v
}

// runs lets the victim run a statement and returns when the server shows it.
func (v *victim) runs(t testing.TB, query string) *victim {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		_, err := v.conn.ExecContext(ctx, query)
		v.done <- err
	}()
	t.Cleanup(func() {
		_, _ = root(t).Exec("KILL " + v.text())
		cancel()
	})
	v.await(t, "COMMAND = 'Query' AND INFO LIKE '"+query[:10]+"%'", 1)
	return v
}

func (v *victim) text() string { return strconv.FormatUint(v.id, 10) }

// await returns when the process list has n rows of the victim that fulfil a condition.
func (v *victim) await(t testing.TB, condition string, n int) {
	t.Helper()
	ctx := within(t)
	for db := root(t); ; {
		var got int
		if err := db.QueryRow("SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE ID = " + v.text() + " AND " + condition).Scan(&got); err != nil {
			t.Fatal(err)
		}
		if got == n {
			return
		}
		if err := kind.Pause(ctx, 5*time.Millisecond); err != nil {
			t.Fatalf("connection %d: %s never holds %d times", v.id, condition, n)
		}
	}
}

func (v *victim) there(t testing.TB) bool {
	t.Helper()
	var n int
	if err := root(t).QueryRow("SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE ID = " + v.text()).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n == 1
}
