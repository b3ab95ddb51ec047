package converse_test

import (
	"encoding/json"
	"strings"
	"testing"

	"palmops/libs/bus"
	"palmops/libs/wire"
	"palmops/services/dialog/internal/converse"
	"palmops/services/dialog/internal/flow"
)

// press is a button of the newest card.
func (s *stage) press(key string) *bus.Msg {
	s.t.Helper()
	card := ""
	for _, r := range s.replies {
		for _, sc := range r.Screens {
			if sc.Card != "" {
				card = sc.Card
			}
		}
	}
	for _, o := range stored[wire.Outbound](s, wire.StreamOut) {
		for _, sc := range o.Screens {
			if sc.Card != "" {
				card = sc.Card
			}
		}
	}
	if card == "" {
		s.t.Fatal("there is no card")
	}
	return s.inbound(wire.Inbound{Type: "event", Event: flow.EventCard, EventKey: key, TaskID: card, ResponseCode: "rc-" + key})
}

func TestAPressIsAStep(t *testing.T) {
	s := newStage(t)
	s.passive = true
	s.say("x", "卡片")
	offered := len(s.replies)
	if !strings.Contains(s.last(), `"card":"`) {
		t.Fatalf("no card: %s", s.last())
	}
	s.settle(s.press("1"))
	out := stored[wire.Outbound](s, wire.StreamOut)
	if len(s.replies) != offered || len(out) != 1 {
		t.Fatalf("%d replies offered, %d pushed", len(s.replies)-offered, len(out))
	}
	o := out[0]
	if o.ID != "m3:reply" || o.Card == nil || o.Card.ResponseCode != "rc-1" || !strings.Contains(o.Card.Label, "零售事业部") || o.Lang != "zh" ||
		o.InReplyTo != "" || o.SentAt != 0 || !strings.Contains(screens(o.Screens), "Kubernetes 操作") {
		t.Errorf("%+v", o)
	}
	// A text in between: what WeCom shows of the card means nothing any more.
	card := o.Screens[0].Card
	s.say("0")
	s.settle(s.inbound(wire.Inbound{Type: "event", Event: flow.EventCard, EventKey: "1", TaskID: card, ResponseCode: "rc"}))
	out = stored[wire.Outbound](s, wire.StreamOut)
	if last := out[len(out)-1]; len(out) != 2 || last.Card == nil || strings.Contains(last.Card.Label, "Kubernetes") {
		t.Errorf("%+v", out)
	}
}

// A press that is delivered again, to another dialog as well, is one step, one push, one update of the card; and so is one
// order.
func TestAPressThatComesTwice(t *testing.T) {
	s := newStage(t)
	s.passive = true
	s.say("x", "卡片")
	s.say(toConfirm[1:]...)
	m := s.press("1")
	first := s.conv
	second := s.converser()
	for range 2 {
		for _, conv := range []*converse.Converser{first, second} {
			s.conv = conv
			s.settle(m)
			m.Delivered++
		}
	}
	if acts := stored[wire.Action](s, wire.StreamAct); len(acts) != 1 {
		t.Errorf("%d orders", len(acts))
	}
	out := stored[wire.Outbound](s, wire.StreamOut)
	if len(out) != 1 || out[0].Card == nil || !strings.Contains(screens(out[0].Screens), "已受理") {
		t.Errorf("%+v", out)
	}
	// The person pressed twice: the second one is another message, and orders nothing.
	again := s.inbound(wire.Inbound{Type: "event", Event: flow.EventCard, EventKey: "1", TaskID: pressedCard(t, m), ResponseCode: "rc-2"})
	s.settle(again)
	if acts := stored[wire.Action](s, wire.StreamAct); len(acts) != 1 {
		t.Errorf("%d orders", len(acts))
	}
}

func pressedCard(t *testing.T, m *bus.Msg) string {
	t.Helper()
	var in wire.Inbound
	if err := json.Unmarshal(m.Data, &in); err != nil {
		t.Fatal(err)
	}
	return in.TaskID
}

// A press whose first delivery was somebody else's may have been a confirm: nobody can say what became of it.
func TestAPressWithoutAStore(t *testing.T) {
	s := newStage(t)
	s.passive = true
	s.say("x", "卡片")
	m := s.press("1")
	s.redis.Kill()
	m.Delivered = 3
	if err := s.handle(m); err != nil {
		t.Fatal(err)
	}
	out := stored[wire.Outbound](s, wire.StreamOut)
	if len(out) != 1 || !strings.Contains(screens(out[0].Screens), "不能确定") || out[0].Card != nil {
		t.Errorf("%+v", out)
	}
}

// Where no gateway takes the reply, a card is pushed like any other.
func TestACardIsOfferedFirst(t *testing.T) {
	s := newStage(t)
	s.say("卡片")
	s.say("x")
	out := stored[wire.Outbound](s, wire.StreamOut)
	if len(out) != 2 || !strings.Contains(screens(out[1].Screens), `"card":"`) || out[1].InReplyTo != "m2" {
		t.Errorf("%+v", out)
	}
}
