package runner

import (
	"context"
	"encoding/json"
	"errors"

	"palmops/libs/fault"
	"palmops/libs/wire"
	"palmops/services/executor/internal/kind"
	"palmops/services/executor/internal/life"
)

// settling is the built-in kind of wire.ActionSettle, made for one such action: a named person has looked at the target, and says
// how an unknown action ended. Dialog's policy decides who may; here it counts that both belong to one corp and app, and that
// nobody knows better.
type settling struct{ builtIn }

func (c *settling) args(w kind.Work) (id, state, reason string) {
	id = targetOf(w.Args)
	state, _ = w.Args["state"].(string) // the catalog has seen to the types
	reason, _ = w.Args["reason"].(string)
	return id, state, reason
}

// Prepare refuses everything but an unknown action of the same corp and app, of this zone and pool. Of a step nobody was told:
// what is settled is its workflow.
func (c *settling) Prepare(ctx context.Context, w kind.Work) (json.RawMessage, error) {
	id, _, _ := c.args(w)
	rec, _, err := c.r.store.get(ctx, id)
	if err != nil {
		return nil, fault.WithText(err, c.say("settle.store", wire.ShortID(id)))
	}
	return nil, c.refuse(rec, id)
}

func (c *settling) refuse(rec *wire.Record, id string) error {
	short := wire.ShortID(id)
	switch {
	case rec == nil || rec.Parent != "" || rec.Corp != c.by.Corp || rec.App != c.by.App || rec.Zone != c.by.Zone || rec.Pool != c.by.Pool:
		return fault.WithText(fault.New(fault.NotFound, "no action %s of this corp and app here", id), c.say("settle.none", short))
	case rec.State == wire.StateUnknown:
		return nil
	case wire.Final(rec.State):
		return fault.WithText(fault.New(fault.Conflict, "%s is %s", id, rec.State), c.say("settle.known", short, c.state(rec)))
	}
	return fault.WithText(fault.New(fault.Conflict, "%s is %s", id, rec.State), c.say("settle.works", short, c.state(rec)))
}

func (c *settling) Plan(_ context.Context, w kind.Work, _ json.RawMessage) (string, error) {
	id, state, _ := c.args(w)
	return c.say("settle.plan", wire.ShortID(id), stateWord(langOf(c.by), state)), nil
}

// Apply writes the verdict and tells the person whose action it was.
func (c *settling) Apply(ctx context.Context, w kind.Work, _ json.RawMessage, hand kind.Hand) kind.Result {
	id, state, reason := c.args(w)
	if err := hand.Step(ctx); err != nil {
		return kind.Failed(c.say("settle.store", wire.ShortID(id)))
	}
	tried := false
	for {
		rec, rev, err := c.r.store.get(ctx, id)
		if err == nil {
			if tried && rec != nil && c.mine(rec, state, reason) {
				c.audit(rec, reason)
				return c.told(ctx, rec, rev, state)
			}
			if no := c.refuse(rec, id); no != nil {
				return kind.Failed(fault.Safe(no))
			}
			step := life.On(rec, life.Settled{State: state, Text: c.verdict(rec, state, reason), Now: c.r.o.Now().UnixMilli()})
			if rev, err = c.r.store.put(ctx, step.Write, rev); err == nil {
				c.r.note(step.Write)
				c.audit(step.Write, reason)
				return c.told(ctx, step.Write, rev, state)
			}
			tried = tried || !errors.Is(err, errMoved)
		}
		if kind.Pause(ctx, tellAgain) == nil {
			continue
		}
		if tried {
			return kind.Unsure(c.say("settle.unsure", wire.ShortID(id)))
		}
		return kind.Failed(c.say("settle.store", wire.ShortID(id)))
	}
}

// verdict is what the action's own person reads.
func (c *settling) verdict(rec *wire.Record, state, reason string) string {
	t := langOf(rec)
	return c.r.mask.Text(texts.Say(t, "settle.verdict", c.by.User, stateWord(t, state), reason))
}

// mine reports whether a record says what this action would have made it say.
func (c *settling) mine(rec *wire.Record, state, reason string) bool {
	return rec.State == state && rec.Summary == c.verdict(rec, state, reason)
}

// told reports the settled action. Lost, the record says it all the same.
func (c *settling) told(ctx context.Context, rec *wire.Record, rev uint64, state string) kind.Result {
	_ = c.r.tell(ctx, rec, rev, "")
	return kind.Ended(c.say("settle.done", wire.ShortID(rec.ID), stateWord(langOf(c.by), state)))
}

// Probe looks whether a dead owner's verdict is there. When it is not, the record is moved on, so that it never will be.
func (c *settling) Probe(ctx context.Context, w kind.Work, _ json.RawMessage) kind.Result {
	id, state, reason := c.args(w)
	for {
		rec, rev, err := c.r.store.get(ctx, id)
		switch {
		case err != nil:
		case rec != nil && c.mine(rec, state, reason):
			return c.told(ctx, rec, rev, state)
		case rec == nil || rec.State != wire.StateUnknown:
			return kind.Failed(c.say("settle.known", wire.ShortID(id), c.state(rec)))
		default:
			step := life.On(rec, life.Fenced{})
			if _, err = c.r.store.put(ctx, step.Write, rev); err == nil {
				return kind.Failed(c.say("settle.lost", wire.ShortID(id)))
			}
		}
		if kind.Pause(ctx, tellAgain) != nil {
			return kind.Unsure(c.say("settle.unsure", wire.ShortID(id)))
		}
	}
}

// audit leaves both names: who settled, and whose action it was.
func (c *settling) audit(rec *wire.Record, reason string) {
	c.r.o.Audit.Write(wire.AuditLine{
		Corp: c.by.Corp, App: c.by.App, User: c.by.User, What: "settle", Ref: rec.ID, Verdict: rec.State, Reason: c.r.mask.Text(reason),
		Detail: map[string]string{"by": c.by.ID, "owner_of_action": rec.User, "action": rec.Action},
	})
}
