package ask_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"palmops/libs/fault"
	"palmops/libs/lang"
	"palmops/libs/lang/langtest"
	"palmops/libs/token"
	"palmops/libs/wire"
	"palmops/services/dialog/internal/ask"
	"palmops/services/dialog/internal/flow"
	"palmops/services/dialog/internal/session"
)

type counting struct{ n byte }

func (c *counting) Read(p []byte) (int, error) {
	for i := range p {
		c.n++
		p[i] = c.n
	}
	return len(p), nil
}

func keys(t *testing.T, zone string) token.KeySet {
	t.Helper()
	k, err := token.NewKeySet(zone, &counting{})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestTexts(t *testing.T) { langtest.Check(t, ask.Texts, ".") }

// world is everybody who can be asked, and a clock.
type world struct {
	mu      sync.Mutex
	now     time.Time
	answer  wire.Answer
	err     error
	hold    chan struct{} // answers wait for it when it is there
	came    chan string   // subjects of questions, when it is there
	asked   []any
	subject string

	tasks  []flow.Task
	output string
	terr   error
}

func (w *world) Ask(ctx context.Context, subject string, question, answer any) error {
	w.mu.Lock()
	w.subject = subject
	w.asked = append(w.asked, question)
	hold, came, err, a := w.hold, w.came, w.err, w.answer
	w.mu.Unlock()
	if came != nil {
		came <- subject
	}
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
			return fault.Wrap(fault.Transient, ctx.Err(), "ask")
		}
	}
	*answer.(*wire.Answer) = a
	return err
}

func (w *world) Tasks(context.Context, session.Who, []string) ([]flow.Task, error) {
	return w.tasks, w.terr
}

func (w *world) Output(_ context.Context, _ session.Who, _ string, page int) (flow.OutputPage, error) {
	return flow.OutputPage{Lines: []string{w.output}, Page: page, Pages: 9}, w.terr
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) set(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
}

func (w *world) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.asked)
}

func (w *world) asker(t *testing.T, sets ...token.KeySet) *ask.Asker {
	t.Helper()
	if sets == nil {
		sets = []token.KeySet{keys(t, "local")}
	}
	signer, err := ask.NewSigner(sets, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	a := ask.New(ask.Options{Bus: w, Signer: signer, Tasks: w, Now: w.clock, Log: zap.NewNop(), Registry: prometheus.NewRegistry()})
	t.Cleanup(a.Close)
	return a
}

var (
	zhang = session.Who{Corp: "c", App: "a", User: "zhangsan"}
	q     = flow.Question{Zone: "local", Pool: "k8s", Action: "k8s.deployments", Args: map[string]any{"namespace": "shop"}, What: flow.AskList}
)

func TestAQuestionIsSignedForItsZone(t *testing.T) {
	set := keys(t, "local")
	signer, err := ask.NewSigner([]token.KeySet{set}, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{now: time.Now(), answer: wire.Answer{V: 1, Items: []wire.Item{{Value: "web"}}, AsOf: 5}}
	a, err := w.asker(t, set).Ask(t.Context(), zhang, lang.English, "q1", q)
	if err != nil || len(a.Items) != 1 || a.AsOf != 5 || w.subject != "ask.local.k8s.k8s_deployments" {
		t.Fatalf("%+v %v on %s", a, err, w.subject)
	}
	asked := w.asked[0].(wire.Action)
	c, err := signer.Read("local", asked.Token)
	if err != nil || !c.Read || c.ID != "q1" || c.User != "zhangsan" || c.Lang != "en" || c.Expires-c.IssuedAt != 10 || c.ArgsHash != wire.ArgsHash([]byte(`{"namespace":"shop"}`)) {
		t.Errorf("%+v %v", c, err)
	}
	if _, err := signer.Read("other", asked.Token); !fault.Is(err, fault.NotFound) {
		t.Errorf("got %v", err)
	}
	if _, err := signer.Read("local", asked.Token+"x"); !fault.Is(err, fault.Denied) {
		t.Errorf("got %v", err)
	}
}

func TestEveryKindOfQuestion(t *testing.T) {
	view := &wire.View{Title: "v"}
	w := &world{
		now: time.Now(), tasks: []flow.Task{{ID: "a"}}, output: "all of it",
		answer: wire.Answer{V: 1, Items: []wire.Item{{Value: "1"}}, Fields: map[string]string{"a": "b"}, View: view},
	}
	a := w.asker(t)
	get := func(q flow.Question) flow.Answer {
		t.Helper()
		answer, err := a.Ask(t.Context(), zhang, lang.Chinese, "q1", q)
		if err != nil {
			t.Errorf("%s: %v", q.What, err)
		}
		return answer
	}
	of := q
	of.What = flow.AskFields
	if got := get(of); got.Fields["a"] != "b" {
		t.Errorf("%+v", got)
	}
	of.What = flow.AskView
	if got := get(of); got.View != view {
		t.Errorf("%+v", got)
	}
	if got := get(flow.Question{What: flow.AskTasks, Tasks: []string{"a"}}); len(got.Tasks) != 1 {
		t.Errorf("%+v", got)
	}
	if got := get(flow.Question{What: flow.AskOutput, Tasks: []string{"a"}, Page: 2}); got.Output.Page != 2 || got.Output.Lines[0] != "all of it" {
		t.Errorf("%+v", got)
	}
	if got := get(flow.Question{What: flow.AskDirectory, Directory: wire.ListMembers, In: 7}); len(got.Items) != 1 {
		t.Errorf("%+v", got)
	}
	if got := w.asked[len(w.asked)-1].(wire.PersonQuery); got.List != wire.ListMembers || got.In != 7 || got.User != "zhangsan" || w.subject != "dir.c.a" {
		t.Errorf("%+v on %s", got, w.subject)
	}
}

func TestWhatThePersonReadsOfAFailure(t *testing.T) {
	other, view, dir, tasks, output := q, q, q, q, q
	other.Zone, other.What = "mars", flow.AskFields
	view.What, dir.What, tasks.What, output.What = flow.AskView, flow.AskDirectory, flow.AskTasks, flow.AskOutput
	output.Tasks = []string{"a"}
	down := fault.New(fault.Transient, "secret detail")
	for name, c := range map[string]struct {
		q      flow.Question
		w      *world
		zh, en string
		kind   fault.Kind
	}{
		"no answer": {
			q, &world{err: down}, "列表暂时取不到（执行器没有应答），没有执行任何操作",
			"The list cannot be had right now (the executor does not answer); nothing was done", fault.Transient,
		},
		"no keys": {
			other, &world{}, "当前值暂时取不到（配置有误），没有执行任何操作",
			"The current value cannot be had right now (the configuration is wrong); nothing was done", fault.NotFound,
		},
		"no view": {
			view, &world{}, "页面暂时取不到（应答不完整），没有执行任何操作",
			"The page cannot be had right now (the answer is incomplete); nothing was done", fault.Internal,
		},
		"no directory": {
			dir, &world{err: down}, "通讯录暂时取不到（通讯录没有应答），没有执行任何操作",
			"The directory cannot be had right now (the directory does not answer); nothing was done", fault.Transient,
		},
		"no records": {
			tasks, &world{terr: down}, "任务状态暂时取不到（消息总线没有应答），没有执行任何操作",
			"The state of the tasks cannot be had right now (the message bus does not answer); nothing was done", fault.Transient,
		},
		"no output": {
			output, &world{terr: fault.New(fault.NotFound, "x")}, "没有可以查看的输出，可能已超过 7 天的保存期，没有执行任何操作",
			"There is no output to show, or it is older than the 7 days for which outputs are kept; nothing was done", fault.NotFound,
		},
		"no store": {
			output, &world{terr: down}, "输出暂时取不到（消息总线没有应答），没有执行任何操作",
			"The output cannot be had right now (the message bus does not answer); nothing was done", fault.Transient,
		},
		"fault": {q, &world{answer: wire.Answer{Fault: &wire.Fault{Kind: "denied", Text: "执行端不允许。"}}}, "执行端不允许", "执行端不允许", fault.Denied},
		"fault alone": {
			q, &world{answer: wire.Answer{Fault: &wire.Fault{Kind: "not_found"}}}, strings.TrimRight(fault.KindText(fault.NotFound), "。"),
			strings.TrimRight(fault.KindTextIn(lang.English, fault.NotFound), "."), fault.NotFound,
		},
	} {
		for _, cached := range []time.Duration{0, time.Minute} {
			c.q.Cache = cached
			for tag, want := range map[lang.Tag]string{lang.Chinese: c.zh, lang.English: c.en} {
				a, err := c.w.asker(t).Ask(t.Context(), zhang, tag, "q1", c.q)
				if a.Fault != want || fault.KindOf(err) != c.kind {
					t.Errorf("%s: %q, %v", name, a.Fault, err)
				}
			}
		}
	}
}

// An executor that answers after its time is not waited for, and its answer goes nowhere.
func TestALateAnswerIsThrownAway(t *testing.T) {
	w := &world{now: time.Now(), answer: wire.Answer{Items: []wire.Item{{Value: "late"}}}, hold: make(chan struct{})}
	a := w.asker(t)
	for _, cached := range []time.Duration{0, time.Minute} {
		of := q
		of.Cache = cached
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond) // the question's own deadline
		got, err := a.Ask(ctx, zhang, lang.Chinese, "q1", of)
		cancel()
		if !fault.Is(err, fault.Transient) || got.Fault == "" || got.Items != nil {
			t.Errorf("%+v %v", got, err)
		}
	}
	close(w.hold)
}

func TestLongListsPass(t *testing.T) {
	var items []wire.Item
	for i := range 5000 {
		items = append(items, wire.Item{Value: fmt.Sprintf("service-%05d", i), Detail: "<b>&1/1"})
	}
	w := &world{now: time.Now(), answer: wire.Answer{Items: items}}
	for _, cached := range []time.Duration{0, time.Minute} {
		of := q
		of.Cache = cached
		if got, err := w.asker(t).Ask(t.Context(), zhang, lang.Chinese, "q1", of); err != nil || len(got.Items) != 5000 || got.Items[4999] != items[4999] {
			t.Errorf("%d lines, %v", len(got.Items), err)
		}
	}
}

func TestSignerRefuses(t *testing.T) {
	set := keys(t, "local")
	if _, err := ask.NewSigner([]token.KeySet{set, set}, time.Now); !fault.Is(err, fault.Invalid) {
		t.Errorf("a zone twice: %v", err)
	}
	if _, err := ask.NewSigner([]token.KeySet{{Zone: "local"}}, time.Now); err == nil {
		t.Error("a zone without keys is taken")
	}
	signer, err := ask.NewSigner([]token.KeySet{set}, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := signer.Sign(wire.Claims{Zone: "local"}, map[string]any{"x": 1.5}); !fault.Is(err, fault.Invalid) {
		t.Errorf("a float: %v", err)
	}
	if _, err := signer.Sign(wire.Claims{Zone: "mars"}, nil); !fault.Is(err, fault.NotFound) || errors.Is(err, context.Canceled) {
		t.Errorf("an unknown zone: %v", err)
	}
}
