// Package schematest holds JSON Schemas against the readers of the files they describe.
package schematest

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v4"
	"pgregory.net/rapid"
)

// Compile makes a validator of a schema.
func Compile(t testing.TB, schema []byte) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(schema))
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

// Properties are the keys that a schema has at each of its $defs, and under "" at its top.
func Properties(t testing.TB, schema []byte) map[string][]string {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(schema))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]string{}
	take := func(name string, def any) {
		m, _ := def.(map[string]any)
		if p, ok := m["properties"].(map[string]any); ok {
			out[name] = slices.Sorted(maps.Keys(p))
		}
	}
	take("", doc)
	defs, _ := doc.(map[string]any)["$defs"].(map[string]any)
	for name, def := range defs {
		take(name, def)
	}
	return out
}

// Document is YAML as an editor gives it to a schema.
func Document(t interface{ Fatal(...any) }, data []byte) any {
	var doc yaml.Node
	if err := yaml.Load(data, &doc); err != nil {
		t.Fatal(err)
	}
	return plain(&doc)
}

func plain(n *yaml.Node) any {
	switch n.Kind {
	case yaml.DocumentNode:
		if len(n.Content) == 1 {
			return plain(n.Content[0])
		}
	case yaml.MappingNode:
		out := map[string]any{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			out[n.Content[i].Value] = plain(n.Content[i+1])
		}
		return out
	case yaml.SequenceNode:
		out := make([]any, 0, len(n.Content))
		for _, e := range n.Content {
			out = append(out, plain(e))
		}
		return out
	case yaml.ScalarNode:
		return scalar(n)
	}
	return nil
}

func scalar(n *yaml.Node) any {
	switch n.ShortTag() {
	case "!!int":
		if v, err := strconv.ParseInt(n.Value, 10, 64); err == nil {
			return v
		}
	case "!!float":
		if v, err := strconv.ParseFloat(n.Value, 64); err == nil {
			return v
		}
	case "!!bool":
		return n.Value == "true"
	case "!!null":
		return nil
	}
	return n.Value
}

// Computed stands among the keys of ReaderKeys for one that is not a literal.
const Computed = "(computed)"

// ReaderKeys are the keys that the readers in a folder know, by what they call the place: the literals in their calls of
// menu.Tree's Fields. A place whose name is not a literal has the name Computed.
func ReaderKeys(t testing.TB, dir string) map[string][]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]string{}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if call, ok := n.(*ast.CallExpr); ok && len(call.Args) > 2 {
				if sel, ok := call.Fun.(*ast.SelectorExpr); ok && sel.Sel.Name == "Fields" {
					what := literal(call.Args[1])
					for _, a := range call.Args[2:] {
						out[what] = append(out[what], literal(a))
					}
				}
			}
			return true
		})
	}
	for what := range out {
		slices.Sort(out[what])
		out[what] = slices.Compact(out[what])
	}
	return out
}

func literal(e ast.Expr) string {
	if lit, ok := e.(*ast.BasicLit); ok {
		if s, err := strconv.Unquote(lit.Value); err == nil {
			return s
		}
	}
	return Computed
}

// Change makes one change in a document at random: something else in a place, something left out, or another key.
// It skips the test when no document comes of it.
func Change(t *rapid.T, data []byte, keys, values []string) []byte {
	var doc yaml.Node
	if err := yaml.Load(data, &doc); err != nil {
		t.Fatal(err)
	}
	n := rapid.SampledFrom(below(&doc)[1:]).Draw(t, "place")
	switch how := rapid.IntRange(0, 2).Draw(t, "how"); {
	case how == 0:
		var o yaml.Node
		if err := yaml.Load([]byte(rapid.SampledFrom(values).Draw(t, "value")), &o); err != nil {
			t.Fatal(err)
		}
		*n = *o.Content[0]
	case len(n.Content) == 0:
	case how == 1 && n.Kind == yaml.SequenceNode:
		i := rapid.IntRange(0, len(n.Content)-1).Draw(t, "element")
		n.Content = slices.Delete(n.Content, i, i+1)
	case n.Kind == yaml.MappingNode:
		i := 2 * rapid.IntRange(0, len(n.Content)/2-1).Draw(t, "pair")
		if how == 1 {
			n.Content = slices.Delete(n.Content, i, i+2)
		} else {
			n.Content[i].Value = rapid.SampledFrom(keys).Draw(t, "key")
		}
	}
	out, err := yaml.Marshal(&doc)
	if err != nil {
		t.Skip("this is no document any more")
	}
	return out
}

func below(n *yaml.Node) []*yaml.Node {
	out := []*yaml.Node{n}
	for _, c := range n.Content {
		out = append(out, below(c)...)
	}
	return out
}
