package report_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9/logging"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"palmops/libs/bus"
	"palmops/libs/bus/bustest"
	"palmops/libs/fault"
	"palmops/libs/lang/langtest"
	"palmops/libs/redistest"
	"palmops/libs/token"
	"palmops/libs/wire"
	"palmops/services/dialog/internal/ask"
	"palmops/services/dialog/internal/outputs"
	"palmops/services/dialog/internal/report"
	"palmops/services/dialog/internal/session"
	"palmops/services/dialog/internal/session/sessiontest"
)

func TestMain(m *testing.M) {
	logging.Disable() // the client's own lines about connections that the tests cut
	goleak.VerifyTestMain(m)
}

func TestTexts(t *testing.T) { langtest.Check(t, report.Texts, ".") }

func TestScreens(t *testing.T) {
	for _, c := range []struct {
		ev    wire.Event
		kind  string
		wants []string
	}{
		{wire.Event{State: wire.StateRunning, Title: "shop/web 3 → 5", Text: "4/5 就绪"}, wire.ScreenProgress, []string{"进行中 #01ABCD", "shop/web 3 → 5", "4/5 就绪"}},
		{wire.Event{State: wire.StateSucceeded, Title: "shop/web 3 → 5", Text: "5/5 就绪"}, wire.ScreenResult, []string{"已完成 #01ABCD", "5/5 就绪"}},
		{wire.Event{State: wire.StateSucceeded, Action: "k8s.scale"}, wire.ScreenResult, []string{"k8s.scale"}},
		{wire.Event{State: wire.StateFailed}, wire.ScreenResult, []string{"失败", "核对目标状态"}},
		{wire.Event{State: wire.StateExpired, Title: "t"}, wire.ScreenResult, []string{"已过期，没有执行", "没有执行任何操作"}},
		{wire.Event{State: wire.StateRejected, Text: "命名空间不在允许范围"}, wire.ScreenResult, []string{"被拒绝，没有执行", "命名空间不在允许范围"}},
		{wire.Event{State: wire.StateUnknown, Executor: "ex-3"}, wire.ScreenResult, []string{"结果未知", "系统不会自动重试", "先核对目标状态", "ex-3"}},
		{wire.Event{State: wire.StateTimeout}, wire.ScreenResult, []string{"超时", "不要直接重试"}},
		{wire.Event{State: wire.StateCanceled}, wire.ScreenResult, []string{"已取消"}},
		{wire.Event{State: wire.StateFailed, Lang: "en"}, wire.ScreenResult, []string{"Failed #01ABCD", "Check the state of the target"}},
		{wire.Event{State: wire.StateCanceled, Text: "said by the executor", Lang: "en"}, wire.ScreenResult, []string{"Cancelled", "said by the executor"}},
	} {
		c.ev.ID = "01abcdefgh"
		s, ok := report.Screen(c.ev)
		text := s.Title + "\n" + strings.Join(s.Body, "\n")
		if !ok || s.Kind != c.kind {
			t.Errorf("%s: %+v", c.ev.State, s)
		}
		for _, w := range c.wants {
			if !strings.Contains(text, w) {
				t.Errorf("%s: want %q in %s", c.ev.State, w, text)
			}
		}
	}
	for _, state := range []string{wire.StateQueued, wire.StateClaimed, wire.StatePending, "", "new"} {
		if _, ok := report.Screen(wire.Event{ID: "a", State: state}); ok {
			t.Errorf("%q is told", state)
		}
	}
}

// stage is a sweeper on a real NATS and a real Redis.
type stage struct {
	t      *testing.T
	bus    *bus.Bus
	signer *ask.Signer
	now    time.Time
	store  *session.Store
	bucket report.Bucket

	outputs *outputs.Store
}

// nepal is a zone whose time of day is no other's.
func nepal() *time.Location { return time.FixedZone("NPT", 5*3600+45*60) }

type counting struct{ n byte }

func (c *counting) Read(p []byte) (int, error) {
	for i := range p {
		c.n++
		p[i] = c.n
	}
	return len(p), nil
}

func newStage(t *testing.T) *stage {
	s := &stage{t: t, bus: bustest.New(t).Connect("dialog"), store: session.New(sessiontest.Patient(t, redistest.New(t).URL())), now: time.Now()}
	keys, err := token.NewKeySet("local", &counting{})
	if err != nil {
		t.Fatal(err)
	}
	if s.signer, err = ask.NewSigner([]token.KeySet{keys}, time.Now); err != nil {
		t.Fatal(err)
	}
	kv, err := s.bus.JS.KeyValue(t.Context(), wire.BucketActions)
	if err != nil {
		t.Fatal(err)
	}
	s.bucket = report.Bucket{KV: kv}
	if s.outputs, err = outputs.New(t.Context(), s.bus.JS); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *stage) order(id string) {
	s.t.Helper()
	a, err := s.signer.Sign(wire.Claims{
		ID: id, Corp: "c", App: "a", User: "zhangsan", Zone: "local", Pool: "k8s", Action: "k8s.scale", Title: "shop/web 3 → 5",
		IssuedAt: s.now.Unix(), Expires: s.now.Unix() + 120,
	}, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	if _, err := s.bus.Publish(s.t.Context(), wire.ActSubject("local", "k8s", "k8s.scale", id), id, a); err != nil {
		s.t.Fatal(err)
	}
}

// sweep sweeps at a time after the start, as a process of its own, and returns the ids of what lies in OUT afterwards.
func (s *stage) sweep(after time.Duration) (ids []string, last wire.Outbound) {
	s.t.Helper()
	sw := report.NewSweeper(s.bus, s.bucket, s.signer, s.store, func() time.Time { return s.now.Add(after) }, nepal, zap.NewNop())
	if err := sw.Sweep(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
	st, err := s.bus.JS.Stream(s.t.Context(), wire.StreamOut)
	if err != nil {
		s.t.Fatal(err)
	}
	info, err := st.Info(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	for seq := uint64(1); seq <= info.State.LastSeq; seq++ {
		raw, err := s.bus.Stored(s.t.Context(), wire.StreamOut, seq)
		if err != nil {
			s.t.Fatal(err)
		}
		if err := json.Unmarshal(raw, &last); err != nil {
			s.t.Fatal(err)
		}
		ids = append(ids, last.ID)
	}
	return ids, last
}

func TestAnActionThatWaitsIsToldOnce(t *testing.T) {
	s := newStage(t)
	s.order("w1")
	s.order("w2")
	rec, _ := json.Marshal(wire.Record{V: 1, ID: "w2", State: wire.StateRunning})
	if _, err := s.bucket.KV.Create(t.Context(), "w2", rec); err != nil { // an executor has it
		t.Fatal(err)
	}
	want := func(after time.Duration, ids string) wire.Outbound {
		t.Helper()
		got, last := s.sweep(after)
		if strings.Join(got, " ") != ids {
			t.Errorf("after %s: %v, want %s", after, got, ids)
		}
		return last
	}
	want(10*time.Second, "")
	o := want(20*time.Second, "w1:waiting")
	if text := o.Screens[0].Title + strings.Join(o.Screens[0].Body, ""); !strings.Contains(text, "正在等待执行器 #W1") || !strings.Contains(text, "local/k8s") || !strings.Contains(text, "尚未开始") || !strings.Contains(text, time.Unix(s.now.Unix()+120, 0).In(nepal()).Format("15:04:05")) || o.User != "zhangsan" {
		t.Error(text)
	}
	want(40*time.Second, "w1:waiting")
	want(130*time.Second, "w1:waiting") // an executor with a late clock may still take it
	o = want(151*time.Second, "w1:waiting w1:expired")
	if text := o.Screens[0].Title + strings.Join(o.Screens[0].Body, ""); !strings.Contains(text, "已过期，没有执行 #W1") {
		t.Error(text)
	}
	want(400*time.Second, "w1:waiting w1:expired")
}

func TestAForgedOrderTellsNobody(t *testing.T) {
	s := newStage(t)
	act := wire.Action{V: 1, ID: "f", Token: "eyJqdGkiOiJmIn0.x.y.z", Args: json.RawMessage("{}")}
	if _, err := s.bus.Publish(t.Context(), wire.ActSubject("local", "k8s", "k8s.scale", "f"), "f", act); err != nil {
		t.Fatal(err)
	}
	s.order("w1")
	sw := report.NewSweeper(s.bus, s.bucket, s.signer, s.store, func() time.Time { return s.now.Add(time.Minute) }, nepal, zap.NewNop())
	if err := sw.Sweep(t.Context()); err == nil {
		t.Error("the forged order is not reported")
	}
	if ids, _ := s.sweepIgnoring(); len(ids) != 1 || ids[0] != "w1:waiting" {
		t.Errorf("told %v", ids)
	}
}

func (s *stage) sweepIgnoring() ([]string, error) {
	raw, err := s.bus.Stored(s.t.Context(), wire.StreamOut, 1)
	var o wire.Outbound
	if err == nil {
		err = json.Unmarshal(raw, &o)
	}
	return []string{o.ID}, err
}

// settled says the same of every action.
type settled bool

func (s settled) Settled(context.Context, session.Who, string) (bool, error) { return bool(s), nil }

// later says yes when it is asked the third time.
type later struct{ asked int }

func (l *later) Settled(_ context.Context, w session.Who, action string) (bool, error) {
	l.asked++
	return l.asked == 3 && w == (session.Who{Corp: "c", App: "a", User: "u"}) && action == "a", nil
}

// A result that is there before the person was told that the action is accepted waits for that, but not for long.
func TestAResultComesAfterItsAcceptance(t *testing.T) {
	s := newStage(t)
	data := []byte(`{"id":"a","corp":"c","app":"a","user":"U","state":"succeeded","rev":3}`)
	l := &later{}
	for _, replies := range []report.Accepted{l, settled(false)} {
		r := report.New(s.bus, replies, s.bucket, s.outputs, zap.NewNop(), prometheus.NewRegistry())
		if err := r.Handle(t.Context(), &bus.Msg{Data: data, Seq: 1, Delivered: 1}); err != nil {
			t.Error(err)
		}
	}
	if l.asked != 3 {
		t.Errorf("asked %d times", l.asked)
	}
}

type failing struct{}

func (failing) Publish(context.Context, string, string, any) (bus.Ack, error) {
	return bus.Ack{}, fault.New(fault.Unknown, "no bus")
}

func TestEventsThatCannotBeTold(t *testing.T) {
	s := newStage(t)
	r := report.New(failing{}, settled(true), s.bucket, s.outputs, zap.NewNop(), prometheus.NewRegistry())
	handle := func(data string) bus.Settlement {
		return bus.Settle(r.Handle(t.Context(), &bus.Msg{Data: []byte(data), Seq: 1}))
	}
	for _, data := range []string{"", "{}", "null", `{"id":"a","corp":"c","app":"a"}`} {
		if got := handle(data); got != bus.Drop {
			t.Errorf("%s: %s", data, got)
		}
	}
	if got := handle(`{"id":"a","corp":"c","app":"a","user":"u","state":"succeeded"}`); got != bus.Again {
		t.Errorf("got %s", got)
	}
	if got := handle(`{"id":"a","corp":"c","app":"a","user":"u","state":"claimed"}`); got != bus.Done {
		t.Errorf("got %s", got)
	}
}
