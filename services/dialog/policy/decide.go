package policy

import (
	"slices"

	"palmops/libs/wire"
	"palmops/services/dialog/menu"
)

// Sees reports whether a node is shown: something at it or below it may be allowed, with some arguments. A link is shown
// when its target is. Conditions of the menu are not looked at.
func (l *Lens) Sees(n *menu.Node) bool {
	at, ok := l.b.at(n)
	return ok && l.none == "" && l.sees.has(int(at))
}

// Decide says whether the node's deed is allowed with these arguments. A road without a deed, a list and a room are
// allowed when they are shown.
func (l *Lens) Decide(n *menu.Node, args map[string]any) Decision { return l.decide(n, args, false) }

// May is Decide for arguments that are not all known yet: a missing one is taken to become an allowed one. For a node with
// items, args are not arguments but the parameters known so far, by their names, and something below must be possible.
func (l *Lens) May(n *menu.Node, args map[string]any) Decision { return l.decide(n, args, true) }

// FilterItems keeps the lines that may become the argument arg of the node's deed, given the arguments known so far: those
// with which May allows. An arg of "" filters by args alone. For a node with items, arg and args are parameters.
func (l *Lens) FilterItems(n *menu.Node, arg string, items []wire.Item, args map[string]any) []wire.Item {
	at, ok := l.b.at(n)
	if !ok || !l.Sees(n) {
		return nil
	}
	q := question{lens: l, args: args, arg: arg, partial: true}
	var tests [][]*check // a line must pass all of one
	classes := l.b.class[at : at+1]
	pass := false
	if classes[0] == isList {
		q.params = true
		if classes, ok = l.b.below[at]; !ok {
			pass = true // nothing below depends on what is asked here
		}
	}
	for _, c := range classes {
		if pass = pass || c < 0 || q.candidates(&l.b.classes[c], &tests); pass {
			break
		}
	}
	kept := make([]wire.Item, 0, len(items))
	for _, item := range items {
		if pass || slices.ContainsFunc(tests, func(test []*check) bool { return admitsAll(test, item.Value) }) {
			kept = append(kept, item)
		}
	}
	return kept
}

func admitsAll(test []*check, value string) bool {
	for _, k := range test {
		if !k.may.admits(value, k.multi) {
			return false
		}
	}
	return true
}

// Frozen are the freezes that hide something of this person's from the list n now, or that stop the road n.
func (l *Lens) Frozen(n *menu.Node) []Freeze {
	at, ok := l.b.at(n)
	if !ok || l.none != "" || l.freezes == 0 {
		return nil
	}
	mask := uint64(0)
	if n = n.Target(); len(n.Items) == 0 {
		mask = l.masks[l.stopped[at]]
	}
	for _, child := range n.Items {
		if at, ok := l.b.at(child); ok && !l.sees.has(int(at)) {
			mask |= l.masks[l.stopped[at]]
		}
	}
	var out []Freeze
	bits{mask}.each(func(i int) { out = append(out, l.b.p.freezes[i]) })
	return out
}

func (l *Lens) decide(n *menu.Node, args map[string]any, partial bool) Decision {
	at, ok := l.b.at(n)
	switch {
	case l.none != "":
		return Decision{Why: l.none}
	case l.held.empty():
		return Decision{Why: "no role with a grant"}
	case !ok:
		return Decision{Why: "no node of this menu"}
	case l.b.class[at] == isRoom:
		return Decision{Allowed: true, Why: "a room is open to whoever has a grant"}
	}
	q := question{lens: l, args: args, partial: partial}
	if l.b.class[at] < 0 {
		return l.decideList(at, q)
	}
	c := &l.b.classes[l.b.class[at]]
	r := q.allowing(c)
	switch {
	case r == nil:
		return Decision{Why: l.refusal(c, n.Target(), args, partial)}
	case c.freezes&l.freezes != 0:
		f := l.b.p.longest(c.freezes & l.freezes)
		return Decision{Why: "frozen by " + f.Name + " until " + f.Until.In(l.b.p.Zone).Format(localForm), Freeze: f}
	}
	return Decision{Allowed: true, Role: l.b.p.grants[r.grant].Role, Why: l.b.p.why[r.grant]}
}

// decideList is about a list: something in it must be possible with the parameters known so far.
func (l *Lens) decideList(at int32, q question) Decision {
	if !l.sees.has(int(at)) {
		if l.freezes != 0 && l.masks[l.stopped[at]] != 0 {
			f := l.b.p.longest(l.masks[l.stopped[at]])
			return Decision{Why: "everything granted below it is frozen, by " + f.Name, Freeze: f}
		}
		return Decision{Why: "nothing below it is granted"}
	}
	below, known := l.b.below[at]
	if !known || len(q.args) == 0 {
		return Decision{Allowed: true, Why: "something below it may be allowed"}
	}
	q.params, q.partial = true, true
	for _, at := range below {
		if at < 0 || l.b.classes[at].freezes&l.freezes == 0 && q.allowing(&l.b.classes[at]) != nil {
			return Decision{Allowed: true, Why: "something below it may be allowed with these values"}
		}
	}
	return Decision{Why: "nothing below it is allowed with these values"}
}

// longest is the freeze of a mask that ends last.
func (p *Policy) longest(mask uint64) *Freeze {
	var out *Freeze
	bits{mask}.each(func(i int) {
		if f := &p.freezes[i]; out == nil || f.Until.After(out.Until) {
			out = f
		}
	})
	return out
}

// question is what is asked of a class: are these arguments allowed?
type question struct {
	lens    *Lens
	args    map[string]any
	params  bool   // args are parameters
	partial bool   // a missing argument may still come
	arg     string // one that is left open, for FilterItems
}

// value is what is known of the argument of a check.
func (q *question) value(k *check) (v any, known bool) {
	name := k.arg
	if q.params {
		if name = k.param; name == "" {
			return nil, false
		}
	}
	v, known = q.args[name]
	return v, known
}

// passes reports whether the argument of a check is allowed.
func (q *question) passes(k *check) bool {
	v, known := q.value(k)
	if !known {
		return q.partial
	}
	return k.may.admits(v, k.multi)
}

// allowing is the first grant that allows a class, nil for none.
func (q *question) allowing(c *class) *row {
	for i := range c.rows {
		if r := &c.rows[i]; q.lens.counts.has(r.grant) && q.passesAll(r) {
			return r
		}
	}
	return nil
}

// passesAll reports whether the arguments of a row are allowed, but for the one that is left open.
func (q *question) passesAll(r *row) bool {
	for i := range r.checks {
		if k := &r.checks[i]; !q.isOpen(k) && !q.passes(k) {
			return false
		}
	}
	return true
}

// candidates adds what each grant that allows the rest asks of the open argument. It reports true when one asks nothing.
func (q *question) candidates(c *class, tests *[][]*check) (every bool) {
	if c.freezes&q.lens.freezes != 0 {
		return false
	}
	for i := range c.rows {
		r := &c.rows[i]
		if !q.lens.counts.has(r.grant) || !q.passesAll(r) {
			continue
		}
		var test []*check
		for j := range r.checks {
			if k := &r.checks[j]; q.isOpen(k) {
				test = append(test, k)
			}
		}
		if len(test) == 0 {
			return true
		}
		*tests = append(*tests, test)
	}
	return false
}

// isOpen reports whether a check is about the argument, or the parameter, that is left open.
func (q *question) isOpen(k *check) bool {
	if q.arg == "" {
		return false
	}
	if q.params {
		return k.param == q.arg
	}
	return k.arg == q.arg
}
