package runner

import (
	"context"
	"errors"
	"sync"
	"time"

	"palmops/libs/bus"
	"palmops/libs/fault"
	"palmops/libs/wire"
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
		w, k, _ := r.workOf(rec) // begin has used it
		now, _ := h.state()
		actx, cancel := context.WithTimeout(wctx, w.Timeout)
		result := k.Apply(actx, w, now.Before, h)
		cancel()
		next, err = h.insist(ctx, life.Ended{State: result.State, Text: result.Text, Step: h.newest(), Now: r.o.Now().UnixMilli()})
		h.output = cutOutput(langOf(rec), result.Output)
		if errors.Is(err, kind.ErrLost) {
			r.evidence(now, result)
		}
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
func (r *Runner) take(ctx context.Context, rec *wire.Record, rev uint64, looks bool) (h *hold, wctx context.Context, done func()) {
	wctx, cancel := context.WithCancelCause(ctx)
	unhook := context.AfterFunc(r.halt, func() { cancel(kind.ErrStopping) })
	h = &hold{r: r, id: rec.ID, cancel: cancel, since: time.Now(), looks: looks, rec: rec, rev: rev, written: time.Now()}
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
// declined), or Release (the executor stops).
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
	defer context.AfterFunc(r.stopping, func() { cancel(kind.ErrStopping) })()
	holder, before, err := r.ready(bctx, k, w)
	canceled := errors.Is(context.Cause(wctx), kind.ErrCanceled)
	switch {
	case canceled:
		return decline(wire.StateCanceled, texts.Say(t, "begin.canceled"))
	case err == nil && r.o.Now().After(time.Unix(rec.Expires, 0)):
		return decline(wire.StateExpired, texts.Say(t, "begin.expired"))
	case err == nil:
		return h.on(ctx, life.Prepared{Before: before, Now: r.o.Now().UnixMilli()})
	case errors.Is(context.Cause(wctx), kind.ErrLost):
		return "", kind.ErrLost
	case r.stopping.Err() != nil:
		return h.insist(ctx, life.Stopping{})
	case holder != "":
		return decline(wire.StateFailed, texts.Say(t, "begin.busy", wire.ShortID(holder)))
	case fault.Is(err, fault.Internal):
		return decline(wire.StateFailed, texts.Say(t, "begin.internal")) // the kind's own sentence would leave open whether something was done
	}
	return decline(wire.StateFailed, fault.SafeIn(err, t))
}

// ready locks the target and lets the kind prepare. With an error holder is the action that has the lock, if that is the reason.
func (r *Runner) ready(ctx context.Context, k kind.Kind, w kind.Work) (holder string, before []byte, err error) {
	if target := k.Target(kind.Query{Action: w.Action, Args: w.Args, Lang: w.Lang}); target != "" {
		lctx, cancel := context.WithTimeout(ctx, r.o.Timing.Lock)
		holder, err = r.locks.take(lctx, target, w.ID)
		cancel()
		if err != nil {
			return holder, nil, err
		}
	}
	pctx, cancel := context.WithTimeout(ctx, r.o.Timing.Prepare)
	defer cancel()
	before, err = k.Prepare(pctx, w)
	return "", before, err
}

// probe looks what became of an action whose owner is gone.
func (r *Runner) probe(ctx context.Context, rec *wire.Record, rev uint64) error {
	h, wctx, done := r.take(ctx, rec, rev, true)
	defer done()
	t := langOf(rec)
	result := kind.Unsure(texts.Say(t, "probe.no_action"))
	if w, k, err := r.workOf(rec); err == nil {
		pctx, cancel := context.WithTimeout(wctx, r.o.Timing.Probe)
		result = k.Probe(pctx, w, rec.Before)
		cancel()
	}
	text := texts.Say(t, "probe.known", result.Text)
	if result.State == wire.StateUnknown {
		text = texts.Say(t, "probe.unknown", result.Text)
	}
	next, err := h.insist(ctx, life.Probed{State: result.State, Text: text, Now: r.o.Now().UnixMilli()})
	return r.finish(ctx, h, next, err)
}

// workOf rebuilds the work from the record, which is what was claimed; a message may be anything.
func (r *Runner) workOf(rec *wire.Record) (kind.Work, kind.Kind, error) {
	a, ok := r.o.Catalog.Action(rec.Action)
	if !ok || a.Read {
		return kind.Work{}, nil, fault.New(fault.Denied, "action %s is not in the catalog", rec.Action)
	}
	args, err := wire.ParseArgs(rec.Args)
	if err != nil {
		return kind.Work{}, nil, fault.Wrap(fault.Invalid, err, "arguments of the record")
	}
	k, ok := r.o.Kinds[a.Kind]
	if rec.Action == wire.ActionCancel {
		k, ok = &canceling{r: r, by: rec}, true
	}
	if !ok {
		return kind.Work{}, nil, fault.New(fault.Internal, "no kind %s", a.Kind)
	}
	return kind.Work{ID: rec.ID, Action: a, Args: args, Timeout: a.Timeout, Lang: langOf(rec)}, k, nil
}
