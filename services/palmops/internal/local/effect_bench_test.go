package local

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"palmops/libs/bus/bustest"
	"palmops/libs/redistest"
	"palmops/libs/wire"
	"palmops/services/palmops/internal/outsidetest"
)

// readyCluster is a local API with the deployment shop/web, whose replicas are ready at once. It tells when a change arrives.
func readyCluster(changed chan<- time.Time) http.Handler {
	const path = "/apis/apps/v1/namespaces/shop/deployments"
	var mu sync.Mutex
	replicas, rv := 3, 10
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		at := time.Now()
		mu.Lock()
		defer mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		web := fmt.Sprintf(`{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"namespace":"shop","name":"web","uid":"u","resourceVersion":"%d","generation":%d},`+
			`"spec":{"replicas":%d},"status":{"observedGeneration":%d,"replicas":%d,"updatedReplicas":%d,"readyReplicas":%d}}`, rv, rv, replicas, rv, replicas, replicas, replicas)
		switch {
		case r.URL.Path == "/api/v1/namespaces":
			fmt.Fprint(w, `{"apiVersion":"v1","kind":"NamespaceList","metadata":{},"items":[{"metadata":{"name":"shop"}}]}`)
		case r.URL.Path == path:
			fmt.Fprintf(w, `{"apiVersion":"apps/v1","kind":"DeploymentList","metadata":{},"items":[%s]}`, web)
		case r.URL.Path == path+"/web":
			fmt.Fprint(w, web)
		case r.URL.Path == path+"/web/scale" && r.Method == http.MethodPut:
			changed <- at
			var s struct{ Spec struct{ Replicas int } }
			if err := json.NewDecoder(r.Body).Decode(&s); err != nil {
				w.WriteHeader(http.StatusBadRequest)
				return
			}
			replicas, rv = s.Spec.Replicas, rv+1
			fmt.Fprintf(w, `{"apiVersion":"autoscaling/v1","kind":"Scale","metadata":{"name":"web"},"spec":{"replicas":%d}}`, replicas)
		default:
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","code":404,"reason":"NotFound"}`)
		}
	})
}

// writeKubeconfig writes a kubeconfig that leads to an API without authentication.
func writeKubeconfig(b *testing.B, url string) string {
	b.Helper()
	path := filepath.Join(b.TempDir(), "kubeconfig")
	text := "apiVersion: v1\nkind: Config\ncurrent-context: a\ncontexts: [{name: a, context: {cluster: a, user: a}}]\nusers: [{name: a, user: {}}]\n" +
		"clusters: [{name: a, cluster: {server: " + url + "}}]\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		b.Fatal(err)
	}
	return path
}

// BenchmarkLimitEffect is the time from the phone's confirmation to the request that changes something, as the API receives it:
// the encrypted callback, the gateway, dialog with a real Redis, the order, the executor's record and locks, what the kind
// reads first, and the change, with each step on the bus written through to the disk. order-ms is the part after dialog
// published the order. The yardstick is one durable write to the bus, measured between the orders; an action needs five
// before its first effect: the message, the order, the lock of the target, and its record two times. An action is
// confirmed five times a second, since the executor asks a cluster 50 times a second at most, and a conversation takes eight.
func BenchmarkLimitEffect(b *testing.B) {
	rs, server := redistest.New(b), bustest.New(b)
	changed := make(chan time.Time, 1)
	api := httptest.NewServer(readyCluster(changed))
	defer api.Close()
	kubeconfig := writeKubeconfig(b, api.URL)
	r := start(b, func(o *Options) { o.RedisURL, o.NATSURL, o.Kubeconfig = rs.URL(), server.URL(), kubeconfig })
	c := outsidetest.New(b, r.CallbackURL(), filepath.Join(r.config, "wecom.env"))
	defer c.Close()
	nb := server.Connect("bench")
	ordered, results := make(chan time.Time, 1), make(chan wire.Event, 16)
	subscribe := func(subject string, f func(*nats.Msg)) {
		if _, err := nb.NC.Subscribe(subject, f); err != nil {
			b.Fatal(err)
		}
	}
	subscribe("act.>", func(*nats.Msg) { ordered <- time.Now() })
	subscribe("res.>", func(m *nats.Msg) {
		var ev wire.Event
		if json.Unmarshal(m.Data, &ev) == nil && wire.Final(ev.State) {
			results <- ev
		}
	})
	if err := nb.NC.Flush(); err != nil {
		b.Fatal(err)
	}
	say := func(text string) string {
		plain, _ := c.Typed("zhangsan", text)
		reply, err := c.Post(b.Context(), plain)
		if err != nil {
			b.Fatal(err)
		}
		return reply
	}
	kv, err := nb.JS.KeyValue(b.Context(), wire.BucketActions)
	if err != nil {
		b.Fatal(err)
	}
	var whole, order, yard []time.Duration
	pace := time.NewTicker(200 * time.Millisecond)
	defer pace.Stop()
	for i := 0; b.Loop(); i++ {
		<-pace.C
		for _, text := range []string{"00", "1-1-1", "1", "1"} { // to the action, its namespace and its deployment
			say(text)
		}
		if reply := say(fmt.Sprint(4 + i%2)); !strings.Contains(reply, "确认") {
			b.Fatalf("no confirmation: %s", reply)
		}
		begun := time.Now()
		reply := say("1")
		var at time.Time
		select {
		case at = <-changed:
		case <-time.After(10 * time.Second):
			b.Fatalf("nothing changed: %s", reply)
		}
		whole, order = append(whole, at.Sub(begun)), append(order, at.Sub(<-ordered))
		if ev := <-results; ev.State != wire.StateSucceeded {
			b.Fatalf("%+v", ev)
		}
		begun = time.Now()
		if _, err := kv.Put(b.Context(), "lock.local.yardstick", []byte("{}")); err != nil {
			b.Fatal(err)
		}
		yard = append(yard, time.Since(begun))
	}
	of := func(took []time.Duration, part int) float64 {
		slices.Sort(took)
		return float64(took[len(took)*part/100].Microseconds()) / 1000
	}
	b.ReportMetric(of(whole, 50), "p50-ms")
	b.ReportMetric(of(whole, 99), "p99-ms")
	b.ReportMetric(of(order, 50), "order-ms")
	b.ReportMetric(of(yard, 50), "write-ms")
	b.ReportMetric(of(whole, 50)/of(yard, 50), "writes")
	b.ReportMetric(0, "ns/op")
}
