//go:build e2e

package kubernetes_test

import (
	"net/http"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// Collections of the API.
const (
	shopDeployments  = "/apis/apps/v1/namespaces/shop/deployments"
	shopStatefulSets = "/apis/apps/v1/namespaces/shop/statefulsets"
	shopDaemonSets   = "/apis/apps/v1/namespaces/shop/daemonsets"
	shopBudgets      = "/apis/policy/v1/namespaces/shop/poddisruptionbudgets"
	shopPods         = "/api/v1/namespaces/shop/pods"
	allNodes         = "/api/v1/nodes"
)

// What a pod does; see deployments/e2e-kube/internal/node.
const (
	readyAfter = "e2e-kube/ready-after"
	stopAfter  = "e2e-kube/stop-after"
	logLines   = "e2e-kube/log-lines"
	restarts   = "e2e-kube/restarts"
	crash      = "e2e-kube/crash"
	pool       = "e2e-kube/pool"
)

// template is a pod with one container, app, that does what the pairs of annotations say.
func template(name string, annotations ...string) corev1.PodTemplateSpec {
	out := corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": name}, Annotations: map[string]string{}},
		Spec: corev1.PodSpec{
			NodeSelector: map[string]string{pool: "common"}, Containers: []corev1.Container{{Name: "app", Image: "registry.shop/" + name + ":1.0"}},
		},
	}
	for i := 0; i < len(annotations); i += 2 {
		out.Annotations[annotations[i]] = annotations[i+1]
	}
	return out
}

func deploymentOf(name string, replicas int32, annotations ...string) *appsv1.Deployment {
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: appsv1.DeploymentSpec{
			Replicas: &replicas, Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": name}}, Template: template(name, annotations...),
		},
	}
}

func statefulSetOf(name string, replicas int32, annotations ...string) *appsv1.StatefulSet {
	return &appsv1.StatefulSet{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: appsv1.StatefulSetSpec{
			Replicas: &replicas, Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": name}}, Template: template(name, annotations...),
			ServiceName: name, PodManagementPolicy: appsv1.ParallelPodManagement,
		},
	}
}

func daemonSetOf(name string) *appsv1.DaemonSet {
	out := &appsv1.DaemonSet{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       appsv1.DaemonSetSpec{Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": name}}, Template: template(name)},
	}
	out.Spec.Template.Spec.NodeSelector = nil
	return out
}

func budgetOf(name string, least int32) *policyv1.PodDisruptionBudget {
	n := intstr.FromInt32(least)
	return &policyv1.PodDisruptionBudget{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       policyv1.PodDisruptionBudgetSpec{MinAvailable: &n, Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": name}}},
	}
}

// deployed makes a deployment in shop and waits until all of it is ready.
func deployed(t *testing.T, a *admin, d *appsv1.Deployment) *appsv1.Deployment {
	t.Helper()
	a.make(t, shopDeployments, d.Name, d)
	return settled(t, a, d.Name)
}

// settled waits until a deployment in shop is as it should be.
func settled(t *testing.T, a *admin, name string) *appsv1.Deployment {
	t.Helper()
	return await(t, a, shopDeployments, "fieldSelector=metadata.name%3D"+name, func(d *appsv1.Deployment) bool {
		n := *d.Spec.Replicas
		s := d.Status
		return s.ObservedGeneration >= d.Generation && s.Replicas == n && s.UpdatedReplicas == n && s.ReadyReplicas == n
	})
}

func (a *admin) deployment(t *testing.T, name string) *appsv1.Deployment {
	t.Helper()
	out := &appsv1.Deployment{}
	a.do(t, http.MethodGet, shopDeployments+"/"+name, nil, out)
	return out
}

// pods lists the pods of an app in shop.
func (a *admin) pods(t *testing.T, app string) []corev1.Pod {
	t.Helper()
	out := &corev1.PodList{}
	a.do(t, http.MethodGet, shopPods+"?labelSelector=app%3D"+app, nil, out)
	return out.Items
}

func isReady(p *corev1.Pod) bool {
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

type budget = policyv1.PodDisruptionBudget

// podOf is a pod without a controller.
func podOf(name string, t corev1.PodTemplateSpec) *corev1.Pod {
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: t.Labels, Annotations: t.Annotations}, Spec: t.Spec}
}
