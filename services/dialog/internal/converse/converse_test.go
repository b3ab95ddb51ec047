package converse_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9/logging"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"palmops/libs/bus"
	"palmops/libs/bus/bustest"
	"palmops/libs/fault"
	"palmops/libs/redistest"
	"palmops/libs/token"
	"palmops/libs/wire"
	"palmops/services/dialog/internal/ask"
	"palmops/services/dialog/internal/converse"
	"palmops/services/dialog/internal/flow"
	"palmops/services/dialog/internal/session"
	"palmops/services/dialog/internal/session/sessiontest"
	"palmops/services/dialog/menu"
	"palmops/services/dialog/policy"
)

func TestMain(m *testing.M) {
	logging.Disable() // the client's own lines about connections that the tests cut
	goleak.VerifyTestMain(m)
}

const local = "../../../../deployments/config/local/"

// stage is a Converser on a real Redis and a real NATS, with stand-ins for everybody else.
type stage struct {
	t     testing.TB
	redis *redistest.Server
	store *session.Store
	bus   *bus.Bus
	logs  *observer.ObservedLogs
	conv  *converse.Converser

	menu   *menu.Menu
	policy *policy.Policy
	seq    uint64
	sent   int64
	now    time.Time

	mu      sync.Mutex
	faults  map[string]error // by subject prefix: publishes fail
	passive bool             // gateways say that WeCom has the reply
	replies []wire.Reply
	audits  []wire.AuditLine
	answer  func(flow.Question) (flow.Answer, error)
	who     flow.Identity
}

func newStage(t testing.TB) *stage {
	s := &stage{t: t, redis: redistest.New(t), faults: map[string]error{}, who: flow.Fresh, now: time.Now(), sent: 1000}
	s.store = session.New(sessiontest.Client(t, s.redis.URL()))
	s.bus = bustest.New(t).Connect("dialog")
	var err error
	if s.menu, err = menu.Load(local + "menu.yaml"); err != nil {
		t.Fatal(err)
	}
	if s.policy, err = policy.Load(local + "policy.yaml"); err != nil {
		t.Fatal(err)
	}
	s.answer = func(q flow.Question) (flow.Answer, error) {
		return flow.Answer{
			Items:  map[string][]wire.Item{"k8s.namespaces": {{Value: "shop"}}, "k8s.deployments": {{Value: "web"}}}[q.Action],
			Fields: map[string]string{"replicas": "3"},
		}, nil
	}
	s.conv = s.converser()
	return s
}

var keys = func() token.KeySet {
	k, err := token.NewKeySet("local", zeros{})
	if err != nil {
		panic(err)
	}
	return k
}()

// zeros is a source of keys for tests; each read differs.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(i)
	}
	return len(p), nil
}

// converser is a process that has just been started.
func (s *stage) converser() *converse.Converser {
	signer, err := ask.NewSigner([]token.KeySet{keys}, s.clock)
	if err != nil {
		s.t.Fatal(err)
	}
	core, logs := observer.New(zapcore.DebugLevel)
	s.logs = logs
	return converse.New(converse.Options{
		Bus: s, Store: s.store, People: s, Rules: s, Asker: asker{s}, Signer: signer, Audit: s, Stream: "s1",
		Log: zap.New(core), Registry: prometheus.NewRegistry(), Now: s.clock,
	})
}

func (s *stage) clock() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

func (s *stage) Menu() *menu.Menu       { return s.menu }
func (s *stage) Policy() *policy.Policy { return s.policy }
func (s *stage) Write(l wire.AuditLine) { s.audits = append(s.audits, l) }
func (s *stage) Revision(rev string) (m *menu.Menu) {
	if rev == s.menu.Rev {
		m = s.menu
	}
	return m
}

func (s *stage) Find(_ context.Context, w session.Who) (wire.Person, flow.Identity, error) {
	return wire.Person{User: w.User, Found: true, Active: true}, s.who, nil
}

func (s *stage) Ask(ctx context.Context, subject string, question, answer any) error {
	rep, ok := question.(wire.Reply)
	if !ok {
		return s.bus.Ask(ctx, subject, question, answer)
	}
	if !s.passive {
		return s.bus.Ask(ctx, subject, question, answer) // nobody listens
	}
	s.replies = append(s.replies, rep)
	answer.(*wire.ReplyTaken).Passive = true
	return nil
}

func (s *stage) Publish(ctx context.Context, subject, id string, v any) (bus.Ack, error) {
	for prefix, err := range s.faults {
		if strings.HasPrefix(subject, prefix) {
			return bus.Ack{}, err
		}
	}
	return s.bus.Publish(ctx, subject, id, v)
}

// asker makes the stage an Asker: a method of that name exists already.
type asker struct{ s *stage }

func (a asker) Ask(_ context.Context, _ session.Who, _ string, q flow.Question) (flow.Answer, error) {
	return a.s.answer(q)
}

func (s *stage) message(text string) *bus.Msg {
	s.seq++
	s.sent++
	in := wire.Inbound{
		V: 1, ID: fmt.Sprintf("m%d", s.seq), Corp: "ww1", App: "ops", User: "ZhangSan", Type: "text", Text: text, SentAt: s.sent,
		ReceivedAt: s.clock().UnixMilli(),
	}
	data, err := json.Marshal(in)
	if err != nil {
		s.t.Fatal(err)
	}
	return &bus.Msg{Data: data, Seq: s.seq, Delivered: 1}
}

func (s *stage) handle(m *bus.Msg) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return s.conv.Handle(ctx, m)
}

// settle works on a message until it is done, as the bus does: on a busy machine Redis may be slow to answer.
func (s *stage) settle(m *bus.Msg) {
	s.t.Helper()
	err := s.handle(m)
	for try := 0; bus.Settle(err) == bus.Again && try < 50; try++ {
		err = s.handle(m)
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *stage) say(texts ...string) *bus.Msg {
	s.t.Helper()
	var m *bus.Msg
	for _, text := range texts {
		m = s.message(text)
		s.settle(m)
	}
	return m
}

// stored is what lies in a stream.
func stored[T any](s *stage, stream string) []T {
	s.t.Helper()
	ctx := context.Background()
	st, err := s.bus.JS.Stream(ctx, stream)
	if err != nil {
		s.t.Fatal(err)
	}
	info, err := st.Info(ctx)
	if err != nil {
		s.t.Fatal(err)
	}
	var out []T
	for seq := info.State.FirstSeq; seq <= info.State.LastSeq && info.State.Msgs > 0; seq++ {
		raw, err := s.bus.Stored(ctx, stream, seq)
		if err != nil {
			s.t.Fatal(err)
		}
		var v T
		if err := json.Unmarshal(raw, &v); err != nil {
			s.t.Fatal(err)
		}
		out = append(out, v)
	}
	return out
}

func screens(list []wire.Screen) string {
	raw, _ := json.Marshal(list)
	return string(raw)
}

func (s *stage) said(id string) *wire.Reply {
	q, _ := json.Marshal(wire.SaidQuery{V: 1, ID: id, Corp: "ww1", App: "ops", User: "ZHANGSAN"})
	return s.conv.Said(context.Background(), "", q).(wire.Said).Reply
}

var toConfirm = []string{"x", "1", "1", "1", "1", "1", "5"}

func TestAConfirmedOrderIsStoredOnceWithATokenForIt(t *testing.T) {
	s := newStage(t)
	s.passive = true
	m := s.say(append(slices.Clone(toConfirm), "1")...)
	for range 3 { // the acknowledgement was lost
		m.Delivered++
		s.settle(m)
	}
	acts := stored[wire.Action](s, wire.StreamAct)
	if len(acts) != 1 {
		t.Fatalf("%d orders", len(acts))
	}
	layered, err := keys.Layered(token.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var c wire.Claims
	if _, err := layered.Loads(acts[0].Token, time.Minute, &c); err != nil {
		t.Fatal(err)
	}
	want := wire.Claims{
		V: 1, ID: wire.DeriveID("action", "m8", "retail-scale"), Corp: "ww1", App: "ops", User: "zhangsan", Zone: "local", Pool: "k8s",
		Action: "k8s.scale", ArgsHash: wire.ArgsHash(acts[0].Args), IssuedAt: s.now.Unix(), Expires: s.now.Unix() + 120, Title: "shop/web 副本数 3 → 5",
	}
	if diff := cmp.Diff(want, c); diff != "" || acts[0].ID != c.ID {
		t.Error(diff)
	}
	if got := string(acts[0].Args); got != `{"deployment":"web","from":3,"namespace":"shop","replicas":5}` {
		t.Error(got)
	}
	if len(s.replies) != 8 {
		t.Errorf("%d replies to 8 messages", len(s.replies))
	}
	if out := stored[wire.Outbound](s, wire.StreamOut); len(out) != 0 {
		t.Errorf("pushed as well: %+v", out)
	}
	if rep := s.said("m8"); rep == nil || !strings.Contains(screens(rep.Screens), "已受理 #"+wire.ShortID(c.ID)) {
		t.Errorf("said %+v", rep)
	}
	for _, l := range s.audits {
		if raw, _ := json.Marshal(l); strings.Contains(string(raw), "shop") || strings.Contains(string(raw), acts[0].Token) {
			t.Errorf("the audit quotes: %s", raw)
		}
	}
	for _, e := range s.logs.All() {
		if e.Level >= zapcore.WarnLevel {
			t.Errorf("logged %s %v", e.Message, e.ContextMap())
		}
	}
}

// A crash between the stored step and the stored order: the message comes again, to another process.
func TestACrashBeforeTheOrderIsStored(t *testing.T) {
	for _, kind := range []fault.Kind{fault.Transient, fault.Unknown} {
		t.Run(string(kind), func(t *testing.T) {
			s := newStage(t)
			s.passive = true
			s.say(toConfirm...)
			s.faults["act."] = fault.New(kind, "no bus")
			m := s.message("1")
			if err := s.handle(m); !fault.Is(err, kind) {
				t.Fatalf("got %v", err)
			}
			if len(s.replies) != len(toConfirm) || s.said("m8") != nil {
				t.Fatal("the order is called accepted before it is stored")
			}
			delete(s.faults, "act.")
			s.conv = s.converser()
			m.Delivered++
			s.settle(m)
			if acts := stored[wire.Action](s, wire.StreamAct); len(acts) != 1 || acts[0].ID != wire.DeriveID("action", "m8", "retail-scale") {
				t.Errorf("orders %+v", acts)
			}
			if got := screens(s.replies[len(s.replies)-1].Screens); !strings.Contains(got, "已受理") || s.said("m8") == nil {
				t.Error(got)
			}
		})
	}
}

func TestAnOrderThatCannotBeHandedOverIsNotCalledAccepted(t *testing.T) {
	s := newStage(t)
	s.passive = true
	s.say(toConfirm...)
	s.faults["act."] = fault.New(fault.Transient, "no bus")
	m := s.message("1")
	if err := s.handle(m); err == nil {
		t.Fatal("no error")
	}
	s.mu.Lock()
	s.now = s.now.Add(121 * time.Second)
	s.mu.Unlock()
	m.Delivered = 9
	s.settle(m)
	if got := screens(s.replies[len(s.replies)-1].Screens); !strings.Contains(got, "没有收到受理回执") {
		t.Error(got)
	}
	if rep := s.said("m8"); rep == nil || !strings.Contains(screens(rep.Screens), "没有收到受理回执") {
		t.Errorf("said %+v", rep)
	}
}

func TestWithoutAGatewayTheReplyIsPushedOnce(t *testing.T) {
	s := newStage(t)
	m := s.say("你好，这是一句很长很长很长很长很长很长的话")
	m.Delivered++
	s.settle(m)
	out := stored[wire.Outbound](s, wire.StreamOut)
	if len(out) != 1 {
		t.Fatalf("%d pushes", len(out))
	}
	o := out[0]
	if o.ID != "m1:reply" || o.InReplyTo != "m1" || o.SentAt != 1001 || o.User != "zhangsan" || len([]rune(o.SaidText)) != 21 || !strings.Contains(screens(o.Screens), "掌上运维") {
		t.Errorf("%+v", o)
	}
}

func TestAPushThatFailsComesAgain(t *testing.T) {
	s := newStage(t)
	s.faults["out."] = fault.New(fault.Unknown, "no bus")
	m := s.message("x")
	if err := s.handle(m); bus.Settle(err) != bus.Again {
		t.Fatalf("got %v", err)
	}
	delete(s.faults, "out.")
	s.settle(m)
	if out := stored[wire.Outbound](s, wire.StreamOut); len(out) != 1 {
		t.Errorf("%d pushes", len(out))
	}
}

func TestAWordOfTheStore(t *testing.T) {
	for _, how := range []string{"frozen", "killed"} {
		t.Run(how, func(t *testing.T) {
			s := newStage(t)
			s.passive = true
			s.say(toConfirm...)
			if how == "frozen" {
				s.redis.Freeze()
			} else {
				s.redis.Kill()
			}
			m := s.message("0")
			for m.Delivered = 1; m.Delivered < 3; m.Delivered++ {
				if err := s.handle(m); bus.Settle(err) != bus.Again {
					t.Fatalf("delivery %d: %v", m.Delivered, err)
				}
			}
			if err := s.handle(m); err != nil {
				t.Fatal(err)
			}
			last := screens(s.replies[len(s.replies)-1].Screens)
			if !strings.Contains(last, "会话存储暂时不可用") || !strings.Contains(last, "没有执行任何操作") {
				t.Error(last)
			}
			// A confirm whose first delivery was somebody else's: nobody can be sure.
			c := s.message("１")
			c.Delivered = 3
			if err := s.handle(c); err != nil {
				t.Fatal(err)
			}
			if last := screens(s.replies[len(s.replies)-1].Screens); !strings.Contains(last, "不能确定") {
				t.Error(last)
			}
			// A confirm that failed here each time surely did nothing.
			c = s.message("1")
			for c.Delivered = 1; c.Delivered < 3; c.Delivered++ {
				if err := s.handle(c); err == nil {
					t.Fatal("no error")
				}
			}
			if err := s.handle(c); err != nil {
				t.Fatal(err)
			}
			if last := screens(s.replies[len(s.replies)-1].Screens); !strings.Contains(last, "没有执行任何操作") {
				t.Error(last)
			}
			if how == "frozen" {
				s.redis.Thaw()
			} else {
				s.redis.Restart()
			}
			sessiontest.Wait(t, "redis to answer", func(ctx context.Context) bool { return s.store.Ready(ctx) == nil })
			if acts := stored[wire.Action](s, wire.StreamAct); len(acts) != 0 {
				t.Errorf("orders %+v", acts)
			}
			s.say("1")
			if acts := stored[wire.Action](s, wire.StreamAct); len(acts) != 1 {
				t.Errorf("the conversation did not go on: %s", screens(s.replies[len(s.replies)-1].Screens))
			}
		})
	}
}

func TestWorthlessMessagesAreDropped(t *testing.T) {
	s := newStage(t)
	for _, data := range []string{"", "null", "{}", `{"id":"a","corp":"c","app":"a"}`, "[]"} {
		if err := s.handle(&bus.Msg{Data: []byte(data), Seq: 1, Delivered: 1}); bus.Settle(err) != bus.Drop {
			t.Errorf("%q: %v", data, err)
		}
	}
	if rep := s.conv.Said(context.Background(), "", []byte("{")).(wire.Said).Reply; rep != nil {
		t.Errorf("%+v", rep)
	}
}

func TestAnEventIsAnsweredWithNothing(t *testing.T) {
	s := newStage(t)
	s.passive = true
	data, _ := json.Marshal(wire.Inbound{V: 1, ID: "e", Corp: "ww1", App: "ops", User: "u", Type: "event", Event: "enter_agent"})
	if err := s.handle(&bus.Msg{Data: data, Seq: 1, Delivered: 1}); err != nil {
		t.Fatal(err)
	}
	if len(s.replies) != 1 || s.replies[0].Screens == nil || len(s.replies[0].Screens) != 0 {
		t.Errorf("%+v", s.replies)
	}
	s.passive = false
	if err := s.handle(&bus.Msg{Data: data, Seq: 1, Delivered: 1}); err != nil {
		t.Fatal(err)
	}
	if out := stored[wire.Outbound](s, wire.StreamOut); len(out) != 0 {
		t.Errorf("pushed %+v", out)
	}
}

func TestAQuestionThatFailsIsSaid(t *testing.T) {
	s := newStage(t)
	s.passive = true
	s.say("x", "1", "1")
	s.answer = func(flow.Question) (flow.Answer, error) {
		return flow.Answer{Fault: "列表暂时取不到（执行器没有应答），没有执行任何操作"}, errors.New("no executor")
	}
	s.say("1")
	if got := screens(s.replies[3].Screens); !strings.Contains(got, "再次回复 1 重试") {
		t.Error(got)
	}
}

// No earlier message, delivered again while the confirm is on the screen, counts as the confirm.
func TestARedeliveredStepIsNoConfirm(t *testing.T) {
	s := newStage(t)
	s.passive = true
	var before []*bus.Msg
	for _, text := range toConfirm {
		before = append(before, s.say(text))
	}
	s.conv = s.converser() // another process
	for _, m := range before {
		m.Delivered++
		s.settle(m)
	}
	if acts := stored[wire.Action](s, wire.StreamAct); len(acts) != 0 || len(s.replies) != len(toConfirm) {
		t.Errorf("%d orders, %d replies", len(acts), len(s.replies))
	}
	s.say("1")
	if acts := stored[wire.Action](s, wire.StreamAct); len(acts) != 1 {
		t.Errorf("%d orders", len(acts))
	}
}

// A person who types ahead of the confirm has not read it.
func TestAnAnswerFromBeforeTheConfirmDoesNotConfirm(t *testing.T) {
	s := newStage(t)
	s.passive = true
	s.say(toConfirm[:len(toConfirm)-1]...)
	first, second := s.message("1"), s.message("1") // both arrive before either is worked on
	s.mu.Lock()
	s.now = s.now.Add(300 * time.Millisecond)
	s.mu.Unlock()
	for _, m := range []*bus.Msg{first, second} {
		s.settle(m)
	}
	if acts := stored[wire.Action](s, wire.StreamAct); len(acts) != 0 {
		t.Errorf("%d orders", len(acts))
	}
	s.say("1")
	if acts := stored[wire.Action](s, wire.StreamAct); len(acts) != 1 {
		t.Errorf("%d orders", len(acts))
	}
}

// The message ended before the one that was sent after it: it is not worked on a second time, and nothing is said.
func TestAMessageBehindItsFollowersIsLetGo(t *testing.T) {
	s := newStage(t)
	s.passive = true
	old := s.message("1")
	s.say("x", "1")
	n := len(s.replies)
	if err := s.handle(old); err != nil || len(s.replies) != n {
		t.Errorf("%v, %d replies", err, len(s.replies)-n)
	}
}
