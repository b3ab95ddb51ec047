package menu_test

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"palmops/libs/conf"
	"palmops/libs/fault"
	"palmops/libs/lang"
	"palmops/libs/wire"
	"palmops/services/dialog/menu"
)

// deep is a menu whose deepest node is n levels below the root.
func deep(n int) string {
	text := top
	for i := range n - 1 {
		in := strings.Repeat("  ", 2*i)
		text += fmt.Sprintf("%s  - id: n%d\n%s    title: t\n%s    items:\n", in, i, in, in)
	}
	return text + strings.Repeat("  ", 2*(n-1)) + leaf("leaf")
}

func many(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(leaf(fmt.Sprintf("n%d", i)))
	}
	return b.String()
}

func TestLimits(t *testing.T) {
	bomb := "version: 1\ntitle: t\na: &a [x,x,x,x,x,x,x,x,x]\n"
	for c := 'b'; c <= 'i'; c++ {
		bomb += fmt.Sprintf("%c: &%c [%s*%c]\n", c, c, strings.Repeat(fmt.Sprintf("*%c,", c-1), 8), c-1)
	}
	for name, c := range map[string]struct{ data, want string }{
		"empty":              {"", "m.yaml: the file is empty"},
		"a comment":          {"# nothing\n", "m.yaml: the file is empty"},
		"null":               {"~\n", "m.yaml:1: a menu must have the keys"},
		"as large as may be": {top + leaf("a") + "#" + strings.Repeat("x", conf.MaxFile-len(top+leaf("a"))-1), ""},
		"too large":          {"# " + strings.Repeat("x", conf.MaxFile), "the limit is 1048576"},
		"as deep as may be":  {deep(menu.MaxDepth), ""},
		"too deep":           {deep(menu.MaxDepth + 1), "more than 10 levels deep"},
		"as many as may be":  {top + many(menu.MaxItems), ""},
		"too many":           {top + many(menu.MaxItems+1), "m.yaml:4: items has 201 entries, the limit is 200"},
		"alias":              {"version: 1\ntitle: &a t\nitems: *a\n", "m.yaml:2: anchors and aliases are not allowed"},
		"anchor":             {"version: 1\ntitle: &a t\n", "m.yaml:2: anchors and aliases are not allowed"},
		"bomb":               {bomb, "m.yaml:3: anchors and aliases are not allowed"},
		"merge":              {"version: 1\n<<: {title: t}\n", `m.yaml:2: a menu has no key "<<"`},
		"brackets":           {strings.Repeat("[", 100_000), "m.yaml"},
		"two documents":      {"version: 1\n---\nversion: 1\n", "m.yaml"},
		"no mapping":         {"- 1\n", "m.yaml:1: a menu must have the keys"},
		"twice":              {"version: 1\nversion: 1\ntitle: t\nitems:\n" + leaf("a"), `m.yaml:2: "version" is already set in line 1`},
		"bytes of title":     {"version: 1\ntitle: " + strings.Repeat("掌", 41) + "\nitems:\n" + leaf("a"), "m.yaml:2: title takes 123 bytes, the limit is 120"},
		"binary":             {"version: 1\ntitle: !!binary aGk=\nitems:\n" + leaf("a"), ""},
		"broken UTF-8":       {"version: 1\ntitle: \xff\n", "m.yaml"},
		"steps":              {top + "  - {id: a, title: t, steps: [" + strings.Repeat("confirm: {text: t},", 51) + "]}\n", "steps has 51 entries, the limit is 50"},
		"alias words":        {top + "  - {id: a, title: t, open: tasks, alias: [" + strings.Repeat("x,", 21) + "]}\n", "alias has 21 entries, the limit is 20"},
		"long id":            {top + leaf(strings.Repeat("x", 63)), ""},
		"too long id":        {top + leaf(strings.Repeat("x", 64)), "it must match"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := one(c.data)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("got %.300v, want %q in it", err, c.want)
			}
		})
	}
}

func TestCountOfNodes(t *testing.T) {
	grown := func(extra int) menu.Files {
		files := menu.Files{}
		var root strings.Builder
		root.WriteString(top)
		// 199 lists of 99 and one more list, with their heads, are as many nodes as there may be.
		for f := range 200 {
			n := 99
			if f == 199 {
				n += extra
			}
			var b strings.Builder
			for i := range n {
				b.WriteString(leaf(fmt.Sprintf("n%d-%d", f, i)))
			}
			text := strings.ReplaceAll(b.String(), "\n  -", "\n      -")
			fmt.Fprintf(&root, "  - id: f%d\n    title: t\n    items:\n    %s", f, text)
		}
		files["menu.yaml"] = []byte(root.String())
		return files
	}
	if m, err := menu.Build("menu.yaml", grown(0), menu.BuildOptions{}); err != nil || m.Len() != menu.MaxNodes {
		t.Errorf("%.300v", err)
	}
	if _, err := menu.Build("menu.yaml", grown(1), menu.BuildOptions{}); err == nil || !strings.Contains(err.Error(), "more than 20000 nodes") {
		t.Errorf("%.300v", err)
	}
}

func TestLinks(t *testing.T) {
	m := must(t, top+`
  - id: asks
    title: t
    steps: [input: {param: ns, type: text}]
    items:
      - {id: inner, title: t, items: [{id: same, title: t, link: below}, {id: out, title: t, link: far}]}
      - {id: below, title: t, when: ns == "x", open: recent}
  - {id: early, title: t, link: asks}
  - {id: far, title: t, items: [{id: leaf, title: t, open: tasks}]}
`)
	if same := m.Node("same"); same.Link != m.Node("below") || same.Target() != m.Node("below") || len(same.Params) != 1 {
		t.Errorf("got %+v", same)
	}
	if m.Node("early").Link != m.Node("asks") || m.Node("asks").Target() != m.Node("asks") {
		t.Error("links are wrong")
	}
}

func TestTheWayThroughLinksIsLimited(t *testing.T) {
	chain := func(lists int) string {
		text := top + leaf("end")
		for i := range lists {
			to := "end"
			if i > 0 {
				to = fmt.Sprintf("list%d", i-1)
			}
			text += fmt.Sprintf("  - {id: list%d, title: t, items: [{id: link%d, title: t, link: %s}]}\n", i, i, to)
		}
		return text
	}
	// Each list adds itself and its link.
	must(t, chain((menu.MaxWay-1)/2))
	if _, err := one(chain((menu.MaxWay-1)/2 + 1)); err == nil || !strings.Contains(err.Error(), "m.yaml:1: a way through the links has 21 nodes") {
		t.Errorf("got %v", err)
	}
}

func TestManyLinksAreCheckedQuickly(t *testing.T) {
	text := top
	for f := range 50 {
		text += fmt.Sprintf("  - id: f%d\n    title: t\n    steps: [input: {param: p%d, type: text}]\n    items:\n", f, f)
		for i := range 200 {
			text += fmt.Sprintf("      - {id: n%d-%d, title: t, link: target}\n", f, i)
		}
	}
	text += "  - id: target\n    title: t\n    items:\n"
	for i := range 200 {
		text += fmt.Sprintf("      - {id: t%d, title: t, steps: [input: {param: q%d, type: text}, dynamic: {lines: [x]}]}\n", i, i)
	}
	must(t, text)
}

func FuzzBuild(f *testing.F) {
	for _, pattern := range []string{local, "testdata/wrong/*.yaml", "testdata/wrong/parts/*.yaml"} {
		for _, file := range glob(f, pattern) {
			data, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data, []byte("version: 1\nitems: [include: m.yaml]\n"))
		}
	}
	f.Add([]byte(typed), []byte(""))
	f.Add([]byte("items: {a: [b]}"), []byte("items: {include: p.yaml}"))
	f.Add([]byte("? [x]\n: y"), []byte("- &a *a"))
	f.Add([]byte(top+"  - include: p.yaml\n"), []byte("version: 1\nitems:\n"+leaf("a")))
	f.Fuzz(func(t *testing.T, data, part []byte) {
		m, err := menu.Build("m.yaml", menu.Files{"m.yaml": data, "p.yaml": part}, menu.BuildOptions{})
		if (m == nil) == (err == nil) {
			t.Fatalf("menu %v and error %v", m, err)
		}
		var ps conf.Problems
		if err != nil && (!fault.Is(err, fault.Invalid) || !errors.As(err, &ps)) {
			t.Fatalf("kind %s of %v", fault.KindOf(err), err)
		}
		if m != nil {
			visit(m)
		}
	})
}

// visit asks a menu everything that the conversation asks.
func visit(m *menu.Menu) {
	m.Uses()
	for _, id := range m.IDs() {
		n := m.Node(id)
		n.When.Holds(menu.Vars{At: monday})
		n.CurrentFields()
		n.Deed()
		for _, s := range n.Steps {
			if s.Input != nil {
				s.Input.Read(lang.English, s.Input.Default, monday)
				s.Input.Limits(monday)
			}
			if s.Confirm != nil {
				s.Confirm.Text.Text(lang.Chinese, menu.Data{Person: wire.Person{}})
			}
		}
	}
}

// A menu of random shape, with all kinds of steps in random places, is built or refused; it never panics, and what is
// built keeps the promises of the types.
func TestRandomMenus(t *testing.T) {
	lines := []string{
		"dynamic: {param: %s, source: {zone: z, pool: p, action: a, args: {x: $a}}}", "dynamic: {param: %s, lines: [a, b]}",
		"dynamic: {param: %s, table: {by: $a, lists: {a: [x]}}, multi: true}", "dynamic: {directory: members}", "input: {param: %s, type: int}",
		"input: {param: %s, type: enum, values: [a, b]}", "custom: {param: %s, go: x}", "custom: {go: x}", "confirm: {text: \"{{.a}}\"}",
		"action: {zone: z, pool: p, action: a, title: t}",
	}
	rapid.Check(t, func(t *rapid.T) {
		id := 0
		var node func(depth int) string
		node = func(depth int) string {
			id++
			text := fmt.Sprintf("{id: n%d, title: t", id)
			if rapid.IntRange(0, 3).Draw(t, "when") == 0 {
				text += ", when: a == \"a\""
			}
			if rapid.Bool().Draw(t, "steps") {
				var steps []string
				for range rapid.IntRange(1, 4).Draw(t, "number") {
					s := rapid.SampledFrom(lines).Draw(t, "step")
					if strings.Contains(s, "%s") {
						s = fmt.Sprintf(s, rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(t, "param"))
					}
					steps = append(steps, s)
				}
				text += ", steps: [" + strings.Join(steps, ", ") + "]"
			}
			switch kind := rapid.IntRange(0, 4).Draw(t, "kind"); {
			case kind == 0:
				text += ", open: tasks"
			case kind == 1:
				text += fmt.Sprintf(", link: n%d", rapid.IntRange(1, 8).Draw(t, "link"))
			case depth < 4 && kind < 4:
				var below []string
				for range rapid.IntRange(1, 3).Draw(t, "below") {
					below = append(below, node(depth+1))
				}
				text += ", items: [" + strings.Join(below, ", ") + "]"
			}
			return text + "}"
		}
		m, err := one(top + "  - " + node(1) + "\n  - " + node(1) + "\n")
		if err != nil {
			return
		}
		visit(m)
		for _, id := range m.IDs() {
			n := m.Node(id)
			seen := map[string]bool{}
			for _, p := range n.Params {
				if seen[p.Name] || p.Node.Steps[p.Step].Param() != p.Name {
					t.Fatalf("%s: parameter %s", id, p.Name)
				}
				seen[p.Name] = true
			}
			for _, s := range n.Steps {
				if s.Param() == "" && len(n.Items) > 0 {
					t.Fatalf("%s: a step before items that asks nothing", id)
				}
			}
			if n.Link != nil && n.Link.Link != nil {
				t.Fatalf("%s: a link to a link", id)
			}
		}
	})
}
