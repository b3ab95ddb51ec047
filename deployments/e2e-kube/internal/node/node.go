// Package node stands in for the nodes of a cluster: it registers them, places pods on them as a scheduler would, writes the
// status a kubelet would write, lets deleted pods go, and serves their logs. Nothing is run.
//
// What a pod does can be chosen by its annotations; see Annotations.
package node

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	listers "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"

	"palmops/deployments/e2e-kube/internal/pki"
)

// PoolLabel says which of the nodes a pod may ask for in its nodeSelector.
const PoolLabel = "e2e-kube/pool"

// workers is how many pods are looked at at once; again is when a pod without a node is looked at again.
const (
	workers = 4
	again   = 500 * time.Millisecond
)

// Fleet is all nodes of one cluster.
type Fleet struct {
	client  kubernetes.Interface
	pods    listers.PodLister
	nodes   listers.NodeLister
	queue   workqueue.TypedRateLimitingInterface[types.NamespacedName]
	pools   map[string]string // by node
	mu      sync.Mutex
	started map[types.UID]time.Time // when a pod's containers began, to the nanosecond
	stopped map[types.UID]time.Time // when a pod was first seen deleted
	chosen  map[types.UID]string    // nodes given to pods whose binding the lister does not show yet
}

// Run registers the nodes and works until the context ends. Pools names the pool of each node. Ready is called once the nodes are there.
func Run(ctx context.Context, client kubernetes.Interface, authority *pki.Authority, pools map[string]string, ready func()) error {
	f := &Fleet{
		client: client, pools: pools, started: map[types.UID]time.Time{}, stopped: map[types.UID]time.Time{}, chosen: map[types.UID]string{},
		queue: workqueue.NewTypedRateLimitingQueue(workqueue.NewTypedItemExponentialFailureRateLimiter[types.NamespacedName](50*time.Millisecond, time.Second)),
	}
	listener, err := f.listen(authority)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: f.logs(), ReadHeaderTimeout: 5 * time.Second}
	var group sync.WaitGroup
	defer group.Wait()
	defer server.Close()
	group.Go(func() { _ = server.Serve(listener) }) // ends with Close
	for name, pool := range pools {
		if err := f.register(ctx, name, pool, listener.Addr().(*net.TCPAddr).Port); err != nil { // a TCP listener has no other
			return err
		}
	}
	return f.work(ctx, ready)
}

func (f *Fleet) work(ctx context.Context, ready func()) error {
	factory := informers.NewSharedInformerFactory(f.client, 0)
	defer factory.Shutdown()
	defer f.queue.ShutDown()
	pods := factory.Core().V1().Pods()
	f.pods, f.nodes = pods.Lister(), factory.Core().V1().Nodes().Lister()
	_, err := pods.Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(o any) { f.enqueue(o) },
		UpdateFunc: func(_, o any) { f.enqueue(o) },
		DeleteFunc: func(o any) { f.forget(o) },
	})
	if err != nil {
		return fmt.Errorf("pods: %w", err)
	}
	factory.StartWithContext(ctx)
	for kind, ok := range factory.WaitForCacheSync(ctx.Done()) {
		if !ok {
			return fmt.Errorf("list %s: %w", kind, context.Cause(ctx))
		}
	}
	var group sync.WaitGroup
	for range workers {
		group.Go(func() {
			for f.next(ctx) {
			}
		})
	}
	ready()
	<-ctx.Done()
	f.queue.ShutDown()
	group.Wait()
	return nil
}

func (f *Fleet) enqueue(o any) {
	if p, is := o.(*corev1.Pod); is {
		f.queue.Add(types.NamespacedName{Namespace: p.Namespace, Name: p.Name})
	}
}

func (f *Fleet) forget(o any) {
	if gone, is := o.(cache.DeletedFinalStateUnknown); is {
		o = gone.Obj
	}
	p, is := o.(*corev1.Pod)
	if !is {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.started, p.UID)
	delete(f.stopped, p.UID)
	delete(f.chosen, p.UID)
}

// next looks at one pod; false when there is nothing more to do.
func (f *Fleet) next(ctx context.Context) bool {
	key, over := f.queue.Get()
	if over {
		return false
	}
	defer f.queue.Done(key)
	after, err := f.sync(ctx, key)
	switch {
	case ctx.Err() != nil:
	case err != nil:
		f.queue.AddRateLimited(key)
	default:
		f.queue.Forget(key)
		if after > 0 {
			f.queue.AddAfter(key, after)
		}
	}
	return true
}

// register makes a node, or takes over one that an earlier run has left.
func (f *Fleet) register(ctx context.Context, name, pool string, port int) error {
	plenty := corev1.ResourceList{
		corev1.ResourceCPU: resource.MustParse("16"), corev1.ResourceMemory: resource.MustParse("64Gi"), corev1.ResourcePods: resource.MustParse("250"),
	}
	now := metav1.Now()
	n := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{corev1.LabelHostname: name, PoolLabel: pool}},
		Status: corev1.NodeStatus{
			Capacity: plenty, Allocatable: plenty,
			Addresses:       []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: "127.0.0.1"}, {Type: corev1.NodeHostName, Address: name}},
			DaemonEndpoints: corev1.NodeDaemonEndpoints{KubeletEndpoint: corev1.DaemonEndpoint{Port: int32(port)}}, // a port
			NodeInfo:        corev1.NodeSystemInfo{KubeletVersion: "v0.0.0-e2e", OSImage: "none", ContainerRuntimeVersion: "none://0", OperatingSystem: "linux", Architecture: "amd64"},
			Conditions: []corev1.NodeCondition{{
				Type: corev1.NodeReady, Status: corev1.ConditionTrue, Reason: "KubeletReady", Message: "nothing is run here", LastHeartbeatTime: now, LastTransitionTime: now,
			}},
		},
	}
	_, err := f.client.CoreV1().Nodes().Create(ctx, n, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("node %s: %w", name, err)
	}
	return nil
}

func (f *Fleet) listen(authority *pki.Authority) (net.Listener, error) {
	pair, err := authority.Issue("node", x509.ExtKeyUsageServerAuth)
	if err != nil {
		return nil, err
	}
	cert, err := tls.LoadX509KeyPair(pair.Cert, pair.Key)
	if err != nil {
		return nil, fmt.Errorf("certificate of the nodes: %w", err)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		Certificates: []tls.Certificate{cert}, ClientCAs: authority.Pool(), ClientAuth: tls.RequireAndVerifyClientCert, MinVersion: tls.VersionTLS13,
	})
	if err != nil {
		return nil, fmt.Errorf("nodes: %w", err)
	}
	return l, nil
}
