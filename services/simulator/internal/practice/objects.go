package practice

import (
	"maps"
	"net/http"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// patchObject patches an object of which clients may change metadata and what keepOwn leaves to them.
func (c *Cluster) patchObject(res resource, r *http.Request) (any, error) {
	apply, err := readPatch(r)
	if err != nil {
		return nil, err
	}
	return c.changeObject(res, r, func(old object) (object, error) {
		from, ok := old.DeepCopyObject().(object)
		if !ok {
			return nil, apierrors.NewInternalError(errMoved) // cannot be: a copy has the type of its original
		}
		from.SetResourceVersion("") // a patch is checked against a version only when it brings one
		out := res.empty()
		return out, apply(from, out)
	})
}

// changeObject replaces an object by what edit makes of it. An edit that changes nothing makes no new version.
func (c *Cluster) changeObject(res resource, r *http.Request, edit func(object) (object, error)) (object, error) {
	var out object
	err := c.store.change(func(t *transaction) error {
		old, ok := t.get(res.name, requestKey(r))
		if !ok {
			return apierrors.NewNotFound(res.groupResource(), r.PathValue("name"))
		}
		next, err := edit(old)
		switch {
		case err != nil:
			return err
		case next.GetName() != old.GetName() || next.GetNamespace() != old.GetNamespace():
			return apierrors.NewBadRequest("the name or the namespace of the object does not match the request")
		case next.GetUID() != "" && next.GetUID() != old.GetUID(),
			next.GetResourceVersion() != "" && next.GetResourceVersion() != old.GetResourceVersion():
			return apierrors.NewConflict(res.groupResource(), old.GetName(), errMoved)
		}
		next.SetUID(old.GetUID())
		next.SetCreationTimestamp(old.GetCreationTimestamp())
		next.SetGeneration(old.GetGeneration())
		next.SetResourceVersion(old.GetResourceVersion())
		next.SetOwnerReferences(old.GetOwnerReferences())
		next.SetDeletionTimestamp(old.GetDeletionTimestamp())
		next.SetDeletionGracePeriodSeconds(old.GetDeletionGracePeriodSeconds())
		next.SetManagedFields(nil)
		if err := keepOwn(next, old); err != nil {
			return err
		}
		res.withType(next)
		out = next
		if same(old, next) || r.URL.Query().Get("dryRun") == metav1.DryRunAll {
			return nil
		}
		t.put(res.name, next)
		return nil
	})
	return out, err
}

// keepOwn puts back what belongs to the cluster, and refuses what the controller could not go on with.
func keepOwn(next, old object) error {
	switch n := next.(type) {
	case *corev1.Pod:
		if was, ok := old.(*corev1.Pod); ok {
			was.Spec.DeepCopyInto(&n.Spec)
			was.Status.DeepCopyInto(&n.Status)
			if !maps.Equal(n.Labels, was.Labels) { // by which its owner knows it
				return apierrors.NewInvalid(pods.group.WithKind(pods.kind).GroupKind(), n.Name, field.ErrorList{
					field.Forbidden(field.NewPath("metadata", "labels"), "the practice cluster keeps the labels of pods"),
				})
			}
		}
	case *corev1.Node:
		if was, ok := old.(*corev1.Node); ok {
			was.Status.DeepCopyInto(&n.Status)
		}
	case *appsv1.StatefulSet:
		if was, ok := old.(*appsv1.StatefulSet); ok {
			was.Status.DeepCopyInto(&n.Status)
			if errs := checkStateful(n, was); len(errs) > 0 {
				return apierrors.NewInvalid(statefulSets.group.WithKind(statefulSets.kind).GroupKind(), n.Name, errs)
			}
			if !same(was.Spec, n.Spec) {
				n.Generation++
			}
		}
	}
	return nil
}

// checkStateful holds a stateful set to what a deployment is held to.
func checkStateful(s, old *appsv1.StatefulSet) field.ErrorList {
	as := func(s *appsv1.StatefulSet) *appsv1.Deployment {
		return &appsv1.Deployment{Spec: appsv1.DeploymentSpec{Replicas: s.Spec.Replicas, Selector: s.Spec.Selector, Template: s.Spec.Template}}
	}
	if s.Spec.Replicas == nil {
		one := int32(1)
		s.Spec.Replicas = &one
	}
	return check(as(s), as(old))
}

func (c *Cluster) getStatefulScale(r *http.Request) (any, error) {
	o, _ := c.store.get(statefulSets.name, requestKey(r))
	s, ok := o.(*appsv1.StatefulSet)
	if !ok {
		return nil, apierrors.NewNotFound(statefulSets.groupResource(), r.PathValue("name"))
	}
	return statefulScale(s), nil
}

func (c *Cluster) updateStatefulScale(r *http.Request) (any, error) {
	var in autoscalingv1.Scale
	if err := c.decode(r, &in); err != nil {
		return nil, err
	}
	o, err := c.changeObject(statefulSets, r, func(old object) (object, error) {
		s, ok := old.DeepCopyObject().(*appsv1.StatefulSet)
		if !ok || in.Name != "" && in.Name != s.Name || in.Namespace != "" && in.Namespace != s.Namespace {
			return nil, apierrors.NewBadRequest("the name or the namespace of the scale does not match the request")
		}
		s.UID, s.ResourceVersion = in.UID, in.ResourceVersion
		s.Spec.Replicas = &in.Spec.Replicas
		return s, nil
	})
	if err != nil {
		return nil, err
	}
	s, ok := o.(*appsv1.StatefulSet)
	if !ok {
		return nil, apierrors.NewNotFound(statefulSets.groupResource(), r.PathValue("name"))
	}
	return statefulScale(s), nil
}

func statefulScale(s *appsv1.StatefulSet) *autoscalingv1.Scale {
	out := scaleOf(&appsv1.Deployment{ObjectMeta: s.ObjectMeta, Spec: appsv1.DeploymentSpec{Replicas: s.Spec.Replicas, Selector: s.Spec.Selector}})
	out.Status.Replicas = s.Status.Replicas
	return out
}
