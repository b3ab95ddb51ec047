package workflow_test

import (
	"context"
	"encoding/json"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"palmops/libs/wire"
	"palmops/services/executor/internal/runner"
)

// TestStepsAreActions: each step has a record, a lock and audit lines of its own, and nobody but the workflow speaks to the person.
func TestStepsAreActions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.executor("one", runner.DefaultTiming(), w.steps(map[string]string{"c": "failed"}))
	id := w.order("it", "release", good)
	ev := w.result(id)
	if ev.State != wire.StateFailed || !strings.Contains(ev.Text, "前面的改动已全部撤回") || !strings.Contains(ev.Output, "printed by b") {
		t.Errorf("%+v", ev)
	}
	w.effects("a b b-back a-back")
	want := map[string]string{"a": "succeeded", "b": "succeeded", "c": "failed", "undo-b": "succeeded", "undo-a": "succeeded"}
	if diff := cmp.Diff(want, w.states(id)); diff != "" {
		t.Error(diff)
	}
	a := w.record(step(id, "a"), wire.StateSucceeded)
	if a.Action != "set" || string(a.Args) != `{"loud":true,"to":3,"what":"a"}` || a.Owner != "one" || a.Started == 0 || a.Output == nil || a.Summary != "succeeded 做 a" {
		t.Errorf("%+v", a)
	}
	if diff := cmp.Diff([]string{"claimed", "running", "succeeded"}, w.audit.of(step(id, "a"))); diff != "" {
		t.Error(diff)
	}
	for _, target := range []string{"thing/a", "workflow/release"} {
		if _, err := w.kv.Get(t.Context(), runner.LockKey("local", target)); err != nil {
			t.Errorf("no lock of %s: %v", target, err)
		}
	}
}

// TestDryRun: nothing is changed, no step has a record.
func TestDryRun(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.executor("one", runner.DefaultTiming(), w.steps(nil))
	id := w.order("it", "release", good, func(c *wire.Claims) { c.Noop = true })
	if ev := w.result(id); ev.State != wire.StateSucceeded || !strings.Contains(ev.Text, "2. 第二：会做 b") || !ev.Noop {
		t.Errorf("%+v", ev)
	}
	w.effects("")
	if got := w.states(id); len(got) != 0 {
		t.Errorf("%v", got)
	}
}

// TestCancel: the running step is cancelled with the workflow, and nothing comes after it.
func TestCancel(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s, begun := w.steps(nil), make(chan struct{})
	s.gate = func(ctx context.Context, point string) {
		if point == "b before" {
			close(begun)
			<-ctx.Done()
		}
	}
	timing := runner.DefaultTiming()
	timing.Beat = 500 * time.Millisecond
	w.executor("one", timing, s)
	id := w.order("it", "release", good)
	<-begun
	w.order("stop", wire.ActionCancel, map[string]any{"id": id})
	ev := w.result(id)
	if ev.State != wire.StateCanceled || !strings.Contains(ev.Text, "停在第 2 步") || !strings.Contains(ev.Text, "✓ 第一") {
		t.Errorf("%+v", ev)
	}
	w.effects("a")
	if diff := cmp.Diff(map[string]string{"a": "succeeded", "b": "canceled"}, w.states(id)); diff != "" {
		t.Error(diff)
	}
}

// TestProgress: the person sees the workflow's step and the step's own line.
func TestProgress(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s, shown := w.steps(nil), make(chan struct{})
	s.gate = func(_ context.Context, point string) {
		if point == "b after" {
			<-shown
		}
	}
	timing := runner.DefaultTiming()
	timing.Beat = 200 * time.Millisecond
	w.executor("one", timing, s)
	id := w.order("it", "release", good)
	msg, err := w.res.NextMsg(hang)
	w.check(err)
	var ev wire.Event
	w.check(json.Unmarshal(msg.Data, &ev))
	if ev.ID != id || ev.Text != "2/4 第二：做 b" || ev.State != wire.StateRunning {
		t.Errorf("%+v", ev)
	}
	close(shown)
	if ev := w.result(id); ev.State != wire.StateSucceeded {
		t.Errorf("%+v", ev)
	}
}

// TestKilled: wherever the executor dies, every effect happens at most once, nothing goes on, the steps' records come to an end, and
// the report is true.
func TestKilled(t *testing.T) {
	t.Parallel()
	for gate, c := range map[string]struct {
		ends    map[string]string
		state   string
		effects string
		text    string
		states  map[string]string
	}{
		"between a": {nil, wire.StateFailed, "", "没有任何改动", nil},
		"a before":  {nil, wire.StateFailed, "", "没有任何改动", map[string]string{"a": "failed"}},
		"a after":   {nil, wire.StateUnknown, "a", "✓ 第一", map[string]string{"a": "succeeded"}},
		"between b": {nil, wire.StateUnknown, "a", "· 第二：没有开始", map[string]string{"a": "succeeded"}},
		"b before":  {nil, wire.StateUnknown, "a", "✗ 第二", map[string]string{"a": "succeeded", "b": "failed"}},
		"end":       {nil, wire.StateSucceeded, "a b c", "全部 4 步已完成", map[string]string{"a": "succeeded", "b": "succeeded", "c": "succeeded", "look": "succeeded"}},
		"b-back after": {
			map[string]string{"c": "failed"},
			wire.StateUnknown, "a b b-back", "↩ 第二 已撤回",
			map[string]string{"a": "succeeded", "b": "succeeded", "c": "failed", "undo-b": "succeeded"},
		},
		"between undo-b": {
			map[string]string{"c": "failed"},
			wire.StateUnknown, "a b", "有改动没有撤回",
			map[string]string{"a": "succeeded", "b": "succeeded", "c": "failed"},
		},
	} {
		t.Run(gate, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			cmd := w.child(gate, c.ends, quick())
			id := w.order("it", "release", good)
			w.await("reached")
			w.check(cmd.Process.Signal(syscall.SIGKILL))
			_ = cmd.Wait() // killed
			w.executor("heir", quick(), w.steps(c.ends))
			ev := w.result(id)
			if ev.State != c.state || !strings.Contains(ev.Text, c.text) || ev.Executor != "heir" {
				t.Errorf("%s %q", ev.State, ev.Text)
			}
			w.effects(c.effects)
			got := w.states(id)
			for name, state := range got {
				if want := c.states[name]; state != want && (want != "" || state != wire.StateExpired) {
					t.Errorf("step %s is %s, want %s", name, state, want)
				}
			}
			for name := range c.states {
				if got[name] == "" {
					t.Errorf("no record of step %s", name)
				}
			}
		})
	}
}

// TestAwakened: an owner that slept right before a step cannot begin it any more once somebody else has spoken.
func TestAwakened(t *testing.T) {
	t.Parallel()
	for gate, effects := range map[string]string{"between b": "a", "b before": "a"} {
		t.Run(gate, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			timing := quick()
			cmd := w.child(gate, nil, timing)
			id := w.order("it", "release", good)
			w.await("reached")
			w.check(cmd.Process.Signal(syscall.SIGSTOP))
			w.executor("heir", timing, w.steps(nil))
			ev := w.result(id)
			if ev.State != wire.StateUnknown || ev.Executor != "heir" || !strings.Contains(ev.Text, "✓ 第一") {
				t.Errorf("%s %q", ev.State, ev.Text)
			}
			mark(w.dir, "go")
			w.check(cmd.Process.Signal(syscall.SIGCONT))
			w.await("ended")
			w.effects(effects)
		})
	}
}

// followed waits until an executor watches the records.
func (w *world) followed() {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), hang)
	defer cancel()
	t := time.NewTicker(20 * time.Millisecond)
	defer t.Stop()
	for {
		s, err := w.bus.JS.Stream(ctx, "KV_"+wire.BucketActions)
		w.check(err)
		if s.CachedInfo().State.Consumers > 0 {
			return
		}
		<-t.C
	}
}

// TestOrphans: a step whose workflow nobody takes over, such as one that has been told already, is ended by any executor of the pool.
func TestOrphans(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	timing := quick()
	write(w.dir, "b")
	put := func(name, state string, rev uint64) uint64 {
		raw, err := wire.CanonicalArgs(map[string]any{"what": name, "to": 1})
		w.check(err)
		data, err := json.Marshal(wire.Record{
			V: 1, ID: step("parent", name), Parent: "parent", State: state, Corp: "wwcorp", App: "ops", User: "zhangsan", Zone: "local", Pool: "k8s", Action: "set",
			Args: raw, ArgsHash: wire.ArgsHash(raw), Owner: "dead", Attempt: 1,
		})
		w.check(err)
		if rev == 0 {
			rev, err = w.kv.Create(t.Context(), step("parent", name), data)
		} else {
			rev, err = w.kv.Update(t.Context(), step("parent", name), data, rev)
		}
		w.check(err)
		return rev
	}
	w.executor("any", timing, w.steps(nil))
	w.followed()
	for name, state := range map[string]string{"a": wire.StateClaimed, "b": wire.StateRunning, "c": wire.StateRunning} {
		put(name, state, put(name, state, 0))
	}
	for name, want := range map[string]string{"a": "没有开始", "b": "已生效", "c": "没有生效"} {
		state := wire.StateFailed
		if name == "b" {
			state = wire.StateSucceeded
		}
		if rec := w.record(step("parent", name), state); !strings.Contains(rec.Summary, want) {
			t.Errorf("%s: %+v", name, rec)
		}
	}
}
