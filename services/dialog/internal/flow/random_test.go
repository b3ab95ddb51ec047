package flow_test

import (
	"fmt"
	"strings"

	"pgregory.net/rapid"

	"palmops/libs/wire"
	"palmops/services/dialog/menu"
	"palmops/services/dialog/policy"
)

// garden grows a random menu that uses all of the language.
type garden struct {
	t     *rapid.T
	b     strings.Builder
	ids   int
	roads []string // ids that a link may lead to
	links bool
}

func (g *garden) chance(name string, one int) bool {
	return rapid.IntRange(0, one-1).Draw(g.t, name) == 0
}

// list writes the items of a list whose nodes know the parameters.
func (g *garden) list(depth int, params []string, indent string) {
	for range rapid.IntRange(1, 4).Draw(g.t, "items") {
		g.ids++
		id := fmt.Sprintf("n%d", g.ids)
		fmt.Fprintf(&g.b, "%s- id: %s\n%s  title: {zh: 功能%d, en: Node %d}\n", indent, id, indent, g.ids, g.ids)
		if len(params) > 0 && g.chance("when", 5) {
			fmt.Fprintf(&g.b, "%s  when: %s != \"b\"\n", indent, params[0])
		}
		if g.chance("room", 12) {
			fmt.Fprintf(&g.b, "%s  open: %s\n", indent, rapid.SampledFrom([]string{"tasks", "recent", "favourites"}).Draw(g.t, "open"))
			continue
		}
		if g.links && len(g.roads) > 0 && g.chance("link", 8) {
			fmt.Fprintf(&g.b, "%s  link: %s\n", indent, rapid.SampledFrom(g.roads).Draw(g.t, "to"))
			continue
		}
		if len(params) == 0 {
			g.roads = append(g.roads, id)
		}
		road := depth == 0 || g.chance("road", 2)
		steps := rapid.IntRange(0, 3).Draw(g.t, "steps")
		if road || steps > 0 {
			fmt.Fprintf(&g.b, "%s  steps:\n", indent)
		}
		known := params
		for i := range steps {
			known = g.step(id, i, known, indent+"    ")
		}
		if road {
			g.end(known, indent+"    ")
			continue
		}
		fmt.Fprintf(&g.b, "%s  items:\n", indent)
		g.list(depth-1, known, indent+"    ")
	}
}

// step writes one that asks for a parameter.
func (g *garden) step(id string, i int, known []string, indent string) []string {
	name := fmt.Sprintf("p_%s_%d", id, i)
	args := g.args(known)
	kinds := []string{
		"dynamic: {param: %s, source: {zone: z, pool: p, action: k.list, args: {%s}}}",
		"dynamic: {param: %s, multi: true, least: 2, most: 3, source: {zone: z, pool: p, action: k.list, args: {%s}}}",
		"dynamic: {param: %s, lines: [{value: v1, label: {zh: 一, en: one}}, v2, v3]}",
		"dynamic: {param: %s, directory: members}",
		"custom: {param: %s, go: cidr}",
		"custom: {param: %s, remote: {zone: z, pool: p, action: k.view, args: {%s}}}",
		"input: {param: %s, type: enum, values: [a, {value: b, label: 乙}], default: a}",
		"input: {param: %s, type: text}",
		"input: {param: %s, type: dns_label, default: web}",
		"input: {param: %s, type: date, from: today}",
		"input: {param: %s, type: duration}",
	}
	text := rapid.SampledFrom(kinds).Draw(g.t, "kind")
	if strings.Count(text, "%s") == 2 {
		text = fmt.Sprintf(text, name, args)
	} else {
		text = fmt.Sprintf(text, name)
	}
	fmt.Fprintf(&g.b, "%s- %s\n", indent, text)
	return append(known[:len(known):len(known)], name)
}

// args names some parameters as arguments.
func (g *garden) args(known []string) string {
	var args []string
	for i, p := range known {
		if i == len(known)-1 || g.chance("arg", 2) {
			args = append(args, fmt.Sprintf("a%d: $%s", i, p))
		}
	}
	return strings.Join(args, ", ")
}

// end writes what a road ends in.
func (g *garden) end(known []string, indent string) {
	if g.chance("read", 4) {
		fmt.Fprintf(&g.b, "%s- %s\n", indent, rapid.SampledFrom([]string{
			"dynamic: {source: {zone: z, pool: p, action: k.list}}", "custom: {go: cidr}", "dynamic: {lines: [x, y]}",
		}).Draw(g.t, "last"))
		return
	}
	if g.chance("report", 4) {
		fmt.Fprintf(&g.b, "%s- report: {zone: z, pool: p, action: k.show, args: {%s}, title: 看}\n", indent, g.args(known))
		return
	}
	by := rapid.SampledFrom([]string{"number", "code"}).Draw(g.t, "by")
	current := ""
	if g.chance("current", 2) {
		current = ", current: {zone: z, pool: p, action: k.now}"
	}
	if g.chance("no dry run", 3) {
		current += ", noop: false"
	}
	fmt.Fprintf(&g.b, "%s- confirm: {by: %s, text: 确认%s}\n", indent, by, current)
	fmt.Fprintf(&g.b, "%s- action: {zone: z, pool: p, action: k.do, args: {%s}, title: 做}\n", indent, g.args(known))
}

// menu grows one and builds it; links that cannot be are left out.
func randomMenu(t *rapid.T) *menu.Menu {
	for _, links := range []bool{true, false} {
		g := &garden{t: t, links: links}
		fmt.Fprintf(&g.b, "version: 1\ntitle: 园子\nfirst: %d\npage_size: %d\ncards: %t\nitems:\n",
			rapid.IntRange(0, 1).Draw(t, "first"), rapid.IntRange(1, 5).Draw(t, "page"), rapid.Bool().Draw(t, "cards"))
		g.list(2, nil, "  ")
		m, err := menu.Build("m.yaml", menu.Files{"m.yaml": []byte(g.b.String())}, menu.BuildOptions{})
		if err == nil {
			return m
		}
		if !links {
			t.Fatalf("%v in\n%s", err, g.b.String())
		}
	}
	return nil
}

// randomWorld is a random menu for somebody who may do nearly everything in it.
func randomWorld(t *rapid.T, base *world) *world {
	w := *base
	w.menu = randomMenu(t)
	w.now = noon
	w.lists = map[string][]wire.Item{"k.list": many(rapid.IntRange(0, 12).Draw(t, "lines")), "members 0": {{Value: "a"}, {Value: "b"}}}
	w.view = func(inputs []string) wire.View {
		switch len(inputs) {
		case 0:
			return wire.View{Body: []string{"问"}, Items: []wire.Item{{Value: "a"}, {Value: "b"}}, Free: true}
		case 1:
			if inputs[0] == "b" {
				return wire.View{Refuse: "不行"}
			}
			return wire.View{Body: []string{"再问"}, Items: []wire.Item{{Value: "c"}}}
		}
		return wire.View{Done: true, Value: "view " + strings.Join(inputs, "-")}
	}
	var top []string
	for _, n := range w.menu.Root.Items {
		top = append(top, n.ID)
	}
	limit := rapid.SampledFrom([]string{"", ", args: {a0: [web-001, web-002, v1, a]}"}).Draw(t, "limit")
	p, err := policy.Parse("p.yaml", fmt.Appendf(nil, "version: 1\nroles: {r: {users: [zhangsan]}}\ngrants: [{role: r, menu: [%s], actions: [k.*]%s}]\n", strings.Join(top, ", "), limit))
	if err != nil {
		t.Fatal(err)
	}
	w.policy, w.bound = p, map[*menu.Menu]*policy.Bound{}
	return w.as("zhangsan")
}
