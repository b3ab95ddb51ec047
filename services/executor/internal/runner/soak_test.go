package runner

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"palmops/libs/conf"
	"palmops/libs/wire"
)

// soakEnv is how many actions the soak gets; with it set the seed may be given as well, as "<actions> <seed>".
const soakEnv = "PALMOPS_SOAK_ACTIONS_ACTIONS"

// soakActions is how many it gets in every test run.
const soakActions = 20

// TestNoActionIsLostDoubledOrMisreported runs three executor processes, kills and freezes them at random, starts new ones in their
// place, and then holds what is on record and what was told against the book of effects.
func TestNoActionIsLostDoubledOrMisreported(t *testing.T) {
	t.Parallel()
	n, seed := soakActions, uint64(time.Now().UnixNano())
	if text, _ := conf.Env(soakEnv); text != "" {
		words := strings.Fields(text)
		var err error
		if n, err = strconv.Atoi(words[0]); err != nil {
			t.Fatal(err)
		}
		if len(words) > 1 {
			if seed, err = strconv.ParseUint(words[1], 10, 64); err != nil {
				t.Fatal(err)
			}
		}
	}
	t.Logf("seed %d; again with %s=\"%d %d\"", seed, soakEnv, n, seed)
	w := newWorld(t)
	s := &soak{w: w, rnd: rand.New(rand.NewPCG(seed, 1)), ids: map[string]bool{}}
	for range 3 {
		s.start()
	}
	for i := range n {
		s.order(i)
		s.chaos()
	}
	s.settle()
}

// soak is a run with executors that die.
type soak struct {
	w     *world
	rnd   *rand.Rand
	execs []*exec.Cmd
	ids   map[string]bool
	born  int
	dead  int
	slept int
}

func (s *soak) start() {
	s.born++
	timing := quick()
	timing.Lease, timing.Skew, timing.Beat, timing.AckWait = 1500*time.Millisecond, 500*time.Millisecond, 300*time.Millisecond, 1500*time.Millisecond
	s.execs = append(s.execs, s.w.spawn(childSpec{URL: s.w.srv.URL(), Dir: s.w.dir, Self: fmt.Sprint("soak-", s.born), Keys: s.w.keys, Timing: timing, Linger: 40}))
}

// order sends one action, now and then twice; a few targets are shared.
func (s *soak) order(i int) {
	id := wire.DeriveID("soak", fmt.Sprint(i), s.w.dir)
	s.ids[id] = true
	c := s.w.claims(id)
	c.Expires = c.IssuedAt + 3600
	o := s.w.order(c, scaleArgs(fmt.Sprint("web-", s.rnd.IntN(2+len(s.ids)))))
	s.w.send(o, id)
	if s.rnd.IntN(4) == 0 {
		s.w.send(o, id+"-again")
	}
}

// chaos lets some time pass and ends or freezes an executor, or not.
func (s *soak) chaos() {
	s.pass(s.rnd.IntN(200))
	i := s.rnd.IntN(len(s.execs))
	switch e := s.execs[i]; s.rnd.IntN(5) {
	case 0, 1:
		s.dead++
		s.w.check(e.Process.Signal(syscall.SIGKILL))
		_ = e.Wait() // killed
		s.execs = append(s.execs[:i], s.execs[i+1:]...)
		s.start()
	case 2:
		s.slept++
		s.w.check(e.Process.Signal(syscall.SIGSTOP))
		s.pass(s.rnd.IntN(4000))
		s.w.check(e.Process.Signal(syscall.SIGCONT))
	}
}

// pass waits for the time of a fault: it is what is varied here, nothing is expected to have happened by then.
func (s *soak) pass(ms int) {
	t := time.NewTimer(time.Duration(ms) * time.Millisecond)
	defer t.Stop()
	<-t.C
}

// settle waits until everything has been reported, and looks at the sum of it.
func (s *soak) settle() {
	w := s.w
	w.drained()
	told := map[string]string{}
	ctx, cancel := context.WithTimeout(context.Background(), hang)
	defer cancel()
	for missing := len(s.ids); missing > 0; {
		msg, err := w.res.NextMsgWithContext(ctx)
		if err != nil {
			w.t.Fatalf("%d actions were never reported: %v", missing, err)
		}
		var ev wire.Event
		w.check(json.Unmarshal(msg.Data, &ev))
		if wire.Final(ev.State) {
			if told[ev.ID] == "" {
				missing--
			}
			told[ev.ID] = ev.State
		}
	}
	mark(w.dir, "stop", "") // nobody has anything in hand any more: what the executors still know they tell before they end
	for _, e := range s.execs {
		_ = e.Wait() // how it ends is not the point
	}
	for {
		msg, err := w.res.NextMsg(100 * time.Millisecond)
		if err != nil {
			break
		}
		var ev wire.Event
		w.check(json.Unmarshal(msg.Data, &ev))
		if wire.Final(ev.State) {
			told[ev.ID] = ev.State
		}
	}
	ends := map[string]int{}
	for id := range s.ids {
		e, err := w.kv.Get(context.Background(), id)
		w.check(err)
		var rec wire.Record
		w.check(json.Unmarshal(e.Value(), &rec))
		n := effects(w.dir, id)
		ends[rec.State]++
		switch {
		case !wire.Final(rec.State):
			w.t.Errorf("lost: %s is %s", id, rec.State)
		case n > 1:
			w.t.Errorf("done %d times: %s", n, id)
		case rec.State == wire.StateSucceeded && n != 1, rec.State == wire.StateFailed && n != 0:
			w.t.Errorf("reported wrongly: %s is %s with %d effects", id, rec.State, n)
		case told[id] != rec.State:
			w.t.Errorf("%s is %s, told was %s", id, rec.State, told[id])
		case rec.State != wire.StateSucceeded && rec.State != wire.StateFailed && rec.State != wire.StateUnknown:
			w.t.Errorf("%s ended as %s: %s", id, rec.State, rec.Summary)
		}
	}
	w.t.Logf("%d executors, %d killed, %d frozen, ends %v", s.born, s.dead, s.slept, ends)
	if data, err := os.ReadFile(filepath.Join(w.dir, "broken")); err == nil {
		w.t.Errorf("the book is broken: %s", data)
	}
}
