package practice_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestDiscovery(t *testing.T) {
	w := newWorld(t, nil, nil)
	v, err := w.Discovery().ServerVersion()
	if err != nil || v.Major != "1" {
		t.Fatalf("%+v, %v", v, err)
	}
	_, lists, err := w.Discovery().ServerGroupsAndResources()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, l := range lists {
		for _, r := range l.APIResources {
			names = append(names, l.GroupVersion+"/"+r.Name)
		}
	}
	slices.Sort(names)
	want := []string{
		"apps/v1/deployments", "apps/v1/deployments/scale", "apps/v1/deployments/status", "apps/v1/replicasets", "apps/v1/statefulsets", "apps/v1/statefulsets/scale",
		"v1/events", "v1/namespaces", "v1/nodes", "v1/pods", "v1/pods/eviction", "v1/pods/log",
	}
	if !slices.Equal(names, want) {
		t.Errorf("%v", names)
	}
}

func TestListAndGet(t *testing.T) {
	w := newWorld(t, nil, nil)
	ns, err := w.CoreV1().Namespaces().List(limited(t), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, n := range ns.Items {
		names = append(names, n.Name)
	}
	if !slices.Equal(names, []string{"default", "kube-system", "logi", "pay", "plat", "shop"}) {
		t.Errorf("%v", names)
	}
	shop, err := w.AppsV1().Deployments("shop").List(limited(t), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int32{}
	for _, d := range shop.Items {
		if !settled(&d) {
			t.Errorf("%s is not settled in a new cluster: %+v", d.Name, d.Status)
		}
		got[d.Name] = *d.Spec.Replicas
	}
	if want := map[string]int32{"api": 2, "cart": 2, "stuck": 1, "web": 3, "worker": 1}; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%v", got)
	}
	all, err := w.AppsV1().Deployments("").List(limited(t), metav1.ListOptions{FieldSelector: "metadata.name=gateway"})
	if err != nil || len(all.Items) != 1 || all.Items[0].Namespace != "pay" {
		t.Errorf("%+v, %v", all, err)
	}
	pods, err := w.CoreV1().Pods("shop").List(limited(t), metav1.ListOptions{LabelSelector: "app=web"})
	if err != nil || len(pods.Items) != 3 {
		t.Fatalf("%v", err)
	}
	pod, err := w.CoreV1().Pods("shop").Get(limited(t), pods.Items[0].Name, metav1.GetOptions{})
	if err != nil || pod.Status.Phase != "Running" || !strings.HasPrefix(pod.Name, "web-") {
		t.Errorf("%+v, %v", pod, err)
	}
	_, err = w.AppsV1().Deployments("shop").Get(limited(t), "nothing", metav1.GetOptions{})
	if !apierrors.IsNotFound(err) || err.Error() != `deployments.apps "nothing" not found` {
		t.Errorf("%v", err)
	}
	_, err = w.CoreV1().Secrets("shop").List(limited(t), metav1.ListOptions{})
	if !apierrors.IsNotFound(err) {
		t.Errorf("%v", err)
	}
	_, err = w.CoreV1().Namespaces().Create(limited(t), &ns.Items[0], metav1.CreateOptions{})
	if !apierrors.IsMethodNotSupported(err) {
		t.Errorf("%v", err)
	}
}

// Scaling up and down through the scale subresource; pods become ready, and go, one by one.
func TestScaleAndWatchUntilReady(t *testing.T) {
	w := newWorld(t, nil, nil)
	before := w.deployment(t, "shop", "web")
	scale, err := w.AppsV1().Deployments("shop").GetScale(limited(t), "web", metav1.GetOptions{})
	if err != nil || scale.Spec.Replicas != 3 || scale.ResourceVersion != before.ResourceVersion || scale.Status.Selector != "app=web" {
		t.Fatalf("%+v, %v", scale, err)
	}
	scale.Spec.Replicas = 5
	after, err := w.AppsV1().Deployments("shop").UpdateScale(limited(t), "web", scale, metav1.UpdateOptions{})
	if err != nil || after.Spec.Replicas != 5 || after.ResourceVersion == scale.ResourceVersion {
		t.Fatalf("%+v, %v", after, err)
	}
	var ready []int32
	before.ResourceVersion = after.ResourceVersion
	for _, d := range w.until(t, before, settled) {
		if n := len(ready); n == 0 || ready[n-1] != d.Status.ReadyReplicas {
			ready = append(ready, d.Status.ReadyReplicas)
		}
	}
	if !slices.Equal(ready, []int32{3, 4, 5}) {
		t.Errorf("ready on the way: %v", ready)
	}
	d := w.deployment(t, "shop", "web") // its version is that of its last step
	if d.Generation != before.Generation+1 {
		t.Errorf("generation %d after %d", d.Generation, before.Generation)
	}
	pods, err := w.CoreV1().Pods("shop").List(limited(t), metav1.ListOptions{LabelSelector: "app=web"})
	if err != nil || len(pods.Items) != 5 {
		t.Errorf("%d pods, %v", len(pods.Items), err)
	}
	scale, err = w.AppsV1().Deployments("shop").GetScale(limited(t), "web", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	scale.Spec.Replicas = 0
	if _, err = w.AppsV1().Deployments("shop").UpdateScale(limited(t), "web", scale, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	steps := w.until(t, d, settled)
	if n := len(steps); n < 5 {
		t.Errorf("scaled down in %d steps", n)
	}
}

func TestStuckNeverGetsMoreThanOneReady(t *testing.T) {
	w := newWorld(t, nil, nil)
	d := w.deployment(t, "shop", "stuck")
	n := int32(3)
	d.Spec.Replicas = &n
	d, err := w.AppsV1().Deployments("shop").Update(limited(t), d, metav1.UpdateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	w.until(t, d, func(d *appsv1.Deployment) bool {
		return d.Status.ObservedGeneration == d.Generation && d.Status.Replicas == 3 && d.Status.ReadyReplicas == 1
	})
	// Something else moves through all its steps meanwhile, and this one stays as it is.
	web := w.deployment(t, "shop", "web")
	n = 6
	web.Spec.Replicas = &n
	if web, err = w.AppsV1().Deployments("shop").Update(limited(t), web, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	w.until(t, web, settled)
	if got := w.deployment(t, "shop", "stuck").Status; got.ReadyReplicas != 1 || got.UnavailableReplicas != 2 {
		t.Errorf("%+v", got)
	}
}
