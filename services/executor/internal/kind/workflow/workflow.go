// Package workflow is the kind of actions that are several others in order: it stops at the first that does not succeed, and takes
// the declared ways back of what had taken effect. Each step is an action of the same catalog with a record, a lock and an end of
// its own (kind.Hand.Run); this package only decides which comes next and what is true at the end.
package workflow

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
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

// Kind is the kind workflow.
type Kind struct {
	catalog *catalog.Catalog
	kinds   map[string]kind.Kind // of the steps, for dry runs
	now     func() time.Time
}

var _ kind.Kind = (*Kind)(nil)

// New makes the kind for a catalog. Kinds are those of the steps; they are not closed with it.
func New(c *catalog.Catalog, kinds map[string]kind.Kind) *Kind {
	return &Kind{catalog: c, kinds: kinds, now: time.Now}
}

// Close does nothing: a workflow holds nothing.
func (k *Kind) Close() {}

// Secrets are none besides those of the steps' kinds.
func (k *Kind) Secrets() []string { return nil }

// Answer has nothing to answer.
func (k *Kind) Answer(context.Context, kind.Query) (wire.Answer, error) {
	return wire.Answer{}, fault.New(fault.Internal, "a workflow answers no questions")
}

// Target is the workflow itself, so that it is not at work twice at once. Its steps lock what they change.
func (k *Kind) Target(q kind.Query) string { return Name + "/" + q.Action.Name }

// Steps are the names of all steps and ways back, in the order in which they may be begun.
func (k *Kind) Steps(a catalog.Action) []string {
	var out []string
	all := stepsOf(a)
	for _, s := range all {
		out = append(out, s.Name)
	}
	for _, s := range slices.Backward(all) {
		if s.Undo != nil {
			out = append(out, s.back())
		}
	}
	return out
}

func stepsOf(a catalog.Action) []Step {
	set, _ := a.Settings.(Settings)
	return set.Steps
}

// Prepare holds every step against the catalog, so that no workflow begins whose third step would be refused for its arguments.
func (k *Kind) Prepare(_ context.Context, w kind.Work) (json.RawMessage, error) {
	if w.Action.Verb != verbRun || len(stepsOf(w.Action)) == 0 {
		return nil, fault.New(fault.Internal, "workflow cannot do %q", w.Action.Verb)
	}
	for _, s := range stepsOf(w.Action) {
		orders := []Order{s.Do}
		if s.Undo != nil {
			orders = append(orders, *s.Undo)
		}
		for _, o := range orders {
			a, ok := k.catalog.Action(o.Action)
			if !ok {
				return nil, fault.New(fault.Internal, "the catalog has no action %q", o.Action)
			}
			if err := a.Check(o.args(w.Args), w.Lang); err != nil {
				return nil, fault.WithText(err, texts.Say(w.Lang, "refuse.args", s.title(w.Lang), fault.SafeIn(err, w.Lang)))
			}
		}
	}
	return nil, nil
}

// Plan says what each step would do now. A step that depends on what an earlier one does can only say that it cannot tell.
func (k *Kind) Plan(ctx context.Context, w kind.Work, _ json.RawMessage) (string, error) {
	var lines []string
	for i, s := range stepsOf(w.Action) {
		said := ""
		a, ok := k.catalog.Action(s.Do.Action)
		of, has := k.kinds[a.Kind]
		switch {
		case !ok || !has:
			return "", fault.New(fault.Internal, "no kind for step %s", s.Name)
		case a.Class == catalog.Report:
			said = texts.Say(w.Lang, "plan.report")
		default:
			said = planned(ctx, of, kind.Work{
				ID: wire.DeriveID(w.ID, "step", s.Name), Action: a, Args: s.Do.args(w.Args), Timeout: a.Timeout, Lang: w.Lang,
			})
		}
		if s.Undo != nil {
			said += texts.Say(w.Lang, "plan.undo")
		}
		lines = append(lines, texts.Say(w.Lang, "plan.step", i+1, s.title(w.Lang), said))
	}
	return strings.Join(lines, "\n"), nil
}

func planned(ctx context.Context, of kind.Kind, w kind.Work) string {
	before, err := of.Prepare(ctx, w)
	said := ""
	if err == nil {
		said, err = of.Plan(ctx, w, before)
	}
	if err != nil {
		return texts.Say(w.Lang, "plan.refused", kind.Line(fault.SafeIn(err, w.Lang), maxLine))
	}
	return strings.TrimRight(said, "。. \n")
}

// Apply carries out the steps in order, and the ways back where one did not succeed.
func (k *Kind) Apply(ctx context.Context, w kind.Work, _ json.RawMessage, hand kind.Hand) kind.Result {
	r := newRun(k.catalog, w)
	if no := k.closed(w); no != "" {
		return kind.Failed(texts.Say(w.Lang, "refuse.hours", no))
	}
	var printed kind.Capture
	var image []byte
	stopped := false
	for i := range r.steps {
		if ctx.Err() != nil {
			break
		}
		o := &r.steps[i]
		hand.Progress(texts.Say(w.Lang, "progress.step", i+1, len(r.steps), o.title(w.Lang)))
		result := hand.Run(ctx, o.Name, o.Do.Action, o.Do.args(w.Args))
		o.did, o.text = result.State, result.Text
		if result.Output != "" {
			printed.WriteString(fmt.Sprintf("== %d/%d %s ==\n%s\n", i+1, len(r.steps), o.title(w.Lang), strings.TrimRight(result.Output, "\n")))
		}
		if result.Image != nil {
			image = result.Image
		}
		if stopped = r.stops(*o); stopped {
			break
		}
	}
	if stopped && ctx.Err() == nil && r.undoable() {
		r.goBack(ctx, hand)
	}
	out := r.verdict(context.Cause(ctx), errors.Is(ctx.Err(), context.DeadlineExceeded))
	var dropped int64
	if out.Output, dropped = printed.Text(); dropped > 0 {
		out.Output = strings.TrimRight(out.Output[:strings.LastIndexByte(out.Output, '\n')+1], "\n") + "\n" + texts.Say(w.Lang, "output.cut")
	}
	out.Image = image
	return out
}

// closed is the title of a step whose action may not be begun at this hour; "" for none. A dry run may be asked for at any time,
// so that Prepare does not look.
func (k *Kind) closed(w kind.Work) string {
	for _, s := range stepsOf(w.Action) {
		if a, ok := k.catalog.Action(s.Do.Action); ok && a.Class == catalog.Change && !a.OpenAt(k.now()) {
			return s.title(w.Lang)
		}
	}
	return ""
}

// goBack takes the ways back of what took effect, the newest first. What cannot be taken back stays; the rest still is.
func (r *run) goBack(ctx context.Context, hand kind.Hand) {
	for i := range slices.Backward(r.steps) {
		o := &r.steps[i]
		if !o.effect() || o.Undo == nil {
			continue
		}
		if ctx.Err() != nil {
			return
		}
		hand.Progress(texts.Say(r.w.Lang, "progress.undo", o.title(r.w.Lang)))
		result := hand.Run(ctx, o.back(), o.Undo.Action, o.Undo.args(r.w.Args))
		o.undone, o.undoText = result.State, result.Text
		if result.State == wire.StateUnknown {
			return // what lies before it must not be changed on top of something that nobody knows
		}
	}
}

// Probe says what became of a workflow whose owner died, from the records of its steps, which have ended by then.
func (k *Kind) Probe(ctx context.Context, w kind.Work, _ json.RawMessage) kind.Result {
	records, err := w.Steps(ctx)
	if err != nil {
		return kind.Unsure(texts.Say(w.Lang, "probe.store"))
	}
	r := newRun(k.catalog, w)
	for i := range r.steps {
		o := &r.steps[i]
		o.did, o.text = ended(records, o.Name)
		o.undone, o.undoText = ended(records, o.back())
	}
	return r.found()
}

// ended is how a step came out; "" when it was never begun, unknown when it has not ended.
func ended(records map[string]wire.Record, name string) (state, text string) {
	rec, ok := records[name]
	switch {
	case !ok, rec.State == wire.StateExpired, rec.State == wire.StateRejected:
		return "", ""
	case !wire.Final(rec.State):
		return wire.StateUnknown, ""
	}
	return rec.State, rec.Summary
}
