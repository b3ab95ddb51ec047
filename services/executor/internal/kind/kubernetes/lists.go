package kubernetes

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"palmops/libs/lang"
	"palmops/libs/wire"
)

// namespaceNames lists the catalog's namespaces that exist. Where the cluster does not let the executor list namespaces, it
// shows all of the catalog's.
func (c *cluster) namespaceNames(ctx context.Context, t lang.Tag) ([]string, error) {
	there, err := collect(ctx, c, namespaceRes, "", metav1.ListOptions{}, 10*maxItems, func(l *corev1.NamespaceList) []string {
		var names []string
		for i := range l.Items {
			if l.Items[i].DeletionTimestamp == nil {
				names = append(names, l.Items[i].Name)
			}
		}
		return names
	})
	if apierrors.IsForbidden(err) {
		return c.namespaces, nil
	}
	if err != nil {
		return nil, explain(err, t, texts.Say(t, "what.namespaces"))
	}
	exist := map[string]bool{}
	for _, n := range there {
		exist[n] = true
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

func byName(a, b wire.Item) int { return strings.Compare(a.Value, b.Value) }

// stand is how an object with replicas stands, in a list.
func (a asked) stand(o *object) wire.Item {
	return wire.Item{Value: o.Name, Detail: a.say("item.ready", o.ready, o.wanted)}
}

func (a asked) deployments(ctx context.Context) ([]wire.Item, error) {
	out, err := collect(ctx, a.cluster, deploymentRes, a.ns, metav1.ListOptions{}, maxItems, func(l *appsv1.DeploymentList) []wire.Item {
		rows := make([]wire.Item, len(l.Items))
		for i := range l.Items {
			rows[i] = a.stand(ofDeployment(&l.Items[i]))
		}
		return rows
	})
	slices.SortFunc(out, byName)
	return out, a.explain(err, "what.deployments", a.ns)
}

func (a asked) statefulSets(ctx context.Context) ([]wire.Item, error) {
	out, err := collect(ctx, a.cluster, statefulRes, a.ns, metav1.ListOptions{}, maxItems, func(l *appsv1.StatefulSetList) []wire.Item {
		rows := make([]wire.Item, len(l.Items))
		for i := range l.Items {
			rows[i] = a.stand(ofStatefulSet(&l.Items[i]))
		}
		return rows
	})
	slices.SortFunc(out, byName)
	return out, a.explain(err, "what.statefulsets", a.ns)
}

// workload is the values of a deployment or stateful set.
func (a asked) workload(ctx context.Context, res resource) (map[string]string, error) {
	name := text(a.q.Args, res.one)
	o, err := a.get(ctx, res, a.ns, name)
	if err != nil {
		return nil, explain(err, a.q.Lang, a.ns+"/"+name)
	}
	out := map[string]string{
		"replicas": strconv.Itoa(int(o.wanted)), "ready": strconv.Itoa(int(o.ready)), "resource_version": o.ResourceVersion,
	}
	if n := revisionOf(o.Annotations); n > 0 {
		out["revision"] = strconv.FormatInt(n, 10)
	}
	if all := o.template.Spec.Containers; len(all) > 0 {
		out["image"] = all[0].Image
	}
	return out, nil
}

func (a asked) nodes(ctx context.Context) ([]wire.Item, error) {
	out, err := collect(ctx, a.cluster, nodeRes, "", metav1.ListOptions{}, maxItems, func(l *corev1.NodeList) []wire.Item {
		rows := make([]wire.Item, len(l.Items))
		for i := range l.Items {
			n := &l.Items[i]
			rows[i] = wire.Item{Value: n.Name, Detail: nodeWords(n, a.q.Lang) + a.say("item.comma") + n.Status.NodeInfo.KubeletVersion}
		}
		return rows
	})
	slices.SortFunc(out, byName)
	return out, a.explain(err, "what.nodes")
}

// nodeReady reports the node's own word about itself, while its kubelet keeps saying it.
func nodeReady(n *corev1.Node) bool {
	return slices.ContainsFunc(n.Status.Conditions, func(c corev1.NodeCondition) bool {
		return c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue
	})
}

// nodeWords says whether a node is ready and takes new pods.
func nodeWords(n *corev1.Node, t lang.Tag) string {
	s := texts.Say(t, "item.node_ready")
	if !nodeReady(n) {
		s = texts.Say(t, "item.node_down")
	}
	if n.Spec.Unschedulable {
		s += texts.Say(t, "item.comma") + texts.Say(t, "node.closed")
	}
	return s
}

func (a asked) node(ctx context.Context) (map[string]string, error) {
	name := text(a.q.Args, argNode)
	n := &corev1.Node{}
	if err := a.fetch(ctx, nodeRes, "", name, n); err != nil {
		return nil, explain(err, a.q.Lang, name)
	}
	return map[string]string{
		"ready": strconv.FormatBool(nodeReady(n)), "schedulable": strconv.FormatBool(!n.Spec.Unschedulable),
		"version": n.Status.NodeInfo.KubeletVersion,
	}, nil
}

// revisions are a deployment's, the newest first.
func (a asked) revisions(ctx context.Context) ([]wire.Item, error) {
	name := text(a.q.Args, argDeployment)
	d := &appsv1.Deployment{}
	if err := a.fetch(ctx, deploymentRes, a.ns, name, d); err != nil {
		return nil, explain(err, a.q.Lang, a.ns+"/"+name)
	}
	sets, err := a.replicaSets(ctx, a.ns, d.UID, d.Spec.Selector)
	if err != nil {
		return nil, explain(err, a.q.Lang, a.ns+"/"+name)
	}
	out := make([]wire.Item, 0, len(sets))
	for i := range sets {
		rs, parts := &sets[i], []string{}
		n := revisionOf(rs.Annotations)
		if n == revisionOf(d.Annotations) {
			parts = append(parts, a.say("item.current"))
		}
		for _, c := range rs.Spec.Template.Spec.Containers {
			parts = append(parts, quote(c.Image))
		}
		parts = append(parts, a.age(rs.CreationTimestamp.Time))
		if cause := quote(rs.Annotations[causeAnnotation]); cause != "" {
			parts = append(parts, cause)
		}
		out = append(out, wire.Item{Value: strconv.FormatInt(n, 10), Detail: strings.Join(parts, a.say("item.comma"))})
	}
	return out, nil
}

func (a asked) age(at time.Time) string { return ago(a.q.Lang, a.now().Sub(at)) }
