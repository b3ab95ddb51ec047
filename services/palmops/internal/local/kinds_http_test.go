package local

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/redis/go-redis/v9"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"palmops/libs/bus"
)

const balancerToken = "token-of-the-balancer-7f3a"

// balancer is the API of a load balancer. It is careless: web-3 tells its token to everybody.
type balancer struct {
	*httptest.Server
	mu     sync.Mutex
	states map[string]string
	calls  []string            // that changed something
	within map[string]int      // calls at work, by host
	most   int                 // calls that were at work on one host at once
	gates  map[string]*gate    // by host: a call comes in and waits
	cut    map[string]struct{} // hosts whose calls are carried out and not answered
	keys   []string            // idempotency keys
}

// gate holds one call.
type gate struct{ came, leave chan struct{} }

func newBalancer(t *testing.T) *balancer {
	t.Helper()
	b := &balancer{
		states: map[string]string{"web-1": "active", "web-2": "active", "web-3": "active", "db-1": "active"},
		within: map[string]int{}, gates: map[string]*gate{}, cut: map[string]struct{}{"web-2": {}},
	}
	b.Server = httptest.NewServer(b)
	t.Cleanup(b.Close)
	return b
}

// swaps put the balancer in the place of the one that a sample names.
func (b *balancer) swaps() []string {
	return []string{"https://lb.example.com/api/v1", b.URL + "/api/v1", "10.20.0.0/16", "127.0.0.0/8"}
}

func (b *balancer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") != "Bearer "+balancerToken {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	path := strings.Split(strings.TrimPrefix(r.URL.Path, "/api/v1/hosts"), "/")
	switch {
	case r.Method == http.MethodGet && len(path) == 1:
		b.list(w)
	case r.Method == http.MethodGet:
		b.show(w, r, path[1])
	case len(path) == 3:
		b.change(w, r, path[1], map[string]string{"drain": "draining", "enable": "active"}[path[2]])
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

type host struct {
	Name        string `json:"name"`
	State       string `json:"state"`
	Connections int    `json:"connections"`
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // who asked is gone
}

func (b *balancer) list(w http.ResponseWriter) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var all []host
	for _, name := range []string{"db-1", "web-1", "web-2", "web-3"} {
		all = append(all, host{Name: name, State: b.states[name]})
	}
	answer(w, map[string]any{"hosts": all})
}

func (b *balancer) show(w http.ResponseWriter, r *http.Request, name string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	h := host{Name: name, State: b.states[name], Connections: 12}
	if name == "web-3" {
		h.State += " for " + r.Header.Get("Authorization")
	}
	answer(w, h)
}

func (b *balancer) change(w http.ResponseWriter, r *http.Request, name, state string) {
	b.mu.Lock()
	b.within[name]++
	b.most = max(b.most, b.within[name])
	g := b.gates[name]
	delete(b.gates, name)
	b.mu.Unlock()
	if g != nil {
		close(g.came)
		<-g.leave
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.within[name]--
	if name == "web-3" {
		w.WriteHeader(http.StatusConflict)
		fmt.Fprintf(w, `{"error": "web-3 is pinned; you came with %s"}`, r.Header.Get("Authorization"))
		return
	}
	b.states[name] = state
	b.calls = append(b.calls, name+" "+state)
	b.keys = append(b.keys, r.Header.Get("Idempotency-Key"))
	if _, cut := b.cut[name]; cut {
		panic(http.ErrAbortHandler) // the connection ends without an answer
	}
	answer(w, host{Name: name, State: state})
}

// hold lets the next call of a host come in and wait.
func (b *balancer) hold(name string) *gate {
	g := &gate{make(chan struct{}), make(chan struct{})}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.gates[name] = g
	return g
}

func (b *balancer) seen() (calls []string, most int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string(nil), b.calls...), b.most
}

// TestBalancer calls a service with a secret, one of whose answers gets lost, and looks for the secret in everything that stays.
func TestBalancer(t *testing.T) {
	b := newBalancer(t)
	core, logs := observer.New(zap.DebugLevel)
	r := shipped{kind: "http", swaps: b.swaps(), files: map[string]string{"lb.token": balancerToken + "\n"}}.start(t, func(o *Options) { o.Log = zap.New(core) })
	r.plays(t, "http")
	if calls, most := b.seen(); strings.Join(calls, ",") != "web-1 draining,web-2 draining,web-1 active" || most != 1 {
		t.Errorf("calls %q, %d at once", calls, most)
	}
	for _, k := range b.keys {
		if len(k) < 8 {
			t.Errorf("idempotency key %q", k)
		}
	}
	if seen := r.everything(t, "zhangsan"); !strings.Contains(seen, "web-3") {
		t.Error("nothing was searched")
	} else if i := strings.Index(seen, balancerToken); i >= 0 {
		t.Errorf("the secret is in …%q…", seen[max(0, i-300):i+60])
	}
	for _, e := range logs.All() {
		if strings.Contains(fmt.Sprint(e.Message, e.ContextMap()), balancerToken) {
			t.Errorf("the secret is in the log: %+v", e)
		}
	}
}

// everything is what streams, buckets and the store of conversations hold, and what stands on some phones.
func (r *running) everything(t *testing.T, users ...string) string {
	t.Helper()
	var all strings.Builder
	link, err := bus.Connect(t.Context(), bus.Options{InProcess: r.nats, Name: "search"})
	if err != nil {
		t.Fatal(err)
	}
	defer link.Close()
	names := link.JS.StreamNames(t.Context())
	for name := range names.Name() {
		stream, err := link.JS.Stream(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		for seq := max(1, stream.CachedInfo().State.FirstSeq); seq <= stream.CachedInfo().State.LastSeq; seq++ {
			msg, err := stream.GetMsg(t.Context(), seq)
			if errors.Is(err, jetstream.ErrMsgNotFound) {
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintln(&all, name, msg.Subject, msg.Header, string(msg.Data))
		}
	}
	if err := names.Err(); err != nil {
		t.Fatal(err)
	}
	opt, err := redis.ParseURL(r.redis.url())
	if err != nil {
		t.Fatal(err)
	}
	opt.DisableIdentity = true
	store := redis.NewClient(opt)
	defer store.Close()
	keys, err := store.Keys(t.Context(), "*").Result()
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range keys {
		fmt.Fprintln(&all, k, store.Get(t.Context(), k).Val(), store.HGetAll(t.Context(), k).Val(), store.LRange(t.Context(), k, 0, -1).Val())
	}
	for _, u := range users {
		messages, err := r.phones.Client.Messages(t.Context(), u, 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range messages {
			fmt.Fprintf(&all, "%s %+v\n", u, m)
		}
	}
	return all.String()
}
