package workflow_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
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
	"palmops/services/executor/internal/kind/workflow"
	"palmops/services/executor/internal/runner"
)

// hang is a guard against waiting for ever and no measure of anything.
const hang = 90 * time.Second

func TestMain(m *testing.M) {
	if spec, _ := conf.Env(childEnv); spec != "" {
		os.Exit(childMain(spec))
	}
	// These tests mostly wait for leases to run out; by themselves only as many would wait at once as there are processors.
	flag.Parse()
	if err := flag.Set("test.parallel", "6"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	// NATS' client leaves one behind when a small object is stored before the goroutine has begun; it holds nothing.
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/nats-io/nats.go/jetstream.(*jetStream).resetPendingAcksOnReconnect"))
}

// quick is a timing for tests that wait for a dead owner; long enough for a busy machine to keep a live one alive.
func quick() runner.Timing {
	t := runner.DefaultTiming()
	t.Lease, t.Skew, t.Beat, t.AckWait = 3*time.Second, 2*time.Second, 500*time.Millisecond, 3*time.Second
	return t
}

// trail collects audit lines.
type trail struct {
	mu    sync.Mutex
	lines []wire.AuditLine
}

func (a *trail) Write(l wire.AuditLine) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.lines = append(a.lines, l)
}

// of lists the verdicts about one action.
func (a *trail) of(id string) (out []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, l := range a.lines {
		if l.Ref == id {
			out = append(out, l.Verdict)
		}
	}
	return out
}

// world is a bus, keys, a catalog, and a place for effects.
type world struct {
	t     *testing.T
	srv   *bustest.Server
	bus   *bus.Bus
	kv    jetstream.KeyValue
	res   *nats.Subscription
	keys  token.KeySet
	sign  *token.Layered
	dir   string
	audit *trail
	gone  []string // texts of progress that were read on the way to a result
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, srv: bustest.New(t), dir: t.TempDir(), audit: &trail{}}
	w.bus = w.srv.Connect("test")
	var err error
	w.keys, err = token.NewKeySet("local", rand.Reader)
	w.check(err)
	w.sign, err = w.keys.Layered(token.Options{})
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

// makeRunner builds an executor whose workflow may be held before and after each step.
func makeRunner(ctx context.Context, b *bus.Bus, keys token.KeySet, self string, timing runner.Timing, s *steps, a runner.Auditor) (*runner.Runner, error) {
	cat, err := catalog.Decode("c.yaml", []byte(catalogText), catalog.Kinds{practice, workflow.Spec()})
	if err != nil {
		return nil, err
	}
	g, err := guard.New(cat, keys)
	if err != nil {
		return nil, err
	}
	kinds := map[string]kind.Kind{practice.Name: s}
	kinds[workflow.Name] = gated{workflow.New(cat, kinds), s}
	return runner.New(ctx, runner.Options{
		Bus: b, Catalog: cat, Guard: g, Kinds: kinds, Self: self, Workers: 4, Timing: timing, Audit: a, Metrics: prometheus.NewRegistry(),
		Log: zap.NewNop(), Now: time.Now,
	})
}

// gated is a workflow that can be held between its steps: points "between <name>", and "end".
type gated struct {
	*workflow.Kind
	s *steps
}

type gatedHand struct {
	kind.Hand
	s *steps
}

func (h gatedHand) Run(ctx context.Context, name, action string, args map[string]any) kind.Result {
	if h.s.gate != nil {
		h.s.gate(ctx, "between "+name)
	}
	return h.Hand.Run(ctx, name, action, args)
}

func (g gated) Apply(ctx context.Context, w kind.Work, before json.RawMessage, hand kind.Hand) kind.Result {
	r := g.Kind.Apply(ctx, w, before, gatedHand{hand, g.s})
	if g.s.gate != nil {
		g.s.gate(ctx, "end")
	}
	return r
}

// executor starts one in this process.
func (w *world) executor(name string, timing runner.Timing, s *steps) (stop func()) {
	w.t.Helper()
	r, err := makeRunner(w.t.Context(), w.srv.Connect(name), w.keys, name, timing, s, w.audit)
	w.check(err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
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
	w.t.Cleanup(stop)
	return stop
}

func (w *world) steps(ends map[string]string) *steps { return &steps{dir: w.dir, ends: ends} }

// order sends an order and gives its id.
func (w *world) order(name, action string, args map[string]any, change ...func(*wire.Claims)) string {
	w.t.Helper()
	id := wire.DeriveID(w.t.Name(), name)
	raw, err := wire.CanonicalArgs(args)
	w.check(err)
	now := time.Now()
	c := wire.Claims{
		V: 1, ID: id, Corp: "wwcorp", App: "ops", User: "zhangsan", Zone: "local", Pool: "k8s", Action: action, ArgsHash: wire.ArgsHash(raw),
		IssuedAt: now.Unix(), Expires: now.Add(2 * time.Minute).Unix(),
	}
	for _, f := range change {
		f(&c)
	}
	tok, err := w.sign.Dumps(c)
	w.check(err)
	_, err = w.bus.Publish(w.t.Context(), wire.ActSubject("local", "k8s", action, id), id, wire.Action{V: 1, ID: id, Token: tok, Args: raw})
	w.check(err)
	return id
}

// result waits for the end of an action. Nobody is ever told of a step.
func (w *world) result(id string) wire.Event {
	w.t.Helper()
	for {
		msg, err := w.res.NextMsg(hang)
		if err != nil {
			w.t.Fatalf("no event: %v", err)
		}
		var ev wire.Event
		w.check(json.Unmarshal(msg.Data, &ev))
		for _, name := range []string{"a", "b", "c", "look", "undo-a", "undo-b"} {
			if ev.ID == step(id, name) {
				w.t.Errorf("an event of a step: %+v", ev)
			}
		}
		switch {
		case ev.ID != id:
		case wire.Final(ev.State):
			return ev
		default:
			w.gone = append(w.gone, ev.Text)
		}
	}
}

func step(parent, name string) string { return wire.DeriveID(parent, "step", name) }

// record waits until a record is in a state.
func (w *world) record(id, state string) wire.Record {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), hang)
	defer cancel()
	watch, err := w.kv.Watch(ctx, id)
	w.check(err)
	defer func() { _ = watch.Stop() }() // the connection ends with the test
	for {
		select {
		case <-ctx.Done():
			w.t.Fatalf("record %s never came to %s", id, state)
		case e := <-watch.Updates():
			if e == nil {
				continue
			}
			var rec wire.Record
			w.check(json.Unmarshal(e.Value(), &rec))
			if rec.State == state {
				return rec
			}
		}
	}
}

// states are the states of a workflow's steps as recorded, "" for none.
func (w *world) states(id string) map[string]string {
	w.t.Helper()
	out := map[string]string{}
	for _, name := range []string{"a", "b", "c", "look", "undo-b", "undo-a"} {
		e, err := w.kv.Get(w.t.Context(), step(id, name))
		if err != nil {
			continue
		}
		var rec wire.Record
		w.check(json.Unmarshal(e.Value(), &rec))
		if rec.Parent != id || rec.User != "zhangsan" || rec.Zone != "local" || rec.Pool != "k8s" {
			w.t.Errorf("step %s: %+v", name, rec)
		}
		out[name] = rec.State
	}
	return out
}

func (w *world) effects(want string) {
	w.t.Helper()
	if got := done(w.dir); got != want {
		w.t.Errorf("done: %q, want %q", got, want)
	}
}

// childEnv holds the childSpec of a process that is to be an executor.
const childEnv = "PALMOPS_TEST_WORKFLOW"

// childSpec says where an executor process stops until the file "go" appears.
type childSpec struct {
	URL    string            `json:"url"`
	Dir    string            `json:"dir"`
	Gate   string            `json:"gate"`
	Ends   map[string]string `json:"ends"`
	Keys   token.KeySet      `json:"keys"`
	Timing runner.Timing     `json:"timing"`
}

func childMain(text string) int {
	fail := func(err error) int {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	var c childSpec
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		return fail(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*hang)
	defer cancel()
	b, err := bus.Connect(ctx, bus.Options{URL: c.URL, Name: "child"})
	if err != nil {
		return fail(err)
	}
	s := &steps{dir: c.Dir, ends: c.Ends, gate: func(_ context.Context, point string) {
		if point == c.Gate {
			mark(c.Dir, "reached")
			if err := await(ctx, c.Dir, "go"); err != nil {
				os.Exit(fail(err))
			}
			defer mark(c.Dir, "went")
		}
		if point == "end" {
			defer mark(c.Dir, "ended")
		}
	}}
	r, err := makeRunner(ctx, b, c.Keys, "child", c.Timing, s, &trail{})
	if err != nil {
		return fail(err)
	}
	if err := r.Run(ctx); err != nil {
		return fail(err)
	}
	return 0
}

// child starts an executor process.
func (w *world) child(gate string, ends map[string]string, timing runner.Timing) *exec.Cmd {
	w.t.Helper()
	spec, err := json.Marshal(childSpec{URL: w.srv.URL(), Dir: w.dir, Gate: gate, Ends: ends, Keys: w.keys, Timing: timing})
	w.check(err)
	self, err := os.Executable()
	w.check(err)
	cmd := exec.Command(self)
	cmd.Env = append(slices.Clone(os.Environ()), childEnv+"="+string(spec))
	cmd.Stderr = os.Stderr
	w.check(cmd.Start())
	w.t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may be gone already
		_ = cmd.Wait()
	})
	return cmd
}

// mark leaves a sign for another process.
func mark(dir, name string) {
	if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
		panic(err) // the other side would only time out
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

func (w *world) await(name string) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), hang)
	defer cancel()
	w.check(await(ctx, w.dir, name))
}
