package runner

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"palmops/libs/bus"
	"palmops/libs/bus/bustest"
	"palmops/libs/conf"
	"palmops/libs/token"
	"palmops/libs/wire"
	"palmops/services/executor/catalog"
	"palmops/services/executor/internal/guard"
	"palmops/services/executor/internal/kind"
)

func TestMain(m *testing.M) {
	if spec, _ := conf.Env(childEnv); spec != "" {
		os.Exit(childMain(spec))
	}
	// These tests wait for leases to run out much more than they work; by themselves only as many would wait at once as there
	// are processors.
	flag.Parse()
	if err := flag.Set("test.parallel", "12"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	// NATS' client leaves one behind when a small object is stored before the goroutine has begun; it holds nothing.
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/nats-io/nats.go/jetstream.(*jetStream).resetPendingAcksOnReconnect"))
}

// hang is a guard against waiting for ever and no measure of anything.
const hang = 90 * time.Second

// practice is the kind of which book is the working side.
var practice = catalog.Spec{Name: "practice", Verbs: map[string]catalog.Verb{
	"names":  {Class: catalog.Question, Open: true},
	"status": {Class: catalog.Report, Open: true},
	"scale":  {Class: catalog.Change, Open: true},
}}

const catalogText = `
version: 1
zone: local
pool: k8s
environments:
  prod: {title: {zh: 生产, en: production}, locks: [database]}
  test: {}
actions:
  k8s.namespaces: {kind: practice, verb: names}
  k8s.status:
    kind: practice
    verb: status
    params: {namespace: {type: string, pattern: dns-label}, deployment: {type: string, pattern: dns-label}}
  k8s.scale:
    kind: practice
    verb: scale
    timeout: 30s
    params:
      namespace: {type: string, allow: [shop, pay]}
      deployment: {type: string, pattern: dns-label}
      replicas: {type: int, min: 0, max: 20}
      from: {type: int, optional: true}
  k8s.release:
    kind: practice
    verb: scale
    env: prod
    locks: [database]
    params: {deployment: {type: string, pattern: dns-label}}
  k8s.pair:
    kind: practice
    verb: scale
    per_target: 2
    params: {namespace: {type: string, pattern: dns-label}, deployment: {type: string, pattern: dns-label}}
  k8s.never:
    kind: practice
    verb: scale
    when: {days: [mon], from: "03:00", to: "03:01"}
    params: {deployment: {type: string, pattern: dns-label}}
  k8s.blind:
    kind: practice
    verb: scale
    probe: none
    params: {deployment: {type: string, pattern: dns-label}}
`

// quick is a timing for tests that wait for a dead owner; long enough for a busy machine to keep a live one alive.
func quick() Timing {
	t := DefaultTiming()
	t.Lease, t.Skew, t.Beat, t.AckWait = 3*time.Second, 2*time.Second, 500*time.Millisecond, 3*time.Second
	return t
}

// mark leaves a sign for another process: the file appears whole.
func mark(dir, name, text string) {
	tmp := filepath.Join(dir, name+".tmp")
	if os.WriteFile(tmp, []byte(text), 0o600) == nil {
		_ = os.Rename(tmp, filepath.Join(dir, name)) // the waiting side would time out and say so
	}
}

// await waits for a sign of another process.
func await(ctx context.Context, dir, name string) error {
	t := time.NewTicker(10 * time.Millisecond)
	defer t.Stop()
	for {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s did not come: %w", name, ctx.Err())
		case <-t.C:
		}
	}
}

// lines collects audit lines.
type auditLines struct {
	mu    sync.Mutex
	lines []wire.AuditLine
}

func (a *auditLines) Write(l wire.AuditLine) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.lines = append(a.lines, l)
}

func (a *auditLines) has(verdict, reason string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, l := range a.lines {
		if l.Verdict == verdict && (reason == "" || l.Reason == reason) {
			return true
		}
	}
	return false
}

// world is a bus, keys and a place for effects; executors are added to it.
type world struct {
	t     testing.TB
	srv   *bustest.Server
	bus   *bus.Bus
	kv    jetstream.KeyValue
	res   *nats.Subscription
	keys  token.KeySet
	sign  *token.Layered
	dir   string
	cat   *catalog.Catalog
	audit *auditLines

	runners map[string]*Runner
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, srv: bustest.New(t), dir: t.TempDir(), audit: &auditLines{}, runners: map[string]*Runner{}}
	w.bus = w.srv.Connect("test")
	var err error
	w.keys, err = token.NewKeySet("local", rand.Reader)
	w.check(err)
	w.sign, err = w.keys.Layered(token.Options{})
	w.check(err)
	w.cat, err = catalog.Decode("catalog.yaml", []byte(catalogText), catalog.Kinds{practice})
	w.check(err)
	w.kv, err = w.bus.JS.KeyValue(t.Context(), wire.BucketActions)
	w.check(err)
	w.res, err = w.bus.NC.SubscribeSync("res.>")
	w.check(err)
	w.check(w.bus.NC.Flush())
	return w
}

func (w *world) check(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// executor starts a runner with a connection of its own and returns how to stop it.
func (w *world) executor(name string, timing Timing, k kind.Kind, change ...func(*Options)) (stop func()) {
	w.t.Helper()
	start, stop := w.prepare(name, timing, k, change...)
	start()
	return stop
}

// prepare makes a runner that has a connection and does nothing before it is started; stop is for one that was.
func (w *world) prepare(name string, timing Timing, k kind.Kind, change ...func(*Options)) (start, stop func()) {
	w.t.Helper()
	b := w.srv.Connect(name)
	r, err := newRunner(w.t.Context(), b, w.cat, w.keys, name, timing, k, w.audit, change...)
	w.check(err)
	w.runners[name] = r
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				w.t.Errorf("%s: %v", name, err)
			}
		case <-time.After(hang):
			w.t.Errorf("%s does not stop", name)
		}
	})
	return func() {
		go func() { done <- r.Run(ctx) }()
		w.t.Cleanup(stop)
	}, stop
}

func newRunner(ctx context.Context, b *bus.Bus, cat *catalog.Catalog, keys token.KeySet, name string, timing Timing, k kind.Kind, a Auditor, change ...func(*Options)) (*Runner, error) {
	g, err := guard.New(cat, keys)
	if err != nil {
		return nil, err
	}
	o := Options{
		Bus: b, Catalog: cat, Guard: g, Kinds: map[string]kind.Kind{practice.Name: k}, Self: name, Workers: 4, Timing: timing,
		Audit: a, Metrics: prometheus.NewRegistry(), Log: zap.NewNop(), Now: time.Now,
	}
	for _, c := range change {
		c(&o)
	}
	return New(ctx, o)
}

func (w *world) claims(id string) wire.Claims {
	now := time.Now()
	return wire.Claims{
		V: 1, ID: id, Corp: "wwcorp", App: "ops", User: "zhangsan", Zone: "local", Pool: "k8s", Action: "k8s.scale",
		IssuedAt: now.Unix(), Expires: now.Add(2 * time.Minute).Unix(), Title: "shop/web 3 → 5",
	}
}

func scaleArgs(deployment string) map[string]any {
	return map[string]any{"namespace": "shop", "deployment": deployment, "replicas": int64(5)}
}

func (w *world) order(c wire.Claims, args map[string]any) wire.Action {
	w.t.Helper()
	raw, err := wire.CanonicalArgs(args)
	w.check(err)
	c.ArgsHash = wire.ArgsHash(raw)
	tok, err := w.sign.Dumps(c)
	w.check(err)
	return wire.Action{V: 1, ID: c.ID, Token: tok, Args: raw}
}

// send puts an order on ACT under a message id.
func (w *world) send(a wire.Action, msgID string) {
	w.t.Helper()
	_, err := w.bus.Publish(w.t.Context(), wire.ActSubject("local", "k8s", "k8s.scale", a.ID), msgID, a)
	w.check(err)
}

// event waits for the next event on RES that is not progress.
func (w *world) event() wire.Event {
	w.t.Helper()
	for {
		msg, err := w.res.NextMsg(hang)
		if err != nil {
			w.t.Fatalf("no event: %v", err)
		}
		var ev wire.Event
		w.check(json.Unmarshal(msg.Data, &ev))
		if wire.Final(ev.State) {
			return ev
		}
	}
}

// record waits until the record of an action satisfies a condition.
func (w *world) record(id string, ok func(wire.Record) bool) wire.Record {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), hang)
	defer cancel()
	watch, err := w.kv.Watch(ctx, id)
	w.check(err)
	defer func() { _ = watch.Stop() }() // the connection ends with the test
	for {
		select {
		case <-ctx.Done():
			w.t.Fatalf("record %s never came to the state that was waited for", id)
		case e := <-watch.Updates():
			if e == nil {
				continue
			}
			var rec wire.Record
			w.check(json.Unmarshal(e.Value(), &rec))
			if ok(rec) {
				return rec
			}
		}
	}
}

func (w *world) state(id, state string) wire.Record {
	w.t.Helper()
	return w.record(id, func(r wire.Record) bool { return r.State == state })
}

// drained waits until every message on ACT has been settled.
func (w *world) drained() {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), hang)
	defer cancel()
	t := time.NewTicker(20 * time.Millisecond)
	defer t.Stop()
	for {
		s, err := w.bus.JS.Stream(ctx, wire.StreamAct)
		w.check(err)
		if s.CachedInfo().State.Msgs == 0 {
			return
		}
		select {
		case <-ctx.Done():
			w.t.Fatal("messages stay on ACT")
		case <-t.C:
		}
	}
}

func (w *world) effects(id string, want int) {
	w.t.Helper()
	if n := effects(w.dir, id); n != want {
		w.t.Errorf("action %s took effect %d times, want %d", id, n, want)
	}
	if data, err := os.ReadFile(filepath.Join(w.dir, "broken")); err == nil {
		w.t.Errorf("the book is broken: %s", data)
	}
}
