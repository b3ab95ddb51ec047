package runner

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

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
	timing.Lock = 5 * time.Second // the first one asks for its lock, too, on a slow machine
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

// leaky is a book that knows secrets.
type leaky struct {
	*book
	secrets []string
}

func (l leaky) Secrets() []string { return l.secrets }

// TestOutputReachesTheUser: a short output comes with the result; of a longer one the beginning does, and the whole is in the
// object store before anybody is told. No secret is in any of it.
func TestOutputReachesTheUser(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const secret = "hunter2-hunter2"
	outputs := map[string]string{"web": "一\n二 password=x", "api": strings.Repeat("0123456789 中文\n", 60000) + secret, "none": ""}
	image := []byte(png + "pixels")
	w.executor("one", DefaultTiming(), leaky{&book{dir: w.dir, apply: func(_ context.Context, wk kind.Work, hand kind.Hand) (kind.Result, bool) {
		hand.Progress("with " + secret)
		return kind.Result{State: wire.StateSucceeded, Text: "已写入 " + secret, Output: outputs[fmt.Sprint(wk.Args["deployment"])], Image: image}, true
	}}, []string{secret}})
	objects, err := w.bus.JS.ObjectStore(t.Context(), wire.BucketOutputs)
	w.check(err)
	for name, out := range outputs {
		want := strings.NewReplacer(secret, "****", "=x", "=****").Replace(out)
		id := wire.DeriveID("output", name)
		w.send(w.order(w.claims(id), scaleArgs(name)), id)
		ev := w.events(id)[id]
		rec := w.state(id, wire.StateSucceeded)
		if ev.Text != "已写入 ****" || rec.Summary != ev.Text || rec.Step != "with ****" {
			t.Errorf("%s: text %q, record %+v", name, ev.Text, rec)
		}
		if ev.Output != head(want) || (ev.Whole != nil) != (len(want) > maxInline) || ev.Image == nil {
			t.Errorf("%s: %d bytes of %d, whole %+v, image %+v", name, len(ev.Output), len(want), ev.Whole, ev.Image)
		}
		if pixels, err := objects.GetBytes(t.Context(), "img."+id+".png"); err != nil || !bytes.Equal(pixels, image) {
			t.Errorf("%s: image %q %v", name, pixels, err)
		}
		if out == "" {
			if rec.Output != nil {
				t.Errorf("%s: record %+v", name, rec)
			}
			continue
		}
		if kept, err := objects.GetString(t.Context(), rec.Output.Object); err != nil || kept != want || rec.Output.Object != "out."+id || rec.Output.Size != int64(len(want)) {
			t.Errorf("%s: %d bytes are kept, %+v, %v", name, len(kept), rec.Output, err)
		}
		// Whoever tells the result a second time has only the record, as after a crash before the first telling.
		w.send(w.order(w.claims(id), scaleArgs(name)), id+"-again")
		again := w.events(id)[id]
		if again.Output != ev.Output || (again.Whole != nil) != (ev.Whole != nil) || again.Image == nil {
			t.Errorf("%s: a second telling has %d bytes, whole %+v", name, len(again.Output), again.Whole)
		}
	}
}

// TestOutputThatTheTextHasTold: the chat does not show the beginning of an output whose best part is in the text, and says where it is.
func TestOutputThatTheTextHasTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.executor("one", DefaultTiming(), &book{dir: w.dir, apply: func(context.Context, kind.Work, kind.Hand) (kind.Result, bool) {
		return kind.Result{State: wire.StateSucceeded, Text: "最新 1 行：\nthree", Output: "one\ntwo\nthree\n", Told: true}, true
	}})
	id := wire.DeriveID("output", "told")
	w.send(w.order(w.claims(id), scaleArgs("web")), id)
	ev := w.events(id)[id]
	if strings.TrimSpace(ev.Output) != "" || ev.Whole == nil || ev.Whole.Size != 14 || ev.Text != "最新 1 行：\nthree" {
		t.Errorf("%+v", ev)
	}
}

// TestOutputWithoutAStore: when the object store is gone the result is told nevertheless, and says what is missing.
func TestOutputWithoutAStore(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.executor("one", DefaultTiming(), &book{dir: w.dir, apply: func(context.Context, kind.Work, kind.Hand) (kind.Result, bool) {
		return kind.Result{State: wire.StateSucceeded, Text: "已写入", Output: strings.Repeat("0123456789\n", 10000), Image: []byte(png)}, true
	}})
	w.check(w.bus.JS.DeleteObjectStore(t.Context(), wire.BucketOutputs))
	id := wire.DeriveID("no store")
	w.send(w.order(w.claims(id), scaleArgs("web")), id)
	ev := w.events(id)[id]
	if ev.Whole != nil || ev.Image != nil || !strings.Contains(ev.Output, "没有保存") || !strings.Contains(ev.Text, "图片暂时无法保存") || ev.State != wire.StateSucceeded {
		t.Errorf("%s %q, whole %v, image %v", ev.State, ev.Text, ev.Whole, ev.Image)
	}
}

func TestAnyOutputFits(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		unit := rapid.SampledFrom([]string{"a", "\x01", "\n", "中", "\u2028", "\"", "0123456789\n", "\x7f"}).Draw(t, "unit")
		out := rapid.String().Draw(t, "head") + strings.Repeat(unit, rapid.IntRange(0, 1<<18).Draw(t, "times")/len(unit)) + rapid.String().Draw(t, "tail")
		got := head(out)
		data, err := encode(got)
		if err != nil || len(got) > maxInline || len(data) > 6*maxInline+2 || !strings.HasPrefix(out, got) || !utf8.ValidString(got) {
			t.Fatalf("%d bytes, %d in JSON, %v", len(got), len(data), err)
		}
		said := beginning(lang.English, out)
		if len(got) == len(out) {
			if said != out {
				t.Fatal("something was added to a whole output")
			}
			return
		}
		lines := strings.Count(strings.TrimSuffix(out[len(got):], "\n"), "\n") + 1
		if !strings.HasSuffix(said, fmt.Sprintf("the last %d lines were not kept.", lines)) {
			t.Fatalf("%d lines are missing: %q", lines, said[len(got):])
		}
	})
	if got := capped(lang.English, strings.Repeat("0123456789\n", kind.MaxOutput/10)); len(got) > kind.MaxOutput+200 || !strings.Contains(got, "were not kept") {
		t.Errorf("%d bytes", len(got))
	}
	if got := kind.Line("a\n b\t"+strings.Repeat("中", 300), maxProgress); utf8.RuneCountInString(got) != maxProgress || !strings.HasPrefix(got, "a b 中") {
		t.Errorf("%q", got)
	}
}
