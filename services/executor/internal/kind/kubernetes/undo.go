package kubernetes

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"palmops/libs/fault"
	"palmops/services/executor/internal/kind"
)

// Annotations that Kubernetes itself gives a rollout.
const (
	revisionAnnotation = "deployment.kubernetes.io/revision"
	causeAnnotation    = "kubernetes.io/change-cause"
)

// undo is the goal of the pod template of an earlier revision, as kubectl rollout undo sets it. The template is in the
// revision's replica set. Our request is known again by ActionAnnotation.
type undo struct {
	rollout
	revision int64 // 0 is the one before the current
	from     int64 // the current one that the operator saw; 0 when none was given
}

var _ goal = undo{}

func undoOf(args map[string]any) undo {
	u := undo{rollout: rollout{rolloutKeys{
		done: "undo.done", progress: "undo.progress", applied: "undo.applied", changed: "undo.changed", late: "undo.late",
		stopping: "undo.stopping", canceled: "undo.canceled", deleted: "undo.deleted", recreated: "undo.recreated",
		gone: "undo.gone", unsure: "undo.unsure", unreachable: "undo.unreachable", untouched: "undo.untouched", unclear: "undo.unclear",
	}}}
	u.revision, _ = integer(args, argRevision)
	u.from, _ = integer(args, argFrom)
	return u
}

// revisionOf is the revision that a deployment or replica set has; 0 when it has none.
func revisionOf(annotations map[string]string) int64 {
	n, err := strconv.ParseInt(annotations[revisionAnnotation], 10, 64)
	if err != nil || n < 0 {
		return 0
	}
	return n
}

// digest names a pod template, without the label that the controller adds.
func digest(t *corev1.PodTemplateSpec) string {
	clean := t
	if _, labelled := t.Labels[appsv1.DefaultDeploymentUniqueLabelKey]; labelled {
		clean = t.DeepCopy()
		delete(clean.Labels, appsv1.DefaultDeploymentUniqueLabelKey)
	}
	data, err := json.Marshal(clean)
	if err != nil {
		return "" // cannot be: it came out of an answer
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:12])
}

// replicaSets are the revisions of a deployment, the newest first.
func (c *cluster) replicaSets(ctx context.Context, ns string, owner types.UID, selector *metav1.LabelSelector) ([]appsv1.ReplicaSet, error) {
	s, err := metav1.LabelSelectorAsSelector(selector)
	if err != nil {
		return nil, err
	}
	sets, err := collect(ctx, c, replicaRes, ns, metav1.ListOptions{LabelSelector: s.String()}, maxItems, func(l *appsv1.ReplicaSetList) []appsv1.ReplicaSet {
		return slices.DeleteFunc(l.Items, func(rs appsv1.ReplicaSet) bool {
			by := metav1.GetControllerOf(&rs)
			return by == nil || by.UID != owner || revisionOf(rs.Annotations) == 0
		})
	})
	slices.SortFunc(sets, func(a, b appsv1.ReplicaSet) int { return int(revisionOf(b.Annotations) - revisionOf(a.Annotations)) })
	return sets, err
}

func (u undo) check(ctx context.Context, c *change, b *before, o *object) error {
	current := revisionOf(o.Annotations)
	if u.from > 0 && current != u.from {
		return fault.WithText(fault.New(fault.Conflict, "revision is %d, %d was confirmed", current, u.from),
			c.say("undo.moved", c.what(), current, u.from))
	}
	if o.paused {
		return fault.WithText(fault.New(fault.Conflict, "%s is paused", c.what()), c.say("change.paused", c.what()))
	}
	d := &appsv1.Deployment{} // the selector is not part of an object
	var sets []appsv1.ReplicaSet
	err := c.insist(ctx, c.retry, func() (err error) {
		if err = c.fetch(ctx, deploymentRes, c.ns, c.name, d); err == nil {
			sets, err = c.replicaSets(ctx, c.ns, o.UID, d.Spec.Selector)
		}
		return err
	})
	if err != nil {
		return explain(err, c.work.Lang, c.what())
	}
	i := slices.IndexFunc(sets, func(rs appsv1.ReplicaSet) bool {
		n := revisionOf(rs.Annotations)
		return n == u.revision || u.revision == 0 && n < current
	})
	switch {
	case i < 0 && u.revision == 0:
		return fault.WithText(fault.New(fault.NotFound, "%s has no earlier revision", c.what()), c.say("undo.first", c.what()))
	case i < 0:
		return fault.WithText(fault.New(fault.NotFound, "%s has no revision %d", c.what(), u.revision), c.say("undo.missing", c.what(), u.revision))
	}
	b.Mark, b.Revision, b.Source = digest(&sets[i].Spec.Template), revisionOf(sets[i].Annotations), sets[i].Name
	return nil
}

func (undo) plan(c *change) string {
	if c.base.Mark == c.base.Template {
		return c.say("undo.same", c.what(), c.base.Revision)
	}
	return c.say("undo.plan", c.what(), c.base.Revision, c.base.Replicas)
}

func (undo) met(b before) bool { return b.Mark == b.Template }

// send replaces the pod template of exactly the version that was read. The template is taken as the API has it, so that nothing
// of it is lost that this program does not know.
func (u undo) send(ctx context.Context, c *change) error {
	rctx, cancel := within(ctx)
	defer cancel()
	raw, err := c.on(c.apps.Get(), replicaRes, c.ns).Name(c.base.Source).SetHeader("Accept", "application/json").Do(rctx).Raw()
	if err != nil {
		if apierrors.IsNotFound(err) {
			return decided{fault.WithText(fault.Wrap(fault.NotFound, err, c.base.Source), c.say("undo.missing", c.what(), c.base.Revision))}
		}
		return err
	}
	patch, err := u.patch(c, raw)
	if err != nil {
		return decided{fault.WithText(fault.Wrap(fault.Conflict, err, c.base.Source), c.say("undo.missing", c.what(), c.base.Revision))}
	}
	_, err = c.patch(ctx, c.res, c.ns, c.name, types.StrategicMergePatchType, patch)
	return err
}

// patch makes the request of a replica set as the API gave it.
func (undo) patch(c *change, raw []byte) ([]byte, error) {
	var typed appsv1.ReplicaSet
	if err := json.Unmarshal(raw, &typed); err != nil {
		return nil, err
	}
	if digest(&typed.Spec.Template) != c.base.Mark {
		return nil, fmt.Errorf("replica set %s has another template now", c.base.Source)
	}
	var open struct {
		Spec struct {
			Template map[string]any `json:"template"`
		} `json:"spec"`
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	if err := dec.Decode(&open); err != nil {
		return nil, err
	}
	template := open.Spec.Template
	template["$patch"] = "replace"
	if meta, is := template["metadata"].(map[string]any); is {
		if labels, is := meta["labels"].(map[string]any); is {
			delete(labels, appsv1.DefaultDeploymentUniqueLabelKey)
		}
	}
	annotations := map[string]any{ActionAnnotation: c.work.ID}
	if cause, is := typed.Annotations[causeAnnotation]; is {
		annotations[causeAnnotation] = cause
	} else if c.now.Cause {
		annotations[causeAnnotation] = nil
	}
	return json.Marshal(map[string]any{
		"metadata": map[string]any{"uid": c.now.UID, "resourceVersion": c.now.ResourceVersion, "annotations": annotations},
		"spec":     map[string]any{"template": template},
	})
}

func (u undo) found(c *change, o *object, doubt bool) (finding, kind.Result) {
	now := digest(o.template)
	switch {
	case now == c.base.Mark:
		return reached, kind.Result{}
	case doubt && o.Generation != c.base.Generation:
		return unclear, kind.Result{} // ours may have come and gone
	case now != c.base.Template:
		return over, kind.Failed(c.say("undo.overtaken", c.what()))
	}
	return again, kind.Result{}
}

func (u undo) late(c *change, last *object, cause error) kind.Result {
	if !u.met(c.base) {
		return u.rollout.late(c, last, cause)
	}
	if done := c.unbegun(cause); done != nil {
		return *done
	}
	return kind.Failed(c.say(u.keys.untouched, c.what()))
}

func (u undo) verdict(c *change, o *object, fenced bool) kind.Result {
	switch {
	case u.met(c.base):
		return kind.Ended(c.say("undo.same", c.what(), c.base.Revision))
	case digest(o.template) == c.base.Mark:
		return u.applied(c, o)
	case fenced && o.Annotations[ActionAnnotation] != c.work.ID && untouched(c, o):
		return kind.Failed(c.say(u.keys.untouched, c.what()))
	}
	return kind.Unsure(c.say(u.keys.unclear, c.what()))
}

func (u undo) seen(c *change, o *object) (kind.Result, bool) {
	switch {
	case u.met(c.base):
		return kind.Ended(c.say("undo.same", c.what(), c.base.Revision)), true
	case digest(o.template) != c.base.Mark:
		return kind.TimedOut(c.say(u.keys.changed, c.what())), true
	}
	if done, is := u.ended(c, o); is {
		return done, true
	}
	u.notYet(c, o)
	return kind.Result{}, false
}
