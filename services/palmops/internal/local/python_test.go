package local

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"palmops/services/palmops/internal/story"
)

const sample = "../../../executor/sample/python"

// pythonStories are the conversations whose actions the sample executor has the kinds for: all that do not ask for the
// kinds of the Go executor only.
var pythonStories = []string{
	"bad-input", "cards", "code-nodes", "english", "finding", "form", "keys", "locks", "long", "nodes", "noop", "people", "phone", "right-taken-away",
	"rights", "scale", "stuck",
}

// python is a sample executor as a process of its own, with Debian's Python.
type python struct {
	t    *testing.T
	cmd  *exec.Cmd
	done chan error
}

func startPython(t *testing.T, r *running, data string) *python {
	t.Helper()
	p := &python{t: t, done: make(chan error, 1)}
	p.cmd = exec.Command("/usr/bin/python3", "-B", filepath.Join(sample, "executor.py"), "--catalog", filepath.Join(r.config, "catalog.yaml"),
		"--keys", filepath.Join(data, "keys", "local.json"), "--nats", r.NATSURL())
	p.cmd.Env = append(os.Environ(), "PALMOPS_KUBE_SERVER="+r.PracticeURL())
	out, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("the sample executor (apt-get install python3-itsdangerous python3-yaml): %v", err)
	}
	serving := make(chan bool, 1)
	said := &strings.Builder{}
	go func() {
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			said.WriteString(lines.Text() + "\n")
			if strings.Contains(lines.Text(), "serving zone") {
				serving <- true
			}
		}
		close(serving)
		p.done <- p.cmd.Wait()
	}()
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("the sample executor said:\n%s", said)
		}
	})
	if !<-serving {
		t.Fatalf("the sample executor (apt-get install python3-itsdangerous python3-yaml) did not start:\n%s", said)
	}
	return p
}

// kill is kill -9; it returns when the process is gone.
func (p *python) kill() {
	p.t.Helper()
	if p.cmd == nil {
		return
	}
	_ = p.cmd.Process.Kill() // it may have ended
	<-p.done
	p.cmd = nil
}

// term is what a supervisor does; the process has 30 s to end well.
func (p *python) term() {
	p.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Fatal(err)
	}
	if err := <-p.done; err != nil {
		p.t.Errorf("after SIGTERM: %v", err)
	}
	p.cmd = nil
}

// TestPythonExecutor plays the acceptance stories with the sample executor in the place of the one in Go: the protocol is what
// the README says, and not what two Go programs happen to agree upon.
func TestPythonExecutor(t *testing.T) {
	for _, name := range pythonStories {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data, err := os.ReadFile("../../testdata/stories/" + name + ".txtar")
			if err != nil {
				t.Fatal(err)
			}
			st, err := story.Parse(name, data)
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			r := start(t, func(o *Options) {
				overlay(t, o.ConfigDir, st)
				o.NoExecutor, o.NATSListen, o.DataDir = true, "127.0.0.1:0", dir
			})
			startPython(t, r, dir)
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			if err := story.Play(ctx, r.phones, st, func(line string) { t.Log(line) }); err != nil {
				t.Error(err)
			}
		})
	}
}

// drilling begins a long action and returns when the phone shows its first progress: it is running then.
const drilling = `zhangsan> hi
zhangsan> 00
zhangsan> [公共工具]
zhangsan> [演练]
zhangsan> 600
zhangsan> 默认
zhangsan> 1
  已受理
zhangsan< later
  演练进行中
`

func say(t *testing.T, r *running, text string) {
	t.Helper()
	st, err := story.Parse("part", []byte("-- story --\n"+text))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	if err := story.Play(ctx, r.phones, st, func(line string) { t.Log(line) }); err != nil {
		t.Fatal(err)
	}
}

// TestPythonExecutorEnds holds the sample against the promises about executors that die or are told to stop: the other one finds
// out, the person is told, nothing is begun again.
func TestPythonExecutorEnds(t *testing.T) {
	begin := func(t *testing.T) (*running, *python, string) {
		dir := t.TempDir()
		r := start(t, func(o *Options) { o.NoExecutor, o.NATSListen, o.DataDir = true, "127.0.0.1:0", dir })
		p := startPython(t, r, dir)
		say(t, r, drilling)
		return r, p, dir
	}
	t.Run("killed", func(t *testing.T) {
		t.Parallel()
		r, owner, dir := begin(t)
		startPython(t, r, dir)
		owner.kill()
		say(t, r, "zhangsan< later\n  执行过程中执行器中断。演练没有完成\n")
	})
	t.Run("stopped and woken", func(t *testing.T) {
		t.Parallel()
		r, owner, dir := begin(t)
		startPython(t, r, dir)
		if err := owner.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		say(t, r, "zhangsan< later\n  执行过程中执行器中断。演练没有完成\n")
		if err := owner.cmd.Process.Signal(syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
		// It finds its record taken, and works on: what is ordered next is done by either.
		say(t, r, "zhangsan> 00\n  ! 中断\nzhangsan> [公共工具]\nzhangsan> [演练]\nzhangsan> =0\nzhangsan> 默认\nzhangsan> 1\nzhangsan< later\n  演练完成\n")
	})
	t.Run("told to stop", func(t *testing.T) {
		t.Parallel()
		r, owner, _ := begin(t)
		owner.term()
		say(t, r, "zhangsan< later\n  执行器正在停止\n")
	})
	t.Run("beside one in Go", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		r := start(t, func(o *Options) { o.NATSListen, o.DataDir = "127.0.0.1:0", dir })
		startPython(t, r, dir)
		for range 3 { // either takes them; a cancellation finds the owner whoever it is
			// What only the one in Go can do is left to it: lists and reports.
			say(t, r, "zhangsan> 00\nzhangsan> /最近事件\nzhangsan> 1\n  已受理\nzhangsan< later\n  shop 的事件\n  ! 没有执行\n"+
				"zhangsan> 00\nzhangsan> /容器日志\nzhangsan> 1\n  选择 shop 的 Pod\n")
			say(t, r, drilling+"zhangsan> 我的任务\nzhangsan> 1\nzhangsan> [取消]\nzhangsan> 1\nzhangsan< later\n  已取消\n")
		}
	})
}
