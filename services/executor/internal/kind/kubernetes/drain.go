package kubernetes

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"palmops/libs/fault"
	"palmops/libs/wire"
	"palmops/services/executor/internal/kind"
)

// How often a drain looks at the pods that are still there, and asks again for those that a budget holds back; in first pauses
// (Kind.retry), so that tests are quick.
const (
	lookEvery  = 4
	againEvery = 20
)

// drain cordons a node and evicts its pods one after the other, each with leave of its own. Pods that a daemon set or the node
// itself owns stay. Evictions name the UID of their pod, so that one which comes late or twice hits no other pod of that name.
type drain struct {
	node    *change // the cordon
	allowed DrainSettings
	grace   *int64
	hand    kind.Hand

	total int             // pods that were to go when the work began
	left  []leaving       // those of them that were still there at the last look
	asked map[string]bool // UIDs whose eviction was accepted
	sent  map[string]bool // UIDs whose eviction may have been accepted: its answer is not known
	held  map[string]hold // UIDs that a budget holds back
}

// hold is why a pod could not be evicted so far.
type hold struct {
	name, why string
	again     time.Time
}

var _ operation = (*drain)(nil)

func (k *Kind) drainOf(cl *cluster, w kind.Work) (*drain, error) {
	c := &change{
		cluster: cl, goal: cordon{closed: true, always: true}, res: nodeRes, name: text(w.Args, argNode), work: w, retry: k.retry, clock: k.now,
	}
	if c.name == "" {
		return nil, fault.New(fault.Invalid, "drain: the node is missing")
	}
	allowed, _ := w.Action.Settings.(DrainSettings)
	return &drain{node: c, allowed: allowed, grace: graceOf(w.Args), asked: map[string]bool{}, sent: map[string]bool{}, held: map[string]hold{}}, nil
}

func (d *drain) say(key string, args ...any) string { return d.node.say(key, args...) }

func (d *drain) target() string { return d.node.target() }

func (d *drain) resume(raw json.RawMessage) error { return d.node.resume(raw) }

func (d *drain) prepare(ctx context.Context) (any, error) {
	o, err := d.node.read(ctx)
	if err != nil {
		return nil, explain(err, d.node.work.Lang, d.node.what())
	}
	var on onNode
	err = d.node.insist(ctx, d.node.retry, func() (err error) {
		on, err = d.node.podsOn(ctx, d.node.name, d.allowed)
		return err
	})
	if err != nil {
		return nil, explain(err, d.node.work.Lang, d.say("what.node_pods", d.node.name))
	}
	if len(on.refuse) > 0 {
		return nil, fault.WithText(fault.New(fault.Conflict, "%d pods may not be evicted from %s", len(on.refuse), d.node.name),
			d.say("drain.refused", d.node.name, some(on.refuse, 3)))
	}
	b := beforeOf(o)
	b.Pods, b.Stay = len(on.leave), on.stay
	return b, nil
}

func (d *drain) plan() string {
	b := d.node.base
	return d.say("drain.plan", d.node.name, b.Pods, b.Stay)
}

func (d *drain) apply(ctx context.Context, hand kind.Hand) kind.Result {
	d.hand, d.node.hand = hand, hand
	switch done := d.node.set(ctx); {
	case done != nil && done.State != wire.StateSucceeded:
		return *done
	case done != nil: // it took effect unseen, and then the time was up
		done.State, done.Text = wire.StateTimeout, d.say("drain.cordoned", d.node.name)
		if errors.Is(context.Cause(ctx), kind.ErrCanceled) {
			done.State = wire.StateCanceled
		}
		return *done
	}
	return d.evictAll(ctx)
}

// evictAll goes round the pods until none is left that has to go.
func (d *drain) evictAll(ctx context.Context) kind.Result {
	for first := true; ; {
		on, err := d.node.podsOn(ctx, d.node.name, d.allowed)
		switch {
		case err != nil && natureOf(err) == refused:
			return d.broken(err)
		case err == nil:
			d.left = append(on.leave, on.refused...) // who came since and may not be evicted keeps the drain from its end
			if d.total = max(d.total, len(d.left)); first {
				d.total, first = len(d.left), false
			}
			if len(d.left) == 0 {
				return kind.Ended(d.say("drain.done", d.node.name, d.total, on.stay))
			}
			if done := d.round(ctx, on.leave); done != nil {
				return *done
			}
			d.hand.Progress(d.say("drain.progress", d.node.name, d.went(), d.total))
		}
		if kind.Pause(ctx, lookEvery*d.node.retry) != nil {
			return d.ended(ctx)
		}
	}
}

// went is how many pods were gone at the last look.
func (d *drain) went() int { return d.total - len(d.left) }

// round asks for the eviction of each pod for which it has not been accepted yet; nil is to go on.
func (d *drain) round(ctx context.Context, leave []leaving) *kind.Result {
	end := func(r kind.Result) *kind.Result { return &r }
	for _, p := range leave {
		uid := string(p.uid)
		if p.going || d.asked[uid] || d.node.clock().Before(d.held[uid].again) {
			continue
		}
		if ctx.Err() != nil {
			return end(d.ended(ctx))
		}
		if err := d.hand.Step(ctx); err != nil {
			return end(d.noLeave(ctx, err))
		}
		err := d.node.evict(ctx, p.ns, p.name, p.uid, d.grace)
		if err == nil {
			d.asked[uid] = true
			delete(d.held, uid)
			continue
		}
		switch n := natureOf(err); {
		case n == throttled || budgetFault(err):
			d.held[uid] = hold{name: p.what(), why: reasonOf(err), again: d.node.clock().Add(max(againEvery*d.node.retry, retryAfter(err, 0)))}
		case n == refused && !gone(err):
			return end(d.broken(err))
		case n == lost:
			d.sent[uid] = true // it is asked again in the next round, and is the same pod then or none
		}
	}
	return nil
}

// noLeave: nothing more may be evicted.
func (d *drain) noLeave(ctx context.Context, err error) kind.Result {
	if errors.Is(err, kind.ErrLost) || ctx.Err() != nil {
		return d.ended(ctx)
	}
	return kind.TimedOut(d.say("drain.store", d.node.name, d.went(), d.total))
}

// broken ends a drain that the cluster refuses. The node is cordoned by then.
func (d *drain) broken(err error) kind.Result {
	why := reasonOf(err)
	if apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err) {
		why = d.say("reach.denied")
	}
	return kind.TimedOut(d.say("drain.broken", d.node.name, d.went(), d.total, why))
}

// ended is the truth when the time is up, somebody wants the end, or the action is another executor's.
func (d *drain) ended(ctx context.Context) kind.Result {
	cause := context.Cause(ctx)
	stay, seen := d.look(ctx)
	switch canceled := errors.Is(cause, kind.ErrCanceled); {
	case seen && len(d.left) == 0 && !errors.Is(cause, kind.ErrLost):
		return kind.Ended(d.say("drain.done", d.node.name, d.total, stay))
	case d.total == 0 && canceled: // nobody could list the pods, so that none was asked to go
		return kind.Canceled(d.say("drain.cordoned", d.node.name))
	case d.total == 0:
		return kind.TimedOut(d.say("drain.cordoned", d.node.name))
	case canceled:
		return kind.Canceled(d.say("drain.canceled", d.node.name, d.went(), d.total, d.leavingYet()))
	case errors.Is(cause, kind.ErrStopping):
		return kind.TimedOut(d.say("drain.stopping", d.node.name, d.went(), d.total))
	case errors.Is(cause, context.DeadlineExceeded):
		return kind.TimedOut(d.say("drain.late", d.node.name, int(d.node.work.Timeout.Seconds()), d.went(), d.total, d.rest()))
	}
	return kind.Unsure(d.say("drain.taken", d.node.name, d.went(), d.total))
}

// look reads once more what is there, with some time of its own; without an answer the last look stands.
func (d *drain) look(ctx context.Context) (stay int, seen bool) {
	own, cancel := context.WithTimeout(context.WithoutCancel(ctx), requestTimeout)
	defer cancel()
	on, err := d.node.podsOn(own, d.node.name, d.allowed)
	if err != nil {
		return 0, false
	}
	d.left = append(on.leave, on.refused...)
	d.total = max(d.total, len(d.left))
	return on.stay, true
}

// leavingYet is how many pods have been asked to go and are still there.
func (d *drain) leavingYet() int {
	n := 0
	for _, p := range d.left {
		if p.going || d.asked[string(p.uid)] || d.sent[string(p.uid)] {
			n++
		}
	}
	return n
}

// rest names the pods that are still there; those that a budget holds back come first, with what the cluster said about it.
func (d *drain) rest() string {
	var held, other []string
	for _, p := range d.left {
		if h, is := d.held[string(p.uid)]; is {
			held = append(held, d.say("drain.held", h.name, h.why))
		} else {
			other = append(other, p.what())
		}
	}
	return some(append(held, other...), 3)
}

func (d *drain) probe(ctx context.Context) kind.Result {
	c := d.node
	o, fenced, err := c.fence(ctx)
	switch {
	case gone(err):
		return kind.Unsure(d.say("node.gone", c.name))
	case err != nil:
		return kind.Unsure(d.say("drain.unreachable", c.name, c.reach(err)))
	case string(o.UID) != c.base.UID:
		return kind.Unsure(d.say("node.gone", c.name))
	}
	r := c.goal.verdict(c, o, fenced)
	if r.State != wire.StateSucceeded {
		return r // not even the cordon has surely been there
	}
	on, err := c.podsOn(ctx, c.name, d.allowed)
	if err != nil {
		return kind.Unsure(d.say("drain.unreachable", c.name, c.reach(err)))
	}
	left := len(on.leave) + len(on.refused)
	if left == 0 {
		return kind.Ended(d.say("drain.done", c.name, c.base.Pods, on.stay))
	}
	return kind.Unsure(d.say("drain.unclear", c.name, left, max(left, c.base.Pods)))
}
