package runner

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"palmops/libs/lang"
	"palmops/libs/lang/langtest"
	"palmops/libs/wire"
	"palmops/services/executor/internal/kind"
)

func TestTexts(t *testing.T) {
	t.Parallel()
	langtest.Check(t, texts, ".")
	seen := map[string]bool{}
	for _, s := range []string{
		"", wire.StateClaimed, wire.StateRunning, wire.StateSucceeded, wire.StateFailed, wire.StateCanceled, wire.StateTimeout, wire.StateExpired, wire.StateRejected, wire.StateUnknown,
	} {
		for _, tag := range []lang.Tag{lang.Chinese, lang.English} {
			if word := stateWord(tag, s); seen[word] {
				t.Errorf("two states read %q", word)
			} else {
				seen[word] = true
			}
		}
	}
}

// TestLanguageOfAReport: every text about an action is in the language of its claims, and the record and the event say which.
func TestLanguageOfAReport(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	timing := DefaultTiming()
	timing.Lock = 100 * time.Millisecond
	begun, goOn := make(chan struct{}), make(chan struct{})
	var given lang.Tag
	k := &book{dir: w.dir, apply: func(_ context.Context, wk kind.Work, _ kind.Hand) (kind.Result, bool) {
		given = wk.Lang
		close(begun)
		<-goOn
		return kind.Result{}, false
	}}
	w.executor("one", timing, k)
	order := func(name string, change func(c *wire.Claims)) (id string) {
		id = wire.DeriveID("english", name)
		c := w.claims(id)
		c.Lang = "en"
		change(&c)
		w.send(w.order(c, scaleArgs("web")), id)
		return id
	}
	first := order("first", func(*wire.Claims) {})
	<-begun
	for name, x := range map[string]struct {
		change func(c *wire.Claims)
		want   string
	}{
		"busy":    {func(*wire.Claims) {}, "Another action, #" + wire.ShortID(first) + ", is working on the target. Nothing was done."},
		"expired": {func(c *wire.Claims) { c.IssuedAt -= 300; c.Expires -= 300 }, "no longer valid. Nothing was done."},
	} {
		id := order(name, x.change)
		ev := w.events(id)[id]
		if !strings.Contains(ev.Text, x.want) || ev.Lang != "en" {
			t.Errorf("%s: %+v", name, ev)
		}
		if rec := w.state(id, ev.State); rec.Lang != "en" || rec.Summary != ev.Text {
			t.Errorf("%s: record %+v", name, rec)
		}
	}
	close(goOn)
	if ev := w.events(first)[first]; ev.State != wire.StateSucceeded || given != lang.English {
		t.Errorf("%+v in %s", ev, given)
	}
}

// TestOutputReachesTheUser: an output comes with the result, whole or cut at a line.
func TestOutputReachesTheUser(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	outputs := map[string]string{"web": "一\n二", "api": strings.Repeat("0123456789 中文\n", 60000)}
	w.executor("one", DefaultTiming(), &book{dir: w.dir, apply: func(_ context.Context, wk kind.Work, _ kind.Hand) (kind.Result, bool) {
		return kind.Result{State: wire.StateSucceeded, Text: "已写入", Output: outputs[fmt.Sprint(wk.Args["deployment"])]}, true
	}})
	for name, out := range outputs {
		id := wire.DeriveID("output", name)
		w.send(w.order(w.claims(id), scaleArgs(name)), id)
		ev := w.events(id)[id]
		if len(ev.Output) > MaxOutput || ev.Output != cutOutput(lang.Chinese, out) || len(ev.Output) < min(len(out), MaxOutput-1000) {
			t.Errorf("%s: %d bytes of %d", name, len(ev.Output), len(out))
		}
		if cut := strings.Contains(ev.Output, "没有保存"); cut != (name == "api") {
			t.Errorf("%s: cut is %t", name, cut)
		}
	}
}

func TestAnyOutputFits(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		unit := rapid.SampledFrom([]string{"a", "\x01", "\n", "中", "\xff", "\u2028", "\"", "0123456789\n", "\x7f"}).Draw(t, "unit")
		out := rapid.String().Draw(t, "head") + strings.Repeat(unit, rapid.IntRange(0, 1<<20).Draw(t, "times")/len(unit)) + rapid.String().Draw(t, "tail")
		got := cutOutput(lang.English, out)
		data, err := encode(got)
		if err != nil || len(got) > MaxOutput || len(data) > maxEncodedOutput+2 {
			t.Fatalf("%d bytes, %d in JSON, %v", len(got), len(data), err)
		}
		if got != out {
			kept := got[:strings.LastIndex(got, "…")]
			rest := strings.TrimPrefix(out, kept)
			lines := strings.Count(strings.TrimSuffix(rest, "\n"), "\n") + 1
			if !strings.HasPrefix(out, kept) || kept != "" && !strings.HasSuffix(kept, "\n") || !strings.Contains(got, fmt.Sprintf("the last %d lines", lines)) {
				t.Fatalf("cut at %d of %d, %d lines left: %q", len(kept), len(out), lines, got[len(kept):])
			}
		}
	})
	if data, err := json.Marshal(strings.Repeat("\x01", 100)); err != nil || encodedLen(strings.Repeat("\x01", 100))+2 != len(data) {
		t.Errorf("%d bytes", len(data))
	}
}
