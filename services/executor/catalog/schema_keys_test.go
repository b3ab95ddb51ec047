package catalog

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestSchemaHasTheKeysOfTheReader holds what every kind shares against the schema, key by key.
func TestSchemaHasTheKeysOfTheReader(t *testing.T) {
	t.Parallel()
	var doc map[string]any
	if err := json.Unmarshal(Schema(Kinds{{Name: "plain"}}), &doc); err != nil {
		t.Fatal(err)
	}
	defs := doc["$defs"].(map[string]any)
	defs[""] = doc
	for def, v := range map[string]any{"": file{}, "action": action{}, "param": param{}, "environment": environment{}, "span": span{}} {
		var read []string
		for i := range reflect.TypeOf(v).NumField() {
			read = append(read, reflect.TypeOf(v).Field(i).Tag.Get("yaml"))
		}
		slices.Sort(read)
		inSchema := slices.Sorted(maps.Keys(defs[def].(map[string]any)["properties"].(map[string]any)))
		if d := cmp.Diff(read, inSchema); d != "" {
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

// TestSchemaRefusesForeignFragments: a kind defines names of its own only.
func TestSchemaRefusesForeignFragments(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"{", `{"$defs": {"text": {}}}`, `{"$defs": {"other_thing": {}}}`, `{"settings": []}`} {
		func() {
			defer func() {
				if said, _ := recover().(string); !strings.HasPrefix(said, "catalog: ") {
					t.Errorf("%s: taken", bad)
				}
			}()
			Schema(Kinds{{Name: "plain", Schema: []byte(bad)}})
		}()
	}
}
