// Package control starts control planes: one etcd, and for every cluster a kube-apiserver with its own part of it. The main
// cluster also gets the controllers that the suite needs. All of them listen on loopback only.
package control

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"palmops/deployments/e2e-kube/internal/pki"
	"palmops/deployments/e2e-kube/internal/process"
)

// Users of every cluster, by token. Admin may do everything, Executor what rbac.yaml gives it, Nobody nothing at all.
const (
	Admin    = "e2e-admin"
	Executor = "palmops-executor"
	Nobody   = "e2e-nobody"
)

// patience is how long a program may take until it answers, and attempts how often a port may turn out to be taken.
const (
	patience = 90 * time.Second
	attempts = 3
)

// controllers are those of kube-controller-manager that the suite needs, and no others.
var controllers = []string{
	"deployment-controller", "replicaset-controller", "statefulset-controller", "daemonset-controller", "disruption-controller",
	"garbage-collector-controller", "namespace-controller", "serviceaccount-controller",
}

// Plane is what is running, with the files that belong to it.
type Plane struct {
	bin, dir  string
	authority *pki.Authority
	client    pki.Pair // by which API servers are known to nodes
	tokens    map[string]string
	etcd      string // its URL
	processes []*process.Process
}

// Cluster is one API server.
type Cluster struct {
	Name  string
	URL   string
	Audit string // path of the audit log

	plane *Plane
}

// New prepares keys and starts etcd. Bin holds the programs; everything is written below dir.
func New(ctx context.Context, bin, dir string) (*Plane, error) {
	p := &Plane{bin: bin, dir: dir, tokens: map[string]string{}}
	var err error
	if p.authority, err = pki.New(dir); err != nil {
		return nil, err
	}
	if p.client, err = p.authority.Issue("apiserver-to-node", x509.ExtKeyUsageClientAuth); err != nil {
		return nil, err
	}
	if _, err = p.authority.Issue("apiserver", x509.ExtKeyUsageServerAuth); err != nil {
		return nil, err
	}
	if _, err = p.authority.Issue("service-accounts", x509.ExtKeyUsageClientAuth); err != nil {
		return nil, err
	}
	if err := p.users(); err != nil {
		return nil, err
	}
	p.etcd, err = p.serve(ctx, "etcd", func(port int) (string, []string) {
		url := "http://127.0.0.1:" + strconv.Itoa(port)
		return url + "/health", []string{
			"--data-dir", filepath.Join(dir, "etcd"), "--unsafe-no-fsync", "--log-level", "error",
			"--listen-client-urls", url, "--advertise-client-urls", url, "--listen-peer-urls", "http://127.0.0.1:0",
		}
	})
	return p, err
}

// users gives every user a token, in the form of kube-apiserver's --token-auth-file.
func (p *Plane) users() error {
	var lines strings.Builder
	for user, group := range map[string]string{Admin: "system:masters", Executor: "e2e", Nobody: "e2e"} {
		secret := make([]byte, 16)
		_, _ = rand.Read(secret) // never fails
		p.tokens[user] = hex.EncodeToString(secret)
		fmt.Fprintf(&lines, "%s,%s,%s,%s\n", p.tokens[user], user, user, group)
	}
	if err := os.WriteFile(p.file("tokens.csv"), []byte(lines.String()), 0o600); err != nil {
		return fmt.Errorf("tokens: %w", err)
	}
	if err := os.WriteFile(p.file("audit.yaml"), []byte(auditPolicy), 0o600); err != nil {
		return fmt.Errorf("audit policy: %w", err)
	}
	return nil
}

// auditPolicy records who asked for what, of the executor alone.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived, ResponseStarted]
rules:
  - level: Metadata
    users: [` + Executor + `]
  - level: None
`

// Cluster starts an API server.
func (p *Plane) Cluster(ctx context.Context, name string) (*Cluster, error) {
	dir := filepath.Join(p.dir, name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("folder: %w", err)
	}
	c := &Cluster{Name: name, Audit: filepath.Join(dir, "audit.log"), plane: p}
	var err error
	c.URL, err = p.serve(ctx, "kube-apiserver", func(port int) (string, []string) {
		return fmt.Sprintf("https://127.0.0.1:%d/readyz", port), []string{
			"--etcd-servers=" + p.etcd, "--etcd-prefix=/" + name,
			"--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", "--secure-port=" + strconv.Itoa(port), "--endpoint-reconciler-type=none",
			"--tls-cert-file=" + p.file("apiserver.crt"), "--tls-private-key-file=" + p.file("apiserver.key"), "--cert-dir=" + dir,
			"--token-auth-file=" + p.file("tokens.csv"), "--authorization-mode=RBAC", "--anonymous-auth=true",
			"--service-account-issuer=https://kubernetes.default.svc", "--service-cluster-ip-range=10.0.0.0/24",
			"--service-account-key-file=" + p.file("service-accounts.crt"), "--service-account-signing-key-file=" + p.file("service-accounts.key"),
			"--kubelet-certificate-authority=" + p.authority.File(), "--kubelet-preferred-address-types=InternalIP",
			"--kubelet-client-certificate=" + p.client.Cert, "--kubelet-client-key=" + p.client.Key,
			// Nothing here takes this taint off again: nodes are ready when they are made.
			"--disable-admission-plugins=TaintNodesByCondition",
			"--audit-policy-file=" + p.file("audit.yaml"), "--audit-log-path=" + c.Audit, "--audit-log-mode=blocking",
			"--profiling=false", "--v=1",
		}
	})
	return c, err
}

// Controllers starts the controllers of a cluster.
func (p *Plane) Controllers(c *Cluster) error {
	config := filepath.Join(p.dir, c.Name, "controllers.kubeconfig")
	if err := WriteConfig(config, "", Context{Name: c.Name, Cluster: c, User: Admin}); err != nil {
		return err
	}
	proc, err := process.Start(p.bin, p.dir, "kube-controller-manager", "--kubeconfig="+config, "--leader-elect=false", "--secure-port=0",
		"--controllers="+strings.Join(controllers, ","), "--kube-api-qps=200", "--kube-api-burst=400", "--v=1")
	if err != nil {
		return err
	}
	p.processes = append(p.processes, proc)
	return nil
}

// Client speaks to a cluster as a user.
func (c *Cluster) Client(user string) (*kubernetes.Clientset, error) {
	return kubernetes.NewForConfig(&rest.Config{
		Host: c.URL, BearerToken: c.plane.tokens[user], QPS: 200, Burst: 400,
		TLSClientConfig: rest.TLSClientConfig{CAFile: c.plane.authority.File()},
	})
}

// Authority signs the certificates of this plane; nodes need one, and know API servers by it.
func (p *Plane) Authority() *pki.Authority { return p.authority }

// Stop ends everything, the newest first.
func (p *Plane) Stop() {
	for i := len(p.processes) - 1; i >= 0; i-- {
		p.processes[i].Stop()
	}
}

func (p *Plane) file(name string) string { return filepath.Join(p.dir, name) }

// serve starts a program on a free port and waits until it answers. Somebody else may take the port before the program does: a program
// that ends early is started again on another one.
func (p *Plane) serve(ctx context.Context, name string, on func(port int) (ready string, args []string)) (url string, err error) {
	for range attempts {
		port, perr := freePort()
		if perr != nil {
			return "", perr
		}
		ready, args := on(port)
		proc, perr := process.Start(p.bin, p.dir, name, args...)
		if perr != nil {
			return "", perr
		}
		err = p.await(ctx, ready, proc.Done())
		if err == nil {
			p.processes = append(p.processes, proc)
			return ready[:strings.LastIndexByte(ready, '/')], nil
		}
		proc.Stop()
		err = fmt.Errorf("%s: %w; it said: %s", name, err, proc.Tail(2000))
		if !errors.Is(err, errEnded) {
			break
		}
	}
	return "", err
}

var errEnded = errors.New("it ended before it was ready")

// await asks until the answer is 200.
func (p *Plane) await(ctx context.Context, url string, ended <-chan struct{}) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	client := p.authority.Client()
	defer client.CloseIdleConnections()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
		if err != nil {
			return fmt.Errorf("request: %w", err)
		}
		if resp, err := client.Do(req); err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-ended:
			return errEnded
		case <-ctx.Done():
			return fmt.Errorf("not ready: %w", context.Cause(ctx))
		case <-tick.C:
		}
	}
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("free port: %w", err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil // a TCP listener has no other
}
