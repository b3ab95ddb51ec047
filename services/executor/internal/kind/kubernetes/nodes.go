package kubernetes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"k8s.io/apimachinery/pkg/types"

	"palmops/services/executor/internal/kind"
)

// cordon is the goal that a node takes new pods or takes none. Our request is known again by ActionAnnotation: nodes count no
// generations.
type cordon struct {
	closed bool
	always bool // write the annotation even when the node is as it is wanted, so that the next owner sees that the work had begun
}

var _ goal = cordon{}

func (cordon) check(context.Context, *change, *before, *object) error { return nil }

func (n cordon) words(c *change) string {
	if n.closed {
		return c.say("node.closed")
	}
	return c.say("node.open")
}

func (n cordon) plan(c *change) string {
	if n.met(c.base) {
		return c.say("node.same", c.what(), n.words(c))
	}
	return c.say("node.plan", c.what(), cordon{closed: !n.closed}.words(c), n.words(c))
}

func (n cordon) met(b before) bool { return b.Held == n.closed && !n.always }

func (n cordon) send(ctx context.Context, c *change) error {
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{
			"uid": c.now.UID, "resourceVersion": c.now.ResourceVersion, "annotations": map[string]string{ActionAnnotation: c.work.ID},
		},
		"spec": map[string]any{"unschedulable": n.closed},
	})
	if err != nil {
		return fmt.Errorf("cordon: %w", err)
	}
	_, err = c.patch(ctx, c.res, "", c.name, types.MergePatchType, patch)
	return err
}

func (n cordon) found(c *change, o *object, _ bool) (finding, kind.Result) {
	ours := o.Annotations[ActionAnnotation] == c.work.ID
	switch {
	case o.node.Spec.Unschedulable == n.closed && (ours || !n.always):
		return reached, kind.Result{}
	case ours:
		return unclear, kind.Result{} // ours was there, and somebody has turned it round
	}
	return again, kind.Result{}
}

func (n cordon) verdict(c *change, o *object, fenced bool) kind.Result {
	ours := o.Annotations[ActionAnnotation] == c.work.ID
	switch {
	case o.node.Spec.Unschedulable == n.closed && (ours || !n.always):
		return n.done(c)
	case fenced && !ours:
		return kind.Failed(c.say("node.untouched", c.what()))
	}
	return kind.Unsure(c.say("node.unclear", c.what(), n.words(c), cordon{closed: o.node.Spec.Unschedulable}.words(c)))
}

func (n cordon) done(c *change) kind.Result {
	if c.base.Held == n.closed {
		return kind.Ended(c.say("node.same", c.what(), n.words(c)))
	}
	return kind.Ended(c.say("node.done", c.what(), n.words(c)))
}

func (n cordon) seen(c *change, o *object) (kind.Result, bool) {
	if o.node.Spec.Unschedulable != n.closed {
		return kind.TimedOut(c.say("node.changed", c.what(), n.words(c))), true
	}
	return n.done(c), true
}

// late: the request has taken effect, and nobody could look at the node since.
func (n cordon) late(c *change, _ *object, cause error) kind.Result {
	switch {
	case n.met(c.base) && errors.Is(cause, kind.ErrCanceled):
		return kind.Canceled(c.say("change.canceled", c.what()))
	case n.met(c.base):
		return kind.Failed(c.say("node.untouched", c.what()))
	case errors.Is(cause, kind.ErrCanceled):
		return kind.Canceled(c.say("node.late", c.what(), n.words(c)))
	}
	return kind.TimedOut(c.say("node.late", c.what(), n.words(c)))
}

func (n cordon) deleted(c *change) kind.Result {
	return kind.TimedOut(c.say("node.gone", c.what()))
}
func (n cordon) recreated(c *change) kind.Result { return n.deleted(c) }
func (n cordon) gone(c *change, _ *object) kind.Result {
	return kind.Unsure(c.say("node.gone", c.what()))
}
func (n cordon) unsure(c *change) string { return c.say("node.unsure", c.what(), n.words(c)) }

func (n cordon) unreachable(c *change, why string) string {
	return c.say("node.unreachable", c.what(), n.words(c), why)
}
