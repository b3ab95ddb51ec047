package redis

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"

	"github.com/redis/go-redis/v9"

	"palmops/libs/fault"
	"palmops/libs/wire"
	"palmops/services/executor/internal/kind"
	"palmops/services/executor/internal/phone"
)

// change is what all changes have in common.
type change struct {
	*server
	work kind.Work
}

func (c change) say(key string, args ...any) string { return texts.Say(c.work.Lang, key, args...) }

// unsent is the result when surely nothing was done.
func (c change) unsent(ctx context.Context, err error) kind.Result {
	cause := context.Cause(ctx)
	switch {
	case errors.Is(err, kind.ErrLost), errors.Is(cause, kind.ErrLost):
		return kind.Failed(c.say("change.taken"))
	case errors.Is(cause, kind.ErrCanceled):
		return kind.Canceled(c.say("change.canceled"))
	case errors.Is(cause, kind.ErrStopping):
		return kind.Failed(c.say("change.stopping"))
	}
	return kind.Failed(fault.SafeIn(explain(err, c.work.Lang, c.Name), c.work.Lang))
}

// settle asks the verdict about a request without an answer, with some time of its own.
func (c change) settle(ctx context.Context, verdict func(context.Context) kind.Result, unsure string) kind.Result {
	cause := context.Cause(ctx)
	if errors.Is(cause, kind.ErrLost) {
		return kind.Unsure(unsure)
	}
	own, cancel := context.WithTimeout(context.WithoutCancel(ctx), ownTime)
	defer cancel()
	r := verdict(own)
	if r.State == wire.StateFailed && errors.Is(cause, kind.ErrCanceled) {
		return kind.Canceled(c.say("change.canceled"))
	}
	return r
}

// errStep is an order that no leave was given for.
type errStep struct{ error }

func (e errStep) Unwrap() error { return e.error }

// send asks for leave and makes one request on a connection that bears the action's name. Sent is whether it was made.
func (c change) send(ctx context.Context, n node, hand kind.Hand, request func(*redis.Conn) error) (sent bool, err error) {
	err = n.held(ctx, c.work.ID, func(conn *redis.Conn) error {
		if err := hand.Step(ctx); err != nil {
			return errStep{err}
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		sent = true
		return request(conn)
	})
	return sent, err
}

// failed is the result of a request that was not made.
func (c change) failed(ctx context.Context, err error) kind.Result {
	if step := (errStep{}); errors.As(err, &step) && context.Cause(ctx) == nil && !errors.Is(err, kind.ErrLost) {
		return kind.Failed(c.say("change.store"))
	}
	return c.unsent(ctx, err)
}

// kill is one action that ends a connection.
type kill struct {
	change
	base struct {
		Value string `json:"value"`
		Addr  string `json:"addr"`
		Laddr string `json:"laddr"`
		Name  string `json:"name,omitempty"`
		Since int64  `json:"since"`
		Cmd   string `json:"cmd"`
		Idle  int64  `json:"idle"`
	}
}

func (c *kill) id() string { return text(c.work.Args, "id") }

func (c *kill) resume(raw json.RawMessage) error {
	if err := json.Unmarshal(raw, &c.base); err != nil {
		return fault.Wrap(fault.Internal, err, "what was read before")
	}
	if c.base.Value != c.id() || c.base.Addr == "" {
		return fault.New(fault.Internal, "what was read before is of connection %q", c.base.Value)
	}
	return nil
}

// prepare refuses a connection that is not the one that the person saw.
func (c *kill) prepare(ctx context.Context) (json.RawMessage, error) {
	one, _, there, err := c.find(ctx, c.id())
	if err != nil {
		return nil, err
	}
	if !there {
		return nil, none(c.work.Lang, c.id())
	}
	addr, since := text(c.work.Args, "addr"), text(c.work.Args, "since")
	seen, _ := strconv.ParseInt(since, 10, 64) // the catalog has seen to the form
	if addr != "" && addr != one.Addr || since != "" && !near(seen, one.Since) {
		return nil, fault.WithText(fault.New(fault.Conflict, "connection %s is not as it was confirmed", c.id()), c.say("kill.moved", c.id(), one.who()))
	}
	b := &c.base
	b.Value, b.Addr, b.Laddr, b.Name, b.Since, b.Cmd, b.Idle = c.id(), one.Addr, one.Laddr, phone.Line(one.Name, 80), one.Since, phone.Line(one.Cmd, 80), one.Idle
	return json.Marshal(c.base)
}

func (c *kill) plan() string {
	who := client{Addr: c.base.Addr, Name: c.base.Name}.who()
	return c.say("kill.plan", c.Name, c.id(), who, phone.Span(seconds(c.base.Idle)), c.base.Cmd)
}

// apply ends the connection. The server itself holds number and both addresses against each other, so that no
// other one can be hit.
func (c *kill) apply(ctx context.Context, hand kind.Hand) kind.Result {
	id, name := splitID(c.id())
	n, there, err := c.node(ctx, name)
	if err != nil || !there {
		if err == nil {
			err = none(c.work.Lang, c.id())
		}
		return c.unsent(ctx, err)
	}
	var ended int64
	moved := false
	sent, err := c.send(ctx, n, hand, func(conn *redis.Conn) error {
		all, _, err := n.listOn(ctx, conn, id)
		if err != nil {
			return errUnsent{err}
		}
		if len(all) == 0 {
			return nil
		}
		if moved = all[0].link() || !c.same(all[0]); moved {
			return nil
		}
		ended, err = conn.Do(ctx, "CLIENT", "KILL", "ID", id, "ADDR", c.base.Addr, "LADDR", c.base.Laddr, "SKIPME", "yes").Int64()
		return err
	})
	switch {
	case !sent || errors.As(err, &errUnsent{}) || err != nil && replied(err):
		return c.failed(ctx, err)
	case err != nil:
		return c.settle(ctx, c.verdict, c.say("kill.unsure", c.id()))
	case moved:
		return kind.Failed(c.say("kill.moved_late", c.id()))
	case ended == 0:
		return kind.Failed(c.say("kill.ended", c.id()))
	}
	return kind.Ended(c.say("kill.done", c.id(), c.base.Addr))
}

// errUnsent is a failure of what comes before the request.
type errUnsent struct{ error }

func (e errUnsent) Unwrap() error { return e.error }

func (c *kill) same(one client) bool {
	return one.Addr == c.base.Addr && one.Laddr == c.base.Laddr && near(one.Since, c.base.Since)
}

// verdict: a connection that is still there was not ended; one that is gone may have gone by itself.
func (c *kill) verdict(ctx context.Context) kind.Result {
	_, name := splitID(c.id())
	n, there, err := c.node(ctx, name)
	if err == nil && there {
		err = n.fence(ctx, c.work.ID)
	}
	var one client
	if err == nil && there {
		one, _, there, err = c.find(ctx, c.id())
	}
	switch {
	case err != nil:
		return kind.Unsure(c.say("kill.unreachable", c.id()))
	case !there || !c.same(one):
		return kind.Unsure(c.say("kill.gone", c.id()))
	}
	return kind.Failed(c.say("kill.untouched", c.id()))
}

// write is one action that sets something by a command of the catalog.
type write struct {
	change
	argv []string
	base struct {
		Type string `json:"type"` // of the key; "" when that could not be read
		Key  string `json:"key"`
	}
}

// maxKey is how much of a key stands in the record, in columns.
const maxKey = 200

func (c *write) resume(raw json.RawMessage) error {
	if err := json.Unmarshal(raw, &c.base); err != nil {
		return fault.Wrap(fault.Internal, err, "what was read before")
	}
	if c.base.Key != phone.Line(c.argv[1], maxKey) {
		return fault.New(fault.Internal, "what was read before is of another key")
	}
	return nil
}

// prepare reads what kind of thing the key is. Who may not read that may still write.
func (c *write) prepare(ctx context.Context) (json.RawMessage, error) {
	n, err := c.keeper(ctx, c.argv[1])
	if err != nil {
		return nil, err
	}
	t, err := n.c.Type(ctx, c.argv[1]).Result()
	if err != nil && !fault.Is(explain(err, c.work.Lang, c.Name), fault.Denied) {
		return nil, err
	}
	c.base.Type, c.base.Key = t, phone.Line(c.argv[1], maxKey)
	return json.Marshal(c.base)
}

func (c *write) line() string { return phone.Line(line(c.argv), 160) }

func (c *write) plan() string {
	now := c.base.Type
	switch now {
	case "none":
		now = c.say("write.absent")
	case "":
		now = c.say("write.hidden")
	}
	return c.say("write.plan", c.Name, c.line(), now)
}

func (c *write) apply(ctx context.Context, hand kind.Hand) kind.Result {
	n, err := c.keeper(ctx, c.argv[1])
	if err != nil {
		return c.unsent(ctx, err)
	}
	var reply any
	sent, err := c.send(ctx, n, hand, func(conn *redis.Conn) (err error) {
		reply, err = conn.Do(ctx, anys(c.argv)...).Result()
		if errors.Is(err, redis.Nil) {
			reply, err = nil, nil
		}
		return err
	})
	switch {
	case !sent || err != nil && replied(err):
		return c.failed(ctx, err)
	case err != nil:
		return c.settle(ctx, c.verdict, c.say("write.unsure", c.line()))
	}
	return kind.Ended(c.say("write.done", c.Name, c.line(), phone.Line(lines(reply), 120)))
}

// verdict cannot know: what the key holds may be this action's doing or anybody's. It sees to it that nothing more happens.
func (c *write) verdict(ctx context.Context) kind.Result {
	n, err := c.keeper(ctx, c.argv[1])
	if err == nil {
		err = n.fence(ctx, c.work.ID)
	}
	if err != nil {
		return kind.Unsure(c.say("write.unreachable", c.line()))
	}
	return kind.Unsure(c.say("write.unsure", c.line()))
}
