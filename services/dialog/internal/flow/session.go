package flow

import (
	"slices"
	"strings"

	"palmops/libs/wire"
	"palmops/services/dialog/menu"
	"palmops/services/dialog/policy"
)

// Session is what is remembered between two messages of one person. The zero value is no session; with Rev "" only
// SentAt means something, and says how far the messages of this person have been worked on.
type Session struct {
	Rev    string `json:"rev"`            // of the menu that this session walks through
	Hops   []Hop  `json:"hops,omitempty"` // the road
	Screen Shown  `json:"screen"`
	SentAt int64  `json:"sent_at"` // of the newest message worked on, Unix seconds
}

// Open reports whether there is a session.
func (s Session) Open() bool { return s.Rev != "" }

// Hop is one accepted input: the choice of a node, or the value of a parameter.
type Hop struct {
	Typed string `json:"typed"`
	Node  string `json:"node,omitempty"`
	Param string `json:"param,omitempty"`
	Text  string `json:"text,omitempty"`
	Int   int64  `json:"int,omitempty"`
	IsInt bool   `json:"is_int,omitempty"`
}

func (h Hop) value() any {
	if h.IsInt {
		return h.Int
	}
	return h.Text
}

// Shown is the screen that was last shown, as far as the next message can refer to it.
type Shown struct {
	Kind    string            `json:"kind"`
	Items   []wire.Item       `json:"items,omitempty"`   // the lines in their order
	Total   int               `json:"total,omitempty"`   // lines there were before the list was cut to MaxList; 0 if it was not
	Page    int               `json:"page,omitempty"`    // from 0
	Seen    int               `json:"seen,omitempty"`    // the last page that was shown
	Current map[string]string `json:"current,omitempty"` // a confirm's current values
	At      int64             `json:"at,omitempty"`      // when a confirm was opened, Unix milliseconds
}

// MaxList is how many lines of a dynamic list are kept; a longer one says that it was cut.
const MaxList = 200

// Path is the road as it was typed, for people who look into Redis: the inputs joined by -, a - inside a value
// written \- and a \ written \\.
func (s Session) Path() string {
	typed := make([]string, len(s.Hops))
	for i, h := range s.Hops {
		typed[i] = strings.NewReplacer(`\`, `\\`, `-`, `\-`).Replace(h.Typed)
	}
	return strings.Join(typed, "-")
}

// SplitPath undoes Path. The empty path has no inputs.
func SplitPath(path string) []string {
	if path == "" {
		return nil
	}
	var out []string
	var b strings.Builder
	escaped := false
	for _, r := range path {
		switch {
		case escaped:
			b.WriteRune(r)
			escaped = false
		case r == '\\':
			escaped = true
		case r == '-':
			out = append(out, b.String())
			b.Reset()
		default:
			b.WriteRune(r)
		}
	}
	return append(out, b.String())
}

// Event is one message of a person.
type Event struct {
	ID     string // of the inbound message; the order's id derives from it
	Type   string // WeCom's MsgType
	Text   string
	SentAt int64 // WeCom's CreateTime, Unix seconds
	At     int64 // when the gateway got it, Unix milliseconds; 0 when that is not known
}

// Identity says how well a person is known right now.
type Identity int

// The degrees of knowing a person.
const (
	Nobody Identity = iota // the directory did not answer, and nothing recent is known
	Stale                  // known from some minutes ago: good enough to look, not to act
	Fresh
)

// Env is what Step knows of the world.
type Env struct {
	Person   wire.Person
	Identity Identity
	Rights   Rights
	Answers  map[string]Answer // to questions of this step, by Question.Key
	Latest   *menu.Menu        // what a walk home starts with; nil for the session's own menu
	Now      int64             // Unix milliseconds
}

// Rights are the decisions of a policy.
type Rights interface {
	Sees(person wire.Person, m *menu.Menu, path []string) bool
	May(person wire.Person, path []string, action string, args map[string]any) policy.Decision
	Decide(person wire.Person, path []string, action string, args map[string]any) policy.Decision
	FilterItems(person wire.Person, path []string, action, arg string, items []wire.Item, args map[string]any) []wire.Item
}

// Question asks an executor for a list or for current values.
type Question struct {
	Key    string // the same for the same question
	Node   string
	Zone   string
	Pool   string
	Action string
	Args   map[string]any
	List   bool // lines are wanted, not fields
}

// Answer is what came back: Items or Fields, or Fault, a sentence without its full stop that a person may read.
type Answer struct {
	Items  []wire.Item
	Fields map[string]string
	Fault  string
}

// Intent is a confirmed order.
type Intent struct {
	ID     string // of the action
	Node   string
	Zone   string
	Pool   string
	Action string
	Args   map[string]any
	Title  string
	Expire int64 // seconds after the confirm
}

// Result is what a step leads to. With Need set everything else is empty: answer the question and step again.
type Result struct {
	Session Session // not Open: there is no session from now on
	Screens []wire.Screen
	Intent  *Intent
	Need    *Question

	Did    string // what the message was taken for: a stable word for audit and metrics
	Reason string // why it had no effect, "" when it had; stable as well
}

// place is where the hops of a session lead to.
type place struct {
	node   *menu.Node
	step   int // of node.Steps
	params map[string]any
}

// locate follows the hops. Ok is false when they do not fit the menu.
func locate(m *menu.Menu, hops []Hop) (p place, ok bool) {
	p = place{node: m.Root, params: map[string]any{}}
	for _, h := range hops {
		if h.Node != "" {
			child := m.Node(h.Node)
			if child == nil || !slices.Contains(p.node.Items, child) {
				return place{}, false
			}
			p.node, p.step = child, 0
			continue
		}
		if p.step >= len(p.node.Steps) || p.node.Steps[p.step].Param() != h.Param || h.Param == "" {
			return place{}, false
		}
		p.params[h.Param] = h.value()
		p.step++
	}
	if len(p.node.Steps) > 0 && p.step >= len(p.node.Steps) {
		return place{}, false
	}
	return p, true
}

// current is the step a person stands at, nil in a list of nodes.
func (p place) current() *menu.Step {
	if len(p.node.Steps) == 0 {
		return nil
	}
	return &p.node.Steps[p.step]
}

// deed is the road's action with the arguments known so far, and the argument that param will become ("" for none).
func (p place) deed(param string) (action, arg string, args map[string]any) {
	src, ok := p.node.Deed()
	if !ok {
		return "", "", nil
	}
	args = map[string]any{}
	for name, a := range src.Args {
		switch {
		case a.Param != "":
			if v, known := p.params[a.Param]; known {
				args[name] = v
			}
			if a.Param == param {
				arg = name
			}
		case a.Current == "":
			args[name] = a.Literal
		}
	}
	return src.Action, arg, args
}
