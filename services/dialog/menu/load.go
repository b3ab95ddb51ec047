package menu

import (
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"time"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"

	"palmops/libs/conf"
)

// Defaults of a menu file.
const (
	DefaultPage    = 8
	DefaultTimeout = 600 * time.Second
	DefaultExpires = 120 * time.Second
)

var (
	idForm    = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)
	paramForm = regexp.MustCompile(`^[a-z][a-z0-9_]{0,31}$`)
	placeForm = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,62}$`)
	actForm   = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]*(\.[a-z0-9][a-z0-9_-]*)*$`)
)

// Load reads a menu file. The error is of type conf.Problems and holds every mistake with its line.
func Load(path string) (*Menu, error) {
	data, err := conf.Read(path)
	if err != nil {
		return nil, err
	}
	return Parse(path, data)
}

// Parse reads a menu; file is its name in the error, which is of type conf.Problems.
func Parse(file string, data []byte) (*Menu, error) {
	r := &reader{Tree: Tree{File: file}}
	sum := sha256.Sum256(data)
	m := &Menu{File: file, Rev: hex.EncodeToString(sum[:])[:12], Root: &Node{}, nodes: map[string]*Node{}}
	r.m = m
	if doc := r.Parse(data); doc != nil {
		r.menu(doc)
	}
	if err := r.Problems.Err(); err != nil {
		return nil, err
	}
	return m, nil
}

type reader struct {
	Tree
	m *Menu
}

func (r *reader) menu(doc *yaml.Node) {
	f := r.Fields(doc, "a menu", "version", "title", "first", "page_size", "session", "items")
	r.Need(doc, f, "a menu", "version", "title", "items")
	r.Integer(f["version"], "version", 1, 1, 1)
	m := r.m
	m.Title = r.label(f["title"], "title")
	m.First = int(r.Integer(f["first"], "first", 0, 1, 1))
	m.PageSize = int(r.Integer(f["page_size"], "page_size", 1, MaxPage, DefaultPage))
	m.Timeout = DefaultTimeout
	if n := f["session"]; n != nil {
		s := r.Fields(n, "session", "timeout", "fixed")
		m.Timeout = r.Duration(s["timeout"], "timeout", time.Second, 24*time.Hour, DefaultTimeout)
		m.Fixed = r.Bool(s["fixed"], "fixed")
	}
	m.Root.Title, m.Root.Line = m.Title, doc.Line
	m.Root.Items = r.items(f["items"], m.Root, 1)
}

func (r *reader) label(n *yaml.Node, what string) string {
	s := r.Text(n, what, MaxLabel)
	if n != nil && s == "" && n.Kind == yaml.ScalarNode && n.Value == "" {
		r.Add(n, "%s is empty", what)
	}
	if len(s) > MaxBytes && utf8.RuneCountInString(s) <= MaxLabel {
		r.Add(n, "%s takes %d bytes, the limit is %d", what, len(s), MaxBytes)
	}
	return s
}

func (r *reader) items(n *yaml.Node, parent *Node, depth int) []*Node {
	list := r.Sequence(n, "items")
	switch {
	case n == nil:
		return nil
	case n.Kind == yaml.SequenceNode && len(list) == 0:
		r.Add(n, "items is empty")
	case len(list) > MaxItems:
		r.Add(n, "items has %d entries, the limit is %d", len(list), MaxItems)
		return nil
	case depth > MaxDepth:
		r.Add(n, "the menu is more than %d levels deep", MaxDepth)
		return nil
	}
	var nodes []*Node
	for _, item := range list {
		nodes = append(nodes, r.node(item, parent, depth))
	}
	return nodes
}

func (r *reader) node(n *yaml.Node, parent *Node, depth int) *Node {
	f := r.Fields(n, "an item", "id", "title", "items", "steps")
	r.Need(n, f, "an item", "id", "title")
	node := &Node{ID: r.name(f["id"], "id", idForm), Title: r.label(f["title"], "title"), Line: n.Line, Parent: parent}
	if node.ID != "" {
		if first := r.m.nodes[node.ID]; first != nil {
			r.Add(f["id"], "id %q is already used in line %d", node.ID, first.Line)
		} else {
			r.m.nodes[node.ID] = node
		}
	}
	switch {
	case f["items"] != nil && f["steps"] != nil:
		r.Add(n, "an item has items or steps, not both")
	case f["items"] == nil && f["steps"] == nil && n.Kind == yaml.MappingNode:
		r.Add(n, "an item needs items (further entries) or steps (what it does)")
	}
	node.Items = r.items(f["items"], node, depth+1)
	if s := f["steps"]; s != nil {
		r.steps(s, node)
	}
	return node
}

// name is a text of a certain form, "" after a mistake.
func (r *reader) name(n *yaml.Node, what string, form *regexp.Regexp) string {
	s := r.Text(n, what, 200)
	if n == nil || s == "" && n.Value != "" {
		return ""
	}
	if !form.MatchString(s) {
		r.Add(n, "%s is %q, it must match %s", what, s, form)
		return ""
	}
	return s
}

func (r *reader) prompt(n *yaml.Node, what string) string { return r.Text(n, what, MaxPrompt) }
