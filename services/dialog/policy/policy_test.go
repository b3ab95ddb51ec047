package policy_test

import (
	"maps"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"palmops/libs/wire"
	"palmops/services/dialog/menu"
	"palmops/services/dialog/policy"
)

const local = "../../../deployments/config/local/"

// monday is 10:00 of a working day in Asia/Shanghai.
var monday = time.Date(2026, 11, 23, 10, 0, 0, 0, shanghai)

var shanghai = zone("Asia/Shanghai")

func zone(name string) *time.Location {
	z, err := time.LoadLocation(name)
	if err != nil {
		panic(err)
	}
	return z
}

func person(user string, departments ...int64) wire.Person {
	return wire.Person{User: user, Found: true, Active: true, Departments: departments}
}

func tagged(user string, tags ...int64) wire.Person {
	return wire.Person{User: user, Found: true, Active: true, Tags: tags}
}

func parse(t testing.TB, text string) *policy.Policy {
	t.Helper()
	p, err := policy.Parse("p.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// build makes a menu of one file.
func build(t testing.TB, text []byte) *menu.Menu {
	t.Helper()
	m, err := menu.Build("menu.yaml", menu.Files{"menu.yaml": text}, menu.BuildOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// testMenu has every kind of node that a policy tells apart.
func testMenu(t testing.TB) *menu.Menu {
	t.Helper()
	data, err := os.ReadFile("testdata/menu.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return build(t, data)
}

// world is a policy over the test menu.
type world struct {
	t testing.TB
	m *menu.Menu
	p *policy.Policy
	b *policy.Bound
}

func newWorld(t testing.TB, text string) *world {
	t.Helper()
	w := &world{t: t, m: testMenu(t), p: parse(t, text)}
	if err := w.p.Validate(w.m); err != nil {
		t.Fatal(err)
	}
	w.b = w.p.Bind(w.m)
	return w
}

func (w *world) node(id string) *menu.Node {
	w.t.Helper()
	if id == "" {
		return w.m.Root
	}
	n := w.m.Node(id)
	if n == nil {
		w.t.Fatalf("no node %s", id)
	}
	return n
}

// seen is the ids of the nodes that somebody sees, sorted; the root is "root".
func (w *world) seen(l *policy.Lens) []string {
	var out []string
	for _, id := range w.m.IDs() {
		if l.Sees(w.node(id)) {
			out = append(out, id)
		}
	}
	if l.Sees(w.m.Root) {
		out = append(out, "root")
	}
	slices.Sort(out)
	return out
}

func (w *world) wantSeen(l *policy.Lens, ids ...string) {
	w.t.Helper()
	slices.Sort(ids)
	if diff := cmp.Diff(ids, w.seen(l)); diff != "" {
		w.t.Errorf("seen: %s", diff)
	}
}

func args(pairs ...any) map[string]any {
	out := map[string]any{}
	for i := 0; i < len(pairs); i += 2 {
		out[pairs[i].(string)] = pairs[i+1]
	}
	return out
}

// check holds a decision against what it must be, and against Explain.
func (w *world) check(who wire.Person, at time.Time, id string, a map[string]any, want bool) policy.Decision {
	w.t.Helper()
	n := w.node(id)
	d := w.b.For(who, at).Decide(n, a)
	if d.Allowed != want || d.Why == "" || d.Allowed && d.Freeze != nil {
		w.t.Errorf("%s at %s: %s %v: %+v", who.User, at, id, a, d)
	}
	x := w.b.Explain(who, at, n, a)
	allows := slices.ContainsFunc(x.Grants, func(v policy.GrantVerdict) bool { return v.Allows })
	stops := slices.ContainsFunc(x.Freezes, func(v policy.FreezeVerdict) bool { return v.Stops })
	if len(n.Target().Items) == 0 && n.Open == "" && (allows && !stops) != want {
		w.t.Errorf("%s at %s: %s %v is explained as allowed %t, stopped %t", who.User, at, id, a, allows, stops)
	}
	return d
}

func TestTheLocalPeople(t *testing.T) {
	m, err := menu.Load(local+"menu.yaml", menu.BuildOptions{})
	if err != nil {
		t.Fatal(err)
	}
	p, err := policy.Load(local + "policy.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Validate(m); err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, m: m, p: p, b: p.Bind(m)}
	shop := args("namespace", "shop", "deployment", "web", "replicas", int64(5), "from", int64(3))
	with := func(over ...any) map[string]any {
		a := maps.Clone(shop)
		maps.Copy(a, args(over...))
		return a
	}
	pay := with("namespace", "pay")
	for _, c := range []struct {
		person wire.Person
		node   string
		args   map[string]any
		want   bool
	}{
		{person("zhangsan"), "retail-scale", shop, true},
		{person("ZhangSan"), "retail-scale", shop, true},
		{person("zhangsan"), "retail-scale", pay, false},
		{person("zhangsan"), "pay-scale", shop, false},
		{person("zhangsan"), "retail-scale", nil, false},
		{person("zhangsan"), "retail-scale", with("namespace", 1.5), false},
		{person("zhangsan"), "retail-scale", with("namespace", "Shop"), false},
		{person("lisi"), "retail-scale", shop, true},
		{person("wangwu"), "pay-scale", pay, true},
		{person("wangwu"), "retail-scale", shop, false},
		{person("outsider"), "retail-scale", shop, false},
		{wire.Person{User: "zhangsan", Found: true}, "retail-scale", shop, false},
		{wire.Person{User: "zhangsan", Active: true}, "retail-scale", shop, false},
	} {
		if d := w.check(c.person, monday, c.node, c.args, c.want); (d.Role != "") != c.want {
			t.Errorf("%+v: %+v", c, d)
		}
	}
	l := w.b.For(person("zhangsan"), monday)
	if !l.Sees(m.Root) || !l.Sees(w.node("retail")) || l.Sees(w.node("pay")) || w.b.For(person("outsider"), monday).Sees(m.Root) {
		t.Error("the wrong branches are seen")
	}
	items := []wire.Item{{Value: "pay"}, {Value: "shop"}}
	if diff := cmp.Diff([]wire.Item{{Value: "shop"}}, l.FilterItems(w.node("retail-scale"), "namespace", items, nil)); diff != "" {
		t.Error(diff)
	}
}

func TestWhoHasARole(t *testing.T) {
	p := parse(t, `
version: 1
roles:
  by-user: {users: [Alice, bob]}
  by-department: {departments: [7, 8]}
  by-tag: {tags: [3]}
  mixed: {users: [bob], departments: [7], tags: [3], not_users: [Carol]}
grants: []
`)
	found := func(p wire.Person) wire.Person { p.Found, p.Active = true, true; return p }
	for _, c := range []struct {
		who  wire.Person
		want []string
	}{
		{person("alice"), []string{"by-user"}},
		{person("ALICE"), []string{"by-user"}},
		{person("bob"), []string{"by-user", "mixed"}},
		{person("dave", 7), []string{"by-department", "mixed"}},
		{person("dave", 8), []string{"by-department"}},
		{person("dave", 1, 5, 7), []string{"by-department", "mixed"}}, // 5 lies below 7: the directory names both
		{person("dave", 70), nil},
		{tagged("dave", 3), []string{"by-tag", "mixed"}},
		{tagged("dave", 7), nil}, // a tag is no department
		{person("dave", 3), nil},
		{found(wire.Person{User: "carol", Departments: []int64{7}, Tags: []int64{3}}), []string{"by-department", "by-tag"}},
		{found(wire.Person{User: "CAROL", Tags: []int64{3}}), []string{"by-tag"}},
		{person(""), nil},
		{wire.Person{User: "alice", Found: true}, nil},
		{wire.Person{User: "alice", Active: true}, nil},
	} {
		if diff := cmp.Diff(c.want, p.Roles(c.who)); diff != "" {
			t.Errorf("%+v: %s", c.who, diff)
		}
		var has []string
		for _, m := range p.Memberships(c.who) {
			if m.Has {
				has = append(has, m.Role)
			}
			if m.Why == "" {
				t.Errorf("%+v: no reason for %s", c.who, m.Role)
			}
		}
		slices.Sort(has)
		if diff := cmp.Diff(c.want, has); diff != "" {
			t.Errorf("%+v, explained: %s", c.who, diff)
		}
	}
}
