package life

import (
	"palmops/libs/wire"
)

// What a canceled action says about itself.
const (
	simNothing = "nothing was done"
	simDone    = "it took effect"
)

// simCancel is one cancellation on its way: at the start of it nobody knows where the action is.
type simCancel struct {
	id   string
	user string
	due  int
}

// plan decides who wants to cancel an action, and when: often its own person, sometimes somebody who knows the id only.
func (w *simWorld) plan(id string) {
	if w.rnd.IntN(2) == 0 {
		w.cancel = append(w.cancel, &simCancel{id: id, user: "zhang", due: w.rnd.IntN(80)})
		w.asked[id] = true
	}
	if w.rnd.IntN(4) == 0 {
		w.cancel = append(w.cancel, &simCancel{id: id, user: "mallory", due: w.rnd.IntN(40)})
	}
}

// canceling makes one attempt at the first cancellation that is due. It may be lost on the way, and it gives up where the
// owner does not answer: what must never happen is that it tells or does something wrong.
func (w *simWorld) canceling(e *simExec) {
	c := w.cancel[0]
	w.cancel = w.cancel[1:]
	if c.due > w.tick {
		w.cancel = append(w.cancel, c)
		return
	}
	ev := Canceled{By: wire.Record{ID: c.id, User: c.user}, Self: e.self, Text: simNothing}
	cur, exists := w.store[c.id]
	var rec *wire.Record
	if exists {
		rec = &cur.rec
		if w.broken == "anybody cancels" {
			ev.By.User = rec.User
		}
		foreign := !Void(rec) && !Same(rec, &ev.By)
		if owner := w.owner(rec); !foreign && owner != nil && !w.chance(20) {
			owner.cancel = true // told; whatever the owner writes next counts
			return
		}
	}
	s := On(rec, ev)
	if w.broken == "cancels what runs elsewhere" && s.Next == Carry && rec.User == c.user {
		stolen := *rec
		stolen.Beat++
		end(wire.StateCanceled, simNothing, 0)(&stolen)
		s.Write = &stolen
	}
	if s.Write == nil {
		return
	}
	if s.Create != (rec == nil) {
		w.fail("%s: create is %t", c.id, s.Create)
	}
	if _, moved, unsure := w.put(&simTask{exec: e}, s.Write, cur.rev); moved || unsure {
		w.cancel = append(w.cancel, c) // another look
	}
}

// owner is the task that works on a record, where it can hear.
func (w *simWorld) owner(rec *wire.Record) *simTask {
	for _, e := range w.execs {
		if e.self != rec.Owner || e.paused > w.tick {
			continue
		}
		for _, t := range e.tasks {
			if t.rec != nil && t.rec.ID == rec.ID && !t.lost && t.phase != "deliver" && t.phase != "probe" {
				return t
			}
		}
	}
	return nil
}

// canceled judges an action that ended as canceled after n effects.
func (w *simWorld) canceled(id string, rec wire.Record, n int) {
	switch {
	case !w.asked[id]:
		w.fail("P4: %s was canceled by somebody else", id)
	case rec.User != "zhang":
		w.fail("P4: %s belongs to %s now", id, rec.User)
	case rec.Summary == simNothing && n > 0, rec.Summary == simDone && n == 0:
		w.fail("P3: %s is canceled and says %q after %d effects", id, rec.Summary, n)
	case rec.Summary == "":
		w.fail("P3: %s is canceled and does not say what was done", id)
	}
}
