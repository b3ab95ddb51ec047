package http

import (
	"encoding/json"
	"fmt"
	"io"
	nethttp "net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"palmops/libs/fault"
	"palmops/libs/lang"
	"palmops/libs/lang/langtest"
	"palmops/libs/wire"
	"palmops/services/executor/catalog"
	"palmops/services/executor/internal/endpoint"
	"palmops/services/executor/internal/kind"
	"palmops/services/executor/internal/kind/kindtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestTexts(t *testing.T) { langtest.Check(t, texts, ".") }

const secret = "hunter22-and-more"

// cmdb is a service with hosts. A drain changes a host's state unless mode says otherwise.
type cmdb struct {
	*httptest.Server
	mu     sync.Mutex
	states map[string]string
	posts  []string // bodies of requests that were carried out
	keys   []string
	mode   string
	free   chan struct{} // closed at the end, for requests that hang
}

func serve(t *testing.T) *cmdb {
	t.Helper()
	s := &cmdb{states: map[string]string{"web-1": "active", "web-2": "active"}, free: make(chan struct{})}
	mux := nethttp.NewServeMux()
	mux.HandleFunc("GET /api/hosts", func(w nethttp.ResponseWriter, _ *nethttp.Request) {
		_, _ = io.WriteString(w, `{"hosts":[{"name":"web-2","title":"二\n号","rack":7},{"name":"web-1"},{"name":"web-1"},{"name":{"a":1}},{"title":"x"},3]}`)
	})
	mux.HandleFunc("GET /api/hosts/{host}", s.get)
	mux.HandleFunc("POST /api/hosts/{host}/drain", s.drain)
	mux.HandleFunc("GET /api/echo", func(w nethttp.ResponseWriter, r *nethttp.Request) {
		_, _ = io.WriteString(w, r.Header.Get("Authorization"))
	})
	mux.HandleFunc("GET /api/big", func(w nethttp.ResponseWriter, _ *nethttp.Request) {
		for range 2 * kind.MaxOutput / 1024 {
			_, _ = io.WriteString(w, strings.Repeat("x", 1023)+"\n")
		}
	})
	mux.HandleFunc("GET /api/query", func(w nethttp.ResponseWriter, r *nethttp.Request) {
		data, _ := json.Marshal(map[string]any{"query": r.URL.RawQuery, "n": json.Number("12345678901234567890"), "i": 9007199254740993, "list": []int{1, 2}})
		_, _ = w.Write(data)
	})
	mux.HandleFunc("GET /api/hang", func(nethttp.ResponseWriter, *nethttp.Request) { <-s.free })
	s.Server = httptest.NewServer(mux)
	t.Cleanup(func() { close(s.free); s.Close() })
	return s
}

func (s *cmdb) get(w nethttp.ResponseWriter, r *nethttp.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	state, ok := s.states[r.PathValue("host")]
	switch {
	case s.mode == "blind" && len(s.posts) > 0:
		w.WriteHeader(nethttp.StatusBadGateway)
	case !ok:
		nethttp.Error(w, "no such host", nethttp.StatusNotFound)
	default:
		_, _ = fmt.Fprintf(w, `{"state":%q,"owner":{"name":"ops"}}`, state)
	}
}

func (s *cmdb) drain(w nethttp.ResponseWriter, r *nethttp.Request) {
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	mode := s.mode
	if mode != "refuse" {
		s.posts = append(s.posts, string(body))
		s.keys = append(s.keys, r.Header.Get("Idempotency-Key"))
	}
	if mode != "refuse" && mode != "dead" && mode != "odd" {
		s.states[r.PathValue("host")] = "draining"
	}
	if mode == "odd" {
		s.states[r.PathValue("host")] = "odd"
	}
	s.mu.Unlock()
	switch mode {
	case "refuse":
		nethttp.Error(w, "host is\nlocked", nethttp.StatusConflict)
	case "broken", "dead", "odd", "blind":
		w.WriteHeader(nethttp.StatusInternalServerError)
	case "reset":
		if c, _, err := nethttp.NewResponseController(w).Hijack(); err == nil {
			_ = c.Close()
		}
	case "hang":
		select {
		case <-s.free:
		case <-r.Context().Done():
		}
	default:
		_, _ = io.WriteString(w, `{"state":"draining"}`)
	}
}

func (s *cmdb) set(mode string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mode, s.posts, s.keys = mode, nil, nil
	s.states["web-1"], s.states["web-2"] = "active", "active"
}

func (s *cmdb) effects() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.posts)
}

// sample is the catalog of the README with the base of a real service, and more actions.
func sample(t *testing.T, base, more string) *catalog.Catalog {
	t.Helper()
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindSubmatch(readme)
	if m == nil {
		t.Fatal("the README has no sample")
	}
	text := string(m[1])
	if base != "" {
		text = strings.NewReplacer("https://cmdb.example.com/api/v1", base+"/api", "10.20.0.0/16", "127.0.0.0/8", "      ca_file: internal-ca.pem\n", "").Replace(text)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "cmdb.token"), []byte(secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := catalog.Decode(filepath.Join(dir, "catalog.yaml"), []byte(text+more), catalog.Kinds{Spec()})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

const moreActions = `
  plain.drain:
    {kind: http, verb: call, params: {host: {type: string, pattern: line}}, settings: {path: "/hosts/${host}/drain"}}
  raw.get: {kind: http, verb: get, params: {at: {type: string, pattern: line}}, settings: {path: "/${at}"}}
  query.fields:
    kind: http
    verb: fields
    params: {q: {type: string, pattern: line, optional: true}, n: {type: int}}
    settings: {path: /query, query: {q: "${q}", n: "x${n}$$"}, extract: {query: $.query, num: $.n, i: $.i, list: "$.list[*]", whole: $.list, none: $.none}}
`

func made(t *testing.T, c *catalog.Catalog) *Kind {
	t.Helper()
	k, err := New(catalog.Targets[endpoint.Target](c, Targets))
	if err != nil {
		t.Fatal(err)
	}
	k.pause = time.Millisecond
	t.Cleanup(k.Close)
	return k
}

func action(t *testing.T, c *catalog.Catalog, name string) catalog.Action {
	t.Helper()
	a, ok := c.Action(name)
	if !ok {
		t.Fatalf("no action %s", name)
	}
	return a
}

func TestSampleOfTheReadme(t *testing.T) {
	c := sample(t, "", "")
	if n := len(c.Actions()); n != 4 {
		t.Errorf("%d actions", n)
	}
	if s := action(t, c, "cmdb.drain").Settings.(Settings); s.Method != "POST" || s.Probe == nil || s.Idempotency != "Idempotency-Key" {
		t.Errorf("%+v", s)
	}
	if !json.Valid(Spec().Schema) {
		t.Error("the schema is no JSON")
	}
}

func TestPromises(t *testing.T) {
	s := serve(t)
	c := sample(t, s.URL, moreActions)
	of := func(name string, mode string, args map[string]any) func(*testing.T) (catalog.Action, map[string]any) {
		return func(t *testing.T) (catalog.Action, map[string]any) {
			s.mu.Lock()
			s.mode = mode
			s.states["web-1"] = "active"
			s.mu.Unlock()
			return action(t, c, name), args
		}
	}
	host := map[string]any{"host": "web-1"}
	kindtest.Run(t, kindtest.Subject{
		New:     func(t *testing.T) kind.Kind { return made(t, c) },
		Change:  of("cmdb.drain", "", host),
		Effects: func(*testing.T) int { return s.effects() },
		Slow:    of("plain.drain", "hang", host),
		Refused: of("cmdb.drain", "", map[string]any{"host": "none"}),
		Verbose: of("raw.get", "", map[string]any{"at": "big"}),
		Leaky:   of("raw.get", "", map[string]any{"at": "echo"}), Secret: secret,
		Bad: map[string]map[string]any{"a path": {"host": "../x"}, "no host": {}, "too long": {"host": "web-1", "minutes": int64(601)}},
		Down: func(t *testing.T) kind.Kind {
			targets := catalog.Targets[endpoint.Target](c, Targets)
			x := targets["cmdb"]
			base := *x.Base
			base.Path = "/api/hang"
			x.Base, x.Timeout = &base, time.Minute
			// Every path below hangs: the service takes the request and says nothing.
			hang := httptest.NewServer(nethttp.HandlerFunc(func(_ nethttp.ResponseWriter, r *nethttp.Request) { <-r.Context().Done() }))
			t.Cleanup(hang.Close)
			x.Base.Host = strings.TrimPrefix(hang.URL, "http://")
			k, err := New(map[string]endpoint.Target{"cmdb": x})
			if err != nil {
				t.Fatal(err)
			}
			return k
		},
	})
}

// TestTruth: what a call reports, by what the service did.
func TestTruth(t *testing.T) {
	s := serve(t)
	c := sample(t, s.URL, moreActions)
	k := made(t, c)
	for name, x := range map[string]struct {
		action, mode, state, say string
		effects                  int
	}{
		"done":                      {"cmdb.drain", "", wire.StateSucceeded, "主机 web-1 已开始排空，状态 draining", 1},
		"refused":                   {"cmdb.drain", "refuse", wire.StateFailed, "409 Conflict）：host is locked。", 0},
		"500 but done":              {"cmdb.drain", "broken", wire.StateSucceeded, "确认已生效", 1},
		"500 and not done":          {"cmdb.drain", "dead", wire.StateFailed, "确认没有执行", 1},
		"500 and nobody knows":      {"cmdb.drain", "odd", wire.StateUnknown, "hosts/web-1", 1},
		"500 and then no look":      {"cmdb.drain", "blind", wire.StateUnknown, "不要直接重试", 1},
		"reset but done":            {"cmdb.drain", "reset", wire.StateSucceeded, "确认已生效", 1},
		"reset without a probe":     {"plain.drain", "reset", wire.StateUnknown, "/hosts/web-1/drain", 1},
		"500 without a probe":       {"plain.drain", "broken", wire.StateUnknown, "500 Internal Server Error", 1},
		"refused without a probe":   {"plain.drain", "refuse", wire.StateFailed, "没有执行", 0},
		"succeeded without a probe": {"plain.drain", "", wire.StateSucceeded, "POST /hosts/web-1/drain", 1},
	} {
		s.set(x.mode)
		w := kind.Work{ID: "action-1234", Action: action(t, c, x.action), Args: map[string]any{"host": "web-1"}, Lang: lang.Chinese}
		before, err := k.Prepare(t.Context(), w)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		r := k.Apply(t.Context(), w, before, &kindtest.Hand{})
		if r.State != x.state || !strings.Contains(r.Text, x.say) || s.effects() != x.effects {
			t.Errorf("%s: %s %q, %d effects", name, r.State, r.Text, s.effects())
		}
	}
	// Already as it is wanted: nobody can tell what a lost call did.
	s.set("reset")
	s.states["web-1"] = "draining"
	w := kind.Work{ID: "action-1234", Action: action(t, c, "cmdb.drain"), Args: map[string]any{"host": "web-1", "minutes": int64(5)}, Lang: lang.English}
	before, err := k.Prepare(t.Context(), w)
	if err != nil {
		t.Fatal(err)
	}
	if r := k.Apply(t.Context(), w, before, &kindtest.Hand{}); r.State != wire.StateUnknown || !strings.Contains(r.Text, "was so before") {
		t.Errorf("%+v", r)
	}
	if diff := cmp.Diff([]string{`{"by":"palmops","minutes":5}`}, s.posts); diff != "" || s.keys[0] != "action-1234" {
		t.Error(diff, s.keys)
	}
	if got := k.Target(kind.Query{Action: w.Action, Args: w.Args}); got != "http/cmdb/hosts/web-1" {
		t.Error(got)
	}
	s.Close()
	if r := k.Apply(t.Context(), w, before, &kindtest.Hand{}); r.State != wire.StateFailed || !strings.Contains(r.Text, "Nothing was done") {
		t.Errorf("nobody listens: %+v", r)
	}
}

func TestAnswers(t *testing.T) {
	s := serve(t)
	c := sample(t, s.URL, moreActions)
	k := made(t, c)
	ask := func(name string, args map[string]any) (wire.Answer, error) {
		return k.Answer(t.Context(), kind.Query{Action: action(t, c, name), Args: args, Lang: lang.Chinese})
	}
	a, err := ask("cmdb.hosts", nil)
	want := []wire.Item{{Value: "web-2", Label: "二 号", Detail: "7"}, {Value: "web-1"}, {Value: `{"a":1}`}}
	if diff := cmp.Diff(want, a.Items); diff != "" || err != nil {
		t.Error(diff, err)
	}
	a, err = ask("cmdb.host", map[string]any{"host": "web-1"})
	if diff := cmp.Diff(map[string]string{"state": "active", "owner": "ops"}, a.Fields); diff != "" || err != nil {
		t.Error(diff, err)
	}
	if _, err = ask("cmdb.host", map[string]any{"host": "web-9"}); !fault.Is(err, fault.NotFound) {
		t.Errorf("%v", err)
	}
	if _, err = ask("cmdb.host", map[string]any{"host": "a/../../secret"}); !fault.Is(err, fault.Invalid) {
		t.Errorf("%v", err)
	}
	a, err = ask("query.fields", map[string]any{"q": "a&b=c #", "n": int64(3)})
	if diff := cmp.Diff(map[string]string{"query": "n=x3%24&q=a%26b%3Dc+%23", "num": "12345678901234567890", "i": "9007199254740993", "list": "1, 2", "whole": "[1,2]", "none": ""}, a.Fields); diff != "" || err != nil {
		t.Error(diff, err)
	}
	if a, err = ask("query.fields", map[string]any{"n": int64(3)}); a.Fields["query"] != "n=x3%24" || err != nil {
		t.Error(a, err)
	}
	show := kind.Work{Action: action(t, c, "cmdb.show"), Args: map[string]any{"host": "web-1"}, Lang: lang.English}
	if r := k.Apply(t.Context(), show, nil, &kindtest.Hand{}); r.State != wire.StateSucceeded || r.Text != "the host web-1 is active" || r.Output != "state: active\n" {
		t.Errorf("%+v", r)
	}
	if r := k.Probe(t.Context(), show, nil); r.State != wire.StateFailed {
		t.Errorf("%+v", r)
	}
}
