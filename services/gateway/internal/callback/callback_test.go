package callback

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"palmops/libs/bus/bustest"
	"palmops/libs/lang"
	"palmops/libs/lang/langtest"
	"palmops/libs/wecom"
	"palmops/libs/wire"
	"palmops/services/gateway/internal/metrics"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	corp   = "ww0123456789abcdef"
	agent  = 7
	token  = "TestToken"
	aesKey = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
)

type everybody struct{}

func (everybody) Contains(netip.Addr) bool { return true }

type trail struct {
	mu    sync.Mutex
	lines []wire.AuditLine
}

func (t *trail) Write(l wire.AuditLine) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lines = append(t.lines, l)
}

// bench is a handler on a real bus with a dialog that answers every message it is asked about.
type bench struct {
	h     *Handler
	crypt *wecom.Crypt
	m     *metrics.Set
	now   time.Time
}

func newBench(t testing.TB) *bench {
	t.Helper()
	b := bustest.New(t).Connect("test")
	crypt, err := wecom.NewCrypt(token, aesKey, corp)
	if err != nil {
		t.Fatal(err)
	}
	m, err := metrics.New(prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	be := &bench{crypt: crypt, m: m, now: time.Now()}
	be.h, err = New(Options{
		Apps:  []App{{Name: "ops", Corp: corp, AgentID: agent, Token: token, Crypt: crypt}},
		Allow: everybody{}, Window: time.Minute, Passive: 2 * time.Second, Publish: time.Second, MaxInFlight: 16,
		Bus: b, Trail: &trail{}, Metrics: m, Log: zap.NewNop(), Now: func() time.Time { return be.now },
	})
	if err != nil {
		t.Fatal(err)
	}
	sub, err := b.NC.Subscribe("in.>", func(msg *nats.Msg) { // as it is published, before the stream has it
		var in wire.Inbound
		if json.Unmarshal(msg.Data, &in) != nil {
			return
		}
		data, _ := json.Marshal(wire.Reply{ID: in.ID, Corp: in.Corp, App: in.App, User: in.User, Screens: []wire.Screen{{Title: in.Text}}})
		_ = b.NC.Publish(wire.ReplySubject(in.Corp, in.App, in.ID), data)
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		be.h.Wait()
		_ = sub.Unsubscribe()
	})
	return be
}

func (b *bench) serve(method, query string, body []byte) *httptest.ResponseRecorder {
	req := httptest.NewRequest(method, "/wecom/ops/callback", strings.NewReader(string(body)))
	req.URL.RawQuery = query
	rec := httptest.NewRecorder()
	b.h.ServeHTTP(rec, req)
	return rec
}

func (b *bench) seal(form wecom.Form, plain []byte) (query string, body []byte, err error) {
	q, body, err := b.crypt.SealCallback(form, corp, strconv.Itoa(agent), strconv.FormatInt(b.now.Unix(), 10), "1", plain)
	return url.Values{"msg_signature": {q.Signature}, "timestamp": {q.Timestamp}, "nonce": {q.Nonce}}.Encode(), body, err
}

// Whatever a caller sends, even one who knows the keys: no panic, no error of ours, and an answer that WeCom can read.
// To fuzz for long, add -fuzzminimizetime 1x: the bus's own goroutines make the coverage differ from run to run.
func FuzzCallback(f *testing.F) {
	b := newBench(f)
	text := func(form wecom.Form, content string) []byte {
		return wecom.MarshalMessage(form, wecom.Message{
			ToUserName: corp, FromUserName: "zhangsan", CreateTime: b.now.Unix(), MsgType: "text", AgentID: agent, MsgID: "1", Content: content,
		})
	}
	query, body, err := b.seal(wecom.FormXML, text(wecom.FormXML, "1"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(query, body, []byte{}, false)
	f.Add("msg_signature=1&timestamp=2&nonce=3", []byte("<xml>"), text(wecom.FormXML, "你好 ]]> <a href=x>"), false)
	f.Add("%zz&;=&&echostr=+", []byte("{}"), text(wecom.FormJSON, "\u202e\x00"), true)
	f.Add(query+"&echostr=abc", body[:40], []byte("<xml><MsgType>event</MsgType></xml>"), false)
	f.Add(strings.Repeat("a=b&", 1000), []byte(strings.Repeat("<", 70000)), []byte(strings.Repeat("x", 70000)), false)
	f.Fuzz(func(t *testing.T, query string, body, plain []byte, asJSON bool) {
		for _, method := range []string{http.MethodPost, http.MethodGet} {
			if rec := b.serve(method, query, body); rec.Code >= 500 || rec.Code < 200 {
				t.Fatalf("%s: %d", method, rec.Code)
			}
		}
		form := wecom.FormXML
		if asJSON {
			form = wecom.FormJSON
		}
		query, body, err := b.seal(form, plain)
		if err != nil {
			return // too long to be sealed
		}
		rec := b.serve(http.MethodPost, query, body)
		if rec.Code >= 500 || rec.Code < 200 {
			t.Fatalf("sealed: %d", rec.Code)
		}
		if rec.Code == http.StatusOK && rec.Body.Len() > 0 {
			inner, got, err := b.crypt.OpenReply(rec.Body.Bytes())
			if err != nil || got != form {
				t.Fatalf("the answer in %s to a question in %s: %v", got, form, err)
			}
			if r, err := wecom.ParseReply(inner); err != nil || len(r.Content) > wecom.MaxText {
				t.Fatalf("the answer cannot be read: %v", err)
			}
		}
		var m dto.Metric
		if err := b.m.Panics.Write(&m); err != nil || m.GetCounter().GetValue() != 0 {
			t.Fatalf("a panic was caught: %v", err)
		}
	})
}

// A panic somewhere below answers 500, is counted, and gives its place back.
func TestAPanicIsContained(t *testing.T) {
	b := newBench(t)
	b.h.Now = func() time.Time { panic("secret") }
	query, body, err := b.seal(wecom.FormXML, []byte("<xml></xml>"))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 * cap(b.h.slots) {
		if rec := b.serve(http.MethodPost, query, body); rec.Code != 500 || strings.Contains(rec.Body.String(), "secret") {
			t.Fatalf("%d %q", rec.Code, rec.Body)
		}
	}
	if len(b.h.slots) != 0 {
		t.Errorf("%d places are lost", len(b.h.slots))
	}
}

// A press on a card's button, as WeCom sends it, becomes a message with all that dialog needs to know.
func TestAPressOnACardIsAdmitted(t *testing.T) {
	const plain = `<xml>
<ToUserName><![CDATA[` + corp + `]]></ToUserName>
<FromUserName><![CDATA[ZhangSan]]></FromUserName>
<CreateTime>1000</CreateTime>
<MsgType><![CDATA[event]]></MsgType>
<Event><![CDATA[template_card_event]]></Event>
<EventKey><![CDATA[1]]></EventKey>
<TaskId><![CDATA[c-0a1b2c@7]]></TaskId>
<CardType><![CDATA[button_interaction]]></CardType>
<ResponseCode><![CDATA[lW-9k_Zs0q]]></ResponseCode>
<AgentID>7</AgentID>
<SelectedItems>
<SelectedItem><QuestionKey><![CDATA[q]]></QuestionKey><OptionIds><OptionId><![CDATA[a]]></OptionId></OptionIds></SelectedItem>
</SelectedItems>
</xml>`
	m, in, r := admit(&App{Name: "ops", Corp: corp, AgentID: agent}, wecom.Opened{Encrypt: []byte("x"), Plain: []byte(plain)}, wecom.Query{}, time.Unix(1000, 0), time.Minute)
	if r != nil || answerable(&m) || waits(&m) {
		t.Fatalf("%+v %+v", r, m)
	}
	if in.Type != "event" || in.Event != "template_card_event" || in.EventKey != "1" || in.TaskID != "c-0a1b2c@7" || in.ResponseCode != "lW-9k_Zs0q" ||
		in.User != "zhangsan" || in.Text != "" || in.MsgID != "" || len(in.ID) != 26 || in.SentAt != 1000 {
		t.Errorf("%+v", in)
	}
	// Another press on the same card, in the same second, is another message.
	_, other, _ := admit(&App{Name: "ops", Corp: corp, AgentID: agent}, wecom.Opened{Encrypt: []byte("y"), Plain: []byte(strings.Replace(plain, "lW-9", "lW-8", 1))},
		wecom.Query{}, time.Unix(1000, 0), time.Minute)
	if other.ID == in.ID || other.ID == "" {
		t.Error("two presses have one id")
	}
}

func TestEveryTextHasBothLanguages(t *testing.T) { langtest.Check(t, texts, ".") }

func TestTonguesAreRememberedWithinBounds(t *testing.T) {
	var known tongues
	known.note("c", "a", "lisi", lang.English)
	known.note("c", "a", "zhangsan", lang.Chinese)
	if known.of("c", "a", "lisi") != lang.English || known.of("c", "a", "zhangsan") != lang.Chinese || known.of("c", "b", "lisi") != lang.Chinese || len(known.known) != 1 {
		t.Errorf("%v", known.known)
	}
	known.note("c", "a", "lisi", lang.Chinese)
	if known.of("c", "a", "lisi") != lang.Chinese || len(known.known) != 0 {
		t.Errorf("%v", known.known)
	}
	for i := range maxTongues + 10 {
		known.note("c", "a", strconv.Itoa(i), lang.English)
	}
	if len(known.known) != maxTongues || known.of("c", "a", strconv.Itoa(maxTongues+9)) != lang.English {
		t.Errorf("%d are remembered", len(known.known))
	}
}

func TestWhoWaitsAndWhoCanBeAnswered(t *testing.T) {
	for _, c := range []struct {
		m                 wecom.Message
		answerable, waits bool
	}{
		{wecom.Message{FromUserName: "a", MsgType: "text"}, true, true},
		{wecom.Message{FromUserName: "a", MsgType: "image"}, true, true},
		{wecom.Message{FromUserName: "a", MsgType: "event", Event: "click"}, true, true},
		{wecom.Message{FromUserName: "a", MsgType: "event", Event: "enter_agent"}, true, false},
		{wecom.Message{FromUserName: "a", MsgType: "event", Event: "template_card_event"}, false, false},
		{wecom.Message{FromUserName: "a", MsgType: "event", Event: "change_contact"}, false, false},
		{wecom.Message{FromUserName: "sys", MsgType: "text"}, false, false},
	} {
		if answerable(&c.m) != c.answerable || waits(&c.m) != c.waits {
			t.Errorf("%+v", c.m)
		}
	}
}

func TestFresh(t *testing.T) {
	now := time.Unix(1000, 500)
	for seconds, want := range map[int64]string{1000: "", 940: "stale", 941: "", 1060: "", 1061: "early", 0: "stale", -1 << 62: "stale", 1 << 62: "early"} {
		if got := fresh(seconds, now, time.Minute); got != want {
			t.Errorf("%d: %q, want %q", seconds, got, want)
		}
	}
}

func TestExchanged(t *testing.T) {
	app := &App{Token: token}
	const encrypt = "AAAA"
	mark := func(ts, nonce string) wire.EnvelopeMark {
		_, in, _ := admit(&App{Corp: corp, AgentID: agent}, wecom.Opened{Encrypt: []byte(encrypt), Plain: wecom.MarshalMessage(wecom.FormXML, wecom.Message{
			ToUserName: corp, FromUserName: "a", CreateTime: 1000, MsgType: "text",
		})}, wecom.Query{Timestamp: ts, Nonce: nonce}, time.Unix(1000, 0), time.Minute)
		return in.Envelope
	}
	query := func(ts, nonce string) wecom.Query {
		return wecom.Query{Signature: wecom.Signature(token, ts, nonce, encrypt), Timestamp: ts, Nonce: nonce}
	}
	first := mark("1409659813", "1372623149")
	for name, c := range map[string]struct {
		q       wecom.Query
		encrypt string
		want    bool
	}{
		"the same":     {query("1409659813", "1372623149"), encrypt, false},
		"swapped":      {query("1372623149", "1409659813"), encrypt, true},
		"digits moved": {query("1409659813", "137262314"), encrypt, false}, // another signature: only with the token
		"signed anew":  {query("1409659999", "5"), encrypt, false},
		"another text": {query("1372623149", "1409659813"), "BBBB", false},
		"capital digits": {func() wecom.Query {
			q := query("1372623149", "1409659813")
			q.Signature = strings.ToUpper(q.Signature)
			return q
		}(), encrypt, true},
	} {
		if got := exchanged(app, first, c.q, c.encrypt); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
