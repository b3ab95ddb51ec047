package runner

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"palmops/libs/fault"
	"palmops/libs/wire"
	"palmops/services/executor/internal/envlock"
	"palmops/services/executor/internal/kind"
)

// locking is the built-in kind of wire.ActionLock and wire.ActionUnlock, made for one such action. The one write of it goes
// over the revision that Prepare has read: who else was quicker is never overwritten.
type locking struct {
	builtIn
	free bool // gives back instead of taking
}

// lockBefore is what Prepare has read.
type lockBefore struct {
	Rev  uint64        `json:"rev"`
	Lock *envlock.Lock `json:"lock,omitempty"`
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// wanted is the lock as the action's arguments speak of it.
func (c *locking) wanted(w kind.Work) envlock.Lock {
	env, _ := w.Args["env"].(string) // the catalog has seen to the types
	name, _ := w.Args["name"].(string)
	reason, _ := w.Args["reason"].(string)
	minutes, given := w.Args["minutes"].(int64)
	if !given {
		minutes = wire.DefaultLockMinutes
	}
	now := c.r.o.Now()
	return envlock.Lock{
		V: wire.Version, Env: env, Name: name, Corp: c.by.Corp, App: c.by.App, User: c.by.User, Reason: reason,
		Since: now.UnixMilli(), Until: now.Add(time.Duration(minutes) * time.Minute).UnixMilli(), ID: c.by.ID,
	}
}

// Prepare refuses what the catalog does not know and what is somebody else's.
func (c *locking) Prepare(ctx context.Context, w kind.Work) (json.RawMessage, error) {
	want := c.wanted(w)
	env, known := c.r.o.Catalog.Environments[want.Env]
	switch {
	case !known:
		return nil, fault.WithText(fault.New(fault.NotFound, "no environment %s", want.Env), c.say("lock.no_env", want.Env))
	case want.Name != "" && !slices.Contains(env.Locks, want.Name):
		return nil, fault.WithText(fault.New(fault.NotFound, "no lock %s", want.Value()), c.say("lock.no_name", want.Env, want.Name))
	}
	has, rev, err := c.r.envLock(ctx, want.Env, want.Name)
	if err != nil {
		return nil, fault.WithText(err, c.say("lock.store"))
	}
	if err := c.refuse(has, want, w); err != nil {
		return nil, err
	}
	return json.Marshal(lockBefore{Rev: rev, Lock: has})
}

func (c *locking) refuse(has *envlock.Lock, want envlock.Lock, w kind.Work) error {
	now := c.r.o.Now()
	place, t := c.r.place(&want, langOf(c.by)), langOf(c.by)
	force, _ := w.Args["force"].(bool)
	switch {
	case c.free && !has.Held(now):
		return fault.WithText(fault.New(fault.NotFound, "nobody has %s", want.Value()), c.say("lock.free", place))
	case has.Bars(want.Corp, want.App, want.User, now) && !c.free:
		return fault.WithText(fault.New(fault.Conflict, "%s has %s", has.User, want.Value()), c.say("lock.taken", place, has.Say(now, c.r.zone(), t)))
	case has.Bars(want.Corp, want.App, want.User, now) && !force:
		return fault.WithText(fault.New(fault.Denied, "%s has %s", has.User, want.Value()), c.say("lock.foreign", place, has.Say(now, c.r.zone(), t)))
	}
	return nil
}

// Plan says what would be written.
func (c *locking) Plan(_ context.Context, w kind.Work, before json.RawMessage) (string, error) {
	b, err := lockBeforeOf(before)
	if err != nil {
		return "", err
	}
	want := c.wanted(w)
	place, now := c.r.place(&want, langOf(c.by)), c.r.o.Now()
	if c.free {
		return c.say("lock.plan_free", place, b.Lock.Say(now, c.r.zone(), langOf(c.by))), nil
	}
	return c.say("lock.plan_take", place, envlock.Clock(want.Until, now, c.r.zone())), nil
}

// Apply writes the lock once; a lost answer is read again.
func (c *locking) Apply(ctx context.Context, w kind.Work, before json.RawMessage, hand kind.Hand) kind.Result {
	b, err := lockBeforeOf(before)
	if err != nil {
		return kind.Failed(c.say("begin.internal"))
	}
	next, verdict := c.next(w, b.Lock)
	if err := hand.Step(ctx); err != nil {
		return kind.Failed(c.say("lock.store"))
	}
	for {
		_, err := c.r.store.write(ctx, envlock.Key(c.r.o.Catalog.Zone, next.Env, next.Name), next, b.Rev)
		switch {
		case err == nil:
			c.audit(next, b.Lock, verdict)
			return kind.Ended(c.done(next, b.Lock))
		case errors.Is(err, errMoved):
			return c.found(ctx, next, b, verdict)
		}
		if kind.Pause(ctx, tellAgain) != nil {
			return kind.Unsure(c.say("lock.unsure", c.r.place(&next, langOf(c.by))))
		}
	}
}

// next is the value to write, and what the audit calls it.
func (c *locking) next(w kind.Work, has *envlock.Lock) (next envlock.Lock, verdict string) {
	next, verdict = c.wanted(w), "locked"
	mine := has.Of(next.Corp, next.App, next.User)
	held := has.Held(c.r.o.Now())
	switch {
	case !c.free && held && mine:
		next.Since, verdict = has.Since, "renewed"
	case c.free && has != nil:
		at := next.Since
		next, verdict = *has, "unlocked"
		next.ID, next.Freed = c.by.ID, at
		if !mine {
			verdict = "forced"
		}
	}
	return next, verdict
}

func (c *locking) done(next envlock.Lock, had *envlock.Lock) string {
	place := c.r.place(&next, langOf(c.by))
	switch {
	case !c.free:
		return c.say("lock.done", place, envlock.Clock(next.Until, c.r.o.Now(), c.r.zone()))
	case !had.Of(c.by.Corp, c.by.App, c.by.User):
		return c.say("lock.forced", place, had.User)
	}
	return c.say("lock.freed", place)
}

// found says what a lost compare-and-set means: an earlier write of this action's own, or somebody else's.
func (c *locking) found(ctx context.Context, next envlock.Lock, b lockBefore, verdict string) kind.Result {
	place := c.r.place(&next, langOf(c.by))
	written, moved, err := c.wrote(ctx, next, b.Rev)
	switch {
	case err != nil || written == nil && !moved:
		return kind.Unsure(c.say("lock.unsure", place))
	case written != nil:
		c.audit(*written, b.Lock, verdict)
		return kind.Ended(c.done(*written, b.Lock))
	}
	return kind.Failed(c.say("lock.moved", place))
}

// wrote reads from the key's history what this action wrote, nil for nothing. Moved says that it surely did not and, since the key is
// past the revision that it would have to write over, never will.
func (c *locking) wrote(ctx context.Context, want envlock.Lock, rev uint64) (written *envlock.Lock, moved bool, err error) {
	key := envlock.Key(c.r.o.Catalog.Zone, want.Env, want.Name)
	hctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	all, err := c.r.store.kv.History(hctx, key)
	if err != nil {
		return nil, false, fault.Wrap(fault.Transient, err, "history of "+key)
	}
	reaches := len(all) > 0 && (all[0].Revision() <= rev || rev == 0 && len(all) < keptRevisions)
	for _, e := range all {
		var l envlock.Lock
		if json.Unmarshal(e.Value(), &l) == nil && l.ID == want.ID {
			return &l, false, nil
		}
	}
	return nil, reaches && all[len(all)-1].Revision() > rev, nil
}

// keptRevisions is the least that the bucket keeps of each key; a history that is shorter is whole.
const keptRevisions = 16

// Probe looks whether a dead owner's write is there. When it is not, the key is moved on, so that it never will be.
func (c *locking) Probe(ctx context.Context, w kind.Work, before json.RawMessage) kind.Result {
	b, err := lockBeforeOf(before)
	want := c.wanted(w)
	place := c.r.place(&want, langOf(c.by))
	if err != nil {
		return kind.Unsure(c.say("lock.unsure", place))
	}
	next, verdict := c.next(w, b.Lock)
	fence := envlock.Lock{V: wire.Version, Env: want.Env, Name: want.Name, ID: "fence-" + c.by.ID, Freed: 1}
	if b.Lock != nil {
		fence = *b.Lock
	}
	if _, err := c.r.store.write(ctx, envlock.Key(c.r.o.Catalog.Zone, want.Env, want.Name), fence, b.Rev); err == nil {
		return kind.Failed(c.say("lock.lost", place))
	}
	return c.found(ctx, next, b, verdict)
}

// audit leaves who took or freed what, with both names where they differ.
func (c *locking) audit(next envlock.Lock, had *envlock.Lock, verdict string) {
	l := wire.AuditLine{
		Corp: c.by.Corp, App: c.by.App, User: c.by.User, What: "lock", Ref: c.by.ID, Verdict: verdict, Reason: c.r.mask.Text(next.Reason),
		Detail: map[string]string{"lock": next.Value(), "holder": next.User, "until": fmt.Sprint(next.Until)},
	}
	if had != nil && c.free {
		l.Detail["holder"] = had.User
	}
	c.r.o.Audit.Write(l)
}

func lockBeforeOf(raw json.RawMessage) (b lockBefore, err error) {
	if err := json.Unmarshal(raw, &b); err != nil {
		return b, fault.Wrap(fault.Internal, err, "what was read of the lock")
	}
	return b, nil
}
