package kubernetes

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"palmops/libs/fault"
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
}

var _ kind.Kind = (*Kind)(nil)

// New makes the kind. It speaks to no cluster yet; Invalid when a cluster's settings cannot be used.
func New(clusters map[string]catalog.Cluster) (*Kind, error) {
	k := &Kind{clusters: map[string]*cluster{}, retry: 250 * time.Millisecond}
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
func (k *Kind) Target(a catalog.Action, args map[string]any) string {
	return fmt.Sprintf("k8s/%s/%s/deployment/%s", a.Target, text(args, "namespace"), text(args, "deployment"))
}

// Answer reads a list or the values of one deployment.
func (k *Kind) Answer(ctx context.Context, a catalog.Action, args map[string]any) (wire.Answer, error) {
	c, err := k.cluster(a)
	if err != nil {
		return wire.Answer{}, err
	}
	switch a.Verb {
	case catalog.VerbNamespaces:
		return c.namespaceItems(ctx)
	case catalog.VerbDeployments:
		return c.deploymentItems(ctx, text(args, "namespace"))
	case catalog.VerbDeployment:
		ns, name := text(args, "namespace"), text(args, "deployment")
		d, err := c.getDeployment(ctx, ns, name)
		if err != nil {
			return wire.Answer{}, explain(err, ns+"/"+name)
		}
		return wire.Answer{Fields: map[string]string{
			"replicas": strconv.Itoa(int(wanted(d))), "ready": strconv.Itoa(int(d.Status.ReadyReplicas)), "resource_version": d.ResourceVersion,
		}}, nil
	}
	return wire.Answer{}, fault.New(fault.Internal, "kubernetes has no question %q", a.Verb)
}

// namespaceItems lists the catalog's namespaces that exist. Where the cluster does not let the executor list namespaces, it
// shows all of the catalog's.
func (c *cluster) namespaceItems(ctx context.Context) (wire.Answer, error) {
	exist := map[string]bool{}
	o := metav1.ListOptions{Limit: pageSize}
	for {
		list, err := c.listNamespaces(ctx, o)
		if apierrors.IsForbidden(err) {
			return wire.Answer{Items: items(c.namespaces)}, nil
		}
		if apierrors.IsResourceExpired(err) && o.Continue != "" {
			o = metav1.ListOptions{} // the pages are gone: once more, in one piece
			continue
		}
		if err != nil {
			return wire.Answer{}, explain(err, "命名空间列表")
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
	return wire.Answer{Items: items(names)}, nil
}

func items(names []string) []wire.Item {
	out := make([]wire.Item, len(names))
	for i, n := range names {
		out[i] = wire.Item{Value: n}
	}
	return out
}

func (c *cluster) deploymentItems(ctx context.Context, ns string) (wire.Answer, error) {
	var all []wire.Item
	o := metav1.ListOptions{Limit: pageSize}
	for {
		list, err := c.listDeployments(ctx, ns, o)
		if apierrors.IsResourceExpired(err) && o.Continue != "" {
			o, all = metav1.ListOptions{}, nil
			continue
		}
		if err != nil {
			return wire.Answer{}, explain(err, ns+" 的部署列表")
		}
		for i := range list.Items {
			d := &list.Items[i]
			all = append(all, wire.Item{Value: d.Name, Detail: fmt.Sprintf("%d/%d 就绪", d.Status.ReadyReplicas, wanted(d))})
		}
		if o.Continue = list.Continue; o.Continue == "" || len(all) >= maxItems {
			break
		}
	}
	slices.SortFunc(all, func(a, b wire.Item) int {
		switch {
		case a.Value < b.Value:
			return -1
		case a.Value > b.Value:
			return 1
		}
		return 0
	})
	return wire.Answer{Items: all}, nil
}

// before is what Prepare read; see wire.Record.Before.
type before struct {
	Replicas        int32  `json:"replicas"`
	ResourceVersion string `json:"resource_version"`
	UID             string `json:"uid"`
	Generation      int64  `json:"generation"`
}

func beforeOf(d *appsv1.Deployment) before {
	return before{Replicas: wanted(d), ResourceVersion: d.ResourceVersion, UID: string(d.UID), Generation: d.Generation}
}

// order is a scale, read from checked arguments.
type order struct {
	ns, name string
	replicas int32
	from     int32 // the number that the operator saw; -1 when none was given
}

func (o order) what() string { return o.ns + "/" + o.name }

func scaleOrder(w kind.Work) (order, error) {
	o := order{ns: text(w.Args, "namespace"), name: text(w.Args, "deployment"), from: -1}
	n, ok := w.Args["replicas"].(int64)
	if !ok || n < 0 || n > 1<<31-1 || o.ns == "" || o.name == "" {
		return o, fault.New(fault.Invalid, "scale: arguments are not those of a scale")
	}
	o.replicas = int32(n)
	if from, given := w.Args["from"].(int64); given {
		if from < 0 || from > 1<<31-1 {
			return o, fault.New(fault.Invalid, "scale: from is out of range")
		}
		o.from = int32(from)
	}
	return o, nil
}

// Prepare reads the deployment and refuses when its number of replicas is not the one that was confirmed. A cluster that
// cannot be reached is asked again for as long as the context allows.
func (k *Kind) Prepare(ctx context.Context, w kind.Work) (json.RawMessage, error) {
	c, err := k.cluster(w.Action)
	if err != nil {
		return nil, err
	}
	if w.Action.Verb != catalog.VerbScale {
		return nil, fault.New(fault.Internal, "kubernetes cannot do %q", w.Action.Verb)
	}
	o, err := scaleOrder(w)
	if err != nil {
		return nil, err
	}
	d, err := c.read(ctx, o, k.retry)
	if err != nil {
		return nil, explain(err, o.what())
	}
	b := beforeOf(d)
	if o.from >= 0 && b.Replicas != o.from {
		return nil, fault.WithText(fault.New(fault.Conflict, "replicas are %d, %d were confirmed", b.Replicas, o.from), moved(o, b.Replicas, o.from))
	}
	return json.Marshal(b)
}

func moved(o order, now, confirmed int32) string {
	return fmt.Sprintf("%s 当前副本数已变为 %d（确认时为 %d），没有执行任何操作。请重新查看后再操作。", o.what(), now, confirmed)
}

// read gets the deployment, again and again while the API does not answer, until the context ends.
func (c *cluster) read(ctx context.Context, o order, retry time.Duration) (*appsv1.Deployment, error) {
	for {
		d, err := c.getDeployment(ctx, o.ns, o.name)
		if err == nil {
			return d, nil
		}
		if n := natureOf(err); n == refused || n == stale || ctx.Err() != nil {
			return nil, err
		}
		if pause(ctx, retryAfter(err, retry)) != nil {
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
