package practice

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/rand"
)

// readyLimit is the annotation of a deployment that never gets more than so many pods ready, to practise on.
const readyLimit = "practice.palmops/ready-limit"

const hashLabel = "pod-template-hash"

// plan is what one step does to a deployment. A nil deployment is unchanged.
type plan struct {
	deployment *appsv1.Deployment
	put        []*corev1.Pod // new ones, and ones that became ready
	remove     []*corev1.Pod
}

func (p plan) empty() bool { return p.deployment == nil && len(p.put) == 0 && len(p.remove) == 0 }

// reconcile makes one step from what is towards what the deployment's spec asks for: it creates missing pods at once, and lets one pod
// become ready or go. When the template has changed, pods are replaced within the bounds of the strategy. It is pure but for the random
// ends of pod names, and changes none of its arguments.
func reconcile(d *appsv1.Deployment, owned []*corev1.Pod, now metav1.Time) plan {
	var p plan
	want := int(wanted(d))
	hash := templateHash(d)
	var current, old []*corev1.Pod
	for _, pod := range owned {
		if pod.Labels[hashLabel] == hash {
			current = append(current, pod)
		} else {
			old = append(old, pod)
		}
	}
	waiting := placed(notReady(current))
	canReady := len(waiting) > 0 && len(current)-len(notReady(current)) < limit(d.Annotations)
	surge, unavailable := rollingBounds(d)
	switch {
	case len(old) == 0 && len(current) < want:
		for range want - len(current) {
			p.put = append(p.put, newPod(d, hash, now))
		}
	case len(old) == 0 && len(current) > want:
		p.remove = append(p.remove, victim(current))
	case len(old) > 0 && len(current) < want && len(owned) < want+surge && d.Spec.Strategy.Type != appsv1.RecreateDeploymentStrategyType:
		p.put = append(p.put, newPod(d, hash, now))
	case len(old) > 0 && mayGo(victim(old), owned, want-unavailable):
		p.remove = append(p.remove, victim(old))
	case canReady:
		p.put = append(p.put, makeReady(waiting[0], now))
	}
	after := slices.Clone(owned)
	for _, pod := range p.remove {
		after = slices.DeleteFunc(after, func(o *corev1.Pod) bool { return o.Name == pod.Name })
	}
	for _, pod := range p.put {
		if i := slices.IndexFunc(after, func(o *corev1.Pod) bool { return o.Name == pod.Name }); i >= 0 {
			after[i] = pod
		} else {
			after = append(after, pod)
		}
	}
	if s := statusOf(d, after, hash, now); !reflect.DeepEqual(s, d.Status) {
		p.deployment = d.DeepCopy()
		p.deployment.Status = s
	}
	return p
}

// wanted is the number of pods asked for; 1 when the spec is silent.
func wanted(d *appsv1.Deployment) int32 {
	if d.Spec.Replicas == nil {
		return 1
	}
	return *d.Spec.Replicas
}

// rollingBounds are how many pods above the wanted number there may be while pods are replaced, and how many of the wanted number may
// be missing: percentages of the wanted number, the first rounded up and the second down. One of the two is at least 1, as in a real
// controller, or nothing would ever move.
func rollingBounds(d *appsv1.Deployment) (surge, unavailable int) {
	want := int(wanted(d))
	if d.Spec.Strategy.Type == appsv1.RecreateDeploymentStrategyType {
		return 0, max(1, want)
	}
	quarter := intstr.FromString("25%")
	maxSurge, maxUnavailable := &quarter, &quarter
	if r := d.Spec.Strategy.RollingUpdate; r != nil {
		if r.MaxSurge != nil {
			maxSurge = r.MaxSurge
		}
		if r.MaxUnavailable != nil {
			maxUnavailable = r.MaxUnavailable
		}
	}
	surge, errSurge := intstr.GetScaledValueFromIntOrPercent(maxSurge, want, true)
	unavailable, errUnavailable := intstr.GetScaledValueFromIntOrPercent(maxUnavailable, want, false)
	if errSurge != nil || errUnavailable != nil || surge < 0 || unavailable < 0 || surge+unavailable == 0 {
		return max(0, surge), 1
	}
	return surge, unavailable
}

// mayGo says whether a pod can be taken away with at least so many others ready.
func mayGo(pod *corev1.Pod, owned []*corev1.Pod, least int) bool {
	return !isReady(pod) || len(owned)-len(notReady(owned))-1 >= least
}

// placed are the pods that have a node: the others can never be ready.
func placed(pods []*corev1.Pod) []*corev1.Pod {
	return slices.DeleteFunc(slices.Clone(pods), func(p *corev1.Pod) bool {
		return slices.ContainsFunc(p.Status.Conditions, func(c corev1.PodCondition) bool {
			return c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse
		})
	})
}

func limit(annotations map[string]string) int {
	if n, err := strconv.Atoi(annotations[readyLimit]); err == nil && n >= 0 {
		return n
	}
	return math.MaxInt
}

// templateHash changes when the pods would be different ones.
func templateHash(d *appsv1.Deployment) string {
	data, err := json.Marshal(d.Spec.Template)
	if err != nil {
		return "0" // cannot be: the template came out of JSON
	}
	h := fnv.New32a()
	_, _ = h.Write(data) // never fails
	return rand.SafeEncodeString(strconv.FormatUint(uint64(h.Sum32()), 10))
}

func isReady(p *corev1.Pod) bool {
	return slices.ContainsFunc(p.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}

func notReady(pods []*corev1.Pod) []*corev1.Pod {
	return slices.DeleteFunc(slices.Clone(pods), isReady)
}

// victim is the pod that goes first: one that is not ready, else the newest.
func victim(pods []*corev1.Pod) *corev1.Pod {
	if waiting := notReady(pods); len(waiting) > 0 {
		pods = waiting
	}
	return slices.MaxFunc(pods, func(a, b *corev1.Pod) int {
		if c := a.CreationTimestamp.Compare(b.CreationTimestamp.Time); c != 0 {
			return c
		}
		return strings.Compare(a.Name, b.Name)
	})
}

// newPod makes a pod of a deployment. Its owner and node are given to it when it is stored.
func newPod(d *appsv1.Deployment, hash string, now metav1.Time) *corev1.Pod {
	p := podOf(d, &d.Spec.Template, fmt.Sprintf("%s-%s-%s", d.Name, hash, rand.String(5)), now)
	p.Labels[hashLabel] = hash // there are labels: a deployment without any is refused
	p.OwnerReferences = ownedBy(deployments, d)
	return p
}

// podOf makes a pod of a template, which is scheduled and not ready.
func podOf(owner metav1.Object, template *corev1.PodTemplateSpec, name string, now metav1.Time) *corev1.Pod {
	p := &corev1.Pod{
		ObjectMeta: *template.ObjectMeta.DeepCopy(),
		Spec:       *template.Spec.DeepCopy(),
		Status:     corev1.PodStatus{Phase: corev1.PodPending, StartTime: &now, QOSClass: corev1.PodQOSBurstable},
	}
	p.Name, p.Namespace, p.UID, p.CreationTimestamp = name, owner.GetNamespace(), newUID(), now
	p.Status.Conditions = []corev1.PodCondition{
		{Type: corev1.PodScheduled, Status: corev1.ConditionTrue, LastTransitionTime: now},
		{Type: corev1.PodReady, Status: corev1.ConditionFalse, Reason: "ContainersNotReady", LastTransitionTime: now},
	}
	pods.withType(p)
	return p
}

// ownedBy is the reference of something that an object has made.
func ownedBy(r resource, owner metav1.Object) []metav1.OwnerReference {
	controller := true
	return []metav1.OwnerReference{{
		APIVersion: r.group.String(), Kind: r.kind, Name: owner.GetName(), UID: owner.GetUID(), Controller: &controller,
	}}
}

func makeReady(pod *corev1.Pod, now metav1.Time) *corev1.Pod {
	p := pod.DeepCopy()
	p.Status.Phase = corev1.PodRunning
	if len(p.UID) > 1 {
		p.Status.PodIP = fmt.Sprintf("10.1.%d.%d", p.UID[0], p.UID[1]) // nobody answers there
	}
	started := true
	p.Status.ContainerStatuses = nil
	for _, c := range p.Spec.Containers {
		p.Status.ContainerStatuses = append(p.Status.ContainerStatuses, corev1.ContainerStatus{
			Name: c.Name, Image: c.Image, Ready: true, Started: &started,
			State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: now}},
		})
	}
	for i := range p.Status.Conditions {
		if c := &p.Status.Conditions[i]; c.Type == corev1.PodReady {
			c.Status, c.Reason, c.LastTransitionTime = corev1.ConditionTrue, "", now
		}
	}
	return p
}

// statusOf counts pods. The times in conditions move only when the condition does, so that an unchanged status stays equal.
func statusOf(d *appsv1.Deployment, all []*corev1.Pod, hash string, now metav1.Time) appsv1.DeploymentStatus {
	s := *d.Status.DeepCopy()
	want := wanted(d)
	ready := int32(len(all) - len(notReady(all)))
	s.ObservedGeneration = d.Generation
	s.Replicas = int32(len(all))
	s.UpdatedReplicas = 0
	for _, p := range all {
		if p.Labels[hashLabel] == hash {
			s.UpdatedReplicas++
		}
	}
	s.ReadyReplicas, s.AvailableReplicas = ready, ready
	s.UnavailableReplicas = max(0, want-ready, s.Replicas-ready)
	done := s.UpdatedReplicas == want && s.Replicas == want && ready == want
	progress := appsv1.DeploymentCondition{Type: appsv1.DeploymentProgressing, Status: corev1.ConditionTrue, Reason: "ReplicaSetUpdated", Message: "pods are being replaced or added"}
	if done {
		progress.Reason, progress.Message = "NewReplicaSetAvailable", "all pods are up to date and ready"
	}
	// As with the default strategy, up to a quarter of the pods may be missing.
	available := appsv1.DeploymentCondition{Type: appsv1.DeploymentAvailable, Status: corev1.ConditionTrue, Reason: "MinimumReplicasAvailable", Message: "Deployment has minimum availability."}
	if ready < want-want/4 {
		available.Status, available.Reason, available.Message = corev1.ConditionFalse, "MinimumReplicasUnavailable", "Deployment does not have minimum availability."
	}
	setCondition(&s, available, now)
	setCondition(&s, progress, now)
	return s
}

func setCondition(s *appsv1.DeploymentStatus, c appsv1.DeploymentCondition, now metav1.Time) {
	i := slices.IndexFunc(s.Conditions, func(o appsv1.DeploymentCondition) bool { return o.Type == c.Type })
	c.LastUpdateTime, c.LastTransitionTime = now, now
	if i < 0 {
		s.Conditions = append(s.Conditions, c)
		return
	}
	old := s.Conditions[i]
	if old.Status == c.Status {
		c.LastTransitionTime = old.LastTransitionTime
		if old.Reason == c.Reason {
			return
		}
	}
	s.Conditions[i] = c
}
