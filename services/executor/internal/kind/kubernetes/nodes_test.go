package kubernetes

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"palmops/libs/fault"
	"palmops/libs/lang"
	"palmops/libs/wire"
	"palmops/services/executor/internal/kind"
)

func nodeWork(verb string) kind.Work {
	return kind.Work{ID: "action-1", Action: action(verb), Timeout: hang, Args: map[string]any{"node": "n1"}}
}

func TestCordon(t *testing.T) {
	t.Parallel()
	f := newFakeAPI(t)
	f.addNode("n1")
	k := newKind(t, f.srv.URL)
	w := nodeWork(verbCordon)
	if got := k.Target(kind.Query{Action: w.Action, Args: w.Args}); got != "k8s/practice/node/n1" {
		t.Error(got)
	}
	closed := func() bool { return read[*corev1.Node](f, "nodes//n1").Spec.Unschedulable }
	if r := run(t, k, w, &hand{}); r.State != wire.StateSucceeded || r.Text != "节点 n1 已设为停止调度" || !closed() {
		t.Errorf("%+v", r)
	}
	if r := run(t, k, w, &hand{}); r.State != wire.StateSucceeded || r.Text != "节点 n1 本来就是停止调度" || f.count("PATCH") != 1 {
		t.Errorf("%+v", r)
	}
	w = nodeWork(verbUncordon)
	w.Lang = lang.English
	if r := run(t, k, w, &hand{}); r.State != wire.StateSucceeded || r.Text != "node n1 is schedulable now" || closed() {
		t.Errorf("%+v", r)
	}
}

func TestProbeOfACordon(t *testing.T) {
	t.Parallel()
	set := func(closed bool, id string) func(*fakeAPI) {
		return func(f *fakeAPI) {
			edit(f, "nodes//n1", func(n *corev1.Node) {
				n.Spec.Unschedulable = closed
				n.Annotations = map[string]string{ActionAnnotation: id}
			})
		}
	}
	for name, c := range map[string]struct {
		happened func(*fakeAPI)
		verb     string
		state    string
	}{
		"nothing":                  {func(*fakeAPI) {}, verbCordon, wire.StateFailed},
		"applied":                  {set(true, "action-1"), verbCordon, wire.StateSucceeded},
		"by somebody else":         {set(true, "x"), verbCordon, wire.StateSucceeded}, // it is as it was wanted
		"applied and turned round": {set(false, "action-1"), verbCordon, wire.StateUnknown},
		"gone":                     {func(f *fakeAPI) { f.drop("nodes//n1") }, verbCordon, wire.StateUnknown},
		"drain not begun":          {set(true, "x"), verbDrain, wire.StateFailed},
		"drain begun":              {set(true, "action-1"), verbDrain, wire.StateUnknown},
		"drain done": {func(f *fakeAPI) {
			set(true, "action-1")(f)
			f.drop("pods/shop/web-1")
		}, verbDrain, wire.StateSucceeded},
	} {
		f := newFakeAPI(t)
		f.addNode("n1")
		f.addPod("shop", "web-1", "n1", "ReplicaSet")
		k, w := newKind(t, f.srv.URL), nodeWork(c.verb)
		raw, err := k.Prepare(within60(t), w)
		if err != nil {
			t.Fatal(err)
		}
		c.happened(f)
		if r := k.Probe(within60(t), w, raw); r.State != c.state {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

// crowded is a node with 12 pods that go, one of a daemon set and a mirror pod.
func crowded(t *testing.T) *fakeAPI {
	t.Helper()
	f := newFakeAPI(t)
	f.addNode("n1")
	for _, n := range "abcdefghijkl" {
		f.addPod("shop", "web-"+string(n), "n1", "ReplicaSet")
	}
	f.addPod("kube-system", "proxy", "n1", "DaemonSet")
	f.addPod("kube-system", "static", "n1", "", func(p *corev1.Pod) { p.Annotations = map[string]string{corev1.MirrorPodAnnotationKey: "x"} })
	f.addPod("shop", "elsewhere", "n2", "ReplicaSet")
	return f
}

func TestDrain(t *testing.T) {
	t.Parallel()
	f := crowded(t)
	h := &hand{}
	k, w := newKind(t, f.srv.URL), nodeWork(verbDrain)
	raw, err := k.Prepare(within60(t), w)
	if err != nil {
		t.Fatal(err)
	}
	if plan, err := k.Plan(within60(t), w, raw); err != nil || plan != "节点 n1 将停止调度，驱逐 12 个 Pod，2 个守护进程类 Pod 保留" {
		t.Errorf("%q, %v", plan, err)
	}
	r := k.Apply(within60(t), w, raw, h)
	if r.State != wire.StateSucceeded || r.Text != "节点 n1 已腾空：12 个 Pod 已迁出，2 个守护进程类 Pod 保留。维护后请恢复调度。" {
		t.Errorf("%+v", r)
	}
	if f.evictions != 12 || h.steps != 13 || !read[*corev1.Node](f, "nodes//n1").Spec.Unschedulable {
		t.Errorf("%d evictions, %d steps", f.evictions, h.steps)
	}
	if read[*corev1.Pod](f, "pods/shop/elsewhere") == nil || read[*corev1.Pod](f, "pods/kube-system/proxy") == nil {
		t.Error("a pod is gone that should have stayed")
	}
}

// TestDrainWaitsForABudget: the pod that a budget holds back is asked for again until the budget has room.
func TestDrainWaitsForABudget(t *testing.T) {
	t.Parallel()
	f := crowded(t)
	asked := 0
	f.budget = func(pod string) string {
		if pod != "shop/web-c" {
			return ""
		}
		if asked++; asked < 3 {
			return "The disruption budget web needs 3 healthy pods and has 3 currently"
		}
		return ""
	}
	if r := run(t, newKind(t, f.srv.URL), nodeWork(verbDrain), &hand{}); r.State != wire.StateSucceeded || asked != 3 {
		t.Errorf("%+v after %d", r, asked)
	}
}

func TestDrainThatDoesNotComeToItsEnd(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		cause error
		state string
		text  string
	}{
		"timeout":  {context.DeadlineExceeded, wire.StateTimeout, "60 秒内只驱逐了 11/12，还剩：shop/web-c（The disruption budget web needs 3 healthy pods）"},
		"canceled": {kind.ErrCanceled, wire.StateCanceled, "已驱逐 11/12，另有 0 个已要求退出"},
		"stopping": {kind.ErrStopping, wire.StateTimeout, "已驱逐 11/12；执行器正在停止"},
		"lost":     {kind.ErrLost, wire.StateUnknown, "其他执行器接管"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := crowded(t)
			f.budget = func(pod string) string {
				if pod == "shop/web-c" {
					return "The disruption budget web needs 3 healthy pods"
				}
				return ""
			}
			k, w := newKind(t, f.srv.URL), nodeWork(verbDrain)
			raw, err := k.Prepare(within60(t), w)
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancelCause(within60(t))
			h := &told{want: "11/12", then: func() { cancel(c.cause) }}
			r := k.Apply(ctx, w, raw, h)
			if r.State != c.state || !strings.Contains(r.Text, c.text) || f.evictions != 11 {
				t.Errorf("%+v after %d", r, f.evictions)
			}
		})
	}
}

// told acts once when it is told of something.
type told struct {
	hand
	want string
	then func()
	once sync.Once
}

func (h *told) Progress(line string) {
	if strings.Contains(line, h.want) {
		h.once.Do(h.then)
	}
}

// TestDrainStopsAtTheNextPod: after the cancel no other pod is asked to go.
func TestDrainStopsAtTheNextPod(t *testing.T) {
	t.Parallel()
	f := crowded(t)
	f.auto = false
	ctx, cancel := context.WithCancelCause(within60(t))
	f.hook = func(_ http.ResponseWriter, r *http.Request) bool {
		if strings.HasSuffix(r.URL.Path, "/web-c/eviction") {
			cancel(kind.ErrCanceled)
		}
		return false
	}
	k, w := newKind(t, f.srv.URL), nodeWork(verbDrain)
	raw, err := k.Prepare(within60(t), w)
	if err != nil {
		t.Fatal(err)
	}
	r := k.Apply(ctx, w, raw, &hand{})
	if r.State != wire.StateCanceled || f.evictions > 3 || !strings.Contains(r.Text, "已停止调度") {
		t.Errorf("%+v after %d", r, f.evictions)
	}
}

func TestDrainIsRefused(t *testing.T) {
	t.Parallel()
	empty := func(p *corev1.Pod) {
		p.Spec.Volumes = []corev1.Volume{{Name: "x", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}}
	}
	for name, c := range map[string]struct {
		owner   string
		edit    func(*corev1.Pod)
		allowed DrainSettings
		ok      bool
	}{
		"unmanaged":             {"", func(*corev1.Pod) {}, DrainSettings{LocalData: true}, false},
		"unmanaged, allowed":    {"", func(*corev1.Pod) {}, DrainSettings{Unmanaged: true}, true},
		"local data":            {"ReplicaSet", empty, DrainSettings{Unmanaged: true}, false},
		"local data, allowed":   {"ReplicaSet", empty, DrainSettings{LocalData: true}, true},
		"unmanaged, but ended":  {"", func(p *corev1.Pod) { p.Status.Phase = corev1.PodSucceeded }, DrainSettings{}, true},
		"unmanaged, but leaves": {"", func(p *corev1.Pod) { now := metav1.Now(); p.DeletionTimestamp = &now }, DrainSettings{}, true},
	} {
		f := newFakeAPI(t)
		f.addNode("n1")
		f.addPod("shop", "one", "n1", c.owner, c.edit)
		w := nodeWork(verbDrain)
		w.Action.Settings = c.allowed
		_, err := newKind(t, f.srv.URL).Prepare(within60(t), w)
		if c.ok != (err == nil) || !c.ok && (!fault.Is(err, fault.Conflict) || !strings.Contains(fault.Safe(err), "shop/one。没有执行任何操作")) {
			t.Errorf("%s: %v: %s", name, err, fault.Safe(err))
		}
	}
}

func TestDrainUnderTrouble(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		hook  func(f *fakeAPI, try int, w http.ResponseWriter, r *http.Request) bool // of evictions
		state string
		text  string
	}{
		"answers lost": {func(_ *fakeAPI, try int, w http.ResponseWriter, _ *http.Request) bool {
			if try == 2 {
				cut(w)
			}
			return try == 2
		}, wire.StateSucceeded, "12 个 Pod 已迁出"},
		"another has its name by now": {func(f *fakeAPI, try int, _ http.ResponseWriter, _ *http.Request) bool {
			if try == 1 {
				f.addPod("shop", "web-a", "n2", "StatefulSet")
			}
			return false
		}, wire.StateSucceeded, "12 个 Pod 已迁出"},
		"several budgets": {func(_ *fakeAPI, try int, w http.ResponseWriter, _ *http.Request) bool {
			if try == 1 {
				refuse(w, 500, metav1.StatusReasonInternalError, "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.", nil)
			}
			return try == 1
		}, wire.StateSucceeded, "12 个 Pod 已迁出"},
		"forbidden": {func(_ *fakeAPI, try int, w http.ResponseWriter, _ *http.Request) bool {
			if try == 3 {
				status(w, 403, metav1.StatusReasonForbidden)
			}
			return try == 3
		}, wire.StateTimeout, "中断，不再继续。请处理后重新发起，或恢复调度。原因：集群没有给执行器权限"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := crowded(t)
			try := 0
			f.hook = func(w http.ResponseWriter, r *http.Request) bool {
				if r.Method != http.MethodPost {
					return false
				}
				try++
				return c.hook(f, try, w, r)
			}
			if r := run(t, newKind(t, f.srv.URL), nodeWork(verbDrain), &hand{}); r.State != c.state || !strings.Contains(r.Text, c.text) {
				t.Errorf("%+v", r)
			}
			if other := read[*corev1.Pod](f, "pods/shop/web-a"); name == "another has its name by now" && other == nil {
				t.Error("a pod of the same name on another node was evicted")
			}
		})
	}
}

func TestDrainWhoseListIsCut(t *testing.T) {
	t.Parallel()
	f := crowded(t)
	lists := 0
	f.hook = func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != "/api/v1/pods" || r.URL.Query().Get("continue") == "" {
			return false
		}
		if lists++; lists != 10 {
			return false
		}
		cut(w)
		return true
	}
	if r := run(t, newKind(t, f.srv.URL), nodeWork(verbDrain), &hand{}); r.State != wire.StateSucceeded || f.evictions != 12 {
		t.Errorf("%+v after %d", r, f.evictions)
	}
}

// TestDrainThatNobodyCanWatch: the node is cordoned, and then its pods cannot be listed any more.
func TestDrainThatNobodyCanWatch(t *testing.T) {
	t.Parallel()
	for cause, state := range map[error]string{context.DeadlineExceeded: wire.StateTimeout, kind.ErrCanceled: wire.StateCanceled} {
		f := crowded(t)
		k, w := newKind(t, f.srv.URL), nodeWork(verbDrain)
		raw, err := k.Prepare(within60(t), w)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancelCause(within60(t))
		f.hook = func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path != "/api/v1/pods" {
				return false
			}
			cancel(cause)
			status(w, 500, metav1.StatusReasonInternalError)
			return true
		}
		r := k.Apply(ctx, w, raw, &hand{})
		if r.State != state || r.Text != "节点 n1 已停止调度，还没有驱逐任何 Pod。请重新发起，或恢复调度。" || f.evictions != 0 {
			t.Errorf("%v: %+v after %d", cause, r, f.evictions)
		}
	}
}
