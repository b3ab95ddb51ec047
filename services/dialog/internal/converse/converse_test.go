package converse_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap/zapcore"

	"palmops/libs/bus"
	"palmops/libs/fault"
	"palmops/libs/token"
	"palmops/libs/wire"
	"palmops/services/dialog/internal/ask"
	"palmops/services/dialog/internal/flow"
)

func TestAConfirmedOrderIsStoredOnceWithATokenForIt(t *testing.T) {
	s := newStage(t)
	s.passive = true
	m := s.say(append(slices.Clone(toConfirm), "1")...)
	for range 3 { // the acknowledgement was lost
		m.Delivered++
		s.settle(m)
	}
	acts := stored[wire.Action](s, wire.StreamAct)
	if len(acts) != 1 {
		t.Fatalf("%d orders", len(acts))
	}
	layered, err := keys.Layered(token.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var c wire.Claims
	if _, err := layered.Loads(acts[0].Token, time.Minute, &c); err != nil {
		t.Fatal(err)
	}
	want := wire.Claims{
		V: 1, ID: wire.DeriveID("action", "m8", "retail-scale"), Corp: "ww1", App: "ops", User: "zhangsan", Zone: "local", Pool: "k8s",
		Action: "k8s.scale", ArgsHash: wire.ArgsHash(acts[0].Args), IssuedAt: s.now.Unix(), Expires: s.now.Unix() + 120, Title: "shop/web 副本数 3 → 5", Lang: "zh",
	}
	if diff := cmp.Diff(want, c); diff != "" || acts[0].ID != c.ID {
		t.Error(diff)
	}
	if got := string(acts[0].Args); got != `{"deployment":"web","from":3,"namespace":"shop","replicas":5}` {
		t.Error(got)
	}
	if len(s.replies) != 8 {
		t.Errorf("%d replies to 8 messages", len(s.replies))
	}
	if out := stored[wire.Outbound](s, wire.StreamOut); len(out) != 0 {
		t.Errorf("pushed as well: %+v", out)
	}
	if rep := s.said("m8"); rep == nil || !strings.Contains(screens(rep.Screens), "已受理 #"+wire.ShortID(c.ID)) {
		t.Errorf("said %+v", rep)
	}
	for _, l := range s.audits {
		if raw, _ := json.Marshal(l); strings.Contains(string(raw), "shop") || strings.Contains(string(raw), acts[0].Token) {
			t.Errorf("the audit quotes: %s", raw)
		}
	}
	for _, e := range s.logs.All() {
		if e.Level >= zapcore.WarnLevel {
			t.Errorf("logged %s %v", e.Message, e.ContextMap())
		}
	}
}

// A crash between the stored step and the stored order: the message comes again, to another process.
func TestACrashBeforeTheOrderIsStored(t *testing.T) {
	for _, kind := range []fault.Kind{fault.Transient, fault.Unknown} {
		t.Run(string(kind), func(t *testing.T) {
			s := newStage(t)
			s.passive = true
			s.say(toConfirm...)
			s.faults["act."] = fault.New(kind, "no bus")
			m := s.message("1")
			if err := s.handle(m); !fault.Is(err, kind) {
				t.Fatalf("got %v", err)
			}
			if len(s.replies) != len(toConfirm) || s.said("m8") != nil {
				t.Fatal("the order is called accepted before it is stored")
			}
			delete(s.faults, "act.")
			s.conv = s.converser()
			m.Delivered++
			s.settle(m)
			if acts := stored[wire.Action](s, wire.StreamAct); len(acts) != 1 || acts[0].ID != wire.DeriveID("action", "m8", "retail-scale") {
				t.Errorf("orders %+v", acts)
			}
			if got := screens(s.replies[len(s.replies)-1].Screens); !strings.Contains(got, "已受理") || s.said("m8") == nil {
				t.Error(got)
			}
		})
	}
}

func TestAnOrderThatCannotBeHandedOverIsNotCalledAccepted(t *testing.T) {
	s := newStage(t)
	s.passive = true
	s.say(toConfirm...)
	s.faults["act."] = fault.New(fault.Transient, "no bus")
	m := s.message("1")
	if err := s.handle(m); err == nil {
		t.Fatal("no error")
	}
	s.mu.Lock()
	s.now = s.now.Add(121 * time.Second)
	s.mu.Unlock()
	m.Delivered = 9
	s.settle(m)
	if got := screens(s.replies[len(s.replies)-1].Screens); !strings.Contains(got, "没有收到受理回执") {
		t.Error(got)
	}
	if rep := s.said("m8"); rep == nil || !strings.Contains(screens(rep.Screens), "没有收到受理回执") {
		t.Errorf("said %+v", rep)
	}
}

func TestWithoutAGatewayTheReplyIsPushedOnce(t *testing.T) {
	s := newStage(t)
	m := s.say("你好，这是一句很长很长很长很长很长很长的话")
	m.Delivered++
	s.settle(m)
	out := stored[wire.Outbound](s, wire.StreamOut)
	if len(out) != 1 {
		t.Fatalf("%d pushes", len(out))
	}
	o := out[0]
	if o.ID != "m1:reply" || o.InReplyTo != "m1" || o.SentAt != 1001 || o.User != "zhangsan" || len([]rune(o.SaidText)) != 21 || !strings.Contains(screens(o.Screens), "掌上运维") {
		t.Errorf("%+v", o)
	}
}

func TestAPushThatFailsComesAgain(t *testing.T) {
	s := newStage(t)
	s.faults["out."] = fault.New(fault.Unknown, "no bus")
	m := s.message("x")
	if err := s.handle(m); bus.Settle(err) != bus.Again {
		t.Fatalf("got %v", err)
	}
	delete(s.faults, "out.")
	s.settle(m)
	if out := stored[wire.Outbound](s, wire.StreamOut); len(out) != 1 {
		t.Errorf("%d pushes", len(out))
	}
}

func TestWorthlessMessagesAreDropped(t *testing.T) {
	s := newStage(t)
	for _, data := range []string{"", "null", "{}", `{"id":"a","corp":"c","app":"a"}`, "[]"} {
		if err := s.handle(&bus.Msg{Data: []byte(data), Seq: 1, Delivered: 1}); bus.Settle(err) != bus.Drop {
			t.Errorf("%q: %v", data, err)
		}
	}
	if rep := s.conv.Said(context.Background(), "", []byte("{")).(wire.Said).Reply; rep != nil {
		t.Errorf("%+v", rep)
	}
}

func TestAnEventIsAnsweredWithNothing(t *testing.T) {
	s := newStage(t)
	s.passive = true
	data, _ := json.Marshal(wire.Inbound{V: 1, ID: "e", Corp: "ww1", App: "ops", User: "u", Type: "event", Event: "enter_agent"})
	if err := s.handle(&bus.Msg{Data: data, Seq: 1, Delivered: 1}); err != nil {
		t.Fatal(err)
	}
	if len(s.replies) != 1 || s.replies[0].Screens == nil || len(s.replies[0].Screens) != 0 {
		t.Errorf("%+v", s.replies)
	}
	s.passive = false
	if err := s.handle(&bus.Msg{Data: data, Seq: 1, Delivered: 1}); err != nil {
		t.Fatal(err)
	}
	if out := stored[wire.Outbound](s, wire.StreamOut); len(out) != 0 {
		t.Errorf("pushed %+v", out)
	}
}

func TestAQuestionThatFailsIsSaid(t *testing.T) {
	s := newStage(t)
	s.passive = true
	s.say("x", "1", "1")
	s.answer = func(flow.Question) (flow.Answer, error) {
		return flow.Answer{Fault: "列表暂时取不到（执行器没有应答），没有执行任何操作"}, errors.New("no executor")
	}
	s.say("1")
	if got := screens(s.replies[3].Screens); !strings.Contains(got, "再次回复 1 重试") {
		t.Error(got)
	}
}

// No earlier message, delivered again while the confirm is on the screen, counts as the confirm.
func TestARedeliveredStepIsNoConfirm(t *testing.T) {
	s := newStage(t)
	s.passive = true
	var before []*bus.Msg
	for _, text := range toConfirm {
		before = append(before, s.say(text))
	}
	s.conv = s.converser() // another process
	for _, m := range before {
		m.Delivered++
		s.settle(m)
	}
	if acts := stored[wire.Action](s, wire.StreamAct); len(acts) != 0 || len(s.replies) != len(toConfirm) {
		t.Errorf("%d orders, %d replies", len(acts), len(s.replies))
	}
	s.say("1")
	if acts := stored[wire.Action](s, wire.StreamAct); len(acts) != 1 {
		t.Errorf("%d orders", len(acts))
	}
}

// A person who types ahead of the confirm has not read it.
func TestAnAnswerFromBeforeTheConfirmDoesNotConfirm(t *testing.T) {
	s := newStage(t)
	s.passive = true
	s.say(toConfirm[:len(toConfirm)-1]...)
	first, second := s.message("1"), s.message("1") // both arrive before either is worked on
	s.mu.Lock()
	s.now = s.now.Add(300 * time.Millisecond)
	s.mu.Unlock()
	for _, m := range []*bus.Msg{first, second} {
		s.settle(m)
	}
	if acts := stored[wire.Action](s, wire.StreamAct); len(acts) != 0 {
		t.Errorf("%d orders", len(acts))
	}
	s.say("1")
	if acts := stored[wire.Action](s, wire.StreamAct); len(acts) != 1 {
		t.Errorf("%d orders", len(acts))
	}
}

// The message ended before the one that was sent after it: it is not worked on a second time, and nothing is said.
func TestAMessageBehindItsFollowersIsLetGo(t *testing.T) {
	s := newStage(t)
	s.passive = true
	old := s.message("1")
	s.say("x", "1")
	n := len(s.replies)
	if err := s.handle(old); err != nil || len(s.replies) != n {
		t.Errorf("%v, %d replies", err, len(s.replies)-n)
	}
}

// A dry run is an order of its own, signed as one, and the confirm it was asked for at still counts.
func TestADryRunIsSignedAsOne(t *testing.T) {
	s := newStage(t)
	s.passive = true
	s.say(append(append([]string{}, toConfirm...), "试运行", "1")...)
	acts := stored[wire.Action](s, wire.StreamAct)
	if len(acts) != 2 || acts[0].ID == acts[1].ID {
		t.Fatalf("%d orders", len(acts))
	}
	signer, err := ask.NewSigner([]token.KeySet{keys}, s.clock)
	if err != nil {
		t.Fatal(err)
	}
	for i, a := range acts {
		c, err := signer.Read("local", a.Token)
		if err != nil || c.Noop != (i == 0) || c.Report || c.ID != a.ID || c.ArgsHash != wire.ArgsHash(acts[0].Args) {
			t.Errorf("%d: %+v %v", i, c, err)
		}
	}
	if got := screens(s.replies[len(s.replies)-2].Screens); !strings.Contains(got, "已受理试运行") || !strings.Contains(got, "请确认") {
		t.Error(got)
	}
	noop := 0
	for _, l := range s.audits {
		if l.Detail["as"] == "noop" {
			noop++
		}
	}
	if noop != 1 {
		t.Errorf("%d audit lines of dry runs", noop)
	}
}
