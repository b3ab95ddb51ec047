package life

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"palmops/libs/wire"
)

// The simulator drives the life of actions through three executors, one store, one queue and one resource, one small
// operation at a time, in an order that a seed decides. After any operation an executor may be paused, killed or told to stop; messages
// are lost, doubled and handed out in any order; writes are refused, or stored with their answer lost. What must hold:
//
//	P1  every action that was ordered ends and is told
//	P2  no action takes effect twice, and none after somebody else took it over from running
//	P3  succeeded means that it took effect, failed, expired and rejected that it did not, canceled what it says
//	P4  only a cancellation by the action's own person cancels it
//	P5  a dry run is never begun
//	P6  what was unknown is made certain once at most, and truly; what was certain stays

const (
	simExecutors = 3
	simActions   = 3
	simChaos     = 400 // operations with faults; after them the world is kind until everything is over
	simPeace     = 20000
	simLease     = 12 // ticks
	simBeat      = 2
	simAckWait   = 8
)

// simResource is what actions change: an update takes effect only on the version that was read.
type simResource struct {
	version int
	effects []string // who caused them
}

type simMessage struct {
	id    string
	due   int // may be handed out from this tick on
	acked bool
}

type simExec struct {
	self     string
	observer *Observer
	paused   int // until this tick
	stopping bool
	tasks    []*simTask
}

type simWorld struct {
	rnd    *rand.Rand
	tick   int
	chaos  bool
	rev    uint64
	store  map[string]simStored
	res    map[string]*simResource
	queue  []*simMessage
	execs  []*simExec
	born   map[string]wire.Record
	first  map[string]string // who wrote running
	told   map[string]string
	ids    []string
	asked  map[string]bool // whose own person wants it cancelled
	cancel []*simCancel
	// resolved counts the verdicts about what was unknown.
	resolved map[string]int
	starts   int
	rough    int    // how many times as likely faults are
	broken   string // the rule that is broken on purpose
	err      error
}

func (w *simWorld) chance(percent int) bool { return w.chaos && w.rnd.IntN(100) < percent*w.rough }

func (w *simWorld) fail(format string, args ...any) {
	if w.err == nil {
		w.err = fmt.Errorf("tick %d: %s", w.tick, fmt.Sprintf(format, args...))
	}
}

func (w *simWorld) now() time.Time { return time.Unix(int64(w.tick), 0) }

func newSimWorld(seed uint64) *simWorld {
	w := &simWorld{
		rnd: rand.New(rand.NewPCG(seed, 1)), chaos: true, store: map[string]simStored{}, res: map[string]*simResource{},
		rough: 1 + int(seed%4), born: map[string]wire.Record{}, first: map[string]string{}, told: map[string]string{},
		asked: map[string]bool{}, resolved: map[string]int{},
	}
	for range simExecutors {
		w.execs = append(w.execs, w.fresh())
	}
	for i := range simActions {
		id := "action-" + strconv.Itoa(i)
		w.res[id] = &simResource{}
		w.ids = append(w.ids, id)
		w.born[id] = wire.Record{ID: id, User: "zhang", Action: "k8s.scale", ArgsHash: "hash-" + id, Expires: int64(w.rnd.IntN(400))}
		if w.rnd.IntN(6) == 0 {
			b := w.born[id]
			b.Noop = true
			w.born[id] = b
		}
		w.queue = append(w.queue, &simMessage{id: id, due: w.rnd.IntN(20)})
		w.plan(id)
	}
	return w
}

func (w *simWorld) fresh() *simExec {
	w.starts++
	return &simExec{self: "executor-" + strconv.Itoa(w.starts), observer: NewObserver(simLease * time.Second)}
}

func (w *simWorld) heartbeat(e *simExec) {
	for _, t := range e.tasks {
		if t.lost || t.rec == nil || t.rec.Owner != e.self || w.tick-t.beat < simBeat ||
			t.rec.State != wire.StateClaimed && t.rec.State != wire.StateRunning || t.phase == "deliver" {
			continue
		}
		t.beat = w.tick
		s := On(t.rec, Beat{})
		rev, moved, unsure := w.put(t, s.Write, t.rev)
		switch {
		case moved:
			cur := w.store[t.rec.ID]
			if cur.rec.Owner == e.self && cur.rec.Attempt == t.rec.Attempt && cur.rec.State == t.rec.State {
				rec := cur.rec
				t.rec, t.rev = &rec, cur.rev
			} else if cur.rec.Owner != e.self || cur.rec.Attempt != t.rec.Attempt {
				t.lost = true
			}
		case !unsure:
			t.rec, t.rev = s.Write, rev
		}
	}
}

func (w *simWorld) advance() {
	w.tick++
	for i, e := range w.execs {
		if e.paused > w.tick && w.chaos {
			continue
		}
		if w.rnd.IntN(3) > 0 { // one that has just woken up may act before it beats
			w.heartbeat(e)
		}
		switch {
		case w.chance(1):
			w.execs[i] = w.fresh() // killed; whoever comes next has a new name and no memory
		case w.chance(1) && w.rnd.IntN(2) == 0:
			e.paused = w.tick + w.rnd.IntN(6*simLease)
		case w.chance(1) && w.rnd.IntN(3) == 0:
			e.stopping = true
		case e.stopping && len(e.tasks) == 0:
			w.execs[i] = w.fresh()
		}
	}
	if w.rnd.IntN(8) == 0 {
		w.settle()
	}
	if w.chance(2) && len(w.queue) < 4*simActions {
		m := w.queue[w.rnd.IntN(len(w.queue))]
		w.queue = append(w.queue, &simMessage{id: m.id, due: w.tick}) // doubled
	}
}

// work hands out a message or performs one operation somewhere.
func (w *simWorld) work() {
	e := w.execs[w.rnd.IntN(len(w.execs))]
	if e.paused > w.tick && w.chaos {
		return
	}
	if len(w.cancel) > 0 && w.rnd.IntN(4) == 0 {
		w.canceling(e)
		return
	}
	if n := len(e.tasks); n > 0 && (n >= 2 || w.rnd.IntN(2) == 0) {
		i := w.rnd.IntN(n)
		if t := e.tasks[i]; w.step(t) {
			e.tasks = append(e.tasks[:i], e.tasks[i+1:]...)
			if !t.msg.acked {
				t.msg.due = min(t.msg.due, w.tick+1)
			}
		}
		return
	}
	if e.stopping {
		return
	}
	m := w.queue[w.rnd.IntN(len(w.queue))]
	if m.acked || m.due > w.tick {
		return
	}
	m.due = w.tick + simAckWait
	if w.chance(5) {
		return // lost on the way
	}
	for _, t := range e.tasks {
		if t.msg.id == m.id {
			return // exclusive in one process
		}
	}
	e.tasks = append(e.tasks, &simTask{exec: e, msg: m, phase: "deliver", beat: w.tick})
}

func (w *simWorld) over() bool {
	for _, m := range w.queue {
		if !m.acked {
			return false
		}
	}
	for _, e := range w.execs {
		if len(e.tasks) > 0 {
			return false
		}
	}
	return true
}

func (w *simWorld) run() error {
	for op := 0; op < simChaos+simPeace && w.err == nil; op++ {
		w.chaos = op < simChaos
		if w.rnd.IntN(3) == 0 {
			w.advance()
		}
		w.work()
		if !w.chaos && w.over() {
			break
		}
	}
	if w.err == nil && !w.over() {
		w.fail("P1: messages are left")
	}
	for id := range w.born {
		cur, ok := w.store[id]
		n := len(w.res[id].effects)
		switch {
		case !ok || !wire.Final(cur.rec.State):
			w.fail("P1: %s did not end: %q", id, cur.rec.State)
		case w.resolved[id] > 1:
			w.fail("P6: %s was made certain %d times", id, w.resolved[id])
		case w.born[id].Noop:
			w.dryRun(id, cur.rec, n)
		case w.told[id] != cur.rec.State && (w.resolved[id] == 0 || w.told[id] != wire.StateUnknown): // a verdict may be lost, its record is not
			w.fail("P1: %s is %s, told was %q", id, cur.rec.State, w.told[id])
		case n > 1:
			w.fail("P2: %s took effect %d times", id, n)
		case n == 1 && w.res[id].effects[0] != w.first[id]:
			w.fail("P2: %s was begun by %s, the effect is from %s", id, w.first[id], w.res[id].effects[0])
		case cur.rec.State == wire.StateSucceeded && n == 0:
			w.fail("P3: %s is succeeded with no effect", id)
		case cur.rec.State == wire.StateCanceled:
			w.canceled(id, cur.rec, n)
		case n > 0 && cur.rec.State != wire.StateSucceeded && cur.rec.State != wire.StateUnknown:
			w.fail("P3: %s is %s and took effect", id, cur.rec.State)
		}
	}
	return w.err
}
