package redis

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v4"

	"palmops/services/executor/catalog"
)

// whole makes an action by way of a catalog.
func whole(t testing.TB, verb, params, more string) catalog.Action {
	t.Helper()
	c, err := catalog.Decode("catalog.yaml", []byte(`version: 1
zone: local
pool: db
targets:
  redis:
    cache: {addresses: ["127.0.0.1:1"]}
actions:
  cache.x:
    kind: redis
    verb: `+verb+`
    params: {`+params+`}
    `+more+"\n"), catalog.Kinds{Spec()})
	if err != nil {
		t.Fatal(err)
	}
	a, _ := c.Action("cache.x")
	return a
}

// TestReadme: the sample in the README is a catalog.
func TestReadme(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(data), "```yaml\n")
	sample, _, closed := strings.Cut(rest, "```")
	if !ok || !closed {
		t.Fatal("there is no sample")
	}
	c, err := catalog.Decode("catalog.yaml", []byte(sample), catalog.Kinds{Spec()})
	if err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{}
	for _, a := range c.Actions() {
		used[a.Verb] = true
	}
	for verb := range Spec().Verbs {
		if !used[verb] {
			t.Errorf("the sample does not show %s", verb)
		}
	}
	if s, ok := catalog.Target[Server](c, Targets, "cache"); !ok || s.PasswordFile != "cache.password" {
		t.Errorf("%+v", s)
	}
}

func TestMistakes(t *testing.T) {
	t.Parallel()
	const good = `version: 1
zone: local
pool: db
targets:
  redis:
    cache: {addresses: ["c-1:6379"], user: palmops, password_file: p}
actions:
  cache.get: {kind: redis, verb: command, params: {key: {type: string, pattern: line}}, settings: {argv: [GET, "shop:${key}"]}}
  cache.set: {kind: redis, verb: write, params: {on: {type: bool}}, settings: {argv: [SET, shop:flag, "${on}"]}}
`
	if _, err := catalog.Decode("catalog.yaml", []byte(good), catalog.Kinds{Spec()}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ old, bad, says string }{
		{`["c-1:6379"]`, `[]`, "addresses must name one server"},
		{`["c-1:6379"]`, `["a:1", "b:1"]`, "addresses must name one server"},
		{`["c-1:6379"]`, `["a"]`, "must be host:port"},
		{`["c-1:6379"]`, `["a:1", "a:1"], cluster: true`, "named twice"},
		{`["c-1:6379"]`, `["/s"], tls: true`, "a socket is for a single server"},
		{`["c-1:6379"]`, `["a:1"], cluster: true, master: m`, "a cluster has no sentinels"},
		{`["c-1:6379"]`, `["a:1"], cluster: true, db: 2`, "db must be 0"},
		{`["c-1:6379"]`, `["a:1"], sentinel_password_file: x`, "only with master"},
		{`["c-1:6379"]`, `["a:1"], ca_file: x`, "ca_file is read only with tls: true"},
		{`, password_file: p`, ``, "a user needs password_file"},
		{`password_file: p`, `password: p`, "password"},
		{`[GET, `, `[KEYS, `, "KEYS is not one of the commands that only read"},
		{`[GET, `, `[DEL, `, "DEL is not one of the commands that only read"},
		{`[GET, "shop:${key}"]`, `["${key}", a]`, "the command itself must be fixed"},
		{`[GET, "shop:${key}"]`, `[GET, "${other}"]`, "must have a parameter other"},
		{`[GET, "shop:${key}"]`, `[GET, a]`, "the parameter key is not used"},
		{`[GET, "shop:${key}"]`, `[GET, "$key"]`, "a $ begins"},
		{`[GET, "shop:${key}"]`, `[]`, "settings.argv must hold the command"},
		{`pattern: line}`, `pattern: line, optional: true}`, "that is not optional"},
		{`[SET, shop:flag, "${on}"]`, `[SET, shop:flag, a, "${on}", 5]`, "SET takes EX"},
		{`[SET, shop:flag, "${on}"]`, `[INCRBY, shop:flag, "${on}"]`, "INCRBY is not one of the commands that may be done twice"},
		{`[SET, shop:flag, "${on}"]`, `[EXPIRE, shop:flag, "${on}", NX]`, "EXPIRE cannot have 4 elements"},
		{`[SET, shop:flag, "${on}"]`, `[FLUSHALL, "${on}"]`, "FLUSHALL is not one of"},
	} {
		data := strings.Replace(good, c.old, c.bad, 1)
		if data == good {
			t.Fatalf("%q is not there", c.old)
		}
		_, err := catalog.Decode("catalog.yaml", []byte(data), catalog.Kinds{Spec()})
		if err == nil || !strings.Contains(err.Error(), c.says) || !strings.HasPrefix(err.Error(), "catalog.yaml:") {
			t.Errorf("%s: %v", c.bad, err)
		}
	}
}

// TestSchema: editors take the sample, and not some mistakes.
func TestSchema(t *testing.T) {
	t.Parallel()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(catalog.Schema(catalog.Kinds{Spec()})))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("schema.json", doc); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(data), "```yaml\n")
	sample, _, _ := strings.Cut(rest, "```")
	read := func(text string) (out any) {
		if err := yaml.Load([]byte(text), &out); err != nil {
			t.Fatal(err)
		}
		return out
	}
	if err := schema.Validate(read(sample)); err != nil {
		t.Error(err)
	}
	for _, c := range [][2]string{{`addresses: ["cache-1.example:6379"]`, "addresses: []"}, {"user: palmops", "password: x"}, {"argv: [SET", "command: [SET"}} {
		text := strings.Replace(sample, c[0], c[1], 1)
		if text == sample || schema.Validate(read(text)) == nil {
			t.Errorf("the schema takes %q", c[1])
		}
	}
}
