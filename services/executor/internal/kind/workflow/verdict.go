package workflow

import (
	"errors"
	"slices"
	"strings"

	"palmops/libs/wire"
	"palmops/services/executor/catalog"
	"palmops/services/executor/internal/kind"
)

// outcome is what became of one step. An empty state says that it was not begun.
type outcome struct {
	Step
	change           bool // its action changes something
	did, text        string
	undone, undoText string
}

// effect reports whether the step may have left something changed. A step that was cancelled may have been half-way.
func (o outcome) effect() bool {
	return o.change && (o.did == wire.StateSucceeded || o.did == wire.StateTimeout || o.did == wire.StateCanceled)
}

// left reports whether what the step changed is, or may be, still there.
func (o outcome) left() bool { return o.effect() && o.undone != wire.StateSucceeded }

// run is a workflow with what is known of its steps.
type run struct {
	w     kind.Work
	steps []outcome
}

func newRun(c *catalog.Catalog, w kind.Work) *run {
	r := &run{w: w}
	for _, s := range stepsOf(w.Action) {
		a, _ := c.Action(s.Do.Action)
		r.steps = append(r.steps, outcome{Step: s, change: a.Class == catalog.Change})
	}
	return r
}

// stops reports whether nothing may come after a step. What nobody knows, and what a person ended, stops a tolerant workflow too.
func (r *run) stops(o outcome) bool {
	switch o.did {
	case wire.StateSucceeded:
		return false
	case wire.StateUnknown, wire.StateCanceled:
		return true
	}
	return !o.Tolerant
}

// undoable reports whether ways back may be taken: not on top of what nobody knows, and not against the person who said stop.
func (r *run) undoable() bool {
	return !r.any(func(o outcome) bool { return o.did == wire.StateUnknown || o.did == wire.StateCanceled })
}

func (r *run) any(is func(outcome) bool) bool { return slices.ContainsFunc(r.steps, is) }

// stop is the number of the step at which the workflow came to its end, from 1; 0 when it went through all of them.
func (r *run) stop() int {
	for i, o := range r.steps {
		if o.did == "" || r.stops(o) {
			return i + 1
		}
	}
	return 0
}

// facts are what the verdicts are made of.
func (r *run) facts() (unknown, left, done bool) {
	unknown = r.any(func(o outcome) bool { return o.did == wire.StateUnknown || o.undone == wire.StateUnknown })
	return unknown, r.any(outcome.left), r.any(func(o outcome) bool { return o.did == wire.StateSucceeded })
}

// verdict is the result of a workflow that its owner brought to an end. Cause is why its context ended, if it did; late says that
// its time was over.
func (r *run) verdict(cause error, late bool) kind.Result {
	unknown, left, done := r.facts()
	stop := r.stop()
	canceled := errors.Is(cause, kind.ErrCanceled) || r.any(func(o outcome) bool { return o.did == wire.StateCanceled || o.undone == wire.StateCanceled })
	switch {
	case unknown:
		return kind.Unsure(r.say("end.unknown"))
	case stop == 0 && done:
		return r.through()
	case stop == 0 && left: // all were tolerated, and some took effect only half-way
		return kind.TimedOut(r.say("end.left", len(r.steps)))
	case stop == 0:
		return kind.Failed(r.say("end.none"))
	case canceled && left:
		return kind.Canceled(r.say("end.canceled_left", stop))
	case canceled:
		return kind.Canceled(r.say("end.canceled", stop))
	case !left && r.any(outcome.effect):
		return kind.Failed(r.say("end.undone", stop))
	case !left && cause != nil:
		return kind.Failed(r.say("end.broken", stop))
	case !left:
		return kind.Failed(r.say("end.failed", stop))
	case late:
		return kind.TimedOut(r.say("end.late", stop))
	case cause != nil:
		return kind.TimedOut(r.say("end.broken_left", stop))
	}
	return kind.TimedOut(r.say("end.left", stop))
}

// through is the result of a workflow that went through all of its steps, of which some may have been allowed to fail.
func (r *run) through() kind.Result {
	if r.any(func(o outcome) bool { return o.did != wire.StateSucceeded }) {
		return kind.Ended(r.say("end.tolerated", len(r.steps)))
	}
	return kind.Ended(r.say("end.done", len(r.steps)))
}

// found is the result of a workflow whose owner died: succeeded when every step was done, failed when nothing of it is left,
// else unknown, with what is known of each step.
func (r *run) found() kind.Result {
	unknown, left, done := r.facts()
	switch stop := r.stop(); {
	case unknown:
		return kind.Unsure(r.say("end.unknown"))
	case stop == 0 && done:
		return r.through()
	case !left && r.any(outcome.effect):
		return kind.Failed(r.say("end.undone", stop))
	case !left:
		return kind.Failed(r.say("end.nothing"))
	default:
		return kind.Unsure(r.say("end.half", max(stop, 1)))
	}
}

// say is a headline with a line for each step below it.
func (r *run) say(key string, args ...any) string {
	t := r.w.Lang
	lines := []string{texts.Say(t, key, args...)}
	for _, o := range r.steps {
		name := o.title(t)
		switch o.did {
		case "":
			lines = append(lines, texts.Say(t, "line.not_begun", name))
			continue
		case wire.StateUnknown:
			lines = append(lines, texts.Say(t, "line.unknown", name, kind.Line(o.text, maxLine)))
		case wire.StateSucceeded:
			lines = append(lines, texts.Say(t, "line.done", name, kind.Line(o.text, maxLine)))
		default:
			lines = append(lines, texts.Say(t, "line.failed", name, kind.Line(o.text, maxLine)))
		}
		switch o.undone {
		case "":
		case wire.StateSucceeded:
			lines = append(lines, texts.Say(t, "line.undone", name, kind.Line(o.undoText, maxLine)))
		case wire.StateUnknown:
			lines = append(lines, texts.Say(t, "line.undo_unknown", name, kind.Line(o.undoText, maxLine)))
		default:
			lines = append(lines, texts.Say(t, "line.undo_failed", name, kind.Line(o.undoText, maxLine)))
		}
	}
	return strings.Join(lines, "\n")
}

// maxLine is how much of a step's own text is shown, in characters, so that 20 of them fit a message.
const maxLine = 80
