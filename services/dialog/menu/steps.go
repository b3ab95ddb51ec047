package menu

import (
	"regexp"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"
)

// scope is what earlier steps of a road made known.
type scope struct {
	params  map[string]string // parameter to type
	current bool              // a confirm with a question stands before
}

// steps reads a road and checks its order: values first, then either a confirm and its action, or a list to read.
func (r *reader) steps(n *yaml.Node, node *Node) {
	list := r.Sequence(n, "steps")
	if n.Kind == yaml.SequenceNode && len(list) == 0 {
		r.Add(n, "steps is empty")
	}
	sc := &scope{params: map[string]string{}}
	for i, item := range list {
		s := r.step(item, sc)
		last := i == len(list)-1
		switch {
		case s.Action != nil && !last:
			r.Add(item, "an action must be the last step")
		case s.Action != nil && (i == 0 || node.Steps[i-1].Confirm == nil):
			r.Add(item, "an action needs a confirm directly before it")
		case s.Confirm != nil && last:
			r.Add(item, "a confirm needs an action directly after it")
		case s.Dynamic != nil && s.Dynamic.Param == "" && !last:
			r.Add(item, "a dynamic list without param is only read and must be the last step")
		case last && (s.Input != nil || s.Dynamic != nil && s.Dynamic.Param != ""):
			r.Add(item, "the last step must be an action, or a dynamic list without param")
		}
		if i > 0 && node.Steps[i-1].Confirm != nil && s.Action == nil {
			r.Add(item, "a confirm needs an action directly after it")
		}
		node.Steps = append(node.Steps, s)
	}
}

func (r *reader) step(n *yaml.Node, sc *scope) Step {
	s := Step{Line: n.Line}
	f := r.Fields(n, "a step", "dynamic", "input", "confirm", "action")
	if n.Kind == yaml.MappingNode && len(n.Content) != 2 {
		r.Add(n, "a step is exactly one of dynamic, input, confirm, action")
	}
	switch {
	case f["dynamic"] != nil:
		s.Dynamic = r.dynamic(f["dynamic"], sc)
	case f["input"] != nil:
		s.Input = r.input(f["input"], sc)
	case f["confirm"] != nil:
		s.Confirm = r.confirm(f["confirm"], sc)
	case f["action"] != nil:
		s.Action = r.action(f["action"], sc)
	}
	return s
}

// param declares a parameter.
func (r *reader) param(n *yaml.Node, kind string, sc *scope) string {
	if n == nil {
		return ""
	}
	name := r.name(n, "param", paramForm)
	switch _, twice := sc.params[name]; {
	case name == "":
		return "?" // a mistake was noted; the step still asks for a value
	case name == "current":
		r.Add(n, "the name current is taken by the confirm's question")
	case twice:
		r.Add(n, "param %q is already set by an earlier step", name)
	}
	sc.params[name] = kind
	return name
}

func (r *reader) dynamic(n *yaml.Node, sc *scope) *Dynamic {
	f := r.Fields(n, "dynamic", "param", "prompt", "empty", "source")
	r.Need(n, f, "dynamic", "source")
	d := &Dynamic{Prompt: r.prompt(f["prompt"], "prompt"), Empty: r.prompt(f["empty"], "empty")}
	if f["source"] != nil {
		d.Source = r.source(f["source"], "source", sc, false)
	}
	d.Param = r.param(f["param"], Text, sc)
	return d
}

func (r *reader) input(n *yaml.Node, sc *scope) *Input {
	f := r.Fields(n, "input", "param", "type", "prompt", "example", "default", "min", "max", "pattern", "hint", "max_length", "values")
	r.Need(n, f, "input", "param", "type")
	in := &Input{
		Type: r.Text(f["type"], "type", 20), Prompt: r.prompt(f["prompt"], "prompt"), Example: r.prompt(f["example"], "example"),
		Hint: r.prompt(f["hint"], "hint"), MaxLength: MaxText,
	}
	for _, of := range [][2]string{{"min", Int}, {"max", Int}, {"pattern", Text}, {"hint", Text}, {"max_length", Text}, {"values", Enum}} {
		if key, kind := of[0], of[1]; f[key] != nil && in.Type != kind && slices.Contains([]string{Text, Int, Enum}, in.Type) {
			r.Add(f[key], "%s belongs to inputs of type %s, this one is %s", key, kind, in.Type)
		}
	}
	switch in.Type {
	case Int:
		in.Min = r.Integer(f["min"], "min", -1<<53, 1<<53, -1<<53)
		in.Max = r.Integer(f["max"], "max", -1<<53, 1<<53, 1<<53)
		if in.Min > in.Max {
			r.Add(f["min"], "min %d is greater than max %d", in.Min, in.Max)
		}
	case Text:
		in.MaxLength = int(r.Integer(f["max_length"], "max_length", 1, MaxText, MaxText))
		in.Pattern = r.prompt(f["pattern"], "pattern")
		if in.Pattern != "" {
			re, err := regexp.Compile(`^(?:` + in.Pattern + `)$`)
			if err != nil {
				r.Add(f["pattern"], "pattern: %v", err)
			} else {
				in.match = re.MatchString
			}
		}
	case Enum:
		r.values(n, f["values"], in)
	default:
		if f["type"] != nil {
			r.Add(f["type"], "type is %q, it must be text, int or enum", in.Type)
		}
	}
	kind := Text
	if in.Type == Int {
		kind = Int
	}
	in.Param = r.param(f["param"], kind, sc)
	if f["default"] != nil {
		in.Default = r.prompt(f["default"], "default")
		if _, err := in.Read(in.Default); err != nil {
			r.Add(f["default"], "default %q would not be accepted: %v", in.Default, err)
		}
	}
	return in
}

func (r *reader) values(at, n *yaml.Node, in *Input) {
	if n == nil {
		r.Add(at, "an input of type enum needs the key values")
		return
	}
	for _, v := range r.Sequence(n, "values") {
		text := r.label(v, "a value")
		if slices.Contains(in.Values, text) {
			r.Add(v, "value %q is listed twice", text)
		}
		in.Values = append(in.Values, text)
	}
	if n.Kind == yaml.SequenceNode && (len(in.Values) == 0 || len(in.Values) > MaxItems) {
		r.Add(n, "values has %d entries, it must have 1 to %d", len(in.Values), MaxItems)
	}
}

func (r *reader) confirm(n *yaml.Node, sc *scope) *Confirm {
	f := r.Fields(n, "confirm", "current", "text")
	r.Need(n, f, "confirm", "text")
	c := &Confirm{}
	if f["current"] != nil {
		src := r.source(f["current"], "current", sc, false)
		c.Current = &src
		sc.current = true
	}
	c.Text = r.template(f["text"], "text", sc)
	return c
}

func (r *reader) action(n *yaml.Node, sc *scope) *Action {
	a := &Action{Expires: DefaultExpires}
	f := r.Fields(n, "action", "zone", "pool", "action", "args", "title", "expires")
	r.Need(n, f, "action", "title")
	a.Source = r.place(n, f, "action", sc, true)
	a.Title = r.template(f["title"], "title", sc)
	a.Expires = r.Duration(f["expires"], "expires", time.Second, time.Hour, DefaultExpires)
	return a
}

func (r *reader) source(n *yaml.Node, what string, sc *scope, current bool) Source {
	return r.place(n, r.Fields(n, what, "zone", "pool", "action", "args"), what, sc, current)
}

func (r *reader) place(n *yaml.Node, f map[string]*yaml.Node, what string, sc *scope, current bool) Source {
	r.Need(n, f, what, "zone", "pool", "action")
	s := Source{
		Line: n.Line, Zone: r.name(f["zone"], "zone", placeForm), Pool: r.name(f["pool"], "pool", placeForm),
		Action: r.name(f["action"], "action", actForm), Args: map[string]Arg{},
	}
	if f["args"] == nil {
		return s
	}
	for key, value := range r.Keys(f["args"], "args") {
		if !paramForm.MatchString(key.Value) {
			r.Add(key, "argument %q must match %s", key.Value, paramForm)
			continue
		}
		s.Args[key.Value] = r.arg(value, sc, current)
	}
	return s
}

func (r *reader) arg(n *yaml.Node, sc *scope, current bool) Arg {
	a := Arg{Line: n.Line}
	v, err := r.scalar(n, "an argument")
	if err != nil {
		r.Add(n, "%v", err)
		return a
	}
	text, isText := v.(string)
	if isText && len(text) > 1024 {
		r.Add(n, "an argument has %d bytes, the limit is 1024", len(text))
	}
	if !isText || !strings.HasPrefix(text, "$") {
		a.Literal = v
		return a
	}
	if rest, ok := strings.CutPrefix(text, "$$"); ok {
		a.Literal = "$" + rest
		return a
	}
	ref := text[1:]
	if field, ok := strings.CutPrefix(ref, "current."); ok {
		field, a.Int = strings.CutSuffix(field, ":int")
		a.Current = field
		switch {
		case !paramForm.MatchString(field):
			r.Add(n, "%q is not of the form $current.name or $current.name:int", text)
		case !current || !sc.current:
			r.Add(n, "%q: no confirm with a question (current) stands before this step", text)
		}
		return a
	}
	a.Param = ref
	if _, ok := sc.params[ref]; !ok {
		r.Add(n, "%q: no earlier step sets the param %q", text, ref)
	}
	return a
}
