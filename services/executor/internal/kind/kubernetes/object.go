package kubernetes

import (
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// resource is one kind of objects of the API.
type resource struct {
	name   string // in paths
	one    string // in the names of targets, and what the parameter is called
	apps   bool   // of the group apps/v1, else of v1
	global bool   // in no namespace
	noun   string // key of the word for it; "" for none
	empty  func() runtime.Object
}

var (
	namespaceRes = resource{name: "namespaces", global: true}
	eventRes     = resource{name: "events"}
	replicaRes   = resource{name: "replicasets", apps: true}

	deploymentRes = resource{
		name: "deployments", one: argDeployment, apps: true, noun: "noun.deployment", empty: func() runtime.Object { return &appsv1.Deployment{} },
	}
	statefulRes = resource{
		name: "statefulsets", one: argStatefulSet, apps: true, noun: "noun.statefulset", empty: func() runtime.Object { return &appsv1.StatefulSet{} },
	}
	podRes  = resource{name: "pods", one: argPod, noun: "noun.pod", empty: func() runtime.Object { return &corev1.Pod{} }}
	nodeRes = resource{name: "nodes", one: argNode, global: true, noun: "noun.node", empty: func() runtime.Object { return &corev1.Node{} }}
)

// object is what a change looks at, whichever kind it is. The fields of a workload are those of a deployment or stateful set.
type object struct {
	metav1.ObjectMeta

	wanted, total, updated, ready int32
	observed                      int64 // generation that the controller has looked at
	template                      *corev1.PodTemplateSpec
	paused                        bool  // a deployment that is not rolled out for now
	byHand                        bool  // a stateful set whose pods are only replaced when somebody deletes them
	kept                          int32 // a stateful set's partition: that many pods stay as they are

	pod  *corev1.Pod
	node *corev1.Node
}

func objectOf(o runtime.Object) (*object, error) {
	switch x := o.(type) {
	case *appsv1.Deployment:
		return ofDeployment(x), nil
	case *appsv1.StatefulSet:
		return ofStatefulSet(x), nil
	case *corev1.Pod:
		return &object{ObjectMeta: x.ObjectMeta, pod: x}, nil
	case *corev1.Node:
		return &object{ObjectMeta: x.ObjectMeta, node: x}, nil
	}
	return nil, fmt.Errorf("an answer with a %T", o)
}

func ofDeployment(d *appsv1.Deployment) *object {
	return &object{
		ObjectMeta: d.ObjectMeta, wanted: orOne(d.Spec.Replicas), total: d.Status.Replicas, updated: d.Status.UpdatedReplicas,
		ready: d.Status.ReadyReplicas, observed: d.Status.ObservedGeneration, template: &d.Spec.Template, paused: d.Spec.Paused,
	}
}

func ofStatefulSet(s *appsv1.StatefulSet) *object {
	o := &object{
		ObjectMeta: s.ObjectMeta, wanted: orOne(s.Spec.Replicas), total: s.Status.Replicas, updated: s.Status.UpdatedReplicas,
		ready: s.Status.ReadyReplicas, observed: s.Status.ObservedGeneration, template: &s.Spec.Template,
		byHand: s.Spec.UpdateStrategy.Type == appsv1.OnDeleteStatefulSetStrategyType,
	}
	if r := s.Spec.UpdateStrategy.RollingUpdate; r != nil && r.Partition != nil {
		o.kept = min(*r.Partition, o.wanted)
	}
	return o
}

// orOne is spec.replicas, 1 when it is left out, as Kubernetes reads it.
func orOne(n *int32) int32 {
	if n == nil {
		return 1
	}
	return *n
}

// settled follows what kubectl rollout status waits for, and that no replica too many is left.
func (o *object) settled() bool {
	n := o.wanted
	return o.observed >= o.Generation && o.total == n && o.ready == n && (o.byHand || o.updated >= n-o.kept)
}

// fresh is how many pods are of the newest template, as far as the controller has looked at it, of due.
func (o *object) fresh() (now, due int32) {
	due = o.wanted - o.kept
	if o.observed < o.Generation {
		return 0, due
	}
	return min(o.updated, due), due
}

// serving is how many of the wanted pods are ready.
func (o *object) serving() int32 { return min(o.ready, o.wanted) }

func (o *object) restartedAt() string {
	if o.template == nil {
		return ""
	}
	return o.template.Annotations[RestartAnnotation]
}

// before is what Prepare read; see wire.Record.Before. What the fields after Generation mean is up to the goal.
type before struct {
	Replicas        int32  `json:"replicas"`
	ResourceVersion string `json:"resource_version"`
	UID             string `json:"uid"`
	Generation      int64  `json:"generation"`
	Mark            string `json:"mark,omitempty"`     // what the change will write, by which it is known again
	Template        string `json:"template,omitempty"` // digest of the pod template
	Revision        int64  `json:"revision,omitempty"` // to go to
	Source          string `json:"source,omitempty"`   // the replica set that has it
	Cause           bool   `json:"cause,omitempty"`    // there is a change cause, which must not outlive its revision
	Held            bool   `json:"held,omitempty"`     // a node that takes no new pods, or a pod that is on its way out
	Owner           string `json:"owner,omitempty"`    // of a pod: what makes it anew
	Pods            int    `json:"pods,omitempty"`     // of a drain: how many are to go
	Stay            int    `json:"stay,omitempty"`     // of a drain: how many stay
}

func beforeOf(o *object) before {
	b := before{Replicas: o.wanted, ResourceVersion: o.ResourceVersion, UID: string(o.UID), Generation: o.Generation}
	_, b.Cause = o.Annotations[causeAnnotation]
	switch {
	case o.template != nil:
		b.Template = digest(o.template)
	case o.pod != nil:
		b.Held = o.DeletionTimestamp != nil
		if owner := metav1.GetControllerOf(o.pod); owner != nil {
			b.Owner = owner.Kind + " " + owner.Name
		}
	case o.node != nil:
		b.Held = o.node.Spec.Unschedulable
	}
	return b
}
