package life

import (
	"encoding/json"

	"palmops/libs/wire"
)

type simStored struct {
	rec wire.Record
	rev uint64
}

// simTask is one message in one executor's hands. Its phase is the next operation.
type simTask struct {
	exec  *simExec
	msg   *simMessage
	rec   *wire.Record
	rev   uint64
	phase string
	next  Next
	beat  int
	lost  bool
	end   Event // what insist feeds

	cancel bool // the work has been told to stop
}

// put is the store's compare-and-set: moved means lost, unsure that nobody knows.
func (w *simWorld) put(t *simTask, next *wire.Record, rev uint64) (newRev uint64, moved, unsure bool) {
	if w.chance(3) {
		return 0, false, true
	}
	cur, exists := w.store[next.ID]
	if exists != (rev > 0) || exists && cur.rev != rev {
		return 0, true, false
	}
	w.legal(t, cur.rec, *next, exists)
	w.rev++
	w.store[next.ID] = simStored{rec: *next, rev: w.rev}
	if w.chance(3) {
		return 0, false, true // stored, but the answer is lost
	}
	return w.rev, false, false
}

var simLegal = map[string][]string{
	"":                {wire.StateClaimed, wire.StateExpired, wire.StateRejected, wire.StateCanceled},
	wire.StateClaimed: {wire.StateClaimed, wire.StateRunning, wire.StateFailed, wire.StateExpired, wire.StateRejected, wire.StateCanceled},
	wire.StateUnknown: {wire.StateUnknown, wire.StateSucceeded, wire.StateFailed, wire.StateCanceled},
	wire.StateRunning: {wire.StateRunning, wire.StateSucceeded, wire.StateFailed, wire.StateUnknown, wire.StateCanceled},
}

func (w *simWorld) legal(t *simTask, from, to wire.Record, exists bool) {
	state := ""
	if exists && !Void(&from) {
		state = from.State
	}
	legal := simLegal[state]
	if to.Noop && state == wire.StateClaimed { // ends with its plan
		legal = []string{wire.StateClaimed, wire.StateSucceeded, wire.StateFailed, wire.StateExpired, wire.StateRejected, wire.StateCanceled}
	}
	for _, ok := range legal {
		if to.State == ok {
			if exists && (to.Beat <= from.Beat || to.Attempt < from.Attempt || to.ArgsHash != from.ArgsHash && !Void(&from)) {
				w.fail("%s: the record went backwards: %+v then %+v", to.ID, from, to)
			}
			if state == wire.StateClaimed && to.State == wire.StateRunning {
				w.first[to.ID] = t.exec.self
			}
			return
		}
	}
	w.fail("%s: from %q to %q", to.ID, state, to.State)
}

// step performs one operation of a task; done means that its message is settled one way or the other.
func (w *simWorld) step(t *simTask) (done bool) {
	if t.lost {
		return w.late(t) // the context has ended: no further step
	}
	switch t.phase {
	case "deliver":
		return w.deliver(t)
	case "prepare":
		switch {
		case t.cancel:
			return w.write(t, Declined{State: wire.StateCanceled, Text: simNothing}, true)
		case t.exec.stopping:
			return w.write(t, Stopping{}, true)
		case w.chance(5):
			return w.write(t, Declined{State: wire.StateFailed}, true)
		}
		if t.rec.Noop && w.broken != "dry runs begin" {
			return w.write(t, Planned{Text: simNothing}, true)
		}
		before, _ := json.Marshal(w.res[t.rec.ID].version)
		return w.write(t, Prepared{Before: before}, false)
	case "leave": // Hand.Step, right before the effect
		if t.cancel {
			t.end, t.phase = Ended{State: wire.StateCanceled, Text: simNothing}, "result"
			return false
		}
		return w.write(t, Beat{}, true)
	case "effect":
		r := w.res[t.rec.ID]
		var seen int
		_ = json.Unmarshal(t.rec.Before, &seen) // written by Prepared
		if seen == r.version || w.broken == "no fence" {
			r.version++
			r.effects = append(r.effects, t.exec.self)
			t.phase = "follow"
		} else {
			t.end, t.phase = Ended{State: wire.StateFailed}, "result" // a conflict: surely not applied
		}
	case "follow": // the effect is there, and what was wanted comes true after some time
		switch {
		case t.cancel:
			t.end, t.phase = Ended{State: wire.StateCanceled, Text: simDone}, "result"
		case w.rnd.IntN(3) == 0:
			t.end, t.phase = Ended{State: wire.StateSucceeded}, "result"
		}
	case "probe":
		r := w.res[t.rec.ID]
		r.version++ // the fence: what is still under way misses
		switch {
		case w.chance(10):
			t.end = Probed{State: wire.StateUnknown}
		case len(r.effects) > 0:
			t.end = Probed{State: wire.StateSucceeded}
		default:
			t.end = Probed{State: wire.StateFailed}
		}
		t.phase = "result"
	case "result":
		return w.write(t, t.end, true)
	case "tell":
		w.told[t.rec.ID] = t.rec.State
		if w.chance(5) {
			return true // published, but the message comes again
		}
		t.phase = "ack"
	case "ack":
		t.msg.acked = !w.chance(5)
		return true
	}
	return false
}

func (w *simWorld) deliver(t *simTask) bool {
	born := w.born[t.msg.id]
	var rec *wire.Record
	ev := Delivered{Born: born, Self: t.exec.self, Now: int64(w.tick)}
	if int64(w.tick) > born.Expires {
		ev.Refused = &Refused{State: wire.StateExpired}
	}
	cur, exists := w.store[t.msg.id]
	if exists {
		rec = &cur.rec
		if rec.Owner != t.exec.self {
			ev.Alive, _ = t.exec.observer.See(rec.ID, cur.rev, w.now())
		}
	}
	s := On(rec, ev)
	t.rec, t.rev, t.next = rec, cur.rev, s.Next
	if s.Write != nil {
		if s.Create != (rec == nil) {
			w.fail("%s: create is %t", born.ID, s.Create)
		}
		rev, moved, unsure := w.put(t, s.Write, cur.rev)
		if unsure {
			return true
		}
		if moved {
			return false // look again
		}
		t.rec, t.rev = s.Write, rev
	}
	return w.follow(t)
}

// write feeds an event to the life of the task's action. Insisting ones are repeated until they are stored or lost.
func (w *simWorld) write(t *simTask, ev Event, insist bool) bool {
	s := On(t.rec, ev)
	if p, ok := ev.(Prepared); ok && w.broken == "dry runs begin" {
		wet := *t.rec
		wet.Noop = false
		s = On(&wet, p)
		s.Write.Noop = t.rec.Noop
	}
	if s.Write == nil {
		t.next = s.Next
		return w.follow(t)
	}
	rev, moved, unsure := w.put(t, s.Write, t.rev)
	switch {
	case unsure:
		return !insist
	case moved:
		cur := w.store[t.rec.ID]
		if cur.rec.Owner == t.exec.self && cur.rec.Attempt == t.rec.Attempt && cur.rev > t.rev {
			rec := cur.rec // an own write whose answer was lost
			t.rec, t.rev = &rec, cur.rev
			if wire.Final(rec.State) {
				t.next = Tell
				return w.follow(t)
			}
			return false
		}
		t.lost = true
		return true
	}
	t.rec, t.rev, t.next = s.Write, rev, s.Next
	t.beat = w.tick
	return w.follow(t)
}

func (w *simWorld) follow(t *simTask) (done bool) {
	switch t.next {
	case Prepare:
		t.phase = "prepare"
		t.msg.acked = w.broken == "acknowledged first"
	case Apply:
		t.phase = "leave"
	case Carry:
		if t.phase == "leave" {
			t.phase = "effect"
		}
	case Probe:
		t.phase = "probe"
		if w.broken == "run again" {
			t.phase = "leave"
		}
	case Tell:
		t.phase = "tell"
	case Wait, Release, Discard:
		if t.next == Discard {
			w.fail("%s: discarded", t.msg.id)
		}
		return true
	}
	return false
}
