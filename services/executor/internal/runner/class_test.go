package runner

import (
	"context"
	"encoding/json"
	"strings"
	"syscall"
	"testing"
	"time"

	"palmops/libs/fault"
	"palmops/libs/token"
	"palmops/libs/wire"
	"palmops/services/executor/internal/kind"
)

// do orders any action and returns its id.
func (w *world) do(name, action string, args map[string]any, change ...func(c *wire.Claims)) string {
	w.t.Helper()
	id := wire.DeriveID(name, w.dir)
	c := w.claims(id)
	c.Action = action
	for _, f := range change {
		f(&c)
	}
	_, err := w.bus.Publish(w.t.Context(), wire.ActSubject("local", "k8s", action, id), id, w.order(c, args))
	w.check(err)
	return id
}

// ends waits for the report of one action.
func (w *world) ends(id string) wire.Event {
	w.t.Helper()
	return w.events(id)[id]
}

func dry(c *wire.Claims)         { c.Noop = true }
func unconfirmed(c *wire.Claims) { c.Report = true }
func web() map[string]any        { return map[string]any{"deployment": "web"} }
func shopWeb() map[string]any    { return map[string]any{"namespace": "shop", "deployment": "web"} }

// TestDryRuns: a dry run waits for nobody, ends as succeeded with the plan, and changes nothing.
func TestDryRuns(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	k, begun := patient(w.dir)
	w.executor("one", DefaultTiming(), k)
	busy := w.do("busy", "k8s.scale", scaleArgs("web"))
	<-begun // the target is taken
	for lang, want := range map[string]string{"zh": "试运行：副本数 3 → 5。没有做任何更改。", "en": "Dry run: 副本数 3 → 5. Nothing was changed."} {
		id := w.do("dry "+lang, "k8s.scale", scaleArgs("web"), dry, func(c *wire.Claims) { c.Lang = lang })
		if ev := w.ends(id); ev.State != wire.StateSucceeded || ev.Text != want || !ev.Noop {
			t.Errorf("event %+v", ev)
		}
		if rec := w.state(id, wire.StateSucceeded); !rec.Noop || rec.Started != 0 || rec.Attempt != 1 {
			t.Errorf("record %+v", rec)
		}
		w.effects(id, 0)
	}
	for action, want := range map[string]string{
		"k8s.status": "这个操作只读取，本来就不做更改。没有做任何更改。", "k8s.never": "试运行：", wire.ActionCancel: "试运行：取消 #" + wire.ShortID(busy) + "。没有做任何更改。",
		wire.ActionLock: "试运行：占用生产，到 ",
	} {
		args := map[string]map[string]any{
			"k8s.status": shopWeb(), "k8s.never": web(), wire.ActionCancel: {"id": busy}, wire.ActionLock: {"env": "prod", "reason": "试"},
		}[action]
		if ev := w.ends(w.do("dry "+action, action, args, dry)); ev.State != wire.StateSucceeded || !strings.Contains(ev.Text, want) || !strings.HasSuffix(ev.Text, "没有做任何更改。") {
			t.Errorf("%s: %+v", action, ev)
		}
	}
	w.state(busy, wire.StateRunning) // the dry cancellation cancelled nothing
	k.before = func(context.Context) error {
		return fault.WithText(fault.New(fault.NotFound, "gone"), "没有这个部署，没有执行任何操作。")
	}
	if ev := w.ends(w.do("dry refused", "k8s.scale", scaleArgs("none"), dry)); ev.State != wire.StateFailed || ev.Text != "没有这个部署，没有执行任何操作。" {
		t.Errorf("%+v", ev)
	}
	k.before = nil
	w.audit.mu.Lock()
	seen := 0
	for _, l := range w.audit.lines {
		if l.Detail["noop"] == "yes" {
			seen++
			if l.Verdict == wire.StateRunning {
				t.Errorf("a dry run ran: %+v", l)
			}
		}
	}
	w.audit.mu.Unlock()
	if seen < 2*7 {
		t.Errorf("%d audit lines of dry runs", seen)
	}
	w.events(busy, w.cancel(busy, "zhangsan"))
	w.drained()
	if k.applied != 1 {
		t.Errorf("%d actions were applied", k.applied)
	}
}

// TestTheDryRunOfAnOrderIsNotTheOrder: the id of a dry run cannot be used to run it, nor the reverse.
func TestTheDryRunOfAnOrderIsNotTheOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.executor("one", DefaultTiming(), &book{dir: w.dir})
	id := wire.DeriveID("both")
	c := w.claims(id)
	c.Noop = true
	w.send(w.order(c, scaleArgs("web")), "dry")
	w.ends(id)
	w.send(w.order(w.claims(id), scaleArgs("web")), "wet")
	w.drained()
	w.effects(id, 0)
	if !w.audit.has("refused", "reused") {
		t.Error("no audit line")
	}
}

// TestReports: what nobody confirmed is carried out when it only reads, waits for nobody, and has nothing to be unsure about.
func TestReports(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	k, begun := patient(w.dir)
	w.executor("one", DefaultTiming(), k)
	busy := w.do("busy", "k8s.scale", scaleArgs("web"))
	<-begun
	k.mu.Lock()
	k.apply = func(context.Context, kind.Work, kind.Hand) (kind.Result, bool) {
		return kind.Result{State: wire.StateSucceeded, Text: "2 行", Output: "a\nb"}, true
	}
	k.mu.Unlock()
	for _, f := range []func(c *wire.Claims){unconfirmed, func(*wire.Claims) {}} {
		id := w.do("status", "k8s.status", shopWeb(), f, func(c *wire.Claims) { c.User = "li" })
		if ev := w.ends(id); ev.State != wire.StateSucceeded || ev.Output != "a\nb" {
			t.Errorf("%+v", ev)
		}
		w.dir += "x" // another id
	}
	refused := w.do("change", "k8s.scale", scaleArgs("api"), unconfirmed)
	if ev := w.ends(refused); ev.State != wire.StateRejected || !strings.Contains(ev.Text, "必须先确认，没有执行任何操作") {
		t.Errorf("%+v", ev)
	}
	if !w.audit.has("refused", "report") {
		t.Error("no audit line")
	}
	w.events(busy, w.cancel(busy, "zhangsan"))
}

// TestAReportWhoseOwnerDies, and an action that may not be probed.
func TestAReportWhoseOwnerDies(t *testing.T) {
	t.Parallel()
	for action, want := range map[string]struct{ state, text string }{
		"k8s.status": {wire.StateFailed, "没有做任何更改。请重新发起"},
		"k8s.blind":  {wire.StateUnknown, "无法自动核对"},
	} {
		t.Run(action, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			cmd := w.child("before", quick())
			args := shopWeb()
			if action == "k8s.blind" {
				args = web()
			}
			id := w.do("dies", action, args)
			w.reached()
			w.check(cmd.Process.Signal(syscall.SIGKILL))
			_ = cmd.Wait() // killed
			k := &book{dir: w.dir, self: "heir"}
			w.executor("heir", quick(), k)
			if ev := w.ends(id); ev.State != want.state || !strings.Contains(ev.Text, want.text) {
				t.Errorf("%+v", ev)
			}
			if k.probed != 0 {
				t.Error("the kind was asked")
			}
		})
	}
}

func TestAChangeOutsideItsHours(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	// Wednesday noon, by everybody's clock.
	at := time.Date(2026, 11, 25, 4, 0, 0, 0, time.UTC)
	w.executor("one", DefaultTiming(), &book{dir: w.dir}, func(o *Options) { o.Now = func() time.Time { return at } })
	var err error
	w.sign, err = w.keys.Layered(token.Options{Now: func() time.Time { return at }})
	w.check(err)
	id := w.do("never", "k8s.never", web(), func(c *wire.Claims) { c.IssuedAt, c.Expires = at.Unix(), at.Unix()+600 })
	if ev := w.ends(id); ev.State != wire.StateRejected || !strings.Contains(ev.Text, "没有执行任何操作。允许的时间：周一 03:00–03:01。") {
		t.Errorf("%+v", ev)
	}
	w.effects(id, 0)
	if !w.audit.has("refused", "hours") {
		t.Error("no audit line")
	}
}

// TestSlotsOfATarget: as many changes as the smallest number of all who are there.
func TestSlotsOfATarget(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	timing := DefaultTiming()
	timing.Lock = 3 * time.Second // long enough to be given a free slot on a slow machine
	k, begun := patient(w.dir)
	w.executor("one", timing, k, func(o *Options) { o.Workers = 8 })
	first, second := w.do("first", "k8s.pair", shopWeb()), w.do("second", "k8s.pair", shopWeb())
	<-begun
	<-begun
	for _, action := range []string{"k8s.pair", "k8s.scale"} { // a third one, and one that wants to be alone
		args := shopWeb()
		if action == "k8s.scale" {
			args = scaleArgs("web")
		}
		id := w.do("third "+action, action, args)
		if ev := w.ends(id); ev.State != wire.StateFailed || !strings.Contains(ev.Text, "目标正被另一个操作") {
			t.Errorf("%s: %+v", action, ev)
		}
	}
	w.events(first, w.cancel(first, "zhangsan"))
	fourth := w.do("fourth", "k8s.pair", shopWeb())
	<-begun
	if ev := w.ends(w.do("alone", "k8s.scale", scaleArgs("web"))); ev.State != wire.StateFailed {
		t.Errorf("beside two others: %+v", ev)
	}
	for _, id := range []string{second, fourth} {
		w.events(id, w.cancel(id, "zhangsan"))
	}
	alone := w.do("alone at last", "k8s.scale", scaleArgs("web"))
	<-begun
	if ev := w.ends(w.do("beside one who is alone", "k8s.pair", shopWeb())); ev.State != wire.StateFailed || !strings.Contains(ev.Text, wire.ShortID(alone)) {
		t.Errorf("%+v", ev)
	}
	w.events(alone, w.cancel(alone, "zhangsan"))
}

// TestTheWaitIsTold: who waits for a target hears for whom.
func TestTheWaitIsTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	k, begun := patient(w.dir)
	timing := DefaultTiming()
	timing.Lock = hang
	w.executor("one", timing, k)
	first := w.do("first", "k8s.scale", scaleArgs("web"))
	<-begun
	second := w.do("second", "k8s.scale", scaleArgs("web"))
	for {
		msg, err := w.res.NextMsg(hang)
		w.check(err)
		var ev wire.Event
		w.check(json.Unmarshal(msg.Data, &ev))
		if ev.ID == second {
			if ev.State != wire.StateRunning || ev.Text != "正在等待 #"+wire.ShortID(first)+" 结束，本操作还没有开始。" {
				t.Errorf("%+v", ev)
			}
			break
		}
	}
	if rec := w.state(second, wire.StateClaimed); rec.Step != "" {
		t.Errorf("the wait is in the record as a step of the work: %+v", rec)
	}
	w.events(second, w.cancel(second, "zhangsan"))
	w.events(first, w.cancel(first, "zhangsan"))
}
