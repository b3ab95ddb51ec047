package kindtest

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"palmops/libs/fault"
	"palmops/libs/lang"
	"palmops/libs/wire"
	"palmops/services/executor/internal/kind"
)

var tags = []lang.Tag{lang.Chinese, lang.English}

// plan: a dry run says what would change, in both languages, and changes nothing.
func (r runner) plan(t *testing.T) {
	k, was := r.kind(t), r.effects(t)
	for _, tag := range tags {
		w := work(t, tag, r.s.Change)
		said, err := k.Plan(within(t), w, prepare(t, k, w))
		if err != nil {
			t.Fatal(err)
		}
		text(t, tag, said)
	}
	if n := r.effects(t); n != was {
		t.Errorf("%d effects of a dry run", n-was)
	}
}

// apply: one effect, with leave asked for before it, and the truth about it.
func (r runner) apply(t *testing.T) {
	k, was := r.kind(t), r.effects(t)
	w := work(t, lang.Chinese, r.s.Change)
	h := &Hand{Began: func() {
		if n := r.effects(t); n != was {
			t.Errorf("%d effects before leave was given", n-was)
		}
	}}
	before := prepare(t, k, w)
	ctx, cancel := context.WithTimeout(within(t), w.Timeout)
	defer cancel()
	res := k.Apply(ctx, w, before, h)
	known(t, res)
	text(t, w.Lang, res.Text)
	n := r.effects(t) - was
	if acts := r.s.Effects != nil; res.State != wire.StateSucceeded || acts && (n != 1 || h.Steps() == 0) {
		t.Errorf("%s %q: %d effects, leave asked for %d times", res.State, res.Text, n, h.Steps())
	}
}

// noLeave: who does not own the action changes nothing, and says so.
func (r runner) noLeave(t *testing.T) {
	k, was := r.kind(t), r.effects(t)
	for _, tag := range tags {
		w := work(t, tag, r.s.Change)
		res := k.Apply(within(t), w, prepare(t, k, w), Denied(kind.ErrLost))
		known(t, res)
		text(t, tag, res.Text)
		if n := r.effects(t) - was; n != 0 || r.s.Effects != nil && (res.State == wire.StateSucceeded || res.State == wire.StateTimeout) {
			t.Errorf("%s %q with %d effects", res.State, res.Text, n)
		}
	}
}

// stopped: a context that has ended before the work begins.
func (r runner) stopped(t *testing.T) {
	k, was := r.kind(t), r.effects(t)
	for _, cause := range []error{kind.ErrCanceled, kind.ErrStopping} {
		w := work(t, lang.Chinese, r.s.Change)
		before := prepare(t, k, w)
		ctx, cancel := context.WithCancelCause(context.Background())
		cancel(cause)
		res := k.Apply(ctx, w, before, &Hand{})
		known(t, res)
		if n := r.effects(t) - was; n != 0 || res.State == wire.StateSucceeded {
			t.Errorf("%v: %s %q with %d effects", cause, res.State, res.Text, n)
		}
		text(t, w.Lang, res.Text)
	}
}

// probe: before the work nothing is claimed to have happened, after it nothing to have not.
func (r runner) probe(t *testing.T) {
	k := r.kind(t)
	for _, tag := range tags {
		w := work(t, tag, r.s.Change)
		before := prepare(t, k, w)
		was := r.effects(t)
		res := k.Probe(within(t), w, before)
		known(t, res)
		text(t, tag, res.Text)
		if res.State == wire.StateSucceeded && !r.s.Fresh || r.effects(t) != was {
			t.Errorf("before anything was done: %s %q, %d effects of looking", res.State, res.Text, r.effects(t)-was)
		}
		w = work(t, tag, r.s.Change)
		before = prepare(t, k, w)
		if done := k.Apply(within(t), w, before, &Hand{}); done.State != wire.StateSucceeded {
			t.Fatalf("%s %q", done.State, done.Text)
		}
		was = r.effects(t)
		res = k.Probe(within(t), w, before)
		known(t, res)
		text(t, tag, res.Text)
		// A kind without effects may say that nothing was changed whenever it is asked.
		if r.s.Effects != nil && res.State != wire.StateSucceeded && res.State != wire.StateUnknown || r.effects(t) != was {
			t.Errorf("after the effect: %s %q, %d effects of looking", res.State, res.Text, r.effects(t)-was)
		}
		// A record that is not this kind's own doing.
		for _, broken := range []json.RawMessage{nil, json.RawMessage(`{}`), json.RawMessage(`[1]`)} {
			if res := k.Probe(within(t), w, broken); res.Text == "" {
				t.Errorf("no text about a record with %s", broken)
			}
		}
	}
}

// bad: the catalog refuses, with a text that helps.
func (r runner) bad(t *testing.T) {
	a, good := r.s.Change(t)
	bad := map[string]map[string]any{"an argument too many": {"surely_not_known": int64(1)}}
	for what, args := range r.s.Bad {
		bad[what] = args
	}
	if len(bad) < 2 {
		t.Error("the subject names no bad arguments")
	}
	for what, args := range bad {
		if what == "an argument too many" {
			for name, v := range good {
				args[name] = v
			}
		}
		for _, tag := range tags {
			err := a.Check(args, tag)
			if err == nil {
				t.Errorf("%s: taken", what)
				continue
			}
			text(t, tag, fault.SafeIn(err, tag))
		}
	}
}

// slow: the work ends soon after its context, with the truth.
func (r runner) slow(t *testing.T, cause error) {
	k := r.kind(t)
	for _, tag := range tags {
		w := work(t, tag, r.s.Slow)
		before, was := prepare(t, k, w), r.effects(t)
		ctx, cancel := context.WithCancelCause(context.Background())
		defer cancel(nil)
		stop := func() { cancel(cause) }
		if errors.Is(cause, context.DeadlineExceeded) {
			c, done := context.WithTimeout(ctx, 300*time.Millisecond)
			defer done()
			ctx, stop = c, func() {}
		}
		ended := make(chan kind.Result, 1)
		go func() { ended <- k.Apply(ctx, w, before, &Hand{}) }()
		began := time.NewTimer(150 * time.Millisecond) // in the middle of the work, most likely; wherever it is, the truth must come
		select {
		case res := <-ended:
			t.Fatalf("it ended by itself: %s %q", res.State, res.Text)
		case <-began.C:
			stop()
		}
		select {
		case res := <-ended:
			known(t, res)
			text(t, tag, res.Text)
			n := r.effects(t) - was
			if res.State == wire.StateSucceeded || res.State == wire.StateFailed && n > 0 || n > 1 {
				t.Errorf("%s %q with %d effects", res.State, res.Text, n)
			}
			if !errors.Is(cause, kind.ErrCanceled) && res.State == wire.StateCanceled {
				t.Errorf("canceled by nobody: %q", res.Text)
			}
		case <-time.After(hang):
			t.Fatal("it goes on after its end")
		}
	}
}

// refused: what must not be done is refused before the first effect.
func (r runner) refused(t *testing.T) {
	k, was := r.kind(t), r.effects(t)
	for _, tag := range tags {
		_, err := k.Prepare(within(t), work(t, tag, r.s.Refused))
		refusal(t, tag, err)
	}
	if n := r.effects(t); n != was {
		t.Errorf("%d effects", n-was)
	}
}

// verbose: memory and messages do not grow with what a target prints.
func (r runner) verbose(t *testing.T) {
	k := r.kind(t)
	w := work(t, lang.Chinese, r.s.Verbose)
	res := k.Apply(within(t), w, prepare(t, k, w), &Hand{})
	known(t, res)
	if len(res.Output) < kind.MaxOutput/2 {
		t.Errorf("%s %q: only %d bytes of output", res.State, res.Text, len(res.Output))
	}
	text(t, w.Lang, res.Text)
}

// leaky: the kind names the secrets that it could show.
func (r runner) leaky(t *testing.T) {
	k := r.kind(t)
	w := work(t, lang.Chinese, r.s.Leaky)
	res := k.Apply(within(t), w, prepare(t, k, w), &Hand{})
	if r.s.Secret == "" || !strings.Contains(res.Text+res.Output, r.s.Secret) {
		t.Errorf("%s: nothing leaks %q: %.300q %.300q", res.State, r.s.Secret, res.Text, res.Output)
	}
	for _, known := range k.Secrets() {
		if known == r.s.Secret {
			return
		}
	}
	t.Error("the kind does not name the secret, so that nobody can mask it")
}

// down: a target that does not answer is refused in time, with nothing done.
func (r runner) down(t *testing.T) {
	k := r.s.Down(t)
	t.Cleanup(k.Close)
	for _, tag := range tags {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		_, err := k.Prepare(ctx, work(t, tag, r.s.Change))
		cancel()
		refusal(t, tag, err)
	}
}
