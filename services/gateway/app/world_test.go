package app

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"palmops/libs/bus"
	"palmops/libs/bus/bustest"
	"palmops/libs/conf"
	"palmops/libs/wecom"
	"palmops/libs/wire"
)

const (
	testCorp   = "ww0123456789abcdef"
	testAgent  = 1000007
	testToken  = "TestTokenForCallbacks"
	testAESKey = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
	testSecret = "very-secret-corp-secret"

	hang = 30 * time.Second // when to call a test hung; nothing is measured by it
)

// world is a bus, any number of gateways on it, and the other side: WeCom and dialog.
type world struct {
	t     *testing.T
	nats  *bustest.Server
	bus   *bus.Bus
	crypt *wecom.Crypt
	ctx   context.Context
	msgID int64
	mu    sync.Mutex
}

func newWorld(t *testing.T) *world {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 4*hang)
	t.Cleanup(cancel)
	crypt, err := wecom.NewCrypt(testToken, testAESKey, testCorp)
	if err != nil {
		t.Fatal(err)
	}
	srv := bustest.New(t)
	return &world{t: t, nats: srv, bus: srv.Connect("world"), crypt: crypt, ctx: ctx, msgID: 7000000000000000000}
}

// gateway is one running gateway and what it shows.
type gateway struct {
	*App
	w        *world
	url      string
	log      *observer.ObservedLogs
	registry *prometheus.Registry
	stop     func() error
}

func testCredentials() AppCredentials {
	return AppCredentials{Name: "ops", ReceiveID: testCorp, WeCom: conf.WeCom{
		CorpID: testCorp, AgentID: testAgent, CorpSecret: testSecret, Token: testToken, EncodingAESKey: testAESKey,
	}}
}

func testConfig() Config {
	var c Config
	c.Listen = "127.0.0.1:0"
	c.Apps = []AppConfig{{Name: "ops"}}
	c.Allow.Static = []string{"127.0.0.1"}
	c.APIBase = "http://127.0.0.1:1" // nobody is there
	return c
}

// start runs a gateway; change may be nil. It is stopped when the test ends.
func (w *world) start(change func(*Options)) *gateway {
	w.t.Helper()
	core, logs := observer.New(zapcore.DebugLevel)
	g := &gateway{w: w, log: logs, registry: prometheus.NewRegistry()}
	o := Options{
		Config: testConfig(), Apps: []AppCredentials{testCredentials()},
		NATS: bus.Options{URL: w.nats.URL()}, Log: zap.New(core), Registry: g.registry,
	}
	if change != nil {
		change(&o)
	}
	var err error
	if g.App, err = New(w.ctx, o); err != nil {
		w.t.Fatal(err)
	}
	g.url = "http://" + g.Addr() + "/wecom/ops/callback"
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- g.Run(ctx) }()
	g.stop = sync.OnceValue(func() error { cancel(); return <-done })
	w.t.Cleanup(func() {
		if err := g.stop(); err != nil {
			w.t.Errorf("gateway: %v", err)
		}
	})
	return g
}

// text is a text message as WeCom has it before encryption, with a message id of its own.
func (w *world) text(user, content string) wecom.Message {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.msgID++
	return wecom.Message{
		ToUserName: testCorp, FromUserName: user, CreateTime: time.Now().Unix(), MsgType: "text",
		AgentID: testAgent, MsgID: strconv.FormatInt(w.msgID, 10), Content: content,
	}
}

// delivery is one HTTP request as WeCom makes it.
type delivery struct {
	query url.Values
	body  []byte
}

func values(q wecom.Query) url.Values {
	return url.Values{"msg_signature": {q.Signature}, "timestamp": {q.Timestamp}, "nonce": {q.Nonce}}
}

// seal puts a message into a new envelope, sent now.
func (w *world) seal(form wecom.Form, m wecom.Message) delivery {
	return w.sealAt(form, time.Now(), wecom.MarshalMessage(form, m))
}

func (w *world) sealAt(form wecom.Form, at time.Time, plain []byte) delivery {
	w.t.Helper()
	w.mu.Lock()
	w.msgID++
	nonce := strconv.FormatInt(1000000000+w.msgID%1000000000, 10)
	w.mu.Unlock()
	q, body, err := w.crypt.SealCallback(form, testCorp, strconv.Itoa(testAgent), strconv.FormatInt(at.Unix(), 10), nonce, plain)
	if err != nil {
		w.t.Fatal(err)
	}
	return delivery{values(q), body}
}

// answer is what a gateway answered to a POST.
type answer struct {
	status int
	body   string
	text   string // of the passive reply; empty when there is none
	err    error
}

var client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

// post delivers and reads the passive reply, checking it as WeCom does.
func (g *gateway) post(d delivery) answer { return g.w.post(client, g.url, d) }

func (w *world) post(c *http.Client, to string, d delivery) answer {
	w.t.Helper()
	res, err := c.Post(to+"?"+d.query.Encode(), "text/xml", bytes.NewReader(d.body))
	if err != nil {
		return answer{err: err}
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	a := answer{status: res.StatusCode, body: string(body), err: err}
	if err != nil || res.StatusCode != http.StatusOK || len(body) == 0 {
		return a
	}
	plain, _, err := w.crypt.OpenReply(body)
	if err != nil {
		w.t.Errorf("passive reply: %v", err)
		return a
	}
	r, err := wecom.ParseReply(plain)
	if err != nil || r.MsgType != "text" || r.FromUserName != testCorp || r.ToUserName == "" || r.CreateTime == 0 {
		w.t.Errorf("passive reply: %+v %v", r, err)
	}
	a.text = r.Content
	return a
}

// count is the value of a counter or gauge, or how often a histogram was observed, summed over the series whose labels match.
func (g *gateway) count(name string, labels ...string) float64 {
	g.w.t.Helper()
	families, err := g.registry.Gather()
	if err != nil {
		g.w.t.Fatal(err)
	}
	sum := 0.0
	for _, f := range families {
		if f.GetName() != "palmops_gateway_"+name {
			continue
		}
	series:
		for _, m := range f.GetMetric() {
			for i := 0; i+1 < len(labels); i += 2 {
				found := false
				for _, l := range m.GetLabel() {
					found = found || l.GetName() == labels[i] && l.GetValue() == labels[i+1]
				}
				if !found {
					continue series
				}
			}
			sum += m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return sum
}

// eventually waits for a condition.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	end := time.After(hang)
	for !ok() {
		select {
		case <-tick.C:
		case <-end:
			t.Fatalf("never: %s", what)
		}
	}
}

// messages reads what a stream holds.
func messages[T any](w *world, stream string) []T {
	w.t.Helper()
	s, err := w.bus.JS.Stream(w.ctx, stream)
	if err != nil {
		w.t.Fatal(err)
	}
	info, err := s.Info(w.ctx)
	if err != nil {
		w.t.Fatal(err)
	}
	var out []T
	if info.State.Msgs == 0 {
		return nil
	}
	for seq := info.State.FirstSeq; seq <= info.State.LastSeq; seq++ {
		raw, err := s.GetMsg(w.ctx, seq)
		if err != nil {
			w.t.Fatal(err)
		}
		var v T
		if err := json.Unmarshal(raw.Data, &v); err != nil {
			w.t.Fatal(err)
		}
		out = append(out, v)
	}
	return out
}

func (w *world) inbound() []wire.Inbound { return messages[wire.Inbound](w, wire.StreamIn) }

func (w *world) audit() []wire.AuditLine { return messages[wire.AuditLine](w, wire.StreamAudit) }

// noSecrets fails the test when a log line shows what must not be shown, or is too long.
func (g *gateway) noSecrets(words ...string) {
	g.w.t.Helper()
	enc := zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig())
	for _, e := range g.log.All() {
		buf, err := enc.EncodeEntry(e.Entry, e.Context)
		if err != nil {
			g.w.t.Fatal(err)
		}
		line := buf.String()
		if len(line) > 2048 && e.Level < zapcore.ErrorLevel {
			g.w.t.Errorf("a log line of %d bytes: %.200s", len(line), line)
		}
		for _, word := range append(words, testToken, testAESKey, testSecret) {
			if strings.Contains(line, word) {
				g.w.t.Errorf("the log shows %q: %s", word, line)
			}
		}
	}
}

func (a answer) String() string {
	return fmt.Sprintf("status %d, text %q, body of %d bytes, error %v", a.status, a.text, len(a.body), a.err)
}
