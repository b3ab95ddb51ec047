package kubernetes

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"palmops/libs/fault"
	"palmops/services/executor/internal/kind"
)

// RestartAnnotation is what kubectl rollout restart writes to the pod template. Ours holds the time at which the action was
// prepared, to the nanosecond: that names the restart, so that it can be told from anybody else's.
const RestartAnnotation = "kubectl.kubernetes.io/restartedAt"

// restart is the goal of new pods.
type restart struct{ rollout }

var _ goal = restart{}

var restarting = restart{rollout{rolloutKeys{
	done: "restart.done", progress: "restart.progress", applied: "restart.applied", changed: "restart.changed", late: "restart.late",
	stopping: "restart.stopping", canceled: "restart.canceled", deleted: "restart.deleted", recreated: "restart.recreated",
	gone: "restart.gone", unsure: "restart.unsure", unreachable: "restart.unreachable", untouched: "restart.untouched", unclear: "restart.unclear",
}}}

// check refuses where the annotation would be written and no pod be replaced.
func (restart) check(_ context.Context, c *change, b *before, o *object) error {
	b.Mark = c.clock().UTC().Format(time.RFC3339Nano)
	switch {
	case o.paused:
		return fault.WithText(fault.New(fault.Conflict, "%s is paused", c.what()), c.say("change.paused", c.what()))
	case o.byHand:
		return fault.WithText(fault.New(fault.Conflict, "%s is updated by hand", c.what()), c.say("restart.by_hand", c.what()))
	}
	return nil
}

func (restart) plan(c *change) string { return c.say("restart.plan", c.what(), c.base.Replicas) }

func (restart) met(before) bool { return false }

// send patches the pod template of exactly the version that was read.
func (restart) send(ctx context.Context, c *change) error {
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"uid": c.now.UID, "resourceVersion": c.now.ResourceVersion},
		"spec":     map[string]any{"template": map[string]any{"metadata": map[string]any{"annotations": map[string]string{RestartAnnotation: c.base.Mark}}}},
	})
	if err != nil {
		return fmt.Errorf("restart: %w", err)
	}
	_, err = c.patch(ctx, c.res, c.ns, c.name, types.MergePatchType, patch)
	return err
}

// found: a change of anything else does not matter to a restart, as long as ours has surely not been there.
func (restart) found(c *change, o *object, doubt bool) (finding, kind.Result) {
	switch {
	case o.restartedAt() == c.base.Mark:
		return reached, kind.Result{}
	case doubt && o.Generation != c.base.Generation:
		return unclear, kind.Result{}
	}
	return again, kind.Result{}
}

func (r restart) verdict(c *change, o *object, fenced bool) kind.Result {
	switch {
	case o.restartedAt() == c.base.Mark:
		return r.applied(c, o)
	case fenced && untouched(c, o):
		return kind.Failed(c.say(r.keys.untouched, c.what()))
	}
	return kind.Unsure(c.say(r.keys.unclear, c.what()))
}

func (r restart) seen(c *change, o *object) (kind.Result, bool) {
	if o.restartedAt() != c.base.Mark {
		return kind.TimedOut(c.say(r.keys.changed, c.what())), true
	}
	if done, is := r.ended(c, o); is {
		return done, true
	}
	r.notYet(c, o)
	return kind.Result{}, false
}
