// Package suite puts a cluster together, runs a command against it and takes everything down again.
package suite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"palmops/deployments/e2e-kube/internal/control"
	"palmops/deployments/e2e-kube/internal/node"
	"palmops/deployments/e2e-kube/internal/process"
)

// Env names the folder with the files Kubeconfig and AdminKubeconfig. The command finds it in its environment.
const Env = "PALMOPS_E2E_KUBE"

// Files in the folder, and the contexts in them. Main has controllers and nodes; Bare is a second cluster, an API server
// alone. The executor's file has Unbound as well: a user of the main cluster without any right. Neither file has a current context.
const (
	Kubeconfig      = "kubeconfig"
	AdminKubeconfig = "admin.kubeconfig"
	Main            = "main"
	Bare            = "bare"
	Unbound         = "unbound"
)

// pools are the nodes of the main cluster and what they are for.
var pools = map[string]string{"node-1": "common", "node-2": "common", "node-3": "drain", "node-4": "drain"}

// Options say what to run.
type Options struct {
	Bin     string // folder with the programs
	Keep    bool   // keep the data
	Rights  bool   // every right must have been used
	Command []string
}

// Run runs the command. Its error is an *exec.ExitError when the command failed.
func Run(ctx context.Context, o Options) (err error) {
	if o.Bin == "" || len(o.Command) == 0 {
		return errors.New("usage: e2e-kube -bin FOLDER [-keep] [-rights] COMMAND [ARGUMENT...]")
	}
	bin, err := filepath.Abs(o.Bin)
	if err != nil {
		return fmt.Errorf("folder: %w", err)
	}
	dir, err := os.MkdirTemp("", "palmops-e2e-kube-")
	if err != nil {
		return fmt.Errorf("folder: %w", err)
	}
	if o.Keep {
		say("data and logs are in %s", dir)
	} else {
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	}
	began := time.Now()
	plane, err := control.New(ctx, bin, dir)
	if plane != nil {
		defer plane.Stop()
	}
	if err != nil {
		return err
	}
	clusters, err := both(ctx, plane)
	if err != nil {
		return err
	}
	if err := write(dir, clusters); err != nil {
		return err
	}
	return withNodes(ctx, plane, clusters[Main], func(ctx context.Context) error {
		say("ready after %.1f s", time.Since(began).Seconds())
		command, err := process.Attached(o.Command, []string{Env + "=" + dir})
		if err != nil {
			return err
		}
		if err := command.Wait(ctx); err != nil {
			return fmt.Errorf("%s: %w", filepath.Base(o.Command[0]), err)
		}
		say("the command ended after %.1f s", time.Since(began).Seconds())
		if o.Rights {
			return unused(clusters)
		}
		return nil
	})
}

// both starts the two clusters at the same time and furnishes them.
func both(ctx context.Context, plane *control.Plane) (map[string]*control.Cluster, error) {
	var group sync.WaitGroup
	var mu sync.Mutex
	clusters, problems := map[string]*control.Cluster{}, []error{}
	for _, name := range []string{Main, Bare} {
		group.Go(func() {
			c, err := plane.Cluster(ctx, name)
			if err == nil {
				err = furnish(ctx, c)
			}
			if err == nil && name == Main {
				err = plane.Controllers(c)
			}
			mu.Lock()
			defer mu.Unlock()
			clusters[name] = c
			if err != nil {
				problems = append(problems, fmt.Errorf("cluster %s: %w", name, err))
			}
		})
	}
	group.Wait()
	return clusters, errors.Join(problems...)
}

func write(dir string, clusters map[string]*control.Cluster) error {
	if err := control.WriteConfig(filepath.Join(dir, AdminKubeconfig), "",
		control.Context{Name: Main, Cluster: clusters[Main], User: control.Admin},
		control.Context{Name: Bare, Cluster: clusters[Bare], User: control.Admin}); err != nil {
		return err
	}
	return control.WriteConfig(filepath.Join(dir, Kubeconfig), "",
		control.Context{Name: Main, Cluster: clusters[Main], User: control.Executor},
		control.Context{Name: Bare, Cluster: clusters[Bare], User: control.Executor},
		control.Context{Name: Unbound, Cluster: clusters[Main], User: control.Nobody})
}

// withNodes calls f while the nodes of a cluster work. Nodes that give up end f.
func withNodes(ctx context.Context, plane *control.Plane, c *control.Cluster, f func(context.Context) error) error {
	client, err := c.Client(control.Admin)
	if err != nil {
		return fmt.Errorf("client: %w", err)
	}
	inner, end := context.WithCancelCause(ctx)
	defer end(nil)
	up, down := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(down)
		if err := node.Run(inner, client, plane.Authority(), pools, func() { close(up) }); err != nil {
			end(fmt.Errorf("nodes: %w", err))
		}
	}()
	select {
	case <-up:
		err = f(inner)
	case <-inner.Done():
		err = context.Cause(inner)
	}
	end(nil)
	<-down
	return err
}

func say(format string, args ...any) {
	fmt.Fprintln(os.Stderr, "e2e-kube:", strings.TrimSpace(fmt.Sprintf(format, args...)))
}
