package http

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/ohler55/ojg/jp"

	"palmops/libs/wire"
	"palmops/services/executor/internal/endpoint"
)

// Limits of what is taken out of an answer.
const (
	maxItems = 5000
	maxValue = 253  // bytes of an item's value: as long as an argument may be
	maxShown = 120  // characters of a label or detail
	maxField = 1000 // characters of a field
	maxPath  = 500  // bytes of a JSON path
)

func parsePath(s string) (x jp.Expr, err error) {
	if !strings.HasPrefix(s, "$") || len(s) > maxPath {
		return nil, fmt.Errorf("a JSON path begins with $ and has at most %d bytes", maxPath)
	}
	x, err = jp.ParseString(s)
	if err != nil {
		return nil, fmt.Errorf("json path: %w", err)
	}
	return x, nil
}

// document reads one JSON value. Whole numbers become int64, others float64 or, where they fit into neither, their text.
func document(body string) (any, error) {
	d := json.NewDecoder(strings.NewReader(body))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, fmt.Errorf("json: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fmt.Errorf("json: more than one value")
	}
	return numbers(v), nil
}

func numbers(v any) any {
	switch x := v.(type) {
	case map[string]any:
		for k, e := range x {
			x[k] = numbers(e)
		}
	case []any:
		for i, e := range x {
			x[i] = numbers(e)
		}
	case json.Number:
		if n, err := x.Int64(); err == nil {
			return n
		}
		if f, err := x.Float64(); err == nil && strings.ContainsAny(x.String(), ".eE") {
			return f
		}
		return x.String() // an integer of more than 64 bits, or a number too large
	}
	return v
}

// show writes a value for a person and for an argument: texts and numbers as they are, the rest as JSON.
func show(v any) string {
	switch x := v.(type) {
	case nil:
		return ""
	case string:
		return x
	}
	data, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	return string(data)
}

// pick is what a path finds; several values are joined. False when it finds nothing.
func pick(doc any, path jp.Expr) (string, bool) {
	found := path.Get(doc)
	var all []string
	for _, v := range found[:min(len(found), 100)] {
		all = append(all, show(v))
	}
	return strings.Join(all, ", "), len(found) > 0
}

// extract takes the fields out of a document. What is not there is empty.
func (s Settings) extract(doc any) map[string]string {
	out := map[string]string{}
	for _, f := range s.Extract {
		v, _ := pick(doc, f.path)
		out[f.name] = endpoint.Line(v, maxField)
	}
	return out
}

// items makes a list. Elements without a value that could be an argument, and repeated ones, are left out.
func (s Settings) items(doc any) ([]wire.Item, error) {
	found := s.Items.Get(doc)
	if len(found) == 1 {
		if all, ok := found[0].([]any); ok {
			found = all
		}
	}
	if found == nil {
		return nil, fmt.Errorf("%s finds nothing", s.Items)
	}
	out := []wire.Item{}
	seen := map[string]bool{}
	for _, e := range found {
		v, _ := pick(e, s.Value)
		if v == "" || len(v) > maxValue || seen[v] || v != endpoint.Line(v, maxValue) {
			continue
		}
		seen[v] = true
		item := wire.Item{Value: v}
		if s.Label != nil {
			label, _ := pick(e, s.Label)
			item.Label = endpoint.Line(label, maxShown)
		}
		if s.Detail != nil {
			detail, _ := pick(e, s.Detail)
			item.Detail = endpoint.Line(detail, maxShown)
		}
		if out = append(out, item); len(out) == maxItems {
			break
		}
	}
	return out, nil
}

func (c Condition) empty() bool { return len(c.Status) == 0 && c.Value == nil }

// holds judges an answer; doc is its document, nil when there is none.
func (c Condition) holds(status int, doc any, args map[string]any) bool {
	if c.empty() || len(c.Status) > 0 && !slices.Contains(c.Status, status) {
		return false
	}
	if c.Value == nil {
		return true
	}
	got, found := pick(doc, c.Value)
	if !found {
		return false
	}
	for _, want := range c.In {
		if want.String(args, nil) == got {
			return true
		}
	}
	return false
}

// pretty indents JSON, so that a phone can break its lines; anything else stays as it is.
func pretty(body string) string {
	var b bytes.Buffer
	if len(body) > 256<<10 || json.Indent(&b, []byte(body), "", "  ") != nil {
		return body
	}
	return b.String()
}
