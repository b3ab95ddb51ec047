package app_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"palmops/libs/bus"
	"palmops/libs/conf"
	"palmops/libs/fault"
	"palmops/libs/token"
	"palmops/libs/wire"
	"palmops/services/dialog/app"
	"palmops/services/dialog/internal/session/sessiontest"
)

var toConfirm = []string{"菜单", "1", "1", "1", "1", "2", "5"}

func TestTheMainJob(t *testing.T) {
	s := newStage(t)
	a, _, _ := s.dialog()
	sessiontest.Wait(t, "the dialog to be ready", func(ctx context.Context) bool { return a.Ready(ctx) == nil })
	s.wants(s.say("zhangsan", "菜单"), "掌上运维", "1. 零售事业部")
	s.wants(s.sayAll("zhangsan", "1", "1", "1"), "1. shop")
	s.wants(s.say("zhangsan", "1"), "2. web 3/3")
	s.wants(s.sayAll("zhangsan", "2", "5"), "shop/web：3 → 5", "1. 确认执行")
	path := sessiontest.Patient(t, s.redis.URL()).HGet(t.Context(), "palmops:{ww1:ops:zhangsan}:session", "path").Val()
	if path != "1-1-1-1-2-5" {
		t.Errorf("path %s", path)
	}
	s.wants(s.say("zhangsan", "1"), "已受理 #")
	acts := s.acts()
	if len(acts) != 1 {
		t.Fatalf("%d orders", len(acts))
	}
	c, args := s.open(acts[0])
	if c.User != "zhangsan" || c.Action != "k8s.scale" || c.Read || args["replicas"] != int64(5) || args["from"] != int64(3) {
		t.Errorf("%+v %v", c, args)
	}
	for _, q := range s.asked {
		if !q.Read || q.Expires-q.IssuedAt > 10 {
			t.Errorf("question %+v", q)
		}
	}
	// What the executor says reaches the person; progress that comes after the end does not.
	event := func(state, text string, rev uint64) {
		t.Helper()
		ev := wire.Event{V: 1, ID: c.ID, Corp: corp, App: appID, User: "zhangsan", Action: c.Action, Title: c.Title, State: state, Rev: rev, Text: text}
		if _, err := s.bus.Publish(t.Context(), wire.ResSubject(corp, appID, c.ID), c.ID+state+text, ev); err != nil {
			t.Fatal(err)
		}
	}
	event(wire.StateRunning, "4/5 就绪", 2)
	s.wants(shown(s.pushed().Screens), "进行中 #"+wire.ShortID(c.ID), "4/5 就绪")
	kv, err := s.bus.JS.KeyValue(t.Context(), wire.BucketActions)
	if err != nil {
		t.Fatal(err)
	}
	rec, _ := json.Marshal(wire.Record{V: 1, ID: c.ID, State: wire.StateSucceeded})
	if _, err := kv.Create(t.Context(), c.ID, rec); err != nil {
		t.Fatal(err)
	}
	event(wire.StateSucceeded, "shop/web 副本数 3 → 5，5/5 就绪", 3)
	event(wire.StateRunning, "too late", 2)
	event(wire.StateExpired, "", 4)
	s.wants(shown(s.pushed().Screens), "已完成 #"+wire.ShortID(c.ID), "5/5 就绪")
	if o := s.pushed(); o.ID != c.ID+":expired" {
		t.Errorf("next comes %s: %s", o.ID, shown(o.Screens))
	}
}

func TestWhatWasSaidCanBeAskedForAgain(t *testing.T) {
	s := newStage(t)
	s.dialog()
	first := s.say("zhangsan", "菜单")
	var said wire.Said
	q := wire.SaidQuery{V: 1, ID: wire.MessageID(corp, 1, "zhangsan", "1", nil), Corp: corp, App: appID, User: "zhangsan"}
	if err := s.bus.Ask(t.Context(), wire.SaidSubject(corp, appID), q, &said); err != nil || said.Reply == nil || shown(said.Reply.Screens) != first {
		t.Errorf("%v %+v", err, said)
	}
	q.ID = "unknown"
	said = wire.Said{}
	if err := s.bus.Ask(t.Context(), wire.SaidSubject(corp, appID), q, &said); err != nil || said.Reply != nil {
		t.Errorf("%v %+v", err, said)
	}
}

// Three dialogs share the work of one person who types fast: the answers come in the order of the questions.
func TestOrderWithReplicas(t *testing.T) {
	s := newStage(t)
	var apps []*app.App
	for range 3 { // all are built before one runs: see outbox
		a, _ := s.build()
		apps = append(apps, a)
	}
	for _, a := range apps {
		s.run(a)
	}
	var ids []string
	script := []string{"菜单", "1", "1", "0", "1", "1", "0", "0", "9", "?", "1", "1", "1", "2", "7"}
	for _, text := range script {
		ids = append(ids, s.send("zhangsan", text))
	}
	var last wire.Outbound
	for _, id := range ids {
		if last = s.pushed(); last.InReplyTo != id {
			t.Fatalf("answer to %s, want %s", last.InReplyTo, id)
		}
	}
	s.wants(shown(last.Screens), "shop/web：3 → 7")
}

// One dialog dies at each point of a conversation; the next one goes on.
func TestADialogThatIsReplaced(t *testing.T) {
	s := newStage(t)
	var last string
	for _, text := range append(toConfirm, "1") {
		_, stop, _ := s.dialog()
		last = s.say("zhangsan", text)
		stop()
	}
	s.wants(last, "已受理")
	id := s.send("zhangsan", "0") // while nobody is there
	s.dialog()
	if o := s.pushed(); o.InReplyTo != id {
		t.Errorf("%+v", o)
	}
	if n := len(s.acts()); n != 1 {
		t.Errorf("%d orders", n)
	}
}

func TestNATSRestarts(t *testing.T) {
	s := newStage(t)
	s.dialog()
	s.sayAll("zhangsan", toConfirm...)
	s.nats.Restart()
	sessiontest.Wait(t, "the bus to come back", func(ctx context.Context) bool {
		_, err := s.bus.JS.Stream(ctx, wire.StreamIn)
		return s.bus.Ready(ctx) == nil && err == nil
	})
	s.wants(s.say("zhangsan", "1"), "已受理")
}

func TestAnExecutorThatDoesNotAnswer(t *testing.T) {
	s := newStage(t)
	s.dialog()
	s.sayAll("zhangsan", "菜单", "1", "1")
	s.mu.Lock()
	s.silent = true
	s.mu.Unlock()
	s.wants(s.say("zhangsan", "1"), "列表暂时取不到（执行器没有应答），没有执行任何操作；稍后再次回复 1 重试", "1. 调整 POD 数")
	s.wants(s.say("wangwu", "菜单"), "1. 支付事业部")
	slow, next := s.send("zhangsan", "1"), s.send("zhangsan", "00") // the first one is slow, the order stays
	if a, b := s.pushed(), s.pushed(); a.InReplyTo != slow || b.InReplyTo != next {
		t.Errorf("answered %s and %s", a.InReplyTo, b.InReplyTo)
	}
	s.sayAll("zhangsan", "1", "1")
	s.mu.Lock()
	s.silent = false
	s.mu.Unlock()
	s.wants(s.say("zhangsan", "1"), "1. shop")
}

func TestRedisIsAwayForAWhile(t *testing.T) {
	s := newStage(t)
	a, _, _ := s.dialog()
	s.sayAll("zhangsan", toConfirm...)
	s.redis.Kill()
	s.wants(s.say("zhangsan", "0"), "会话存储暂时不可用", "没有执行任何操作")
	if err := a.Ready(t.Context()); !fault.Is(err, fault.Transient) {
		t.Errorf("ready: %v", err)
	}
	s.redis.Restart()
	sessiontest.Wait(t, "the dialog to be ready", func(ctx context.Context) bool { return a.Ready(ctx) == nil })
	s.wants(s.say("zhangsan", "x"), "还没有执行", "shop/web：3 → 5")
	s.redis.Freeze()
	s.wants(s.say("zhangsan", "0"), "会话存储暂时不可用")
	s.redis.Thaw()
	sessiontest.Wait(t, "the dialog to be ready", func(ctx context.Context) bool { return a.Ready(ctx) == nil })
	s.wants(s.say("zhangsan", "1"), "已受理")
}

func TestAnUnknownPersonMayNothing(t *testing.T) {
	s := newStage(t)
	s.dialog()
	s.wants(s.say("outsider", "1"), "没有可用的功能")
	s.mu.Lock()
	s.strangers = true
	s.mu.Unlock()
	s.wants(s.say("lisi", "菜单"), "暂时无法核实你的身份")
}

// Files are taken over without a restart: the policy in open conversations, the menu in new ones; wrong ones not at all.
func TestReload(t *testing.T) {
	s := newStage(t)
	a, _, reg := s.dialog()
	s.sayAll("zhangsan", toConfirm...)

	s.write("menu.yaml", "version: 1\ntitle: x\nitems:\n  - id: a\n")
	err := a.Reload(t.Context())
	var ps conf.Problems
	if !errors.As(err, &ps) || ps[0].Line != 4 || !strings.HasSuffix(ps[0].File, "menu.yaml") {
		t.Errorf("reload: %v", err)
	}
	expect(t, reg, 0)
	s.wants(s.say("zhangsan", "x"), "shop/web：3 → 5")

	s.write("menu.yaml", strings.Replace(s.read("menu.yaml"), "zh: 掌上运维", "zh: 新的菜单", 1))
	if err := a.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	expect(t, reg, 1)
	s.wants(s.say("zhangsan", "x"), "shop/web：3 → 5")
	s.wants(s.say("lisi", "你好"), "新的菜单")

	s.write("policy.yaml", strings.Replace(s.read("policy.yaml"), "users: [zhangsan, lisi]", "users: [nobody]", 1))
	sessiontest.Wait(t, "the policy to be taken over unasked", func(context.Context) bool {
		return strings.Contains(s.say("zhangsan", "？"), "没有执行任何操作")
	})
	s.wants(s.say("zhangsan", "1"), "没有可用的功能")
	if n := len(s.acts()); n != 0 {
		t.Errorf("%d orders", n)
	}
}

func expect(t *testing.T, reg *prometheus.Registry, ok float64) {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "palmops_dialog_reload_ok" {
			if got := f.GetMetric()[0].GetGauge().GetValue(); got != ok {
				t.Errorf("palmops_dialog_reload_ok is %v, want %v", got, ok)
			}
			return
		}
	}
	t.Error("no gauge")
}

func TestASessionExpires(t *testing.T) {
	s := newStage(t)
	s.write("menu.yaml", strings.Replace(s.read("menu.yaml"), "timeout: 600s", "timeout: 1s", 1))
	s.dialog()
	s.sayAll("zhangsan", toConfirm...)
	rdb := sessiontest.Patient(t, s.redis.URL())
	sessiontest.Wait(t, "the session to expire", func(ctx context.Context) bool {
		n, err := rdb.Exists(ctx, "palmops:{ww1:ops:zhangsan}:session").Result()
		return err == nil && n == 0
	})
	s.wants(s.say("zhangsan", "1"), "会话已过期或尚未开始，请重新选择", "1. 零售事业部")
	if n := len(s.acts()); n != 0 {
		t.Errorf("%d orders", n)
	}
}

func TestEveryStepLeavesAnAuditLine(t *testing.T) {
	s := newStage(t)
	_, stop, _ := s.dialog()
	s.sayAll("zhangsan", append(toConfirm, "1", "77")...)
	stop()
	st, err := s.bus.JS.Stream(t.Context(), wire.StreamAudit)
	if err != nil {
		t.Fatal(err)
	}
	var whats []string
	for seq := uint64(1); ; seq++ {
		m, err := st.GetMsg(t.Context(), seq, jetstream.WithGetMsgSubject("audit.>"))
		if err != nil {
			break
		}
		var l wire.AuditLine
		if err := json.Unmarshal(m.Data, &l); err != nil || l.Service != "dialog" || l.User != "zhangsan" || l.Ref == "" || l.Instance == "" {
			t.Errorf("%v %+v", err, l)
		}
		whats = append(whats, l.What+" "+l.Verdict+" "+l.Detail["did"]+l.Reason)
	}
	want := "step ok open,step ok choose,step ok choose,step ok choose,step ok choose,step ok choose,step ok input,step ok confirm,action queued ,step refused repeatinvalid"
	if got := strings.Join(whats, ","); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestLoad(t *testing.T) {
	t.Setenv("NATS_URL", "")
	t.Setenv("REDIS_URL", "")
	dir := t.TempDir()
	file := func(name, text string, mode os.FileMode) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	keys, err := token.NewKeySet("local", &counting{})
	if err != nil {
		t.Fatal(err)
	}
	raw, _ := json.Marshal(keys)
	file("keys.json", string(raw), 0o600)
	file("open.json", string(raw), 0o644)

	wrong := file("wrong.yaml", "menu: m.yaml\nzones:\n  - {name: other, keys_file: keys.json}\n  - {name: local, keys_file: open.json}\n  - {name: x, keys_file: none.json}\n", 0o644)
	_, err = app.Load(wrong)
	for _, want := range []string{"policy is missing", "nats.url is missing", "redis.url is missing", `keys are those of zone "local", not "other"`, "mode must be 0600", "none.json: no such file"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q in %v", want, err)
		}
	}
	if strings.Contains(err.Error(), keys.Payload[0]) {
		t.Error("a key is quoted")
	}

	t.Setenv("NATS_URL", "nats://elsewhere:1")
	right := file("right.yaml", "menu: m.yaml\npolicy: p.yaml\nzones: [{name: local, keys_file: keys.json}]\nnats: {url: nats://here:1}\nredis: {url: redis://:geheim@here:1/0}\n", 0o644)
	o, err := app.Load(right)
	if err != nil || o.NATS.URL != "nats://elsewhere:1" || o.Config.Menu != filepath.Join(dir, "m.yaml") || len(o.Keys) != 1 || o.Config.Admin != app.DefaultAdmin {
		t.Errorf("%v %+v", err, o)
	}
	if o.RedisURL.Reveal() != "redis://:geheim@here:1/0" || o.RedisURL.String() != "***" {
		t.Error("the Redis URL")
	}
}

func TestTheLocalConfigurationIsRead(t *testing.T) {
	data := conf.Problems{}
	_, err := app.Load(local + "dialog.yaml")
	if err != nil && !errors.As(err, &data) {
		t.Fatal(err)
	}
	for _, p := range data { // the keys are made at the first start
		if !strings.HasSuffix(p.File, "keys/local.json") {
			t.Error(p)
		}
	}
}

func TestNewRefusesAMenuOfAZoneWithoutKeys(t *testing.T) {
	keys, err := token.NewKeySet("elsewhere", &counting{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = app.New(t.Context(), app.Options{
		Config: app.Config{Menu: plain + "menu.yaml", Policy: plain + "policy.yaml"}, Keys: []token.KeySet{keys}, RedisURL: "redis://127.0.0.1:1/0",
	})
	var ps conf.Problems
	if !errors.As(err, &ps) || ps[0].Line == 0 || !strings.Contains(err.Error(), `no keys for the zone "local"`) {
		t.Errorf("got %v", err)
	}
}

func TestNewGivesUpWithItsContext(t *testing.T) {
	keys, err := token.NewKeySet("local", &counting{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = app.New(ctx, app.Options{
		Config: app.Config{Menu: plain + "menu.yaml", Policy: plain + "policy.yaml"}, Keys: []token.KeySet{keys}, RedisURL: "redis://127.0.0.1:1/0",
		NATS: bus.Options{URL: "nats://127.0.0.1:1"},
	})
	if !fault.Is(err, fault.Transient) {
		t.Errorf("got %v", err)
	}
}
