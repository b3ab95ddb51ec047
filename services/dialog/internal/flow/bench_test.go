package flow_test

import (
	"fmt"
	"strings"
	"testing"

	"palmops/services/dialog/internal/flow"
	"palmops/services/dialog/menu"
)

// bigWorld has a menu of about n nodes: lists of ten, and roads at the bottom.
func bigWorld(t testing.TB, n int) *world {
	t.Helper()
	var b strings.Builder
	b.WriteString("version: 1\ntitle: 大菜单\nitems: [\n")
	left := n
	var list func(depth int, id string)
	list = func(depth int, id string) {
		for i := 0; i < 10 && left > 0; i++ {
			left--
			me := fmt.Sprint(id, i)
			fmt.Fprintf(&b, "{id: n%s, title: 功能%s, ", me, me)
			if depth == 0 || left == 0 {
				b.WriteString("steps: [{dynamic: {source: {zone: z, pool: p, action: k.l}}}]},\n")
				continue
			}
			b.WriteString("items: [\n")
			list(depth-1, me)
			b.WriteString("]},\n")
		}
	}
	depth := 0
	for reach := 10; reach < n; reach *= 10 {
		depth++
	}
	list(depth, "")
	b.WriteString("]\n")
	m, err := menu.Build("m.yaml", menu.Files{"m.yaml": []byte(b.String())}, menu.BuildOptions{})
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	w.menu = m
	w.now = noon
	w.grant(t, "version: 1\nroles: {r: {users: [zhangsan]}}\ngrants:\n  - {role: r, menu: [n0, n1, n2, n3], actions: [k.*]}\n")
	return w
}

// BenchmarkStep is one choice in lists of nodes; it must not depend on how large the menu is.
func BenchmarkStep(b *testing.B) {
	for _, n := range []int{100, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			w := bigWorld(b, n)
			k := &talk{t: b, w: w}
			k.say("菜单")
			s := k.s
			env := w.env()
			ev := flow.Event{ID: "m", Type: "text", Text: "2", SentAt: s.SentAt}
			if r := flow.Step(w.menu, s, ev, env); r.Did != flow.DidChoose || len(r.Screens[0].Choices) < 8 {
				b.Fatalf("%+v", r)
			}
			b.ReportAllocs()
			for b.Loop() {
				flow.Step(w.menu, s, ev, env)
			}
		})
	}
}
