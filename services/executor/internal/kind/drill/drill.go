// Package drill is the kind of actions that touch nothing: for training people, and for trying the whole way from the
// phone to an executor and back with any length of time and any amount of output.
package drill

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"palmops/libs/fault"
	"palmops/libs/lang"
	"palmops/libs/wire"
	"palmops/services/executor/catalog"
	"palmops/services/executor/internal/kind"
)

//go:embed texts.yaml
var textsFile []byte

var texts = lang.MustLoad(textsFile)

// Defaults and pace.
const (
	defaultItems  = 8
	progressEvery = 5 // seconds
)

// Kind is the kind drill. What it is set to do stands in the catalog's actions.
type Kind struct {
	second time.Duration // shorter in tests
}

var _ kind.Kind = (*Kind)(nil)

// New makes the kind.
func New() *Kind { return &Kind{second: time.Second} }

// Close does nothing: a drill holds nothing.
func (k *Kind) Close() {}

// Target is none: drills do not get into each other's way.
func (k *Kind) Target(kind.Query) string { return "" }

// Prepare has nothing to read; any arguments that the catalog allows are good.
func (k *Kind) Prepare(_ context.Context, w kind.Work) (json.RawMessage, error) {
	if w.Action.Verb != verbRun && w.Action.Verb != verbShow {
		return nil, fault.New(fault.Internal, "drill cannot do %q", w.Action.Verb)
	}
	return nil, nil
}

// Plan says the arguments: a drill changes nothing, so that there is nothing else to say.
func (k *Kind) Plan(_ context.Context, w kind.Work, _ json.RawMessage) (string, error) {
	return texts.Say(w.Lang, "run.plan", number(w.Args, "seconds", 0), arguments(w)), nil
}

// Secrets are none.
func (k *Kind) Secrets() []string { return nil }

// Apply lets the time pass that was asked for, and prints the lines.
func (k *Kind) Apply(ctx context.Context, w kind.Work, _ json.RawMessage, hand kind.Hand) kind.Result {
	say := func(key string, args ...any) string { return texts.Say(w.Lang, key, args...) }
	seconds, lines := number(w.Args, "seconds", 0), number(w.Args, "lines", 0)
	passed := 0
	for ctx.Err() == nil && passed < seconds {
		step := min(progressEvery, seconds-passed)
		began := time.Now()
		if kind.Pause(ctx, time.Duration(step)*k.second) != nil {
			passed += min(step, int(time.Since(began)/k.second))
			break
		}
		passed += step
		hand.Progress(say("run.progress", passed, seconds))
	}
	if ctx.Err() != nil {
		switch cause := context.Cause(ctx); {
		case errors.Is(cause, kind.ErrCanceled):
			return kind.Canceled(say("run.canceled", passed, seconds))
		case errors.Is(cause, kind.ErrStopping):
			return kind.Failed(say("run.stopping", passed, seconds))
		case errors.Is(cause, kind.ErrLost):
			return kind.Failed(say("run.taken", passed, seconds))
		}
		return kind.TimedOut(say("run.late", int(w.Timeout.Seconds()), passed, seconds))
	}
	r := kind.Ended(say("run.done", seconds, arguments(w)))
	var out strings.Builder
	for n := range lines {
		fmt.Fprintln(&out, say("run.line", n+1))
	}
	r.Output = strings.TrimSuffix(out.String(), "\n")
	if wanted, _ := w.Args["image"].(bool); wanted && w.Action.Verb == verbShow {
		r.Image = picture()
	}
	return r
}

// arguments lists all that came, by name.
func arguments(w kind.Work) string {
	if len(w.Args) == 0 {
		return texts.Say(w.Lang, "run.no_args")
	}
	var all []string
	for _, name := range slices.Sorted(maps.Keys(w.Args)) {
		all = append(all, texts.Say(w.Lang, "run.arg", name, w.Args[name]))
	}
	return texts.Say(w.Lang, "run.args", strings.Join(all, texts.Say(w.Lang, "run.and")))
}

// Probe knows without looking: a drill that was broken off has changed nothing.
func (k *Kind) Probe(_ context.Context, w kind.Work, _ json.RawMessage) kind.Result {
	return kind.Failed(texts.Say(w.Lang, "run.lost"))
}

// Answer gives what the catalog's settings say, after the delay that they ask for.
func (k *Kind) Answer(ctx context.Context, q kind.Query) (wire.Answer, error) {
	set, _ := q.Action.Settings.(Settings)
	if err := kind.Pause(ctx, set.Delay); err != nil {
		return wire.Answer{}, fault.WithText(fault.Wrap(fault.Transient, err, "delay of the drill"), texts.Say(q.Lang, "answer.late"))
	}
	switch q.Action.Verb {
	case verbList:
		return wire.Answer{Items: items(set.Items, q.Args)}, nil
	case verbState:
		return wire.Answer{Fields: maps.Clone(set.Fields)}, nil
	case verbGuide:
		if set.Guide == nil {
			return wire.Answer{}, fault.New(fault.Internal, "action %s has no guide", q.Action.Name)
		}
		typed, _ := q.Args[catalog.NodeInputs].(string) // the catalog has seen to the type
		return wire.Answer{View: view(set.Guide, wire.SplitInputs(typed), q.Lang)}, nil
	}
	return wire.Answer{}, fault.New(fault.Internal, "drill has no question %q", q.Action.Verb)
}

// items are the fixed ones, or as many as were asked for.
func items(fixed []string, args map[string]any) []wire.Item {
	if fixed != nil {
		fixed = fixed[:min(len(fixed), number(args, "count", len(fixed)))]
		out := make([]wire.Item, len(fixed))
		for i, name := range fixed {
			out[i] = wire.Item{Value: name}
		}
		return out
	}
	name := "item"
	if parent, ok := args["parent"].(string); ok && parent != "" {
		name = parent
	}
	out := make([]wire.Item, number(args, "count", defaultItems))
	for i := range out {
		out[i] = wire.Item{Value: fmt.Sprintf("%s-%04d", name, i+1)}
	}
	return out
}

// number is an int among the arguments; the catalog has seen to its bounds.
func number(args map[string]any, name string, otherwise int) int {
	n, given := args[name].(int64)
	if !given {
		return otherwise
	}
	return int(n)
}
