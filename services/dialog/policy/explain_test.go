package policy_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"palmops/libs/wire"
)

const explained = `version: 1
roles:
  ops: {users: [u]}
  lead: {tags: [9]}
  night: {users: [u]}
grants:
  - {role: ops, menu: [pay], actions: [k8s.scale]}
  - {role: ops, menu: [retail], actions: [k8s.restart]}
  - {role: ops, menu: [retail], actions: [k8s.scale], env: [prod]}
  - {role: ops, menu: [retail], actions: [k8s.*], args: {namespace: [shop], replicas: {min: 1, max: 20}}}
  - {role: night, menu: [retail], actions: [k8s.scale], hours: {days: [mon-fri], from: "22:00", to: "06:00"}}
  - {role: lead, menu: [retail, retail-prod], actions: [k8s.*], args: {namespace: {pattern: "s.*"}}}
freezes:
  - {name: past, from: 2026-01-01 00:00, to: 2026-01-02 00:00, reason: x}
  - {name: next, from: 2027-01-01 00:00, to: 2027-01-02 00:00, reason: x}
  - {name: pay, from: 2026-11-20 00:00, to: 2026-11-28 00:00, reason: x, menu: [pay]}
  - {name: prod, from: 2026-11-20 00:00, to: 2026-11-28 00:00, reason: x, env: [prod]}
  - {name: restarts, from: 2026-11-20 00:00, to: 2026-11-28 00:00, reason: x, actions: [k8s.restart]}
  - {name: nights, from: 2026-11-20 00:00, to: 2026-11-28 00:00, reason: x, except_roles: [night]}
  - {name: retail, from: 2026-11-20 00:00, to: 2026-11-28 00:00, reason: x, menu: [retail-scale], except_roles: [lead]}
`

func TestExplain(t *testing.T) {
	w := newWorld(t, explained)
	// Not frozen any more, and within nobody's night.
	after := time.Date(2026, 12, 1, 12, 0, 0, 0, shanghai)
	x := w.b.Explain(person("u"), after, w.node("retail-scale"), args("namespace", "shop", "replicas", int64(30)))
	var got []string
	for _, v := range x.Grants {
		got = append(got, v.Why)
		if v.Line == 0 || !v.Near && v.Line != 12 || v.Allows {
			t.Errorf("%+v", v)
		}
	}
	want := []string{
		"it is not about this branch of the menu",
		"it does not name the action k8s.scale",
		`its env is prod, the node's is ""`,
		`argument replicas is "30"; it may be 1 to 20`,
		"it is outside its hours, mon tue wed thu fri 22:00 to 06:00 Asia/Shanghai",
		"the person does not have this role",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if want := `line 9 (ops): its env is prod, the node's is ""; line 10 (ops): argument replicas is "30"; it may be 1 to 20; ` +
		"line 11 (night): it is outside its hours, mon tue wed thu fri 22:00 to 06:00 Asia/Shanghai; line 12 (lead): the person does not have this role"; x.Decision.Why != want {
		t.Errorf("got  %s\nwant %s", x.Decision.Why, want)
	}

	x = w.b.Explain(person("u"), monday, w.node("retail-scale"), args("namespace", "shop", "replicas", int64(20)))
	got = nil
	for _, v := range x.Freezes {
		got = append(got, v.Name+": "+v.Why)
	}
	if diff := cmp.Diff([]string{
		"past: it ended at 2026-01-02 00:00",
		"next: it begins at 2027-01-01 00:00",
		"pay: it is not about this branch of the menu",
		`prod: its env is prod, the node's is ""`,
		"restarts: it does not name the action k8s.scale",
		"nights: the role night is excepted",
		"retail: it counts until 2026-11-28 00:00",
	}, got); diff != "" {
		t.Error(diff)
	}
	if d := x.Decision; d.Allowed || d.Freeze == nil || d.Freeze.Name != "retail" || d.Why != "frozen by retail until 2026-11-28 00:00" || !x.Grants[3].Allows || !x.Freezes[6].Stops {
		t.Errorf("%+v", x)
	}
}

func TestWhyNot(t *testing.T) {
	w := newWorld(t, explained)
	for _, c := range []struct {
		who  wire.Person
		node string
		args map[string]any
		want string
	}{
		{wire.Person{User: "u"}, "retail-scale", nil, "not in the directory"},
		{wire.Person{User: "u", Found: true}, "retail-scale", nil, "disabled in the directory"},
		{person("x"), "retail-scale", nil, "no role with a grant"},
		{person("u"), "cluster-drain", nil, "no grant for this part of the menu"},
		{person("u"), "pay-delete", nil, "no grant here names the action db.delete"},
		{tagged("x", 9), "retail-restart", nil, "argument namespace is missing; it may be what matches s.*"},
		{person("u"), "retail-scale", args("namespace", []string{"shop"}, "replicas", int64(1)), `argument namespace is "a []string"`},
		{person("u"), "clusters", nil, "nothing below it is granted"},
	} {
		if d := w.b.For(c.who, monday).Decide(w.node(c.node), c.args); d.Allowed || !strings.Contains(d.Why, c.want) {
			t.Errorf("%s: %+v, want %q", c.node, d, c.want)
		}
	}
}

// TestManyNearGrants: a refusal names a few grants, and says how many more there are.
func TestManyNearGrants(t *testing.T) {
	text := "version: 1\nroles: {ops: {users: [u]}}\ngrants:\n" + strings.Repeat("  - {role: ops, menu: [retail], actions: [k8s.*], args: {namespace: [a,b,c,d,e,f,g,h,i,j]}}\n", 7)
	w := newWorld(t, text)
	d := w.b.For(person("u"), monday).Decide(w.node("retail-scale"), args("namespace", "x", "replicas", int64(1)))
	if d.Allowed || !strings.HasSuffix(d.Why, "; 3 more") || strings.Count(d.Why, "it may be a, b, c, d, e, f, g, h or 2 more") != 4 {
		t.Error(d.Why)
	}
}
