//go:build e2e

package kubernetes_test

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	corev1 "k8s.io/api/core/v1"

	"palmops/libs/fault"
	"palmops/libs/wire"
	"palmops/services/executor/internal/kind"
)

func values(items []wire.Item) []string {
	out := make([]string, len(items))
	for i, it := range items {
		out[i] = it.Value
	}
	return out
}

// detail is what a list says about one of its items.
func detail(t *testing.T, items []wire.Item, value string) string {
	t.Helper()
	at := slices.IndexFunc(items, func(it wire.Item) bool { return it.Value == value })
	if at < 0 {
		t.Fatalf("no %s in %v", value, values(items))
	}
	return items[at].Detail
}

// has checks that a text has all the words.
func has(t *testing.T, text string, words ...string) {
	t.Helper()
	for _, w := range words {
		if !strings.Contains(text, w) {
			t.Errorf("no %q in: %s", w, text)
		}
	}
}

func (r *rig) must(t *testing.T, name string, a map[string]any) wire.Answer {
	t.Helper()
	got, err := r.ask(t, name, a)
	if err != nil {
		t.Fatalf("%s: %v: %s", name, err, fault.Safe(err))
	}
	return got
}

func TestE2ELists(t *testing.T) {
	t.Parallel()
	a, r := adminOf(t, "main"), open(t, kubeconfig(t, "main", nil))
	deployed(t, a, deploymentOf("listed", 2))
	a.make(t, shopStatefulSets, "listed-db", statefulSetOf("listed-db", 2, crash, "true"))
	crashed := await(t, a, shopPods, "labelSelector=app%3Dlisted-db", func(p *corev1.Pod) bool { return p.Status.Phase == corev1.PodRunning })

	if got := values(r.must(t, "namespaces", nil).Items); !slices.Equal(got, []string{"shop", "pay"}) {
		t.Errorf("namespaces %v", got)
	}
	has(t, detail(t, r.must(t, "deployments", args("namespace", "shop")).Items, "listed"), "2/2")
	has(t, detail(t, r.must(t, "statefulsets", args("namespace", "shop")).Items, "listed-db"), "0/2")
	if got := r.must(t, "deployments", args("namespace", "pay")).Items; len(got) != 0 {
		t.Errorf("pay has %v", got)
	}
	d := a.deployment(t, "listed")
	f := r.must(t, "deployment", args("namespace", "shop", "deployment", "listed")).Fields
	if f["replicas"] != "2" || f["ready"] != "2" || f["resource_version"] != d.ResourceVersion || f["revision"] != "1" || !strings.HasSuffix(f["image"], "listed:1.0") {
		t.Errorf("%v", f)
	}
	f = r.must(t, "statefulset", args("namespace", "shop", "statefulset", "listed-db")).Fields
	if f["replicas"] != "2" || f["ready"] != "0" || !strings.HasSuffix(f["image"], "listed-db:1.0") {
		t.Errorf("%v", f)
	}

	pods := a.pods(t, "listed")
	got := r.must(t, "pods", args("namespace", "shop", "deployment", "listed")).Items
	if len(got) != 2 || len(pods) != 2 {
		t.Fatalf("%d pods, listed are %v", len(pods), got)
	}
	for i := range pods {
		has(t, detail(t, got, pods[i].Name), "Running", "1/1")
	}
	has(t, detail(t, r.must(t, "pods", args("namespace", "shop", "statefulset", "listed-db")).Items, crashed.Name), "CrashLoopBackOff", "0/1", "4")
	has(t, detail(t, r.must(t, "pods", args("namespace", "shop", "selector", "app in (listed-db)")).Items, crashed.Name), "CrashLoopBackOff")
	if all := values(r.must(t, "pods", args("namespace", "shop")).Items); !slices.Contains(all, crashed.Name) || !slices.Contains(all, pods[0].Name) {
		t.Errorf("all pods are %v", all)
	}
	f = r.must(t, "pod", args("namespace", "shop", "pod", pods[0].Name)).Fields
	if f["uid"] != string(pods[0].UID) || f["node"] != pods[0].Spec.NodeName || f["status"] != "Running" || f["restarts"] != "0" {
		t.Errorf("%v", f)
	}
	detail(t, r.must(t, "containers", args("namespace", "shop", "pod", pods[0].Name)).Items, "app")

	if got := values(r.must(t, "nodes", nil).Items); !slices.Equal(got, []string{"node-1", "node-2", "node-3", "node-4"}) {
		t.Errorf("nodes %v", got)
	}
	if f := r.must(t, "node", args("node", "node-1")).Fields; f["ready"] != "true" || f["schedulable"] != "true" {
		t.Errorf("%v", f)
	}
	if _, err := r.ask(t, "pod", args("namespace", "shop", "pod", "missing")); !fault.Is(err, fault.NotFound) {
		t.Errorf("a pod that is not there: %v", err)
	}
	view := r.browse(t, "browse", "shop", "listed")
	has(t, strings.Join(view.Body, "\n"), "2/2", "listed:1.0")
}

// Two clusters of one kubeconfig, told apart by the context; and a user without rights.
func TestE2EContexts(t *testing.T) {
	t.Parallel()
	path := kubeconfig(t, "", nil)
	r := openAll(t, map[string]string{
		"main":    "kubeconfig: " + path + ", context: main, namespaces: [shop]",
		"bare":    "kubeconfig: " + path + ", context: bare, namespaces: [shop]",
		"unbound": "kubeconfig: " + path + ", context: unbound, namespaces: [shop]",
		"outside": "kubeconfig: " + path + ", context: main, namespaces: [other]",
	})
	deployed(t, adminOf(t, "main"), deploymentOf("in-main", 1))
	adminOf(t, "bare").make(t, shopDeployments, "in-bare", deploymentOf("in-bare", 3))

	has(t, detail(t, r.must(t, "main.deployments", args("namespace", "shop")).Items, "in-main"), "1/1")
	got := r.must(t, "bare.deployments", args("namespace", "shop")).Items
	if !slices.Equal(values(got), []string{"in-bare"}) || !strings.Contains(got[0].Detail, "0/3") {
		t.Errorf("bare has %v", got)
	}
	if _, err := r.ask(t, "main.deployment", args("namespace", "shop", "deployment", "in-bare")); !fault.Is(err, fault.NotFound) {
		t.Errorf("main knows bare's: %v", err)
	}
	for _, c := range []struct{ action, namespace string }{{"unbound.deployments", "shop"}, {"outside.deployments", "other"}} {
		_, err := r.ask(t, c.action, args("namespace", c.namespace))
		if !fault.Is(err, fault.Denied) || !strings.Contains(fault.Safe(err), "权限") {
			t.Errorf("%s: %v: %s", c.action, err, fault.Safe(err))
		}
	}
	// Without the right to list namespaces, the catalog's are shown.
	if got := values(r.must(t, "unbound.namespaces", nil).Items); !slices.Equal(got, []string{"shop"}) {
		t.Errorf("namespaces %v", got)
	}
	_, err := r.Prepare(soon(t), r.work(t, "unbound.scale", args("namespace", "shop", "deployment", "in-main", "replicas", 2)))
	if !fault.Is(err, fault.Denied) {
		t.Errorf("a scale without rights: %v", err)
	}
	target := func(name string) string {
		w := r.work(t, name, args("namespace", "shop", "deployment", "in-main", "replicas", 2))
		return r.Target(kind.Query{Action: w.Action, Args: w.Args, Lang: w.Lang})
	}
	if m, b := target("main.scale"), target("bare.scale"); m == "" || m == b {
		t.Errorf("targets %q and %q", m, b)
	}
}

var printed = regexp.MustCompile(`(line|previous) (\d+) of app`)

// numbers are the lines of a log as the nodes number them.
func numbers(text string) []string {
	var out []string
	for _, m := range printed.FindAllStringSubmatch(text, -1) {
		out = append(out, m[1]+" "+m[2])
	}
	return out
}

func TestE2ELogs(t *testing.T) {
	t.Parallel()
	a, r := adminOf(t, "main"), open(t, kubeconfig(t, "main", nil))
	deployed(t, a, deploymentOf("talks", 1, logLines, "400", restarts, "2")) // line k is 400-k seconds older than the pod
	deployed(t, a, deploymentOf("fresh", 1))
	pod, fresh := a.pods(t, "talks")[0].Name, a.pods(t, "fresh")[0].Name

	logs := func(pairs ...any) []string {
		t.Helper()
		got, _ := r.run(t, "logs", args(append(pairs, "namespace", "shop", "pod", pod)...))
		want(t, got, wire.StateSucceeded)
		return numbers(got.Output)
	}
	if got := logs(); len(got) != 200 || got[0] != "line 201" || got[199] != "line 400" {
		t.Errorf("%d lines by default: %v", len(got), got)
	}
	if got := logs("tail", 3, "container", "app"); !slices.Equal(got, []string{"line 398", "line 399", "line 400"}) {
		t.Errorf("tail 3: %v", got)
	}
	if got := logs("tail", 5000, "since", 2); len(got) < 2 || len(got) > 120 || got[len(got)-1] != "line 400" {
		t.Errorf("%d lines since 2 minutes: %v", len(got), got)
	}
	if got := logs("tail", 1, "previous", true); !slices.Equal(got, []string{"previous 400"}) {
		t.Errorf("previous: %v", got)
	}
	for name, c := range map[string]map[string]any{
		"no container before this one": args("namespace", "shop", "pod", fresh, "previous", true),
		"no such pod":                  args("namespace", "shop", "pod", "missing"),
		"no such container":            args("namespace", "shop", "pod", pod, "container", "sidecar"),
	} {
		w := r.work(t, "logs", c)
		before, err := r.Prepare(soon(t), w)
		text := fault.Safe(err)
		if err == nil {
			got := r.Apply(soon(t), w, before, &hand{})
			if text = got.Text; got.State != wire.StateFailed {
				t.Errorf("%s: %s", name, got.State)
			}
		}
		if text == "" || strings.Contains(text, "palmops") || strings.ContainsRune(text, '\n') {
			t.Errorf("%s: %q", name, text)
		}
	}
}

func TestE2EEventsAndDescribe(t *testing.T) {
	t.Parallel()
	a, r := adminOf(t, "main"), open(t, kubeconfig(t, "main", nil))
	deployed(t, a, deploymentOf("told", 1))
	a.make(t, shopStatefulSets, "told-db", statefulSetOf("told-db", 1, crash, "true"))
	pod := await(t, a, shopPods, "labelSelector=app%3Dtold-db", func(p *corev1.Pod) bool { return p.Status.Phase == corev1.PodRunning })
	await(t, a, "/api/v1/namespaces/shop/events", "fieldSelector=involvedObject.name%3D"+pod.Name, func(e *corev1.Event) bool { return e.Reason == "BackOff" })
	await(t, a, "/api/v1/namespaces/shop/events", "fieldSelector=involvedObject.name%3Dtold", func(e *corev1.Event) bool { return e.Reason == "ScalingReplicaSet" })

	report := func(verb string, pairs ...any) string {
		t.Helper()
		got, _ := r.run(t, verb, args(pairs...))
		want(t, got, wire.StateSucceeded)
		text := got.Text + "\n" + got.Output
		if !utf8.ValidString(text) {
			t.Errorf("%s %v is not UTF-8", verb, pairs)
		}
		return text
	}
	has(t, report("events", "namespace", "shop", "pod", pod.Name), "BackOff", "Back-off restarting failed container")
	has(t, report("events", "namespace", "shop", "deployment", "told"), "ScalingReplicaSet")
	has(t, report("events", "namespace", "shop", "statefulset", "told-db"), "SuccessfulCreate")
	report("events", "namespace", "shop", "limit", 5)
	if text := report("events", "namespace", "shop", "deployment", "told"); strings.Contains(text, "told-db") {
		t.Errorf("events of another object: %s", text)
	}

	has(t, report("describe", "namespace", "shop", "deployment", "told"), "told", "told:1.0", "1/1")
	has(t, report("describe", "namespace", "shop", "statefulset", "told-db"), "told-db:1.0", "0/1")
	has(t, report("describe", "namespace", "shop", "pod", pod.Name), pod.Spec.NodeName, "CrashLoopBackOff", "OOMKilled")
	has(t, report("describe", "node", "node-1"), "node-1")
	has(t, report("status", "namespace", "shop", "deployment", "told"), "1/1")
	has(t, report("status", "namespace", "shop", "statefulset", "told-db"), "0/1")
}

func TestE2EListOfManyPages(t *testing.T) {
	t.Parallel()
	a, r := adminOf(t, "bare"), openAll(t, map[string]string{"main": "kubeconfig: " + kubeconfig(t, "bare", nil) + ", namespaces: [pay]"})
	const collection, many = "/apis/apps/v1/namespaces/pay/deployments", 1203 // three pages
	t.Cleanup(func() { a.do(t, http.MethodDelete, collection, nil, nil) })
	for i := range many {
		a.do(t, http.MethodPost, collection, deploymentOf(fmt.Sprintf("d-%04d", i), 1), nil)
	}
	got := values(r.must(t, "deployments", args("namespace", "pay")).Items)
	if len(got) != many || !slices.IsSorted(got) || got[many-1] != fmt.Sprintf("d-%04d", many-1) {
		t.Errorf("%d of %d", len(got), many)
	}
}
