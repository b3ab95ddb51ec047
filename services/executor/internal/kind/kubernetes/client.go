// Package kubernetes is the kind of actions that work on Kubernetes: lists, current values, scaling and restarting a deployment.
//
// A change is absolute and fenced: the request carries the resourceVersion that was read before it, so it takes effect on
// exactly the object that was looked at, at most once, or is refused with a conflict. That makes it safe to repeat a request whose
// answer was lost. The residual window of a scale is between two reads of the same number: who sets the number to another
// value and back within it goes unnoticed.
//
// Only the three API groups that are used are registered, through client-go's REST client: its typed clients bring in every
// group there is, which costs 9 MB of memory in an idle process and 13 MB of binary.
package kubernetes

import (
	"context"
	"fmt"
	"net/http"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	corev1 "k8s.io/api/core/v1"
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
	"palmops/services/executor/catalog"
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
func connect(c catalog.Cluster) (*cluster, error) {
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

func restConfig(c catalog.Cluster) (*rest.Config, error) {
	switch {
	case c.Kubeconfig != "":
		return clientcmd.BuildConfigFromFlags("", c.Kubeconfig)
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

func (c *cluster) listNamespaces(ctx context.Context, o metav1.ListOptions) (*corev1.NamespaceList, error) {
	ctx, cancel := within(ctx)
	defer cancel()
	out := &corev1.NamespaceList{}
	err := c.core.Get().Resource("namespaces").VersionedParams(&o, c.params).MaxRetries(0).Do(ctx).Into(out)
	return out, err
}

func (c *cluster) listDeployments(ctx context.Context, ns string, o metav1.ListOptions) (*appsv1.DeploymentList, error) {
	ctx, cancel := within(ctx)
	defer cancel()
	out := &appsv1.DeploymentList{}
	err := c.apps.Get().Namespace(ns).Resource("deployments").VersionedParams(&o, c.params).MaxRetries(0).Do(ctx).Into(out)
	return out, err
}

func (c *cluster) getDeployment(ctx context.Context, ns, name string) (*appsv1.Deployment, error) {
	ctx, cancel := within(ctx)
	defer cancel()
	out := &appsv1.Deployment{}
	err := c.apps.Get().Namespace(ns).Resource("deployments").Name(name).MaxRetries(0).Do(ctx).Into(out)
	return out, err
}

// setScale replaces the scale subresource; the API server refuses it with a conflict unless the deployment still has the
// resourceVersion.
func (c *cluster) setScale(ctx context.Context, ns, name string, b before, replicas int32) error {
	ctx, cancel := within(ctx)
	defer cancel()
	body := &autoscalingv1.Scale{
		TypeMeta:   metav1.TypeMeta{APIVersion: "autoscaling/v1", Kind: "Scale"},
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name, UID: types.UID(b.UID), ResourceVersion: b.ResourceVersion},
		Spec:       autoscalingv1.ScaleSpec{Replicas: replicas},
	}
	return c.apps.Put().Namespace(ns).Resource("deployments").Name(name).SubResource("scale").
		VersionedParams(&metav1.UpdateOptions{FieldManager: "palmops"}, c.params).Body(body).MaxRetries(0).Do(ctx).
		Into(&autoscalingv1.Scale{})
}

// patchDeployment merges a patch and returns the deployment as it is right after.
func (c *cluster) patchDeployment(ctx context.Context, ns, name string, patch []byte) (*appsv1.Deployment, error) {
	ctx, cancel := within(ctx)
	defer cancel()
	out := &appsv1.Deployment{}
	err := c.apps.Patch(types.MergePatchType).Namespace(ns).Resource("deployments").Name(name).
		VersionedParams(&metav1.PatchOptions{FieldManager: "palmops"}, c.params).Body(patch).MaxRetries(0).Do(ctx).Into(out)
	return out, err
}

// watchDeployment follows one deployment from a resourceVersion on. The server ends it after some seconds, so that a
// connection that died silently is noticed; the caller's context ends it on this side.
func (c *cluster) watchDeployment(ctx context.Context, ns, name, rv string, seconds int64) (watch.Interface, error) {
	o := metav1.ListOptions{
		FieldSelector: fields.OneTermEqualSelector("metadata.name", name).String(), ResourceVersion: rv, Watch: true, TimeoutSeconds: &seconds,
	}
	return c.apps.Get().Namespace(ns).Resource("deployments").VersionedParams(&o, c.params).MaxRetries(0).Watch(ctx)
}
