package policy

import (
	"slices"

	"palmops/libs/conf"
	"palmops/services/dialog/menu"
)

// Validate holds the policy against a menu: nodes, environments and arguments that grants and freezes name must exist
// where they are named, since a misspelt one would grant, or restrict, or stop nothing, and nobody would be told. The
// error is of type conf.Problems.
func (p *Policy) Validate(m *menu.Menu) error {
	var ps conf.Problems
	for i := range p.grants {
		g := &p.grants[i]
		roads := p.branch(&ps, m, g.Menu, g.menuLines)
		p.environments(&ps, m, roads, g.Env, g.envLines)
		p.arguments(&ps, m, roads, g)
	}
	for i := range p.freezes {
		f := &p.freezes[i]
		roads := p.branch(&ps, m, f.Menu, f.menuLines)
		if len(f.Menu) == 0 {
			roads = roadsOf(m.Root, nil)
		}
		p.environments(&ps, m, roads, f.Env, f.envLines)
	}
	return ps.Err()
}

// branch is the roads at and below the named nodes, nil when a name is wrong.
func (p *Policy) branch(ps *conf.Problems, m *menu.Menu, ids []string, lines []int) []*menu.Node {
	roads := []*menu.Node{}
	for i, id := range ids {
		switch n := m.Node(id); {
		case n == nil:
			ps.Add(p.File, lines[i], "the menu %s has no item with the id %q", m.File, id)
			return nil
		case n.Link != nil:
			ps.Add(p.File, lines[i], "%s is a link, and rights are those of what it leads to; name %s", id, n.Link.ID)
			return nil
		default:
			roads = roadsOf(n, roads)
		}
	}
	return roads
}

func roadsOf(n *menu.Node, roads []*menu.Node) []*menu.Node {
	if len(n.Items) == 0 {
		return append(roads, n)
	}
	for _, child := range n.Items {
		roads = roadsOf(child, roads)
	}
	return roads
}

func (p *Policy) environments(ps *conf.Problems, m *menu.Menu, roads []*menu.Node, env []string, lines []int) {
	for i, e := range env {
		if roads != nil && !slices.ContainsFunc(roads, func(n *menu.Node) bool { return n.Env == e }) {
			ps.Add(p.File, lines[i], "nothing in this part of the menu %s has the environment %q", m.File, e)
		}
	}
}

// arguments looks at the roads whose action the grant names. When there is none, the grant allows nothing here, and what
// it restricts does not matter.
func (p *Policy) arguments(ps *conf.Problems, m *menu.Menu, roads []*menu.Node, g *Grant) {
	about := false
	known := map[string]bool{}
	for _, n := range roads {
		if src, deed := n.Deed(); deed && names(g.Actions, src.Action) {
			about = true
			for name := range src.Args {
				known[name] = true
			}
		}
	}
	for _, name := range g.argNames {
		if about && !known[name] {
			ps.Add(p.File, g.argLines[name], "no action of this grant has an argument %q in this part of the menu %s", name, m.File)
		}
	}
}
