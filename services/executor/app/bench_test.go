package app

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"

	"palmops/libs/bus"
	"palmops/libs/bus/bustest"
	"palmops/libs/token"
	"palmops/libs/wire"
)

const benchHead = `
version: 1
zone: local
pool: k8s
actions:
  drill.list: {kind: drill, verb: list, read: true}
`

// clusterKind is an executor that has nothing but the kind kubernetes and the drill that tells that it works.
const clusterKind = benchHead + `
  k8s.deployments: {kind: kubernetes, verb: deployments, read: true, params: {namespace: {type: string}}}
  k8s.scale:
    kind: kubernetes
    verb: scale
    params: {namespace: {type: string}, deployment: {type: string, pattern: dns-label}, replicas: {type: int, min: 0, max: 20}}
targets:
  clusters:
    main: {server: %q, namespaces: [shop]}
`

// otherKinds is one that has every kind but kubernetes.
const otherKinds = benchHead + `
  db.processes: {kind: mysql, verb: processlist, target: orders}
  cache.info: {kind: redis, verb: info, target: cache}
  unit.restart:
    kind: command
    verb: run
    timeout: 60s
    params: {unit: {type: string, allow: [web.service]}}
    settings: {argv: [/bin/true, --, "${unit}"], root: true}
  cmdb.show:
    kind: http
    verb: get
    target: cmdb
    settings: {path: /state, extract: {state: "$.state"}, text: {zh: "状态 ${state}", en: "state ${state}"}}
  metrics.cpu:
    kind: prometheus
    verb: chart
    target: main
    settings: {query: "sum(rate(cpu_seconds_total[5m]))", title: {zh: CPU, en: CPU}}
  release:
    kind: workflow
    verb: run
    timeout: 120s
    params: {unit: {type: string, allow: [web.service]}}
    settings: {steps: [{name: restart, title: {zh: 重启, en: restart}, action: unit.restart, args: {unit: "${unit}"}}]}
targets:
  mysql:
    orders: {address: "127.0.0.1:1", user: palmops, password_file: password, tls: false, databases: [shop]}
  redis:
    cache: {addresses: ["127.0.0.1:1"], password_file: password}
  http:
    cmdb: {base: "http://127.0.0.1:1", allow: [127.0.0.0/8]}
  prometheus:
    main: {base: "http://127.0.0.1:1", allow: [127.0.0.0/8]}
`

// alone is the executor's real binary as a process of its own, on a bus in the benchmark's process.
type alone struct {
	b    *testing.B
	cmd  *exec.Cmd
	bus  *bus.Bus
	sign *token.Layered
}

// newAlone starts an executor of a catalog and waits until it answers.
func newAlone(b *testing.B, binary, catalog string) *alone {
	b.Helper()
	dir := b.TempDir()
	keys, err := token.NewKeySet("local", rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	nats := bustest.New(b)
	a := &alone{b: b, bus: nats.Connect("bench")}
	if a.sign, err = keys.Layered(token.Options{}); err != nil {
		b.Fatal(err)
	}
	data, err := json.Marshal(keys)
	if err != nil {
		b.Fatal(err)
	}
	for name, text := range map[string]string{
		"executor.yaml": "nats: {url: '" + nats.URL() + "'}\ncatalog: catalog.yaml\nkeys_file: keys.json\nadmin: 127.0.0.1:0\n",
		"catalog.yaml":  catalog, "keys.json": string(data), "password": "secret\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		b.Fatal(err)
	}
	a.cmd = exec.Command(binary, "-config", filepath.Join(dir, "executor.yaml"))
	a.cmd.Stderr, a.cmd.SysProcAttr = log, &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := a.cmd.Start(); err != nil {
		b.Fatal(err)
	}
	gone := make(chan struct{})
	go func() { _ = a.cmd.Wait(); close(gone) }() // how it ended matters only before it works
	b.Cleanup(func() {
		_ = a.cmd.Process.Signal(syscall.SIGTERM)
		<-gone
		_ = log.Close()
	})
	for t := time.Now(); a.ask("drill.list", nil).AsOf == 0; {
		select {
		case <-gone:
			said, _ := os.ReadFile(log.Name())
			b.Fatalf("the executor ended: %s", said)
		default:
		}
		if time.Since(t) > hang {
			b.Fatal("the executor does not answer")
		}
	}
	return a
}

// ask asks once; an answer without a time says that nobody listened.
func (a *alone) ask(action string, args map[string]any) (answer wire.Answer) {
	a.b.Helper()
	raw, err := wire.CanonicalArgs(args)
	if err != nil {
		a.b.Fatal(err)
	}
	now := time.Now()
	c := wire.Claims{
		V: 1, ID: wire.DeriveID("bench", now.String()), Corp: "wwcorp", App: "ops", User: "zhangsan", Zone: "local", Pool: "k8s", Action: action,
		ArgsHash: wire.ArgsHash(raw), IssuedAt: now.Unix(), Expires: now.Unix() + 10, Read: true,
	}
	text, err := a.sign.Dumps(c)
	if err != nil {
		a.b.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(a.b.Context(), hang)
	defer cancel()
	if err := a.bus.Ask(ctx, wire.AskSubject("local", "k8s", action), wire.Action{V: 1, ID: c.ID, Token: text, Args: raw}, &answer); err != nil {
		if !bus.NobodyListens(err) {
			a.b.Fatal(err)
		}
		return wire.Answer{}
	}
	if answer.Fault != nil {
		a.b.Fatalf("%s: %+v", action, answer.Fault)
	}
	return answer
}

// work makes the executor answer many small questions.
func (a *alone) work() {
	a.b.Helper()
	for range 500 {
		if n := len(a.ask("drill.list", nil).Items); n == 0 {
			a.b.Fatal("no answer")
		}
	}
}

// memory is a figure of the process in MB: VmRSS, what is resident now, or VmHWM, the most that ever was.
func (a *alone) memory(name string) float64 {
	a.b.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", a.cmd.Process.Pid))
	if err != nil {
		a.b.Fatal(err)
	}
	found := regexp.MustCompile(name + `:\s+(\d+) kB`).FindSubmatch(status)
	if found == nil {
		a.b.Fatalf("no %s in %s", name, status)
	}
	kb, err := strconv.ParseFloat(string(found[1]), 64)
	if err != nil {
		a.b.Fatal(err)
	}
	return kb / 1024
}

// BenchmarkLimitIdle is the memory of an executor that works on nothing, its real binary with every kind compiled in: once its
// catalog has the kind kubernetes and reaches a cluster, once every other kind. It is read after some hundred questions, when
// the heap has grown as far as it does between two collections; right after the start it is 2 to 3 MB less. Beside it stand
// the time of a list of 5,000 deployments, asked over the bus, from an API that answers in protobuf, and the most memory
// that three of them took.
func BenchmarkLimitIdle(b *testing.B) {
	binary := filepath.Join(b.TempDir(), "executor")
	if out, err := exec.CommandContext(b.Context(), "go", "build", "-o", binary, "palmops/services/executor").CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	small, large := listAPI(b, 10), listAPI(b, 5000)
	shop := map[string]any{"namespace": "shop"}
	for b.Loop() {
		k := newAlone(b, binary, fmt.Sprintf(clusterKind, small.URL))
		if n := len(k.ask("k8s.deployments", shop).Items); n != 10 {
			b.Fatalf("%d deployments", n)
		}
		k.work()
		b.ReportMetric(k.memory("VmRSS"), "kubernetes-MB")
		o := newAlone(b, binary, otherKinds)
		o.work()
		b.ReportMetric(o.memory("VmRSS"), "others-MB")
		l := newAlone(b, binary, fmt.Sprintf(clusterKind, large.URL))
		var took []time.Duration
		for range 3 {
			begun := time.Now()
			if n := len(l.ask("k8s.deployments", shop).Items); n != 5000 {
				b.Fatalf("%d deployments", n)
			}
			took = append(took, time.Since(begun))
		}
		b.ReportMetric(float64(slices.Min(took).Milliseconds()), "listing-ms")
		b.ReportMetric(l.memory("VmHWM"), "listing-MB")
		b.ReportMetric(0, "ns/op")
	}
}

// listAPI is an API server with n deployments of about 3 kB, in pages, in the form that real ones prefer.
func listAPI(b *testing.B, n int) *httptest.Server {
	scheme := runtime.NewScheme()
	if err := appsv1.AddToScheme(scheme); err != nil {
		b.Fatal(err)
	}
	all := make([]appsv1.Deployment, n)
	for i := range all {
		name := fmt.Sprintf("svc-%04d", i)
		labels, replicas := map[string]string{"app": name}, int32(3)
		all[i] = appsv1.Deployment{
			ObjectMeta: metav1.ObjectMeta{
				Name: name, Namespace: "shop", UID: "00000000-0000-4000-8000-000000000000", ResourceVersion: strconv.Itoa(i + 1), Labels: labels,
				Annotations:   map[string]string{"note": strings.Repeat("x", 900)},
				ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "kubectl", FieldsV1: metav1.NewFieldsV1(strings.Repeat("x", 900))}},
			},
			Spec: appsv1.DeploymentSpec{
				Replicas: &replicas, Selector: &metav1.LabelSelector{MatchLabels: labels},
				Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{Containers: []corev1.Container{{
					Name: "main", Image: "registry.example/svc:1.2.3", Env: []corev1.EnvVar{{Name: "A", Value: strings.Repeat("x", 900)}},
				}}}},
			},
			Status: appsv1.DeploymentStatus{Replicas: 3, ReadyReplicas: 3, UpdatedReplicas: 3, AvailableReplicas: 3},
		}
	}
	form := protobuf.NewSerializer(scheme, scheme)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		from, _ := strconv.Atoi(q.Get("continue"))
		limit, _ := strconv.Atoi(q.Get("limit"))
		to := n
		if limit > 0 {
			to = min(n, from+limit)
		}
		page := &appsv1.DeploymentList{TypeMeta: metav1.TypeMeta{APIVersion: "apps/v1", Kind: "DeploymentList"}, Items: all[from:to]}
		if to < n {
			page.Continue = strconv.Itoa(to)
		}
		w.Header().Set("Content-Type", runtime.ContentTypeProtobuf)
		if err := form.Encode(page, w); err != nil {
			b.Error(err)
		}
	}))
	b.Cleanup(srv.Close)
	return srv
}
