package outbox

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"palmops/libs/fault"
	"palmops/libs/lang"
	"palmops/libs/lang/langtest"
	"palmops/libs/wecom"
	"palmops/libs/wire"
	"palmops/services/gateway/internal/render"
)

func TestEveryTextHasBothLanguages(t *testing.T) { langtest.Check(t, texts, ".") }

func question() wire.Screen {
	return wire.Screen{
		Kind: wire.ScreenConfirm, Title: "请确认", Body: []string{"shop/web：3 → 5"}, Keys: "0 返回 · # 退出", Card: "c-1",
		Choices: []wire.Choice{{Key: "1", Label: "确认执行"}, {Key: "2", Label: "先演练一遍再决定要不要执行"}},
	}
}

func (f *fake) updated() []wire.CardUpdate {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]wire.CardUpdate(nil), f.updates...)
}

// A question goes out as a card behind the text before it; it is no late reply, however late it comes.
func TestAQuestionGoesOutAsACard(t *testing.T) {
	w := newWorld(t, nil)
	o := out("a", "zhangsan")
	o.Screens = []wire.Screen{{Body: []string{"已保存"}}, {Body: []string{"还有一步"}}, question(), {Body: []string{"完"}}}
	o.InReplyTo, o.SaidText, o.SentAt = "id", "1", 1795400000
	w.publish(o)
	if m := w.next(); m.MsgType != wecom.TypeText || m.Text != "已保存\n\n还有一步" {
		t.Errorf("%+v", m)
	}
	m := w.next()
	want := &wecom.Card{
		TaskID: "c-1", Title: "请确认", SubTitle: "shop/web：3 → 5\n1. 确认执行\n2. 先演练一遍再决定要不要执行\n0 返回 · # 退出",
		Buttons: []wecom.CardButton{{Text: "1 确认执行", Key: "1"}, {Text: "2 先演练一遍再决…", Key: "2"}},
	}
	if diff := cmp.Diff(want, m.Card); m.MsgType != wecom.TypeCard || m.ToUser != "zhangsan" || m.DuplicateCheck != time.Minute || diff != "" {
		t.Errorf("%+v %s", m, diff)
	}
	if m := w.next(); m.Text != "完" {
		t.Errorf("%+v", m)
	}
	w.empty()
	if w.value("cards_total", "sent") != 1 || w.value("replies_total", "push") != 1 || w.fake.count() != 3 {
		t.Error("not counted")
	}
}

// Where an app has no cards, or a screen is none, the question is text, and late when it is.
func TestAQuestionWithoutCards(t *testing.T) {
	w := newWorld(t, nil)
	w.stop()
	w.plain = true
	w.start()
	o := out("a", "zhangsan")
	o.Screens = []wire.Screen{question()}
	o.InReplyTo, o.SaidText, o.SentAt, o.Lang = "id", "1", 1795400000, "en"
	w.publish(o)
	if m := w.next(); m.MsgType != wecom.TypeText || !strings.HasPrefix(m.Text, "Reply to “1” (sent ") || !strings.Contains(m.Text, "【请确认】\nshop/web：3 → 5\n1. 确认执行\n") {
		t.Errorf("%+v", m)
	}
	w.empty()
	w.stop()
	w.plain = false
	w.start()
	o.ID, o.Screens[0].Title = "b", strings.Repeat("题", 40)
	w.publish(o)
	if m := w.next(); m.MsgType != wecom.TypeText {
		t.Errorf("%+v", m)
	}
}

// Whatever WeCom has against a card, the person gets the question.
func TestARefusedCardGoesOutAsText(t *testing.T) {
	for name, err := range map[string]error{
		"a field of the card":      &wecom.APIError{Code: 42045},
		"a parameter":              &wecom.APIError{Code: 40058},
		"a missing parameter":      &wecom.APIError{Code: 41046},
		"a code that nobody knows": &wecom.APIError{Code: 99999},
		"no callback URL":          &wecom.APIError{Code: 43012},
		"the client's own limits":  fault.New(fault.Invalid, "a card"),
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, func(_ int, m wecom.OutMessage) (wecom.SendResult, error) {
				if m.MsgType == wecom.TypeCard {
					return wecom.SendResult{}, err
				}
				return wecom.SendResult{}, nil
			})
			o := out("a", "zhangsan")
			o.Screens = []wire.Screen{question()}
			w.publish(o)
			if m := w.next(); m.MsgType != wecom.TypeText || m.Text != render.Text(o.Screens, lang.Chinese) {
				t.Errorf("%+v", m)
			}
			w.empty()
			if w.fake.count() != 2 || w.value("cards_total", "refused") != 1 || len(w.trail.lines) != 0 {
				t.Errorf("%d tries", w.fake.count())
			}
		})
	}
}

// A card whose answer was lost is sent once more as the same card, and a receiver who is none gets no text either.
func TestCardsThatFailOtherwise(t *testing.T) {
	w := newWorld(t, func(try int, m wecom.OutMessage) (wecom.SendResult, error) {
		switch {
		case m.ToUser == "bad":
			return wecom.SendResult{}, &wecom.APIError{Code: 81013}
		case try == 1:
			return wecom.SendResult{}, fault.New(fault.Unknown, "no answer")
		}
		return wecom.SendResult{}, nil
	})
	o := out("a", "zhangsan")
	o.Screens = []wire.Screen{question()}
	w.publish(o)
	w.next()
	w.empty()
	if diff := cmp.Diff(w.fake.tries[0], w.fake.tries[1]); w.fake.count() != 2 || diff != "" {
		t.Errorf("%d tries %s", w.fake.count(), diff)
	}
	o.ID, o.User = "b", "bad"
	w.publish(o)
	if l := w.audited(); l.Reason != "errcode_81013" || l.What != "push" {
		t.Errorf("%+v", l)
	}
	w.empty()
	if w.fake.count() != 3 {
		t.Errorf("%d tries", w.fake.count())
	}
}

// The pressed card is made dead first, once, and whatever becomes of that, the screens are sent.
func TestAPressedCardIsUpdatedFirst(t *testing.T) {
	w := newWorld(t, func(try int, _ wecom.OutMessage) (wecom.SendResult, error) {
		if try == 1 {
			return wecom.SendResult{}, fault.New(fault.Transient, "no connection")
		}
		return wecom.SendResult{}, nil
	})
	o := out("a", "zhangsan", "已受理")
	o.Card = &wire.CardUpdate{ResponseCode: "rc", Label: "已选\n1"}
	o.InReplyTo, o.SentAt = "id", 1795400000 // the answer to a press can only be pushed: it is not late
	w.publish(o)
	if m := w.next(); m.Text != "已受理" {
		t.Errorf("%+v", m)
	}
	w.empty()
	if got := w.fake.updated(); len(got) != 1 || got[0] != (wire.CardUpdate{ResponseCode: "rc", Label: "zhangsan: 已选 1"}) || w.value("cards_total", "updated") != 1 {
		t.Errorf("%+v", got)
	}

	w.fake.mu.Lock()
	w.fake.update = func() error { return &wecom.APIError{Code: 60140} }
	w.fake.mu.Unlock()
	o.ID = "b"
	w.publish(o)
	if l := w.audited(); l.What != "card" || l.Verdict != "refused" || l.Reason != "errcode_60140" || l.Ref != "b" || l.User != "zhangsan" {
		t.Errorf("%+v", l)
	}
	if m := w.next(); m.Text != "已受理" || w.value("cards_total", "not_updated") != 1 {
		t.Errorf("%+v", m)
	}
	// A press may have no answer but the update.
	w.publish(wire.Outbound{V: 1, ID: "c", Corp: "ww1", App: "ops", User: "zhangsan", Card: o.Card})
	w.audited()
	w.empty()
	if w.value("replies_total", "push") != 2 {
		t.Error("an update counts as a reply")
	}
}

// What a card is made of is within the limits of WeCom, so that the client cuts nothing.
func TestCardsAreWithinTheClientsLimits(t *testing.T) {
	s := question()
	s.Title, s.Note, s.Body = strings.Repeat("题", wecom.MaxCardTitle), strings.Repeat("注", wecom.MaxCardDesc), []string{strings.Repeat("行", wecom.MaxCardSubTitle)}
	s.Keys, s.Choices = "", []wire.Choice{{Key: "12345678", Label: "x"}} // together they fill the button
	for i := range wecom.MaxCardButtons - 1 {
		s.Choices = append(s.Choices, wire.Choice{Key: string(rune('1' + i)), Label: "x"})
	}
	steps := plan(true, wire.Outbound{Screens: []wire.Screen{s}})
	if len(steps) != 1 || steps[0].card == nil {
		t.Fatalf("%+v", steps)
	}
	c := steps[0].card
	for _, v := range []struct {
		text string
		max  int
	}{{c.Title, wecom.MaxCardTitle}, {c.Desc, wecom.MaxCardDesc}, {c.SubTitle, wecom.MaxCardSubTitle}, {c.Buttons[0].Text, wecom.MaxCardButtonText}} {
		if wecom.Cut(v.text, v.max) != v.text || len([]rune(v.text)) != v.max {
			t.Errorf("%q, limit %d", v.text, v.max)
		}
	}
	s.Body[0] += "行"
	if steps := plan(true, wire.Outbound{Screens: []wire.Screen{s}}); steps[0].card != nil {
		t.Errorf("%+v", steps)
	}
}
