package policy_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"palmops/libs/fault"
	"palmops/libs/wire"
	"palmops/services/dialog/menu"
	"palmops/services/dialog/policy"
)

const local = "../../../deployments/config/local/"

func person(user string, departments ...int64) wire.Person {
	return wire.Person{User: user, Found: true, Active: true, Departments: departments}
}

func load(t testing.TB) (*menu.Menu, *policy.Policy) {
	t.Helper()
	m, err := menu.Load(local + "menu.yaml")
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
	return m, p
}

func TestLocalPeople(t *testing.T) {
	m, p := load(t)
	scale := func(id string) []string { return m.Node(id).Path() }
	shop, pay := map[string]any{"namespace": "shop", "replicas": int64(5)}, map[string]any{"namespace": "pay"}
	for _, c := range []struct {
		person wire.Person
		path   []string
		action string
		args   map[string]any
		want   bool
	}{
		{person("zhangsan"), scale("retail-scale"), "k8s.scale", shop, true},
		{person("ZhangSan"), scale("retail-scale"), "k8s.scale", shop, true},
		{person("zhangsan"), nil, "k8s.scale", shop, true},
		{person("zhangsan"), scale("retail-scale"), "k8s.scale", pay, false},
		{person("zhangsan"), scale("pay-scale"), "k8s.scale", shop, false},
		{person("zhangsan"), scale("retail-scale"), "k8s.delete", shop, false},
		{person("zhangsan"), scale("retail-scale"), "k8s.scale", map[string]any{}, false},
		{person("zhangsan"), scale("retail-scale"), "k8s.scale", map[string]any{"namespace": 1.5}, false},
		{person("lisi"), scale("retail-scale"), "k8s.anything", shop, true},
		{person("lisi"), scale("retail-scale"), "k8sx.scale", shop, false},
		{person("wangwu"), scale("pay-scale"), "k8s.scale", pay, true},
		{person("wangwu"), scale("retail-scale"), "k8s.scale", shop, false},
		{person("outsider"), scale("retail-scale"), "k8s.scale", shop, false},
		{wire.Person{User: "zhangsan", Found: true}, scale("retail-scale"), "k8s.scale", shop, false},
		{wire.Person{User: "zhangsan", Active: true}, scale("retail-scale"), "k8s.scale", shop, false},
	} {
		d := p.Decide(c.person, c.path, c.action, c.args)
		if d.Allowed != c.want || d.Why == "" || (d.Role != "") != c.want {
			t.Errorf("%+v %v %s %v: %+v", c.person, c.path, c.action, c.args, d)
		}
	}
	if !p.Sees(person("zhangsan"), m, nil) || !p.Sees(person("zhangsan"), m, []string{"retail"}) || p.Sees(person("zhangsan"), m, []string{"pay"}) ||
		p.Sees(person("outsider"), m, nil) {
		t.Error("the wrong branches are seen")
	}
	items := []wire.Item{{Value: "pay"}, {Value: "shop"}}
	got := p.FilterItems(person("zhangsan"), scale("retail-scale"), "k8s.scale", "namespace", items, nil)
	if diff := cmp.Diff([]wire.Item{{Value: "shop"}}, got); diff != "" {
		t.Error(diff)
	}
}

func TestAParentOfAGrantedBranchIsSeen(t *testing.T) {
	m, _ := load(t)
	p, err := policy.Parse("p.yaml", []byte(`
version: 1
roles: {ops: {departments: [7]}}
grants: [{role: ops, menu: [pay-scale], actions: [k8s.scale]}]
`))
	if err != nil {
		t.Fatal(err)
	}
	who := person("somebody", 1, 7)
	for _, path := range [][]string{{}, {"pay"}, {"pay", "pay-k8s"}, {"pay", "pay-k8s", "pay-scale"}} {
		if !p.Sees(who, m, path) {
			t.Errorf("%v is not seen", path)
		}
	}
	for _, path := range [][]string{{"retail"}, {"pay", "pay-k8s", "pay-deployments"}} {
		if p.Sees(who, m, path) {
			t.Errorf("%v is seen", path)
		}
	}
	if p.Sees(person("somebody", 1), m, nil) {
		t.Error("another department sees it")
	}
}

func TestEveryMistakeIsReportedAtOnce(t *testing.T) {
	_, err := policy.Parse("p.yaml", []byte(`version: 1
roles:
  Ops: {users: [a, A]}
  empty: {}
  odd: {users: none, departments: [x], tags: [1]}
grants:
  - {role: nobody, menu: [], actions: ["*"]}
  - {role: odd, menu: [a], actions: [k8s.*], args: {N: [], n: [010]}}
  - {menu: [a]}
`))
	want := `p.yaml:3: role "Ops" must match ^[a-z0-9][a-z0-9_-]{0,62}$
p.yaml:3: user "a" is listed twice
p.yaml:4: a role needs users or departments
p.yaml:5: a role has no key "tags"; it has users, departments
p.yaml:5: users must be a list
p.yaml:5: a department id must be a whole number
p.yaml:7: there is no role "nobody"
p.yaml:7: menu is empty
p.yaml:7: action "*" must be a name such as k8s.scale, or a beginning such as k8s.*
p.yaml:8: argument "N" must match ^[a-z][a-z0-9_]{0,31}$
p.yaml:8: the allowed values is empty
p.yaml:8: write the number 010 in plain decimal
p.yaml:9: a grant needs the key role
p.yaml:9: a grant needs the key actions`
	if err == nil || !fault.Is(err, fault.Invalid) {
		t.Fatalf("got %v", err)
	}
	if diff := cmp.Diff(strings.Split(want, "\n"), strings.Split(err.Error(), "\n")); diff != "" {
		t.Error(diff)
	}
}

func TestGrantsOfUnknownNodesAreRefused(t *testing.T) {
	m, _ := load(t)
	p, err := policy.Parse("p.yaml", []byte("version: 1\nroles: {ops: {users: [a]}}\ngrants:\n  - role: ops\n    menu:\n      - retail\n      - gone\n    actions: [k8s.scale]\n"))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Validate(m); err == nil || !strings.HasPrefix(err.Error(), "p.yaml:7: ") {
		t.Errorf("got %v", err)
	}
}

// What may still become allowed is never less than what is allowed, and a filter never keeps what is then refused.
func TestMayIsWiderThanDecide(t *testing.T) {
	m, p := load(t)
	rapid.Check(t, func(t *rapid.T) {
		who := person(rapid.SampledFrom([]string{"zhangsan", "lisi", "wangwu", "outsider", ""}).Draw(t, "user"))
		path := m.Node(rapid.SampledFrom(m.IDs()).Draw(t, "node")).Path()
		action := rapid.SampledFrom([]string{"k8s.scale", "k8s.deployments", "k8s", "", "k8s."}).Draw(t, "action")
		ns := rapid.SampledFrom([]string{"shop", "pay", "", "other"}).Draw(t, "namespace")
		args := map[string]any{"namespace": ns}
		decided := p.Decide(who, path, action, args).Allowed
		if decided && (!p.May(who, path, action, nil).Allowed || !p.Sees(who, m, path)) {
			t.Fatal("allowed, but not to be reached")
		}
		kept := p.FilterItems(who, path, action, "namespace", []wire.Item{{Value: ns}}, nil)
		if decided != (len(kept) == 1) {
			t.Fatalf("decided %t, kept %v", decided, kept)
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("version: 1\nroles: {ops: {users: [a]}}\ngrants: [{role: ops, menu: [a], actions: [k8s.*], args: {n: [1]}}]\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := policy.Parse("p.yaml", data)
		if (p == nil) == (err == nil) {
			t.Fatalf("policy %v and error %v", p, err)
		}
	})
}
