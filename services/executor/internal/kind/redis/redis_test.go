package redis

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"palmops/libs/fault"
	"palmops/libs/lang"
	"palmops/libs/lang/langtest"
	"palmops/libs/looptest"
	"palmops/libs/redistest"
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

func run(t *testing.T, k *Kind, w kind.Work) kind.Result {
	t.Helper()
	r := k.Apply(within(t), w, nil, kindtest.Denied(kind.ErrLost)) // a report asks for no leave
	if r.State != wire.StateSucceeded || strings.Contains(r.Text+r.Output, "%!") {
		t.Errorf("%s: %+v", w.Action.Verb, r)
	}
	return r
}

func TestQuestions(t *testing.T) {
	t.Parallel()
	k, root := newKind(t)
	v := newVictim(t, root)
	if err := v.conn.ClientSetName(within(t), "shop-worker").Err(); err != nil {
		t.Fatal(err)
	}
	if err := root.Set(within(t), "a", "1", 0).Err(); err != nil {
		t.Fatal(err)
	}
	items := ask(t, k, verbClients, nil).Items
	i := slices.IndexFunc(items, func(i wire.Item) bool { return i.Value == v.text() })
	if i < 0 || !strings.HasSuffix(items[i].Label, " shop-worker") || !strings.Contains(items[i].Detail, "client|setname") || !strings.Contains(items[i].Detail, "KB") {
		t.Fatalf("%+v", items)
	}
	f := ask(t, k, verbClient, map[string]any{"id": v.text()}).Fields
	if f["id"] != v.text() || f["name"] != "shop-worker" || f["since"] == "" || f["addr"] == "" {
		t.Errorf("%v", f)
	}
	for _, id := range []string{"999999", "1@other:1"} {
		if _, err := k.Answer(within(t), kind.Query{Action: action(verbClient), Args: map[string]any{"id": id}}); !fault.Is(err, fault.NotFound) {
			t.Errorf("%s: %v", id, err)
		}
	}
	if f := ask(t, k, verbState, nil).Fields; f["keys"] != "1" || f["role"] != "master" || f["nodes"] != "1" || f["redis_version"] == "" {
		t.Errorf("%v", f)
	}
}

func TestReports(t *testing.T) {
	t.Parallel()
	k, root := newKind(t)
	if r := run(t, k, work(verbBigKeys, nil)); r.Text != "没有键。" {
		t.Errorf("%+v", r)
	}
	ctx := within(t)
	for i := range 900 {
		if err := root.Set(ctx, fmt.Sprintf("small:%d", i), "x", 0).Err(); err != nil {
			t.Fatal(err)
		}
	}
	if err := root.Set(ctx, "大键", strings.Repeat("x", 300_000), 0).Err(); err != nil {
		t.Fatal(err)
	}
	if err := root.RPush(ctx, "list", strings.Split(strings.Repeat("abcdefgh ", 5000), " ")).Err(); err != nil {
		t.Fatal(err)
	}
	r := run(t, k, work(verbBigKeys, nil))
	rows := strings.Split(r.Output, "\n")
	if len(rows) != topKeys+1 || !strings.Contains(rows[1], "string  大键") || !strings.Contains(rows[2], "list") || !strings.Contains(r.Text, "查看了 902 个，共 902 个") {
		t.Errorf("%+v", r)
	}
	if r := run(t, k, work(verbBigKeys, map[string]any{"keys": int64(100)})); !strings.Contains(r.Text, "共 902 个") || strings.Contains(r.Text, "查看了 902") {
		t.Errorf("%+v", r)
	}
	if r := run(t, k, work(verbSlowlog, nil)); r.Text != "没有慢命令记录。" {
		t.Errorf("%+v", r)
	}
	for _, c := range [][]any{{"CONFIG", "SET", "slowlog-log-slower-than", "0"}, {"GET", "a b"}, {"CONFIG", "SET", "slowlog-log-slower-than", "1000000"}} {
		if err := root.Do(ctx, c...).Err(); err != nil && err != redis.Nil {
			t.Fatal(err)
		}
	}
	if r := run(t, k, work(verbSlowlog, nil)); !strings.Contains(r.Output, `GET "a b"`) || !strings.HasPrefix(r.Text, "最近 ") {
		t.Errorf("%+v", r)
	}
	if r := run(t, k, work(verbInfo, nil)); !strings.Contains(r.Output, "角色 master") || !strings.Contains(r.Output, "db0：902 个键") || !strings.Contains(r.Output, "（上限 无）") {
		t.Errorf("%+v", r)
	}
	if r := run(t, k, work(verbMemory, nil)); !strings.Contains(r.Output, "902 个键") || !strings.Contains(r.Output, "MEMORY DOCTOR：") {
		t.Errorf("%+v", r)
	}
	r = run(t, k, fixed(t, verbCommand, `LRANGE, "${key}", 0, -1`, "key: {type: string, pattern: line}", map[string]any{"key": "list"}))
	if strings.Count(r.Output, "\n") != maxLines-1 || !strings.HasPrefix(r.Output, "1) abcdefgh\n") || !strings.Contains(r.Text, "只显示前 1000 行，共 5001 行") {
		t.Errorf("%s: %d lines", r.Text, strings.Count(r.Output, "\n"))
	}
	if r := run(t, k, fixed(t, verbCommand, "GET, nothing", "", nil)); r.Output != "(nil)" || r.Text != "GET nothing 的结果" {
		t.Errorf("%+v", r)
	}
	if r := run(t, k, fixed(t, verbCommand, "MEMORY, USAGE, list", "", nil)); unsigned(r.Output) == 0 {
		t.Errorf("%+v", r)
	}
	if r := k.Apply(ctx, fixed(t, verbCommand, "HGETALL, list", "", nil), nil, &kindtest.Hand{}); r.State != wire.StateFailed || !strings.Contains(r.Text, "WRONGTYPE") {
		t.Errorf("%+v", r)
	}
	if k.Probe(ctx, work(verbInfo, nil), nil).State != wire.StateFailed {
		t.Error("a report that was broken off changed something")
	}
}

// TestOnlyReads: what the server says about a command counts besides our own list.
func TestOnlyReads(t *testing.T) {
	t.Parallel()
	k, root := newKind(t)
	r := report{server: k.servers["cache"], work: work(verbCommand, nil)}
	nodes, err := r.nodes(within(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range reads {
		if err := r.onlyReads(within(t), nodes[0], []string{name}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		flags, err := root.Do(within(t), "COMMAND", "INFO", name).Slice()
		if about, ok := flags[0].([]any); err != nil || !ok || !slices.Contains(about[2].([]any), any("readonly")) {
			t.Errorf("%s: %v %v", name, flags, err)
		}
	}
	for _, two := range reads2 {
		flags, err := root.Do(within(t), "COMMAND", "INFO", strings.Replace(two, " ", "|", 1)).Slice()
		if about, ok := flags[0].([]any); err != nil || !ok || !slices.Contains(about[2].([]any), any("readonly")) {
			t.Errorf("%s: %v %v", two, flags, err)
		}
	}
	for name := range writes {
		if err := r.onlyReads(within(t), nodes[0], []string{name, "a"}); !fault.Is(err, fault.Denied) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTrouble(t *testing.T) {
	t.Parallel()
	s, root := start(t)
	good, wrong, nobody, unknown := target(t, s), target(t, s), target(t, s), target(t, s)
	wrong.PasswordFile = passwordFile(t, "not-the-password")
	nobody.Addresses = []string{"127.0.0.1:1"}
	unknown.Addresses = []string{"cache.palmops.invalid:6379"}
	weak := good
	weak.User = "weak"
	if err := root.Do(within(t), "ACL", "SETUSER", "weak", "on", ">"+password, "+ping", "+hello", "+auth").Err(); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		server Server
		want   fault.Kind
		text   string
	}{
		"wrong password": {wrong, fault.Denied, "不接受执行器的账号"},
		"nobody there":   {nobody, fault.Transient, "暂时不可用"},
		"no such host":   {unknown, fault.Transient, "找不到"},
		"no rights":      {weak, fault.Denied, "权限"},
	} {
		_, err := kindOf(t, c.server).Answer(within(t), kind.Query{Action: action(verbClients), Lang: lang.Chinese})
		if said := fault.Safe(err); !fault.Is(err, c.want) || !strings.Contains(said, c.text) || strings.Contains(said, password) {
			t.Errorf("%s: %v: %s", name, err, said)
		}
	}
	for said, want := range map[string]fault.Kind{
		"READONLY You can't write against a read only replica.": fault.Denied, "OOM command not allowed": fault.Transient, "LOADING x": fault.Transient,
		"ERR max number of clients reached": fault.Transient, "CLUSTERDOWN x": fault.Transient, "ERR value is not an integer": fault.Invalid, "NOPERM x": fault.Denied,
	} {
		if err := explain(reply(said), lang.Chinese, "cache"); !fault.Is(err, want) || !strings.Contains(fault.Safe(err), "没有执行任何操作") {
			t.Errorf("%s: %v %s", said, err, fault.Safe(err))
		}
	}
}

// reply is an error as the server gives it.
type reply string

func (r reply) Error() string { return string(r) }
func (r reply) RedisError()   {}

func TestTLS(t *testing.T) {
	t.Parallel()
	at, host, port := free(t)
	cert, key, err := looptest.Certificate(t.TempDir(), host)
	if err != nil {
		t.Fatal(err)
	}
	redistest.New(t, "--tls-port", port, "--tls-cert-file", cert, "--tls-key-file", key, "--tls-ca-cert-file", cert, "--tls-auth-clients", "no", "--bind", host)
	s := Server{Name: "cache", Addresses: []string{at}, TLS: true, CAFile: cert}
	ask(t, kindOf(t, s), verbState, nil)
	s.CAFile = ""
	_, err = kindOf(t, s).Answer(within(t), kind.Query{Action: action(verbState), Lang: lang.Chinese})
	if !fault.Is(err, fault.Denied) || !strings.Contains(fault.Safe(err), "证书") {
		t.Errorf("%v", err)
	}
	s.CAFile = key
	if _, err := New(map[string]Server{"cache": s}); !fault.Is(err, fault.Invalid) {
		t.Errorf("%v", err)
	}
}

// TestPasswordChanges: a new password in the file is used without a restart, and the old one stays a secret.
func TestPasswordChanges(t *testing.T) {
	t.Parallel()
	s, root := start(t)
	c := target(t, s)
	k := kindOf(t, c)
	ask(t, k, verbState, nil)
	if err := root.Do(within(t), "ACL", "SETUSER", "palmops", "resetpass", ">second-password").Err(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(c.PasswordFile, []byte("second-password"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := root.Do(within(t), "CLIENT", "KILL", "USER", "palmops").Err(); err != nil {
		t.Fatal(err)
	}
	ask(t, k, verbState, nil)
	if diff := cmp.Diff([]string{password, "second-password"}, k.Secrets()); diff != "" {
		t.Error(diff)
	}
	if err := os.Chmod(c.PasswordFile, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := New(map[string]Server{"cache": c}); !fault.Is(err, fault.Invalid) || strings.Contains(err.Error(), "second-password") {
		t.Errorf("a password that others may read: %v", err)
	}
}

// TestCluster: lists and reports go over all masters, and the value of a client names its node.
func TestCluster(t *testing.T) {
	t.Parallel()
	at, host, port := free(t)
	among, err := looptest.AddressAt(host) // for the nodes of a cluster among themselves
	if err != nil {
		t.Fatal(err)
	}
	_, bus, _ := strings.Cut(among, ":")
	s := redistest.New(t, "--cluster-enabled", "yes", "--port", port, "--cluster-port", bus, "--bind", host, "--cluster-announce-ip", host)
	root := rootOf(t, s)
	if err := root.Do(within(t), "CLUSTER", "ADDSLOTSRANGE", "0", "16383").Err(); err != nil {
		t.Fatal(err)
	}
	for ctx := within(t); ; {
		said, err := root.Do(ctx, "CLUSTER", "INFO").Text()
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(said, "cluster_state:ok") {
			break
		}
		if err := kind.Pause(ctx, 1e7); err != nil {
			t.Fatal(said)
		}
	}
	k := kindOf(t, Server{Name: "cache", Addresses: []string{at}, Cluster: true})
	w := fixed(t, verbWrite, "SET, shop:a, 1", "", nil)
	raw, err := k.Prepare(within(t), w)
	if err != nil {
		t.Fatal(err)
	}
	if r := k.Apply(within(t), w, raw, &kindtest.Hand{}); r.State != wire.StateSucceeded {
		t.Errorf("%+v", r)
	}
	if r := run(t, k, fixed(t, verbCommand, "GET, shop:a", "", nil)); r.Output != "1" {
		t.Errorf("%+v", r)
	}
	if r := run(t, k, work(verbInfo, nil)); !strings.HasPrefix(r.Output, "节点 "+at+"\n") {
		t.Errorf("%+v", r)
	}
	if r := run(t, k, work(verbBigKeys, nil)); !strings.Contains(r.Output, "shop:a") {
		t.Errorf("%+v", r)
	}
	v := newVictim(t, root)
	id := v.text() + "@" + at
	w = work(verbKill, map[string]any{"id": id})
	if raw, err = k.Prepare(within(t), w); err != nil {
		t.Fatal(err)
	}
	if r := k.Apply(within(t), w, raw, &kindtest.Hand{}); r.State != wire.StateSucceeded || v.there(t, root) {
		t.Errorf("%+v", r)
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	got := parseClients("id=3 addr=127.0.0.1:5 laddr=/s:0 fd=8 name=a age=7 idle=2 flags=N db=0 tot-mem=20 cmd=get user=default\nnonsense\nid=x addr=y\n\n")
	want := []client{{ID: 3, Addr: "127.0.0.1:5", Laddr: "/s:0", Name: "a", Age: 7, Idle: 2, Flags: "N", DB: "0", Memory: 20, Cmd: "get", User: "default"}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(client{})); diff != "" {
		t.Error(diff)
	}
	f := parseInfo("# Keyspace\r\nrole:master\r\ndb10:keys=4,expires=1,avg_ttl=0\r\ndb2:keys=1,expires=0\r\nused_memory:-5\r\nx")
	if diff := cmp.Diff([]string{"db2", "db10"}, f.databases()); diff != "" || f["role"] != "master" || f.whole("used_memory") != 0 {
		t.Error(diff, f)
	}
	if keys, expires := f.keys("db10"); keys != 4 || expires != 1 {
		t.Error(keys, expires)
	}
	if got := lines([]any{"a", []any{int64(1), nil}, []any{}}); got != "1) a\n2) 1) 1\n2) 2) (nil)\n3) (empty)" {
		t.Errorf("%q", got)
	}
}

// FuzzParse: whatever a server says is read without harm.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"id=1 addr=a age=18446744073709551615 tot-mem=9", "db0:keys=1,expires=x", "a:b\r\n#c:d", "db99999999999999999999:keys=1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, c := range parseClients(s) {
			if c.ID == 0 || c.Age < 0 || c.Idle < 0 {
				t.Errorf("%+v", c)
			}
			_ = c.fields()
		}
		r := report{work: kind.Work{Lang: lang.English}}
		for _, l := range r.infoLines(parseInfo(s)) {
			if strings.Contains(l, "%!") {
				t.Errorf("%q", l)
			}
		}
	})
}

func TestUnknownVerbs(t *testing.T) {
	t.Parallel()
	k := kindOf(t, Server{Name: "cache", Addresses: []string{"127.0.0.1:1"}})
	if _, err := k.Answer(within(t), kind.Query{Action: action("none")}); !fault.Is(err, fault.Internal) {
		t.Errorf("%v", err)
	}
	if _, err := k.Prepare(within(t), work("none", nil)); !fault.Is(err, fault.Internal) {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(kind.ErrCanceled)
	if r := k.Apply(ctx, work(verbInfo, nil), nil, &kindtest.Hand{}); r.State != wire.StateCanceled {
		t.Errorf("%+v", r)
	}
	w := fixed(t, verbWrite, `DEL, "shop:${n}"`, "n: {type: int, min: 0, max: 9}", map[string]any{"n": int64(7)})
	if got := k.Target(kind.Query{Action: w.Action, Args: w.Args}) + "|" + k.Target(kind.Query{Action: action(verbInfo)}); got != "redis/cache/key/shop:7|" {
		t.Error(got)
	}
}

// TestLargeReplies: a reply of half a gigabyte is not kept, and the next question finds a connection that works.
func TestLargeReplies(t *testing.T) {
	t.Parallel()
	k, root := newKind(t)
	if err := root.SetRange(within(t), "large", maxReply, "x").Err(); err != nil {
		t.Fatal(err)
	}
	for argv, want := range map[string]string{"GET, large": wire.StateFailed, "STRLEN, large": wire.StateSucceeded} {
		r := k.Apply(within(t), fixed(t, verbCommand, argv, "", nil), nil, &kindtest.Hand{})
		if r.State != want || want == wire.StateFailed && !strings.Contains(r.Text, "应答太大") {
			t.Errorf("%s: %s %.200q", argv, r.State, r.Text)
		}
	}
	ask(t, k, verbState, nil)
}
