// Package redistest runs a real redis-server for tests. A machine without one fails the test and says what to install.
package redistest

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// Program is where Debian's package redis-server puts the server.
const Program = "/usr/bin/redis-server"

// Server is one redis-server on a socket of its own, so that tests share no ports. What it holds survives Kill and Restart.
type Server struct {
	t    testing.TB
	dir  string
	args []string
	cmd  *exec.Cmd
}

// New starts a server; it is ended when the test ends. Args are options for redis-server besides its own, such as
// --cluster-enabled yes.
func New(t testing.TB, args ...string) *Server {
	t.Helper()
	if _, err := os.Stat(Program); err != nil {
		t.Fatalf("this test needs a real redis-server: apt-get install redis-server (%v)", err)
	}
	// Not t.TempDir: a socket's path has room for 107 bytes only.
	dir, err := os.MkdirTemp("", "redis")
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{t: t, dir: dir, args: args}
	t.Cleanup(func() {
		s.Kill()
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	s.start()
	return s
}

// start runs the server and returns when it says that it accepts connections.
func (s *Server) start() {
	s.t.Helper()
	// What was answered has been written to the file, which is all that a killed process needs. With a sync in the
	// background Redis puts writes off while one lasts, and a kill loses them.
	s.cmd = exec.Command(Program, append([]string{
		"--port", "0", "--unixsocket", s.Socket(), "--dir", s.dir, "--save", "",
		"--appendonly", "yes", "--appendfsync", "no", "--enable-debug-command", "yes", "--daemonize", "no",
	}, s.args...)...)
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	_ = os.Remove(s.Socket()) // left behind by a kill
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	said := ""
	for lines.Scan() {
		said += lines.Text() + "\n"
		if strings.Contains(lines.Text(), "accept connections") {
			go func() {
				for lines.Scan() { // keep the pipe from filling up
				}
			}()
			return
		}
	}
	s.t.Fatalf("redis-server does not come up:\n%s", said)
}

// Socket is the path of the server's socket.
func (s *Server) Socket() string { return filepath.Join(s.dir, "s") }

// URL is the form REDIS_URL takes.
func (s *Server) URL() string { return "unix://" + s.Socket() + "?db=0" }

// Kill ends the server at once (SIGKILL) and waits until it is gone.
func (s *Server) Kill() {
	if s.cmd == nil || s.cmd.Process == nil {
		return
	}
	_ = s.cmd.Process.Kill() // fails only when it is gone already
	_ = s.cmd.Wait()
}

// Restart starts it again on the same port, with what its file held.
func (s *Server) Restart() {
	s.t.Helper()
	s.Kill()
	s.start()
}

// Freeze stops the process without closing its connections (SIGSTOP); Thaw lets it go on.
func (s *Server) Freeze() { s.signal(syscall.SIGSTOP) }

// Thaw lets a frozen server go on.
func (s *Server) Thaw() { s.signal(syscall.SIGCONT) }

func (s *Server) signal(sig syscall.Signal) {
	s.t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.t.Fatal(err)
	}
}
