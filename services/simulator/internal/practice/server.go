package practice

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"runtime"
	"strconv"

	"go.uber.org/zap"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/version"
)

// maxBody is the largest request body, in bytes, as in a real API server.
const maxBody = 3 << 20

// Handler serves the API.
func (c *Cluster) Handler() http.Handler {
	mux := http.NewServeMux()
	for _, path := range []string{"/healthz", "/livez", "/readyz"} {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") })
	}
	mux.HandleFunc("GET /version", fixed(version.Info{
		Major: "1", Minor: "37", GitVersion: "v1.37.0-practice", GitTreeState: "clean",
		GoVersion: runtime.Version(), Compiler: runtime.Compiler, Platform: runtime.GOOS + "/" + runtime.GOARCH,
	}))
	c.discovery(mux)
	for _, r := range allResources() {
		base := "/apis/" + r.group.String()
		if r.group.Group == "" {
			base = "/api/" + r.group.Version
		}
		all := base + "/" + r.name
		one := all + "/{name}"
		mux.HandleFunc("GET "+all, c.collection(r))
		if r.namespaced {
			one = base + "/namespaces/{namespace}/" + r.name + "/{name}"
			mux.HandleFunc("GET "+base+"/namespaces/{namespace}/"+r.name, c.collection(r))
		}
		mux.HandleFunc("GET "+one, c.answer(func(req *http.Request) (any, error) { return c.get(r, req) }))
	}
	one := "/apis/apps/v1/namespaces/{namespace}/deployments/{name}"
	mux.HandleFunc("PUT "+one, c.answer(c.updateDeployment))
	mux.HandleFunc("PATCH "+one, c.answer(c.patchDeployment))
	mux.HandleFunc("GET "+one+"/status", c.answer(func(req *http.Request) (any, error) { return c.get(deployments, req) }))
	mux.HandleFunc("GET "+one+"/scale", c.answer(c.getScale))
	mux.HandleFunc("PUT "+one+"/scale", c.answer(c.updateScale))
	mux.HandleFunc("PATCH "+one+"/scale", c.answer(c.patchScale))
	one = "/apis/apps/v1/namespaces/{namespace}/statefulsets/{name}"
	mux.HandleFunc("PATCH "+one, c.answer(func(req *http.Request) (any, error) { return c.patchObject(statefulSets, req) }))
	mux.HandleFunc("GET "+one+"/scale", c.answer(c.getStatefulScale))
	mux.HandleFunc("PUT "+one+"/scale", c.answer(c.updateStatefulScale))
	mux.HandleFunc("PATCH /api/v1/nodes/{name}", c.answer(func(req *http.Request) (any, error) { return c.patchObject(nodes, req) }))
	one = "/api/v1/namespaces/{namespace}/pods/{name}"
	mux.HandleFunc("PATCH "+one, c.answer(func(req *http.Request) (any, error) { return c.patchObject(pods, req) }))
	mux.HandleFunc("DELETE "+one, c.answer(c.deletePod))
	mux.HandleFunc("POST "+one+"/eviction", c.answer(c.evictPod))
	mux.HandleFunc("GET "+one+"/log", c.podLog)
	return c.fallback(mux)
}

// fallback answers what the mux does not know as a Kubernetes API does: a Status with 404 or 405.
func (c *Cluster) fallback(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, pattern := mux.Handler(r); pattern != "" {
			mux.ServeHTTP(w, r)
			return
		}
		probe := r.Clone(r.Context())
		probe.Method = http.MethodGet
		if _, pattern := mux.Handler(probe); pattern != "" {
			c.refuse(w, apierrors.NewMethodNotSupported(schema.GroupResource{}, r.Method))
			return
		}
		c.refuse(w, &apierrors.StatusError{ErrStatus: metav1.Status{
			Status: metav1.StatusFailure, Code: http.StatusNotFound, Reason: metav1.StatusReasonNotFound,
			Message: "the server could not find the requested resource",
		}})
	})
}

// answer makes a handler of a function that returns the object to answer with, or an error that is an apierrors.APIStatus.
func (c *Cluster) answer(do func(*http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		out, err := do(r)
		if err != nil {
			c.refuse(w, err)
			return
		}
		writeJSON(w, http.StatusOK, out)
	}
}

func fixed(body any) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, http.StatusOK, body) }
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-cache, private")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the client went away
}

// refuse answers with a metav1.Status. An error that is none is the cluster's own fault, and goes to the log.
func (c *Cluster) refuse(w http.ResponseWriter, err error) {
	status := statusFor(err)
	if status.Code == http.StatusInternalServerError {
		c.log.Error("a request to the practice cluster failed", zap.Error(err))
	}
	if d := status.Details; d != nil && d.RetryAfterSeconds > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(d.RetryAfterSeconds)))
	}
	writeJSON(w, int(status.Code), status)
}

func statusFor(err error) metav1.Status {
	var known apierrors.APIStatus
	if !errors.As(err, &known) {
		known = apierrors.NewInternalError(errors.New("the practice cluster could not keep the change"))
	}
	status := known.Status()
	status.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}
	return status
}

// readBody reads a request's body.
func readBody(r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(r.Body)
	if err == nil {
		return body, nil
	}
	if tooLarge, is := errors.AsType[*http.MaxBytesError](err); is {
		return nil, apierrors.NewRequestEntityTooLargeError(tooLarge.Error())
	}
	return nil, apierrors.NewBadRequest("the body was not read to its end")
}

func requestKey(r *http.Request) key { return key{r.PathValue("namespace"), r.PathValue("name")} }

func (c *Cluster) get(res resource, r *http.Request) (any, error) {
	o, ok := c.store.get(res.name, requestKey(r))
	if !ok {
		return nil, apierrors.NewNotFound(res.groupResource(), r.PathValue("name"))
	}
	return o, nil
}
