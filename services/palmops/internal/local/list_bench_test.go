package local

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"palmops/services/palmops/internal/outsidetest"
)

// deployment is one as a real API sends it: about 3 kB, most of it of no use to a list.
const deployment = `{"metadata":{"name":"svc-%04d","namespace":"shop","uid":"00000000-0000-4000-8000-%012d","resourceVersion":"%d","generation":1,` +
	`"labels":{"app":"svc-%04d","team":"retail","tier":"backend"},"annotations":{"deployment.kubernetes.io/revision":"3","note":"%s"},` +
	`"managedFields":[{"manager":"kubectl","operation":"Update","apiVersion":"apps/v1","fieldsType":"FieldsV1","fieldsV1":{"f:spec":{"f:replicas":{},"f:note":{"f:%s":{}}}}}]},` +
	`"spec":{"replicas":3,"selector":{"matchLabels":{"app":"svc-%04d"}},"template":{"metadata":{"labels":{"app":"svc-%04d"}},` +
	`"spec":{"containers":[{"name":"main","image":"registry.example/svc:1.2.3","env":[{"name":"A","value":"%s"}],"resources":{"limits":{"cpu":"1","memory":"1Gi"}}}]}}},` +
	`"status":{"replicas":3,"readyReplicas":3,"updatedReplicas":3,"availableReplicas":3,"observedGeneration":1,` +
	`"conditions":[{"type":"Available","status":"True","reason":"MinimumReplicasAvailable","message":"Deployment has minimum availability."}]}}`

// largeCluster is a local API with n deployments in every namespace, in pages as a client asks for them.
func largeCluster(n int) http.Handler {
	filler := strings.Repeat("x", 500)
	items := make([]string, n)
	for i := range items {
		items[i] = fmt.Sprintf(deployment, i, i, i+1, i, filler, filler, i, i, filler)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if strings.HasSuffix(r.URL.Path, "/namespaces") {
			_ = json.NewEncoder(w).Encode(map[string]any{"kind": "NamespaceList", "apiVersion": "v1", "items": []any{ // a client that went away is its own affair
				map[string]any{"metadata": map[string]any{"name": "shop"}},
			}})
			return
		}
		from, _ := strconv.Atoi(r.URL.Query().Get("continue"))
		limit, _ := strconv.Atoi(r.URL.Query().Get("limit"))
		to := n
		if limit > 0 {
			to = min(n, from+limit)
		}
		next := ""
		if to < n {
			next = strconv.Itoa(to)
		}
		fmt.Fprintf(w, `{"kind":"DeploymentList","apiVersion":"apps/v1","metadata":{"resourceVersion":"9999","continue":%q},"items":[%s]}`, next, strings.Join(items[from:to], ","))
	})
}

// readPages is the yardstick of a list: its pages read one by one and decoded as far as a list needs them.
func readPages(b *testing.B, url string) (items int) {
	b.Helper()
	from := ""
	for {
		resp, err := http.Get(url + "/apis/apps/v1/namespaces/shop/deployments?limit=500&continue=" + from)
		if err != nil {
			b.Fatal(err)
		}
		var page struct {
			Metadata struct{ Continue string }
			Items    []struct {
				Metadata struct{ Name string }
				Spec     struct{ Replicas int }
				Status   struct{ ReadyReplicas int }
			}
		}
		err = json.NewDecoder(resp.Body).Decode(&page)
		_ = resp.Body.Close()
		if err != nil {
			b.Fatal(err)
		}
		items += len(page.Items)
		if from = page.Metadata.Continue; from == "" {
			return items
		}
	}
}

// BenchmarkLimitList is the time from the message that asks for a list of 5,000 deployments to page one as the passive
// reply, with everything between the phone and a local API. The API answers in JSON, which takes longest to read; real ones can
// do better (BenchmarkLimitIdle in services/executor/app has one). The yardstick is the same pages read by the benchmark itself.
// On a machine that is busy enough dialog has not waited for the list: late counts those, with the time that they were waited for.
func BenchmarkLimitList(b *testing.B) {
	api := httptest.NewServer(largeCluster(5000))
	defer api.Close()
	kubeconfig := writeKubeconfig(b, api.URL)
	r := start(b, func(o *Options) { o.Kubeconfig = kubeconfig })
	c := outsidetest.New(b, r.CallbackURL(), filepath.Join(r.config, "wecom.env"))
	defer c.Close()
	defer http.DefaultClient.CloseIdleConnections()
	say := func(text string) string {
		plain, _ := c.Typed("zhangsan", text)
		reply, err := c.Post(b.Context(), plain)
		if err != nil {
			b.Fatal(err)
		}
		return reply
	}
	var took, yard []time.Duration
	late := 0
	for b.Loop() {
		say("00")
		say("1-1-1") // up to the choice of a namespace
		began := time.Now()
		reply := say("1")
		took = append(took, time.Since(began))
		if !strings.Contains(reply, "svc-0000  3/3") {
			if late++; took[len(took)-1] < 500*time.Millisecond {
				b.Fatalf("no page one: %s", reply)
			}
		}
		began = time.Now()
		if n := readPages(b, api.URL); n != 5000 {
			b.Fatalf("%d deployments", n)
		}
		yard = append(yard, time.Since(began))
	}
	slices.Sort(took)
	slices.Sort(yard)
	list, reading := took[len(took)/2], yard[len(yard)/2]
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(list.Milliseconds()), "list-ms")
	b.ReportMetric(float64(took[len(took)-1].Milliseconds()), "slowest-ms")
	b.ReportMetric(float64(reading.Milliseconds()), "reading-ms")
	b.ReportMetric(float64(late), "late")
	b.ReportMetric(float64(list)/float64(reading), "readings")
}
