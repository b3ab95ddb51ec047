package app

import (
	"net"
	"net/http"
	"testing"

	"palmops/libs/wecom"
)

// from is a client whose address is another one of the loopback network.
func from(t *testing.T, addr string) *http.Client {
	t.Helper()
	tr := &http.Transport{DisableKeepAlives: true, DialContext: (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(addr)}}).DialContext}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

type forwarded struct {
	base   http.RoundTripper
	values []string
}

func (f forwarded) RoundTrip(r *http.Request) (*http.Response, error) {
	r.Header["X-Forwarded-For"] = f.values
	r.Header.Set("X-Real-Ip", "127.0.0.1")
	r.Header.Set("Forwarded", "for=127.0.0.1")
	return f.base.RoundTrip(r)
}

func TestOnlyAllowedPeersMayCall(t *testing.T) {
	w := newWorld(t)
	g := w.start(nil)
	w.dialog(echo, nil)
	stranger := from(t, "127.0.0.2")
	d := w.seal(wecom.FormXML, w.text("zhangsan", "1"))
	if a := w.post(stranger, g.url, d); a.status != 403 {
		t.Errorf("a stranger: %v", a)
	}
	forger := &http.Client{Transport: forwarded{stranger.Transport, []string{"127.0.0.1"}}}
	if a := w.post(forger, g.url, d); a.status != 403 {
		t.Errorf("a stranger with a forged header: %v", a)
	}
	if g.count("refused_total", "reason", "address") != 2 || len(w.inbound()) != 0 {
		t.Error("not refused by address")
	}
	// The same header from WeCom itself changes nothing either.
	if a := w.post(&http.Client{Transport: forwarded{client.Transport, []string{"127.0.0.2"}}}, g.url, d); a.status != 200 {
		t.Errorf("an allowed peer: %v", a)
	}
}

func TestATrustedProxySaysForWhomItCalls(t *testing.T) {
	w := newWorld(t)
	g := w.start(func(o *Options) {
		o.Config.TrustedProxies = []string{"127.0.0.2", "10.0.0.*"}
		o.Config.Allow.Static = []string{"127.0.0.1", "192.0.2.*"}
	})
	w.dialog(echo, nil)
	proxy := from(t, "127.0.0.2")
	for _, c := range []struct {
		header []string
		status int
	}{
		{[]string{"192.0.2.9"}, 200},
		{[]string{"192.0.2.9, 198.51.100.1"}, 403},   // the client wrote the first one itself
		{[]string{"192.0.2.9", "198.51.100.1"}, 403}, // the same in two headers
		{[]string{"198.51.100.1, 192.0.2.9"}, 200},
		{[]string{"nonsense"}, 403},
		{nil, 403},
	} {
		a := w.post(&http.Client{Transport: forwarded{proxy.Transport, c.header}}, g.url, w.seal(wecom.FormXML, w.text("zhangsan", "1")))
		if a.status != c.status {
			t.Errorf("%q: %v, want %d", c.header, a, c.status)
		}
	}
}
