package kubernetes

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"palmops/libs/fault"
	"palmops/libs/lang"
	"palmops/libs/wire"
	"palmops/services/executor/internal/kind"
)

// withHistory has the deployment shop/web at revision 3 of three.
func withHistory(t *testing.T) *fakeAPI {
	t.Helper()
	f := newFakeAPI(t)
	f.addRevision("shop", "web", 1, "web:1", "first")
	f.addRevision("shop", "web", 2, "web:2", "")
	f.addRevision("shop", "web", 3, "web:3", "third")
	f.rollOut("shop/web", 3)
	return f
}

func undoWork(args map[string]any) kind.Work {
	all := map[string]any{"namespace": "shop", "deployment": "web"}
	for k, v := range args {
		all[k] = v
	}
	return kind.Work{ID: "action-1", Action: action(verbUndo), Timeout: hang, Args: all}
}

func TestRevisions(t *testing.T) {
	t.Parallel()
	f := withHistory(t)
	got, err := newKind(t, f.srv.URL).Answer(within60(t), query(verbRevisions, map[string]any{"namespace": "shop", "deployment": "web"}))
	if err != nil || len(got.Items) != 3 {
		t.Fatalf("%+v, %v", got, err)
	}
	for i, want := range []struct{ value, detail string }{{"3", "当前，web:3，"}, {"2", "web:2，"}, {"1", "web:1，"}} {
		if got.Items[i].Value != want.value || !strings.HasPrefix(got.Items[i].Detail, want.detail) {
			t.Errorf("%+v", got.Items[i])
		}
	}
	if !strings.HasSuffix(got.Items[0].Detail, "，third") {
		t.Errorf("no cause in %+v", got.Items[0])
	}
}

func TestUndo(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args  map[string]any
		image string
		cause string
	}{
		"the one before": {nil, "web:2", ""},
		"a revision":     {map[string]any{"revision": int64(1), "from": int64(3)}, "web:1", "first"},
	} {
		f := withHistory(t)
		// What the template must lose: a merge would keep it.
		f.change("shop/web", func(d *appsv1.Deployment) { d.Spec.Template.Annotations = map[string]string{"only": "new"} })
		h := &hand{}
		w := undoWork(c.args)
		r := run(t, newKind(t, f.srv.URL), w, h)
		d := f.get("shop/web")
		if r.State != wire.StateSucceeded || r.Text != "shop/web 已回退，3/3 就绪" || h.steps != 1 {
			t.Errorf("%s: %+v, %d steps", name, r, h.steps)
		}
		if d.Spec.Template.Spec.Containers[0].Image != c.image || d.Spec.Template.Annotations != nil || d.Annotations[causeAnnotation] != c.cause || d.Annotations[ActionAnnotation] != w.ID {
			t.Errorf("%s: %+v %+v", name, d.Spec.Template, d.Annotations)
		}
		if diff := cmp.Diff(map[string]string{"app": "web"}, d.Spec.Template.Labels); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestUndoIsRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args map[string]any
		edit func(f *fakeAPI)
		kind fault.Kind
		text string
	}{
		"another revision by now": {map[string]any{"from": int64(2)}, nil, fault.Conflict, "当前版本已变为 3（确认时为 2）"},
		"no such revision":        {map[string]any{"revision": int64(9)}, nil, fault.NotFound, "没有版本 9"},
		"nothing earlier": {nil, func(f *fakeAPI) {
			f.drop("replicasets/shop/web-hash1")
			f.drop("replicasets/shop/web-hash2")
		}, fault.NotFound, "没有更早的版本"},
		"paused": {nil, func(f *fakeAPI) { f.change("shop/web", func(d *appsv1.Deployment) { d.Spec.Paused = true }) }, fault.Conflict, "已暂停更新"},
	} {
		f := withHistory(t)
		if c.edit != nil {
			c.edit(f)
		}
		_, err := newKind(t, f.srv.URL).Prepare(within60(t), undoWork(c.args))
		if !fault.Is(err, c.kind) || !strings.Contains(fault.Safe(err), c.text) || !strings.Contains(fault.Safe(err), "没有执行任何操作") {
			t.Errorf("%s: %v: %s", name, err, fault.Safe(err))
		}
	}
}

// TestUndoUnderTrouble lets the request go wrong once in every way and looks whether the report is true.
func TestUndoUnderTrouble(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		patch func(f *fakeAPI, w http.ResponseWriter) bool // the first one
		state string
		text  string
		image string
	}{
		"cut before": {func(_ *fakeAPI, w http.ResponseWriter) bool { cut(w); return true }, wire.StateSucceeded, "已回退", "web:2"},
		"cut after":  {func(f *fakeAPI, w http.ResponseWriter) bool { f.rollOut("shop/web", 2); cut(w); return true }, wire.StateSucceeded, "已回退", "web:2"},
		"status moved on": {func(f *fakeAPI, _ http.ResponseWriter) bool {
			f.change("shop/web", setReady(3, 2))
			return false
		}, wire.StateSucceeded, "已回退", "web:2"},
		"rolled out by another": {func(f *fakeAPI, _ http.ResponseWriter) bool {
			f.rollOut("shop/web", 1)
			return false
		}, wire.StateFailed, "刚刚又有新的发布，没有执行任何操作", "web:1"},
		"forbidden": {func(_ *fakeAPI, w http.ResponseWriter) bool {
			status(w, 403, metav1.StatusReasonForbidden)
			return true
		}, wire.StateFailed, "权限，没有执行任何操作", "web:3"},
		"cut after, then undone by another": {func(f *fakeAPI, w http.ResponseWriter) bool {
			f.rollOut("shop/web", 2)
			f.rollOut("shop/web", 3)
			cut(w)
			return true
		}, wire.StateUnknown, "无法判断", "web:3"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := withHistory(t)
			first := true
			f.hook = func(w http.ResponseWriter, r *http.Request) bool {
				if r.Method != http.MethodPatch || !first {
					return false
				}
				first = false
				return c.patch(f, w)
			}
			r := run(t, newKind(t, f.srv.URL), undoWork(nil), &hand{})
			if r.State != c.state || !strings.Contains(r.Text, c.text) || f.get("shop/web").Spec.Template.Spec.Containers[0].Image != c.image {
				t.Errorf("%+v with %s", r, f.get("shop/web").Spec.Template.Spec.Containers[0].Image)
			}
		})
	}
}

func TestUndoOfARevisionThatIsCleanedUp(t *testing.T) {
	t.Parallel()
	f := withHistory(t)
	k, w := newKind(t, f.srv.URL), undoWork(nil)
	raw, err := k.Prepare(within60(t), w)
	if err != nil {
		t.Fatal(err)
	}
	f.drop("replicasets/shop/web-hash2")
	if r := k.Apply(within60(t), w, raw, &hand{}); r.State != wire.StateFailed || !strings.Contains(r.Text, "没有版本 2") || f.count("PATCH") != 0 {
		t.Errorf("%+v", r)
	}
}

func TestUndoToTheSameContent(t *testing.T) {
	t.Parallel()
	f := withHistory(t)
	r := run(t, newKind(t, f.srv.URL), undoWork(map[string]any{"revision": int64(3)}), &hand{})
	if r.State != wire.StateSucceeded || r.Text != "shop/web 已经是版本 3 的内容，没有修改。" || f.count("PATCH") != 0 {
		t.Errorf("%+v", r)
	}
}

func TestProbeOfAnUndo(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		happened func(f *fakeAPI, k *Kind, op operation)
		state    string
	}{
		"nothing": {func(*fakeAPI, *Kind, operation) {}, wire.StateFailed},
		"applied": {func(_ *fakeAPI, _ *Kind, op operation) {
			c := op.(*change)
			_ = c.goal.send(t.Context(), c) // the verdict shows
		}, wire.StateSucceeded},
		"applied, then rolled out anew": {func(f *fakeAPI, _ *Kind, op operation) {
			c := op.(*change)
			_ = c.goal.send(t.Context(), c) // as above
			f.rollOut("shop/web", 1)
		}, wire.StateUnknown},
	} {
		f := withHistory(t)
		k, w := newKind(t, f.srv.URL), undoWork(nil)
		raw, err := k.Prepare(within60(t), w)
		if err != nil {
			t.Fatal(err)
		}
		op, err := k.resume(w, raw)
		if err != nil {
			t.Fatal(err)
		}
		c.happened(f, k, op)
		if r := k.Probe(within60(t), w, raw); r.State != c.state {
			t.Errorf("%s: %+v", name, r)
		}
		sent := op.(*change)
		if err := sent.goal.send(within60(t), sent); natureOf(err) != stale {
			t.Errorf("%s: a request after the verdict was answered with %v", name, err)
		}
	}
}

func TestStatefulSets(t *testing.T) {
	t.Parallel()
	f := newFakeAPI(t)
	f.addStateful("shop", "db", 2)
	k := newKind(t, f.srv.URL)
	args := map[string]any{"namespace": "shop", "statefulset": "db", "replicas": int64(3), "from": int64(2)}
	w := kind.Work{ID: "action-1", Action: action(verbScaleStatefulSet), Timeout: hang, Args: args}
	if got := k.Target(kind.Query{Action: w.Action, Args: w.Args}); got != "k8s/practice/shop/statefulset/db" {
		t.Error(got)
	}
	if r := run(t, k, w, &hand{}); r.State != wire.StateSucceeded || r.Text != "shop/db 副本数 2 → 3，3/3 就绪" {
		t.Errorf("%+v", r)
	}
	w.Action, w.Lang = action(verbRestartStatefulSet), lang.English
	if r := run(t, k, w, &hand{}); r.State != wire.StateSucceeded || r.Text != "shop/db was restarted, 3/3 ready" {
		t.Errorf("%+v", r)
	}
	s := read[*appsv1.StatefulSet](f, "statefulsets/shop/db")
	if s.Spec.Template.Annotations[RestartAnnotation] == "" {
		t.Errorf("%+v", s.Spec.Template)
	}
	edit(f, "statefulsets/shop/db", func(s *appsv1.StatefulSet) { s.Spec.UpdateStrategy.Type = appsv1.OnDeleteStatefulSetStrategyType })
	if _, err := k.Prepare(within60(t), w); !fault.Is(err, fault.Conflict) || !strings.Contains(fault.SafeIn(err, lang.English), "OnDelete") {
		t.Errorf("%v", err)
	}
	got, err := k.Answer(within60(t), query(verbStatefulSets, args))
	if err != nil || len(got.Items) != 1 || got.Items[0].Detail != "3/3 就绪" {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestSettled: a stateful set's partition keeps pods as they are.
func TestSettled(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		o    object
		want bool
	}{
		"all":             {object{wanted: 3, total: 3, updated: 3, ready: 3}, true},
		"one old":         {object{wanted: 3, total: 3, updated: 2, ready: 3}, false},
		"one old, kept":   {object{wanted: 3, total: 3, updated: 2, ready: 3, kept: 1}, true},
		"by hand":         {object{wanted: 3, total: 3, updated: 0, ready: 3, byHand: true}, true},
		"one too many":    {object{wanted: 3, total: 4, updated: 3, ready: 3}, false},
		"not looked at":   {object{ObjectMeta: metav1.ObjectMeta{Generation: 2}, wanted: 3, total: 3, updated: 3, ready: 3, observed: 1}, false},
		"nothing, wanted": {object{}, true},
	} {
		if got := c.o.settled(); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}
