package menu_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"palmops/libs/lang"
	"palmops/libs/wire"
	"palmops/services/dialog/menu"
)

// kinds are the nodes of a large menu: an order, a list to read, a link, and a custom step.
var kinds = []string{
	`  - id: g%[1]d-order-%[2]d
    title: {zh: 调整 POD 数 %[2]d, en: Scale pods %[2]d}
    alias: [扩容, 缩容]
    env: prod
    when: hour >= %[3]d and "zhangsan" != user
    steps:
      - dynamic: {param: namespace, prompt: 选择命名空间, source: {zone: local, pool: k8s, action: k8s.namespaces}}
      - input: {param: replicas, type: int, min: 0, max: 20, prompt: 输入新的副本数, example: "5"}
      - input: {param: reason, type: text, pattern: "[a-z]{1,%[3]d}"}
      - confirm:
          current: {zone: local, pool: k8s, action: k8s.deployment, args: {namespace: $namespace}}
          text: "{{.namespace}}：{{.current.replicas}} → {{.replicas}}"
      - action: {zone: local, pool: k8s, action: k8s.scale, args: {namespace: $namespace, n: $replicas}, title: "{{.namespace}} %[1]d/%[2]d → {{.replicas}}"}
`,
	`  - id: g%[1]d-read-%[2]d
    title: {zh: 查看部署 %[2]d, en: Deployments %[2]d}
    steps:
      - dynamic: {param: namespace, prompt: 选择命名空间, source: {zone: local, pool: k8s, action: k8s.namespaces}}
      - dynamic: {prompt: 部署, source: {zone: local, pool: k8s, action: k8s.deployments, args: {namespace: $namespace}}, cache: 30s}
`,
	`  - {id: g%[1]d-link-%[2]d, title: {zh: 常用 %[2]d, en: Often used %[2]d}, link: shared}
`,
	`  - {id: g%[1]d-custom-%[2]d, title: 网段 %[2]d, when: 3 in departments, steps: [custom: {go: cidr}]}
`,
}

// large is a menu of n nodes, 100 to a file.
func large(n int, kinds ...string) menu.Files {
	files := menu.Files{}
	var root strings.Builder
	root.WriteString("version: 1\ntitle: {zh: 掌上运维, en: Operations}\nitems:\n  - {id: shared, title: 共用, open: tasks}\n")
	for g := range n / 100 {
		fmt.Fprintf(&root, "  - id: group-%d\n    title: {zh: 事业部 %d, en: Division %d}\n    items: {include: group-%d.yaml}\n", g, g, g, g)
		var b strings.Builder
		b.WriteString("version: 1\nitems:\n")
		for i := range 100 {
			numbers := strings.NewReplacer("%[1]d", strconv.Itoa(g), "%[2]d", strconv.Itoa(i), "%[3]d", strconv.Itoa(i%20+1))
			b.WriteString(numbers.Replace(kinds[i%len(kinds)]))
		}
		files[fmt.Sprintf("group-%d.yaml", g)] = []byte(b.String())
	}
	files["menu.yaml"] = []byte(root.String())
	return files
}

func build(b *testing.B, files menu.Files) {
	b.Helper()
	size := 0
	for _, data := range files {
		size += len(data)
	}
	b.SetBytes(int64(size))
	b.ReportAllocs()
	for b.Loop() {
		m, err := menu.Build("menu.yaml", files, menu.BuildOptions{})
		if err != nil || m.Len() < 10000 {
			b.Fatal(err)
		}
	}
}

func BenchmarkBuild10000(b *testing.B) { build(b, large(10000, kinds...)) }

// Nothing but orders: as many bytes as a menu may have.
func BenchmarkBuild10000Orders(b *testing.B) { build(b, large(10000, kinds[0])) }

func BenchmarkHolds(b *testing.B) {
	c, err := conditional(`hour >= 9 and weekday < 6 and 3 in departments and n > 2`)
	if err != nil {
		b.Fatal(err)
	}
	v := menu.Vars{Person: wire.Person{Departments: []int64{1, 2, 3}}, At: monday, Params: map[string]any{"n": int64(5)}}
	for b.Loop() {
		if !c.Holds(v) {
			b.Fatal("does not hold")
		}
	}
}

func BenchmarkText(b *testing.B) {
	tpl, err := filled(`"{{.word}}：{{.current.replicas}} → {{.n}}"`)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := tpl.Text(lang.Chinese, data); err != nil {
			b.Fatal(err)
		}
	}
}
