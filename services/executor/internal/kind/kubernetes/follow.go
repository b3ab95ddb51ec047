package kubernetes

import (
	"context"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/watch"

	"palmops/services/executor/internal/kind"
)

// watchSeconds is how long one watch lasts before the object is read again.
const watchSeconds = 20

// follow waits until the object is as it is wanted. The request has taken effect.
func (c *change) follow(ctx context.Context) kind.Result {
	var last *object
	wait := c.retry
	for ctx.Err() == nil {
		o, err := c.get(ctx, c.res, c.ns, c.name)
		if apierrors.IsNotFound(err) {
			return c.goal.deleted(c)
		}
		if err != nil {
			if kind.Pause(ctx, retryAfter(err, wait)) != nil {
				break
			}
			wait = min(2*wait, 2*time.Second)
			continue
		}
		wait = c.retry
		if last = o; o != nil {
			if done := c.seen(o); done != nil {
				return *done
			}
		}
		if done := c.watch(ctx, o, &last); done != nil {
			return *done
		}
		// A watch that ends at once must not become a storm of reads.
		_ = kind.Pause(ctx, c.retry) // an ended context ends the loop
	}
	return c.goal.late(c, last, context.Cause(ctx))
}

// watch follows changes until the watch ends for whatever reason; the caller reads again. A version that is too old (410) ends it as well.
func (c *change) watch(ctx context.Context, o *object, last **object) *kind.Result {
	wctx, cancel := context.WithTimeout(ctx, (watchSeconds+5)*time.Second)
	defer cancel()
	w, err := c.cluster.watch(wctx, c.res, c.ns, c.name, o.ResourceVersion, watchSeconds)
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
			next, err := objectOf(ev.Object)
			if err != nil || next.Name != c.name || next.Namespace != c.ns {
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

// seen looks at one state of the object; nil means wait on.
func (c *change) seen(o *object) *kind.Result {
	if string(o.UID) != c.base.UID {
		r := c.goal.recreated(c)
		return &r
	}
	if r, done := c.goal.seen(c, o); done {
		return &r
	}
	return nil
}
