package runner

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"palmops/libs/bus"
	"palmops/libs/token"
	"palmops/libs/wire"
	"palmops/services/executor/catalog"
)

// childEnv holds the childSpec of a process that is to be an executor.
const childEnv = "PALMOPS_TEST_EXECUTOR"

// childSpec says how an executor process behaves: it stops at a gate until the file "go" appears.
type childSpec struct {
	URL    string       `json:"url"`
	Dir    string       `json:"dir"`
	Self   string       `json:"self"`
	Gate   string       `json:"gate"` // before, after, prepare: marks "reached" and waits there
	Keys   token.KeySet `json:"keys"`
	Timing Timing       `json:"timing"`
}

// childMain is the executor process.
func childMain(text string) int {
	fail := func(err error) int {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	var s childSpec
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		return fail(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*hang)
	defer cancel()
	b, err := bus.Connect(ctx, bus.Options{URL: s.URL, Name: s.Self})
	if err != nil {
		return fail(err)
	}
	cat, err := catalog.Decode("catalog.yaml", []byte(catalogText))
	if err != nil {
		return fail(err)
	}
	gate := func(point string) {
		if point == s.Gate {
			mark(s.Dir, "reached", s.Self)
			if err := await(ctx, s.Dir, "go"); err != nil {
				os.Exit(fail(err))
			}
		}
	}
	k := &book{dir: s.Dir, self: s.Self, gate: gate, before: func(context.Context) error { gate("prepare"); return nil }}
	r, err := newRunner(ctx, b, cat, s.Keys, s.Self, s.Timing, k, &auditLines{})
	if err != nil {
		return fail(err)
	}
	if err := r.Run(ctx); err != nil {
		return fail(err)
	}
	return 0
}

// child starts an executor process and waits until it is at its gate with the action.
func (w *world) child(gate string, timing Timing) *exec.Cmd {
	w.t.Helper()
	spec, err := json.Marshal(childSpec{URL: w.srv.URL(), Dir: w.dir, Self: "child", Gate: gate, Keys: w.keys, Timing: timing})
	w.check(err)
	self, err := os.Executable()
	w.check(err)
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), childEnv+"="+string(spec))
	cmd.Stderr = os.Stderr
	w.check(cmd.Start())
	w.t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may be gone already
		_ = cmd.Wait()
	})
	return cmd
}

func (w *world) reached() {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), hang)
	defer cancel()
	w.check(await(ctx, w.dir, "reached"))
}

// TestKilled is the crash table of one executor: whatever the moment of the kill, the effect happens at most once and
// the report is true.
func TestKilled(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		gate    string
		state   string // at the kill
		want    string
		effects int
		attempt int
	}{
		{"prepare", wire.StateClaimed, wire.StateSucceeded, 1, 2}, // taken over: nothing had begun
		{"before", wire.StateRunning, wire.StateFailed, 0, 2},     // probed: not applied, safe to do again
		{"after", wire.StateRunning, wire.StateSucceeded, 1, 2},   // probed: applied
	} {
		t.Run(c.gate, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			cmd := w.child(c.gate, quick())
			id := wire.DeriveID("killed", c.gate)
			w.send(w.order(w.claims(id), scaleArgs("web")), id)
			w.reached()
			w.state(id, c.state)
			w.check(cmd.Process.Signal(syscall.SIGKILL))
			_ = cmd.Wait() // killed
			killed := time.Now()
			w.executor("heir", quick(), &book{dir: w.dir, self: "heir"})
			ev := w.event()
			if ev.ID != id || ev.State != c.want || ev.Executor != "heir" {
				t.Errorf("event %+v", ev)
			}
			t.Logf("told %s after the kill, with a lease of %s", time.Since(killed).Round(time.Millisecond), quick().Lease)
			w.drained()
			w.effects(id, c.effects)
			if rec := w.state(id, c.want); rec.Attempt != c.attempt {
				t.Errorf("attempt %d, want %d", rec.Attempt, c.attempt)
			}
		})
	}
}

// TestAWokenOwnerTakesNoFurtherStep: an owner that slept past its lease right before its effect must not cause it.
func TestAWokenOwnerTakesNoFurtherStep(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	timing := quick()
	timing.AckWait = time.Hour // the message stays with the sleeper: only its record can give it away
	cmd := w.child("before", timing)
	id := wire.DeriveID("asleep")
	w.send(w.order(w.claims(id), scaleArgs("web")), id)
	w.reached()
	w.executor("heir", timing, &book{dir: w.dir, self: "heir"})
	w.watched("heir")
	beat := w.state(id, wire.StateRunning).Beat
	w.record(id, func(r wire.Record) bool { return r.Beat > beat+1 })
	w.check(cmd.Process.Signal(syscall.SIGSTOP))
	ev := w.event()
	if ev.State != wire.StateFailed || ev.Executor != "heir" {
		t.Errorf("event %+v", ev)
	}
	mark(w.dir, "go", "")
	w.check(cmd.Process.Signal(syscall.SIGCONT))
	ctx, cancel := context.WithTimeout(context.Background(), hang)
	defer cancel()
	w.check(await(ctx, w.dir, "refused")) // the sleeper asked for leave and did not get it
	w.effects(id, 0)
	if rec := w.state(id, wire.StateFailed); rec.Owner != "heir" {
		t.Errorf("record %+v", rec)
	}
}

// watched waits until an executor in this process follows the records: it must see one sign of life of the owner.
func (w *world) watched(name string) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), hang)
	defer cancel()
	t := time.NewTicker(20 * time.Millisecond)
	defer t.Stop()
	for !w.runners[name].watching.Load() {
		select {
		case <-ctx.Done():
			w.t.Fatalf("%s does not watch the records", name)
		case <-t.C:
		}
	}
}
