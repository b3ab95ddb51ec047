package policy_test

import (
	"fmt"
	"strings"
	"testing"

	"palmops/libs/wire"
	"palmops/services/dialog/menu"
	"palmops/services/dialog/policy"
)

// company is a menu of about 10,000 nodes, and a policy of 300 roles and 600 grants with hours and freezes.
func company(t testing.TB) (*menu.Menu, *policy.Policy) {
	t.Helper()
	files := menu.Files{}
	root := "version: 1\ntitle: t\nitems:\n"
	var b strings.Builder
	for i := range 100 {
		b.Reset()
		b.WriteString("version: 1\nitems:\n")
		fmt.Fprintf(&b, "  - id: b%d\n    title: x\n    items:\n", i)
		for j := range 10 {
			fmt.Fprintf(&b, "      - id: b%dl%d\n        title: x\n        items:\n", i, j)
			for k := range 9 {
				fmt.Fprintf(&b, "          - id: b%dl%dr%d\n            title: x\n            steps:\n"+
					"              - input: {param: replicas, type: int, min: 0, max: 9, prompt: p}\n              - confirm: {text: x}\n"+
					"              - action: {zone: z, pool: p, action: k8s.verb%d, args: {namespace: n%d, replicas: $replicas}, title: x}\n", i, j, k, k, i)
			}
		}
		name := fmt.Sprintf("b%d.yaml", i)
		files[name] = []byte(b.String())
		root += "  - include: " + name + "\n"
	}
	files["menu.yaml"] = []byte(root)
	m, err := menu.Build("menu.yaml", files, menu.BuildOptions{})
	if err != nil {
		t.Fatal(err)
	}
	b.Reset()
	b.WriteString("version: 1\nroles:\n")
	for i := range 300 {
		fmt.Fprintf(&b, "  r%d: {users: [u%d], departments: [%d]}\n", i, i, i/3+1)
	}
	b.WriteString("grants:\n")
	for i := range 300 {
		fmt.Fprintf(&b, "  - {role: r%d, menu: [b%d], actions: [k8s.*], args: {namespace: [n%d]}}\n", i, i%100, i%100)
		fmt.Fprintf(&b, "  - {role: r%d, menu: [b%d], actions: [k8s.verb1], args: {replicas: {max: 5}}, hours: {days: [mon-fri], from: \"09:00\", to: \"%02d:00\"}}\n", i, (i+1)%100, 17+i%4)
	}
	b.WriteString("freezes:\n  - {name: f, from: 2026-11-01 00:00, to: 2026-12-01 00:00, reason: x, menu: [b7]}\n")
	return m, parse(t, b.String())
}

func BenchmarkBind(b *testing.B) {
	m, p := company(b)
	b.ReportAllocs()
	for b.Loop() {
		p.Bind(m)
	}
}

// BenchmarkForNew is the first look of somebody whose grants nobody else has.
func BenchmarkForNew(b *testing.B) {
	m, p := company(b)
	bound := p.Bind(m)
	i := int64(0)
	b.ReportAllocs()
	for b.Loop() {
		i++
		bound.For(person("nobody", i%100+1, i/100%100+1), monday)
	}
}

func BenchmarkFor(b *testing.B) {
	m, p := company(b)
	bound := p.Bind(m)
	who := person("u7", 1, 2, 3)
	b.ReportAllocs()
	for b.Loop() {
		bound.For(who, monday)
	}
}

func BenchmarkLens(b *testing.B) {
	m, p := company(b)
	l := p.Bind(m).For(person("u8", 1, 2, 3), monday)
	n := m.Node("b8l5r5")
	good := args("namespace", "n8", "replicas", int64(3))
	bad := args("namespace", "n9", "replicas", int64(3))
	if !l.Decide(n, good).Allowed || l.Decide(n, bad).Allowed {
		b.Fatal("the wrong decisions")
	}
	items := make([]wire.Item, 200)
	for i := range items {
		items[i].Value = fmt.Sprint("n", i)
	}
	b.Run("Sees", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			l.Sees(n)
		}
	})
	b.Run("DecideAllowed", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			l.Decide(n, good)
		}
	})
	b.Run("DecideRefused", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			l.Decide(n, bad)
		}
	})
	b.Run("FilterItems200", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			l.FilterItems(n, "namespace", items, nil)
		}
	})
}
