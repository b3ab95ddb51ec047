package menu

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// Kinds of changes.
const (
	Added   = "added"
	Removed = "removed"
	Moved   = "moved"   // to another list, or to another place in it
	Renamed = "renamed" // its title
	Changed = "changed" // anything else
)

// Change is one difference between two menus.
type Change struct {
	Kind string
	Node string // id, "" for the menu itself
	File string // of the new menu; of the old one for what was removed
	Line int
	Text string // what changed, from what to what, in one line
}

// String is the change in one line, such as "menu.yaml:12: changed retail-scale: input replicas: max: 20 → 30".
func (c Change) String() string {
	node := c.Node
	if node == "" {
		node = "the menu"
	}
	return fmt.Sprintf("%s:%d: %s %s: %s", c.File, c.Line, c.Kind, node, c.Text)
}

// Diff lists what is different in the new menu, in its order; what was removed comes last, in the order of the old one.
// Nodes are the same when their ids are.
func Diff(before, after *Menu) []Change {
	d := &differ{}
	d.compare(Change{File: after.File, Line: max(after.Root.Line, 1)}, menuFacts(before), menuFacts(after))
	d.order(before, after, after.Root)
	each(after.Root, func(n *Node) {
		old := before.Node(n.ID)
		if old == nil {
			d.add(Change{Kind: Added, Node: n.ID, File: n.File, Line: n.Line, Text: bilingual(n.Title) + ", in " + under(n)})
			return
		}
		d.node(before, after, old, n)
	})
	each(before.Root, func(n *Node) {
		if after.Node(n.ID) == nil {
			d.add(Change{Kind: Removed, Node: n.ID, File: n.File, Line: n.Line, Text: bilingual(n.Title) + ", was in " + under(n)})
		}
	})
	return d.changes
}

// WriteDiff writes Diff, one change a line.
func WriteDiff(w io.Writer, before, after *Menu) error {
	for _, c := range Diff(before, after) {
		if _, err := fmt.Fprintln(w, c); err != nil {
			return fmt.Errorf("write the difference: %w", err)
		}
	}
	return nil
}

// each goes over all nodes below one, in the order of the files.
func each(n *Node, do func(*Node)) {
	for _, below := range n.Items {
		do(below)
		each(below, do)
	}
}

// under names the list that holds a node.
func under(n *Node) string {
	if n.Parent == nil || n.Parent.ID == "" {
		return "the first list"
	}
	return n.Parent.ID
}

type differ struct{ changes []Change }

func (d *differ) add(c Change) { d.changes = append(d.changes, c) }

func (d *differ) node(before, after *Menu, old, n *Node) {
	at := Change{Node: n.ID, File: n.File, Line: n.Line}
	if from, to := under(old), under(n); from != to {
		c := at
		c.Kind, c.Text = Moved, from+" → "+to
		d.add(c)
	}
	if old.Title != n.Title {
		c := at
		c.Kind, c.Text = Renamed, bilingual(old.Title)+" → "+bilingual(n.Title)
		d.add(c)
	}
	// An environment that comes from above is said there.
	if old.Env != n.Env && (old.Parent.Env != old.Env || n.Parent.Env != n.Env) {
		c := at
		c.Kind, c.Text = Changed, "env: "+shown(old.Env)+" → "+shown(n.Env)
		d.add(c)
	}
	d.compare(at, nodeFacts(old), nodeFacts(n))
	d.steps(at, old, n)
	d.order(before, after, n)
}

// order notes that nodes which a list had before and has now come in another order: their numbers mean others.
func (d *differ) order(before, after *Menu, n *Node) {
	old := before.Root
	if n.ID != "" {
		old = before.Node(n.ID)
	}
	is, was := kept(n, old), kept(old, n)
	if !slices.Equal(was, is) {
		file := n.File
		if n.ID == "" {
			file = after.File
		}
		d.add(Change{Kind: Moved, Node: n.ID, File: file, Line: max(n.Line, 1), Text: "order of its items: " + shortened(was) + " → " + shortened(is)})
	}
}

// kept are the ids of a list that are in the other as well.
func kept(n, other *Node) []string {
	there := make(map[string]bool, len(other.Items))
	for _, o := range other.Items {
		there[o.ID] = true
	}
	var ids []string
	for _, i := range n.Items {
		if there[i.ID] {
			ids = append(ids, i.ID)
		}
	}
	return ids
}

// steps compares roads. A step is the same when it asks for the same parameter, or is the confirm or the action, of
// which a road has one.
func (d *differ) steps(at Change, old, n *Node) {
	at.Kind = Changed
	was, is := stepNames(old.Steps), stepNames(n.Steps)
	for i, name := range is {
		c := at
		c.Line = n.Steps[i].Line
		j := slices.Index(was, name)
		if j < 0 {
			c.Text = "step added: " + name
			d.add(c)
			continue
		}
		d.compare(prefixed(c, name), stepFacts(old.Steps[j]), stepFacts(n.Steps[i]))
	}
	for _, name := range was {
		if !slices.Contains(is, name) {
			c := at
			c.Text = "step removed: " + name
			d.add(c)
		}
	}
	both := func(in, other []string) []string {
		return slices.DeleteFunc(slices.Clone(in), func(s string) bool { return !slices.Contains(other, s) })
	}
	if a, b := both(was, is), both(is, was); !slices.Equal(a, b) {
		at.Text = "order of its steps: " + shortened(a) + " → " + shortened(b)
		d.add(at)
	}
}

// stepNames are what the steps of a road are called: all different.
func stepNames(steps []Step) []string {
	out := make([]string, len(steps))
	for i, s := range steps {
		out[i] = strings.TrimSpace(kindOf(s) + " " + s.Param())
	}
	return out
}

func kindOf(s Step) string {
	switch {
	case s.Dynamic != nil:
		return "dynamic"
	case s.Input != nil:
		return "input"
	case s.Custom != nil:
		return "custom"
	case s.Confirm != nil:
		return "confirm"
	case s.Action != nil && s.Action.Report:
		return "report"
	}
	return "action"
}

func prefixed(c Change, name string) Change {
	c.Text = name + ": "
	return c
}

// compare notes the facts that differ; at is the change without its kind, Text being put in front of what is said.
func (d *differ) compare(at Change, was, is facts) {
	front := at.Text
	note := func(key, text string) {
		c := at
		c.Kind, c.Text = Changed, front+key+": "+text
		d.add(c)
	}
	for _, f := range is {
		switch old, _ := was.get(f.key); {
		case old.list != nil || f.list != nil:
			if text := listChange(old.list, f.list); text != "" {
				note(f.key, text)
			}
		case old.value != f.value:
			note(f.key, shown(old.value)+" → "+shown(f.value))
		}
	}
	for _, f := range was {
		if _, still := is.get(f.key); still {
			continue
		}
		if text := listChange(f.list, nil); text != "" {
			note(f.key, text)
		} else if f.value != "" {
			note(f.key, shown(f.value)+" → "+shown(""))
		}
	}
}

// listChange says how a list changed, "" for not at all.
func listChange(was, is []string) string {
	var parts []string
	less := func(a, b []string) (out []string) {
		for _, s := range a {
			if !slices.Contains(b, s) {
				out = append(out, s)
			}
		}
		return out
	}
	if l := less(is, was); len(l) > 0 {
		parts = append(parts, "added "+shortened(l))
	}
	if l := less(was, is); len(l) > 0 {
		parts = append(parts, "removed "+shortened(l))
	}
	if len(parts) == 0 && !slices.Equal(was, is) {
		parts = append(parts, "order "+shortened(was)+" → "+shortened(is))
	}
	return strings.Join(parts, ", ")
}

// shown is a value in one line, quoted when it would be hard to see where it ends.
func shown(s string) string {
	if s == "" {
		return "none"
	}
	if len([]rune(s)) > 120 {
		s = string([]rune(s)[:119]) + "…"
	}
	if strings.ContainsAny(s, "\n\t") || strings.TrimSpace(s) != s || strings.Contains(s, "→") {
		return fmt.Sprintf("%q", s)
	}
	return s
}

// shortened is a list in one line of a bearable length.
func shortened(list []string) string {
	const most = 12
	if len(list) <= most {
		return strings.Join(list, ", ")
	}
	return fmt.Sprintf("%s … (%d)", strings.Join(list[:most], ", "), len(list))
}
