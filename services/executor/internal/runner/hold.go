package runner

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.uber.org/zap"

	"palmops/libs/fault"
	"palmops/libs/wire"
	"palmops/services/executor/internal/kind"
	"palmops/services/executor/internal/life"
)

// Pace of progress on its way to the user.
const (
	progressFirst = 2 * time.Second // an action that ends sooner shows none
	progressEvery = 5 * time.Second
)

// hold is an action in this executor's hands: the record as this executor last wrote it. All writes go through it; the
// first one that is lost ends the work.
type hold struct {
	r      *Runner
	cancel context.CancelCauseFunc // of the work
	id     string
	since  time.Time
	looks  bool // the work is a probe, which is not cancelled: it ends soon, and tells

	mu      sync.Mutex
	rec     *wire.Record
	rev     uint64
	written time.Time // when the last successful write was asked for, monotonic
	lost    bool
	line    string // newest progress
	queue   string // what is said while the target is busy, before the work
	sent    string // what the user saw last
	sentAt  time.Time

	parent *hold     // of a step: the action whose step it is
	prefix string    // of a step: what its parent had said before it
	until  time.Time // of a step: when its parent has to be done

	output string      // for the result; set once, by the worker
	result kind.Result // as the kind gave it, masked; set by the worker
}

var _ kind.Hand = (*hold)(nil)

// on feeds an event to the action's life and writes the outcome. Errors: kind.ErrLost; Transient, nothing is known to be
// written and the same event may be fed again.
func (h *hold) on(ctx context.Context, ev life.Event) (life.Next, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.lost {
		return "", kind.ErrLost
	}
	for range 2 {
		step := life.On(h.rec, ev)
		switch {
		case step.Write != nil:
		case wire.Final(h.rec.State): // by this very owner, whose last write was found to have been made
			return life.Tell, nil
		default:
			return step.Next, nil
		}
		step.Write.Summary = h.r.mask.Text(step.Write.Summary)
		asked := time.Now() // and not when the answer is read, which a process that was stopped meanwhile does much later
		rev, err := h.r.store.put(ctx, step.Write, h.rev)
		if err == nil {
			moved := h.rec.State != step.Write.State
			h.rec, h.rev, h.written = step.Write, rev, asked
			if moved {
				h.r.note(h.rec)
			}
			return step.Next, nil
		}
		if !errors.Is(err, errMoved) {
			return "", err
		}
		if err := h.catchUp(ctx); err != nil {
			return "", err
		}
	}
	return "", fault.New(fault.Transient, "the record moved twice under its owner")
}

// catchUp looks who moved the record. An earlier write of this very hold whose answer was lost is taken over; everything
// else ends the work.
func (h *hold) catchUp(ctx context.Context) error {
	rec, rev, err := h.r.store.get(ctx, h.rec.ID)
	switch {
	case err != nil:
		return err
	case rev > 0 && rev <= h.rev:
		return fault.New(fault.Transient, "a stale copy of the record was read")
	case rec != nil && rec.Owner == h.rec.Owner && rec.Attempt == h.rec.Attempt:
		h.rec, h.rev = rec, rev
		return nil
	}
	h.lost = true
	h.cancel(kind.ErrLost)
	return kind.ErrLost
}

// insist feeds an event until it is written, lost, or ctx ends.
func (h *hold) insist(ctx context.Context, ev life.Event) (life.Next, error) {
	wait := 100 * time.Millisecond
	for {
		next, err := h.on(ctx, ev)
		if err == nil || errors.Is(err, kind.ErrLost) {
			return next, err
		}
		if kind.Pause(ctx, wait) != nil {
			return "", err
		}
		wait = min(2*wait, 2*time.Second)
	}
}

// fresh is how recent a write must be to count as leave for the next effect. Time spent stopped counts.
const fresh = 300 * time.Millisecond

// Step proves that the action is still this executor's.
func (h *hold) Step(ctx context.Context) error {
	h.mu.Lock()
	recent := !h.lost && time.Since(h.written) < fresh
	h.mu.Unlock()
	if recent && ctx.Err() == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, h.r.o.Timing.Lease)
	defer cancel()
	if _, err := h.insist(ctx, life.Beat{}); err != nil {
		return fault.Wrap(fault.Transient, err, "leave for the next step")
	}
	return ctx.Err()
}

// Progress keeps the newest line; the next heartbeat carries it on. A step's line is its parent's too.
func (h *hold) Progress(line string) {
	line = kind.Line(h.r.mask.Text(line), maxProgress)
	h.mu.Lock()
	h.line = line
	t := langOf(h.rec)
	h.mu.Unlock()
	if h.parent != nil {
		h.parent.Progress(texts.Say(t, "step.progress", h.prefix, line))
	}
}

// deadline is when a step has to be done because its parent has; zero for every other action.
func (h *hold) deadline() time.Time { return h.until }

// waits says which action has to end first. The person hears of it once the wait is long enough to notice.
func (h *hold) waits(ctx context.Context, holder string) {
	h.mu.Lock()
	h.queue = texts.Say(langOf(h.rec), "begin.waits", wire.ShortID(holder))
	line := h.queue
	h.mu.Unlock()
	if h.parent != nil {
		h.Progress(line)
	}
	h.tellProgress(ctx)
}

// newest is the newest line of progress.
func (h *hold) newest() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.line
}

// beat keeps the record alive until ctx ends, and publishes progress.
func (h *hold) beat(ctx context.Context) {
	t := time.NewTicker(h.r.o.Timing.Beat)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		if _, err := h.on(ctx, life.Beat{Step: h.newest()}); err != nil {
			if errors.Is(err, kind.ErrLost) {
				return
			}
			if ctx.Err() == nil {
				h.r.o.Log.Warn("heartbeat not written", zap.String("action", h.id), zap.Error(err))
			}
			continue
		}
		h.tellProgress(ctx)
	}
}

func (h *hold) tellProgress(ctx context.Context) {
	h.mu.Lock()
	now := time.Now()
	line := h.line
	if h.rec.State == wire.StateClaimed {
		line = h.queue
	}
	due := h.parent == nil && !wire.Final(h.rec.State) && line != "" && line != h.sent &&
		now.Sub(h.since) >= progressFirst && (h.sentAt.IsZero() || now.Sub(h.sentAt) >= progressEvery)
	if !due {
		h.mu.Unlock()
		return
	}
	h.sent, h.sentAt = line, now
	ev := h.r.event(h.rec, h.rev)
	ev.State, ev.Text = wire.StateRunning, line // also while it waits for its target: progress has no other state
	h.mu.Unlock()
	if err := h.r.publish(ctx, ev); err != nil {
		h.r.o.Log.Debug("progress lost", zap.String("action", ev.ID), zap.Error(err)) // the result will tell
	}
}

// state is the record and revision as last written.
func (h *hold) state() (*wire.Record, uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.rec, h.rev
}
