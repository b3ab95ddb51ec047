// Package kubernetes is the kind of actions that work on Kubernetes: lists and current values, reports such as logs and events, and
// changes of deployments, stateful sets, pods and nodes.
//
// A change is absolute and fenced: the request carries the resourceVersion that was read before it, so it takes effect on
// exactly the object that was looked at, at most once, or is refused with a conflict. That makes it safe to repeat a request whose
// answer was lost. How that works is in change.go; what a change wants is a goal, one file for each. A drain is many changes
// (drain.go). Verbs, rights and residual windows: README.md.
//
// Only the three API groups that are used are registered, through client-go's REST client: its typed clients bring in every
// group there is, which costs 9 MB of memory in an idle process and 13 MB of binary.
package kubernetes

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/types"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"palmops/libs/fault"
)

// Pace of requests to one cluster, and the longest wait for one answer.
const (
	qps            = 50
	burst          = 100
	requestTimeout = 5 * time.Second
)

// cluster is one API server.
type cluster struct {
	namespaces []string
	http       *http.Client
	core, apps *rest.RESTClient
	params     runtime.ParameterCodec
}

// connect makes a client; it speaks to nobody yet.
func connect(c Cluster) (*cluster, error) {
	cfg, err := restConfig(c)
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "cluster "+c.Name)
	}
	cfg.UserAgent = "palmops-executor"
	cfg.QPS, cfg.Burst = qps, burst
	cfg.WarningHandler = rest.NoWarnings{} // they would go to a global log
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, appsv1.AddToScheme, autoscalingv1.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, fmt.Errorf("scheme: %w", err)
		}
	}
	metav1.AddToGroupVersion(scheme, schema.GroupVersion{Version: "v1"})
	cfg.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
	cfg.ContentType = runtime.ContentTypeJSON
	// Servers that can answer in protobuf, which is read several times as fast: a long list is mostly reading.
	cfg.AcceptContentTypes = runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON
	out := &cluster{namespaces: c.Namespaces, params: runtime.NewParameterCodec(scheme)}
	if out.http, err = rest.HTTPClientFor(cfg); err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "cluster "+c.Name)
	}
	if out.core, err = group(cfg, out.http, "/api", corev1.SchemeGroupVersion); err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "cluster "+c.Name)
	}
	if out.apps, err = group(cfg, out.http, "/apis", appsv1.SchemeGroupVersion); err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "cluster "+c.Name)
	}
	return out, nil
}

func group(cfg *rest.Config, client *http.Client, path string, gv schema.GroupVersion) (*rest.RESTClient, error) {
	c := rest.CopyConfig(cfg)
	c.APIPath, c.GroupVersion = path, &gv
	return rest.RESTClientForConfigAndClient(c, client)
}

func restConfig(c Cluster) (*rest.Config, error) {
	switch {
	case c.Kubeconfig != "":
		return clientcmd.NewNonInteractiveDeferredLoadingClientConfig(
			&clientcmd.ClientConfigLoadingRules{ExplicitPath: c.Kubeconfig}, &clientcmd.ConfigOverrides{CurrentContext: c.Context},
		).ClientConfig()
	case c.InCluster:
		return rest.InClusterConfig()
	default:
		return &rest.Config{Host: c.Server}, nil
	}
}

func (c *cluster) close() { utilnet.CloseIdleConnectionsFor(c.http.Transport) }

// within bounds one request. Its answer may take less than the context has left, never more.
func within(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, requestTimeout)
}

// on begins a request about objects of a kind; it is sent once, and repeated only by those who know whether that is right.
func (c *cluster) on(r *rest.Request, res resource, ns string) *rest.Request {
	return r.NamespaceIfScoped(ns, !res.global).Resource(res.name).MaxRetries(0)
}

func (c *cluster) api(res resource) *rest.RESTClient {
	if res.apps {
		return c.apps
	}
	return c.core
}

// fetch reads one object into a typed value.
func (c *cluster) fetch(ctx context.Context, res resource, ns, name string, into runtime.Object) error {
	ctx, cancel := within(ctx)
	defer cancel()
	return c.on(c.api(res).Get(), res, ns).Name(name).Do(ctx).Into(into)
}

// get reads one object as changes see it.
func (c *cluster) get(ctx context.Context, res resource, ns, name string) (*object, error) {
	into := res.empty()
	if err := c.fetch(ctx, res, ns, name, into); err != nil {
		return nil, err
	}
	return objectOf(into)
}

// patch changes one object, and returns it as it is right after.
func (c *cluster) patch(ctx context.Context, res resource, ns, name string, form types.PatchType, patch []byte) (*object, error) {
	ctx, cancel := within(ctx)
	defer cancel()
	into := res.empty()
	err := c.on(c.api(res).Patch(form), res, ns).Name(name).
		VersionedParams(&metav1.PatchOptions{FieldManager: "palmops"}, c.params).Body(patch).Do(ctx).Into(into)
	if err != nil {
		return nil, err
	}
	return objectOf(into)
}

// setScale replaces the scale subresource; the API server refuses it with a conflict unless the object still has the
// resourceVersion.
func (c *cluster) setScale(ctx context.Context, res resource, ns, name string, b before, replicas int32) error {
	ctx, cancel := within(ctx)
	defer cancel()
	body := &autoscalingv1.Scale{
		TypeMeta:   metav1.TypeMeta{APIVersion: "autoscaling/v1", Kind: "Scale"},
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name, UID: types.UID(b.UID), ResourceVersion: b.ResourceVersion},
		Spec:       autoscalingv1.ScaleSpec{Replicas: replicas},
	}
	return c.on(c.apps.Put(), res, ns).Name(name).SubResource("scale").
		VersionedParams(&metav1.UpdateOptions{FieldManager: "palmops"}, c.params).Body(body).Do(ctx).Into(&autoscalingv1.Scale{})
}

// deletePod deletes exactly the version of the pod that was read; grace is in seconds, nil for the pod's own.
func (c *cluster) deletePod(ctx context.Context, ns, name string, b before, grace *int64) error {
	ctx, cancel := within(ctx)
	defer cancel()
	uid := types.UID(b.UID)
	body, err := json.Marshal(&metav1.DeleteOptions{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "DeleteOptions"}, GracePeriodSeconds: grace,
		Preconditions: &metav1.Preconditions{UID: &uid, ResourceVersion: &b.ResourceVersion},
	})
	if err != nil {
		return err
	}
	return c.on(c.core.Delete(), podRes, ns).Name(name).SetHeader("Content-Type", runtime.ContentTypeJSON).Body(body).Do(ctx).Error()
}

// evict asks for a pod to go, which budgets may refuse with 429. It is the pod of this UID or none.
func (c *cluster) evict(ctx context.Context, ns, name string, uid types.UID, grace *int64) error {
	ctx, cancel := within(ctx)
	defer cancel()
	body, err := json.Marshal(map[string]any{
		"apiVersion": "policy/v1", "kind": "Eviction", "metadata": map[string]string{"namespace": ns, "name": name},
		"deleteOptions": metav1.DeleteOptions{GracePeriodSeconds: grace, Preconditions: &metav1.Preconditions{UID: &uid}},
	})
	if err != nil {
		return err
	}
	return c.on(c.core.Post(), podRes, ns).Name(name).SubResource("eviction").
		SetHeader("Content-Type", runtime.ContentTypeJSON).Body(body).Do(ctx).Error()
}

// watch follows one object from a resourceVersion on. The server ends it after some seconds, so that a connection that died
// silently is noticed; the caller's context ends it on this side.
func (c *cluster) watch(ctx context.Context, res resource, ns, name, rv string, seconds int64) (watch.Interface, error) {
	o := metav1.ListOptions{
		FieldSelector: fields.OneTermEqualSelector("metadata.name", name).String(), ResourceVersion: rv, Watch: true, TimeoutSeconds: &seconds,
	}
	return c.on(c.api(res).Get(), res, ns).VersionedParams(&o, c.params).Watch(ctx)
}

// collect reads a list page by page and makes rows of each page; it stops after most rows. Pages that have gone (410) are
// read again, in one piece. An error anywhere is an error of the whole: part of a list is never shown as all of it.
func collect[S, T any, L interface {
	*S
	runtime.Object
	metav1.ListInterface
}](ctx context.Context, c *cluster, res resource, ns string, o metav1.ListOptions, most int, rows func(L) []T) ([]T, error) {
	var out []T
	o.Limit = pageSize
	for {
		page := L(new(S))
		err := c.page(ctx, res, ns, o, page)
		if apierrors.IsResourceExpired(err) && o.Continue != "" {
			o.Limit, o.Continue, out = 0, "", nil
			continue
		}
		if err != nil {
			return nil, err
		}
		out = append(out, rows(page)...)
		if o.Continue = page.GetContinue(); o.Continue == "" || len(out) >= most {
			return out[:min(len(out), most)], nil
		}
	}
}

func (c *cluster) page(ctx context.Context, res resource, ns string, o metav1.ListOptions, into runtime.Object) error {
	ctx, cancel := within(ctx)
	defer cancel()
	return c.on(c.api(res).Get(), res, ns).VersionedParams(&o, c.params).Do(ctx).Into(into)
}
