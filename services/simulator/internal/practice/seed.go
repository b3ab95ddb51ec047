package practice

import (
	"slices"
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	quantity "k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/uuid"
)

func newUID() types.UID { return uuid.NewUUID() }

// sample is one deployment of a new cluster.
type sample struct {
	namespace, name string
	replicas        int32
	image           string
	port            int32
	readyLimit      string
	history         []string // images of earlier revisions, the oldest first
	leastReady      int      // an eviction must leave so many pods ready
}

func samples() []sample {
	return []sample{
		{namespace: "shop", name: "web", replicas: 3, image: "registry.local/shop/web:2.14.3", port: 8080},
		{namespace: "shop", name: "api", replicas: 2, image: "registry.local/shop/api:5.2.0", port: 9000, history: []string{"registry.local/shop/api:5.1.0", "registry.local/shop/api:5.1.9"}},
		{namespace: "shop", name: "cart", replicas: 2, image: "registry.local/shop/cart:1.9.1", port: 9001},
		{namespace: "shop", name: "worker", replicas: 1, image: "registry.local/shop/worker:3.0.7"},
		// Never more than one pod gets ready: what a full cluster or a broken image looks like.
		{namespace: "shop", name: "stuck", replicas: 1, image: "registry.local/shop/stuck:0.0.1", readyLimit: "1"},
		{namespace: "pay", name: "gateway", replicas: 3, image: "registry.local/pay/gateway:7.1.4", port: 8443, leastReady: 2},
		{namespace: "pay", name: "ledger", replicas: 2, image: "registry.local/pay/ledger:4.6.2", port: 9100},
		{namespace: "logi", name: "route", replicas: 2, image: "registry.local/logi/route:3.3.0", port: 9200},
		{namespace: "logi", name: "track", replicas: 3, image: "registry.local/logi/track:1.12.5", port: 9201},
		{namespace: "plat", name: "login", replicas: 4, image: "registry.local/plat/login:6.0.2", port: 8444},
		{namespace: "plat", name: "config", replicas: 1, image: "registry.local/plat/config:2.8.1", port: 9300},
		{namespace: "kube-system", name: "coredns", replicas: 2, image: "registry.k8s.io/coredns/coredns:v1.13.1", port: 53},
	}
}

// firstVersion is the resource version of a new cluster: a real one has a history before anybody looks.
const firstVersion = 1000

// seed makes a new cluster in which everything is ready.
func seed(now metav1.Time) (uint64, state) {
	s := newStore(firstVersion, state{}, 0, nil)
	// Neither the function nor the saving can fail here.
	_ = s.change(func(t *transaction) error {
		furnish(t, now)
		return nil
	})
	return s.version, s.objects
}

// furnish adds the namespaces that are missing, each with its deployments and their pods, all ready. The API has no way to delete
// a namespace: one is missing from a new cluster, or from the file of an older program that did not know it.
func furnish(t *transaction, now metav1.Time) {
	for _, name := range []string{"default", "kube-system", "logi", "pay", "plat", "shop"} {
		if _, there := t.get(namespaces.name, key{name: name}); there {
			continue
		}
		t.put(namespaces.name, namespaces.withType(&corev1.Namespace{
			ObjectMeta: metav1.ObjectMeta{Name: name, UID: newUID(), CreationTimestamp: now, Labels: map[string]string{corev1.LabelMetadataName: name}},
			Spec:       corev1.NamespaceSpec{Finalizers: []corev1.FinalizerName{corev1.FinalizerKubernetes}},
			Status:     corev1.NamespaceStatus{Phase: corev1.NamespaceActive},
		}))
		for _, one := range samples() {
			if one.namespace == name {
				one.put(t, now)
			}
		}
	}
	furnishNodes(t, now)
	furnishStatefulSets(t, now)
	adopt(t, now)
}

// put adds a deployment that has got everything it asks for.
func (s sample) put(t *transaction, now metav1.Time) {
	d := s.deployment(now)
	var owned []*corev1.Pod
	for {
		p := reconcile(d, owned, now)
		if p.empty() {
			break
		}
		for _, pod := range p.put {
			owned = slices.DeleteFunc(owned, func(o *corev1.Pod) bool { return o.Name == pod.Name })
			owned = append(owned, pod)
		}
		if p.deployment != nil {
			d = p.deployment
		}
	}
	t.put(deployments.name, deployments.withType(d))
	for _, pod := range owned {
		t.put(pods.name, pod)
	}
}

func (s sample) deployment(now metav1.Time) *appsv1.Deployment {
	labels := map[string]string{"app": s.name}
	quarter := intstr.FromString("25%")
	history, deadline := int32(10), int32(600)
	c := corev1.Container{
		Name: s.name, Image: s.image, ImagePullPolicy: corev1.PullIfNotPresent,
		Resources: corev1.ResourceRequirements{
			Requests: corev1.ResourceList{corev1.ResourceCPU: quantity.MustParse("100m"), corev1.ResourceMemory: quantity.MustParse("128Mi")},
			Limits:   corev1.ResourceList{corev1.ResourceMemory: quantity.MustParse("256Mi")},
		},
	}
	if s.port != 0 {
		c.Ports = []corev1.ContainerPort{{ContainerPort: s.port, Protocol: corev1.ProtocolTCP}}
	}
	d := &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{
			Name: s.name, Namespace: s.namespace, UID: newUID(), Generation: 1, CreationTimestamp: now,
			Labels: labels, Annotations: map[string]string{"deployment.kubernetes.io/revision": "1"},
		},
		Spec: appsv1.DeploymentSpec{
			Replicas: &s.replicas,
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{c}, RestartPolicy: corev1.RestartPolicyAlways, DNSPolicy: corev1.DNSClusterFirst},
			},
			Strategy: appsv1.DeploymentStrategy{
				Type:          appsv1.RollingUpdateDeploymentStrategyType,
				RollingUpdate: &appsv1.RollingUpdateDeployment{MaxUnavailable: &quarter, MaxSurge: &quarter},
			},
			RevisionHistoryLimit: &history, ProgressDeadlineSeconds: &deadline,
		},
	}
	if s.leastReady > 0 {
		d.Annotations[leastReady] = strconv.Itoa(s.leastReady)
	}
	if s.readyLimit != "" {
		d.Annotations[readyLimit] = s.readyLimit
	}
	return d.DeepCopy() // the label maps above are shared
}
