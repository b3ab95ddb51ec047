// Command e2e-kube starts a real Kubernetes control plane on loopback, runs a command against it and takes all of it down
// again. What stands in for the rest of a cluster is described in the README beside this file.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"k8s.io/klog/v2"

	"palmops/deployments/e2e-kube/internal/suite"
)

func main() {
	bin := flag.String("bin", "", "folder with etcd, kube-apiserver and kube-controller-manager")
	keep := flag.Bool("keep", false, "keep the data and the logs, and say where they are")
	rights := flag.Bool("rights", false, "fail when the command has not used every right of rbac.yaml")
	flag.Parse()
	klog.LogToStderr(false)
	klog.SetOutput(io.Discard)

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGQUIT)
	err := suite.Run(ctx, suite.Options{Bin: *bin, Keep: *keep, Rights: *rights, Command: flag.Args()})
	stop()
	if err == nil {
		return
	}
	fmt.Fprintln(os.Stderr, "e2e-kube:", err)
	var failed *exec.ExitError
	if errors.As(err, &failed) && failed.ExitCode() > 0 {
		os.Exit(failed.ExitCode())
	}
	os.Exit(1)
}
