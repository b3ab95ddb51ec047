package kubernetes

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"palmops/libs/fault"
	"palmops/libs/lang"
	"palmops/libs/wire"
	"palmops/services/executor/internal/kind"
)

// conflicts is how often a change is tried again because the object had moved on in a way that does not matter to it.
const conflicts = 5

// change is one change of one object at work. What it wants is its goal's business; how to make sure that it takes effect
// at most once and is reported truly is the same for every goal.
type change struct {
	*cluster
	goal  goal
	res   resource
	ns    string // "" for a node
	name  string
	work  kind.Work
	hand  kind.Hand
	retry time.Duration
	clock func() time.Time
	base  before // as the record has it
	now   before // as last read; what the next request is fenced by
}

var _ operation = (*change)(nil)

// goal is what a change wants of its object: a number of replicas, new pods, the end of a pod.
type goal interface {
	// check refuses, before anything is done, what the person did not mean, and adds to b what the goal needs besides.
	check(ctx context.Context, c *change, b *before, o *object) error
	// plan says what send would change.
	plan(c *change) string
	// met says that the object as it was read needs no request.
	met(b before) bool
	// send makes the request, fenced by c.now.
	send(ctx context.Context, c *change) error
	// found judges an object with the same UID after a conflict. In doubt an earlier request may have taken effect.
	found(c *change, o *object, doubt bool) (finding, kind.Result)
	// verdict judges what a lost request came to. Fenced says that none is under way any more; the UID is the same.
	verdict(c *change, o *object, fenced bool) kind.Result
	// seen judges one state after the request; false is to wait on. The UID is the same.
	seen(c *change, o *object) (kind.Result, bool)
	// late is the truth when the waiting ended; last is nil when nothing was seen.
	late(c *change, last *object, cause error) kind.Result
	// deleted and recreated judge that the object went away while it was waited for.
	deleted(c *change) kind.Result
	recreated(c *change) kind.Result
	// gone judges that the object is not there any more when a lost request is looked after; o is the one in its place, or nil.
	gone(c *change, o *object) kind.Result
	// Sentences about a request of which it is not known whether it took effect, and which cannot be looked at (with the reason).
	unsure(c *change) string
	unreachable(c *change, why string) string
}

// finding is what follows from a look after a conflict.
type finding int

const (
	again   finding = iota // the request has surely not taken effect: once more, on what was found
	reached                // the deployment is as it is wanted
	unclear                // it may have come and gone: the verdict decides
	over                   // the result says why
)

func (c *change) what() string {
	if c.ns == "" {
		return c.name
	}
	return c.ns + "/" + c.name
}

func (c *change) say(key string, args ...any) string { return texts.Say(c.work.Lang, key, args...) }

// noun is what the object is called in a sentence.
func (c *change) noun() string { return c.say(c.res.noun) }

func (c *change) target() string { return targetName(c.work.Action.Target, c.ns, c.res, c.name) }

// changeOf makes the change that an action is about.
func (k *Kind) changeOf(cl *cluster, w kind.Work) (*change, error) {
	c := &change{cluster: cl, ns: text(w.Args, argNamespace), work: w, retry: k.retry, clock: k.now}
	var err error
	switch w.Action.Verb {
	case verbScale, verbScaleStatefulSet:
		c.goal, err = scaleOf(w.Args)
	case verbRestart, verbRestartStatefulSet:
		c.goal = restarting
	case verbUndo:
		c.goal = undoOf(w.Args)
	case verbDeletePod:
		c.goal = deletion{grace: graceOf(w.Args)}
	case verbCordon, verbUncordon:
		c.goal = cordon{closed: w.Action.Verb == verbCordon}
	default:
		return nil, fault.New(fault.Internal, "kubernetes cannot do %q", w.Action.Verb)
	}
	switch w.Action.Verb {
	case verbScaleStatefulSet, verbRestartStatefulSet:
		c.res = statefulRes
	case verbDeletePod:
		c.res = podRes
	case verbCordon, verbUncordon:
		c.res, c.ns = nodeRes, ""
	default:
		c.res = deploymentRes
	}
	c.name = text(w.Args, c.res.one)
	if c.name == "" || c.ns == "" && !c.res.global {
		return nil, fault.New(fault.Invalid, "%s: namespace or %s is missing", w.Action.Verb, c.res.one)
	}
	return c, err
}

func graceOf(args map[string]any) *int64 {
	if n, given := integer(args, argGrace); given {
		return &n
	}
	return nil
}

func (c *change) resume(raw json.RawMessage) error {
	if err := take(raw, &c.base); err != nil {
		return err
	}
	c.now = c.base
	return nil
}

func (c *change) prepare(ctx context.Context) (any, error) {
	o, err := c.read(ctx)
	if err != nil {
		return nil, explain(err, c.work.Lang, c.what())
	}
	b := beforeOf(o)
	if err := c.goal.check(ctx, c, &b, o); err != nil {
		return nil, err
	}
	return b, nil
}

func (c *change) plan() string { return c.goal.plan(c) }

func (c *change) apply(ctx context.Context, hand kind.Hand) kind.Result {
	c.hand = hand
	if !c.goal.met(c.base) {
		if done := c.set(ctx); done != nil {
			return *done
		}
	}
	return c.follow(ctx)
}

// read gets the object, again and again while the API does not answer, until the context ends.
func (c *change) read(ctx context.Context) (*object, error) {
	var o *object
	err := c.insist(ctx, c.retry, func() (err error) {
		o, err = c.get(ctx, c.res, c.ns, c.name)
		return err
	})
	return o, err
}

// set makes the request; nil means that it has taken effect. A request whose answer was lost is repeated as it is: the fence
// lets at most one of them take effect. When nothing can be learned any more, the probe decides.
func (c *change) set(ctx context.Context) *kind.Result {
	doubt := false // a request may have taken effect unseen
	moves := 0
	wait := c.retry
	for {
		if err := c.hand.Step(ctx); err != nil {
			return c.noLeave(ctx, err, doubt)
		}
		err := c.goal.send(ctx, c)
		if err == nil {
			return nil
		}
		switch natureOf(err) {
		case refused:
			if doubt {
				return c.settle(ctx)
			}
			return failed(explain(err, c.work.Lang, c.what()), c.work.Lang)
		case stale:
			if moves++; moves > conflicts {
				return c.giveUp(ctx, err, doubt)
			}
			if done, set := c.look(ctx, doubt); done != nil || set {
				return done
			}
			doubt = false // the object has moved past every earlier fence
			continue
		case lost:
			doubt = true
		}
		if perr := kind.Pause(ctx, retryAfter(err, wait)); perr != nil {
			return c.giveUp(ctx, err, doubt)
		}
		wait = min(2*wait, 2*time.Second)
	}
}

// look reads the object after a conflict. Set means that it is as it is wanted already.
func (c *change) look(ctx context.Context, doubt bool) (done *kind.Result, set bool) {
	o, err := c.read(ctx)
	if err != nil {
		return c.giveUp(ctx, err, doubt), false
	}
	if string(o.UID) != c.base.UID {
		if doubt {
			return c.settle(ctx), false
		}
		r := kind.Failed(c.say("change.recreated", c.what()))
		return &r, false
	}
	switch f, r := c.goal.found(c, o, doubt); f {
	case reached:
		return nil, true
	case unclear:
		return c.settle(ctx), false
	case over:
		return &r, false
	}
	next := beforeOf(o)
	next.Mark, next.Revision, next.Source = c.base.Mark, c.base.Revision, c.base.Source
	c.now, c.base = next, next // surely not by us
	return nil, false
}

// noLeave ends an attempt for which Step gave no leave: nothing more may be written, not even a fence.
func (c *change) noLeave(ctx context.Context, err error, doubt bool) *kind.Result {
	cause := context.Cause(ctx)
	var r kind.Result
	switch {
	case doubt:
		r = kind.Unsure(c.goal.unsure(c))
	case errors.Is(err, kind.ErrLost) || errors.Is(cause, kind.ErrLost):
		r = kind.Failed(c.say("change.taken"))
	default:
		if done := c.unbegun(cause); done != nil {
			return done
		}
		r = kind.Failed(c.say("change.store"))
	}
	return &r
}

// unbegun is the result of a change that must end before anything was done; nil when nobody asked for that.
func (c *change) unbegun(cause error) *kind.Result {
	var r kind.Result
	switch {
	case errors.Is(cause, kind.ErrCanceled):
		r = kind.Canceled(c.say("change.canceled", c.what()))
	case errors.Is(cause, kind.ErrStopping):
		r = kind.Failed(c.say("change.stopping"))
	default:
		return nil
	}
	return &r
}

// giveUp ends an attempt: with a plain failure when surely nothing was done.
func (c *change) giveUp(ctx context.Context, err error, doubt bool) *kind.Result {
	cause := context.Cause(ctx)
	switch {
	case errors.Is(cause, kind.ErrLost):
		return c.noLeave(ctx, err, doubt)
	case doubt:
		return c.settle(ctx)
	}
	if done := c.unbegun(cause); done != nil {
		return done
	}
	return failed(explain(err, c.work.Lang, c.what()), c.work.Lang)
}

// settle asks the probe, with some time of its own: the work's may be over.
func (c *change) settle(ctx context.Context) *kind.Result {
	own, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*requestTimeout)
	defer cancel()
	r := c.verdict(own)
	if done := c.unbegun(context.Cause(ctx)); done != nil && r.State == wire.StateFailed {
		return done // surely not applied, and the person or the executor wanted the end
	}
	return &r
}

func failed(err error, t lang.Tag) *kind.Result {
	r := kind.Failed(fault.SafeIn(err, t))
	return &r
}
