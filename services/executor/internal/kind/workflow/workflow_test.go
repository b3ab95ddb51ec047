package workflow_test

import (
	"context"
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"palmops/libs/fault"
	"palmops/libs/lang"
	"palmops/libs/wire"
	"palmops/services/executor/catalog"
	"palmops/services/executor/internal/kind"
	"palmops/services/executor/internal/kind/kindtest"
	"palmops/services/executor/internal/kind/workflow"
)

// rig is a workflow whose steps are carried out right here.
type rig struct {
	*workflow.Kind
	cat     *catalog.Catalog
	steps   *steps
	records map[string]wire.Record
	onStep  func(name string)
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{cat: whole(t), steps: &steps{dir: t.TempDir(), ends: map[string]string{}}, records: map[string]wire.Record{}}
	r.Kind = workflow.New(r.cat, map[string]kind.Kind{practice.Name: r.steps})
	return r
}

// hand carries steps out as an executor does, without its store.
type hand struct {
	kind.Hand
	r *rig
	t lang.Tag
}

func (h hand) Run(ctx context.Context, name, action string, args map[string]any) kind.Result {
	if h.r.onStep != nil {
		h.r.onStep(name)
	}
	a, _ := h.r.cat.Action(action)
	w := kind.Work{Action: a, Args: args, Lang: h.t}
	result := kind.Failed("refused 做")
	if _, err := h.r.steps.Prepare(ctx, w); err == nil && ctx.Err() == nil {
		result = h.r.steps.Apply(ctx, w, nil, h.Hand)
	}
	if h.t == lang.English {
		result.Text = "english"
	}
	h.r.records[name] = wire.Record{State: result.State, Summary: result.Text}
	return result
}

func (r *rig) Apply(ctx context.Context, w kind.Work, before json.RawMessage, h kind.Hand) kind.Result {
	return r.Kind.Apply(ctx, w, before, hand{h, r, w.Lang})
}

func (r *rig) work(t *testing.T, args map[string]any) kind.Work {
	t.Helper()
	a, ok := r.cat.Action("release")
	if !ok {
		t.Fatal("no action")
	}
	return kind.Work{
		ID: wire.DeriveID(t.Name()), Action: a, Args: args, Timeout: a.Timeout, Lang: lang.Chinese,
		Steps: func(context.Context) (map[string]wire.Record, error) { return r.records, nil },
	}
}

var good = map[string]any{"to": int64(3)}

// TestVerdicts: whatever the steps come to, the result says what is true, and the ways back are taken in reverse order.
func TestVerdicts(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		ends    map[string]string
		state   string
		effects string
		text    []string
	}{
		"all":                 {nil, wire.StateSucceeded, "a b c", []string{"全部 4 步已完成", "✓ 第一：succeeded 做 a"}},
		"first fails":         {map[string]string{"a": "failed"}, wire.StateFailed, "", []string{"第 1 步没有成功，流程停止，没有任何改动", "✗ 第一", "· 第二：没有开始"}},
		"first is refused":    {map[string]string{"a": "refused"}, wire.StateFailed, "", []string{"第 1 步没有成功"}},
		"second fails":        {map[string]string{"b": "failed"}, wire.StateFailed, "a a-back", []string{"前面的改动已全部撤回", "↩ 第一 已撤回"}},
		"third fails":         {map[string]string{"c": "failed"}, wire.StateFailed, "a b b-back a-back", []string{"第 3 步", "↩ 第二 已撤回"}},
		"second half-way":     {map[string]string{"b": "timeout"}, wire.StateFailed, "a b b-back a-back", []string{"✗ 第二：timeout", "↩ 第二 已撤回"}},
		"third half-way":      {map[string]string{"c": "timeout"}, wire.StateTimeout, "a b c b-back a-back", []string{"有改动没有撤回", "↩ 第二 已撤回", "↩ 第一 已撤回"}},
		"way back fails":      {map[string]string{"c": "failed", "b-back": "failed"}, wire.StateTimeout, "a b a-back", []string{"✗ 第二 没有撤回成功", "↩ 第一 已撤回"}},
		"way back unknown":    {map[string]string{"c": "failed", "b-back": "unknown"}, wire.StateUnknown, "a b b-back", []string{"? 第二 是否撤回不能确定"}},
		"second unknown":      {map[string]string{"b": "unknown"}, wire.StateUnknown, "a b", []string{"? 第二", "没有再撤回"}},
		"second canceled":     {map[string]string{"b": "canceled"}, wire.StateCanceled, "a b", []string{"已按要求取消，停在第 2 步。已有的改动没有全部撤回"}},
		"first canceled":      {map[string]string{"a": "canceled"}, wire.StateCanceled, "a", []string{"停在第 1 步"}},
		"tolerated":           {map[string]string{"x": "failed"}, wire.StateSucceeded, "a b c", []string{"按设定继续了", "✗ 查看"}},
		"tolerated, unknown?": {map[string]string{"x": "unknown"}, wire.StateUnknown, "a b c", []string{"? 查看"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.steps.ends = c.ends
			w := r.work(t, good)
			if _, err := r.Prepare(t.Context(), w); err != nil {
				t.Fatal(err)
			}
			h := &kindtest.Hand{}
			got := r.Apply(t.Context(), w, nil, h)
			if got.State != c.state || done(r.steps.dir) != c.effects {
				t.Errorf("%s %q, done %q", got.State, got.Text, done(r.steps.dir))
			}
			for _, want := range c.text {
				if !strings.Contains(got.Text, want) {
					t.Errorf("no %q in %s", want, got.Text)
				}
			}
			if name == "all" && (!strings.Contains(got.Output, "== 2/4 第二 ==\nprinted by b\n") || !slices.Contains(h.Lines(), "2/4 第二")) {
				t.Errorf("output %q, progress %q", got.Output, h.Lines())
			}
			// Whoever finds only the records says nothing else, or that nobody can tell.
			probed := r.Probe(t.Context(), w, nil)
			if probed.State != got.State && probed.State != wire.StateUnknown && (got.State != wire.StateCanceled || probed.State != wire.StateFailed) {
				t.Errorf("probed %s %q, it was %s", probed.State, probed.Text, got.State)
			}
			if probed.State == wire.StateSucceeded && probed.Text != got.Text {
				t.Errorf("probed %q, it was %q", probed.Text, got.Text)
			}
		})
	}
}

// TestTruth: for every way in which steps and ways back may end, failed says that nothing is left, and only then.
func TestTruth(t *testing.T) {
	t.Parallel()
	outcomes := []string{"", "failed", "refused", "timeout", "unknown", "canceled"}
	rapid.Check(t, func(rt *rapid.T) {
		r := newRig(t)
		for _, what := range []string{"a", "b", "c", "x", "a-back", "b-back"} {
			r.steps.ends[what] = rapid.SampledFrom(outcomes).Draw(rt, what)
		}
		ctx, cancel := context.WithCancelCause(context.Background())
		defer cancel(nil)
		if at := rapid.IntRange(0, 8).Draw(rt, "ends at"); at < 6 {
			cause := rapid.SampledFrom([]error{kind.ErrCanceled, kind.ErrStopping, kind.ErrLost}).Draw(rt, "cause")
			n := 0
			r.onStep = func(string) {
				if n++; n > at {
					cancel(cause)
				}
			}
		}
		w := r.work(t, good)
		got := r.Apply(ctx, w, nil, &kindtest.Hand{})
		all := strings.Fields(done(r.steps.dir))
		left := false
		for _, what := range []string{"a", "b", "c"} {
			state := r.records[what].State
			back := r.records["undo-"+what].State
			if slices.Contains(all, what) && back != wire.StateSucceeded || state == wire.StateUnknown || back == wire.StateUnknown {
				left = true
			}
		}
		nobodyKnows := false
		for _, rec := range r.records {
			nobodyKnows = nobodyKnows || rec.State == wire.StateUnknown
		}
		switch {
		case nobodyKnows != (got.State == wire.StateUnknown):
			rt.Fatalf("%s %q although something is unknown: %t", got.State, got.Text, nobodyKnows)
		case left && got.State == wire.StateFailed, got.State == wire.StateTimeout && !left:
			rt.Fatalf("%s %q although something is left: %t", got.State, got.Text, left)
		case got.State == wire.StateSucceeded && (r.records["a"].State != "succeeded" || r.records["b"].State != "succeeded" || r.records["c"].State != "succeeded"):
			rt.Fatalf("%s %q with %v", got.State, got.Text, r.records)
		}
		probed := r.Probe(context.Background(), w, nil)
		if left && probed.State == wire.StateFailed || probed.State == wire.StateSucceeded && got.State != wire.StateSucceeded {
			rt.Fatalf("probed %s %q, it was %s %q", probed.State, probed.Text, got.State, got.Text)
		}
	})
}

func TestPrepareAndPlan(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	w := r.work(t, map[string]any{"to": int64(12)})
	if _, err := r.Prepare(t.Context(), w); !fault.Is(err, fault.Invalid) || !strings.Contains(fault.Safe(err), "步骤“第一”的参数不被允许") {
		t.Errorf("%v %q", err, fault.Safe(err))
	}
	r.steps.ends["b"] = "refused"
	plan, err := r.Plan(t.Context(), r.work(t, map[string]any{"to": int64(1), "name": "y"}), nil)
	if err != nil {
		t.Fatal(err)
	}
	want := "1. 第一：会做 a（后面的步骤失败时会撤回）\n2. 第二：按现在的状态做不了：目标不存在，没有执行任何操作。（后面的步骤失败时会撤回）\n3. 第三：会做 c\n4. 查看：只读取，不做更改"
	if plan != want || done(r.steps.dir) != "" {
		t.Errorf("%s", plan)
	}
	if got := r.Steps(w.Action); !slices.Equal(got, []string{"a", "b", "c", "look", "undo-b", "undo-a"}) {
		t.Errorf("%v", got)
	}
	if got := r.Target(kind.Query{Action: w.Action}); got != "workflow/release" {
		t.Error(got)
	}
	w.Action, _ = r.cat.Action("closed")
	if got := r.Apply(t.Context(), w, nil, &kindtest.Hand{}); got.State != wire.StateFailed || !strings.Contains(got.Text, "不开放") {
		if now := time.Now().In(time.FixedZone("CST", 8*3600)); now.Weekday() != time.Monday || now.Hour() != 3 {
			t.Errorf("%+v", got)
		}
	}
}

// TestMistakes: what is wrong with a workflow is said when the catalog is read, with its line.
func TestMistakes(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"steps: []": "must hold 1 to 20 steps",
		"steps: [{name: A, action: look, args: {what: x}}]":                                                    "a name is 1 to 32",
		"steps: [{name: undo-a, action: look, args: {what: x}}]":                                               "a name is 1 to 32",
		"steps: [{name: a, action: none}]":                                                                     `no action "none"`,
		"steps: [{name: a, action: list}]":                                                                     "list cannot be a step",
		"steps: [{name: a, action: flow}]":                                                                     "flow cannot be a step",
		"steps: [{name: a, action: palmops.cancel, args: {id: x}}]":                                            "palmops.cancel cannot be a step",
		"steps: [{name: a, action: look}]":                                                                     "look needs the argument what",
		"steps: [{name: a, action: look, args: {what: x, y: 1}}]":                                              "takes no argument y",
		"steps: [{name: a, action: look, args: {what: 1}}]":                                                    "argument what",
		"steps: [{name: a, action: look, args: {what: UPPER}}]":                                                "argument what",
		"steps: [{name: a, action: look, args: {what: 1.5}}]":                                                  "must be a text, a whole number",
		"steps: [{name: a, action: look, args: {what: '$x'}}]":                                                 "a $ begins",
		"steps: [{name: a, action: look, args: {what: '${none}'}}]":                                            "no parameter none",
		"steps: [{name: a, action: look, args: {what: '${n}'}}]":                                               "argument what is string, the parameter n is int",
		"steps: [{name: a, action: look, args: {what: '${maybe}'}}]":                                           "may be missing",
		"steps: [{name: a, action: set, args: {what: x, to: 'a${n}'}}]":                                        "cannot be made of a text",
		"steps: [{name: a, action: set, args: {what: x, to: 11}}]":                                             "argument to",
		"steps: [{name: a, action: look, args: {what: x}, on_failure: x}]":                                     "on_failure must be stop or continue",
		"steps: [{name: a, action: look, args: {what: x}, title: \"a\\nb\"}]":                                  "one line",
		"steps: [{name: a, action: look, args: {what: x}, title: 'look at ${what}'}]":                          "shown as it is",
		"steps: [{name: a, action: look, args: {what: x}, undo: {action: look, args: {what: x}}}]":             "a way back is a change",
		"steps: [{name: a, action: set, args: {what: x, to: 1}, undo: {action: set, args: {what: x, to: 1}}}]": "may take 1m0s",
		"steps: [{name: a, action: look, args: {what: x}}, {name: a, action: look, args: {what: x}}]":          "there once",
		"steps: [{name: a, action: look, args: {what: x}, more: 1}]":                                           "more",
	} {
		head, _, _ := strings.Cut(catalogText, "  closed:")
		_, err := decode(t, head+"  flow:\n    kind: workflow\n    verb: run\n    timeout: 50s\n    params: {n: {type: int, min: 0, max: 1}, maybe: {type: string, pattern: line, optional: true}}\n    settings:\n      "+in+"\n")
		if err == nil || !strings.Contains(err.Error(), want) || !regexp.MustCompile(`c\.yaml:\d+`).MatchString(err.Error()) {
			t.Errorf("%s: %v, want %q", in, err, want)
		}
	}
}

// TestTheReadmesSample: the sample is a workflow of the catalog around it.
func TestTheReadmesSample(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(data), "```yaml\n")
	sample, _, ok := strings.Cut(rest, "```")
	head, _, _ := strings.Cut(catalogText, "  closed:")
	c, err := decode(t, head+sample)
	if err != nil || !ok {
		t.Fatalf("%v\n%s", err, sample)
	}
	a, _ := c.Action("shop.release")
	if set, _ := a.Settings.(workflow.Settings); len(set.Steps) < 2 {
		t.Errorf("%+v", a)
	}
}

// suite wraps the rig for the common suite, whose hand knows nothing of steps.
type suite struct{ *rig }

func (s suite) Probe(ctx context.Context, w kind.Work, before json.RawMessage) kind.Result {
	w.Steps = func(context.Context) (map[string]wire.Record, error) { return s.records, nil }
	return s.rig.Probe(ctx, w, before)
}

func TestSuite(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	count := func(*testing.T) int { return strings.Count(effects(dir), " one ") }
	cat, err := decode(t, strings.Split(catalogText, "  closed:")[0]+`
  one: {kind: workflow, verb: run, params: {to: {type: int, min: 0, max: 20}}, settings: {steps: [{name: a, action: set, args: {what: one, to: "${to}"}}]}}
  slow: {kind: workflow, verb: run, params: {}, settings: {steps: [{name: a, action: set, args: {what: slow, to: 1}}]}}
`)
	if err != nil {
		t.Fatal(err)
	}
	of := func(name string, args map[string]any) func(*testing.T) (catalog.Action, map[string]any) {
		return func(t *testing.T) (catalog.Action, map[string]any) {
			a, ok := cat.Action(name)
			if !ok {
				t.Fatal(name)
			}
			return a, args
		}
	}
	kindtest.Run(t, kindtest.Subject{
		New: func(t *testing.T) kind.Kind {
			s := &steps{dir: dir, ends: map[string]string{}, gate: func(ctx context.Context, point string) {
				if point == "slow before" {
					<-ctx.Done()
				}
			}}
			r := &rig{cat: cat, steps: s, records: map[string]wire.Record{}}
			r.Kind = workflow.New(cat, map[string]kind.Kind{practice.Name: s})
			return &resetting{suite{r}}
		},
		Change: of("one", map[string]any{"to": int64(1)}), Slow: of("slow", map[string]any{}), Effects: count,
		Refused: of("one", map[string]any{"to": int64(12)}),
		Bad:     map[string]map[string]any{"too many": {"to": int64(21)}, "a text": {"to": "; rm -rf /"}},
		Absent: map[string]string{
			"Verbose": "a workflow prints what its steps printed, each held to the limit", "Leaky": "it knows no secrets; its steps' kinds do",
			"Down": "it has no target of its own",
		},
	})
}

// resetting forgets the records of the work before, as each piece of work has its own.
type resetting struct{ suite }

func (r *resetting) Prepare(ctx context.Context, w kind.Work) (json.RawMessage, error) {
	r.records = map[string]wire.Record{}
	return r.suite.Prepare(ctx, w)
}
