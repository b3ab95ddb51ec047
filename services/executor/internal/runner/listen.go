package runner

import (
	"context"
	"encoding/json"
	"runtime/debug"
	"strings"
	"time"

	"go.uber.org/zap"

	"palmops/libs/wire"
	"palmops/services/executor/internal/kind"
	"palmops/services/executor/internal/life"
)

// cancelWorkers is how many cancellations this process hears and carries at once, of each sort.
const cancelWorkers = 16

// listen hears of cancellations beside the queue: stop requests for actions in this executor's hands, and cancellations as
// they are ordered.
//
// A message on ACT is also a plain message on its subject, so that all executors hear a new cancellation at once; one of
// them takes it. That lets it by the orders that wait and the pool's limit of actions at once. Nothing depends on it: the
// same message comes through the queue as well, and finds a record by then, or does the work.
func (r *Runner) listen() (quiet func(), err error) {
	c := r.o.Catalog
	every := strings.TrimSuffix(wire.ActSubject(c.Zone, c.Pool, wire.ActionCancel, "x"), "x") + "*"
	deaf, err := r.o.Bus.Serve(every, Durable(c.Zone, c.Pool), cancelWorkers, func(ctx context.Context, _ string, data []byte) any {
		r.express(ctx, data)
		return nil // the sender waits for the stream's answer, not for one of ours
	})
	if err != nil {
		return nil, err
	}
	stop, err := r.o.Bus.Serve(stopSubject(c.Zone, c.Pool, r.o.Self), "", cancelWorkers, func(ctx context.Context, _ string, data []byte) any {
		var req stopRequest
		if json.Unmarshal(data, &req) != nil {
			return nil
		}
		return stopAnswer{V: wire.Version, Held: r.stopWork(ctx, req)}
	})
	if err != nil {
		deaf()
		return nil, err
	}
	return func() { deaf(); stop() }, nil
}

// express carries a cancellation that nobody has taken yet. What cannot be done here is left to the queue.
func (r *Runner) express(ctx context.Context, data []byte) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), margin)
	defer cancel()
	defer context.AfterFunc(r.end, cancel)()
	order, err := r.o.Guard.Order(data, r.o.Now())
	if err != nil || order.Claims.Action != wire.ActionCancel || r.stopping.Err() != nil {
		return
	}
	born := bornOf(order, nil)
	log := r.o.Log.With(zap.String("action", born.ID))
	if !r.enter(born.ID) {
		return
	}
	defer r.leave(born.ID)
	defer func() {
		if p := recover(); p != nil {
			log.Error("panic in a cancellation; it comes again", zap.Any("panic", p), zap.ByteString("stack", debug.Stack()))
		}
	}()
	for again := true; again; {
		rec, _, gerr := r.store.get(ctx, born.ID)
		if gerr != nil || rec != nil && !life.Void(rec) {
			return
		}
		if again, err = r.deliver(ctx, born, nil); err != nil {
			log.Debug("cancellation left to the queue", zap.Error(err))
		}
	}
}

// stopWork ends the work on an action in this executor's hands, if a cancellation by its own person is under way. It does not
// wait for the end. A request alone does nothing: what counts is the record of the cancellation.
func (r *Runner) stopWork(ctx context.Context, req stopRequest) (held bool) {
	r.mu.Lock()
	h := r.held[req.ID]
	r.mu.Unlock()
	if h == nil {
		return false
	}
	target, _ := h.state()
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	for { // in a cluster the cancellation's record may be read before it is there
		by, _, err := r.store.get(ctx, req.By)
		if err == nil && by != nil && by.State == wire.StateRunning {
			if by.Action != wire.ActionCancel || !life.Same(by, target) || cancels(by) != req.ID {
				return false
			}
			break
		}
		if kind.Pause(ctx, 50*time.Millisecond) != nil || r.gone(req.ID) {
			return false
		}
	}
	if !h.looks {
		h.cancel(kind.ErrCanceled)
	}
	return true
}

// cancels is the id of the action that a cancellation is about.
func cancels(by *wire.Record) string {
	args, err := wire.ParseArgs(by.Args)
	if err != nil {
		return ""
	}
	return targetOf(args)
}

func (r *Runner) gone(id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.held[id] == nil
}

func (r *Runner) hold(h *hold) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.held[h.id] = h
}

func (r *Runner) let(h *hold) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.held, h.id)
}
