// Package life is the life of one action as a pure function: what the record was, what happened, what the record
// becomes, and what must be done next.
//
//	           Delivered                       Prepared                     Ended
//	(nothing) ──────────► claimed ──────────────────────► running ───────────────────────► succeeded | failed | timeout
//	    │                  │  ▲                             │                               | canceled | unknown ── Late, Settled ──►
//	    │ refused          │  └ Delivered, owner dead       │ Delivered, owner dead
//	    ▼                  │ Refused                        ▼
//	rejected | expired     └────────► failed              running (new owner) ── Probed ──► succeeded | failed | unknown
//
// A dry run (Record.Noop) goes from claimed to succeeded by Planned; it can never become running.
//
// Unknown is not the end of what can be known: the owner that began the work may wake up and tell (Late), or a named person
// looks and says how it ended (Settled).
//
// A person may take an action back. Before it began, Canceled ends it, whoever writes that, also before the order itself has
// come (see Void). Once it is running only its owner can end it: the work is told to stop, and Ended says canceled.
//
// The rules that make it safe are about order, and the shell (package runner) keeps them: a step's record is written by
// compare-and-set before its Next is begun; losing the compare-and-set ends the work; the message is acknowledged last.
// So the record says claimed only while nothing has been done, and an action that may have been begun is never begun again:
// the one who finds it running with a dead owner looks (Probe) and reports.
package life

import (
	"encoding/json"

	"palmops/libs/wire"
)

// MaxAttempts is how often an action may be claimed before it is given up. Nothing was done in any of these attempts.
const MaxAttempts = 5

// Next is what follows once the record of a step is written.
type Next string

// What may follow.
const (
	Prepare Next = "prepare" // let the kind read and refuse; nothing may be changed yet
	Apply   Next = "apply"   // let the kind act
	Probe   Next = "probe"   // let the kind look whether a dead owner's work took effect
	Carry   Next = "carry"   // go on with what is being done
	Tell    Next = "tell"    // publish the record's state, then acknowledge the message
	Wait    Next = "wait"    // somebody alive works on it: look again later
	Release Next = "release" // give the message back at once
	Discard Next = "discard" // the message orders nothing: drop it, leave the record alone
)

// Step is the answer to an event. A nil Write leaves the record as it is; Create means that it must not exist yet.
type Step struct {
	Write  *wire.Record
	Create bool
	Next   Next
}

// Event is something that happened to an action.
type Event interface{ event() }

// Delivered says that a message with the action came.
type Delivered struct {
	// Born is the record as the message's proven claims describe it: identity, digest, arguments, times. Zero when
	// nothing is proven.
	Born wire.Record
	// Refused says why the guard refuses the message; nil when it holds.
	Refused *Refused
	// Alive says that the record's owner gave a sign of life within its lease, by the observer's own clock. A record
	// without an owner is never alive.
	Alive   bool
	Self    string // this executor's instance
	GivenUp string // what the user is told when there were too many attempts
	Now     int64  // Unix milliseconds, as everywhere below
}

// Refused is a verdict of the guard: the state it leads to (rejected, expired) and a text for the user.
type Refused struct {
	State string
	Text  string
}

// Prepared says that the kind has read what it needs and nothing stands against the action. Before goes into the record.
type Prepared struct {
	Before json.RawMessage
	Now    int64
}

// Planned says what a dry run would have changed. It ends the action, with nothing done.
type Planned struct {
	Text string
	Now  int64
}

// Declined says that the kind, or the shell, found before the first effect that the action cannot or must not be done.
type Declined struct {
	State string // failed, canceled or expired
	Text  string
	Now   int64
}

// Canceled says that a person takes back what has not begun.
type Canceled struct {
	// By holds the id of the action and the person who takes it back, with the zone and pool they sent that to: what a
	// record needs when there is none yet.
	By   wire.Record
	Self string // who writes it; a former owner finds out by that, and does nothing more
	Text string
	Now  int64
}

// Beat says that the owner is alive; Step is the newest line of progress.
type Beat struct{ Step string }

// Ended says that the kind is done. State is succeeded, failed, timeout, canceled or unknown; Step is the last line of
// progress.
type Ended struct {
	State  string
	Text   string
	Step   string
	Output *wire.File // what it printed, once that is stored; nil for nothing
	Image  *wire.File
	Now    int64
}

// Probed says that the kind looked at what a dead owner left. State is succeeded, failed (surely not applied) or unknown.
type Probed struct {
	State string
	Text  string
	Now   int64
}

// Late is what the owner that began the work found out after it had lost the action. It counts only where everybody else had
// to say unknown, and only when it is certain: succeeded, failed, timeout or canceled.
type Late struct {
	State   string
	Text    string
	Attempt int // in which the work was done
	Now     int64
}

// Settled is a person's verdict about an action that is unknown: succeeded or failed. Who may say so is decided before.
type Settled struct {
	State string
	Text  string
	Now   int64
}

// Fenced moves an unknown record on without changing what it says: a verdict that a dead executor may still have under way
// misses it.
type Fenced struct{}

// Stopping says that the executor ends and gives back what it has not begun.
type Stopping struct{}

func (Delivered) event() {}
func (Prepared) event()  {}
func (Planned) event()   {}
func (Declined) event()  {}
func (Canceled) event()  {}
func (Beat) event()      {}
func (Ended) event()     {}
func (Probed) event()    {}
func (Late) event()      {}
func (Settled) event()   {}
func (Fenced) event()    {}
func (Stopping) event()  {}

// On makes one step. The record is nil when there is none; it is never changed. An event that does not fit the record's
// state is answered with Discard for a message and with Carry, without a write, for everything else.
func On(rec *wire.Record, ev Event) Step {
	switch e := ev.(type) {
	case Delivered:
		return delivered(rec, e)
	case Prepared:
		if rec != nil && rec.Noop {
			return Step{Next: Carry} // whatever asks for it: a dry run is never begun
		}
		return move(rec, wire.StateClaimed, Apply, func(r *wire.Record) {
			r.State, r.Before, r.Started = wire.StateRunning, e.Before, e.Now
		})
	case Planned:
		if rec == nil || !rec.Noop {
			return Step{Next: Carry}
		}
		return move(rec, wire.StateClaimed, Tell, end(wire.StateSucceeded, e.Text, e.Now))
	case Declined:
		if e.State != wire.StateFailed && e.State != wire.StateCanceled && e.State != wire.StateExpired {
			return Step{Next: Carry}
		}
		return move(rec, wire.StateClaimed, Tell, end(e.State, e.Text, e.Now))
	case Canceled:
		return canceled(rec, e)
	case Beat:
		if rec == nil || rec.State != wire.StateClaimed && rec.State != wire.StateRunning {
			return Step{Next: Carry}
		}
		return move(rec, rec.State, Carry, func(r *wire.Record) {
			if e.Step != "" {
				r.Step = e.Step
			}
		})
	case Ended:
		switch e.State {
		case wire.StateSucceeded, wire.StateFailed, wire.StateTimeout, wire.StateCanceled, wire.StateUnknown:
			return move(rec, wire.StateRunning, Tell, func(r *wire.Record) {
				if e.Step != "" {
					r.Step = e.Step
				}
				r.Output, r.Image = e.Output, e.Image
				end(e.State, e.Text, e.Now)(r)
			})
		}
	case Probed:
		switch e.State {
		case wire.StateSucceeded, wire.StateFailed, wire.StateUnknown:
			return move(rec, wire.StateRunning, Tell, end(e.State, e.Text, e.Now))
		}
	case Late:
		switch e.State {
		case wire.StateSucceeded, wire.StateFailed, wire.StateTimeout, wire.StateCanceled:
			if rec != nil && e.Attempt < rec.Attempt {
				return move(rec, wire.StateUnknown, Tell, end(e.State, e.Text, e.Now))
			}
		}
	case Settled:
		if e.State == wire.StateSucceeded || e.State == wire.StateFailed {
			return move(rec, wire.StateUnknown, Tell, end(e.State, e.Text, e.Now))
		}
	case Fenced:
		return move(rec, wire.StateUnknown, Carry, func(*wire.Record) {})
	case Stopping:
		return move(rec, wire.StateClaimed, Release, func(r *wire.Record) { r.Owner = "" })
	}
	return Step{Next: Carry}
}

func delivered(rec *wire.Record, e Delivered) Step {
	if e.Born.ID == "" {
		return Step{Next: Discard} // nothing is proven, not even whose action this is
	}
	switch {
	case rec == nil:
		return create(rec, e)
	case Void(rec) && samePerson(rec, &e.Born):
		born := e.Born
		born.V, born.Created, born.Beat, born.Owner = wire.Version, e.Now, rec.Beat+1, rec.Owner
		end(rec.State, rec.Summary, rec.Ended)(&born)
		return Step{Write: &born, Next: Tell}
	case Void(rec):
		return create(rec, e)
	}
	if rec.ID != e.Born.ID || rec.ArgsHash != e.Born.ArgsHash || rec.Action != e.Born.Action || rec.Noop != e.Born.Noop {
		return Step{Next: Discard} // the id is used up by another order
	}
	alive := e.Alive && rec.Owner != ""
	switch {
	case wire.Final(rec.State):
		return Step{Next: Tell}
	case alive:
		return Step{Next: Wait}
	case rec.State == wire.StateClaimed && e.Refused != nil:
		return move(rec, wire.StateClaimed, Tell, end(e.Refused.State, e.Refused.Text, e.Now))
	case rec.State == wire.StateClaimed && rec.Attempt >= MaxAttempts:
		return move(rec, wire.StateClaimed, Tell, end(wire.StateFailed, e.GivenUp, e.Now))
	case rec.State == wire.StateClaimed:
		return move(rec, wire.StateClaimed, Prepare, own(e.Self))
	case rec.State == wire.StateRunning:
		// The new owner is written before the look: from here on the old one, should it only have slept, fails its own
		// compare-and-set before its next step. It does not matter that the order may be refused by now: it was begun.
		return move(rec, wire.StateRunning, Probe, own(e.Self))
	}
	return Step{Next: Discard}
}

// create makes the record of an order that is seen for the first time, over nothing or over somebody else's void one.
func create(rec *wire.Record, e Delivered) Step {
	born := e.Born
	born.V, born.Created, born.Attempt, born.Beat = wire.Version, e.Now, 1, 1
	if rec != nil {
		born.Beat = rec.Beat + 1
	}
	if e.Refused != nil {
		end(e.Refused.State, e.Refused.Text, e.Now)(&born)
		return Step{Write: &born, Create: rec == nil, Next: Tell}
	}
	born.State, born.Owner = wire.StateClaimed, e.Self
	return Step{Write: &born, Create: rec == nil, Next: Prepare}
}

// Void reports whether a record only says that the order is not wanted any more should it still come: somebody cancelled it
// before any executor had seen it. Who that was counts. An id is no secret and proves nothing, so a void record speaks for
// the person in it alone: their order ends as canceled, anybody else's is carried out as if the record were not there.
func Void(rec *wire.Record) bool {
	return rec != nil && rec.State == wire.StateCanceled && rec.Action == ""
}

func samePerson(a, b *wire.Record) bool {
	return a.Corp == b.Corp && a.App == b.App && a.User == b.User
}

// Same reports whether two records belong to one person, and were sent to one zone and pool.
func Same(a, b *wire.Record) bool { return samePerson(a, b) && a.Zone == b.Zone && a.Pool == b.Pool }

func canceled(rec *wire.Record, e Canceled) Step {
	switch {
	case rec == nil || Void(rec) && !samePerson(rec, &e.By):
		b := e.By
		void := wire.Record{
			V: wire.Version, ID: b.ID, Corp: b.Corp, App: b.App, User: b.User, Zone: b.Zone, Pool: b.Pool, Lang: b.Lang,
			Owner: e.Self, Created: e.Now, Beat: 1,
		}
		if rec != nil {
			void.Beat = rec.Beat + 1
		}
		end(wire.StateCanceled, e.Text, e.Now)(&void)
		return Step{Write: &void, Create: rec == nil, Next: Tell}
	case rec.ID != e.By.ID || !Same(rec, &e.By):
		return Step{Next: Carry}
	case wire.Final(rec.State):
		return Step{Next: Tell}
	}
	return move(rec, wire.StateClaimed, Tell, func(r *wire.Record) {
		own(e.Self)(r)
		end(wire.StateCanceled, e.Text, e.Now)(r)
	})
}

// move is a step out of one state; in any other the event comes too late and changes nothing.
func move(rec *wire.Record, from string, next Next, change func(*wire.Record)) Step {
	if rec == nil || rec.State != from {
		return Step{Next: Carry}
	}
	r := *rec
	r.Beat++
	change(&r)
	return Step{Write: &r, Next: next}
}

func own(self string) func(*wire.Record) {
	return func(r *wire.Record) { r.Owner, r.Attempt = self, r.Attempt+1 }
}

func end(state, text string, now int64) func(*wire.Record) {
	return func(r *wire.Record) { r.State, r.Summary, r.Ended = state, text, now }
}
