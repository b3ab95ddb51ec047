package kubernetes

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	appsv1 "k8s.io/api/apps/v1"

	"palmops/libs/fault"
	"palmops/libs/lang"
	"palmops/libs/wire"
	"palmops/services/executor/catalog"
	"palmops/services/executor/internal/kind"
)

// conflicts is how often a change is tried again because the object had moved on in a way that does not matter to it.
const conflicts = 5

// change is one change of a deployment at work. What it wants is its goal's business; how to make sure that it takes effect
// at most once and is reported truly is the same for every goal.
type change struct {
	*cluster
	goal  goal
	ns    string
	name  string
	work  kind.Work
	hand  kind.Hand
	retry time.Duration
	base  before // as the record has it
	now   before // as last read; what the next request is fenced by
}

// goal is what a change wants of its deployment: a number of replicas, or new pods.
type goal interface {
	// check refuses, before anything is done, what the person did not mean, and adds to b what the goal needs besides.
	check(c *change, b *before, now time.Time) error
	// met says that the deployment as it was read needs no request.
	met(b before) bool
	// send makes the request, fenced by c.now.
	send(ctx context.Context, c *change) error
	// found judges a deployment with the same UID after a conflict. In doubt an earlier request may have taken effect.
	found(c *change, d *appsv1.Deployment, doubt bool) (finding, kind.Result)
	// verdict judges what a lost request came to. Fenced says that none is under way any more; the UID is the same.
	verdict(c *change, d *appsv1.Deployment, fenced bool) kind.Result
	// seen judges one state after the request; false is to wait on. The UID is the same.
	seen(c *change, d *appsv1.Deployment) (kind.Result, bool)
	// late is the truth when the waiting ended; last is nil when nothing was seen.
	late(c *change, last *appsv1.Deployment, cause error) kind.Result
	// Sentences about a request that has been made: the deployment was deleted since, or made anew, whether it took effect is
	// not known, cannot be looked at (with the reason), or cannot be told because the deployment is another one now.
	deleted(c *change) string
	recreated(c *change) string
	unsure(c *change) string
	unreachable(c *change, why string) string
	gone(c *change, d *appsv1.Deployment) string
}

// finding is what follows from a look after a conflict.
type finding int

const (
	again   finding = iota // the request has surely not taken effect: once more, on what was found
	reached                // the deployment is as it is wanted
	unclear                // it may have come and gone: the verdict decides
	over                   // the result says why
)

func (c *change) what() string { return c.ns + "/" + c.name }

func (c *change) say(key string, args ...any) string { return texts.Say(c.work.Lang, key, args...) }

// changeOf makes the change that an action is about.
func (k *Kind) changeOf(w kind.Work) (*change, error) {
	cl, err := k.cluster(w.Action)
	if err != nil {
		return nil, err
	}
	c := &change{cluster: cl, ns: text(w.Args, "namespace"), name: text(w.Args, "deployment"), work: w, retry: k.retry}
	if c.ns == "" || c.name == "" {
		return nil, fault.New(fault.Invalid, "%s: namespace or deployment is missing", w.Action.Verb)
	}
	switch w.Action.Verb {
	case catalog.VerbScale:
		c.goal, err = scaleOf(w.Args)
	case catalog.VerbRestart:
		c.goal = restart{}
	default:
		err = fault.New(fault.Internal, "kubernetes cannot do %q", w.Action.Verb)
	}
	return c, err
}

// resume makes the change of a record, with what Prepare had read.
func (k *Kind) resume(w kind.Work, raw json.RawMessage) (*change, error) {
	c, err := k.changeOf(w)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(raw, &c.base); err != nil {
		return nil, fault.Wrap(fault.Internal, err, "what was read before")
	}
	c.now = c.base
	return c, nil
}

// Prepare reads the deployment and refuses what is not as it was confirmed. A cluster that cannot be reached is asked again for
// as long as the context allows.
func (k *Kind) Prepare(ctx context.Context, w kind.Work) (json.RawMessage, error) {
	c, err := k.changeOf(w)
	if err != nil {
		return nil, err
	}
	d, err := c.read(ctx)
	if err != nil {
		return nil, explain(err, w.Lang, c.what())
	}
	b := beforeOf(d)
	if err := c.goal.check(c, &b, k.now()); err != nil {
		return nil, err
	}
	return json.Marshal(b)
}

// Apply makes the change and waits until all replicas are as they are wanted.
func (k *Kind) Apply(ctx context.Context, w kind.Work, raw json.RawMessage, hand kind.Hand) kind.Result {
	c, err := k.resume(w, raw)
	if err != nil {
		return kind.Failed(texts.Say(w.Lang, "change.broken"))
	}
	c.hand = hand
	if !c.goal.met(c.base) {
		if done := c.set(ctx); done != nil {
			return *done
		}
	}
	return c.follow(ctx)
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
	d, err := c.read(ctx)
	if err != nil {
		return c.giveUp(ctx, err, doubt), false
	}
	if string(d.UID) != c.base.UID {
		if doubt {
			return c.settle(ctx), false
		}
		r := kind.Failed(c.say("change.recreated", c.what()))
		return &r, false
	}
	switch f, r := c.goal.found(c, d, doubt); f {
	case reached:
		return nil, true
	case unclear:
		return c.settle(ctx), false
	case over:
		return &r, false
	}
	next := beforeOf(d)
	next.Mark = c.base.Mark
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
