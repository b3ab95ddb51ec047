package command

import (
	"context"
	"errors"
	"io"
	"os/exec"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Waits at the end of a process.
const (
	holdOutput = time.Second     // for what has left the group and still holds the output
	stuckAfter = 3 * time.Second // for the kernel to end a process after SIGKILL
)

// program is one process to run: everything that it has is here.
type program struct {
	argv  []string
	env   []string
	dir   string
	cred  *syscall.Credential // nil for the executor's own user
	nice  int
	grace time.Duration
	id    string // of the action or question, by which its processes are found again
}

// ending is how a process ended.
type ending struct {
	code    int            // exit code; -1 when it was ended by a signal
	signal  syscall.Signal // which ended it; 0 for none
	stopped bool           // the context ended first
	stuck   bool           // it, or what it had started, could not be ended
	took    time.Duration
}

// run runs the program without a shell and without input, with both outputs going to out, until it ends or the context does: then
// its group is asked to end, and made to after grace. Whatever is left of the group is ended in any case. An error means
// that the program did not start.
//
// The thread that starts a process is kept until it has ended: the kernel kills the process when the thread is gone, which is
// when the executor dies, and no earlier.
func (p program) run(ctx context.Context, out io.Writer) (ending, error) {
	cmd := &exec.Cmd{
		Path: p.argv[0], Args: p.argv, Env: p.env, Dir: p.dir, Stdout: out, Stderr: out, WaitDelay: holdOutput,
		SysProcAttr: &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL, Credential: p.cred},
	}
	if cmd.Env == nil {
		cmd.Env = []string{} // nil would be the executor's own
	}
	started, exited, reap, reaped := make(chan error, 1), make(chan struct{}), make(chan struct{}), make(chan struct{})
	began := time.Now()
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err != nil {
			return
		}
		awaitExit(cmd.Process.Pid)
		close(exited)
		<-reap
		// What Wait reports besides the state is about the output, which is as whole as it can be.
		_ = cmd.Wait()
		close(reaped)
	}()
	if err := <-started; err != nil {
		return ending{}, err
	}
	pid := cmd.Process.Pid
	if p.nice > 0 {
		_ = syscall.Setpriority(syscall.PRIO_PGRP, pid, p.nice) // a wish, and not worth an error
	}
	e := ending{code: -1}
	gone := true
	select {
	case <-exited:
	case <-ctx.Done():
		e.stopped = !over(exited)
		gone = !e.stopped || p.stop(pid, exited)
	}
	// The number of the group is its own until the process is reaped: no one else can be hit.
	_ = syscall.Kill(-pid, syscall.SIGKILL)
	e.stuck = !endMarked(p.id) || !gone
	close(reap)
	e.took = time.Since(began)
	if !gone {
		return e, nil
	}
	<-reaped
	e.code = cmd.ProcessState.ExitCode()
	if ws, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		e.signal = ws.Signal()
	}
	return e, nil
}

// stop asks the group to end, and makes it; false when the process is still there after that.
func (p program) stop(pid int, exited <-chan struct{}) bool {
	_ = syscall.Kill(-pid, syscall.SIGTERM)
	if within(exited, p.grace) {
		return true
	}
	_ = syscall.Kill(-pid, syscall.SIGKILL)
	return within(exited, stuckAfter)
}

// awaitExit returns when a child has ended, and leaves it to be reaped.
func awaitExit(pid int) {
	for {
		err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			return
		}
	}
}

func over(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func within(c <-chan struct{}, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-c:
		return true
	case <-t.C:
		return over(c)
	}
}
