package app

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"palmops/libs/wecom"
	"palmops/libs/wire"
)

func TestAMessageIsAnsweredPassively(t *testing.T) {
	w := newWorld(t)
	g := w.start(nil)
	d := w.dialog(echo, nil)
	for _, form := range []wecom.Form{wecom.FormXML, wecom.FormJSON} {
		said := "秘密的话 " + form.String()
		a := g.post(w.seal(form, w.text("ZhangSan", said)))
		if a.status != 200 || a.text != "你说："+said {
			t.Fatalf("%s: %v", form, a)
		}
		if got := d.next(); !got.passive {
			t.Errorf("%s: dialog was not told that WeCom has the reply: %+v", form, got)
		}
	}
	in := w.inbound()
	if len(in) != 2 {
		t.Fatalf("%d messages on IN", len(in))
	}
	m := in[0]
	if m.User != "zhangsan" || m.Corp != testCorp || m.App != "ops" || m.AgentID != testAgent || m.Type != "text" || m.Text != "秘密的话 xml" ||
		m.MsgID == "" || m.V != wire.Version || len(m.ID) != 26 || m.ReplyBy-m.ReceivedAt != 2500 || m.SentAt == 0 ||
		len(m.Envelope.Digest) != 64 || m.Envelope.Timestamp == "" || m.Envelope.Nonce == "" {
		t.Errorf("%+v", m)
	}
	if out := messages[wire.Outbound](w, wire.StreamOut); len(out) != 0 {
		t.Errorf("pushed as well: %+v", out)
	}
	if g.count("callbacks_total", "app", "ops", "result", "passive") != 2 || g.count("callback_seconds", "app", "ops") != 2 ||
		g.count("replies_total", "way", "passive") != 2 || g.count("in_flight") != 0 {
		t.Error("metrics are wrong")
	}
	if err := g.Ready(w.ctx); err != nil {
		t.Errorf("not ready: %v", err)
	}
	g.noSecrets("秘密的话")
}

func TestTheGETCheck(t *testing.T) {
	w := newWorld(t)
	g := w.start(nil)
	const plain = "1616140317555161061"
	get := func(query string) (int, string, http.Header) {
		res, err := client.Get(g.url + "?" + query)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = res.Body.Close() }()
		body, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, string(body), res.Header
	}
	now := strconv.FormatInt(time.Now().Unix(), 10)
	for i := range 40 { // until base64 with a plus was among them
		q, echostr, err := w.crypt.SealEcho(now, strconv.Itoa(100000000+i), plain)
		if err != nil {
			t.Fatal(err)
		}
		v := values(q)
		v.Set("echostr", echostr)
		raw := values(q).Encode() + "&echostr=" + strings.ReplaceAll(strings.ReplaceAll(echostr, "=", "%3D"), "/", "%2F")
		for _, query := range []string{v.Encode(), raw} {
			status, body, header := get(query)
			if status != 200 || body != plain || !strings.HasPrefix(header.Get("Content-Type"), "text/plain") {
				t.Fatalf("%d %q %v for %s", status, body, header, query)
			}
		}
		v.Set("echostr", "A"+echostr[1:])
		if status, body, _ := get(v.Encode()); echostr[0] != 'A' && (status != 403 || body != "refused\n") {
			t.Fatalf("forged: %d %q", status, body)
		}
	}
	old, echostr, err := w.crypt.SealEcho("1409659589", "263014780", plain)
	if err != nil {
		t.Fatal(err)
	}
	v := values(old)
	if status, _, _ := get(v.Encode()); status != 400 {
		t.Errorf("without echostr: %d", status)
	}
	v.Set("echostr", echostr)
	if status, _, _ := get(v.Encode()); status != 403 || g.count("refused_total", "reason", "stale") != 1 {
		t.Errorf("an old check: %d", status)
	}
}

// Every refusal has its status, reason, log line and audit line, and nothing reaches IN.
func TestRefusals(t *testing.T) {
	w := newWorld(t)
	g := w.start(nil)
	const said = "SECRET-WORDS"
	good := func() delivery { return w.seal(wecom.FormXML, w.text("zhangsan", said)) }
	with := func(change func(*delivery)) delivery { d := good(); change(&d); return d }
	sealed := func(change func(*wecom.Message)) delivery {
		m := w.text("zhangsan", said)
		change(&m)
		return w.seal(wecom.FormXML, m)
	}
	foreign, err := wecom.NewCrypt(testToken, testAESKey, "wwforeign")
	if err != nil {
		t.Fatal(err)
	}
	encrypted := func(encrypt string) delivery {
		now := strconv.FormatInt(time.Now().Unix(), 10)
		q := wecom.Query{Signature: wecom.Signature(testToken, now, "123", encrypt), Timestamp: now, Nonce: "123"}
		return delivery{values(q), []byte("<xml><Encrypt>" + encrypt + "</Encrypt></xml>")}
	}
	plain := func(text string) delivery { return w.sealAt(wecom.FormXML, time.Now(), []byte(text)) }
	for name, c := range map[string]struct {
		d      delivery
		status int
		reason string
	}{
		"no query":            {with(func(d *delivery) { d.query = nil }), 400, "query"},
		"doubled key":         {with(func(d *delivery) { d.query.Add("nonce", "1") }), 400, "query"},
		"eleven digits":       {with(func(d *delivery) { d.query.Set("timestamp", "11111111111") }), 400, "query"},
		"oversized":           {with(func(d *delivery) { d.body = make([]byte, wecom.MaxBody+1) }), 413, "oversized"},
		"not XML":             {with(func(d *delivery) { d.body = []byte("hello") }), 400, "malformed"},
		"empty":               {with(func(d *delivery) { d.body = nil }), 400, "truncated"},
		"cut off":             {with(func(d *delivery) { d.body = d.body[:len(d.body)-3] }), 400, "truncated"},
		"trailing":            {with(func(d *delivery) { d.body = append(d.body, "<x/>"...) }), 400, "trailing_data"},
		"doubled element":     {with(func(d *delivery) { d.body = []byte("<xml><Encrypt>a</Encrypt><Encrypt>b</Encrypt></xml>") }), 400, "duplicate_element"},
		"forged":              {with(func(d *delivery) { d.query.Set("msg_signature", strings.Repeat("0", 40)) }), 403, "signature"},
		"other nonce":         {with(func(d *delivery) { d.query.Set("nonce", "9") }), 403, "signature"},
		"not base64":          {encrypted("!!!!"), 400, "base64"},
		"seventeen bytes":     {encrypted("AAAAAAAAAAAAAAAAAAAAAAA="), 400, "block_size"},
		"garbage":             {encrypted(strings.Repeat("A", 42) + "A="), 400, "padding"},
		"other receiver":      {w.with(foreign, func() delivery { return good() }), 403, "receiveid"},
		"stale":               {w.sealAt(wecom.FormXML, time.Now().Add(-6*time.Minute), wecom.MarshalMessage(wecom.FormXML, w.text("z", said))), 403, "stale"},
		"early":               {w.sealAt(wecom.FormXML, time.Now().Add(6*time.Minute), wecom.MarshalMessage(wecom.FormXML, w.text("z", said))), 403, "early"},
		"no message":          {plain("<xml><ToUserName>x"), 400, "message_truncated"},
		"doubled content":     {plain("<xml><Content>a</Content><Content>b</Content></xml>"), 400, "message_duplicate_element"},
		"wrong corp":          {sealed(func(m *wecom.Message) { m.ToUserName = "wwother" }), 403, "corp"},
		"wrong agent":         {sealed(func(m *wecom.Message) { m.AgentID = 1 }), 403, "agent"},
		"no sender":           {sealed(func(m *wecom.Message) { m.FromUserName = "" }), 400, "message_missing_element"},
		"everybody":           {sealed(func(m *wecom.Message) { m.FromUserName = "@all" }), 400, "user"},
		"two senders":         {sealed(func(m *wecom.Message) { m.FromUserName = "a|b" }), 400, "user"},
		"old message":         {sealed(func(m *wecom.Message) { m.CreateTime -= 600 }), 403, "message_stale"},
		"message of tomorrow": {sealed(func(m *wecom.Message) { m.CreateTime += 86400 }), 403, "message_early"},
	} {
		t.Run(name, func(t *testing.T) {
			refusedBefore := g.count("refused_total", "app", "ops", "reason", c.reason)
			logged := g.log.FilterMessage("callback refused").Len()
			audited := len(w.audit())
			a := g.post(c.d)
			if a.err != nil || a.status != c.status || a.body != "refused\n" {
				t.Fatalf("%v, want status %d", a, c.status)
			}
			if n := g.count("refused_total", "app", "ops", "reason", c.reason) - refusedBefore; n != 1 {
				t.Errorf("counted %v times as %s", n, c.reason)
			}
			if n := g.log.FilterMessage("callback refused").Len() - logged; n != 1 {
				t.Errorf("%d log lines", n)
			}
			eventually(t, "one audit line", func() bool { return len(w.audit()) == audited+1 })
			line := w.audit()[audited]
			if line.What != "callback" || line.Verdict != "refused" || line.Reason != c.reason || line.Corp != testCorp || line.App != "ops" ||
				line.Service != "gateway" || line.At == 0 || line.Detail["remote"] != "127.0.0.1" {
				t.Errorf("%+v", line)
			}
		})
	}
	if in := w.inbound(); len(in) != 0 {
		t.Errorf("on IN: %+v", in)
	}
	g.noSecrets(said)
}

// with makes a delivery under other credentials.
func (w *world) with(c *wecom.Crypt, make func() delivery) delivery {
	own := w.crypt
	w.crypt = c
	defer func() { w.crypt = own }()
	return make()
}

func TestPathsAndMethods(t *testing.T) {
	w := newWorld(t)
	g := w.start(nil)
	base := "http://" + g.Addr()
	for _, c := range []struct {
		method, path string
		status       int
		reason       string
	}{
		{"GET", "/", 404, "path"},
		{"POST", "/wecom/other/callback", 404, "path"},
		{"PUT", "/wecom/other/callback", 404, "path"},
		{"POST", "/wecom/ops/callback/", 404, "path"},
		{"POST", "/wecom/ops/callback/../callback", 404, "path"},
		{"POST", "/wecom//callback", 404, "path"},
		{"PUT", "/wecom/ops/callback", 405, "method"},
		{"HEAD", "/wecom/ops/callback", 405, "method"},
		{"ODD", "/wecom/ops/callback", 405, "method"},
	} {
		before := g.count("refused_total", "reason", c.reason)
		req, err := http.NewRequest(c.method, base, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.URL.Path = c.path
		res, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != c.status || g.count("refused_total", "reason", c.reason) != before+1 {
			t.Errorf("%s %s: %d", c.method, c.path, res.StatusCode)
		}
		if c.status == 405 && res.Header.Get("Allow") != "GET, POST" {
			t.Errorf("Allow is %q", res.Header.Get("Allow"))
		}
	}
}

func TestAFloodIsCountedButNotRecorded(t *testing.T) {
	w := newWorld(t)
	g := w.start(nil)
	c := &http.Client{Transport: &http.Transport{}}
	defer c.CloseIdleConnections()
	const n = 1500
	for range n {
		res, err := c.Post(g.url, "", nil)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
	}
	logged := float64(g.log.FilterMessage("callback refused").Len())
	if g.count("refused_total", "reason", "query") != n || logged+g.count("refusals_unrecorded_total") != n || logged < 500 || logged == n {
		t.Errorf("%v of %d logged, %v unrecorded", logged, n, g.count("refusals_unrecorded_total"))
	}
}

func TestTooManyAtOnce(t *testing.T) {
	w := newWorld(t)
	g := w.start(func(o *Options) { o.Config.MaxInFlight = 1 })
	gate := make(chan struct{})
	w.dialog(echo, gate)
	first := make(chan answer, 1)
	go func() { first <- g.post(w.seal(wecom.FormXML, w.text("zhangsan", "1"))) }()
	eventually(t, "the first is in work", func() bool { return g.count("in_flight") == 1 })
	if a := g.post(w.seal(wecom.FormXML, w.text("lisi", "1"))); a.status != 503 || g.count("refused_total", "reason", "busy") != 1 {
		t.Errorf("%v", a)
	}
	close(gate)
	if a := <-first; a.status != 200 {
		t.Errorf("%v", a)
	}
	if a := g.post(w.seal(wecom.FormXML, w.text("lisi", "1"))); a.status != 200 {
		t.Errorf("the place is not free again: %v", a)
	}
}

func TestRepliesThatAreNoPassiveText(t *testing.T) {
	w := newWorld(t)
	g := w.start(nil)
	long := strings.Repeat("一行很长的输出\n", 400)
	d := w.dialog(func(in wire.Inbound) []wire.Screen {
		switch {
		case in.Event == "enter_agent":
			return nil
		case in.Text == "long":
			return []wire.Screen{{Body: strings.Split(long, "\n")}}
		}
		return echo(in)
	}, nil)
	event := func(name string) wecom.Message {
		return wecom.Message{ToUserName: testCorp, FromUserName: "zhangsan", CreateTime: time.Now().Unix(), MsgType: "event", Event: name, EventKey: "k", AgentID: testAgent}
	}
	for _, c := range []struct {
		name    string
		m       wecom.Message
		passive bool
		nobody  bool // dialog finds no gateway that waits
		result  string
	}{
		{"nothing to say", event("enter_agent"), true, false, "empty"},
		{"longer than one text", w.text("zhangsan", "long"), false, false, "push"},
		{"a button, to which WeCom shows no text", event("template_card_event"), false, true, "push"},
	} {
		a := g.post(w.seal(wecom.FormXML, c.m))
		if a.status != 200 || a.body != "" || g.count("callbacks_total", "result", c.result) == 0 {
			t.Errorf("%s: %v", c.name, a)
		}
		if got := d.next(); got.passive != c.passive || got.nobody != c.nobody {
			t.Errorf("%s: dialog got %+v", c.name, got)
		}
	}
}

func TestExactlyOneTextFits(t *testing.T) {
	w := newWorld(t)
	g := w.start(nil)
	d := w.dialog(func(in wire.Inbound) []wire.Screen {
		n, _ := strconv.Atoi(in.Text)
		return []wire.Screen{{Body: []string{strings.Repeat("]", n-2) + "]>"}}}
	}, nil)
	for _, n := range []int{2047, 2048} {
		a := g.post(w.seal(wecom.FormXML, w.text("zhangsan", fmt.Sprint(n))))
		if len(a.text) != n || !strings.HasSuffix(a.text, "]]>") {
			t.Errorf("%d: %v", n, a)
		}
		if got := d.next(); !got.passive {
			t.Errorf("%d: %+v", n, got)
		}
	}
}

func TestTruncatedRequestsAreAnswered(t *testing.T) {
	w := newWorld(t)
	g := w.start(nil)
	d := w.seal(wecom.FormXML, w.text("zhangsan", "1"))
	u, err := url.Parse(g.url)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", u.Host)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_, _ = fmt.Fprintf(conn, "POST %s?%s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", u.Path, d.query.Encode(), len(d.body))
	_, _ = conn.Write(d.body[:len(d.body)/2])
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 400") {
		t.Errorf("%q %v", answer, err)
	}
	if g.count("refused_total", "reason", "body") != 1 || len(w.inbound()) != 0 {
		t.Error("not refused as a body")
	}
}
