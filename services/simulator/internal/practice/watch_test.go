package practice_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	"palmops/services/simulator/internal/practice"
)

func TestPaging(t *testing.T) {
	w := newWorld(t, nil, nil)
	var names []string
	opts := metav1.ListOptions{Limit: 3}
	version := ""
	for page := 0; ; page++ {
		list, err := w.AppsV1().Deployments("").List(limited(t), opts)
		if err != nil {
			t.Fatal(err)
		}
		if version == "" {
			version = list.ResourceVersion
		}
		if list.ResourceVersion != version {
			t.Errorf("page %d is of version %s, the first of %s", page, list.ResourceVersion, version)
		}
		for _, d := range list.Items {
			names = append(names, d.Namespace+"/"+d.Name)
		}
		if list.Continue == "" {
			break
		}
		if len(list.Items) != 3 || list.RemainingItemCount == nil || *list.RemainingItemCount != int64(12-len(names)) {
			t.Errorf("page %d: %d items, %v left", page, len(list.Items), list.RemainingItemCount)
		}
		opts.Continue = list.Continue
	}
	if len(names) != 12 || !slices.IsSorted(names) || len(slices.Compact(slices.Clone(names))) != 12 {
		t.Errorf("%v", names)
	}
}

func TestTooOld(t *testing.T) {
	w := newWorld(t, func(o *practice.Options) { o.History = 5 }, nil)
	first, err := w.AppsV1().Deployments("").List(limited(t), metav1.ListOptions{Limit: 1})
	if err != nil {
		t.Fatal(err)
	}
	d := w.deployment(t, "shop", "web")
	n := int32(9)
	d.Spec.Replicas = &n
	if _, err = w.AppsV1().Deployments("shop").Update(limited(t), d, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	// The watch below may itself fall behind so short a history: ask until it is settled.
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for ctx := limited(t); !settled(w.deployment(t, "shop", "web")); {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatal("it does not settle")
		}
	}
	_, err = w.AppsV1().Deployments("").Watch(limited(t), metav1.ListOptions{ResourceVersion: first.ResourceVersion})
	if !apierrors.IsResourceExpired(err) {
		t.Errorf("watch: %v", err)
	}
	_, err = w.AppsV1().Deployments("").List(limited(t), metav1.ListOptions{Continue: first.Continue})
	if !apierrors.IsResourceExpired(err) {
		t.Errorf("continue: %v", err)
	}
	// Not through client-go, which does as it is told and tries again for ten seconds.
	resp, err := http.Get(w.base + "/apis/apps/v1/deployments?resourceVersion=999999&resourceVersionMatch=NotOlderThan")
	if err != nil {
		t.Fatal(err)
	}
	var status metav1.Status
	err = json.NewDecoder(resp.Body).Decode(&status)
	_ = resp.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	future := &apierrors.StatusError{ErrStatus: status}
	if err != nil || !apierrors.IsTimeout(future) || !apierrors.HasStatusCause(future, metav1.CauseTypeResourceVersionTooLarge) || resp.Header.Get("Retry-After") == "" {
		t.Errorf("the future: %+v, %v", status, err)
	}
	for _, bad := range []metav1.ListOptions{
		{ResourceVersion: "x"}, {FieldSelector: "status.phase=Running"}, {Continue: "%%%"}, {Continue: "bnVsbA"},
	} {
		if _, err := w.AppsV1().Deployments("").List(limited(t), bad); !apierrors.IsBadRequest(err) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
}

// A watch with a timeout ends by itself, with a bookmark of the newest version.
func TestWatchTimeoutAndBookmark(t *testing.T) {
	w := newWorld(t, nil, nil)
	second := int64(1)
	watching, err := w.AppsV1().Deployments("shop").Watch(limited(t), metav1.ListOptions{TimeoutSeconds: &second, AllowWatchBookmarks: true})
	if err != nil {
		t.Fatal(err)
	}
	defer watching.Stop()
	var kinds []watch.EventType
	version := ""
	for e := range watching.ResultChan() {
		kinds = append(kinds, e.Type)
		if d, ok := e.Object.(*appsv1.Deployment); ok {
			version = d.ResourceVersion
		}
	}
	want := []watch.EventType{watch.Added, watch.Added, watch.Added, watch.Added, watch.Added, watch.Bookmark}
	list, err := w.AppsV1().Deployments("shop").List(limited(t), metav1.ListOptions{})
	if err != nil || !slices.Equal(kinds, want) || version != list.ResourceVersion {
		t.Errorf("%v at %s, %v", kinds, version, err)
	}
}

// client-go's informers list by a watch, follow, and see a pod that is deleted come back.
func TestInformer(t *testing.T) {
	w := newWorld(t, nil, nil)
	factory := informers.NewSharedInformerFactoryWithOptions(w.Clientset, 0, informers.WithNamespace("pay"))
	pods := factory.Core().V1().Pods()
	gone, came := make(chan string, 16), make(chan string, 64)
	_, err := pods.Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(o any) { came <- nameOf(o) },
		DeleteFunc: func(o any) { gone <- nameOf(o) },
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(limited(t))
	factory.Start(ctx.Done())
	defer factory.Shutdown()
	defer cancel()
	for kind, ok := range factory.WaitForCacheSync(ctx.Done()) {
		if !ok {
			t.Fatalf("%v did not sync", kind)
		}
	}
	known := map[string]bool{}
	for range 5 {
		known[recv(t, came, "a pod")] = true
	}
	var victim string
	for victim = range known {
		break
	}
	if err := w.CoreV1().Pods("pay").Delete(ctx, victim, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if name := recv(t, gone, "the end of a pod"); name != victim {
		t.Errorf("%s went, not %s", name, victim)
	}
	if name := recv(t, came, "its successor"); known[name] {
		t.Errorf("%s came again", name)
	}
}

func nameOf(o any) string {
	name, err := cache.DeletionHandlingMetaNamespaceKeyFunc(o)
	if err != nil {
		return err.Error()
	}
	_, name, _ = strings.Cut(name, "/")
	return name
}

func recv[T any](t *testing.T, ch <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(hang):
		t.Fatalf("%s did not come", what)
		panic("unreachable")
	}
}

func TestContentTypes(t *testing.T) {
	for _, c := range []struct{ accept, content string }{
		{"application/json", "application/json"},
		{"application/vnd.kubernetes.protobuf", "application/vnd.kubernetes.protobuf"},
		{"application/vnd.kubernetes.protobuf,application/json", "application/vnd.kubernetes.protobuf"},
	} {
		w := newWorld(t, nil, func(cfg *rest.Config) { cfg.AcceptContentTypes, cfg.ContentType = c.accept, c.content })
		d := w.deployment(t, "shop", "worker")
		two := int32(2)
		d.Spec.Replicas = &two
		d, err := w.AppsV1().Deployments("shop").Update(limited(t), d, metav1.UpdateOptions{})
		if err != nil || *d.Spec.Replicas != 2 {
			t.Errorf("%+v: %v", c, err)
			continue
		}
		w.until(t, d, settled)
	}
	w := newWorld(t, nil, nil)
	for _, accept := range []string{"application/json;as=Table;v=v1;g=meta.k8s.io,application/json", "text/html", "*/*"} {
		req, err := http.NewRequest(http.MethodGet, w.base+"/api/v1/namespaces", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Accept", accept)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		var list metav1.List
		if err != nil || resp.StatusCode != http.StatusOK || json.Unmarshal(body, &list) != nil || list.Kind != "NamespaceList" {
			t.Errorf("%s: %d %.80s", accept, resp.StatusCode, body)
		}
	}
	http.DefaultClient.CloseIdleConnections()
}

// A cluster killed in the middle of a scaling goes on from where it was, and watches go on as well.
func TestRestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cluster.json")
	// Without a controller first, so that the scaling is surely unfinished.
	w := newWorld(t, func(o *practice.Options) { o.Path, o.Step = path, -1 }, nil)
	before := w.deployment(t, "shop", "web")
	five := int32(5)
	d := before.DeepCopy()
	d.Spec.Replicas = &five
	d, err := w.AppsV1().Deployments("shop").Update(limited(t), d, metav1.UpdateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	w.stop()
	w = newWorld(t, func(o *practice.Options) { o.Path = path }, nil)
	w.until(t, d, settled)
	got := w.deployment(t, "shop", "web")
	if got.UID != before.UID || *got.Spec.Replicas != 5 || got.Generation != 2 {
		t.Errorf("%+v", got)
	}
	_, err = w.AppsV1().Deployments("shop").Watch(limited(t), metav1.ListOptions{ResourceVersion: before.ResourceVersion})
	if !apierrors.IsResourceExpired(err) {
		t.Errorf("a watch from before the restart: %v", err)
	}
	w.stop()
	if err := os.WriteFile(path, []byte(`{"version":1,"obj`), 0o600); err != nil {
		t.Fatal(err)
	}
	w = newWorld(t, func(o *practice.Options) { o.Path = path }, nil)
	if got := w.deployment(t, "shop", "web"); *got.Spec.Replicas != 3 {
		t.Errorf("%d replicas in a new cluster", *got.Spec.Replicas)
	}
	if _, err := os.Stat(path + ".bad"); err != nil {
		t.Errorf("the damaged file is not put aside: %v", err)
	}
}

// A change that cannot be kept is refused and not visible.
func TestUnwritableState(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, func(o *practice.Options) { o.Path = filepath.Join(dir, "cluster.json") }, nil)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	d := w.deployment(t, "shop", "web")
	before := d.ResourceVersion
	nine := int32(9)
	d.Spec.Replicas = &nine
	if _, err := w.AppsV1().Deployments("shop").Update(limited(t), d, metav1.UpdateOptions{}); !apierrors.IsInternalError(err) {
		t.Errorf("%v", err)
	}
	if got := w.deployment(t, "shop", "web"); *got.Spec.Replicas != 3 || got.ResourceVersion != before {
		t.Errorf("%d replicas", *got.Spec.Replicas)
	}
}
