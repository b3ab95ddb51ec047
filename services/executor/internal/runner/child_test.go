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
	"palmops/services/executor/internal/kind"
)

// childEnv holds the childSpec of a process that is to be an executor.
const childEnv = "PALMOPS_TEST_EXECUTOR"

// childSpec says how an executor process behaves: it stops at a gate until the file "go" appears.
type childSpec struct {
	URL    string       `json:"url"`
	Dir    string       `json:"dir"`
	Self   string       `json:"self"`
	Gate   string       `json:"gate"` // a moment: marks "reached" and waits there; see TestCrashPoints
	Keys   token.KeySet `json:"keys"`
	Timing Timing       `json:"timing"`
	Linger int          `json:"linger"` // milliseconds that an action takes before and after its effect
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
	cat, err := catalog.Decode("catalog.yaml", []byte(catalogText), catalog.Kinds{practice})
	if err != nil {
		return fail(err)
	}
	gate := func(point string) {
		if s.Linger > 0 && (point == "before" || point == "after" || point == "prepare") {
			_ = kind.Pause(ctx, time.Duration(s.Linger)*time.Millisecond) // the work takes its time
		}
		if point == s.Gate {
			mark(s.Dir, "reached", s.Self)
			if err := await(ctx, s.Dir, "go"); err != nil {
				os.Exit(fail(err))
			}
		}
	}
	k := &book{dir: s.Dir, self: s.Self, gate: gate, before: func(context.Context) error { gate("prepare"); return nil }}
	r, err := newRunner(ctx, b, cat, s.Keys, s.Self, s.Timing, k, gatedAudit{gate}, func(o *Options) {
		o.Now = func() time.Time { gate("taken"); return time.Now() }
	})
	if err != nil {
		return fail(err)
	}
	run, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		if await(run, s.Dir, "stop") == nil {
			stop()
		}
	}()
	if err := r.Run(run); err != nil {
		return fail(err)
	}
	return 0
}

// gatedAudit takes no lines: it is the moment between the writing of a record and what follows.
type gatedAudit struct{ gate func(point string) }

func (a gatedAudit) Write(l wire.AuditLine) {
	if l.Verdict == wire.StateSucceeded {
		a.gate("recorded")
	}
}

// child starts an executor process and waits until it is at its gate with the action.
func (w *world) child(gate string, timing Timing) *exec.Cmd {
	w.t.Helper()
	return w.childAt(w.srv.URL(), gate, timing)
}

func (w *world) childAt(url, gate string, timing Timing) *exec.Cmd {
	w.t.Helper()
	return w.spawn(childSpec{URL: url, Dir: w.dir, Self: "child", Gate: gate, Keys: w.keys, Timing: timing})
}

// spawn starts an executor process.
func (w *world) spawn(s childSpec) *exec.Cmd {
	w.t.Helper()
	spec, err := json.Marshal(s)
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
