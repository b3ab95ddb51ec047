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
	"palmops/libs/looptest"
	"palmops/libs/wire"
	"palmops/services/executor/internal/kind"
)

// run prepares and applies.
func run(t *testing.T, k *Kind, w kind.Work, h *hand) kind.Result {
	t.Helper()
	ctx := within60(t)
	raw, err := k.Prepare(ctx, w)
	if err != nil {
		t.Fatalf("prepare: %v", err)
	}
	return k.Apply(ctx, w, raw, h)
}

func TestScale(t *testing.T) {
	t.Parallel()
	f := newFakeAPI(t)
	h := &hand{}
	r := run(t, newKind(t, f.srv.URL), scaleWork(5, 3), h)
	if r.State != wire.StateSucceeded || r.Text != "shop/web 副本数 3 → 5，5/5 就绪" {
		t.Errorf("%+v", r)
	}
	if n := *f.get("shop/web").Spec.Replicas; n != 5 || h.steps != 1 {
		t.Errorf("%d replicas, %d steps", n, h.steps)
	}
}

func TestScaleToTheSameNumberChangesNothing(t *testing.T) {
	t.Parallel()
	f := newFakeAPI(t)
	h := &hand{}
	r := run(t, newKind(t, f.srv.URL), scaleWork(3, 3), h)
	if r.State != wire.StateSucceeded || !strings.Contains(r.Text, "本来就是 3") || h.steps != 0 || f.count("PUT") != 0 {
		t.Errorf("%+v, %d steps", r, h.steps)
	}
}

func TestScaleFollowsReadinessThroughClosedWatches(t *testing.T) {
	t.Parallel()
	f := newFakeAPI(t)
	f.auto = false
	h := &hand{}
	k := newKind(t, f.srv.URL)
	done := make(chan kind.Result)
	go func() { done <- run(t, k, scaleWork(5, -1), h) }()
	f.watched()
	f.change("shop/web", setReady(5, 3))
	f.endWatches() // the server hangs up
	f.watched()
	f.change("shop/web", setReady(5, 4))
	f.mu.Lock()
	for _, w := range f.watches { // the version has become too old
		w.events <- watchEvent{"ERROR", metav1.Status{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: "Failure", Code: 410, Reason: metav1.StatusReasonExpired}}
	}
	f.mu.Unlock()
	f.change("shop/web", setReady(5, 5))
	r := <-done
	if r.State != wire.StateSucceeded || r.Text != "shop/web 副本数 3 → 5，5/5 就绪" {
		t.Errorf("%+v", r)
	}
	if len(h.lines) == 0 || !strings.Contains(h.lines[0], "/5 就绪") {
		t.Errorf("progress %q", h.lines)
	}
}

func TestScaleWithoutWatches(t *testing.T) {
	t.Parallel()
	f := newFakeAPI(t)
	f.auto = false
	reads := 0
	f.hook = func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Query().Get("watch") != "" {
			status(w, 403, metav1.StatusReasonForbidden)
			return true
		}
		if r.Method == http.MethodGet {
			if reads++; reads == 4 {
				f.change("shop/web", setReady(5, 5))
			}
		}
		return false
	}
	if r := run(t, newKind(t, f.srv.URL), scaleWork(5, 3), &hand{}); r.State != wire.StateSucceeded {
		t.Errorf("%+v", r)
	}
}

func TestScaleThatIsNotReadyInTime(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		cause error
		text  string
	}{
		{context.DeadlineExceeded, "60 秒内只有 4/5 就绪"},
		{kind.ErrStopping, "只有 4/5 就绪；执行器正在停止"},
	} {
		f := newFakeAPI(t)
		f.auto = false
		k, w := newKind(t, f.srv.URL), scaleWork(5, 3)
		raw, err := k.Prepare(within60(t), w)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancelCause(within60(t))
		h := &hand{}
		done := make(chan kind.Result)
		go func() { done <- k.Apply(ctx, w, raw, h) }()
		f.watched()
		f.change("shop/web", setReady(5, 4))
		for seen := false; !seen; {
			h.mu.Lock()
			seen = len(h.lines) > 0 && strings.Contains(h.lines[len(h.lines)-1], "4/5")
			h.mu.Unlock()
			_ = kind.Pause(ctx, time.Millisecond)
		}
		cancel(c.cause)
		r := <-done
		if r.State != wire.StateTimeout || !strings.Contains(r.Text, "副本数已设为 5") || !strings.Contains(r.Text, c.text) {
			t.Errorf("%v: %+v", c.cause, r)
		}
	}
}

func TestScaleThatSomebodyUndoes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(f *fakeAPI)
		text   string
	}{
		"other number": {func(f *fakeAPI) { f.change("shop/web", setReplicas(4)) }, "随后又被改为 4"},
		"recreated":    {func(f *fakeAPI) { f.change("shop/web", func(d *appsv1.Deployment) { d.UID = "another" }) }, "删除重建"},
		"deleted": {func(f *fakeAPI) {
			f.drop("deployments/shop/web")
			f.endWatches()
		}, "被删除"},
	} {
		f := newFakeAPI(t)
		f.auto = false
		k := newKind(t, f.srv.URL)
		done := make(chan kind.Result)
		go func() { done <- run(t, k, scaleWork(5, 3), &hand{}) }()
		f.watched()
		c.change(f)
		if r := <-done; r.State != wire.StateTimeout || !strings.Contains(r.Text, "已设为 5") || !strings.Contains(r.Text, c.text) {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

func TestPrepareRefuses(t *testing.T) {
	t.Parallel()
	f := newFakeAPI(t)
	k := newKind(t, f.srv.URL)
	f.change("shop/web", setReplicas(4))
	_, err := k.Prepare(within60(t), scaleWork(5, 3))
	if !fault.Is(err, fault.Conflict) || !strings.Contains(fault.Safe(err), "已变为 4（确认时为 3），没有执行任何操作") {
		t.Errorf("%v: %s", err, fault.Safe(err))
	}
	w := scaleWork(5, 3)
	w.Args["deployment"] = "nothing"
	if _, err := k.Prepare(within60(t), w); !fault.Is(err, fault.NotFound) || !strings.Contains(fault.Safe(err), "shop/nothing 不存在，没有执行任何操作") {
		t.Errorf("%v: %s", err, fault.Safe(err))
	}
	ctx, cancel := context.WithTimeout(within60(t), 50*time.Millisecond)
	defer cancel()
	if _, err := newKind(t, closedPort(t)).Prepare(ctx, scaleWork(5, 3)); !fault.Is(err, fault.Transient) {
		t.Errorf("API down: %v", err)
	}
}

// closedPort is a server that nobody listens for.
func closedPort(t *testing.T) string {
	t.Helper()
	at, err := looptest.Address()
	if err != nil {
		t.Fatal(err)
	}
	return "http://" + at
}

// TestScaleUnderTrouble lets the update go wrong in every way once and looks whether the report is true.
func TestScaleUnderTrouble(t *testing.T) {
	t.Parallel()
	swallow := func(w http.ResponseWriter) { // cut the connection: no answer
		conn, _, err := w.(http.Hijacker).Hijack()
		if err == nil {
			_ = conn.Close()
		}
	}
	for name, c := range map[string]struct {
		put   func(f *fakeAPI, try int, w http.ResponseWriter) bool
		state string
		text  string
		want  int32
	}{
		"busy once": {func(_ *fakeAPI, try int, w http.ResponseWriter) bool {
			if try == 1 {
				status(w, 429, metav1.StatusReasonTooManyRequests)
			}
			return try == 1
		}, wire.StateSucceeded, "3 → 5，5/5", 5},
		"broken once": {func(_ *fakeAPI, try int, w http.ResponseWriter) bool {
			if try == 1 {
				status(w, 500, metav1.StatusReasonInternalError)
			}
			return try == 1
		}, wire.StateSucceeded, "3 → 5，5/5", 5},
		"cut before": {func(_ *fakeAPI, try int, w http.ResponseWriter) bool {
			if try == 1 {
				swallow(w)
			}
			return try == 1
		}, wire.StateSucceeded, "3 → 5，5/5", 5},
		"cut after": {func(f *fakeAPI, try int, w http.ResponseWriter) bool {
			if try == 1 {
				f.change("shop/web", setReplicas(5))
				f.change("shop/web", setReady(5, 5))
				swallow(w)
			}
			return try == 1
		}, wire.StateSucceeded, "3 → 5，5/5", 5},
		"status moved on": {func(f *fakeAPI, try int, _ http.ResponseWriter) bool {
			if try <= 3 {
				f.change("shop/web", setReady(3, 2)) // the read version is stale, the number is not
			}
			return false
		}, wire.StateSucceeded, "3 → 5，5/5", 5},
		"moves on for ever": {func(f *fakeAPI, _ int, _ http.ResponseWriter) bool {
			f.change("shop/web", setReady(3, 2))
			return false
		}, wire.StateFailed, "没有执行任何操作", 3},
		"another number": {func(f *fakeAPI, try int, _ http.ResponseWriter) bool {
			if try == 1 {
				f.change("shop/web", setReplicas(4))
			}
			return false
		}, wire.StateFailed, "已变为 4（确认时为 3），没有执行任何操作", 4},
		"the number is set by another": {func(f *fakeAPI, try int, _ http.ResponseWriter) bool {
			if try == 1 {
				f.change("shop/web", setReplicas(5))
				f.change("shop/web", setReady(5, 5))
			}
			return false
		}, wire.StateSucceeded, "5/5", 5},
		"recreated": {func(f *fakeAPI, try int, _ http.ResponseWriter) bool {
			if try == 1 {
				f.change("shop/web", func(d *appsv1.Deployment) { d.UID = "another" })
			}
			return false
		}, wire.StateFailed, "删除重建，没有执行任何操作", 3},
		"cut, then undone by another": {func(f *fakeAPI, try int, w http.ResponseWriter) bool {
			if try == 1 {
				f.change("shop/web", setReplicas(5))
				f.change("shop/web", setReplicas(3))
				swallow(w)
			}
			return try == 1
		}, wire.StateUnknown, "无法判断", 3},
		"cut, then changed by another": {func(f *fakeAPI, try int, w http.ResponseWriter) bool {
			if try == 1 {
				f.change("shop/web", setReplicas(4))
				swallow(w)
			}
			return try == 1
		}, wire.StateFailed, "已变为 4", 4}, // one change only, and it was not ours
		"cut after, then changed by another": {func(f *fakeAPI, try int, w http.ResponseWriter) bool {
			if try == 1 {
				f.change("shop/web", setReplicas(5))
				f.change("shop/web", setReplicas(4))
				swallow(w)
			}
			return try == 1
		}, wire.StateUnknown, "无法判断", 4},
		"forbidden": {func(_ *fakeAPI, _ int, w http.ResponseWriter) bool {
			status(w, 403, metav1.StatusReasonForbidden)
			return true
		}, wire.StateFailed, "权限，没有执行任何操作", 3},
		"not found": {func(_ *fakeAPI, _ int, w http.ResponseWriter) bool {
			status(w, 404, metav1.StatusReasonNotFound)
			return true
		}, wire.StateFailed, "不存在，没有执行任何操作", 3},
		"invalid": {func(_ *fakeAPI, _ int, w http.ResponseWriter) bool {
			status(w, 422, metav1.StatusReasonInvalid)
			return true
		}, wire.StateFailed, "不接受", 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFakeAPI(t)
			try := 0
			f.hook = func(w http.ResponseWriter, r *http.Request) bool {
				if r.Method != http.MethodPut {
					return false
				}
				try++
				return c.put(f, try, w)
			}
			h := &hand{}
			r := run(t, newKind(t, f.srv.URL), scaleWork(5, 3), h)
			if r.State != c.state || !strings.Contains(r.Text, c.text) {
				t.Errorf("%+v", r)
			}
			if n := *f.get("shop/web").Spec.Replicas; n != c.want {
				t.Errorf("%d replicas", n)
			}
			if puts := f.count("PUT"); h.steps != puts {
				t.Errorf("%d updates with %d leaves", puts, h.steps)
			}
		})
	}
}

func TestScaleWithoutLeaveChangesNothing(t *testing.T) {
	t.Parallel()
	f := newFakeAPI(t)
	r := run(t, newKind(t, f.srv.URL), scaleWork(5, 3), &hand{deny: kind.ErrLost})
	if r.State != wire.StateFailed || f.count("PUT")+f.count("PATCH") != 0 {
		t.Errorf("%+v, requests %v", r, f.requests)
	}
}

// TestScaleWhoseApiGoesAway ends with the deadline while every answer is lost: the probe decides as soon as the API is back.
func TestScaleWhoseAPIGoesAway(t *testing.T) {
	t.Parallel()
	for name, applied := range map[string]bool{"applied": true, "not applied": false} {
		f := newFakeAPI(t)
		k, w := newKind(t, f.srv.URL), scaleWork(5, 3)
		raw, err := k.Prepare(within60(t), w)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(within60(t))
		first := true
		f.hook = func(rw http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodPut {
				return false
			}
			if first && applied {
				f.change("shop/web", setReplicas(5))
			}
			first = false
			cancel()
			status(rw, 504, metav1.StatusReasonTimeout)
			return true
		}
		r := k.Apply(ctx, w, raw, &hand{})
		want := wire.StateFailed
		if applied {
			want = wire.StateSucceeded
		}
		if r.State != want || f.get("shop/web").Annotations[FenceAnnotation] != w.ID {
			t.Errorf("%s: %+v", name, r)
		}
	}
}
