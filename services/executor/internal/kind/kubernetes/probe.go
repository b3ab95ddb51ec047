package kubernetes

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"palmops/libs/fault"
	"palmops/services/executor/internal/kind"
)

// FenceAnnotation is written to an object when somebody has to find out whether a lost request took effect. It holds the
// action's id. The write moves the resourceVersion on, so that the lost request, should it still be under way, can only be
// refused; and its answer is the state at that very moment.
const FenceAnnotation = "palmops.io/fence"

// ActionAnnotation holds the id of the newest action that changed an object whose own fields do not tell. It is written by the
// change's own request.
const ActionAnnotation = "palmops.io/action"

func (c *change) probe(ctx context.Context) kind.Result { return c.verdict(ctx) }

// verdict fences, looks and judges.
func (c *change) verdict(ctx context.Context) kind.Result {
	o, fenced, err := c.fence(ctx)
	switch {
	case apierrors.IsNotFound(err):
		return c.goal.gone(c, nil)
	case err != nil:
		return kind.Unsure(c.goal.unreachable(c, c.reach(err)))
	case string(o.UID) != c.base.UID:
		return c.goal.gone(c, o)
	}
	return c.goal.verdict(c, c.observed(ctx, o), fenced)
}

// observed gives the controller some time to look at what the fence has written, which may be a generation of its own: until then
// the numbers of the status mean nothing.
func (c *change) observed(ctx context.Context, o *object) *object {
	for range 3 {
		if o.template == nil || o.observed >= o.Generation || kind.Pause(ctx, c.retry) != nil {
			break
		}
		next, err := c.get(ctx, c.res, c.ns, c.name)
		if err != nil || next.UID != o.UID || next.Generation != o.Generation {
			break
		}
		o = next
	}
	return o
}

// fence writes the annotation. Where the cluster does not allow that, it only reads.
func (c *change) fence(ctx context.Context) (o *object, fenced bool, err error) {
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": map[string]string{FenceAnnotation: c.work.ID}}})
	if err != nil {
		return nil, false, fmt.Errorf("fence: %w", err)
	}
	wait := c.retry
	for {
		o, err = c.patch(ctx, c.res, c.ns, c.name, types.MergePatchType, patch)
		if err == nil {
			return o, true, nil
		}
		if natureOf(err) == refused {
			o, err = c.read(ctx)
			return o, false, err
		}
		if perr := kind.Pause(ctx, retryAfter(err, wait)); perr != nil {
			return nil, false, err
		}
		wait = min(2*wait, 2*time.Second)
	}
}

// reach says in a few words why a look was not possible.
func (c *change) reach(err error) string {
	if fault.KindOf(explain(err, c.work.Lang, c.what())) == fault.Denied {
		return c.say("reach.denied")
	}
	return c.say("reach.down")
}

// untouched says of an object that has been fenced, and is not as it was wanted, that the change has not been there and been taken
// back: both would have been a generation each. One may be the fence's own, since the API server counts a changed
// annotation of a deployment like a changed spec.
func untouched(c *change, o *object) bool { return o.Generation <= c.base.Generation+1 }
