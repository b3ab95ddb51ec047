package command

import (
	"bufio"
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"palmops/libs/wire"
	"palmops/services/executor/internal/kind/kindtest"
)

// TestExecutorThatDies: whoever looks after a command whose executor was killed or frozen ends all of it first, wherever its
// processes went, and claims nothing.
func TestExecutorThatDies(t *testing.T) {
	t.Parallel()
	for name, sig := range map[string]syscall.Signal{"killed": syscall.SIGKILL, "frozen": syscall.SIGSTOP} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, "  family: {kind: command, verb: run, settings: {argv: [SELF, DIR/pids], ROOT, env: {TEST_PROGRAM: family}, look: {zh: 看, en: Look there.}}}\n")
			w := s.work("family", nil)
			w.ID = "death-of-the-executor-" + name
			cmd := exec.Command(self(t), s.file("catalog.yaml"), w.ID)
			cmd.Env = []string{programVar + "=executor"}
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
			before, err := bufio.NewReader(out).ReadBytes('\n')
			if err != nil || !json.Valid(before) {
				t.Fatalf("%v: %q", err, before)
			}
			for len(s.lines("pids")) < 3 { // all of the family are there
				if cmd.ProcessState != nil {
					t.Fatal("the executor ended by itself")
				}
			}
			if err := cmd.Process.Signal(sig); err != nil {
				t.Fatal(err)
			}
			r := s.k.Probe(t.Context(), w, before)
			if r.State != wire.StateUnknown || !strings.Contains(r.Text, "runs no more") || !strings.Contains(r.Text, "Look there.") {
				t.Errorf("%s %q", r.State, r.Text)
			}
			s.allGone("pids", 3)
		})
	}
}

// TestProbe: what can be said of a command of a dead owner, by what its probe and its record say.
func TestProbe(t *testing.T) {
	t.Parallel()
	s := newSite(t, `
  plain: {kind: command, verb: run, settings: {argv: [SELF], ROOT, env: {TEST_PROGRAM: exit}}}
  yes: {kind: command, verb: run, settings: {argv: [SELF], ROOT, env: {TEST_PROGRAM: exit}, probe: {argv: [SELF, "0"]}}}
  no: {kind: command, verb: run, settings: {argv: [SELF], ROOT, env: {TEST_PROGRAM: exit}, probe: {argv: [SELF, "1"]}}}
  odd: {kind: command, verb: run, settings: {argv: [SELF], ROOT, env: {TEST_PROGRAM: exit}, probe: {argv: [SELF, "7"]}}}
  gone: {kind: command, verb: run, settings: {argv: [SELF], ROOT, env: {TEST_PROGRAM: exit}, probe: {argv: [DIR/none]}}}
  same: {kind: command, verb: run, settings: {argv: [SELF, DIR/f], ROOT, env: {TEST_PROGRAM: append}, probe: {read: [/usr/bin/wc, -l, DIR/f]}}}
  show: {kind: command, verb: show, settings: {argv: [SELF, "0"], ROOT, env: {TEST_PROGRAM: exit}}}
`)
	if err := os.WriteFile(s.file("f"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"plain": wire.StateUnknown, "yes": wire.StateSucceeded, "no": wire.StateFailed, "odd": wire.StateUnknown, "gone": wire.StateUnknown,
		"same": wire.StateUnknown, "show": wire.StateFailed,
	} {
		w := s.work(name, nil)
		before, err := s.k.Prepare(t.Context(), w)
		if err != nil {
			t.Fatal(err)
		}
		if r := s.k.Probe(t.Context(), w, before); r.State != want {
			t.Errorf("%s: %s %q", name, r.State, r.Text)
		}
	}
	w := s.work("same", nil)
	before, err := s.k.Prepare(t.Context(), w)
	if err != nil {
		t.Fatal(err)
	}
	if r := s.k.Apply(t.Context(), w, before, &kindtest.Hand{}); r.State != wire.StateSucceeded {
		t.Fatalf("%+v", r)
	}
	if r := s.k.Probe(t.Context(), w, before); r.State != wire.StateSucceeded {
		t.Errorf("%s %q", r.State, r.Text)
	}
	// On another machine nothing can be said, not even with a probe that would say yes.
	if r := s.k.Probe(t.Context(), s.work("yes", nil), json.RawMessage(`{"host":"elsewhere-7"}`)); r.State != wire.StateUnknown || !strings.Contains(r.Text, "elsewhere-7") {
		t.Errorf("%s %q", r.State, r.Text)
	}
}

// TestRaisedPrograms: what runs as another user by a setuid bit may go on where an executor that is not root cannot see it, so that
// a probe that finds nothing yet proves nothing.
func TestRaisedPrograms(t *testing.T) {
	t.Parallel()
	s := newSite(t, `
  raised: {kind: command, verb: run, settings: {argv: [DIR/raised], ROOT, env: {TEST_PROGRAM: exit}, probe: {argv: [SELF, "1"]}}}
`)
	if err := os.WriteFile(s.file("raised"), nil, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(s.file("raised"), 0o755|os.ModeSetuid); err != nil {
		t.Fatal(err)
	}
	w := s.work("raised", nil)
	before, err := s.k.Prepare(t.Context(), w)
	if err != nil {
		t.Fatal(err)
	}
	for euid, want := range map[int]string{0: wire.StateFailed, 1000: wire.StateUnknown} {
		s.k.euid = euid
		if r := s.k.Probe(t.Context(), w, before); r.State != want {
			t.Errorf("as %d: %s %q", euid, r.State, r.Text)
		}
	}
}
