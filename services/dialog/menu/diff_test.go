package menu

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestDiff(t *testing.T) {
	before := viewed(t)
	for _, c := range []struct {
		name     string
		exchange []string
		want     string
	}{
		{"nothing", nil, ""},
		{
			"settings",
			[]string{"version: 1\n", "version: 1\nfirst: 0\npage_size: 5\nsession: {timeout: 5m, fixed: true}\ncards: true\nlanguage: en\n"},
			`menu.yaml:1: changed the menu: first: 1 → 0
menu.yaml:1: changed the menu: page_size: 8 → 5
menu.yaml:1: changed the menu: session.timeout: 10m → 5m
menu.yaml:1: changed the menu: session.fixed: none → true
menu.yaml:1: changed the menu: cards: none → true
menu.yaml:1: changed the menu: language: zh → en
`,
		},
		{
			"titles and facts of nodes",
			[]string{"en: Retail}", "en: Shops}", "env: prod", "alias: [零售]", "hour >= 9", "hour >= 8", "open: recent", "open: tasks", "link: retail}", "link: people}"},
			`menu.yaml:4: renamed retail: 零售事业部 / Retail → 零售事业部 / Shops
menu.yaml:4: changed retail: env: prod → none
menu.yaml:4: changed retail: alias: added 零售
menu.yaml:13: changed retail-scale: when: hour >= 9 → hour >= 8
menu.yaml:46: changed again: link: retail → people
menu.yaml:47: changed recent: open: recent → tasks
`,
		},
		{
			"steps",
			[]string{
				"max: 20", "max: 30", "k8s.namespaces", "k8s.spaces", "[small,", "[medium,", "en: large}", "en: big}", "max: 1h", "max: 2h", "by: code", "by: number",
				"replicas: $replicas, size", "replicas: $replicas, extra: $size, size", `title: "{{.namespace}} → `, `title: "{{.namespace}} = `, `text: "5"`, "text: 5",
			},
			`menu.yaml:11: changed retail-k8s: dynamic namespace: source: local/k8s k8s.namespaces → local/k8s k8s.spaces
menu.yaml:17: changed retail-scale: dynamic size: lines: added medium, removed small
menu.yaml:17: changed retail-scale: dynamic size: lines[large].label: 大 / large → 大 / big
menu.yaml:18: changed retail-scale: input replicas: max: 20 → 30
menu.yaml:19: changed retail-scale: input wait: max: 1h → 2h
menu.yaml:20: changed retail-scale: confirm: by: code → number
menu.yaml:24: changed retail-scale: action: action.args.extra: none → $size
menu.yaml:24: changed retail-scale: action: action.args.text: "5" → 5
menu.yaml:24: changed retail-scale: action: title: "{{.namespace}} → {{.replicas}}" → {{.namespace}} = {{.replicas}}
`,
		},
		{
			"steps added, removed, exchanged",
			[]string{
				"              - input: {param: replicas, type: int, min: 0, max: 20, default: \"3\"}\n", "", "              - input: {param: wait, type: duration, min: 1m, max: 1h}\n",
				"              - input: {param: wait, type: duration, min: 1m, max: 1h}\n              - input: {param: replicas, type: int, min: 0, max: 20, default: \"3\"}\n              - input: {param: why, type: text}\n",
			},
			`menu.yaml:20: changed retail-scale: step added: input why
menu.yaml:13: changed retail-scale: order of its steps: dynamic size, input replicas, input wait, confirm, action → dynamic size, input wait, input replicas, confirm, action
`,
		},
		{
			"nodes added, removed, moved",
			[]string{
				"      - {id: recent, title: {zh: 最近, en: Recent}, open: recent}\n", "", "      - id: cidr\n        title: {zh: 网段计算, en: Networks}\n        steps:\n          - custom: {go: cidr}\n", "",
				"  - id: tools\n", "  - id: cidr\n    title: {zh: 网段计算, en: Networks}\n    steps:\n      - custom: {go: cidr}\n  - {id: tasks, title: 任务, open: tasks}\n  - id: tools\n",
			},
			`menu.yaml:34: moved cidr: tools → the first list
menu.yaml:38: added tasks: 任务, in the first list
menu.yaml:47: removed recent: 最近 / Recent, was in tools
`,
		},
	} {
		var b strings.Builder
		if err := WriteDiff(&b, before, viewed(t, c.exchange...)); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(c.want, b.String()); d != "" {
			t.Errorf("%s:\n%s", c.name, d)
		}
	}
}

func TestDiffSeesTheOrderOfAList(t *testing.T) {
	before := grown(titled("a", "甲", ""), titled("b", "乙", ""), titled("c", "丙", ""))
	after := grown(titled("b", "乙", ""), titled("a", "甲", ""), titled("d", "丁", ""))
	after.Node("a").Line, after.Node("d").Line, after.Node("d").File, before.Node("c").File = 2, 3, "menu.yaml", "old.yaml"
	var got []string
	for _, c := range Diff(before, after) {
		got = append(got, c.Kind+" "+c.Node+" "+c.Text)
	}
	want := []string{"moved  order of its items: a, b → b, a", "added d 丁, in the first list", "removed c 丙, was in the first list"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("full") }

func TestWriteDiffTellsWhenItCannot(t *testing.T) {
	if err := WriteDiff(full{}, grown(), grown(titled("a", "甲", ""))); err == nil {
		t.Error("no error")
	}
}

func TestDiffOfAMenuWithItselfIsEmpty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		make := func(label string) *Menu {
			var items []*Node
			for _, id := range rapid.SliceOfDistinct(rapid.SampledFrom([]string{"a", "b", "c", "d", "e"}), rapid.ID).Draw(t, label) {
				n := titled(id, rapid.SampledFrom([]string{"甲", "乙"}).Draw(t, "title"), "")
				if len(items) > 0 && rapid.Bool().Draw(t, "below") {
					items[0].Items = append(items[0].Items, n)
					continue
				}
				items = append(items, n)
			}
			return grown(items...)
		}
		before, after := make("before"), make("after")
		if len(Diff(before, before)) > 0 {
			t.Fatal("a menu differs from itself")
		}
		there, back := Diff(before, after), Diff(after, before)
		if len(there) != len(back) {
			t.Fatalf("%d changes there, %d back", len(there), len(back))
		}
		added := 0
		for _, c := range there {
			switch {
			case c.Line < 0 || strings.Contains(c.String(), "\n"):
				t.Fatalf("%q", c)
			case c.Kind == Added:
				added++
			}
		}
		if want := after.Len() - shared(before, after); added != want {
			t.Fatalf("%d nodes are new, %d were said to be", want, added)
		}
	})
}

func shared(a, b *Menu) (n int) {
	for _, id := range a.IDs() {
		if b.Node(id) != nil {
			n++
		}
	}
	return n
}
