package mysql

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"palmops/libs/fault"
	"palmops/libs/lang"
	"palmops/libs/lang/langtest"
	"palmops/libs/wire"
	"palmops/services/executor/internal/kind"
	"palmops/services/executor/internal/kind/kindtest"
)

func TestTexts(t *testing.T) {
	t.Parallel()
	langtest.Check(t, texts, ".")
}

func ask(t *testing.T, k *Kind, verb string, args map[string]any) wire.Answer {
	t.Helper()
	a, err := k.Answer(within(t), kind.Query{Action: action(verb), Args: args, Lang: lang.English})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func find(items []wire.Item, value string) (wire.Item, bool) {
	for _, i := range items {
		if i.Value == value {
			return i, true
		}
	}
	return wire.Item{}, false
}

func TestLists(t *testing.T) {
	k := newKind(t)
	if diff := cmp.Diff([]wire.Item{{Value: "shop"}}, ask(t, k, verbDatabases, nil).Items); diff != "" {
		t.Error(diff)
	}
	busy, idle, open := newVictim(t).runs(t, "SELECT SLEEP(100)"), newVictim(t), newVictim(t)
	for _, q := range []string{"BEGIN", "SELECT * FROM orders"} {
		if _, err := open.conn.ExecContext(within(t), q); err != nil {
			t.Fatal(err)
		}
	}
	elsewhere := newVictim(t)
	if _, err := elsewhere.conn.ExecContext(within(t), "USE hidden"); err != nil {
		t.Fatal(err)
	}
	elsewhere.runs(t, "SELECT SLEEP(101)")
	items := ask(t, k, verbProcesses, nil).Items
	i, there := find(items, busy.text())
	if !there || !strings.Contains(i.Label, " shop SELECT SLEEP(100)") || !strings.HasPrefix(i.Detail, "root@localhost, User sleep") {
		t.Errorf("the busy one: %+v", items)
	}
	if i, there := find(items, open.text()); !there || !strings.Contains(i.Label, "idle, transaction open for") {
		t.Errorf("the one with a transaction: %+v", items)
	}
	if _, there := find(items, idle.text()); there {
		t.Errorf("the idle one is listed: %+v", items)
	}
	if _, there := find(items, elsewhere.text()); there {
		t.Errorf("one of another database is listed: %+v", items)
	}
	fields := ask(t, k, verbProcess, map[string]any{"id": busy.text()}).Fields
	if fields["statement"] != "SELECT SLEEP(100)" || fields["user"] != "root" || fields["database"] != "shop" || len(fields["digest"]) != 16 || fields["transaction"] != "" {
		t.Errorf("%v", fields)
	}
	for _, id := range []string{"999999999", elsewhere.text()} {
		_, err := k.Answer(within(t), kind.Query{Action: action(verbProcess), Args: map[string]any{"id": id}})
		if !fault.Is(err, fault.NotFound) || !strings.Contains(fault.Safe(err), "没有执行任何操作") {
			t.Errorf("%s: %v", id, err)
		}
	}
}

func TestUnattached(t *testing.T) {
	s := target(t)
	v := newVictim(t)
	for _, q := range []string{"CREATE DATABASE passing", "USE passing", "DROP DATABASE passing"} { // leaves none behind
		if _, err := v.conn.ExecContext(within(t), q); err != nil {
			t.Fatal(err)
		}
	}
	v.runs(t, "SELECT SLEEP(100)")
	if _, there := find(ask(t, kindOf(t, s), verbProcesses, nil).Items, v.text()); there {
		t.Error("a connection without a database is listed")
	}
	s.Unattached = true
	if _, there := find(ask(t, kindOf(t, s), verbProcesses, nil).Items, v.text()); !there {
		t.Error("a connection without a database is not listed")
	}
}

// TestTrouble: what the server refuses has the right kind, and a text that helps and holds no secret.
func TestTrouble(t *testing.T) {
	wrong := target(t)
	wrong.PasswordFile = passwordFile(t, "not-the-password")
	nobody := target(t)
	nobody.Address = "127.0.0.1:1"
	unknown := target(t)
	unknown.Address = "db.palmops.invalid:3306"
	untrusted := target(t)
	untrusted.TLS = true
	powerless := target(t)
	if _, err := root(t).Exec("CREATE OR REPLACE USER weak@'%' IDENTIFIED BY '" + password + "'"); err != nil {
		t.Fatal(err)
	}
	powerless.User = "weak"
	for name, c := range map[string]struct {
		server Server
		verb   string
		want   fault.Kind
		text   string
	}{
		"wrong password": {wrong, verbProcesses, fault.Denied, "不接受执行器的账号"},
		"nobody there":   {nobody, verbProcesses, fault.Transient, "暂时不可用"},
		"no such host":   {unknown, verbProcesses, fault.Transient, "找不到"},
		"untrusted":      {untrusted, verbProcesses, fault.Denied, "证书"},
		"no rights":      {powerless, verbProcesses, fault.Denied, "权限"},
	} {
		_, err := kindOf(t, c.server).Answer(within(t), kind.Query{Action: action(c.verb), Lang: lang.Chinese})
		if said := fault.Safe(err); !fault.Is(err, c.want) || !strings.Contains(said, c.text) || strings.Contains(said, password) {
			t.Errorf("%s: %v: %s", name, err, said)
		}
	}
}

// TestTLS: with the right authority the connection is encrypted; a file without one is found at the start.
func TestTLS(t *testing.T) {
	s := target(t)
	s.TLS, s.CAFile = true, authority
	k := kindOf(t, s)
	r := run(t, k, queryWork("SHOW SESSION STATUS LIKE 'Ssl_version'", nil, nil))
	if !strings.Contains(r.Output, "TLSv1") {
		t.Errorf("%+v", r)
	}
	s.CAFile = s.PasswordFile
	if _, err := New(map[string]Server{"orders": s}); !fault.Is(err, fault.Invalid) || strings.Contains(err.Error(), password) {
		t.Errorf("%v", err)
	}
}

// TestPasswordChanges: a new password in the file is used without a restart, and the old one stays a secret.
func TestPasswordChanges(t *testing.T) {
	db := root(t)
	if _, err := db.Exec("CREATE OR REPLACE USER mover@'%' IDENTIFIED BY 'first-password'"); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec("GRANT PROCESS ON *.* TO mover@'%'"); err != nil {
		t.Fatal(err)
	}
	s := target(t)
	s.User, s.PasswordFile = "mover", passwordFile(t, "first-password")
	k := kindOf(t, s)
	ask(t, k, verbProcesses, nil)
	if _, err := db.Exec("ALTER USER mover@'%' IDENTIFIED BY 'second-password'"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.PasswordFile, []byte("second-password"), 0o600); err != nil {
		t.Fatal(err)
	}
	k.servers["orders"].db.SetMaxIdleConns(0) // hang up
	ask(t, k, verbProcesses, nil)
	if diff := cmp.Diff([]string{"first-password", "second-password"}, k.Secrets()); diff != "" {
		t.Error(diff)
	}
	if err := os.Chmod(s.PasswordFile, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := New(map[string]Server{"orders": s}); !fault.Is(err, fault.Invalid) || strings.Contains(err.Error(), "second-password") {
		t.Errorf("a password that others may read: %v", err)
	}
}

// TestRightsGrantedLater: what an administrator grants after a refusal counts for the next question, not only once the session is given up.
func TestRightsGrantedLater(t *testing.T) {
	db := root(t)
	if _, err := db.Exec("CREATE OR REPLACE USER late@'%' IDENTIFIED BY '" + password + "'"); err != nil {
		t.Fatal(err)
	}
	s := target(t)
	s.User = "late"
	k := kindOf(t, s)
	q := kind.Query{Action: action(verbProcesses), Lang: lang.Chinese}
	if _, err := k.Answer(within(t), q); !fault.Is(err, fault.Denied) {
		t.Fatalf("without rights: %v", err)
	}
	if _, err := db.Exec("GRANT PROCESS ON *.* TO late@'%'"); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Answer(within(t), q); err != nil {
		t.Errorf("with the rights granted since: %v", err)
	}
}

// TestGoneAway: the server ends in the middle of a report, and comes back.
func TestGoneAway(t *testing.T) {
	k := newKind(t)
	ended := make(chan kind.Result, 1)
	w := queryWork("SELECT SLEEP(100)", nil, nil)
	go func() { ended <- k.Apply(within(t), w, nil, &kindtest.Hand{}) }()
	awaitStatement(t, "SELECT SLEEP(100)", 1)
	if err := real.Restart(); err != nil {
		t.Fatal(err)
	}
	if r := <-ended; r.State != wire.StateFailed || !strings.Contains(r.Text, "暂时不可用") {
		t.Errorf("%+v", r)
	}
	ask(t, k, verbDatabases, nil)
}

// TestReportsEndOnTheServer: when the work ends early, so does its statement.
func TestReportsEndOnTheServer(t *testing.T) {
	for cause, want := range map[error]string{
		kind.ErrCanceled: wire.StateCanceled, kind.ErrStopping: wire.StateFailed, context.DeadlineExceeded: wire.StateTimeout,
	} {
		k := newKind(t)
		ctx, cancel := context.WithCancelCause(context.Background())
		ended := make(chan kind.Result, 1)
		// Not SLEEP, which every server breaks off by itself when its client is gone.
		stmt := "SELECT COUNT(*) FROM many a, many b, many c WHERE a.id + b.id * c.id = -1"
		go func() { ended <- k.Apply(ctx, queryWork(stmt, nil, nil), nil, &kindtest.Hand{}) }()
		awaitStatement(t, "SELECT COUNT(*) FROM many", 1)
		cancel(cause)
		if r := <-ended; r.State != want || r.Text == "" {
			t.Errorf("%v: %+v", cause, r)
		}
		awaitStatement(t, "SELECT COUNT(*) FROM many", 0)
	}
}

// awaitStatement returns when n connections run a statement that begins so.
func awaitStatement(t *testing.T, begins string, n int) {
	t.Helper()
	ctx := within(t)
	for db := root(t); ; {
		var got int
		if err := db.QueryRow("SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE LEFT(INFO, ?) = ?", len(begins), begins).Scan(&got); err != nil {
			t.Fatal(err)
		}
		if got == n {
			return
		}
		if err := kind.Pause(ctx, 5*time.Millisecond); err != nil {
			t.Fatalf("%d connections run %q", got, begins)
		}
	}
}

func TestTooManyConnections(t *testing.T) {
	k := newKind(t)
	db := root(t)
	if _, err := db.Exec("SET GLOBAL max_connections = 10"); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if _, err := db.Exec("SET GLOBAL max_connections = 30"); err != nil {
			t.Error(err)
		}
	}()
	more := root(t)
	for range 20 {
		c, err := more.Conn(within(t))
		if err != nil {
			break
		}
		defer c.Close()
	}
	_, err := k.Answer(within(t), kind.Query{Action: action(verbProcesses), Lang: lang.Chinese})
	if !fault.Is(err, fault.Transient) || !strings.Contains(fault.Safe(err), "连接数已满") {
		t.Errorf("%v", err)
	}
}

func TestClosedKindsAndUnknownVerbs(t *testing.T) {
	k := newKind(t)
	if _, err := k.Answer(within(t), kind.Query{Action: action("none")}); !fault.Is(err, fault.Internal) {
		t.Errorf("%v", err)
	}
	if _, err := k.Prepare(within(t), work("none", nil)); !fault.Is(err, fault.Internal) {
		t.Errorf("%v", err)
	}
	w := work(verbStatus, nil)
	w.Action.Target = "other"
	if _, err := k.Prepare(within(t), w); !fault.Is(err, fault.Internal) {
		t.Errorf("%v", err)
	}
	if r := k.Probe(within(t), work(verbStatus, nil), nil); r.State != wire.StateFailed {
		t.Errorf("%+v", r)
	}
	if said, err := k.Plan(within(t), work(verbStatus, nil), nil); err != nil || !strings.Contains(said, "只读取 orders") {
		t.Errorf("%q %v", said, err)
	}
	if got := k.Target(kind.Query{Action: action(verbStatus)}) + "|" + k.Target(kind.Query{Action: action(verbKill), Args: map[string]any{"id": "7"}}); got != "|mysql/orders/connection/7" {
		t.Error(got)
	}
}
