// Package kind says what the executor expects of a kind of actions, such as Kubernetes. The kinds themselves are the packages
// below; app holds the one map of them.
//
// A kind works in three phases, so that the record of an action always tells the truth. Prepare only reads and may refuse:
// nothing has been done. Apply acts, and asks Hand.Step right before each effect, which says no once somebody else owns the
// action. Probe looks at what an owner that died in Apply left behind; it never continues the work, but it makes sure
// that a request of the dead owner which is still under way cannot take effect after the verdict. Plan says, instead of Apply,
// what would be done.
//
// Reports (catalog.Report) go the same way with nothing to change: Target is "", Apply reads and asks for no Step, and Probe
// says Failed: nothing was changed, ask again.
//
// A kind masks nothing: the runner masks everything that leaves it, by Secrets and by patterns.
package kind

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"palmops/libs/lang"
	"palmops/libs/wire"
	"palmops/services/executor/catalog"
)

// Kind is one kind of actions. Implementations are safe for concurrent use and end with the context.
type Kind interface {
	// Answer reads what a read-only action asks for. A remote node (catalog.Verb.Node) answers with a View.
	Answer(ctx context.Context, q Query) (wire.Answer, error)
	// Target names what an action changes; more changes of one target than the catalog's per_target, which is 1 unless it says
	// otherwise, are never at work at the same time. "" is for an action that changes nothing others could change: it waits for nobody.
	Target(q Query) string
	// Prepare reads what Apply and Probe need, at most 4 KiB of JSON, and refuses what cannot be done. The error's kind and safe
	// text go to the user; the text says that nothing was done.
	Prepare(ctx context.Context, w Work) (before json.RawMessage, err error)
	// Apply acts. The context ends at the action's timeout or when the work must stop (context.Cause: ErrLost, ErrStopping,
	// ErrCanceled); the result is then what is known to be true.
	Apply(ctx context.Context, w Work, before json.RawMessage, hand Hand) Result
	// Plan says in one to a few lines what Apply would change, current → wanted, from what Prepare has read; it changes nothing.
	Plan(ctx context.Context, w Work, before json.RawMessage) (string, error)
	// Probe says what became of an Apply whose owner died: succeeded, failed when it surely did not and will not take effect, else unknown.
	Probe(ctx context.Context, w Work, before json.RawMessage) Result
	// Secrets are the values that the kind knows and nobody may read, such as passwords. Shorter ones than MinSecret are not masked.
	Secrets() []string
	// Close lets go of idle connections.
	Close()
}

// Work is one action as a kind sees it; the arguments have been held against the catalog.
type Work struct {
	ID      string
	Action  catalog.Action
	Args    map[string]any
	Timeout time.Duration // of Apply, for texts
	Lang    lang.Tag      // of every text that the kind makes for the user
	// Steps reads the records of the steps that Hand.Run has begun for this work, by their names; for Probe of a workflow.
	Steps func(ctx context.Context) (map[string]wire.Record, error)
}

// Query is one question as a kind sees it; the arguments have been held against the catalog.
type Query struct {
	Action catalog.Action
	Args   map[string]any
	Lang   lang.Tag
}

// Hand is the executor's side of a running action.
type Hand interface {
	// Step asks for leave to cause the next effect: it proves in the store that this executor still owns the action. After an
	// error nothing more may be changed.
	Step(ctx context.Context) error
	// Progress says in one line how far the work is. Only the newest line within some seconds reaches the user.
	Progress(line string)
	// Run carries out another action of the same catalog as a step of this one: with a record, a lock of its target, and a life of its
	// own, judged by the same catalog. Name is unique within the work; a step of that name that has ended already gives its
	// result again. The step's progress is the work's. The result is Unknown when nobody can tell; a step that was refused is Failed.
	Run(ctx context.Context, name, action string, args map[string]any) Result
}

// Result is how an action ended: one of wire's states and a text for the user, which says what happened, what did not, and
// what to do next. Output is what it printed, in lines; it may be long. With Told the text has what a phone should show of the
// output, such as the newest lines of a log: the chat does not show its beginning as well.
type Result struct {
	State  string
	Text   string
	Output string
	Told   bool
	Image  []byte // PNG to show in the chat, at most wire.MaxImage bytes; nil for none
}

// Limits of what a kind hands over.
const (
	MaxOutput = 8 << 20 // bytes of Result.Output; see Capture
	MinSecret = 6       // bytes
)

// Causes of an early end of Apply's context.
var (
	ErrLost     = errors.New("the action has another owner now")
	ErrStopping = errors.New("the executor stops")
	// ErrCanceled asks for an end at the next safe point. The result is Canceled, and says what has been done by then; a
	// kind that is done already may as well say so.
	ErrCanceled = errors.New("a person cancelled the action")
)

// Ended reports a successful end.
func Ended(text string) Result { return Result{State: wire.StateSucceeded, Text: text} }

// Failed reports that surely nothing was done.
func Failed(text string) Result { return Result{State: wire.StateFailed, Text: text} }

// Canceled reports that the work stopped because a person wanted that. The text says what had been done by then.
func Canceled(text string) Result { return Result{State: wire.StateCanceled, Text: text} }

// TimedOut reports that the effect took place, but not all of what was waited for.
func TimedOut(text string) Result { return Result{State: wire.StateTimeout, Text: text} }

// Unsure reports that nobody can tell.
func Unsure(text string) Result { return Result{State: wire.StateUnknown, Text: text} }
