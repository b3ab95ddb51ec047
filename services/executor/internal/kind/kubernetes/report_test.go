package kubernetes

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"palmops/libs/fault"
	"palmops/libs/lang"
	"palmops/libs/wire"
	"palmops/services/executor/internal/kind"
)

func TestLogs(t *testing.T) {
	t.Parallel()
	f := newFakeAPI(t)
	f.addPod("shop", "web-1", "n1", "ReplicaSet", func(p *corev1.Pod) {
		p.Spec.Containers = append(p.Spec.Containers, corev1.Container{Name: "side"})
	})
	asked := ""
	f.logs = func(w http.ResponseWriter, r *http.Request, pod string) {
		asked = pod + "?" + r.URL.RawQuery
		for i := range 12 {
			_, _ = fmt.Fprintf(w, "\x1b[31mline %d\x1b[0m\t\x07end\n", i)
		}
		_, _ = w.Write([]byte("last without an end"))
	}
	k := newKind(t, f.srv.URL)
	args := map[string]any{"namespace": "shop", "pod": "web-1"}
	r := reportOn(t, k, verbLogs, lang.Chinese, args)
	want := "shop/web-1[main] 最近 13 行日志，最新 10 行：\nline 3 end\nline 4 end\n"
	if r.State != wire.StateSucceeded || !strings.HasPrefix(r.Text, want) || !strings.HasSuffix(r.Text, "\nlast without an end") || strings.Count(r.Output, "\n") != 12 || !r.Told {
		t.Errorf("%+v", r)
	}
	if asked != "shop/web-1?container=main&tailLines=200" {
		t.Error(asked)
	}
	args["container"], args["tail"], args["since"], args["previous"] = "side", int64(7), int64(15), true
	reportOn(t, k, verbLogs, lang.English, args)
	if asked != "shop/web-1?container=side&previous=true&sinceSeconds=900&tailLines=7" {
		t.Error(asked)
	}
	args["container"] = "none"
	if r := reportOn(t, k, verbLogs, lang.English, args); r.State != wire.StateFailed || r.Text != "shop/web-1 has no container none. Nothing was read. It has: main, side" {
		t.Errorf("%+v", r)
	}
	delete(args, "container")
	f.logs = func(http.ResponseWriter, *http.Request, string) {}
	if r := reportOn(t, k, verbLogs, lang.English, args); r.State != wire.StateSucceeded || r.Text != "shop/web-1[main] has no such log lines" {
		t.Errorf("%+v", r)
	}
	f.logs = func(w http.ResponseWriter, _ *http.Request, _ string) {
		refuse(w, 400, metav1.StatusReasonBadRequest, "container \"main\" in pod \"web-1\" is waiting to start:\nImagePullBackOff", nil)
	}
	if r := reportOn(t, k, verbLogs, lang.Chinese, args); r.State != wire.StateFailed || r.Text != `shop/web-1 的日志读不到：container "main" in pod "web-1" is waiting to start: ImagePullBackOff。没有做任何更改，请稍后重试或换一个容器。` {
		t.Errorf("%+v", r)
	}
	f.logs = func(w http.ResponseWriter, _ *http.Request, _ string) {
		_, _ = w.Write([]byte("one\ntwo\n"))
		w.(http.Flusher).Flush()
		cut(w)
	}
	if r := reportOn(t, k, verbLogs, lang.English, args); r.State != wire.StateFailed || !strings.Contains(r.Text, "broke off after 2 lines") || r.Output != "one\ntwo\n" {
		t.Errorf("%+v", r)
	}
}

// TestEnding: however the bytes come, the last lines are the last lines.
func TestEnding(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		lines := rapid.SliceOfN(rapid.StringMatching(`[a-z]{0,20}`), 0, 30).Draw(t, "lines")
		text := strings.Join(lines, "\n")
		e := &ending{}
		for rest := text; rest != ""; {
			n := rapid.IntRange(1, len(rest)).Draw(t, "n")
			_, _ = e.Write([]byte(rest[:n]))
			rest = rest[n:]
		}
		if len(lines) > 0 && lines[len(lines)-1] == "" { // what follows the last line feed is no line
			lines = lines[:len(lines)-1]
		}
		if n := e.count(); n != len(lines) {
			t.Fatalf("%d lines of %q", n, text)
		}
		if got, want := strings.Join(e.lines(), "\n"), strings.Join(lines[max(0, len(lines)-lastLines):], "\n"); got != want {
			t.Fatalf("%q, want %q", got, want)
		}
	})
}

func FuzzPlain(f *testing.F) {
	f.Add("\x1b[31mred\x1b[0m \x1b]0;title\x07 \xff\x1b")
	f.Fuzz(func(t *testing.T, s string) {
		got := plain(s)
		if strings.ContainsAny(got, "\x1b\x07\n\r\x00") || strings.ToValidUTF8(got, "") != got {
			t.Errorf("%q of %q", got, s)
		}
		if q := quote(s); len([]rune(q)) > 200 || strings.ContainsAny(q, "\n\r\x00") {
			t.Errorf("%q of %q", q, s)
		}
	})
}

func (f *fakeAPI) addEvent(kind, name, reason, message string, at time.Time, warning bool) {
	typ := corev1.EventTypeNormal
	if warning {
		typ = corev1.EventTypeWarning
	}
	f.mu.Lock()
	id := f.rv
	f.mu.Unlock()
	f.put("events", &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{Namespace: "shop", Name: fmt.Sprint(name, ".", id)},
		InvolvedObject: corev1.ObjectReference{Kind: kind, Name: name, Namespace: "shop"}, Reason: reason, Message: message, Type: typ,
		LastTimestamp: metav1.NewTime(at), Count: 3,
	})
}

func TestEvents(t *testing.T) {
	t.Parallel()
	f := withHistory(t)
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	f.addEvent("Deployment", "web", "ScalingReplicaSet", "Scaled up", now.Add(-5*time.Minute), false)
	f.addEvent("ReplicaSet", "web-hash3", "SuccessfulCreate", "Created pod", now.Add(-4*time.Minute), false)
	f.addEvent("Pod", "web-hash3-abcde", "BackOff", "Back-off restarting\nfailed container", now.Add(-time.Minute), true)
	f.addEvent("Pod", "web-hash3-abcde-x", "Foreign", "", now, true)
	f.addEvent("Pod", "web-db-abcde", "Foreign", "", now, true)
	f.addEvent("Deployment", "api", "Foreign", "", now, true)
	f.addEvent("Pod", "db-0", "Killing", "", now, true)
	f.addEvent("Pod", "db-x-0", "Foreign", "", now, true)
	f.addStateful("shop", "db", 1)
	k := newKind(t, f.srv.URL)
	k.now = func() time.Time { return now }
	r := reportOn(t, k, verbEvents, lang.Chinese, map[string]any{"namespace": "shop", "deployment": "web"})
	want := "shop/web 的事件（新的在前）\n! 1 分钟前 pod/web-hash3-abcde BackOff 3 次: Back-off restarting failed container\n" +
		"· 4 分钟前 replicaset/web-hash3 SuccessfulCreate 3 次: Created pod\n· 5 分钟前 deployment/web ScalingReplicaSet 3 次: Scaled up"
	if r.State != wire.StateSucceeded || r.Text != want {
		t.Errorf("%+v", r)
	}
	r = reportOn(t, k, verbEvents, lang.English, map[string]any{"namespace": "shop", "statefulset": "db"})
	if strings.Count(r.Text, "\n") != 1 || !strings.Contains(r.Text, "pod/db-0") {
		t.Errorf("%+v", r)
	}
	r = reportOn(t, k, verbEvents, lang.English, map[string]any{"namespace": "shop", "limit": int64(4)})
	if strings.Count(r.Text, "\n") != 4 {
		t.Errorf("%+v", r)
	}
	for i := range 100 {
		f.addEvent("Pod", "db-0", "Killing", strings.Repeat("x", 100), now.Add(time.Duration(i)*time.Second), true)
	}
	r = reportOn(t, k, verbEvents, lang.English, map[string]any{"namespace": "shop", "limit": int64(200)})
	if len(r.Text) > 2048 || !strings.Contains(r.Text, "more lines in the whole output") || strings.Count(r.Output, "\n") != 109 {
		t.Errorf("%d bytes, %d lines: %s", len(r.Text), strings.Count(r.Output, "\n"), r.Text)
	}
	r = reportOn(t, k, verbEvents, lang.English, map[string]any{"namespace": "pay"})
	if r.Text != "pay has no events of late" {
		t.Errorf("%+v", r)
	}
}

func TestDescribe(t *testing.T) {
	t.Parallel()
	f := withHistory(t)
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	f.addNode("n1")
	f.addStateful("shop", "db", 1)
	f.addPod("shop", "web-1", "n1", "ReplicaSet", func(p *corev1.Pod) {
		p.CreationTimestamp = metav1.NewTime(now.Add(-3 * time.Hour))
		p.Status.ContainerStatuses = []corev1.ContainerStatus{{
			Name: "main", RestartCount: 7, State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff", Message: "back-off 5m0s"}},
			LastTerminationState: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Reason: "OOMKilled", ExitCode: 137, FinishedAt: metav1.NewTime(now.Add(-2 * time.Minute))}},
		}}
	})
	f.addEvent("Pod", "web-1", "BackOff", "restarting", now, true)
	f.change("shop/web", func(d *appsv1.Deployment) {
		d.Status.Conditions = []appsv1.DeploymentCondition{{Type: appsv1.DeploymentProgressing, Status: corev1.ConditionFalse, Reason: "ProgressDeadlineExceeded", Message: "has timed out"}}
	})
	k := newKind(t, f.srv.URL)
	k.now = func() time.Time { return now }
	for name, c := range map[string]struct {
		args map[string]any
		want []string
	}{
		"pod": {map[string]any{"namespace": "shop", "pod": "web-1"}, []string{
			"容器组 shop/web-1\n状态：CrashLoopBackOff，0/1 就绪，重启 7 次，3 小时前", "节点：n1", "由 ReplicaSet set 管理", "[main] CrashLoopBackOff\n  img:1\n  back-off 5m0s",
			"上次退出：OOMKilled，退出码 137，2 分钟前", "近期事件：\n! 0 分钟前 pod/web-1 BackOff 3 次: restarting",
		}},
		"deployment": {map[string]any{"namespace": "shop", "deployment": "web"}, []string{
			"部署 shop/web\n副本数：3", "镜像：web:3", "版本：3 third", "ProgressDeadlineExceeded: has timed out",
		}},
		"statefulset": {map[string]any{"namespace": "shop", "statefulset": "db"}, []string{"副本数：1"}},
		"node":        {map[string]any{"node": "n1"}, []string{"节点 n1\n状态：就绪", "v1.37.2", "Pod：1 个，0 个运行中"}},
	} {
		r := reportOn(t, k, verbDescribe, lang.Chinese, c.args)
		for _, want := range c.want {
			if r.State != wire.StateSucceeded || !strings.Contains(r.Text, want) {
				t.Errorf("%s: no %q in %+v", name, want, r)
			}
		}
	}
	for name, args := range map[string]map[string]any{
		"two objects": {"namespace": "shop", "pod": "a", "deployment": "b"}, "none": {"namespace": "shop"}, "no namespace": {"pod": "a"},
	} {
		w := kind.Work{ID: "a", Action: action(verbDescribe), Args: args}
		if _, err := k.Prepare(within60(t), w); !fault.Is(err, fault.Invalid) || !strings.Contains(fault.Safe(err), "没有读取任何内容") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRolloutStatus(t *testing.T) {
	t.Parallel()
	f := newFakeAPI(t)
	k := newKind(t, f.srv.URL)
	args := map[string]any{"namespace": "shop", "deployment": "web"}
	if r := reportOn(t, k, verbStatus, lang.Chinese, args); r.Text != "shop/web 已完成更新，3/3 就绪" {
		t.Errorf("%+v", r)
	}
	f.change("shop/web", func(d *appsv1.Deployment) {
		d.Status.UpdatedReplicas, d.Status.ReadyReplicas = 1, 2
		d.Status.Conditions = []appsv1.DeploymentCondition{{Type: appsv1.DeploymentReplicaFailure, Status: corev1.ConditionTrue, Reason: "FailedCreate", Message: "exceeded quota"}}
	})
	if r := reportOn(t, k, verbStatus, lang.Chinese, args); r.Text != "shop/web 正在更新，1/3 已更新，2/3 就绪\nFailedCreate: exceeded quota" {
		t.Errorf("%+v", r)
	}
}

func TestReportsUnderTrouble(t *testing.T) {
	t.Parallel()
	f := withHistory(t)
	k := newKind(t, f.srv.URL)
	lists := 0
	f.hook = func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasSuffix(r.URL.Path, "/events") || r.URL.Query().Get("continue") == "" {
			return false
		}
		if lists++; lists > 1 {
			return false
		}
		cut(w)
		return true
	}
	for range 5 {
		f.addEvent("Deployment", "web", "Scaled", "", time.Now(), false)
	}
	r := reportOn(t, k, verbEvents, lang.English, map[string]any{"namespace": "shop", "deployment": "web"})
	if r.State != wire.StateSucceeded || strings.Count(r.Text, "\n") != 5 { // it is read again as a whole
		t.Errorf("%+v", r)
	}
	f.hook = func(w http.ResponseWriter, r *http.Request) bool {
		if strings.HasSuffix(r.URL.Path, "/events") {
			status(w, 403, metav1.StatusReasonForbidden)
			return true
		}
		return false
	}
	r = reportOn(t, k, verbEvents, lang.Chinese, map[string]any{"namespace": "shop"})
	if r.State != wire.StateFailed || !strings.Contains(r.Text, "权限") {
		t.Errorf("%+v", r)
	}
	r = reportOn(t, k, verbDescribe, lang.Chinese, map[string]any{"namespace": "shop", "deployment": "web"})
	if r.State != wire.StateSucceeded || !strings.Contains(r.Text, "没有给执行器读取事件的权限") {
		t.Errorf("%+v", r)
	}
	if r := k.Probe(within60(t), kind.Work{Action: action(verbEvents), Args: map[string]any{"namespace": "shop"}}, []byte(`{}`)); r.State != wire.StateFailed {
		t.Errorf("%+v", r)
	}
}
