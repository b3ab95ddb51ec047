package app_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"palmops/libs/conf"
	"palmops/libs/wecom"
	"palmops/services/simulator/app"
	"palmops/services/simulator/client"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	hang      = 30 * time.Second
	localFile = "../../../deployments/config/local/simulator.yaml"
)

// local are the shipped options, on free ports and with a state directory of the test's.
func local(t *testing.T, dir string) app.Options {
	t.Helper()
	o, err := app.Load(localFile)
	if err != nil {
		t.Fatal(err)
	}
	o.Config.Listen, o.Config.Cluster.Listen, o.StateDir = "127.0.0.1:0", "127.0.0.1:0", dir
	o.Config.Pause, o.Config.Cluster.Step = conf.Duration(time.Millisecond), conf.Duration(time.Millisecond)
	return o
}

// start runs a simulator until stop is called, or the test ends.
func start(t *testing.T, o app.Options) (a *app.App, stop func()) {
	t.Helper()
	a, err := app.New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("run: %v", err)
			}
		case <-time.After(hang):
			t.Error("run does not end")
		}
	})
	t.Cleanup(stop)
	return a, stop
}

// echo is a gateway that answers each message with its text.
func echo(t *testing.T, c conf.WeCom) string {
	t.Helper()
	crypt, err := wecom.NewCrypt(c.Token.Reveal(), c.EncodingAESKey.Reveal(), c.CorpID)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		q, err := wecom.ParseQuery(r.URL.Query())
		if err != nil {
			t.Error(err)
			return
		}
		opened, err := crypt.Open(q, body)
		if err != nil {
			t.Error(err)
			return
		}
		m, err := wecom.ParseMessage(opened.Plain)
		if err != nil {
			t.Error(err)
			return
		}
		out, err := crypt.Reply(opened.Form, q.Timestamp, q.Nonce, wecom.TextReply(opened.Form, m.FromUserName, m.ToUserName, 1, "收到："+m.Content))
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = w.Write(out)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

func get(t *testing.T, url string, edit func(*http.Request)) (int, string) {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if edit != nil {
		edit(req)
	}
	hc := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := hc.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// The shipped configuration, whole: page, API, chat, practice cluster, metrics, and the state after a restart.
func TestWhole(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	o := local(t, dir)
	o.Config.Callback = echo(t, o.Credentials)
	core, logs := observer.New(zapcore.DebugLevel)
	reg := prometheus.NewRegistry()
	o.Log, o.Registry = zap.New(core), reg
	a, stop := start(t, o)
	if err := a.Ready(t.Context()); err != nil {
		t.Error(err)
	}
	base := "http://" + a.Addr()
	c := client.New(base, nil)
	defer c.Close()

	users, err := c.Users(t.Context())
	if err != nil || len(users) != 7 || users[0].Name != "张三" || users[0].Departments[0].Name != "零售事业部" || users[3].User != "outsider" || users[0].Tags[0] != "值班" || users[6].Departments[0].Name != "零售运维组" {
		t.Fatalf("%+v, %v", users, err)
	}
	res, err := c.Say(t.Context(), client.SayRequest{User: "zhangsan", Text: "secret words"})
	if err != nil || res.Reply != "收到：secret words" {
		t.Fatalf("%+v, %v", res, err)
	}
	hc := &http.Client{Transport: &http.Transport{}}
	defer hc.CloseIdleConnections()
	api := wecom.NewClient(wecom.ClientOptions{
		BaseURL: base, CorpID: o.Credentials.CorpID, Secret: o.Credentials.CorpSecret.Reveal(), AgentID: o.Credentials.AgentID, HTTP: hc,
	})
	if _, err := api.Send(t.Context(), wecom.OutMessage{ToUser: "zhangsan", Text: "pushed"}); err != nil {
		t.Fatal(err)
	}
	before, err := c.Messages(t.Context(), "zhangsan", 0, 0)
	if err != nil || len(before) != 2 || before[1].Via != client.ViaPush {
		t.Fatalf("%+v, %v", before, err)
	}
	if status, body := get(t, base+"/", nil); status != http.StatusOK || !strings.Contains(body, "掌上运维") {
		t.Errorf("page: %d", status)
	}
	if status, body := get(t, "http://"+a.ClusterAddr()+"/apis/apps/v1/namespaces/shop/deployments/web", nil); status != http.StatusOK || !strings.Contains(body, `"readyReplicas":3`) {
		t.Errorf("practice cluster: %d %.200s", status, body)
	}
	families, err := reg.Gather()
	if err != nil || len(families) != 1 || len(families[0].GetMetric()) != 2 {
		t.Errorf("metrics %v, %v", families, err)
	}
	for _, e := range logs.All() {
		line := fmt.Sprint(e.Message, e.ContextMap())
		for _, secret := range []string{"secret words", o.Credentials.Token.Reveal(), o.Credentials.CorpSecret.Reveal(), o.Credentials.EncodingAESKey.Reveal()} {
			if strings.Contains(line, secret) {
				t.Errorf("the log says %s", line)
			}
		}
	}
	stop()

	o.Registry = prometheus.NewRegistry()
	again, _ := start(t, o)
	c2 := client.New("http://"+again.Addr(), nil)
	defer c2.Close()
	after, err := c2.Messages(t.Context(), "zhangsan", 0, 0)
	if err != nil || fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("after the restart %+v, %v", after, err)
	}
	if _, err := c2.Say(t.Context(), client.SayRequest{User: "zhangsan", Text: "again"}); err != nil {
		t.Fatal(err)
	}
	news, err := c2.Messages(t.Context(), "zhangsan", before[1].Seq, 0)
	if err != nil || len(news) != 1 || news[0].Text != "收到：again" || news[0].Seq <= before[1].Seq || news[0].MsgID <= before[1].MsgID {
		t.Errorf("%+v, %v", news, err)
	}
}

// Web pages from elsewhere cannot use the simulator, neither by posting to it nor under another name.
func TestForeignPagesAreKeptOut(t *testing.T) {
	o := local(t, "")
	a, _ := start(t, o)
	for _, base := range []string{"http://" + a.Addr() + "/sim/users", "http://" + a.ClusterAddr() + "/version"} {
		if status, _ := get(t, base, func(r *http.Request) { r.Host = "evil.example:8090" }); status != http.StatusForbidden {
			t.Errorf("%s under another name: %d", base, status)
		}
		if status, _ := get(t, base, func(r *http.Request) { r.Host = "localhost:8090" }); status != http.StatusOK {
			t.Errorf("%s as localhost: %d", base, status)
		}
	}
	for header, value := range map[string]string{"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"} {
		req, err := http.NewRequest(http.MethodPost, "http://"+a.Addr()+"/sim/say", strings.NewReader(`{"user":"zhangsan","text":"1"}`))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set(header, value)
		hc := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		resp, err := hc.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusForbidden {
			t.Errorf("%s: %d", header, resp.StatusCode)
		}
	}
}

// Long polls, event streams and watches end with the simulator and do not hold it up.
func TestStopsWithOpenStreams(t *testing.T) {
	o := local(t, "")
	a, stop := start(t, o)
	hc := &http.Client{Transport: &http.Transport{}}
	defer hc.CloseIdleConnections()
	var open sync.WaitGroup
	for _, url := range []string{"http://" + a.Addr() + "/sim/events", "http://" + a.ClusterAddr() + "/api/v1/pods?watch=1"} {
		resp, err := hc.Get(url)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("%s: %v", url, err)
		}
		open.Go(func() {
			_, _ = io.Copy(io.Discard, resp.Body) // ends, however it ends
			_ = resp.Body.Close()
		})
	}
	stop()
	open.Wait()
}

func TestTokensCanBeTakenBack(t *testing.T) {
	o := local(t, "")
	a, _ := start(t, o)
	base := "http://" + a.Addr()
	_, body := get(t, fmt.Sprintf("%s/cgi-bin/gettoken?corpid=%s&corpsecret=%s", base, o.Credentials.CorpID, o.Credentials.CorpSecret.Reveal()), nil)
	var out struct {
		Token string `json:"access_token"`
	}
	if err := json.Unmarshal([]byte(body), &out); err != nil || out.Token == "" {
		t.Fatalf("%s, %v", body, err)
	}
	hc := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := hc.Post(base+"/sim/tokens/invalidate", "", nil)
	if err != nil || resp.StatusCode != http.StatusNoContent {
		t.Fatalf("%v, %v", resp, err)
	}
	_ = resp.Body.Close()
	if _, body = get(t, base+"/cgi-bin/getcallbackip?access_token="+out.Token, nil); !strings.Contains(body, "40014") {
		t.Errorf("%s", body)
	}
}

func TestAddressInUse(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	o := local(t, t.TempDir())
	o.Config.Cluster.Listen = ln.Addr().String()
	if _, err := app.New(o); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("%v", err)
	}
}

// Every mistake of a configuration is told at once.
func TestMistakes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "simulator.yaml")
	text := `
listen: nowhere
callback: ftp://x
form: yaml
retries: 99
departments:
  - { id: 1, name: a }
  - { id: 2, name: "", parent: 7 }
  - { id: 2, name: b, parent: 1 }
people:
  - { user: "a b", name: x, departments: [1] }
  - { user: lisi, name: "", departments: [9], leads: [1] }
  - { user: LISI, name: y, departments: [1] }
tags:
  - { id: 0, name: none }
  - { id: 3, name: "", people: [lisi, ghost] }
  - { id: 3, name: again }
`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := app.Load(path)
	if err == nil {
		t.Fatal("it was taken")
	}
	for _, part := range []string{
		`"nowhere"`, `"ftp://x"`, `"yaml"`, "99", "2 has no name", "the parent of 2", "the id 2 is there twice",
		`"a b"`, "lisi needs a name", "department 9, which does not exist", "leads department 1", "LISI is there twice",
		`"none" needs an id`, "3 has no name", "ghost has the tag 3", "tags: the id 3 is there twice",
		"WECOM_CORP_ID is not set", "WECOM_TOKEN is not set",
	} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q is not in\n%v", part, err)
		}
	}
	if err := os.WriteFile(path, []byte("listen: 127.0.0.1:1\nunknown: 1\nform: [xml]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err = app.Load(path); err == nil || !strings.Contains(err.Error(), path+":2:") || !strings.Contains(err.Error(), path+":3:") {
		t.Errorf("%v", err)
	}
}

// The terminal: who is who, a conversation, another person, and messages that come by themselves.
func TestTerminal(t *testing.T) {
	o := local(t, "")
	o.Config.Callback = echo(t, o.Credentials)
	a, _ := start(t, o)
	c := client.New("http://"+a.Addr(), nil)
	defer c.Close()
	var out bytes.Buffer
	in := strings.NewReader("/users\n菜单\n/user nobody\n/user wangwu\n我是王五\n/quit\nnever said\n")
	if err := c.Talk(t.Context(), in, &out, "zhangsan"); err != nil {
		t.Fatal(err)
	}
	at := 0
	for _, want := range []string{"现在是 张三（zhangsan）", "李四（lisi）", "收到：菜单", "没有这个人：nobody", "现在是 王五（wangwu）", "收到：我是王五"} {
		i := strings.Index(out.String()[at:], want)
		if i < 0 {
			t.Fatalf("no %q after byte %d of\n%s", want, at, out.String())
		}
		at += i + len(want)
	}
	if strings.Contains(out.String(), "never said") {
		t.Error("it went on after /quit")
	}
	if n := strings.Count(out.String(), "收到：菜单"); n != 1 {
		t.Errorf("an answer is printed %d times", n)
	}
	if err := c.Talk(t.Context(), strings.NewReader(""), io.Discard, "nobody"); err == nil {
		t.Error("nobody can talk")
	}
}
