package command

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"palmops/services/executor/internal/kind"
)

// marker is the one variable that every command has besides those of the catalog: the action's id. Children have it too, unless
// they clear their environment, and so they are found wherever they went.
const marker = "PALMOPS_ACTION"

// Rounds in which marked processes are looked for: each new one must have been started by one that was still there.
const (
	markedRounds = 10
	markedPause  = 20 * time.Millisecond
)

// endMarked ends every process on this machine that belongs to an action, and reports whether none is left. Processes of
// other users are seen by root only.
func endMarked(id string) bool {
	if id == "" { // it would be everybody's
		return true
	}
	for round := range markedRounds {
		if round > 0 {
			_ = kind.Pause(context.Background(), markedPause) // a killed process needs a moment to go
		}
		if !killMarked(id) {
			return true
		}
	}
	return false
}

// killMarked ends those that it finds, and reports whether there were any.
func killMarked(id string) (found bool) {
	dirs, err := os.ReadDir("/proc")
	if err != nil {
		return true // nobody can tell
	}
	for _, d := range dirs {
		pid, err := strconv.Atoi(d.Name())
		if err != nil || pid <= 1 || pid == os.Getpid() {
			continue
		}
		if !marked(pid, id) {
			continue
		}
		// Looked at again once it is held by a handle of the kernel: the number may be another process by then.
		p, err := os.FindProcess(pid)
		if err != nil {
			continue
		}
		if marked(pid, id) {
			found = true
			_ = p.Kill()
		}
		_ = p.Release()
	}
	return found
}

// marked reports whether a process has the action's id in its environment. One that has ended, or has given up its
// environment, has not.
func marked(pid int, id string) bool {
	env, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "environ"))
	want := []byte(marker + "=" + id + "\x00")
	return err == nil && (bytes.HasPrefix(env, want) || bytes.Contains(env, append([]byte{0}, want...)))
}
