package process

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// A program that does not want to end, with a child that does not either, is gone after Stop.
func TestStopEndsTheWholeGroup(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ready := filepath.Join(dir, "ready")
	if err := syscall.Mkfifo(ready, 0o600); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "stubborn")
	script := "#!/bin/bash\ntrap '' TERM\nsleep 1000 &\necho said\necho $! >" + ready + "\nwait\nwait\n"
	if err := os.WriteFile(program, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	p, err := Start(dir, dir, "stubborn")
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(ready) // waits for the writer
	if err != nil {
		t.Fatal(err)
	}
	child, err := strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil {
		t.Fatal(err)
	}
	p.Stop()
	if got := p.Tail(100); got != "said" {
		t.Errorf("it said %q", got)
	}
	if !ended(child) {
		t.Errorf("process %d is still there", child)
	}
}

// ended: gone, or a zombie that nobody has collected yet.
func ended(pid int) bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return true
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return strings.HasPrefix(rest, "Z") || strings.HasPrefix(rest, "X")
}

func TestWait(t *testing.T) {
	t.Parallel()
	p, err := Attached([]string{"sh", "-c", `exit "$CODE"`}, []string{"CODE=7"})
	if err != nil {
		t.Fatal(err)
	}
	var failed *exec.ExitError
	if err := p.Wait(t.Context()); !errors.As(err, &failed) || failed.ExitCode() != 7 {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if p, err = Attached([]string{"sleep", "1000"}, nil); err != nil {
		t.Fatal(err)
	}
	if err := p.Wait(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if _, err := Attached([]string{"/no/such/program"}, nil); err == nil {
		t.Error("a program that is not there was started")
	}
}
