package kubernetes

import (
	"context"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/watch"

	"palmops/services/executor/internal/kind"
)

// watchSeconds is how long one watch lasts before the deployment is read again.
const watchSeconds = 20

// follow waits until all replicas are as they are wanted. The request has taken effect.
func (c *change) follow(ctx context.Context) kind.Result {
	var last *appsv1.Deployment
	wait := c.retry
	for ctx.Err() == nil {
		d, err := c.getDeployment(ctx, c.ns, c.name)
		if apierrors.IsNotFound(err) {
			return kind.TimedOut(c.goal.deleted(c))
		}
		if err != nil {
			if kind.Pause(ctx, retryAfter(err, wait)) != nil {
				break
			}
			wait = min(2*wait, 2*time.Second)
			continue
		}
		wait = c.retry
		if last = d; d != nil {
			if done := c.seen(d); done != nil {
				return *done
			}
		}
		if done := c.watch(ctx, d, &last); done != nil {
			return *done
		}
		// A watch that ends at once must not become a storm of reads.
		_ = kind.Pause(ctx, c.retry) // an ended context ends the loop
	}
	return c.goal.late(c, last, context.Cause(ctx))
}

// watch follows changes until the watch ends for whatever reason; the caller reads again. A version that is too old (410) ends it as well.
func (c *change) watch(ctx context.Context, d *appsv1.Deployment, last **appsv1.Deployment) *kind.Result {
	wctx, cancel := context.WithTimeout(ctx, (watchSeconds+5)*time.Second)
	defer cancel()
	w, err := c.watchDeployment(wctx, c.ns, c.name, d.ResourceVersion, watchSeconds)
	if err != nil {
		return nil
	}
	defer w.Stop()
	for {
		select {
		case <-wctx.Done():
			return nil
		case ev, ok := <-w.ResultChan():
			if !ok || ev.Type == watch.Error {
				return nil
			}
			next, is := ev.Object.(*appsv1.Deployment)
			if !is || next.Name != c.name || next.Namespace != c.ns {
				continue
			}
			if ev.Type == watch.Deleted {
				return nil
			}
			*last = next
			if done := c.seen(next); done != nil {
				return done
			}
		}
	}
}

// seen looks at one state of the deployment; nil means wait on.
func (c *change) seen(d *appsv1.Deployment) *kind.Result {
	if string(d.UID) != c.base.UID {
		r := kind.TimedOut(c.goal.recreated(c))
		return &r
	}
	if r, done := c.goal.seen(c, d); done {
		return &r
	}
	return nil
}

// ready follows what kubectl rollout status waits for, and that no replica too many is left.
func ready(d *appsv1.Deployment) bool {
	n := wanted(d)
	return d.Status.ObservedGeneration >= d.Generation && d.Status.Replicas == n && d.Status.UpdatedReplicas == n && d.Status.ReadyReplicas == n
}
