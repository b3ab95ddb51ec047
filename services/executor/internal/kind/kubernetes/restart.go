package kubernetes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"

	"palmops/services/executor/internal/kind"
)

// RestartAnnotation is what kubectl rollout restart writes to the pod template. Ours holds the time at which the action was
// prepared, to the nanosecond: that names the restart, so that it can be told from anybody else's.
const RestartAnnotation = "kubectl.kubernetes.io/restartedAt"

// restart is the goal of new pods.
type restart struct{}

var _ goal = restart{}

func restartedAt(d *appsv1.Deployment) string { return d.Spec.Template.Annotations[RestartAnnotation] }

func (restart) check(_ *change, b *before, now time.Time) error {
	b.Mark = now.UTC().Format(time.RFC3339Nano)
	return nil
}

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
	_, err = c.patchDeployment(ctx, c.ns, c.name, patch)
	return err
}

// found: a change of anything else does not matter to a restart, as long as ours has surely not been there.
func (restart) found(c *change, d *appsv1.Deployment, doubt bool) (finding, kind.Result) {
	switch {
	case restartedAt(d) == c.base.Mark:
		return reached, kind.Result{}
	case doubt && d.Generation != c.base.Generation:
		return unclear, kind.Result{}
	}
	return again, kind.Result{}
}

func (restart) verdict(c *change, d *appsv1.Deployment, fenced bool) kind.Result {
	n := wanted(d)
	switch {
	case restartedAt(d) == c.base.Mark && ready(d):
		return kind.Ended(c.say("restart.done", c.what(), d.Status.ReadyReplicas, n))
	case restartedAt(d) == c.base.Mark:
		return kind.Ended(c.say("restart.applied", c.what(), updated(d), n, min(d.Status.ReadyReplicas, n), n))
	case fenced && d.Generation == c.base.Generation:
		return kind.Failed(c.say("restart.untouched", c.what()))
	}
	return kind.Unsure(c.say("restart.unclear", c.what()))
}

func (restart) seen(c *change, d *appsv1.Deployment) (kind.Result, bool) {
	n := wanted(d)
	switch {
	case restartedAt(d) != c.base.Mark:
		return kind.TimedOut(c.say("restart.changed", c.what())), true
	case ready(d):
		return kind.Ended(c.say("restart.done", c.what(), d.Status.ReadyReplicas, n)), true
	}
	c.hand.Progress(c.say("restart.progress", c.what(), updated(d), n, min(d.Status.ReadyReplicas, n), n))
	return kind.Result{}, false
}

func (restart) late(c *change, last *appsv1.Deployment, cause error) kind.Result {
	state := c.say("progress.unseen")
	if last != nil {
		n := wanted(last)
		switch now := updated(last); {
		case now < n:
			state = c.say("progress.updated", now, n)
		case last.Status.Replicas > n:
			state = c.say("progress.left", last.Status.Replicas-n)
		default:
			state = c.say("progress.ready", min(last.Status.ReadyReplicas, n), n)
		}
	}
	switch {
	case errors.Is(cause, kind.ErrCanceled):
		return kind.Canceled(c.say("restart.canceled", c.what(), state))
	case errors.Is(cause, kind.ErrStopping):
		return kind.TimedOut(c.say("restart.stopping", c.what(), state))
	}
	return kind.TimedOut(c.say("restart.late", c.what(), int(c.work.Timeout.Seconds()), state))
}

// updated is how many pods are of the newest template, as far as the controller has looked at it.
func updated(d *appsv1.Deployment) int32 {
	if d.Status.ObservedGeneration < d.Generation {
		return 0
	}
	return min(d.Status.UpdatedReplicas, wanted(d))
}

func (restart) deleted(c *change) string   { return c.say("restart.deleted", c.what()) }
func (restart) recreated(c *change) string { return c.say("restart.recreated", c.what()) }
func (restart) unsure(c *change) string    { return c.say("restart.unsure", c.what()) }

func (restart) unreachable(c *change, why string) string {
	return c.say("restart.unreachable", c.what(), why)
}

func (restart) gone(c *change, _ *appsv1.Deployment) string { return c.say("restart.gone", c.what()) }
