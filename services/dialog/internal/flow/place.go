package flow

import (
	"slices"
	"strconv"

	"palmops/services/dialog/menu"
)

// noParam stands in Hop.Param for a custom step that sets no parameter.
const noParam = "-"

// place is where the hops of a session lead to.
type place struct {
	node   *menu.Node     // never a link: what it leads to
	step   int            // of node.Steps; their number in a list of nodes
	params map[string]any // what was answered on the way: string or int64
	inputs []string       // accepted in the custom step one stands at
}

func (h Hop) value() any {
	if h.IsInt {
		return h.Int
	}
	return h.Text
}

// text is the value as its input would read it.
func (h Hop) text() string {
	if h.IsInt {
		return strconv.FormatInt(h.Int, 10)
	}
	return h.Text
}

// locate follows the hops. Ok is false when they do not fit the menu.
func locate(m *menu.Menu, hops []Hop) (p place, ok bool) {
	p = place{node: m.Root, params: map[string]any{}}
	for _, h := range hops {
		if !p.take(m, h) {
			return place{}, false
		}
	}
	// The last value of a road leads nowhere by itself; only behind the steps of a list there is something.
	return p, p.step < len(p.node.Steps) || p.listing()
}

// listing reports whether one stands in a list of nodes.
func (p *place) listing() bool {
	return p.step >= len(p.node.Steps) && (len(p.node.Items) > 0 || len(p.node.Steps) == 0)
}

// take goes on by one hop, and reports whether that hop can follow here. Its params are changed in place.
func (p *place) take(m *menu.Menu, h Hop) bool {
	if h.Node != "" {
		child := m.Node(h.Node)
		if child == nil || child.Parent != p.node || child.Open != "" || !p.listing() {
			return false
		}
		p.node, p.step, p.inputs = child.Target(), 0, nil
		return true
	}
	step := p.current()
	if step == nil || h.Param == "" || stepParam(step) != h.Param {
		return false
	}
	if h.Part {
		if step.Custom == nil || h.Text == "" {
			return false
		}
		p.inputs = append(p.inputs, h.Text)
		return true
	}
	if h.Param == noParam || h.IsInt != whole(step) {
		return false
	}
	p.params[h.Param] = h.value()
	p.step, p.inputs = p.step+1, nil
	return true
}

// current is the step a person stands at, nil in a list of nodes.
func (p *place) current() *menu.Step {
	if p.step >= len(p.node.Steps) {
		return nil
	}
	return &p.node.Steps[p.step]
}

// stepParam is how hops name what a step asks for, "" for one that asks for nothing.
func stepParam(s *menu.Step) string {
	name := s.Param()
	if name == "" && s.Custom != nil {
		return noParam
	}
	return name
}

// whole reports whether the step's value is a whole number.
func whole(s *menu.Step) bool {
	return s.Input != nil && (s.Input.Type == menu.Int || s.Input.Type == menu.Port)
}

// deed is the road's arguments as far as they are known, and the names of those that param will become ("" for none). Ok
// is false for a node without a deed that a policy knows.
func (p *place) deed(param string) (into []string, args map[string]any, ok bool) {
	src, ok := p.node.Deed()
	if !ok {
		return nil, nil, false
	}
	if param != "" {
		for name, a := range src.Args {
			if a.Param == param {
				into = append(into, name)
			}
		}
		slices.Sort(into)
	}
	return into, known(src, p.params), true
}

// known is the arguments of a source that do not wait for an answer; nil when there are none.
func known(src menu.Source, params map[string]any) map[string]any {
	var args map[string]any
	set := func(name string, v any) {
		if args == nil {
			args = make(map[string]any, len(src.Args))
		}
		args[name] = v
	}
	for name, a := range src.Args {
		switch {
		case a.Param != "":
			if v, ok := params[a.Param]; ok {
				set(name, v)
			}
		case a.Current == "":
			set(name, a.Literal)
		}
	}
	return args
}

// lastNode is the index of the last choice of a node.
func lastNode(hops []Hop) int {
	for i := len(hops) - 1; i >= 0; i-- {
		if hops[i].Node != "" {
			return i
		}
	}
	return 0
}

// firstOf is the index of the first hop by which the last value of a parameter was reached: a custom step may have taken
// several. Ok is false when there is none.
func firstOf(hops []Hop, param string) (i int, ok bool) {
	for i = len(hops) - 1; i >= 0; i-- {
		if hops[i].Param == param {
			for i > 0 && hops[i-1].Param == param && hops[i-1].Part {
				i--
			}
			return i, true
		}
	}
	return 0, false
}

// param finds what is known of a parameter on the way to a node.
func param(n *menu.Node, name string) (menu.Param, bool) {
	for _, p := range n.Params {
		if p.Name == name {
			return p, true
		}
	}
	return menu.Param{}, false
}
