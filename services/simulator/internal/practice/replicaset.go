package practice

import (
	"cmp"
	"slices"
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Annotations of a rollout, as a real controller writes them.
const (
	revisionAnnotation = "deployment.kubernetes.io/revision"
	causeAnnotation    = "kubernetes.io/change-cause"
)

func revisionOf(o metav1.Object) int {
	n, err := strconv.Atoi(o.GetAnnotations()[revisionAnnotation])
	if err != nil {
		return 0
	}
	return n
}

// setsOf are the replica sets of each deployment, by its UID, in the order of their revisions.
func setsOf(t *transaction) map[types.UID][]*appsv1.ReplicaSet {
	out := map[types.UID][]*appsv1.ReplicaSet{}
	for _, o := range t.list(replicaSets.name) {
		if rs, ok := o.(*appsv1.ReplicaSet); ok && len(rs.OwnerReferences) == 1 {
			owner := rs.OwnerReferences[0].UID
			out[owner] = append(out[owner], rs)
		}
	}
	for _, sets := range out {
		slices.SortFunc(sets, func(a, b *appsv1.ReplicaSet) int { return cmp.Compare(revisionOf(a), revisionOf(b)) })
	}
	return out
}

// newReplicaSet is a revision of a deployment.
func newReplicaSet(d *appsv1.Deployment, template corev1.PodTemplateSpec, hash string, revision int, now metav1.Time) *appsv1.ReplicaSet {
	template = *template.DeepCopy()
	labels := map[string]string{}
	for k, v := range template.Labels {
		labels[k] = v
	}
	labels[hashLabel] = hash
	template.Labels = labels
	none := int32(0)
	rs := &appsv1.ReplicaSet{
		ObjectMeta: metav1.ObjectMeta{
			Name: d.Name + "-" + hash, Namespace: d.Namespace, UID: newUID(), Generation: 1, CreationTimestamp: now, Labels: labels,
			Annotations: map[string]string{revisionAnnotation: strconv.Itoa(revision)}, OwnerReferences: ownedBy(deployments, d),
		},
		Spec: appsv1.ReplicaSetSpec{Replicas: &none, Selector: &metav1.LabelSelector{MatchLabels: labels}, Template: template},
	}
	replicaSets.withType(rs)
	return rs
}

// revise finds the replica set of a deployment's present template. A template that was there before gets the next revision again,
// which is what an undo looks like afterwards. Its results are new objects where anything is new.
func revise(d *appsv1.Deployment, sets []*appsv1.ReplicaSet, now metav1.Time) (*appsv1.Deployment, *appsv1.ReplicaSet) {
	hash, newest := templateHash(d), 0
	if len(sets) > 0 {
		newest = revisionOf(sets[len(sets)-1])
	}
	i := slices.IndexFunc(sets, func(rs *appsv1.ReplicaSet) bool { return rs.Labels[hashLabel] == hash })
	var current *appsv1.ReplicaSet
	switch {
	case i < 0:
		current = newReplicaSet(d, d.Spec.Template, hash, newest+1, now)
		if cause, is := d.Annotations[causeAnnotation]; is {
			current.Annotations[causeAnnotation] = cause
		}
	case revisionOf(sets[i]) < newest:
		current = sets[i].DeepCopy()
		current.Annotations[revisionAnnotation] = strconv.Itoa(newest + 1)
	default:
		current = sets[i]
	}
	if revisionOf(d) != revisionOf(current) {
		d = d.DeepCopy()
		if d.Annotations == nil {
			d.Annotations = map[string]string{}
		}
		d.Annotations[revisionAnnotation] = current.Annotations[revisionAnnotation]
	}
	return d, current
}

// counted is a replica set with the numbers of its pods; the same one when they are right already.
func counted(rs *appsv1.ReplicaSet, wants int32, owned []*corev1.Pod) *appsv1.ReplicaSet {
	var all, ready int32
	for _, p := range owned {
		if p.Labels[hashLabel] == rs.Labels[hashLabel] {
			all++
			if isReady(p) {
				ready++
			}
		}
	}
	if *rs.Spec.Replicas == wants && rs.Status.Replicas == all && rs.Status.ReadyReplicas == ready {
		return rs
	}
	out := rs.DeepCopy()
	out.Spec.Replicas = &wants
	out.Status = appsv1.ReplicaSetStatus{Replicas: all, FullyLabeledReplicas: all, ReadyReplicas: ready, AvailableReplicas: ready, ObservedGeneration: out.Generation}
	return out
}

// adopt gives the deployments of an older state file, and of a new cluster, their replica sets, and their pods an owner and a node.
func adopt(t *transaction, now metav1.Time) {
	sets, history := setsOf(t), map[key][]string{}
	for _, s := range samples() {
		history[key{s.namespace, s.name}] = s.history
	}
	owners := map[types.UID]*appsv1.ReplicaSet{} // by deployment
	for _, o := range t.list(deployments.name) {
		d, ok := o.(*appsv1.Deployment)
		if !ok || len(sets[d.UID]) > 0 {
			continue
		}
		var before []*appsv1.ReplicaSet
		for i, image := range history[keyOf(d)] {
			old := d.DeepCopy()
			old.Spec.Template.Spec.Containers[0].Image = image
			rs := newReplicaSet(d, old.Spec.Template, templateHash(old), i+1, metav1.NewTime(now.AddDate(0, 0, i-30)))
			before = append(before, rs)
			t.put(replicaSets.name, rs)
		}
		next, current := revise(d, before, now)
		var owned []*corev1.Pod
		for _, o := range t.list(pods.name) {
			if p, is := o.(*corev1.Pod); is && len(p.OwnerReferences) == 1 && p.OwnerReferences[0].UID == d.UID {
				owned = append(owned, p)
			}
		}
		current = counted(current, wanted(d), owned)
		t.put(replicaSets.name, current)
		if next != d {
			t.put(deployments.name, next)
		}
		owners[d.UID] = current
	}
	for _, o := range t.list(pods.name) {
		p, ok := o.(*corev1.Pod)
		if !ok || len(p.OwnerReferences) != 1 {
			continue
		}
		rs := owners[p.OwnerReferences[0].UID]
		_, there := t.get(nodes.name, key{name: p.Spec.NodeName})
		if rs == nil && there {
			continue
		}
		p = p.DeepCopy()
		if rs != nil {
			p.OwnerReferences = ownedBy(replicaSets, rs)
		}
		if !there {
			place(t, p, now)
		}
		t.put(pods.name, p)
	}
}
