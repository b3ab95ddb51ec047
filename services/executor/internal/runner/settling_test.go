package runner

import (
	"context"
	"encoding/json"
	"strings"
	"syscall"
	"testing"

	"palmops/libs/wire"
	"palmops/services/executor/internal/kind"
)

// unknownOf puts an action on record that nobody can tell about.
func (w *world) unknownOf(id string, change ...func(r *wire.Record)) {
	w.t.Helper()
	rec := wire.Record{
		V: 1, ID: id, State: wire.StateUnknown, Corp: "wwcorp", App: "ops", User: "zhangsan", Zone: "local", Pool: "k8s", Action: "k8s.scale",
		Title: "shop/web 3 → 5", Owner: "gone", Attempt: 2, Beat: 9, Summary: "结果未知",
	}
	for _, f := range change {
		f(&rec)
	}
	data, err := encode(rec)
	w.check(err)
	_, err = w.kv.Create(w.t.Context(), id, data)
	w.check(err)
}

func verdict(id, state string) map[string]any {
	return map[string]any{"id": id, "state": state, "reason": "看过了，副本数是 5"}
}

// TestSettled: a person's verdict ends the uncertainty, and the one whose action it was hears it.
func TestSettled(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.executor("one", DefaultTiming(), &book{dir: w.dir})
	for state, word := range map[string]string{wire.StateSucceeded: "成功", wire.StateFailed: "失败"} {
		id := wire.DeriveID("unknown", state)
		w.unknownOf(id)
		settle := w.do("settle "+state, wire.ActionSettle, verdict(id, state), as("lisi"))
		got := w.events(id, settle)
		if ev := got[id]; ev.State != state || ev.User != "zhangsan" || ev.Text != "之前结果未知，现由 lisi 核实为"+word+"：看过了，副本数是 5" || ev.Rev < 2 {
			t.Errorf("%+v", ev)
		}
		if ev := got[settle]; ev.State != wire.StateSucceeded || ev.User != "lisi" || ev.Text != "已将 #"+wire.ShortID(id)+" 记为"+word+"，并通知了发起人。" {
			t.Errorf("%+v", ev)
		}
		w.state(id, state)
		again := w.do("again "+state, wire.ActionSettle, verdict(id, state), as("lisi"))
		if ev := w.ends(again); ev.State != wire.StateFailed || !strings.Contains(ev.Text, "结果已经确定（"+word+"），没有更改任何记录") {
			t.Errorf("%+v", ev)
		}
	}
	w.audit.mu.Lock()
	defer w.audit.mu.Unlock()
	n := 0
	for _, l := range w.audit.lines {
		if l.What == "settle" {
			n++
			if l.User != "lisi" || l.Detail["owner_of_action"] != "zhangsan" || l.Reason == "" {
				t.Errorf("%+v", l)
			}
		}
	}
	if n != 2 {
		t.Errorf("%d audit lines", n)
	}
}

func TestWhatCannotBeSettled(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	k, begun := patient(w.dir)
	w.executor("one", DefaultTiming(), k)
	running := w.do("running", "k8s.scale", scaleArgs("web"))
	<-begun
	foreign, pool, app := wire.DeriveID("foreign"), wire.DeriveID("pool"), wire.DeriveID("app")
	w.unknownOf(foreign, func(r *wire.Record) { r.Corp = "other" })
	w.unknownOf(pool, func(r *wire.Record) { r.Pool = "mysql" })
	w.unknownOf(app, func(r *wire.Record) { r.App = "dba" })
	for id, text := range map[string]string{
		running: "还没有结束（进行中），没有更改任何记录", foreign: "没有编号为", pool: "没有编号为", app: "没有编号为", wire.DeriveID("nobody's"): "没有编号为",
	} {
		if ev := w.ends(w.do("settle "+id, wire.ActionSettle, verdict(id, wire.StateSucceeded))); ev.State != wire.StateFailed || !strings.Contains(ev.Text, text) {
			t.Errorf("%+v", ev)
		}
	}
	for _, state := range []string{wire.StateUnknown, wire.StateCanceled, ""} {
		if ev := w.ends(w.do("as "+state, wire.ActionSettle, verdict(foreign, state))); ev.State != wire.StateRejected {
			t.Errorf("%+v", ev)
		}
	}
	for _, id := range []string{foreign, pool, app} {
		w.state(id, wire.StateUnknown)
	}
	w.events(running, w.cancel(running, "zhangsan"))
}

// TestASettlingWhoseOwnerDies: whoever looks after it tells the truth, and what the dead owner still had under way misses.
func TestASettlingWhoseOwnerDies(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.executor("one", DefaultTiming(), &book{dir: w.dir})
	r := w.runners["one"]
	id := wire.DeriveID("unknown")
	w.unknownOf(id)
	rec := &wire.Record{ID: wire.DeriveID("settle"), Action: wire.ActionSettle, Corp: "wwcorp", App: "ops", User: "lisi", Zone: "local", Pool: "k8s"}
	rec.Args = json.RawMessage(`{"id":"` + id + `","reason":"r","state":"succeeded"}`)
	wk, k, err := r.workOf(rec)
	w.check(err)
	_, before, err := r.store.get(t.Context(), id)
	w.check(err)
	if got := k.Probe(t.Context(), wk, nil); got.State != wire.StateFailed {
		t.Errorf("%+v", got)
	}
	now, rev, err := r.store.get(t.Context(), id)
	w.check(err)
	if rev == before || now.State != wire.StateUnknown {
		t.Errorf("not moved on: %d, %+v", rev, now)
	}
	c := k.(*settling)
	done := *now
	done.State, done.Summary, done.Beat = wire.StateSucceeded, c.verdict(now, wire.StateSucceeded, "r"), now.Beat+1
	_, err = r.store.put(t.Context(), &done, rev)
	w.check(err)
	if got := k.Probe(t.Context(), wk, nil); got.State != wire.StateSucceeded {
		t.Errorf("%+v", got)
	}
	if ev := w.ends(id); ev.State != wire.StateSucceeded { // told again: the dead one may not have
		t.Errorf("%+v", ev)
	}
	rec.Args = json.RawMessage(`{"id":"` + id + `","reason":"no","state":"failed"}`)
	wk, k, err = r.workOf(rec)
	w.check(err)
	if got := k.Probe(t.Context(), wk, nil); got.State != wire.StateFailed {
		t.Errorf("%+v", got)
	}
}

// TestALateVerdict: an owner that slept while everybody else had to say unknown wakes up and knows.
func TestALateVerdict(t *testing.T) {
	t.Parallel()
	for gate, want := range map[string]struct {
		state   string
		effects int
		text    string
	}{
		"before": {wire.StateFailed, 0, "之前结果未知，现已核实：没有执行"},
		"after":  {wire.StateSucceeded, 1, "之前结果未知，现已核实：已写入"},
	} {
		t.Run(gate, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			timing := quick()
			cmd := w.child(gate, timing)
			id := w.do("asleep", "k8s.blind", web())
			w.reached()
			w.executor("heir", timing, &book{dir: w.dir, self: "heir"})
			w.watched("heir")
			beat := w.state(id, wire.StateRunning).Beat
			w.record(id, func(r wire.Record) bool { return r.Beat > beat+1 })
			w.check(cmd.Process.Signal(syscall.SIGSTOP))
			unknown := w.ends(id)
			if unknown.State != wire.StateUnknown || unknown.Executor != "heir" {
				t.Errorf("%+v", unknown)
			}
			mark(w.dir, "go", "")
			w.check(cmd.Process.Signal(syscall.SIGCONT))
			ev := w.ends(id)
			for ev.State == wire.StateUnknown { // the sleeper may be handed the message and tell the same again
				ev = w.ends(id)
			}
			if ev.State != want.state || ev.Text != want.text || ev.Rev <= unknown.Rev || ev.Executor != "child" {
				t.Errorf("%+v", ev)
			}
			w.effects(id, want.effects)
			w.state(id, want.state)
		})
	}
}

// TestALateVerdictDoesNotOverrule what the one who looked had found out.
func TestALateVerdictDoesNotOverrule(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.executor("one", DefaultTiming(), &book{dir: w.dir})
	r := w.runners["one"]
	id := wire.DeriveID("known")
	w.unknownOf(id, func(rec *wire.Record) { rec.State = wire.StateFailed })
	was := &wire.Record{ID: id, Attempt: 1}
	ctx, cancel := context.WithTimeout(t.Context(), hang)
	defer cancel()
	r.late(ctx, was, kind.Ended("x"))
	if rec := w.state(id, wire.StateFailed); rec.Beat != 9 {
		t.Errorf("%+v", rec)
	}
	if !w.audit.has("evidence", wire.StateSucceeded) {
		t.Error("no evidence in the audit")
	}
}
