package catalog

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v4"
	"pgregory.net/rapid"
)

// everyKey is a catalog with each key of the language.
const everyKey = `version: 1
zone: local
pool: k8s
concurrency: 8
targets:
  clusters:
    one: {kubeconfig: kube.yaml, namespaces: [shop, pay]}
    two: {in_cluster: true, namespaces: [shop]}
    three: {server: "http://127.0.0.1:1", namespaces: [shop]}
actions:
  k8s.namespaces: {kind: kubernetes, verb: namespaces, target: one, read: true}
  k8s.browse: {kind: kubernetes, verb: browse, target: one}
  k8s.scale:
    kind: kubernetes
    verb: scale
    target: two
    timeout: 60s
    params:
      namespace: {type: string, allow: [shop]}
      deployment: {type: string, pattern: dns-label}
      replicas: {type: int, min: 0, max: 20}
      from: {type: int, optional: true}
  drill.run: {kind: drill, verb: run, read: false, params: {on: {type: bool}, seconds: {type: int, max: 5, optional: true}}}
  drill.list: {kind: drill, verb: list, settings: {items: [a, 5], delay: 1s}}
  drill.state: {kind: drill, verb: state, settings: {fields: {a: b}}}
  drill.guide:
    kind: drill
    verb: guide
    settings:
      guide:
        title: {zh: 甲, en: A}
        ask: 问
        answers:
          - {key: yes1, say: {zh: 是}, then: {text: 好}}
          - {key: no1, say: 否, then: {value: v}}
`

func compileSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	if err := c.AddResource("schema.json", schemaDoc(t)); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func schemaDoc(t *testing.T) any {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(Schema()))
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// document is YAML as an editor gives it to a schema.
func document(t interface{ Fatal(...any) }, data []byte) any {
	var doc yaml.Node
	if err := yaml.Load(data, &doc); err != nil {
		t.Fatal(err)
	}
	return plainOf(&doc)
}

func plainOf(n *yaml.Node) any {
	switch {
	case n.Kind == yaml.DocumentNode && len(n.Content) == 1:
		return plainOf(n.Content[0])
	case n.Kind == yaml.MappingNode:
		out := map[string]any{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			out[n.Content[i].Value] = plainOf(n.Content[i+1])
		}
		return out
	case n.Kind == yaml.SequenceNode:
		out := make([]any, 0, len(n.Content))
		for _, e := range n.Content {
			out = append(out, plainOf(e))
		}
		return out
	case n.ShortTag() == "!!int":
		if v, err := strconv.ParseInt(n.Value, 10, 64); err == nil {
			return v
		}
	case n.ShortTag() == "!!bool":
		return n.Value == "true"
	case n.ShortTag() == "!!null":
		return nil
	}
	return n.Value
}

func TestSchemaTakesWhatIsShipped(t *testing.T) {
	s := compileSchema(t)
	files, err := filepath.Glob("../../../deployments/config/*/catalog.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal("no catalog is shipped", err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Validate(document(t, data)); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
	if _, err := Decode("catalog.yaml", []byte(everyKey)); err != nil {
		t.Error(err)
	}
	if err := s.Validate(document(t, []byte(everyKey))); err != nil {
		t.Error(err)
	}
}

func TestSchemaHasTheKeysOfTheReader(t *testing.T) {
	doc := schemaDoc(t).(map[string]any)
	defs := doc["$defs"].(map[string]any)
	defs[""] = doc
	raw := file{}
	for def, v := range map[string]any{
		"": raw, "targets": raw.Targets, "cluster": cluster{}, "action": action{}, "param": param{}, "settings": settings{}, "guide": guide{}, "answer": answer{},
	} {
		var keys []string
		for i := range reflect.TypeOf(v).NumField() {
			keys = append(keys, reflect.TypeOf(v).Field(i).Tag.Get("yaml"))
		}
		slices.Sort(keys)
		inSchema := slices.Sorted(maps.Keys(defs[def].(map[string]any)["properties"].(map[string]any)))
		if d := cmp.Diff(keys, inSchema); d != "" {
			t.Errorf("%q: reader and schema differ:\n%s", def, d)
		}
		delete(defs, def)
	}
	delete(defs, "languages")
	for name, def := range defs {
		if _, has := def.(map[string]any)["properties"]; has {
			t.Errorf("no reader knows %q of the schema", name)
		}
	}
}

// TestSchemaHasTheVerbs makes an action of every verb with and without what it needs.
func TestSchemaHasTheVerbs(t *testing.T) {
	s := compileSchema(t)
	for kind, verbs := range kinds {
		for verb, v := range verbs {
			for _, read := range []bool{true, false} {
				for _, param := range []string{"", "namespace: {type: string, allow: [shop]}", "namespace: {type: string, allow: [shop]}, deployment: {type: string, allow: [a]}", "more: {type: bool}"} {
					for _, setting := range []string{"", "items: [a]", "fields: {a: b}", "guide: {text: 好}"} {
						data := "version: 1\nzone: a\npool: b\ntargets: {clusters: {one: {in_cluster: true, namespaces: [shop]}}}\nactions:\n  a.b: {kind: " + kind + ", verb: " + verb +
							", read: " + strconv.FormatBool(read) + ", params: {" + param + "}, settings: {" + setting + "}}\n"
						_, err := Decode("catalog.yaml", []byte(data))
						verdict := s.Validate(document(t, []byte(data)))
						if err == nil && verdict != nil || err != nil && verdict == nil && param != "more: {type: bool}" {
							t.Errorf("Decode says %v, the schema %v of\n%s(read %v)", err, verdict, data, v.Read)
						}
					}
				}
			}
		}
	}
}

func TestSchemaRefusesWhatDecodeRefuses(t *testing.T) {
	s := compileSchema(t)
	for _, c := range [][2]string{
		{"version: 1", "version: 2"},
		{"zone: local", "zone: Local"},
		{"pool: k8s\n", ""},
		{"concurrency: 8", "concurrency: 0"},
		{"targets:\n", "target:\n"},
		{"kubeconfig: kube.yaml, ", ""},
		{"in_cluster: true", "in_cluster: false"},
		{"server: \"http://127.0.0.1:1\"", "server: \"http://127.0.0.1:1\", in_cluster: true"},
		{"namespaces: [shop, pay]", "namespaces: []"},
		{"namespaces: [shop, pay]", "namespaces: [Shop]"},
		{"namespaces: [shop, pay]", "namespaces: [shop, shop]"},
		{"namespaces: [shop, pay]", "namespace: [shop]"},
		{"k8s.scale:", "k8s scale:"},
		{"k8s.scale:", "palmops.scale:"},
		{"kind: kubernetes, verb: namespaces", "kind: k8s, verb: namespaces"},
		{"verb: namespaces", "verb: run"},
		{"verb: namespaces,", ""},
		{"read: true}", "read: false}"},
		{"read: false", "read: true"},
		{"timeout: 60s", "timeout: 60"},
		{"timeout: 60s", "timeouts: 60s"},
		{"deployment: {type: string, pattern: dns-label}", "deployment: {pattern: dns-label}"},
		{"min: 0, max: 20", "min: a, max: 20"},
		{"min: 0, max: 20", "min: 0, max: 20, allow: [a]"},
		{"allow: [shop]", "allow: []"},
		{"allow: [shop]", "min: 1"},
		{"      replicas: {type: int, min: 0, max: 20}\n", ""},
		{"on: {type: bool}", "on: {type: float}"},
		{"on: {type: bool}", "On: {type: bool}"},
		{"verb: run,", "verb: run, target: one,"},
		{"items: [a, 5]", "items: [a, a]"},
		{"items: [a, 5]", "guide: {text: x}"},
		{"fields: {a: b}", "fields: [a]"},
		{"delay: 1s", "delay: soon"},
		{"        ask: 问\n", ""},
		{"then: {text: 好}", "then: {}"},
		{"then: {text: 好}", "then: {text: 好, ask: 问}"},
		{"key: yes1, ", ""},
		{"key: yes1", "key: Yes"},
		{"say: {zh: 是}", "say: {de: ja}"},
		{"say: {zh: 是}", "say: \"\""},
		{"say: {zh: 是}, ", ""},
	} {
		if !strings.Contains(everyKey, c[0]) {
			t.Errorf("the catalog has no %q", c[0])
			continue
		}
		data := []byte(strings.Replace(everyKey, c[0], c[1], 1))
		if _, err := Decode("catalog.yaml", data); err == nil {
			t.Errorf("Decode takes %q instead of %q", c[1], c[0])
		}
		if err := s.Validate(document(t, data)); err == nil {
			t.Errorf("the schema takes %q instead of %q", c[1], c[0])
		}
	}
}

// TestSchemaTakesWhatDecodeTakes leaves out or exchanges one thing at random: what Decode still takes, the schema must
// take. A key with nothing behind it is as good as none to Decode and a mistake to the schema.
func TestSchemaTakesWhatDecodeTakes(t *testing.T) {
	s := compileSchema(t)
	lines := strings.Split(strings.TrimSuffix(everyKey, "\n"), "\n")
	words := []string{"read", "timeout", "settings", "params", "local", "x", "5", "true", "[]", "{}", "[shop]", "\"\"", "1s", "{type: int}", "run", "list"}
	rapid.Check(t, func(t *rapid.T) {
		i := rapid.IntRange(0, len(lines)-1).Draw(t, "line")
		line := lines[i]
		if rapid.Bool().Draw(t, "left out") {
			line = ""
		} else {
			fields := strings.FieldsFunc(line, func(r rune) bool { return strings.ContainsRune(" {}[]:,", r) })
			if len(fields) > 0 {
				line = strings.Replace(line, rapid.SampledFrom(fields).Draw(t, "old"), rapid.SampledFrom(words).Draw(t, "new"), 1)
			}
		}
		changed := slices.Clone(lines)
		changed[i] = line
		data := []byte(strings.Join(changed, "\n"))
		if _, err := Decode("catalog.yaml", data); err != nil {
			return
		}
		doc := document(t, data)
		if hasNull(doc) {
			return
		}
		if err := s.Validate(doc); err != nil {
			t.Fatalf("Decode takes what the schema refuses: %v\n%s", err, data)
		}
	})
}

func hasNull(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case map[string]any:
		return slices.ContainsFunc(slices.Collect(maps.Values(v)), hasNull)
	case []any:
		return slices.ContainsFunc(v, hasNull)
	}
	return false
}
