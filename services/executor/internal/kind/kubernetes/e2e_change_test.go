//go:build e2e

package kubernetes_test

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"

	appsv1 "k8s.io/api/apps/v1"

	"palmops/libs/fault"
	"palmops/libs/wire"
	"palmops/services/executor/internal/kind"
	"palmops/services/executor/internal/kind/kubernetes"
)

// only calls f before requests of a method whose path ends so.
func only(method, end string, f func()) func(*http.Request) {
	return func(r *http.Request) {
		if r.Method == method && strings.HasSuffix(r.URL.Path, end) {
			f()
		}
	}
}

func merge(spec any) map[string]any { return map[string]any{"spec": spec} }

func TestE2EScale(t *testing.T) {
	t.Parallel()
	a, r := adminOf(t, "main"), open(t, kubeconfig(t, "main", nil))
	deployed(t, a, deploymentOf("scale", 1))
	got, h := r.run(t, "scale", args("namespace", "shop", "deployment", "scale", "replicas", 4, "from", 1))
	want(t, got, wire.StateSucceeded, "1 → 4", "4/4")
	if d := a.deployment(t, "scale"); *d.Spec.Replicas != 4 || d.Status.ReadyReplicas != 4 || len(h.lines) == 0 {
		t.Errorf("%+v after %q", d.Status, h.lines)
	}
	got, _ = r.run(t, "scale", args("namespace", "shop", "deployment", "scale", "replicas", 0))
	want(t, got, wire.StateSucceeded, "4 → 0")
	for _, p := range a.pods(t, "scale") {
		if p.DeletionTimestamp == nil {
			t.Errorf("%s is left", p.Name)
		}
	}
	_, err := r.Prepare(soon(t), r.work(t, "scale", args("namespace", "shop", "deployment", "scale", "replicas", 2, "from", 3)))
	if !fault.Is(err, fault.Conflict) || !strings.Contains(fault.Safe(err), "没有执行任何操作") {
		t.Errorf("%v", err)
	}
	_, err = r.Prepare(soon(t), r.work(t, "scale", args("namespace", "shop", "deployment", "missing", "replicas", 2)))
	if !fault.Is(err, fault.NotFound) {
		t.Errorf("%v", err)
	}
}

// Somebody else writes between the read and the request: the API server's own 409.
func TestE2EScaleMeetsAnotherWriter(t *testing.T) {
	t.Parallel()
	a, g := adminOf(t, "main"), newGate(t, "main")
	r := open(t, g.path)
	for name, c := range map[string]struct {
		other    map[string]any
		state    string
		replicas int32
		word     string
	}{
		"who changes something else": {map[string]any{"metadata": map[string]any{"annotations": map[string]string{"by": "others"}}}, wire.StateSucceeded, 3, "1 → 3"},
		"who changes the same":       {merge(map[string]any{"replicas": 2}), wire.StateFailed, 2, "没有执行任何操作"},
	} {
		t.Run(name, func(t *testing.T) {
			app := "writer-" + strings.ReplaceAll(name[len("who changes "):], " ", "-")
			deployed(t, a, deploymentOf(app, 1))
			var once sync.Once
			puts := 0
			g.on(only(http.MethodPut, app+"/scale", func() {
				puts++
				once.Do(func() { a.do(t, http.MethodPatch, shopDeployments+"/"+app, c.other, nil) })
			}))
			got, h := r.run(t, "scale", args("namespace", "shop", "deployment", app, "replicas", 3))
			want(t, got, c.state, c.word)
			if d := a.deployment(t, app); *d.Spec.Replicas != c.replicas {
				t.Errorf("%d replicas", *d.Spec.Replicas)
			}
			if h.steps != puts {
				t.Errorf("%d requests with %d leaves", puts, h.steps)
			}
		})
	}
}

func TestE2EScaleThatDoesNotComeUp(t *testing.T) {
	t.Parallel()
	a, r := adminOf(t, "main"), open(t, kubeconfig(t, "main", nil))
	d := deploymentOf("stuck", 0, readyAfter, "never")
	deployed(t, a, d)
	w := r.work(t, "scale", args("namespace", "shop", "deployment", "stuck", "replicas", 2))
	before := r.prepare(t, w)
	ctx, cancel := context.WithCancelCause(soon(t))
	h := &hand{on: func(string) { cancel(kind.ErrCanceled) }} // the first progress: it has taken effect
	want(t, r.Apply(ctx, w, before, h), wire.StateCanceled, "0 → 2", "0/2")
	if d := a.deployment(t, "stuck"); *d.Spec.Replicas != 2 {
		t.Errorf("%d replicas", *d.Spec.Replicas)
	}
	// The deployment goes away while an action waits for it.
	w = r.work(t, "scale", args("namespace", "shop", "deployment", "stuck", "replicas", 3))
	before = r.prepare(t, w)
	var once sync.Once
	h = &hand{on: func(string) {
		once.Do(func() { a.do(t, http.MethodDelete, shopDeployments+"/stuck?propagationPolicy=Background", nil, nil) })
	}}
	want(t, r.Apply(soon(t), w, before, h), wire.StateTimeout, "被删除")
}

func TestE2ERestart(t *testing.T) {
	t.Parallel()
	a, r := adminOf(t, "main"), open(t, kubeconfig(t, "main", nil))
	deployed(t, a, deploymentOf("restart", 2))
	old := map[string]bool{}
	for _, p := range a.pods(t, "restart") {
		old[p.Name] = true
	}
	got, _ := r.run(t, "restart", args("namespace", "shop", "deployment", "restart"))
	want(t, got, wire.StateSucceeded, "已重启", "2/2")
	if d := a.deployment(t, "restart"); d.Spec.Template.Annotations[kubernetes.RestartAnnotation] == "" {
		t.Errorf("%v", d.Spec.Template.Annotations)
	}
	for _, p := range a.pods(t, "restart") {
		if old[p.Name] && p.DeletionTimestamp == nil {
			t.Errorf("%s is from before", p.Name)
		}
	}
}

// The deployment is deleted and made anew between confirm and execution: it is another one.
func TestE2EAnotherDeploymentOfTheSameName(t *testing.T) {
	t.Parallel()
	a, r := adminOf(t, "main"), open(t, kubeconfig(t, "main", nil))
	for verb, more := range map[string][]any{"scale": {"replicas", 3}, "restart": nil} {
		t.Run(verb, func(t *testing.T) {
			t.Parallel()
			app := "again-" + verb
			old := deployed(t, a, deploymentOf(app, 1))
			w := r.work(t, verb, args(append(more, "namespace", "shop", "deployment", app)...))
			before := r.prepare(t, w)
			a.do(t, http.MethodDelete, shopDeployments+"/"+app+"?propagationPolicy=Background", nil, nil)
			a.do(t, http.MethodPost, shopDeployments, deploymentOf(app, 1), nil)
			want(t, r.Apply(soon(t), w, before, &hand{}), wire.StateFailed, "删除重建", "没有执行任何操作")
			d := a.deployment(t, app)
			if d.UID == old.UID || *d.Spec.Replicas != 1 || d.Spec.Template.Annotations[kubernetes.RestartAnnotation] != "" {
				t.Errorf("it was touched: %+v", d.Spec)
			}
			want(t, r.Probe(soon(t), w, before), wire.StateUnknown, "删除重建")
		})
	}
}

// What would change nothing, or nothing that anybody sees, is refused.
func TestE2EWhatCannotBeRolledOut(t *testing.T) {
	t.Parallel()
	a, r := adminOf(t, "main"), open(t, kubeconfig(t, "main", nil))
	paused := deploymentOf("paused", 1)
	paused.Spec.Paused = true
	a.make(t, shopDeployments, "paused", paused)
	manual := statefulSetOf("manual", 1)
	manual.Spec.UpdateStrategy.Type = appsv1.OnDeleteStatefulSetStrategyType
	a.make(t, shopStatefulSets, "manual", manual)
	deployed(t, a, deploymentOf("single", 1))
	for name, w := range map[string]kind.Work{
		"a paused deployment":      r.work(t, "restart", args("namespace", "shop", "deployment", "paused")),
		"pods replaced by hand":    r.work(t, "restart-statefulset", args("namespace", "shop", "statefulset", "manual")),
		"nothing before the first": r.work(t, "undo", args("namespace", "shop", "deployment", "single")),
	} {
		if _, err := r.Prepare(soon(t), w); err == nil || !strings.Contains(fault.Safe(err), "没有执行任何操作") {
			t.Errorf("%s: %v: %s", name, err, fault.Safe(err))
		}
	}
}
