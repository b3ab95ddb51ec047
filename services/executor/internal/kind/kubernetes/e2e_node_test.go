//go:build e2e

package kubernetes_test

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"palmops/libs/fault"
	"palmops/libs/wire"
	"palmops/services/executor/internal/kind"
)

func (a *admin) node(t *testing.T, name string) *corev1.Node {
	t.Helper()
	out := &corev1.Node{}
	a.do(t, http.MethodGet, allNodes+"/"+name, nil, out)
	return out
}

// restore opens the nodes again that these tests close, when the test has ended.
func (a *admin) restore(t *testing.T) {
	t.Helper()
	t.Cleanup(func() {
		for _, node := range []string{"node-3", "node-4"} {
			a.do(t, http.MethodPatch, allNodes+"/"+node, merge(map[string]any{"unschedulable": nil}), nil)
		}
	})
}

// on counts the pods of an app that are on a node and not on their way out.
func (a *admin) on(t *testing.T, app, node string) int {
	t.Helper()
	n := 0
	for _, p := range a.pods(t, app) {
		if p.Spec.NodeName == node && p.DeletionTimestamp == nil {
			n++
		}
	}
	return n
}

// drainable makes a deployment whose pods run on node-3 and node-4 only, and says which of them has more, and how many.
func drainable(t *testing.T, a *admin, d *appsv1.Deployment) (node string, pods int) {
	t.Helper()
	d.Spec.Template.Spec.NodeSelector = map[string]string{pool: "drain"}
	deployed(t, a, d)
	three, four := a.on(t, d.Name, "node-3"), a.on(t, d.Name, "node-4")
	if three >= four {
		return "node-3", three
	}
	return "node-4", four
}

// These tests take nodes away from pods; they are alone with node-3 and node-4, and come one after another.
func TestE2ECordon(t *testing.T) {
	a, r := adminOf(t, "main"), open(t, kubeconfig(t, "main", nil))
	a.restore(t)
	got, _ := r.run(t, "cordon", args("node", "node-3"))
	want(t, got, wire.StateSucceeded, "node-3")
	if !a.node(t, "node-3").Spec.Unschedulable {
		t.Error("it takes pods")
	}
	if f := r.must(t, "node", args("node", "node-3")).Fields; f["schedulable"] != "false" {
		t.Errorf("%v", f)
	}
	drainable(t, a, deploymentOf("elsewhere", 2))
	if n := a.on(t, "elsewhere", "node-3"); n != 0 {
		t.Errorf("%d pods", n)
	}
	got, h := r.run(t, "cordon", args("node", "node-3"))
	want(t, got, wire.StateSucceeded)
	if h.steps != 0 {
		t.Errorf("%d requests for nothing", h.steps)
	}
	got, _ = r.run(t, "uncordon", args("node", "node-3"))
	want(t, got, wire.StateSucceeded, "node-3")
	if a.node(t, "node-3").Spec.Unschedulable {
		t.Error("it takes no pods")
	}
	if _, err := r.Prepare(soon(t), r.work(t, "cordon", args("node", "node-9"))); !fault.Is(err, fault.NotFound) {
		t.Errorf("%v", err)
	}
}

func TestE2ECordonProbe(t *testing.T) {
	adminOf(t, "main").restore(t)
	c := lostChange{
		"cordon", http.MethodPatch, "",
		func(t *testing.T, a *admin, name string) map[string]any {
			a.do(t, http.MethodPatch, allNodes+"/"+name, merge(map[string]any{"unschedulable": nil}), nil)
			return args("node", name)
		},
		func(t *testing.T, a *admin, name string) bool { return a.node(t, name).Spec.Unschedulable },
	}
	for name, run := range map[string]func(*testing.T, string){"under way": c.underWay, "took effect": c.tookEffect, "nothing": c.nothing} {
		t.Run(name, func(t *testing.T) { run(t, "node-3") })
	}
}

func TestE2EDrain(t *testing.T) {
	a, r := adminOf(t, "main"), open(t, kubeconfig(t, "main", nil))
	a.restore(t)
	node, pods := drainable(t, a, deploymentOf("moves", 4))
	a.make(t, shopBudgets, "moves", budgetOf("moves", 3)) // one at a time
	a.make(t, shopDaemonSets, "agent", daemonSetOf("agent"))
	await(t, a, shopDaemonSets, "fieldSelector=metadata.name%3Dagent", func(d *appsv1.DaemonSet) bool { return d.Status.NumberReady == 4 })
	await(t, a, shopBudgets, "fieldSelector=metadata.name%3Dmoves", func(b *budget) bool { return b.Status.DisruptionsAllowed == 1 })
	got, h := r.run(t, "drain", args("node", node))
	want(t, got, wire.StateSucceeded, node, strconv.Itoa(pods))
	if len(h.lines) == 0 {
		t.Error("no progress")
	}
	if !a.node(t, node).Spec.Unschedulable || a.on(t, "moves", node) != 0 || a.on(t, "agent", node) != 1 {
		t.Errorf("cordoned %v, %d pods left, %d of the daemon set", a.node(t, node).Spec.Unschedulable, a.on(t, "moves", node), a.on(t, "agent", node))
	}
	settled(t, a, "moves")
}

// A budget that allows no eviction at all stands in the way; then the time is up, the person cancels, or the budget goes.
func TestE2EDrainMeetsABudget(t *testing.T) {
	a := adminOf(t, "main")
	for name, c := range map[string]struct {
		then  func(t *testing.T, cancel context.CancelCauseFunc)
		state string
		stay  bool
	}{
		"that outlasts the action": {func(_ *testing.T, cancel context.CancelCauseFunc) { cancel(context.DeadlineExceeded) }, wire.StateTimeout, true},
		"that stays":               {func(_ *testing.T, cancel context.CancelCauseFunc) { cancel(kind.ErrCanceled) }, wire.StateCanceled, true},
		"that goes": {func(t *testing.T, _ context.CancelCauseFunc) {
			a.do(t, http.MethodDelete, shopBudgets+"/kept", nil, nil)
		}, wire.StateSucceeded, false},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGate(t, "main")
			r := open(t, g.path)
			a.restore(t)
			node, pods := drainable(t, a, deploymentOf("kept", 2))
			a.make(t, shopBudgets, "kept", budgetOf("kept", 2))
			await(t, a, shopBudgets, "fieldSelector=metadata.name%3Dkept", func(b *budget) bool {
				return b.Status.ObservedGeneration > 0 && b.Status.CurrentHealthy == 2 && b.Status.DisruptionsAllowed == 0
			})
			ctx, cancel := context.WithCancelCause(soon(t))
			defer cancel(nil)
			var mu sync.Mutex
			tries := 0
			g.on(func(req *http.Request) {
				mu.Lock()
				defer mu.Unlock()
				if req.Method == http.MethodPost && strings.HasSuffix(req.URL.Path, "/eviction") {
					if tries++; tries == 2 { // it was refused and is tried again
						c.then(t, cancel)
					}
				}
			})
			w := r.work(t, "drain", args("node", node))
			before := r.prepare(t, w)
			got := r.Apply(ctx, w, before, &hand{})
			want(t, got, c.state, node)
			if c.state == wire.StateTimeout {
				want(t, got, c.state, "shop/kept-", "disruption budget kept needs 2 healthy pods")
			}
			left := 0
			if c.stay {
				left = pods
			}
			if n := a.on(t, "kept", node); n != left || !a.node(t, node).Spec.Unschedulable {
				t.Errorf("%d of %d pods left", n, pods)
			}
			settled(t, a, "kept")
		})
	}
}

// Neither a pod that nobody makes anew nor data that only a pod has is lost by accident.
func TestE2EDrainSparesWhatWouldBeLost(t *testing.T) {
	a := adminOf(t, "main")
	path := kubeconfig(t, "main", nil)
	r := openAll(t, map[string]string{"main": "kubeconfig: " + path + ", namespaces: [shop], nodes: true"}, `  main.drain-all:
    kind: kubernetes
    verb: drain
    target: main
    timeout: 60s
    params:
      node: {type: string, pattern: dns-name}
    settings: {unmanaged: true}
`)
	a.restore(t)
	alone := template("alone")
	alone.Spec.NodeSelector = map[string]string{corev1.LabelHostname: "node-4"}
	a.make(t, shopPods, "alone", podOf("alone", alone))
	await(t, a, shopPods, "fieldSelector=metadata.name%3Dalone", isReady)
	w := r.work(t, "drain", args("node", "node-4"))
	before, err := r.Prepare(soon(t), w)
	if err == nil {
		want(t, r.Apply(soon(t), w, before, &hand{}), wire.StateFailed, "alone")
	} else {
		has(t, fault.Safe(err), "alone", "没有执行任何操作")
	}
	if a.on(t, "alone", "node-4") != 1 || a.node(t, "node-4").Spec.Unschedulable {
		t.Error("it was touched")
	}
	data := deploymentOf("data", 1)
	data.Spec.Template.Spec.Volumes = []corev1.Volume{{Name: "scratch", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}}
	holder, _ := drainable(t, a, data)
	if _, err := r.Prepare(soon(t), r.work(t, "drain-all", args("node", holder))); !fault.Is(err, fault.Conflict) || !strings.Contains(fault.Safe(err), "shop/data-") {
		t.Errorf("a pod with data of its own: %v: %s", err, fault.Safe(err))
	}
	a.do(t, http.MethodDelete, shopDeployments+"/data?propagationPolicy=Foreground", nil, nil)
	a.gone(t, shopDeployments+"/data")
	got, _ := r.run(t, "drain-all", args("node", "node-4"))
	want(t, got, wire.StateSucceeded, "node-4")
	if a.on(t, "alone", "node-4") != 0 {
		t.Error("it is still there")
	}
}

// The owner dies after the first of two evictions: nobody claims more than can be seen.
func TestE2EDrainProbe(t *testing.T) {
	a, g := adminOf(t, "main"), newGate(t, "main")
	dead, heir := open(t, g.path), open(t, kubeconfig(t, "main", nil))
	a.restore(t)
	node, pods := drainable(t, a, deploymentOf("halfway", 4))
	w := heir.work(t, "drain", args("node", node))
	before := dead.prepare(t, w)
	if plan, err := dead.Plan(soon(t), w, before); err != nil || !strings.Contains(plan, node) {
		t.Errorf("the plan is %q, %v", plan, err)
	}
	want(t, heir.Probe(soon(t), w, before), wire.StateFailed)
	if a.node(t, node).Spec.Unschedulable {
		t.Error("the probe has cordoned the node")
	}

	before = dead.prepare(t, w)
	h := &hand{}
	g.losing(func(r *http.Request) bool {
		return r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/eviction")
	},
		func() { h.refuse(kind.ErrLost) })
	want(t, dead.Apply(soon(t), w, before, h), wire.StateUnknown)
	settled(t, a, "halfway")
	want(t, heir.Probe(soon(t), w, before), wire.StateUnknown, node)
	if left := a.on(t, "halfway", node); left != pods-1 || !a.node(t, node).Spec.Unschedulable {
		t.Errorf("%d pods left", left)
	}
}
