package suite

import (
	"bufio"
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"

	"palmops/deployments/e2e-kube/internal/control"
)

//go:embed rbac.yaml
var rbacFile []byte

// namespaces exist in every cluster. Rbac.yaml gives the executor no rights in the last one.
var namespaces = []string{"shop", "pay", "other"}

// furnish makes the namespaces and gives the executor its rights.
func furnish(ctx context.Context, c *control.Cluster) error {
	client, err := c.Client(control.Admin)
	if err != nil {
		return fmt.Errorf("client: %w", err)
	}
	for _, name := range namespaces {
		_, err := client.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
		if err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("namespace %s: %w", name, err)
		}
	}
	objects, err := rbac()
	if err != nil {
		return err
	}
	for _, o := range objects {
		if err := create(ctx, client, o); err != nil {
			return err
		}
	}
	return nil
}

// rbac decodes rbac.yaml.
func rbac() ([]runtime.Object, error) {
	var out []runtime.Object
	documents := yaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(rbacFile)))
	for {
		doc, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, fmt.Errorf("rbac.yaml: %w", err)
		}
		o, _, err := scheme.Codecs.UniversalDeserializer().Decode(doc, nil, nil)
		if err != nil {
			return nil, fmt.Errorf("rbac.yaml: %w", err)
		}
		out = append(out, o)
	}
}

// create makes one object of rbac.yaml. A new API server makes its own roles first and refuses until then.
func create(ctx context.Context, client *kubernetes.Clientset, object runtime.Object) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for range 100 {
		var err error
		switch o := object.(type) {
		case *rbacv1.ClusterRole:
			_, err = client.RbacV1().ClusterRoles().Create(ctx, o, metav1.CreateOptions{})
		case *rbacv1.ClusterRoleBinding:
			_, err = client.RbacV1().ClusterRoleBindings().Create(ctx, o, metav1.CreateOptions{})
		case *rbacv1.RoleBinding:
			_, err = client.RbacV1().RoleBindings(o.Namespace).Create(ctx, o, metav1.CreateOptions{})
		default:
			return fmt.Errorf("rbac.yaml: %T is not expected there", object)
		}
		switch {
		case err == nil, apierrors.IsAlreadyExists(err):
			return nil
		case !apierrors.IsForbidden(err):
			return fmt.Errorf("rbac.yaml: %w", err)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
	return errors.New("rbac.yaml: the API server refuses for too long")
}
