package kubernetes

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"palmops/libs/fault"
	"palmops/libs/wire"
)

// pods lists the pods of a namespace, or of what the arguments narrow it to.
func (a asked) pods(ctx context.Context) ([]wire.Item, error) {
	o := metav1.ListOptions{LabelSelector: text(a.q.Args, argSelector)}
	if _, err := labels.Parse(o.LabelSelector); err != nil {
		return nil, fault.WithText(fault.Wrap(fault.Invalid, err, argSelector), a.say("pod.selector"))
	}
	keep := func(*corev1.Pod) bool { return true }
	for _, res := range []resource{deploymentRes, statefulRes} {
		name := text(a.q.Args, res.one)
		if name == "" {
			continue
		}
		s, owned, err := a.ownedBy(ctx, res, a.ns, name)
		if err != nil {
			return nil, explain(err, a.q.Lang, a.ns+"/"+name)
		}
		if o.LabelSelector != "" {
			s += "," + o.LabelSelector
		}
		o.LabelSelector = s
		before := keep
		keep = func(p *corev1.Pod) bool { return before(p) && owned(p) }
	}
	out, err := collect(ctx, a.cluster, podRes, a.ns, o, maxItems, func(l *corev1.PodList) []wire.Item {
		rows := make([]wire.Item, 0, len(l.Items))
		for i := range l.Items {
			if p := &l.Items[i]; keep(p) {
				rows = append(rows, wire.Item{Value: p.Name, Detail: a.podWords(p)})
			}
		}
		return rows
	})
	slices.SortFunc(out, byName)
	return out, a.explain(err, "what.pods", a.ns)
}

// ownedBy is the selector of a workload, and whether a pod it selects is really its own: of a deployment through a replica set.
func (c *cluster) ownedBy(ctx context.Context, res resource, ns, name string) (string, func(*corev1.Pod) bool, error) {
	var selector *metav1.LabelSelector
	uids := map[types.UID]bool{}
	if res.name == statefulRes.name {
		s := &appsv1.StatefulSet{}
		if err := c.fetch(ctx, res, ns, name, s); err != nil {
			return "", nil, err
		}
		selector, uids[s.UID] = s.Spec.Selector, true
	} else {
		d := &appsv1.Deployment{}
		if err := c.fetch(ctx, res, ns, name, d); err != nil {
			return "", nil, err
		}
		selector = d.Spec.Selector
		sets, err := c.replicaSets(ctx, ns, d.UID, selector)
		if err != nil {
			return "", nil, err
		}
		for i := range sets {
			uids[sets[i].UID] = true
		}
	}
	s, err := metav1.LabelSelectorAsSelector(selector)
	if err != nil {
		return "", nil, err
	}
	return s.String(), func(p *corev1.Pod) bool {
		owner := metav1.GetControllerOf(p)
		return owner != nil && uids[owner.UID]
	}, nil
}

// podWords is a pod in a list.
func (a asked) podWords(p *corev1.Pod) string {
	ready, all := readyContainers(p)
	parts := []string{podStatus(p), a.say("item.ready", ready, all)}
	if n := restarts(p); n > 0 {
		parts = append(parts, a.say("item.restarts", n))
	}
	return strings.Join(append(parts, a.age(p.CreationTimestamp.Time)), a.say("item.comma"))
}

func readyContainers(p *corev1.Pod) (ready, all int) {
	for _, c := range p.Status.ContainerStatuses {
		if c.Ready {
			ready++
		}
	}
	return ready, len(p.Spec.Containers)
}

func restarts(p *corev1.Pod) int32 {
	n := int32(0)
	for _, c := range slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses) {
		n += c.RestartCount
	}
	return n
}

// podStatus is one word about a pod, the one that kubectl get pods shows: the phase, or what keeps it from running.
func podStatus(p *corev1.Pod) string {
	if p.DeletionTimestamp != nil {
		return "Terminating"
	}
	for i, c := range p.Status.InitContainerStatuses {
		if c.State.Terminated != nil && c.State.Terminated.ExitCode == 0 || c.Started != nil && *c.Started {
			continue
		}
		if why := containerState(c); why != "" && why != "PodInitializing" {
			return "Init:" + why
		}
		return fmt.Sprintf("Init:%d/%d", i, len(p.Spec.InitContainers))
	}
	running := false
	for _, c := range slices.Backward(p.Status.ContainerStatuses) {
		running = running || c.State.Running != nil && c.Ready
		if why := containerState(c); why != "" && (why != "Completed" || !running) {
			return why
		}
	}
	if p.Status.Reason != "" {
		return quote(p.Status.Reason)
	}
	return string(p.Status.Phase)
}

// containerState is why a container does not run; "" when it does, or nothing is known.
func containerState(c corev1.ContainerStatus) string {
	switch s := c.State; {
	case s.Waiting != nil:
		return quote(s.Waiting.Reason)
	case s.Terminated == nil:
		return ""
	case s.Terminated.Reason != "":
		return quote(s.Terminated.Reason)
	case s.Terminated.Signal != 0:
		return fmt.Sprintf("Signal:%d", s.Terminated.Signal)
	default:
		return fmt.Sprintf("ExitCode:%d", s.Terminated.ExitCode)
	}
}

func (a asked) pod(ctx context.Context) (map[string]string, error) {
	p, err := a.onePod(ctx)
	if err != nil {
		return nil, err
	}
	ready, all := readyContainers(p)
	var names []string
	for _, c := range p.Spec.Containers {
		names = append(names, c.Name)
	}
	return map[string]string{
		"uid": string(p.UID), "status": podStatus(p), "ready": fmt.Sprintf("%d/%d", ready, all),
		"restarts": strconv.Itoa(int(restarts(p))), "node": p.Spec.NodeName, "containers": strings.Join(names, ","),
	}, nil
}

func (a asked) onePod(ctx context.Context) (*corev1.Pod, error) {
	name := text(a.q.Args, argPod)
	p := &corev1.Pod{}
	if err := a.fetch(ctx, podRes, a.ns, name, p); err != nil {
		return nil, explain(err, a.q.Lang, a.ns+"/"+name)
	}
	return p, nil
}

// containers are a pod's, the ones that set it up included: they have logs too.
func (a asked) containers(ctx context.Context) ([]wire.Item, error) {
	p, err := a.onePod(ctx)
	if err != nil {
		return nil, err
	}
	state := map[string]string{}
	for _, c := range slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses) {
		s := containerState(c)
		if s == "" && c.State.Running != nil {
			s = string(corev1.PodRunning)
		}
		if c.RestartCount > 0 {
			s += a.say("item.comma") + a.say("item.restarts", c.RestartCount)
		}
		state[c.Name] = s
	}
	var out []wire.Item
	for _, c := range slices.Concat(p.Spec.Containers, p.Spec.InitContainers) {
		out = append(out, wire.Item{Value: c.Name, Detail: state[c.Name]})
	}
	return out, nil
}
