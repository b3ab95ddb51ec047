package kubernetes

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
)

// leaving is a pod that has to go from a node.
type leaving struct {
	ns, name string
	uid      types.UID
	going    bool // on its way out already
}

func (p leaving) what() string { return p.ns + "/" + p.name }

// onNode is what a drain does with the pods of a node.
type onNode struct {
	leave   []leaving
	refused []leaving // may not be evicted, by the catalog
	refuse  []string  // the same, for people
	stay    int       // owned by a daemon set or the node itself
}

// podsOn lists the pods of a node, of all namespaces.
func (c *cluster) podsOn(ctx context.Context, node string, allowed DrainSettings) (onNode, error) {
	o := metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector("spec.nodeName", node).String()}
	pods, err := collect(ctx, c, podRes, "", o, maxItems, func(l *corev1.PodList) []corev1.Pod { return l.Items })
	var out onNode
	for i := range pods {
		p := &pods[i]
		one := leaving{ns: p.Namespace, name: p.Name, uid: p.UID, going: p.DeletionTimestamp != nil}
		switch {
		case stays(p):
			out.stay++
		case one.going || ended(p) || mayLeave(p, allowed):
			out.leave = append(out.leave, one)
		default:
			out.refused = append(out.refused, one)
			out.refuse = append(out.refuse, one.what())
		}
	}
	slices.SortFunc(out.leave, func(a, b leaving) int { return cmp.Compare(a.what(), b.what()) })
	return out, err
}

// stays: a daemon set would put the pod back at once, and a mirror pod is only the image of what the node runs by itself.
func stays(p *corev1.Pod) bool {
	owner := metav1.GetControllerOf(p)
	_, mirror := p.Annotations[corev1.MirrorPodAnnotationKey]
	return mirror || owner != nil && owner.Kind == "DaemonSet"
}

// ended says that a pod has nothing left to lose.
func ended(p *corev1.Pod) bool {
	return p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed
}

func mayLeave(p *corev1.Pod, allowed DrainSettings) bool {
	local := slices.ContainsFunc(p.Spec.Volumes, func(v corev1.Volume) bool { return v.EmptyDir != nil })
	return (metav1.GetControllerOf(p) != nil || allowed.Unmanaged) && (!local || allowed.LocalData)
}

// gone says that the pod of the request is not there any more: 404, or 409 since another one has its name.
func gone(err error) bool { return apierrors.IsNotFound(err) || apierrors.IsConflict(err) }

// budgetFault is the answer to an eviction that several budgets forbid, which is a 500 and no trouble of the server.
func budgetFault(err error) bool {
	var status apierrors.APIStatus
	return errors.As(err, &status) && status.Status().Code == 500 && strings.Contains(status.Status().Message, "PodDisruptionBudget")
}

// reasonOf is what the cluster says about an eviction that it refuses, one line.
func reasonOf(err error) string {
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return ""
	}
	s := status.Status()
	if s.Details != nil {
		for _, cause := range s.Details.Causes {
			if cause.Type == "DisruptionBudget" {
				return quote(cause.Message)
			}
		}
	}
	return quote(s.Message)
}

// some joins at most so many names, and says that there are more.
func some(names []string, most int) string {
	if len(names) > most {
		return strings.Join(names[:most], ", ") + ", …"
	}
	return strings.Join(names, ", ")
}
