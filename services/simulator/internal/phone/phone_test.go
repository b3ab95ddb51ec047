package phone_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"palmops/libs/fault"
	"palmops/libs/wecom"
	"palmops/services/simulator/client"
	"palmops/services/simulator/internal/phone"
)

func TestAnsweredInBothForms(t *testing.T) {
	for _, form := range []string{"xml", "json"} {
		t.Run(form, func(t *testing.T) {
			g := newGateway(t, echo)
			w := newWorld(t, g.server.URL+"/wecom/ops/callback", nil)
			text := "你好 <b>&amp; ]]> 😀\n第二行"
			res := w.say(t, client.SayRequest{User: "ZhangSan", Text: text, Form: form})
			if res.Status != client.StatusAnswered || res.Reply != "收到："+text || res.Attempts != 1 || res.Error != "" {
				t.Fatalf("result %+v", res)
			}
			c := g.all()[0]
			m := c.message
			if m.Content != text || m.FromUserName != "zhangsan" || m.ToUserName != corp || m.AgentID != agent || m.MsgType != "text" || m.MsgID != res.MsgID {
				t.Errorf("message %+v", m)
			}
			if c.form.String() != form || c.envelop != strconv.Itoa(agent) {
				t.Errorf("envelope: form %s, agent %s", c.form, c.envelop)
			}
			if n := len(c.query.Nonce); n < 9 || n > 10 {
				t.Errorf("nonce %q", c.query.Nonce)
			}
			got := w.messages(t, "zhangsan")
			if len(got) != 1 || got[0].Via != client.ViaPassive || got[0].Text != res.Reply || got[0].ReplyTo != res.MsgID || got[0].MsgType != "text" {
				t.Errorf("messages %+v", got)
			}
			if others := w.messages(t, "lisi"); len(others) != 0 {
				t.Errorf("lisi got %+v", others)
			}
		})
	}
}

func TestEmptyAnswerIsAccepted(t *testing.T) {
	for _, body := range []string{"", "success", "\n"} {
		g := newGateway(t, func(_ *gateway, w http.ResponseWriter, _ *http.Request, _ callback) { _, _ = io.WriteString(w, body) })
		w := newWorld(t, g.server.URL, nil)
		if res := w.say(t, client.SayRequest{User: "lisi", Text: "1"}); res.Status != client.StatusAccepted || res.Attempts != 1 {
			t.Errorf("%q: %+v", body, res)
		}
		if got := w.messages(t, "lisi"); len(got) != 0 {
			t.Errorf("%q: %+v", body, got)
		}
	}
}

// A failing gateway gets the same message again, each time in a new envelope, until it answers; the reply is shown once.
func TestRedelivery(t *testing.T) {
	var calls int
	g := newGateway(t, func(g *gateway, w http.ResponseWriter, r *http.Request, c callback) {
		calls++
		switch calls { // redeliveries come one after the other
		case 1:
			w.WriteHeader(http.StatusServiceUnavailable)
		case 2:
			if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
				_ = conn.Close() // the connection breaks
			}
		case 3:
			http.Redirect(w, r, "/elsewhere", http.StatusFound) // not followed: it is not a 200
		default:
			g.reply(w, c, "好")
		}
	})
	w := newWorld(t, g.server.URL, nil)
	res := w.say(t, client.SayRequest{User: "zhangsan", Text: "1"})
	if res.Status != client.StatusFailed || res.Attempts != 1 || !strings.Contains(res.Error, "503") {
		t.Fatalf("first attempt: %+v", res)
	}
	got, err := w.client.Messages(t.Context(), "zhangsan", 0, client.MaxWait)
	if err != nil || len(got) != 1 || got[0].Text != "好" || got[0].ReplyTo != res.MsgID {
		t.Fatalf("messages %+v, %v", got, err)
	}
	seen := g.all()
	if len(seen) != 4 {
		t.Fatalf("%d attempts", len(seen))
	}
	for i, c := range seen[1:] {
		if c.message.MsgID != seen[0].message.MsgID || c.message.CreateTime != seen[0].message.CreateTime || c.message.Content != "1" {
			t.Errorf("attempt %d carries another message: %+v", i+2, c.message)
		}
		for _, before := range seen[:i+1] {
			if c.query.Nonce == before.query.Nonce || c.query.Signature == before.query.Signature || c.body == before.body {
				t.Errorf("attempt %d repeats an envelope", i+2)
			}
		}
	}
	var outcomes []string
	for range 4 {
		d := recv(t, w.deliveries, "a delivery")
		if d.Millis <= 0 || d.Bytes == 0 || d.At.IsZero() {
			t.Errorf("nothing measured: %+v", d)
		}
		outcomes = append(outcomes, d.Outcome)
		if d.Limit != 4 || d.Attempt != len(outcomes) {
			t.Errorf("delivery %+v", d)
		}
	}
	if want := []string{client.OutcomeStatus, client.OutcomeConnect, client.OutcomeStatus, client.OutcomeReply}; !slices.Equal(outcomes, want) {
		t.Errorf("outcomes %v, want %v", outcomes, want)
	}
}

// A gateway that never answers gets four attempts and no more, and then the person's next message comes.
func TestGivesUpAfterThreeRedeliveries(t *testing.T) {
	g := newGateway(t, func(g *gateway, w http.ResponseWriter, r *http.Request, c callback) {
		if c.message.Content == "slow" {
			<-r.Context().Done() // until the simulator gives up
			return
		}
		g.reply(w, c, "next")
	})
	w := newWorld(t, g.server.URL, func(o *phone.Options) { o.Timeout = time.Second })
	res := w.say(t, client.SayRequest{User: "zhangsan", Text: "slow"})
	if res.Status != client.StatusFailed || !strings.Contains(res.Error, "没有应答") {
		t.Fatalf("%+v", res)
	}
	for i := range 4 {
		if d := recv(t, w.deliveries, "a delivery"); d.Outcome != client.OutcomeTimeout || d.Attempt != i+1 || d.HTTP != 0 {
			t.Errorf("delivery %+v", d)
		}
	}
	w.say(t, client.SayRequest{User: "zhangsan", Text: "quick"})
	got, err := w.client.Messages(t.Context(), "zhangsan", 0, client.MaxWait)
	if err != nil || len(got) != 1 || got[0].Text != "next" {
		t.Fatalf("%+v, %v", got, err)
	}
	var slow int
	for _, c := range g.all() {
		if c.message.Content == "slow" {
			slow++
		}
	}
	if slow > 4 { // fewer may have reached the gateway in time, under load
		t.Errorf("%d attempts", slow)
	}
}

// The messages of one person wait for each other; another person's do not wait.
func TestOrderOfOnePerson(t *testing.T) {
	release := make(chan struct{})
	g := newGateway(t, func(g *gateway, w http.ResponseWriter, _ *http.Request, c callback) {
		if c.message.Content == "first" {
			<-release
		}
		g.reply(w, c, "re "+c.message.Content)
	})
	w := newWorld(t, g.server.URL, nil)
	var said sync.WaitGroup
	said.Go(func() { w.say(t, client.SayRequest{User: "zhangsan", Text: "first"}) })
	if c := recv(t, g.came, "the first message"); c.message.Content != "first" {
		t.Fatalf("%+v", c.message)
	}
	said.Go(func() { w.say(t, client.SayRequest{User: "zhangsan", Text: "second"}) })
	if res := w.say(t, client.SayRequest{User: "lisi", Text: "other"}); res.Status != client.StatusAnswered {
		t.Fatalf("lisi waits for zhangsan: %+v", res)
	}
	for _, c := range g.all() {
		if c.message.Content == "second" {
			t.Error("the second message did not wait for the first")
		}
	}
	close(release)
	said.Wait()
	var texts []string
	for _, m := range w.messages(t, "zhangsan") {
		texts = append(texts, m.Text)
	}
	if !slices.Equal(texts, []string{"re first", "re second"}) {
		t.Errorf("%v", texts)
	}
}

func TestDuplicatesAreShownOnce(t *testing.T) {
	var together sync.WaitGroup
	together.Add(5)
	g := newGateway(t, func(g *gateway, w http.ResponseWriter, _ *http.Request, c callback) {
		together.Done()
		together.Wait() // all five copies are under way at the same time
		g.reply(w, c, "once")
	})
	w := newWorld(t, g.server.URL, nil)
	res := w.say(t, client.SayRequest{User: "zhangsan", Text: "1", Duplicate: 4})
	if res.Status != client.StatusAnswered || res.Attempts != 5 {
		t.Fatalf("%+v", res)
	}
	if got := w.messages(t, "zhangsan"); len(got) != 1 {
		t.Errorf("shown %d times", len(got))
	}
	nonces := map[string]bool{}
	for _, c := range g.all() {
		nonces[c.query.Nonce] = true
		if c.message.MsgID != res.MsgID {
			t.Errorf("msgid %s", c.message.MsgID)
		}
	}
	if len(nonces) != 5 {
		t.Errorf("%d envelopes", len(nonces))
	}
}

func TestRepliesThatCannotBeVerified(t *testing.T) {
	other, err := wecom.NewCrypt(token, key, "wwothercorp")
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string]func(g *gateway, c callback) []byte{
		"garbage": func(*gateway, callback) []byte { return []byte("<html>hello</html>") },
		"another corp": func(_ *gateway, c callback) []byte {
			out, err := other.Reply(c.form, c.query.Timestamp, c.query.Nonce, wecom.TextReply(c.form, "zhangsan", corp, 1, "x"))
			if err != nil {
				t.Error(err)
			}
			return out
		},
		"another person": func(g *gateway, c callback) []byte {
			out, err := g.crypt.Reply(c.form, c.query.Timestamp, c.query.Nonce, wecom.TextReply(c.form, "lisi", corp, 1, "x"))
			if err != nil {
				t.Error(err)
			}
			return out
		},
		"a changed byte": func(g *gateway, c callback) []byte {
			out, err := g.crypt.Reply(c.form, c.query.Timestamp, c.query.Nonce, wecom.TextReply(c.form, "zhangsan", corp, 1, "x"))
			if err != nil {
				t.Error(err)
			}
			return bytes.Replace(out, []byte("<Nonce><![CDATA["), []byte("<Nonce><![CDATA[1"), 1)
		},
	}
	for name, body := range cases {
		t.Run(name, func(t *testing.T) {
			g := newGateway(t, func(g *gateway, w http.ResponseWriter, _ *http.Request, c callback) { _, _ = w.Write(body(g, c)) })
			w := newWorld(t, g.server.URL, nil)
			res := w.say(t, client.SayRequest{User: "zhangsan", Text: "1"})
			if res.Status != client.StatusFailed || res.Error == "" || strings.Contains(res.Error, "重新投递") {
				t.Errorf("%+v", res)
			}
			if d := recv(t, w.deliveries, "a delivery"); d.Outcome != client.OutcomeReplyNG {
				t.Errorf("%+v", d)
			}
			if n := len(g.all()); n != 1 {
				t.Errorf("%d attempts after a 200", n)
			}
			if got := w.messages(t, "zhangsan"); len(got) != 0 {
				t.Errorf("shown: %+v", got)
			}
		})
	}
}

func TestSayRefusals(t *testing.T) {
	g := newGateway(t, echo)
	w := newWorld(t, g.server.URL, nil)
	for name, c := range map[string]struct {
		request client.SayRequest
		kind    fault.Kind
	}{
		"unknown person": {client.SayRequest{User: "nobody", Text: "1"}, fault.NotFound},
		"no person":      {client.SayRequest{Text: "1"}, fault.NotFound},
		"too long":       {client.SayRequest{User: "lisi", Text: strings.Repeat("x", phone.MaxSay+1)}, fault.Invalid},
		"unknown form":   {client.SayRequest{User: "lisi", Text: "1", Form: "yaml"}, fault.Invalid},
		"too many":       {client.SayRequest{User: "lisi", Text: "1", Duplicate: 21}, fault.Invalid},
		"fewer than one": {client.SayRequest{User: "lisi", Text: "1", Duplicate: -1}, fault.Invalid},
	} {
		if _, err := w.client.Say(t.Context(), c.request); !fault.Is(err, c.kind) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for body, status := range map[string]int{
		`{"user":"lisi","text":`: http.StatusBadRequest,
		`[]`:                     http.StatusBadRequest,
		``:                       http.StatusBadRequest,
		`"` + strings.Repeat("x", 7*phone.MaxSay) + `"`:    http.StatusRequestEntityTooLarge,
		`{"user":"nobody","text":"1"}`:                     http.StatusNotFound,
		`{"user":"lisi","text":"1","duplicate":"several"}`: http.StatusBadRequest,
	} {
		resp, err := http.Post(w.base+"/sim/say", "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		var out struct{ Error string }
		if err := json.NewDecoder(resp.Body).Decode(&out); err != nil || out.Error == "" || resp.StatusCode != status {
			t.Errorf("%.40q: %d, %q, %v", body, resp.StatusCode, out.Error, err)
		}
		_ = resp.Body.Close()
	}
	for _, query := range []string{"user=nobody", "user=lisi&after=-1", "user=lisi&wait=31", "user=lisi&wait=NaN", "user=lisi&wait=-1"} {
		resp, err := http.Get(w.base + "/sim/messages?" + query)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusBadRequest && resp.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %d", query, resp.StatusCode)
		}
	}
	if n := len(g.all()); n != 0 {
		t.Errorf("%d callbacks for refused requests", n)
	}
	http.DefaultClient.CloseIdleConnections()
}

func TestPushAndLongPoll(t *testing.T) {
	g := newGateway(t, echo)
	w := newWorld(t, g.server.URL, nil)
	got := make(chan []client.Message, 1)
	go func() {
		m, err := w.client.Messages(t.Context(), "lisi", 0, client.MaxWait)
		if err != nil {
			t.Error(err)
		}
		got <- m
	}()
	if _, err := w.Push("zhangsan", "text", "not for lisi"); err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("好", 1000)
	id, err := w.Push("LiSi", "markdown", long)
	if err != nil {
		t.Fatal(err)
	}
	m := recv(t, got, "the pushed message")
	if len(m) != 1 || m[0].Via != client.ViaPush || m[0].MsgType != "markdown" || m[0].MsgID != id || m[0].ReplyTo != "" {
		t.Fatalf("%+v", m)
	}
	if m[0].Text != strings.Repeat("好", wecom.MaxText/3) {
		t.Errorf("cut to %d bytes", len(m[0].Text))
	}
	if _, err := w.Push("nobody", "text", "x"); !fault.Is(err, fault.NotFound) {
		t.Errorf("%v", err)
	}
	none, err := w.client.Messages(t.Context(), "lisi", m[0].Seq, 10*time.Millisecond)
	if err != nil || len(none) != 0 {
		t.Errorf("%+v, %v", none, err)
	}
}
