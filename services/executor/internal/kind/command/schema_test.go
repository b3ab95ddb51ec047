package command

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestSchemaHasTheKeysOfTheReader: what the reader knows is offered by the schema, key by key.
func TestSchemaHasTheKeysOfTheReader(t *testing.T) {
	t.Parallel()
	type properties struct {
		Properties map[string]any
		Then       *properties
	}
	var f struct {
		Settings map[string]properties
		Defs     map[string]properties `json:"$defs"`
	}
	if err := json.Unmarshal(schema, &f); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		reader any
		schema properties
	}{"settings": {settings{}, f.Settings[verbRun]}, "probe": {probe{}, f.Defs["command_probe"]}, "exit": {outcome{}, *f.Defs["command_exit"].Then}} {
		var read []string
		for i := range reflect.TypeOf(c.reader).NumField() {
			read = append(read, reflect.TypeOf(c.reader).Field(i).Tag.Get("yaml"))
		}
		slices.Sort(read)
		if diff := cmp.Diff(read, slices.Sorted(maps.Keys(c.schema.Properties))); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}
