package catalog_test

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v4"
	"pgregory.net/rapid"

	"palmops/services/executor/app"
	"palmops/services/executor/catalog"
)

// everyKey is a catalog with each key of the language that is not a kind's own, and with those of two kinds.
const everyKey = `version: 1
zone: local
pool: k8s
concurrency: 8
timezone: UTC
environments:
  prod: {title: {zh: 生产, en: production}, locks: [release, db]}
  test: {title: 测试}
mask: ['sid=\S+']
targets:
  clusters:
    one: {kubeconfig: kube.yaml, namespaces: [shop, pay]}
    two: {in_cluster: true, namespaces: [shop, 5]}
    three: {server: "http://127.0.0.1:1", namespaces: [shop]}
actions:
  k8s.namespaces: {kind: kubernetes, verb: namespaces, target: one, read: true}
  k8s.scale:
    kind: kubernetes
    verb: scale
    target: two
    timeout: 60s
    env: prod
    locks: [db]
    per_target: 2
    probe: none
    when: {days: [mon-fri, sun], from: "09:00", to: "24:00"}
    params:
      namespace: {type: string, allow: [shop]}
      deployment: {type: string, pattern: dns-label}
      replicas: {type: int, min: 0, max: 20}
      from: {type: int, optional: true}
  drill.run: {kind: drill, verb: run, read: false, when: [{days: [sat]}, {to: "06:00"}], params: {on: {type: bool}, seconds: {type: int, max: 5, optional: true}}}
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
  cmd.run:
    kind: command
    verb: run
    params: {unit: {type: string, pattern: dns-label}}
    settings:
      argv: [/usr/bin/systemctl, restart, --, "${unit}"]
      user: nobody
      root: false
      dir: /srv
      env: {LANG: C.UTF-8}
      env_files: {TOKEN: token}
      exit: {3: done, 5: {means: nothing, say: {zh: 没有, en: none}}}
      probe: {read: [/usr/bin/systemctl, show, --, "${unit}"], same: unknown}
      on: unit/${unit}
      look: {zh: 看}
      progress: "%"
      grace: 2s
      nice: 5
  cmd.check: {kind: command, verb: run, settings: {argv: [/bin/x], probe: {argv: [/bin/y]}}}
  cmd.show: {kind: command, verb: show, read: true, settings: {argv: [/bin/x]}}
`

func compileSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(catalog.Schema(app.Kinds())))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	if err := c.AddResource("schema.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
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

// shipped are the catalogs that come with the product: those of the samples, and those in the kinds' documentation.
func shipped(t testing.TB) map[string][]byte {
	t.Helper()
	out := map[string][]byte{"every key": []byte(everyKey)}
	for _, pattern := range []string{"../../../deployments/config/*/catalog.yaml", "../internal/kind/*/README.md"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatal("nothing is shipped", pattern, err)
		}
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasSuffix(file, ".md") {
				out[file] = data
				continue
			}
			for i, part := range strings.Split(string(data), "```yaml\n")[1:] {
				if sample, _, _ := strings.Cut(part, "```"); strings.HasPrefix(sample, "version: 1\n") {
					out[fmt.Sprintf("%s, sample %d", file, i+1)] = []byte(sample)
				}
			}
		}
	}
	return out
}

func TestSchemaTakesWhatIsShipped(t *testing.T) {
	t.Parallel()
	s := compileSchema(t)
	for name, data := range shipped(t) {
		if _, err := catalog.Decode(filepath.Join("..", "catalog.yaml"), data, app.Kinds()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := s.Validate(document(t, data)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// unknown is the reader's word about a key that it does not know.
const unknown = "not found in type"

// TestSchemaHasTheVerbs makes an action of every verb of every kind with and without each parameter that it knows, with one that
// it does not, and as what it is not: where the schema refuses the reader does, and the other way round for what is
// said about parameters.
func TestSchemaHasTheVerbs(t *testing.T) {
	t.Parallel()
	s := compileSchema(t)
	for _, spec := range app.Kinds() {
		for name, verb := range spec.Verbs {
			var all []string
			for _, n := range verb.Params {
				all = append(all, n.Name)
			}
			for left := range append(all, "", "surely_unknown") {
				params := map[string]any{}
				for i, n := range verb.Params {
					if i != left {
						params[n.Name] = paramOf(n)
					}
				}
				if left == len(all)+1 {
					params["surely_unknown"] = map[string]any{"type": "bool"}
				}
				for _, read := range []bool{true, false} {
					a := map[string]any{"kind": spec.Name, "verb": name, "read": read, "params": params}
					data, err := yaml.Marshal(map[string]any{"version": 1, "zone": "a", "pool": "b", "actions": map[string]any{"x": a}})
					if err != nil {
						t.Fatal(err)
					}
					_, err = catalog.Decode("c.yaml", data, app.Kinds())
					wrong := err != nil && slices.ContainsFunc([]string{"the verb " + name + " needs the parameter", "the verb takes no parameter", "read must be"}, func(s string) bool { return strings.Contains(err.Error(), s) })
					verdict := s.Validate(document(t, data))
					if said := ""; verdict != nil {
						said = verdict.Error()
						inSchema := strings.Contains(said, "/actions/x/params") && !strings.Contains(said, "missing properties 'params'") || strings.Contains(said, "/actions/x/read")
						if wrong != inSchema {
							t.Errorf("%s %s: the reader says %v, the schema %v of\n%s", spec.Name, name, err, verdict, data)
						}
					} else if err != nil && wrong {
						t.Errorf("%s %s: the reader says %v, the schema nothing of\n%s", spec.Name, name, err, data)
					}
				}
			}
		}
	}
}

// paramOf is a parameter as a catalog may declare it.
func paramOf(n catalog.Need) map[string]any {
	out := map[string]any{"type": n.Type}
	if n.Type == catalog.TypeInt {
		low, high := int64(1), int64(2)
		if n.Min != nil {
			low, high = *n.Min, *n.Min
		}
		if n.Max != nil {
			high = min(max(low, high), *n.Max)
			low = min(low, high)
		}
		out["min"], out["max"] = low, high
	}
	if n.Type == catalog.TypeString && n.Allow == nil && n.Pattern == "" {
		out["pattern"] = "dns-label"
	}
	return out
}

// TestSchemaHasTheSettingsOfTheReaders: a verb whose settings are described is one that has settings, every key that a schema
// offers is one that the reader knows, and a key that is not offered is refused by both.
func TestSchemaHasTheSettingsOfTheReaders(t *testing.T) {
	t.Parallel()
	s := compileSchema(t)
	for _, spec := range app.Kinds() {
		var f struct {
			Target   map[string]any
			Settings map[string]map[string]any
		}
		if len(spec.Schema) > 0 {
			if err := yaml.Load(spec.Schema, &f); err != nil { // JSON is YAML
				t.Fatal(err)
			}
		}
		for verb, described := range f.Settings {
			v, known := spec.Verbs[verb]
			if !known || v.Settings == nil {
				t.Errorf("%s: the schema describes settings of %q, which has none", spec.Name, verb)
				continue
			}
			properties, _ := described["properties"].(map[string]any)
			for _, key := range append(slices.Sorted(maps.Keys(properties)), "surely_unknown") {
				data := "version: 1\nzone: a\npool: b\nactions:\n  x: {kind: " + spec.Name + ", verb: " + verb + ", settings: {" + key + ": null}}\n"
				_, err := catalog.Decode("c.yaml", []byte(data), app.Kinds())
				foreign := err != nil && (strings.Contains(err.Error(), key+" "+unknown) || strings.Contains(err.Error(), "takes no setting "+key))
				if foreign != (key == "surely_unknown") {
					t.Errorf("%s %s: %s: the reader says %v", spec.Name, verb, key, err)
				}
				if key == "surely_unknown" && s.Validate(document(t, []byte(data))) == nil {
					t.Errorf("%s %s: the schema takes any key", spec.Name, verb)
				}
			}
		}
		if spec.Targets != "" && f.Target == nil {
			t.Errorf("%s: the schema does not describe the entries of %s", spec.Name, spec.Targets)
		}
	}
}

func TestSchemaRefusesWhatDecodeRefuses(t *testing.T) {
	t.Parallel()
	s := compileSchema(t)
	for _, c := range [][2]string{
		{"version: 1", "version: 2"},
		{"zone: local", "zone: Local"},
		{"pool: k8s\n", ""},
		{"concurrency: 8", "concurrency: 0"},
		{"timezone: UTC", "timezone: ''"},
		{"timezone: UTC", "time_zone: UTC"},
		{"prod: {title", "Prod: {title"},
		{"locks: [release, db]", "locks: [release, db, db]"},
		{"locks: [release, db]", "lock: [release, db]"},
		{"title: 测试", "title: [测试]"},
		{"mask: ['sid=\\S+']", "mask: ['']"},
		{"targets:\n", "target:\n"},
		{"  clusters:\n", "  cluster:\n"},
		{"k8s.scale:", "k8s scale:"},
		{"k8s.scale:", "palmops.scale:"},
		{"kind: kubernetes, verb: namespaces", "kind: k8s, verb: namespaces"},
		{"verb: namespaces", "verb: run"},
		{"verb: namespaces,", ""},
		{"target: one, read: true}", "target: one, read: false}"},
		{"read: false", "read: true"},
		{"timeout: 60s", "timeout: 60"},
		{"timeout: 60s", "timeouts: 60s"},
		{"    env: prod\n", ""},
		{"per_target: 2", "per_target: 17"},
		{"probe: none", "probe: never"},
		{"locks: [db]", "locks: [db, db]"},
		{"days: [mon-fri, sun]", "days: []"},
		{"days: [mon-fri, sun]", "days: [mon-fri, son]"},
		{"days: [mon-fri, sun]", "day: [mon]"},
		{"from: \"09:00\"", "from: \"24:00\""},
		{"to: \"24:00\"", "to: \"24:01\""},
		{"when: [{days: [sat]}, {to: \"06:00\"}]", "when: []"},
		{"when: [{days: [sat]}, {to: \"06:00\"}]", "when: {}"},
		{"deployment: {type: string, pattern: dns-label}", "deployment: {pattern: dns-label}"},
		{"min: 0, max: 20", "min: a, max: 20"},
		{"min: 0, max: 20", "min: 0, max: 20, allow: [a]"},
		{"max: 5, optional: true", "max: 601, optional: true"},
		{"allow: [shop]", "allow: []"},
		{"allow: [shop]", "min: 1"},
		{"      replicas: {type: int, min: 0, max: 20}\n", ""},
		{"replicas: {type: int, min", "replicas: {type: int, optional: true, min"},
		{"on: {type: bool}", "on: {type: float}"},
		{"on: {type: bool}", "On: {type: bool}"},
		{"verb: run, read", "verb: run, target: one, read"},
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
		{"argv: [/bin/x]}", "argv: []}"},
		{"argv: [/bin/x]}", "argv: [x]}"},
		{", settings: {argv: [/bin/x]}", ""},
		{"dir: /srv", "dir: srv"},
		{"user: nobody", "user: Nobody!"},
		{"env: {LANG: C.UTF-8}", "env: {1LANG: C.UTF-8}"},
		{"exit: {3: done", "exit: {256: done"},
		{"exit: {3: done", "exit: {3: fine"},
		{"{means: nothing, say", "{mean: nothing, say"},
		{"same: unknown", "same: done"},
		{"probe: {argv: [/bin/y]}", "probe: {argv: [/bin/y], same: nothing}"},
		{"probe: {argv: [/bin/y]}", "probe: {argv: [/bin/y], read: [/bin/y]}"},
		{"probe: {argv: [/bin/y]}", "probe: {}"},
		{"grace: 2s", "grace: long"},
		{"nice: 5", "nice: 20"},
		{"verb: show, read: true, settings: {", "verb: show, read: true, settings: {nope: 1, "},
		{"verb: show, read: true, settings: {", "verb: show, read: true, settings: {on: x, "},
	} {
		if !strings.Contains(everyKey, c[0]) {
			t.Errorf("the catalog has no %q", c[0])
			continue
		}
		data := []byte(strings.Replace(everyKey, c[0], c[1], 1))
		if _, err := catalog.Decode("catalog.yaml", data, app.Kinds()); err == nil {
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
	t.Parallel()
	s := compileSchema(t)
	lines := strings.Split(strings.TrimSuffix(everyKey, "\n"), "\n")
	words := []string{"read", "timeout", "settings", "params", "local", "x", "5", "true", "[]", "{}", "[shop]", "\"\"", "1s", "{type: int}", "run", "list", "show", "/bin/z", "done", "[sat]"}
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
		if _, err := catalog.Decode("catalog.yaml", data, app.Kinds()); err != nil {
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
