package practice

import (
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
)

// resource is one kind of object that the API offers.
type resource struct {
	name       string // in paths, and in the store
	kind       string
	group      schema.GroupVersion
	namespaced bool
	short      string
	verbs      metav1.Verbs
	empty      func() object
	list       func(metav1.ListMeta, []object) any
}

func (r resource) groupResource() schema.GroupResource {
	return schema.GroupResource{Group: r.group.Group, Resource: r.name}
}

// The resources. Discovery, paths and the state file follow from them.
var (
	namespaces = resource{
		name: "namespaces", kind: "Namespace", group: corev1.SchemeGroupVersion, short: "ns",
		verbs: metav1.Verbs{"get", "list", "watch"},
		empty: func() object { return &corev1.Namespace{} },
		list: func(m metav1.ListMeta, objects []object) any {
			return corev1.NamespaceList{TypeMeta: listType(corev1.SchemeGroupVersion, "NamespaceList"), ListMeta: m, Items: items[corev1.Namespace](objects)}
		},
	}
	pods = resource{
		name: "pods", kind: "Pod", group: corev1.SchemeGroupVersion, short: "po", namespaced: true,
		verbs: metav1.Verbs{"delete", "get", "list", "patch", "watch"},
		empty: func() object { return &corev1.Pod{} },
		list: func(m metav1.ListMeta, objects []object) any {
			return corev1.PodList{TypeMeta: listType(corev1.SchemeGroupVersion, "PodList"), ListMeta: m, Items: items[corev1.Pod](objects)}
		},
	}
	deployments = resource{
		name: "deployments", kind: "Deployment", group: appsv1.SchemeGroupVersion, short: "deploy", namespaced: true,
		verbs: metav1.Verbs{"get", "list", "patch", "update", "watch"},
		empty: func() object { return &appsv1.Deployment{} },
		list: func(m metav1.ListMeta, objects []object) any {
			return appsv1.DeploymentList{TypeMeta: listType(appsv1.SchemeGroupVersion, "DeploymentList"), ListMeta: m, Items: items[appsv1.Deployment](objects)}
		},
	}
	nodes = resource{
		name: "nodes", kind: "Node", group: corev1.SchemeGroupVersion, short: "no",
		verbs: metav1.Verbs{"get", "list", "patch", "watch"},
		empty: func() object { return &corev1.Node{} },
		list: func(m metav1.ListMeta, objects []object) any {
			return corev1.NodeList{TypeMeta: listType(corev1.SchemeGroupVersion, "NodeList"), ListMeta: m, Items: items[corev1.Node](objects)}
		},
	}
	events = resource{
		name: "events", kind: "Event", group: corev1.SchemeGroupVersion, short: "ev", namespaced: true,
		verbs: metav1.Verbs{"get", "list", "watch"},
		empty: func() object { return &corev1.Event{} },
		list: func(m metav1.ListMeta, objects []object) any {
			return corev1.EventList{TypeMeta: listType(corev1.SchemeGroupVersion, "EventList"), ListMeta: m, Items: items[corev1.Event](objects)}
		},
	}
	replicaSets = resource{
		name: "replicasets", kind: "ReplicaSet", group: appsv1.SchemeGroupVersion, short: "rs", namespaced: true,
		verbs: metav1.Verbs{"get", "list", "watch"},
		empty: func() object { return &appsv1.ReplicaSet{} },
		list: func(m metav1.ListMeta, objects []object) any {
			return appsv1.ReplicaSetList{TypeMeta: listType(appsv1.SchemeGroupVersion, "ReplicaSetList"), ListMeta: m, Items: items[appsv1.ReplicaSet](objects)}
		},
	}
	statefulSets = resource{
		name: "statefulsets", kind: "StatefulSet", group: appsv1.SchemeGroupVersion, short: "sts", namespaced: true,
		verbs: metav1.Verbs{"get", "list", "patch", "watch"},
		empty: func() object { return &appsv1.StatefulSet{} },
		list: func(m metav1.ListMeta, objects []object) any {
			return appsv1.StatefulSetList{TypeMeta: listType(appsv1.SchemeGroupVersion, "StatefulSetList"), ListMeta: m, Items: items[appsv1.StatefulSet](objects)}
		},
	}
)

func allResources() []resource {
	return []resource{namespaces, nodes, pods, events, deployments, replicaSets, statefulSets}
}

func listType(gv schema.GroupVersion, kind string) metav1.TypeMeta {
	return metav1.TypeMeta{APIVersion: gv.String(), Kind: kind}
}

// items are the objects as values of T; the list is never nil, since it must be [] in JSON.
func items[T any, P interface {
	*T
	object
}](objects []object) []T {
	out := make([]T, 0, len(objects))
	for _, o := range objects {
		if p, ok := o.(P); ok {
			out = append(out, *p)
		}
	}
	return out
}

// withType sets an object's apiVersion and kind, which Go's typed objects usually lack.
func (r resource) withType(o object) object {
	o.GetObjectKind().SetGroupVersionKind(r.group.WithKind(r.kind))
	return o
}

// newDecoder reads the bodies of requests in each form that clients send.
func newDecoder() (runtime.Decoder, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, appsv1.AddToScheme, autoscalingv1.AddToScheme, policyv1.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, err
		}
	}
	return serializer.NewCodecFactory(scheme).UniversalDeserializer(), nil
}
