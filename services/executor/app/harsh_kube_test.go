package app

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"

	"palmops/libs/fault"
	"palmops/libs/looptest"
	"palmops/libs/wire"
)

const kubeCatalog = `
targets:
  clusters:
    practice: {server: %q, namespaces: [shop]}
actions:
  k8s.deployments: {kind: kubernetes, verb: deployments, params: {namespace: {type: string}}}
` + scaleAction

const scaleAction = `
  k8s.scale:
    kind: kubernetes
    verb: scale
    target: practice
    timeout: 20s
    params:
      namespace: {type: string}
      deployment: {type: string, pattern: dns-label}
      replicas: {type: int, min: 0, max: 20}
      from: {type: int, optional: true}
`

// spoiler may answer in the place of an API server, or spoil its answer; false when it does not want to.
type spoiler func(w http.ResponseWriter, r *http.Request, pass func(http.ResponseWriter)) bool

// troubled is an API server with the deployment shop/web, whose replicas are ready at once, behind a spoiler.
type troubled struct {
	*httptest.Server
	mu           sync.Mutex
	replicas, rv int
	changes      int
}

func newTroubled(t *testing.T, spoil spoiler) *troubled {
	t.Helper()
	a := &troubled{replicas: 3, rv: 10}
	a.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		pass := func(w http.ResponseWriter) { a.serve(w, r) }
		if !spoil(w, r, pass) {
			pass(w)
		}
	}))
	t.Cleanup(a.Close)
	return a
}

func (a *troubled) serve(w http.ResponseWriter, r *http.Request) {
	const path = "/apis/apps/v1/namespaces/shop/deployments/web"
	a.mu.Lock()
	defer a.mu.Unlock()
	meta := func() string {
		return fmt.Sprintf(`{"namespace":"shop","name":"web","uid":"u","resourceVersion":"%d","generation":%d}`, a.rv, a.rv)
	}
	w.Header().Set("Content-Type", "application/json")
	switch r.Method + " " + r.URL.Path {
	case "PATCH " + path, "GET " + path: // what the executor patches is an annotation
		if r.Method == http.MethodPatch {
			a.rv++
		}
		fmt.Fprintf(w, `{"apiVersion":"apps/v1","kind":"Deployment","metadata":%s,"spec":{"replicas":%d},
			"status":{"observedGeneration":%[3]d,"replicas":%[2]d,"updatedReplicas":%[2]d,"readyReplicas":%[2]d}}`, meta(), a.replicas, a.rv)
	case "PUT " + path + "/scale":
		var s struct {
			Metadata struct{ ResourceVersion string }
			Spec     struct{ Replicas int }
		}
		if err := json.NewDecoder(r.Body).Decode(&s); err != nil || s.Metadata.ResourceVersion != strconv.Itoa(a.rv) {
			says(w, 409, "Conflict")
			return
		}
		a.replicas, a.rv, a.changes = s.Spec.Replicas, a.rv+1, a.changes+1
		fmt.Fprintf(w, `{"apiVersion":"autoscaling/v1","kind":"Scale","metadata":%s,"spec":{"replicas":%d}}`, meta(), a.replicas)
	default:
		says(w, 404, "NotFound")
	}
}

func says(w http.ResponseWriter, code int, reason string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	fmt.Fprintf(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","code":%d,"reason":%q,"message":"as the test says"}`, code, reason)
}

// only spoils requests of one method.
func only(method string, answer func(w http.ResponseWriter, r *http.Request, pass func(http.ResponseWriter))) spoiler {
	return func(w http.ResponseWriter, r *http.Request, pass func(http.ResponseWriter)) bool {
		if r.Method != method {
			return false
		}
		answer(w, r, pass)
		return true
	}
}

func refuses(method string, code int, reason string) spoiler {
	return only(method, func(w http.ResponseWriter, _ *http.Request, _ func(http.ResponseWriter)) { says(w, code, reason) })
}

func once(s spoiler) spoiler {
	var mu sync.Mutex
	spent := false
	return func(w http.ResponseWriter, r *http.Request, pass func(http.ResponseWriter)) bool {
		mu.Lock()
		if spent || r.Method != http.MethodPut {
			mu.Unlock()
			return false
		}
		spent = true
		mu.Unlock()
		return s(w, r, pass)
	}
}

// TestAnAPIServerInTrouble orders a change while API servers are in every kind of trouble: the result is true, it says what to do, and
// the audit has it.
func TestAnAPIServerInTrouble(t *testing.T) {
	t.Parallel()
	slow := func(_ http.ResponseWriter, r *http.Request, _ func(http.ResponseWriter)) {
		_, _ = io.Copy(io.Discard, r.Body) // before that a server does not see that the client is gone
		<-r.Context().Done()
	}
	cut := func(http.ResponseWriter, *http.Request, func(http.ResponseWriter)) { panic(http.ErrAbortHandler) }
	done := func(_ http.ResponseWriter, _ *http.Request, pass func(http.ResponseWriter)) {
		pass(httptest.NewRecorder()) // it takes effect, and the answer is lost
		panic(http.ErrAbortHandler)
	}
	const nothing = "没有执行任何操作"
	cases := []struct {
		name    string
		spoil   spoiler
		state   string
		text    string
		changes int
	}{
		{"read, slow", only("GET", slow), wire.StateFailed, nothing, 0},
		{"read, cut", only("GET", cut), wire.StateFailed, nothing, 0},
		{"read, 404", refuses("GET", 404, "NotFound"), wire.StateFailed, "shop/web 不存在，" + nothing, 0},
		{"read, 409", refuses("GET", 409, "Conflict"), wire.StateFailed, nothing, 0},
		{"read, 410", refuses("GET", 410, "Expired"), wire.StateFailed, nothing, 0},
		{"read, 429", refuses("GET", 429, "TooManyRequests"), wire.StateFailed, nothing, 0},
		{"read, 500", refuses("GET", 500, "InternalError"), wire.StateFailed, nothing, 0},
		{"change, 403", refuses("PUT", 403, "Forbidden"), wire.StateFailed, "权限，" + nothing, 0},
		{"change, 404", refuses("PUT", 404, "NotFound"), wire.StateFailed, "不存在，" + nothing, 0},
		{"change, 409", refuses("PUT", 409, "Conflict"), wire.StateFailed, nothing, 0},
		{"change, 410", refuses("PUT", 410, "Gone"), wire.StateFailed, nothing, 0},
		{"change, 429", refuses("PUT", 429, "TooManyRequests"), wire.StateFailed, nothing, 0},
		{"change, 429 once", once(refuses("PUT", 429, "TooManyRequests")), wire.StateSucceeded, "3 → 4，4/4 就绪", 1},
		{"change, 500", refuses("PUT", 500, "InternalError"), wire.StateFailed, "没有被修改", 0},
		{"change, slow", only("PUT", slow), wire.StateFailed, "没有被修改", 0},
		{"change, no answer", only("PUT", cut), wire.StateFailed, "没有被修改", 0},
		{"change, done without an answer", once(only("PUT", done)), wire.StateSucceeded, "3 → 4，4/4 就绪", 1},
		{"change, done without an answer, then nothing", untilDone(done, cut), wire.StateUnknown, "请先查看当前副本数，不要直接重试", 1},
	}
	targets, actions := "\ntargets:\n  clusters:\n", "\nactions:\n"
	var servers []*troubled
	for i, c := range cases {
		a := newTroubled(t, c.spoil)
		servers = append(servers, a)
		targets += fmt.Sprintf("    c%d: {server: %q, namespaces: [shop]}\n", i, a.URL)
		actions += strings.NewReplacer("k8s.scale", fmt.Sprintf("scale.c%d", i), "target: practice", fmt.Sprintf("target: c%d", i), "20s", "8s").Replace(scaleAction)
	}
	p := newPlace(t, targets+actions, nil)
	ids := map[int]string{}
	for i, c := range cases {
		ids[i] = p.send(c.name, fmt.Sprintf("scale.c%d", i), map[string]any{"namespace": "shop", "deployment": "web", "replicas": 4, "from": 3})
	}
	for i, c := range cases {
		ev := p.ends(ids[i])
		if ev.State != c.state || !strings.Contains(ev.Text, c.text) || len(ev.Text) > 600 {
			t.Errorf("%s: %s, %s", c.name, ev.State, ev.Text)
		}
		servers[i].mu.Lock()
		if n := servers[i].changes; n != c.changes {
			t.Errorf("%s: %d changes", c.name, n)
		}
		servers[i].mu.Unlock()
	}
}

// untilDone lets everything through until a change comes, and spoils that and all that follows.
func untilDone(change, after func(http.ResponseWriter, *http.Request, func(http.ResponseWriter))) spoiler {
	var mu sync.Mutex
	came := false
	return func(w http.ResponseWriter, r *http.Request, pass func(http.ResponseWriter)) bool {
		mu.Lock()
		first, late := !came && r.Method == http.MethodPut, came
		came = came || first
		mu.Unlock()
		switch {
		case first:
			change(w, r, pass)
		case late:
			after(w, r, pass)
		}
		return first || late
	}
}

// TestAListThatBreaksOff: half a list is no list.
func TestAListThatBreaksOff(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	second := func(w http.ResponseWriter, _ *url.URL) {} // what the second page is
	page := func(w http.ResponseWriter, name, more string) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{
			"apiVersion": "apps/v1", "kind": "DeploymentList", "metadata": map[string]any{"resourceVersion": "7", "continue": more},
			"items": []any{map[string]any{"metadata": map[string]any{"namespace": "shop", "name": name}, "spec": map[string]any{"replicas": 1}}},
		})
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("continue") == "" {
			page(w, "first", "more")
			return
		}
		mu.Lock()
		answer := second
		mu.Unlock()
		answer(w, r.URL)
	}))
	t.Cleanup(srv.Close)
	p := newPlace(t, fmt.Sprintf(kubeCatalog, srv.URL), nil)
	for name, c := range map[string]func(w http.ResponseWriter, _ *url.URL){
		"cut": func(w http.ResponseWriter, _ *url.URL) {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Content-Length", "100000")
			fmt.Fprint(w, `{"apiVersion":"apps/v1","kind":"DeploymentList","items":[{"metadata":{"name":"sec`)
		},
		"reset":   func(http.ResponseWriter, *url.URL) { panic(http.ErrAbortHandler) },
		"500":     func(w http.ResponseWriter, _ *url.URL) { says(w, 500, "InternalError") },
		"429":     func(w http.ResponseWriter, _ *url.URL) { says(w, 429, "TooManyRequests") },
		"garbage": func(w http.ResponseWriter, _ *url.URL) { fmt.Fprint(w, "<html>bad gateway</html>") },
	} {
		mu.Lock()
		second = c
		mu.Unlock()
		a := p.ask("k8s.deployments", map[string]any{"namespace": "shop"})
		if len(a.Items) != 0 || a.Fault == nil || a.Fault.Kind != string(fault.Transient) || !strings.Contains(a.Fault.Text, "稍后重试") {
			t.Errorf("%s: %+v %+v", name, a.Items, a.Fault)
		}
	}
	mu.Lock()
	second = func(w http.ResponseWriter, _ *url.URL) { page(w, "second", "") }
	mu.Unlock()
	if a := p.ask("k8s.deployments", map[string]any{"namespace": "shop"}); len(a.Items) != 2 {
		t.Errorf("afterwards: %+v %+v", a.Items, a.Fault)
	}
}

// TestAnAPIServerThatIsDown has nobody at the address.
func TestAnAPIServerThatIsDown(t *testing.T) {
	t.Parallel()
	at, err := looptest.Address()
	if err != nil {
		t.Fatal(err)
	}
	p := newPlace(t, fmt.Sprintf(kubeCatalog, "http://"+at), nil)
	if a := p.ask("k8s.deployments", map[string]any{"namespace": "shop"}); a.Fault == nil || !strings.Contains(a.Fault.Text, "稍后重试") {
		t.Errorf("%+v", a)
	}
	ev := p.does("down", "k8s.scale", map[string]any{"namespace": "shop", "deployment": "web", "replicas": 4})
	if ev.State != wire.StateFailed || !strings.Contains(ev.Text, "暂时不可用，没有执行任何操作。请稍后重试") {
		t.Errorf("%+v", ev)
	}
}
