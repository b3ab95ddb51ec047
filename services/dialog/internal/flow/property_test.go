package flow_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"palmops/libs/wire"
	"palmops/services/dialog/internal/flow"
)

// inputs is what people type: keys, choices, values, and nonsense.
func inputs() *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.SampledFrom([]string{"1", "2", "1", "2", "5", "12", "0", "00", "#", "+", "-", "?", "返回", "首页", "退出", "帮助", "１", "＝0", "=5", "21", "-1", "菜单", "默认", "", " "}),
		rapid.SampledFrom([]string{"1", "2", "1", "2", "5"}),
		rapid.String(),
	)
}

// Any sequence of messages keeps the promises of the package.
func TestAnySequence(t *testing.T) {
	base := newWorld(t)
	rapid.Check(t, func(rt *rapid.T) {
		w := *base
		w.lists = map[string][]wire.Item{"k8s.namespaces": base.lists["k8s.namespaces"], "k8s.deployments": many(rapid.IntRange(0, 20).Draw(rt, "deployments"))}
		w.as(rapid.SampledFrom([]string{"zhangsan", "zhangsan", "lisi", "outsider"}).Draw(rt, "user"))
		var s flow.Session
		var typed []string // the model: accepted inputs
		for i := range rapid.IntRange(1, 40).Draw(rt, "messages") {
			in := inputs().Draw(rt, "input")
			w.fault = ""
			if rapid.IntRange(0, 9).Draw(rt, "luck") == 0 {
				w.fault = "列表暂时取不到"
			}
			ev := flow.Event{ID: fmt.Sprint(i), Type: "text", Text: in, SentAt: int64(100 + i)}
			r := w.step(t, s, ev)

			if again := w.step(t, s, ev); cmp.Diff(r, again) != "" {
				rt.Fatal("the same step twice gives two results")
			}
			if len(r.Screens) == 0 {
				rt.Fatal("a text without an answer")
			}
			if r.Intent != nil && (s.Screen.Kind != wire.ScreenConfirm || flow.Fold(in) != "1") {
				rt.Fatalf("an order from %s with %q", s.Screen.Kind, in)
			}
			if r.Session.SentAt < ev.SentAt {
				rt.Fatal("the message was forgotten")
			}
			typed = model(typed, s, r, in)
			if got := r.Session.Path(); strings.Join(flow.SplitPath(got), "\x00") != strings.Join(typed, "\x00") {
				rt.Fatalf("path %s, accepted inputs %q", got, typed)
			}
			legal(rt, r)
			s = r.Session
			if w.fault == "" {
				undoable(rt, t, &w, s)
			}
		}
		if r := w.step(t, s, flow.Event{ID: "x", Type: "text", Text: "#", SentAt: 1 << 40}); r.Session.Open() {
			rt.Fatal("there is no way out")
		}
	})
}

// model says which inputs have been accepted after a step, from what the step says it did.
func model(typed []string, before flow.Session, r flow.Result, in string) []string {
	switch {
	case !r.Session.Open(), r.Did == flow.DidHome && r.Reason == "", !before.Open():
		return nil
	case r.Reason != "":
		return typed
	case r.Did == flow.DidBack && before.Screen.Kind != wire.ScreenAccepted && len(typed) > 0:
		return typed[:len(typed)-1]
	case r.Intent != nil:
		return typed[:2] // 零售事业部 - Kubernetes 操作
	case r.Did == flow.DidChoose, r.Did == flow.DidInput:
		return append(slices.Clone(typed), flow.Fold(in))
	}
	return typed
}

// legal holds a result against what a person and the store need of it.
func legal(t *rapid.T, r flow.Result) {
	if !r.Session.Open() {
		return
	}
	last := r.Screens[len(r.Screens)-1]
	if last.Kind != r.Session.Screen.Kind {
		t.Fatalf("%s is shown, %s is stored", last.Kind, r.Session.Screen.Kind)
	}
	if last.Kind == wire.ScreenAccepted && len(last.Choices) > 0 {
		t.Fatal("the accepted screen has choices")
	}
	if !strings.Contains(last.Keys, "#") {
		t.Fatalf("no way out is shown on %+v", last)
	}
	raw, err := json.Marshal(r.Session)
	if err != nil {
		t.Fatal(err)
	}
	var back flow.Session
	if err := json.Unmarshal(raw, &back); err != nil || cmp.Diff(r.Session.Path(), back.Path()) != "" {
		t.Fatalf("the session does not survive storage: %v", err)
	}
}

// undoable: after each accepted choice, 返回 leads to the road before it.
func undoable(rt *rapid.T, t *testing.T, w *world, s flow.Session) {
	if !s.Open() || len(s.Hops) == 0 || s.Screen.Kind == wire.ScreenAccepted {
		return
	}
	r := w.step(t, s, flow.Event{ID: "back", Type: "text", Text: "返回", SentAt: s.SentAt})
	if want := (flow.Session{Hops: s.Hops[:len(s.Hops)-1]}).Path(); r.Session.Path() != want {
		rt.Fatalf("back from %s leads to %s", s.Path(), r.Session.Path())
	}
}

func TestPathGoesThereAndBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s flow.Session
		typed := rapid.SliceOfN(rapid.StringMatching(`[-\\a1]{1,6}|.{1,6}`), 1, 6).Draw(t, "typed")
		for _, in := range typed {
			s.Hops = append(s.Hops, flow.Hop{Typed: in})
		}
		if diff := cmp.Diff(typed, flow.SplitPath(s.Path())); diff != "" {
			t.Fatalf("%s: %s", s.Path(), diff)
		}
	})
}

// Damaged sessions, foreign screens, wrong lengths: an answer, never a panic, never an order.
func FuzzStep(f *testing.F) {
	f.Add([]byte(`{"rev":"x"}`), "1", int64(5), "text")
	f.Add([]byte(`{"rev":"%REV%","hops":[{"node":"retail"}],"screen":{"kind":"menu","page":-1}}`), "+", int64(5), "text")
	f.Add([]byte(`{"rev":"%REV%","hops":[{"node":"retail"}],"screen":{"kind":"menu","page":9000000000000000000,"seen":9000000000000000000}}`), "+", int64(5), "text")
	f.Add([]byte(`{"rev":"%REV%","hops":[{"node":"retail"},{"param":"x"}],"screen":{"kind":"confirm"}}`), "1", int64(5), "text")
	f.Add([]byte(`{"rev":"%REV%","hops":[{"node":"retail"},{"node":"retail-k8s"},{"node":"retail-scale"},{"param":"namespace","text":"shop"},{"param":"deployment"},{"param":"replicas","is_int":true}],"screen":{"kind":"confirm"}}`), "1", int64(5), "text")
	f.Add([]byte(`{"rev":"%REV%","screen":{"kind":"accepted"}}`), "0", int64(5), "image")
	w := newWorld(f)
	f.Fuzz(func(t *testing.T, state []byte, text string, sent int64, kind string) {
		var s flow.Session
		_ = json.Unmarshal([]byte(strings.ReplaceAll(string(state), "%REV%", w.menu.Rev)), &s) // what cannot be read is an empty session
		shown := s.Screen.Current != nil
		r := w.step(t, s, flow.Event{ID: "f", Type: kind, Text: text, SentAt: sent})
		if r.Intent != nil && (!shown || s.Screen.Kind != wire.ScreenConfirm || flow.Fold(text) != "1" || kind != "text") {
			t.Fatalf("an order out of %s and %q", state, text)
		}
	})
}
