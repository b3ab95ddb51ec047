// Package converse works on one inbound message from end to end: load the session, make a step of flow, store it, hand a
// confirmed order to ACT, and see to it that the answer reaches the person.
//
// Every stage may be cut off by a crash, and the message then comes again. What was stored under the message's id is
// taken up where it was left: one step, one order, one answer. An order is called accepted only when ACT has it.
package converse

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"palmops/libs/bus"
	"palmops/libs/fault"
	"palmops/libs/wire"
	"palmops/services/dialog/internal/flow"
	"palmops/services/dialog/internal/session"
	"palmops/services/dialog/menu"
	"palmops/services/dialog/policy"
)

const (
	// tries is how often a message comes before it is answered with what went wrong.
	tries = 3
	// pauseBetween lets a store come back; three tries stay inside the time in which WeCom can be answered directly.
	pauseBetween = 650 * time.Millisecond
	// replyPatience is how long a gateway may take to say that WeCom has the reply.
	replyPatience = 400 * time.Millisecond
	// maxQuestions is how many questions one step may ask.
	maxQuestions = 4
	// commitSlack is how long after it was sent a commit may still be applied by Redis.
	commitSlack = session.Timeout + 50*time.Millisecond
)

// Store keeps sessions and replies.
type Store interface {
	Load(ctx context.Context, w session.Who, id string, place session.Place) (session.Loaded, error)
	Commit(ctx context.Context, c session.Commit) (session.Outcome, []byte, error)
	Reply(ctx context.Context, w session.Who, id string) ([]byte, error)
	SetReply(ctx context.Context, w session.Who, id string, reply []byte) error
}

// Bus publishes and asks.
type Bus interface {
	Publish(ctx context.Context, subject, id string, v any) (bus.Ack, error)
	Ask(ctx context.Context, subject string, question, answer any) error
}

// People know who somebody is.
type People interface {
	Find(ctx context.Context, w session.Who) (wire.Person, flow.Identity, error)
}

// Rules are the menu and the policy that count.
type Rules interface {
	Menu() *menu.Menu
	Revision(rev string) *menu.Menu
	Policy() *policy.Policy
}

// Asker asks executors.
type Asker interface {
	Ask(ctx context.Context, w session.Who, id string, q flow.Question) (flow.Answer, error)
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
	Stream   string // names the life of the stream IN, see session.Place
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
	if in.Type == "event" {
		return c.deliver(ctx, in, &record{Reply: c.reply(in)})
	}
	rec, err := c.step(ctx, in, session.Place{Stream: c.Stream, Seq: m.Seq})
	if err != nil {
		return c.failed(ctx, m, in, err)
	}
	c.forget(in.ID)
	if rec == nil {
		return nil // worked on long ago; its reply is not kept any more
	}
	return c.finish(ctx, in, rec)
}

// step makes the step, or finds the one that was made at an earlier delivery.
func (c *Converser) step(ctx context.Context, in wire.Inbound, place session.Place) (*record, error) {
	for range tries {
		sent := time.Now()
		loaded, err := c.Store.Load(ctx, who(in), in.ID, place)
		if err != nil {
			return nil, err
		}
		if loaded.Reply != nil {
			return stored(loaded.Reply)
		}
		if loaded.Behind {
			c.audit(in, flow.Result{Did: flow.DidIgnore, Reason: flow.ReasonLate}, "")
			return nil, nil
		}
		res, m := c.think(ctx, in, loaded)
		rec := c.record(in, res)
		commit := session.Commit{
			Who: who(in), ID: in.ID, Place: place, Ver: loaded.Ver, SentAt: res.Session.SentAt,
			By: loaded.Now.Add(time.Since(sent) + commitSlack), Timeout: m.Timeout, Fixed: m.Fixed, Reply: rec.encode(),
		}
		if res.Session.Open() {
			commit.Rev, commit.Path = res.Session.Rev, res.Session.Path()
			commit.State, _ = json.Marshal(res.Session) // plain fields always have a JSON form
		}
		outcome, reply, err := c.Store.Commit(ctx, commit)
		if err != nil {
			return nil, err
		}
		switch outcome {
		case session.Stored:
			c.audit(in, res, m.Rev)
			c.m.steps.WithLabelValues(res.Did, res.Reason).Inc()
			return rec, nil
		case session.Before:
			if reply == nil {
				return nil, nil
			}
			return stored(reply)
		case session.Moved: // it expired, or somebody else moved it: look again
		default:
			return nil, fault.New(fault.Transient, "commit came too late for the store")
		}
	}
	return nil, fault.New(fault.Transient, "the session moved %d times", tries)
}

func stored(raw []byte) (*record, error) {
	rec, ok := decodeRecord(raw)
	if !ok {
		return nil, fault.New(fault.Internal, "the stored reply cannot be read")
	}
	return rec, nil
}

// think makes the step of flow and asks what it needs on the way. It returns the menu the result belongs to.
func (c *Converser) think(ctx context.Context, in wire.Inbound, loaded session.Loaded) (flow.Result, *menu.Menu) {
	var s flow.Session
	if loaded.State != nil {
		if err := json.Unmarshal(loaded.State, &s); err != nil {
			c.Log.Warn("session cannot be read; it starts again", zap.String("id", in.ID), zap.Error(err))
			s = flow.Session{}
		}
	}
	s.SentAt = max(s.SentAt, loaded.SentAt)
	person, identity, err := c.People.Find(ctx, who(in))
	if err != nil {
		c.Log.Warn("directory", zap.String("id", in.ID), zap.Error(err))
	}
	latest := c.Rules.Menu()
	m := c.Rules.Revision(s.Rev)
	if m == nil {
		m = latest
	}
	env := flow.Env{
		Person: person, Identity: identity, Rights: c.Rules.Policy(), Answers: map[string]flow.Answer{}, Latest: latest,
		Now: c.Now().UnixMilli(),
	}
	ev := flow.Event{ID: in.ID, Type: in.Type, Text: in.Text, SentAt: in.SentAt, At: in.ReceivedAt}
	res := flow.Step(m, s, ev, env)
	for range maxQuestions {
		if res.Need == nil {
			break
		}
		env.Answers[res.Need.Key] = c.ask(ctx, in, *res.Need)
		res = flow.Step(m, s, ev, env)
	}
	if res.Need != nil { // a menu whose screens need more than that does not exist
		env.Answers[res.Need.Key] = flow.Answer{Fault: "需要的数据太多，没有执行任何操作"}
		res = flow.Step(m, s, ev, env)
	}
	if used := c.Rules.Revision(res.Session.Rev); used != nil {
		m = used
	}
	return res, m
}

func (c *Converser) ask(ctx context.Context, in wire.Inbound, q flow.Question) flow.Answer {
	// What is left after the question must be enough to store the step and to answer.
	if by, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, by.Add(-session.Timeout))
		defer cancel()
	}
	id := wire.DeriveID("question", in.ID, q.Key, c.Now().Format(time.RFC3339Nano))
	answer, err := c.Asker.Ask(ctx, who(in), id, q)
	result := "ok"
	if err != nil {
		result = string(fault.KindOf(err))
		c.Log.Warn("question", zap.String("id", in.ID), zap.String("zone", q.Zone), zap.String("pool", q.Pool),
			zap.String("action", q.Action), zap.String("kind", result), zap.Error(err))
	}
	c.m.questions.WithLabelValues(q.Zone, q.Pool, result).Inc()
	return answer
}

func (c *Converser) record(in wire.Inbound, res flow.Result) *record {
	rec := &record{Reply: c.reply(in, res.Screens...)}
	if i := res.Intent; i != nil {
		canonical, err := wire.CanonicalArgs(i.Args)
		if err != nil { // flow has made sure
			rec.Reply = c.reply(in, notice("参数不能使用", "没有执行任何操作。"))
			return rec
		}
		// Validity counts from when the person said it: what was held up on the way is no fresher for it.
		from := c.Now().Unix()
		if in.ReceivedAt > 0 {
			from = min(from, in.ReceivedAt/1000)
		}
		rec.Order = &order{
			ID: i.ID, Node: i.Node, Zone: i.Zone, Pool: i.Pool, Action: i.Action, Args: canonical, Title: i.Title,
			IssuedAt: c.Now().Unix(), Expires: from + i.Expire,
		}
	}
	return rec
}

func (c *Converser) reply(in wire.Inbound, screens ...wire.Screen) wire.Reply {
	if screens == nil {
		screens = []wire.Screen{}
	}
	return wire.Reply{V: wire.Version, ID: in.ID, Corp: in.Corp, App: in.App, User: in.User, Screens: screens}
}

// failed gives the message back a few times, then answers with what went wrong and lets it go: the messages behind it
// must not wait for ever.
func (c *Converser) failed(ctx context.Context, m *bus.Msg, in wire.Inbound, err error) error {
	sure := c.inVain(in.ID) >= m.Delivered
	if m.Delivered < tries {
		return bus.Later(pauseBetween, err)
	}
	c.m.storeDown.Inc()
	screen := notice("会话存储暂时不可用", "本条消息没有执行任何操作；正在运行的任务不受影响，请稍后重试。")
	switch kind := fault.KindOf(err); {
	case !sure && flow.Fold(in.Text) == "1":
		// Only this text can have been a confirm, and an earlier delivery in another process may have got that far.
		screen = notice("会话存储暂时不可用", "不能确定这条消息是否已经处理。如果它是确认操作，请等待结果消息，不要重复发送。")
	case kind == fault.Internal:
		screen = notice("系统内部错误", "本条消息没有执行任何操作；请稍后重试，仍不行请联系管理员。")
	}
	derr := c.deliver(ctx, in, &record{Reply: c.reply(in, screen)})
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
	raw, err := c.Store.Reply(ctx, session.Who{Corp: q.Corp, App: q.App, User: strings.ToLower(q.User)}, q.ID)
	if err != nil && !errors.Is(err, context.Canceled) {
		c.Log.Warn("said", zap.String("id", q.ID), zap.Error(err))
	}
	if raw == nil || err != nil {
		return none
	}
	rec, ok := decodeRecord(raw)
	if !ok || !rec.sayable() {
		return none
	}
	return wire.Said{V: wire.Version, Reply: &rec.Reply, Pushed: rec.Pushed}
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
