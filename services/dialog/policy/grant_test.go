package policy_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"palmops/libs/wire"
)

// one is a policy with one grant for the user u.
func one(grant string) string {
	return "version: 1\nroles: {ops: {users: [u]}}\ngrants:\n  - {role: ops, " + grant + "}\n"
}

func TestTheWayToAGrantedNodeIsSeen(t *testing.T) {
	w := newWorld(t, one("menu: [prod-scale], actions: [k8s.scale]"))
	w.wantSeen(w.b.For(person("u"), monday), "root", "retail", "retail-prod", "prod-scale", "mine")
	w.wantSeen(w.b.For(person("v"), monday))
	w.wantSeen(w.b.For(wire.Person{User: "u", Found: true}, monday))
	w.wantSeen(w.b.For(wire.Person{User: "u", Active: true}, monday))
}

// TestABranchWithoutActions: a grant without actions shows what needs none, and rooms, and nothing that asks or orders.
func TestABranchWithoutActions(t *testing.T) {
	w := newWorld(t, one("menu: [retail]"))
	l := w.b.For(person("u"), monday)
	w.wantSeen(l, "root", "retail", "retail-contacts", "mine")
	d := w.check(person("u"), monday, "retail-contacts", nil, true)
	if d.Role != "ops" {
		t.Errorf("%+v", d)
	}
	w.check(person("u"), monday, "mine", nil, true)
	w.check(person("u"), monday, "retail-list", args("namespace", "shop"), false)
	w = newWorld(t, one("menu: [pay], actions: [db.delete]"))
	w.wantSeen(w.b.For(person("u"), monday), "root", "pay", "pay-delete", "mine")
}

// TestLinks: rights are those of the target, wherever the link stands. A link alone does not show the branch it stands in.
func TestLinks(t *testing.T) {
	w := newWorld(t, one("menu: [retail-list], actions: [k8s.deployments]"))
	w.wantSeen(w.b.For(person("u"), monday), "root", "retail", "retail-list", "pay-link", "mine") // and not the branch around the link
	w.check(person("u"), monday, "pay-link", args("namespace", "shop"), true)
	w = newWorld(t, one("menu: [clusters], actions: [node.info]"))
	w.wantSeen(w.b.For(person("u"), monday), "root", "clusters", "cluster-info", "pay-branch", "mine")
	w = newWorld(t, one("menu: [pay], actions: [k8s.*, db.*]"))
	w.wantSeen(w.b.For(person("u"), monday), "root", "pay", "pay-delete", "mine")
	w.check(person("u"), monday, "pay-link", args("namespace", "shop"), false)
}

// TestEnvironments: a grant without env follows the branch it names, and an environment that begins below must be named.
func TestEnvironments(t *testing.T) {
	prod, test := "prod-scale", "retail-scale"
	for _, c := range []struct {
		grant      string
		prod, test bool
	}{
		{"menu: [retail], actions: [k8s.scale]", false, true},
		{"menu: [retail-prod], actions: [k8s.scale]", true, false},
		{"menu: [retail, retail-prod], actions: [k8s.scale]", true, true},
		{"menu: [prod-scale], actions: [k8s.scale]", true, false},
		{"menu: [retail], actions: [k8s.scale], env: [prod]", true, false},
		{"menu: [clusters, retail], actions: [k8s.scale], env: [test]", false, false},
	} {
		w := newWorld(t, one(c.grant))
		d := w.check(person("u"), monday, prod, args("namespace", "shop", "replicas", int64(1)), c.prod)
		if c.grant == "menu: [retail], actions: [k8s.scale]" && !strings.Contains(d.Why, "the environment prod begins below its branch") {
			t.Errorf("%+v", d)
		}
		w.check(person("u"), monday, test, args("namespace", "shop", "replicas", int64(1)), c.test)
	}
}

func TestTheEdgesOfArguments(t *testing.T) {
	for _, c := range []struct {
		allowed string
		value   any
		want    bool
	}{
		{"{min: 3, max: 20}", int64(3), true},
		{"{min: 3, max: 20}", int64(20), true},
		{"{min: 3, max: 20}", int64(2), false},
		{"{min: 3, max: 20}", int64(21), false},
		{"{min: 3, max: 20}", 7, true},
		{"{min: 3, max: 20}", "20", true},
		{"{min: 3, max: 20}", "020", false},
		{"{min: 3, max: 20}", "+7", false},
		{"{min: 3, max: 20}", " 7", false},
		{"{min: 3, max: 20}", "7,8", false}, // a comma is a part of a value that is no multi-select's
		{"{min: 3, max: 20}", "", false},
		{"{min: 3, max: 20}", true, false},
		{"{min: 3, max: 20}", 7.0, false},
		{"{min: 3, max: 20}", nil, false},
		{"{max: 0}", int64(-1), true},
		{"{max: 0}", int64(1), false},
		{"{min: -2}", int64(-2), true},
		{"{min: -2}", int64(-3), false},
		{"{min: -2}", int64(1<<63 - 1), true},
		{"[1, 5]", int64(5), true},
		{"[1, 5]", "5", true},
		{"[1, 5]", int64(4), false},
		{`["true"]`, true, true},
		{"[a]", "a,a", false},
		{`[""]`, "", true},
		{"[a]", "", false},
		{"{pattern: 'web-[0-9]+'}", "web-12", true},
		{"{pattern: 'web-[0-9]+'}", "web-12x", false},
		{"{pattern: 'web-[0-9]+'}", "xweb-12", false},
		{"{pattern: 'web-[0-9]+'}", "web-1\n", false},
		{"{pattern: 'a|b'}", "b", true},
		{"{pattern: 'a|b'}", "ab", false},
		{"{pattern: '(?m)^a$'}", "a\nb", false},
		{"{pattern: '[0-9]+'}", int64(7), true},
	} {
		w := newWorld(t, one("menu: [retail], actions: [k8s.scale], args: {replicas: "+c.allowed+"}"))
		w.check(person("u"), monday, "retail-scale", args("namespace", "shop", "replicas", c.value), c.want)
		if may := w.b.For(person("u"), monday).May(w.node("retail-scale"), nil); !may.Allowed {
			t.Errorf("%s: %+v", c.allowed, may)
		}
	}
}

// TestMultiSelects: each part of a multi-select's value must be allowed.
func TestMultiSelects(t *testing.T) {
	w := newWorld(t, one("menu: [retail], actions: [k8s.restart], args: {pods: [a, b], namespace: [shop]}"))
	for value, want := range map[string]bool{"a": true, "a,b": true, "b,a": true, "a,c": false, "c": false, "": false, "a,": false, ",": false, "a, b": false} {
		w.check(person("u"), monday, "retail-restart", args("pods", value, "namespace", "shop"), want)
	}
	items := []wire.Item{{Value: "a"}, {Value: "c"}, {Value: "a,c"}, {Value: "b"}}
	got := w.b.For(person("u"), monday).FilterItems(w.node("retail-restart"), "pods", items, nil)
	if diff := cmp.Diff([]wire.Item{{Value: "a"}, {Value: "b"}}, got); diff != "" {
		t.Error(diff)
	}
}

// TestWhatTheRoadItselfFixes: a value that the menu writes, or an argument it lacks, decides before anybody chose.
func TestWhatTheRoadItselfFixes(t *testing.T) {
	w := newWorld(t, one("menu: [retail], actions: [k8s.*], args: {namespace: [pay]}"))
	w.wantSeen(w.b.For(person("u"), monday), "root", "retail", "retail-scale", "retail-list", "pay-link", "retail-contacts", "mine")
	if d := w.b.For(person("u"), monday).May(w.node("retail-restart"), nil); d.Allowed || !strings.Contains(d.Why, `namespace is "shop"; it may be pay`) {
		t.Errorf("%+v", d)
	}
	w = newWorld(t, one("menu: [retail], actions: [k8s.*], args: {replicas: {max: 3}}"))
	l := w.b.For(person("u"), monday)
	w.wantSeen(l, "root", "retail", "retail-scale", "retail-contacts", "mine")
	if d := l.May(w.node("retail-list"), nil); d.Allowed || !strings.Contains(d.Why, "replicas, which the road does not have") {
		t.Errorf("%+v", d)
	}
}

// TestAListThatAsks: a node with steps and items is asked with parameters, and offers what something below can take.
func TestAListThatAsks(t *testing.T) {
	w := newWorld(t, `
version: 1
roles: {ops: {users: [u]}}
grants:
  - {role: ops, menu: [clusters], actions: [node.drain], args: {cluster: [east], copy: {pattern: '[a-z]*'}}}
  - {role: ops, menu: [clusters], actions: [node.drain], args: {cluster: [west, north], copy: [north, east]}}
`)
	l := w.b.For(person("u"), monday)
	items := []wire.Item{{Value: "east"}, {Value: "west"}, {Value: "north"}, {Value: "south"}}
	for _, id := range []string{"clusters", "pay-branch", "cluster-nodes"} {
		got := l.FilterItems(w.node(id), "cluster", items, nil)
		if diff := cmp.Diff([]wire.Item{{Value: "east"}, {Value: "north"}}, got); diff != "" {
			t.Errorf("%s: %s", id, diff)
		}
		for value, want := range map[string]bool{"east": true, "north": true, "west": false, "south": false} {
			if d := l.May(w.node(id), args("cluster", value)); d.Allowed != want || d.Why == "" {
				t.Errorf("%s with %s: %+v", id, value, d)
			}
		}
	}
	if got := l.FilterItems(w.node("clusters"), "other", items, nil); len(got) != len(items) {
		t.Errorf("a parameter that nobody restricts: %v", got)
	}
	if got := l.FilterItems(w.node("clusters"), "cluster", items, args("cluster", "south")); len(got) != 2 {
		t.Errorf("the open parameter must not count: %v", got)
	}
	if got := w.b.For(person("v"), monday).FilterItems(w.node("clusters"), "cluster", items, nil); len(got) != 0 {
		t.Errorf("for somebody else: %v", got)
	}
}

// TestAToolInAListThatAsks: a link to what everybody may do keeps no line of the list around it.
func TestAToolInAListThatAsks(t *testing.T) {
	m := build(t, []byte(`version: 1
title: t
items:
  - id: tool
    title: x
    steps: [{dynamic: {prompt: p, lines: [one]}}]
  - id: clusters
    title: x
    steps: [{dynamic: {param: cluster, prompt: p, lines: [east, west]}}]
    items:
      - id: scale
        title: x
        steps:
          - confirm: {text: sure}
          - action: {zone: z, pool: p, action: k.one, args: {cluster: $cluster}, title: x}
      - {id: there, title: x, link: tool}
`))
	l := parse(t, `version: 1
roles: {r: {users: [u]}}
grants: [{role: r, menu: [tool, clusters], actions: [k.*], args: {cluster: [east]}}]
`).Bind(m).For(person("u"), monday)
	n, items := m.Node("clusters"), []wire.Item{{Value: "east"}, {Value: "west"}}
	if diff := cmp.Diff(items[:1], l.FilterItems(n, "cluster", items, nil)); diff != "" {
		t.Error(diff)
	}
	if !l.May(n, args("cluster", "east")).Allowed || l.May(n, args("cluster", "west")).Allowed || !l.Sees(m.Node("there")) {
		t.Error("the tool decides")
	}
}

func TestHours(t *testing.T) {
	at := func(text string) time.Time {
		t.Helper()
		when, err := time.ParseInLocation("2006-01-02 15:04:05", text, shanghai)
		if err != nil {
			t.Fatal(err)
		}
		return when
	}
	// 2026-11-23 is a Monday.
	for _, c := range []struct {
		hours string
		at    string
		want  bool
	}{
		{`{days: [mon-fri], from: "09:00", to: "18:00"}`, "2026-11-23 09:00:00", true},
		{`{days: [mon-fri], from: "09:00", to: "18:00"}`, "2026-11-23 08:59:59", false},
		{`{days: [mon-fri], from: "09:00", to: "18:00"}`, "2026-11-23 17:59:59", true},
		{`{days: [mon-fri], from: "09:00", to: "18:00"}`, "2026-11-23 18:00:00", false},
		{`{days: [mon-fri], from: "09:00", to: "18:00"}`, "2026-11-27 12:00:00", true},
		{`{days: [mon-fri], from: "09:00", to: "18:00"}`, "2026-11-28 12:00:00", false},
		{`{days: [mon-fri], from: "09:00", to: "18:00"}`, "2026-11-29 12:00:00", false},
		// Friday's night goes on into Saturday, and Sunday's is none.
		{`{days: [fri], from: "22:00", to: "06:00"}`, "2026-11-27 21:59:59", false},
		{`{days: [fri], from: "22:00", to: "06:00"}`, "2026-11-27 22:00:00", true},
		{`{days: [fri], from: "22:00", to: "06:00"}`, "2026-11-28 00:00:00", true},
		{`{days: [fri], from: "22:00", to: "06:00"}`, "2026-11-28 05:59:59", true},
		{`{days: [fri], from: "22:00", to: "06:00"}`, "2026-11-28 06:00:00", false},
		{`{days: [fri], from: "22:00", to: "06:00"}`, "2026-11-27 05:00:00", false},
		{`{days: [sun], from: "22:00", to: "06:00"}`, "2026-11-30 05:00:00", true}, // over the end of the week
		{`{days: [sat-mon]}`, "2026-11-29 23:59:59", true},
		{`{days: [sat-mon]}`, "2026-11-23 00:00:00", true},
		{`{days: [sat-mon]}`, "2026-11-24 00:00:00", false},
		{`{from: "22:00"}`, "2026-11-24 23:59:59", true},
		{`{from: "22:00"}`, "2026-11-25 00:00:00", false},
		{`{to: "00:01"}`, "2026-11-25 00:00:59", true},
		{`{to: "00:01"}`, "2026-11-25 00:01:00", false},
		{`{from: "00:00", to: "24:00"}`, "2026-11-25 12:00:00", true},
		{`[{days: [mon], to: "10:00"}, {days: [mon], from: "11:00"}]`, "2026-11-23 10:30:00", false},
		{`[{days: [mon], to: "10:00"}, {days: [mon], from: "11:00"}]`, "2026-11-23 11:00:00", true},
	} {
		w := newWorld(t, one("menu: [retail], actions: [k8s.scale], hours: "+c.hours))
		when := at(c.at)
		for _, when := range []time.Time{when, when.UTC()} {
			d := w.check(person("u"), when, "retail-scale", args("namespace", "shop", "replicas", int64(1)), c.want)
			if !c.want && !strings.Contains(d.Why, "outside its hours") {
				t.Errorf("%s: %s", c.hours, d.Why)
			}
		}
		if !w.b.For(person("u"), when).Sees(w.node("mine")) {
			t.Error("the own tasks are not seen outside the hours")
		}
	}
}

// TestZones: hours are what the clocks of the policy's zone show, also where clocks are changed.
func TestZones(t *testing.T) {
	hours := "menu: [retail], actions: [k8s.scale], hours: {from: \"09:00\", to: \"10:00\"}"
	for _, c := range []struct {
		zone string
		at   time.Time // UTC
		want bool
	}{
		{"", time.Date(2026, 7, 1, 1, 30, 0, 0, time.UTC), true}, // Asia/Shanghai is 8 hours ahead all the year
		{"", time.Date(2026, 12, 1, 1, 30, 0, 0, time.UTC), true},
		{"", time.Date(2026, 12, 1, 9, 30, 0, 0, time.UTC), false},
		{"UTC", time.Date(2026, 12, 1, 9, 30, 0, 0, time.UTC), true},
		{"Europe/Berlin", time.Date(2026, 7, 1, 7, 30, 0, 0, time.UTC), true}, // summer time
		{"Europe/Berlin", time.Date(2026, 12, 1, 8, 30, 0, 0, time.UTC), true},
		{"Europe/Berlin", time.Date(2026, 12, 1, 7, 30, 0, 0, time.UTC), false},
	} {
		text := one(hours)
		if c.zone != "" {
			text += "timezone: " + c.zone + "\n"
		}
		newWorld(t, text).check(person("u"), c.at, "retail-scale", args("namespace", "shop", "replicas", int64(1)), c.want)
	}
}

func TestALensOfAnotherMenuGivesNothing(t *testing.T) {
	w := newWorld(t, one("menu: [retail], actions: [k8s.*]"))
	l := w.b.For(person("u"), monday)
	n := testMenu(t).Node("retail-scale")
	if l.Sees(n) || l.May(n, nil).Allowed || l.Decide(n, nil).Allowed || l.FilterItems(n, "", []wire.Item{{Value: "a"}}, nil) != nil || l.Frozen(n) != nil {
		t.Error("a node of another menu is seen")
	}
}

// TestAnOlderMenu: a session goes on with the menu it started with, under a policy that knows only the new one.
func TestAnOlderMenu(t *testing.T) {
	p := parse(t, one("menu: [retail, brand-new], actions: [k8s.scale], env: [moon]"))
	m := testMenu(t)
	if p.Bind(m).For(person("u"), monday).Sees(m.Root.Items[0]) {
		t.Error("an unknown environment was granted")
	}
	p = parse(t, one("menu: [retail, brand-new], actions: [k8s.scale]"))
	if !p.Bind(m).For(person("u"), monday).Sees(m.Node("retail-scale")) {
		t.Error("what is known was not granted")
	}
}

// TestManyLenses: more different people than lenses are kept are served all the same, at once.
func TestManyLenses(t *testing.T) {
	var roles, grants strings.Builder
	for i := range 10 {
		fmt.Fprintf(&roles, "  r%d: {tags: [%d]}\n", i, i+1)
		fmt.Fprintf(&grants, "  - {role: r%d, menu: [retail], actions: [k8s.scale], args: {replicas: [%d]}}\n", i, i)
	}
	w := newWorld(t, "version: 1\nroles:\n"+roles.String()+"grants:\n"+grants.String())
	done := make(chan struct{})
	for g := range 4 {
		go func() {
			defer func() { done <- struct{}{} }()
			for set := range 1 << 10 {
				who := tagged("u")
				for i := range 10 {
					if set>>i&1 == 1 {
						who.Tags = append(who.Tags, int64(i)+1)
					}
				}
				i := (set + g) % 10
				d := w.b.For(who, monday).Decide(w.m.Node("retail-scale"), args("replicas", int64(i)))
				if d.Allowed != (set>>i&1 == 1) {
					t.Errorf("tags %v, %d replicas: %+v", who.Tags, i, d)
				}
			}
		}()
	}
	for range 4 {
		<-done
	}
}
