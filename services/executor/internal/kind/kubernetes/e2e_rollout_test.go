//go:build e2e

package kubernetes_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"palmops/libs/fault"
	"palmops/libs/wire"
	"palmops/services/executor/internal/kind/kubernetes"
)

// image sets the image of a deployment in shop.
func (a *admin) image(t *testing.T, name, tag string) {
	t.Helper()
	a.do(t, http.MethodPatch, shopDeployments+"/"+name, merge(map[string]any{"template": map[string]any{"spec": map[string]any{
		"containers": []corev1.Container{{Name: "app", Image: "registry.shop/" + name + ":" + tag}},
	}}}), nil)
}

// release sets the image and waits until it is everywhere.
func (a *admin) release(t *testing.T, name, tag string) {
	t.Helper()
	a.image(t, name, tag)
	settled(t, a, name)
}

func (a *admin) statefulSet(t *testing.T, name string) *appsv1.StatefulSet {
	t.Helper()
	out := &appsv1.StatefulSet{}
	a.do(t, http.MethodGet, shopStatefulSets+"/"+name, nil, out)
	return out
}

func TestE2EUndo(t *testing.T) {
	t.Parallel()
	a, r := adminOf(t, "main"), open(t, kubeconfig(t, "main", nil))
	deployed(t, a, deploymentOf("undo", 2))
	a.release(t, "undo", "2.0")
	a.release(t, "undo", "3.0")
	got := r.must(t, "revisions", args("namespace", "shop", "deployment", "undo")).Items
	if !slices.Equal(values(got), []string{"3", "2", "1"}) {
		t.Fatalf("%v", got)
	}
	has(t, detail(t, got, "2"), "undo:2.0")

	_, err := r.Prepare(soon(t), r.work(t, "undo", args("namespace", "shop", "deployment", "undo", "revision", 1, "from", 2)))
	if !fault.Is(err, fault.Conflict) {
		t.Errorf("another revision than the one that was seen: %v", err)
	}
	_, err = r.Prepare(soon(t), r.work(t, "undo", args("namespace", "shop", "deployment", "undo", "revision", 9)))
	if err == nil || !strings.Contains(fault.Safe(err), "没有执行任何操作") {
		t.Errorf("a revision that is not there: %v", err)
	}

	res, _ := r.run(t, "undo", args("namespace", "shop", "deployment", "undo", "revision", 1, "from", 3))
	want(t, res, wire.StateSucceeded, "undo")
	d := a.deployment(t, "undo")
	if c := d.Spec.Template.Spec.Containers[0]; !strings.HasSuffix(c.Image, ":1.0") || d.Status.ReadyReplicas != 2 {
		t.Errorf("%s, %d ready", c.Image, d.Status.ReadyReplicas)
	}
	if _, there := d.Spec.Template.Labels[appsv1.DefaultDeploymentUniqueLabelKey]; there {
		t.Error("the label of the replica set has come along")
	}
	if f := r.must(t, "deployment", args("namespace", "shop", "deployment", "undo")).Fields; f["revision"] != "4" {
		t.Errorf("%v", f)
	}
	res, _ = r.run(t, "undo", args("namespace", "shop", "deployment", "undo")) // the one before
	want(t, res, wire.StateSucceeded)
	if c := a.deployment(t, "undo").Spec.Template.Spec.Containers[0]; !strings.HasSuffix(c.Image, ":3.0") {
		t.Errorf("%s", c.Image)
	}
}

// A release that never comes up: the status says so, and undo leads back.
func TestE2EUndoOfAStuckRollout(t *testing.T) {
	t.Parallel()
	a, r := adminOf(t, "main"), open(t, kubeconfig(t, "main", nil))
	deployed(t, a, deploymentOf("rolls", 2))
	a.do(t, http.MethodPatch, shopDeployments+"/rolls", merge(map[string]any{"template": map[string]any{
		"metadata": map[string]any{"annotations": map[string]string{readyAfter: "never"}},
	}}), nil)
	await(t, a, shopDeployments, "fieldSelector=metadata.name%3Drolls", func(d *appsv1.Deployment) bool {
		return d.Status.ObservedGeneration >= d.Generation && d.Status.UpdatedReplicas == 1 && d.Status.UnavailableReplicas == 1
	})
	res, _ := r.run(t, "status", args("namespace", "shop", "deployment", "rolls"))
	want(t, res, wire.StateSucceeded)
	has(t, res.Text+res.Output, "1/2")
	res, _ = r.run(t, "undo", args("namespace", "shop", "deployment", "rolls", "revision", 1))
	want(t, res, wire.StateSucceeded)
	settled(t, a, "rolls")
}

func TestE2EStatefulSet(t *testing.T) {
	t.Parallel()
	a, r := adminOf(t, "main"), open(t, kubeconfig(t, "main", nil))
	a.make(t, shopStatefulSets, "db", statefulSetOf("db", 1))
	await(t, a, shopStatefulSets, "fieldSelector=metadata.name%3Ddb", func(s *appsv1.StatefulSet) bool { return s.Status.ReadyReplicas == 1 })
	res, _ := r.run(t, "scale-statefulset", args("namespace", "shop", "statefulset", "db", "replicas", 3, "from", 1))
	want(t, res, wire.StateSucceeded, "1 → 3", "3/3")
	if s := a.statefulSet(t, "db"); s.Status.ReadyReplicas != 3 {
		t.Errorf("%+v", s.Status)
	}
	res, _ = r.run(t, "restart-statefulset", args("namespace", "shop", "statefulset", "db"))
	want(t, res, wire.StateSucceeded, "3/3")
	s := a.statefulSet(t, "db")
	if s.Spec.Template.Annotations[kubernetes.RestartAnnotation] == "" || s.Status.UpdatedReplicas != 3 || s.Status.CurrentRevision != s.Status.UpdateRevision {
		t.Errorf("%v %+v", s.Spec.Template.Annotations, s.Status)
	}
	res, _ = r.run(t, "scale-statefulset", args("namespace", "shop", "statefulset", "db", "replicas", 0))
	want(t, res, wire.StateSucceeded, "3 → 0")
}

func TestE2EDeletePod(t *testing.T) {
	t.Parallel()
	a, r := adminOf(t, "main"), open(t, kubeconfig(t, "main", nil))
	deployed(t, a, deploymentOf("replaced", 1))
	pod := a.pods(t, "replaced")[0]
	_, err := r.Prepare(soon(t), r.work(t, "delete-pod", args("namespace", "shop", "pod", pod.Name, "uid", "another-one")))
	if !fault.Is(err, fault.Conflict) {
		t.Errorf("another pod of the same name: %v", err)
	}
	res, _ := r.run(t, "delete-pod", args("namespace", "shop", "pod", pod.Name, "uid", string(pod.UID)))
	want(t, res, wire.StateSucceeded, pod.Name)
	for _, p := range a.pods(t, "replaced") {
		if p.UID == pod.UID {
			t.Error("it is still there")
		}
	}
	settled(t, a, "replaced")

	// A pod whose node does not let it go ends with no grace at all.
	a.make(t, shopPods, "clings", podOf("clings", template("clings", stopAfter, "never")))
	await(t, a, shopPods, "fieldSelector=metadata.name%3Dclings", isReady)
	res, _ = r.run(t, "delete-pod", args("namespace", "shop", "pod", "clings", "grace", 0))
	want(t, res, wire.StateSucceeded, "clings")
	if left := a.pods(t, "clings"); len(left) != 0 {
		t.Errorf("%d are left", len(left))
	}
}
