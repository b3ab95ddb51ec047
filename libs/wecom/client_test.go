package wecom

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"palmops/libs/fault"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	testCorp   = "wwtest"
	testSecret = "s3cr3t-value"
)

// fakeAPI is a qyapi that hands out tokens T1, T2, … and answers the rest by the functions in its map.
type fakeAPI struct {
	*httptest.Server
	fetched atomic.Int64 // how often gettoken was asked
	mu      sync.Mutex
	calls   []string // the paths asked, in order, without gettoken
	token   func(w http.ResponseWriter, n int64)
	answer  map[string]func(w http.ResponseWriter, r *http.Request)
}

func newFakeAPI(t *testing.T) *fakeAPI {
	t.Helper()
	f := &fakeAPI{answer: map[string]func(http.ResponseWriter, *http.Request){}}
	f.token = func(w http.ResponseWriter, n int64) {
		fmt.Fprintf(w, `{"errcode":0,"errmsg":"ok","access_token":"T%d","expires_in":7200}`, n)
	}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		api := strings.TrimPrefix(r.URL.Path, "/cgi-bin/")
		if api == "gettoken" {
			q := r.URL.Query()
			if q.Get("corpid") != testCorp || q.Get("corpsecret") != testSecret {
				t.Errorf("credentials %v", q)
			}
			f.token(w, f.fetched.Add(1))
			return
		}
		f.mu.Lock()
		f.calls = append(f.calls, api+" "+r.URL.Query().Get("access_token"))
		answer := f.answer[api]
		f.mu.Unlock()
		if answer == nil {
			t.Errorf("unexpected call of %s", api)
			http.NotFound(w, r)
			return
		}
		answer(w, r)
	}))
	t.Cleanup(f.Close)
	return f
}

func (f *fakeAPI) on(api string, answer func(w http.ResponseWriter, r *http.Request)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answer[api] = answer
}

func (f *fakeAPI) made() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string(nil), f.calls...)
}

// client is one that does not wait between tries.
func (f *fakeAPI) client(t *testing.T, change ...func(*ClientOptions)) *Client {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	o := ClientOptions{
		BaseURL: f.URL + "/", CorpID: testCorp, Secret: testSecret, AgentID: 1000002,
		HTTP: &http.Client{Transport: transport},
	}
	for _, change := range change {
		change(&o)
	}
	c := NewClient(o)
	c.backoff = func(int) time.Duration { return 0 }
	return c
}

func say(body string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) }
}

// wantKind checks the kind of err, and that it tells no secret.
func wantKind(t *testing.T, err error, kind fault.Kind) {
	t.Helper()
	if fault.KindOf(err) != kind {
		t.Errorf("error %v has the kind %q, want %q", err, fault.KindOf(err), kind)
	}
	if err != nil && (strings.Contains(err.Error(), testSecret) || strings.Contains(err.Error(), "access_token")) {
		t.Errorf("the error tells a secret: %v", err)
	}
}

func TestSendWritesWhatTheDocumentationAsksFor(t *testing.T) {
	f := newFakeAPI(t)
	var got []map[string]any
	f.on("message/send", func(w http.ResponseWriter, r *http.Request) {
		var m map[string]any
		if err := json.NewDecoder(r.Body).Decode(&m); err != nil {
			t.Error(err)
		}
		got = append(got, m)
		if ct := r.Header.Get("Content-Type"); ct != "application/json" || r.Method != http.MethodPost {
			t.Errorf("%s %s", r.Method, ct)
		}
		_, _ = io.WriteString(w, `{"errcode":0,"errmsg":"ok","msgid":"m1","invaliduser":"a|b","response_code":"r"}`)
	})
	c := f.client(t)
	result, err := c.Send(t.Context(), OutMessage{ToUser: "zhangsan", Text: "你好 <a>", DuplicateCheck: 30 * time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	if result.MsgID != "m1" || result.ResponseCode != "r" || fmt.Sprint(result.InvalidUser) != "[a b]" || result.Unlicensed != nil {
		t.Errorf("%+v", result)
	}
	if _, err := c.Send(t.Context(), OutMessage{ToUser: "zhangsan", MsgType: TypeMarkdown, Text: "**x**"}); err != nil {
		t.Fatal(err)
	}
	want := `[{"agentid":1000002,"duplicate_check_interval":1800,"enable_duplicate_check":1,"msgtype":"text",` +
		`"text":{"content":"你好 <a>"},"touser":"zhangsan"},` +
		`{"agentid":1000002,"markdown":{"content":"**x**"},"msgtype":"markdown","touser":"zhangsan"}]`
	var sb strings.Builder
	enc := json.NewEncoder(&sb)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(got); err != nil || strings.TrimSpace(sb.String()) != want {
		t.Errorf("sent %s, want %s (%v)", sb.String(), want, err)
	}
	if f.fetched.Load() != 1 {
		t.Errorf("gettoken asked %d times", f.fetched.Load())
	}
}

func TestSendRefusesWhatWeComWouldCut(t *testing.T) {
	c := newFakeAPI(t).client(t) // any request would fail the test
	for _, m := range []OutMessage{
		{Text: "x"},
		{ToUser: "a"},
		{ToUser: "a", Text: strings.Repeat("x", MaxText+1)},
		{ToUser: "a", Text: "\xff"},
		{ToUser: "a", Text: "x", MsgType: "image"},
		{ToUser: "a", Text: "x", DuplicateCheck: 5 * time.Hour},
		{ToUser: "a", Text: "x", DuplicateCheck: -1},
		{ToUser: strings.Repeat("a|", 1000) + "a", Text: "x"},
	} {
		_, err := c.Send(t.Context(), m)
		wantKind(t, err, fault.Invalid)
	}
}

func TestBusyIsTriedThreeTimes(t *testing.T) {
	for _, tc := range []struct {
		busy, want int
		kind       fault.Kind
	}{{1, 2, ""}, {2, 3, ""}, {9, 3, fault.Transient}} {
		f := newFakeAPI(t)
		n := 0
		f.on("message/send", func(w http.ResponseWriter, _ *http.Request) {
			if n++; n <= tc.busy {
				_, _ = io.WriteString(w, `{"errcode":-1,"errmsg":"system busy"}`)
				return
			}
			_, _ = io.WriteString(w, `{"errcode":0,"msgid":"m"}`)
		})
		_, err := f.client(t).Send(t.Context(), OutMessage{ToUser: "a", Text: "x"})
		wantKind(t, err, tc.kind)
		if n != tc.want {
			t.Errorf("busy %d times: %d requests, want %d", tc.busy, n, tc.want)
		}
	}
}

func TestCodesHaveKindsAndAreNotRetried(t *testing.T) {
	for code, kind := range map[int]fault.Kind{
		60020: fault.Denied, 48006: fault.Denied, 301002: fault.Denied, 81013: fault.NotFound, 60111: fault.NotFound,
		40058: fault.Invalid, 42045: fault.Invalid, 82001: fault.Invalid, 45009: fault.Transient, 45033: fault.Transient,
		6000: fault.Transient, 60140: fault.Expired, 99999: fault.Internal,
	} {
		f := newFakeAPI(t)
		f.on("message/send", say(fmt.Sprintf(`{"errcode":%d,"errmsg":"a\nb"}`, code)))
		_, err := f.client(t).Send(t.Context(), OutMessage{ToUser: "a", Text: "x"})
		wantKind(t, err, kind)
		var e *APIError
		if !errors.As(err, &e) || e.Code != code || e.API != "message/send" || e.Msg != "a b" {
			t.Errorf("%d: %#v", code, err)
		}
		if n := len(f.made()); n != 1 {
			t.Errorf("%d: %d requests, want 1", code, n)
		}
	}
}

// hangUp takes the request and closes the connection without an answer.
func hangUp(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	conn, _, err := http.NewResponseController(w).Hijack()
	if err == nil {
		_ = conn.Close()
	}
}

func TestLostAnswers(t *testing.T) {
	for _, tc := range []struct {
		name       string
		answer     func(http.ResponseWriter, *http.Request)
		send, read fault.Kind
	}{
		{"connection closed", hangUp, fault.Unknown, fault.Transient},
		{"half an answer", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, `{"errcode":0`)
		}, fault.Unknown, fault.Transient},
		{"bad gateway", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }, fault.Unknown, fault.Transient},
		{"too many requests", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTooManyRequests) }, fault.Transient, fault.Transient},
		{"not found", http.NotFound, fault.Internal, fault.Internal},
		{"redirect", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/elsewhere?"+r.URL.RawQuery, http.StatusTemporaryRedirect)
		}, fault.Internal, fault.Internal},
		{"no JSON", say("<html>"), fault.Unknown, fault.Internal},
		{"another shape", say(`{"errcode":0,"msgid":[1],"ip_list":"x"}`), fault.Unknown, fault.Internal},
		{"two values", say(`{"errcode":0}{"errcode":0}`), fault.Unknown, fault.Internal},
		{"oversized", say(`{"errcode":0,"x":"` + strings.Repeat("x", maxResponse) + `"}`), fault.Unknown, fault.Internal},
		{"empty list", say(`{"errcode":0,"ip_list":[]}`), "", fault.Transient},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := newFakeAPI(t)
			f.on("message/send", tc.answer)
			f.on("getcallbackip", tc.answer)
			c := f.client(t)
			_, err := c.Send(t.Context(), OutMessage{ToUser: "a", Text: "x"})
			wantKind(t, err, tc.send)
			_, err = c.CallbackIPs(t.Context())
			wantKind(t, err, tc.read)
			if n := len(f.made()); n != 2 {
				t.Errorf("%d requests, want 2: %v", n, f.made())
			}
		})
	}
}

func TestAnswerThatComesTooLateLeavesTheOutcomeOpen(t *testing.T) {
	f := newFakeAPI(t)
	there, release := make(chan struct{}), make(chan struct{})
	defer close(release)
	f.on("message/send", func(http.ResponseWriter, *http.Request) {
		close(there)
		<-release
	})
	c := f.client(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { _, err := c.Send(ctx, OutMessage{ToUser: "a", Text: "x"}); done <- err }()
	<-there
	cancel()
	wantKind(t, <-done, fault.Unknown)
}

func TestUnreachableAPIIsTransient(t *testing.T) {
	f := newFakeAPI(t)
	c := f.client(t)
	if err := c.keepForTest(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.Close()
	_, err := c.Send(t.Context(), OutMessage{ToUser: "a", Text: "x"})
	wantKind(t, err, fault.Transient)
	_, err = NewClient(ClientOptions{BaseURL: "http://\x7f"}).User(t.Context(), "a")
	wantKind(t, err, fault.Internal)
}

// keepForTest has c fetch its token, and close the connection that it came over.
func (c *Client) keepForTest(ctx context.Context) error {
	_, err := c.token(ctx, "")
	c.http.CloseIdleConnections()
	return err
}

func TestDirectory(t *testing.T) {
	f := newFakeAPI(t)
	f.on("user/get", func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Query().Get("userid") {
		case "zhang san&x=1":
			_, _ = io.WriteString(w, `{"errcode":0,"errmsg":"ok","userid":"zhangsan","name":"张三","department":[2,3],`+
				`"order":[1,2],"main_department":2,"is_leader_in_dept":[1,0],"direct_leader":["lisi"],"position":"运维","alias":"z","status":1}`)
		case "nobody":
			_, _ = io.WriteString(w, `{"errcode":60111,"errmsg":"userid not found"}`)
		default:
			_, _ = io.WriteString(w, `{"errcode":0}`)
		}
	})
	f.on("department/simplelist", say(`{"errcode":0,"department_id":[{"id":1,"parentid":0,"order":9},{"id":2,"parentid":1,"order":5}]}`))
	c := f.client(t)
	u, err := c.User(t.Context(), "zhang san&x=1")
	if err != nil {
		t.Fatal(err)
	}
	want := User{"zhangsan", "张三", []int64{2, 3}, 2, []bool{true, false}, []string{"lisi"}, "运维", "z", 1}
	if fmt.Sprintf("%+v", u) != fmt.Sprintf("%+v", want) {
		t.Errorf("%+v, want %+v", u, want)
	}
	_, err = c.User(t.Context(), "nobody")
	wantKind(t, err, fault.NotFound)
	_, err = c.User(t.Context(), "unnamed")
	wantKind(t, err, fault.Internal)
	_, err = c.User(t.Context(), "")
	wantKind(t, err, fault.Invalid)
	d, err := c.Departments(t.Context())
	if err != nil || len(d) != 2 || d[1] != (Department{ID: 2, ParentID: 1, Order: 5}) {
		t.Errorf("%+v, %v", d, err)
	}
}

func TestBusyIsNotWaitedForWhenTheCallerLeaves(t *testing.T) {
	f := newFakeAPI(t)
	f.on("getcallbackip", say(`{"errcode":-1,"errmsg":"system busy"}`))
	c := f.client(t)
	ctx, cancel := context.WithCancel(t.Context())
	c.backoff = func(int) time.Duration { cancel(); return time.Hour }
	_, err := c.CallbackIPs(ctx)
	wantKind(t, err, fault.Transient)
	if n := len(f.made()); n != 1 {
		t.Errorf("%d requests, want 1", n)
	}
}

func TestDefaultsOfTheClient(t *testing.T) {
	c := NewClient(ClientOptions{})
	if c.base != defaultBaseURL || c.tokens == nil || c.now == nil || c.http == http.DefaultClient {
		t.Errorf("%+v", c)
	}
	if long := printable(strings.Repeat("中", 100)); len(long) > 256 || !strings.HasSuffix(long, "中") {
		t.Errorf("%q", long)
	}
}
