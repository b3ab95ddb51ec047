package kubernetes

import (
	"context"
	"errors"

	corev1 "k8s.io/api/core/v1"

	"palmops/libs/fault"
	"palmops/services/executor/internal/kind"
)

// deletion is the goal that one pod, and no other that has taken its name, is gone.
type deletion struct{ grace *int64 }

var _ goal = deletion{}

func (deletion) check(_ context.Context, c *change, _ *before, o *object) error {
	if seen := text(c.work.Args, argUID); seen != "" && seen != string(o.UID) {
		return fault.WithText(fault.New(fault.Conflict, "%s is another pod now", c.what()), c.say("change.recreated", c.what()))
	}
	if _, mirror := o.Annotations[corev1.MirrorPodAnnotationKey]; mirror {
		return fault.WithText(fault.New(fault.Conflict, "%s is a mirror pod", c.what()), c.say("pod.mirror", c.what()))
	}
	return nil
}

func (deletion) plan(c *change) string {
	switch {
	case c.base.Held:
		return c.say("pod.leaving", c.what())
	case c.base.Owner == "":
		return c.say("pod.plan_alone", c.what())
	}
	return c.say("pod.plan", c.what(), c.base.Owner)
}

func (deletion) met(b before) bool { return b.Held }

func (d deletion) send(ctx context.Context, c *change) error {
	return c.deletePod(ctx, c.ns, c.name, c.now, d.grace)
}

func (deletion) found(_ *change, o *object, _ bool) (finding, kind.Result) {
	if o.DeletionTimestamp != nil {
		return reached, kind.Result{}
	}
	return again, kind.Result{} // a pod that is not on its way out was surely not deleted
}

func (deletion) verdict(c *change, o *object, fenced bool) kind.Result {
	switch {
	case o.DeletionTimestamp != nil:
		return kind.Ended(c.say("pod.leaving", c.what()))
	case fenced:
		return kind.Failed(c.say("pod.untouched", c.what()))
	}
	return kind.Unsure(c.say("pod.unsure", c.what()))
}

func (deletion) seen(c *change, o *object) (kind.Result, bool) {
	c.hand.Progress(c.say("pod.leaving", c.what()))
	return kind.Result{}, false
}

func (deletion) late(c *change, _ *object, cause error) kind.Result {
	switch {
	case errors.Is(cause, kind.ErrCanceled) && c.base.Held:
		return kind.Canceled(c.say("pod.waited", c.what()))
	case errors.Is(cause, kind.ErrCanceled):
		return kind.Canceled(c.say("pod.canceled", c.what()))
	case errors.Is(cause, kind.ErrStopping):
		return kind.TimedOut(c.say("pod.stopping", c.what()))
	}
	return kind.TimedOut(c.say("pod.late", c.what(), int(c.work.Timeout.Seconds())))
}

// done is the end of the pod, whatever has its name now.
func (deletion) done(c *change) kind.Result {
	if c.base.Owner == "" {
		return kind.Ended(c.say("pod.done_alone", c.what()))
	}
	return kind.Ended(c.say("pod.done", c.what(), c.base.Owner))
}

func (d deletion) deleted(c *change) kind.Result         { return d.done(c) }
func (d deletion) recreated(c *change) kind.Result       { return d.done(c) }
func (d deletion) gone(c *change, _ *object) kind.Result { return d.done(c) }

func (deletion) unsure(c *change) string { return c.say("pod.unsure", c.what()) }

func (deletion) unreachable(c *change, why string) string {
	return c.say("pod.unreachable", c.what(), why)
}
