package policy_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"palmops/services/dialog/menu/schematest"
	"palmops/services/dialog/policy"
)

// everyKey is a policy with each key of the language.
const everyKey = `version: 1
timezone: Europe/Berlin
roles:
  lead: {users: [lisi, 1001], departments: [7], tags: [3], not_users: [wangwu]}
  night: {tags: [4]}
grants:
  - role: lead
    menu: [retail, pay]
    actions: [k8s.*, db.kill]
    env: [prod]
    args:
      namespace: [shop, 5]
      replicas: {min: 0, max: 20}
      name: {pattern: "[a-z]+"}
    hours: {days: [mon-fri, sun], from: "09:00", to: "18:00"}
  - {role: night, menu: [tools], hours: [{days: [sat]}, {from: "22:00", to: "06:00"}, {to: "24:00"}]}
freezes:
  - name: sale
    from: "2026-11-10 00:00"
    to: 2026-11-12T06:00:00+08:00
    reason: {zh: 大促, en: sale}
    menu: [retail]
    actions: [k8s.scale]
    env: [prod]
    except_roles: [lead]
`

func TestSchemaTakesWhatIsShipped(t *testing.T) {
	s := schematest.Compile(t, policy.Schema())
	files, err := filepath.Glob("../../../deployments/config/*/policy.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal("no policy is shipped", err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Validate(schematest.Document(t, data)); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
	if _, err := policy.Parse("policy.yaml", []byte(everyKey)); err != nil {
		t.Error(err)
	}
	if err := s.Validate(schematest.Document(t, []byte(everyKey))); err != nil {
		t.Error(err)
	}
}

func TestSchemaHasTheKeysOfTheReader(t *testing.T) {
	places := map[string]string{"a policy": "", "a role": "role", "a grant": "grant", "an argument": "limits", "hours": "hours", "a freeze": "freeze"}
	inSchema := schematest.Properties(t, policy.Schema())
	for what, keys := range schematest.ReaderKeys(t, ".") {
		def, known := places[what]
		if !known {
			t.Errorf("the schema says nothing of %q, which has %v", what, keys)
			continue
		}
		if d := cmp.Diff(keys, inSchema[def]); d != "" {
			t.Errorf("%s: reader and schema differ:\n%s", what, d)
		}
		delete(inSchema, def)
	}
	for def := range inSchema {
		t.Errorf("no reader knows %q of the schema", def)
	}
}

func TestSchemaRefusesWhatParseRefuses(t *testing.T) {
	s := schematest.Compile(t, policy.Schema())
	for _, c := range [][2]string{
		{"version: 1", "version: 2"},
		{"timezone: Europe/Berlin", "timezone: []"},
		{"roles:", "rolls:"},
		{"  lead: {", "  Lead: {"},
		{"{tags: [4]}", "{}"},
		{"{tags: [4]}", "{not_users: [a]}"},
		{"tags: [4]", "tags: [four]"},
		{"departments: [7]", "departments: [0]"},
		{"users: [lisi, 1001]", "users: lisi"},
		{"menu: [retail, pay]", "menu: []"},
		{"menu: [retail, pay]", "menus: [retail]"},
		{"  - role: lead\n", "  - rule: lead\n"},
		{"[k8s.*, db.kill]", "[k8s.*.x]"},
		{"[k8s.*, db.kill]", "[K8s]"},
		{"    actions: [k8s.*, db.kill]\n", ""},
		{"env: [prod]\n    args", "env: prod\n    args"},
		{"namespace: [shop, 5]", "namespace: []"},
		{"namespace: [shop, 5]", "Namespace: [shop]"},
		{"{min: 0, max: 20}", "{}"},
		{"{min: 0, max: 20}", "{min: a}"},
		{"{min: 0, max: 20}", "{min: 0, pattern: x}"},
		{"{min: 0, max: 20}", "{least: 0}"},
		{"{pattern: \"[a-z]+\"}", "{pattern: \"\"}"},
		{"mon-fri", "mo-fr"},
		{"\"09:00\"", "\"9:00\""},
		{"\"09:00\"", "\"25:00\""},
		{"[{days: [sat]},", "[{},"},
		{"[{days: [sat]},", "[{days: []},"},
		{"hours: {days", "hours: {day"},
		{"  - name: sale\n    from:", "  - from:"},
		{"reason: {zh: 大促, en: sale}", "reason: {fr: x}"},
		{"reason: {zh: 大促, en: sale}\n", "cause: x\n"},
		{"\"2026-11-10 00:00\"", "tomorrow"},
		{"except_roles: [lead]", "except_roles: []"},
		{"except_roles: [lead]", "except: [lead]"},
		{"    actions: [k8s.scale]", "    actions: [\"*\"]"},
	} {
		if !strings.Contains(everyKey, c[0]) {
			t.Errorf("the policy has no %q", c[0])
			continue
		}
		data := []byte(strings.Replace(everyKey, c[0], c[1], 1))
		if _, err := policy.Parse("policy.yaml", data); err == nil {
			t.Errorf("Parse takes %q instead of %q", c[1], c[0])
		}
		if err := s.Validate(schematest.Document(t, data)); err == nil {
			t.Errorf("the schema takes %q instead of %q", c[1], c[0])
		}
	}
}

// TestSchemaTakesWhatParseTakes changes a policy at random: what Parse still takes, the schema must take.
func TestSchemaTakesWhatParseTakes(t *testing.T) {
	s := schematest.Compile(t, policy.Schema())
	keys := []string{"zzz", "zh", "lead"}
	for _, k := range schematest.ReaderKeys(t, ".") {
		keys = append(keys, k...)
	}
	slices.Sort(keys)
	values := []string{"x", "5", "true", "null", "[]", "{}", "[x]", "[5]", "1.5", "lead", "\"10:00\"", "k8s.*", "mon", "{zh: 甲}", "{min: 1}", "\"\"", "-1", "2026-11-10T00:00:00Z"}
	rapid.Check(t, func(t *rapid.T) {
		data := schematest.Change(t, []byte(everyKey), keys, values)
		if _, err := policy.Parse("policy.yaml", data); err != nil {
			return
		}
		if err := s.Validate(schematest.Document(t, data)); err != nil {
			t.Fatalf("Parse takes what the schema refuses: %v\n%s", err, data)
		}
	})
}
