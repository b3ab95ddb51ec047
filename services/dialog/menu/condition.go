package menu

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/parser"
	"github.com/expr-lang/expr/vm"
	"go.yaml.in/yaml/v4"

	"palmops/libs/wire"
)

// Limits of a condition.
const (
	MaxWhen      = 300 // characters
	maxWhenNodes = 100 // of its syntax tree
)

// Condition says when a node is there. It is written in the expression language of expr-lang, without loops, functions of
// one's own and the clock: its only inputs are Vars. The zero value always holds.
type Condition struct{ c *condition }

type condition struct {
	source  string
	program *vm.Program
	names   []string // that it reads
	zone    *time.Location
	fixed   bool // it reads nothing
}

// Vars is what a condition may ask about.
type Vars struct {
	Person wire.Person
	At     time.Time // in any zone: the menu's counts
	Env    string    // of the node
	Params map[string]any
}

// String is the condition as it is written, "" for the zero value.
func (c Condition) String() string {
	if c.c == nil {
		return ""
	}
	return c.c.source
}

// Fixed reports whether the condition depends on nothing, so that it holds always or never.
func (c Condition) Fixed() bool { return c.c == nil || c.c.fixed }

var machines = sync.Pool{New: func() any { return new(vm.VM) }}

// Holds evaluates the condition. One that cannot be evaluated, such as for a parameter that is missing, does not hold.
func (c Condition) Holds(v Vars) (holds bool) {
	if c.c == nil {
		return true
	}
	defer func() {
		if recover() != nil {
			holds = false
		}
	}()
	env := make(map[string]any, len(c.c.names))
	for _, name := range c.c.names {
		value, ok := v.value(name, c.c.zone)
		if !ok {
			return false
		}
		env[name] = value
	}
	m := machines.Get().(*vm.VM)
	out, err := m.Run(c.c.program, env)
	machines.Put(m)
	yes, ok := out.(bool)
	return err == nil && ok && yes
}

// about are the names that every condition knows, with a value of their type. A parameter of the same name hides one.
var about = map[string]any{
	"user": "", "name": "", "departments": []int{}, "tags": []int{}, "hour": 0, "minute": 0, "weekday": 0, "date": "", "env": "",
}

func (v Vars) value(name string, zone *time.Location) (any, bool) {
	if p, ok := v.Params[name]; ok {
		if n, ok := p.(int64); ok {
			return int(n), true
		}
		return p, true
	}
	switch name {
	case "user":
		return v.Person.User, true
	case "name":
		return v.Person.Name, true
	case "departments":
		return ints(v.Person.Departments), true
	case "tags":
		return ints(v.Person.Tags), true
	case "env":
		return v.Env, true
	}
	at := v.At.In(zone)
	switch name {
	case "hour":
		return at.Hour(), true
	case "minute":
		return at.Minute(), true
	case "weekday":
		return (int(at.Weekday())+6)%7 + 1, true
	case "date":
		return at.Format(time.DateOnly), true
	}
	return nil, false
}

func ints(ids []int64) []int {
	out := make([]int, len(ids))
	for i, id := range ids {
		out[i] = int(id)
	}
	return out
}

// parsed is a condition before the parameters of its place are known.
type parsed struct {
	err   error
	names []string
}

// when reads a condition over the given parameters. Equal ones are compiled once.
func (r *reader) when(n *yaml.Node, params []Param) Condition {
	src := r.filled(n, "when", MaxWhen)
	if src == "" || len([]rune(src)) > MaxWhen {
		return Condition{}
	}
	p, ok := r.parsed[src]
	if !ok {
		p = parseWhen(src)
		r.parsed[src] = p
	}
	if p.err != nil {
		r.Add(n, "when: %v", p.err)
		return Condition{}
	}
	env, key := map[string]any{}, src
	for _, name := range p.names {
		value, known := about[name]
		for _, param := range params {
			if param.Name == name {
				value, known = "", true
				if param.Kind == Int {
					value = 0
				}
			}
		}
		if !known {
			r.Add(n, "when: %q is not known here; a condition knows user, name, departments, tags, hour, minute, weekday, date, env and the parameters asked before", name)
			return Condition{}
		}
		env[name] = value
		key += fmt.Sprintf("\x00%T", value)
	}
	c, ok := r.conditions[key]
	if !ok {
		program, err := compile(src, env)
		if err != nil {
			r.Add(n, "when: %v", err)
			return Condition{}
		}
		c = &condition{source: src, program: program, names: p.names, zone: r.m.Zone, fixed: len(p.names) == 0}
		r.conditions[key] = c
	}
	return Condition{c}
}

func compile(src string, env map[string]any) (program *vm.Program, err error) {
	defer func() { // folding constants can divide by zero
		if r := recover(); r != nil {
			err = fmt.Errorf("%v", r)
		}
	}()
	program, err = expr.Compile(src, expr.Env(env), expr.AsBool(), expr.MaxNodes(maxWhenNodes))
	return program, plain(err)
}

// plain is an error of expr in one line.
func plain(err error) error {
	var e *file.Error
	if errors.As(err, &e) {
		return fmt.Errorf("%s (at character %d)", e.Message, e.Column+1)
	}
	return err
}

// parseWhen checks that an expression uses only what is over after a number of steps bounded by its length, and gives
// the names it reads.
func parseWhen(src string) (p parsed) {
	defer func() {
		if r := recover(); r != nil {
			p = parsed{err: fmt.Errorf("%v", r)}
		}
	}()
	tree, err := parser.Parse(src)
	if err != nil {
		return parsed{err: plain(err)}
	}
	w := &whenWalk{}
	w.node(tree.Node)
	if w.nodes > maxWhenNodes {
		w.bad = fmt.Sprintf("it has more than %d parts", maxWhenNodes)
	}
	if w.bad != "" {
		return parsed{err: errors.New(w.bad)}
	}
	slices.Sort(w.names)
	return parsed{names: slices.Compact(w.names)}
}

type whenWalk struct {
	names []string
	nodes int
	bad   string
}

var (
	whenOperators = strings.Fields("== != < <= > >= and or not && || ! in contains startsWith endsWith matches + - * / %")
	whenFunctions = strings.Fields("len lower upper trim")
)

func (w *whenWalk) node(n ast.Node) {
	w.nodes++
	switch n := n.(type) {
	case *ast.IdentifierNode:
		w.names = append(w.names, n.Value)
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.StringNode:
	case *ast.UnaryNode:
		w.operator(n.Operator)
		w.node(n.Node)
	case *ast.BinaryNode:
		w.operator(n.Operator)
		if _, text := n.Right.(*ast.StringNode); n.Operator == "matches" && !text {
			w.refuse("behind matches stands a text in quotes")
		}
		w.node(n.Left)
		w.node(n.Right)
	case *ast.ConditionalNode:
		w.node(n.Cond)
		w.node(n.Exp1)
		w.node(n.Exp2)
	case *ast.ArrayNode:
		for _, e := range n.Nodes {
			w.node(e)
		}
	case *ast.BuiltinNode:
		w.function(n.Name, n.Arguments)
	case *ast.CallNode:
		if id, ok := n.Callee.(*ast.IdentifierNode); ok {
			w.function(id.Value, n.Arguments)
			return
		}
		w.refuse("only the functions " + strings.Join(whenFunctions, ", ") + " can be called")
	default:
		w.refuse(fmt.Sprintf("%s is not allowed; a condition has comparisons, in, contains, matches, and, or, not", n))
	}
}

func (w *whenWalk) operator(op string) {
	if !slices.Contains(whenOperators, op) {
		w.refuse("the operator " + op + " is not allowed")
	}
}

func (w *whenWalk) function(name string, args []ast.Node) {
	if !slices.Contains(whenFunctions, name) {
		w.refuse(fmt.Sprintf("the function %s is not allowed; there are %s", name, strings.Join(whenFunctions, ", ")))
	}
	for _, a := range args {
		w.node(a)
	}
}

func (w *whenWalk) refuse(text string) {
	if w.bad == "" {
		w.bad = text
	}
}
