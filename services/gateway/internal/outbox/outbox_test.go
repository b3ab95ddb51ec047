package outbox

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"palmops/libs/bus"
	"palmops/libs/fault"
	"palmops/libs/wecom"
	"palmops/libs/wire"
	"palmops/services/gateway/internal/metrics"
)

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
