package ask_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"palmops/libs/fault"
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

type executor struct {
	answer  wire.Answer
	err     error
	subject string
	asked   wire.Action
}

func (e *executor) Ask(_ context.Context, subject string, question, answer any) error {
	e.subject, e.asked = subject, question.(wire.Action)
	*answer.(*wire.Answer) = e.answer
	return e.err
}

var (
	zhang = session.Who{Corp: "c", App: "a", User: "zhangsan"}
	q     = flow.Question{Zone: "local", Pool: "k8s", Action: "k8s.deployments", Args: map[string]any{"namespace": "shop"}, List: true}
)

func TestAQuestionIsSignedForItsZone(t *testing.T) {
	set := keys(t, "local")
	signer, err := ask.NewSigner([]token.KeySet{set}, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	e := &executor{answer: wire.Answer{V: 1, Items: []wire.Item{{Value: "web"}}}}
	a, err := ask.NewAsker(e, signer, time.Now).Ask(t.Context(), zhang, "q1", q)
	if err != nil || len(a.Items) != 1 || e.subject != "ask.local.k8s.k8s_deployments" {
		t.Fatalf("%+v %v on %s", a, err, e.subject)
	}
	c, err := signer.Read("local", e.asked.Token)
	if err != nil || !c.Read || c.ID != "q1" || c.User != "zhangsan" || c.Expires-c.IssuedAt != 10 || c.ArgsHash != wire.ArgsHash([]byte(`{"namespace":"shop"}`)) {
		t.Errorf("%+v %v", c, err)
	}
	if _, err := signer.Read("other", e.asked.Token); !fault.Is(err, fault.NotFound) {
		t.Errorf("got %v", err)
	}
	if _, err := signer.Read("local", e.asked.Token+"x"); !fault.Is(err, fault.Denied) {
		t.Errorf("got %v", err)
	}
}

func TestWhatThePersonReadsOfAFailure(t *testing.T) {
	signer, err := ask.NewSigner([]token.KeySet{keys(t, "local")}, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	other := q
	other.Zone, other.List = "mars", false
	for name, c := range map[string]struct {
		q    flow.Question
		e    executor
		text string
		kind fault.Kind
	}{
		"no answer":   {q, executor{err: fault.New(fault.Transient, "secret detail")}, "列表暂时取不到（执行器没有应答），没有执行任何操作", fault.Transient},
		"no keys":     {other, executor{}, "当前值暂时取不到（配置有误），没有执行任何操作", fault.NotFound},
		"fault":       {q, executor{answer: wire.Answer{Fault: &wire.Fault{Kind: "denied", Text: "执行端不允许。"}}}, "执行端不允许", fault.Denied},
		"fault alone": {q, executor{answer: wire.Answer{Fault: &wire.Fault{Kind: "not_found"}}}, strings.TrimRight(fault.KindText(fault.NotFound), "。"), fault.NotFound},
	} {
		a, err := ask.NewAsker(&c.e, signer, time.Now).Ask(t.Context(), zhang, "q1", c.q)
		if a.Fault != c.text || fault.KindOf(err) != c.kind {
			t.Errorf("%s: %q, %v", name, a.Fault, err)
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
