package http

import (
	"net/url"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"
	"pgregory.net/rapid"

	"palmops/services/executor/catalog"
	"palmops/services/executor/internal/fill"
)

// TestMistakes: every one is reported with its line.
func TestMistakes(t *testing.T) {
	head := "version: 1\nzone: z\npool: p\ntargets:\n  http:\n    a: {base: \"http://10.0.0.1\", allow: [10.0.0.0/8]}\nactions:\n  x:\n    kind: http\n    params: {host: {type: string, pattern: line}, n: {type: int, optional: true}}\n"
	for settings, want := range map[string]string{
		"verb: fields\n    settings: {path: /a}":                                                                         "extract",
		"verb: fields\n    settings: {path: /a, extract: {host: $.a}}":                                                   "not a parameter's",
		"verb: fields\n    settings: {path: /a, extract: {b: a.b}}":                                                      "JSON path",
		"verb: fields\n    settings: {path: /a, extract: {b: '$.['}}":                                                    "JSON path",
		"verb: fields\n    settings: {path: a, extract: {b: $.b}}":                                                       "one slash",
		"verb: fields\n    settings: {path: /a/../b, extract: {b: $.b}}":                                                 "one slash",
		"verb: fields\n    settings: {path: /a/%2e%2e/b, extract: {b: $.b}}":                                             "one slash",
		"verb: fields\n    settings: {path: //evil/b, extract: {b: $.b}}":                                                "one slash",
		"verb: fields\n    settings: {path: '/a?b=c', extract: {b: $.b}}":                                                "one slash",
		"verb: fields\n    settings: {path: '${host}', extract: {b: $.b}}":                                               "one slash",
		"verb: fields\n    settings: {path: '/a/${n}', extract: {b: $.b}}":                                               "optional",
		"verb: fields\n    settings: {path: '/a/${who}', extract: {b: $.b}}":                                             "${who}",
		"verb: fields\n    settings: {path: '/a/${action_id}', extract: {b: $.b}}":                                       "${action_id}",
		"verb: fields\n    settings: {path: /a, method: POST, extract: {b: $.b}}":                                        "no setting method",
		"verb: get\n    settings: {path: /a, method: POST}":                                                              "GET, HEAD",
		"verb: get\n    settings: {path: /a, expect: [20]}":                                                              "20 is not",
		"verb: get\n    settings: {path: /a, text: 'x ${b}'}":                                                            "${b}",
		"verb: list\n    settings: {path: /a, items: $.a}":                                                               "settings.value",
		"verb: call\n    settings: {path: /a, method: GET}":                                                              "POST",
		"verb: call\n    settings: {path: /a, body: {a: '${b}'}}":                                                        "${b}",
		"verb: call\n    settings: {path: /a, body: {'${host}': 1}}":                                                     "has a place",
		"verb: call\n    settings: {path: /a, probe: {path: /b}}":                                                        "probe.done",
		"verb: call\n    settings: {path: /a, probe: {path: /b, done: {value: $.a}}}":                                    "belong together",
		"verb: call\n    settings: {path: /a, idempotency_header: 'a b'}":                                                "header",
		"verb: call\n    settings: {path: /a, idempotency: x}":                                                           "idempotency",
		"verb: call\n    settings: {path: /a, query: {'': x}}":                                                           "cannot be empty",
		"verb: call\n    settings: {path: /a, body: {a: [[" + strings.Repeat("[", 40) + strings.Repeat("]", 40) + "]]}}": "deeper",
	} {
		_, err := catalog.Decode("c.yaml", []byte(head+"    "+settings+"\n"), catalog.Kinds{Spec()})
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "c.yaml:1") {
			t.Errorf("%s:\n%v", settings, err)
		}
	}
	for target, want := range map[string]string{
		"{base: 'ftp://a'}": "http or https", "{base: 'http://u:p@a'}": "without credentials", "{base: 'http://a/?x'}": "without credentials",
		"{base: 'http://a/b/../c'}": "base must", "{base: 'http://a', allow: [10.0.0.1/8]}": "is not a network", "{base: 'http://a', allow: [169.254.0.0/16]}": "never reached",
		"{base: 'http://a', allow: ['a b']}": "neither a network", "{base: 'http://a', allow: [10.0.0]}": "neither a network", "{base: 'http://a', timeout: 1h}": "timeout", "{base: 'http://a', ca_file: x}": "for https",
		"{base: 'https://a', client_cert: x}": "belong together", "{base: 'http://a', basic: {user: a}}": "password_file",
		"{base: 'http://a', headers: [{name: Host, value: x}]}": "Host", "{base: 'http://a', headers: [{name: X, value: '${a}', secret_file: x}]}": "${secret}",
		"{base: 'http://a', headers: [{name: X, value: \"a\\nb\"}]}": "printable", "{base: 'http://a', token: x}": "token",
	} {
		_, err := catalog.Decode("c.yaml", []byte("version: 1\nzone: z\npool: p\ntargets:\n  http:\n    a: "+target+"\nactions:\n  x: {kind: http, verb: get, settings: {path: /}}\n"), catalog.Kinds{Spec()})
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "c.yaml:6") {
			t.Errorf("%s:\n%v", target, err)
		}
	}
}

// TestPathsKeepTheirShape: an argument never adds a segment, a query or a host.
func TestPathsKeepTheirShape(t *testing.T) {
	shape, err := fill.Parse("/hosts/${a}/x-${b}/drain")
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		holds(t, shape, rapid.String().Draw(t, "a"), rapid.StringMatching(`[./\\%?#;@:a]{0,6}`).Draw(t, "b"))
	})
}

func FuzzPath(f *testing.F) {
	shape, err := fill.Parse("/hosts/${a}/x-${b}/drain")
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range []string{"..", ".", "a/b", "%2f", "?x=1", "#", "\\", "a;b", "\u202e", "\x00", "@evil", "//"} {
		f.Add(s, s)
	}
	f.Fuzz(func(t *testing.T, a, b string) { holds(t, shape, a, b) })
}

type fataler interface{ Fatalf(string, ...any) }

func holds(t fataler, shape fill.Text, a, b string) {
	p, err := fillPath(shape, map[string]any{"a": a, "b": b})
	if err != nil {
		return
	}
	u, err := url.Parse("http://host" + p)
	if err != nil {
		t.Fatalf("%q: %v", p, err)
	}
	parts := strings.Split(u.Path, "/")
	if u.Host != "host" || u.RawQuery != "" || u.Fragment != "" || len(parts) != 5 || parts[2] != a || parts[3] != "x-"+b || parts[4] != "drain" || a == ".." || a == "." {
		t.Fatalf("%q and %q make %q", a, b, u.String())
	}
}

// FuzzBody: whatever stands in a template, it is read or reported, and what is filled in stays a text.
func FuzzBody(f *testing.F) {
	for _, s := range []string{"{a: '${v}', b: 'x ${v} y', c: 5, d: [true, null, 1.5], e: .inf}", "[[[]]]", "'${v}'", "{a: &x 1, b: *x}", "!!binary aGk="} {
		f.Add(s, `"},{"x":"`)
	}
	f.Fuzz(func(t *testing.T, text, v string) {
		var n yaml.Node
		if yaml.Load([]byte(text), &n) != nil || len(n.Content) != 1 {
			return
		}
		src := "version: 1\nzone: z\npool: p\ntargets:\n  http:\n    a: {base: \"http://a\"}\nactions:\n  x: {kind: http, verb: call, params: {v: {type: string, pattern: line}}, settings: {path: /a, body: " + strings.ReplaceAll(text, "\n", " ") + "}}\n"
		c, err := catalog.Decode("c.yaml", []byte(src), catalog.Kinds{Spec()})
		if err != nil {
			return
		}
		a, ok := c.Action("x")
		if !ok {
			return
		}
		set := a.Settings.(Settings)
		plain, err1 := set.Body.bytes(map[string]any{"v": "a"})
		filled, err2 := set.Body.bytes(map[string]any{"v": v})
		if err1 != nil || err2 != nil {
			return
		}
		if strings.Count(string(plain), ":") > 0 && structure(plain) != structure(filled) {
			t.Errorf("%s\n%s", plain, filled)
		}
	})
}

// structure is JSON without its texts.
func structure(data []byte) string {
	var b strings.Builder
	quoted := false
	for i := 0; i < len(data); i++ {
		switch {
		case quoted && data[i] == '\\':
			i++
		case data[i] == '"':
			quoted = !quoted
		case !quoted:
			b.WriteByte(data[i])
		}
	}
	return b.String()
}

func FuzzDocument(f *testing.F) {
	for _, s := range []string{`{"a":[1,2.5,1e400,"x",null,true]}`, `[`, `1 2`, `{"a":{"b":1}}`, `"\ud800"`} {
		f.Add(s, "$.a[*]")
	}
	f.Fuzz(func(t *testing.T, body, path string) {
		x, err := parsePath(path)
		if err != nil {
			return
		}
		doc, err := document(body)
		if err != nil {
			return
		}
		_, _ = pick(doc, x)
	})
}
