package kubernetes

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"

	"palmops/libs/fault"
	"palmops/services/executor/internal/kind"
)

// FenceAnnotation is written to a deployment when somebody has to find out whether a lost request took effect. It holds the
// action's id. The write moves the resourceVersion on, so that the lost request, should it still be under way, can only be
// refused; and its answer is the state at that very moment.
const FenceAnnotation = "palmops.io/fence"

// Probe says what became of a change whose owner died.
func (k *Kind) Probe(ctx context.Context, w kind.Work, raw json.RawMessage) kind.Result {
	c, err := k.resume(w, raw)
	if err != nil {
		return kind.Unsure(texts.Say(w.Lang, "change.unprobed"))
	}
	return c.verdict(ctx)
}

// verdict fences, looks and judges.
func (c *change) verdict(ctx context.Context) kind.Result {
	d, fenced, err := c.fence(ctx)
	if err != nil {
		return kind.Unsure(c.goal.unreachable(c, c.reach(err)))
	}
	if string(d.UID) != c.base.UID {
		return kind.Unsure(c.goal.gone(c, d))
	}
	return c.goal.verdict(c, d, fenced)
}

// fence writes the annotation. Where the cluster does not allow that, it only reads.
func (c *change) fence(ctx context.Context) (d *appsv1.Deployment, fenced bool, err error) {
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": map[string]string{FenceAnnotation: c.work.ID}}})
	if err != nil {
		return nil, false, fmt.Errorf("fence: %w", err)
	}
	wait := c.retry
	for {
		d, err = c.patchDeployment(ctx, c.ns, c.name, patch)
		if err == nil {
			return d, true, nil
		}
		if natureOf(err) == refused {
			d, err = c.read(ctx)
			return d, false, err
		}
		if perr := kind.Pause(ctx, retryAfter(err, wait)); perr != nil {
			return nil, false, err
		}
		wait = min(2*wait, 2*time.Second)
	}
}

// reach says in a few words why a look was not possible.
func (c *change) reach(err error) string {
	switch fault.KindOf(explain(err, c.work.Lang, c.what())) {
	case fault.NotFound:
		return c.say("reach.gone")
	case fault.Denied:
		return c.say("reach.denied")
	}
	return c.say("reach.down")
}
