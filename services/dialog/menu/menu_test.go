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

	"palmops/libs/conf"
	"palmops/libs/fault"
	"palmops/services/dialog/menu"
)

var update = flag.Bool("update", false, "rewrite the golden files")

const local = "../../../deployments/config/local/menu.yaml"

func TestEveryMistakeIsReportedAtOnceWithItsLine(t *testing.T) {
	_, err := menu.Load("testdata/wrong.yaml")
	var ps conf.Problems
	if !errors.As(err, &ps) || !fault.Is(err, fault.Invalid) {
		t.Fatalf("got %v, want problems of the kind Invalid", err)
	}
	for _, p := range ps {
		if p.Line == 0 {
			t.Errorf("%q has no line", p.Text)
		}
	}
	golden(t, "testdata/wrong.golden", err.Error()+"\n")
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

func TestTheLocalMenuLoads(t *testing.T) {
	m, err := menu.Load(local)
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
		Node: "retail-scale", Line: last.Line, Zone: "local", Pool: "k8s", Action: "k8s.scale",
		Args: map[string]string{"namespace": menu.Text, "deployment": menu.Text, "replicas": menu.Int, "from": menu.Int},
	}
	if diff := cmp.Diff(want, last); diff != "" || last.Line == 0 {
		t.Errorf("line %d (-want +got):\n%s", last.Line, diff)
	}
}

func TestRevisionNamesTheContent(t *testing.T) {
	data, err := os.ReadFile(local)
	if err != nil {
		t.Fatal(err)
	}
	a, _ := menu.Parse("a.yaml", data)
	b, _ := menu.Parse("b.yaml", data)
	c, err := menu.Parse("a.yaml", append(data, '\n'))
	if err != nil || a.Rev != b.Rev || a.Rev == c.Rev {
		t.Errorf("revisions %s %s %s, error %v", a.Rev, b.Rev, c.Rev, err)
	}
}

func TestLimits(t *testing.T) {
	deep := "version: 1\ntitle: t\nitems:\n"
	for i := range 11 {
		deep += strings.Repeat("  ", 2*i) + "  - id: n" + strings.Repeat("x", i) + "\n" + strings.Repeat("  ", 2*i) + "    title: t\n" + strings.Repeat("  ", 2*i) + "    items:\n"
	}
	deep += strings.Repeat("  ", 24) + "- {id: leaf, title: t, steps: [{dynamic: {source: {zone: z, pool: p, action: a}}}]}\n"
	for name, c := range map[string]struct{ data, want string }{
		"empty":          {"", "m.yaml"},
		"too large":      {"# " + strings.Repeat("x", conf.MaxFile), "the limit is 1048576"},
		"too deep":       {deep, "more than 10 levels deep"},
		"alias":          {"version: 1\ntitle: &a t\nitems: *a\n", "aliases"},
		"two documents":  {"version: 1\n---\nversion: 1\n", "m.yaml"},
		"no mapping":     {"- 1\n", "m.yaml:1: a menu must have the keys"},
		"twice":          {"version: 1\nversion: 1\ntitle: t\nitems: [{id: a, title: t, steps: [{dynamic: {source: {zone: z, pool: p, action: a}}}]}]\n", "m.yaml:2"},
		"bytes of title": {"version: 1\ntitle: " + strings.Repeat("掌", 41) + "\nitems: [{id: a, title: t, steps: [{dynamic: {source: {zone: z, pool: p, action: a}}}]}]\n", "m.yaml:2: title takes 123 bytes, the limit is 120"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := menu.Parse("m.yaml", []byte(c.data))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q in it", err, c.want)
			}
		})
	}
}

func TestAMissingFileIsAProblemOfThatFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "none.yaml")
	_, err := menu.Load(path)
	if err == nil || !strings.HasPrefix(err.Error(), path+": ") {
		t.Errorf("got %v", err)
	}
}

func TestInputRead(t *testing.T) {
	m, err := menu.Parse("m.yaml", []byte(`
version: 1
title: t
items:
  - id: a
    title: a
    steps:
      - input: {param: n, type: int, min: 0, max: 20}
      - input: {param: name, type: text, pattern: "[a-z]+", hint: 只能用小写字母, max_length: 5}
      - input: {param: free, type: text}
      - input: {param: size, type: enum, values: [small, large]}
      - confirm: {text: "{{.n}} {{.name}} {{.free}} {{.size}}"}
      - action: {zone: z, pool: p, action: a.b, title: "{{.name}}"}
`))
	if err != nil {
		t.Fatal(err)
	}
	steps := m.Node("a").Steps
	for _, c := range []struct {
		step         int
		typed, value string
		hint         string // in the text that the person reads; "" when accepted
	}{
		{0, "5", "5", ""},
		{0, "05", "5", ""},
		{0, "0", "0", ""},
		{0, "20", "20", ""},
		{0, "21", "", "0 到 20"},
		{0, "-1", "", "0 到 20"},
		{0, "+5", "", "不要写加号"},
		{0, "five", "", "整数"},
		{0, "", "", "整数"},
		{0, "5.0", "", "整数"},
		{0, strings.Repeat("9", 10000), "", "超出范围"},
		{0, "😀", "", "整数"},
		{0, "--", "", "整数"},
		{1, "web", "web", ""},
		{1, "Web", "", "只能用小写字母"},
		{1, "web\nx", "", "不能使用"},
		{1, "webweb", "", "最多 5 个字"},
		{2, "支付 网关", "支付 网关", ""},
		{2, "a\u202eb", "", "不能使用"},
		{2, "a\u2028b", "", "不能使用"},
		{2, "\xff", "", "不能使用"},
		{2, "", "", "不能为空"},
		{3, "small", "small", ""},
		{3, "medium", "", "数字"},
	} {
		got, err := steps[c.step].Input.Read(c.typed)
		if c.hint == "" && (err != nil || got != c.value) {
			t.Errorf("step %d, %q: got %q, %v", c.step, c.typed, got, err)
		}
		if c.hint != "" && (!fault.Is(err, fault.Invalid) || !strings.Contains(fault.Safe(err), c.hint)) {
			t.Errorf("step %d, %.20q: got %q, %v; want a hint with %q", c.step, c.typed, got, err, c.hint)
		}
	}
}

func TestArgumentsKeepTheirTypes(t *testing.T) {
	m, err := menu.Parse("m.yaml", []byte(`
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
`))
	if err != nil {
		t.Fatal(err)
	}
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

func FuzzParse(f *testing.F) {
	for _, file := range []string{local, "testdata/wrong.yaml"} {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte("items: {a: [b]}"))
	f.Add([]byte("? [x]\n: y"))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := menu.Parse("m.yaml", data)
		if (m == nil) == (err == nil) {
			t.Fatalf("menu %v and error %v", m, err)
		}
		if err != nil && !fault.Is(err, fault.Invalid) {
			t.Fatalf("kind %s", fault.KindOf(err))
		}
		if m != nil {
			m.Uses()
		}
	})
}
