// Package converse works on one inbound message from end to end: load the session, make a step of flow, store it, hand a
// confirmed order to ACT, and see to it that the answer reaches the person.
//
// Every stage may be cut off by a crash, and the message then comes again. What was stored under the message's id is
// taken up where it was left: one step, one order, one answer. An order is called accepted only when ACT has it.
package converse

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"palmops/libs/bus"
	"palmops/libs/fault"
	"palmops/libs/lang"
	"palmops/libs/wire"
	"palmops/services/dialog/internal/flow"
	"palmops/services/dialog/internal/session"
	"palmops/services/dialog/menu"
	"palmops/services/dialog/node"
	"palmops/services/dialog/policy"
)

//go:embed texts.yaml
var textsFile []byte

var texts = lang.MustLoad(textsFile)

const (
	// tries is how often a message comes before it is answered with what went wrong.
	tries = 3
	// pauseBetween lets a store come back; three tries stay inside the time in which WeCom can be answered directly.
	pauseBetween = 650 * time.Millisecond
	// replyPatience is how long a gateway may take to say that WeCom has the reply.
	replyPatience = 400 * time.Millisecond
	// maxQuestions is how many questions one step may ask: several choices typed in one go open a list each.
	maxQuestions = 20
	// commitSlack is how long after it was sent a commit may still be applied by Redis.
	commitSlack = session.Timeout + 50*time.Millisecond
)

// Store keeps sessions and replies.
type Store interface {
	Load(ctx context.Context, w session.Who, id string, place session.Place) (session.Loaded, error)
	Commit(ctx context.Context, c session.Commit) (o session.Outcome, reply []byte, marks string, err error)
	Reply(ctx context.Context, w session.Who, id string) (reply []byte, marks string, err error)
	Mark(ctx context.Context, w session.Who, id, marks string) error
	SetReply(ctx context.Context, w session.Who, id string, reply []byte, marks string) error
}

// Bus publishes and asks.
type Bus interface {
	Publish(ctx context.Context, subject, id string, v any) (bus.Ack, error)
	Ask(ctx context.Context, subject string, question, answer any) error
}

// People know who somebody is, with the help of what they gave to be remembered the last time.
type People interface {
	Find(ctx context.Context, w session.Who, known []byte) (person wire.Person, id flow.Identity, remember []byte, err error)
}

// Rules are the menu and the policy that count.
type Rules interface {
	Menu() *menu.Menu
	// Revision finds an older menu; nil without an error when it is not kept any more.
	Revision(ctx context.Context, rev string) (*menu.Menu, error)
	Rights(m *menu.Menu) func(person wire.Person, at time.Time) *policy.Lens
}

// Asker finds the answers to questions. A failure is an answer with a Fault in language t, and the error for the log.
type Asker interface {
	Ask(ctx context.Context, w session.Who, t lang.Tag, id string, q flow.Question) (flow.Answer, error)
}

// Signer makes the tokens of orders.
type Signer interface {
	Sign(c wire.Claims, args map[string]any) (wire.Action, error)
}

// Auditor takes audit lines.
type Auditor interface{ Write(line wire.AuditLine) }

// Options are what a Converser needs.
type Options struct {
	Bus      Bus
	Store    Store
	People   People
	Rules    Rules
	Asker    Asker
	Signer   Signer
	Audit    Auditor
	Nodes    map[string]node.Node                                // written in Go, by the name menus call them
	Online   func(zone, pool string) (executors int, known bool) // see flow.Env; may be nil
	Stream   string                                              // names the life of the stream IN, see session.Place
	Log      *zap.Logger
	Registry prometheus.Registerer
	Now      func() time.Time
}

// Converser is safe for concurrent use.
type Converser struct {
	Options
	m *metrics

	mu   sync.Mutex
	vain map[string]uint64 // message id to how many deliveries surely ended here before anything was done
}

// New makes a Converser.
func New(o Options) *Converser {
	o.Log = o.Log.Named("converse")
	return &Converser{Options: o, m: newMetrics(o.Registry), vain: map[string]uint64{}}
}

// Handle works on one message of IN. It is made for bus.Consume with one message per lane.
func (c *Converser) Handle(ctx context.Context, m *bus.Msg) error {
	begin := time.Now()
	defer func() { c.m.seconds.Observe(time.Since(begin).Seconds()) }()
	var in wire.Inbound
	if err := json.Unmarshal(m.Data, &in); err != nil {
		return fault.Wrap(fault.Invalid, err, "inbound message")
	}
	if in.ID == "" || in.Corp == "" || in.App == "" || in.User == "" {
		return fault.New(fault.Invalid, "inbound message without id, corp, app or user")
	}
	in.User = strings.ToLower(in.User)
	if in.Type == "event" && !press(in) {
		return c.deliver(ctx, in, &record{})
	}
	rec, t, err := c.step(ctx, in, session.Place{Stream: c.Stream, Seq: m.Seq})
	if err != nil {
		return c.failed(ctx, m, in, t, err)
	}
	c.forget(in.ID)
	if rec == nil {
		return nil // worked on long ago; its reply is not kept any more
	}
	return c.finish(ctx, in, rec)
}

// step makes the step, or finds the one that was made at an earlier delivery. It also says in which language the person
// is spoken to, as far as that was found out before an error.
func (c *Converser) step(ctx context.Context, in wire.Inbound, place session.Place) (*record, lang.Tag, error) {
	t := lang.Of(string(c.Rules.Menu().Language))
	for range tries {
		sent := time.Now()
		loaded, err := c.Store.Load(ctx, who(in), in.ID, place)
		if err != nil {
			return nil, t, err
		}
		if loaded.Reply != nil {
			rec, err := stored(loaded.Reply, loaded.Marks)
			return rec, t, err
		}
		if loaded.Behind {
			c.audit(in, flow.Result{Did: flow.DidIgnore, Reason: flow.ReasonLate}, "")
			return nil, t, nil
		}
		th := c.newThought(in, loaded)
		t = th.tongue()
		res, m, err := th.think(ctx)
		if err != nil {
			return nil, t, err
		}
		t = res.Lang
		rec := c.record(in, res)
		commit := session.Commit{
			Who: who(in), ID: in.ID, Place: place, From: loaded, SentAt: res.Session.SentAt,
			By: loaded.Now.Add(time.Since(sent) + commitSlack), Timeout: m.Timeout, Fixed: m.Fixed, Reply: rec.encode(), Person: th.remember,
		}
		if res.Session.Open() {
			commit.Rev, commit.Path = res.Session.Rev, res.Session.Path()
			commit.State, _ = json.Marshal(res.Session) // plain fields always have a JSON form
		}
		if res.Memo != nil {
			commit.Memo, _ = json.Marshal(res.Memo) // as above
		}
		outcome, reply, marks, err := c.Store.Commit(ctx, commit)
		if err != nil {
			return nil, t, err
		}
		switch outcome {
		case session.Stored:
			c.audit(in, res, m.Rev)
			c.m.steps.WithLabelValues(res.Did, res.Reason).Inc()
			return rec, t, nil
		case session.Before:
			if reply == nil {
				return nil, t, nil
			}
			rec, err := stored(reply, marks)
			return rec, t, err
		case session.Moved: // it expired, or somebody else moved it: look again
		default:
			return nil, t, fault.New(fault.Transient, "commit came too late for the store")
		}
	}
	return nil, t, fault.New(fault.Transient, "the session moved %d times", tries)
}

func stored(raw []byte, marks string) (*record, error) {
	rec, ok := decodeRecord(raw, marks)
	if !ok {
		return nil, fault.New(fault.Internal, "the stored reply cannot be read")
	}
	return rec, nil
}

func (c *Converser) record(in wire.Inbound, res flow.Result) *record {
	rec := &record{Screens: res.Screens, Lang: res.Lang, Pressed: res.Pressed}
	if i := res.Intent; i != nil {
		canonical, err := wire.CanonicalArgs(i.Args)
		if err != nil { // flow has made sure
			rec.Screens = []wire.Screen{notice(texts.Say(res.Lang, "args.title"), texts.Say(res.Lang, "args.body"))}
			return rec
		}
		// Validity counts from when the person said it: what was held up on the way is no fresher for it.
		from := c.Now().Unix()
		if in.ReceivedAt > 0 {
			from = min(from, in.ReceivedAt/1000)
		}
		rec.Order = &order{
			ID: i.ID, Node: i.Node, Zone: i.Zone, Pool: i.Pool, Action: i.Action, Args: canonical, Title: i.Title, Lang: i.Lang,
			IssuedAt: c.Now().Unix(), Expires: from + i.Expire, Report: i.Report, Noop: i.Noop,
		}
	}
	return rec
}

// failed gives the message back a few times, then answers with what went wrong and lets it go: the messages behind it
// must not wait for ever.
func (c *Converser) failed(ctx context.Context, m *bus.Msg, in wire.Inbound, t lang.Tag, err error) error {
	sure := c.inVain(in.ID) >= m.Delivered
	if m.Delivered < tries {
		return bus.Later(pauseBetween, err)
	}
	c.m.storeDown.Inc()
	screen := notice(texts.Say(t, "store.title"), texts.Say(t, "store.body"))
	switch kind := fault.KindOf(err); {
	case !sure && mayConfirm(in):
		// An earlier delivery in another process may have got as far as the order.
		screen = notice(texts.Say(t, "store.title"), texts.Say(t, "store.unsure"))
	case kind == fault.Internal:
		screen = notice(texts.Say(t, "internal.title"), texts.Say(t, "internal.body"))
	}
	derr := c.deliver(ctx, in, &record{Screens: []wire.Screen{screen}, Lang: t})
	if derr != nil {
		return derr
	}
	c.forget(in.ID)
	c.Log.Error("message answered without being worked on", zap.String("id", in.ID), zap.String("kind", string(fault.KindOf(err))), zap.Error(err))
	c.Audit.Write(wire.AuditLine{
		Corp: in.Corp, App: in.App, User: in.User, What: "step", Ref: in.ID, Verdict: "refused", Reason: "store",
	})
	return nil
}

// mayConfirm reports whether a message can have been a confirm: 1, a code of four digits, or a button.
func mayConfirm(in wire.Inbound) bool {
	text := flow.Fold(in.Text)
	return press(in) || text == "1" || len(text) == 4 && strings.Trim(text, "0123456789") == ""
}

// inVain counts one more delivery that ended before anything was done.
func (c *Converser) inVain(id string) uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.vain) > 4096 {
		clear(c.vain) // forgetting makes an answer more careful, never wrong
	}
	c.vain[id]++
	return c.vain[id]
}

func (c *Converser) forget(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.vain, id)
}

// Said answers a gateway that saw a message again: what was answered to it, when that is true already.
func (c *Converser) Said(ctx context.Context, _ string, data []byte) any {
	var q wire.SaidQuery
	none := wire.Said{V: wire.Version}
	if err := json.Unmarshal(data, &q); err != nil || q.ID == "" {
		return none
	}
	ctx, cancel := context.WithTimeout(ctx, 2*session.Timeout)
	defer cancel()
	w := session.Who{Corp: q.Corp, App: q.App, User: strings.ToLower(q.User)}
	raw, marks, err := c.Store.Reply(ctx, w, q.ID)
	if err != nil && !errors.Is(err, context.Canceled) {
		c.Log.Warn("said", zap.String("id", q.ID), zap.Error(err))
	}
	if raw == nil || err != nil {
		return none
	}
	rec, ok := decodeRecord(raw, marks)
	if !ok || !rec.sayable() {
		return none
	}
	reply := rec.reply(q.ID, w)
	return wire.Said{V: wire.Version, Reply: &reply, Pushed: rec.is(pushed)}
}

func (c *Converser) audit(in wire.Inbound, res flow.Result, rev string) {
	verdict := "ok"
	if res.Reason != "" {
		verdict = "refused"
	}
	c.Audit.Write(wire.AuditLine{
		Corp: in.Corp, App: in.App, User: in.User, What: "step", Ref: in.ID, Verdict: verdict, Reason: res.Reason,
		Detail: map[string]string{"did": res.Did, "menu": rev},
	})
}

func notice(title string, body ...string) wire.Screen {
	return wire.Screen{Kind: wire.ScreenNotice, Title: title, Body: body}
}
