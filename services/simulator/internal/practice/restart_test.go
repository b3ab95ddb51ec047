package practice_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"palmops/services/simulator/internal/practice"
)

// What kubectl rollout restart sends, as both kinds of patch: all pods are replaced within the bounds of the strategy, and the status
// says so as a controller does.
func TestRolloutRestart(t *testing.T) {
	w := newWorld(t, nil, nil)
	for i, c := range []struct {
		namespace, name string
		kind            types.PatchType
		missing         int32 // how many pods may be missing: a quarter, rounded down
	}{
		{"plat", "login", types.StrategicMergePatchType, 1},
		{"plat", "login", types.MergePatchType, 1},
		{"shop", "web", types.StrategicMergePatchType, 0},
		{"plat", "config", types.MergePatchType, 0},
		{"shop", "stuck", types.StrategicMergePatchType, 0},
	} {
		old := podNames(t, w, c.namespace, c.name)
		before := w.deployment(t, c.namespace, c.name)
		patch := fmt.Sprintf(`{"spec":{"template":{"metadata":{"annotations":{"kubectl.kubernetes.io/restartedAt":"2026-11-23T18:00:0%d+08:00"}}}}}`, i)
		d, err := w.AppsV1().Deployments(c.namespace).Patch(limited(t), c.name, c.kind, []byte(patch), metav1.PatchOptions{FieldManager: "palmops"})
		if err != nil || d.Generation != before.Generation+1 || d.Status.ObservedGeneration != before.Generation || settled(d) {
			t.Fatalf("%s: %+v, %v", c.name, d, err)
		}
		want := *d.Spec.Replicas
		lowest, fewest := want, want
		for _, step := range w.until(t, d, settled) {
			if step.Status.ObservedGeneration == d.Generation {
				fewest = min(fewest, step.Status.UpdatedReplicas)
			}
			lowest = min(lowest, step.Status.ReadyReplicas)
			if step.Status.Replicas > want+(want+3)/4 {
				t.Errorf("%s: %d pods at once", c.name, step.Status.Replicas)
			}
		}
		if lowest != want-c.missing || (want > 1 && fewest == want) {
			t.Errorf("%s with %s: at least %d ready, at least %d new ones of %d", c.name, c.kind, lowest, fewest, want)
		}
		for _, name := range podNames(t, w, c.namespace, c.name) {
			if slices.Contains(old, name) {
				t.Errorf("%s is still the old pod %s", c.name, name)
			}
		}
		// The same patch again changes nothing.
		if d, err = w.AppsV1().Deployments(c.namespace).Patch(limited(t), c.name, c.kind, []byte(patch), metav1.PatchOptions{}); err != nil || !settled(d) {
			t.Errorf("%s again: %+v, %v", c.name, d, err)
		}
	}
}

// With the strategy Recreate nothing is ready between the old pods and the new ones.
func TestRecreate(t *testing.T) {
	w := newWorld(t, nil, nil)
	d := w.deployment(t, "shop", "api")
	d.Spec.Strategy = appsv1.DeploymentStrategy{Type: appsv1.RecreateDeploymentStrategyType}
	d.Spec.Template.Annotations = map[string]string{"restarted": "yes"}
	d, err := w.AppsV1().Deployments("shop").Update(limited(t), d, metav1.UpdateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	lowest := int32(2)
	for _, step := range w.until(t, d, settled) {
		lowest = min(lowest, step.Status.ReadyReplicas)
	}
	if lowest != 0 {
		t.Errorf("at least %d ready", lowest)
	}
}

func podNames(t *testing.T, w *world, namespace, app string) []string {
	t.Helper()
	pods, err := w.CoreV1().Pods(namespace).List(limited(t), metav1.ListOptions{LabelSelector: "app=" + app})
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, p := range pods.Items {
		out = append(out, p.Name)
	}
	return out
}

// A state file of a program that knew fewer namespaces gets the others, and keeps what was done to those it has.
func TestOlderStateFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cluster.json")
	onDisk := func(o *practice.Options) { o.Path = path }
	w := newWorld(t, onDisk, nil)
	d, err := w.AppsV1().Deployments("shop").Patch(limited(t), "web", types.MergePatchType, []byte(`{"spec":{"replicas":5}}`), metav1.PatchOptions{})
	if err != nil {
		t.Fatal(err)
	}
	w.until(t, d, settled)
	w.stop()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var file map[string]any
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	objects, _ := file["objects"].(map[string]any)
	for resource, list := range objects {
		all, _ := list.([]any)
		objects[resource] = slices.DeleteFunc(all, func(o any) bool {
			one, _ := o.(map[string]any)
			meta, _ := one["metadata"].(map[string]any)
			return meta["namespace"] == "plat" || meta["name"] == "plat"
		})
	}
	if data, err = json.Marshal(file); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	w = newWorld(t, onDisk, nil)
	if d := w.deployment(t, "plat", "login"); *d.Spec.Replicas != 4 || !settled(d) {
		t.Errorf("%+v", d.Status)
	}
	if d := w.deployment(t, "shop", "web"); *d.Spec.Replicas != 5 {
		t.Errorf("%d replicas", *d.Spec.Replicas)
	}
}
