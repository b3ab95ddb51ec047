package answer

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"palmops/libs/bus"
	"palmops/libs/bus/bustest"
	"palmops/libs/fault"
	"palmops/libs/lang"
	"palmops/libs/token"
	"palmops/libs/wire"
	"palmops/services/executor/catalog"
	"palmops/services/executor/internal/guard"
	"palmops/services/executor/internal/kind"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// practice is a kind that the catalog of these tests may use.
var practice = catalog.Spec{Name: "practice", Verbs: map[string]catalog.Verb{
	"names":  {Class: catalog.Question},
	"browse": {Class: catalog.Question, Node: true},
}}

const catalogText = `
version: 1
zone: local
pool: k8s
actions:
  k8s.namespaces: {kind: practice, verb: names}
  k8s.browse: {kind: practice, verb: browse}
`

// lister answers what it is told; it can do nothing else.
type lister struct {
	kind.Kind
	answer func(ctx context.Context) (wire.Answer, error)
	asked  *kind.Query
}

func (l lister) Secrets() []string { return []string{"hunter2-hunter2"} }

func (l lister) Answer(ctx context.Context, q kind.Query) (wire.Answer, error) {
	if l.asked != nil {
		*l.asked = q
	}
	return l.answer(ctx)
}

type lines struct {
	mu  sync.Mutex
	all []wire.AuditLine
}

func (l *lines) Write(line wire.AuditLine) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, line)
}

func newServer(t *testing.T, b *bus.Bus, answer func(ctx context.Context) (wire.Answer, error)) (*Server, *token.Layered, *lines) {
	t.Helper()
	cat, err := catalog.Decode("c.yaml", []byte(catalogText), catalog.Kinds{practice})
	if err != nil {
		t.Fatal(err)
	}
	keys, err := token.NewKeySet("local", rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	sign, err := keys.Layered(token.Options{})
	if err != nil {
		t.Fatal(err)
	}
	g, err := guard.New(cat, keys)
	if err != nil {
		t.Fatal(err)
	}
	audit := &lines{}
	return New(Options{
		Bus: b, Catalog: cat, Guard: g, Kinds: map[string]kind.Kind{practice.Name: lister{answer: answer}}, Audit: audit,
		Metrics: prometheus.NewRegistry(), Log: zap.NewNop(), Now: time.Now,
	}), sign, audit
}

func question(t *testing.T, sign *token.Layered, change func(c *wire.Claims)) wire.Question {
	t.Helper()
	now := time.Now()
	c := wire.Claims{
		V: 1, ID: wire.DeriveID(now.String()), Corp: "ww", App: "ops", User: "zhangsan", Zone: "local", Pool: "k8s", Action: "k8s.namespaces",
		ArgsHash: wire.ArgsHash(json.RawMessage("{}")), IssuedAt: now.Unix(), Expires: now.Unix() + 10, Read: true,
	}
	change(&c)
	text, err := sign.Dumps(c)
	if err != nil {
		t.Fatal(err)
	}
	return wire.Question{V: 1, ID: c.ID, Token: text, Args: json.RawMessage("{}")}
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer  func(ctx context.Context) (wire.Answer, error)
		change  func(c *wire.Claims)
		kind    fault.Kind
		text    string
		verdict string
	}{
		"good": {func(context.Context) (wire.Answer, error) {
			return wire.Answer{Items: []wire.Item{{Value: "shop"}}}, nil
		}, nil, "", "", "ok"},
		"down": {func(context.Context) (wire.Answer, error) {
			return wire.Answer{}, fault.WithText(fault.New(fault.Transient, "dial 10.0.0.1: refused"), "集群 API 暂时不可用，没有执行任何操作。请稍后重试。")
		}, nil, fault.Transient, "暂时不可用", "failed"},
		"a defect": {func(context.Context) (wire.Answer, error) { return wire.Answer{}, errors.New("password=hunter2") }, nil, fault.Internal, "内部错误", "failed"},
		"too late": {nil, func(c *wire.Claims) { c.IssuedAt -= 60; c.Expires -= 60 }, fault.Expired, "有效期", "refused"},
		"an order": {nil, func(c *wire.Claims) { c.Read = false }, fault.Denied, "不允许", "refused"},
		"slow": {func(ctx context.Context) (wire.Answer, error) {
			if _, has := ctx.Deadline(); !has {
				return wire.Answer{}, errors.New("no deadline")
			}
			return wire.Answer{}, fault.Wrap(fault.Transient, context.DeadlineExceeded, "list")
		}, nil, fault.Transient, "暂时不可用", "failed"},
	} {
		if c.change == nil {
			c.change = func(*wire.Claims) {}
		}
		s, sign, audit := newServer(t, nil, c.answer)
		data, err := json.Marshal(question(t, sign, c.change))
		if err != nil {
			t.Fatal(err)
		}
		a := s.Answer(t.Context(), data)
		switch {
		case c.kind == "" && (a.Fault != nil || len(a.Items) != 1 || a.AsOf == 0 || a.V != wire.Version):
			t.Errorf("%s: %+v", name, a)
		case c.kind != "" && (a.Fault == nil || a.Fault.Kind != string(c.kind) || !strings.Contains(a.Fault.Text, c.text) || strings.Contains(a.Fault.Text, "hunter2")):
			t.Errorf("%s: %+v", name, a.Fault)
		}
		if len(audit.all) != 1 || audit.all[0].Verdict != c.verdict || audit.all[0].What != "question" {
			t.Errorf("%s: audit %+v", name, audit.all)
		}
	}
}

// TestLanguages: the language is the one in the claims, else the one that a remote node is given; faults are in it too.
func TestLanguages(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		claims, arg string
		action      string
		want        lang.Tag
	}{
		"nothing said":    {"", "", "k8s.namespaces", lang.Chinese},
		"claims":          {"en", "", "k8s.namespaces", lang.English},
		"node":            {"", "en", "k8s.browse", lang.English},
		"node and claims": {"zh", "en", "k8s.browse", lang.Chinese},
	} {
		s, sign, _ := newServer(t, nil, func(context.Context) (wire.Answer, error) { return wire.Answer{}, errors.New("a defect") })
		var got kind.Query
		s.o.Kinds[practice.Name] = lister{answer: func(context.Context) (wire.Answer, error) { return wire.Answer{}, errors.New("a defect") }, asked: &got}
		args := map[string]any{}
		if c.arg != "" {
			args[catalog.NodeLang] = c.arg
		}
		raw, err := wire.CanonicalArgs(args)
		if err != nil {
			t.Fatal(err)
		}
		q := question(t, sign, func(cl *wire.Claims) { cl.Lang, cl.Action, cl.ArgsHash = c.claims, c.action, wire.ArgsHash(raw) })
		q.Args = raw
		data, err := json.Marshal(q)
		if err != nil {
			t.Fatal(err)
		}
		if a := s.Answer(t.Context(), data); got.Lang != c.want || a.Fault == nil || a.Fault.Text != fault.KindTextIn(c.want, fault.Internal) {
			t.Errorf("%s: asked in %s, answered %+v", name, got.Lang, a.Fault)
		}
	}
}

func TestQuestionsOverTheBus(t *testing.T) {
	t.Parallel()
	srv := bustest.New(t)
	s, sign, _ := newServer(t, srv.Connect("executor"), func(context.Context) (wire.Answer, error) {
		return wire.Answer{Items: []wire.Item{{Value: "shop"}}}, nil
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	asker := srv.Connect("asker")
	actx, acancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer acancel()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	var a wire.Answer
	for {
		err := asker.Ask(actx, wire.AskSubject("local", "k8s", "k8s.namespaces"), question(t, sign, func(*wire.Claims) {}), &a)
		if err == nil {
			break
		}
		if !bus.NobodyListens(err) {
			t.Fatal(err)
		}
		<-ticker.C // not listening yet
	}
	if len(a.Items) != 1 {
		t.Errorf("%+v", a)
	}
	if err := asker.Ask(actx, wire.AskSubject("local", "k8s", "k8s.namespaces"), "scale web", &a); err != nil || a.Fault == nil {
		t.Errorf("nonsense: %+v, %v", a, err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// keeper is who keeps whom out.
type keeper func(env string) ([]wire.Item, error)

func (k keeper) EnvLocks(_ context.Context, env string, _ lang.Tag) ([]wire.Item, error) {
	return k(env)
}

// TestWhoIsInProd: the built-in question about locks needs no kind and no entry in the catalog.
func TestWhoIsInProd(t *testing.T) {
	t.Parallel()
	s, sign, audit := newServer(t, nil, nil)
	s.o.Locks = keeper(func(env string) ([]wire.Item, error) {
		if env != "prod" {
			return nil, fault.WithText(fault.New(fault.NotFound, "no environment"), "没有环境 "+env)
		}
		return []wire.Item{{Value: "prod", Label: "生产", Detail: "lisi"}}, nil
	})
	for env, ok := range map[string]bool{"prod": true, "moon": false} {
		raw, err := wire.CanonicalArgs(map[string]any{"env": env})
		if err != nil {
			t.Fatal(err)
		}
		q := question(t, sign, func(c *wire.Claims) { c.Action, c.ArgsHash = wire.ActionLocks, wire.ArgsHash(raw) })
		q.Args = raw
		data, err := json.Marshal(q)
		if err != nil {
			t.Fatal(err)
		}
		switch a := s.Answer(t.Context(), data); {
		case ok && (a.Fault != nil || len(a.Items) != 1 || a.Items[0].Detail != "lisi"):
			t.Errorf("%s: %+v", env, a)
		case !ok && (a.Fault == nil || a.Fault.Text != "没有环境 moon"):
			t.Errorf("%s: %+v", env, a.Fault)
		}
	}
	if len(audit.all) != 2 {
		t.Errorf("audit %+v", audit.all)
	}
}
