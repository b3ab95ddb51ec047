package app

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"palmops/libs/bus"
	"palmops/libs/wecom"
	"palmops/libs/wire"
)

// The same message any number of times, in the same and in new envelopes, at once, to two gateways: one message on IN, one
// answer of dialog, and every delivery gets the same reply.
func TestRedeliveryIsOneMessageAndOneReply(t *testing.T) {
	w := newWorld(t)
	gateways := []*gateway{w.start(nil), w.start(nil)}
	d := w.dialog(echo, nil)
	m := w.text("zhangsan", "1")
	same := w.seal(wecom.FormXML, m)
	answers := make([]answer, 16)
	var wg sync.WaitGroup
	for i := range answers {
		form, via := wecom.FormXML, same
		if i%4 == 3 {
			form = wecom.FormJSON
		}
		if i%2 == 1 {
			via = w.seal(form, m)
		}
		wg.Go(func() { answers[i] = gateways[i/2%2].post(via) })
	}
	wg.Wait()
	for i, a := range answers {
		if a.status != 200 || a.text != "你说：1" {
			t.Errorf("delivery %d: %v", i, a)
		}
	}
	if in := w.inbound(); len(in) != 1 {
		t.Errorf("%d messages on IN", len(in))
	}
	if got := d.next(); !got.passive || len(d.taken) != 0 {
		t.Errorf("%+v, and %d more", got, len(d.taken))
	}
	if n := gateways[0].count("redelivered_total") + gateways[1].count("redelivered_total"); n != 15 {
		t.Errorf("%v redeliveries counted", n)
	}
}

// A redelivery after everything restarted is still known, and still answered.
func TestRedeliveryAfterARestartOfTheBus(t *testing.T) {
	w := newWorld(t)
	g := w.start(nil)
	d := w.dialog(echo, nil)
	m := w.text("zhangsan", "1")
	first := w.seal(wecom.FormXML, m)
	if a := g.post(first); a.text != "你说：1" {
		t.Fatalf("%v", a)
	}
	d.next()
	if err := g.stop(); err != nil {
		t.Fatal(err)
	}
	w.nats.Restart()
	eventually(t, "the bus is back", func() bool { return w.bus.Ready(w.ctx) == nil })
	g = w.start(nil)
	for _, again := range []delivery{first, w.seal(wecom.FormXML, m)} {
		if a := g.post(again); a.text != "你说：1" {
			t.Errorf("%v", a)
		}
	}
	if in := w.inbound(); len(in) != 1 || len(d.taken) != 0 {
		t.Errorf("%d messages on IN, %d more answers", len(in), len(d.taken))
	}
}

// A delivery with timestamp and nonce exchanged, or digits moved between them, is refused although its signature holds; the
// same ciphertext signed anew is a redelivery.
func TestExchangedDeliveriesAreRefused(t *testing.T) {
	w := newWorld(t)
	g := w.start(nil)
	w.dialog(echo, nil)
	now := time.Now().Unix()
	nonce := fmt.Sprint(now + 100) // a nonce that can pass for a time, as WeCom's can
	q, body, err := w.crypt.SealCallback(wecom.FormXML, testCorp, "", fmt.Sprint(now), nonce, wecom.MarshalMessage(wecom.FormXML, w.text("zhangsan", "1")))
	if err != nil {
		t.Fatal(err)
	}
	if a := g.post(delivery{values(q), body}); a.text != "你说：1" {
		t.Fatalf("%v", a)
	}
	swapped := q
	swapped.Timestamp, swapped.Nonce = q.Nonce, q.Timestamp
	audited := len(w.audit())
	if a := g.post(delivery{values(swapped), body}); a.status != 403 || g.count("refused_total", "reason", "exchanged") != 1 {
		t.Errorf("exchanged: %v", a)
	}
	eventually(t, "one audit line", func() bool { return len(w.audit()) == audited+1 })
	if line := w.audit()[audited]; line.Reason != "exchanged" || line.User != "zhangsan" || line.Ref != w.inbound()[0].ID {
		t.Errorf("%+v", line)
	}
	env, err := wecom.ScanEnvelope(body)
	if err != nil {
		t.Fatal(err)
	}
	anew := wecom.Query{Timestamp: fmt.Sprint(now + 1), Nonce: "77"}
	anew.Signature = wecom.Signature(testToken, anew.Timestamp, anew.Nonce, string(env.Encrypt))
	if a := g.post(delivery{values(anew), body}); a.text != "你说：1" {
		t.Errorf("signed anew: %v", a)
	}
	if in := w.inbound(); len(in) != 1 {
		t.Errorf("%d messages on IN", len(in))
	}
}

// A reply that dialog finds among what it said counts, and a reply that comes while it is written is confirmed as well.
func TestARedeliveryWaitsForTheReply(t *testing.T) {
	w := newWorld(t)
	g := w.start(nil)
	gate := make(chan struct{})
	d := w.dialog(echo, gate)
	m := w.text("zhangsan", "1")
	first := make(chan answer, 2)
	go func() { first <- g.post(w.seal(wecom.FormXML, m)) }()
	eventually(t, "the first is accepted", func() bool { return len(w.inbound()) == 1 })
	go func() { first <- g.post(w.seal(wecom.FormXML, m)) }()
	eventually(t, "dialog was asked", func() bool {
		d.mu.Lock()
		defer d.mu.Unlock()
		return len(d.asked) == 1
	})
	gate <- struct{}{}
	for range 2 {
		if a := <-first; a.text != "你说：1" {
			t.Errorf("%v", a)
		}
	}
	if got := d.next(); !got.passive {
		t.Errorf("%+v", got)
	}
}

// A reply that takes too long is announced, and then nobody listens for it: dialog pushes it.
func TestASlowReplyIsAnnouncedAndPushed(t *testing.T) {
	w := newWorld(t)
	g := w.start(func(o *Options) { o.Config.PassiveBudget = conf100ms })
	gate := make(chan struct{})
	d := w.dialog(echo, gate)
	a := g.post(w.seal(wecom.FormXML, w.text("zhangsan", "1")))
	if a.status != 200 || !strings.Contains(a.text, "已收到") || !strings.Contains(a.text, "不要重复发送") {
		t.Fatalf("%v", a)
	}
	gate <- struct{}{}
	if got := d.next(); got.passive {
		t.Errorf("%+v", got)
	}
	eventually(t, "the reply is pushed", func() bool { return len(messages[wire.Outbound](w, wire.StreamOut)) == 1 })

	// An event that nobody waits for is not announced.
	event := wecom.Message{ToUserName: testCorp, FromUserName: "zhangsan", CreateTime: time.Now().Unix(), MsgType: "event", Event: "LOCATION", AgentID: testAgent}
	if a := g.post(w.seal(wecom.FormXML, event)); a.status != 200 || a.body != "" {
		t.Errorf("%v", a)
	}
	gate <- struct{}{}
	if got := d.next(); got.passive {
		t.Errorf("%+v", got)
	}
}

// A client that has gone does not count as having the reply.
func TestNobodyThereToTakeTheReply(t *testing.T) {
	w := newWorld(t)
	g := w.start(nil)
	gate := make(chan struct{})
	d := w.dialog(echo, gate)
	ctx, cancel := context.WithCancel(w.ctx)
	c := newAbortable(ctx)
	gone := make(chan answer, 1)
	go func() { gone <- w.post(c, g.url, w.seal(wecom.FormXML, w.text("zhangsan", "1"))) }()
	eventually(t, "the message is accepted", func() bool { return len(w.inbound()) == 1 })
	cancel()
	if a := <-gone; a.err == nil {
		t.Fatalf("%v", a)
	}
	eventually(t, "the gateway has noticed", func() bool { return g.count("in_flight") == 0 })
	gate <- struct{}{}
	if got := d.next(); got.passive {
		t.Errorf("%+v", got)
	}
}

// A gateway is killed while it waits for the reply: dialog finds nobody and pushes.
func TestAGatewayThatDiesBetweenMessageAndReply(t *testing.T) {
	w := newWorld(t)
	gate := make(chan struct{})
	d := w.dialog(echo, gate)
	cmd := exec.Command(os.Args[0], "child", w.nats.URL())
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	addr, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	m := w.text("zhangsan", "1")
	gone := make(chan answer, 1)
	go func() {
		gone <- w.post(client, "http://"+strings.TrimSpace(addr)+"/wecom/ops/callback", w.seal(wecom.FormXML, m))
	}()
	eventually(t, "the message is accepted", func() bool { return len(w.inbound()) == 1 })
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // killed
	if a := <-gone; a.err == nil {
		t.Fatalf("%v", a)
	}
	gate <- struct{}{}
	if got := d.next(); got.passive {
		t.Errorf("%+v", got)
	}
	eventually(t, "the reply goes by push", func() bool { return len(messages[wire.Outbound](w, wire.StreamOut)) == 1 })
	// WeCom tries again, at another gateway.
	g := w.start(func(o *Options) { o.Config.APIBase = "http://127.0.0.1:1" })
	if a := g.post(w.seal(wecom.FormXML, m)); a.text != "你说：1" {
		t.Errorf("%v", a)
	}
	if in := w.inbound(); len(in) != 1 || len(d.taken) != 0 {
		t.Errorf("%d messages on IN, %d more answers", len(in), len(d.taken))
	}
}

// child is a gateway in a process of its own, to be killed.
func child(url string) error {
	ctx := context.Background()
	a, err := New(ctx, Options{
		Config: testConfig(), Apps: []AppCredentials{testCredentials()}, NATS: bus.Options{URL: url},
		Log: zap.NewNop(), Registry: prometheus.NewRegistry(),
	})
	if err != nil {
		return err
	}
	fmt.Println(a.Addr())
	return a.Run(ctx)
}

func childMain() (ran bool) {
	flag.Parse()
	if flag.Arg(0) != "child" {
		return false
	}
	if err := child(flag.Arg(1)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return true
}

// A reply for another message or person is never shown.
func TestAForeignReplyIsNotShown(t *testing.T) {
	w := newWorld(t)
	g := w.start(func(o *Options) { o.Config.PassiveBudget = conf500ms })
	got := make(chan answer, 1)
	go func() { got <- g.post(w.seal(wecom.FormXML, w.text("zhangsan", "1"))) }()
	eventually(t, "the message is accepted", func() bool { return len(w.inbound()) == 1 })
	in := w.inbound()[0]
	for _, r := range []any{
		"no reply at all",
		wire.Reply{ID: in.ID, Corp: in.Corp, App: in.App, User: "lisi", Screens: []wire.Screen{{Title: "x"}}},
		wire.Reply{ID: "other", Corp: in.Corp, App: in.App, User: in.User, Screens: []wire.Screen{{Title: "x"}}},
	} {
		data, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.bus.NC.Publish(wire.ReplySubject(in.Corp, in.App, in.ID), data); err != nil {
			t.Fatal(err)
		}
	}
	if a := <-got; !strings.Contains(a.text, "已收到") {
		t.Errorf("%v", a)
	}
}
