package practice_test

import (
	"strings"
	"sync"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/retry"
)

func TestConflict(t *testing.T) {
	w := newWorld(t, nil, nil)
	api := w.AppsV1().Deployments("shop")
	mine, theirs := w.deployment(t, "shop", "api"), w.deployment(t, "shop", "api")
	four, five := int32(4), int32(5)
	theirs.Spec.Replicas = &four
	if _, err := api.Update(limited(t), theirs, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	mine.Spec.Replicas = &five
	_, err := api.Update(limited(t), mine, metav1.UpdateOptions{})
	if !apierrors.IsConflict(err) || !strings.Contains(err.Error(), `Operation cannot be fulfilled on deployments.apps "api": the object has been modified`) {
		t.Errorf("%v", err)
	}
	_, err = api.UpdateScale(limited(t), "api", &autoscalingv1.Scale{
		ObjectMeta: metav1.ObjectMeta{Name: "api", Namespace: "shop", ResourceVersion: mine.ResourceVersion},
		Spec:       autoscalingv1.ScaleSpec{Replicas: 5},
	}, metav1.UpdateOptions{})
	if !apierrors.IsConflict(err) {
		t.Errorf("%v", err)
	}
	_, err = api.UpdateScale(limited(t), "api", &autoscalingv1.Scale{
		ObjectMeta: metav1.ObjectMeta{Name: "api", Namespace: "shop", UID: "another"}, Spec: autoscalingv1.ScaleSpec{Replicas: 5},
	}, metav1.UpdateOptions{})
	if !apierrors.IsConflict(err) {
		t.Errorf("%v", err)
	}
	if got := *w.deployment(t, "shop", "api").Spec.Replicas; got != 4 {
		t.Errorf("%d replicas after refused updates", got)
	}
	// Many at once, each with client-go's own loop: every one of them counts, none is lost.
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			err := retry.OnError(retry.DefaultBackoff, func(error) bool { return t.Context().Err() == nil }, func() error {
				d, err := api.Get(t.Context(), "cart", metav1.GetOptions{})
				if err != nil {
					return err
				}
				*d.Spec.Replicas++
				_, err = api.Update(t.Context(), d, metav1.UpdateOptions{})
				return err
			})
			if err != nil && !apierrors.IsConflict(err) {
				t.Error(err)
			}
		})
	}
	all.Wait()
	d := w.deployment(t, "shop", "cart")
	if int64(*d.Spec.Replicas) != 2+d.Generation-1 {
		t.Errorf("%d replicas at generation %d", *d.Spec.Replicas, d.Generation)
	}
}

func TestInvalidWrites(t *testing.T) {
	w := newWorld(t, nil, nil)
	api := w.AppsV1().Deployments("shop")
	edit := func(do func(*appsv1.Deployment)) error {
		d := w.deployment(t, "shop", "web")
		do(d)
		_, err := api.Update(limited(t), d, metav1.UpdateOptions{})
		return err
	}
	minus, many := int32(-1), int32(100_000)
	for name, err := range map[string]error{
		"negative": edit(func(d *appsv1.Deployment) { d.Spec.Replicas = &minus }),
		"too many": edit(func(d *appsv1.Deployment) { d.Spec.Replicas = &many }),
		"selector": edit(func(d *appsv1.Deployment) {
			d.Spec.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{"a": "b"}}
		}),
		"labels":       edit(func(d *appsv1.Deployment) { d.Spec.Template.Labels = nil }),
		"no container": edit(func(d *appsv1.Deployment) { d.Spec.Template.Spec.Containers = nil }),
		"no image":     edit(func(d *appsv1.Deployment) { d.Spec.Template.Spec.Containers[0].Image = "" }),
	} {
		if !apierrors.IsInvalid(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if d := w.deployment(t, "shop", "web"); d.Generation != 1 {
		t.Errorf("generation %d", d.Generation)
	}
	// What a client may not own stays; a change of nothing is no change.
	d := w.deployment(t, "shop", "web")
	before := d.ResourceVersion
	d.Status.ReadyReplicas, d.Generation = 99, 99
	d, err := api.Update(limited(t), d, metav1.UpdateOptions{})
	if err != nil || d.ResourceVersion != before || d.Status.ReadyReplicas != 3 || d.Generation != 1 {
		t.Errorf("%+v, %v", d.Status, err)
	}
	one := int32(1)
	d.Spec.Replicas = &one
	if _, err := api.Update(limited(t), d, metav1.UpdateOptions{DryRun: []string{metav1.DryRunAll}}); err != nil {
		t.Fatal(err)
	}
	if got := w.deployment(t, "shop", "web"); *got.Spec.Replicas != 3 {
		t.Errorf("a dry run changed it to %d", *got.Spec.Replicas)
	}
}

func TestPatches(t *testing.T) {
	w := newWorld(t, nil, nil)
	api := w.AppsV1().Deployments("shop")
	d, err := api.Patch(limited(t), "web", types.MergePatchType, []byte(`{"spec":{"replicas":4},"metadata":{"annotations":{"note":"x"}}}`), metav1.PatchOptions{})
	if err != nil || *d.Spec.Replicas != 4 || d.Annotations["note"] != "x" || d.Annotations["deployment.kubernetes.io/revision"] != "1" {
		t.Fatalf("%+v, %v", d, err)
	}
	// As kubectl set image does it: one container of a list, by its name.
	d, err = api.Patch(limited(t), "web", types.StrategicMergePatchType,
		[]byte(`{"spec":{"template":{"spec":{"containers":[{"name":"web","image":"registry.local/shop/web:2.15.0"}]}}}}`), metav1.PatchOptions{})
	if err != nil || d.Spec.Template.Spec.Containers[0].Image != "registry.local/shop/web:2.15.0" || len(d.Spec.Template.Spec.Containers[0].Ports) != 1 {
		t.Fatalf("%+v, %v", d, err)
	}
	for _, step := range w.until(t, d, settled) {
		if step.Status.ReadyReplicas < 3 {
			t.Errorf("only %d ready during a rolling update", step.Status.ReadyReplicas)
		}
	}
	pods, err := w.CoreV1().Pods("shop").List(limited(t), metav1.ListOptions{LabelSelector: "app=web"})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pods.Items {
		if p.Spec.Containers[0].Image != "registry.local/shop/web:2.15.0" {
			t.Errorf("%s runs %s", p.Name, p.Spec.Containers[0].Image)
		}
	}
	d = w.deployment(t, "shop", "web")
	if _, err = api.Patch(limited(t), "web", types.MergePatchType, []byte(`{"spec":{"replicas":2}}`), metav1.PatchOptions{}, "scale"); err != nil {
		t.Fatal(err)
	}
	w.until(t, d, func(d *appsv1.Deployment) bool { return *d.Spec.Replicas == 2 && settled(d) })
	_, err = api.Patch(limited(t), "web", types.MergePatchType, []byte(`{"metadata":{"resourceVersion":"1"},"spec":{"replicas":9}}`), metav1.PatchOptions{})
	if !apierrors.IsConflict(err) {
		t.Errorf("%v", err)
	}
	_, err = api.Patch(limited(t), "web", types.JSONPatchType, []byte(`[]`), metav1.PatchOptions{})
	if !apierrors.IsUnsupportedMediaType(err) {
		t.Errorf("%v", err)
	}
	_, err = api.Patch(limited(t), "web", types.MergePatchType, []byte(`{"spec":`), metav1.PatchOptions{})
	if !apierrors.IsBadRequest(err) {
		t.Errorf("%v", err)
	}
}
