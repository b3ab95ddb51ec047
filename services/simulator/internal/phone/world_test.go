package phone_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"

	"palmops/libs/wecom"
	"palmops/services/simulator/client"
	"palmops/services/simulator/internal/phone"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	corp  = "wwtestcorp"
	agent = 1000002
	token = "TestToken"
	key   = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
	// hang is how long a test waits for something that must happen.
	hang = 30 * time.Second
)

// callback is one attempt as a gateway sees it.
type callback struct {
	query   wecom.Query
	body    string
	message wecom.Message
	form    wecom.Form
	envelop string // agent id outside
}

// gateway is the app's side: it verifies every callback as the real gateway does and answers as the test says.
type gateway struct {
	t      *testing.T
	crypt  *wecom.Crypt
	server *httptest.Server
	answer func(g *gateway, w http.ResponseWriter, r *http.Request, c callback)

	mu   sync.Mutex
	seen []callback
	came chan callback
}

func newGateway(t *testing.T, answer func(g *gateway, w http.ResponseWriter, r *http.Request, c callback)) *gateway {
	t.Helper()
	crypt, err := wecom.NewCrypt(token, key, corp)
	if err != nil {
		t.Fatal(err)
	}
	g := &gateway{t: t, crypt: crypt, answer: answer, came: make(chan callback, 256)}
	g.server = httptest.NewServer(http.HandlerFunc(g.serve))
	t.Cleanup(g.server.Close)
	return g
}

func (g *gateway) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the simulator gave up
	}
	q, err := wecom.ParseQuery(r.URL.Query())
	if err != nil {
		g.t.Errorf("query of a callback: %v", err)
		return
	}
	opened, err := g.crypt.Open(q, body)
	if err != nil {
		g.t.Errorf("a callback cannot be opened: %v", err)
		return
	}
	m, err := wecom.ParseMessage(opened.Plain)
	if err != nil {
		g.t.Errorf("a callback's message cannot be read: %v", err)
		return
	}
	c := callback{query: q, body: string(body), message: m, form: opened.Form, envelop: opened.AgentID}
	g.mu.Lock()
	g.seen = append(g.seen, c)
	g.mu.Unlock()
	g.came <- c
	g.answer(g, w, r, c)
}

func (g *gateway) all() []callback {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.seen)
}

// reply answers passively.
func (g *gateway) reply(w http.ResponseWriter, c callback, text string) {
	plain := wecom.TextReply(c.form, c.message.FromUserName, c.message.ToUserName, time.Now().Unix(), text)
	out, err := g.crypt.Reply(c.form, c.query.Timestamp, c.query.Nonce, plain)
	if err != nil {
		g.t.Errorf("reply: %v", err)
		return
	}
	_, _ = w.Write(out)
}

func echo(g *gateway, w http.ResponseWriter, _ *http.Request, c callback) {
	g.reply(w, c, "收到："+c.message.Content)
}

// world is phones under test and their HTTP side.
type world struct {
	*phone.Phones
	client     *client.Client
	base       string
	deliveries chan client.Delivery
	stop       func()
}

func newWorld(t *testing.T, target string, edit func(*phone.Options)) *world {
	t.Helper()
	crypt, err := wecom.NewCrypt(token, key, corp)
	if err != nil {
		t.Fatal(err)
	}
	book, _, err := phone.OpenBook("", time.Now)
	if err != nil {
		t.Fatal(err)
	}
	deliveries := make(chan client.Delivery, 1024)
	o := phone.Options{
		Directory: directory(), Book: book, Crypt: crypt, CorpID: corp, AgentID: agent,
		Callback: func() string { return target }, Timeout: hang, Retries: 3, Pause: time.Millisecond,
		Now: time.Now, Log: zap.NewNop(), Observe: func(d client.Delivery) { deliveries <- d },
	}
	if edit != nil {
		edit(&o)
	}
	p := phone.New(o)
	ctx, cancel := context.WithCancel(context.Background())
	server := httptest.NewUnstartedServer(p.Handler())
	server.Config.BaseContext = nil
	server.Start()
	var running sync.WaitGroup
	running.Go(func() { p.Run(ctx) })
	w := &world{Phones: p, client: client.New(server.URL, nil), base: server.URL, deliveries: deliveries}
	w.stop = sync.OnceFunc(func() {
		cancel()
		running.Wait()
		w.client.Close()
		server.CloseClientConnections()
		server.Close()
		if err := o.Book.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(w.stop)
	return w
}

func directory() *phone.Directory {
	return phone.NewDirectory(
		[]phone.Person{
			{User: "zhangsan", Name: "张三", Departments: []int64{2}},
			{User: "lisi", Name: "李四", Departments: []int64{2}, Leads: []int64{2}},
			{User: "laoren", Name: "老任", Departments: []int64{2}, Plain: true},
		},
		[]phone.Department{{ID: 1, Name: "掌上公司"}, {ID: 2, ParentID: 1, Name: "零售事业部"}},
		[]phone.Tag{{ID: 1, Name: "值班", Users: []string{"ZhangSan", "laoren"}}},
	)
}

func (w *world) say(t *testing.T, r client.SayRequest) client.SayResult {
	t.Helper()
	res, err := w.client.Say(t.Context(), r)
	if err != nil {
		t.Errorf("say: %v", err) // not Fatal: tests say things in goroutines too
	}
	return res
}

func (w *world) messages(t *testing.T, user string) []client.Message {
	t.Helper()
	out, err := w.client.Messages(t.Context(), user, 0, 0)
	if err != nil {
		t.Fatalf("messages: %v", err)
	}
	return out
}

func recv[T any](t *testing.T, ch <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(hang):
		t.Fatalf("%s did not come", what)
		panic("unreachable")
	}
}
