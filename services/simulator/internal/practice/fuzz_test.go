package practice_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"palmops/services/simulator/internal/practice"
)

// Whatever is asked, the answer is a Kubernetes answer: JSON with a kind, and no failure of the server's own.
func FuzzRequests(f *testing.F) {
	const deploy = "/apis/apps/v1/namespaces/shop/deployments/web"
	f.Add("GET", "/apis/apps/v1/deployments?limit=2&watch=true&resourceVersion=1000", "", []byte(nil))
	f.Add("GET", "/api/v1/pods?continue=eyJydiI6MSwiYWZ0ZXIiOiJhIn0&labelSelector=a%3Db", "", []byte(nil))
	f.Add("GET", "/api/v1/namespaces?sendInitialEvents=true&watch=1&resourceVersionMatch=NotOlderThan", "", []byte(nil))
	f.Add("PUT", deploy, "application/json", []byte(`{"kind":"Deployment","apiVersion":"apps/v1","metadata":{"name":"web"}}`))
	f.Add("PUT", deploy+"/scale", "application/json", []byte(`{"kind":"Scale","apiVersion":"autoscaling/v1","metadata":{"name":"web"},"spec":{"replicas":4}}`))
	f.Add("PUT", deploy, "application/vnd.kubernetes.protobuf", []byte("k8s\x00\n\x15\n\x07apps/v1"))
	f.Add("PATCH", deploy, "application/merge-patch+json", []byte(`{"spec":{"replicas":-1,"selector":null,"template":{"metadata":null}}}`))
	f.Add("PATCH", deploy, "application/strategic-merge-patch+json", []byte(`{"spec":{"template":{"spec":{"containers":[{"$patch":"delete","name":"web"}]}}}}`))
	f.Add("PATCH", deploy+"/scale", "application/merge-patch+json", []byte(`{"spec":[]}`))
	f.Add("DELETE", "/api/v1/namespaces/shop/pods/x", "", []byte(nil))
	f.Add("DELETE", "/api/v1/namespaces/shop/pods/cache-0", "application/json", []byte(`{"kind":"DeleteOptions","apiVersion":"v1","preconditions":{"uid":"x"}}`))
	f.Add("POST", "/api/v1/namespaces/shop/pods/cache-0/eviction", "application/json", []byte(`{"kind":"Eviction","apiVersion":"policy/v1","metadata":{"name":"cache-0"}}`))
	f.Add("GET", "/api/v1/namespaces/shop/pods/cache-0/log?tailLines=3&sinceSeconds=60&container=cache", "", []byte(nil))
	f.Add("PATCH", "/apis/apps/v1/namespaces/shop/statefulsets/cache", "application/merge-patch+json", []byte(`{"spec":{"replicas":null,"template":{"metadata":{"labels":null}}}}`))
	f.Add("PUT", "/apis/apps/v1/namespaces/shop/statefulsets/cache/scale", "application/json", []byte(`{"kind":"Scale","apiVersion":"autoscaling/v1","metadata":{"name":"cache"},"spec":{"replicas":-4}}`))
	f.Add("PATCH", "/api/v1/nodes/practice-1", "application/strategic-merge-patch+json", []byte(`{"spec":{"unschedulable":true,"taints":[{}]}}`))
	f.Add("PATCH", "/api/v1/namespaces/shop/pods/cache-0", "application/merge-patch+json", []byte(`{"metadata":{"labels":null,"annotations":{"a":"b"}}}`))
	f.Add("GET", "/api/v1/events?fieldSelector=involvedObject.name%3Dweb", "", []byte(nil))
	f.Add("TRACE", "/", "", []byte(nil))
	cluster, err := practice.New(practice.Options{Now: time.Now, Log: zap.NewNop()})
	if err != nil {
		f.Fatal(err)
	}
	handler := cluster.Handler()
	f.Fuzz(func(t *testing.T, method, target, contentType string, body []byte) {
		ctx, cancel := context.WithCancel(context.Background())
		cancel() // a watch ends at once
		req, err := http.NewRequestWithContext(ctx, method, "http://localhost"+target, bytes.NewReader(body))
		if err != nil || !strings.HasPrefix(target, "/") {
			return
		}
		req.Header.Set("Content-Type", contentType)
		rec := httptest.NewRecorder()
		handler.ServeHTTP(rec, req)
		if rec.Code >= 500 && rec.Code != http.StatusGatewayTimeout { // which is a version of the future
			t.Fatalf("%d %s", rec.Code, rec.Body)
		}
		if strings.HasPrefix(req.URL.Path, "/api") && rec.Code >= 400 {
			var status struct{ Kind, Message string }
			if err := json.Unmarshal(rec.Body.Bytes(), &status); err != nil || status.Kind != "Status" || status.Message == "" {
				t.Fatalf("%d %s", rec.Code, rec.Body)
			}
		}
	})
}
