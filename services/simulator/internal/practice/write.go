package practice

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"mime"
	"net/http"
	"reflect"
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// errMoved is the detail of a conflict, in the words of a real API server.
var errMoved = errors.New("the object has been modified; please apply your changes to the latest version and try again")

// changeDeployment replaces a deployment by what edit makes of a copy of it. Everything that the client does not own stays: the identity
// and the status. An edit that changes nothing makes no new version.
func (c *Cluster) changeDeployment(r *http.Request, edit func(*appsv1.Deployment) error) (*appsv1.Deployment, error) {
	var out *appsv1.Deployment
	err := c.store.change(func(t *transaction) error {
		o, _ := t.get(deployments.name, requestKey(r))
		old, ok := o.(*appsv1.Deployment)
		if !ok {
			return apierrors.NewNotFound(deployments.groupResource(), r.PathValue("name"))
		}
		d := old.DeepCopy()
		if err := edit(d); err != nil {
			return err
		}
		switch {
		case d.Name != old.Name || d.Namespace != old.Namespace:
			return apierrors.NewBadRequest("the name or the namespace of the object does not match the request")
		case d.UID != "" && d.UID != old.UID:
			//nolint:staticcheck // Kubernetes' own words begin with a capital
			return conflict(old.Name, fmt.Errorf("Precondition failed: UID in precondition: %v, UID in object meta: %v", d.UID, old.UID))
		case d.ResourceVersion != "" && d.ResourceVersion != old.ResourceVersion:
			return conflict(old.Name, errMoved)
		}
		d.UID, d.CreationTimestamp, d.Generation, d.ResourceVersion = old.UID, old.CreationTimestamp, old.Generation, old.ResourceVersion
		d.ManagedFields = nil
		countChanges(old, d)
		old.Status.DeepCopyInto(&d.Status)
		deployments.withType(d)
		if d.Spec.Replicas == nil {
			one := int32(1)
			d.Spec.Replicas = &one
		}
		if errs := check(d, old); len(errs) > 0 {
			return apierrors.NewInvalid(deployments.group.WithKind(deployments.kind).GroupKind(), d.Name, errs)
		}
		out = d
		if same(old, d) || r.URL.Query().Get("dryRun") == metav1.DryRunAll {
			return nil
		}
		if !same(old.Spec, d.Spec) {
			countChange(d)
		}
		if !same(old.Spec, d.Spec) || !maps.Equal(old.Annotations, d.Annotations) { // both count, as in a real cluster
			d.Generation++
		}
		t.put(deployments.name, d)
		return nil
	})
	return out, err
}

// SpecChanges is the annotation that counts how often the spec of a deployment was changed: whoever practises can tell one
// effect from two, which the generation does not say, since annotations move it too. No client can write it.
const SpecChanges = "practice.palmops.io/spec-changes"

func countChanges(old, d *appsv1.Deployment) {
	if n, counted := old.Annotations[SpecChanges]; counted {
		metav1.SetMetaDataAnnotation(&d.ObjectMeta, SpecChanges, n)
	} else {
		delete(d.Annotations, SpecChanges)
	}
}

func countChange(d *appsv1.Deployment) {
	n, _ := strconv.Atoi(d.Annotations[SpecChanges]) // nothing counts as none
	metav1.SetMetaDataAnnotation(&d.ObjectMeta, SpecChanges, strconv.Itoa(n+1))
}

// same compares as JSON: two clients write the same object with nil or with empty maps.
func same(a, b any) bool {
	if reflect.DeepEqual(a, b) {
		return true
	}
	ja, erra := json.Marshal(a)
	jb, errb := json.Marshal(b)
	return erra == nil && errb == nil && string(ja) == string(jb)
}

func conflict(name string, err error) error {
	return apierrors.NewConflict(deployments.groupResource(), name, err)
}

// check is the part of a real server's validation without which the controller could not go on.
func check(d, old *appsv1.Deployment) field.ErrorList {
	var errs field.ErrorList
	spec := field.NewPath("spec")
	if n := wanted(d); n < 0 {
		errs = append(errs, field.Invalid(spec.Child("replicas"), n, "must be greater than or equal to 0"))
	} else if n > maxReplicas {
		errs = append(errs, field.Invalid(spec.Child("replicas"), n, fmt.Sprintf("the practice cluster has room for %d pods of a deployment", maxReplicas)))
	}
	if !reflect.DeepEqual(d.Spec.Selector, old.Spec.Selector) {
		errs = append(errs, field.Invalid(spec.Child("selector"), d.Spec.Selector, "field is immutable"))
	} else if s, err := metav1.LabelSelectorAsSelector(d.Spec.Selector); err != nil || !s.Matches(labels.Set(d.Spec.Template.Labels)) {
		errs = append(errs, field.Invalid(spec.Child("template", "metadata", "labels"), d.Spec.Template.Labels, "`selector` does not match template `labels`"))
	}
	if len(d.Spec.Template.Spec.Containers) == 0 {
		errs = append(errs, field.Required(spec.Child("template", "spec", "containers"), ""))
	}
	for i, one := range d.Spec.Template.Spec.Containers {
		if one.Name == "" || one.Image == "" {
			errs = append(errs, field.Required(spec.Child("template", "spec", "containers").Index(i), "name and image"))
		}
	}
	return errs
}

// maxReplicas bounds what the cluster keeps in memory and in its file.
const maxReplicas = 200

func (c *Cluster) updateDeployment(r *http.Request) (any, error) {
	var in appsv1.Deployment
	if err := c.decode(r, &in); err != nil {
		return nil, err
	}
	return c.changeDeployment(r, func(d *appsv1.Deployment) error {
		if in.Namespace == "" {
			in.Namespace = d.Namespace
		}
		in.DeepCopyInto(d)
		return nil
	})
}

func (c *Cluster) patchDeployment(r *http.Request) (any, error) {
	apply, err := readPatch(r)
	if err != nil {
		return nil, err
	}
	return c.changeDeployment(r, func(d *appsv1.Deployment) error {
		var out appsv1.Deployment
		d.ResourceVersion = "" // a patch is checked against a version only when it brings one
		if err := apply(d, &out); err != nil {
			return err
		}
		out.DeepCopyInto(d)
		return nil
	})
}

func (c *Cluster) getScale(r *http.Request) (any, error) {
	o, _ := c.store.get(deployments.name, requestKey(r))
	d, ok := o.(*appsv1.Deployment)
	if !ok {
		return nil, apierrors.NewNotFound(deployments.groupResource(), r.PathValue("name"))
	}
	return scaleOf(d), nil
}

func (c *Cluster) updateScale(r *http.Request) (any, error) {
	var in autoscalingv1.Scale
	if err := c.decode(r, &in); err != nil {
		return nil, err
	}
	d, err := c.changeDeployment(r, func(d *appsv1.Deployment) error { return setScale(d, in) })
	if err != nil {
		return nil, err
	}
	return scaleOf(d), nil
}

func (c *Cluster) patchScale(r *http.Request) (any, error) {
	apply, err := readPatch(r)
	if err != nil {
		return nil, err
	}
	d, err := c.changeDeployment(r, func(d *appsv1.Deployment) error {
		from := scaleOf(d)
		from.ResourceVersion = ""
		var to autoscalingv1.Scale
		if err := apply(from, &to); err != nil {
			return err
		}
		return setScale(d, to)
	})
	if err != nil {
		return nil, err
	}
	return scaleOf(d), nil
}

// setScale takes the number of pods, and the fences when there are any, from a scale.
func setScale(d *appsv1.Deployment, s autoscalingv1.Scale) error {
	if (s.Name != "" && s.Name != d.Name) || (s.Namespace != "" && s.Namespace != d.Namespace) {
		return apierrors.NewBadRequest("the name or the namespace of the scale does not match the request")
	}
	if s.UID != "" {
		d.UID = s.UID
	}
	if s.ResourceVersion != "" {
		d.ResourceVersion = s.ResourceVersion
	}
	d.Spec.Replicas = &s.Spec.Replicas
	return nil
}

func scaleOf(d *appsv1.Deployment) *autoscalingv1.Scale {
	selector := ""
	if s, err := metav1.LabelSelectorAsSelector(d.Spec.Selector); err == nil {
		selector = s.String()
	}
	return &autoscalingv1.Scale{
		TypeMeta: listType(autoscalingv1.SchemeGroupVersion, "Scale"),
		ObjectMeta: metav1.ObjectMeta{
			Name: d.Name, Namespace: d.Namespace, UID: d.UID, ResourceVersion: d.ResourceVersion, CreationTimestamp: d.CreationTimestamp,
		},
		Spec:   autoscalingv1.ScaleSpec{Replicas: wanted(d)},
		Status: autoscalingv1.ScaleStatus{Replicas: d.Status.Replicas, Selector: selector},
	}
}

// decode reads a body of JSON, YAML or protobuf into an object of the wanted kind.
func (c *Cluster) decode(r *http.Request, into object) error {
	body, err := readBody(r)
	if err != nil {
		return err
	}
	want := deployments.group.WithKind(deployments.kind)
	if _, is := into.(*autoscalingv1.Scale); is {
		want = autoscalingv1.SchemeGroupVersion.WithKind("Scale")
	}
	_, got, err := c.decoder.Decode(body, &want, into)
	if err != nil {
		return apierrors.NewBadRequest("the body cannot be decoded: " + err.Error())
	}
	if *got != want {
		return apierrors.NewBadRequest(fmt.Sprintf("the body is a %s, expected a %s", got.Kind, want.Kind))
	}
	return nil
}

// readPatch returns the function that applies a request's patch to from and decodes the result into to.
func readPatch(r *http.Request) (func(from, to any) error, error) {
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	strategic := types.PatchType(media) == types.StrategicMergePatchType
	if err != nil || (!strategic && types.PatchType(media) != types.MergePatchType) {
		return nil, &apierrors.StatusError{ErrStatus: metav1.Status{
			Status: metav1.StatusFailure, Code: http.StatusUnsupportedMediaType, Reason: metav1.StatusReasonUnsupportedMediaType,
			Message: "the body of the request was in an unknown format - accepted media types include: " +
				string(types.MergePatchType) + ", " + string(types.StrategicMergePatchType),
		}}
	}
	patch, err := readBody(r)
	if err != nil {
		return nil, err
	}
	return func(from, to any) error {
		before, err := json.Marshal(from)
		if err != nil {
			return err
		}
		var after []byte
		if strategic {
			after, err = strategicpatch.StrategicMergePatch(before, patch, to)
		} else {
			after, err = mergePatch(before, patch)
		}
		if err == nil {
			err = json.Unmarshal(after, to)
		}
		if err != nil {
			return apierrors.NewBadRequest("the patch cannot be applied: " + err.Error())
		}
		return nil
	}, nil
}

// mergePatch applies an RFC 7386 patch.
func mergePatch(doc, patch []byte) ([]byte, error) {
	var d, p any
	if err := json.Unmarshal(doc, &d); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(patch, &p); err != nil {
		return nil, err
	}
	return json.Marshal(merge(d, p))
}

func merge(d, p any) any {
	change, is := p.(map[string]any)
	if !is {
		return p
	}
	out, is := d.(map[string]any)
	if !is {
		out = map[string]any{}
	}
	for name, value := range change {
		if value == nil {
			delete(out, name)
		} else {
			out[name] = merge(out[name], value)
		}
	}
	return out
}
