package menu

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// checked builds a menu of items and gives what Check finds in it.
func checked(t *testing.T, head, items string) []string {
	t.Helper()
	file := "version: 1\ntitle: 掌上运维\n" + head + "items:\n" + items
	m, err := Build("menu.yaml", Files{"menu.yaml": []byte(file)}, BuildOptions{})
	if err != nil {
		t.Fatalf("%v in\n%s", err, file)
	}
	var out []string
	for _, f := range Check(m) {
		if f.File != "menu.yaml" || f.Line < 1 || f.Line > strings.Count(file, "\n")+1 {
			t.Errorf("%+v is nowhere", f)
		}
		out = append(out, f.Level+" "+f.Node+": "+f.Text)
	}
	return out
}

const ask = `{zone: local, pool: k8s, action: k8s.list}`

// road is an item that asks for x, and does something with it.
func road(steps string) string {
	return "  - id: a\n    title: 甲\n    steps:\n" + steps + `      - confirm: {text: "{{.x}}"}` + "\n      - action: {zone: local, pool: k8s, action: k8s.do, args: {x: $x}, title: 做}\n"
}

func many(n int, line string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, line+"\n", i)
	}
	return b.String()
}

func TestCheck(t *testing.T) {
	long := strings.Repeat("长", 20)
	deep, indent := "", "  "
	for i := range 7 {
		deep += fmt.Sprintf("%[1]s- id: d%[2]d\n%[1]s  title: 深\n%[1]s  items:\n", indent, i)
		indent += "    "
	}
	deep += indent + "- {id: end, title: 底, open: recent}\n"
	for _, c := range []struct {
		name, head, items string
		want              []string
	}{
		{"fine", "", road("      - dynamic: {param: x, source: " + ask + "}\n"), nil},
		{"long titles", "", "  - {id: a, title: " + long + "长, open: recent}\n  - {id: b, title: " + long + ", open: recent}\n  - {id: c, title: " + strings.Repeat("x", 40) + ", open: recent}\n", []string{
			`warning a: the title "` + long + `长" is longer than 20 characters`,
		}},
		{"depth", "", deep, []string{"warning d6: it lies 7 levels deep, more than 6; people lose their way"}},
		{"many pages", "page_size: 2\n", many(7, "  - {id: n%[1]d, title: n%[1]d, open: recent}"), []string{
			"warning : its list has 7 entries on 4 pages, more than 3; nobody turns so many",
		}},
		{"large pages", "page_size: 20\n", many(20, "  - {id: n%[1]d, title: "+long+"%[1]d, open: tasks}"), append([]string{
			"warning : a page of the list takes 1460 bytes; above 1024 it must be scrolled",
		}, titles(20, long)...)},
		{"pages that are no message", "page_size: 20\n", road("      - input: {param: x, type: enum, values: [" + strings.ReplaceAll(many(20, "{value: v%d, label: "+long+", detail: "+long+"},"), "\n", "") + "]}\n"), append([]string{
			"error a: a page of the list takes 2661 bytes, a message has 2048; make page_size (20) or the texts smaller",
		}, alike(20)...)},
		{"the same title", "", "  - {id: a, title: 重启, open: recent}\n  - {id: b, title: 重 启, open: tasks}\n  - {id: c, title: 重启, open: tasks}\n", []string{
			`error c: it has the same title as a in the same list: "重启"`,
		}},
		{"the same title by turns", "", "  - {id: a, title: 重启, when: hour < 9, open: recent}\n  - {id: b, title: 重启, when: hour >= 9, open: tasks}\n", []string{
			"warning b: it has the same title as a; make sure that their conditions never hold together",
		}},
		{"conditions that cannot hold", "", `  - id: a
    title: 甲
    env: prod
    items:
      - {id: b, title: 乙, when: 1 > 2, open: recent}
      - {id: c, title: 丙, when: hour > 23 and user != "x", open: recent}
      - {id: d, title: 丁, when: hour > 9 and minute > 59, open: recent}
      - {id: e, title: 戊, when: env == "test", open: recent}
      - {id: f, title: 己, when: weekday > 5 and hour > 9 and env == "prod", open: recent}
      - {id: g, title: 庚, when: weekday > 7, open: recent}
`, []string{
			`error b: nobody ever sees it: "1 > 2" cannot hold`, `error d: nobody ever sees it: "hour > 9 and minute > 59" cannot hold`,
			`error e: nobody ever sees it: "env == \"test\"" cannot hold`, `error g: nobody ever sees it: "weekday > 7" cannot hold`,
		}},
		{"conditions on parameters", "", `  - id: a
    title: 甲
    steps:
      - input: {param: x, type: enum, values: [web, db]}
      - input: {param: n, type: int, min: 1, max: 5}
    items:
      - {id: b, title: 乙, when: x == "wbe", open: recent}
      - {id: c, title: 丙, when: x == "db" and n == 5, open: recent}
      - {id: d, title: 丁, when: n > 5, open: recent}
`, []string{`error b: nobody ever sees it: "x == \"wbe\"" cannot hold`, `error d: nobody ever sees it: "n > 5" cannot hold`}},
		{"lists without a way on", "", "  - id: a\n    title: 甲\n    items:\n      - {id: b, title: 乙, when: \"false\", open: recent}\n  - {id: c, title: 丙, link: a}\n", []string{
			"error a: nobody can enter any of its items", `error b: nobody ever sees it: "false" cannot hold`,
			"error c: it leads nowhere: nobody can enter a, or the links go round in circles",
		}},
		{"values that are keys", "", road("      - dynamic: {param: x, lines: [\"0\", 返回, Help, \"2\", \"5\", web]}\n"), []string{
			`warning a: the value "0" of x is a key and can only be typed with = in front`, `warning a: the value "返回" of x is a key and can only be typed with = in front`,
			`warning a: the value "Help" of x is a key and can only be typed with = in front`, `warning a: the value "2" of x is also the number of another line`,
		}},
		{"a pattern that fits keys", "", road("      - input: {param: x, type: text, pattern: \"[0-9]+\"}\n"), []string{
			"warning a: the pattern of x also fits 0 00, which is a key there and can only be typed with = in front",
		}},
		{"a pattern where 0 is a line", "first: 0\n", road("      - input: {param: x, type: text, pattern: \"[0-9]\"}\n"), nil},
		{"lines that look the same", "", road("      - dynamic: {param: x, lines: [{value: a, label: 甲}, {value: b, label: 甲}]}\n"), []string{
			`warning a: the values "a" and "b" of x look the same`,
		}},
		{"a table that does not fit", "", road("      - input: {param: env, type: enum, values: [prod, test]}\n      - dynamic: {param: x, table: {by: $env, lists: {prod: [a]}}}\n"), []string{
			`warning a: the table has no list for "test", which env can be`,
		}},
		{"several values where one is needed", "", "  - id: a\n    title: 甲\n    steps:\n      - dynamic: {param: d, directory: departments, multi: true}\n      - dynamic: {directory: members, in: $d}\n", []string{
			"error a: in is $d, of which several can be chosen; it must be one department",
		}},
		{"a table by several values", "", road("      - dynamic: {param: y, lines: [a, b], multi: true, least: 2}\n      - dynamic: {param: x, table: {by: $y, lists: {a: [c]}}}\n"), []string{
			"error a: the table is looked up by $y, of which several can be chosen; it must be one value",
		}},
		{"a list that is too short", "", road("      - dynamic: {param: x, lines: [a, b], multi: true, least: 3}\n"), []string{
			"error a: 3 lines of x must be chosen, and its list has only 2",
		}},
		{"a blank value", "", road("      - dynamic: {param: x, lines: [\" \", b]}\n"), []string{`error a: the value " " of x is blank`}},
		{"more than two messages", "page_size: 20\n", "  - id: a\n    title: 甲\n    steps:\n      - input: {param: k, type: enum, values: [k]}\n      - dynamic: {table: {by: $k, lists: {k: [" + strings.ReplaceAll(many(20, "{value: v%d, label: "+long+long+", detail: "+long+long+"},"), "\n", "") + "]}}}\n", []string{
			"error a: a page of the list takes 5061 bytes and more than two messages; make page_size (20) or the texts smaller",
		}},
		{"answers that nothing uses", "", "  - id: a\n    title: 甲\n    steps:\n      - input: {param: y, type: text}\n      - input: {param: z, type: text}\n    items:\n" +
			"      - {id: b, title: 乙, when: z != \"\", open: recent}\n", []string{"warning a: it asks for y, and nothing uses it"}},
		{"answers that a node in Go may use", "", "  - id: a\n    title: 甲\n    steps:\n      - input: {param: y, type: text}\n      - custom: {go: cidr}\n", nil},
		{"the same list twice", "", road("      - dynamic: {param: y, source: " + ask + "}\n      - dynamic: {param: z, cache: 5s, source: " + ask + "}\n      - dynamic: {param: x, source: {zone: local, pool: k8s, action: k8s.list}}\n"), []string{
			"warning a: it asks for y, and nothing uses it", "warning a: it asks for z, and nothing uses it", "warning a: the list of x is the same as that of y; with cache it is asked once",
		}},
		{"a confirm that does not say what will be done", "", "  - id: a\n    title: 甲\n    steps:\n      - input: {param: x, type: text}\n      - confirm: {text: 好吗}\n      - action: {zone: local, pool: k8s, action: k8s.do, args: {x: $x}, title: 做}\n", []string{
			"warning a: the action uses $x, and the text of the confirm does not say it",
		}},
		{"languages", "", "  - {id: a, title: {zh: 甲, en: A}, open: recent}\n  - id: b\n    title: 乙\n    steps:\n      - dynamic: {prompt: 选择, source: " + ask + "}\n  - {id: c, title: CPU, open: tasks}\n", []string{
			"warning b: the English of its dynamic, the English of its title is missing",
		}},
	} {
		got := checked(t, c.head, c.items)
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%s:\n%s", c.name, d)
		}
	}
}

func titles(n int, title string) (out []string) {
	for i := range n {
		out = append(out, fmt.Sprintf("warning n%d: the title %q is longer than 20 characters", i, fmt.Sprint(title, i)))
	}
	return out
}

func alike(n int) (out []string) {
	for i := 1; i < n; i++ {
		out = append(out, fmt.Sprintf(`warning a: the values "v0" and "v%d" of x look the same`, i))
	}
	return out
}

func TestCheckOfTheLocalMenu(t *testing.T) {
	m, err := Load("../../../deployments/config/local/menu.yaml", BuildOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range Check(m) {
		if f.Level == LevelError {
			t.Error(f)
		}
		t.Log(f)
	}
}

func TestCheckSeesCircles(t *testing.T) { // Build refuses them; a menu made otherwise must not hang
	m := grown(titled("a", "甲", "", titled("b", "乙", "")), titled("c", "丙", ""))
	m.Node("b").Link = m.Node("a")
	var got []string
	for _, f := range Check(m) {
		got = append(got, f.String())
	}
	want := []string{
		"menu.yaml:1: error: a: nobody can enter any of its items", "menu.yaml:1: error: b: it leads nowhere: nobody can enter a, or the links go round in circles",
		"menu.yaml:1: error: c: it has nothing: no items, no steps, no link and no room",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// TestKeyWords holds the list of keys against the one by which the conversation reads them.
func TestKeyWords(t *testing.T) {
	source, err := os.ReadFile("../internal/flow/keys.go")
	if err != nil {
		t.Fatal(err)
	}
	words := regexp.MustCompile(`"([^"\s]+)": *key[A-Z]`).FindAllStringSubmatch(string(source), -1)
	if len(words) < 20 {
		t.Fatalf("only %d words were found in keys.go", len(words))
	}
	for _, w := range words {
		if !slices.Contains(keyWords, w[1]) {
			t.Errorf("%s is a key", w[1])
		}
	}
}

func BenchmarkCheck10000(b *testing.B) {
	m := wide(10000)
	for b.Loop() {
		Check(m)
	}
}
