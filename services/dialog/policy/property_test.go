package policy_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"palmops/libs/wire"
	"palmops/services/dialog/menu"
	"palmops/services/dialog/policy"
)

// The little world of the property tests: each argument has these values and no others.
var domain = map[string][]string{"namespace": {"a", "b", "c"}, "cluster": {"east", "west"}, "pods": {"x", "y", "x,y"}}

// drawMenu makes a menu of a few branches with roads of all sorts, lists that ask, environments and links.
func drawMenu(t *rapid.T) (*menu.Menu, []string) {
	var b strings.Builder
	var ids []string
	var plain, asking []string // what links may lead to: without a list that asks, and with one
	b.WriteString("version: 1\ntitle: t\nitems:\n")
	road := func(indent, id string, cluster bool) {
		fmt.Fprintf(&b, "%s- id: %s\n%s  title: x\n%s  steps:\n", indent, id, indent, indent)
		step := func(format string, a ...any) { fmt.Fprintf(&b, indent+"    - "+format+"\n", a...) }
		kind := rapid.SampledFrom([]string{"order", "order", "read", "lines", "pods"}).Draw(t, "kind")
		args := []string{}
		if cluster && rapid.Bool().Draw(t, "uses cluster") {
			args = append(args, "cluster: $cluster")
		}
		switch ns := rapid.SampledFrom([]string{"ask", "fix", "none"}).Draw(t, "namespace"); {
		case kind == "lines":
			step("dynamic: {prompt: p, lines: [one]}")
			return
		case ns == "ask":
			step("dynamic: {param: namespace, prompt: p, source: {zone: z, pool: p, action: k.namespaces}}")
			args = append(args, "namespace: $namespace")
		case ns == "fix":
			args = append(args, "namespace: "+rapid.SampledFrom(domain["namespace"]).Draw(t, "fixed"))
		}
		if kind == "pods" {
			step("dynamic: {param: pods, multi: true, prompt: p, source: {zone: z, pool: p, action: k.pods}}")
			args = append(args, "pods: $pods")
		}
		action := rapid.SampledFrom([]string{"k.one", "k.two", "d.one"}).Draw(t, "action")
		source := "zone: z, pool: p, action: " + action + ", args: {" + strings.Join(args, ", ") + "}"
		if kind == "read" {
			step("dynamic: {prompt: p, source: {%s}}", source)
			return
		}
		step("confirm: {text: sure}")
		step("action: {%s, title: x}", source)
	}
	for i := range rapid.IntRange(1, 3).Draw(t, "branches") {
		branch := fmt.Sprintf("b%d", i)
		asks := rapid.Bool().Draw(t, "asks")
		fmt.Fprintf(&b, "  - id: %s\n    title: x\n", branch)
		if env := rapid.SampledFrom([]string{"", "prod", "test"}).Draw(t, "env"); env != "" {
			fmt.Fprintf(&b, "    env: %s\n", env)
		}
		if asks {
			b.WriteString("    steps: [{dynamic: {param: cluster, prompt: p, lines: [east, west]}}]\n")
		}
		b.WriteString("    items:\n")
		ids = append(ids, branch)
		var inner []string
		for j := range rapid.IntRange(1, 3).Draw(t, "roads") {
			id := fmt.Sprintf("b%dr%d", i, j)
			road("      ", id, asks)
			inner = append(inner, id)
		}
		if rapid.Bool().Draw(t, "deeper") {
			id := branch + "deep"
			fmt.Fprintf(&b, "      - id: %s\n        title: x\n", id)
			if rapid.Bool().Draw(t, "deep prod") {
				b.WriteString("        env: prod\n")
			}
			b.WriteString("        items:\n")
			road("          ", id+"r", asks)
			inner = append(inner, id, id+"r")
		}
		ids = append(ids, inner...)
		targets := plain
		if !asks {
			targets = append(slices.Clone(plain), asking...)
			plain = append(plain, inner...)
		}
		if len(targets) > 0 && rapid.Bool().Draw(t, "link") {
			to := rapid.SampledFrom(targets).Draw(t, "target")
			fmt.Fprintf(&b, "      - {id: %slink, title: x, link: %s}\n", branch, to)
			asks = asks || slices.Contains(asking, to)
		}
		if asks {
			asking = append(asking, branch)
		} else {
			plain = append(plain, branch)
		}
	}
	b.WriteString("  - {id: room, title: x, open: tasks}\n")
	m, err := menu.Build("menu.yaml", menu.Files{"menu.yaml": []byte(b.String())}, menu.BuildOptions{})
	if err != nil {
		t.Fatalf("%v\n%s", err, b.String())
	}
	return m, ids
}

func pick(t *rapid.T, what string, from []string, most int) []string {
	return rapid.SliceOfNDistinct(rapid.SampledFrom(from), 1, most, rapid.ID[string]).Draw(t, what)
}

func flow(list []string) string { return "[" + strings.Join(list, ", ") + "]" }

func drawGrant(t *rapid.T, ids []string) string {
	g := "  - {role: " + rapid.SampledFrom([]string{"r0", "r1"}).Draw(t, "role") + ", menu: " + flow(pick(t, "menu", ids, 2))
	if rapid.IntRange(0, 4).Draw(t, "with actions") == 0 {
		return g + "}\n"
	}
	g += ", actions: " + flow(pick(t, "actions", []string{"k.*", "k.one", "d.one", "k.two"}, 3))
	if rapid.IntRange(0, 2).Draw(t, "with env") == 0 {
		g += ", env: " + flow(pick(t, "env", []string{"prod", "test"}, 2))
	}
	if rapid.IntRange(0, 2).Draw(t, "with hours") == 0 {
		g += ", hours: " + rapid.SampledFrom([]string{`{days: [mon-fri]}`, `{from: "09:00", to: "10:00"}`, `{from: "22:00", to: "08:00"}`}).Draw(t, "hours")
	}
	var args []string
	for _, name := range []string{"namespace", "cluster", "pods"} {
		if rapid.IntRange(0, 2).Draw(t, "restrict "+name) > 0 {
			continue
		}
		allowed := flow(pick(t, name, domain[name][:2], 2))
		if rapid.Bool().Draw(t, "pattern") {
			allowed = "{pattern: " + rapid.SampledFrom(domain[name][:2]).Draw(t, "of") + "}"
		}
		args = append(args, name+": "+allowed)
	}
	return g + ", args: {" + strings.Join(args, ", ") + "}}\n"
}

func drawFreeze(t *rapid.T, ids []string, i int) string {
	f := fmt.Sprintf("  - {name: f%d, from: 2026-11-23 00:00, to: 2026-11-24 00:00, reason: x", i)
	if rapid.Bool().Draw(t, "freeze menu") {
		f += ", menu: " + flow(pick(t, "frozen", ids, 2))
	}
	if rapid.Bool().Draw(t, "freeze actions") {
		f += ", actions: " + flow(pick(t, "frozen actions", []string{"k.*", "d.one"}, 2))
	}
	if rapid.IntRange(0, 2).Draw(t, "freeze env") == 0 {
		f += ", env: [prod]"
	}
	if rapid.IntRange(0, 2).Draw(t, "except") == 0 {
		f += ", except_roles: [r0]"
	}
	return f + "}\n"
}

func drawn(t *rapid.T, grants, freezes []string) *policy.Policy {
	text := "version: 1\nroles: {r0: {users: [u0, both]}, r1: {users: [u1, both]}}\n"
	for i, part := range [][]string{grants, freezes} {
		if name := []string{"grants", "freezes"}[i]; len(part) == 0 {
			text += name + ": []\n"
		} else {
			text += name + ":\n" + strings.Join(part, "")
		}
	}
	p, err := policy.Parse("p.yaml", []byte(text))
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return p
}

// roadsBelow are the roads and rooms at n and below, with links followed.
func roadsBelow(n *menu.Node) []*menu.Node {
	n = n.Target()
	if len(n.Items) == 0 {
		return []*menu.Node{n}
	}
	var out []*menu.Node
	for _, child := range n.Items {
		if n.Parent == nil || !door(child) || door(n) {
			out = append(out, roadsBelow(child)...)
		}
	}
	return out
}

// door reports whether a node is a link, a room, or a list of such.
func door(n *menu.Node) bool {
	if len(n.Items) == 0 {
		return n.Link != nil || n.Open != ""
	}
	return !slices.ContainsFunc(n.Items, func(child *menu.Node) bool { return !door(child) })
}

// every gives all arguments that a road can be asked with, in the little world, under parameters chosen above it.
func every(n *menu.Node, params map[string]any) []map[string]any {
	src, _ := n.Deed()
	all := []map[string]any{{}}
	for name, a := range src.Args {
		values := domain[name]
		if a.Param == "" {
			values = []string{a.Literal.(string)}
		} else if v, known := params[a.Param]; known {
			values = []string{v.(string)}
		}
		var next []map[string]any
		for _, with := range all {
			for _, v := range values {
				one := map[string]any{name: v}
				for k, o := range with {
					one[k] = o
				}
				next = append(next, one)
			}
		}
		all = next
	}
	return all
}

func possible(l *policy.Lens, n *menu.Node, params map[string]any) bool {
	return slices.ContainsFunc(roadsBelow(n), func(r *menu.Node) bool {
		return slices.ContainsFunc(every(r, params), func(a map[string]any) bool { return l.Decide(r, a).Allowed })
	})
}

// chosen is what of the known values somebody could choose: what the menu writes is no choice.
func chosen(n *menu.Node, known map[string]any) map[string]any {
	src, _ := n.Target().Deed()
	out := maps.Clone(known)
	for name, a := range src.Args {
		if a.Param == "" {
			delete(out, name)
		}
	}
	return out
}

var moments = []time.Time{
	monday, monday.Add(-time.Hour), monday.Add(-30 * time.Minute), monday.Add(13 * time.Hour), monday.Add(-48 * time.Hour), monday.Add(48 * time.Hour),
}

func drawPerson(t *rapid.T) (wire.Person, time.Time) {
	who := person(rapid.SampledFrom([]string{"u0", "u1", "both", "nobody"}).Draw(t, "user"))
	return who, rapid.SampledFrom(moments).Draw(t, "at")
}

func drawPolicy(t *rapid.T, ids []string) (grants, freezes []string) {
	for range rapid.IntRange(0, 4).Draw(t, "grants") {
		grants = append(grants, drawGrant(t, ids))
	}
	for i := range rapid.IntRange(0, 2).Draw(t, "freezes") {
		freezes = append(freezes, drawFreeze(t, ids, i))
	}
	return grants, freezes
}

// TestWhatIsSeenIsWhatIsPossible: a node is seen exactly when some deed below it is allowed with some arguments; the same
// for what may become allowed with arguments or parameters that are known in part.
func TestWhatIsSeenIsWhatIsPossible(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m, ids := drawMenu(t)
		grants, freezes := drawPolicy(t, ids)
		b := drawn(t, grants, freezes).Bind(m)
		who, at := drawPerson(t)
		l := b.For(who, at)
		known := map[string]any{}
		for name, values := range domain {
			if rapid.Bool().Draw(t, "know "+name) {
				known[name] = rapid.SampledFrom(values).Draw(t, name)
			}
		}
		for _, id := range append(m.IDs(), "") {
			n := m.Root
			if id != "" {
				n = m.Node(id)
			}
			if sees, want := l.Sees(n), possible(l, n, nil); sees != want {
				t.Fatalf("%q: seen %t, possible %t", id, sees, want)
			}
			asks := len(n.Target().Items) == 0 || len(n.Target().Params) > 0
			known := chosen(n, known)
			if may, want := l.May(n, known), possible(l, n, known); asks && may.Allowed != want {
				t.Fatalf("%q with %v: %+v, possible %t", id, known, may, want)
			}
		}
	})
}

// TestFilterAgreesWithMay: a line stays exactly when the road may still be allowed with it.
func TestFilterAgreesWithMay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m, ids := drawMenu(t)
		grants, freezes := drawPolicy(t, ids)
		l := func() *policy.Lens { who, at := drawPerson(t); return drawn(t, grants, freezes).Bind(m).For(who, at) }()
		arg := rapid.SampledFrom([]string{"namespace", "cluster", "pods", ""}).Draw(t, "arg")
		var items []wire.Item
		for _, v := range append([]string{"other", ""}, domain[arg]...) {
			items = append(items, wire.Item{Value: v})
		}
		known := map[string]any{"namespace": rapid.SampledFrom(domain["namespace"]).Draw(t, "namespace")}
		for _, id := range m.IDs() {
			n := m.Node(id)
			kept := l.FilterItems(n, arg, items, known)
			for _, item := range items {
				with := map[string]any{"namespace": known["namespace"]}
				if arg != "" {
					with[arg] = item.Value
				}
				if may, stays := l.May(n, with), slices.Contains(kept, item); may.Allowed != stays {
					t.Fatalf("%s, %s=%q: %+v, kept %t", id, arg, item.Value, may, stays)
				}
			}
			if len(kept) > len(items) || !slices.IsSortedFunc(kept, func(a, b wire.Item) int { return slices.Index(items, a) - slices.Index(items, b) }) {
				t.Fatalf("%v of %v", kept, items)
			}
		}
	})
}

// TestGrantsOnlyAddAndFreezesOnlyTake: whatever stands in the file already.
func TestGrantsOnlyAddAndFreezesOnlyTake(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m, ids := drawMenu(t)
		grants, freezes := drawPolicy(t, ids)
		who, at := drawPerson(t)
		at2 := func(grants, freezes []string) *policy.Lens { return drawn(t, grants, freezes).Bind(m).For(who, at) }
		none, base := at2(nil, freezes), at2(grants, freezes)
		more := at2(append(slices.Clone(grants), drawGrant(t, ids)), freezes)
		less := at2(grants, append(slices.Clone(freezes), drawFreeze(t, ids, len(freezes))))
		for _, id := range m.IDs() {
			n := m.Node(id)
			if none.Sees(n) || base.Sees(n) && !more.Sees(n) || less.Sees(n) && !base.Sees(n) {
				t.Fatalf("%s is seen without grants: %t; with the policy: %t; a grant more: %t; a freeze more: %t",
					id, none.Sees(n), base.Sees(n), more.Sees(n), less.Sees(n))
			}
			for _, a := range every(n.Target(), nil) {
				if none.Decide(n, a).Allowed || base.Decide(n, a).Allowed && !more.Decide(n, a).Allowed || less.Decide(n, a).Allowed && !base.Decide(n, a).Allowed {
					t.Fatalf("%s %v: %+v, with a grant more %+v, with a freeze more %+v", id, a, base.Decide(n, a), more.Decide(n, a), less.Decide(n, a))
				}
			}
		}
	})
}

// TestExplanationsAgree: the verdicts of an explanation come to the same as the decision, which is found in another way.
func TestExplanationsAgree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m, ids := drawMenu(t)
		grants, freezes := drawPolicy(t, ids)
		b := drawn(t, grants, freezes).Bind(m)
		who, at := drawPerson(t)
		for _, id := range m.IDs() {
			n := m.Node(id)
			if len(n.Target().Items) > 0 || n.Open != "" {
				continue
			}
			all := append(every(n.Target(), nil), nil)
			a := all[rapid.IntRange(0, len(all)-1).Draw(t, "args")]
			x := b.Explain(who, at, n, a)
			granted := slices.ContainsFunc(x.Grants, func(v policy.GrantVerdict) bool { return v.Allows })
			frozen := slices.ContainsFunc(x.Freezes, func(v policy.FreezeVerdict) bool { return v.Stops })
			if d := x.Decision; d.Allowed != (granted && !frozen) || (d.Freeze != nil) != (granted && frozen) || d.Why == "" {
				t.Fatalf("%s %v: %+v", id, a, x)
			}
		}
	})
}
