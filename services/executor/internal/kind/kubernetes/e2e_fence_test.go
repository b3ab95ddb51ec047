//go:build e2e

package kubernetes_test

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	appsv1 "k8s.io/api/apps/v1"

	"palmops/libs/wire"
	"palmops/services/executor/internal/kind"
	"palmops/services/executor/internal/kind/kubernetes"
)

// lostChange is one change whose owner dies while it makes its request.
type lostChange struct {
	verb   string
	method string
	end    string // of the request's path, after the object's name
	make   func(t *testing.T, a *admin, name string) map[string]any
	done   func(t *testing.T, a *admin, name string) bool // it has taken effect
}

var lostChanges = []lostChange{
	{
		"scale", http.MethodPut, "/scale", oneReplica("replicas", 3),
		func(t *testing.T, a *admin, name string) bool { return *a.deployment(t, name).Spec.Replicas == 3 },
	},
	{
		"restart", http.MethodPatch, "", oneReplica(),
		func(t *testing.T, a *admin, name string) bool {
			return a.deployment(t, name).Spec.Template.Annotations[kubernetes.RestartAnnotation] != ""
		},
	},
	{
		"undo", http.MethodPatch, "",
		func(t *testing.T, a *admin, name string) map[string]any {
			out := oneReplica("revision", 1)(t, a, name)
			a.release(t, name, "2.0")
			return out
		},
		func(t *testing.T, a *admin, name string) bool {
			return strings.HasSuffix(a.deployment(t, name).Spec.Template.Spec.Containers[0].Image, ":1.0")
		},
	},
	{
		"scale-statefulset", http.MethodPut, "/scale", oneStateful("replicas", 3),
		func(t *testing.T, a *admin, name string) bool { return *a.statefulSet(t, name).Spec.Replicas == 3 },
	},
	{
		"restart-statefulset", http.MethodPatch, "", oneStateful(),
		func(t *testing.T, a *admin, name string) bool {
			return a.statefulSet(t, name).Spec.Template.Annotations[kubernetes.RestartAnnotation] != ""
		},
	},
	{
		"delete-pod", http.MethodDelete, "",
		func(t *testing.T, a *admin, name string) map[string]any {
			bare := template(name)
			a.make(t, shopPods, name, podOf(name, bare))
			await(t, a, shopPods, "fieldSelector=metadata.name%3D"+name, isReady)
			return args("namespace", "shop", "pod", name)
		},
		func(t *testing.T, a *admin, name string) bool {
			pods := a.pods(t, name)
			return len(pods) == 0 || pods[0].DeletionTimestamp != nil
		},
	},
}

func oneReplica(more ...any) func(t *testing.T, a *admin, name string) map[string]any {
	return func(t *testing.T, a *admin, name string) map[string]any {
		deployed(t, a, deploymentOf(name, 1))
		return args(append(slices.Clone(more), "namespace", "shop", "deployment", name)...)
	}
}

func oneStateful(more ...any) func(t *testing.T, a *admin, name string) map[string]any {
	return func(t *testing.T, a *admin, name string) map[string]any {
		a.make(t, shopStatefulSets, name, statefulSetOf(name, 1))
		await(t, a, shopStatefulSets, "fieldSelector=metadata.name%3D"+name, func(s *appsv1.StatefulSet) bool { return s.Status.ReadyReplicas == 1 })
		return args(append(slices.Clone(more), "namespace", "shop", "statefulset", name)...)
	}
}

// underWay: the owner dies while its request is on the way. The next one fences: the request that arrives late is refused by the API
// server, and the verdict stays true.
func (c lostChange) underWay(t *testing.T, name string) {
	t.Helper()
	a, g := adminOf(t, "main"), newGate(t, "main")
	dead, heir := open(t, g.path), open(t, kubeconfig(t, "main", nil))
	w := heir.work(t, c.verb, c.make(t, a, name))
	before := dead.prepare(t, w)

	held, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	g.on(only(c.method, "/"+name+c.end, func() { once.Do(func() { close(held); <-release }) }))
	h := &hand{}
	ended := make(chan kind.Result, 1)
	ctx := soon(t)
	go func() { ended <- dead.Apply(ctx, w, before, h) }()
	select {
	case <-held:
	case got := <-ended:
		t.Fatalf("it made no request: %+v", got)
	}
	h.refuse(kind.ErrLost) // the heir has the record

	verdict := heir.Probe(soon(t), w, before)
	want(t, verdict, wire.StateFailed)
	close(release)
	got := <-ended
	if c.done(t, a, name) {
		t.Errorf("it took effect, and the probe said: %s", verdict.Text)
	}
	if got.State == wire.StateSucceeded || got.State == wire.StateTimeout {
		t.Errorf("the dead owner says %s: %s", got.State, got.Text)
	}
}

// tookEffect: the request takes effect, its answer is lost, and the owner dies.
func (c lostChange) tookEffect(t *testing.T, name string) {
	t.Helper()
	a, g := adminOf(t, "main"), newGate(t, "main")
	dead, heir := open(t, g.path), open(t, kubeconfig(t, "main", nil))
	w := heir.work(t, c.verb, c.make(t, a, name))
	before := dead.prepare(t, w)
	h := &hand{}
	g.losing(func(r *http.Request) bool {
		return r.Method == c.method && strings.HasSuffix(r.URL.Path, "/"+name+c.end)
	},
		func() { h.refuse(kind.ErrLost) })
	want(t, dead.Apply(soon(t), w, before, h), wire.StateUnknown)
	want(t, heir.Probe(soon(t), w, before), wire.StateSucceeded)
	if !c.done(t, a, name) {
		t.Error("it did not take effect")
	}
}

// nothing: the owner dies before it has asked for anything.
func (c lostChange) nothing(t *testing.T, name string) {
	t.Helper()
	a, r := adminOf(t, "main"), open(t, kubeconfig(t, "main", nil))
	w := r.work(t, c.verb, c.make(t, a, name))
	before := r.prepare(t, w)
	if plan, err := r.Plan(soon(t), w, before); err != nil || !strings.Contains(plan, name) {
		t.Errorf("the plan is %q, %v", plan, err)
	}
	for range 2 { // the prober may die as well
		want(t, r.Probe(soon(t), w, before), wire.StateFailed)
	}
	if c.done(t, a, name) {
		t.Error("the probe went on with the work")
	}
}

func TestE2EProbe(t *testing.T) {
	t.Parallel()
	for _, c := range lostChanges {
		for name, run := range map[string]func(*testing.T, string){"under-way": c.underWay, "took-effect": c.tookEffect, "nothing": c.nothing} {
			t.Run(c.verb+"-"+name, func(t *testing.T) {
				t.Parallel()
				run(t, c.verb+"-"+name)
			})
		}
	}
}
