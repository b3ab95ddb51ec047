package practice

import (
	"fmt"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// step is one round of everything that a control plane does by itself.
type step struct {
	t     *transaction
	now   metav1.Time
	moved bool
}

// reconcileAll makes one step with everything; moved says whether anything changed.
func (c *Cluster) reconcileAll() (moved bool, err error) {
	err = c.store.change(func(t *transaction) error {
		s := &step{t: t, now: c.timestamp()}
		s.end()
		s.schedule()
		owned := map[types.UID][]*corev1.Pod{}
		for _, o := range t.list(pods.name) {
			if p, ok := o.(*corev1.Pod); ok && len(p.OwnerReferences) == 1 {
				owned[p.OwnerReferences[0].UID] = append(owned[p.OwnerReferences[0].UID], p)
			}
		}
		sets := setsOf(t)
		for _, o := range t.list(deployments.name) {
			if d, ok := o.(*appsv1.Deployment); ok {
				s.deployment(d, sets[d.UID], owned)
			}
		}
		for _, o := range t.list(statefulSets.name) {
			if set, ok := o.(*appsv1.StatefulSet); ok {
				s.statefulSet(set, owned[set.UID])
			}
		}
		s.prune()
		moved = s.moved
		return nil
	})
	return moved && err == nil, err
}

// end takes one of the pods away that were told to go.
func (s *step) end() {
	for _, o := range s.t.list(pods.name) {
		if p, ok := o.(*corev1.Pod); ok && p.DeletionTimestamp != nil {
			s.t.remove(pods.name, keyOf(p))
			s.moved = true
			return
		}
	}
}

// schedule finds nodes for pods that have none.
func (s *step) schedule() {
	for _, o := range s.t.list(pods.name) {
		p, ok := o.(*corev1.Pod)
		if !ok || p.Spec.NodeName != "" {
			continue
		}
		p = p.DeepCopy()
		if place(s.t, p, s.now) {
			s.putPod(p)
		}
	}
}

func (s *step) putPod(p *corev1.Pod) {
	old, there := s.t.get(pods.name, keyOf(p))
	s.moved = true
	was, _ := old.(*corev1.Pod)
	switch {
	case !there && !place(s.t, p, s.now):
		s.note(pods, p, corev1.EventTypeWarning, "FailedScheduling", "0/3 nodes are available: 3 node(s) were unschedulable.")
	case !there:
		s.note(pods, p, corev1.EventTypeNormal, "Scheduled", fmt.Sprintf("Successfully assigned %s/%s to %s", p.Namespace, p.Name, p.Spec.NodeName))
	case was != nil && !isReady(was) && isReady(p):
		s.note(pods, p, corev1.EventTypeNormal, "Started", "Started container "+p.Spec.Containers[0].Name)
	}
	s.t.put(pods.name, p)
}

func (s *step) removePod(p *corev1.Pod) {
	s.note(pods, p, corev1.EventTypeNormal, "Killing", "Stopping container "+p.Spec.Containers[0].Name)
	s.t.remove(pods.name, keyOf(p))
	s.moved = true
}

// deployment makes one step with a deployment, its replica sets and its pods.
func (s *step) deployment(d *appsv1.Deployment, sets []*appsv1.ReplicaSet, pods map[types.UID][]*corev1.Pod) {
	next, current := revise(d, sets, s.now)
	if i := slices.IndexFunc(sets, func(rs *appsv1.ReplicaSet) bool { return rs.Name == current.Name }); i >= 0 {
		sets = slices.Delete(slices.Clone(sets), i, i+1)
	}
	sets = append(sets, current)
	var owned []*corev1.Pod
	for _, rs := range sets {
		owned = append(owned, pods[rs.UID]...)
	}
	p := reconcile(next, owned, s.now)
	for _, pod := range p.remove {
		s.removePod(pod)
	}
	for _, pod := range p.put {
		if pod.OwnerReferences[0].Kind == deployments.kind {
			pod.OwnerReferences = ownedBy(replicaSets, current)
		}
		s.putPod(pod)
	}
	owned = slices.DeleteFunc(owned, func(o *corev1.Pod) bool {
		return slices.ContainsFunc(slices.Concat(p.remove, p.put), func(x *corev1.Pod) bool { return x.Name == o.Name })
	})
	owned = append(owned, p.put...)
	if p.deployment != nil {
		next = p.deployment
	}
	if next != d {
		s.t.put(deployments.name, next)
		s.moved = true
	}
	s.replicaSets(next, sets, current, owned)
}

// replicaSets writes the numbers of a deployment's replica sets, and forgets the oldest that are of no use beyond the history's limit.
func (s *step) replicaSets(d *appsv1.Deployment, sets []*appsv1.ReplicaSet, current *appsv1.ReplicaSet, owned []*corev1.Pod) {
	keep := 10
	if n := d.Spec.RevisionHistoryLimit; n != nil {
		keep = int(*n)
	}
	for i, rs := range sets {
		wants := int32(0)
		for _, p := range owned {
			if p.Labels[hashLabel] == rs.Labels[hashLabel] {
				wants++
			}
		}
		if rs == current {
			wants = wanted(d)
		} else if wants == 0 && len(sets)-1-i > keep {
			s.t.remove(replicaSets.name, keyOf(rs))
			s.moved = true
			continue
		}
		was, _ := s.t.get(replicaSets.name, keyOf(rs))
		next := counted(rs, wants, owned)
		if old, is := was.(*appsv1.ReplicaSet); is && old == next {
			continue
		}
		if *rs.Spec.Replicas != wants {
			s.note(deployments, d, corev1.EventTypeNormal, "ScalingReplicaSet", fmt.Sprintf("Scaled replica set %s from %d to %d", rs.Name, *rs.Spec.Replicas, wants))
		}
		s.t.put(replicaSets.name, next)
		s.moved = true
	}
}

func (s *step) statefulSet(set *appsv1.StatefulSet, owned []*corev1.Pod) {
	p := reconcileStateful(set, owned, s.now)
	for _, pod := range p.remove {
		s.note(statefulSets, set, corev1.EventTypeNormal, "SuccessfulDelete", fmt.Sprintf("delete Pod %s in StatefulSet %s successful", pod.Name, set.Name))
		s.removePod(pod)
	}
	for _, pod := range p.put {
		if _, there := s.t.get(pods.name, keyOf(pod)); !there {
			s.note(statefulSets, set, corev1.EventTypeNormal, "SuccessfulCreate", fmt.Sprintf("create Pod %s in StatefulSet %s successful", pod.Name, set.Name))
		}
		s.putPod(pod)
	}
	if p.set != nil {
		s.t.put(statefulSets.name, p.set)
		s.moved = true
	}
}
