package policy

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"palmops/services/dialog/menu"
)

// Bound is a policy bound to a menu. It is safe for concurrent use, and costs some bytes for each node.
//
// Roads about which a policy cannot think differently form a class: the same grants and freezes lie above them, and
// action, environment and restricted arguments are alike. What the grants of a class ask is found once, when it is bound.
type Bound struct {
	p    *Policy
	menu *menu.Menu

	// By Node.Index:
	nodes  []*menu.Node
	parent []int32 // -1 for the root
	class  []int32 // place in classes; or list, link, room

	// Doors are the links, the rooms, and the lists that hold nothing else. They alone do not show the branch around them:
	// a shared tool that every branch links to must not show every branch to everybody.
	doors bits

	roads   []int32 // indexes of the nodes with a class
	rooms   []int32
	links   []link
	classes []class
	below   map[int32][]int32 // of the lists that know parameters: the classes of what shows them, isRoom too, links followed

	cache cache
}

// What a node is that has no class.
const (
	isList int32 = -1 - iota
	isLink
	isRoom
	isNone // no node has the index
)

type link struct{ at, to int32 }

type class struct {
	deed     bool // false for a road that shows only what menu or program know: it needs its branch and no action
	changes  bool // an order, not a list that is read
	action   string
	env      string
	src      menu.Source // of one of its roads: the literals of restricted arguments are those of all
	multi    []string    // arguments that are made of a multi-select
	freezes  uint64      // which of them stop it
	branches []branch    // the grants that name its branch
	rows     []row       // those of them that can allow it
}

// branch is a grant that names a node, and that node's environment.
type branch struct {
	grant int
	env   string
}

// row is a grant that allows a class when the arguments pass.
type row struct {
	grant  int
	checks []check
}

type check struct {
	arg   string
	param string // the parameter it is made of, "" for a literal, which has passed, and for a field of an answer
	multi bool
	may   *Values
}

// Bind finds out which grants can reach which roads of m. The policy need not be valid for m: what it names and m does not
// have grants nothing, so that sessions on an older menu go on.
func (p *Policy) Bind(m *menu.Menu) *Bound {
	b := &Bound{p: p, menu: m, below: map[int32][]int32{}}
	b.cache.init()
	w := binder{
		Bound: b, grants: map[string][]int{}, frozen: map[string]uint64{}, known: map[string]int32{},
		covers: [][]branch{nil},
	}
	for i, g := range p.grants {
		for _, id := range g.Menu {
			if named := w.grants[id]; len(named) == 0 || named[len(named)-1] != i {
				w.grants[id] = append(named, i)
			}
		}
	}
	everywhere := uint64(0)
	for i, f := range p.freezes {
		if len(f.Menu) == 0 {
			everywhere |= 1 << i
		}
		for _, id := range f.Menu {
			w.frozen[id] |= 1 << i
		}
	}
	w.walk(m.Root, -1, 0, everywhere)
	b.doors = newBits(len(b.nodes))
	for i := range b.nodes {
		if n := b.nodes[i]; n != nil && n.Link != nil {
			b.links = append(b.links, link{int32(i), int32(n.Link.Index)})
		}
	}
	w.door(m.Root)
	for i := range b.classes {
		b.classes[i].rows = b.rowsOf(&b.classes[i])
	}
	w.gather(m.Root, false)
	return b
}

// binder is what is needed while a policy is bound.
type binder struct {
	*Bound
	grants map[string][]int  // node id to the grants that name it
	frozen map[string]uint64 // and to the freezes
	known  map[string]int32  // classes by what they are made of
	covers [][]branch        // the distinct lists of grants above a node
	key    []byte
}

// walk enters n and all below it. Cover is the place in covers of what lies above it, stops the freezes there.
func (w *binder) walk(n *menu.Node, parent, cover int32, stops uint64) {
	for len(w.nodes) <= n.Index {
		w.nodes, w.parent, w.class = append(w.nodes, nil), append(w.parent, -1), append(w.class, isNone)
	}
	at := int32(n.Index)
	w.nodes[at], w.parent[at] = n, parent
	if named := w.grants[n.ID]; n.ID != "" && len(named) > 0 {
		more := slices.Clone(w.covers[cover])
		for _, g := range named {
			more = append(more, branch{g, n.Env})
		}
		cover = int32(len(w.covers))
		w.covers = append(w.covers, more)
	}
	if n.ID != "" {
		stops |= w.frozen[n.ID]
	}
	switch {
	case n.Link != nil:
		w.class[at] = isLink
	case n.Open != "":
		w.class[at] = isRoom
		w.rooms = append(w.rooms, at)
	case len(n.Steps) > 0 && len(n.Items) == 0:
		w.class[at] = w.classOf(n, cover, stops)
		w.roads = append(w.roads, at)
	default:
		w.class[at] = isList
	}
	for _, child := range n.Items {
		w.walk(child, at, cover, stops)
	}
}

// door notes which of n and all below it are doors.
func (w *binder) door(n *menu.Node) bool {
	door := n.Link != nil || n.Open != "" || len(n.Items) > 0
	for _, child := range n.Items {
		door = w.door(child) && door
	}
	if door {
		w.doors.set(n.Index)
	}
	return door
}

// classOf finds the class of a road, or makes it.
func (w *binder) classOf(n *menu.Node, cover int32, stops uint64) int32 {
	src, deed := n.Deed()
	c := class{deed: deed, action: src.Action, env: n.Env, src: src, branches: w.covers[cover]}
	if deed {
		c.changes = n.Changes()
	}
	if c.changes {
		c.freezes = w.p.stopping(stops, c.action, c.env)
	}
	key := w.key[:0]
	key = binary.AppendUvarint(key, uint64(cover))
	key = binary.LittleEndian.AppendUint64(key, c.freezes)
	key = fmt.Appendf(key, "%t%t%q%q", c.deed, c.changes, c.action, c.env)
	for _, name := range restricted(src.Args, w.p.constrained) {
		a := src.Args[name]
		multi := a.Param != "" && isMulti(n, a.Param)
		if multi {
			c.multi = append(c.multi, name)
		}
		key = fmt.Appendf(key, "%q%q%q%t%T%v", name, a.Param, a.Current, multi, a.Literal, a.Literal)
	}
	w.key = key
	at, ok := w.known[string(key)]
	if !ok {
		at = int32(len(w.classes))
		w.known[string(key)] = at
		w.classes = append(w.classes, c)
	}
	return at
}

// restricted lists the arguments that any grant restricts, sorted.
func restricted(args map[string]menu.Arg, constrained map[string]bool) []string {
	var names []string
	for name := range args {
		if constrained[name] {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// isMulti reports whether a parameter known at n is set by a multi-select.
func isMulti(n *menu.Node, param string) bool {
	for _, p := range n.Params {
		if p.Name == param && p.Node != nil && p.Step < len(p.Node.Steps) {
			d := p.Node.Steps[p.Step].Dynamic
			return d != nil && d.Multi
		}
	}
	return false
}

// stopping keeps the freezes of a mask that stop an action in an environment.
func (p *Policy) stopping(mask uint64, action, env string) uint64 {
	for i := range p.freezes {
		f := &p.freezes[i]
		if len(f.Actions) > 0 && !names(f.Actions, action) || len(f.Env) > 0 && !slices.Contains(f.Env, env) {
			mask &^= 1 << i
		}
	}
	return mask
}

// names reports whether a list of names and beginnings names an action.
func names(patterns []string, action string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		begin, any := strings.CutSuffix(p, "*")
		return p == action || any && strings.HasPrefix(action, begin)
	})
}

// inEnv reports whether a grant that names a node of one environment reaches a node below it of another. A grant without
// env follows the node it names: an environment that begins further down must be named.
func (g *Grant) inEnv(named, env string) bool {
	if len(g.Env) == 0 {
		return env == "" || env == named
	}
	return slices.Contains(g.Env, env)
}

// rowsOf is the grants that can allow a class, in the order of the file.
func (b *Bound) rowsOf(c *class) []row {
	var rows []row
	for _, br := range c.branches {
		g := &b.p.grants[br.grant]
		if !c.named(g) || !g.inEnv(br.env, c.env) {
			continue
		}
		if checks, ok := c.checks(g); ok {
			rows = append(rows, row{br.grant, checks})
		}
	}
	slices.SortFunc(rows, func(x, y row) int { return x.grant - y.grant })
	return slices.CompactFunc(rows, func(x, y row) bool { return x.grant == y.grant })
}

// named reports whether a grant names what the roads of the class do.
func (c *class) named(g *Grant) bool { return !c.deed || names(g.Actions, c.action) }

// checks is what a grant asks of the arguments; ok is false when the road can never fulfil it.
func (c *class) checks(g *Grant) (checks []check, ok bool) {
	if !c.deed {
		return nil, true
	}
	for _, name := range g.argNames {
		a, given := c.src.Args[name]
		if !given {
			return nil, false
		}
		v := g.Args[name]
		if a.Param == "" && a.Current == "" && !v.admits(a.Literal, false) {
			return nil, false
		}
		checks = append(checks, check{arg: name, param: a.Param, multi: slices.Contains(c.multi, name), may: &v})
	}
	return checks, true
}

// gather notes the classes below every list that knows parameters.
func (w *binder) gather(n *menu.Node, params bool) {
	params = params || len(n.Steps) > 0
	for _, child := range n.Items {
		w.gather(child, params)
	}
	if params && len(n.Items) > 0 {
		w.collect(n)
	}
}

// collect is the classes of what is at n and below, without repeats, and without the doors that do not show it: what was
// chosen above must lead to more than a shared tool. The menu has no circles of links; one would end.
func (w *binder) collect(n *menu.Node) []int32 {
	n = n.Target()
	at := int32(n.Index)
	if at >= int32(len(w.nodes)) || w.nodes[at] != n {
		return nil
	}
	if c := w.class[at]; c >= 0 || c == isRoom {
		return []int32{c}
	}
	if known, ok := w.below[at]; ok || len(n.Items) == 0 {
		return known
	}
	w.below[at] = nil
	var all []int32
	for _, child := range n.Items {
		if at == 0 || !w.doors.has(child.Index) || w.doors.has(n.Index) {
			all = append(all, w.collect(child)...)
		}
	}
	slices.Sort(all)
	all = slices.Compact(all)
	w.below[at] = all
	return all
}
