package practice

import (
	"cmp"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"reflect"
	"slices"
	"strconv"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/rand"
)

// statefulPlan is what one step does to a stateful set. A nil set is unchanged.
type statefulPlan struct {
	set    *appsv1.StatefulSet
	put    []*corev1.Pod
	remove []*corev1.Pod
}

func (p statefulPlan) empty() bool { return p.set == nil && len(p.put) == 0 && len(p.remove) == 0 }

// ordinal is the number at the end of the name of a stateful set's pod.
func ordinal(p *corev1.Pod) int {
	n, err := strconv.Atoi(p.Name[strings.LastIndexByte(p.Name, '-')+1:])
	if err != nil {
		return -1
	}
	return n
}

// revisionHash changes when the pods would be different ones.
func revisionHash(s *appsv1.StatefulSet) string {
	data, err := json.Marshal(s.Spec.Template)
	if err != nil {
		return s.Name // cannot be: the template came out of JSON
	}
	h := fnv.New32a()
	_, _ = h.Write(data) // never fails
	return s.Name + "-" + rand.SafeEncodeString(strconv.FormatUint(uint64(h.Sum32()), 10))
}

// reconcileStateful makes one step: pods come in the order of their numbers, each when those before it are ready, and go, or are
// replaced, from the highest number down. It is pure and changes none of its arguments.
func reconcileStateful(s *appsv1.StatefulSet, owned []*corev1.Pod, now metav1.Time) statefulPlan {
	var p statefulPlan
	hash, want := revisionHash(s), 1
	if s.Spec.Replicas != nil {
		want = int(*s.Spec.Replicas)
	}
	owned = slices.Clone(owned)
	slices.SortFunc(owned, func(a, b *corev1.Pod) int { return cmp.Compare(ordinal(a), ordinal(b)) })
	var next *corev1.Pod // the first that is not as it should be, from below
	missing := want
	for i := range want {
		j := slices.IndexFunc(owned, func(o *corev1.Pod) bool { return ordinal(o) == i })
		if j < 0 {
			missing = i
			break
		}
		if !isReady(owned[j]) {
			next = owned[j]
			break
		}
	}
	switch {
	case next != nil && next.Labels[appsv1.StatefulSetRevisionLabel] != hash && s.Spec.UpdateStrategy.Type != appsv1.OnDeleteStatefulSetStrategyType:
		p.remove = append(p.remove, next)
	case next != nil:
		if len(placed([]*corev1.Pod{next})) == 1 {
			p.put = append(p.put, makeReady(next, now))
		}
	case missing < want:
		p.put = append(p.put, newStatefulPod(s, missing, hash, now))
	case len(owned) > want:
		p.remove = append(p.remove, owned[len(owned)-1])
	case s.Spec.UpdateStrategy.Type != appsv1.OnDeleteStatefulSetStrategyType:
		for _, pod := range slices.Backward(owned) {
			if pod.Labels[appsv1.StatefulSetRevisionLabel] != hash && ordinal(pod) >= partition(s) {
				p.remove = append(p.remove, pod)
				break
			}
		}
	}
	after := slices.DeleteFunc(slices.Clone(owned), func(o *corev1.Pod) bool {
		return slices.ContainsFunc(slices.Concat(p.remove, p.put), func(x *corev1.Pod) bool { return x.Name == o.Name })
	})
	after = append(after, p.put...)
	if status := statefulStatus(s, after, hash, want); !reflect.DeepEqual(status, s.Status) {
		p.set = s.DeepCopy()
		p.set.Status = status
	}
	return p
}

func partition(s *appsv1.StatefulSet) int {
	if r := s.Spec.UpdateStrategy.RollingUpdate; r != nil && r.Partition != nil {
		return int(*r.Partition)
	}
	return 0
}

func statefulStatus(s *appsv1.StatefulSet, all []*corev1.Pod, hash string, want int) appsv1.StatefulSetStatus {
	out := *s.Status.DeepCopy()
	out.ObservedGeneration, out.UpdateRevision = s.Generation, hash
	out.Replicas, out.ReadyReplicas, out.UpdatedReplicas, out.CurrentReplicas = int32(len(all)), 0, 0, 0
	for _, p := range all {
		if isReady(p) {
			out.ReadyReplicas++
		}
		switch p.Labels[appsv1.StatefulSetRevisionLabel] {
		case hash:
			out.UpdatedReplicas++
		case out.CurrentRevision:
			out.CurrentReplicas++
		}
	}
	out.AvailableReplicas = out.ReadyReplicas
	if out.CurrentRevision == "" || int(out.UpdatedReplicas) == want && int(out.ReadyReplicas) == want {
		out.CurrentRevision = hash
	}
	if out.CurrentRevision == hash {
		out.CurrentReplicas = out.UpdatedReplicas
	}
	return out
}

func newStatefulPod(s *appsv1.StatefulSet, number int, hash string, now metav1.Time) *corev1.Pod {
	name := fmt.Sprintf("%s-%d", s.Name, number)
	p := podOf(s, &s.Spec.Template, name, now)
	p.OwnerReferences = ownedBy(statefulSets, s)
	p.Labels[appsv1.StatefulSetRevisionLabel], p.Labels[appsv1.StatefulSetPodNameLabel] = hash, name
	p.Spec.Hostname = name
	return p
}

// furnishStatefulSets adds the stateful sets that are missing, as the deployments are: all ready.
func furnishStatefulSets(t *transaction, now metav1.Time) {
	for _, one := range []sample{
		{namespace: "shop", name: "cache", replicas: 3, image: "registry.local/shop/cache:7.4.1", port: 6379},
		{namespace: "pay", name: "queue", replicas: 2, image: "registry.local/pay/queue:3.9.0", port: 9092},
	} {
		if _, there := t.get(statefulSets.name, key{one.namespace, one.name}); there {
			continue
		}
		d := one.deployment(now)
		s := &appsv1.StatefulSet{
			ObjectMeta: metav1.ObjectMeta{
				Name: d.Name, Namespace: d.Namespace, UID: d.UID, Generation: 1, CreationTimestamp: now, Labels: d.Labels,
			},
			Spec: appsv1.StatefulSetSpec{
				Replicas: d.Spec.Replicas, Selector: d.Spec.Selector, Template: d.Spec.Template, ServiceName: d.Name,
				PodManagementPolicy: appsv1.OrderedReadyPodManagement,
				UpdateStrategy:      appsv1.StatefulSetUpdateStrategy{Type: appsv1.RollingUpdateStatefulSetStrategyType},
			},
		}
		statefulSets.withType(s)
		var owned []*corev1.Pod
		for {
			p := reconcileStateful(s, owned, now)
			if p.empty() {
				break
			}
			for _, pod := range p.put {
				owned = slices.DeleteFunc(owned, func(o *corev1.Pod) bool { return o.Name == pod.Name })
				owned = append(owned, pod)
			}
			if p.set != nil {
				s = p.set
			}
		}
		t.put(statefulSets.name, s)
		for _, pod := range owned {
			t.put(pods.name, pod) // adopt gives it a node
		}
	}
}
