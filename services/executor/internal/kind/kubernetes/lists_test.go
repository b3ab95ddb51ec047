package kubernetes

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"

	"palmops/libs/fault"
	"palmops/libs/wire"
)

func TestPods(t *testing.T) {
	t.Parallel()
	f := withHistory(t)
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	rs := read[*appsv1.ReplicaSet](f, "replicasets/shop/web-hash3")
	of := func(owner *appsv1.ReplicaSet, app string, edit ...func(*corev1.Pod)) func(*corev1.Pod) {
		return func(p *corev1.Pod) {
			p.Labels = map[string]string{"app": app, "tier": "front"}
			p.CreationTimestamp = metav1.NewTime(now.Add(-73 * time.Hour))
			if owner != nil {
				p.OwnerReferences[0].UID = owner.UID
			}
			for _, e := range edit {
				e(p)
			}
		}
	}
	f.addPod("shop", "web-a", "n1", "ReplicaSet", of(rs, "web"))
	f.addPod("shop", "web-b", "n1", "ReplicaSet", of(rs, "web", func(p *corev1.Pod) {
		p.Status.ContainerStatuses[0].RestartCount = 2
		p.DeletionTimestamp = &metav1.Time{Time: now}
	}))
	f.addPod("shop", "stranger", "n1", "ReplicaSet", of(nil, "web")) // the label is right, the owner is not
	f.addPod("shop", "other", "n1", "ReplicaSet", of(nil, "other"))
	k := newKind(t, f.srv.URL)
	k.now = func() time.Time { return now }
	for _, c := range []struct {
		args map[string]any
		want []wire.Item
	}{
		{map[string]any{"deployment": "web"}, []wire.Item{
			{Value: "web-a", Detail: "Running，1/1 就绪，3 天前"}, {Value: "web-b", Detail: "Terminating，1/1 就绪，重启 2 次，3 天前"},
		}},
		{map[string]any{"selector": "app=other,tier in (front)"}, []wire.Item{{Value: "other", Detail: "Running，1/1 就绪，3 天前"}}},
		{map[string]any{"deployment": "web", "selector": "tier!=front"}, nil},
	} {
		c.args["namespace"] = "shop"
		got, err := k.Answer(within60(t), query(verbPods, c.args))
		if err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff(c.want, got.Items, cmp.Transformer("", func(l []wire.Item) string { return fmt.Sprint(l) })); diff != "" {
			t.Errorf("%v: %s", c.args, diff)
		}
	}
	_, err := k.Answer(within60(t), query(verbPods, map[string]any{"namespace": "shop", "selector": "a in"}))
	if !fault.Is(err, fault.Invalid) {
		t.Errorf("%v", err)
	}
	_, err = k.Answer(within60(t), query(verbPods, map[string]any{"namespace": "shop", "deployment": "none"}))
	if !fault.Is(err, fault.NotFound) {
		t.Errorf("%v", err)
	}
	got, err := k.Answer(within60(t), query(verbPod, map[string]any{"namespace": "shop", "pod": "web-a"}))
	want := map[string]string{"uid": string(read[*corev1.Pod](f, "pods/shop/web-a").UID), "status": "Running", "ready": "1/1", "restarts": "0", "node": "n1", "containers": "main"}
	if diff := cmp.Diff(want, got.Fields); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
	got, err = k.Answer(within60(t), query(verbContainers, map[string]any{"namespace": "shop", "pod": "web-b"}))
	if diff := cmp.Diff([]wire.Item{{Value: "main", Detail: "Running，重启 2 次"}}, got.Items); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
}

func TestNodes(t *testing.T) {
	t.Parallel()
	f := newFakeAPI(t)
	for _, n := range []string{"n3", "n1", "n2"} {
		f.addNode(n)
	}
	edit(f, "nodes//n2", func(n *corev1.Node) { n.Spec.Unschedulable, n.Status.Conditions = true, nil })
	k := newKind(t, f.srv.URL)
	got, err := k.Answer(within60(t), query(verbNodes, nil))
	want := []wire.Item{{Value: "n1", Detail: "就绪，v1.37.2"}, {Value: "n2", Detail: "未就绪，停止调度，v1.37.2"}, {Value: "n3", Detail: "就绪，v1.37.2"}}
	if diff := cmp.Diff(want, got.Items); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
	got, err = k.Answer(within60(t), query(verbNode, map[string]any{"node": "n2"}))
	if diff := cmp.Diff(map[string]string{"ready": "false", "schedulable": "false", "version": "v1.37.2"}, got.Fields); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
}

func TestPodStatus(t *testing.T) {
	t.Parallel()
	waiting := func(reason string) corev1.ContainerStatus {
		return corev1.ContainerStatus{State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason}}}
	}
	ended := func(code, signal int32, reason string) corev1.ContainerStatus {
		return corev1.ContainerStatus{State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: code, Signal: signal, Reason: reason}}}
	}
	running := corev1.ContainerStatus{Ready: true, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}
	for want, s := range map[string]corev1.PodStatus{
		"Pending":               {Phase: corev1.PodPending},
		"Evicted":               {Phase: corev1.PodFailed, Reason: "Evicted"},
		"CrashLoopBackOff":      {Phase: corev1.PodRunning, ContainerStatuses: []corev1.ContainerStatus{running, waiting("CrashLoopBackOff")}},
		"Running":               {Phase: corev1.PodRunning, ContainerStatuses: []corev1.ContainerStatus{ended(0, 0, "Completed"), running}},
		"Completed":             {Phase: corev1.PodSucceeded, ContainerStatuses: []corev1.ContainerStatus{ended(0, 0, "Completed")}},
		"ExitCode:3":            {Phase: corev1.PodRunning, ContainerStatuses: []corev1.ContainerStatus{ended(3, 0, "")}},
		"Signal:9":              {Phase: corev1.PodRunning, ContainerStatuses: []corev1.ContainerStatus{ended(0, 9, "")}},
		"Init:1/2":              {Phase: corev1.PodPending, InitContainerStatuses: []corev1.ContainerStatus{ended(0, 0, "Completed"), waiting("PodInitializing")}},
		"Init:ImagePullBackOff": {Phase: corev1.PodPending, InitContainerStatuses: []corev1.ContainerStatus{waiting("ImagePullBackOff")}},
	} {
		p := &corev1.Pod{Status: s}
		p.Spec.InitContainers = make([]corev1.Container, 2)
		if got := podStatus(p); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

// TestAListThatBreaksOff is an error, and no shorter list.
func TestAListThatBreaksOff(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer func(w http.ResponseWriter)
		kind   fault.Kind
	}{
		"500":      {func(w http.ResponseWriter) { status(w, 500, metav1.StatusReasonInternalError) }, fault.Transient},
		"cut off":  {cut, fault.Transient},
		"half":     {func(w http.ResponseWriter) { w.Header().Set("Content-Length", "500"); reply(w, map[string]any{}) }, fault.Transient},
		"no JSON":  {func(w http.ResponseWriter) { _, _ = w.Write([]byte(`{"kind":"DeploymentList","items":[{"meta`)) }, fault.Transient},
		"too many": {func(w http.ResponseWriter) { status(w, 429, metav1.StatusReasonTooManyRequests) }, fault.Transient},
	} {
		f := newFakeAPI(t)
		for i := range 7 {
			f.add("shop", fmt.Sprint("more-", i), 1)
		}
		f.hook = func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Query().Get("continue") != "4" {
				return false
			}
			c.answer(w)
			return true
		}
		got, err := newKind(t, f.srv.URL).Answer(within60(t), query(verbDeployments, map[string]any{"namespace": "shop"}))
		if !fault.Is(err, c.kind) || len(got.Items) != 0 || fault.Safe(err) == "" {
			t.Errorf("%s: %d items, %v", name, len(got.Items), err)
		}
	}
}

// longList serves pages of 500 deployments as large as real ones, in the form that the client prefers if both is true.
func longList(tb testing.TB, n int, both bool) *httptest.Server {
	tb.Helper()
	type pages struct{ json, proto [][]byte }
	var all pages
	encode := protobuf.NewSerializer(nil, nil)
	for from := 0; from < n; from += pageSize {
		l := appsv1.DeploymentList{TypeMeta: metav1.TypeMeta{APIVersion: "apps/v1", Kind: "DeploymentList"}}
		for i := from; i < min(n, from+pageSize); i++ {
			replicas := int32(3)
			d := appsv1.Deployment{
				ObjectMeta: metav1.ObjectMeta{
					Namespace: "shop", Name: fmt.Sprintf("service-%05d", i), UID: "0f6d8f6e-7c0a-4a3e-9c57-5d9f5a0d1c11", ResourceVersion: "123456", Generation: 4,
					Labels:        map[string]string{"app": "service", "app.kubernetes.io/managed-by": "Helm", "helm.sh/chart": "service-1.2.3"},
					Annotations:   map[string]string{revisionAnnotation: "4", "meta.helm.sh/release-name": "service"},
					ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "helm", Operation: "Update", APIVersion: "apps/v1", FieldsType: "FieldsV1", FieldsV1: metav1.NewFieldsV1(`{"f:metadata":{"f:annotations":{".":{},"f:meta.helm.sh/release-name":{}}},"f:spec":{"f:progressDeadlineSeconds":{},"f:replicas":{},"f:revisionHistoryLimit":{},"f:selector":{},"f:strategy":{"f:rollingUpdate":{".":{},"f:maxSurge":{},"f:maxUnavailable":{}},"f:type":{}},"f:template":{"f:metadata":{"f:labels":{".":{},"f:app":{}}},"f:spec":{"f:containers":{"k:{\"name\":\"main\"}":{".":{},"f:env":{},"f:image":{},"f:resources":{}}}}}}}`)}},
				},
				Spec: appsv1.DeploymentSpec{Replicas: &replicas, Selector: labelled("service"), Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{Containers: []corev1.Container{{
					Name: "main", Image: "registry.example.com/shop/service:1.2.3",
					Env: []corev1.EnvVar{{Name: "DATABASE_URL", Value: "postgres://db.shop.svc/service"}, {Name: "LOG_LEVEL", Value: "info"}, {Name: "REGION", Value: "cn-north-1"}},
				}}}}},
				Status: appsv1.DeploymentStatus{Replicas: 3, ReadyReplicas: 3, UpdatedReplicas: 3, AvailableReplicas: 3, Conditions: []appsv1.DeploymentCondition{
					{Type: "Available", Status: "True", Reason: "MinimumReplicasAvailable", Message: "Deployment has minimum availability."},
					{Type: "Progressing", Status: "True", Reason: "NewReplicaSetAvailable", Message: "ReplicaSet has successfully progressed."},
				}},
			}
			l.Items = append(l.Items, d)
		}
		if from+pageSize < n {
			l.Continue = strconv.Itoa(len(all.json) + 1)
		}
		data, err := json.Marshal(l)
		if err != nil {
			tb.Fatal(err)
		}
		var out strings.Builder
		if err := encode.Encode(&l, &out); err != nil {
			tb.Fatal(err)
		}
		all.json, all.proto = append(all.json, data), append(all.proto, []byte(out.String()))
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		i, _ := strconv.Atoi(r.URL.Query().Get("continue"))
		if both && strings.HasPrefix(r.Header.Get("Accept"), runtime.ContentTypeProtobuf) {
			w.Header().Set("Content-Type", runtime.ContentTypeProtobuf)
			_, _ = w.Write(all.proto[i]) // the client is a test
			return
		}
		w.Header().Set("Content-Type", runtime.ContentTypeJSON)
		_, _ = w.Write(all.json[i]) // as above
	}))
	tb.Cleanup(srv.Close)
	return srv
}

func TestALongList(t *testing.T) {
	t.Parallel()
	for name, both := range map[string]bool{"protobuf": true, "JSON": false} {
		srv := longList(t, 1200, both)
		got, err := newKind(t, srv.URL).Answer(within60(t), query(verbDeployments, map[string]any{"namespace": "shop"}))
		if err != nil || len(got.Items) != 1200 || got.Items[1199] != (wire.Item{Value: "service-01199", Detail: "3/3 就绪"}) {
			t.Errorf("%s: %d items, %v", name, len(got.Items), err)
		}
	}
}

func BenchmarkDeployments5000(b *testing.B) {
	for name, both := range map[string]bool{"protobuf": true, "JSON": false} {
		b.Run(name, func(b *testing.B) {
			srv := longList(b, 5000, both)
			k, err := New(map[string]Cluster{"practice": {Name: "practice", Server: srv.URL, Namespaces: []string{"shop"}}})
			if err != nil {
				b.Fatal(err)
			}
			defer k.Close()
			b.ReportAllocs()
			for b.Loop() {
				got, err := k.Answer(b.Context(), query(verbDeployments, map[string]any{"namespace": "shop"}))
				if err != nil || len(got.Items) != 5000 {
					b.Fatal(err)
				}
			}
		})
	}
}
