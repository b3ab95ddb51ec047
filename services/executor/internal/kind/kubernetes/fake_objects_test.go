package kubernetes

import (
	"fmt"
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
)

// fakeObject is anything that the fake stores. A stored one is never changed, only replaced.
type fakeObject interface {
	metav1.Object
	runtime.Object
}

// kinds makes an empty object of each resource that the fake offers.
var kinds = map[string]func() fakeObject{
	"namespaces":  func() fakeObject { return &corev1.Namespace{TypeMeta: core("Namespace")} },
	"pods":        func() fakeObject { return &corev1.Pod{TypeMeta: core("Pod")} },
	"nodes":       func() fakeObject { return &corev1.Node{TypeMeta: core("Node")} },
	"events":      func() fakeObject { return &corev1.Event{TypeMeta: core("Event")} },
	"deployments": func() fakeObject { return &appsv1.Deployment{TypeMeta: apps("Deployment")} },
	"replicasets": func() fakeObject { return &appsv1.ReplicaSet{TypeMeta: apps("ReplicaSet")} },
	"statefulsets": func() fakeObject {
		return &appsv1.StatefulSet{TypeMeta: apps("StatefulSet")}
	},
}

func core(kind string) metav1.TypeMeta { return metav1.TypeMeta{APIVersion: "v1", Kind: kind} }
func apps(kind string) metav1.TypeMeta { return metav1.TypeMeta{APIVersion: "apps/v1", Kind: kind} }

func templateOf(o fakeObject) *corev1.PodTemplateSpec {
	switch x := o.(type) {
	case *appsv1.Deployment:
		return &x.Spec.Template
	case *appsv1.StatefulSet:
		return &x.Spec.Template
	}
	return nil
}

// put adds an object, which is the fake's from now on.
func (f *fakeAPI) put(resource string, o fakeObject) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rv++
	o.SetResourceVersion(strconv.Itoa(f.rv))
	if o.GetUID() == "" {
		o.SetUID(types.UID(fmt.Sprint("uid-", o.GetNamespace(), o.GetName(), f.rv)))
	}
	o.GetObjectKind().SetGroupVersionKind(kinds[resource]().GetObjectKind().GroupVersionKind())
	f.objects[resource+"/"+o.GetNamespace()+"/"+o.GetName()] = o
}

func labelled(name string) *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchLabels: map[string]string{"app": name}}
}

func (f *fakeAPI) add(ns, name string, replicas int32) {
	f.put("deployments", &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name, Generation: 1},
		Spec:       appsv1.DeploymentSpec{Replicas: &replicas, Selector: labelled(name)},
		Status:     appsv1.DeploymentStatus{ObservedGeneration: 1, Replicas: replicas, UpdatedReplicas: replicas, ReadyReplicas: replicas},
	})
}

func (f *fakeAPI) addStateful(ns, name string, replicas int32) {
	f.put("statefulsets", &appsv1.StatefulSet{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name, Generation: 1},
		Spec:       appsv1.StatefulSetSpec{Replicas: &replicas, Selector: labelled(name)},
		Status:     appsv1.StatefulSetStatus{ObservedGeneration: 1, Replicas: replicas, UpdatedReplicas: replicas, ReadyReplicas: replicas},
	})
}

func (f *fakeAPI) addNode(name string) {
	f.put("nodes", &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Status: corev1.NodeStatus{
			Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}},
			NodeInfo:   corev1.NodeSystemInfo{KubeletVersion: "v1.37.2"},
		},
	})
}

// addPod adds a running pod that a controller of a kind owns; "" is for none.
func (f *fakeAPI) addPod(ns, name, node, owner string, edit ...func(*corev1.Pod)) {
	yes := true
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name},
		Spec:       corev1.PodSpec{NodeName: node, Containers: []corev1.Container{{Name: "main", Image: "img:1"}}},
		Status: corev1.PodStatus{Phase: corev1.PodRunning, ContainerStatuses: []corev1.ContainerStatus{{
			Name: "main", Ready: true, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}},
		}}},
	}
	if owner != "" {
		p.OwnerReferences = []metav1.OwnerReference{{Kind: owner, Name: "set", UID: "uid-set", Controller: &yes}}
	}
	for _, e := range edit {
		e(p)
	}
	f.put("pods", p)
}

// addRevision adds the replica set of a deployment's revision.
func (f *fakeAPI) addRevision(ns, name string, revision int64, image, cause string) {
	d, yes := f.get(ns+"/"+name), true
	rs := &appsv1.ReplicaSet{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: ns, Name: fmt.Sprintf("%s-hash%d", name, revision), Labels: map[string]string{"app": name},
			Annotations:     map[string]string{revisionAnnotation: strconv.FormatInt(revision, 10)},
			OwnerReferences: []metav1.OwnerReference{{Kind: "Deployment", Name: name, UID: d.UID, Controller: &yes}},
		},
		Spec: appsv1.ReplicaSetSpec{Template: corev1.PodTemplateSpec{
			ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": name, appsv1.DefaultDeploymentUniqueLabelKey: fmt.Sprint("hash", revision)}},
			Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "main", Image: image}}},
		}},
	}
	if cause != "" {
		rs.Annotations[causeAnnotation] = cause
	}
	f.put("replicasets", rs)
}

// rollOut makes a revision the deployment's current one.
func (f *fakeAPI) rollOut(key string, revision int64) {
	ns, name, _ := cutKey(key)
	f.mu.Lock()
	rs := f.objects[fmt.Sprintf("replicasets/%s/%s-hash%d", ns, name, revision)].(*appsv1.ReplicaSet)
	f.mu.Unlock()
	f.change(key, func(d *appsv1.Deployment) {
		rs.Spec.Template.DeepCopyInto(&d.Spec.Template)
		delete(d.Spec.Template.Labels, appsv1.DefaultDeploymentUniqueLabelKey)
		if d.Annotations == nil {
			d.Annotations = map[string]string{}
		}
		d.Annotations[revisionAnnotation] = strconv.FormatInt(revision, 10)
		delete(d.Annotations, causeAnnotation)
		if cause := rs.Annotations[causeAnnotation]; cause != "" {
			d.Annotations[causeAnnotation] = cause
		}
		d.Generation++
	})
	n := *f.get(key).Spec.Replicas
	f.change(key, setReady(n, n))
}

func cutKey(key string) (ns, name string, ok bool) {
	for i := range key {
		if key[i] == '/' {
			return key[:i], key[i+1:], true
		}
	}
	return "", key, false
}

// change changes a deployment as somebody else would, or its controller.
func (f *fakeAPI) change(key string, change func(d *appsv1.Deployment)) {
	edit(f, "deployments/"+key, change)
}

// edit changes any object.
func edit[T fakeObject](f *fakeAPI, key string, change func(T)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.editLocked(key, func(o fakeObject) { change(o.(T)) })
}

func (f *fakeAPI) editLocked(key string, change func(fakeObject)) {
	o := f.objects[key].DeepCopyObject().(fakeObject)
	change(o)
	f.rv++
	o.SetResourceVersion(strconv.Itoa(f.rv))
	f.objects[key] = o
	f.tell(key, watchEvent{"MODIFIED", o})
}

func (f *fakeAPI) tell(key string, ev watchEvent) {
	for _, w := range f.watches {
		if w.key == key {
			w.events <- ev
		}
	}
}

// settleLocked does what the controller would, if it works at once.
func (f *fakeAPI) settleLocked(key string) {
	if !f.auto {
		return
	}
	f.editLocked(key, func(o fakeObject) {
		switch x := o.(type) {
		case *appsv1.Deployment:
			setReady(*x.Spec.Replicas, *x.Spec.Replicas)(x)
		case *appsv1.StatefulSet:
			n := *x.Spec.Replicas
			x.Status = appsv1.StatefulSetStatus{ObservedGeneration: x.Generation, Replicas: n, UpdatedReplicas: n, ReadyReplicas: n}
		}
	})
}

func (f *fakeAPI) drop(key string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.dropLocked(key)
}

func (f *fakeAPI) dropLocked(key string) {
	o := f.objects[key]
	delete(f.objects, key)
	f.tell(key, watchEvent{"DELETED", o})
}

func (f *fakeAPI) get(key string) *appsv1.Deployment {
	return read[*appsv1.Deployment](f, "deployments/"+key)
}

// read is an object as it is stored; the zero value when there is none.
func read[T fakeObject](f *fakeAPI, key string) T {
	f.mu.Lock()
	defer f.mu.Unlock()
	o, _ := f.objects[key].(T)
	return o
}

func setReplicas(n int32) func(*appsv1.Deployment) {
	return func(d *appsv1.Deployment) { d.Spec.Replicas = &n; d.Generation++ }
}

func setRestarted(at string) func(*appsv1.Deployment) {
	return func(d *appsv1.Deployment) {
		d.Spec.Template.Annotations = map[string]string{RestartAnnotation: at}
		d.Generation++
	}
}

func setReady(total, ready int32) func(*appsv1.Deployment) {
	return func(d *appsv1.Deployment) {
		d.Status = appsv1.DeploymentStatus{ObservedGeneration: d.Generation, Replicas: total, UpdatedReplicas: total, ReadyReplicas: ready}
	}
}
