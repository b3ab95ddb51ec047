// Package tasks says how the orders of a person stand: from their records, which executors write, and for those that no
// executor has taken, from what lies in ACT. Nobody is told of the orders of somebody else.
package tasks

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"palmops/libs/fault"
	"palmops/libs/wire"
	"palmops/services/dialog/internal/flow"
	"palmops/services/dialog/internal/session"
)

// Records reads the truth about actions: nil without an error when there is no record.
type Records interface {
	Record(ctx context.Context, id string) (*wire.Record, error)
}

// Tokens reads the claims of an action's token.
type Tokens interface {
	Read(zone, text string) (wire.Claims, error)
}

// Outputs keeps long outputs.
type Outputs interface {
	Size(ctx context.Context, action string) (int, error)
	Page(ctx context.Context, action string, page int) (flow.OutputPage, error)
}

// Book is safe for concurrent use.
type Book struct {
	records Records
	act     jetstream.Stream
	tokens  Tokens
	outputs Outputs
	now     func() time.Time
}

// New makes a Book; act is the stream ACT.
func New(records Records, act jetstream.Stream, tokens Tokens, outputs Outputs, now func() time.Time) *Book {
	return &Book{records: records, act: act, tokens: tokens, outputs: outputs, now: now}
}

// Tasks tells of a person's orders, in the order of ids. An order without a record is queued as long as it lies in ACT and
// has not expired. One that is nowhere, and one of somebody else, has the state expired and nothing more: this person has
// no such order that will be run. Errors: Transient.
func (b *Book) Tasks(ctx context.Context, w session.Who, ids []string) ([]flow.Task, error) {
	tasks := make([]flow.Task, len(ids))
	errs := make([]error, len(ids))
	var wg sync.WaitGroup
	for i, id := range ids[:min(len(ids), 2*flow.MaxRecent)] {
		wg.Go(func() { tasks[i], errs[i] = b.task(ctx, w, id) })
	}
	wg.Wait()
	return tasks, errors.Join(errs...)
}

// Output is a page of the output of one of a person's own orders, counted from 0. Errors: NotFound, there is none, or no
// such order of this person; Transient.
func (b *Book) Output(ctx context.Context, w session.Who, id string, page int) (flow.OutputPage, error) {
	if wire.Token(id) != id {
		return flow.OutputPage{}, fault.New(fault.NotFound, "no order %q", id)
	}
	rec, err := b.records.Record(ctx, id)
	if err != nil {
		return flow.OutputPage{}, err
	}
	if rec == nil || !mine(w, rec.Corp, rec.App, rec.User) {
		return flow.OutputPage{}, fault.New(fault.NotFound, "no order %s of this person", id)
	}
	return b.outputs.Page(ctx, id, page)
}

func (b *Book) task(ctx context.Context, w session.Who, id string) (flow.Task, error) {
	none := flow.Task{ID: id, State: wire.StateExpired}
	if wire.Token(id) != id { // it comes out of what is remembered of a person, and must not become a wildcard
		return none, nil
	}
	rec, err := b.records.Record(ctx, id)
	if err != nil {
		return none, err
	}
	if rec == nil {
		c, lies, err := b.lying(ctx, id)
		switch {
		case err != nil:
			return none, err
		case lies && !mine(w, c.Corp, c.App, c.User):
			return none, nil
		case lies:
			t := flow.Task{ID: id, Title: c.Title, State: wire.StateQueued, At: c.IssuedAt * 1000, Expires: c.Expires}
			if b.now().After(time.Unix(c.Expires, 0).Add(wire.ClockSkew)) {
				t.State = wire.StateExpired
			}
			return t, nil
		}
		// An executor may have taken it between the two looks.
		if rec, err = b.records.Record(ctx, id); rec == nil || err != nil {
			return none, err
		}
	}
	if !mine(w, rec.Corp, rec.App, rec.User) {
		return none, nil
	}
	t := flow.Task{
		ID: id, Title: rec.Title, State: rec.State, Step: rec.Step, Summary: rec.Summary,
		At: max(rec.Created, rec.Started, rec.Ended), Expires: rec.Expires,
	}
	if wire.Final(rec.State) {
		t.Output, err = b.outputs.Size(ctx, id)
	}
	return t, err
}

// lying finds an order in ACT. An order whose token cannot be verified is nobody's.
func (b *Book) lying(ctx context.Context, id string) (c wire.Claims, lies bool, err error) {
	msg, err := b.act.GetMsg(ctx, 1, jetstream.WithGetMsgSubject("act.*.*.*."+id))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return wire.Claims{}, false, nil
	}
	if err != nil {
		return wire.Claims{}, false, fault.Wrap(fault.Transient, err, "read "+wire.StreamAct)
	}
	var act wire.Action
	if err := json.Unmarshal(msg.Data, &act); err != nil {
		return wire.Claims{}, true, nil
	}
	c, err = b.tokens.Read(strings.Split(msg.Subject, ".")[1], act.Token)
	if err != nil {
		return wire.Claims{}, true, nil
	}
	return c, true, nil
}

// mine compares without case, as WeCom does with user ids. The empty person owns nothing.
func mine(w session.Who, corp, app, user string) bool {
	return w.User != "" && w.Corp == corp && w.App == app && strings.EqualFold(w.User, user)
}
