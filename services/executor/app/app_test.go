package app

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"palmops/libs/bus"
	"palmops/libs/bus/bustest"
	"palmops/libs/fault"
	"palmops/libs/token"
	"palmops/libs/wire"
	"palmops/services/executor/catalog"
)

func TestMain(m *testing.M) {
	// NATS' client leaves one behind when a small object is stored before the goroutine has begun; it holds nothing.
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/nats-io/nats.go/jetstream.(*jetStream).resetPendingAcksOnReconnect"))
}

// hang is a guard against waiting for ever and no measure of anything.
const hang = 60 * time.Second

const local = "../../../deployments/config/local/"

// miniAPI is a cluster with the deployment shop/web, whose replicas are ready at once.
func miniAPI(t *testing.T) *httptest.Server {
	t.Helper()
	var mu sync.Mutex
	replicas, rv := 3, 10
	const path = "/apis/apps/v1/namespaces/shop/deployments"
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		web := func() string {
			return fmt.Sprintf(`{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"namespace":"shop","name":"web","uid":"u","resourceVersion":"%d","generation":%d},
				"spec":{"replicas":%d},"status":{"observedGeneration":%d,"replicas":%d,"updatedReplicas":%d,"readyReplicas":%d}}`, rv, rv, replicas, rv, replicas, replicas, replicas)
		}
		switch {
		case r.URL.Path == "/api/v1/namespaces":
			fmt.Fprint(w, `{"apiVersion":"v1","kind":"NamespaceList","metadata":{},"items":[{"metadata":{"name":"shop"}},{"metadata":{"name":"secret"}}]}`)
		case r.URL.Path == path:
			fmt.Fprintf(w, `{"apiVersion":"apps/v1","kind":"DeploymentList","metadata":{},"items":[%s]}`, web())
		case r.URL.Path == path+"/web":
			fmt.Fprint(w, web())
		case r.URL.Path == path+"/web/scale" && r.Method == http.MethodPut:
			var s struct {
				Spec struct{ Replicas int }
			}
			if err := json.NewDecoder(r.Body).Decode(&s); err != nil {
				w.WriteHeader(400)
				return
			}
			replicas, rv = s.Spec.Replicas, rv+1
			fmt.Fprintf(w, `{"apiVersion":"autoscaling/v1","kind":"Scale","metadata":{"name":"web"},"spec":{"replicas":%d}}`, replicas)
		default:
			w.WriteHeader(404)
			fmt.Fprint(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","code":404,"reason":"NotFound"}`)
		}
	}))
	t.Cleanup(srv.Close)
	return srv
}

// site is an executor of the local catalog on a real bus.
type site struct {
	t    *testing.T
	bus  *bus.Bus
	sign *token.Layered
	app  *App
	reg  *prometheus.Registry
	stop func()
}

func newSite(t *testing.T) *site {
	t.Helper()
	nats, api := bustest.New(t), miniAPI(t)
	s := &site{t: t, bus: nats.Connect("test"), reg: prometheus.NewRegistry()}
	keys, err := token.NewKeySet("local", rand.Reader)
	s.check(err)
	s.sign, err = keys.Layered(token.Options{})
	s.check(err)
	cfg, err := Load(local + "executor.yaml")
	s.check(err)
	ctx, cancel := context.WithTimeout(context.Background(), hang)
	defer cancel()
	s.app, err = New(ctx, Options{
		Config: cfg, Keys: keys, NATS: bus.Options{URL: nats.URL()}, Metrics: s.reg, Instance: "exec", KubeServer: api.URL,
	})
	s.check(err)
	s.check(s.app.Ready(ctx))
	rctx, end := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.app.Run(rctx) }()
	var once sync.Once
	s.stop = func() {
		once.Do(func() {
			end()
			select {
			case err := <-done:
				if err != nil {
					t.Errorf("run: %v", err)
				}
			case <-time.After(hang):
				t.Error("the executor does not stop")
			}
		})
	}
	t.Cleanup(s.stop)
	return s
}

func (s *site) check(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) order(id, action string, read bool, args map[string]any) wire.Action {
	s.t.Helper()
	raw, err := wire.CanonicalArgs(args)
	s.check(err)
	now := time.Now()
	c := wire.Claims{
		V: 1, ID: id, Corp: "wwcorp", App: "ops", User: "zhangsan", Zone: "local", Pool: "k8s", Action: action, ArgsHash: wire.ArgsHash(raw),
		IssuedAt: now.Unix(), Expires: now.Add(10 * time.Second).Unix(), Read: read,
	}
	text, err := s.sign.Dumps(c)
	s.check(err)
	return wire.Action{V: 1, ID: id, Token: text, Args: raw}
}

// ask asks until somebody listens: the executor has just been started.
func (s *site) ask(action string, args map[string]any) wire.Answer {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), hang)
	defer cancel()
	t := time.NewTicker(10 * time.Millisecond)
	defer t.Stop()
	for {
		var a wire.Answer
		q := s.order(wire.DeriveID("question", action, time.Now().String()), action, true, args)
		err := s.bus.Ask(ctx, wire.AskSubject("local", "k8s", action), q, &a)
		if err == nil {
			return a
		}
		if !bus.NobodyListens(err) {
			s.t.Fatal(err)
		}
		<-t.C
	}
}

func TestFromQuestionToResult(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	res, err := s.bus.NC.SubscribeSync("res.>")
	s.check(err)
	if a := s.ask("k8s.namespaces", nil); len(a.Items) != 1 || a.Items[0].Value != "shop" || a.AsOf == 0 || a.Fault != nil {
		t.Errorf("namespaces %+v", a)
	}
	if a := s.ask("k8s.deployments", map[string]any{"namespace": "shop"}); len(a.Items) != 1 || a.Items[0].Detail != "3/3 就绪" {
		t.Errorf("deployments %+v", a)
	}
	if a := s.ask("k8s.deployment", map[string]any{"namespace": "shop", "deployment": "web"}); a.Fields["replicas"] != "3" {
		t.Errorf("deployment %+v", a)
	}
	if a := s.ask("k8s.deployments", map[string]any{"namespace": "secret"}); a.Fault == nil || a.Fault.Kind != string(fault.Denied) || a.Fault.Text == "" {
		t.Errorf("a namespace outside the catalog: %+v", a)
	}
	if a := s.ask("k8s.deployment", map[string]any{"namespace": "shop", "deployment": "none"}); a.Fault == nil || a.Fault.Kind != string(fault.NotFound) {
		t.Errorf("a deployment that does not exist: %+v", a)
	}
	id := wire.DeriveID("scale")
	_, err = s.bus.Publish(t.Context(), wire.ActSubject("local", "k8s", "k8s.scale", id), id,
		s.order(id, "k8s.scale", false, map[string]any{"namespace": "shop", "deployment": "web", "replicas": 5, "from": 3}))
	s.check(err)
	msg, err := res.NextMsg(hang)
	s.check(err)
	var ev wire.Event
	s.check(json.Unmarshal(msg.Data, &ev))
	if ev.ID != id || ev.State != wire.StateSucceeded || ev.Text != "shop/web 副本数 3 → 5，5/5 就绪" || !strings.HasPrefix(ev.Executor, "exec-") {
		t.Errorf("event %+v", ev)
	}
	if a := s.ask("k8s.deployment", map[string]any{"namespace": "shop", "deployment": "web"}); a.Fields["replicas"] != "5" {
		t.Errorf("deployment %+v", a)
	}
	s.stop() // which also flushes the audit
	s.audited(id)
	s.counted()
}

// audited looks for the lines of one conversation on AUDIT.
func (s *site) audited(id string) {
	s.t.Helper()
	stream, err := s.bus.JS.Stream(context.Background(), wire.StreamAudit)
	s.check(err)
	missing := map[string]bool{"action claimed": true, "action running": true, "action succeeded": true, "question ok": true, "question refused": true, "question failed": true}
	for seq := uint64(1); seq <= stream.CachedInfo().State.LastSeq; seq++ {
		msg, err := stream.GetMsg(context.Background(), seq)
		s.check(err)
		var l wire.AuditLine
		s.check(json.Unmarshal(msg.Data, &l))
		if l.Service != "executor" || l.Instance == "" || l.At == 0 || l.User != "zhangsan" || l.What == "action" && l.Ref != id {
			s.t.Errorf("audit line %+v", l)
		}
		delete(missing, l.What+" "+l.Verdict)
	}
	for m := range missing {
		s.t.Errorf("no audit line %q", m)
	}
}

func (s *site) counted() {
	s.t.Helper()
	families, err := s.reg.Gather()
	s.check(err)
	got := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetValue())
			}
			got[f.GetName()+" "+strings.Join(labels, " ")] = m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	for name, want := range map[string]float64{
		"palmops_executor_actions_total k8s.scale succeeded":        1,
		"palmops_executor_actions_total k8s.scale running":          1,
		"palmops_executor_questions_total k8s.namespaces ok":        1,
		"palmops_executor_questions_total k8s.deployments args":     1,
		"palmops_executor_questions_total k8s.deployment not_found": 1,
		"palmops_executor_claim_seconds ":                           1,
		"palmops_audit_lost_total executor":                         0,
	} {
		if v, ok := got[name]; !ok || v != want {
			s.t.Errorf("%s is %v (there: %t), want %v", name, v, ok, want)
		}
	}
}

func TestAWrongStartIsNoStart(t *testing.T) {
	t.Parallel()
	keys, err := token.NewKeySet("west", rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cat, err := catalog.Load(local+"catalog.yaml", Kinds())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	data, err := json.Marshal(keys)
	if err != nil {
		t.Fatal(err)
	}
	for name, o := range map[string]Options{
		"keys of another zone":  {Catalog: cat, Keys: keys},
		"no catalog":            {Config: Config{Catalog: filepath.Join(dir, "none")}, Keys: keys},
		"a wrong catalog":       {Config: Config{Catalog: write("c.yaml", "version: 3\n", 0o600)}, Keys: keys},
		"no keys":               {Catalog: cat, Config: Config{KeysFile: filepath.Join(dir, "none")}},
		"keys for all to read":  {Catalog: cat, Config: Config{KeysFile: write("open.json", string(data), 0o644)}},
		"keys that are no keys": {Catalog: cat, Config: Config{KeysFile: write("bad.json", "{}", 0o600)}},
		"too many workers":      {Catalog: cat, Keys: keys, Config: Config{Workers: 100000}},
	} {
		if _, err := New(t.Context(), o); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got, err := LoadKeys(write("good.json", string(data), 0o600)); err != nil || got.Zone != "west" {
		t.Errorf("%v, %v", got, err)
	}
	keys.Zone = "local"
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = New(ctx, Options{Catalog: cat, Keys: keys, NATS: bus.Options{URL: "nats://127.0.0.1:1"}})
	if !fault.Is(err, fault.Transient) {
		t.Errorf("no NATS: %v", err)
	}
}

func TestConfiguration(t *testing.T) {
	t.Parallel()
	c, err := Load(local + "executor.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if c.Catalog != filepath.Join(local, "catalog.yaml") || c.Workers != 16 || c.NATS.Replicas != 1 {
		t.Errorf("%+v", c)
	}
	path := filepath.Join(t.TempDir(), "e.yaml")
	if err := os.WriteFile(path, []byte("workers: 0\nnats: {url: '', replicas: 9}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = Load(path)
	for _, want := range []string{"catalog", "keys_file", "workers", "nats.url", "nats.replicas"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s is not reported: %v", want, err)
		}
	}
	for _, text := range []string{"worker: 1\n", ""} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Load(path); !fault.Is(err, fault.Invalid) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// TestNoTokenIsKept looks for the token in everything that stays.
func TestNoTokenIsKept(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	res, err := s.bus.NC.SubscribeSync("res.>")
	s.check(err)
	id := wire.DeriveID("kept")
	order := s.order(id, "k8s.scale", false, map[string]any{"namespace": "shop", "deployment": "web", "replicas": 4, "from": 3})
	_, err = s.bus.Publish(t.Context(), wire.ActSubject("local", "k8s", "k8s.scale", id), id, order)
	s.check(err)
	_, err = res.NextMsg(hang)
	s.check(err)
	s.stop()
	for _, name := range []string{wire.StreamRes, wire.StreamAudit, "KV_" + wire.BucketActions} {
		stream, err := s.bus.JS.Stream(t.Context(), name)
		s.check(err)
		state := stream.CachedInfo().State
		if state.Msgs == 0 {
			t.Errorf("%s is empty", name)
		}
		for seq := state.FirstSeq; seq <= state.LastSeq; seq++ {
			msg, err := stream.GetMsg(t.Context(), seq)
			if errors.Is(err, jetstream.ErrMsgNotFound) {
				continue
			}
			s.check(err)
			if strings.Contains(string(msg.Data), order.Token) {
				t.Errorf("%s holds the token", name)
			}
		}
	}
}
