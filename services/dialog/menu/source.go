package menu

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"

	"palmops/libs/fault"
)

const maxArg = 1024 // bytes of an argument that the menu itself gives

func (r *reader) source(n *yaml.Node, what string, sc *scope, current bool) Source {
	return r.place(n, r.Fields(n, what, "zone", "pool", "action", "args"), what, sc, current)
}

func (r *reader) place(n *yaml.Node, f map[string]*yaml.Node, what string, sc *scope, current bool) Source {
	r.Need(n, f, what, "zone", "pool", "action")
	s := Source{
		Line: n.Line, Zone: r.named(f["zone"], "zone", placeForm), Pool: r.named(f["pool"], "pool", placeForm),
		Action: r.named(f["action"], "action", actForm), Args: map[string]Arg{},
	}
	if f["args"] == nil {
		return s
	}
	for key, value := range r.Keys(f["args"], "args") {
		if !paramForm.ok(key.Value) {
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
	if isText && len(text) > maxArg {
		r.Add(n, "an argument has %d bytes, the limit is %d", len(text), maxArg)
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
		case !paramForm.ok(field):
			r.Add(n, "%q is not of the form $current.name or $current.name:int", text)
		case !current || !sc.current:
			r.Add(n, "%q: no confirm with a question (current) stands before this step", text)
		}
		return a
	}
	a.Param = ref
	if sc.find(ref) == nil {
		r.Add(n, "%q: no earlier step sets the param %q", text, ref)
	}
	return a
}

// params are the parameters that the arguments use, sorted.
func (s Source) params() []string {
	var out []string
	for _, a := range s.Args {
		if a.Param != "" {
			out = append(out, a.Param)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Values computes the arguments: text, int64 or bool. Errors have the kind NotFound when a parameter or field is
// missing, and Invalid when a field that must be a whole number is none.
func (s Source) Values(params map[string]any, current map[string]string) (map[string]any, error) {
	out := make(map[string]any, len(s.Args))
	for name, a := range s.Args {
		v, err := a.value(params, current)
		if err != nil {
			return nil, fmt.Errorf("argument %s of %s: %w", name, s.Action, err)
		}
		out[name] = v
	}
	return out, nil
}

func (a Arg) value(params map[string]any, current map[string]string) (any, error) {
	switch {
	case a.Param != "":
		v, ok := params[a.Param]
		if !ok {
			return nil, fault.New(fault.NotFound, "no value for $%s", a.Param)
		}
		return v, nil
	case a.Current != "":
		text, ok := current[a.Current]
		if !ok {
			return nil, fault.New(fault.NotFound, "the answer has no field %s", a.Current)
		}
		if !a.Int {
			return text, nil
		}
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return nil, fault.New(fault.Invalid, "the field %s is not a whole number", a.Current)
		}
		return n, nil
	}
	return a.Literal, nil
}
