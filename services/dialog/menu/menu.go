// Package menu is the tree of functions that a person walks through on the phone, and how it is written in YAML.
//
// A menu has nodes. A node with items is a list of further nodes. A node with steps is a road: lists asked from an
// executor (dynamic), typed values (input), the last question (confirm) and the order itself (action). Nothing runs
// without a confirm directly before it.
//
// Load reads a file strictly: every mistake is reported at once, with file and line. A loaded menu never changes.
package menu

import (
	"slices"
	"time"
)

// Limits of a menu: what a phone shows well, and what keeps a mistake from becoming a burden.
const (
	MaxLabel  = 60  // characters of a title, and
	MaxBytes  = 120 // its bytes
	MaxDepth  = 10  // nodes on the way from the root to the deepest one
	MaxItems  = 200 // nodes in one list
	MaxPage   = 20  // lines on one page
	MaxPrompt = 200 // characters of a prompt, an example or a hint
	MaxText   = 200 // characters of a typed text, unless the input says less
)

// Menu is a whole menu. Rev names its content: the first 12 hex digits of the SHA-256 of the file.
type Menu struct {
	File     string
	Rev      string
	Title    string
	First    int           // number of the first line, 0 or 1
	PageSize int           // lines on one page, 1 to MaxPage
	Timeout  time.Duration // how long a session lives: after the last message, or when Fixed, after the first
	Fixed    bool
	Root     *Node

	nodes map[string]*Node
}

// Node finds a node by its id, nil when there is none. The root has no id.
func (m *Menu) Node(id string) *Node { return m.nodes[id] }

// IDs lists the ids of all nodes, sorted.
func (m *Menu) IDs() []string {
	ids := make([]string, 0, len(m.nodes))
	for id := range m.nodes {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// Node is one entry: a list of nodes, or a road of steps; never both.
type Node struct {
	ID     string
	Title  string
	Line   int
	Parent *Node // nil for the root
	Items  []*Node
	Steps  []Step
}

// Path is the ids from the top to this node; the root's is empty.
func (n *Node) Path() []string {
	var path []string
	for ; n != nil && n.Parent != nil; n = n.Parent {
		path = append(path, n.ID)
	}
	slices.Reverse(path)
	return path
}

// Deed is what the road is about, for the policy: its action, or the last list of a road that only shows something.
// Ok is false for a node without steps.
func (n *Node) Deed() (src Source, ok bool) {
	if len(n.Steps) == 0 {
		return Source{}, false
	}
	switch last := n.Steps[len(n.Steps)-1]; {
	case last.Action != nil:
		return last.Action.Source, true
	case last.Dynamic != nil:
		return last.Dynamic.Source, true
	}
	return Source{}, false
}

// Step is exactly one of its fields.
type Step struct {
	Line    int
	Dynamic *Dynamic
	Input   *Input
	Confirm *Confirm
	Action  *Action
}

// Param is the name of the value that this step asks for, "" when it asks for none.
func (s Step) Param() string {
	switch {
	case s.Dynamic != nil:
		return s.Dynamic.Param
	case s.Input != nil:
		return s.Input.Param
	}
	return ""
}

// Dynamic is a list that an executor gives. With Param, choosing a line sets the parameter; without, the list is only
// read, its lines have no numbers, and it is the last step.
type Dynamic struct {
	Param  string
	Prompt string
	Empty  string // shown when the list has no lines
	Source Source
}

// Types of typed values and of arguments.
const (
	Text = "text"
	Int  = "int"
	Enum = "enum" // one of a fixed list, chosen by number; the argument is text
	Bool = "bool" // arguments only
)

// Input is a value that the person types.
type Input struct {
	Param     string
	Type      string // Text, Int or Enum
	Prompt    string
	Example   string
	Default   string // taken when the person answers 默认; "" for none
	Min, Max  int64  // Int
	Pattern   string // Text: the whole value must match, RE2; "" for any
	Hint      string // Text: what to say when it does not match
	MaxLength int    // Text: characters
	Values    []string

	match matcher
}

// Confirm is the last question before an action. The fields of Current's answer can be used in Text and by the action.
type Confirm struct {
	Current *Source
	Text    Template
}

// Action is the order that a confirmed road ends in.
type Action struct {
	Source
	Title   Template
	Expires time.Duration // an executor that takes it up later must not run it
}

// Source names an action of an executor's catalog in a zone's pool, and the arguments it gets.
type Source struct {
	Line   int
	Zone   string
	Pool   string
	Action string
	Args   map[string]Arg
}

// Arg says where an argument's value comes from. Written as $name it is the parameter with its own type, as
// $current.name the text of a field of the confirm's question, as $current.name:int that field as a whole number.
// Every other scalar is the value itself; a text that shall begin with $ is written with $$.
type Arg struct {
	Line    int
	Param   string
	Current string
	Int     bool // Current only
	Literal any  // string, int64 or bool, when neither Param nor Current is set
}

// Use is one place where a menu needs an executor: what its catalog must offer.
type Use struct {
	Node   string
	Line   int
	Zone   string
	Pool   string
	Action string
	Read   bool              // a list or a question; it must change nothing
	Args   map[string]string // argument to type: Text, Int or Bool
	Fields []string          // of the answer, that the menu reads
}

// Uses lists every use of an executor, in the order of the file.
func (m *Menu) Uses() []Use {
	var uses []Use
	var walk func(n *Node)
	walk = func(n *Node) {
		types := map[string]string{}
		for _, s := range n.Steps {
			if p := s.Param(); p != "" {
				types[p] = Text
				if s.Input != nil && s.Input.Type == Int {
					types[p] = Int
				}
			}
			switch {
			case s.Dynamic != nil:
				uses = append(uses, use(n, s.Dynamic.Source, types, true, nil))
			case s.Confirm != nil && s.Confirm.Current != nil:
				uses = append(uses, use(n, *s.Confirm.Current, types, true, n.CurrentFields()))
			case s.Action != nil:
				uses = append(uses, use(n, s.Action.Source, types, false, nil))
			}
		}
		for _, child := range n.Items {
			walk(child)
		}
	}
	walk(m.Root)
	return uses
}

func use(n *Node, s Source, params map[string]string, read bool, fields []string) Use {
	u := Use{Node: n.ID, Line: s.Line, Zone: s.Zone, Pool: s.Pool, Action: s.Action, Read: read, Fields: fields, Args: map[string]string{}}
	for name, a := range s.Args {
		u.Args[name] = a.typeIn(params)
	}
	return u
}

func (a Arg) typeIn(params map[string]string) string {
	switch {
	case a.Param != "":
		return params[a.Param]
	case a.Current != "" && a.Int:
		return Int
	case a.Current != "":
		return Text
	}
	switch a.Literal.(type) {
	case int64:
		return Int
	case bool:
		return Bool
	}
	return Text
}

// CurrentFields are the fields of the confirm's answer that the road reads, sorted.
func (n *Node) CurrentFields() []string {
	var fields []string
	for _, s := range n.Steps {
		if s.Confirm != nil {
			fields = append(fields, s.Confirm.Text.current...)
		}
		if s.Action != nil {
			fields = append(fields, s.Action.Title.current...)
			for _, a := range s.Action.Args {
				if a.Current != "" {
					fields = append(fields, a.Current)
				}
			}
		}
	}
	slices.Sort(fields)
	return slices.Compact(fields)
}
