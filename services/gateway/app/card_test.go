package app

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"palmops/libs/wecom"
	"palmops/libs/wire"
)

func question(wire.Inbound) []wire.Screen {
	return []wire.Screen{{
		Kind: wire.ScreenConfirm, Title: "请确认", Body: []string{"3 → 5"}, Card: "c-1", Page: 1, Pages: 2,
		Choices: []wire.Choice{{Key: "1", Label: "确认执行"}},
	}}
}

func (w *world) press(user, key string) wecom.Message {
	return wecom.Message{
		ToUserName: testCorp, FromUserName: user, CreateTime: time.Now().Unix(), MsgType: "event", Event: "template_card_event", AgentID: testAgent,
		EventKey: key, TaskID: "c-1", CardType: "button_interaction", ResponseCode: "rc",
	}
}

// A press is answered with nothing before dialog has even looked at it, and its reply can only be pushed: dialog learns so
// at once. Delivered again, it stays one message.
func TestAPressIsAnsweredAtOnceAndPushed(t *testing.T) {
	w := newWorld(t)
	gateways := []*gateway{w.start(nil), w.start(nil)}
	gate := make(chan struct{})
	d := w.dialog(echo, gate)
	m := w.press("ZhangSan", "1")
	same := w.seal(wecom.FormXML, m)
	var wg sync.WaitGroup
	for i := range 8 {
		via := same
		if i%2 == 1 {
			via = w.seal(wecom.FormXML, m)
		}
		wg.Go(func() {
			if a := gateways[i/2%2].post(via); a.status != 200 || a.body != "" {
				t.Errorf("delivery %d: %v", i, a)
			}
		})
	}
	wg.Wait()
	in := w.inbound()
	if len(in) != 1 || in[0].Event != "template_card_event" || in[0].EventKey != "1" || in[0].TaskID != "c-1" || in[0].ResponseCode != "rc" || in[0].User != "zhangsan" {
		t.Fatalf("%+v", in)
	}
	gate <- struct{}{}
	if got := d.next(); got.passive || !got.nobody {
		t.Errorf("%+v", got)
	}
	if a := gateways[0].post(w.seal(wecom.FormXML, m)); a.status != 200 || a.body != "" {
		t.Errorf("%v", a)
	}
	eventually(t, "the reply is pushed", func() bool { return len(messages[wire.Outbound](w, wire.StreamOut)) == 1 })
	if len(w.inbound()) != 1 || len(d.taken) != 0 {
		t.Error("more than one message")
	}
}

// A press that is not accepted is an error to WeCom, which may deliver it again.
func TestAPressThatIsNotAccepted(t *testing.T) {
	w := newWorld(t)
	g := w.start(nil)
	w.nats.Stop()
	if a := g.post(w.seal(wecom.FormXML, w.press("zhangsan", "1"))); a.status != 503 {
		t.Errorf("%v", a)
	}
}

// An exchanged delivery of a press is refused like any other.
func TestAnExchangedPressIsRefused(t *testing.T) {
	w := newWorld(t)
	g := w.start(nil)
	now := time.Now().Unix()
	q, body, err := w.crypt.SealCallback(wecom.FormXML, testCorp, "", fmt.Sprint(now), fmt.Sprint(now+100), wecom.MarshalMessage(wecom.FormXML, w.press("zhangsan", "1")))
	if err != nil {
		t.Fatal(err)
	}
	if a := g.post(delivery{values(q), body}); a.status != 200 {
		t.Fatalf("%v", a)
	}
	q.Timestamp, q.Nonce = q.Nonce, q.Timestamp
	if a := g.post(delivery{values(q), body}); a.status != 403 || g.count("refused_total", "reason", "exchanged") != 1 {
		t.Errorf("%v", a)
	}
}

// A question that goes out as a card is no passive reply, and dialog learns so from the gateway that waited for it. Where
// an app has no cards, the same question is answered in text.
func TestAQuestionIsACardOrAPassiveText(t *testing.T) {
	w := newWorld(t)
	no := false
	g := w.start(nil)
	d := w.dialog(question, nil)
	if a := g.post(w.seal(wecom.FormXML, w.text("zhangsan", "1"))); a.status != 200 || a.body != "" {
		t.Errorf("%v", a)
	}
	if got := d.next(); got.passive || got.nobody {
		t.Errorf("%+v", got)
	}
	if g.count("callbacks_total", "result", "push") != 1 {
		t.Error("not counted")
	}
	if err := g.stop(); err != nil {
		t.Fatal(err)
	}
	g = w.start(func(o *Options) { o.Config.Apps[0].Cards = &no })
	if a := g.post(w.seal(wecom.FormXML, w.text("zhangsan", "1"))); a.text != "【请确认】\n3 → 5\n1. 确认执行\n第 1/2 页" {
		t.Errorf("%v", a)
	}
	if got := d.next(); !got.passive {
		t.Errorf("%+v", got)
	}
}

// The gateway speaks a person's language as far as it has heard it from dialog.
func TestTheGatewaySpeaksTheLanguageOfTheReplies(t *testing.T) {
	w := newWorld(t)
	no := false
	g := w.start(func(o *Options) { o.Config.Apps[0].Cards = &no; o.Config.PassiveBudget = conf500ms })
	gate := make(chan struct{}, 1)
	d := w.dialog(question, gate)
	d.lang = "en"
	if a := g.post(w.seal(wecom.FormXML, w.text("lisi", "1"))); !strings.Contains(a.text, "已收到") {
		t.Errorf("%v", a)
	}
	gate <- struct{}{}
	d.next()
	gate <- struct{}{}
	if a := g.post(w.seal(wecom.FormXML, w.text("lisi", "1"))); !strings.HasSuffix(a.text, "\nPage 1 of 2") {
		t.Errorf("%v", a)
	}
	d.next()
	if a := g.post(w.seal(wecom.FormXML, w.text("lisi", "2"))); !strings.Contains(a.text, "Please do not send it again") {
		t.Errorf("%v", a)
	}
	gate <- struct{}{}
	d.next()
}

// Card, update and file go the whole way to WeCom's API.
func TestCardsAndFilesReachTheAPI(t *testing.T) {
	w := newWorld(t)
	a := newAPI(t)
	w.start(func(o *Options) { o.Config.APIBase = a.URL })
	store, err := w.bus.JS.ObjectStore(w.ctx, wire.BucketOutputs)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.PutString(w.ctx, "o1", "some output"); err != nil {
		t.Fatal(err)
	}
	out := wire.Outbound{
		V: 1, ID: "x", Corp: testCorp, App: "ops", User: "zhangsan", Screens: question(wire.Inbound{}),
		Card: &wire.CardUpdate{ResponseCode: "rc", Label: "已选 1"}, File: &wire.File{Object: "o1", Name: "输出.txt", Size: 11},
	}
	ctx, cancel := context.WithTimeout(w.ctx, hang)
	defer cancel()
	if _, err := w.bus.Publish(ctx, wire.OutSubject(testCorp, "ops", "zhangsan"), out.ID, out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"map[agentid:1.000007e+06 button:map[replace_name:已选 1] response_code:rc userids:[zhangsan]]",
		"map[agentid:1.000007e+06 duplicate_check_interval:60 enable_duplicate_check:1 msgtype:template_card template_card:map[button_list:[map[key:1 style:1 text:1 确认执行]] " +
			"card_type:button_interaction main_title:map[title:请确认] sub_title_text:3 → 5\n第 1/2 页 task_id:c-1] touser:zhangsan]",
		"map[bytes:11 upload:输出.txt]",
		"map[agentid:1.000007e+06 duplicate_check_interval:60 enable_duplicate_check:1 file:map[media_id:m9] msgtype:file touser:zhangsan]",
	} {
		if got := fmt.Sprint(a.next(t)); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}
