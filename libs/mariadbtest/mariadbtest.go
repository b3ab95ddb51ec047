// Package mariadbtest runs a real mariadbd for tests. Starting one takes a second or two, so that a package starts its own in
// TestMain. A machine without mariadb-server fails the tests and says what to install.
package mariadbtest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"syscall"

	"palmops/libs/looptest"
)

// Programs are where Debian's package mariadb-server puts them.
const (
	Program = "/usr/sbin/mariadbd"
	install = "/usr/bin/mariadb-install-db"
	client  = "/usr/bin/mariadb"
)

// Password is that of root, who may come from this machine only.
const Password = "root-of-the-test"

// Server is one mariadbd with a directory of its own, reached by a socket and by a port of an address of its own.
// What it holds survives Kill and Restart.
type Server struct {
	dir  string
	args []string
	at   string
	cmd  *exec.Cmd
}

// Start makes an empty server and returns when it accepts connections. Args are options for mariadbd, such as --server-id=2.
// Whoever starts it must Stop it.
func Start(args ...string) (*Server, error) { return StartAt(looptest.Host(), args...) }

// StartAt is Start at an address without a port, which looptest.Host gave: a certificate names it before the server starts.
func StartAt(host string, args ...string) (*Server, error) {
	if _, err := os.Stat(Program); err != nil {
		return nil, fmt.Errorf("these tests need a real MariaDB: apt-get install mariadb-server (%w)", err)
	}
	dir, err := os.MkdirTemp("", "mariadb") // a socket's path has room for 107 bytes only
	if err != nil {
		return nil, err
	}
	s := &Server{dir: dir, args: args}
	if err := s.begin(host); err != nil {
		s.Stop()
		return nil, err
	}
	return s, nil
}

func (s *Server) begin(host string) error {
	who, err := user.Current()
	if err != nil {
		return err
	}
	s.args = append([]string{
		"--no-defaults", "--datadir=" + s.data(), "--user=" + who.Username, "--skip-name-resolve", "--innodb-log-file-size=4M",
		"--innodb-buffer-pool-size=16M", "--innodb-flush-log-at-trx-commit=0", "--key-buffer-size=1M",
	}, s.args...)
	made, err := exec.Command(install, append(s.args[:5:5], "--auth-root-authentication-method=normal", "--skip-test-db")...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("mariadb-install-db: %w\n%s", err, made)
	}
	init := fmt.Sprintf("ALTER USER root@localhost IDENTIFIED BY '%s';\nCREATE USER IF NOT EXISTS root@'127.0.0.1';\n"+
		"ALTER USER root@'127.0.0.1' IDENTIFIED BY '%[1]s';\n"+
		"GRANT ALL ON *.* TO root@'127.0.0.1' WITH GRANT OPTION;\n", Password)
	if err := os.WriteFile(filepath.Join(s.dir, "init.sql"), []byte(init), 0o600); err != nil {
		return err
	}
	if s.at, err = looptest.AddressAt(host); err != nil {
		return err
	}
	return s.run()
}

// run starts the server and returns when it says that it accepts connections.
func (s *Server) run() error {
	host, port, err := net.SplitHostPort(s.at)
	if err != nil {
		return err
	}
	s.cmd = exec.Command(Program, append(s.args[:len(s.args):len(s.args)], "--socket="+s.Socket(), "--port="+port,
		"--bind-address="+host, "--pid-file="+filepath.Join(s.dir, "pid"), "--init-file="+filepath.Join(s.dir, "init.sql"))...)
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := s.cmd.StderrPipe()
	if err != nil {
		return err
	}
	if err := s.cmd.Start(); err != nil {
		return err
	}
	lines := bufio.NewScanner(out)
	said := ""
	for lines.Scan() {
		said += lines.Text() + "\n"
		if strings.Contains(lines.Text(), "ready for connections") {
			go func() {
				for lines.Scan() { // keep the pipe from filling up
				}
			}()
			return nil
		}
	}
	return errors.Join(fmt.Errorf("mariadbd does not come up:\n%s", said), s.cmd.Wait())
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

// Socket is the path of the server's socket.
func (s *Server) Socket() string { return filepath.Join(s.dir, "s") }

// Address is an address of the loopback with the port; what connects to it comes from 127.0.0.1.
func (s *Server) Address() string { return s.at }

// DSN is root's way in for go-sql-driver/mysql, to a database that exists, or to none.
func (s *Server) DSN(database string) string {
	return "root:" + Password + "@unix(" + s.Socket() + ")/" + database
}

// Client is root's command-line client, on the socket, to a database that exists or to none. Args are options for it besides its
// own, such as --execute=…; what it is given on its standard input it runs line by line, and it stops at the first error.
func (s *Server) Client(ctx context.Context, database string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, client, append([]string{
		"--no-defaults", "--socket=" + s.Socket(), "--user=root", "--batch", "--skip-column-names", "--unbuffered", "--skip-reconnect", "--default-character-set=utf8mb4",
	}, append(args, database)...)...)
	cmd.Env = []string{"MYSQL_PWD=" + Password}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}

// Do runs statements as root and gives what they print, without the last line break.
func (s *Server) Do(ctx context.Context, statements string) (string, error) {
	var said strings.Builder
	cmd := s.Client(ctx, "", "--execute="+statements)
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w: %s", statements, err, said.String())
	}
	return strings.TrimSuffix(string(out), "\n"), nil
}

// Kill ends the server at once (SIGKILL) and waits until it is gone.
func (s *Server) Kill() {
	if s.cmd == nil || s.cmd.Process == nil {
		return
	}
	_ = s.cmd.Process.Kill() // fails only when it is gone already
	_ = s.cmd.Wait()
}

// Restart starts it again at the same addresses, with what it held.
func (s *Server) Restart() error {
	s.Kill()
	return s.run()
}

// Freeze stops the process without closing its connections (SIGSTOP); Thaw lets it go on.
func (s *Server) Freeze() error { return s.cmd.Process.Signal(syscall.SIGSTOP) }

// Thaw lets a frozen server go on.
func (s *Server) Thaw() error { return s.cmd.Process.Signal(syscall.SIGCONT) }

// Stop ends the server and takes its files away.
func (s *Server) Stop() {
	s.Kill()
	_ = os.RemoveAll(s.dir) // in the directory for temporary files
}
