// Package process runs the programs of the control plane and makes sure that none of them outlives the harness: each has a
// process group of its own that is ended as a whole, and the kernel kills it when the harness is killed.
package process

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

// patience is how long a program may take to end by itself.
const patience = 5 * time.Second

// Process is one running program.
type Process struct {
	name string
	cmd  *exec.Cmd
	log  string
	done chan struct{} // closed when it has ended
	err  error         // how it ended; to be read after done
}

// starts takes requests to start a program. The kernel sends the death signal when the thread ends that started the program,
// so all are started by one thread that never ends.
var starts = func() chan func() {
	c := make(chan func())
	go func() {
		runtime.LockOSThread()
		for f := range c {
			f()
		}
	}()
	return c
}()

// Start runs a program of folder bin with its output in folder logs. It has its own process group.
func Start(bin, logs, name string, args ...string) (*Process, error) {
	path := filepath.Join(logs, fmt.Sprintf("%s-%d.log", name, time.Now().UnixNano()))
	out, err := os.Create(path)
	if err != nil {
		return nil, fmt.Errorf("log of %s: %w", name, err)
	}
	defer out.Close() // the program has its own
	cmd := exec.Command(filepath.Join(bin, name), args...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.Dir = logs
	return launch(name, path, cmd)
}

// Attached runs a command with the harness's own output and additional environment.
func Attached(argv, env []string) (*Process, error) {
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), env...)
	return launch(argv[0], "", cmd)
}

func launch(name, log string, cmd *exec.Cmd) (*Process, error) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	failed := make(chan error)
	starts <- func() { failed <- cmd.Start() }
	if err := <-failed; err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	p := &Process{name: name, cmd: cmd, log: log, done: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// Done is closed when the program has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Wait waits for the program's end. An end of the context stops the program.
func (p *Process) Wait(ctx context.Context) error {
	select {
	case <-p.done:
		return p.err
	case <-ctx.Done():
		p.Stop()
		return context.Cause(ctx)
	}
}

// Stop ends the whole process group: politely, then by force.
func (p *Process) Stop() {
	p.signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(patience):
	}
	p.signal(syscall.SIGKILL) // whatever of the group is left
	<-p.done
}

func (p *Process) signal(s syscall.Signal) {
	if err := syscall.Kill(-p.cmd.Process.Pid, s); err != nil && !errors.Is(err, syscall.ESRCH) {
		fmt.Fprintf(os.Stderr, "e2e-kube: signal %s: %v\n", p.name, err)
	}
}

// Tail is the end of what the program has printed, at most n bytes.
func (p *Process) Tail(n int) string {
	data, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(bytes.TrimSpace(data[max(0, len(data)-n):]))
}
