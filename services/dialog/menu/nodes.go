package menu

import (
	"fmt"
	"slices"

	"go.yaml.in/yaml/v4"
)

const (
	maxAlias = 20
	// MaxWay is how many nodes a way from the root may have when links are followed.
	MaxWay = 2 * MaxDepth
)

// where names a line of the file that is read now.
func (r *reader) where(line int) string { return fmt.Sprintf("%s:%d", r.File, line) }

func (r *reader) items(n *yaml.Node, parent *Node, depth int) []*Node {
	switch {
	case n == nil:
		return nil
	case depth > MaxDepth:
		r.Add(n, "the menu is more than %d levels deep", MaxDepth)
		return nil
	}
	list := r.unfold(n)
	if len(list) > MaxItems {
		r.Add(n, "items has %d entries, the limit is %d", len(list), MaxItems)
		return nil
	}
	from := r.chain
	defer r.enter(from)
	nodes := make([]*Node, 0, len(list))
	for _, item := range list {
		r.enter(item.chain)
		if r.count++; r.count > MaxNodes {
			if r.count == MaxNodes+1 {
				r.Add(item.n, "the menu has more than %d nodes", MaxNodes)
			}
			return nodes
		}
		nodes = append(nodes, r.node(item.n, parent, depth))
	}
	return nodes
}

func (r *reader) node(n *yaml.Node, parent *Node, depth int) *Node {
	f := r.Fields(n, "an item", "id", "title", "alias", "env", "when", "items", "steps", "link", "open")
	r.Need(n, f, "an item", "id", "title")
	node := &Node{
		ID: r.named(f["id"], "id", idForm), Title: r.label(f["title"], "title"), Env: parent.Env,
		File: r.File, Line: n.Line, Parent: parent, Params: parent.Params, Index: r.count,
	}
	node.path = append(slices.Clip(parent.path), node.ID)
	if node.ID != "" {
		if first := r.m.nodes[node.ID]; first == nil {
			r.m.nodes[node.ID] = node
		} else if first.File == node.File {
			r.Add(f["id"], "id %q is already used in line %d", node.ID, first.Line)
		} else {
			r.Add(f["id"], "id %q is already used in %s:%d", node.ID, first.File, first.Line)
		}
	}
	if f["env"] != nil {
		node.Env = r.named(f["env"], "env", placeForm)
	}
	if f["when"] != nil {
		node.When = r.when(f["when"], parent.Params)
	}
	r.alias(f["alias"], node)
	switch {
	case f["link"] != nil || f["open"] != nil:
		if f["items"] != nil || f["steps"] != nil || f["link"] != nil && f["open"] != nil {
			r.Add(n, "an item has items and steps, or link, or open")
			return node
		}
		node.Open = r.oneOf(f["open"], "open", OpenRecent, OpenFavourites, OpenTasks)
		if f["link"] != nil {
			r.links = append(r.links, link{from: node, to: r.named(f["link"], "link", idForm), file: r.File, line: f["link"].Line})
		}
		return node
	case f["items"] == nil && f["steps"] == nil && n.Kind == yaml.MappingNode:
		r.Add(n, "an item needs items (further entries), steps (what it does), or one of link and open")
	}
	if s := f["steps"]; s != nil {
		r.steps(s, node, f["items"] != nil)
	}
	node.Items = r.items(f["items"], node, depth+1)
	return node
}

func (r *reader) alias(n *yaml.Node, node *Node) {
	list := r.Sequence(n, "alias")
	if len(list) > maxAlias {
		r.Add(n, "alias has %d entries, the limit is %d", len(list), maxAlias)
		return
	}
	for _, a := range list {
		node.Alias = append(node.Alias, r.filled(a, "an alias", MaxLabel))
	}
}

// link is a node that stands for another one, which may come later in the files.
type link struct {
	from *Node
	to   string
	file string
	line int
}

// resolve binds the links when all nodes are known.
func (r *reader) resolve() {
	isLink := map[*Node]bool{}
	for _, l := range r.links {
		isLink[l.from] = true
	}
	for _, l := range r.links {
		bad := func(format string, args ...any) { r.Problems.Add(l.file, l.line, "link: "+format, args...) }
		target := r.m.nodes[l.to]
		switch {
		case l.to == "":
		case target == nil:
			bad("the menu has no item with the id %q", l.to)
		case isLink[target]:
			bad("%s is a link itself; name what it stands for", l.to)
		case isAbove(target, l.from):
			bad("the link lies inside %s, so that one could go round in circles", l.to)
		default:
			if p := lacks(target.Parent.Params, l.from.Params); p != nil {
				bad("%s needs the param %q, which is not known here", l.to, p.Name)
				continue
			}
			l.from.Link = target
		}
	}
	w := &ways{r: r, far: map[*Node]int{}, asks: map[*Node]map[string]*Node{}}
	far := w.length(r.m.Root) - 1
	if n := w.circle; n != nil {
		at := slices.IndexFunc(r.links, func(l link) bool { return l.from == n })
		r.Problems.Add(r.links[at].file, r.links[at].line, "link: one could go round in circles by this link to %s", n.Link.ID)
		return
	}
	if far > MaxWay {
		r.Problems.Add(r.m.File, r.m.Root.Line, "a way through the links has %d nodes, the limit is %d", far, MaxWay)
	}
	for _, l := range r.links {
		if l.from.Link != nil {
			w.clashes(l)
		}
	}
}

func isAbove(n, below *Node) bool {
	for ; below != nil; below = below.Parent {
		if below == n {
			return true
		}
	}
	return false
}

// lacks gives the first of the needed parameters that is not known.
func lacks(needed, known []Param) *Param {
	for i, p := range needed {
		if !slices.ContainsFunc(known, func(k Param) bool { return k.Name == p.Name && k.Kind == p.Kind }) {
			return &needed[i]
		}
	}
	return nil
}

// ways looks at the menu as a person walks it, links included.
type ways struct {
	r      *reader
	far    map[*Node]int              // nodes on the longest way from here; -1 while it is found out
	taken  []*Node                    // links on the present way
	circle *Node                      // a link that closes a circle
	asks   map[*Node]map[string]*Node // parameters asked here or further on, and a node that asks each
}

func next(n *Node) []*Node {
	if n.Link != nil {
		return []*Node{n.Link}
	}
	return n.Items
}

func (w *ways) length(n *Node) int {
	if far, ok := w.far[n]; ok {
		return far
	}
	w.far[n] = -1
	if n.Link != nil {
		w.taken = append(w.taken, n)
	}
	most := 0
	for _, to := range next(n) {
		far := w.length(to)
		if far < 0 && w.circle == nil {
			w.circle = w.taken[len(w.taken)-1] // items alone make no circle
		}
		most = max(most, far)
	}
	if n.Link != nil {
		w.taken = w.taken[:len(w.taken)-1]
	}
	w.far[n] = most + 1
	return most + 1
}

// clashes notes parameters that a link's place knows and that would be asked again behind the link.
func (w *ways) clashes(l link) {
	inherited := l.from.Link.Parent.Params
	for _, p := range l.from.Params {
		if lacks([]Param{p}, inherited) == nil {
			continue
		}
		if again := w.asked(l.from.Link)[p.Name]; again != nil {
			w.r.Problems.Add(l.file, l.line, "link: the param %q is known here already, and %s asks for it again", p.Name, again.ID)
		}
	}
}

func (w *ways) asked(n *Node) map[string]*Node {
	if known, ok := w.asks[n]; ok {
		return known
	}
	out := map[string]*Node{}
	for _, s := range n.Steps {
		if p := s.Param(); p != "" {
			out[p] = n
		}
	}
	for _, to := range next(n) {
		for name, by := range w.asked(to) {
			out[name] = by
		}
	}
	w.asks[n] = out
	return out
}
