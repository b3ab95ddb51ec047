package report

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"pgregory.net/rapid"

	"palmops/libs/bus"
	"palmops/libs/fault"
	"palmops/libs/wire"
	"palmops/services/dialog/internal/session"
)

// world takes what is pushed and stored, and keeps the order of the two.
type world struct {
	did    []string
	out    wire.Outbound
	stored string
	fails  error
}

func (w *world) Publish(_ context.Context, _, id string, v any) (bus.Ack, error) {
	w.did = append(w.did, "push "+id)
	w.out = v.(wire.Outbound)
	return bus.Ack{}, nil
}

func (w *world) Put(_ context.Context, action, text string) error {
	w.did = append(w.did, "store "+action)
	w.stored = text
	return w.fails
}

func (w *world) Settled(context.Context, session.Who, string) (bool, error) { return true, nil }

func (w *world) Record(context.Context, string) (*wire.Record, error) { return nil, nil }

func (w *world) handle(t testing.TB, ev wire.Event, delivered uint64) error {
	t.Helper()
	ev.V, ev.ID, ev.Corp, ev.App, ev.User, ev.Action, ev.Rev = 1, "01abcdefgh", "c", "a", "u", "k8s.logs", max(ev.Rev, 3)
	data, err := json.Marshal(ev)
	if err != nil {
		t.Fatal(err)
	}
	r := New(w, w, w, w, zap.NewNop(), prometheus.NewRegistry())
	return r.Handle(t.Context(), &bus.Msg{Data: data, Seq: 1, Delivered: delivered})
}

func TestOutputs(t *testing.T) {
	for name, c := range map[string]struct {
		output string
		lang   string
		last   string
		did    string
		file   int64
	}{
		"short":      {output: "  a\r\nb\n\n", last: "b", did: "push"},
		"just whole": {output: strings.Repeat("x", pageBytes), last: strings.Repeat("x", pageBytes), did: "push"},
		"20 lines":   {output: strings.Repeat("x\n", 20), last: "x", did: "push"},
		"21 lines":   {output: strings.Repeat("x\n", 21), last: "输出共 21 行（41 B）：回复 我的任务 查看全部", did: "store push"},
		"long":       {output: strings.Repeat("输出一行\n", 100), last: "输出共 100 行（1.3 KB）：回复 我的任务 查看全部", did: "store push"},
		"one line":   {output: strings.Repeat("输", 400), last: "输出共 1 行（1.2 KB）：回复 我的任务 查看全部", did: "store push"},
		"English":    {output: strings.Repeat("x\n", 700), lang: "en", last: "The output has 700 lines (1.4 KB): reply tasks to see all of it", did: "store push"},
		"a file":     {output: strings.Repeat("0123456789\n", 800), last: "输出共 800 行（8.6 KB）：回复 我的任务 查看全部，或打开随后的文件", did: "store push", file: 8799},
		"very long":  {output: strings.Repeat("0123456\n", 64<<10), last: "输出共 65536 行（512 KB）：回复 我的任务 查看全部，或打开随后的文件", did: "store push", file: 512<<10 - 1},
	} {
		w := &world{}
		if err := w.handle(t, wire.Event{State: wire.StateSucceeded, Output: c.output, Lang: c.lang}, 1); err != nil {
			t.Fatal(err)
		}
		body := w.out.Screens[0].Body
		did := strings.NewReplacer(" 01abcdefgh:succeeded:3", "", " 01abcdefgh", "").Replace(strings.Join(w.did, " "))
		if got := body[len(body)-1]; got != c.last || did != c.did || w.out.Lang != c.lang {
			t.Errorf("%s: %s, last line %q", name, did, got)
		}
		if f := w.out.File; (f != nil) != (c.file > 0) || f != nil && *f != (wire.File{Object: "out.01abcdefgh", Name: "k8s.logs-01ABCD.txt", Size: c.file}) {
			t.Errorf("%s: file %+v", name, f)
		}
		if text := strings.Join(body, "\n"); len(text) > 1200 || !utf8.ValidString(text) {
			t.Errorf("%s: %d bytes", name, len(text))
		}
	}
}

// An output that the executor has stored is named, not stored again.
func TestOutputsThatAreStoredAlready(t *testing.T) {
	beginning := strings.Repeat("0123456789\n", 500)
	for name, c := range map[string]struct {
		whole wire.File
		last  string
		file  bool
	}{
		"small":      {wire.File{Object: "out.01abcdefgh", Size: 6000}, "输出共 5.9 KB：回复 我的任务 查看全部", false},
		"large":      {wire.File{Object: "out.01abcdefgh", Size: 100 << 10}, "输出共 100 KB：回复 我的任务 查看全部，或打开随后的文件", true},
		"very large": {wire.File{Object: "out.01abcdefgh", Size: 8 << 20}, "输出共 8.0 MB：回复 我的任务 翻看前 1 MB，全部内容在随后的文件里", true},
		"elsewhere":  {wire.File{Object: "out.other", Size: 100 << 10}, "输出共 100 KB，这里只有开头；其余部分没有能够保存，需要时请到目标上查看", false},
	} {
		w := &world{}
		if err := w.handle(t, wire.Event{State: wire.StateSucceeded, Output: beginning, Whole: &c.whole}, 1); err != nil {
			t.Fatal(err)
		}
		body := w.out.Screens[0].Body
		if got := body[len(body)-1]; got != c.last || len(w.did) != 1 || body[1] != "0123456789" || len(body) != 22 {
			t.Errorf("%s: %v, %d lines, last %q", name, w.did, len(body), got)
		}
		if want := (wire.File{Object: "out.01abcdefgh", Name: "k8s.logs-01ABCD.txt", Size: c.whole.Size}); (w.out.File != nil) != c.file || c.file && *w.out.File != want {
			t.Errorf("%s: %+v", name, w.out.File)
		}
	}
}

func TestImages(t *testing.T) {
	w := &world{}
	good := wire.File{Object: "img.01abcdefgh.png", Name: "x", Size: wire.MaxImage}
	if err := w.handle(t, wire.Event{State: wire.StateSucceeded, Text: "CPU 5%", Image: &good}, 1); err != nil {
		t.Fatal(err)
	}
	if want := (wire.File{Object: "img.01abcdefgh.png", Name: "k8s.logs-01ABCD.png", Size: wire.MaxImage}); w.out.Image == nil || *w.out.Image != want {
		t.Errorf("%+v", w.out.Image)
	}
	for _, bad := range []wire.File{{Object: "img.01abcdefgh.png", Size: wire.MaxImage + 1}, {Object: "img.01abcdefgh.png"}, {Object: "img.other.png", Size: 9}} {
		w := &world{}
		if err := w.handle(t, wire.Event{State: wire.StateSucceeded, Text: "CPU 5%", Image: &bad}, 1); err != nil {
			t.Fatal(err)
		}
		if body := strings.Join(w.out.Screens[0].Body, "\n"); w.out.Image != nil || !strings.Contains(body, "CPU 5%") || !strings.Contains(body, "图片没有发出") {
			t.Errorf("%+v: %+v %s", bad, w.out.Image, body)
		}
	}
}

func TestDryRuns(t *testing.T) {
	for state, want := range map[string]string{wire.StateSucceeded: "试运行已完成 #01ABCD", wire.StateFailed: "试运行失败 #01ABCD"} {
		w := &world{}
		if err := w.handle(t, wire.Event{State: state, Title: "shop/web 3 → 5", Noop: true}, 1); err != nil {
			t.Fatal(err)
		}
		if s := w.out.Screens[0]; s.Title != want || strings.Join(s.Body, "|") != "shop/web 3 → 5|没有做任何更改。" {
			t.Errorf("%+v", s)
		}
	}
}

// A verdict about a result that was unknown is a second result, and is told as well.
func TestAResultThatBecomesKnown(t *testing.T) {
	w := &world{}
	for rev, ev := range []wire.Event{{State: wire.StateUnknown, Text: "结果未知"}, {State: wire.StateSucceeded, Text: "之前结果未知，现已核实：5/5"}, {State: wire.StateSucceeded, Text: "之前结果未知，现由 lisi 核实为已完成：5/5"}} {
		ev.Rev = uint64(rev + 4)
		if err := w.handle(t, ev, 1); err != nil {
			t.Fatal(err)
		}
		if body := strings.Join(w.out.Screens[0].Body, "\n"); !strings.Contains(body, ev.Text) {
			t.Error(body)
		}
	}
	if got := strings.Join(w.did, " "); got != "push 01abcdefgh:unknown:4 push 01abcdefgh:succeeded:5 push 01abcdefgh:succeeded:6" {
		t.Error(got)
	}
}

// Without its store a result waits a while, then says that there was more.
func TestAnOutputThatCannotBeStored(t *testing.T) {
	long := wire.Event{State: wire.StateSucceeded, Output: strings.Repeat("x\n", 5000)}
	w := &world{fails: fault.New(fault.Transient, "no store")}
	for delivered := range uint64(storeTries - 1) {
		if err := w.handle(t, long, delivered+1); bus.Settle(err) != bus.Again || w.out.ID != "" {
			t.Fatalf("%v, pushed %+v", err, w.out)
		}
	}
	for _, kind := range []fault.Kind{fault.Transient, fault.Invalid} {
		w := &world{fails: fault.New(kind, "no store")}
		delivered := uint64(storeTries)
		if kind == fault.Invalid {
			delivered = 1
		}
		if err := w.handle(t, long, delivered); err != nil {
			t.Fatal(err)
		}
		body := w.out.Screens[0].Body
		if got := body[len(body)-1]; !strings.Contains(got, "其余部分没有能够保存") || w.out.File != nil {
			t.Errorf("%q %+v", got, w.out.File)
		}
	}
}

func TestFirstPages(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOfN(rapid.StringOfN(rapid.RuneFrom([]rune("a输\t😀")), 0, 400, -1), 1, 40).Draw(t, "lines"), "\n")
		lines, all := firstPage(text)
		page := strings.Join(lines, "\n")
		switch {
		case !strings.HasPrefix(text, page), !utf8.ValidString(page), len(page) > pageBytes, len(lines) > pageLines, len(lines) == 0:
			t.Fatalf("%d lines, %d bytes: %q", len(lines), len(page), page)
		case all != (page == text):
			t.Fatalf("all is %t for %d bytes of %d", all, len(page), len(text))
		case !all && len(lines) > 1 && text[len(page)] != '\n':
			t.Fatal("a line is torn")
		}
	})
}

func TestFileNamesHoldNoPath(t *testing.T) {
	for action, want := range map[string]string{"../../etc": "-..-etc-01ABCD.txt", "k8s.logs": "k8s.logs-01ABCD.txt", "": "-01ABCD.txt", "a b/c": "a-b-c-01ABCD.txt"} {
		if got := fileName(wire.Event{ID: "01abcdefgh", Action: action}, ".txt"); got != want {
			t.Errorf("%q becomes %s", action, got)
		}
	}
}
