package runner

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"palmops/libs/fault"
	"palmops/libs/wire"
	"palmops/services/executor/catalog"
	"palmops/services/executor/internal/kind"
	"palmops/services/executor/internal/life"
)

// A step is an action that another one, a workflow, orders from the same catalog. It has a record of its own, made and moved
// by the same rules as every other, with Parent set. What differs: no message on ACT stands for it, so that whoever takes its parent
// over settles it, and the sweeper does where that fails; and nobody is told of it on RES, since the person hears from the parent.

// stepper is a kind whose actions have steps.
type stepper interface {
	// Steps are the names that Hand.Run may be called with for an action, in the order in which they may be begun.
	Steps(a catalog.Action) []string
}

// stepID is the id of a step's record.
func stepID(parent, name string) string { return wire.DeriveID(parent, "step", name) }

// stepValid is how long a step may wait for its target and its kind's reading; both have limits of their own that are shorter.
const stepValid = 10 * time.Minute

// Run carries out another action as a step of this one.
func (h *hold) Run(ctx context.Context, name, action string, args map[string]any) kind.Result {
	r := h.r
	parent, _ := h.state()
	t := langOf(parent)
	born, err := r.stepOrder(parent, name, action, args)
	if err != nil {
		return kind.Failed(fault.SafeIn(err, t))
	}
	if !r.enter(born.ID) {
		return kind.Unsure(texts.Say(t, "step.unsure"))
	}
	defer r.leave(born.ID)
	if err := h.Step(ctx); err != nil { // an action that has another owner begins nothing
		return kind.Failed(texts.Say(t, "step.lost"))
	}
	rec, rev, err := r.store.get(ctx, born.ID)
	switch {
	case err != nil:
		return kind.Failed(texts.Say(t, "step.store"))
	case rec != nil && !wire.Final(rec.State):
		return kind.Unsure(texts.Say(t, "step.unsure"))
	}
	made := life.On(rec, life.Delivered{Born: born, Self: r.o.Self, Now: r.o.Now().UnixMilli()})
	switch {
	case made.Write != nil:
	case made.Next == life.Tell:
		return r.stepResult(ctx, rec)
	case rec.Parent == parent.ID: // closed by whoever took the parent over
		return kind.Failed(texts.Say(t, "step.lost"))
	default:
		return kind.Failed(texts.Say(t, "step.store"))
	}
	if rev, err = r.store.put(ctx, made.Write, rev); err != nil { // a record that was made nevertheless says claimed: nothing was done, and the sweeper ends it
		return kind.Failed(texts.Say(t, "step.store"))
	}
	r.note(made.Write)
	if made.Next != life.Prepare { // the person had cancelled it
		return r.stepResult(ctx, made.Write)
	}
	return r.carryStep(ctx, h, made.Write, rev)
}

// stepOrder is the record of a step before anything happened to it, held against the catalog as an order would be. The error
// has a text for the user.
func (r *Runner) stepOrder(parent *wire.Record, name, action string, args map[string]any) (wire.Record, error) {
	t := langOf(parent)
	refuse := func(key string, args ...any) (wire.Record, error) {
		return wire.Record{}, fault.WithText(fault.New(fault.Denied, "step %s of %s: %s", name, parent.ID, key), texts.Say(t, key, args...))
	}
	a, ok := r.o.Catalog.Action(action)
	_, nests := r.o.Kinds[a.Kind].(stepper)
	switch {
	case !ok || a.Class == catalog.Question || a.Kind == catalog.KindBuiltIn:
		return refuse("step.unknown", action)
	case parent.Parent != "" || nests:
		return refuse("step.nested")
	case a.Class == catalog.Change && !a.OpenAt(r.o.Now()):
		return refuse("step.hours", action)
	}
	if err := a.Check(args, t); err != nil {
		return wire.Record{}, err
	}
	raw, err := wire.CanonicalArgs(args)
	if err != nil {
		return refuse("step.unknown", action)
	}
	now := r.o.Now()
	return wire.Record{
		V: wire.Version, ID: stepID(parent.ID, name), Parent: parent.ID, Corp: parent.Corp, App: parent.App, User: parent.User, Zone: parent.Zone, Pool: parent.Pool,
		Action: action, Title: name, Args: raw, ArgsHash: wire.ArgsHash(raw), IssuedAt: now.Unix(), Expires: now.Add(stepValid).Unix(),
		Lang: parent.Lang, Report: a.Class == catalog.Report,
	}, nil
}

// carryStep carries a claimed step to its end. The step ends with its parent's context, for the same reason, but what it has to
// write is written all the same.
func (r *Runner) carryStep(ctx context.Context, parent *hold, rec *wire.Record, rev uint64) kind.Result {
	t := langOf(rec)
	base, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(r.end, cancel)()
	s, wctx, done := r.take(base, rec, rev, false, func(s *hold) {
		s.parent, s.prefix = parent, parent.newest()
		s.until, _ = ctx.Deadline()
	})
	defer done()
	defer context.AfterFunc(ctx, func() { s.cancel(context.Cause(ctx)) })()
	next, err := r.begin(base, wctx, s)
	if next == life.Apply {
		next, err = r.apply(base, wctx, s)
	}
	now, _ := s.state()
	if err != nil || next != life.Tell || !wire.Final(now.State) {
		r.o.Log.Warn("step without a written end", zap.String("action", rec.ID), zap.String("parent", rec.Parent), zap.Error(err))
		return kind.Unsure(texts.Say(t, "step.unsure"))
	}
	r.observer.Forget(now.ID)
	if s.result.State == "" { // it was declined
		s.result = kind.Result{State: now.State, Text: now.Summary}
	}
	return refusedAsFailed(s.result)
}

// stepResult is the result of a step that had ended before.
func (r *Runner) stepResult(ctx context.Context, rec *wire.Record) kind.Result {
	out := kind.Result{State: rec.State, Text: rec.Summary}
	if rec.Output != nil {
		out.Output, _ = r.outputs.head(ctx, rec.Output) // what it printed is no part of whether it was done
	}
	return refusedAsFailed(out)
}

// refusedAsFailed gives what was never begun the state that a kind knows for it.
func refusedAsFailed(result kind.Result) kind.Result {
	if result.State == wire.StateExpired || result.State == wire.StateRejected {
		result.State = wire.StateFailed
	}
	return result
}

// stepsOf reads the records of an action's steps, by their names.
func (r *Runner) stepsOf(ctx context.Context, parent string, names []string) (map[string]wire.Record, error) {
	out := map[string]wire.Record{}
	for _, name := range names {
		rec, _, err := r.store.get(ctx, stepID(parent, name))
		if err != nil {
			return nil, err
		}
		if rec != nil {
			out[name] = *rec
		}
	}
	return out, nil
}

// settleSteps ends the steps that a dead owner left open, and closes the ids of those that were never begun. The caller owns the
// parent by now. False when that was not possible in time: what is open stays for the sweeper, and what has no record may
// still be begun by an owner that was frozen right before it.
func (r *Runner) settleSteps(ctx context.Context, parent *wire.Record, names []string) bool {
	ctx, cancel := context.WithTimeout(ctx, 2*r.o.Timing.Probe)
	defer cancel()
	for _, name := range names {
		id := stepID(parent.ID, name)
		for {
			over, err := r.settleStep(ctx, parent, id)
			if over {
				break
			}
			if err != nil && !errors.Is(err, errMoved) {
				r.o.Log.Warn("step of a dead owner not settled yet", zap.String("action", id), zap.Error(err))
			}
			if kind.Pause(ctx, min(r.o.Timing.Beat, time.Second)/5) != nil {
				return false
			}
		}
	}
	return true
}

// settleStep makes one attempt to end a step whose parent has lost its owner; over says that it has ended. One that was never begun
// gets a record that says so: the former owner, should it only have slept right before it, finds the id used up.
func (r *Runner) settleStep(ctx context.Context, parent *wire.Record, id string) (over bool, err error) {
	rec, rev, err := r.store.get(ctx, id)
	if err != nil {
		return false, err
	}
	if rec == nil || life.Void(rec) { // a void one keeps nobody but its own person from it
		now, beat := r.o.Now(), int64(1)
		if rec != nil {
			beat = rec.Beat + 1
		}
		_, err := r.store.put(ctx, &wire.Record{
			V: wire.Version, ID: id, Parent: parent.ID, State: wire.StateExpired, Corp: parent.Corp, App: parent.App, User: parent.User, Zone: parent.Zone, Pool: parent.Pool,
			Action: parent.Action, Owner: r.o.Self, Summary: texts.Say(langOf(parent), "step.orphan"), IssuedAt: now.Unix(), Expires: now.Unix(),
			Created: now.UnixMilli(), Ended: now.UnixMilli(), Lang: parent.Lang, Beat: beat,
		}, rev)
		return err == nil, err
	}
	if wire.Final(rec.State) {
		return true, nil
	}
	if !r.enter(id) {
		return false, nil // the sweeper has it
	}
	defer r.leave(id)
	return false, r.adoptStep(ctx, rev, rec)
}

// adoptStep takes over a step that no living owner works on: what was not begun ends as failed, what was is probed.
func (r *Runner) adoptStep(ctx context.Context, rev uint64, rec *wire.Record) error {
	now := r.o.Now().UnixMilli()
	step := life.On(rec, life.Declined{State: wire.StateFailed, Text: texts.Say(langOf(rec), "step.orphan"), Now: now})
	if rec.State == wire.StateRunning {
		step = life.On(rec, life.Delivered{Born: *rec, Self: r.o.Self, Now: now})
	}
	if step.Write == nil {
		return fault.New(fault.Internal, "a step in state %q asks for %q", rec.State, step.Next)
	}
	rev, err := r.store.put(ctx, step.Write, rev)
	if err != nil {
		return err
	}
	r.note(step.Write)
	if step.Next != life.Probe {
		return nil
	}
	return r.probe(ctx, step.Write, rev)
}

// orphan reports whether a record is a step that may have lost its owner without anybody being handed a message about it: also one
// of this very process, which may have been unable to write its end.
func orphan(rec *wire.Record) bool {
	return rec.Parent != "" && (rec.State == wire.StateClaimed || rec.State == wire.StateRunning)
}
