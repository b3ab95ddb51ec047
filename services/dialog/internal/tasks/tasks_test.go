package tasks_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"palmops/libs/bus"
	"palmops/libs/bus/bustest"
	"palmops/libs/fault"
	"palmops/libs/token"
	"palmops/libs/wire"
	"palmops/services/dialog/internal/ask"
	"palmops/services/dialog/internal/flow"
	"palmops/services/dialog/internal/outputs"
	"palmops/services/dialog/internal/report"
	"palmops/services/dialog/internal/session"
	"palmops/services/dialog/internal/tasks"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	zhang = session.Who{Corp: "c", App: "a", User: "zhangsan"}
	lisi  = session.Who{Corp: "c", App: "a", User: "lisi"}
)

// stage is a Book on a real NATS.
type stage struct {
	*tasks.Book
	t       *testing.T
	srv     *bustest.Server
	bus     *bus.Bus
	signer  *ask.Signer
	records report.Bucket
	outputs *outputs.Store
	now     time.Time
}

type counting struct{ n byte }

func (c *counting) Read(p []byte) (int, error) {
	for i := range p {
		c.n++
		p[i] = c.n
	}
	return len(p), nil
}

func newStage(t *testing.T) *stage {
	s := &stage{t: t, srv: bustest.New(t), now: time.Now()}
	s.bus = s.srv.Connect("dialog")
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
	objects, err := outputs.New(t.Context(), s.bus.JS)
	if err != nil {
		t.Fatal(err)
	}
	act, err := s.bus.JS.Stream(t.Context(), wire.StreamAct)
	if err != nil {
		t.Fatal(err)
	}
	s.records, s.outputs = report.Bucket{KV: kv}, objects
	s.Book = tasks.New(s.records, act, s.signer, s.outputs, func() time.Time { return s.now })
	return s
}

func (s *stage) order(id, user string) {
	s.t.Helper()
	a, err := s.signer.Sign(wire.Claims{
		ID: id, Corp: "c", App: "a", User: user, Zone: "local", Pool: "k8s", Action: "k8s.scale", Title: "title of " + id,
		IssuedAt: s.now.Unix(), Expires: s.now.Unix() + 120,
	}, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	s.put(id, a)
}

func (s *stage) put(id string, v any) {
	s.t.Helper()
	if _, err := s.bus.Publish(s.t.Context(), wire.ActSubject("local", "k8s", "k8s.scale", id), id, v); err != nil {
		s.t.Fatal(err)
	}
}

func (s *stage) record(rec wire.Record) {
	s.t.Helper()
	rec.Corp, rec.App = "c", "a"
	raw, err := json.Marshal(rec)
	if err != nil {
		s.t.Fatal(err)
	}
	if _, err := s.records.KV.Create(s.t.Context(), rec.ID, raw); err != nil {
		s.t.Fatal(err)
	}
}

func (s *stage) wants(w session.Who, want ...flow.Task) {
	s.t.Helper()
	var ids []string
	for _, t := range want {
		ids = append(ids, t.ID)
	}
	got, err := s.Tasks(s.t.Context(), w, ids)
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		s.t.Errorf("%v %s", err, diff)
	}
}

func TestHowOrdersStand(t *testing.T) {
	s := newStage(t)
	s.order("w0", "lisi")
	s.order("w1", "zhangsan")
	s.record(wire.Record{ID: "r1", User: "ZhangSan", State: wire.StateRunning, Title: "t", Step: "4/5", Created: 5, Started: 7, Expires: 9})
	s.record(wire.Record{ID: "r2", User: "zhangsan", State: wire.StateSucceeded, Summary: "5/5", Created: 5, Ended: 8})
	if err := s.outputs.Put(t.Context(), "r2", "长输出"); err != nil {
		t.Fatal(err)
	}
	queued := flow.Task{ID: "w1", Title: "title of w1", State: wire.StateQueued, At: s.now.Unix() * 1000, Expires: s.now.Unix() + 120}
	s.wants(
		zhang,
		flow.Task{ID: "r2", State: wire.StateSucceeded, Summary: "5/5", Output: 9, At: 8},
		queued,
		flow.Task{ID: "r1", Title: "t", State: wire.StateRunning, Step: "4/5", At: 7, Expires: 9},
		flow.Task{ID: "nowhere", State: wire.StateExpired},
	)
	if page, err := s.Output(t.Context(), zhang, "r2", 7); page.Pages != 1 || page.Lines[0] != "长输出" || err != nil {
		t.Errorf("%+v %v", page, err)
	}
	if _, err := s.Output(t.Context(), zhang, "r1", 0); !fault.Is(err, fault.NotFound) {
		t.Errorf("%v", err)
	}
	s.now = s.now.Add(149 * time.Second)
	s.wants(zhang, queued)
	s.now = s.now.Add(2 * time.Second)
	queued.State = wire.StateExpired
	s.wants(zhang, queued)
}

// Whoever knows the id of somebody else's order learns nothing by it.
func TestTheOrdersOfSomebodyElse(t *testing.T) {
	s := newStage(t)
	s.order("w1", "zhangsan")
	s.record(wire.Record{ID: "r1", User: "zhangsan", State: wire.StateSucceeded, Title: "secret", Summary: "secret"})
	if err := s.outputs.Put(t.Context(), "r1", "secret"); err != nil {
		t.Fatal(err)
	}
	for _, w := range []session.Who{lisi, {Corp: "other", App: "a", User: "zhangsan"}, {Corp: "c", App: "other", User: "zhangsan"}, {Corp: "c", App: "a"}} {
		s.wants(w, flow.Task{ID: "w1", State: wire.StateExpired}, flow.Task{ID: "r1", State: wire.StateExpired})
		if page, err := s.Output(t.Context(), w, "r1", 0); !fault.Is(err, fault.NotFound) || page.Lines != nil {
			t.Errorf("%+v: %+v %v", w, page, err)
		}
	}
}

func TestOrdersThatCannotBeRead(t *testing.T) {
	s := newStage(t)
	s.put("f", wire.Action{V: 1, ID: "f", Token: "eyJqdGkiOiJmIn0.x.y.z", Args: json.RawMessage("{}")})
	s.put("g", "no action")
	s.order("w1", "zhangsan")
	s.wants(zhang, flow.Task{ID: "f", State: wire.StateExpired}, flow.Task{ID: "g", State: wire.StateExpired}, flow.Task{ID: "*", State: wire.StateExpired})
	if _, err := s.Output(t.Context(), zhang, "*", 0); !fault.Is(err, fault.NotFound) {
		t.Errorf("%v", err)
	}
	s.srv.Stop()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Tasks(ctx, zhang, []string{"w1"}); !fault.Is(err, fault.Transient) {
		t.Errorf("%v", err)
	}
}
