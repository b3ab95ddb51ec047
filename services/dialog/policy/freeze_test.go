package policy_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"palmops/libs/lang"
	"palmops/services/dialog/menu"
	"palmops/services/dialog/policy"
)

// frozen is a policy under which u and boss may do everything, with freezes.
func frozen(freezes string) string {
	return `
version: 1
roles: {ops: {users: [u]}, boss: {users: [boss]}}
grants:
  - {role: ops, menu: [retail, retail-prod, clusters, pay], actions: [k8s.*, node.*, db.*]}
  - {role: boss, menu: [retail, retail-prod, clusters, pay], actions: [k8s.*, node.*, db.*]}
freezes:
` + freezes
}

const sale = `from: 2026-11-10 00:00, to: 2026-11-12 06:00, reason: {zh: 双十一封网, en: Singles' Day}`

var (
	during = time.Date(2026, 11, 11, 12, 0, 0, 0, shanghai)
	scale  = args("namespace", "shop", "replicas", int64(1))
)

func frozenNames(list []policy.Freeze) (names []string) {
	for _, f := range list {
		names = append(names, f.Name)
	}
	return names
}

func TestAFreezeStopsOrdersAndNothingElse(t *testing.T) {
	w := newWorld(t, frozen("  - {name: sale, "+sale+"}\n"))
	d := w.check(person("u"), during, "retail-scale", scale, false)
	if d.Freeze == nil || d.Freeze.Name != "sale" || d.Freeze.Reason != (lang.Words{ZH: "双十一封网", EN: "Singles' Day"}) || d.Role != "" {
		t.Errorf("%+v", d)
	}
	if d := w.b.For(person("u"), during).May(w.node("retail-scale"), nil); d.Allowed || d.Freeze == nil {
		t.Errorf("%+v", d)
	}
	// Refused for another reason: the freeze is not why.
	if d := w.check(person("v"), during, "retail-scale", scale, false); d.Freeze != nil {
		t.Errorf("%+v", d)
	}
	w.check(person("u"), during, "retail-list", args("namespace", "shop"), true)
	w.check(person("u"), during, "retail-contacts", nil, true)
	w.check(person("u"), during, "mine", nil, true)
	l := w.b.For(person("u"), during)
	w.wantSeen(l, "root", "retail", "retail-list", "retail-contacts", "clusters", "cluster-info", "pay-link", "pay-branch", "mine")
	for id, want := range map[string][]string{
		"": {"sale"}, "retail": {"sale"}, "retail-prod": {"sale"}, "retail-scale": {"sale"}, "retail-list": nil,
		"clusters": {"sale"}, "cluster-nodes": {"sale"}, "pay": {"sale"}, "pay-branch": {"sale"}, "pay-link": nil,
	} {
		if diff := cmp.Diff(want, frozenNames(l.Frozen(w.node(id)))); diff != "" {
			t.Errorf("%q: %s", id, diff)
		}
		if got := w.b.For(person("v"), during).Frozen(w.node(id)); got != nil {
			t.Errorf("a freeze hides %q from somebody who never saw it: %v", id, got)
		}
	}
	if d := l.Decide(w.node("cluster-nodes"), nil); d.Allowed || d.Freeze == nil {
		t.Errorf("a list of nothing but frozen roads: %+v", d)
	}
}

func TestAFreezeEndsToTheSecond(t *testing.T) {
	for _, times := range []string{
		`from: 2026-11-10 00:00, to: 2026-11-12 06:00`,
		`from: "2026-11-09T16:00:00Z", to: "2026-11-12T06:00:00+08:00"`,
	} {
		w := newWorld(t, frozen("  - {name: sale, reason: 封网, "+times+"}\n"))
		for at, allowed := range map[time.Time]bool{
			time.Date(2026, 11, 9, 23, 59, 59, 0, shanghai): true,
			time.Date(2026, 11, 10, 0, 0, 0, 0, shanghai):   false,
			time.Date(2026, 11, 12, 5, 59, 59, 0, shanghai): false,
			time.Date(2026, 11, 12, 6, 0, 0, 0, shanghai):   true,
		} {
			w.check(person("u"), at, "retail-scale", scale, allowed)
		}
	}
}

func TestWhatAFreezeConcerns(t *testing.T) {
	for _, c := range []struct {
		freeze  string
		who     string
		node    string
		allowed bool
	}{
		{"menu: [retail]", "u", "retail-scale", false},
		{"menu: [retail]", "u", "prod-scale", false},
		{"menu: [retail]", "u", "pay-delete", true},
		{"menu: [retail-scale]", "u", "retail-scale", false},
		{"menu: [retail-scale]", "u", "prod-scale", true},
		{"actions: [k8s.scale]", "u", "retail-scale", false},
		{"actions: [k8s.restart, db.*]", "u", "retail-scale", true},
		{"actions: [k8s.restart, db.*]", "u", "pay-delete", false},
		{"env: [prod]", "u", "prod-scale", false},
		{"env: [prod]", "u", "retail-scale", true},
		{"env: [prod, test]", "u", "cluster-drain", false},
		{"except_roles: [boss]", "u", "retail-scale", false},
		{"except_roles: [boss]", "boss", "retail-scale", true},
		{"menu: [clusters]", "u", "pay-branch", true}, // the list behind the link still shows what only reads
	} {
		w := newWorld(t, frozen("  - {name: sale, "+sale+", "+c.freeze+"}\n"))
		a := args("namespace", "shop", "replicas", int64(1), "cluster", "east", "node", "n", "copy", "east")
		d := w.check(person(c.who), during, c.node, a, c.allowed)
		if (d.Freeze != nil) == c.allowed {
			t.Errorf("%s: %+v", c.freeze, d)
		}
	}
}

func TestSeveralFreezes(t *testing.T) {
	w := newWorld(t, frozen(`
  - {name: short, from: 2026-11-11 00:00, to: 2026-11-12 00:00, reason: 短}
  - {name: long, from: 2026-11-11 00:00, to: 2026-11-13 00:00, reason: 长, menu: [retail]}
  - {name: past, from: 2026-01-01 00:00, to: 2026-01-02 00:00, reason: 过去}
`))
	if d := w.check(person("u"), during, "retail-scale", scale, false); d.Freeze == nil || d.Freeze.Name != "long" || !strings.Contains(d.Why, "2026-11-13 00:00") {
		t.Errorf("%+v", d)
	}
	l := w.b.For(person("u"), during)
	if diff := cmp.Diff([]string{"short", "long"}, frozenNames(l.Frozen(w.node("retail")))); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"short"}, frozenNames(l.Frozen(w.node("pay")))); diff != "" {
		t.Error(diff)
	}
	if len(w.p.Freezes()) != 3 {
		t.Error("the freezes are not all there")
	}
}

// A report changes nothing: it needs its grant, and no freeze stops it.
func TestAFreezeLeavesReports(t *testing.T) {
	m, err := menu.Build("m.yaml", menu.Files{"m.yaml": []byte(`
version: 1
title: t
items:
  - {id: logs, title: 日志, steps: [report: {zone: z, pool: p, action: k8s.logs, title: 日志}]}
  - {id: scale, title: 调整, steps: [confirm: {text: 调整}, action: {zone: z, pool: p, action: k8s.scale, title: 调整}]}
`)}, menu.BuildOptions{})
	if err != nil {
		t.Fatal(err)
	}
	p, err := policy.Parse("p.yaml", []byte("version: 1\nroles: {ops: {users: [u]}}\ngrants: [{role: ops, menu: [logs, scale], actions: [k8s.*]}]\nfreezes: [{name: sale, "+sale+"}]\n"))
	if err != nil {
		t.Fatal(err)
	}
	lens := p.Bind(m).For(person("u"), during)
	if d := lens.Decide(m.Node("logs"), nil); !d.Allowed || !lens.Sees(m.Node("logs")) {
		t.Errorf("%+v", d)
	}
	if d := lens.Decide(m.Node("scale"), nil); d.Allowed || d.Freeze == nil {
		t.Errorf("%+v", d)
	}
	if d := p.Bind(m).For(person("v"), during).Decide(m.Node("logs"), nil); d.Allowed {
		t.Error("a report without a grant")
	}
}
