package practice_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"

	"palmops/services/simulator/internal/practice"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// hang is how long a test waits for something that must happen.
const hang = 30 * time.Second

// world is a running practice cluster and an unmodified client-go for it.
type world struct {
	*kubernetes.Clientset
	base string
	stop func()
}

func newWorld(t *testing.T, edit func(*practice.Options), config func(*rest.Config)) *world {
	t.Helper()
	o := practice.Options{Step: time.Millisecond, Now: time.Now, Log: zap.NewNop()}
	if edit != nil {
		edit(&o)
	}
	c, err := practice.New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	if o.Step > 0 {
		running.Go(func() { c.Run(ctx) })
	}
	server := httptest.NewServer(c.Handler())
	transport := &http.Transport{}
	cfg := &rest.Config{Host: server.URL, QPS: -1}
	if config != nil {
		config(cfg)
	}
	if err := rest.SetKubernetesDefaults(cfg); err != nil {
		t.Fatal(err)
	}
	set, err := kubernetes.NewForConfigAndClient(cfg, &http.Client{Transport: transport})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{Clientset: set, base: server.URL}
	w.stop = sync.OnceFunc(func() {
		cancel()
		running.Wait()
		server.CloseClientConnections()
		server.Close()
		transport.CloseIdleConnections()
	})
	t.Cleanup(w.stop)
	return w
}

func limited(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), hang)
	t.Cleanup(cancel)
	return ctx
}

func (w *world) deployment(t *testing.T, namespace, name string) *appsv1.Deployment {
	t.Helper()
	d, err := w.AppsV1().Deployments(namespace).Get(limited(t), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// settled is the rollout condition that kubectl rollout status waits for.
func settled(d *appsv1.Deployment) bool {
	want := *d.Spec.Replicas
	s := d.Status
	return s.ObservedGeneration >= d.Generation && s.Replicas == want && s.UpdatedReplicas == want && s.ReadyReplicas == want && s.AvailableReplicas == want
}

// until watches a deployment from the version of the given state until a condition holds, and returns all states on the way.
// The version must be a recent one: as in a real cluster, that of an object that nobody touched for long is too old to watch from.
func (w *world) until(t *testing.T, from *appsv1.Deployment, done func(*appsv1.Deployment) bool) []*appsv1.Deployment {
	t.Helper()
	lw := cache.NewListWatchFromClient(w.AppsV1().RESTClient(), "deployments", from.Namespace, fields.OneTermEqualSelector("metadata.name", from.Name))
	var seen []*appsv1.Deployment
	_, err := watchtools.Until(limited(t), from.ResourceVersion, lw, func(e watch.Event) (bool, error) {
		d, ok := e.Object.(*appsv1.Deployment)
		if !ok {
			return false, fmt.Errorf("event %v of a %T", e.Type, e.Object)
		}
		seen = append(seen, d)
		return done(d), nil
	})
	if err != nil {
		t.Fatalf("after %d events: %v", len(seen), err)
	}
	return seen
}
