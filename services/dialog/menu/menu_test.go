package menu_test

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"palmops/libs/conf"
	"palmops/libs/fault"
	"palmops/libs/lang"
	"palmops/libs/lang/langtest"
	"palmops/services/dialog/menu"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const local = "../../../deployments/config/local/menu.yaml"

// one builds a menu of one file.
func one(text string) (*menu.Menu, error) {
	return menu.Build("m.yaml", menu.Files{"m.yaml": []byte(text)}, menu.BuildOptions{})
}

func must(t testing.TB, text string) *menu.Menu {
	t.Helper()
	m, err := one(text)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestEveryMistakeIsReportedAtOnceWithItsLine(t *testing.T) {
	for _, file := range glob(t, "testdata/wrong/*.yaml") {
		_, err := menu.Load(file, menu.BuildOptions{Nodes: []string{"cidr"}})
		var ps conf.Problems
		if !errors.As(err, &ps) || !fault.Is(err, fault.Invalid) {
			t.Fatalf("%s: got %v, want problems of the kind Invalid", file, err)
		}
		for _, p := range ps {
			if p.Line == 0 && !strings.HasSuffix(p.File, "empty.yaml") {
				t.Errorf("%q has no line", p)
			}
		}
		golden(t, strings.TrimSuffix(file, ".yaml")+".golden", err.Error()+"\n")
	}
}

func glob(t testing.TB, pattern string) []string {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("no files are like %s (%v)", pattern, err)
	}
	return files
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}

func TestSentences(t *testing.T) {
	data, err := os.ReadFile("texts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	langtest.Check(t, lang.MustLoad(data), ".")
}

func TestTheLocalMenuLoads(t *testing.T) {
	m, err := menu.Load(local, menu.BuildOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if m.First != 1 || m.PageSize != 8 || m.Timeout != 600*time.Second || m.Fixed || len(m.Rev) != 12 {
		t.Errorf("got first %d, page %d, timeout %s, fixed %t, rev %q", m.First, m.PageSize, m.Timeout, m.Fixed, m.Rev)
	}
	scale := m.Node("retail-scale")
	if scale == nil || cmp.Diff([]string{"retail", "retail-k8s", "retail-scale"}, scale.Path()) != "" {
		t.Fatalf("retail-scale is at %v", scale.Path())
	}
	if diff := cmp.Diff([]string{"replicas"}, scale.CurrentFields()); diff != "" {
		t.Error(diff)
	}
	var last menu.Use
	for _, u := range m.Uses() {
		if u.Node == "retail-scale" {
			last = u
		}
	}
	want := menu.Use{
		Node: "retail-scale", File: scale.File, Line: last.Line, Zone: "local", Pool: "k8s", Action: "k8s.scale",
		Args:   map[string]string{"namespace": menu.Text, "deployment": menu.Text, "replicas": menu.Int, "from": menu.Int},
		Ranges: map[string]menu.Range{"replicas": {Min: 0, Max: 20}},
	}
	if diff := cmp.Diff(want, last); diff != "" || last.Line == 0 || filepath.Dir(last.File) == "." {
		t.Errorf("line %d (-want +got):\n%s", last.Line, diff)
	}
}

func TestTheTopOfAMenu(t *testing.T) {
	m := must(t, `
version: 1
title: {zh: 运维, en: Operations}
first: 0
page_size: 5
session: {timeout: 5m, fixed: true}
cards: true
language: en
timezone: Europe/Berlin
items: [{id: a, title: {en: only English}, alias: [b, 三], env: prod, open: favourites}]
`)
	a := m.Node("a")
	switch {
	case m.Title != (lang.Words{ZH: "运维", EN: "Operations"}), m.First != 0, m.PageSize != 5, m.Timeout != 5*time.Minute, !m.Fixed, !m.Cards,
		m.Language != lang.English, m.Zone.String() != "Europe/Berlin", m.Len() != 1, m.File != "m.yaml":
		t.Errorf("got %+v", m)
	case a.Title.In(lang.Chinese) != "only English", cmp.Diff([]string{"b", "三"}, a.Alias) != "", a.Env != "prod", a.Open != menu.OpenFavourites, a.Index != 1, a.File != "m.yaml", a.Line != 10:
		t.Errorf("got %+v", a)
	}
	if z := must(t, "version: 1\ntitle: t\nitems: [{id: a, title: t, open: tasks}]\n"); z.Zone.String() != "Asia/Shanghai" || z.Language != lang.Chinese {
		t.Errorf("defaults: zone %s, language %s", z.Zone, z.Language)
	}
}

func TestRevisionNamesTheContent(t *testing.T) {
	root, part := "version: 1\ntitle: t\nitems: [include: p.yaml]\n", "version: 1\nitems: [{id: a, title: t, open: tasks}]\n"
	rev := func(name, root, part, dir string) string {
		m, err := menu.Build(name, menu.Files{name: []byte(root), "p.yaml": []byte(part), "not-used.yaml": []byte(dir)}, menu.BuildOptions{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		return m.Rev
	}
	a := rev("m.yaml", root, part, "x")
	if b := rev("m.yaml", root, part, "y"); a != b || len(a) != 12 {
		t.Errorf("the same content has the revisions %s and %s", a, b)
	}
	for _, other := range []string{rev("n.yaml", root, part, "x"), rev("m.yaml", root+"\n", part, "x"), rev("m.yaml", root, part+"\n", "x")} {
		if other == a {
			t.Errorf("another content has the same revision %s", a)
		}
	}
}

func TestParametersGoDown(t *testing.T) {
	m := must(t, `
version: 1
title: t
items:
  - id: cluster
    title: t
    env: prod
    steps:
      - input: {param: cluster, type: enum, label: {zh: 集群, en: Cluster}, values: [{value: a, label: 甲}, b]}
      - dynamic: {param: team, table: {by: $cluster, lists: {a: [x, y], b: [z]}}}
    items:
      - id: road
        title: t
        env: test
        when: cluster == "a"
        steps:
          - dynamic: {param: who, directory: members, in: $team, multi: true, least: 2, most: 3, cache: 30s, stale: 5m}
          - input: {param: port, type: port, current: port, min: 1024}
          - custom: {param: net, remote: {zone: z, pool: p, action: view, args: {c: $cluster, t: $team, n: 3}}}
          - confirm: {by: code, current: {zone: z, pool: p, action: now, args: {c: $cluster}}, text: {zh: "{{.cluster}}", en: "{{.current.name}}"}}
          - action: {zone: z, pool: p, action: act, args: {who: $who, port: $port}, title: t}
      - {id: plain, title: t, steps: [dynamic: {table: {by: $team, lists: {x: [1], y: [2], z: [3]}}}]}
      - {id: inner, title: t, items: [{id: leaf, title: t, open: tasks}]}
`)
	road := m.Node("road")
	type param struct {
		Name, Kind, Label, Node string
		Step                    int
		After                   []string
	}
	var got []param
	for _, p := range road.Params {
		got = append(got, param{p.Name, p.Kind, p.Label.In(lang.English), p.Node.ID, p.Step, p.After})
	}
	want := []param{
		{"cluster", menu.Text, "Cluster", "cluster", 0, nil},
		{"team", menu.Text, "team", "cluster", 1, []string{"cluster"}},
		{"who", menu.Text, "who", "road", 0, []string{"team"}},
		{"port", menu.Int, "port", "road", 1, nil},
		{"net", menu.Text, "net", "road", 2, []string{"cluster", "team"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	who := road.Steps[0].Dynamic
	if !who.Multi || who.Least != 2 || who.Most != 3 || who.Cache != 30*time.Second || who.Stale != 5*time.Minute || who.In.Param != "team" || who.Directory != "members" {
		t.Errorf("got %+v", who)
	}
	if c := road.Steps[3].Confirm; c.By != menu.ByCode {
		t.Errorf("confirm by %s", c.By)
	}
	if diff := cmp.Diff([]string{"name", "port"}, road.CurrentFields()); diff != "" {
		t.Error(diff)
	}
	for id, n := range map[string]int{"cluster": 2, "plain": 2, "inner": 2, "leaf": 2} {
		if len(m.Node(id).Params) != n {
			t.Errorf("%s knows %d parameters, want %d", id, len(m.Node(id).Params), n)
		}
	}
	for id, env := range map[string]string{"cluster": "prod", "road": "test", "leaf": "prod"} {
		if m.Node(id).Env != env {
			t.Errorf("%s is in %q, want %q", id, m.Node(id).Env, env)
		}
	}
	deed, ok := road.Deed()
	if _, none := m.Node("plain").Deed(); !ok || none || deed.Action != "act" {
		t.Errorf("deeds: %v %t, and of a table %t", deed, ok, none)
	}
	uses := m.Uses()
	if len(uses) != 3 || !uses[0].View || uses[0].Args[menu.ArgInputs] != menu.Text || uses[0].Ranges["n"] != (menu.Range{Min: 3, Max: 3}) ||
		uses[2].Ranges["port"] != (menu.Range{Min: 1024, Max: 65535}) || uses[2].Args["who"] != menu.Text {
		t.Errorf("uses: %+v", uses)
	}
}

func TestArgumentsKeepTheirTypes(t *testing.T) {
	m := must(t, `
version: 1
title: t
items:
  - id: a
    title: a
    steps:
      - input: {param: n, type: int}
      - confirm: {current: {zone: z, pool: p, action: q}, text: "{{.n}}"}
      - action:
          {zone: z, pool: p, action: a.b, title: t, args: {n: $n, from: "$current.have:int", as: $current.have, dollar: $$n, lit: 7, yes: true, word: text}}
`)
	act := m.Node("a").Steps[2].Action
	got, err := act.Values(map[string]any{"n": int64(5)}, map[string]string{"have": "3"})
	want := map[string]any{"n": int64(5), "from": int64(3), "as": "3", "dollar": "$n", "lit": int64(7), "yes": true, "word": "text"}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if _, err := act.Values(map[string]any{"n": int64(5)}, map[string]string{"have": "three"}); !fault.Is(err, fault.Invalid) {
		t.Errorf("a field that is no number gives %v", err)
	}
	if _, err := act.Values(map[string]any{"n": int64(5)}, nil); !fault.Is(err, fault.NotFound) {
		t.Errorf("a missing field gives %v", err)
	}
}
