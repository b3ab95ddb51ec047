package runner

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"time"

	"palmops/libs/bus"
	"palmops/libs/fault"
	"palmops/libs/wire"
	"palmops/services/executor/catalog"
	"palmops/services/executor/internal/envlock"
	"palmops/services/executor/internal/kind"
	"palmops/services/executor/internal/life"
)

// work carries a claimed action to its end.
func (r *Runner) work(ctx context.Context, rec *wire.Record, rev uint64) error {
	if rec.Attempt == 1 {
		r.metrics.claim.Observe(max(0, r.o.Now().Sub(time.Unix(rec.IssuedAt, 0)).Seconds()))
	}
	r.metrics.running.Inc()
	defer r.metrics.running.Dec()
	h, wctx, done := r.take(ctx, rec, rev, false)
	defer done()
	next, err := r.begin(ctx, wctx, h)
	if next == life.Apply {
		next, err = r.apply(ctx, wctx, h)
	}
	return r.finish(ctx, h, next, err)
}

// finish reports what has been written, or says why the message must come again.
func (r *Runner) finish(ctx context.Context, h *hold, next life.Next, err error) error {
	switch {
	case errors.Is(err, kind.ErrLost):
		return bus.Later(r.o.Timing.Beat, err)
	case err != nil:
		return err
	case next == life.Release:
		return bus.Later(0, kind.ErrStopping)
	case next != life.Tell:
		return fault.New(fault.Internal, "action stopped at %q", next)
	}
	rec, rev := h.state()
	r.observer.Forget(rec.ID)
	return r.tell(ctx, rec, rev, h.output)
}

// take starts the heartbeat of an action that this executor owns now. The context for the work ends when the action is
// lost or has to halt; done ends the heartbeat and must be called last.
func (r *Runner) take(ctx context.Context, rec *wire.Record, rev uint64, looks bool, change ...func(*hold)) (h *hold, wctx context.Context, done func()) {
	wctx, cancel := context.WithCancelCause(ctx)
	unhook := context.AfterFunc(r.halt, func() { cancel(kind.ErrStopping) })
	h = &hold{r: r, id: rec.ID, cancel: cancel, since: time.Now(), looks: looks, rec: rec, rev: rev, written: time.Now()}
	for _, c := range change {
		c(h)
	}
	r.hold(h)
	bctx, quiet := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { h.beat(bctx) })
	return h, wctx, func() {
		r.let(h)
		quiet()
		wg.Wait()
		unhook()
		cancel(nil)
	}
}

// begin locks the target, lets the kind prepare, and writes that the action is running. What follows is Apply, Tell (it was
// declined, or was a dry run), or Release (the executor stops).
func (r *Runner) begin(ctx, wctx context.Context, h *hold) (life.Next, error) {
	rec, _ := h.state()
	t := langOf(rec)
	decline := func(state, text string) (life.Next, error) {
		return h.insist(ctx, life.Declined{State: state, Text: text, Now: r.o.Now().UnixMilli()})
	}
	w, k, err := r.workOf(rec)
	if err != nil {
		return decline(wire.StateFailed, fault.SafeIn(err, t))
	}
	// What has not begun ends as soon as the executor stops.
	bctx, cancel := context.WithCancelCause(wctx)
	defer cancel(nil)
	if h.parent == nil { // a step belongs to what has begun
		defer context.AfterFunc(r.stopping, func() { cancel(kind.ErrStopping) })()
	}
	ready, err := r.ready(bctx, k, w, h)
	canceled := errors.Is(context.Cause(wctx), kind.ErrCanceled)
	switch {
	case canceled:
		return decline(wire.StateCanceled, texts.Say(t, "begin.canceled"))
	case err == nil && r.o.Now().After(time.Unix(rec.Expires, 0)):
		return decline(wire.StateExpired, texts.Say(t, "begin.expired"))
	case err == nil && rec.Noop:
		return h.insist(ctx, life.Planned{Text: texts.Say(t, "noop.done", strings.TrimRight(ready.plan, "。. \n")), Now: r.o.Now().UnixMilli()})
	case err == nil && ready.barred != nil:
		return decline(wire.StateFailed, texts.Say(t, "begin.barred", r.place(ready.barred, t), ready.barred.Say(r.o.Now(), r.zone(), t)))
	case err == nil:
		return h.on(ctx, life.Prepared{Before: ready.before, Now: r.o.Now().UnixMilli()})
	case errors.Is(context.Cause(wctx), kind.ErrLost):
		return "", kind.ErrLost
	case r.stopping.Err() != nil && h.parent == nil:
		return h.insist(ctx, life.Stopping{})
	case ready.holder != "":
		return decline(wire.StateFailed, texts.Say(t, "begin.busy", wire.ShortID(ready.holder)))
	case fault.Is(err, fault.Internal):
		return decline(wire.StateFailed, texts.Say(t, "begin.internal")) // the kind's own sentence would leave open whether something was done
	}
	return decline(wire.StateFailed, fault.SafeIn(err, t))
}

// readiness is what is known right before an action may begin.
type readiness struct {
	before json.RawMessage
	plan   string        // of a dry run
	holder string        // with an error: the action that works on the target, if that is the reason
	barred *envlock.Lock // somebody else's, of the environment
}

// ready locks the target, lets the kind prepare, and looks for locks of the environment; of a dry run it has the kind say what
// would be done.
func (r *Runner) ready(ctx context.Context, k kind.Kind, w kind.Work, h *hold) (readiness, error) {
	rec, _ := h.state()
	var out readiness
	var err error
	target := k.Target(kind.Query{Action: w.Action, Args: w.Args, Lang: w.Lang})
	if target != "" && w.Action.Class == catalog.Change && !rec.Noop {
		lctx, cancel := context.WithTimeout(ctx, r.o.Timing.Lock)
		out.holder, err = r.locks.take(lctx, target, w.ID, w.Action.PerTarget, func(holder string) { h.waits(lctx, holder) })
		cancel()
		if err != nil {
			return out, err
		}
	}
	pctx, cancel := context.WithTimeout(ctx, r.o.Timing.Prepare)
	defer cancel()
	if out.before, err = k.Prepare(pctx, w); err != nil {
		return out, err
	}
	switch {
	case !rec.Noop:
		if out.barred, err = r.barred(pctx, rec, w.Action); err != nil {
			err = fault.WithText(err, texts.Say(w.Lang, "lock.store"))
		}
	case w.Action.Class == catalog.Report:
		out.plan = texts.Say(w.Lang, "noop.report")
	default:
		out.plan, err = k.Plan(pctx, w, out.before)
	}
	return out, err
}

// probe looks what became of an action whose owner is gone.
func (r *Runner) probe(ctx context.Context, rec *wire.Record, rev uint64) error {
	h, wctx, done := r.take(ctx, rec, rev, true)
	defer done()
	t := langOf(rec)
	result := r.look(wctx, rec)
	if result.State != wire.StateSucceeded && result.State != wire.StateFailed {
		result.State = wire.StateUnknown // a look knows no other
	}
	text := texts.Say(t, "probe.known", result.Text)
	if result.State == wire.StateUnknown {
		text = texts.Say(t, "probe.unknown", result.Text)
	}
	next, err := h.insist(ctx, life.Probed{State: result.State, Text: text, Now: r.o.Now().UnixMilli()})
	return r.finish(ctx, h, next, err)
}

// look lets the kind find out what a dead owner left, where there is something to find out.
func (r *Runner) look(ctx context.Context, rec *wire.Record) kind.Result {
	t := langOf(rec)
	w, k, err := r.workOf(rec)
	switch {
	case err != nil:
		return kind.Unsure(texts.Say(t, "probe.no_action"))
	case w.Action.Class == catalog.Report:
		return kind.Failed(texts.Say(t, "probe.report"))
	case w.Action.Blind:
		return kind.Unsure(texts.Say(t, "probe.blind"))
	}
	if s, ok := k.(stepper); ok && !r.settleSteps(ctx, rec, s.Steps(w.Action)) {
		return kind.Unsure(texts.Say(t, "probe.steps"))
	}
	ctx, cancel := context.WithTimeout(ctx, r.o.Timing.Probe)
	defer cancel()
	return k.Probe(ctx, w, rec.Before)
}

// workOf rebuilds the work from the record, which is what was claimed; a message may be anything.
func (r *Runner) workOf(rec *wire.Record) (kind.Work, kind.Kind, error) {
	a, ok := r.o.Catalog.Action(rec.Action)
	if !ok || a.Class == catalog.Question {
		return kind.Work{}, nil, fault.New(fault.Denied, "action %s is not in the catalog", rec.Action)
	}
	args, err := wire.ParseArgs(rec.Args)
	if err != nil {
		return kind.Work{}, nil, fault.Wrap(fault.Invalid, err, "arguments of the record")
	}
	k, ok := r.builtInKind(rec)
	if !ok {
		k, ok = r.o.Kinds[a.Kind]
	}
	if !ok {
		return kind.Work{}, nil, fault.New(fault.Internal, "no kind %s", a.Kind)
	}
	w := kind.Work{ID: rec.ID, Action: a, Args: args, Timeout: a.Timeout, Lang: langOf(rec)}
	if s, ok := k.(stepper); ok {
		w.Steps = func(ctx context.Context) (map[string]wire.Record, error) { return r.stepsOf(ctx, rec.ID, s.Steps(a)) }
	}
	return w, k, nil
}
