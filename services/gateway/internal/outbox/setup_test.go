package outbox

import (
	"context"
	"fmt"
	"io"
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
	"palmops/libs/wecom"
	"palmops/libs/wire"
	"palmops/services/gateway/internal/metrics"
)

func TestMain(m *testing.M) {
	// NATS' client leaves one behind when a small object is stored before the goroutine has begun; it holds nothing.
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/nats-io/nats.go/jetstream.(*jetStream).resetPendingAcksOnReconnect"))
}

const hang = 30 * time.Second

// fake is WeCom: it answers each try as the test says, and keeps what was sent.
type fake struct {
	mu     sync.Mutex
	answer func(try int, m wecom.OutMessage) (wecom.SendResult, error)
	tries  []wecom.OutMessage
	shown  chan wecom.OutMessage

	update  func() error
	updates []wire.CardUpdate // and for whom
	upload  func(try int) error
	uploads []upload
}

type upload struct{ kind, name, content string }

func (f *fake) UpdateCard(_ context.Context, users []string, code, label string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.updates = append(f.updates, wire.CardUpdate{ResponseCode: code, Label: strings.Join(users, "|") + ": " + label})
	if f.update != nil {
		return f.update()
	}
	return nil
}

func (f *fake) Upload(_ context.Context, kind, name string, r io.Reader, size int64) (string, error) {
	data, err := io.ReadAll(r)
	if err != nil || int64(len(data)) != size {
		return "", fault.New(fault.Transient, "%s of %d bytes, %d read: %v", kind, size, len(data), err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.uploads = append(f.uploads, upload{kind, name, string(data)})
	if f.upload != nil {
		if err := f.upload(len(f.uploads)); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("media-%d", len(f.uploads)), nil
}

func (f *fake) Send(_ context.Context, m wecom.OutMessage) (wecom.SendResult, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.tries = append(f.tries, m)
	if f.answer != nil {
		if res, err := f.answer(len(f.tries), m); err != nil || res.InvalidUser != nil || res.Unlicensed != nil {
			return res, err
		}
	}
	f.shown <- m
	return wecom.SendResult{MsgID: "1"}, nil
}

func (f *fake) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.tries)
}

type trail struct{ lines chan wire.AuditLine }

func (t *trail) Write(l wire.AuditLine) { t.lines <- l }

type world struct {
	t     *testing.T
	bus   *bus.Bus
	fake  *fake
	trail *trail
	reg   *prometheus.Registry
	plain bool // without cards
	stop  func()
}

func newWorld(t *testing.T, answer func(int, wecom.OutMessage) (wecom.SendResult, error)) *world {
	t.Helper()
	w := &world{
		t: t, bus: bustest.New(t).Connect("test"), reg: prometheus.NewRegistry(),
		fake: &fake{answer: answer, shown: make(chan wecom.OutMessage, 1024)}, trail: &trail{make(chan wire.AuditLine, 64)},
	}
	w.start()
	return w
}

func (w *world) start() {
	w.t.Helper()
	w.reg = prometheus.NewRegistry()
	m, err := metrics.New(w.reg)
	if err != nil {
		w.t.Fatal(err)
	}
	o := New(w.bus, []App{{Corp: "ww1", Name: "ops", Sender: w.fake, Cards: !w.plain}}, w.trail, m, time.Now)
	o.retry = 10 * time.Millisecond
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- o.Run(ctx) }()
	w.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			w.t.Errorf("outbox: %v", err)
		}
	})
	w.t.Cleanup(w.stop)
}

func out(id, user string, body ...string) wire.Outbound {
	return wire.Outbound{V: wire.Version, ID: id, Corp: "ww1", App: "ops", User: user, Screens: []wire.Screen{{Body: body}}}
}

func (w *world) publish(o wire.Outbound) {
	w.t.Helper()
	if _, err := w.bus.Publish(context.Background(), wire.OutSubject(o.Corp, o.App, o.User), o.ID, o); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) next() wecom.OutMessage {
	w.t.Helper()
	select {
	case m := <-w.fake.shown:
		return m
	case <-time.After(hang):
		w.t.Fatal("nothing is sent")
		return wecom.OutMessage{}
	}
}

func (w *world) audited() wire.AuditLine {
	w.t.Helper()
	select {
	case l := <-w.trail.lines:
		return l
	case <-time.After(hang):
		w.t.Fatal("nothing is audited")
		return wire.AuditLine{}
	}
}

// empty waits until OUT holds nothing.
func (w *world) empty() {
	w.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	end := time.After(hang)
	for {
		s, err := w.bus.JS.Stream(context.Background(), wire.StreamOut)
		if err != nil {
			w.t.Fatal(err)
		}
		var info *jetstream.StreamInfo
		if info, err = s.Info(context.Background()); err != nil {
			w.t.Fatal(err)
		}
		if info.State.Msgs == 0 {
			return
		}
		select {
		case <-tick.C:
		case <-end:
			w.t.Fatalf("%d messages stay on OUT", info.State.Msgs)
		}
	}
}

// value is the sum of a counter's series that have a label of that value.
func (w *world) value(name, label string) float64 {
	w.t.Helper()
	families, err := w.reg.Gather()
	if err != nil {
		w.t.Fatal(err)
	}
	sum := 0.0
	for _, f := range families {
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if f.GetName() == "palmops_gateway_"+name && l.GetValue() == label {
					sum += m.GetCounter().GetValue()
				}
			}
		}
	}
	return sum
}
