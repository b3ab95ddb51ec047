package life

import "palmops/libs/wire"

// late is what an owner does that finds the action to be somebody else's: it takes no further step, and what it knows for
// certain it offers once the other one has looked.
func (w *simWorld) late(t *simTask) (done bool) {
	if t.exec.stopping || t.rec == nil {
		return true
	}
	ev := Late{Attempt: t.rec.Attempt}
	switch t.phase {
	case "leave", "effect": // it will not cause it any more
		ev.State = wire.StateFailed
		if w.broken == "guesses late" {
			ev.State = wire.StateSucceeded
		}
	case "follow":
		ev.State = wire.StateSucceeded
	case "result":
		e, ok := t.end.(Ended)
		if !ok {
			return true // it had only looked
		}
		ev.State, ev.Text = e.State, e.Text
	default:
		return true
	}
	cur, ok := w.store[t.rec.ID]
	if !ok || !wire.Final(cur.rec.State) {
		return false
	}
	s := On(&cur.rec, ev)
	if s.Write == nil {
		return true
	}
	return w.resolve(t, s.Write, cur.rev)
}

// resolve writes a verdict over an unknown record and tells it, once.
func (w *simWorld) resolve(t *simTask, next *wire.Record, rev uint64) (done bool) {
	_, moved, unsure := w.put(t, next, rev)
	if now := w.store[next.ID].rec; moved || unsure && (now.State != next.State || now.Beat != next.Beat) {
		return false // another look; one that finds the verdict there knows that only the answer was lost
	}
	w.resolved[next.ID]++
	if !w.chance(5) {
		w.told[next.ID] = next.State
	}
	return true
}

// settle is a person who looks at the resource of an unknown action, and says what is there. Sometimes only the fence of such
// an attempt comes through.
func (w *simWorld) settle() {
	id := w.ids[w.rnd.IntN(len(w.ids))]
	cur, ok := w.store[id]
	if !ok || cur.rec.State != wire.StateUnknown {
		return
	}
	ev := Settled{State: wire.StateFailed}
	if len(w.res[id].effects) > 0 {
		ev.State = wire.StateSucceeded
	}
	person := &simTask{exec: &simExec{self: "a person's executor"}}
	if w.chance(20) {
		w.put(person, On(&cur.rec, Fenced{}).Write, cur.rev)
		return
	}
	w.resolve(person, On(&cur.rec, ev).Write, cur.rev)
}

// dryRun judges an action that was to change nothing.
func (w *simWorld) dryRun(id string, rec wire.Record, n int) {
	switch {
	case n > 0:
		w.fail("P5: the dry run %s took effect", id)
	case rec.Started != 0 || w.first[id] != "":
		w.fail("P5: the dry run %s was begun", id)
	case rec.State == wire.StateUnknown:
		w.fail("P5: the dry run %s is unknown", id)
	}
}
