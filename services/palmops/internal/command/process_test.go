package command

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"palmops/services/palmops/internal/story"
	"palmops/services/simulator/client"
)

// asPalmops makes the test binary be palmops, so that tests have real processes to kill.
const asPalmops = "as-palmops"

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == asPalmops {
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
		var code int
		if args := os.Args[2:]; len(args) > 0 && args[0] == asNATS {
			code = natsMain(ctx, os.Stdout, args[1:])
		} else {
			code = Main(ctx, Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}, args)
		}
		stop()
		os.Exit(code)
	}
	goleak.VerifyTestMain(m)
}

const localConfig = "../../../../deployments/config/local"

// copyConfig is the shipped configuration in a folder that a test may change.
func copyConfig(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(localConfig)); err != nil {
		t.Fatal(err)
	}
	return dir
}

// simpleConfig is copyConfig with a menu, policy and catalog of one short file each, for tests that spoil them line by line.
func simpleConfig(t testing.TB) string {
	t.Helper()
	dir := copyConfig(t)
	files, err := filepath.Glob("testdata/simple/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal("no testdata/simple", err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(file)), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// proc is one palmops process.
type proc struct {
	t    testing.TB
	cmd  *exec.Cmd
	done chan struct{}
	mu   sync.Mutex
	said strings.Builder
}

// spawn starts palmops and returns once a line of its output matches ready.
func spawn(t testing.TB, ready string, env []string, args ...string) *proc {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, append([]string{asPalmops}, args...)...)
	cmd.Env = append(os.Environ(), env...)
	return startProc(t, ready, cmd)
}

// startProc starts a program and returns once a line of its output matches ready.
func startProc(t testing.TB, ready string, cmd *exec.Cmd) *proc {
	t.Helper()
	p := &proc{t: t, cmd: cmd, done: make(chan struct{})}
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p.cmd.Stdout, p.cmd.Stderr = w, w
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = w.Close()
	matched := make(chan struct{})
	go func() {
		defer close(p.done)
		defer func() { _ = r.Close() }()
		re, open := regexp.MustCompile(ready), true
		for lines := bufio.NewScanner(r); lines.Scan(); {
			p.mu.Lock()
			p.said.WriteString(lines.Text() + "\n")
			p.mu.Unlock()
			if open && re.MatchString(lines.Text()) {
				open = false
				close(matched)
			}
		}
		_ = p.cmd.Wait()
	}()
	t.Cleanup(p.kill)
	select {
	case <-matched:
	case <-p.done:
		t.Fatalf("%q ended:\n%s", cmd.Args, p.output())
	case <-time.After(2 * time.Minute): // a guard against hanging
		t.Fatalf("%q is not ready:\n%s", cmd.Args, p.output())
	}
	return p
}

func (p *proc) output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.said.String()
}

// kill is kill -9.
func (p *proc) kill() {
	_ = p.cmd.Process.Kill() // it may be gone already
	<-p.done
}

// find is the first group of a pattern in what the process said.
func (p *proc) find(pattern string) string {
	p.t.Helper()
	m := regexp.MustCompile(pattern).FindStringSubmatch(p.output())
	if m == nil {
		p.t.Fatalf("no %s in\n%s", pattern, p.output())
	}
	return m[1]
}

// whole is `palmops run` as a process that can be killed and started again with the same data.
type whole struct {
	t      testing.TB
	config string
	data   string
	env    []string
	proc   *proc
	phones story.Phones
}

func newWhole(t testing.TB, env ...string) *whole {
	w := &whole{t: t, config: copyConfig(t), data: filepath.Join(t.TempDir(), "data"), env: env}
	w.start()
	t.Cleanup(func() { w.phones.Client.Close() })
	return w
}

func (w *whole) start() {
	w.t.Helper()
	w.proc = spawn(w.t, "Ctrl-C stops", w.env, "run", "--config", w.config, "--data", w.data,
		"--gateway", "127.0.0.1:0", "--simulator", "127.0.0.1:0", "--practice", "127.0.0.1:0", "--admin", "127.0.0.1:0")
	if w.phones.Client != nil {
		w.phones.Client.Close()
	}
	w.phones.Client = client.New(w.proc.find(`phone +(http://\S+)/`), nil)
}

// killAndRestart is the worst that can happen between two numbers.
func (w *whole) killAndRestart() {
	w.t.Helper()
	w.proc.kill()
	w.start()
}
