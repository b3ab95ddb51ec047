package menu

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"palmops/libs/fault"
	"palmops/libs/lang"
)

// viewed is the menu of testdata/views, with some of its text exchanged.
func viewed(t testing.TB, exchange ...string) *Menu {
	t.Helper()
	data, err := os.ReadFile("testdata/views/menu.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(exchange); i += 2 {
		if !bytes.Contains(data, []byte(exchange[i])) {
			t.Fatalf("the file has no %q", exchange[i])
		}
	}
	m, err := Build("menu.yaml", Files{"menu.yaml": []byte(strings.NewReplacer(exchange...).Replace(string(data)))}, BuildOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func drawn(t testing.TB, m *Menu, form string, see func(*Node) bool, in lang.Tag) string {
	t.Helper()
	out, err := Draw(m, form, see, in)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func TestDrawText(t *testing.T) {
	want := `掌上运维
1. ▸ 零售事业部 (retail)  [env prod]
    1. ▸ Kubernetes "操作" <b> (retail-k8s)
        - dynamic namespace (命名空间): local/k8s k8s.namespaces
        1. ● 调整 POD 数 (retail-scale)  [when hour >= 9]
            - dynamic size: small large, 1–2 of them
            - input replicas: int 0–20, default 3
            - input wait: duration 1m–1h
            - confirm: by code, current local/k8s k8s.deployment namespace=$namespace
            - action: local/k8s k8s.scale from=$current.replicas:int namespace=$namespace on=true replicas=$replicas size=$size text="5" wait=$wait, expires 2m
        2. ○ 查看部署 (retail-list)
            - dynamic: local/k8s k8s.deployments namespace=$namespace
2. ▸ 工具 (tools)
    1. ○ 通讯录 (people)
        - dynamic department: departments
        - dynamic: members in $department
    2. ○ 网段计算 (cidr)
        - custom: go cidr
    3. → 去零售 (again)  [link retail]
    4. ★ 最近 (recent)  [open recent]
`
	if d := cmp.Diff(want, drawn(t, viewed(t), DrawText, nil, lang.Chinese)); d != "" {
		t.Error(d)
	}
}

func TestDrawReports(t *testing.T) {
	m, err := Build("m.yaml", Files{"m.yaml": []byte(`
version: 1
title: t
items:
  - id: logs
    title: 日志
    steps: [report: {zone: z, pool: p, action: k.logs, args: {tail: 5}, title: 日志}]
  - id: lock
    title: 占用
    steps:
      - confirm: {text: 占用, noop: false}
      - action: {zone: z, pool: p, action: k.lock, title: 占用}
`)}, BuildOptions{})
	if err != nil {
		t.Fatal(err)
	}
	want := `t
1. ○ 日志 (logs)
    - report: z/p k.logs tail=5, expires 2m
2. ● 占用 (lock)
    - confirm: by number, no dry run
    - action: z/p k.lock, expires 2m
`
	if d := cmp.Diff(want, drawn(t, m, DrawText, nil, lang.Chinese)); d != "" {
		t.Error(d)
	}
	uses := m.Uses()
	if len(uses) != 2 || !uses[0].Report || uses[0].Read || uses[1].Report || m.Node("logs").Changes() || !m.Node("lock").Changes() {
		t.Errorf("%+v", uses)
	}
	if src, ok := m.Node("logs").Deed(); !ok || src.Action != "k.logs" {
		t.Error("a report is a deed for the policy")
	}
}

func TestDrawWhatOnePersonSees(t *testing.T) {
	want := `Palm operations
0. ▸ Tools (tools)
    0. ○ Networks (cidr)
        - custom: go cidr
    1. → To retail (again)  [link retail]
`
	hidden := map[string]bool{"retail": true, "people": true, "recent": true}
	m := viewed(t, "items:\n  - id: retail\n", "first: 0\nitems:\n  - id: retail\n")
	if d := cmp.Diff(want, drawn(t, m, DrawText, func(n *Node) bool { return !hidden[n.ID] }, lang.English)); d != "" {
		t.Error(d)
	}
}

func TestDrawMermaid(t *testing.T) {
	got := drawn(t, viewed(t), DrawMermaid, nil, lang.Chinese)
	for _, line := range []string{
		"flowchart LR\n  n0[\"掌上运维\"]\n", `  n2["1 ▸ Kubernetes #34;操作#34; #60;b#62;<br/>dynamic namespace #40;命名空间#41;: local/k8s k8s.namespaces"]`,
		"  n0 --> n1\n", "  n8 -.-> n1\n",
	} {
		if !strings.Contains(got, line) {
			t.Errorf("%q is missing in\n%s", line, got)
		}
	}
	alone := drawn(t, viewed(t), DrawMermaid, func(n *Node) bool { return n.ID != "retail" }, lang.Chinese)
	if strings.Contains(alone, "-.->") {
		t.Error("a link leads to a node that is not drawn")
	}
}

func TestDrawSVG(t *testing.T) {
	got := drawn(t, viewed(t), DrawSVG, nil, lang.Chinese)
	wellFormed(t, got)
	for _, part := range []string{`viewBox="0 0 `, "1 ● 调整 POD 数", "1 ▸ Kubernetes &#34;操作&#34; &lt;b&gt;", "input replicas: int 0–20", "prefers-color-scheme"} {
		if !strings.Contains(got, part) {
			t.Errorf("%q is missing", part)
		}
	}
	if strings.Contains(got, "<script") || strings.Contains(got, "href") {
		t.Error("the picture is more than a picture")
	}
}

func TestDrawRefusesOtherForms(t *testing.T) {
	if _, err := Draw(viewed(t), "png", nil, lang.Chinese); !fault.Is(err, fault.Invalid) {
		t.Errorf("got %v", err)
	}
}

func wellFormed(t interface{ Fatalf(string, ...any) }, svg string) {
	d := xml.NewDecoder(strings.NewReader(svg))
	for {
		_, err := d.Token()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatalf("%v", err)
		}
	}
}

var mermaidLine = regexp.MustCompile(`^  n\d+(\["([A-Za-z0-9 .,:/=\-]|[^\x00-\x7f]|#\d+;|<br/>)*"\]| --> n\d+| -\.-> n\d+)$`)

func TestDrawTakesAnyTitle(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		word := rapid.OneOf(rapid.String(), rapid.StringOf(rapid.RuneFrom([]rune("\"'`<>&#;[](){}|\\ \n\t重end"))))
		m := grown(titled("a", word.Draw(t, "a"), "", titled("b", word.Draw(t, "b"), "")))
		m.Root.Items[0].Items[0].Steps = []Step{{Input: &Input{Param: "x", Type: Text, Pattern: word.Draw(t, "pattern")}}}
		svg, err := Draw(m, DrawSVG, nil, lang.Chinese)
		if err != nil {
			t.Fatal(err)
		}
		wellFormed(t, string(svg))
		flow, err := Draw(m, DrawMermaid, nil, lang.Chinese)
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range strings.Split(strings.TrimSuffix(string(flow), "\n"), "\n")[1:] {
			if !mermaidLine.MatchString(line) {
				t.Fatalf("%q is no line of a flowchart", line)
			}
		}
		text, err := Draw(m, DrawText, nil, lang.Chinese)
		if err != nil || strings.Count(string(text), "\n") != 4 {
			t.Fatalf("%v %q", err, text)
		}
	})
}

func TestDrawManyNodes(t *testing.T) {
	m := wide(10000)
	for _, form := range []string{DrawText, DrawMermaid, DrawSVG} {
		if out := drawn(t, m, form, nil, lang.Chinese); strings.Count(out, "\n") < m.Len() {
			t.Errorf("%s has only %d bytes", form, len(out))
		}
	}
}

func BenchmarkDrawSVG60(b *testing.B) {
	m := viewed(b)
	for b.Loop() {
		drawn(b, m, DrawSVG, nil, lang.Chinese)
	}
}
