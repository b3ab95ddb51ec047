package node

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
)

// sync does what is next for one pod, and says when to look at it again; 0 is: when it changes.
func (f *Fleet) sync(ctx context.Context, key types.NamespacedName) (time.Duration, error) {
	p, err := f.pods.Pods(key.Namespace).Get(key.Name)
	if apierrors.IsNotFound(err) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("pod: %w", err)
	}
	switch _, ours := f.pools[p.Spec.NodeName]; {
	case p.Spec.NodeName == "" && p.DeletionTimestamp == nil:
		return f.place(ctx, p)
	case !ours:
		return 0, nil
	case p.DeletionTimestamp != nil:
		return f.stop(ctx, p)
	}
	return f.start(ctx, p)
}

// place binds a pod to the node with the fewest pods among those it may run on.
func (f *Fleet) place(ctx context.Context, p *corev1.Pod) (time.Duration, error) {
	node, err := f.choose(p)
	if err != nil {
		return 0, err
	}
	if node == "" {
		waiting := corev1.PodCondition{
			Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: corev1.PodReasonUnschedulable,
			Message: "0 nodes are available", LastTransitionTime: metav1.Now(),
		}
		if slices.ContainsFunc(p.Status.Conditions, func(c corev1.PodCondition) bool { return c.Type == waiting.Type && c.Status == waiting.Status }) {
			return again, nil
		}
		return again, f.write(ctx, p, corev1.PodStatus{Phase: corev1.PodPending, Conditions: []corev1.PodCondition{waiting}})
	}
	err = f.client.CoreV1().Pods(p.Namespace).Bind(ctx, &corev1.Binding{
		ObjectMeta: metav1.ObjectMeta{Namespace: p.Namespace, Name: p.Name, UID: p.UID}, Target: corev1.ObjectReference{Kind: "Node", Name: node},
	}, metav1.CreateOptions{})
	if err != nil && !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) {
		return 0, fmt.Errorf("bind: %w", err)
	}
	return 0, nil
}

// choose picks a node, "" when none will do. The same pod gets the same node as long as that one will do.
func (f *Fleet) choose(p *corev1.Pod) (string, error) {
	nodes, err := f.nodes.List(labels.Everything())
	if err != nil {
		return "", fmt.Errorf("nodes: %w", err)
	}
	pods, err := f.pods.List(labels.Everything())
	if err != nil {
		return "", fmt.Errorf("pods: %w", err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	load := map[string]int{}
	for _, other := range pods {
		switch at := f.chosen[other.UID]; {
		case other.Spec.NodeName != "":
			load[other.Spec.NodeName]++
		case at != "":
			load[at]++
		}
	}
	best := ""
	for _, n := range nodes {
		if !fits(p, n) {
			continue
		}
		if best == "" || load[n.Name] < load[best] || (load[n.Name] == load[best] && n.Name < best) {
			best = n.Name
		}
	}
	if best != "" {
		f.chosen[p.UID] = best
	}
	return best, nil
}

// fits follows the parts of scheduling that the suite uses: cordoned nodes, nodeSelector, and the node that a DaemonSet names.
func fits(p *corev1.Pod, n *corev1.Node) bool {
	named := slices.ContainsFunc(requiredTerms(p), func(t corev1.NodeSelectorTerm) bool {
		return slices.ContainsFunc(t.MatchFields, func(r corev1.NodeSelectorRequirement) bool {
			return r.Key == metav1.ObjectNameField && slices.Contains(r.Values, n.Name)
		})
	})
	if len(requiredTerms(p)) > 0 {
		return named
	}
	return !n.Spec.Unschedulable && labels.SelectorFromSet(p.Spec.NodeSelector).Matches(labels.Set(n.Labels))
}

func requiredTerms(p *corev1.Pod) []corev1.NodeSelectorTerm {
	a := p.Spec.Affinity
	if a == nil || a.NodeAffinity == nil || a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution == nil {
		return nil
	}
	return a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms
}

// start takes a pod from placed over running to ready.
func (f *Fleet) start(ctx context.Context, p *corev1.Pod) (time.Duration, error) {
	s := scriptOf(p)
	since := f.since(f.started, p.UID)
	ready := !s.crash && s.ready != Never && time.Since(since) >= s.ready
	if p.Status.Phase == corev1.PodRunning && (podReady(p) || !ready) {
		if podReady(p) || s.crash || s.ready == Never {
			return 0, nil
		}
		return s.ready - time.Since(since), nil
	}
	if s.crash && p.Status.Phase != corev1.PodRunning {
		f.complain(ctx, p)
	}
	if err := f.write(ctx, p, statusOf(p, s, since, ready)); err != nil || ready || s.crash || s.ready == Never {
		return 0, err
	}
	return max(time.Millisecond, s.ready-time.Since(since)), nil
}

// stop lets a deleted pod go.
func (f *Fleet) stop(ctx context.Context, p *corev1.Pod) (time.Duration, error) {
	s := scriptOf(p)
	if s.stop == Never && (p.DeletionGracePeriodSeconds == nil || *p.DeletionGracePeriodSeconds > 0) {
		return 0, nil
	}
	if left := s.stop - time.Since(f.since(f.stopped, p.UID)); s.stop != Never && left > 0 {
		return left, nil
	}
	err := f.client.CoreV1().Pods(p.Namespace).Delete(ctx, p.Name, metav1.DeleteOptions{GracePeriodSeconds: new(int64), Preconditions: &metav1.Preconditions{UID: &p.UID}})
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		return 0, fmt.Errorf("delete: %w", err)
	}
	return 0, nil
}

// since is when something was first seen of a pod.
func (f *Fleet) since(what map[types.UID]time.Time, uid types.UID) time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, known := what[uid]; !known {
		what[uid] = time.Now()
	}
	return what[uid]
}

// write merges a status into the one the API server has.
func (f *Fleet) write(ctx context.Context, p *corev1.Pod, status corev1.PodStatus) error {
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"uid": p.UID}, "status": status})
	if err != nil {
		return fmt.Errorf("status: %w", err)
	}
	_, err = f.client.CoreV1().Pods(p.Namespace).Patch(ctx, p.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status")
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		return fmt.Errorf("status: %w", err)
	}
	return nil
}

// complain writes the event by which a kubelet reports a container that crashes again and again.
func (f *Fleet) complain(ctx context.Context, p *corev1.Pod) {
	now := metav1.Now()
	_, _ = f.client.CoreV1().Events(p.Namespace).Create(ctx, &corev1.Event{ // an event more or less is no matter
		ObjectMeta:     metav1.ObjectMeta{GenerateName: p.Name + ".", Namespace: p.Namespace},
		InvolvedObject: corev1.ObjectReference{Kind: "Pod", Namespace: p.Namespace, Name: p.Name, UID: p.UID, APIVersion: "v1"},
		Reason:         "BackOff", Message: "Back-off restarting failed container", Type: corev1.EventTypeWarning, Count: 7,
		FirstTimestamp: now, LastTimestamp: now, Source: corev1.EventSource{Component: "kubelet", Host: p.Spec.NodeName},
	}, metav1.CreateOptions{})
}
