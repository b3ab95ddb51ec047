//go:build e2e

package kubernetes_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"

	"palmops/libs/conf"
	"palmops/libs/fault"
	"palmops/libs/lang"
	"palmops/libs/wire"
	"palmops/services/executor/catalog"
	"palmops/services/executor/internal/kind"
	"palmops/services/executor/internal/kind/kubernetes"
)

// These tests run against a real control plane that deployments/e2e-kube starts; make e2e-kube does both. What the clusters hold
// and what pods do there is described in its README.

// patience is a guard against waiting for ever and no measure of anything.
const patience = 60 * time.Second

// config reads one of the harness's kubeconfig files.
func config(t *testing.T, file string) *api.Config {
	t.Helper()
	dir, err := conf.Env("PALMOPS_E2E_KUBE")
	if err != nil || dir == "" {
		t.Fatalf("PALMOPS_E2E_KUBE names no folder (%v): run make e2e-kube", err)
	}
	cfg, err := clientcmd.LoadFromFile(filepath.Join(dir, file))
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// kubeconfig writes the executor's kubeconfig with a current context, changed as wanted, and returns its path.
func kubeconfig(t *testing.T, current string, change func(*api.Config)) string {
	t.Helper()
	cfg := config(t, "kubeconfig")
	cfg.CurrentContext = current
	if change != nil {
		change(cfg)
	}
	path := filepath.Join(t.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(*cfg, path); err != nil {
		t.Fatal(err)
	}
	return path
}

// admin may do everything in one cluster. It speaks plain JSON: what the kind does must not be checked by the kind's own client.
type admin struct {
	base string
	http *http.Client
}

func adminOf(t *testing.T, context string) *admin {
	t.Helper()
	cfg, err := clientcmd.NewNonInteractiveClientConfig(*config(t, "admin.kubeconfig"), context, nil, nil).ClientConfig()
	if err != nil {
		t.Fatal(err)
	}
	client, err := rest.HTTPClientFor(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.CloseIdleConnections)
	return &admin{base: cfg.Host, http: client}
}

// send makes a request. Out may be nil; a status that is not 2xx is returned with the answer's text.
func (a *admin) send(ctx context.Context, method, path string, body, out any) (int, error) {
	var in io.Reader = http.NoBody
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			return 0, err
		}
		in = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(ctx, method, a.base+path, in)
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", "application/json")
	if method == http.MethodPatch {
		req.Header.Set("Content-Type", "application/merge-patch+json")
	}
	resp, err := a.http.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err
	}
	if resp.StatusCode/100 != 2 {
		return resp.StatusCode, fmt.Errorf("%s %s: %d %s", method, path, resp.StatusCode, data)
	}
	if out == nil {
		return resp.StatusCode, nil
	}
	return resp.StatusCode, json.Unmarshal(data, out)
}

// do is send that must go well.
func (a *admin) do(t *testing.T, method, path string, body, out any) {
	t.Helper()
	if _, err := a.send(soon(t), method, path, body, out); err != nil {
		t.Fatal(err)
	}
}

// make creates an object and deletes it when the test has ended.
func (a *admin) make(t *testing.T, collection, name string, object any) {
	t.Helper()
	a.do(t, http.MethodPost, collection, object, nil)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		code, err := a.send(ctx, http.MethodDelete, collection+"/"+name+"?propagationPolicy=Background", nil, nil)
		if err != nil && code != http.StatusNotFound {
			t.Error(err)
		}
	})
}

// await watches a collection until one of its objects is as it is wanted, and returns that one. Query is labelSelector=… or
// fieldSelector=…; deleted objects are not looked at.
func await[T any](t *testing.T, a *admin, collection, query string, wanted func(*T) bool) *T {
	t.Helper()
	req, err := http.NewRequestWithContext(soon(t), http.MethodGet, a.base+collection+"?watch=true&"+query, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := a.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var last json.RawMessage
	for dec := json.NewDecoder(resp.Body); ; {
		var ev struct {
			Type   string          `json:"type"`
			Object json.RawMessage `json:"object"`
		}
		if err := dec.Decode(&ev); err != nil {
			t.Fatalf("watch %s?%s: %v; last seen: %s", collection, query, err, last)
		}
		last = ev.Object
		o := new(T)
		if err := json.Unmarshal(ev.Object, o); err != nil {
			t.Fatal(err)
		}
		if ev.Type != "DELETED" && wanted(o) {
			return o
		}
	}
}

// gone waits until there is no such object any more.
func (a *admin) gone(t *testing.T, path string) {
	t.Helper()
	ctx := soon(t)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		code, err := a.send(ctx, http.MethodGet, path, nil, nil)
		if code == http.StatusNotFound {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("%s is still there", path)
		}
	}
}

func soon(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// rig is a kind with a catalog that has an action <target>.<verb> for everything that the kind offers.
type rig struct {
	*kubernetes.Kind
	catalog *catalog.Catalog
}

// open makes a rig with one target, main, over a kubeconfig.
func open(t *testing.T, path string) *rig {
	t.Helper()
	return openAll(t, map[string]string{"main": "kubeconfig: " + path + ", namespaces: [shop, pay, gone], nodes: true"})
}

// openAll makes a rig over several clusters, of which it is given the settings. More are entries of actions besides.
func openAll(t *testing.T, clusters map[string]string, more ...string) *rig {
	t.Helper()
	var text strings.Builder
	text.WriteString("version: 1\nzone: e2e\npool: k8s\ntargets:\n  clusters:\n")
	for _, name := range slices.Sorted(maps.Keys(clusters)) {
		fmt.Fprintf(&text, "    %s: {%s}\n", name, clusters[name])
	}
	text.WriteString("actions:\n")
	spec := kubernetes.Spec()
	for _, target := range slices.Sorted(maps.Keys(clusters)) {
		for _, verb := range slices.Sorted(maps.Keys(spec.Verbs)) {
			if slices.Contains(onNodes, verb) && !strings.Contains(clusters[target], "nodes: true") {
				continue
			}
			text.WriteString(entry(target, verb, spec.Verbs[verb]))
		}
	}
	text.WriteString(strings.Join(more, ""))
	c, err := catalog.Decode("e2e.yaml", []byte(text.String()), catalog.Kinds{spec})
	if err != nil {
		t.Fatalf("%v\n%s", err, text.String())
	}
	k, err := kubernetes.New(catalog.Targets[kubernetes.Cluster](c, kubernetes.Targets))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.Close)
	return &rig{Kind: k, catalog: c}
}

// onNodes are the verbs that a cluster must allow.
var onNodes = []string{"cordon", "uncordon", "drain"}

// entry is an action of the catalog that takes all a verb can take.
func entry(target, verb string, v catalog.Verb) string {
	var out strings.Builder
	fmt.Fprintf(&out, "  %s.%s:\n    kind: kubernetes\n    verb: %s\n    target: %s\n", target, verb, verb, target)
	if v.Class != catalog.Question {
		fmt.Fprintf(&out, "    timeout: %ds\n", int(patience.Seconds()))
	}
	if len(v.Params) > 0 {
		out.WriteString("    params:\n")
	}
	for _, p := range v.Params {
		bound := ""
		switch {
		case p.Type == catalog.TypeString && p.Allow == nil && p.Pattern == "":
			bound = ", pattern: line"
		case p.Type == catalog.TypeInt && p.Max == nil:
			bound = ", min: 0, max: 100"
		}
		fmt.Fprintf(&out, "      %s: {type: %s, optional: %v%s}\n", p.Name, p.Type, p.Optional, bound)
	}
	return out.String()
}

// args takes names and values in turn.
func args(pairs ...any) map[string]any {
	out := map[string]any{}
	for i := 0; i < len(pairs); i += 2 {
		v := pairs[i+1]
		if n, is := v.(int); is {
			v = int64(n)
		}
		out[pairs[i].(string)] = v
	}
	return out
}

func (r *rig) action(t *testing.T, name string, a map[string]any) catalog.Action {
	t.Helper()
	if !strings.Contains(name, ".") {
		name = "main." + name
	}
	action, ok := r.catalog.Action(name)
	if !ok {
		t.Fatalf("no action %s", name)
	}
	if err := action.Check(a, lang.Chinese); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return action
}

// ask asks a question, of the target main unless the name says <target>.<verb>.
func (r *rig) ask(t *testing.T, name string, a map[string]any) (wire.Answer, error) {
	t.Helper()
	return r.Answer(soon(t), kind.Query{Action: r.action(t, name, a), Args: a, Lang: lang.Chinese})
}

// browse asks a remote node.
func (r *rig) browse(t *testing.T, name string, typed ...string) *wire.View {
	t.Helper()
	action := r.action(t, name, nil)
	got, err := r.Answer(soon(t), kind.Query{Action: action, Args: args(catalog.NodeInputs, wire.JoinInputs(typed)), Lang: lang.Chinese})
	if err != nil || got.View == nil {
		t.Fatalf("%s %q: %v %+v", name, typed, err, got)
	}
	return got.View
}

func (r *rig) work(t *testing.T, name string, a map[string]any) kind.Work {
	t.Helper()
	return kind.Work{ID: "e2e-" + strings.ReplaceAll(t.Name(), "/", "-"), Action: r.action(t, name, a), Args: a, Timeout: patience, Lang: lang.Chinese}
}

// prepare is Prepare that must go well.
func (r *rig) prepare(t *testing.T, w kind.Work) json.RawMessage {
	t.Helper()
	before, err := r.Prepare(soon(t), w)
	if err != nil {
		t.Fatalf("%s: %v: %s", w.Action.Name, err, fault.Safe(err))
	}
	if len(before) > 4<<10 {
		t.Errorf("%s keeps %d bytes", w.Action.Name, len(before))
	}
	return before
}

// run carries out an action from beginning to end.
func (r *rig) run(t *testing.T, name string, a map[string]any) (kind.Result, *hand) {
	t.Helper()
	w := r.work(t, name, a)
	h := &hand{}
	return r.Apply(soon(t), w, r.prepare(t, w), h), h
}

// want checks how an action ended, and that its text has all the words.
func want(t *testing.T, r kind.Result, state string, words ...string) {
	t.Helper()
	if r.State != state {
		t.Errorf("it ended as %s, not %s: %s", r.State, state, r.Text)
	}
	for _, w := range words {
		if !strings.Contains(r.Text, w) {
			t.Errorf("the text has no %q: %s", w, r.Text)
		}
	}
}

// hand gives leave unless told otherwise, and keeps what was said.
type hand struct {
	mu    sync.Mutex
	steps int
	lines []string
	on    func(line string) // called with every line
	deny  error
}

func (h *hand) Step(context.Context) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.steps++
	return h.deny
}

// refuse gives no leave from now on.
func (h *hand) refuse(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.deny = err
}

func (h *hand) Progress(line string) {
	h.mu.Lock()
	h.lines = append(h.lines, line)
	on := h.on
	h.mu.Unlock()
	if on != nil {
		on(line)
	}
}

func (h *hand) Run(context.Context, string, string, map[string]any) kind.Result {
	return kind.Failed("there are no steps here")
}
