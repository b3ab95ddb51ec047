package runner

import (
	"context"
	"errors"
	"fmt"
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
	h, wctx, done := r.take(ctx, rec, rev)
	defer done()
	next, err := r.begin(ctx, wctx, h)
	if next == life.Apply {
		w, k, _ := r.workOf(rec) // begin has used it
		now, _ := h.state()
		actx, cancel := context.WithTimeout(wctx, w.Timeout)
		result := k.Apply(actx, w, now.Before, h)
		cancel()
		next, err = h.insist(ctx, life.Ended{State: result.State, Text: result.Text, Now: r.o.Now().UnixMilli()})
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
	return r.tell(ctx, rec, rev)
}

// take starts the heartbeat of an action that this executor owns now. The context for the work ends when the action is
// lost or has to halt; done ends the heartbeat and must be called last.
func (r *Runner) take(ctx context.Context, rec *wire.Record, rev uint64) (h *hold, wctx context.Context, done func()) {
	wctx, cancel := context.WithCancelCause(ctx)
	unhook := context.AfterFunc(r.halt, func() { cancel(kind.ErrStopping) })
	h = &hold{r: r, id: rec.ID, cancel: cancel, since: time.Now(), rec: rec, rev: rev, written: time.Now()}
	bctx, quiet := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { h.beat(bctx) })
	return h, wctx, func() {
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
	decline := func(text string) (life.Next, error) {
		return h.insist(ctx, life.Declined{State: wire.StateFailed, Text: text, Now: r.o.Now().UnixMilli()})
	}
	w, k, err := r.workOf(rec)
	if err != nil {
		return decline(fault.Safe(err))
	}
	// What has not begun ends as soon as the executor stops.
	bctx, cancel := context.WithCancelCause(wctx)
	defer cancel(nil)
	defer context.AfterFunc(r.stopping, func() { cancel(kind.ErrStopping) })()
	target := k.Target(w.Action, w.Args)
	lctx, lcancel := context.WithTimeout(bctx, r.o.Timing.Lock)
	holder, err := r.locks.take(lctx, target, rec.ID)
	lcancel()
	if err == nil {
		pctx, pcancel := context.WithTimeout(bctx, r.o.Timing.Prepare)
		var before []byte
		before, err = k.Prepare(pctx, w)
		pcancel()
		if err == nil {
			return r.run(ctx, h, before)
		}
	}
	switch {
	case errors.Is(context.Cause(wctx), kind.ErrLost):
		return "", kind.ErrLost
	case r.stopping.Err() != nil:
		return h.insist(ctx, life.Stopping{})
	case holder != "":
		return decline(fmt.Sprintf("目标正被另一个操作 #%s 处理，没有执行任何操作。请等它结束后再重新发起。", wire.ShortID(holder)))
	}
	return decline(unbegun(err))
}

// run writes that the action is running, unless it has waited past its expiry.
func (r *Runner) run(ctx context.Context, h *hold, before []byte) (life.Next, error) {
	rec, _ := h.state()
	now := r.o.Now()
	if now.After(time.Unix(rec.Expires, 0)) {
		return h.insist(ctx, life.Declined{State: wire.StateExpired, Text: "等待时间过长，已过有效期，没有执行任何操作。需要的话请重新发起。", Now: now.UnixMilli()})
	}
	return h.on(ctx, life.Prepared{Before: before, Now: now.UnixMilli()})
}

// unbegun is the text for a failure before the first effect, which must not leave open whether something was done.
func unbegun(err error) string {
	if fault.Is(err, fault.Internal) {
		return "执行器内部错误，没有执行任何操作。请联系管理员。"
	}
	return fault.Safe(err)
}

// probe looks what became of an action whose owner is gone.
func (r *Runner) probe(ctx context.Context, rec *wire.Record, rev uint64) error {
	h, wctx, done := r.take(ctx, rec, rev)
	defer done()
	result := kind.Unsure("执行器的操作清单里已没有这个操作，无法核对结果。请先查看目标状态，不要直接重试。")
	if w, k, err := r.workOf(rec); err == nil {
		pctx, cancel := context.WithTimeout(wctx, r.o.Timing.Probe)
		result = k.Probe(pctx, w, rec.Before)
		cancel()
	}
	text := "执行过程中执行器中断。" + result.Text
	if result.State == wire.StateUnknown {
		text = "执行过程中执行器中断，结果未知：" + result.Text
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
	if !ok {
		return kind.Work{}, nil, fault.New(fault.Internal, "no kind %s", a.Kind)
	}
	return kind.Work{ID: rec.ID, Action: a, Args: args, Timeout: a.Timeout}, k, nil
}
