package runner

import (
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"

	"palmops/libs/fault"
	"palmops/libs/lang"
	"palmops/libs/wire"
	"palmops/services/executor/internal/envlock"
	"palmops/services/executor/internal/kind"
)

// as orders something for another person.
func as(user string) func(c *wire.Claims) { return func(c *wire.Claims) { c.User = user } }

// lockLine finds the audit line of a lock.
func (a *auditLines) lockLine(verdict string) (wire.AuditLine, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, l := range a.lines {
		if l.What == "lock" && l.Verdict == verdict {
			return l, true
		}
	}
	return wire.AuditLine{}, false
}

// TestALockKeepsOthersOut goes through the life of a lock: who has it works on, all others are refused and told why.
func TestALockKeepsOthersOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.executor("one", DefaultTiming(), &book{dir: w.dir})
	if ev := w.ends(w.do("take", wire.ActionLock, map[string]any{"env": "prod", "reason": "发布 2.4", "minutes": int64(30)}, as("lisi"))); ev.State != wire.StateSucceeded || !strings.Contains(ev.Text, "已占用生产，到 ") {
		t.Fatalf("%+v", ev)
	}
	out := w.do("out", "k8s.release", web())
	if ev := w.ends(out); ev.State != wire.StateFailed || !strings.Contains(ev.Text, "生产已被占用（lisi，到 ") || !strings.Contains(ev.Text, "发布 2.4）") || !strings.Contains(ev.Text, "没有执行任何操作") || !strings.Contains(ev.Text, "强制释放") {
		t.Errorf("%+v", ev)
	}
	w.effects(out, 0)
	for id, ev := range w.events(
		w.do("the holder", "k8s.release", web(), as("LiSi")),
		w.do("a dry run", "k8s.release", map[string]any{"deployment": "api"}, dry),
		w.do("elsewhere", "k8s.scale", scaleArgs("web")),
		w.do("a report", "k8s.status", shopWeb()),
	) {
		if ev.State != wire.StateSucceeded {
			t.Errorf("%s: %+v", id, ev)
		}
	}
	if ev := w.ends(w.do("taken", wire.ActionLock, map[string]any{"env": "prod", "reason": "我也要"})); ev.State != wire.StateFailed || !strings.Contains(ev.Text, "没有占用成功") || !strings.Contains(ev.Text, "lisi") {
		t.Errorf("%+v", ev)
	}
	if ev := w.ends(w.do("renewed", wire.ActionLock, map[string]any{"env": "prod", "reason": "还没完"}, as("lisi"))); ev.State != wire.StateSucceeded {
		t.Errorf("%+v", ev)
	}
	items, err := w.runners["one"].EnvLocks(t.Context(), "", lang.English)
	if err != nil || len(items) != 1 || items[0].Value != "prod" || items[0].Label != "production" || !strings.HasPrefix(items[0].Detail, "lisi, until ") || !strings.HasSuffix(items[0].Detail, ": 还没完") {
		t.Errorf("%+v, %v", items, err)
	}
	if ev := w.ends(w.do("foreign", wire.ActionUnlock, map[string]any{"env": "prod"})); ev.State != wire.StateFailed || !strings.Contains(ev.Text, "没有释放") {
		t.Errorf("%+v", ev)
	}
	if ev := w.ends(w.do("forced", wire.ActionUnlock, map[string]any{"env": "prod", "force": true})); ev.State != wire.StateSucceeded || !strings.Contains(ev.Text, "占用人是 lisi") {
		t.Errorf("%+v", ev)
	}
	if l, ok := w.audit.lockLine("forced"); !ok || l.User != "zhangsan" || l.Detail["holder"] != "lisi" || l.Detail["lock"] != "prod" {
		t.Errorf("audit %+v", l)
	}
	in := w.do("in", "k8s.release", web())
	if ev := w.ends(in); ev.State != wire.StateSucceeded {
		t.Errorf("%+v", ev)
	}
	w.effects(in, 1)
	if ev := w.ends(w.do("free", wire.ActionUnlock, map[string]any{"env": "prod"})); ev.State != wire.StateFailed || !strings.Contains(ev.Text, "没有人占用") {
		t.Errorf("%+v", ev)
	}
	for _, verdict := range []string{"locked", "renewed"} {
		if _, ok := w.audit.lockLine(verdict); !ok {
			t.Errorf("no audit line %s", verdict)
		}
	}
}

// TestNamedLocks: an action honours the locks that it names, and what the catalog does not know cannot be locked.
func TestNamedLocks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.executor("one", DefaultTiming(), &book{dir: w.dir})
	if ev := w.ends(w.do("take", wire.ActionLock, map[string]any{"env": "prod", "name": "database", "reason": "换主"}, as("lisi"))); ev.State != wire.StateSucceeded {
		t.Fatalf("%+v", ev)
	}
	if ev := w.ends(w.do("out", "k8s.release", web())); ev.State != wire.StateFailed || !strings.Contains(ev.Text, "生产/database已被占用（lisi") {
		t.Errorf("%+v", ev)
	}
	for name, args := range map[string]map[string]any{
		"清单里没有环境 moon":          {"env": "moon", "reason": "x"},
		"环境 prod 没有名为 disk 的锁":  {"env": "prod", "name": "disk", "reason": "x"},
		"环境 test 没有名为 database": {"env": "test", "name": "database", "reason": "x"},
	} {
		if ev := w.ends(w.do(name, wire.ActionLock, args)); ev.State != wire.StateFailed || !strings.Contains(ev.Text, name) || !strings.Contains(ev.Text, "没有做任何更改") {
			t.Errorf("%s: %+v", name, ev)
		}
	}
	if _, err := w.runners["one"].EnvLocks(t.Context(), "moon", lang.Chinese); !fault.Is(err, fault.NotFound) {
		t.Errorf("%v", err)
	}
	if ev := w.ends(w.do("give", wire.ActionUnlock, map[string]any{"env": "prod", "name": "database"}, as("lisi"))); ev.State != wire.StateSucceeded || ev.Text != "已释放生产/database。" {
		t.Errorf("%+v", ev)
	}
}

// TestALockEndsByItself at its time, by the wall clock, and another person takes it over.
func TestALockEndsByItself(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var mu sync.Mutex
	ahead := time.Duration(0)
	w.executor("one", DefaultTiming(), &book{dir: w.dir}, func(o *Options) {
		o.Now = func() time.Time {
			mu.Lock()
			defer mu.Unlock()
			return time.Now().Add(ahead)
		}
	})
	if ev := w.ends(w.do("take", wire.ActionLock, map[string]any{"env": "prod", "reason": "x", "minutes": int64(1)}, as("lisi"))); ev.State != wire.StateSucceeded {
		t.Fatalf("%+v", ev)
	}
	mu.Lock()
	ahead = 61 * time.Second
	mu.Unlock()
	if ev := w.ends(w.do("in", "k8s.release", web())); ev.State != wire.StateSucceeded {
		t.Errorf("%+v", ev)
	}
	if ev := w.ends(w.do("next", wire.ActionLock, map[string]any{"env": "prod", "reason": "y"})); ev.State != wire.StateSucceeded {
		t.Errorf("%+v", ev)
	}
}

// TestALockGoesToOne: of many who want it at once one gets it.
func TestALockGoesToOne(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.executor("one", DefaultTiming(), &book{dir: w.dir}, func(o *Options) { o.Workers = 8 })
	w.executor("two", DefaultTiming(), &book{dir: w.dir}, func(o *Options) { o.Workers = 8 })
	var ids []string
	for _, user := range strings.Split("a b c d e f g h i j", " ") {
		ids = append(ids, w.do("want "+user, wire.ActionLock, map[string]any{"env": "prod", "reason": user}, as(user)))
	}
	var got wire.Event
	n := 0
	for _, ev := range w.events(ids...) {
		if ev.State == wire.StateSucceeded {
			n, got = n+1, ev
		}
	}
	items, err := w.runners["one"].EnvLocks(t.Context(), "prod", lang.Chinese)
	if n != 1 || err != nil || len(items) != 1 || !strings.HasPrefix(items[0].Detail, got.User+"，") {
		t.Errorf("%d got it, the last %s; %+v, %v", n, got.User, items, err)
	}
}

// TestALockingWhoseOwnerDies: whoever looks after it tells the truth, and what the dead owner still had under way misses.
func TestALockingWhoseOwnerDies(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.executor("one", DefaultTiming(), &book{dir: w.dir})
	r := w.runners["one"]
	read := func() (*envlock.Lock, uint64) {
		l, rev, err := r.envLock(t.Context(), "prod", "")
		w.check(err)
		return l, rev
	}
	// once is one such action as its owner left it: prepared, and perhaps applied.
	once := func(name, action, user string, apply bool) (probe func() kind.Result, late func() error) {
		rec := &wire.Record{ID: wire.DeriveID(name), Action: action, Corp: "wwcorp", App: "ops", User: user, Zone: "local", Pool: "k8s"}
		rec.Args = json.RawMessage(`{"env":"prod","reason":"r"}`)
		if action == wire.ActionUnlock {
			rec.Args = json.RawMessage(`{"env":"prod"}`)
		}
		wk, k, err := r.workOf(rec)
		w.check(err)
		before, err := k.Prepare(t.Context(), wk)
		w.check(err)
		b, err := lockBeforeOf(before)
		w.check(err)
		next, _ := k.(*locking).next(wk, b.Lock)
		late = func() error {
			_, err := r.store.write(t.Context(), envlock.Key("local", "prod", ""), next, b.Rev)
			return err
		}
		if apply {
			w.check(late())
		}
		return func() kind.Result { return k.Probe(t.Context(), wk, before) }, late
	}
	for _, step := range []struct {
		name, action, user string
		applied            bool
	}{
		{"never written, over nothing", wire.ActionLock, "lisi", false},
		{"taken", wire.ActionLock, "lisi", true},
		{"never renewed", wire.ActionLock, "lisi", false},
		{"renewed", wire.ActionLock, "lisi", true},
		{"never freed", wire.ActionUnlock, "lisi", false},
		{"freed", wire.ActionUnlock, "lisi", true},
	} {
		was, _ := read()
		probe, late := once(step.name, step.action, step.user, step.applied)
		for range 2 { // the one who looks may die as well
			want := wire.StateFailed
			if step.applied {
				want = wire.StateSucceeded
			}
			if got := probe(); got.State != want {
				t.Errorf("%s: %+v", step.name, got)
			}
		}
		if step.applied {
			continue
		}
		if err := late(); err == nil {
			t.Errorf("%s: written after it was said that it was not", step.name)
		}
		if now, _ := read(); was != nil && *now != *was {
			t.Errorf("%s: %+v became %+v", step.name, was, now)
		}
	}
	if l, _ := read(); l.Held(time.Now()) {
		t.Errorf("%+v", l)
	}
}
