package endpoint

import (
	"context"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/net/dns/dnsmessage"

	"palmops/libs/fault"
	"palmops/libs/lang"
	"palmops/libs/lang/langtest"
	"palmops/services/executor/internal/fill"
	"palmops/services/executor/internal/kind"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestTexts(t *testing.T) { langtest.Check(t, texts, ".") }

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}

// serve listens on an address of the loopback and is closed at the end.
func serve(t *testing.T, address string, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(h)
	s.Listener = l
	s.Start()
	t.Cleanup(s.Close)
	return s
}

func target(t *testing.T, base string, networks ...netip.Prefix) Target {
	t.Helper()
	u, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	return Target{Name: "cmdb", Base: u, Networks: networks, Timeout: 10 * time.Second}
}

func connect(t *testing.T, x Target) *Client {
	t.Helper()
	c, err := Connect(x)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func secretFile(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func get(path string) Request { return Request{Method: http.MethodGet, Path: path} }

func TestAddresses(t *testing.T) {
	list := prefixes("10.1.0.0/16", "169.254.0.0/16", "64:ff9b::/96", "0.0.0.0/0", "::/0")
	for address, want := range map[string][2]bool{ // without a list, with a list of all
		"93.184.216.34": {true, true}, "2606:2800:220:1::1": {true, true}, "::ffff:93.184.216.34": {true, true},
		"10.1.2.3": {false, true}, "127.0.0.1": {false, true}, "::1": {false, true}, "192.168.1.1": {false, true}, "172.31.0.1": {false, true},
		"100.64.1.1": {false, true}, "fd12::1": {false, true}, "::ffff:127.0.0.1": {false, true}, "2002:7f00:1::": {false, true},
		"169.254.169.254": {}, "::ffff:169.254.169.254": {}, "64:ff9b::a9fe:a9fe": {}, "2002:a9fe:a9fe::": {}, "fe80::1": {}, "fe80::1%eth0": {},
		"fd00:ec2::254": {}, "100.100.100.200": {}, "168.63.129.16": {}, "0.0.0.0": {}, "::": {}, "224.0.0.1": {}, "255.255.255.255": {},
	} {
		a := netip.MustParseAddr(address)
		got := [2]bool{Target{}.permit(a) == nil, Target{Networks: list}.permit(a) == nil}
		if got != want {
			t.Errorf("%s: %v, want %v", address, got, want)
		}
	}
	if err := (Target{Networks: prefixes("10.1.0.0/16")}).permit(netip.MustParseAddr("93.184.216.34")); !errors.Is(err, ErrAddress) {
		t.Errorf("outside of the list: %v", err)
	}
}

// names is a DNS server of the loopback that gives the addresses in turn, the last one forever.
func names(t *testing.T, addresses ...string) *net.Resolver {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	t.Cleanup(func() { _ = conn.Close(); <-ended })
	go func() {
		defer close(ended)
		buf := make([]byte, 1500)
		for n := 0; ; {
			size, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if m.Unpack(buf[:size]) != nil || len(m.Questions) != 1 {
				continue
			}
			m.Response, m.Authoritative, m.Additionals = true, true, nil
			if q := m.Questions[0]; q.Type == dnsmessage.TypeA {
				a := netip.MustParseAddr(addresses[min(n, len(addresses)-1)])
				n++
				m.Answers = []dnsmessage.Resource{{
					Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class}, Body: &dnsmessage.AResource{A: a.As4()},
				}}
			}
			if out, err := m.Pack(); err == nil {
				_, _ = conn.WriteTo(out, from)
			}
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
}

// TestRebinding: a name that resolves to a good address first and to another one then gets nowhere.
func TestRebinding(t *testing.T) {
	var inside atomic.Int64
	victim := serve(t, "127.0.0.3:0", func(http.ResponseWriter, *http.Request) { inside.Add(1) })
	_, port, _ := net.SplitHostPort(victim.Listener.Addr().String())
	good := serve(t, "127.0.0.2:"+port, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "close")
		_, _ = io.WriteString(w, "good")
	})
	c := connect(t, target(t, "http://rebind.example.:"+port, netip.MustParsePrefix("127.0.0.2/32")))
	c.resolver = names(t, "127.0.0.2", "127.0.0.3")
	if res, err := c.Read(t.Context(), get("/")); err != nil || res.Body != "good" {
		t.Fatalf("%s: %+v, %v", good.URL, res, err)
	}
	_, err := c.Read(t.Context(), get("/"))
	_, sent, serr := c.Send(t.Context(), Request{Method: http.MethodPost, Path: "/"}, func() error { return nil })
	if !errors.Is(err, ErrAddress) || !errors.Is(serr, ErrAddress) || sent || inside.Load() != 0 {
		t.Errorf("%v, %v, %d requests reached the other address", err, serr, inside.Load())
	}
	meta := connect(t, target(t, "http://meta.example.", netip.MustParsePrefix("169.254.0.0/16"), netip.MustParsePrefix("0.0.0.0/0")))
	meta.resolver = names(t, "169.254.169.254")
	_, err = meta.Read(t.Context(), get("/latest/meta-data"))
	for _, tag := range []lang.Tag{lang.Chinese, lang.English} {
		if e := Explain(err, tag, "cmdb"); !errors.Is(e, ErrAddress) || !fault.Is(e, fault.Denied) || !strings.Contains(fault.SafeIn(e, tag), "allow") {
			t.Errorf("%v", e)
		}
	}
	private := connect(t, target(t, victim.URL))
	if _, err := private.Read(t.Context(), get("/")); !errors.Is(err, ErrAddress) {
		t.Errorf("a loopback address that the catalog does not list: %v", err)
	}
}

// TestRedirects: they stay among the hosts of the catalog, and secrets go to the service itself only.
func TestRedirects(t *testing.T) {
	seen := make(chan string, 10)
	echo := func(w http.ResponseWriter, r *http.Request) {
		seen <- r.Header.Get("Authorization") + r.Header.Get("X-Token")
		_, _ = io.WriteString(w, "here")
	}
	listed := serve(t, "127.0.0.2:0", echo)
	unlisted := serve(t, "127.0.0.2:0", echo)
	var own *httptest.Server
	own = serve(t, "127.0.0.1:0", func(w http.ResponseWriter, r *http.Request) {
		to := map[string]string{
			"/listed": listed.URL + "/x", "/unlisted": unlisted.URL + "/x", "/own": own.URL + "/here", "/relative": "here", "/loop": "/loop",
			"/scheme": "file:///etc/passwd", "/user": strings.Replace(own.URL, "http://", "http://a:b@", 1), "/twice": "/own",
		}[r.URL.Path]
		if to == "" {
			echo(w, r)
			return
		}
		w.Header().Set("Location", to)
		w.WriteHeader(http.StatusFound)
	})
	x := target(t, own.URL, loopback...)
	x.Hosts = []string{listed.Listener.Addr().String()}
	value, _ := fill.Parse("Bearer ${secret}")
	x.Headers = []Header{{Name: "Authorization", Value: value, File: secretFile(t, "hunter22\n")}, {Name: "X-Token", Value: value, File: secretFile(t, "other-secret")}}
	c := connect(t, x)
	for path, want := range map[string]string{"/listed": "", "/own": "Bearer hunter22Bearer other-secret", "/relative": "Bearer hunter22Bearer other-secret", "/twice": "Bearer hunter22Bearer other-secret"} {
		res, err := c.Read(t.Context(), get(path))
		if err != nil || res.Body != "here" {
			t.Fatalf("%s: %+v, %v", path, res, err)
		}
		if got := <-seen; got != want {
			t.Errorf("%s: the headers were %q", path, got)
		}
	}
	for _, path := range []string{"/unlisted", "/loop", "/scheme", "/user"} {
		if _, err := c.Read(t.Context(), get(path)); !errors.Is(err, ErrRedirect) || !fault.Is(Explain(err, lang.Chinese, "cmdb"), fault.Denied) {
			t.Errorf("%s: %v", path, err)
		}
	}
	res, sent, err := c.Send(t.Context(), Request{Method: http.MethodPost, Path: "/own"}, func() error { return nil })
	if err != nil || !sent || res.Status != http.StatusFound || len(seen) != 0 {
		t.Errorf("a change was redirected: %+v, %v", res, err)
	}
	if !slices.Equal(c.Secrets(), []string{"hunter22", "other-secret"}) {
		t.Error(c.Secrets())
	}
}

// TestDowngrade: from https nothing leads to http.
func TestDowngrade(t *testing.T) {
	plain := serve(t, "127.0.0.1:0", func(http.ResponseWriter, *http.Request) { t.Error("asked without TLS") })
	secure := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/down" {
			http.Redirect(w, r, plain.URL, http.StatusFound)
			return
		}
		user, password, _ := r.BasicAuth()
		_, _ = io.WriteString(w, r.Method+user+password)
	}))
	t.Cleanup(secure.Close)
	x := target(t, secure.URL, loopback...)
	x.Hosts = []string{plain.Listener.Addr().String()}
	if _, err := connect(t, x).Read(t.Context(), get("/")); !fault.Is(Explain(err, lang.English, "cmdb"), fault.Denied) {
		t.Errorf("a certificate that nobody trusts: %v", err)
	}
	x.CA = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(x.CA, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	x.User, x.Password = "ops", secretFile(t, "hunter22")
	c := connect(t, x)
	if _, err := c.Read(t.Context(), get("/down")); !errors.Is(err, ErrRedirect) {
		t.Errorf("%v", err)
	}
	res, sent, err := c.Send(t.Context(), Request{Method: http.MethodPost, Path: "/", Body: []byte("{}")}, func() error { return nil })
	if err != nil || !sent || res.Body != "POSTopshunter22" || c.Reach(t.Context()) != nil {
		t.Errorf("%+v, %v", res, err)
	}
	if !slices.Contains(c.Secrets(), base64.StdEncoding.EncodeToString([]byte("ops:hunter22"))) {
		t.Error("the form that is sent is not among the secrets")
	}
}

// TestSendOnce: leave comes before the first byte, and nothing is ever sent again.
func TestSendOnce(t *testing.T) {
	var requests atomic.Int64
	s := serve(t, "127.0.0.1:0", func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		conn, _, err := http.NewResponseController(w).Hijack()
		if err == nil {
			_ = conn.Close() // without an answer
		}
	})
	c := connect(t, target(t, s.URL, loopback...))
	r := Request{Method: http.MethodPut, Path: "/", Body: []byte("{}"), Header: http.Header{"Idempotency-Key": {"1"}}}
	_, sent, err := c.Send(t.Context(), r, func() error { return kind.ErrLost })
	if !errors.Is(err, kind.ErrLost) || sent || requests.Load() != 0 {
		t.Errorf("without leave: %v, sent %t, %d requests", err, sent, requests.Load())
	}
	for n := range 3 {
		_, sent, err = c.Send(t.Context(), r, func() error { return nil })
		if err == nil || !sent || requests.Load() != int64(n+1) {
			t.Errorf("without an answer: %v, sent %t, %d requests", err, sent, requests.Load())
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	_, sent, err = c.Send(ctx, r, func() error { cancel(); return ctx.Err() })
	if err == nil || sent || requests.Load() != 3 {
		t.Errorf("stopped while it asked for leave: %v, sent %t", err, sent)
	}
	s.Close()
	if _, sent, err := c.Send(t.Context(), r, func() error { t.Error("asked for leave"); return nil }); err == nil || sent {
		t.Errorf("refused: %v, sent %t", err, sent)
	}
}

func TestLargeBody(t *testing.T) {
	s := serve(t, "127.0.0.1:0", func(w http.ResponseWriter, _ *http.Request) {
		chunk := strings.Repeat("x", 1<<20)
		for range 64 {
			if _, err := io.WriteString(w, chunk); err != nil {
				return // the client has seen enough
			}
		}
	})
	res, err := connect(t, target(t, s.URL, loopback...)).Read(t.Context(), get("/"))
	if err != nil || len(res.Body) != kind.MaxOutput || res.Dropped != maxRead-kind.MaxOutput {
		t.Errorf("%d bytes, %d dropped, %v", len(res.Body), res.Dropped, err)
	}
}

// TestStatuses: each has a kind and a sentence in both languages.
func TestStatuses(t *testing.T) {
	for status, want := range map[int]fault.Kind{401: fault.Denied, 403: fault.Denied, 404: fault.NotFound, 400: fault.Invalid, 409: fault.Conflict, 408: fault.Transient, 429: fault.Transient, 500: fault.Transient, 302: fault.Transient, 999: fault.Transient} {
		for _, tag := range []lang.Tag{lang.Chinese, lang.English} {
			err := Refused(Response{Status: status, Body: "a\x1b[31m\nb" + strings.Repeat("long ", 100)}, tag, "cmdb")
			text := fault.SafeIn(err, tag)
			if !fault.Is(err, want) || !strings.Contains(text, "cmdb") || strings.ContainsAny(text, "\n\x1b") || len(text) > 600 {
				t.Errorf("%d: %v %q", status, err, text)
			}
		}
	}
}

func TestFilesOfATarget(t *testing.T) {
	value, _ := fill.Parse("${secret}")
	open := secretFile(t, "x-secret")
	if err := os.Chmod(open, 0o644); err != nil {
		t.Fatal(err)
	}
	for name, file := range map[string]string{"readable by others": open, "missing": "/nonexistent", "empty": secretFile(t, "\n"), "two lines": secretFile(t, "a\nb")} {
		x := target(t, "http://localhost")
		x.Headers = []Header{{Name: "X", Value: value, File: file}}
		if _, err := Connect(x); !fault.Is(err, fault.Invalid) || strings.Contains(fmt.Sprint(err), "x-secret") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzURL(f *testing.F) {
	for _, s := range []string{"/a", "/a%2Fb", "/../x", "//evil.example/x", "/%2e%2e/x", "/a?b#c", "/@evil", "/\\evil", "/%", "/a:80"} {
		f.Add(s)
	}
	base, _ := url.Parse("https://cmdb.example.com:8443/api/v1")
	c := &Client{target: Target{Base: base}}
	f.Fuzz(func(t *testing.T, path string) {
		u, err := c.URL(Request{Path: path})
		if err != nil {
			return
		}
		again, err := url.Parse(u.String())
		if err != nil {
			return // http.NewRequest refuses it as well
		}
		if again.Host != base.Host || again.Scheme != "https" || again.User != nil || !strings.HasPrefix(again.Path, "/api/v1/") || again.RawQuery != "" || again.Fragment != "" {
			t.Errorf("%q leads to %s", path, again)
		}
	})
}
