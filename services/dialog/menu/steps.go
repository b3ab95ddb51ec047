package menu

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"palmops/libs/lang"
	"palmops/libs/wire"
)

// scope is what earlier steps of a road, and of the nodes above it, made known.
type scope struct {
	params  []Param
	current bool // a confirm with a question stands before
}

func (sc *scope) find(name string) *Param {
	for i := range sc.params {
		if sc.params[i].Name == name {
			return &sc.params[i]
		}
	}
	return nil
}

// steps reads what a node asks, and checks the order. Before items there are values only. In a road values come first,
// then either a confirm and its action, or a report, or something to read.
func (r *reader) steps(n *yaml.Node, node *Node, items bool) {
	list := r.Sequence(n, "steps")
	switch {
	case n.Kind == yaml.SequenceNode && len(list) == 0:
		r.Add(n, "steps is empty")
	case len(list) > maxSteps:
		r.Add(n, "steps has %d entries, the limit is %d", len(list), maxSteps)
		return
	}
	sc := &scope{params: slices.Clip(node.Params)}
	for i, item := range list {
		s := r.step(item, sc, node)
		node.Steps = append(node.Steps, s)
		asks, reads := s.Param() != "", s.Param() == "" && (s.Dynamic != nil || s.Custom != nil)
		last := i == len(list)-1
		switch {
		case items && !asks && s != (Step{Line: s.Line}):
			r.Add(item, "steps before items only ask for parameters; this one sets none")
			continue
		case items:
			continue
		case s.Action != nil && !last:
			r.Add(item, "%s must be the last step", s.name())
		case s.Action != nil && s.Action.Report && i > 0 && node.Steps[i-1].Confirm != nil:
			r.Add(item, "a report changes nothing and has no confirm before it")
		case s.Action != nil && !s.Action.Report && (i == 0 || node.Steps[i-1].Confirm == nil):
			r.Add(item, "an action needs a confirm directly before it")
		case s.Confirm != nil && last:
			r.Add(item, "a confirm needs an action directly after it")
		case reads && !last:
			r.Add(item, "%s without param is only read and must be the last step", s.name())
		case last && asks:
			r.Add(item, "the last step must be an action or a report, or a dynamic list or custom step without param")
		}
		if i > 0 && node.Steps[i-1].Confirm != nil && s.Action == nil {
			r.Add(item, "a confirm needs an action directly after it")
		}
	}
	node.Params = sc.params
	if !sc.current {
		for _, s := range node.Steps {
			if s.Input != nil && s.Input.Current != "" {
				r.Problems.Add(r.File, s.Line, "current names the field %q, and this item has no confirm with a question (current)", s.Input.Current)
			}
		}
	}
}

const maxSteps = 50

func (s Step) name() string {
	switch {
	case s.Custom != nil:
		return "a custom step"
	case s.Action != nil && s.Action.Report:
		return "a report"
	case s.Action != nil:
		return "an action"
	}
	return "a dynamic list"
}

func (r *reader) step(n *yaml.Node, sc *scope, node *Node) Step {
	s := Step{Line: n.Line}
	f := r.Fields(n, "a step", "dynamic", "input", "custom", "confirm", "action", "report")
	if n.Kind == yaml.MappingNode && len(n.Content) != 2 {
		r.Add(n, "a step is exactly one of dynamic, input, custom, confirm, action, report")
	}
	p := Param{Node: node, Step: len(node.Steps), Kind: Text}
	var name *yaml.Node
	switch {
	case f["dynamic"] != nil:
		s.Dynamic, name = r.dynamic(f["dynamic"], sc)
		s.Dynamic.Param = r.param(name, p, s.Dynamic.Label, s.Dynamic.needs(), sc)
	case f["input"] != nil:
		s.Input, name = r.input(f["input"])
		if s.Input.Type == Int || s.Input.Type == Port {
			p.Kind = Int
		}
		s.Input.Param = r.param(name, p, s.Input.Label, nil, sc)
	case f["custom"] != nil:
		s.Custom, name = r.custom(f["custom"], sc)
		var after []string
		if s.Custom.Remote != nil {
			after = s.Custom.Remote.params()
		}
		s.Custom.Param = r.param(name, p, s.Custom.Label, after, sc)
	case f["confirm"] != nil:
		s.Confirm = r.confirm(f["confirm"], sc)
	case f["action"] != nil:
		s.Action = r.action(f["action"], sc)
	case f["report"] != nil:
		s.Action = r.report(f["report"], sc)
	}
	return s
}

// param declares the parameter that a step sets, and gives its name.
func (r *reader) param(n *yaml.Node, p Param, label lang.Words, after []string, sc *scope) string {
	if n == nil {
		return ""
	}
	p.Name, p.Label, p.After = r.named(n, "param", paramForm), label, after
	if p.Name == "" {
		return "?" // a mistake was noted; the step still asks for a value
	}
	if p.Label.Empty() {
		p.Label.ZH = p.Name
	}
	earlier := sc.find(p.Name)
	switch {
	case p.Name == currentName:
		r.Add(n, "the name current is taken by the confirm's question")
	case earlier != nil && earlier.Node == p.Node:
		r.Add(n, "param %q is already set by an earlier step", p.Name)
	case earlier != nil:
		r.Add(n, "param %q is already set above, in %s:%d", p.Name, earlier.Node.File, earlier.Node.Steps[earlier.Step].Line)
	default:
		sc.params = append(sc.params, p)
	}
	return p.Name
}

func (r *reader) dynamic(n *yaml.Node, sc *scope) (*Dynamic, *yaml.Node) {
	f := r.Fields(n, "dynamic", "param", "label", "prompt", "empty", "source", "directory", "table", "lines", "in", "cache", "stale", "multi", "least", "most")
	d := &Dynamic{Label: r.label(f["label"], "label"), Prompt: r.prompt(f["prompt"], "prompt"), Empty: r.prompt(f["empty"], "empty")}
	origins := 0
	for _, key := range []string{"source", "directory", "table", "lines"} {
		if f[key] != nil {
			origins++
		}
	}
	switch {
	case n.Kind == yaml.MappingNode && origins == 0:
		r.Add(n, "dynamic needs the key source, or one of directory, table and lines")
	case origins > 1:
		r.Add(n, "dynamic has only one of source, directory, table and lines")
	}
	if f["source"] != nil {
		src := r.source(f["source"], "source", sc, false)
		d.Source = &src
	}
	d.Directory = r.oneOf(f["directory"], "directory", wire.ListMembers, wire.ListDepartments)
	if f["table"] != nil {
		d.Table = r.table(f["table"], sc)
	}
	if f["lines"] != nil {
		d.Table = &Table{Lists: map[string][]Entry{"": r.list(f["lines"], "lines", MaxLines)}}
	}
	if in := f["in"]; in != nil {
		d.In = r.department(in, sc)
	}
	d.Cache = r.Duration(f["cache"], "cache", time.Second, 24*time.Hour, 0)
	d.Stale = r.Duration(f["stale"], "stale", time.Second, 24*time.Hour, 0)
	r.multi(n, f, d)
	for _, key := range []string{"in", "cache", "stale"} {
		belongs := f["directory"] != nil || key != "in" && f["source"] != nil
		if f[key] != nil && !belongs && origins > 0 {
			r.Add(f[key], "%s does not belong to this kind of list", key)
		}
	}
	return d, f["param"]
}

// needs are the parameters that the lines depend on, sorted.
func (d *Dynamic) needs() []string {
	var out []string
	if d.Source != nil {
		out = d.Source.params()
	}
	if d.In != nil && d.In.Param != "" {
		out = append(out, d.In.Param)
	}
	if d.Table != nil && d.Table.By != "" {
		out = append(out, d.Table.By)
	}
	return out
}

func (r *reader) multi(n *yaml.Node, f map[string]*yaml.Node, d *Dynamic) {
	d.Multi = r.Bool(f["multi"], "multi")
	if !d.Multi {
		for _, key := range []string{"least", "most"} {
			if f[key] != nil {
				r.Add(f[key], "%s belongs to a list with multi: true", key)
			}
		}
		return
	}
	if f["param"] == nil {
		r.Add(n, "a list with multi needs the key param")
	}
	d.Least = int(r.Integer(f["least"], "least", 1, MaxPicked, 1))
	d.Most = int(r.Integer(f["most"], "most", 1, MaxPicked, MaxPicked))
	if d.Least > d.Most {
		r.Add(f["least"], "least %d is greater than most %d", d.Least, d.Most)
	}
	if d.Table == nil {
		return
	}
	for _, key := range slices.Sorted(maps.Keys(d.Table.Lists)) {
		for _, e := range d.Table.Lists[key] {
			if strings.Contains(e.Value, ",") {
				r.Add(n, "value %q has a comma; in a list with multi the chosen values are joined by commas", e.Value)
			}
		}
	}
}

// department reads which department a directory list is about: its id, or the parameter that holds it.
func (r *reader) department(n *yaml.Node, sc *scope) *Arg {
	if id, err := strconv.ParseInt(n.Value, 10, 64); err == nil && id > 0 && n.ShortTag() == "!!int" {
		return &Arg{Line: n.Line, Literal: id}
	}
	a := r.arg(n, sc, false)
	if a.Param == "" && a.Current == "" {
		r.Add(n, "in must be the id of a department, or a param such as $department")
	}
	return &a
}

func (r *reader) table(n *yaml.Node, sc *scope) *Table {
	f := r.Fields(n, "table", "by", "lists")
	r.Need(n, f, "table", "by", "lists")
	t := &Table{Lists: map[string][]Entry{}}
	if by := f["by"]; by != nil {
		a := r.arg(by, sc, false)
		if t.By = a.Param; t.By == "" {
			r.Add(by, "by must be a param such as $cluster")
		}
	}
	if f["lists"] == nil {
		return t
	}
	values, known := sc.values(t.By)
	for key, list := range r.Keys(f["lists"], "lists") {
		switch {
		case key.Kind != yaml.ScalarNode || key.Value == "":
			r.Add(key, "lists is by the values of the param; this is none")
			continue
		case known && !slices.Contains(values, key.Value):
			r.Add(key, "the param %q never has the value %q", t.By, key.Value)
		}
		t.Lists[key.Value] = r.list(list, "a list", MaxPrompt)
	}
	if len(t.Lists) == 0 || len(t.Lists) > MaxItems {
		r.Add(f["lists"], "lists has %d entries, it must have 1 to %d", len(t.Lists), MaxItems)
	}
	return t
}

// values are all that a parameter can be, when the menu itself says so.
func (sc *scope) values(name string) (out []string, known bool) {
	p := sc.find(name)
	if p == nil {
		return nil, false
	}
	var entries []Entry
	switch s := p.Node.Steps[p.Step]; {
	case s.Input != nil && s.Input.Type == Enum:
		entries = s.Input.Values
	case s.Dynamic != nil && s.Dynamic.Table != nil && !s.Dynamic.Multi:
		for _, list := range s.Dynamic.Table.Lists {
			entries = append(entries, list...)
		}
	default:
		return nil, false
	}
	for _, e := range entries {
		out = append(out, e.Value)
	}
	return out, true
}

// list reads the lines of a table or an enum. A value has at most most characters.
func (r *reader) list(n *yaml.Node, what string, most int) []Entry {
	var out []Entry
	seen := map[string]bool{}
	for _, v := range r.Sequence(n, what) {
		e := Entry{}
		if v.Kind == yaml.MappingNode {
			f := r.Fields(v, "a line", "value", "label", "detail")
			r.Need(v, f, "a line", "value")
			e.Value = r.filled(f["value"], "value", MaxPrompt)
			e.Label = r.label(f["label"], "label")
			e.Detail = r.label(f["detail"], "detail")
		} else {
			e.Value = r.filled(v, "a value", MaxLabel)
		}
		switch {
		case e.Value == "":
		case seen[e.Value]:
			r.Add(v, "value %q is listed twice", e.Value)
		case strings.ContainsFunc(e.Value, hidden):
			r.Add(v, "value %q has characters that cannot be seen", e.Value)
		}
		seen[e.Value] = true
		out = append(out, e)
	}
	if n.Kind == yaml.SequenceNode && (len(out) == 0 || len(out) > MaxItems) {
		r.Add(n, "%s has %d entries, it must have 1 to %d", what, len(out), MaxItems)
	}
	return out
}

func (r *reader) custom(n *yaml.Node, sc *scope) (*Custom, *yaml.Node) {
	f := r.Fields(n, "custom", "param", "label", "prompt", "go", "remote")
	c := &Custom{Label: r.label(f["label"], "label"), Prompt: r.prompt(f["prompt"], "prompt"), Go: r.named(f["go"], "go", placeForm)}
	if n.Kind == yaml.MappingNode && (f["go"] == nil) == (f["remote"] == nil) {
		r.Add(n, "custom has exactly one of go and remote")
	}
	if c.Go != "" && r.o.Nodes != nil && !slices.Contains(r.o.Nodes, c.Go) {
		r.Add(f["go"], "the program has no node %q; it has %s", c.Go, strings.Join(r.o.Nodes, ", "))
	}
	if f["remote"] != nil {
		src := r.source(f["remote"], "remote", sc, false)
		c.Remote = &src
		for _, name := range []string{ArgInputs, ArgLang} {
			if a, ok := src.Args[name]; ok {
				r.Problems.Add(r.File, a.Line, "the argument %s of a remote node is what was typed, or the language; use another name", name)
			}
		}
	}
	return c, f["param"]
}

func (r *reader) confirm(n *yaml.Node, sc *scope) *Confirm {
	f := r.Fields(n, "confirm", "by", "current", "text", "noop")
	r.Need(n, f, "confirm", "text")
	c := &Confirm{By: ByNumber, Noop: true}
	if f["noop"] != nil {
		c.Noop = r.Bool(f["noop"], "noop")
	}
	if by := r.oneOf(f["by"], "by", ByNumber, ByCode); by != "" {
		c.By = by
	}
	if f["current"] != nil {
		src := r.source(f["current"], "current", sc, false)
		c.Current = &src
		sc.current = true
	}
	if f["text"] != nil {
		c.Text = r.template(f["text"], "text", sc)
	}
	return c
}

func (r *reader) action(n *yaml.Node, sc *scope) *Action {
	f := r.Fields(n, "action", "zone", "pool", "action", "args", "title", "expires")
	r.Need(n, f, "action", "title")
	return r.order(f, Action{Source: r.place(n, f, "action", sc, true)}, sc)
}

func (r *reader) report(n *yaml.Node, sc *scope) *Action {
	f := r.Fields(n, "report", "zone", "pool", "action", "args", "title", "expires")
	r.Need(n, f, "report", "title")
	return r.order(f, Action{Report: true, Source: r.place(n, f, "report", sc, false)}, sc)
}

// order reads what actions and reports have in common, into a.
func (r *reader) order(f map[string]*yaml.Node, a Action, sc *scope) *Action {
	if f["title"] != nil {
		a.Title = r.template(f["title"], "title", sc)
	}
	a.Expires = r.Duration(f["expires"], "expires", time.Second, time.Hour, DefaultExpires)
	return &a
}
