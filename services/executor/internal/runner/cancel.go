package runner

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"palmops/libs/bus"
	"palmops/libs/fault"
	"palmops/libs/wire"
	"palmops/services/executor/internal/kind"
	"palmops/services/executor/internal/life"
)

// canceling is the built-in kind of wire.ActionCancel, made for one such action. It works on records of this pool: what has
// not begun it ends itself, by compare-and-set; what runs is ended by its owner, who is told over the bus.
//
// It trusts the record of the target, not its id: the person in that record must be the one who cancels. Where there is no
// record yet it leaves a void one, which speaks for that person only (life.Void).
type canceling struct {
	builtIn
	wrote bool // a record may have been written although the answer is missing
}

var _ kind.Kind = (*canceling)(nil)

// tellAgain is the pause before the owner of an action that does not know of it is told again: the record is written a
// moment before the work begins.
const tellAgain = 200 * time.Millisecond

func (c *canceling) Plan(_ context.Context, w kind.Work, _ json.RawMessage) (string, error) {
	return c.say("cancel.plan", wire.ShortID(targetOf(w.Args))), nil
}

// Prepare refuses what is not this person's to cancel.
func (c *canceling) Prepare(ctx context.Context, w kind.Work) (json.RawMessage, error) {
	id := targetOf(w.Args)
	rec, _, err := c.r.store.get(ctx, id)
	if err != nil {
		return nil, fault.WithText(err, c.say("cancel.store", wire.ShortID(id)))
	}
	return nil, c.refuse(rec, id)
}

func (c *canceling) refuse(rec *wire.Record, id string) error {
	switch {
	case id == c.by.ID || rec != nil && rec.Action == wire.ActionCancel:
		return fault.WithText(fault.New(fault.Invalid, "%s is a cancellation", id), c.say("cancel.cancel", wire.ShortID(id)))
	case rec != nil && !life.Void(rec) && !life.Same(rec, c.by):
		return fault.WithText(fault.New(fault.Denied, "%s belongs to another person, zone or pool", id), c.say("cancel.foreign", wire.ShortID(id)))
	}
	return nil
}

// Apply ends the target, or has it ended and waits for that.
func (c *canceling) Apply(ctx context.Context, w kind.Work, _ json.RawMessage, hand kind.Hand) kind.Result {
	id := targetOf(w.Args)
	short := wire.ShortID(id)
	silent := map[string]bool{} // owners that did not answer
	for {
		rec, rev, err := c.r.store.get(ctx, id)
		if err == nil {
			if no := c.refuse(rec, id); no != nil {
				return kind.Failed(fault.Safe(no))
			}
			if rec != nil && wire.Final(rec.State) && (!life.Void(rec) || life.Same(rec, c.by)) {
				return kind.Ended(c.say("cancel.ended", short, c.state(rec)))
			}
			if owner := ownerOf(rec); owner != "" && !silent[owner] {
				if c.tell(ctx, owner, id) {
					return c.await(ctx, id, w.Timeout)
				}
				silent[owner] = true
				continue // it may have ended meanwhile
			}
			if rec != nil && rec.State == wire.StateRunning {
				return kind.Failed(c.say("cancel.silent", short))
			}
			var done bool
			if done, err = c.unbegun(ctx, rec, rev, hand); done {
				return kind.Ended(c.say("cancel.unbegun", short))
			}
		}
		if err != nil && kind.Pause(ctx, tellAgain) != nil {
			if c.wrote {
				return kind.Unsure(c.say("cancel.unsure", short, c.state(rec)))
			}
			return kind.Failed(c.say("cancel.store", short))
		}
		if ctx.Err() != nil {
			return kind.Failed(c.say("cancel.silent", short))
		}
	}
}

// unbegun ends what has not begun; neither done nor an error ask for another look.
func (c *canceling) unbegun(ctx context.Context, rec *wire.Record, rev uint64, hand kind.Hand) (done bool, err error) {
	if err := hand.Step(ctx); err != nil {
		return false, err
	}
	step := life.On(rec, life.Canceled{By: c.about(rec), Self: c.r.o.Self, Text: c.say("begin.canceled"), Now: c.r.o.Now().UnixMilli()})
	if step.Write == nil {
		return false, fault.New(fault.Internal, "a record in state %q cannot be cancelled", rec.State)
	}
	now, err := c.r.store.put(ctx, step.Write, rev)
	if errors.Is(err, errMoved) {
		return false, nil
	}
	if err != nil {
		c.wrote = true
		return false, err
	}
	c.r.note(step.Write)
	if !life.Void(step.Write) {
		// Lost, it is told once more when its message comes to somebody.
		_ = c.r.tell(ctx, step.Write, now, "")
	}
	return true, nil
}

// about is the target as the cancellation's claims allow to speak of it.
func (c *canceling) about(rec *wire.Record) wire.Record {
	about := wire.Record{Corp: c.by.Corp, App: c.by.App, User: c.by.User, Zone: c.by.Zone, Pool: c.by.Pool, Lang: c.by.Lang}
	if args, err := wire.ParseArgs(c.by.Args); err == nil {
		about.ID = targetOf(args)
	}
	if rec != nil {
		about.ID = rec.ID
	}
	return about
}

// await waits until the target's owner has recorded how it ended.
func (c *canceling) await(ctx context.Context, id string, limit time.Duration) kind.Result {
	rec, err := c.ending(ctx, id)
	short := wire.ShortID(id)
	switch {
	case err != nil:
		return kind.TimedOut(c.say("cancel.slow", short, int(limit.Seconds())))
	case rec.State != wire.StateCanceled:
		return kind.Ended(c.say("cancel.ended", short, c.state(rec)))
	case rec.Step != "":
		return kind.Ended(c.say("cancel.done_at", short, rec.Step, rec.Summary))
	}
	return kind.Ended(c.say("cancel.done", short, rec.Summary))
}

// ending is the target's record once it is final.
func (c *canceling) ending(ctx context.Context, id string) (*wire.Record, error) {
	for {
		w, err := c.r.store.kv.Watch(ctx, id)
		if err == nil {
			rec := final(ctx, w)
			_ = w.Stop() // it ends with the connection as well
			if rec != nil {
				return rec, nil
			}
		}
		if err := kind.Pause(ctx, tellAgain); err != nil {
			return nil, err
		}
	}
}

// final reads a watch up to a final record; nil when the watch or the context ended before one.
func final(ctx context.Context, w jetstream.KeyWatcher) *wire.Record {
	for {
		select {
		case <-ctx.Done():
			return nil
		case e, ok := <-w.Updates():
			if !ok {
				return nil
			}
			var rec wire.Record
			if e != nil && json.Unmarshal(e.Value(), &rec) == nil && wire.Final(rec.State) {
				return &rec
			}
		}
	}
}

// Probe looks whether a cancellation whose owner died came to something.
func (c *canceling) Probe(ctx context.Context, w kind.Work, _ json.RawMessage) kind.Result {
	id := targetOf(w.Args)
	rec, _, err := c.r.store.get(ctx, id)
	switch {
	case err != nil:
		return kind.Unsure(c.say("cancel.store", wire.ShortID(id)))
	case rec != nil && rec.State == wire.StateCanceled && life.Same(rec, c.by):
		return kind.Ended(c.say("cancel.done", wire.ShortID(id), rec.Summary))
	case rec != nil && wire.Final(rec.State):
		return kind.Ended(c.say("cancel.ended", wire.ShortID(id), c.state(rec)))
	}
	return kind.Unsure(c.say("cancel.unsure", wire.ShortID(id), c.state(rec)))
}

func targetOf(args map[string]any) string {
	id, _ := args["id"].(string) // the catalog has seen to the type
	return id
}

func ownerOf(rec *wire.Record) string {
	if rec == nil || wire.Final(rec.State) {
		return ""
	}
	return rec.Owner
}

// stopRequest asks an owner to end one of its actions. It carries no proof: the owner reads the record of the cancellation,
// which only executors write, and only after its token held.
type stopRequest struct {
	V  int    `json:"v"`
	ID string `json:"id"`
	By string `json:"by"` // id of the cancellation
}

// stopAnswer says whether the owner has the action in its hands and will end it.
type stopAnswer struct {
	V    int  `json:"v"`
	Held bool `json:"held"`
}

// stopSubject is where one executor hears that one of its actions is to stop.
func stopSubject(zone, pool, self string) string {
	return fmt.Sprintf("cancel.%s.%s.%s", wire.Token(zone), wire.Token(pool), wire.Token(self))
}

// tell asks the owner to stop the target; false when no answer came within Timing.Ask, or the owner does not know of it.
func (c *canceling) tell(ctx context.Context, owner, id string) bool {
	ctx, cancel := context.WithTimeout(ctx, c.r.o.Timing.Ask)
	defer cancel()
	req := stopRequest{V: wire.Version, ID: id, By: c.by.ID}
	cat := c.r.o.Catalog
	for {
		var a stopAnswer
		if owner == c.r.o.Self {
			a.Held = c.r.stopWork(ctx, req)
		} else if err := c.r.o.Bus.Ask(ctx, stopSubject(cat.Zone, cat.Pool, owner), req, &a); err != nil && !bus.NobodyListens(err) {
			return false
		}
		if a.Held {
			return true
		}
		// An owner has its record a moment before it listens for the action, and lets go of it a moment after the end.
		if kind.Pause(ctx, tellAgain) != nil {
			return false
		}
		if rec, _, err := c.r.store.get(ctx, id); err != nil || ownerOf(rec) != owner {
			return false
		}
	}
}
