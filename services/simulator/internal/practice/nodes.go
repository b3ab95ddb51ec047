package practice

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	quantity "k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// nodeNames are the nodes of the cluster.
func nodeNames() []string { return []string{"practice-1", "practice-2", "practice-3"} }

// furnishNodes adds the nodes that are missing, each with a pod of a daemon set, which a drain leaves alone.
func furnishNodes(t *transaction, now metav1.Time) {
	for i, name := range nodeNames() {
		if _, there := t.get(nodes.name, key{name: name}); !there {
			t.put(nodes.name, newNode(name, fmt.Sprintf("10.0.0.%d", i+1), now))
		}
		agent := key{"kube-system", "node-agent-" + name}
		if _, there := t.get(pods.name, agent); there {
			continue
		}
		set := &metav1.ObjectMeta{Namespace: agent.namespace, Name: "node-agent", UID: "00000000-0000-4000-8000-000000000001"}
		template := &corev1.PodTemplateSpec{
			ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "node-agent"}},
			Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "agent", Image: "registry.local/kube-system/node-agent:1.4.0"}}},
		}
		p := podOf(set, template, agent.name, now)
		p.OwnerReferences = ownedBy(resource{kind: "DaemonSet", group: deployments.group}, set)
		p.Spec.NodeName = name
		t.put(pods.name, makeReady(p, now))
	}
}

func newNode(name, address string, now metav1.Time) *corev1.Node {
	room := corev1.ResourceList{
		corev1.ResourceCPU: quantity.MustParse("8"), corev1.ResourceMemory: quantity.MustParse("32Gi"), corev1.ResourcePods: quantity.MustParse("110"),
	}
	n := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, UID: newUID(), CreationTimestamp: now, Labels: map[string]string{corev1.LabelHostname: name}},
		Status: corev1.NodeStatus{
			Capacity: room, Allocatable: room,
			Conditions: []corev1.NodeCondition{
				{Type: corev1.NodeMemoryPressure, Status: corev1.ConditionFalse, Reason: "KubeletHasSufficientMemory", LastHeartbeatTime: now, LastTransitionTime: now},
				{Type: corev1.NodeReady, Status: corev1.ConditionTrue, Reason: "KubeletReady", LastHeartbeatTime: now, LastTransitionTime: now},
			},
			Addresses: []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: address}, {Type: corev1.NodeHostName, Address: name}},
			NodeInfo:  corev1.NodeSystemInfo{KubeletVersion: "v1.37.0-practice", OSImage: "Practice Linux", ContainerRuntimeVersion: "practice://1.0"},
		},
	}
	nodes.withType(n)
	return n
}

// place gives a pod the node with the fewest pods among those that take new ones; without any it stays unscheduled.
func place(t *transaction, p *corev1.Pod, now metav1.Time) bool {
	load := map[string]int{}
	for _, o := range t.list(pods.name) {
		if other, ok := o.(*corev1.Pod); ok {
			load[other.Spec.NodeName]++
		}
	}
	best := ""
	for _, o := range t.list(nodes.name) {
		n, ok := o.(*corev1.Node)
		if ok && !n.Spec.Unschedulable && (best == "" || load[n.Name] < load[best]) {
			best = n.Name
		}
	}
	p.Spec.NodeName = best
	i := slices.IndexFunc(p.Status.Conditions, func(c corev1.PodCondition) bool { return c.Type == corev1.PodScheduled })
	if i < 0 {
		return best != ""
	}
	c := &p.Status.Conditions[i]
	was := c.Status
	if c.Status, c.Reason, c.Message = corev1.ConditionTrue, "", ""; best == "" {
		c.Status, c.Reason, c.Message = corev1.ConditionFalse, corev1.PodReasonUnschedulable, "0/3 nodes are available: 3 node(s) were unschedulable."
	}
	if c.Status != was {
		c.LastTransitionTime = now
	}
	return best != ""
}
