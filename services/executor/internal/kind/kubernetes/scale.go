package kubernetes

import (
	"context"
	"errors"

	"palmops/libs/fault"
	"palmops/services/executor/internal/kind"
)

// scale is the goal of a number of replicas.
type scale struct {
	replicas int32
	from     int32 // the number that the operator saw; -1 when none was given
}

var _ goal = scale{}

func scaleOf(args map[string]any) (scale, error) {
	s := scale{from: -1}
	n, ok := args["replicas"].(int64)
	if !ok || n < 0 || n > 1<<31-1 {
		return s, fault.New(fault.Invalid, "scale: arguments are not those of a scale")
	}
	s.replicas = int32(n)
	if from, given := args["from"].(int64); given {
		if from < 0 || from > 1<<31-1 {
			return s, fault.New(fault.Invalid, "scale: from is out of range")
		}
		s.from = int32(from)
	}
	return s, nil
}

func (s scale) check(_ context.Context, c *change, b *before, _ *object) error {
	if s.from < 0 || b.Replicas == s.from {
		return nil
	}
	return fault.WithText(fault.New(fault.Conflict, "replicas are %d, %d were confirmed", b.Replicas, s.from),
		c.say("scale.moved", c.what(), b.Replicas, s.from))
}

func (s scale) plan(c *change) string {
	return c.say("scale.plan", c.what(), c.base.Replicas, s.replicas)
}

func (s scale) met(b before) bool { return b.Replicas == s.replicas }

func (s scale) send(ctx context.Context, c *change) error {
	return c.setScale(ctx, c.res, c.ns, c.name, c.now, s.replicas)
}

// found counts changes of the spec by the generation: as long as it stands, nothing was applied.
func (s scale) found(c *change, o *object, doubt bool) (finding, kind.Result) {
	n := o.wanted
	switch {
	case n == s.replicas:
		return reached, kind.Result{}
	case n != c.base.Replicas:
		if doubt && o.Generation != c.base.Generation+1 {
			return unclear, kind.Result{} // ours may have come and gone
		}
		return over, kind.Failed(c.say("scale.moved", c.what(), n, c.base.Replicas))
	case doubt && o.Generation != c.base.Generation:
		return unclear, kind.Result{}
	}
	return again, kind.Result{}
}

func (s scale) verdict(c *change, o *object, fenced bool) kind.Result {
	n := o.wanted
	switch {
	case n == s.replicas && o.settled():
		return kind.Ended(s.done(c, o))
	case n == s.replicas:
		return kind.Ended(c.say("scale.applied", c.what(), c.base.Replicas, s.replicas, min(o.ready, n), n))
	case fenced && n == c.base.Replicas && untouched(c, o):
		return kind.Failed(c.say("scale.untouched", c.what(), n))
	}
	return kind.Unsure(c.say("scale.unclear", c.what(), n, c.base.Replicas, s.replicas))
}

func (s scale) seen(c *change, o *object) (kind.Result, bool) {
	switch {
	case o.wanted != s.replicas:
		return kind.TimedOut(c.say("scale.changed", c.what(), s.replicas, o.wanted)), true
	case o.settled():
		return kind.Ended(s.done(c, o)), true
	}
	c.hand.Progress(c.say("scale.done", c.what(), c.base.Replicas, s.replicas, min(o.ready, s.replicas), s.replicas))
	return kind.Result{}, false
}

func (s scale) done(c *change, o *object) string {
	if c.base.Replicas == s.replicas {
		return c.say("scale.same", c.what(), s.replicas, o.ready, s.replicas)
	}
	return c.say("scale.done", c.what(), c.base.Replicas, s.replicas, o.ready, s.replicas)
}

func (s scale) late(c *change, last *object, cause error) kind.Result {
	state := c.say("progress.unseen")
	if last != nil {
		state = c.say("progress.ready", min(last.ready, s.replicas), s.replicas)
		if last.total > s.replicas {
			state = c.say("progress.left", last.total-s.replicas)
		}
	}
	switch {
	case errors.Is(cause, kind.ErrCanceled) && c.base.Replicas == s.replicas:
		return kind.Canceled(c.say("scale.waited", c.what(), s.replicas, state))
	case errors.Is(cause, kind.ErrCanceled):
		return kind.Canceled(c.say("scale.canceled", c.what(), c.base.Replicas, s.replicas, state))
	case errors.Is(cause, kind.ErrStopping):
		return kind.TimedOut(c.say("scale.stopping", c.what(), s.replicas, state))
	}
	return kind.TimedOut(c.say("scale.late", c.what(), s.replicas, int(c.work.Timeout.Seconds()), state))
}

func (s scale) deleted(c *change) kind.Result {
	return kind.TimedOut(c.say("scale.deleted", c.what(), s.replicas, c.noun()))
}

func (s scale) recreated(c *change) kind.Result {
	return kind.TimedOut(c.say("scale.recreated", c.what(), s.replicas, c.noun()))
}

func (s scale) gone(c *change, o *object) kind.Result {
	if o == nil {
		return kind.Unsure(s.unreachable(c, c.say("reach.gone", c.noun())))
	}
	return kind.Unsure(c.say("scale.gone", c.what(), o.wanted))
}

func (s scale) unsure(c *change) string { return c.say("scale.unsure", c.what(), s.replicas) }

func (s scale) unreachable(c *change, why string) string {
	return c.say("scale.unreachable", c.what(), s.replicas, why)
}
