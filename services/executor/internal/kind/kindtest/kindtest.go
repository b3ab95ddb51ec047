// Package kindtest is what every kind of actions must pass: the promises of package kind, held against a real target.
//
// A kind says in a Subject how its actions look and how effects are counted at the target; Run does the rest. What a kind
// promises besides belongs into its own tests.
package kindtest

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"palmops/libs/fault"
	"palmops/libs/lang"
	"palmops/libs/wire"
	"palmops/services/executor/catalog"
	"palmops/services/executor/internal/kind"
)

// Subject is one kind with a real target behind it. Fields that a kind has no use for stay zero, and say why: Absent has a
// reason for each of them.
type Subject struct {
	// New makes the kind anew; called once for each part of the suite, which closes it.
	New func(t *testing.T) kind.Kind
	// Change is an action that takes effect once, quickly. It must be possible again after each part.
	Change func(t *testing.T) (catalog.Action, map[string]any)
	// Effects counts the effects of Change and Slow at the target so far; nil when there are none to count.
	Effects func(t *testing.T) int
	// Slow is an action that has its effect (counted by Effects, or none) and then does not end by itself.
	Slow func(t *testing.T) (catalog.Action, map[string]any)
	// Refused is an action that Prepare must refuse by what it reads: the target is gone, or is not as it was confirmed.
	Refused func(t *testing.T) (catalog.Action, map[string]any)
	// Verbose is an action that prints more than kind.MaxOutput.
	Verbose func(t *testing.T) (catalog.Action, map[string]any)
	// Leaky is an action whose text or output would show Secret if nobody masked it.
	Leaky  func(t *testing.T) (catalog.Action, map[string]any)
	Secret string
	// Bad are arguments that the catalog must refuse for Change's action, by what is wrong with them.
	Bad map[string]map[string]any
	// Down makes the kind with a target that does not answer at all, as after a power cut. It fails Prepare of Change.
	Down func(t *testing.T) kind.Kind
	// Fresh says that the target's state need not be read again to know it: Probe before Apply may say succeeded, since
	// the state that Change wants is there anyway.
	Fresh bool
	// Absent gives the reason for every one of Change, Slow, Refused, Verbose, Leaky and Down that is nil.
	Absent map[string]string
}

// hang is how long anything may take on a slow machine before it counts as hanging.
const hang = time.Minute

// parts are the fields of a Subject that may be absent.
func (s Subject) parts() map[string]bool {
	return map[string]bool{
		"Change": s.Change != nil, "Slow": s.Slow != nil, "Refused": s.Refused != nil, "Verbose": s.Verbose != nil,
		"Leaky": s.Leaky != nil, "Down": s.Down != nil,
	}
}

// Run holds a kind against the promises.
func Run(t *testing.T, s Subject) {
	t.Helper()
	for part, there := range s.parts() {
		if why := s.Absent[part]; there == (why != "") {
			t.Errorf("%s: there %t, reason for its absence %q", part, there, why)
		}
	}
	r := runner{s: s}
	if s.Change != nil {
		t.Run("plan", r.plan)
		t.Run("apply", r.apply)
		t.Run("no leave, no effect", r.noLeave)
		t.Run("stopped before it begins", r.stopped)
		t.Run("probe", r.probe)
		t.Run("bad arguments", r.bad)
	}
	if s.Slow != nil {
		t.Run("timeout", func(t *testing.T) { r.slow(t, context.DeadlineExceeded) })
		t.Run("cancel", func(t *testing.T) { r.slow(t, kind.ErrCanceled) })
		t.Run("stop", func(t *testing.T) { r.slow(t, kind.ErrStopping) })
		t.Run("lost", func(t *testing.T) { r.slow(t, kind.ErrLost) })
	}
	if s.Refused != nil {
		t.Run("precondition", r.refused)
	}
	if s.Verbose != nil {
		t.Run("output cap", r.verbose)
	}
	if s.Leaky != nil {
		t.Run("secrets", r.leaky)
	}
	if s.Down != nil {
		t.Run("target down", r.down)
	}
}

type runner struct{ s Subject }

func (r runner) kind(t *testing.T) kind.Kind {
	t.Helper()
	k := r.s.New(t)
	t.Cleanup(k.Close)
	return k
}

func (r runner) effects(t *testing.T) int {
	t.Helper()
	if r.s.Effects == nil {
		return 0
	}
	return r.s.Effects(t)
}

// work makes a piece of work of what a Subject gives, after the catalog's own judgement.
func work(t *testing.T, tag lang.Tag, from func(*testing.T) (catalog.Action, map[string]any)) kind.Work {
	t.Helper()
	a, args := from(t)
	if err := a.Check(args, tag); err != nil {
		t.Fatalf("the catalog refuses %s %v: %v", a.Name, args, err)
	}
	if a.Timeout == 0 {
		a.Timeout = time.Minute
	}
	return kind.Work{
		ID: wire.DeriveID(t.Name(), string(tag), time.Now().String()), Action: a, Args: args, Timeout: a.Timeout, Lang: tag,
		Steps: func(context.Context) (map[string]wire.Record, error) { return map[string]wire.Record{}, nil },
	}
}

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), hang)
	t.Cleanup(cancel)
	return ctx
}

// Hand is an executor's side of an action that gives leave, or refuses it, and remembers what it was told.
type Hand struct {
	mu       sync.Mutex
	steps    int
	progress []string
	deny     error
	// Began, when not nil, is called with each leave that is asked for.
	Began func()
	// Do carries out a step of a workflow; without it there are none.
	Do func(ctx context.Context, name, action string, args map[string]any) kind.Result
}

var _ kind.Hand = (*Hand)(nil)

// Denied makes a Hand that refuses every leave.
func Denied(err error) *Hand { return &Hand{deny: err} }

// Step counts, and gives leave or not.
func (h *Hand) Step(ctx context.Context) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.steps++
	if h.Began != nil {
		h.Began()
	}
	if h.deny != nil {
		return h.deny
	}
	return ctx.Err()
}

// Progress remembers the line.
func (h *Hand) Progress(line string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.progress = append(h.progress, line)
}

// Run does what Do says.
func (h *Hand) Run(ctx context.Context, name, action string, args map[string]any) kind.Result {
	if h.Do == nil {
		return kind.Failed("no steps here")
	}
	return h.Do(ctx, name, action, args)
}

// Lines are the lines of progress so far.
func (h *Hand) Lines() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]string(nil), h.progress...)
}

// Steps is how often leave was asked for.
func (h *Hand) Steps() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.steps
}

// text fails for a sentence that a person could not use: empty, longer than a screen, with control characters, or in
// the wrong language.
func text(t *testing.T, tag lang.Tag, s string) {
	t.Helper()
	switch {
	case strings.TrimSpace(s) == "" || !utf8.ValidString(s) || len(s) > 2048:
		t.Errorf("a text of %d bytes: %.200q", len(s), s)
	case strings.ContainsFunc(s, func(c rune) bool { return unicode.IsControl(c) && c != '\n' && c != '\t' }):
		t.Errorf("control characters in %.200q", s)
	case tag == lang.English && strings.ContainsFunc(s, func(c rune) bool { return unicode.Is(unicode.Han, c) }):
		t.Errorf("Chinese in an English text: %.200q", s)
	case tag == lang.Chinese && !strings.ContainsFunc(s, func(c rune) bool { return unicode.Is(unicode.Han, c) }):
		t.Errorf("no Chinese in a Chinese text: %.200q", s)
	}
}

func known(t *testing.T, res kind.Result) {
	t.Helper()
	switch res.State {
	case wire.StateSucceeded, wire.StateFailed, wire.StateTimeout, wire.StateCanceled, wire.StateUnknown:
	default:
		t.Errorf("the work ended as %q", res.State)
	}
	if len(res.Output) > kind.MaxOutput+1024 || len(res.Image) > wire.MaxImage {
		t.Errorf("%d bytes of output, %d of image", len(res.Output), len(res.Image))
	}
}

// prepare reads, and holds what was read against its limit.
func prepare(t *testing.T, k kind.Kind, w kind.Work) json.RawMessage {
	t.Helper()
	before, err := k.Prepare(within(t), w)
	if err != nil {
		t.Fatalf("Prepare: %v", err)
	}
	if len(before) > 4<<10 || len(before) > 0 && !json.Valid(before) {
		t.Fatalf("Prepare gives %d bytes: %.200q", len(before), before)
	}
	return before
}

// refusal fails for an error that a person could not use.
func refusal(t *testing.T, tag lang.Tag, err error) {
	t.Helper()
	if err == nil {
		t.Error("nothing was refused")
		return
	}
	if fault.Is(err, fault.Internal) {
		t.Errorf("refused as a defect: %v", err)
	}
	text(t, tag, fault.SafeIn(err, tag))
}
