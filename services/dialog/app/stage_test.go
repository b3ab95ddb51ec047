package app_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9/logging"
	"go.uber.org/goleak"

	"palmops/libs/bus"
	"palmops/libs/bus/bustest"
	"palmops/libs/conf"
	"palmops/libs/redistest"
	"palmops/libs/token"
	"palmops/libs/wire"
	"palmops/services/dialog/app"
	"palmops/services/dialog/internal/session/sessiontest"
)

func TestMain(m *testing.M) {
	logging.Disable() // the client's own lines about connections that the tests cut
	// NATS' client leaves one behind when a small object is stored before the goroutine has begun; it holds nothing.
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/nats-io/nats.go/jetstream.(*jetStream).resetPendingAcksOnReconnect"))
}

const (
	local = "../../../deployments/config/local/"
	plain = "../internal/converse/testdata/"
	corp  = "ww1"
	appID = "ops"
)

// stage is the whole world around dialogs: a real NATS, a real Redis, and stand-ins for gateway and executor.
type stage struct {
	t     testing.TB
	nats  *bustest.Server
	redis *redistest.Server
	bus   *bus.Bus
	keys  token.KeySet
	dir   string
	out   <-chan wire.Outbound
	card  string // of the last reply that WeCom took

	mu        sync.Mutex
	seq       int
	sent      int64
	silent    bool          // the executor does not answer
	ahead     time.Duration // of the dialogs' clock
	strangers bool          // the directory fails
	slow      chan struct{} // the executor answers when it is closed
	services  []wire.Item   // the executor's list of services
	asked     []wire.Claims
}

type counting struct{ n byte }

func (c *counting) Read(p []byte) (int, error) {
	for i := range p {
		c.n++
		p[i] = c.n
	}
	return len(p), nil
}

func newStage(t testing.TB) *stage {
	s := &stage{t: t, nats: bustest.New(t), redis: redistest.New(t), dir: t.TempDir(), sent: time.Now().Unix()}
	s.bus = s.nats.Connect("world")
	var err error
	if s.keys, err = token.NewKeySet("local", &counting{}); err != nil {
		t.Fatal(err)
	}
	for _, f := range []string{"menu.yaml", "policy.yaml"} {
		s.write(f, s.read(f))
	}
	s.serve(wire.DirSubject(corp, appID), s.directory)
	s.serve(wire.AskPool("local", "k8s"), s.executor)
	s.out = s.outbox()
	return s
}

func (s *stage) clock() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Now().Add(s.ahead)
}

func (s *stage) set(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

// count is how often an action was asked for.
func (s *stage) count(action string) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.asked {
		if c.Action == action {
			n++
		}
	}
	return n
}

func (s *stage) read(f string) string {
	s.t.Helper()
	data, err := os.ReadFile(plain + f)
	if err != nil {
		s.t.Fatal(err)
	}
	return string(data)
}

// write replaces a file in one step, as editors and config maps do.
func (s *stage) write(f, text string) {
	s.t.Helper()
	tmp := filepath.Join(s.dir, f+".new")
	if err := os.WriteFile(tmp, []byte(text), 0o644); err != nil {
		s.t.Fatal(err)
	}
	if err := os.Rename(tmp, filepath.Join(s.dir, f)); err != nil {
		s.t.Fatal(err)
	}
}

func (s *stage) serve(subject string, handle func(context.Context, string, []byte) any) {
	s.t.Helper()
	stop, err := s.bus.Serve(subject, "", 16, handle)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(stop)
}

func (s *stage) directory(_ context.Context, _ string, data []byte) any {
	var q wire.PersonQuery
	if err := json.Unmarshal(data, &q); err != nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if q.List != "" {
		return wire.Answer{V: 1, Items: []wire.Item{{Value: "lisi", Label: "李四"}, {Value: "zhangsan", Label: "张三"}}}
	}
	if s.strangers {
		return wire.Person{V: 1, User: q.User, Fault: &wire.Fault{Kind: "transient"}}
	}
	return wire.Person{V: 1, User: q.User, Found: true, Active: true}
}

func (s *stage) executor(_ context.Context, _ string, data []byte) any {
	var q wire.Question
	if err := json.Unmarshal(data, &q); err != nil {
		return nil
	}
	c, args := s.open(q)
	s.mu.Lock()
	slow := s.slow
	s.mu.Unlock()
	if slow != nil {
		<-slow
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, c)
	if s.silent {
		return nil
	}
	switch {
	case c.Action == "k8s.namespaces":
		return wire.Answer{V: 1, Items: []wire.Item{{Value: "pay"}, {Value: "shop"}}}
	case c.Action == "k8s.deployments" && args["namespace"] == "shop":
		return wire.Answer{V: 1, Items: []wire.Item{{Value: "api", Detail: "2/2"}, {Value: "web", Detail: "3/3"}}}
	case c.Action == "k8s.services":
		return wire.Answer{V: 1, Items: s.services}
	case c.Action == "k8s.browse":
		at, _ := args["inputs"].(string)
		return wire.Answer{V: 1, View: &wire.View{Title: "at:" + at + " in " + args["lang"].(string), Items: []wire.Item{{Value: "ns-a"}, {Value: "ns-b"}}}}
	case c.Action == "k8s.deployment":
		return wire.Answer{V: 1, Fields: map[string]string{"replicas": "3", "ready": "3", "resource_version": "7"}}
	}
	return wire.Answer{V: 1, Fault: &wire.Fault{Kind: "not_found"}}
}

// open verifies an action as an executor does.
func (s *stage) open(a wire.Action) (wire.Claims, map[string]any) {
	layered, err := s.keys.Layered(token.Options{Now: s.clock})
	if err != nil {
		s.t.Error(err)
		return wire.Claims{}, nil
	}
	var c wire.Claims
	if _, err := layered.Loads(a.Token, time.Minute, &c); err != nil {
		s.t.Errorf("token: %v", err)
	}
	args, err := wire.ParseArgs(a.Args)
	if err != nil || c.ArgsHash != wire.ArgsHash(a.Args) || c.ID != a.ID {
		s.t.Errorf("arguments %s do not belong to %+v: %v", a.Args, c, err)
	}
	return c, args
}

// outbox takes what is pushed to people, in its order.
func (s *stage) outbox() <-chan wire.Outbound {
	s.t.Helper()
	out := make(chan wire.Outbound, 1000)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		err := s.bus.Consume(ctx, bus.Consumer{Stream: wire.StreamOut, Durable: "out", Filter: "out.>", Lane: 1}, func(_ context.Context, m *bus.Msg) error {
			var o wire.Outbound
			if err := json.Unmarshal(m.Data, &o); err != nil {
				return err
			}
			out <- o
			return nil
		})
		if err != nil {
			s.t.Error(err)
		}
	}()
	s.t.Cleanup(func() { cancel(); <-done })
	// nats-server 2.15.2 reads a stream's configuration without a lock when a consumer is made, and a dialog that starts
	// writes it: under the race detector the two must not happen at once.
	sessiontest.Wait(s.t, "the outbox", func(ctx context.Context) bool {
		_, err := s.bus.JS.Consumer(ctx, wire.StreamOut, "out")
		return err == nil
	})
	return out
}

// dialog starts a dialog; stop ends it and waits for it.
func (s *stage) dialog() (a *app.App, stop func(), reg *prometheus.Registry) {
	s.t.Helper()
	a, reg = s.build()
	return a, s.run(a), reg
}

func (s *stage) build() (*app.App, *prometheus.Registry) {
	s.t.Helper()
	reg := prometheus.NewRegistry()
	a, err := app.New(s.t.Context(), app.Options{
		Config: app.Config{Menu: filepath.Join(s.dir, "menu.yaml"), Policy: filepath.Join(s.dir, "policy.yaml")},
		Keys:   []token.KeySet{s.keys}, NATS: bus.Options{URL: s.nats.URL()}, RedisURL: conf.Secret(s.redis.URL()), Registry: reg,
		Now: s.clock,
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return a, reg
}

func (s *stage) run(a *app.App) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			s.t.Errorf("dialog: %v", err)
		}
	})
	s.t.Cleanup(stop)
	return stop
}

// send publishes a message as a gateway does and returns its id.
func (s *stage) send(user, text string) string {
	return s.publish(wire.Inbound{User: user, Type: "text", Text: text}).ID
}

func (s *stage) publish(in wire.Inbound) wire.Inbound {
	s.t.Helper()
	s.mu.Lock()
	s.seq++
	s.sent++
	in.V, in.ID, in.Corp, in.App = 1, wire.MessageID(corp, 1, in.User, fmt.Sprint(s.seq), nil), corp, appID
	in.MsgID, in.SentAt, in.ReceivedAt = fmt.Sprint(s.seq), s.sent, time.Now().Add(s.ahead).UnixMilli()
	s.mu.Unlock()
	if _, err := s.bus.Publish(s.t.Context(), wire.InSubject(corp, appID, in.User), in.ID, in); err != nil {
		s.t.Fatal(err)
	}
	return in
}

// say is send with a gateway that waits for the reply and gives it to WeCom.
func (s *stage) say(user, text string) string {
	s.t.Helper()
	got := make(chan wire.Reply, 8)
	s.mu.Lock()
	id := wire.MessageID(corp, 1, user, fmt.Sprint(s.seq+1), nil)
	s.mu.Unlock()
	sub, err := s.bus.NC.Subscribe(wire.ReplySubject(corp, appID, id), func(m *nats.Msg) {
		var r wire.Reply
		if err := json.Unmarshal(m.Data, &r); err != nil {
			s.t.Error(err)
		}
		raw, _ := json.Marshal(wire.ReplyTaken{V: 1, Passive: true})
		_ = m.Respond(raw) // the asker may be gone
		got <- r
	})
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = sub.Unsubscribe() }() // the connection may be gone
	s.send(user, text)
	select {
	case r := <-got:
		for _, screen := range r.Screens {
			s.card = screen.Card
		}
		return shown(r.Screens)
	case o := <-s.out:
		s.t.Fatalf("pushed instead: %s", shown(o.Screens))
	case <-time.After(sessiontest.Patience):
		s.t.Fatalf("no reply to %q", text)
	}
	return ""
}

func (s *stage) sayAll(user string, texts ...string) (last string) {
	s.t.Helper()
	for _, text := range texts {
		last = s.say(user, text)
	}
	return last
}

// pushed is the next message that is pushed.
func (s *stage) pushed() wire.Outbound {
	s.t.Helper()
	select {
	case o := <-s.out:
		return o
	case <-time.After(sessiontest.Patience):
		s.t.Fatal("nothing is pushed")
	}
	return wire.Outbound{}
}

// acts is what lies in ACT.
func (s *stage) acts() []wire.Action {
	s.t.Helper()
	st, err := s.bus.JS.Stream(s.t.Context(), wire.StreamAct)
	if err != nil {
		s.t.Fatal(err)
	}
	var out []wire.Action
	for seq := uint64(1); ; {
		m, err := st.GetMsg(s.t.Context(), seq, jetstream.WithGetMsgSubject("act.>"))
		if err != nil {
			return out
		}
		var a wire.Action
		if err := json.Unmarshal(m.Data, &a); err != nil {
			s.t.Fatal(err)
		}
		out = append(out, a)
		seq = m.Sequence + 1
	}
}

func shown(screens []wire.Screen) string {
	var b strings.Builder
	for _, s := range screens {
		fmt.Fprintln(&b, s.Note, s.Title, strings.Join(s.Body, " "))
		for _, c := range s.Choices {
			fmt.Fprintln(&b, c.Key+".", c.Label, c.Detail)
		}
	}
	return b.String()
}

func (s *stage) wants(got string, parts ...string) {
	s.t.Helper()
	for _, p := range parts {
		if !strings.Contains(got, p) {
			s.t.Errorf("want %q in:\n%s", p, got)
		}
	}
}
