package flow

import (
	"strconv"
	"strings"

	"palmops/libs/wire"
	"palmops/services/dialog/menu"
)

// Session.Ahead is what is known of the road beyond the place one stands at. It comes in two forms.
//
// While a form is being changed it is the whole tail of the road as it was, from the value that is asked again: its first
// hop is one of the parameter one stands at, or of one that has been answered anew. Nothing is taken out of it until the
// road stands at its confirm again, so that going back can restore the form.
//
// Otherwise it is what a jump still has before it: the nodes of the way, then values. What is taken is taken out.

// changing reports whether a form is being changed, see above.
func (t *turn) changing(p place) bool {
	if len(t.s.Ahead) == 0 || t.s.Ahead[0].Param == "" {
		return false
	}
	name := t.s.Ahead[0].Param
	if step := p.current(); step != nil && stepParam(step) == name {
		return true
	}
	_, answered := p.params[name]
	return answered
}

// unchanged is the road of the form as it was before it was being changed.
func (t *turn) unchanged(p place) []Hop {
	name := t.s.Ahead[0].Param
	keep := len(t.s.Hops)
	if step := p.current(); step != nil && stepParam(step) == name {
		for keep > 0 && t.s.Hops[keep-1].Part && t.s.Hops[keep-1].Param == name {
			keep--
		}
	} else if i, ok := firstOf(t.s.Hops, name); ok {
		keep = i
	}
	road := join(t.s.Hops[:keep], t.s.Ahead)
	if _, ok := locate(t.m, road); !ok {
		return t.s.Hops[:lastNode(t.s.Hops)] // a damaged session
	}
	return road[:t.allowed(road)]
}

func join(a, b []Hop) []Hop { return append(append(make([]Hop, 0, len(a)+len(b)+1), a...), b...) }

// present is the value that is being changed at a step.
func present(step *menu.Step, ahead []Hop) (Hop, bool) {
	if len(ahead) == 0 || ahead[0].Param == "" || ahead[0].Param != stepParam(step) {
		return Hop{}, false
	}
	return valueIn(ahead, ahead[0].Param)
}

// valueIn is the hop that holds a parameter's value.
func valueIn(hops []Hop, name string) (Hop, bool) {
	for _, h := range hops {
		if h.Param == name && !h.Part {
			return h, true
		}
	}
	return Hop{}, false
}

// forward takes one more hop, if the person may, and what is known beyond it.
func (t *turn) forward(p place, hop Hop) Result {
	hops := join(t.s.Hops, []Hop{hop})
	at, ok := locate(t.m, hops)
	if !ok {
		return t.restart()
	}
	if t.allowed(hops) < len(hops) {
		note := t.refusal("denied.note")
		if t.frozen == nil && hop.Param != "" && !hop.Part {
			note = t.say("denied.value", quote(t.lang, hop.text()))
		}
		return t.again(note)
	}
	ahead := t.s.Ahead
	if hop.Node != "" {
		ahead = nil // who chooses for themselves has left the way of a jump
	}
	t.change = t.changing(p)
	if hop.Param != "" && !hop.Part && !t.change {
		ahead = t.without(ahead, at.node, hop.Param)
	}
	return t.show(hops, ahead, "")
}

// without leaves out the value of a parameter and those that depend on it: it is, or will be, answered otherwise than
// they knew it. N is where one stands; ahead may lead further down, where more parameters are known.
func (t *turn) without(ahead []Hop, n *menu.Node, name string) []Hop {
	for _, h := range ahead {
		if deeper := t.m.Node(h.Node); deeper != nil {
			n = deeper.Target()
		}
	}
	var rest []Hop
	for _, h := range ahead {
		if h.Param == "" || h.Param != name && !depends(n, h.Param, func(on string) bool { return on == name }) {
			rest = append(rest, h)
		}
	}
	return rest
}

// depends reports whether a parameter's choice rests on one for which changed holds, directly or through others.
func depends(n *menu.Node, name string, changed func(string) bool) bool {
	seen := map[string]bool{}
	var look func(name string) bool
	look = func(name string) bool {
		p, ok := param(n, name)
		if !ok || seen[name] {
			return false
		}
		seen[name] = true
		for _, on := range p.After {
			if changed(on) || look(on) {
				return true
			}
		}
		return false
	}
	return look(name)
}

// maxFollow bounds the way that one message can go.
const maxFollow = 256

// follow goes on from the end of hops by what ahead knows, as far as nobody needs to be asked. It gives the road, what is
// left of ahead, the room that the way ends in ("" for none), and a note on why it stopped early.
func (t *turn) follow(hops, ahead []Hop) (road, rest []Hop, room, note string) {
	p, ok := locate(t.m, hops)
	if !ok {
		return hops, nil, "", ""
	}
	change, whole := t.change, ahead
	for range maxFollow {
		if len(ahead) == 0 {
			break
		}
		step := p.current()
		if step == nil {
			hop, at, ok := nextNode(p, t.m, ahead)
			if !ok {
				return hops, nil, "", note // the values that are left belong to no road any more
			}
			child := t.m.Node(hop.Node)
			number, shown := t.numberOf(p, child)
			if !shown {
				t.frozen = nil
				t.blame(child, p.params)
				return hops, nil, "", t.refusal("ahead.node")
			}
			if child.Open != "" {
				return hops, nil, child.Open, ""
			}
			hop.Typed = strconv.Itoa(number)
			if ok = p.take(t.m, hop); !ok {
				return hops, nil, "", note
			}
			hops = join(hops, []Hop{hop})
			if !change {
				ahead = append(append([]Hop(nil), ahead[:at]...), ahead[at+1:]...)
			}
			continue
		}
		name := stepParam(step)
		if name == "" {
			return hops, nil, "", note // the confirm, or something that is only read
		}
		group := valuesOf(ahead, name)
		if len(group) == 0 || change && name == whole[0].Param { // the second: this is what is being changed
			return hops, ahead, "", note
		}
		known := group[len(group)-1]
		if change && depends(p.node, name, func(on string) bool { return differs(whole, p.params, on) }) {
			return hops, ahead, "", t.say("change.depends", t.label(p.node, name))
		}
		next := join(hops, group)
		at, ok := locate(t.m, next)
		if !ok || !t.fitting(p, step, known) || t.allowed(next) < len(next) {
			if !change {
				ahead = t.without(ahead, p.node, name)
			}
			return hops, ahead, "", t.say("ahead.value", t.label(p.node, name), clean(known.text(), 40))
		}
		hops, p = next, at
		if !change {
			ahead = drop(ahead, name)
		}
	}
	return hops, nil, "", note
}

// nextNode is the choice in ahead that can be made in the list at p.
func nextNode(p place, m *menu.Menu, ahead []Hop) (hop Hop, at int, ok bool) {
	for i, h := range ahead {
		if n := m.Node(h.Node); h.Node != "" && n != nil && n.Parent == p.node {
			return h, i, true
		}
	}
	return Hop{}, 0, false
}

// valuesOf are the hops by which a parameter got its value: one, or the whole way through a custom step.
func valuesOf(ahead []Hop, name string) []Hop {
	var group []Hop
	for _, h := range ahead {
		if h.Param != name {
			continue
		}
		group = append(group, h)
		if !h.Part {
			return group
		}
	}
	return nil
}

func drop(ahead []Hop, name string) []Hop {
	var rest []Hop
	for _, h := range ahead {
		if h.Param != name {
			rest = append(rest, h)
		}
	}
	return rest
}

// differs reports whether a parameter has another value than the form had.
func differs(ahead []Hop, params map[string]any, name string) bool {
	was, ok := valueIn(ahead, name)
	if !ok {
		return false
	}
	is, ok := params[name]
	return ok && is != was.value()
}

// numberOf is the number a node has in the list at p. Shown is false when it is not in it.
func (t *turn) numberOf(p place, child *menu.Node) (number int, shown bool) {
	for i, n := range t.children(p) {
		if n == child {
			return i + t.m.First, true
		}
	}
	return 0, false
}

// fitting reports whether a value that was accepted once would be accepted by its step today. Lists that others give are
// not asked again: whoever acts on the value judges it.
func (t *turn) fitting(p place, step *menu.Step, h Hop) bool {
	switch {
	case step.Input != nil:
		read, err := step.Input.Read(t.lang, h.text(), t.clock())
		return err == nil && read == h.text()
	case step.Dynamic != nil:
		values := []string{h.Text}
		if step.Dynamic.Multi {
			values = strings.Split(h.Text, ",")
			if least, most := bounds(step.Dynamic); len(values) < least || len(values) > most {
				return false
			}
		}
		var items []wire.Item
		for _, v := range values {
			items = append(items, wire.Item{Value: v})
		}
		if step.Dynamic.Table != nil && len(kept(values, t.entries(table(p, step.Dynamic.Table)))) < len(values) {
			return false
		}
		return h.Text != "" && len(t.offered(p, step.Dynamic.Param, items)) == len(items)
	}
	return h.Text != ""
}

// kept are the values that a list has, in the order of the values.
func kept(values []string, items []wire.Item) []string {
	has := make(map[string]bool, len(items))
	for _, it := range items {
		has[it.Value] = true
	}
	var out []string
	for _, v := range values {
		if has[v] {
			out = append(out, v)
		}
	}
	return out
}

// label is what people call a parameter.
func (t *turn) label(n *menu.Node, name string) string {
	if p, ok := param(n, name); ok && !p.Label.Empty() {
		return clean(p.Label.In(t.lang), menu.MaxLabel)
	}
	return name
}
