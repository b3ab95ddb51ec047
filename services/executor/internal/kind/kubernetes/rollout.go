package kubernetes

import (
	"errors"

	"palmops/services/executor/internal/kind"
)

// rollout is what goals share that replace pods by pods of another template: how far it is, and what is said about it.
type rollout struct{ keys rolloutKeys }

// rolloutKeys are the sentences of one such goal.
type rolloutKeys struct {
	done, progress, applied, changed, late, stopping, canceled, deleted, recreated, gone, unsure, unreachable, untouched, unclear string
}

// done judges an object that surely has the template; false while pods are still to be replaced.
func (r rollout) ended(c *change, o *object) (kind.Result, bool) {
	if !o.settled() {
		return kind.Result{}, false
	}
	return kind.Ended(c.say(r.keys.done, c.what(), o.ready, o.wanted)), true
}

// applied is the verdict on an object that surely has the template.
func (r rollout) applied(c *change, o *object) kind.Result {
	if done, is := r.ended(c, o); is {
		return done
	}
	now, due := o.fresh()
	return kind.Ended(c.say(r.keys.applied, c.what(), now, due, o.serving(), o.wanted))
}

// notYet tells how far it is.
func (r rollout) notYet(c *change, o *object) {
	now, due := o.fresh()
	c.hand.Progress(c.say(r.keys.progress, c.what(), now, due, o.serving(), o.wanted))
}

func (r rollout) late(c *change, last *object, cause error) kind.Result {
	state := c.say("progress.unseen")
	if last != nil {
		switch now, due := last.fresh(); {
		case now < due:
			state = c.say("progress.updated", now, due)
		case last.total > last.wanted:
			state = c.say("progress.left", last.total-last.wanted)
		default:
			state = c.say("progress.ready", last.serving(), last.wanted)
		}
	}
	switch {
	case errors.Is(cause, kind.ErrCanceled):
		return kind.Canceled(c.say(r.keys.canceled, c.what(), state))
	case errors.Is(cause, kind.ErrStopping):
		return kind.TimedOut(c.say(r.keys.stopping, c.what(), state))
	}
	return kind.TimedOut(c.say(r.keys.late, c.what(), int(c.work.Timeout.Seconds()), state))
}

func (r rollout) deleted(c *change) kind.Result {
	return kind.TimedOut(c.say(r.keys.deleted, c.what(), c.noun()))
}

func (r rollout) recreated(c *change) kind.Result {
	return kind.TimedOut(c.say(r.keys.recreated, c.what(), c.noun()))
}

func (r rollout) gone(c *change, o *object) kind.Result {
	if o == nil {
		return kind.Unsure(r.unreachable(c, c.say("reach.gone", c.noun())))
	}
	return kind.Unsure(c.say(r.keys.gone, c.what()))
}

func (r rollout) unsure(c *change) string { return c.say(r.keys.unsure, c.what()) }

func (r rollout) unreachable(c *change, why string) string {
	return c.say(r.keys.unreachable, c.what(), why)
}
