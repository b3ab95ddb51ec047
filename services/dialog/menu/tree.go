package menu

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"

	"palmops/libs/conf"
	"palmops/libs/lang"
)

const nullTag = "!!null"

// Tree reads a YAML document place by place. A wrong place is noted with its line and read as the zero value, so that
// one look at a file finds every mistake in it. The policy's files are read with it as well.
type Tree struct {
	File     string
	Problems conf.Problems
}

// Parse gives the document's first node, nil after a mistake that leaves nothing to read.
func (t *Tree) Parse(data []byte) *yaml.Node {
	if len(data) > conf.MaxFile {
		t.Problems.Add(t.File, 0, "the file has %d bytes, the limit is %d", len(data), conf.MaxFile)
		return nil
	}
	var doc yaml.Node
	if err := yaml.Load(data, &doc); err != nil {
		if strings.Contains(err.Error(), "no documents") {
			t.Problems.Add(t.File, 0, "the file is empty")
			return nil
		}
		// conf knows how to take the error apart. It reads the file again, which is why it is not asked first.
		if err = conf.Decode(t.File, data, &doc); err == nil {
			err = errors.New("this is no YAML document")
		}
		t.Problems.Merge(t.File, err)
		return nil
	}
	if n := aliasIn(&doc); n != nil {
		t.Add(n, "anchors and aliases are not allowed")
		return nil
	}
	if doc.Kind == yaml.DocumentNode && len(doc.Content) == 1 {
		return doc.Content[0]
	}
	if doc.Kind == 0 {
		t.Problems.Add(t.File, 0, "the file is empty")
		return nil
	}
	return &doc
}

// aliasIn finds an anchor or an alias: a few of them can unfold to gigabytes, and a text far away would say what a place means.
func aliasIn(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode || n.Anchor != "" {
		return n
	}
	for _, c := range n.Content {
		if a := aliasIn(c); a != nil {
			return a
		}
	}
	return nil
}

// Add notes a mistake at a node.
func (t *Tree) Add(n *yaml.Node, format string, args ...any) {
	line := 0
	if n != nil {
		line = n.Line
	}
	t.Problems.Add(t.File, line, format, args...)
}

// Fields is a mapping's content by key. Keys that are not known, or come twice, are mistakes.
func (t *Tree) Fields(n *yaml.Node, what string, known ...string) map[string]*yaml.Node {
	out := make(map[string]*yaml.Node, min(len(n.Content)/2, len(known)))
	if n.Kind != yaml.MappingNode {
		t.Add(n, "%s must have the keys %s", what, strings.Join(known, ", "))
		return out
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		switch {
		case !slices.Contains(known, key.Value):
			t.Add(key, "%s has no key %q; it has %s", what, key.Value, strings.Join(known, ", "))
		case out[key.Value] != nil:
			first := 0
			for n.Content[first].Value != key.Value {
				first += 2
			}
			t.Add(key, "%q is already set in line %d", key.Value, n.Content[first].Line)
		default:
			out[key.Value] = n.Content[i+1]
		}
	}
	return out
}

// Keys is a mapping with names of the author's choice, in the order of the file.
func (t *Tree) Keys(n *yaml.Node, what string) func(yield func(*yaml.Node, *yaml.Node) bool) {
	if n.Kind != yaml.MappingNode {
		t.Add(n, "%s must be a mapping of names", what)
		return func(func(*yaml.Node, *yaml.Node) bool) {}
	}
	return t.pairs(n)
}

func (t *Tree) pairs(n *yaml.Node) func(yield func(*yaml.Node, *yaml.Node) bool) {
	return func(yield func(*yaml.Node, *yaml.Node) bool) {
		seen := map[string]int{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			key := n.Content[i]
			if first, twice := seen[key.Value]; twice {
				t.Add(key, "%q is already set in line %d", key.Value, first)
				continue
			}
			seen[key.Value] = key.Line
			if !yield(key, n.Content[i+1]) {
				return
			}
		}
	}
}

// Sequence is the elements of a list.
func (t *Tree) Sequence(n *yaml.Node, what string) []*yaml.Node {
	if n == nil {
		return nil
	}
	if n.Kind != yaml.SequenceNode {
		t.Add(n, "%s must be a list", what)
		return nil
	}
	return n.Content
}

// Text is a scalar as text, "" when the node is missing. It may have most characters, be one line and must be UTF-8
// without control characters.
func (t *Tree) Text(n *yaml.Node, what string, most int) string {
	if n == nil {
		return ""
	}
	if n.Kind != yaml.ScalarNode || n.ShortTag() == nullTag {
		t.Add(n, "%s must be a text", what)
		return ""
	}
	if strings.ContainsFunc(n.Value, func(r rune) bool { return r < ' ' || r == 0x7f || r == utf8.RuneError }) {
		t.Add(n, "%s must be one line without control characters", what)
		return ""
	}
	if c := utf8.RuneCountInString(n.Value); c > most {
		t.Add(n, "%s has %d characters, the limit is %d", what, c, most)
	}
	return n.Value
}

// Words is a text in one language or several: a scalar, which is Chinese or the same in all languages, or {zh: …, en: …}.
// Each is read as by Text and must not be empty.
func (t *Tree) Words(n *yaml.Node, what string, most int) lang.Words {
	if n == nil {
		return lang.Words{}
	}
	if n.Kind != yaml.MappingNode {
		return lang.Words{ZH: t.filled(n, what, most)}
	}
	f := t.Fields(n, what, string(lang.Chinese), string(lang.English))
	w := lang.Words{
		ZH: t.filled(f[string(lang.Chinese)], what+" in zh", most),
		EN: t.filled(f[string(lang.English)], what+" in en", most),
	}
	if len(f) == 0 {
		t.Add(n, "%s must be a text, or have the keys zh, en", what)
	}
	return w
}

// filled is a Text that must not be empty.
func (t *Tree) filled(n *yaml.Node, what string, most int) string {
	s := t.Text(n, what, most)
	if n != nil && n.Kind == yaml.ScalarNode && n.Value == "" && n.ShortTag() != nullTag {
		t.Add(n, "%s is empty", what)
	}
	return s
}

// Integer is a whole number within limits; def when the node is missing.
func (t *Tree) Integer(n *yaml.Node, what string, least, most, def int64) int64 {
	if n == nil {
		return def
	}
	v, err := strconv.ParseInt(n.Value, 10, 64)
	if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!int" || err != nil {
		t.Add(n, "%s must be a whole number", what)
		return def
	}
	switch {
	case least == most && v != least:
		t.Add(n, "%s is %d, it must be %d", what, v, least)
		return def
	case v < least || v > most:
		t.Add(n, "%s is %d, it must be %d to %d", what, v, least, most)
		return def
	}
	return v
}

// Bool is true or false; false when the node is missing.
func (t *Tree) Bool(n *yaml.Node, what string) bool {
	if n == nil {
		return false
	}
	if n.Kind != yaml.ScalarNode || n.Value != "true" && n.Value != "false" {
		t.Add(n, "%s must be true or false", what)
		return false
	}
	return n.Value == "true"
}

// Duration is a time such as 600s or 5m within limits; def when the node is missing.
func (t *Tree) Duration(n *yaml.Node, what string, least, most, def time.Duration) time.Duration {
	if n == nil {
		return def
	}
	v, err := time.ParseDuration(n.Value)
	if n.Kind != yaml.ScalarNode || err != nil {
		t.Add(n, "%s must be a duration such as 600s or 5m", what)
		return def
	}
	if v < least || v > most {
		t.Add(n, "%s is %s, it must be %s to %s", what, v, least, most)
		return def
	}
	return v
}

// Need notes a mistake when a key is missing from fields.
func (t *Tree) Need(at *yaml.Node, fields map[string]*yaml.Node, what string, keys ...string) {
	for _, k := range keys {
		if fields[k] == nil {
			t.Add(at, "%s needs the key %s", what, k)
		}
	}
}

// scalar is a value of its own type: text, whole number or boolean.
func (t *Tree) scalar(n *yaml.Node, what string) (any, error) {
	if n.Kind != yaml.ScalarNode {
		return nil, fmt.Errorf("%s must be a text, a whole number, true or false", what)
	}
	switch n.ShortTag() {
	case "!!int":
		v, err := strconv.ParseInt(n.Value, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("%s: %s is not a whole number in decimal", what, n.Value)
		}
		return v, nil
	case "!!bool":
		if n.Value != "true" && n.Value != "false" {
			return nil, fmt.Errorf("%s: write true or false", what)
		}
		return n.Value == "true", nil
	case "!!str":
		return n.Value, nil
	}
	return nil, fmt.Errorf("%s must be a text, a whole number, true or false", what)
}
