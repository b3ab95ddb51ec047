package menu

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"palmops/services/dialog/menu/schematest"
)

func TestSchemaTakesWhatIsShipped(t *testing.T) {
	s := schematest.Compile(t, Schema())
	files, err := filepath.Glob("../../../deployments/config/*/menu.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal("no menu is shipped", err)
	}
	for _, file := range append(files, "testdata/views/menu.yaml", "testdata/views/full.yaml") {
		all, err := ReadFiles(file)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Build(filepath.Base(file), all, BuildOptions{}); err != nil {
			t.Error(err)
		}
		for name, data := range all {
			if err := s.Validate(schematest.Document(t, data)); err != nil {
				t.Errorf("%s, %s: %v", file, name, err)
			}
		}
	}
}

// schemaPlaces says where the schema has what the readers call by a name.
var schemaPlaces = map[string]string{
	"a menu": "menu", "session": "session", "an item": "item", "items": "include", "an include": "include", "an included file": "",
	"a step": "step", "dynamic": "dynamic", "table": "table", "a line": "line", "input": "input", "custom": "custom", "confirm": "confirm",
	"action": "action", "report": "report", schematest.Computed: "source", // and words
}

func TestSchemaHasTheKeysOfTheReaders(t *testing.T) {
	inSchema := schematest.Properties(t, Schema())
	seen := map[string]bool{"words": true} // whose keys are the languages
	for what, keys := range schematest.ReaderKeys(t, ".") {
		def, known := schemaPlaces[what]
		if !known {
			t.Errorf("the schema says nothing of %q, which has %v", what, keys)
		}
		if def == "" {
			continue
		}
		seen[def] = true
		keys = slices.DeleteFunc(keys, func(k string) bool { return k == schematest.Computed })
		if d := cmp.Diff(keys, inSchema[def]); d != "" {
			t.Errorf("%s: reader and schema differ:\n%s", what, d)
		}
	}
	for def := range inSchema {
		if !seen[def] {
			t.Errorf("no reader knows %s of the schema", def)
		}
	}
}

// TestSchemaRefusesWhatBuildRefuses changes one thing of a menu at a time.
func TestSchemaRefusesWhatBuildRefuses(t *testing.T) {
	full, err := os.ReadFile("testdata/views/full.yaml")
	if err != nil {
		t.Fatal(err)
	}
	s := schematest.Compile(t, Schema())
	for _, c := range [][2]string{
		{"version: 1", "version: 2"},
		{"first: 0", "first: 2"},
		{"page_size: 5", "page_size: 21"},
		{"page_size: 5", "page_size: five"},
		{"fixed: true", "fixed: maybe"},
		{"timeout: 10m", "timeout: 10"},
		{"cards: true", "card: true"},
		{"language: en", "language: fr"},
		{"title: {zh: 掌上运维, en: Palm operations}\n", ""},
		{"include: parts/more.yaml", "include: ../more.yaml"},
		{"include: parts/more.yaml", "include: /more.yaml"},
		{"include: parts/more.yaml", "include: more.txt"},
		{"id: area\n", "id: Area\n"},
		{"    title: 区域\n", ""},
		{"    title: 区域\n", "    title: {de: Gebiet}\n"},
		{"    title: 区域\n", "    title: \"\"\n"},
		{"[地区, region, 5]", "地区"},
		{"    when: hour >= 9\n", "    when: [hour]\n"},
		{"link: out}", "link: out, open: recent}"},
		{"link: out}", "link: out, steps: []}"},
		{"open: tasks", "open: rooms"},
		{"title: 任务, open: tasks", "title: 任务"},
		{"- input: {param: host, type: dns_label}", "- input: {param: host, type: dns_name}"},
		{"- input: {param: host, type: dns_label}", "- input: {param: host, type: dns_label, min: 1}"},
		{"type: dns_label", "type: dns_label, pattern: x"},
		{"type: dns_label", "type: dns_label, values: [a]"},
		{"type: dns_label", "type: dns_label, from: today"},
		{"type: dns_label", "type: dns_label, max_length: 5"},
		{"min: 0, max: 20", "min: 30s, max: 20"},
		{"min: 30s, max: 2d", "min: 30, max: 2d"},
		{"min: 80, max: 8080", "min: 0, max: 8080"},
		{"max_length: 20", "max_length: 300"},
		{"type: enum, values: [web, db]", "type: enum"},
		{"lists: {bj", "list: {bj"},
		{"by: $region", "by: region"},
		{"directory: members", "directory: people"},
		{"directory: members, in: 7", "directory: members, in: all"},
		{"in: 7, multi: true, ", "in: 7, "},
		{"least: 1", "least: 0"},
		{"param: people, ", ""},
		{"source: {zone: local, pool: k8s, action: k8s.list,", "directory: members\n              source: {zone: local, pool: k8s, action: k8s.list,"},
		{"zone: local, pool: k8s, action: k8s.list,", "pool: k8s, action: k8s.list,"},
		{"all: true", "all: [true]"},
		{"all: true", "All: true"},
		{"lines: [bj,", "lines: [[bj],"},
		{"{value: sh,", "{"},
		{"go: cidr", "go: cidr, remote: {zone: local, pool: k8s, action: k8s.browse}"},
		{", go: cidr", ""},
		{"by: code", "by: hand"},
		{"              text: {zh:", "              say: {zh:"},
		{"title: 做", "titel: 做"},
		{"          - custom: {param: net,", "          - input: {param: q, type: int}\n            custom: {param: net,"},
		{"items: {include: parts/out.yaml}", "items: {file: parts/out.yaml}"},
		{"items: {include: parts/out.yaml}", "items: []"},
		{"cache: 1m", "cache: often"},
		{"table: {by", "cache: 1m, table: {by"},
		{"param: port", "param: Port"},
	} {
		if !bytes.Contains(full, []byte(c[0])) {
			t.Errorf("the menu has no %q", c[0])
			continue
		}
		data := []byte(strings.Replace(string(full), c[0], c[1], 1))
		if _, err := Build("full.yaml", Files{"full.yaml": data, "parts/more.yaml": []byte("version: 1\nitems: [{id: m, title: 更多, open: favourites}]\n"), "parts/out.yaml": []byte("version: 1\nitems: [{id: o, title: 更多, open: favourites}]\n")}, BuildOptions{}); err == nil {
			t.Errorf("Build takes %q instead of %q", c[1], c[0])
		}
		if err := s.Validate(schematest.Document(t, data)); err == nil {
			t.Errorf("the schema takes %q instead of %q", c[1], c[0])
		}
	}
}

// TestSchemaTakesWhatBuildTakes changes a menu at random: what Build still takes, the schema must take.
func TestSchemaTakesWhatBuildTakes(t *testing.T) {
	s := schematest.Compile(t, Schema())
	files, err := ReadFiles("testdata/views/full.yaml")
	if err != nil {
		t.Fatal(err)
	}
	keys := []string{"zzz", "zh", "value"}
	for _, k := range schematest.ReaderKeys(t, ".") {
		keys = append(keys, k...)
	}
	slices.Sort(keys)
	values := []string{"x", "5", "true", "null", "[]", "{}", "[x]", "1.5", "$region", "today", "{zh: 甲}", "2m", "\"\"", "-1"}
	rapid.Check(t, func(t *rapid.T) {
		data := schematest.Change(t, files["full.yaml"], keys, values)
		changed := maps.Clone(files)
		changed["full.yaml"] = data
		if _, err := Build("full.yaml", changed, BuildOptions{}); err != nil {
			return
		}
		if err := s.Validate(schematest.Document(t, data)); err != nil {
			t.Fatalf("Build takes what the schema refuses: %v\n%s", err, data)
		}
	})
}
