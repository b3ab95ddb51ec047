package kubernetes

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"palmops/libs/fault"
	"palmops/libs/lang"
	"palmops/libs/wire"
	"palmops/services/executor/catalog"
	"palmops/services/executor/internal/kind"
)

// Limits of lists.
const (
	pageSize = 500
	maxItems = 5000
)

// Kind is the kind kubernetes over all clusters of a catalog.
type Kind struct {
	clusters map[string]*cluster
	retry    time.Duration // first pause before a request is repeated
	now      func() time.Time
}

var _ kind.Kind = (*Kind)(nil)

// New makes the kind. It speaks to no cluster yet; Invalid when a cluster's settings cannot be used.
func New(clusters map[string]catalog.Cluster) (*Kind, error) {
	k := &Kind{clusters: map[string]*cluster{}, retry: 250 * time.Millisecond, now: time.Now}
	for name, c := range clusters {
		made, err := connect(c)
		if err != nil {
			k.Close()
			return nil, err
		}
		k.clusters[name] = made
	}
	return k, nil
}

// Close lets go of idle connections.
func (k *Kind) Close() {
	for _, c := range k.clusters {
		c.close()
	}
}

func (k *Kind) cluster(a catalog.Action) (*cluster, error) {
	c, ok := k.clusters[a.Target]
	if !ok {
		return nil, fault.New(fault.Internal, "action %s: no cluster %q", a.Name, a.Target)
	}
	return c, nil
}

// Target is k8s/<cluster>/<namespace>/deployment/<name>.
func (k *Kind) Target(q kind.Query) string {
	return fmt.Sprintf("k8s/%s/%s/deployment/%s", q.Action.Target, text(q.Args, "namespace"), text(q.Args, "deployment"))
}

// Answer reads a list, the values of one deployment, or a view.
func (k *Kind) Answer(ctx context.Context, q kind.Query) (wire.Answer, error) {
	c, err := k.cluster(q.Action)
	if err != nil {
		return wire.Answer{}, err
	}
	switch q.Action.Verb {
	case catalog.VerbNamespaces:
		names, err := c.namespaceNames(ctx, q.Lang)
		return wire.Answer{Items: items(names)}, err
	case catalog.VerbDeployments:
		list, err := c.deploymentItems(ctx, q.Lang, text(q.Args, "namespace"))
		return wire.Answer{Items: list}, err
	case catalog.VerbBrowse:
		view, err := k.browse(ctx, c, q)
		return wire.Answer{View: view}, err
	case catalog.VerbDeployment:
		ns, name := text(q.Args, "namespace"), text(q.Args, "deployment")
		d, err := c.getDeployment(ctx, ns, name)
		if err != nil {
			return wire.Answer{}, explain(err, q.Lang, ns+"/"+name)
		}
		return wire.Answer{Fields: map[string]string{
			"replicas": strconv.Itoa(int(wanted(d))), "ready": strconv.Itoa(int(d.Status.ReadyReplicas)), "resource_version": d.ResourceVersion,
		}}, nil
	}
	return wire.Answer{}, fault.New(fault.Internal, "kubernetes has no question %q", q.Action.Verb)
}

// namespaceNames lists the catalog's namespaces that exist. Where the cluster does not let the executor list namespaces, it
// shows all of the catalog's.
func (c *cluster) namespaceNames(ctx context.Context, t lang.Tag) ([]string, error) {
	exist := map[string]bool{}
	o := metav1.ListOptions{Limit: pageSize}
	for {
		list, err := c.listNamespaces(ctx, o)
		if apierrors.IsForbidden(err) {
			return c.namespaces, nil
		}
		if apierrors.IsResourceExpired(err) && o.Continue != "" {
			o = metav1.ListOptions{} // the pages are gone: once more, in one piece
			continue
		}
		if err != nil {
			return nil, explain(err, t, texts.Say(t, "what.namespaces"))
		}
		for i := range list.Items {
			exist[list.Items[i].Name] = list.Items[i].DeletionTimestamp == nil
		}
		if o.Continue = list.Continue; o.Continue == "" {
			break
		}
	}
	var names []string
	for _, n := range c.namespaces {
		if exist[n] {
			names = append(names, n)
		}
	}
	return names, nil
}

func items(names []string) []wire.Item {
	out := make([]wire.Item, len(names))
	for i, n := range names {
		out[i] = wire.Item{Value: n}
	}
	return out
}

func (c *cluster) deploymentItems(ctx context.Context, t lang.Tag, ns string) ([]wire.Item, error) {
	var all []wire.Item
	o := metav1.ListOptions{Limit: pageSize}
	for {
		list, err := c.listDeployments(ctx, ns, o)
		if apierrors.IsResourceExpired(err) && o.Continue != "" {
			o, all = metav1.ListOptions{}, nil
			continue
		}
		if err != nil {
			return nil, explain(err, t, texts.Say(t, "what.deployments", ns))
		}
		for i := range list.Items {
			d := &list.Items[i]
			all = append(all, wire.Item{Value: d.Name, Detail: texts.Say(t, "item.ready", d.Status.ReadyReplicas, wanted(d))})
		}
		if o.Continue = list.Continue; o.Continue == "" || len(all) >= maxItems {
			break
		}
	}
	slices.SortFunc(all, func(a, b wire.Item) int { return strings.Compare(a.Value, b.Value) })
	return all, nil
}

// before is what Prepare read; see wire.Record.Before. Mark is what a restart will write.
type before struct {
	Replicas        int32  `json:"replicas"`
	ResourceVersion string `json:"resource_version"`
	UID             string `json:"uid"`
	Generation      int64  `json:"generation"`
	Mark            string `json:"mark,omitempty"`
}

func beforeOf(d *appsv1.Deployment) before {
	return before{Replicas: wanted(d), ResourceVersion: d.ResourceVersion, UID: string(d.UID), Generation: d.Generation}
}

// read gets the deployment, again and again while the API does not answer, until the context ends.
func (c *change) read(ctx context.Context) (*appsv1.Deployment, error) {
	retry := c.retry
	for {
		d, err := c.getDeployment(ctx, c.ns, c.name)
		if err == nil {
			return d, nil
		}
		if n := natureOf(err); n == refused || n == stale || ctx.Err() != nil {
			return nil, err
		}
		if kind.Pause(ctx, retryAfter(err, retry)) != nil {
			return nil, err
		}
		retry = min(2*retry, 2*time.Second)
	}
}

// wanted is spec.replicas, 1 when it is left out, as Kubernetes reads it.
func wanted(d *appsv1.Deployment) int32 {
	if d.Spec.Replicas == nil {
		return 1
	}
	return *d.Spec.Replicas
}

func text(args map[string]any, name string) string {
	s, _ := args[name].(string) // the catalog has seen to the type
	return s
}
