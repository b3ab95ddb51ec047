package http

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"

	"palmops/libs/fault"
	"palmops/services/executor/internal/fill"
)

// Limits of a body.
const (
	maxDepth = 32
	maxBody  = 256 << 10 // bytes, filled
)

// template is a JSON value with places for arguments in its texts.
type template struct {
	object map[string]*template
	list   []*template // not nil for a list
	text   *fill.Text
	fixed  json.RawMessage // anything else
}

// body reads a template. Keys of objects have no places.
func (r reader) body(n *yaml.Node, at []string) *template {
	if len(at) > maxDepth {
		r.s.Bad(at, "the body is deeper than %d", maxDepth)
		return &template{fixed: json.RawMessage("null")}
	}
	switch n.Kind {
	case yaml.MappingNode:
		t := &template{object: map[string]*template{}}
		for i := 0; i+1 < len(n.Content); i += 2 {
			key := n.Content[i].Value
			here := append(slices.Clone(at), key)
			if _, twice := t.object[key]; twice || strings.Contains(key, "${") {
				r.s.Bad(here, "key %q is there twice or has a place", key)
			}
			t.object[key] = r.body(n.Content[i+1], here)
		}
		return t
	case yaml.SequenceNode:
		t := &template{list: []*template{}}
		for i, c := range n.Content {
			t.list = append(t.list, r.body(c, append(slices.Clone(at), strconv.Itoa(i))))
		}
		return t
	}
	if n.ShortTag() == "!!str" {
		text := r.text(n.Value, true, at...)
		return &template{text: &text}
	}
	var v any
	if err := n.Load(&v); err == nil {
		if data, err := json.Marshal(v); err == nil {
			return &template{fixed: data}
		}
	}
	r.s.Bad(at, "%q has no form in JSON", n.Value)
	return &template{fixed: json.RawMessage("null")}
}

// fill makes the JSON value. A text that is one place and nothing else becomes the argument with its own type, and is left
// out where the argument is not given.
func (t *template) fill(args map[string]any) (v any, given bool) {
	switch {
	case t.object != nil:
		out := map[string]any{}
		for _, key := range slices.Sorted(maps.Keys(t.object)) {
			if v, ok := t.object[key].fill(args); ok {
				out[key] = v
			}
		}
		return out, true
	case t.list != nil:
		out := []any{}
		for _, e := range t.list {
			if v, ok := e.fill(args); ok {
				out = append(out, v)
			}
		}
		return out, true
	case t.text == nil:
		return t.fixed, true
	}
	if name := t.text.Only(); name != "" {
		v, ok := args[name]
		return v, ok && v != nil
	}
	return t.text.String(args, nil), true
}

// bytes is the filled body; nil for none.
func (t *template) bytes(args map[string]any) ([]byte, error) {
	if t == nil {
		return nil, nil
	}
	v, given := t.fill(args)
	if !given {
		return nil, nil
	}
	data, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("body: %w", err)
	}
	if len(data) > maxBody {
		return nil, fault.New(fault.Invalid, "the body would have %d bytes", len(data))
	}
	return data, nil
}

// fillPath makes an escaped path. A value that could add a segment, or be taken for one that means a place, is refused, since
// many servers undo the escapes before they look at the path.
func fillPath(t fill.Text, args map[string]any) (string, error) {
	for _, name := range t.Names() {
		v := fill.Value(args[name])
		if v == "" || strings.ContainsAny(v, "/\\;") || strings.ContainsFunc(v, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			return "", fault.New(fault.Invalid, "argument %q cannot stand in a path", name)
		}
	}
	p := t.String(args, url.PathEscape)
	if slices.ContainsFunc(strings.Split(p, "/"), dots) {
		return "", fault.New(fault.Invalid, "an argument makes a segment of dots")
	}
	return p, nil
}

// dots reports whether a segment of a path means this or the one above, escaped or not.
func dots(segment string) bool {
	s, err := url.PathUnescape(segment)
	return err != nil || s == "." || s == ".."
}

func unescapes(s string) bool {
	_, err := url.PathUnescape(s)
	return err == nil
}

// fillQuery leaves out what is one place without an argument.
func fillQuery(pairs []pair, args map[string]any) url.Values {
	out := url.Values{}
	for _, p := range pairs {
		if name := p.text.Only(); name != "" && args[name] == nil {
			continue
		}
		out.Set(p.key, p.text.String(args, nil))
	}
	return out
}
