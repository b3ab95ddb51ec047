package runner

import (
	"context"

	"palmops/libs/fault"
	"palmops/libs/wire"
	"palmops/services/executor/internal/kind"
)

// builtIn is what the built-in kinds have in common. Each is made for one action; by is the action's own record, which was
// proven when it was made.
type builtIn struct {
	r  *Runner
	by *wire.Record
}

// builtInKind is the kind that carries out a built-in action.
func (r *Runner) builtInKind(rec *wire.Record) (k kind.Kind, ok bool) {
	b := builtIn{r: r, by: rec}
	switch rec.Action {
	case wire.ActionCancel:
		return &canceling{builtIn: b}, true
	case wire.ActionLock:
		return &locking{builtIn: b}, true
	case wire.ActionUnlock:
		return &locking{builtIn: b, free: true}, true
	case wire.ActionSettle:
		return &settling{builtIn: b}, true
	}
	return nil, false
}

func (b *builtIn) say(key string, args ...any) string { return texts.Say(langOf(b.by), key, args...) }

// state is a state in the words of the person whose action this is.
func (b *builtIn) state(rec *wire.Record) string {
	if rec == nil {
		return b.say("state.none")
	}
	return stateWord(langOf(b.by), rec.State)
}

func (b *builtIn) Answer(context.Context, kind.Query) (wire.Answer, error) {
	return wire.Answer{}, fault.New(fault.Internal, "a built-in change is no question")
}

// Target is none: what these actions write is guarded by compare-and-set, and a cancellation must not wait for the very action
// that it is to stop.
func (b *builtIn) Target(kind.Query) string { return "" }

func (b *builtIn) Secrets() []string { return nil }

func (b *builtIn) Close() {}
