package mysql

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"time"

	"palmops/libs/fault"
	"palmops/libs/lang"
	"palmops/libs/wire"
	"palmops/services/executor/internal/kind"
	"palmops/services/executor/internal/phone"
)

// slack is by how many seconds the beginning of a statement may seem to move, since servers count whole seconds.
const slack = 2

// before is what Prepare read: enough to know the connection and its statement again. It holds the beginning of the statement for
// the plan.
type before struct {
	ID        uint64 `json:"id"`
	User      string `json:"user"`
	Host      string `json:"host"`
	DB        string `json:"db,omitempty"`
	Digest    string `json:"digest"`
	QueryID   uint64 `json:"query_id,omitempty"`
	Started   int64  `json:"started"`
	Booted    int64  `json:"booted"`
	Seconds   int64  `json:"seconds"`
	Statement string `json:"statement"`
}

// kill is one action that ends a connection, or its statement only.
type kill struct {
	*server
	k    *Kind
	work kind.Work
	id   uint64
	only bool // the statement
	base before
}

func (k *Kind) killOf(w kind.Work) (*kill, error) {
	s, err := k.server(w.Action)
	if err != nil {
		return nil, err
	}
	id, err := idOf(w.Args, w.Lang)
	if err != nil {
		return nil, err
	}
	return &kill{server: s, k: k, work: w, id: id, only: w.Action.Verb == verbKillQuery}, nil
}

// idOf is the connection that the arguments name.
func idOf(args map[string]any, t lang.Tag) (uint64, error) {
	id, err := strconv.ParseUint(text(args, "id"), 10, 63)
	if err != nil || id == 0 {
		return 0, fault.WithText(fault.New(fault.Invalid, "%q is not the id of a connection", text(args, "id")), texts.Say(t, "kill.bad_id"))
	}
	return id, nil
}

func (k *Kind) resume(w kind.Work, raw json.RawMessage) (*kill, error) {
	c, err := k.killOf(w)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(raw, &c.base); err != nil {
		return nil, fault.Wrap(fault.Internal, err, "what was read before")
	}
	if c.base.ID != c.id {
		return nil, fault.New(fault.Internal, "what was read before is of connection %d", c.base.ID)
	}
	return c, nil
}

func (c *kill) say(key string, args ...any) string { return texts.Say(c.work.Lang, key, args...) }

func (c *kill) explain(err error) error { return explain(err, c.work.Lang, c.Name) }

// prepare reads the connection and refuses when it is not the one that the person saw.
func (c *kill) prepare(ctx context.Context) (json.RawMessage, error) {
	err := c.within(ctx, func(in *session) error {
		t, there, err := c.look(ctx, in)
		if err != nil {
			return err
		}
		if !there {
			return fault.WithText(fault.New(fault.NotFound, "no connection %d", c.id), c.say("kill.none", c.id))
		}
		if c.only && t.Digest == noStatement {
			return fault.WithText(fault.New(fault.Conflict, "connection %d runs nothing", c.id), c.say("kill.idle", c.id))
		}
		started, given := text(c.work.Args, "started"), text(c.work.Args, "started") != ""
		seen, _ := strconv.ParseInt(started, 10, 64) // the catalog has seen to the form
		user, digest := text(c.work.Args, "user"), text(c.work.Args, "digest")
		if user != "" && user != t.User || digest != "" && digest != t.Digest || given && !near(seen, t.Started) {
			return fault.WithText(fault.New(fault.Conflict, "connection %d is not as it was confirmed", c.id),
				c.say("kill.moved", c.id, t.who(), t.what(c.work.Lang, 60)))
		}
		c.base = before{
			ID: t.ID, User: t.User, Host: t.Host, DB: t.DB, Digest: t.Digest, QueryID: t.QueryID, Started: t.Started,
			Booted: in.booted, Seconds: t.Seconds, Statement: t.what(c.work.Lang, 80),
		}
		return nil
	})
	if err != nil {
		return nil, c.explain(err)
	}
	return json.Marshal(c.base)
}

// look reads the connection once more.
func (c *kill) look(ctx context.Context, in *session) (thread, bool, error) {
	all, err := in.threads(ctx, c.server, c.id)
	if err != nil || len(all) == 0 {
		return thread{}, false, err
	}
	return all[0], true, nil
}

func near(a, b int64) bool { return a-b <= slack && b-a <= slack }

// sameConnection reports whether it is the connection that Prepare saw: ids begin anew with the server.
func (c *kill) sameConnection(in *session, t thread) bool {
	b := c.base
	return near(in.booted, b.Booted) && t.ID == b.ID && t.User == b.User && t.Host == b.Host
}

// sameStatement reports whether that connection is still at what Prepare saw.
func (c *kill) sameStatement(t thread) bool {
	b := c.base
	if b.QueryID != 0 && t.QueryID != 0 && b.QueryID != t.QueryID {
		return false
	}
	return t.Digest == b.Digest && (b.QueryID != 0 || near(t.Started, b.Started))
}

func (c *kill) plan() string {
	key := "kill.plan"
	if c.only {
		key = "kill.plan_query"
	}
	return c.say(key, c.Name, c.id, thread{User: c.base.User, Host: c.base.Host}.who(), phone.Span(seconds(c.base.Seconds)), c.base.Statement)
}

// apply reads the connection again and kills it in the same session, which holds the action's lock: whoever has to find out what
// became of the action can end the session, and with it what it has under way.
func (c *kill) apply(ctx context.Context, hand kind.Hand) kind.Result {
	var res *kind.Result
	sent := false
	err := c.within(ctx, func(in *session) (err error) {
		mine, err := in.hold(ctx, c.work.ID)
		if err != nil {
			return err
		}
		if !mine {
			res = failed(c.say("kill.taken"))
			return nil
		}
		defer func() {
			if lerr := in.letGo(ctx, c.work.ID); err == nil && res == nil {
				err = lerr
			}
		}()
		if err := hand.Step(ctx); err != nil {
			res = c.noLeave(ctx, err)
			return nil
		}
		t, there, err := c.look(ctx, in)
		if err != nil {
			return err
		}
		switch {
		case !there:
			res = failed(c.say("kill.ended", c.id))
			return nil
		case !c.sameConnection(in, t) || !c.sameStatement(t):
			res = failed(c.say("kill.changed", c.id))
			return nil
		}
		sent = true
		if err := in.kill(ctx, c.id, t.QueryID, c.only); err != nil {
			return err
		}
		res = c.follow(ctx, in, hand)
		return nil
	})
	switch {
	case res != nil:
		return *res
	case !sent || !lost(err):
		return c.unsent(ctx, err)
	}
	return c.settle(ctx)
}

// kill ends the connection or its statement. The statement is named by its own number where there is one, so that
// no later one can be hit.
func (in *session) kill(ctx context.Context, id, query uint64, only bool) error {
	stmt := "KILL CONNECTION " + strconv.FormatUint(id, 10)
	switch {
	case only && in.maria && query != 0:
		stmt = "KILL QUERY ID " + strconv.FormatUint(query, 10)
	case only:
		stmt = "KILL QUERY " + strconv.FormatUint(id, 10)
	}
	_, err := in.conn.ExecContext(ctx, stmt)
	return err
}

// unsent is the result when surely nothing was ended.
func (c *kill) unsent(ctx context.Context, err error) kind.Result {
	switch cause := context.Cause(ctx); {
	case number(err) == errNoThread || number(err) == errNoQuery:
		return kind.Failed(c.say("kill.ended", c.id))
	case errors.Is(cause, kind.ErrCanceled):
		return kind.Canceled(c.say("kill.canceled", c.id))
	case errors.Is(cause, kind.ErrStopping):
		return kind.Failed(c.say("kill.stopping"))
	case errors.Is(cause, kind.ErrLost):
		return kind.Failed(c.say("kill.taken"))
	}
	return kind.Failed(fault.SafeIn(c.explain(err), c.work.Lang))
}

func (c *kill) noLeave(ctx context.Context, err error) *kind.Result {
	if errors.Is(err, kind.ErrLost) {
		return failed(c.say("kill.taken"))
	}
	if context.Cause(ctx) == nil {
		return failed(c.say("kill.store"))
	}
	r := c.unsent(ctx, err)
	return &r
}

func failed(text string) *kind.Result {
	r := kind.Failed(text)
	return &r
}

// follow waits until what was killed is gone: a large transaction may take long to be undone.
func (c *kill) follow(ctx context.Context, in *session, hand kind.Hand) *kind.Result {
	done := func(r kind.Result) *kind.Result { return &r }
	for first := true; ; first = false {
		t, there, err := c.look(ctx, in)
		switch {
		case err == nil && (!there || !c.sameConnection(in, t)):
			if c.only {
				return done(kind.Ended(c.say("kill.left", c.id)))
			}
			return done(kind.Ended(c.say("kill.done", c.id)))
		case err == nil && c.only && !c.sameStatement(t):
			return done(kind.Ended(c.say("kill.done_query", c.id)))
		case err != nil && ctx.Err() == nil:
			return done(kind.TimedOut(c.say("kill.unseen", c.id)))
		}
		if err == nil && !first {
			hand.Progress(c.say("kill.progress", c.id, phone.Line(t.State, 40)))
		}
		if err == nil {
			err = kind.Pause(ctx, c.k.pace)
		}
		if err == nil {
			continue
		}
		switch cause := context.Cause(ctx); {
		case errors.Is(cause, kind.ErrCanceled):
			return done(kind.Canceled(c.say("kill.canceled_late", c.id)))
		case errors.Is(cause, kind.ErrStopping), errors.Is(cause, kind.ErrLost):
			return done(kind.TimedOut(c.say("kill.stopping_late", c.id)))
		}
		return done(kind.TimedOut(c.say("kill.late", c.id, int(c.work.Timeout/time.Second))))
	}
}

// settle finds out what became of a request without an answer, with some time of its own.
func (c *kill) settle(ctx context.Context) kind.Result {
	cause := context.Cause(ctx)
	if errors.Is(cause, kind.ErrLost) {
		return kind.Unsure(c.say("kill.unsure", c.id))
	}
	own, cancel := context.WithTimeout(context.WithoutCancel(ctx), ownTime)
	defer cancel()
	r := c.verdict(own)
	if r.State == wire.StateFailed && errors.Is(cause, kind.ErrCanceled) {
		return kind.Canceled(c.say("kill.canceled", c.id))
	}
	return r
}

// verdict ends the session that may still work for the action, looks, and judges. A connection that is gone may have been ended by
// the action or have gone by itself: nobody can tell.
func (c *kill) verdict(ctx context.Context) (res kind.Result) {
	err := c.within(ctx, func(in *session) error {
		if err := in.fence(ctx, c.work.ID, func(ctx context.Context) error { return kind.Pause(ctx, c.k.pace) }); err != nil {
			return err
		}
		t, there, err := c.look(ctx, in)
		switch {
		case err != nil:
			return err
		case !there || !c.sameConnection(in, t):
			res = kind.Unsure(c.say("kill.gone", c.id))
		case t.Command == "Killed":
			res = kind.Unsure(c.say("kill.ending", c.id))
		case c.only && !c.sameStatement(t):
			res = kind.Unsure(c.say("kill.gone_query", c.id))
		case c.only: // servers do not show that a statement has been told to end
			res = kind.Unsure(c.say("kill.runs_query", c.id))
		default:
			res = kind.Failed(c.say("kill.untouched", c.id))
		}
		return nil
	})
	if err != nil {
		return kind.Unsure(c.say("kill.unreachable", c.id))
	}
	return res
}
