package converse_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9/logging"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"palmops/libs/bus"
	"palmops/libs/bus/bustest"
	"palmops/libs/lang"
	"palmops/libs/lang/langtest"
	"palmops/libs/redistest"
	"palmops/libs/token"
	"palmops/libs/wire"
	"palmops/services/dialog/internal/ask"
	"palmops/services/dialog/internal/converse"
	"palmops/services/dialog/internal/flow"
	"palmops/services/dialog/internal/session"
	"palmops/services/dialog/internal/session/sessiontest"
	"palmops/services/dialog/menu"
	"palmops/services/dialog/node"
	"palmops/services/dialog/node/cidr"
	"palmops/services/dialog/policy"
)

func TestMain(m *testing.M) {
	logging.Disable() // the client's own lines about connections that the tests cut
	goleak.VerifyTestMain(m)
}

func TestTexts(t *testing.T) { langtest.Check(t, converse.Texts, ".") }

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
	asked   []asked
	who     flow.Identity

	departments []int64  // of everybody
	known       [][]byte // what was remembered of the person at each step
}

func newStage(t testing.TB) *stage {
	s := &stage{t: t, redis: redistest.New(t), faults: map[string]error{}, who: flow.Fresh, now: time.Now(), sent: 1000}
	s.store = session.New(sessiontest.Client(t, s.redis.URL()))
	s.bus = bustest.New(t).Connect("dialog")
	var err error
	if s.menu, err = menu.Load("testdata/menu.yaml", menu.BuildOptions{Nodes: []string{"cidr"}}); err != nil {
		t.Fatal(err)
	}
	if s.policy, err = policy.Load("testdata/policy.yaml"); err != nil {
		t.Fatal(err)
	}
	if err := s.policy.Validate(s.menu); err != nil {
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
		Nodes: map[string]node.Node{"cidr": cidr.Node},
		Log:   zap.New(core), Registry: prometheus.NewRegistry(), Now: s.clock,
	})
}

func (s *stage) clock() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

func (s *stage) Menu() *menu.Menu       { return s.menu }
func (s *stage) Write(l wire.AuditLine) { s.audits = append(s.audits, l) }

func (s *stage) Rights(m *menu.Menu) func(wire.Person, time.Time) *policy.Lens {
	return s.policy.Bind(m).For
}

func (s *stage) Revision(_ context.Context, rev string) (m *menu.Menu, err error) {
	if rev == s.menu.Rev {
		m = s.menu
	}
	return m, s.faults["revision"]
}

func (s *stage) Find(_ context.Context, w session.Who, known []byte) (wire.Person, flow.Identity, []byte, error) {
	s.known = append(s.known, known)
	return wire.Person{User: w.User, Found: true, Active: true, Departments: s.departments}, s.who, fmt.Append(nil, "seen ", len(s.known)), nil
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

// asked is one question, and in which language.
type asked struct {
	q flow.Question
	t lang.Tag
}

func (a asker) Ask(_ context.Context, _ session.Who, t lang.Tag, _ string, q flow.Question) (flow.Answer, error) {
	a.s.asked = append(a.s.asked, asked{q, t})
	return a.s.answer(q)
}

func (s *stage) message(text string) *bus.Msg {
	return s.inbound(wire.Inbound{Type: "text", Text: text})
}

// inbound is a message of zhangsan, unless it says otherwise.
func (s *stage) inbound(in wire.Inbound) *bus.Msg {
	s.t.Helper()
	s.seq++
	s.sent++
	in.V, in.ID, in.Corp, in.App, in.SentAt, in.ReceivedAt = 1, fmt.Sprintf("m%d", s.seq), "ww1", "ops", s.sent, s.clock().UnixMilli()
	if in.User == "" {
		in.User = "ZhangSan"
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

// last is the last reply that WeCom took.
func (s *stage) last() string {
	s.t.Helper()
	if len(s.replies) == 0 {
		s.t.Fatal("no reply")
	}
	return screens(s.replies[len(s.replies)-1].Screens)
}

func (s *stage) said(id string) *wire.Reply {
	q, _ := json.Marshal(wire.SaidQuery{V: 1, ID: id, Corp: "ww1", App: "ops", User: "ZHANGSAN"})
	return s.conv.Said(context.Background(), "", q).(wire.Said).Reply
}

var toConfirm = []string{"x", "1", "1", "1", "1", "1", "5"}
