package runner

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"palmops/libs/fault"
	"palmops/libs/token"
	"palmops/libs/wire"
	"palmops/services/executor/internal/kind"
)

func TestAnActionRunsOnceAndIsReported(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.executor("one", DefaultTiming(), &book{dir: w.dir})
	id := wire.DeriveID("happy")
	w.send(w.order(w.claims(id), scaleArgs("web")), id)
	ev := w.event()
	if ev.ID != id || ev.State != wire.StateSucceeded || ev.Text != "已写入" || ev.User != "zhangsan" || ev.Title == "" || ev.Rev == 0 {
		t.Errorf("event %+v", ev)
	}
	w.drained()
	w.effects(id, 1)
	rec := w.state(id, wire.StateSucceeded)
	if rec.Owner != "one" || rec.Attempt != 1 || string(rec.Before) != `{"replicas":3}` || rec.Started == 0 || rec.Ended < rec.Started || rec.Summary != "已写入" {
		t.Errorf("record %+v", rec)
	}
	for _, verdict := range []string{wire.StateClaimed, wire.StateRunning, wire.StateSucceeded} {
		if !w.audit.has(verdict, "") {
			t.Errorf("no audit line for %s", verdict)
		}
	}
}

func TestADoubledOrderTakesEffectOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.executor("one", DefaultTiming(), &book{dir: w.dir})
	w.executor("two", DefaultTiming(), &book{dir: w.dir})
	id := wire.DeriveID("doubled")
	order := w.order(w.claims(id), scaleArgs("web"))
	for i := range 5 { // other message ids, as after the duplicate window
		w.send(order, fmt.Sprint(id, i))
	}
	revs := map[uint64]bool{}
	for range 5 {
		ev := w.event()
		if ev.State != wire.StateSucceeded {
			t.Errorf("event %+v", ev)
		}
		revs[ev.Rev] = true
	}
	w.drained()
	w.effects(id, 1)
	if len(revs) != 1 {
		t.Errorf("the repeated results have different revisions: %v", revs)
	}
	s, err := w.bus.JS.Stream(t.Context(), wire.StreamRes)
	w.check(err)
	if n := s.CachedInfo().State.Msgs; n != 1 {
		t.Errorf("RES holds %d events of one action, want 1", n)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.executor("one", DefaultTiming(), &book{dir: w.dir})
	foreign, err := token.NewKeySet("local", strings.NewReader(strings.Repeat("not random at all, sixty-four bytes ", 3)))
	w.check(err)
	other, err := foreign.Layered(token.Options{})
	w.check(err)
	for name, c := range map[string]struct {
		state, reason string
		recorded      bool
		order         func(id string) wire.Action
	}{
		"expired": {wire.StateExpired, "expired", true, func(id string) wire.Action {
			c := w.claims(id)
			c.IssuedAt, c.Expires = c.IssuedAt-200, c.IssuedAt-80
			return w.order(c, scaleArgs("web"))
		}},
		"other arguments": {wire.StateRejected, "args_digest", true, func(id string) wire.Action {
			a := w.order(w.claims(id), scaleArgs("web"))
			a.Args = json.RawMessage(`{"deployment":"web","namespace":"pay","replicas":5}`)
			return a
		}},
		"out of range": {wire.StateRejected, "args", true, func(id string) wire.Action {
			args := scaleArgs("web")
			args["replicas"] = int64(2000)
			return w.order(w.claims(id), args)
		}},
		"foreign keys": {wire.StateRejected, "signature", false, func(id string) wire.Action {
			a := w.order(w.claims(id), scaleArgs("web"))
			c := w.claims(id)
			c.ArgsHash = wire.ArgsHash(a.Args)
			var err error
			a.Token, err = other.Dumps(c)
			w.check(err)
			return a
		}},
	} {
		id := wire.DeriveID("refused", name)
		w.send(c.order(id), id)
		ev := w.event()
		if ev.ID != id || ev.State != c.state || !strings.Contains(ev.Text, "没有执行任何操作") || ev.User != "zhangsan" {
			t.Errorf("%s: event %+v", name, ev)
		}
		w.drained()
		w.effects(id, 0)
		_, err := w.kv.Get(t.Context(), id)
		if recorded := err == nil; recorded != c.recorded {
			t.Errorf("%s: recorded is %t (%v)", name, recorded, err)
		}
		if !w.audit.has("refused", c.reason) {
			t.Errorf("%s: no audit line with the reason %s", name, c.reason)
		}
	}
}

func TestARecordCannotBeUsedByAnotherOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.executor("one", DefaultTiming(), &book{dir: w.dir})
	id := wire.DeriveID("reused")
	w.send(w.order(w.claims(id), scaleArgs("web")), "first")
	if ev := w.event(); ev.State != wire.StateSucceeded {
		t.Fatalf("event %+v", ev)
	}
	w.send(w.order(w.claims(id), scaleArgs("api")), "second")
	w.drained()
	w.effects(id, 1)
	if !w.audit.has("refused", "reused") {
		t.Error("no audit line")
	}
}

func TestWhatTheKindDeclinesHasNotRun(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	k := &book{dir: w.dir, before: func(context.Context) error {
		return fault.WithText(fault.New(fault.Conflict, "moved"), "当前副本数已变为 4（确认时为 3），没有执行任何操作。")
	}}
	w.executor("one", DefaultTiming(), k)
	id := wire.DeriveID("declined")
	w.send(w.order(w.claims(id), scaleArgs("web")), id)
	ev := w.event()
	if ev.State != wire.StateFailed || !strings.Contains(ev.Text, "已变为 4") {
		t.Errorf("event %+v", ev)
	}
	if k.applied != 0 {
		t.Error("it was applied")
	}
	if rec := w.state(id, wire.StateFailed); rec.Started != 0 {
		t.Errorf("record %+v", rec)
	}
}

func TestOneTargetHasOneActionAtATime(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	timing := DefaultTiming()
	timing.Lock = 5 * time.Second // the first one asks for its lock, too, on a slow machine
	begun, goOn := make(chan struct{}), make(chan struct{})
	first := wire.DeriveID("first")
	k := &book{dir: w.dir, apply: func(_ context.Context, wk kind.Work, _ kind.Hand) (kind.Result, bool) {
		if wk.ID == first {
			close(begun)
			<-goOn
		}
		return kind.Result{}, false
	}}
	w.executor("one", timing, k)
	w.send(w.order(w.claims(first), scaleArgs("web")), first)
	<-begun
	second := wire.DeriveID("second")
	w.send(w.order(w.claims(second), scaleArgs("web")), second)
	ev := w.event()
	if ev.ID != second || ev.State != wire.StateFailed || !strings.Contains(ev.Text, "#"+wire.ShortID(first)) {
		t.Errorf("event %+v", ev)
	}
	elsewhere := wire.DeriveID("elsewhere")
	w.send(w.order(w.claims(elsewhere), scaleArgs("api")), elsewhere)
	if ev := w.event(); ev.ID != elsewhere || ev.State != wire.StateSucceeded {
		t.Errorf("another target has to wait: %+v", ev)
	}
	close(goOn)
	if ev := w.event(); ev.ID != first || ev.State != wire.StateSucceeded {
		t.Errorf("event %+v", ev)
	}
	third := wire.DeriveID("third")
	w.send(w.order(w.claims(third), scaleArgs("web")), third)
	if ev := w.event(); ev.ID != third || ev.State != wire.StateSucceeded {
		t.Errorf("the lock stays: %+v", ev)
	}
	w.effects(second, 0)
}

func TestStoppingFinishesWhatRunsAndGivesBackTheRest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	running, preparing := wire.DeriveID("running"), wire.DeriveID("preparing")
	begun, reading, goOn := make(chan struct{}), make(chan struct{}), make(chan struct{})
	k := &book{dir: w.dir, self: "one"}
	k.before = func(ctx context.Context) error {
		k.mu.Lock()
		busy := k.applied > 0
		k.mu.Unlock()
		if !busy {
			return nil
		}
		close(reading)
		<-ctx.Done()
		return ctx.Err()
	}
	k.apply = func(context.Context, kind.Work, kind.Hand) (kind.Result, bool) {
		close(begun)
		<-goOn
		return kind.Result{}, false
	}
	stop := w.executor("one", DefaultTiming(), k)
	w.send(w.order(w.claims(running), scaleArgs("web")), running)
	<-begun
	w.send(w.order(w.claims(preparing), scaleArgs("api")), preparing)
	<-reading
	stopped := make(chan struct{})
	go func() { stop(); close(stopped) }()
	if rec := w.record(preparing, func(r wire.Record) bool { return r.Owner == "" }); rec.State != wire.StateClaimed {
		t.Errorf("given back as %+v", rec)
	}
	w.executor("two", DefaultTiming(), &book{dir: w.dir, self: "two"})
	if ev := w.event(); ev.ID != preparing || ev.State != wire.StateSucceeded || ev.Executor != "two" {
		t.Errorf("event %+v", ev)
	}
	close(goOn)
	if ev := w.event(); ev.ID != running || ev.State != wire.StateSucceeded || ev.Executor != "one" {
		t.Errorf("event %+v", ev)
	}
	<-stopped
	w.drained()
	w.effects(running, 1)
	w.effects(preparing, 1)
}

func TestStoppingEndsWhatTakesTooLong(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	timing := DefaultTiming()
	timing.Stop = 100 * time.Millisecond
	begun := make(chan struct{})
	k := &book{dir: w.dir, apply: func(ctx context.Context, _ kind.Work, _ kind.Hand) (kind.Result, bool) {
		close(begun)
		<-ctx.Done()
		if !errors.Is(context.Cause(ctx), kind.ErrStopping) {
			t.Errorf("ended by %v", context.Cause(ctx))
		}
		return kind.TimedOut("已生效，没有等到就绪。"), true
	}}
	stop := w.executor("one", timing, k)
	id := wire.DeriveID("slow")
	w.send(w.order(w.claims(id), scaleArgs("web")), id)
	<-begun
	stop()
	if ev := w.event(); ev.State != wire.StateTimeout {
		t.Errorf("event %+v", ev)
	}
	w.drained()
}

func TestProgressReachesTheUser(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	timing := DefaultTiming()
	timing.Beat = 200 * time.Millisecond
	seen := make(chan struct{})
	k := &book{dir: w.dir, apply: func(_ context.Context, _ kind.Work, hand kind.Hand) (kind.Result, bool) {
		hand.Progress("4/5 就绪")
		<-seen
		return kind.Result{}, false
	}}
	w.executor("one", timing, k)
	id := wire.DeriveID("progress")
	w.send(w.order(w.claims(id), scaleArgs("web")), id)
	msg, err := w.res.NextMsg(hang)
	w.check(err)
	var ev wire.Event
	w.check(json.Unmarshal(msg.Data, &ev))
	if ev.State != wire.StateRunning || ev.Text != "4/5 就绪" || ev.ID != id {
		t.Errorf("event %+v", ev)
	}
	if rec := w.record(id, func(r wire.Record) bool { return r.Step != "" }); rec.Step != "4/5 就绪" {
		t.Errorf("record %+v", rec)
	}
	close(seen)
	if ev := w.event(); ev.State != wire.StateSucceeded {
		t.Errorf("event %+v", ev)
	}
}

func TestAPanicOfAKindIsProbed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	k := &book{dir: w.dir, unsure: true, apply: func(context.Context, kind.Work, kind.Hand) (kind.Result, bool) { panic("a defect") }}
	w.executor("one", DefaultTiming(), k)
	id := wire.DeriveID("panic")
	w.send(w.order(w.claims(id), scaleArgs("web")), id)
	ev := w.event()
	if ev.State != wire.StateUnknown || !strings.Contains(ev.Text, "结果未知") {
		t.Errorf("event %+v", ev)
	}
	w.drained()
	if k.applied != 1 {
		t.Errorf("applied %d times", k.applied)
	}
}

func TestMoreOrdersThanWorkers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.executor("one", DefaultTiming(), &book{dir: w.dir})
	w.executor("two", DefaultTiming(), &book{dir: w.dir})
	const n = 40
	for i := range n {
		id := wire.DeriveID("many", fmt.Sprint(i))
		w.send(w.order(w.claims(id), scaleArgs(fmt.Sprint("web-", i))), id)
	}
	done := map[string]bool{}
	for len(done) < n {
		ev := w.event()
		if ev.State != wire.StateSucceeded {
			t.Fatalf("event %+v", ev)
		}
		done[ev.ID] = true
	}
	w.drained()
	for id := range done {
		w.effects(id, 1)
	}
}

// TestTheUserKnowsWithinHalfAMinute adds up what passes between the death of an owner and the report.
func TestTheUserKnowsWithinHalfAMinute(t *testing.T) {
	t.Parallel()
	d := DefaultTiming()
	if sum := d.AckWait + d.Lease + d.Skew + d.Probe; sum > 30*time.Second {
		t.Errorf("%s", sum)
	}
	if d.Beat*3 > d.Lease || d.Beat*3 > d.AckWait {
		t.Error("two lost heartbeats end a lease")
	}
	if d.Stop+writeOut >= 30*time.Second {
		t.Error("a stop takes longer than half a minute")
	}
}
