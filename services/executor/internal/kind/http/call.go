package http

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	nethttp "net/http"
	"time"

	"palmops/libs/fault"
	"palmops/libs/wire"
	"palmops/services/executor/internal/endpoint"
	"palmops/services/executor/internal/kind"
)

// How a probe looks.
const (
	looks      = 3
	settleTime = 15 * time.Second
)

// before is what Prepare has found. Done says that the probe saw the wanted state already, so that seeing it later proves
// nothing.
type before struct {
	Version int  `json:"v"`
	Done    bool `json:"done,omitempty"`
}

// call is one change.
type call struct {
	exchange
	work  kind.Work
	base  before
	pause time.Duration
}

// errNoLeave marks an error of Hand.Step, so that it is not taken for one of the network.
var errNoLeave = errors.New("no leave")

func withID(args map[string]any, id string) map[string]any {
	out := map[string]any{}
	maps.Copy(out, args)
	out[actionID] = id
	return out
}

func (k *Kind) call(w kind.Work) (*call, error) {
	x, err := k.exchange(w.Action, withID(w.Args, w.ID), w.Lang)
	if err != nil {
		return nil, err
	}
	return &call{exchange: x, work: w, pause: k.pause}, nil
}

// resume is a call with what Prepare has found.
func (k *Kind) resume(w kind.Work, raw json.RawMessage) (*call, error) {
	c, err := k.call(w)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(raw, &c.base); err != nil || c.base.Version != 1 {
		return nil, fault.New(fault.Internal, "what was found before is not complete")
	}
	return c, nil
}

func (c *call) prepare(ctx context.Context) (json.RawMessage, error) {
	if _, err := c.request(c.work.ID); err != nil {
		return nil, endpoint.Explain(err, c.lang, c.what)
	}
	b := before{Version: 1}
	if c.set.Probe == nil {
		if err := c.Reach(ctx); err != nil {
			return nil, endpoint.Explain(err, c.lang, c.what)
		}
	} else {
		seen, err := c.look(ctx)
		if err != nil {
			return nil, err
		}
		b.Done = seen == done
	}
	return json.Marshal(b)
}

// sight is what a probe sees.
type sight int

const (
	neither sight = iota
	done
	undone
)

// look asks the probe once. Errors have a kind and a text.
func (c *call) look(ctx context.Context) (sight, error) {
	p := c.set.Probe
	path, err := fillPath(p.Path, c.args)
	if err != nil {
		return neither, endpoint.Explain(err, c.lang, c.what)
	}
	res, err := c.Read(ctx, endpoint.Request{Method: nethttp.MethodGet, Path: path, Query: fillQuery(p.Query, c.args)})
	if err != nil {
		return neither, endpoint.Explain(err, c.lang, c.what)
	}
	var doc any
	if res.Status >= 200 && res.Status < 300 && (p.Done.Value != nil || p.Undone.Value != nil) {
		if doc, err = document(res.Body); err != nil {
			return neither, endpoint.Unreadable(err, c.lang, c.what)
		}
	}
	switch {
	case p.Done.holds(res.Status, doc, c.args):
		return done, nil
	case p.Undone.holds(res.Status, doc, c.args):
		return undone, nil
	case res.Status >= 200 && res.Status < 300:
		return neither, nil
	}
	return neither, endpoint.Refused(res, c.lang, c.what)
}

// apply sends the request once, and tells the truth about it.
func (c *call) apply(ctx context.Context, hand kind.Hand) kind.Result {
	if done := c.stopped(ctx, "call"); done != nil {
		return *done
	}
	r, err := c.request(c.work.ID)
	if err != nil {
		return kind.Failed(fault.SafeIn(endpoint.Explain(err, c.lang, c.what), c.lang))
	}
	res, sent, err := c.Send(ctx, r, func() error {
		if err := hand.Step(ctx); err != nil {
			return errors.Join(errNoLeave, err)
		}
		return nil
	})
	switch {
	case err != nil && !sent:
		return c.unsent(ctx, err)
	case err != nil:
		return c.doubt(ctx, c.say("doubt.silent"))
	case c.set.expected(res.Status):
		return kind.Ended(c.success(r, res))
	case res.Status >= 400 && res.Status < 500 && res.Status != nethttp.StatusRequestTimeout:
		return kind.Failed(c.say("call.refused", c.what, endpoint.StatusText(res.Status), shown(endpoint.Quote(res.Body))))
	}
	return c.doubt(ctx, c.say("doubt.status", endpoint.StatusText(res.Status)))
}

// success is the text about a call that was taken.
func (c *call) success(r endpoint.Request, res endpoint.Response) string {
	var fields map[string]string
	if len(c.set.Extract) > 0 {
		if doc, err := document(res.Body); err == nil { // the call has taken effect, whatever the answer looks like
			fields = c.set.extract(doc)
		}
	}
	if text := c.text(fields); text != "" {
		return text
	}
	return c.say("call.done", c.what, c.line(r), endpoint.StatusText(res.Status))
}

// unsent is the end of a call of which the service has not seen a byte.
func (c *call) unsent(ctx context.Context, err error) kind.Result {
	if done := c.stopped(ctx, "call"); done != nil {
		return *done
	}
	switch {
	case errors.Is(err, kind.ErrLost):
		return kind.Failed(c.say("call.taken"))
	case errors.Is(err, errNoLeave):
		return kind.Failed(c.say("call.store"))
	}
	return kind.Failed(fault.SafeIn(endpoint.Explain(err, c.lang, c.what), c.lang))
}

// stopped is the result of work whose context has ended before anything was done; nil while it has not.
func (x exchange) stopped(ctx context.Context, what string) *kind.Result {
	if ctx.Err() == nil {
		return nil
	}
	var r kind.Result
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, kind.ErrCanceled):
		r = kind.Canceled(x.say("stop.canceled"))
	case errors.Is(cause, kind.ErrStopping):
		r = kind.Failed(x.say("stop.stopping"))
	case errors.Is(cause, kind.ErrLost):
		r = kind.Failed(x.say("call.taken"))
	case what == "report":
		return nil // the error of reading says that it was late
	default:
		r = kind.Failed(x.say("stop.late", x.what))
	}
	return &r
}

// doubt settles a call that the service may have carried out, with some time of its own: the work's may be over.
func (c *call) doubt(ctx context.Context, why string) kind.Result {
	own, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTime)
	defer cancel()
	r := c.settle(own, why)
	if r.State == wire.StateFailed && errors.Is(context.Cause(ctx), kind.ErrCanceled) {
		return kind.Canceled(r.Text) // nothing was done, and that is what the person wanted
	}
	return r
}

// settle asks the probe up to three times, since a service may need a moment, and ends at the first sight of the wanted state.
func (c *call) settle(ctx context.Context, why string) kind.Result {
	if c.set.Probe == nil {
		return kind.Unsure(c.say("settle.none", why, c.what, c.where()))
	}
	var seen sight
	var err error
	for n := range looks {
		if n > 0 && kind.Pause(ctx, c.pause) != nil {
			break
		}
		if seen, err = c.look(ctx); err == nil && seen == done {
			break
		}
	}
	switch {
	case err != nil:
		return kind.Unsure(c.say("settle.blind", why, c.what, c.where()))
	case seen == done && !c.base.Done:
		return kind.Ended(c.say("settle.done", why, c.what))
	case seen == done:
		return kind.Unsure(c.say("settle.already", why, c.what, c.where()))
	case seen == undone:
		return kind.Failed(c.say("settle.undone", why, c.what))
	}
	return kind.Unsure(c.say("settle.unclear", why, c.what, c.where()))
}

// where is what a person should look at: the object of the call.
func (c *call) where() string { return endpoint.Line(c.set.Object.String(c.args, nil), 120) }
