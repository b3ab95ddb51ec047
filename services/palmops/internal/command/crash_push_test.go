package command

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"palmops/services/simulator/client"
)

// api stands between the gateway and WeCom's API. It counts the messages that are sent, and once held is made it keeps
// the answer to the next one for itself: WeCom has shown the message, and the gateway does not know.
type api struct {
	url  string
	sent atomic.Int64
	held atomic.Pointer[chan struct{}] // closed when an answer is kept
}

func newAPI(t testing.TB, wecom string) *api {
	t.Helper()
	to, err := url.Parse(wecom)
	if err != nil {
		t.Fatal(err)
	}
	a := &api{}
	transport := &http.Transport{Proxy: nil}
	proxy := &httputil.ReverseProxy{
		Transport: transport,
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(to) },
		ModifyResponse: func(r *http.Response) error {
			if r.Request.URL.Path != "/cgi-bin/message/send" {
				return nil
			}
			a.sent.Add(1)
			if kept := a.held.Swap(nil); kept != nil {
				close(*kept)
				<-r.Request.Context().Done() // the gateway is dead
			}
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	}
	srv := httptest.NewServer(proxy)
	t.Cleanup(func() { srv.Close(); transport.CloseIdleConnections() })
	a.url = srv.URL
	return a
}

// hold keeps the answer to the next message, and closes what it returns when it has it.
func (a *api) hold() <-chan struct{} {
	kept := make(chan struct{})
	a.held.Store(&kept)
	return kept
}

// behind makes the gateway's configuration speak to WeCom through an api.
func (s *split) behind(a *api, simulator string) {
	s.t.Helper()
	path := filepath.Join(s.config, "gateway.yaml")
	data, err := os.ReadFile(path)
	if err != nil {
		s.t.Fatal(err)
	}
	changed := strings.ReplaceAll(string(data), "api_base: "+simulator, "api_base: "+a.url)
	if changed == string(data) {
		s.t.Fatalf("no api_base: %s in\n%s", simulator, data)
	}
	if err := os.WriteFile(path, []byte(changed), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// TestSplitGatewayKilledAfterThePush: WeCom has a message, and the gateway that sent it is killed before it has the answer, or before the
// bus has its acknowledgement. The next gateway sends it again, and by WeCom's duplicate check the person has it once.
func TestSplitGatewayKilledAfterThePush(t *testing.T) {
	t.Parallel()
	ctx, s := longGuard(t), newSplit(t)
	a := newAPI(t, s.simulator)
	s.behind(a, s.simulator)
	to := []string{"5", "3"}
	for _, push := range []struct {
		name string
		walk func() (text string) // up to the message that leads to the push
		want string
		kind string
	}{
		{"a result", func() string {
			next := to[0]
			to = to[1:]
			s.road(ctx, "web", next)
			return "1"
		}, "已完成 #", client.KindText},
		{"an image", func() string {
			tools := s.say(ctx, number(s.t, s.say(ctx, "菜单", "公共工具"), "公共工具"), "演练报告")
			s.say(ctx, number(s.t, tools, "演练报告"), "演练报告")
			return "3"
		}, "已完成 #", client.KindImage},
		{"a card", func() string {
			s.say(ctx, "文字", "文字")
			s.say(ctx, "菜单", "1. 零售事业部")
			return "卡片"
		}, "零售事业部", client.KindCard},
	} {
		for _, moment := range []string{"before the answer", "before the acknowledgement"} {
			t.Run(push.name+" "+moment, func(t *testing.T) {
				s.t, s.page.t = t, t
				g := newGate(t, s.nats.URL())
				s.gateway.kill()
				s.gateway = s.spawnFrom(s.config, "gateway", "NATS_URL="+g.url)
				text := push.walk()
				s.quiet(ctx)
				after, sent := s.last(ctx), a.sent.Load()
				plain, _ := s.outside.Typed("zhangsan", text)
				var moved <-chan struct{}
				if moment == "before the answer" {
					moved = a.hold()
				} else {
					g.shutAt("+ACK", false)
					moved = g.shut
				}
				answer := s.post(ctx, plain)
				select {
				case <-moved:
				case <-ctx.Done():
					t.Fatalf("nothing was pushed; the callback was answered with %+v", <-answer)
				}
				s.gateway.kill()
				<-answer // the reply may have been under way
				shown, err := s.page.phones.Client.Messages(ctx, "zhangsan", uint64(after), 0)
				if err != nil || len(shown) == 0 {
					t.Errorf("WeCom had not shown it: %v", err)
				}
				s.gateway = s.spawn("gateway")
				s.page.hear(ctx, "zhangsan", after, push.want)
				s.quiet(ctx)
				all, err := s.page.phones.Client.Messages(ctx, "zhangsan", uint64(after), 0)
				if err != nil {
					t.Fatal(err)
				}
				seen, kinds := map[string]int{}, map[string]int{}
				for _, m := range all {
					seen[m.Kind+" "+m.Text]++
					kinds[m.Kind]++
				}
				for text, n := range seen {
					if n > 1 {
						t.Errorf("the person has it %d times: %s", n, text)
					}
				}
				if kinds[push.kind] == 0 {
					t.Errorf("no %s among %v", push.kind, seen)
				}
				if again := int(a.sent.Load()-sent) - len(all); again < 1 {
					t.Errorf("%d messages were sent, %d shown: nothing was sent again", a.sent.Load()-sent, len(all))
				}
			})
		}
	}
	s.t, s.page.t = t, t
}
