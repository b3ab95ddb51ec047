package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"palmops/libs/fault"
	"palmops/libs/lang"
	"palmops/libs/wire"
	"palmops/services/executor/catalog"
	"palmops/services/executor/internal/kind"
)

// hang is a guard against waiting for ever and no measure of anything.
const hang = 60 * time.Second

func newKind(t *testing.T, server string) *Kind {
	t.Helper()
	k, err := New(map[string]Cluster{"practice": {Name: "practice", Server: server, Namespaces: []string{"shop", "pay", "gone"}}})
	if err != nil {
		t.Fatal(err)
	}
	k.retry = time.Millisecond
	t.Cleanup(k.Close)
	return k
}

func action(verb string) catalog.Action {
	return catalog.Action{Name: "k8s." + verb, Kind: Name, Verb: verb, Target: "practice", Timeout: hang}
}

func query(verb string, args map[string]any) kind.Query {
	return kind.Query{Action: action(verb), Args: args, Lang: lang.Chinese}
}

func scaleWork(replicas, from int64) kind.Work {
	w := kind.Work{ID: "action-1", Action: action(verbScale), Timeout: hang, Args: map[string]any{"namespace": "shop", "deployment": "web", "replicas": replicas}}
	if from >= 0 {
		w.Args["from"] = from
	}
	return w
}

// hand gives leave unless told otherwise.
type hand struct {
	mu    sync.Mutex
	steps int
	lines []string
	deny  error
}

func (h *hand) Step(context.Context) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.steps++
	return h.deny
}

func (h *hand) Progress(line string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.lines = append(h.lines, line)
}

// Run is for workflows, which this kind has none of.
func (h *hand) Run(context.Context, string, string, map[string]any) kind.Result {
	return kind.Failed("")
}

func within60(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), hang)
	t.Cleanup(cancel)
	return ctx
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	f := newFakeAPI(t)
	k := newKind(t, f.srv.URL)
	f.change("shop/web", setReady(3, 1))
	for _, c := range []struct {
		verb string
		args map[string]any
		want wire.Answer
	}{
		{verbNamespaces, nil, wire.Answer{Items: []wire.Item{{Value: "shop"}, {Value: "pay"}}}}, // in pages, and "gone" is not there
		{verbDeployments, map[string]any{"namespace": "shop"}, wire.Answer{Items: []wire.Item{
			{Value: "api", Detail: "2/2 就绪"}, {Value: "web", Detail: "1/3 就绪"},
		}}},
		{verbDeployments, map[string]any{"namespace": "pay"}, wire.Answer{}},
		{verbDeployment, map[string]any{"namespace": "shop", "deployment": "web"}, wire.Answer{Fields: map[string]string{
			"replicas": "3", "ready": "1", "resource_version": f.get("shop/web").ResourceVersion,
		}}},
	} {
		got, err := k.Answer(within60(t), query(c.verb, c.args))
		if err != nil {
			t.Errorf("%s: %v", c.verb, err)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %s", c.verb, diff)
		}
	}
}

func TestAnswersToTrouble(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		code   int
		reason metav1.StatusReason
		want   fault.Kind
		text   string
	}{
		"not found":   {404, metav1.StatusReasonNotFound, fault.NotFound, "不存在"},
		"forbidden":   {403, metav1.StatusReasonForbidden, fault.Denied, "权限"},
		"no identity": {401, metav1.StatusReasonUnauthorized, fault.Denied, "权限"},
		"busy":        {429, metav1.StatusReasonTooManyRequests, fault.Transient, "正忙"},
		"broken":      {500, metav1.StatusReasonInternalError, fault.Transient, "暂时不可用"},
		"invalid":     {422, metav1.StatusReasonInvalid, fault.Invalid, "不接受"},
	} {
		f := newFakeAPI(t)
		f.hook = func(w http.ResponseWriter, _ *http.Request) bool { status(w, c.code, c.reason); return true }
		k := newKind(t, f.srv.URL)
		_, err := k.Answer(within60(t), query(verbDeployment, map[string]any{"namespace": "shop", "deployment": "web"}))
		if !fault.Is(err, c.want) || !strings.Contains(fault.Safe(err), c.text) {
			t.Errorf("%s: %v: %s", name, err, fault.Safe(err))
		}
	}
	t.Run("namespaces may not be listed", func(t *testing.T) {
		f := newFakeAPI(t)
		f.hook = func(w http.ResponseWriter, _ *http.Request) bool {
			status(w, 403, metav1.StatusReasonForbidden)
			return true
		}
		got, err := newKind(t, f.srv.URL).Answer(within60(t), query(verbNamespaces, nil))
		if err != nil || len(got.Items) != 3 {
			t.Errorf("%+v, %v", got, err)
		}
	})
	t.Run("pages that have gone", func(t *testing.T) {
		f := newFakeAPI(t)
		f.hook = func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Query().Get("continue") == "" {
				return false
			}
			status(w, 410, metav1.StatusReasonExpired)
			return true
		}
		got, err := newKind(t, f.srv.URL).Answer(within60(t), query(verbDeployments, map[string]any{"namespace": "shop"}))
		if err != nil || len(got.Items) != 2 {
			t.Errorf("%+v, %v", got, err)
		}
	})
}

func TestAFrozenAPIIsNotWaitedForEver(t *testing.T) {
	t.Parallel()
	f := newFakeAPI(t)
	release := make(chan struct{})
	f.hook = func(http.ResponseWriter, *http.Request) bool { <-release; return true }
	defer close(release)
	k := newKind(t, f.srv.URL)
	ctx, cancel := context.WithTimeout(within60(t), 50*time.Millisecond)
	defer cancel()
	_, err := k.Answer(ctx, query(verbNamespaces, nil))
	if !fault.Is(err, fault.Transient) || !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(fault.Safe(err), "没有及时应答") {
		t.Errorf("%v: %s", err, fault.Safe(err))
	}
}

func TestTargets(t *testing.T) {
	t.Parallel()
	k := newKind(t, "http://127.0.0.1:1")
	w := scaleWork(5, 3)
	if got := k.Target(kind.Query{Action: w.Action, Args: w.Args}); got != "k8s/practice/shop/deployment/web" {
		t.Error(got)
	}
}

func TestKubeconfig(t *testing.T) {
	t.Parallel()
	f := newFakeAPI(t)
	path := filepath.Join(t.TempDir(), "kubeconfig")
	text := fmt.Sprintf("apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters: [{name: a, cluster: {server: %q}}]\ncontexts: [{name: c, context: {cluster: a, user: u}}]\nusers: [{name: u, user: {}}]\n", f.srv.URL)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	k, err := New(map[string]Cluster{"real": {Name: "real", Kubeconfig: path, Namespaces: []string{"shop"}}})
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	a := action(verbNamespaces)
	a.Target = "real"
	if got, err := k.Answer(within60(t), kind.Query{Action: a}); err != nil || len(got.Items) != 1 {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := New(map[string]Cluster{"real": {Name: "real", Kubeconfig: path + ".missing"}}); !fault.Is(err, fault.Invalid) {
		t.Errorf("a missing kubeconfig: %v", err)
	}
}

// TestVerbs holds the catalog's list of verbs against what this kind does.
func TestVerbs(t *testing.T) {
	t.Parallel()
	f := newFakeAPI(t)
	f.addStateful("shop", "db", 2)
	f.addPod("shop", "web-1", "n1", "ReplicaSet")
	f.addNode("n1")
	f.addRevision("shop", "web", 1, "web:1", "")
	f.addRevision("shop", "web", 2, "web:2", "")
	f.rollOut("shop/web", 2)
	k := newKind(t, f.srv.URL)
	for verb, v := range Spec().Verbs {
		args := map[string]any{"replicas": int64(2)}
		for _, p := range v.Params {
			if s, known := map[string]string{"namespace": "shop", "deployment": "web", "statefulset": "db", "pod": "web-1", "node": "n1"}[p.Name]; known {
				args[p.Name] = s
			}
		}
		switch verb { // one object is enough
		case verbDescribe, verbEvents, verbStatus, verbPods:
			delete(args, "statefulset")
			delete(args, "pod")
			delete(args, "node")
		}
		if v.Class == catalog.Question {
			if _, err := k.Answer(within60(t), query(verb, args)); err != nil {
				t.Errorf("%s: %v", verb, err)
			}
			continue
		}
		w := kind.Work{ID: "a", Action: action(verb), Args: args, Timeout: hang}
		raw, err := k.Prepare(within60(t), w)
		if err != nil {
			t.Errorf("%s: %v", verb, err)
			continue
		}
		if plan, err := k.Plan(within60(t), w, raw); err != nil || plan == "" {
			t.Errorf("%s: %q, %v", verb, plan, err)
		}
		target := k.Target(kind.Query{Action: w.Action, Args: w.Args})
		if (target == "") != (v.Class == catalog.Report) {
			t.Errorf("%s: target %q", verb, target)
		}
	}
}
