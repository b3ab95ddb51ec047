package kubernetes

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"

	"palmops/services/executor/internal/kind"
)

// describedEvents is how many of the newest events a description ends with.
const describedEvents = 5

// describe says of one object what an operator needs to know first.
func (r *report) describe(ctx context.Context, _ kind.Hand) (kind.Result, error) {
	var lines []string
	err := r.insist(ctx, r.retry, func() (err error) {
		switch r.res.name {
		case podRes.name:
			lines, err = r.describePod(ctx)
		case nodeRes.name:
			lines, err = r.describeNode(ctx)
		default:
			lines, err = r.describeWorkload(ctx)
		}
		return err
	})
	if err != nil {
		return kind.Result{}, err
	}
	if !r.res.global { // the events of nodes are in no namespace of the catalog
		switch events, err := r.eventLines(ctx, describedEvents); {
		case apierrors.IsForbidden(err):
			lines = append(lines, r.say("describe.no_events"))
		case err != nil:
			return kind.Result{}, err
		case len(events) > 0:
			lines = append(append(lines, r.say("describe.events")), events...)
		}
	}
	return r.page(r.say(r.res.noun)+" "+r.what(), lines), nil
}

func (r *report) describePod(ctx context.Context) ([]string, error) {
	p := &corev1.Pod{}
	if err := r.fetch(ctx, podRes, r.ns, r.name, p); err != nil {
		return nil, err
	}
	lines := []string{r.say("describe.status", r.podWords(p))}
	if p.Spec.NodeName != "" {
		lines = append(lines, r.say("describe.place", p.Spec.NodeName, cmp.Or(p.Status.PodIP, "-")))
	}
	if owner := metav1.GetControllerOf(p); owner != nil {
		lines = append(lines, r.say("describe.owner", owner.Kind+" "+owner.Name))
	}
	if p.Status.Message != "" {
		lines = append(lines, quote(p.Status.Message))
	}
	images := map[string]string{}
	for _, c := range slices.Concat(p.Spec.InitContainers, p.Spec.Containers) {
		images[c.Name] = c.Image
	}
	for _, c := range slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses) {
		lines = append(lines, r.containerLines(c, images[c.Name])...)
	}
	for _, c := range p.Status.Conditions {
		if c.Status == corev1.ConditionFalse && c.Message != "" {
			lines = append(lines, fmt.Sprintf("%s=False: %s", c.Type, quote(c.Message)))
		}
	}
	return lines, nil
}

// containerLines say how a container is, and how it ended the last time.
func (r *report) containerLines(c corev1.ContainerStatus, image string) []string {
	state := containerState(c)
	if state == "" && c.State.Running != nil {
		state = r.say("describe.running", r.age(c.State.Running.StartedAt.Time))
	}
	lines := []string{fmt.Sprintf("[%s] %s", c.Name, state), "  " + image}
	if w := c.State.Waiting; w != nil && w.Message != "" {
		lines = append(lines, "  "+quote(w.Message))
	}
	if t := c.LastTerminationState.Terminated; t != nil {
		lines = append(lines, "  "+r.say("describe.last", quote(t.Reason), t.ExitCode, r.age(t.FinishedAt.Time)))
	}
	return lines
}

func (r *report) describeWorkload(ctx context.Context) ([]string, error) {
	into := r.res.empty()
	if err := r.fetch(ctx, r.res, r.ns, r.name, into); err != nil {
		return nil, err
	}
	o, err := objectOf(into)
	if err != nil {
		return nil, err
	}
	lines := stands(o, r.work.Lang, r.now())
	if n := revisionOf(o.Annotations); n > 0 {
		lines = append(lines, strings.TrimSpace(r.say("describe.revision", n, quote(o.Annotations[causeAnnotation]))))
	}
	if o.paused {
		lines = append(lines, r.say("describe.paused"))
	}
	switch x := into.(type) {
	case *appsv1.Deployment:
		lines = append(lines, r.say("describe.strategy", x.Spec.Strategy.Type))
		for _, c := range x.Status.Conditions {
			if bad(string(c.Type), c.Status) {
				lines = append(lines, fmt.Sprintf("%s: %s", quote(c.Reason), quote(c.Message)))
			}
		}
	case *appsv1.StatefulSet:
		lines = append(lines, r.say("describe.strategy", x.Spec.UpdateStrategy.Type))
		for _, c := range x.Status.Conditions {
			lines = append(lines, fmt.Sprintf("%s=%s: %s", c.Type, c.Status, quote(c.Message)))
		}
	}
	return lines, nil
}

// bad says that a condition of a deployment is one that somebody should look at.
func bad(condition string, status corev1.ConditionStatus) bool {
	if condition == string(appsv1.DeploymentReplicaFailure) {
		return status == corev1.ConditionTrue
	}
	return status != corev1.ConditionTrue
}

func (r *report) describeNode(ctx context.Context) ([]string, error) {
	n := &corev1.Node{}
	if err := r.fetch(ctx, nodeRes, "", r.name, n); err != nil {
		return nil, err
	}
	lines := []string{
		r.say("describe.status", nodeWords(n, r.work.Lang)),
		r.say("describe.version", n.Status.NodeInfo.KubeletVersion, n.Status.NodeInfo.OSImage),
	}
	for _, a := range n.Status.Addresses {
		if a.Type == corev1.NodeInternalIP {
			lines = append(lines, r.say("describe.address", a.Address))
		}
	}
	if all := n.Status.Allocatable; len(all) > 0 {
		lines = append(lines, r.say("describe.room", all.Cpu().String(), all.Memory().String(), all.Pods().String()))
	}
	if at := n.CreationTimestamp.Time; !at.IsZero() {
		lines = append(lines, r.say("browse.age", r.age(at)))
	}
	for _, c := range n.Status.Conditions {
		healthy := c.Status == corev1.ConditionFalse
		if c.Type == corev1.NodeReady {
			healthy = c.Status == corev1.ConditionTrue
		}
		if !healthy {
			lines = append(lines, fmt.Sprintf("%s=%s: %s", c.Type, c.Status, quote(c.Message)))
		}
	}
	for _, t := range n.Spec.Taints {
		lines = append(lines, r.say("describe.taint", t.Key, t.Effect))
	}
	o := metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector("spec.nodeName", r.name).String()}
	pods, err := collect(ctx, r.cluster, podRes, "", o, maxItems, func(l *corev1.PodList) []bool {
		rows := make([]bool, len(l.Items))
		for i := range l.Items {
			rows[i] = podStatus(&l.Items[i]) == string(corev1.PodRunning)
		}
		return rows
	})
	switch {
	case apierrors.IsForbidden(err): // pods of all namespaces are not for everybody
	case err != nil:
		return nil, err
	default:
		running := 0
		for _, up := range pods {
			if up {
				running++
			}
		}
		lines = append(lines, r.say("describe.pods", len(pods), running))
	}
	return lines, nil
}

// status says how far a rollout is.
func (r *report) status(ctx context.Context, _ kind.Hand) (kind.Result, error) {
	into := r.res.empty()
	if err := r.insist(ctx, r.retry, func() error { return r.fetch(ctx, r.res, r.ns, r.name, into) }); err != nil {
		return kind.Result{}, err
	}
	o, err := objectOf(into)
	if err != nil {
		return kind.Result{}, err
	}
	fresh, due := o.fresh()
	var lines []string
	d, is := into.(*appsv1.Deployment)
	if is {
		for _, c := range d.Status.Conditions {
			if c.Type != appsv1.DeploymentAvailable && bad(string(c.Type), c.Status) {
				lines = append(lines, fmt.Sprintf("%s: %s", quote(c.Reason), quote(c.Message)))
			}
		}
	}
	said := r.say("status.progress", r.what(), fresh, due, o.serving(), o.wanted)
	switch {
	case o.paused:
		said = r.say("status.paused", r.what(), fresh, due, o.serving(), o.wanted)
	case o.settled():
		said = r.say("status.done", r.what(), o.ready, o.wanted)
	case o.total > o.wanted && fresh == due:
		lines = append(lines, r.say("progress.left", o.total-o.wanted))
	}
	return kind.Ended(strings.Join(append([]string{said}, lines...), "\n")), nil
}
