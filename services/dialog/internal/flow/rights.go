package flow

import (
	"palmops/libs/wire"
	"palmops/services/dialog/menu"
	"palmops/services/dialog/policy"
)

// holds reports whether a node's condition holds where these parameters are known.
func (t *turn) holds(n *menu.Node, params map[string]any) bool {
	return n.When.Holds(menu.Vars{Person: t.env.Person, At: t.clock(), Env: n.Env, Params: params})
}

// visible reports whether a node is shown in a list where these parameters are known. It looks at this node only, never
// at what is below: the policy has worked out whole branches.
func (t *turn) visible(n *menu.Node, params map[string]any) bool {
	target := n.Target()
	if !t.rights.Sees(n) || !t.holds(n, params) || target != n && !t.holds(target, params) {
		return false
	}
	args := params
	if len(target.Items) == 0 {
		src, ok := target.Deed()
		if !ok {
			return true
		}
		args = known(src, params)
	}
	return len(args) == 0 || t.rights.May(target, args).Allowed // of no arguments Sees has said it
}

// children are the nodes that are shown at p.
func (t *turn) children(p place) []*menu.Node {
	var list []*menu.Node
	for _, child := range p.node.Items {
		if t.visible(child, p.params) {
			list = append(list, child)
		}
	}
	return list
}

// judge keeps the freeze by which something was refused, so that the person hears of it.
func (t *turn) judge(d policy.Decision) bool {
	if !d.Allowed && d.Freeze != nil {
		t.frozen = d.Freeze
	}
	return d.Allowed
}

// allowed is how many of the hops the person may still take.
func (t *turn) allowed(hops []Hop) int {
	t.frozen = nil
	n := len(hops)
	for { // what is left must be a place to be, too
		was := n
		if n = t.walkable(hops[:n]); n == was {
			return n
		}
	}
}

// walkable is how many of the hops may be taken before the first that may not.
func (t *turn) walkable(hops []Hop) int {
	p := place{node: t.m.Root, params: map[string]any{}}
	for i, h := range hops {
		if h.Node != "" {
			child := t.m.Node(h.Node)
			if child == nil {
				return i
			}
			if !t.visible(child, p.params) {
				t.blame(child, p.params)
				return i
			}
		}
		if !p.take(t.m, h) {
			return i // a damaged session
		}
	}
	args := p.params
	if len(p.node.Items) == 0 {
		_, args, _ = p.deed("")
	}
	if len(args) > 0 && !t.judge(t.rights.May(p.node, args)) {
		// Back to the list that holds the road: half a road is no place to be.
		return lastNode(hops)
	}
	return len(hops)
}

// blame keeps the freeze that hides a node, if one does.
func (t *turn) blame(n *menu.Node, params map[string]any) {
	target := n.Target()
	if list := t.rights.Frozen(target); len(list) > 0 {
		t.frozen = &list[0]
	} else if src, ok := target.Deed(); ok {
		t.judge(t.rights.May(target, known(src, params)))
	}
}

// refusal says why something is not allowed: by the freeze that allowed or judge found, else in the words of the key.
func (t *turn) refusal(key string) string {
	if f := t.frozen; f != nil {
		t.why = ReasonFrozen
		return t.say("denied.frozen", t.freeze(*f))
	}
	t.why = ReasonDenied
	return t.say(key)
}

// freeze is a freeze in words: its reason, or its name, and until when.
func (t *turn) freeze(f policy.Freeze) string {
	text := clean(f.Reason.In(t.lang), menu.MaxPrompt)
	if text == "" {
		text = clean(f.Name, menu.MaxLabel)
	}
	if f.Until.IsZero() {
		return text
	}
	form := "01-02 15:04"
	until := f.Until.In(t.clock().Location())
	if until.Year() != t.clock().Year() {
		form = "2006-01-02 15:04"
	}
	return t.say("freeze.until", text, until.Format(form))
}

// offered keeps the lines of a list that may be chosen: those with which the road, or something in a list of nodes, may
// become allowed.
func (t *turn) offered(p place, name string, items []wire.Item) []wire.Item {
	if name == "" || len(items) == 0 {
		return items
	}
	if len(p.node.Items) > 0 { // the policy knows which parameters matter below
		return t.rights.FilterItems(p.node, name, items, p.params)
	}
	into, args, ok := p.deed(name)
	if !ok {
		return items
	}
	if len(into) == 0 {
		into = []string{""}
	}
	for _, arg := range into {
		items = t.rights.FilterItems(p.node, arg, items, args)
	}
	return items
}

// outdated reports whether the stored list has lines that the person may not choose any more.
func (t *turn) outdated(p place) bool {
	if t.s.Screen.Kind != wire.ScreenMenu {
		return false
	}
	t.frozen = nil
	step := p.current()
	if step == nil {
		for _, it := range t.s.Screen.Items {
			child := t.m.Node(it.Value)
			if child == nil {
				return true
			}
			if !t.visible(child, p.params) {
				t.blame(child, p.params)
				return true
			}
		}
		return false
	}
	d := step.Dynamic
	if d == nil || d.Param == "" {
		return false // allowed has looked at the whole road
	}
	return len(t.offered(p, d.Param, t.s.Screen.Items)) < len(t.s.Screen.Items)
}

// fits reports whether the stored screen can belong to a place; it cannot only in a damaged session.
func (t *turn) fits(p place) bool {
	sh := t.s.Screen
	if sh.Room.Name != "" {
		return t.s.Under != nil && t.s.Under.Room.Name == "" && rooms[sh.Room.Name] && inBounds(sh, t.pages(p, sh)) && t.fitsPlace(p, *t.s.Under)
	}
	return t.s.Under == nil && t.fitsPlace(p, sh)
}

func (t *turn) fitsPlace(p place, sh Shown) bool {
	if !inBounds(sh, t.pages(p, sh)) {
		return false
	}
	step := p.current()
	switch sh.Kind {
	case wire.ScreenMenu:
		return step == nil || step.Dynamic != nil || step.Custom != nil
	case wire.ScreenInput:
		return step != nil && (step.Input != nil || step.Custom != nil)
	case wire.ScreenConfirm:
		return step != nil && step.Confirm != nil
	case wire.ScreenAccepted:
		return step == nil
	}
	return false
}

func inBounds(sh Shown, pages int) bool {
	return sh.Page >= 0 && sh.Seen >= sh.Page && sh.Seen < max(pages, 1)
}
