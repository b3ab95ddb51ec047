//go:build e2e

package kubernetes_test

import (
	"encoding/pem"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"testing"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
)

// gate stands between a kind and the API server, and does to requests what a bad network does.
type gate struct {
	path string // of a kubeconfig that leads through it

	mu     sync.Mutex
	before func(*http.Request)      // called before a request is passed on; it may hold it
	lose   func(*http.Request) bool // of which requests the answer is lost, if it is a good one
	lost   func()                   // called when one was lost
}

func newGate(t *testing.T, context string) *gate {
	t.Helper()
	cfg, err := clientcmd.NewNonInteractiveClientConfig(*config(t, "kubeconfig"), context, nil, nil).ClientConfig()
	if err != nil {
		t.Fatal(err)
	}
	target, err := url.Parse(cfg.Host)
	if err != nil {
		t.Fatal(err)
	}
	transport, err := rest.TransportFor(rest.AnonymousClientConfig(cfg)) // users bring their tokens along
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{}
	proxy := &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport:     transport,
		FlushInterval: -1,
		ErrorHandler:  func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.mu.Lock()
		before, lose, lost := g.before, g.lose, g.lost
		g.mu.Unlock()
		if before != nil {
			before(r)
		}
		if lose != nil && lose(r) {
			answer := httptest.NewRecorder()
			proxy.ServeHTTP(answer, r)
			if answer.Code/100 == 2 {
				lost()
				panic(http.ErrAbortHandler)
			}
			maps.Copy(w.Header(), answer.Header())
			w.WriteHeader(answer.Code)
			_, _ = w.Write(answer.Body.Bytes()) // the reader may have gone
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(srv.Close)
	g.path = kubeconfig(t, context, func(cfg *api.Config) {
		c := cfg.Clusters[cfg.Contexts[context].Cluster]
		c.Server, c.CertificateAuthority = srv.URL, ""
		c.CertificateAuthorityData = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw})
	})
	return g
}

// on sets what happens before a request is passed on.
func (g *gate) on(f func(*http.Request)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.before = f
}

// losing sets of which requests a good answer is lost, and what happens then.
func (g *gate) losing(lose func(*http.Request) bool, lost func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.lose, g.lost = lose, lost
}
