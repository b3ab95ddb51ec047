package kubernetes

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"palmops/libs/fault"
	"palmops/libs/lang"
	"palmops/libs/wire"
	"palmops/services/executor/internal/kind"
)

func restartWork() kind.Work {
	w := scaleWork(0, -1)
	w.Action = action(verbRestart)
	delete(w.Args, "replicas")
	return w
}

func TestRestart(t *testing.T) {
	t.Parallel()
	f := newFakeAPI(t)
	h := &hand{}
	k := newKind(t, f.srv.URL)
	k.now = func() time.Time { return time.Date(2026, 11, 23, 12, 0, 0, 5, time.UTC) }
	r := run(t, k, restartWork(), h)
	d := f.get("shop/web")
	if r.State != wire.StateSucceeded || r.Text != "shop/web 已重启，3/3 就绪" || h.steps != 1 {
		t.Errorf("%+v, %d steps", r, h.steps)
	}
	if ofDeployment(d).restartedAt() != "2026-11-23T12:00:00.000000005Z" || d.Generation != 2 || ofDeployment(d).wanted != 3 {
		t.Errorf("%+v", d)
	}
}

func TestRestartFollowsTheRollout(t *testing.T) {
	t.Parallel()
	f := newFakeAPI(t)
	f.auto = false
	h := &hand{}
	k := newKind(t, f.srv.URL)
	w := restartWork()
	w.Lang = lang.English
	done := make(chan kind.Result)
	go func() { done <- run(t, k, w, h) }()
	f.watched()
	f.change("shop/web", func(d *appsv1.Deployment) { // the new template has been looked at, one pod is new
		d.Status.ObservedGeneration, d.Status.UpdatedReplicas, d.Status.Replicas = d.Generation, 1, 4
	})
	f.change("shop/web", setReplicas(4)) // somebody scales meanwhile: that is no other restart
	f.change("shop/web", setReady(4, 4))
	r := <-done
	if r.State != wire.StateSucceeded || r.Text != "shop/web was restarted, 4/4 ready" {
		t.Errorf("%+v", r)
	}
	if len(h.lines) == 0 || !strings.Contains(strings.Join(h.lines, "\n"), "shop/web is being restarted, 1/3 up to date, 3/3 ready") {
		t.Errorf("progress %q", h.lines)
	}
}

// TestRestartUnderTrouble lets the patch go wrong in every way once and looks whether the report is true.
func TestRestartUnderTrouble(t *testing.T) {
	t.Parallel()
	cut := func(w http.ResponseWriter) {
		if conn, _, err := w.(http.Hijacker).Hijack(); err == nil {
			_ = conn.Close()
		}
	}
	ours := func(f *fakeAPI, k *Kind) { f.change("shop/web", setRestarted(k.now().Format(time.RFC3339Nano))) }
	for name, c := range map[string]struct {
		patch    func(f *fakeAPI, k *Kind, try int, w http.ResponseWriter) bool
		state    string
		text     string
		restarts int64
	}{
		"busy once": {func(_ *fakeAPI, _ *Kind, try int, w http.ResponseWriter) bool {
			if try == 1 {
				status(w, 429, metav1.StatusReasonTooManyRequests)
			}
			return try == 1
		}, wire.StateSucceeded, "已重启，3/3 就绪", 1},
		"cut before": {func(_ *fakeAPI, _ *Kind, try int, w http.ResponseWriter) bool {
			if try == 1 {
				cut(w)
			}
			return try == 1
		}, wire.StateSucceeded, "已重启", 1},
		"cut after": {func(f *fakeAPI, k *Kind, try int, w http.ResponseWriter) bool {
			if try == 1 {
				ours(f, k)
				f.change("shop/web", setReady(3, 3))
				cut(w)
			}
			return try == 1
		}, wire.StateSucceeded, "已重启", 1},
		"scaled meanwhile": {func(f *fakeAPI, _ *Kind, try int, _ http.ResponseWriter) bool {
			if try == 1 {
				f.change("shop/web", setReplicas(3))
			}
			return false
		}, wire.StateSucceeded, "已重启", 2},
		"cut, then restarted by another": {func(f *fakeAPI, k *Kind, try int, w http.ResponseWriter) bool {
			if try == 1 {
				ours(f, k)
				f.change("shop/web", setRestarted("another"))
				cut(w)
			}
			return try == 1
		}, wire.StateUnknown, "无法判断", 2},
		"recreated": {func(f *fakeAPI, _ *Kind, try int, _ http.ResponseWriter) bool {
			if try == 1 {
				f.change("shop/web", func(d *appsv1.Deployment) { d.UID = "another" })
			}
			return false
		}, wire.StateFailed, "删除重建，没有执行任何操作", 0},
		"forbidden": {func(_ *fakeAPI, _ *Kind, _ int, w http.ResponseWriter) bool {
			status(w, 403, metav1.StatusReasonForbidden)
			return true
		}, wire.StateFailed, "权限，没有执行任何操作", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFakeAPI(t)
			k := newKind(t, f.srv.URL)
			now := time.Now().UTC()
			k.now = func() time.Time { return now }
			try := 0
			f.hook = func(w http.ResponseWriter, r *http.Request) bool {
				if r.Method != http.MethodPatch {
					return false
				}
				try++
				return c.patch(f, k, try, w)
			}
			r := run(t, k, restartWork(), &hand{})
			if r.State != c.state || !strings.Contains(r.Text, c.text) {
				t.Errorf("%+v", r)
			}
			n := f.get("shop/web").Generation - 1
			if f.get("shop/web").Annotations[FenceAnnotation] != "" {
				n-- // the API server counts it too
			}
			if n != c.restarts {
				t.Errorf("%d changes of the spec", n)
			}
		})
	}
}

func TestProbeOfARestart(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		happened func(f *fakeAPI, mark string)
		noPatch  bool
		state    string
		text     string
	}{
		"applied and ready": {func(f *fakeAPI, mark string) {
			f.change("shop/web", setRestarted(mark))
			f.change("shop/web", setReady(3, 3))
		}, false, wire.StateSucceeded, "已重启，3/3 就绪"},
		"applied":            {func(f *fakeAPI, mark string) { f.change("shop/web", setRestarted(mark)) }, false, wire.StateSucceeded, "重启已生效，目前 0/3 已更新"},
		"nothing":            {func(*fakeAPI, string) {}, false, wire.StateFailed, "没有被重启。可以重新发起"},
		"another restart":    {func(f *fakeAPI, _ string) { f.change("shop/web", setRestarted("x")) }, false, wire.StateUnknown, "无法判断"},
		"recreated":          {func(f *fakeAPI, _ string) { f.change("shop/web", func(d *appsv1.Deployment) { d.UID = "x" }) }, false, wire.StateUnknown, "删除重建"},
		"deleted":            {func(f *fakeAPI, _ string) { f.drop("deployments/shop/web") }, false, wire.StateUnknown, "部署已不存在"},
		"no fence, applied":  {func(f *fakeAPI, mark string) { f.change("shop/web", setRestarted(mark)) }, true, wire.StateSucceeded, "已生效"},
		"no fence, not seen": {func(*fakeAPI, string) {}, true, wire.StateUnknown, "无法判断"},
	} {
		f := newFakeAPI(t)
		k, w := newKind(t, f.srv.URL), restartWork()
		now := time.Now().UTC()
		k.now = func() time.Time { return now }
		raw, err := k.Prepare(within60(t), w)
		if err != nil {
			t.Fatal(err)
		}
		c.happened(f, now.Format(time.RFC3339Nano))
		if c.noPatch {
			f.forbid(http.MethodPatch)
		}
		if r := k.Probe(within60(t), w, raw); r.State != c.state || !strings.Contains(r.Text, c.text) {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

// TestALostRestartMissesAfterTheProbe: the dead owner's patch arrives after the verdict "not restarted".
func TestALostRestartMissesAfterTheProbe(t *testing.T) {
	t.Parallel()
	f := newFakeAPI(t)
	k, w := newKind(t, f.srv.URL), restartWork()
	raw, err := k.Prepare(within60(t), w)
	if err != nil {
		t.Fatal(err)
	}
	if r := k.Probe(within60(t), w, raw); r.State != wire.StateFailed {
		t.Fatalf("%+v", r)
	}
	op, err := k.resume(w, raw)
	if err != nil {
		t.Fatal(err)
	}
	c := op.(*change)
	if err := c.goal.send(within60(t), c); natureOf(err) != stale || ofDeployment(f.get("shop/web")).restartedAt() != "" {
		t.Errorf("the late patch was answered with %v", err)
	}
}

// TestCancelled: before its effect a change ends with nothing done, after it with the truth about what was submitted.
func TestCancelled(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		work          kind.Work
		before, after string
	}{
		"scale":   {scaleWork(5, 3), "shop/web 没有被修改，没有执行任何操作。", "shop/web 副本数已经提交 3 → 5，不会自动恢复；取消时只有 4/5 就绪。"},
		"restart": {restartWork(), "shop/web 没有被修改，没有执行任何操作。", "shop/web 已经开始重启，不会自动恢复"},
	} {
		t.Run(name+" before", func(t *testing.T) {
			t.Parallel()
			f := newFakeAPI(t)
			k := newKind(t, f.srv.URL)
			raw, err := k.Prepare(within60(t), c.work)
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancelCause(within60(t))
			cancel(kind.ErrCanceled)
			r := k.Apply(ctx, c.work, raw, &hand{deny: context.Canceled})
			if r.State != wire.StateCanceled || r.Text != c.before || f.count("PUT")+f.count("PATCH") != 0 {
				t.Errorf("%+v, requests %v", r, f.requests)
			}
		})
		t.Run(name+" in doubt", func(t *testing.T) {
			t.Parallel()
			f := newFakeAPI(t)
			k := newKind(t, f.srv.URL)
			raw, err := k.Prepare(within60(t), c.work)
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancelCause(within60(t))
			first := true
			f.hook = func(w http.ResponseWriter, r *http.Request) bool {
				if r.Method == http.MethodGet || !first {
					return false
				}
				first = false
				cancel(kind.ErrCanceled) // while the request is under way, and its answer is lost
				status(w, 504, metav1.StatusReasonTimeout)
				return true
			}
			r := k.Apply(ctx, c.work, raw, &hand{})
			if r.State != wire.StateCanceled || r.Text != c.before || ofDeployment(f.get("shop/web")).restartedAt() != "" || *f.get("shop/web").Spec.Replicas != 3 {
				t.Errorf("%+v", r)
			}
		})
		t.Run(name+" after", func(t *testing.T) {
			t.Parallel()
			f := newFakeAPI(t)
			f.auto = false
			k := newKind(t, f.srv.URL)
			raw, err := k.Prepare(within60(t), c.work)
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancelCause(within60(t))
			h := &hand{}
			done := make(chan kind.Result)
			go func() { done <- k.Apply(ctx, c.work, raw, h) }()
			f.watched()
			f.change("shop/web", func(d *appsv1.Deployment) {
				d.Status.ObservedGeneration, d.Status.Replicas, d.Status.ReadyReplicas, d.Status.UpdatedReplicas = d.Generation, 4, 4, 2
			})
			for seen := false; !seen; {
				h.mu.Lock()
				seen = len(h.lines) > 0 && (strings.Contains(h.lines[len(h.lines)-1], "4/5") || strings.Contains(h.lines[len(h.lines)-1], "2/3 已更新"))
				h.mu.Unlock()
				_ = kind.Pause(ctx, time.Millisecond)
			}
			cancel(kind.ErrCanceled)
			if r := <-done; r.State != wire.StateCanceled || !strings.Contains(r.Text, c.after) {
				t.Errorf("%+v", r)
			}
		})
	}
}

func TestRestartOfWhatIsNotThere(t *testing.T) {
	t.Parallel()
	f := newFakeAPI(t)
	w := restartWork()
	w.Args["deployment"], w.Lang = "none", lang.English
	_, err := newKind(t, f.srv.URL).Prepare(within60(t), w)
	if !fault.Is(err, fault.NotFound) || fault.Safe(err) != "shop/none does not exist. Nothing was done. Please go back and choose again." {
		t.Errorf("%v: %s", err, fault.Safe(err))
	}
}
