package command

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"time"

	"palmops/libs/fault"
	"palmops/libs/lang"
	"palmops/services/executor/catalog"
	"palmops/services/executor/internal/kind"
)

// lookFor is how long a probe may take at the end of a command whose own time is over.
const lookFor = 5 * time.Second

// job is one command at work or looked after.
type job struct {
	*Kind
	w    kind.Work
	set  Settings
	base before
}

func (j job) say(key string, args ...any) string { return texts.Say(j.w.Lang, key, args...) }

func (j job) changes() bool { return j.w.Action.Class == catalog.Change }

// Apply runs the command once, and says what it came to.
func (k *Kind) Apply(ctx context.Context, w kind.Work, raw json.RawMessage, hand kind.Hand) kind.Result {
	j := job{Kind: k, w: w}
	j.set, _ = w.Action.Settings.(Settings)
	if json.Unmarshal(raw, &j.base) != nil || j.base.Host == "" {
		return kind.Failed(j.say("apply.broken"))
	}
	p, err := k.program(w.Action, j.set.Argv, w.Args, w.Lang, w.ID)
	if err != nil {
		return kind.Failed(fault.SafeIn(err, w.Lang))
	}
	if ctx.Err() != nil {
		return j.notBegun(context.Cause(ctx))
	}
	if j.changes() {
		if err := hand.Step(ctx); err != nil {
			return j.notBegun(err)
		}
	}
	var out kind.Capture
	f := &follower{next: &out, prefix: j.set.Progress, tell: hand.Progress}
	e, err := p.run(ctx, f)
	f.close()
	if err != nil {
		return kind.Failed(j.say("apply.start", p.argv[0], short(plain(err.Error()))))
	}
	r := j.judge(ctx, e)
	text, dropped := out.Text()
	if r.Output = text; dropped > 0 {
		r.Output += "\n" + j.say("output.cut", dropped)
	}
	return r
}

// notBegun is for a command that was not started.
func (j job) notBegun(cause error) kind.Result {
	switch {
	case errors.Is(cause, kind.ErrCanceled):
		return kind.Canceled(j.say("begin.canceled"))
	case errors.Is(cause, kind.ErrStopping):
		return kind.Failed(j.say("begin.stopping"))
	case errors.Is(cause, kind.ErrLost):
		return kind.Failed(j.say("begin.lost"))
	}
	return kind.Failed(j.say("begin.other"))
}

// judge says what a command that was started came to.
func (j job) judge(ctx context.Context, e ending) kind.Result {
	seconds := max(int(e.took.Round(time.Second)/time.Second), 1)
	if e.stopped {
		return j.stopped(ctx, e, seconds)
	}
	o := j.set.Exit[e.code]
	how := j.say("how.code", e.code)
	if e.signal != 0 {
		how = j.say("how.signal", int(e.signal))
	}
	tail := j.more(o.Say)
	switch {
	case o.Means == meansDone && e.code == 0:
		return kind.Ended(j.say("run.done", seconds) + tail)
	case o.Means == meansDone:
		return kind.Ended(j.say("run.done_code", seconds, e.code) + tail)
	case !j.changes():
		return kind.Failed(j.say("show.failed", how) + tail)
	case o.Means == meansNothing:
		return kind.Failed(j.say("run.nothing", how) + tail)
	}
	switch found := j.verdict(ctx); found {
	case meansDone:
		return kind.Ended(j.say("run.failed_done", how) + tail)
	case meansNothing:
		return kind.Failed(j.say("run.failed_nothing", how) + tail)
	}
	return kind.Unsure(j.say("run.failed", how) + tail + j.more(j.set.Look))
}

// stopped says what a command came to that did not end by itself.
func (j job) stopped(ctx context.Context, e ending, seconds int) kind.Result {
	cause := context.Cause(ctx)
	canceled := errors.Is(cause, kind.ErrCanceled)
	why := j.say("why.late", int(j.w.Timeout.Seconds()))
	switch {
	case canceled:
		why = j.say("why.canceled", seconds)
	case errors.Is(cause, kind.ErrStopping):
		why = j.say("why.stopping", seconds)
	case errors.Is(cause, kind.ErrLost):
		why = j.say("why.lost", seconds)
	}
	switch {
	case e.stuck && j.changes():
		return kind.Unsure(why + j.say("found.stuck") + j.more(j.set.Look))
	case !j.changes() && canceled:
		return kind.Canceled(why + j.say("found.read"))
	case !j.changes():
		return kind.Failed(why + j.say("found.read"))
	case errors.Is(cause, kind.ErrLost): // who owns the action now will look
		return kind.Unsure(why + j.say("found.unknown") + j.more(j.set.Look))
	}
	lctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookFor)
	defer cancel()
	found := j.verdict(lctx)
	if found == meansNothing && j.raised() {
		found = meansUnknown // what it started may still be at it
	}
	switch {
	case found == meansDone && canceled:
		return kind.Canceled(why + j.say("found.done"))
	case found == meansDone:
		return kind.TimedOut(why + j.say("found.done"))
	case found == meansNothing && canceled:
		return kind.Canceled(why + j.say("found.nothing"))
	case found == meansNothing:
		return kind.Failed(why + j.say("found.nothing"))
	case canceled:
		return kind.Canceled(why + j.say("found.unknown") + j.more(j.set.Look))
	}
	return kind.Unsure(why + j.say("found.unknown") + j.more(j.set.Look))
}

// more is a sentence of the catalog behind one of ours.
func (j job) more(words lang.Words) string {
	if words.Empty() {
		return ""
	}
	return j.say("say.more", words.In(j.w.Lang))
}

// raised reports whether the program takes on another user by itself, as sudo does: the kernel does not end it with its executor then,
// and an executor that is not root can neither see what it started nor end it.
func (j job) raised() bool {
	if j.euid == 0 || len(j.set.Argv) == 0 {
		return false
	}
	info, err := os.Stat(j.set.Argv[0].String(nil, nil))
	return err != nil || info.Mode()&(os.ModeSetuid|os.ModeSetgid) != 0
}

// verdict asks the probe whether the command took effect.
func (j job) verdict(ctx context.Context) string {
	probe := j.set.Probe
	switch {
	case probe == nil:
		return meansUnknown
	case probe.Reads:
		state, err := j.state(ctx, j.w, j.set)
		switch {
		case err != nil:
			return meansUnknown
		case state != j.base.State:
			return meansDone
		}
		return probe.Same
	}
	e, err := j.look(ctx, j.w, j.set, io.Discard)
	switch {
	case err != nil || e.stopped || e.signal != 0:
		return meansUnknown
	case e.code == 0:
		return meansDone
	case e.code == 1:
		return meansNothing
	}
	return meansUnknown
}

// Probe ends what a dead or frozen owner has left running, and then looks whether the command took effect.
func (k *Kind) Probe(ctx context.Context, w kind.Work, raw json.RawMessage) kind.Result {
	j := job{Kind: k, w: w}
	j.set, _ = w.Action.Settings.(Settings)
	switch {
	case !j.changes():
		return kind.Failed(j.say("probe.read"))
	case json.Unmarshal(raw, &j.base) != nil || j.base.Host == "":
		return kind.Unsure(j.say("probe.broken") + j.more(j.set.Look))
	case j.base.Host != k.host: // here nobody can end the command, nor see what it did there
		return kind.Unsure(j.say("probe.elsewhere", short(plain(j.base.Host))) + j.more(j.set.Look))
	case !endMarked(w.ID):
		return kind.Unsure(j.say("probe.running") + j.more(j.set.Look))
	case j.raised():
		return kind.Unsure(j.say("probe.raised") + j.more(j.set.Look))
	}
	switch j.verdict(ctx) {
	case meansDone:
		return kind.Ended(j.say("probe.done"))
	case meansNothing:
		return kind.Failed(j.say("probe.nothing"))
	}
	return kind.Unsure(j.say("probe.unknown") + j.more(j.set.Look))
}
