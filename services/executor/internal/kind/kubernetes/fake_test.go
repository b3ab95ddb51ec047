package kubernetes

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sort"
	"strconv"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeAPI is an API server with namespaces and deployments, optimistic concurrency and watches. Replicas become ready when the
// test says so, or at once.
type fakeAPI struct {
	t   *testing.T
	srv *httptest.Server

	mu         sync.Mutex
	rv         int
	namespaces []string
	deps       map[string]*appsv1.Deployment // by namespace/name
	watches    map[int]*fakeWatch
	nextWatch  int
	changed    chan struct{} // closed and replaced at every new watch
	auto       bool          // replicas are ready as soon as they are wanted
	// hook may answer a request instead of the server; before a change it may also change things itself. It is called
	// without the lock.
	hook     func(w http.ResponseWriter, r *http.Request) bool
	requests []string
}

type fakeWatch struct {
	key    string
	events chan watchEvent
	end    chan struct{}
}

type watchEvent struct {
	Type   string `json:"type"`
	Object any    `json:"object"`
}

func newFakeAPI(t *testing.T) *fakeAPI {
	t.Helper()
	f := &fakeAPI{
		t: t, rv: 100, namespaces: []string{"default", "kube-system", "pay", "shop"}, deps: map[string]*appsv1.Deployment{},
		watches: map[int]*fakeWatch{}, changed: make(chan struct{}), auto: true,
	}
	f.srv = httptest.NewServer(http.HandlerFunc(f.serve))
	t.Cleanup(func() {
		f.mu.Lock()
		for _, w := range f.watches {
			close(w.end)
		}
		f.watches = map[int]*fakeWatch{}
		f.mu.Unlock()
		f.srv.Close()
	})
	f.add("shop", "web", 3)
	f.add("shop", "api", 2)
	return f
}

func (f *fakeAPI) add(ns, name string, replicas int32) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rv++
	f.deps[ns+"/"+name] = &appsv1.Deployment{
		TypeMeta:   metav1.TypeMeta{APIVersion: "apps/v1", Kind: "Deployment"},
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name, UID: types.UID(fmt.Sprint("uid-", ns, name, f.rv)), ResourceVersion: strconv.Itoa(f.rv), Generation: 1},
		Spec:       appsv1.DeploymentSpec{Replicas: &replicas},
		Status:     appsv1.DeploymentStatus{ObservedGeneration: 1, Replicas: replicas, UpdatedReplicas: replicas, ReadyReplicas: replicas},
	}
}

// change changes a deployment as somebody else would, or its controller.
func (f *fakeAPI) change(key string, change func(d *appsv1.Deployment)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.changeLocked(key, change)
}

func (f *fakeAPI) changeLocked(key string, change func(d *appsv1.Deployment)) {
	d := f.deps[key].DeepCopy()
	change(d)
	f.rv++
	d.ResourceVersion = strconv.Itoa(f.rv)
	f.deps[key] = d
	for _, w := range f.watches {
		if w.key == key {
			w.events <- watchEvent{"MODIFIED", d.DeepCopy()}
		}
	}
}

func setReplicas(n int32) func(*appsv1.Deployment) {
	return func(d *appsv1.Deployment) { d.Spec.Replicas = &n; d.Generation++ }
}

func setRestarted(at string) func(*appsv1.Deployment) {
	return func(d *appsv1.Deployment) {
		d.Spec.Template.Annotations = map[string]string{RestartAnnotation: at}
		d.Generation++
	}
}

func setReady(total, ready int32) func(*appsv1.Deployment) {
	return func(d *appsv1.Deployment) {
		d.Status = appsv1.DeploymentStatus{ObservedGeneration: d.Generation, Replicas: total, UpdatedReplicas: total, ReadyReplicas: ready}
	}
}

func (f *fakeAPI) get(key string) *appsv1.Deployment {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.deps[key].DeepCopy()
}

// watched waits until somebody watches.
func (f *fakeAPI) watched() {
	for {
		f.mu.Lock()
		n, changed := len(f.watches), f.changed
		f.mu.Unlock()
		if n > 0 {
			return
		}
		<-changed
	}
}

// endWatches ends all watches, as a server that restarts does.
func (f *fakeAPI) endWatches() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for id, w := range f.watches {
		close(w.end)
		delete(f.watches, id)
	}
}

func (f *fakeAPI) count(prefix string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, r := range f.requests {
		if strings.HasPrefix(r, prefix) {
			n++
		}
	}
	return n
}

func status(w http.ResponseWriter, code int, reason metav1.StatusReason) {
	w.Header().Set("Content-Type", "application/json")
	if code == 429 {
		w.Header().Set("Retry-After", "1")
	}
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(metav1.Status{ // the client is a test
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: "Failure", Code: int32(code), Reason: reason, Message: string(reason),
	})
}

func reply(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // as above
}

func (f *fakeAPI) serve(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	f.requests = append(f.requests, r.Method+" "+r.URL.Path)
	hook := f.hook
	f.mu.Unlock()
	if hook != nil && hook(w, r) {
		return
	}
	path := strings.Split(strings.TrimPrefix(r.URL.Path, "/"), "/")
	switch {
	case r.URL.Path == "/api/v1/namespaces":
		f.listNamespaces(w, r)
	case len(path) == 6 && path[5] == "deployments" && r.URL.Query().Get("watch") != "":
		name := strings.TrimPrefix(r.URL.Query().Get("fieldSelector"), "metadata.name=")
		f.watch(w, r, path[4]+"/"+name)
	case len(path) == 6 && path[5] == "deployments":
		f.listDeployments(w, r, path[4])
	case len(path) >= 7 && path[5] == "deployments":
		f.deployment(w, r, path[4]+"/"+path[6], len(path) == 8 && path[7] == "scale")
	default:
		status(w, 404, metav1.StatusReasonNotFound)
	}
}

// forbidPatches is a cluster that lets nobody patch.
func (f *fakeAPI) forbidPatches() {
	f.hook = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPatch {
			return false
		}
		status(w, http.StatusForbidden, metav1.StatusReasonForbidden)
		return true
	}
}

func (f *fakeAPI) listNamespaces(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	list := corev1.NamespaceList{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "NamespaceList"}}
	from, _ := strconv.Atoi(r.URL.Query().Get("continue"))
	for i := from; i < len(f.namespaces); i++ {
		if len(list.Items) == 2 { // a page is small here, whatever the limit
			list.Continue = strconv.Itoa(i)
			break
		}
		list.Items = append(list.Items, corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: f.namespaces[i]}})
	}
	reply(w, list)
}

func (f *fakeAPI) listDeployments(w http.ResponseWriter, r *http.Request, ns string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var keys []string
	for k := range f.deps {
		if strings.HasPrefix(k, ns+"/") {
			keys = append(keys, k)
		}
	}
	sort.Strings(keys)
	list := appsv1.DeploymentList{TypeMeta: metav1.TypeMeta{APIVersion: "apps/v1", Kind: "DeploymentList"}}
	from, _ := strconv.Atoi(r.URL.Query().Get("continue"))
	limit, _ := strconv.Atoi(r.URL.Query().Get("limit"))
	for i := from; i < len(keys); i++ {
		if limit > 0 && len(list.Items) == 1 {
			list.Continue = strconv.Itoa(i)
			break
		}
		list.Items = append(list.Items, *f.deps[keys[i]])
	}
	reply(w, list)
}

func (f *fakeAPI) deployment(w http.ResponseWriter, r *http.Request, key string, scale bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	d := f.deps[key]
	if d == nil {
		status(w, 404, metav1.StatusReasonNotFound)
		return
	}
	switch {
	case r.Method == http.MethodGet && !scale:
	case r.Method == http.MethodPut && scale:
		var s autoscalingv1.Scale
		if json.NewDecoder(r.Body).Decode(&s) != nil || s.Kind != "Scale" {
			status(w, 400, metav1.StatusReasonBadRequest)
			return
		}
		if s.ResourceVersion != d.ResourceVersion || s.UID != d.UID {
			status(w, 409, metav1.StatusReasonConflict)
			return
		}
		f.changeLocked(key, setReplicas(s.Spec.Replicas))
		if f.auto {
			f.changeLocked(key, setReady(s.Spec.Replicas, s.Spec.Replicas))
		}
		s.ResourceVersion = f.deps[key].ResourceVersion
		reply(w, s)
		return
	case r.Method == http.MethodPatch && !scale && r.Header.Get("Content-Type") == "application/merge-patch+json":
		var p struct {
			Metadata metav1.ObjectMeta
			Spec     struct {
				Template struct{ Metadata metav1.ObjectMeta }
			}
		}
		if json.NewDecoder(r.Body).Decode(&p) != nil {
			status(w, 400, metav1.StatusReasonBadRequest)
			return
		}
		if v := p.Metadata.ResourceVersion; v != "" && v != d.ResourceVersion || p.Metadata.UID != "" && p.Metadata.UID != d.UID {
			status(w, 409, metav1.StatusReasonConflict)
			return
		}
		if at, given := p.Spec.Template.Metadata.Annotations[RestartAnnotation]; given {
			f.changeLocked(key, setRestarted(at))
			if n := *d.Spec.Replicas; f.auto {
				f.changeLocked(key, setReady(n, n))
			}
		} else {
			f.changeLocked(key, func(d *appsv1.Deployment) { d.Annotations = p.Metadata.Annotations })
		}
	default:
		status(w, 405, metav1.StatusReasonMethodNotAllowed)
		return
	}
	reply(w, f.deps[key])
}

func (f *fakeAPI) watch(w http.ResponseWriter, r *http.Request, key string) {
	fw := &fakeWatch{key: key, events: make(chan watchEvent, 1000), end: make(chan struct{})}
	f.mu.Lock()
	id := f.nextWatch
	f.nextWatch++
	f.watches[id] = fw
	close(f.changed)
	f.changed = make(chan struct{})
	// What happened between the read and the watch comes first, as resourceVersion asks.
	if d := f.deps[key]; d != nil && d.ResourceVersion != r.URL.Query().Get("resourceVersion") {
		fw.events <- watchEvent{"MODIFIED", d.DeepCopy()}
	}
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		delete(f.watches, id)
		f.mu.Unlock()
	}()
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(200)
	w.(http.Flusher).Flush()
	for {
		select {
		case <-r.Context().Done():
			return
		case <-fw.end:
			return
		case ev := <-fw.events:
			if json.NewEncoder(w).Encode(ev) != nil {
				return
			}
			w.(http.Flusher).Flush()
		}
	}
}
