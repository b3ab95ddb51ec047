package kubernetes

import (
	"context"
	"time"

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
	now      func() time.Time
}

var _ kind.Kind = (*Kind)(nil)

// New makes the kind. It speaks to no cluster yet; Invalid when a cluster's settings cannot be used.
func New(clusters map[string]Cluster) (*Kind, error) {
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

// Secrets are none: credentials are held by client-go and appear in no answer of an API.
func (k *Kind) Secrets() []string { return nil }

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

// asked is one question at work.
type asked struct {
	*cluster
	q   kind.Query
	ns  string
	now func() time.Time
}

func (a asked) say(key string, args ...any) string { return texts.Say(a.q.Lang, key, args...) }

// explain gives an error of a list its text.
func (a asked) explain(err error, key string, args ...any) error {
	return explain(err, a.q.Lang, a.say(key, args...))
}

// Answer reads a list, the values of one object, or a view.
func (k *Kind) Answer(ctx context.Context, q kind.Query) (wire.Answer, error) {
	c, err := k.cluster(q.Action)
	if err != nil {
		return wire.Answer{}, err
	}
	a := asked{cluster: c, q: q, ns: text(q.Args, argNamespace), now: k.now}
	list := func(read func(context.Context) ([]wire.Item, error)) (wire.Answer, error) {
		items, err := read(ctx)
		return wire.Answer{Items: items}, err
	}
	values := func(read func(context.Context) (map[string]string, error)) (wire.Answer, error) {
		fields, err := read(ctx)
		return wire.Answer{Fields: fields}, err
	}
	switch q.Action.Verb {
	case verbNamespaces:
		names, err := c.namespaceNames(ctx, q.Lang)
		return wire.Answer{Items: items(names)}, err
	case verbDeployments:
		return list(a.deployments)
	case verbStatefulSets:
		return list(a.statefulSets)
	case verbPods:
		return list(a.pods)
	case verbContainers:
		return list(a.containers)
	case verbNodes:
		return list(a.nodes)
	case verbRevisions:
		return list(a.revisions)
	case verbDeployment:
		return values(func(ctx context.Context) (map[string]string, error) { return a.workload(ctx, deploymentRes) })
	case verbStatefulSet:
		return values(func(ctx context.Context) (map[string]string, error) { return a.workload(ctx, statefulRes) })
	case verbPod:
		return values(a.pod)
	case verbNode:
		return values(a.node)
	case verbBrowse:
		view, err := a.browse(ctx)
		return wire.Answer{View: view}, err
	}
	return wire.Answer{}, fault.New(fault.Internal, "kubernetes has no question %q", q.Action.Verb)
}
