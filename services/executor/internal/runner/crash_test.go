package runner

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/url"
	"sync"
	"syscall"
	"testing"

	"palmops/libs/wire"
)

// TestCrashPoints is the crash table of one executor, with a real process that is killed at that moment, or frozen there
// until another one has settled the action. Whatever the moment, the effect happens at most once and the report is true.
func TestCrashPoints(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		gate           string
		at             string // the record's state there, "" for no record
		killed, frozen string // what is told first, by the other executor
		later          string // what the frozen one tells then
		effects        [2]int // killed, frozen
		attempt        int
	}{
		{"taken", "", wire.StateSucceeded, wire.StateSucceeded, "", [2]int{1, 1}, 1},                                      // redelivered
		{"prepare", wire.StateClaimed, wire.StateSucceeded, wire.StateSucceeded, "", [2]int{1, 1}, 2},                     // taken over: nothing had begun
		{"before", wire.StateRunning, wire.StateFailed, wire.StateFailed, "", [2]int{0, 0}, 2},                            // probed: not applied, safe to do again
		{"during", wire.StateRunning, wire.StateSucceeded, wire.StateUnknown, wire.StateSucceeded, [2]int{1, 1}, 2},       // nobody can look while it is written
		{"after", wire.StateRunning, wire.StateSucceeded, wire.StateSucceeded, "", [2]int{1, 1}, 2},                       // probed: applied
		{"recorded", wire.StateSucceeded, wire.StateSucceeded, wire.StateSucceeded, wire.StateSucceeded, [2]int{1, 1}, 1}, // told by who is handed the message
		{"acknowledging", wire.StateSucceeded, wire.StateSucceeded, wire.StateSucceeded, "", [2]int{1, 1}, 1},             // told again, with the same revision
	} {
		for i, signal := range []syscall.Signal{syscall.SIGKILL, syscall.SIGSTOP} {
			t.Run(c.gate+" "+signal.String(), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				timing := quick()
				timing.Probe = timing.Lease
				at := w.srv.URL()
				if c.gate == "acknowledging" {
					at = w.heldAcks(at)
				}
				cmd := w.childAt(at, c.gate, timing)
				id := w.do("crash "+c.gate, "k8s.scale", scaleArgs("web"))
				w.reached()
				if c.at != "" {
					w.state(id, c.at)
				} else if _, err := w.kv.Get(t.Context(), id); err == nil {
					t.Error("there is a record already")
				}
				var first uint64
				if c.gate == "acknowledging" {
					first = w.ends(id).Rev
				}
				w.check(cmd.Process.Signal(signal))
				want := c.killed
				if signal == syscall.SIGKILL {
					_ = cmd.Wait() // killed
				} else {
					want = c.frozen
				}
				w.executor("heir", timing, &book{dir: w.dir, self: "heir"})
				ev := w.ends(id)
				if ev.State != want || ev.Executor != "heir" || first != 0 && ev.Rev != first {
					t.Errorf("event %+v, want %s, revision %d", ev, want, first)
				}
				if signal == syscall.SIGSTOP {
					mark(w.dir, "go", "")
					w.check(cmd.Process.Signal(syscall.SIGCONT))
					if c.later != "" {
						want = c.later
						for again := w.ends(id); again.State != c.later; again = w.ends(id) {
							if again.State != c.frozen {
								t.Fatalf("the frozen one tells %+v", again)
							}
						}
					}
					mark(w.dir, "stop", "")
					_ = cmd.Wait() // how it ends is not the point
				}
				w.drained()
				w.effects(id, c.effects[i])
				if rec := w.state(id, want); rec.Attempt != c.attempt {
					t.Errorf("record %+v, want attempt %d", rec, c.attempt)
				}
			})
		}
	}
}

// heldAcks is the address of a way to the bus on which acknowledgements are held back until the file "go" appears.
func (w *world) heldAcks(at string) string {
	w.t.Helper()
	u, err := url.Parse(at)
	w.check(err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	w.check(err)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	w.t.Cleanup(func() {
		cancel()
		_ = l.Close() // ends the loop below
		wg.Wait()
	})
	wg.Go(func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", u.Host)
			if err != nil {
				_ = near.Close() // the other side tries again
				continue
			}
			end := sync.OnceFunc(func() { _, _ = near.Close(), far.Close() }) // whichever side ended first
			context.AfterFunc(ctx, end)
			wg.Go(func() { defer end(); _, _ = io.Copy(near, far) })
			wg.Go(func() { defer end(); w.forward(ctx, far, near) })
		}
	})
	return "nats://" + l.Addr().String()
}

// forward copies what an executor says up to its acknowledgement, and the rest once it is allowed to.
func (w *world) forward(ctx context.Context, far io.Writer, near io.Reader) {
	buf := make([]byte, 64<<10)
	held := false
	for {
		n, err := near.Read(buf)
		if err != nil {
			return
		}
		if !held && bytes.Contains(buf[:n], []byte("+ACK")) {
			held = true
			mark(w.dir, "reached", "acknowledging")
			if await(ctx, w.dir, "go") != nil {
				return
			}
		}
		if _, err := far.Write(buf[:n]); err != nil {
			return
		}
	}
}
