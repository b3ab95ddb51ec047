package menu_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"palmops/libs/fault"
	"palmops/libs/lang"
	"palmops/libs/wire"
	"palmops/services/dialog/menu"
)

// filled builds a road that asks for n (int) and word, and whose confirm has a question, with the text.
func filled(text string) (menu.Template, error) {
	m, err := one(fmt.Sprintf(`
version: 1
title: t
items:
  - id: a
    title: t
    steps:
      - input: {param: n, type: int}
      - input: {param: word, type: text}
      - confirm: {current: {zone: z, pool: p, action: q}, text: %s}
      - action: {zone: z, pool: p, action: a, title: t}
`, text))
	if err != nil {
		return menu.Template{}, err
	}
	return m.Node("a").Steps[2].Confirm.Text, nil
}

var data = menu.Data{
	Params: map[string]any{"n": int64(5), "word": "网关"}, Current: map[string]string{"replicas": "3", "empty": ""},
	Person: wire.Person{User: "zhangsan", Name: "张三"},
}

func TestTemplates(t *testing.T) {
	for text, want := range map[string]string{
		`没有参数`: `没有参数`,
		`{{.word}}：{{.current.replicas}} → {{.n}}`:                       `网关：3 → 5`,
		`{{if gt .n 3}}大{{else}}小{{end}}`:                                `大`,
		`{{if eq .word "a" "网关"}}是{{end}}`:                               `是`,
		`{{if and (ne .n 5) .word}}x{{else if not .n}}y{{else}}z{{end}}`: `z`,
		`{{if or .current.empty .word}}有{{end}}`:                         `有`,
		`{{len .word}}`:                                           `2`,
		`{{.word | len | printf "%03d 个字"}}`:                      `002 个字`,
		`{{printf "%s %d %q %v %% %-4s|" .word .n "x" .n .word}}`: `网关 5 "x" 5 % 网关  |`,
		`{{.name}} ({{.user}})`:                                   `张三 (zhangsan)`,
		`{{- .word -}}`:                                           `网关`,
		`{{le .n 5}} {{ge .word "a"}} {{lt .n -1}}`:               `true true false`,
		`<b>{{.word}}</b>{{/* nothing is said */}}`:               `<b>网关</b>`,
	} {
		tpl, err := filled("'" + text + "'")
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		for range 2 {
			if got, err := tpl.Text(lang.English, data); got != want || err != nil {
				t.Errorf("%s: got %q, %v; want %q", text, got, err, want)
			}
		}
	}
}

func TestTemplatesInLanguages(t *testing.T) {
	tpl, err := filled(`{zh: "{{.word}} 改为 {{.n}}", en: "set to {{.n}} by {{.current.who}}"}`)
	if err != nil {
		t.Fatal(err)
	}
	if zh, err := tpl.Text(lang.Chinese, data); zh != "网关 改为 5" || err != nil {
		t.Errorf("got %q, %v", zh, err)
	}
	if _, err := tpl.Text(lang.English, data); !fault.Is(err, fault.NotFound) {
		t.Errorf("a missing field gives %v", err)
	}
	if _, err := tpl.Text(lang.English, menu.Data{Params: data.Params}); !fault.Is(err, fault.NotFound) {
		t.Errorf("no fields at all give %v", err)
	}
	if p := strings.Join(tpl.Params(), " "); p != "n word" {
		t.Errorf("params %s", p)
	}
	only, err := filled(`{en: "to {{.n}}"}`)
	if zh, textErr := only.Text(lang.Chinese, data); zh != "to 5" || err != nil || textErr != nil {
		t.Errorf("got %q, %v, %v", zh, err, textErr)
	}
	if empty, err := (menu.Template{}).Text(lang.Chinese, data); empty != "" || err != nil {
		t.Errorf("the zero value gives %q, %v", empty, err)
	}
}

func TestAParameterHidesThePerson(t *testing.T) {
	m := must(t, "version: 1\ntitle: t\nitems:\n  - id: a\n    title: t\n    steps:\n      - input: {param: name, type: text}\n"+
		"      - confirm: {text: \"{{.name}}\"}\n      - action: {zone: z, pool: p, action: a, title: t}\n")
	d := menu.Data{Params: map[string]any{"name": "web"}, Person: wire.Person{Name: "张三"}}
	if got, err := m.Node("a").Steps[1].Confirm.Text.Text(lang.Chinese, d); got != "web" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestTemplatesAreSharedSafely(t *testing.T) {
	tpl, err := filled(`"{{.word}} {{.n}}"`)
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if got, err := tpl.Text(lang.Chinese, data); got != "网关 5" || err != nil {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
	all.Wait()
}

// What was accepted can always be filled in: a template fails for nothing but a missing field.
func TestAcceptedTemplatesNeverFail(t *testing.T) {
	part := rapid.SampledFrom([]string{
		"{{", "}}", ".n", ".word", ".current.replicas", ".user", "if", "else", "end", "eq", "lt", "and", "or", "not", "len", "printf", `"%d"`, `"%s"`,
		`"x"`, "1", "true", "(", ")", "|", " ", " ", "文", "-", "$x", ":=", "range", ".", "nil",
	})
	whole := rapid.SampledFrom([]string{
		"{{.n}}", "{{if .word}}a{{end}}", "{{len .word}}", "{{eq .n 1}}", "{{if and .n .word}}x{{else}}y{{end}}", `{{printf "%d" .n}}`, "{{or .n 1 | eq 2}}",
		"{{and .n .word | not}}", `{{.n | printf "%v"}}`, "{{lt .word .user}}", "{{not .current.replicas}}", "{{eq (len .word) (and 1 2)}}",
	})
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOfN(rapid.OneOf(part, whole), 0, 8).Draw(t, "parts"), rapid.SampledFrom([]string{"", " "}).Draw(t, "between"))
		tpl, err := filled(fmt.Sprintf("%q", text))
		if err != nil {
			return
		}
		if got, err := tpl.Text(lang.Chinese, data); err != nil || strings.Contains(got, "%!") {
			t.Fatalf("%s: %q, %v", text, got, err)
		}
	})
}

func FuzzTemplate(f *testing.F) {
	for _, s := range []string{"{{.n}}", "{{if eq .word \"x\"}}{{end}}", "{{printf \"%5d\" .n}}", "{{.current.replicas | len}}", "{{define \"x\"}}{{end}}", "{{break}}"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		tpl, err := filled(fmt.Sprintf("%q", text))
		if err != nil {
			return
		}
		if got, err := tpl.Text(lang.Chinese, data); err != nil && !fault.Is(err, fault.NotFound) || len(got) > 100_000 {
			t.Fatalf("%s: %d bytes, %v", text, len(got), err)
		}
	})
}
