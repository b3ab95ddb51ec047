package command

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"palmops/libs/fault"
	"palmops/libs/lang"
	"palmops/libs/lang/langtest"
	"palmops/libs/wire"
	"palmops/services/executor/catalog"
	"palmops/services/executor/internal/fill"
	"palmops/services/executor/internal/kind"
	"palmops/services/executor/internal/kind/kindtest"
)

func TestTexts(t *testing.T) {
	t.Parallel()
	langtest.Check(t, texts, ".")
}

func TestPromises(t *testing.T) {
	t.Parallel()
	s := newSite(t, `
  append:
    kind: command
    verb: run
    params: {note: {type: string, pattern: line, optional: true}, n: {type: int, min: 0, max: 5, optional: true}}
    settings: {argv: [SELF, DIR/effects, "${note}", "n=${n}"], ROOT, env: {TEST_PROGRAM: append}, probe: {read: [/usr/bin/wc, -l, DIR/effects]}}
  slow: {kind: command, verb: run, settings: {argv: [SELF, DIR/effects], ROOT, env: {TEST_PROGRAM: append and hang}, grace: 1s}}
  missing: {kind: command, verb: run, settings: {argv: [DIR/none], ROOT}}
  flood: {kind: command, verb: show, settings: {argv: [SELF], ROOT, env: {TEST_PROGRAM: flood}}}
  token: {kind: command, verb: show, settings: {argv: [SELF], ROOT, env: {TEST_PROGRAM: token}, env_files: {TOKEN: token}}}
`)
	if err := os.WriteFile(s.file("effects"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	subject := func(name string, args map[string]any) func(*testing.T) (catalog.Action, map[string]any) {
		return func(*testing.T) (catalog.Action, map[string]any) { return s.action(name), args }
	}
	kindtest.Run(t, kindtest.Subject{
		New: func(t *testing.T) kind.Kind {
			k, err := New(s.cat)
			if err != nil {
				t.Fatal(err)
			}
			return k
		},
		Change:  subject("append", map[string]any{"note": "a b"}),
		Effects: func(*testing.T) int { return len(s.lines("effects")) },
		Slow:    subject("slow", nil),
		Refused: subject("missing", nil),
		Verbose: subject("flood", nil),
		Leaky:   subject("token", nil),
		Secret:  "s3cret-value",
		Bad: map[string]map[string]any{
			"a number for a text": {"note": int64(5)}, "out of range": {"n": int64(6)}, "two lines": {"note": "a\nb"}, "1 MiB": {"note": strings.Repeat("x", 1<<20)},
		},
		Absent: map[string]string{"Down": "the target is the executor's own machine"},
	})
}

// TestWhatAProgramIsGiven: arguments as they are, whatever they hold, and nothing that the catalog does not say.
func TestWhatAProgramIsGiven(t *testing.T) {
	t.Parallel()
	s := newSite(t, `
  show:
    kind: command
    verb: show
    params:
      a: {type: string, pattern: '(?s).*'}
      b: {type: string, pattern: '(?s).*', optional: true}
      n: {type: int, optional: true}
      on: {type: bool, optional: true}
    settings:
      argv: [SELF, "--a=${a}", "${b}", "n ${n} $$ ${on}", "", --, "${a}"]
      ROOT
      dir: DIR
      env: {TEST_PROGRAM: show, LANG: C.UTF-8}
`)
	for _, nasty := range []string{"$(touch x); `id` && rm -rf / | cat > f 'q' \"d\" \\ * ? ~ # !", "a\nb\tc", "中文 ü", "${b}", "%s%n", "-rf", "--", "=", " "} {
		r := s.apply(t.Context(), s.work("show", map[string]any{"a": nasty, "n": int64(-3), "on": true}), &kindtest.Hand{})
		if r.State != wire.StateSucceeded {
			t.Fatalf("%+v", r)
		}
		var got given
		if err := json.Unmarshal([]byte(r.Output), &got); err != nil {
			t.Fatalf("%v: %s", err, r.Output)
		}
		slices.Sort(got.Env)
		want := given{
			Args: []string{self(t), "--a=" + nasty, "n -3 $ true", "", "--", nasty},
			Env:  []string{"LANG=C.UTF-8", marker + "=id-" + t.Name(), programVar + "=show"},
			Dir:  s.dir, Leads: true, UID: os.Geteuid(),
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
	// An option is never made of a value.
	for b, ok := range map[string]bool{"-x": false, "--help": false, "-": false, "x-": true} {
		_, err := s.k.Prepare(t.Context(), s.work("show", map[string]any{"a": "a", "b": b}))
		if (err == nil) != ok || err != nil && (!fault.Is(err, fault.Invalid) || !strings.Contains(fault.Safe(err), "begins with -")) {
			t.Errorf("%q: %v", b, err)
		}
	}
	if _, err := s.k.Prepare(t.Context(), s.work("show", map[string]any{"a": "a\x00b"})); !fault.Is(err, fault.Invalid) {
		t.Errorf("NUL: %v", err)
	}
}

// TestFillArgv: whatever the values are, each stays in its element, and no element begins with a dash that the catalog did not write.
func TestFillArgv(t *testing.T) {
	t.Parallel()
	a := catalog.Action{Params: []catalog.Param{{Name: "a", Type: catalog.TypeString}, {Name: "b", Type: catalog.TypeString, Optional: true}}}
	templates := []string{"${a}", "${b}", "x${a}", "--o=${b}", "lit", "${a}${b}", "-${a}"}
	rapid.Check(t, func(t *rapid.T) {
		argv := []fill.Text{{}}
		var used []string
		for _, s := range rapid.SliceOfN(rapid.SampledFrom(templates), 0, 6).Draw(t, "templates") {
			f, err := fill.Parse(s)
			if err != nil {
				t.Fatal(err)
			}
			argv, used = append(argv, f), append(used, s)
		}
		args := map[string]any{"a": rapid.String().Draw(t, "a")}
		if rapid.Bool().Draw(t, "with b") {
			args["b"] = rapid.String().Draw(t, "b")
		}
		out, err := fillArgv(a, argv, args, lang.English)
		if err != nil {
			if !fault.Is(err, fault.Invalid) || fault.SafeIn(err, lang.English) == "" {
				t.Fatal(err)
			}
			return
		}
		out = out[1:]
		va, vb := fill.Value(args["a"]), fill.Value(args["b"])
		for _, s := range used {
			want := strings.NewReplacer("${a}", va, "${b}", vb).Replace(s)
			if s == "${b}" && vb == "" {
				continue
			}
			if len(out) == 0 || out[0] != want {
				t.Fatalf("%q: %q, not %q", s, out, want)
			}
			if strings.HasPrefix(out[0], "-") && !strings.HasPrefix(s, "-") {
				t.Fatalf("an option was made: %q", out[0])
			}
			out = out[1:]
		}
		if len(out) > 0 {
			t.Fatalf("more than asked for: %q", out)
		}
	})
}

// TestExitCodes: what each code means is said by the catalog, and what it does not say is looked at.
func TestExitCodes(t *testing.T) {
	t.Parallel()
	s := newSite(t, `
  run:
    kind: command
    verb: run
    params: {code: {type: int, min: 0, max: 99}, file: {type: string, pattern: line, optional: true}}
    settings:
      argv: [SELF, "${code}", "${file}"]
      ROOT
      env: {TEST_PROGRAM: exit}
      look: {zh: 看日志, en: Read the log.}
      exit: {3: {means: done, say: {zh: 已经是这样, en: It was so already.}}, 4: nothing, 5: {means: unknown, say: {zh: 半途, en: Half way.}}}
  probed:
    kind: command
    verb: run
    params: {code: {type: int, min: 0, max: 99}, file: {type: string, pattern: line, optional: true}, answer: {type: int, min: 0, max: 99}}
    settings: {argv: [SELF, "${code}", "${file}"], ROOT, env: {TEST_PROGRAM: exit}, probe: {argv: [SELF, "${answer}"]}}
  read:
    kind: command
    verb: run
    params: {code: {type: int, min: 0, max: 99}, file: {type: string, pattern: line, optional: true}}
    settings: {argv: [SELF, "${code}", "${file}"], ROOT, env: {TEST_PROGRAM: exit}, probe: {read: [/usr/bin/wc, -l, DIR/changed], same: nothing}}
  show:
    kind: command
    verb: show
    params: {code: {type: int, min: 0, max: 99}}
    settings: {argv: [SELF, "${code}"], ROOT, env: {TEST_PROGRAM: exit}, exit: {3: done}}
`)
	if err := os.WriteFile(s.file("changed"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	code := func(n int) map[string]any { return map[string]any{"code": int64(n)} }
	probed := func(n, answer int) map[string]any { return map[string]any{"code": int64(n), "answer": int64(answer)} }
	for _, c := range []struct {
		action string
		args   map[string]any
		state  string
		text   string
	}{
		{"run", code(0), wire.StateSucceeded, "The command is done"},
		{"run", code(3), wire.StateSucceeded, "exit code 3.\nIt was so already."},
		{"run", code(4), wire.StateFailed, "(exit code 4) and changed nothing"},
		{"run", code(5), wire.StateUnknown, "Half way.\nRead the log."},
		{"run", code(6), wire.StateUnknown, "(exit code 6). It is not known"},
		{"probed", probed(0, 1), wire.StateSucceeded, "done"},
		{"probed", probed(6, 0), wire.StateSucceeded, "but a check finds that it took effect"},
		{"probed", probed(6, 1), wire.StateFailed, "did not take effect"},
		{"probed", probed(6, 2), wire.StateUnknown, "not known"},
		{"read", code(6), wire.StateFailed, "did not take effect"},
		{"read", map[string]any{"code": int64(6), "file": s.file("changed")}, wire.StateSucceeded, "took effect"},
		{"show", code(0), wire.StateSucceeded, "done"},
		{"show", code(3), wire.StateSucceeded, "exit code 3"},
		{"show", code(4), wire.StateFailed, "Reading failed (exit code 4). Nothing was changed."},
	} {
		r := s.apply(t.Context(), s.work(c.action, c.args), &kindtest.Hand{})
		if r.State != c.state || !strings.Contains(r.Text, c.text) {
			t.Errorf("%s %v: %s %q", c.action, c.args, r.State, r.Text)
		}
	}
}

// TestNothingIsLeftRunning: a program that does not want to end, with children in its group and outside of it, is gone after
// each way to end it, and the result is the truth.
func TestNothingIsLeftRunning(t *testing.T) {
	t.Parallel()
	for cause, want := range map[error]string{
		kind.ErrCanceled: wire.StateCanceled, kind.ErrStopping: wire.StateUnknown, kind.ErrLost: wire.StateUnknown, context.DeadlineExceeded: wire.StateUnknown,
	} {
		t.Run(cause.Error(), func(t *testing.T) {
			t.Parallel()
			s := newSite(t, "  family: {kind: command, verb: run, settings: {argv: [SELF, DIR/pids], ROOT, env: {TEST_PROGRAM: family}, grace: 50ms, progress: pid}}\n")
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			h := &following{after: 3, then: func() { cancel(cause) }}
			r := s.apply(ctx, s.work("family", nil), h)
			if r.State != want || !strings.Contains(r.Text, "may have done a part") {
				t.Errorf("%s %q", r.State, r.Text)
			}
			s.allGone("pids", 3)
		})
	}
}

// following cancels after some lines of progress.
type following struct {
	kindtest.Hand
	after int
	then  func()
}

func (f *following) Progress(line string) {
	f.Hand.Progress(line)
	if len(f.Lines()) == f.after {
		f.then()
	}
}

func (s *site) allGone(file string, n int) {
	s.t.Helper()
	pids := s.lines(file)
	if len(pids) != n {
		s.t.Errorf("%d processes noted, not %d", len(pids), n)
	}
	for _, p := range pids {
		pid, err := strconv.Atoi(p)
		if err != nil {
			s.t.Fatal(err)
		}
		gone(s.t, pid)
	}
}

// TestWhatIsLeftBehindIsEnded: children that outlive a command which ended well do not, and do not hold up its result.
func TestWhatIsLeftBehindIsEnded(t *testing.T) {
	t.Parallel()
	s := newSite(t, "  leave: {kind: command, verb: run, settings: {argv: [SELF, DIR/pids], ROOT, env: {TEST_PROGRAM: leave}}}\n")
	if r := s.apply(t.Context(), s.work("leave", nil), &kindtest.Hand{}); r.State != wire.StateSucceeded {
		t.Errorf("%+v", r)
	}
	s.allGone("pids", 2)
}

func TestPlan(t *testing.T) {
	t.Parallel()
	s := newSite(t, "  run: {kind: command, verb: run, params: {a: {type: string, pattern: line}}, settings: {argv: [/bin/x, --, \"${a}\"], ROOT}}\n")
	for tag, want := range map[lang.Tag]string{lang.English: `/bin/x -- "a; b"`, lang.Chinese: `/bin/x -- "a; b"`} {
		w := s.work("run", map[string]any{"a": "a; b"})
		w.Lang = tag
		if text, err := s.k.Plan(t.Context(), w, nil); err != nil || !strings.Contains(text, want) {
			t.Errorf("%q, %v", text, err)
		}
	}
}

func TestTargets(t *testing.T) {
	t.Parallel()
	s := newSite(t, `
  one: {kind: command, verb: run, params: {u: {type: string, pattern: line}}, settings: {argv: [/bin/x, "${u}"], ROOT, on: "unit/${u}"}}
  two: {kind: command, verb: run, settings: {argv: [/bin/x], ROOT}}
  three: {kind: command, verb: show, settings: {argv: [/bin/x], ROOT}}
`)
	for name, want := range map[string]string{"one": "command/unit/nginx", "two": "command/two", "three": ""} {
		if got := s.k.Target(kind.Query{Action: s.action(name), Args: map[string]any{"u": "nginx"}}); got != want {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestQuestions(t *testing.T) {
	t.Parallel()
	s := newSite(t, `
  list: {kind: command, verb: list, params: {a: {type: string, pattern: '(?s).*'}}, settings: {argv: [/usr/bin/printf, '%b', "${a}"], ROOT}}
  fields: {kind: command, verb: fields, params: {a: {type: string, pattern: '(?s).*'}}, settings: {argv: [/usr/bin/printf, '%b', "${a}"], ROOT}}
  failing: {kind: command, verb: list, settings: {argv: [SELF, "3"], ROOT, env: {TEST_PROGRAM: exit}}}
  missing: {kind: command, verb: list, settings: {argv: [DIR/none], ROOT}}
  slow: {kind: command, verb: list, settings: {argv: [/bin/sleep, "60"], ROOT}}
  flood: {kind: command, verb: list, settings: {argv: [SELF], ROOT, env: {TEST_PROGRAM: flood}}}
`)
	ask := func(ctx context.Context, name, text string) (wire.Answer, error) {
		return s.k.Answer(ctx, kind.Query{Action: s.action(name), Args: map[string]any{"a": text}, Lang: lang.English})
	}
	a, err := ask(t.Context(), "list", `a\tA\trunning\nb\n\nb\nbad\001\nc\t\tdetail\twith tab\n`)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]wire.Item{{Value: "a", Label: "A", Detail: "running"}, {Value: "b"}, {Value: "c", Detail: "detail with tab"}}, a.Items); diff != "" {
		t.Error(diff)
	}
	if a, err = ask(t.Context(), "fields", `ActiveState=active\nMainPID=5\nno field\nX=a=b\n`); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"active_state": "active", "main_pid": "5", "x": "a=b"}, a.Fields); diff != "" {
		t.Error(diff)
	}
	over, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("too late"))
	for _, c := range []struct {
		name string
		ctx  context.Context
		want fault.Kind
	}{{"failing", t.Context(), fault.Transient}, {"missing", t.Context(), fault.NotFound}, {"slow", over, fault.Transient}, {"flood", t.Context(), fault.Invalid}} {
		if _, err := ask(c.ctx, c.name, ""); !fault.Is(err, c.want) || !strings.Contains(fault.SafeIn(err, lang.English), "Nothing was done") {
			t.Errorf("%s: %v: %s", c.name, err, fault.SafeIn(err, lang.English))
		}
	}
}
