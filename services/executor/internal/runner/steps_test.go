package runner

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"palmops/libs/wire"
	"palmops/services/executor/catalog"
	"palmops/services/executor/internal/kind"
	"palmops/services/executor/internal/life"
)

// stepping is a book whose actions have one step.
type stepping struct{ *book }

func (stepping) Steps(catalog.Action) []string { return []string{"one"} }

// parent is a running action in the hands of an executor that does nothing by itself.
func (w *world) parent(id string, k kind.Kind, timing Timing) (*Runner, *hold, context.Context) {
	w.t.Helper()
	b := w.srv.Connect("one")
	r, err := newRunner(w.t.Context(), b, w.cat, w.keys, "one", timing, k, w.audit)
	w.check(err)
	c := w.claims(id)
	raw, err := wire.CanonicalArgs(scaleArgs("web"))
	w.check(err)
	rec := &wire.Record{
		V: 1, ID: id, Corp: c.Corp, App: c.App, User: c.User, Zone: c.Zone, Pool: c.Pool, Action: c.Action, Args: raw, ArgsHash: wire.ArgsHash(raw),
		Owner: "one", State: wire.StateRunning, Attempt: 1, Beat: 1, Expires: c.Expires, IssuedAt: c.IssuedAt,
	}
	rev, err := r.store.put(w.t.Context(), rec, 0)
	w.check(err)
	h, ctx, done := r.take(w.t.Context(), rec, rev, false)
	w.t.Cleanup(done)
	return r, h, ctx
}

// void leaves what a cancellation leaves that comes before its order.
func (w *world) void(id, user string) {
	w.t.Helper()
	c := w.claims(id)
	by := wire.Record{ID: id, Corp: c.Corp, App: c.App, User: user, Zone: c.Zone, Pool: c.Pool}
	data, err := json.Marshal(life.On(nil, life.Canceled{By: by, Self: "other", Text: "text of " + user, Now: 1}).Write)
	w.check(err)
	_, err = w.kv.Create(w.t.Context(), id, data)
	w.check(err)
}

// TestOnlyOnesOwnCancellationKeepsAStepFromRunning: the id of a step can be worked out from that of its workflow, so a void record under
// it is believed as it is for any order: for its own person.
func TestOnlyOnesOwnCancellationKeepsAStepFromRunning(t *testing.T) {
	t.Parallel()
	for user, want := range map[string]string{"zhangsan": wire.StateCanceled, "mallory": wire.StateSucceeded} {
		t.Run(user, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			id := wire.DeriveID("void step " + user)
			_, h, ctx := w.parent(id, &book{dir: w.dir}, DefaultTiming())
			w.void(stepID(id, "one"), user)
			got := h.Run(ctx, "one", "k8s.scale", scaleArgs("web"))
			if got.State != want || strings.Contains(got.Text, "mallory") {
				t.Errorf("%s %q", got.State, got.Text)
			}
			w.effects(stepID(id, "one"), map[string]int{wire.StateSucceeded: 1}[want])
			if rec := w.state(stepID(id, "one"), want); rec.Action != "k8s.scale" || rec.Parent != id {
				t.Errorf("%+v", rec)
			}
		})
	}
}

// TestAnotherOrdersRecordIsNoResult: under a step's id only what the step itself came to is its result.
func TestAnotherOrdersRecordIsNoResult(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := wire.DeriveID("used step")
	r, h, ctx := w.parent(id, &book{dir: w.dir}, DefaultTiming())
	_, err := r.store.put(ctx, &wire.Record{V: 1, ID: stepID(id, "one"), Action: "k8s.scale", ArgsHash: "other", State: wire.StateSucceeded, Summary: "x"}, 0)
	w.check(err)
	if got := h.Run(ctx, "one", "k8s.scale", scaleArgs("web")); got.State != wire.StateFailed {
		t.Errorf("%s %q", got.State, got.Text)
	}
	w.effects(stepID(id, "one"), 0)
}

// TestAVoidRecordIsNoFence: a step under whose id somebody left a void record may still be begun by a frozen owner, so that whoever
// takes the workflow over has to close it.
func TestAVoidRecordIsNoFence(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := wire.DeriveID("void fence")
	r, h, ctx := w.parent(id, stepping{&book{dir: w.dir}}, DefaultTiming())
	step := stepID(id, "one")
	w.void(step, "mallory")
	rec, _ := h.state()
	if !r.settleSteps(ctx, rec, []string{"one"}) {
		t.Error("not settled")
	}
	if got := w.record(step, func(wire.Record) bool { return true }); life.Void(&got) || got.State != wire.StateExpired {
		t.Errorf("%+v", got)
	}
}

// TestNoVerdictOverStepsThatAreNotClosed: when the steps cannot be settled in time, a frozen owner may still begin one, and no kind
// can know better.
func TestNoVerdictOverStepsThatAreNotClosed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := wire.DeriveID("open steps")
	timing := DefaultTiming()
	timing.Probe = time.Nanosecond
	r, h, ctx := w.parent(id, blindly{stepping{&book{dir: w.dir}}}, timing)
	rec, _ := h.state()
	if got := r.look(ctx, rec); got.State != wire.StateUnknown {
		t.Errorf("%s %q", got.State, got.Text)
	}
}

// blindly judges without a look.
type blindly struct{ stepping }

func (blindly) Probe(context.Context, kind.Work, json.RawMessage) kind.Result {
	return kind.Failed("nothing")
}

// TestAnEndThatWasWrittenUnseenIsAnEnd: the answer to the last write was lost, and a heartbeat found out that it had been made.
func TestAnEndThatWasWrittenUnseenIsAnEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r, h, ctx := w.parent(wire.DeriveID("unseen end"), &book{dir: w.dir}, DefaultTiming())
	rec, rev := h.state()
	ended := life.Ended{State: wire.StateSucceeded, Text: "done", Now: 5}
	_, err := r.store.put(ctx, life.On(rec, ended).Write, rev)
	w.check(err)
	_, err = h.on(ctx, life.Beat{Step: "late"})
	w.check(err)
	if next, err := h.on(ctx, ended); next != life.Tell || err != nil {
		t.Errorf("%q, %v", next, err)
	}
}
