package app

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"palmops/libs/wecom"
)

// With the bus gone nothing is accepted, and the answer says so at once; once it is back, it goes on.
func TestTheBusIsGone(t *testing.T) {
	w := newWorld(t)
	g := w.start(nil)
	port := w.nats.Port()
	w.nats.Stop()
	eventually(t, "the gateway has noticed", func() bool { return g.Ready(w.ctx) != nil })
	a := g.post(w.seal(wecom.FormXML, w.text("zhangsan", "1")))
	if a.status != 200 || !strings.Contains(a.text, "未受理") || !strings.Contains(a.text, "什么都没有执行") {
		t.Errorf("%v", a)
	}
	event := wecom.Message{ToUserName: testCorp, FromUserName: "zhangsan", CreateTime: time.Now().Unix(), MsgType: "event", Event: "enter_agent", AgentID: testAgent}
	if a := g.post(w.seal(wecom.FormXML, event)); a.status != 503 {
		t.Errorf("an event that WeCom may send again: %v", a)
	}
	if a := g.post(delivery{}); a.status != 400 {
		t.Errorf("a refusal: %v", a)
	}
	w.nats.Start(port)
	eventually(t, "the bus is back", func() bool { return g.Ready(w.ctx) == nil && w.bus.Ready(w.ctx) == nil })
	w.dialog(echo, nil)
	if a := g.post(w.seal(wecom.FormXML, w.text("zhangsan", "2"))); a.text != "你说：2" {
		t.Errorf("%v", a)
	}
	eventually(t, "the refusal is audited after all", func() bool { return len(w.audit()) == 1 })
	if in := w.inbound(); len(in) != 1 || in[0].Text != "2" {
		t.Errorf("%+v", in)
	}
}

// With the bus frozen nobody knows whether the message was stored, and the answer says so, for every one of many.
func TestTheBusIsFrozen(t *testing.T) {
	w := newWorld(t)
	h := newHole(t, w.nats.Addr())
	g := w.start(func(o *Options) { o.NATS.URL = h.url() })
	h.freeze(true)
	impatient := &http.Client{Transport: client.Transport, Timeout: 5 * time.Second} // as WeCom is
	answers := make([]answer, 32)
	var wg sync.WaitGroup
	for i := range answers {
		d := w.seal(wecom.FormXML, w.text(fmt.Sprintf("user%d", i), strings.Repeat("长", 9000)))
		wg.Go(func() { answers[i] = w.post(impatient, g.url, d) })
	}
	wg.Wait()
	for _, a := range answers {
		if a.status != 200 || !strings.Contains(a.text, "不能确定是否已受理") {
			t.Errorf("%v", a)
		}
	}
	if n := g.count("callbacks_total", "result", "unsure"); n != 32 {
		t.Errorf("%v counted", n)
	}
	h.freeze(false)
	g.noSecrets("长长长")
}

// The bus is frozen so long that every buffer on the way is full: then the NATS client holds its lock while it waits to
// write, and no deadline of a context helps, until it gives the connection up. The answers leave all the same, and say which it was.
func TestTheBusIsFrozenAndAllBuffersAreFull(t *testing.T) {
	w := newWorld(t)
	h := newHole(t, w.nats.Addr())
	g := w.start(func(o *Options) { o.NATS.URL = h.url() })
	h.freeze(true)
	guard := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: hang} // half of the minute
	long := strings.Repeat("x", 45000)
	deliveries := make([]delivery, 192)
	for i := range deliveries {
		deliveries[i] = w.seal(wecom.FormXML, w.text(fmt.Sprintf("user%d", i), long))
	}
	answers := make([]answer, len(deliveries))
	var wg sync.WaitGroup
	atOnce := make(chan struct{}, 24) // more would starve each other of the time the server gives a body
	for i, d := range deliveries {
		wg.Go(func() {
			atOnce <- struct{}{}
			defer func() { <-atOnce }()
			answers[i] = w.post(guard, g.url, d)
		})
	}
	wg.Wait()
	unsured := 0
	for _, a := range answers {
		unsure := strings.Contains(a.text, "不能确定是否已受理")
		if a.status != 200 || !unsure && !strings.Contains(a.text, "未受理") {
			t.Fatalf("%v", a)
		}
		if unsure {
			unsured++
		}
	}
	if unsured == 0 {
		t.Error("no buffer took a message; the test shows nothing")
	}
	h.freeze(false)
	eventually(t, "what hung has let go", func() bool { return g.count("in_flight") == 0 })
}

// The bus freezes after it has stored the message: then it is accepted, and the reply comes later.
func TestTheBusFreezesAfterTheMessageIsStored(t *testing.T) {
	w := newWorld(t)
	h := newHole(t, w.nats.Addr())
	g := w.start(func(o *Options) { o.NATS.URL = h.url(); o.Config.PassiveBudget = conf500ms })
	got := make(chan answer, 1)
	go func() { got <- g.post(w.seal(wecom.FormXML, w.text("zhangsan", "1"))) }()
	eventually(t, "the message is accepted", func() bool { return len(w.inbound()) == 1 })
	a := <-got
	if !strings.Contains(a.text, "已收到") {
		t.Errorf("%v", a)
	}
	h.freeze(true)
	d := w.dialog(echo, nil)
	if got := d.next(); got.passive {
		t.Errorf("%+v", got)
	}
	h.freeze(false)
}
