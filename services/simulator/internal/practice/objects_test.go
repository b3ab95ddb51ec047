package practice_test

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"

	"palmops/services/simulator/internal/practice"
)

func TestRevisionsAndUndo(t *testing.T) {
	w := newWorld(t, nil, nil)
	sets := func() map[string]string { // images by revision
		t.Helper()
		list, err := w.AppsV1().ReplicaSets("shop").List(limited(t), metav1.ListOptions{LabelSelector: "app=api"})
		if err != nil {
			t.Fatal(err)
		}
		out := map[string]string{}
		for _, rs := range list.Items {
			out[rs.Annotations["deployment.kubernetes.io/revision"]] = rs.Spec.Template.Spec.Containers[0].Image
		}
		return out
	}
	want := map[string]string{"1": "registry.local/shop/api:5.1.0", "2": "registry.local/shop/api:5.1.9", "3": "registry.local/shop/api:5.2.0"}
	if got := sets(); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Fatalf("%v", got)
	}
	// As kubectl rollout undo does it: the whole template of revision 1.
	patch := `{"spec":{"template":{"$patch":"replace","metadata":{"labels":{"app":"api"}},"spec":` +
		`{"restartPolicy":"Always","dnsPolicy":"ClusterFirst","containers":[{"name":"api","image":"registry.local/shop/api:5.1.0","imagePullPolicy":"IfNotPresent",` +
		`"ports":[{"containerPort":9000,"protocol":"TCP"}],"resources":{"limits":{"memory":"256Mi"},"requests":{"cpu":"100m","memory":"128Mi"}}}]}}}}`
	d, err := w.AppsV1().Deployments("shop").Patch(limited(t), "api", types.StrategicMergePatchType, []byte(patch), metav1.PatchOptions{})
	if err != nil {
		t.Fatal(err)
	}
	w.until(t, d, func(d *appsv1.Deployment) bool {
		return settled(d) && d.Annotations["deployment.kubernetes.io/revision"] == "4"
	})
	delete(want, "1")
	want["4"] = "registry.local/shop/api:5.1.0"
	if got := sets(); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%v", got)
	}
	pods, err := w.CoreV1().Pods("shop").List(limited(t), metav1.ListOptions{LabelSelector: "app=api"})
	if err != nil || len(pods.Items) != 2 {
		t.Fatalf("%d pods, %v", len(pods.Items), err)
	}
	for _, p := range pods.Items {
		if o := metav1.GetControllerOf(&p); o == nil || o.Kind != "ReplicaSet" || !strings.HasPrefix(p.Name, o.Name+"-") {
			t.Errorf("%s belongs to %+v", p.Name, o)
		}
	}
}

func stands(s *appsv1.StatefulSet, n int32) bool {
	st := s.Status
	return st.ObservedGeneration == s.Generation && st.Replicas == n && st.ReadyReplicas == n && st.UpdatedReplicas == n && st.CurrentRevision == st.UpdateRevision
}

func TestStatefulSet(t *testing.T) {
	w := newWorld(t, nil, nil)
	api := w.AppsV1().StatefulSets("shop")
	s, err := api.Get(limited(t), "cache", metav1.GetOptions{})
	if err != nil || !stands(s, 3) {
		t.Fatalf("%+v, %v", s, err)
	}
	follow := func(rv string, done func(*appsv1.StatefulSet) bool) {
		t.Helper()
		lw := cache.NewListWatchFromClient(w.AppsV1().RESTClient(), "statefulsets", "shop", fields.OneTermEqualSelector("metadata.name", "cache"))
		_, err := watchtools.Until(limited(t), rv, lw, func(e watch.Event) (bool, error) {
			s, ok := e.Object.(*appsv1.StatefulSet)
			return ok && done(s), nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	scale := func(rv string, n int32) (*autoscalingv1.Scale, error) {
		return api.UpdateScale(limited(t), "cache", &autoscalingv1.Scale{
			ObjectMeta: metav1.ObjectMeta{Name: "cache", Namespace: "shop", ResourceVersion: rv}, Spec: autoscalingv1.ScaleSpec{Replicas: n},
		}, metav1.UpdateOptions{})
	}
	if _, err := scale("1", 5); !apierrors.IsConflict(err) {
		t.Errorf("%v", err)
	}
	after, err := scale(s.ResourceVersion, 5)
	if err != nil {
		t.Fatal(err)
	}
	follow(after.ResourceVersion, func(s *appsv1.StatefulSet) bool { return stands(s, 5) })
	patch := []byte(`{"spec":{"template":{"metadata":{"annotations":{"kubectl.kubernetes.io/restartedAt":"now"}}}}}`)
	s, err = api.Patch(limited(t), "cache", types.StrategicMergePatchType, patch, metav1.PatchOptions{})
	if err != nil {
		t.Fatal(err)
	}
	least := int32(5)
	follow(s.ResourceVersion, func(s *appsv1.StatefulSet) bool { least = min(least, s.Status.ReadyReplicas); return stands(s, 5) })
	if least != 4 {
		t.Errorf("down to %d ready", least)
	}
	s, err = api.Get(limited(t), "cache", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if after, err = scale(s.ResourceVersion, 1); err != nil {
		t.Fatal(err)
	}
	follow(after.ResourceVersion, func(s *appsv1.StatefulSet) bool { return stands(s, 1) })
	if _, err := w.CoreV1().Pods("shop").Get(limited(t), "cache-0", metav1.GetOptions{}); err != nil {
		t.Error(err)
	}
}

// A drain by hand: no new pods, and the old ones evicted as far as the budget lets them.
func TestEviction(t *testing.T) {
	still := newWorld(t, func(o *practice.Options) { o.Step = -1 }, nil) // nothing moves
	pods, err := still.CoreV1().Pods("pay").List(limited(t), metav1.ListOptions{LabelSelector: "app=gateway"})
	if err != nil || len(pods.Items) != 3 {
		t.Fatalf("%d, %v", len(pods.Items), err)
	}
	evict := func(p *corev1.Pod, uid types.UID) error {
		return still.CoreV1().Pods("pay").EvictV1(limited(t), &policyv1.Eviction{
			ObjectMeta:    metav1.ObjectMeta{Name: p.Name, Namespace: p.Namespace},
			DeleteOptions: &metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid}},
		})
	}
	one, two := &pods.Items[0], &pods.Items[1]
	if err := evict(one, "another"); !apierrors.IsConflict(err) {
		t.Errorf("%v", err)
	}
	if err := evict(one, one.UID); err != nil {
		t.Errorf("%v", err)
	}
	err = evict(two, two.UID)
	if !apierrors.IsTooManyRequests(err) || !apierrors.HasStatusCause(err, policyv1.DisruptionBudgetCause) {
		t.Errorf("%v", err)
	}
	if err := evict(one, one.UID); err != nil {
		t.Errorf("again: %v", err)
	}
	got, err := still.CoreV1().Pods("pay").Get(limited(t), one.Name, metav1.GetOptions{})
	if err != nil || got.DeletionTimestamp == nil {
		t.Errorf("%+v, %v", got, err)
	}
	rv := "1"
	if err := still.CoreV1().Pods("pay").Delete(limited(t), two.Name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{ResourceVersion: &rv}}); !apierrors.IsConflict(err) {
		t.Errorf("%v", err)
	}
}

func TestNodesTakePodsOrNot(t *testing.T) {
	w := newWorld(t, nil, nil)
	for _, name := range []string{"practice-1", "practice-2", "practice-3"} {
		if _, err := w.CoreV1().Nodes().Patch(limited(t), name, types.MergePatchType, []byte(`{"spec":{"unschedulable":true}}`), metav1.PatchOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	d := w.deployment(t, "shop", "web")
	four := int32(4)
	d.Spec.Replicas = &four
	d, err := w.AppsV1().Deployments("shop").Update(limited(t), d, metav1.UpdateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	steps := w.until(t, d, func(d *appsv1.Deployment) bool { return d.Status.Replicas == 4 })
	if last := steps[len(steps)-1]; last.Status.ReadyReplicas != 3 {
		t.Errorf("%+v", last.Status)
	}
	waiting, err := w.CoreV1().Pods("shop").List(limited(t), metav1.ListOptions{FieldSelector: "spec.nodeName="})
	if err != nil || len(waiting.Items) != 1 || waiting.Items[0].Status.Phase != corev1.PodPending {
		t.Fatalf("%+v, %v", waiting, err)
	}
	events, err := w.CoreV1().Events("shop").List(limited(t), metav1.ListOptions{FieldSelector: "involvedObject.name=" + waiting.Items[0].Name})
	if err != nil || len(events.Items) != 1 || events.Items[0].Reason != "FailedScheduling" {
		t.Errorf("%+v, %v", events, err)
	}
	if _, err := w.CoreV1().Nodes().Patch(limited(t), "practice-2", types.MergePatchType, []byte(`{"spec":{"unschedulable":null}}`), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	w.until(t, steps[len(steps)-1], settled)
	p, err := w.CoreV1().Pods("shop").Get(limited(t), waiting.Items[0].Name, metav1.GetOptions{})
	if err != nil || p.Spec.NodeName != "practice-2" {
		t.Errorf("%+v, %v", p, err)
	}
}

func TestLogs(t *testing.T) {
	var ahead atomic.Int64
	w := newWorld(t, func(o *practice.Options) {
		o.Now = func() time.Time { return time.Unix(1_800_000_000+ahead.Load(), 0) }
	}, nil)
	ahead.Store(3600)
	read := func(o corev1.PodLogOptions) (string, error) {
		stream, err := w.CoreV1().Pods("shop").GetLogs("cache-0", &o).Stream(limited(t))
		if err != nil {
			return "", err
		}
		defer func() { _ = stream.Close() }()
		data, err := io.ReadAll(stream)
		return string(data), err
	}
	five, minute := int64(5), int64(60)
	all, err := read(corev1.PodLogOptions{})
	if err != nil || strings.Count(all, "\n") < 500 || !strings.Contains(all, "INFO  cache started") {
		t.Errorf("%d lines, %v", strings.Count(all, "\n"), err)
	}
	tail, err := read(corev1.PodLogOptions{TailLines: &five})
	if err != nil || strings.Count(tail, "\n") != 5 || !strings.HasSuffix(all, tail) {
		t.Errorf("%q, %v", tail, err)
	}
	since, err := read(corev1.PodLogOptions{SinceSeconds: &minute})
	if n := strings.Count(since, "\n"); err != nil || n < 7 || n > 9 || !strings.HasSuffix(all, since) {
		t.Errorf("%q, %v", since, err)
	}
	for name, o := range map[string]corev1.PodLogOptions{"previous": {Previous: true}, "container": {Container: "none"}} {
		if _, err := read(o); !apierrors.IsBadRequest(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDeletedPodsAreMadeAnew(t *testing.T) {
	w := newWorld(t, nil, nil)
	list, err := w.CoreV1().Pods("shop").List(limited(t), metav1.ListOptions{FieldSelector: "metadata.name=cache-1"})
	if err != nil || len(list.Items) != 1 {
		t.Fatalf("%+v, %v", list, err)
	}
	before := list.Items[0]
	if err := w.CoreV1().Pods("shop").Delete(limited(t), "cache-1", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	lw := cache.NewListWatchFromClient(w.CoreV1().RESTClient(), "pods", "shop", fields.OneTermEqualSelector("metadata.name", "cache-1"))
	_, err = watchtools.Until(limited(t), list.ResourceVersion, lw, func(e watch.Event) (bool, error) {
		p, ok := e.Object.(*corev1.Pod)
		return ok && e.Type != watch.Deleted && p.UID != before.UID && p.Status.Phase == corev1.PodRunning, nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A cluster of an older program has neither nodes nor replica sets: they are added, and its pods are theirs, without being replaced.
func TestAnOlderStateFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cluster.json")
	keep := func(o *practice.Options) { o.Path = path }
	newWorld(t, keep, nil).stop()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var file map[string]any
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	objects := file["objects"].(map[string]any)
	uids := map[string]any{}
	for _, o := range objects["deployments"].([]any) {
		m := o.(map[string]any)["metadata"].(map[string]any)
		uids[fmt.Sprint(m["namespace"], "/", m["name"])] = m["uid"]
	}
	var old []any
	for _, o := range objects["pods"].([]any) {
		m := o.(map[string]any)["metadata"].(map[string]any)
		name := fmt.Sprint(m["name"])
		parts := strings.Split(name, "-")
		uid, is := uids[fmt.Sprint(m["namespace"], "/", parts[0])]
		if !is {
			continue
		}
		m["ownerReferences"] = []any{map[string]any{"apiVersion": "apps/v1", "kind": "Deployment", "name": parts[0], "uid": uid, "controller": true}}
		o.(map[string]any)["spec"].(map[string]any)["nodeName"] = "practice-node"
		old = append(old, o)
	}
	objects["pods"] = old
	for _, r := range []string{"nodes", "replicasets", "statefulsets", "events"} {
		delete(objects, r)
	}
	if data, err = json.Marshal(file); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, keep, nil)
	pods, err := w.CoreV1().Pods("shop").List(limited(t), metav1.ListOptions{LabelSelector: "app=web"})
	if err != nil || len(pods.Items) != 3 {
		t.Fatalf("%d, %v", len(pods.Items), err)
	}
	for _, p := range pods.Items {
		if !strings.Contains(string(data), `"`+string(p.UID)+`"`) || p.OwnerReferences[0].Kind != "ReplicaSet" || !strings.HasPrefix(p.Spec.NodeName, "practice-") || p.Spec.NodeName == "practice-node" {
			t.Errorf("%s: %+v on %s", p.Name, p.OwnerReferences, p.Spec.NodeName)
		}
	}
	s, err := w.AppsV1().StatefulSets("pay").Get(limited(t), "queue", metav1.GetOptions{})
	if err != nil || s.Status.ReadyReplicas != 2 {
		t.Errorf("%+v, %v", s, err)
	}
	if d := w.deployment(t, "shop", "web"); !settled(d) || d.Annotations["deployment.kubernetes.io/revision"] != "1" {
		t.Errorf("%+v", d)
	}
}
