package outbox

import (
	"context"
	"errors"
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

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

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

type upload struct{ name, content string }

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
	if err != nil || int64(len(data)) != size || kind != "file" {
		return "", fault.New(fault.Transient, "%s of %d bytes, %d read: %v", kind, size, len(data), err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.uploads = append(f.uploads, upload{name, string(data)})
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

func TestMessagesOfOnePersonArriveOnceAndInOrder(t *testing.T) {
	w := newWorld(t, nil)
	for i := range 30 {
		for _, user := range []string{"zhangsan", "lisi"} {
			o := out(fmt.Sprintf("%s-%02d", user, i), user, fmt.Sprint(i))
			w.publish(o)
			w.publish(o) // the second copy is nothing
		}
	}
	got := map[string]int{}
	for range 60 {
		m := w.next()
		if m.Text != fmt.Sprint(got[m.ToUser]) || m.MsgType != wecom.TypeText || m.DuplicateCheck != time.Minute {
			t.Fatalf("%+v, want %d", m, got[m.ToUser])
		}
		got[m.ToUser]++
	}
	w.empty()
	if w.fake.count() != 60 || w.value("replies_total", "push") != 60 || w.value("pushes_total", "ok") != 60 {
		t.Errorf("%d tries", w.fake.count())
	}
}

// A failure that may pass, and an answer that was lost, are tried again, and nothing overtakes them.
func TestFailuresThatMayPassAreTriedAgain(t *testing.T) {
	w := newWorld(t, func(try int, _ wecom.OutMessage) (wecom.SendResult, error) {
		switch try {
		case 1:
			return wecom.SendResult{}, &wecom.APIError{API: "message/send", Code: -1}
		case 2:
			return wecom.SendResult{}, fault.New(fault.Transient, "no connection")
		case 3:
			return wecom.SendResult{}, fault.New(fault.Unknown, "no answer")
		case 4:
			return wecom.SendResult{}, errors.New("an answer that nobody understands")
		}
		return wecom.SendResult{}, nil
	})
	w.publish(out("a", "zhangsan", "first"))
	w.publish(out("b", "zhangsan", "second"))
	if a, b := w.next(), w.next(); a.Text != "first" || b.Text != "second" {
		t.Errorf("%q, %q", a.Text, b.Text)
	}
	w.empty()
	for i, m := range w.fake.tries[:5] {
		if m.Text != "first" || m.DuplicateCheck == 0 {
			t.Errorf("try %d: %+v", i+1, m)
		}
	}
	for label, n := range map[string]float64{"-1": 1, "transient": 1, "unknown": 1, "internal": 1, "ok": 2} {
		if got := w.value("pushes_total", label); got != n {
			t.Errorf("%s counted %v times", label, got)
		}
	}
	if len(w.trail.lines) != 0 {
		t.Error("audited as given up")
	}
}

// A failure that no second try can mend is dropped with an audit line, and the next message goes on.
func TestFailuresThatStayAreDropped(t *testing.T) {
	for name, c := range map[string]struct {
		out    wire.Outbound
		answer func(int, wecom.OutMessage) (wecom.SendResult, error)
		reason string
		tries  int
	}{
		"receiver unknown": {out("a", "bad", "x"), func(int, wecom.OutMessage) (wecom.SendResult, error) {
			return wecom.SendResult{}, &wecom.APIError{Code: 81013}
		}, "errcode_81013", 1},
		"receiver invisible": {out("a", "bad", "x"), func(int, wecom.OutMessage) (wecom.SendResult, error) {
			return wecom.SendResult{InvalidUser: []string{"Bad"}}, nil
		}, "not_found", 1},
		"receiver unlicensed": {out("a", "bad", "x"), func(int, wecom.OutMessage) (wecom.SendResult, error) {
			return wecom.SendResult{Unlicensed: []string{"bad"}}, nil
		}, "denied", 1},
		"our address is not trusted": {out("a", "bad", "x"), func(int, wecom.OutMessage) (wecom.SendResult, error) {
			return wecom.SendResult{}, &wecom.APIError{Code: 60020}
		}, "errcode_60020", 1},
		"a code nobody knows": {out("a", "bad", "x"), func(int, wecom.OutMessage) (wecom.SendResult, error) {
			return wecom.SendResult{}, &wecom.APIError{Code: 99999}
		}, "errcode_99999", maxRefusals},
		"another app": {wire.Outbound{ID: "a", Corp: "ww1", App: "dev", User: "bad", Screens: []wire.Screen{{Title: "x"}}}, nil, "not_found", 0},
		"everybody":   {out("a", "@all", "x"), nil, "invalid", 0},
		"two people":  {out("a", "a|b", "x"), nil, "invalid", 0},
		"no one":      {out("a", "", "x"), nil, "invalid", 0},
		"a panic in the client": {out("a", "bad", "x"), func(try int, _ wecom.OutMessage) (wecom.SendResult, error) {
			if try < 3 {
				panic("defect")
			}
			return wecom.SendResult{}, &wecom.APIError{Code: 40058}
		}, "errcode_40058", 3},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, func(try int, m wecom.OutMessage) (wecom.SendResult, error) {
				if m.ToUser != "bad" {
					return wecom.SendResult{}, nil
				}
				return c.answer(try, m)
			})
			w.publish(c.out)
			line := w.audited()
			if line.What != "push" || line.Verdict != "refused" || line.Reason != c.reason || line.Ref != "a" || line.User != c.out.User {
				t.Errorf("%+v", line)
			}
			if n := w.fake.count(); n != c.tries {
				t.Errorf("%d tries, want %d", n, c.tries)
			}
			w.publish(out("b", "zhangsan", "next"))
			if m := w.next(); m.Text != "next" {
				t.Errorf("%+v", m)
			}
			w.empty()
			if len(w.trail.lines) != 0 {
				t.Error("audited more than once")
			}
		})
	}
}

func TestWhatIsNoMessageIsDropped(t *testing.T) {
	w := newWorld(t, nil)
	if _, err := w.bus.Publish(context.Background(), wire.OutSubject("ww1", "ops", "zhangsan"), "x", "not an object"); err != nil {
		t.Fatal(err)
	}
	if l := w.audited(); l.Reason != "invalid" {
		t.Errorf("%+v", l)
	}
	w.publish(out("nothing", "zhangsan"))
	w.empty()
	if w.fake.count() != 0 || w.value("replies_total", "push") != 0 {
		t.Error("something was sent")
	}
}

// A long message comes in numbered parts, in order; a failure in the middle does not repeat the parts before it.
func TestPartsGoOnWhereTheyFailed(t *testing.T) {
	w := newWorld(t, func(try int, _ wecom.OutMessage) (wecom.SendResult, error) {
		if try == 3 {
			return wecom.SendResult{}, fault.New(fault.Transient, "no connection")
		}
		return wecom.SendResult{}, nil
	})
	lines := make([]string, 0, 600)
	for i := range 600 {
		lines = append(lines, fmt.Sprintf("第 %03d 行", i))
	}
	w.publish(out("a", "zhangsan", lines...))
	first := w.next()
	n := 0
	if _, err := fmt.Sscanf(first.Text, "(1/%d)", &n); err != nil || n < 3 {
		t.Fatalf("%.40q: %v", first.Text, err)
	}
	all := first.Text[strings.IndexByte(first.Text, '\n')+1:]
	for i := 2; i <= n; i++ {
		m := w.next()
		if !strings.HasPrefix(m.Text, fmt.Sprintf("(%d/%d)\n", i, n)) || len(m.Text) > wecom.MaxText {
			t.Fatalf("part %d: %.40q", i, m.Text)
		}
		all += m.Text[strings.IndexByte(m.Text, '\n')+1:]
	}
	w.empty()
	if all != strings.Join(lines, "\n") {
		t.Error("the parts are not the text")
	}
	if w.fake.count() != n+1 || w.value("replies_total", "push") != 1 {
		t.Errorf("%d tries for %d parts", w.fake.count(), n)
	}
}

func TestALateReplySaysWhatItAnswers(t *testing.T) {
	w := newWorld(t, nil)
	o := out("a", "zhangsan", "菜单")
	o.InReplyTo, o.SaidText, o.SentAt = "id", "1", time.Date(2026, 11, 23, 14, 2, 11, 0, time.FixedZone("", 8*3600)).Unix()
	w.publish(o)
	if m := w.next(); m.Text != "「1」的回复（14:02:11 发）\n菜单" {
		t.Errorf("%q", m.Text)
	}
}

// WeCom's frequency limit blocks for a whole window: no try before its end.
func TestTheFrequencyLimitIsRespected(t *testing.T) {
	w := newWorld(t, func(int, wecom.OutMessage) (wecom.SendResult, error) {
		return wecom.SendResult{}, &wecom.APIError{Code: 45009}
	})
	l := &lane{Outbox: New(w.bus, nil, w.trail, nil, time.Now)}
	l.metrics, _ = metrics.New(prometheus.NewRegistry())
	err := l.send(context.Background(), App{Name: "ops", Sender: w.fake}, out("a", "b", "c"), wecom.OutMessage{Text: "c"})
	if bus.Settle(err) != bus.Again || !strings.Contains(err.Error(), "again in 1m0s") {
		t.Errorf("%v", err)
	}
}

// Two gateways share the lanes: a stopped one leaves its messages to the other, each is sent once.
func TestTwoOutboxesShareTheWork(t *testing.T) {
	w := newWorld(t, nil)
	firstStop := w.stop
	w.start()
	for i := range 40 {
		if i == 20 {
			firstStop()
		}
		w.publish(out(fmt.Sprint(i), fmt.Sprintf("user%d", i%7), fmt.Sprint(i)))
	}
	seen := map[string]bool{}
	for range 40 {
		m := w.next()
		if seen[m.Text] {
			t.Errorf("%s twice", m.Text)
		}
		seen[m.Text] = true
	}
	w.empty()
}
