package http

import (
	"bytes"
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v4"

	"palmops/services/executor/catalog"
)

// TestSchema: the help of an editor takes the README's sample, and not one with a key that is wrong.
func TestSchema(t *testing.T) {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(catalog.Schema(catalog.Kinds{Spec()})))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	if err := c.AddResource("catalog.json", doc); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("catalog.json")
	if err != nil {
		t.Fatal(err)
	}
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindSubmatch(readme)
	if m == nil {
		t.Fatal("the README has no sample")
	}
	judge := func(text string) error {
		var v any
		if err := yaml.Load([]byte(text), &v); err != nil {
			t.Fatal(err)
		}
		data, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		plain, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		return schema.Validate(plain)
	}
	sample := string(m[1])
	if err := judge(sample); err != nil {
		t.Error(err)
	}
	for _, change := range [][2]string{{"base:", "bass:"}, {"probe:", "prob:"}, {"method: POST", "method: GET"}, {"items: \"$.hosts\"", "items: hosts"}, {"undone:", "undo:"}} {
		wrong := strings.Replace(sample, change[0], change[1], 1)
		if wrong == sample || judge(wrong) == nil {
			t.Errorf("%q for %q: taken", change[1], change[0])
		}
	}
}
