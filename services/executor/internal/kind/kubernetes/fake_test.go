package kubernetes

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
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
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeAPI is an API server with optimistic concurrency and watches of single objects. What a controller or a kubelet would do
// happens when the test says so, or at once.
type fakeAPI struct {
	t   *testing.T
	srv *httptest.Server

	mu        sync.Mutex
	rv        int
	objects   map[string]fakeObject // by resource/namespace/name
	watches   map[int]*fakeWatch
	nextWatch int
	changed   chan struct{} // closed and replaced at every new watch
	auto      bool          // replicas are ready as soon as they are wanted, and pods gone as soon as they are deleted
	page      int           // most items on a page, whatever the limit
	// hook may answer a request instead of the server; before a change it may also change things itself. It is called
	// without the lock.
	hook      func(w http.ResponseWriter, r *http.Request) bool
	requests  []string
	logs      func(w http.ResponseWriter, r *http.Request, pod string)
	budget    func(pod string) string // why a pod may not be evicted; "" when it may
	evictions int
}

func newFakeAPI(t *testing.T) *fakeAPI {
	t.Helper()
	f := &fakeAPI{
		t: t, rv: 100, objects: map[string]fakeObject{}, watches: map[int]*fakeWatch{}, changed: make(chan struct{}), auto: true, page: 2,
		budget: func(string) string { return "" },
	}
	f.srv = httptest.NewServer(http.HandlerFunc(f.serve))
	t.Cleanup(func() {
		f.endWatches()
		f.srv.Close()
	})
	for _, n := range []string{"default", "kube-system", "pay", "shop"} {
		f.put("namespaces", &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: n}})
	}
	f.add("shop", "web", 3)
	f.add("shop", "api", 2)
	return f
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
	refuse(w, code, reason, string(reason), nil)
}

func refuse(w http.ResponseWriter, code int, reason metav1.StatusReason, message string, details *metav1.StatusDetails) {
	w.Header().Set("Content-Type", "application/json")
	if code == 429 && details == nil {
		w.Header().Set("Retry-After", "1")
	}
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(metav1.Status{ // the client is a test
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: "Failure", Code: int32(code), Reason: reason, Message: message, Details: details,
	})
}

func reply(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // as above
}

// cut ends the connection: no answer.
func cut(w http.ResponseWriter) {
	if conn, _, err := w.(http.Hijacker).Hijack(); err == nil {
		_ = conn.Close()
	}
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
	path = path[2+min(1, len(path[0])-len("api")):] // after api/v1 or apis/apps/v1
	ns := ""
	if len(path) > 2 && path[0] == "namespaces" {
		ns, path = path[1], path[2:]
	}
	switch resource := path[0]; {
	case kinds[resource] == nil:
		status(w, 404, metav1.StatusReasonNotFound)
	case len(path) == 1 && r.URL.Query().Get("watch") != "":
		f.watch(w, r, resource+"/"+ns+"/"+strings.TrimPrefix(r.URL.Query().Get("fieldSelector"), "metadata.name="))
	case len(path) == 1:
		f.list(w, r, resource, ns)
	case len(path) == 3 && path[2] == "log" && f.logs != nil:
		f.logs(w, r, ns+"/"+path[1])
	default:
		f.one(w, r, resource+"/"+ns+"/"+path[1], strings.Join(path[2:], "/"))
	}
}

func (f *fakeAPI) list(w http.ResponseWriter, r *http.Request, resource, ns string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	q := r.URL.Query()
	label, err := labels.Parse(q.Get("labelSelector"))
	field, err2 := fields.ParseSelector(q.Get("fieldSelector"))
	if err != nil || err2 != nil {
		status(w, 400, metav1.StatusReasonBadRequest)
		return
	}
	var keys []string
	for k, o := range f.objects {
		node := ""
		if p, is := o.(*corev1.Pod); is {
			node = p.Spec.NodeName
		}
		if strings.HasPrefix(k, resource+"/") && (ns == "" || o.GetNamespace() == ns) && label.Matches(labels.Set(o.GetLabels())) &&
			field.Matches(fields.Set{"spec.nodeName": node}) {
			keys = append(keys, k)
		}
	}
	sort.Strings(keys)
	limit, _ := strconv.Atoi(q.Get("limit"))
	if limit > 0 {
		limit = min(limit, f.page)
	}
	from, _ := strconv.Atoi(q.Get("continue"))
	items, next := []fakeObject{}, ""
	for i := from; i < len(keys); i++ {
		if limit > 0 && len(items) == limit {
			next = strconv.Itoa(i)
			break
		}
		items = append(items, f.objects[keys[i]])
	}
	gvk := kinds[resource]().GetObjectKind().GroupVersionKind()
	reply(w, map[string]any{
		"apiVersion": gvk.GroupVersion().String(), "kind": gvk.Kind + "List", "metadata": metav1.ListMeta{Continue: next}, "items": items,
	})
}

// one answers what is asked of a single object.
func (f *fakeAPI) one(w http.ResponseWriter, r *http.Request, key, sub string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	o := f.objects[key]
	switch {
	case o == nil:
		status(w, 404, metav1.StatusReasonNotFound)
	case r.Method == http.MethodGet && sub == "":
		reply(w, o)
	case r.Method == http.MethodPut && sub == "scale":
		f.scale(w, r, key)
	case r.Method == http.MethodPatch && sub == "":
		f.patch(w, r, key)
	case r.Method == http.MethodDelete && sub == "":
		var opts metav1.DeleteOptions
		if json.NewDecoder(r.Body).Decode(&opts) != nil {
			status(w, 400, metav1.StatusReasonBadRequest)
			return
		}
		f.remove(w, key, &opts)
	case r.Method == http.MethodPost && sub == "eviction":
		var in struct {
			Kind          string
			DeleteOptions metav1.DeleteOptions
		}
		if json.NewDecoder(r.Body).Decode(&in) != nil || in.Kind != "Eviction" {
			status(w, 400, metav1.StatusReasonBadRequest)
			return
		}
		if why := f.budget(o.GetNamespace() + "/" + o.GetName()); why != "" {
			refuse(w, 429, metav1.StatusReasonTooManyRequests, "Cannot evict pod as it would violate the pod's disruption budget.",
				&metav1.StatusDetails{Causes: []metav1.StatusCause{{Type: "DisruptionBudget", Message: why}}})
			return
		}
		if o.GetDeletionTimestamp() == nil {
			f.evictions++
		}
		f.remove(w, key, &in.DeleteOptions)
	default:
		status(w, 405, metav1.StatusReasonMethodNotAllowed)
	}
}

func (f *fakeAPI) remove(w http.ResponseWriter, key string, opts *metav1.DeleteOptions) {
	o := f.objects[key]
	if p := opts.Preconditions; p == nil || p.UID == nil || *p.UID != o.GetUID() || p.ResourceVersion != nil && *p.ResourceVersion != o.GetResourceVersion() {
		status(w, 409, metav1.StatusReasonConflict)
		return
	}
	if f.auto {
		f.dropLocked(key)
	} else {
		f.editLocked(key, func(o fakeObject) { now := metav1.Now(); o.SetDeletionTimestamp(&now) })
	}
	reply(w, o)
}

func (f *fakeAPI) scale(w http.ResponseWriter, r *http.Request, key string) {
	var s autoscalingv1.Scale
	if json.NewDecoder(r.Body).Decode(&s) != nil || s.Kind != "Scale" {
		status(w, 400, metav1.StatusReasonBadRequest)
		return
	}
	o := f.objects[key]
	if s.ResourceVersion != o.GetResourceVersion() || s.UID != o.GetUID() {
		status(w, 409, metav1.StatusReasonConflict)
		return
	}
	f.editLocked(key, func(o fakeObject) {
		n := s.Spec.Replicas
		switch x := o.(type) {
		case *appsv1.Deployment:
			x.Spec.Replicas = &n
		case *appsv1.StatefulSet:
			x.Spec.Replicas = &n
		}
		o.SetGeneration(o.GetGeneration() + 1)
	})
	f.settleLocked(key)
	s.ResourceVersion = f.objects[key].GetResourceVersion()
	reply(w, s)
}

func (f *fakeAPI) patch(w http.ResponseWriter, r *http.Request, key string) {
	var body json.RawMessage
	var meta struct{ Metadata metav1.ObjectMeta }
	if json.NewDecoder(r.Body).Decode(&body) != nil || json.Unmarshal(body, &meta) != nil {
		status(w, 400, metav1.StatusReasonBadRequest)
		return
	}
	o := f.objects[key]
	if v := meta.Metadata.ResourceVersion; v != "" && v != o.GetResourceVersion() || meta.Metadata.UID != "" && meta.Metadata.UID != o.GetUID() {
		status(w, 409, metav1.StatusReasonConflict)
		return
	}
	was, err := json.Marshal(o)
	if err != nil {
		f.t.Error(err)
	}
	next := kinds[strings.SplitN(key, "/", 2)[0]]()
	var is []byte
	switch r.Header.Get("Content-Type") {
	case string(types.StrategicMergePatchType):
		is, err = strategicpatch.StrategicMergePatch(was, body, next)
	case string(types.MergePatchType):
		is, err = mergePatch(was, body)
	default:
		status(w, 415, metav1.StatusReasonUnsupportedMediaType)
		return
	}
	if err != nil || json.Unmarshal(is, next) != nil {
		status(w, 400, metav1.StatusReasonBadRequest)
		return
	}
	template := templateOf(next) != nil && !reflect.DeepEqual(templateOf(next), templateOf(o))
	_, counts := o.(*appsv1.Deployment) // counts changes of its annotations as well
	f.editLocked(key, func(into fakeObject) {
		reflect.ValueOf(into).Elem().Set(reflect.ValueOf(next).Elem())
		if template || counts && !maps.Equal(o.GetAnnotations(), next.GetAnnotations()) {
			into.SetGeneration(into.GetGeneration() + 1)
		}
		if d, is := into.(*appsv1.Deployment); is && !template && d.Status.ObservedGeneration == o.GetGeneration() {
			d.Status.ObservedGeneration = d.Generation // its controller is quick with what does not concern it
		}
	})
	if template {
		f.settleLocked(key)
	}
	reply(w, f.objects[key])
}

func mergePatch(was, patch []byte) ([]byte, error) {
	var a, b any
	if err := json.Unmarshal(was, &a); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(patch, &b); err != nil {
		return nil, err
	}
	return json.Marshal(merge(a, b))
}

func merge(a, b any) any {
	change, is := b.(map[string]any)
	if !is {
		return b
	}
	out, is := a.(map[string]any)
	if !is {
		out = map[string]any{}
	}
	for k, v := range change {
		if v == nil {
			delete(out, k)
		} else {
			out[k] = merge(out[k], v)
		}
	}
	return out
}

// forbid is a cluster that lets nobody use some methods.
func (f *fakeAPI) forbid(methods ...string) {
	f.hook = func(w http.ResponseWriter, r *http.Request) bool {
		if !slices.Contains(methods, r.Method) {
			return false
		}
		status(w, http.StatusForbidden, metav1.StatusReasonForbidden)
		return true
	}
}
