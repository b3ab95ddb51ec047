package drill

import (
	"bytes"
	"context"
	"fmt"
	"image/png"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"go.yaml.in/yaml/v4"
	"pgregory.net/rapid"

	"palmops/libs/conf"
	"palmops/libs/fault"
	"palmops/libs/lang"
	"palmops/libs/lang/langtest"
	"palmops/libs/wire"
	"palmops/services/executor/catalog"
	"palmops/services/executor/internal/kind"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestTexts(t *testing.T) {
	t.Parallel()
	langtest.Check(t, texts, ".")
}

// hand collects progress and tells of each line.
type hand struct {
	lines []string
	each  func(line string)
}

func (h *hand) Step(context.Context) error { return nil }

func (h *hand) Run(context.Context, string, string, map[string]any) kind.Result {
	return kind.Unsure("a drill has no steps")
}

func (h *hand) Progress(line string) {
	h.lines = append(h.lines, line)
	if h.each != nil {
		h.each(line)
	}
}

func work(args map[string]any, t lang.Tag) kind.Work {
	return kind.Work{ID: "a", Action: catalog.Action{Name: "drill.run", Kind: Name, Verb: verbRun}, Args: args, Timeout: time.Minute, Lang: t}
}

func TestRun(t *testing.T) {
	t.Parallel()
	k := &Kind{second: time.Millisecond}
	w := work(map[string]any{"seconds": int64(12), "lines": int64(3), "host": "web-1", "on": true}, lang.Chinese)
	h := &hand{}
	if _, err := k.Prepare(t.Context(), w); err != nil {
		t.Fatal(err)
	}
	r := k.Apply(t.Context(), w, nil, h)
	want := kind.Result{
		State: wire.StateSucceeded, Text: "演练完成，用时 12 秒，没有改动任何系统。参数：host=web-1，lines=3，on=true，seconds=12",
		Output: "1 演练输出\n2 演练输出\n3 演练输出",
	}
	if diff := cmp.Diff(want, r); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"演练进行中：5/12 秒", "演练进行中：10/12 秒", "演练进行中：12/12 秒"}, h.lines); diff != "" {
		t.Error(diff)
	}
	if r := k.Apply(t.Context(), work(nil, lang.English), nil, h); r.State != wire.StateSucceeded || r.Output != "" || !strings.Contains(r.Text, "There were no arguments.") {
		t.Errorf("%+v", r)
	}
	r = k.Apply(t.Context(), work(map[string]any{"lines": int64(MaxLines)}, lang.English), nil, h)
	if n := strings.Count(r.Output, "\n") + 1; n != MaxLines || !strings.HasSuffix(r.Output, "20000 drill output") {
		t.Errorf("%d lines", n)
	}
	if r := k.Probe(t.Context(), w, nil); r.State != wire.StateFailed || !strings.Contains(r.Text, "没有改动任何系统") {
		t.Errorf("%+v", r)
	}
}

// TestRunThatIsEnded: whoever ends it, it says so at once, and that nothing was changed.
func TestRunThatIsEnded(t *testing.T) {
	t.Parallel()
	for cause, want := range map[error]kind.Result{
		kind.ErrCanceled:         {State: wire.StateCanceled, Text: "演练已取消，进行了 5/600 秒，没有改动任何系统。"},
		kind.ErrStopping:         {State: wire.StateFailed, Text: "执行器正在停止，演练在 5/600 秒处中断，没有改动任何系统。请重新发起。"},
		kind.ErrLost:             {State: wire.StateFailed, Text: "操作已由其他执行器接管，演练在 5/600 秒处中断，没有改动任何系统。"},
		context.DeadlineExceeded: {State: wire.StateTimeout, Text: "演练超过 60 秒的时限，在 5/600 秒处中断，没有改动任何系统。请缩短时长后重新发起。"},
	} {
		ctx, cancel := context.WithCancelCause(t.Context())
		k := &Kind{second: 100 * time.Millisecond}
		r := k.Apply(ctx, work(map[string]any{"seconds": int64(600)}, lang.Chinese), nil, &hand{each: func(string) { cancel(cause) }})
		if diff := cmp.Diff(want, r); diff != "" {
			t.Errorf("%v: %s", cause, diff)
		}
	}
}

func ask(t *testing.T, verb string, set Settings, args map[string]any) wire.Answer {
	t.Helper()
	a, err := New().Answer(t.Context(), kind.Query{Action: catalog.Action{Verb: verb, Settings: set}, Args: args, Lang: lang.English})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		set         Settings
		args        map[string]any
		n           int
		first, last string
	}{
		"default":       {Settings{}, nil, 8, "item-0001", "item-0008"},
		"none":          {Settings{}, map[string]any{"count": int64(0)}, 0, "", ""},
		"many":          {Settings{}, map[string]any{"count": int64(5000)}, 5000, "item-0001", "item-5000"},
		"named":         {Settings{}, map[string]any{"parent": "rack", "count": int64(2)}, 2, "rack-0001", "rack-0002"},
		"fixed":         {Settings{Items: []string{"a", "b", "c"}}, nil, 3, "a", "c"},
		"some of fixed": {Settings{Items: []string{"a", "b", "c"}}, map[string]any{"count": int64(2)}, 2, "a", "b"},
	} {
		got := ask(t, verbList, c.set, c.args).Items
		if len(got) != c.n || c.n > 0 && (got[0].Value != c.first || got[c.n-1].Value != c.last) {
			t.Errorf("%s: %v", name, got)
		}
	}
	if a := ask(t, verbState, Settings{Fields: map[string]string{"version": "1"}}, nil); a.Fields["version"] != "1" {
		t.Errorf("%+v", a)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := New().Answer(ctx, kind.Query{Action: catalog.Action{Verb: verbList, Settings: Settings{Delay: time.Minute}}})
	if !fault.Is(err, fault.Transient) || !strings.Contains(fault.Safe(err), "没有执行任何操作") {
		t.Errorf("too slow: %v", err)
	}
}

// TestVerbs holds what the catalog may say against what this kind does.
func TestVerbs(t *testing.T) {
	t.Parallel()
	for verb, v := range Spec().Verbs {
		a := catalog.Action{Verb: verb, Settings: Settings{Guide: &Guide{Value: "x"}}}
		var err error
		if v.Class == catalog.Question {
			_, err = New().Answer(t.Context(), kind.Query{Action: a})
		} else {
			_, err = New().Prepare(t.Context(), kind.Work{Action: a})
		}
		if err != nil {
			t.Errorf("%s: %v", verb, err)
		}
	}
	for _, verb := range []string{"", "jump"} {
		a := catalog.Action{Verb: verb}
		if _, err := New().Answer(t.Context(), kind.Query{Action: a}); !fault.Is(err, fault.Internal) {
			t.Errorf("%q: %v", verb, err)
		}
		if _, err := New().Prepare(t.Context(), kind.Work{Action: a}); !fault.Is(err, fault.Internal) {
			t.Errorf("%q: %v", verb, err)
		}
	}
}

func TestPlan(t *testing.T) {
	t.Parallel()
	for tag, want := range map[lang.Tag]string{lang.Chinese: "host=web-1", lang.English: "host=web-1"} {
		text, err := New().Plan(t.Context(), work(map[string]any{"seconds": int64(5), "host": "web-1"}, tag), nil)
		if err != nil || !strings.Contains(text, want) || !strings.Contains(text, "5") {
			t.Errorf("%s: %q, %v", tag, text, err)
		}
	}
}

func TestGuide(t *testing.T) {
	t.Parallel()
	both := func(zh, en string) lang.Words { return lang.Words{ZH: zh, EN: en} }
	root := &Guide{
		Title: both("慢", "slow"), Ask: both("哪些？", "which?"), Answers: []Answer{
			{Key: "all", Say: both("全部", "all of them"), Then: Guide{Text: both("一\n二\n", "one\ntwo\n")}},
			{Key: "one_more", Say: both("一个", "one"), Then: Guide{Text: both("先看这里", "look here"), Ask: both("好了？", "better?"), Answers: []Answer{
				{Key: "yes", Say: both("是", "yes"), Then: Guide{Value: "fixed"}},
			}}},
		},
	}
	for inputs, want := range map[string]wire.View{
		"":             {Title: "slow", Body: []string{"which?"}, Items: []wire.Item{{Value: "all", Label: "all of them"}, {Value: "one_more", Label: "one"}}},
		"all":          {Title: "slow", Body: []string{"one", "two"}},
		"one_more":     {Title: "slow", Body: []string{"look here", "better?"}, Items: []wire.Item{{Value: "yes", Label: "yes"}}},
		"one_more-yes": {Title: "slow", Done: true, Value: "fixed"},
		"none":         {Refuse: "There is no answer none. Please type a number of the list."},
		"all-all":      {Refuse: "The guide has ended here, there is nothing more to choose. Please go back."},
	} {
		a := ask(t, verbGuide, Settings{Guide: root}, map[string]any{catalog.NodeInputs: inputs})
		if diff := cmp.Diff(want, *a.View); diff != "" {
			t.Errorf("%q: %s", inputs, diff)
		}
	}
}

// localDrills is the local catalog with nothing but its drills.
func localDrills(t *testing.T) *catalog.Catalog {
	t.Helper()
	data, err := conf.Read("../../../../../deployments/config/local/catalog.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var file map[string]any
	if err := yaml.Load(data, &file); err != nil {
		t.Fatal(err)
	}
	delete(file, "targets")
	maps.DeleteFunc(file["actions"].(map[string]any), func(_ string, a any) bool { return a.(map[string]any)["kind"] != Name })
	if data, err = yaml.Marshal(file); err != nil {
		t.Fatal(err)
	}
	c, err := catalog.Decode("catalog.yaml", data, catalog.Kinds{Spec()})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestTheLocalGuide walks every way through the guide of the local catalog: each ends, in both languages.
func TestTheLocalGuide(t *testing.T) {
	t.Parallel()
	c := localDrills(t)
	a, ok := c.Action("drill.guide")
	if !ok {
		t.Fatal("no guide")
	}
	rapid.Check(t, func(t *rapid.T) {
		tag := rapid.SampledFrom([]lang.Tag{lang.Chinese, lang.English}).Draw(t, "language")
		var typed []string
		for {
			v := view(a.Settings.(Settings).Guide, typed, tag)
			if v.Refuse != "" || len(v.Body) == 0 && !v.Done || v.Title == "" {
				t.Fatalf("%q: %+v", typed, v)
			}
			if len(v.Items) == 0 {
				return
			}
			typed = append(typed, rapid.SampledFrom(v.Items).Draw(t, fmt.Sprint("answer ", len(typed))).Value)
		}
	})
}

func TestAReportWithAnImage(t *testing.T) {
	k := New()
	w := kind.Work{Lang: lang.Chinese, Action: catalog.Action{Verb: verbShow}, Args: map[string]any{"image": true, "lines": int64(2)}}
	if _, err := k.Prepare(t.Context(), w); err != nil {
		t.Fatal(err)
	}
	r := k.Apply(t.Context(), w, nil, &hand{})
	c, err := png.DecodeConfig(bytes.NewReader(r.Image))
	if err != nil || c.Width != pictureWidth || c.Height != pictureHeight || len(r.Image) > 10<<10 || strings.Count(r.Output, "\n") != 1 {
		t.Errorf("%+v, %v, %d bytes", c, err, len(r.Image))
	}
}
