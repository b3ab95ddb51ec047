package menu

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"

	"palmops/libs/fault"
	"palmops/libs/lang"
)

// Forms of a drawing.
const (
	DrawText    = "text"
	DrawMermaid = "mermaid"
	DrawSVG     = "svg"
)

// Draw draws what a person finds in the menu, with the numbers that person would type when all conditions hold. See
// leaves out nodes and what is below them; nil draws all. Titles are in one language, steps in the words of the YAML.
//
//   - DrawText is an indented tree. A title is marked ▸ for a list, ● for a road that acts, ○ for one that only shows
//     something, → for a link and ★ for a built-in room.
//   - DrawMermaid is a flowchart for Markdown.
//   - DrawSVG is a picture, one column a level, without scripts and fonts of its own.
//
// Another form is an error of the kind Invalid.
func Draw(m *Menu, form string, see func(*Node) bool, in lang.Tag) ([]byte, error) {
	d := &drawing{menu: m, in: in, see: see, at: map[*Node]int{}}
	d.add(m.Root, 0, "", -1)
	switch form {
	case DrawText:
		return d.text(), nil
	case DrawMermaid:
		return d.mermaid(), nil
	case DrawSVG:
		return d.svg(), nil
	}
	return nil, fault.New(fault.Invalid, "a menu is drawn as %s, %s or %s, not as %q", DrawText, DrawMermaid, DrawSVG, form)
}

// drawing is the menu as one person sees it, flat.
type drawing struct {
	menu *Menu
	in   lang.Tag
	see  func(*Node) bool
	rows []row
	at   map[*Node]int // in rows
}

// row is one node of a drawing.
type row struct {
	node   *Node
	depth  int    // 0 for the root
	number string // what is typed to choose it, "" for the root
	parent int    // in rows
}

func (d *drawing) add(n *Node, depth int, number string, parent int) {
	at := len(d.rows)
	d.at[n] = at
	d.rows = append(d.rows, row{node: n, depth: depth, number: number, parent: parent})
	next := d.menu.First
	for _, below := range n.Items {
		if d.see != nil && !d.see(below) {
			continue
		}
		d.add(below, depth+1, fmt.Sprint(next), at)
		next++
	}
}

// title is what the list shows of the node, with its mark.
func (d *drawing) title(r row) string {
	n := r.node
	if r.depth == 0 {
		return flat(d.menu.Title.In(d.in))
	}
	return mark(n) + " " + flat(n.Title.In(d.in))
}

// flat is a text on one line. What is read from files is that already.
func flat(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s)
}

// mark says in one sign what a node is.
func mark(n *Node) string {
	switch {
	case n.Link != nil:
		return "→"
	case n.Open != "":
		return "★"
	case len(n.Items) > 0 || len(n.Steps) == 0:
		return "▸"
	case n.Changes():
		return "●"
	}
	return "○"
}

// remarks are the facts of a node that stand behind its title.
func (d *drawing) remarks(n *Node) []string {
	var out []string
	if n.Link != nil {
		out = append(out, "link "+n.Link.ID)
	}
	if n.Open != "" {
		out = append(out, "open "+n.Open)
	}
	if n.Env != "" && (n.Parent == nil || n.Parent.Env != n.Env) {
		out = append(out, "env "+n.Env)
	}
	if when := n.When.String(); when != "" {
		out = append(out, "when "+flat(when))
	}
	return out
}

// steps are the steps of a node, one line each.
func (d *drawing) steps(n *Node) []string {
	out := make([]string, len(n.Steps))
	for i, s := range n.Steps {
		out[i] = d.step(s)
	}
	return out
}

func (d *drawing) step(s Step) string {
	var what string
	var label lang.Words
	switch {
	case s.Dynamic != nil:
		what, label = fromWhere(s.Dynamic), s.Dynamic.Label
	case s.Input != nil:
		what, label = bounds(s.Input), s.Input.Label
	case s.Custom != nil:
		what, label = "go "+s.Custom.Go, s.Custom.Label
		if s.Custom.Remote != nil {
			what = "remote " + s.Custom.Remote.String()
		}
	case s.Confirm != nil:
		what = "by " + s.Confirm.By
		if s.Confirm.Current != nil {
			what += ", current " + s.Confirm.Current.String()
		}
		if !s.Confirm.Noop {
			what += ", no dry run"
		}
	case s.Action != nil:
		what = s.Action.String() + ", expires " + exactly(s.Action.Expires)
	}
	head := strings.TrimSpace(kindOf(s) + " " + s.Param())
	if l := label.In(d.in); l != "" {
		head += " (" + l + ")"
	}
	return flat(head + ": " + what)
}

// fromWhere says where a list comes from.
func fromWhere(l *Dynamic) string {
	var what string
	switch {
	case l.Source != nil:
		what = l.Source.String()
	case l.Directory != "":
		what = l.Directory
		if l.In != nil {
			what += " in " + l.In.String()
		}
	case l.Table != nil && l.Table.By != "":
		what = fmt.Sprintf("table by $%s (%d lists)", l.Table.By, len(l.Table.Lists))
	case l.Table != nil:
		what = firstValues(l.Table.Lists[""])
	}
	if l.Multi {
		what += fmt.Sprintf(", %d–%d of them", l.Least, l.Most)
	}
	return what
}

// bounds says what may be typed.
func bounds(in *Input) string {
	what := in.Type
	switch in.Type {
	case Int, Port:
		what += fmt.Sprintf(" %d–%d", in.Min, in.Max)
	case Duration:
		what += " " + exactly(time.Duration(in.Min)) + "–" + exactly(time.Duration(in.Max))
	case Enum:
		what += " " + firstValues(in.Values)
	}
	if in.Pattern != "" {
		what += " " + in.Pattern
	}
	if in.From != "" || in.To != "" {
		what += " " + strings.TrimSpace(in.From+" … "+in.To)
	}
	if in.Default != "" {
		what += ", default " + in.Default
	}
	return what
}

// firstValues are the first few of a list of entries.
func firstValues(list []Entry) string {
	const most = 6
	var out []string
	for i, e := range list {
		if i == most {
			out = append(out, fmt.Sprintf("… (%d)", len(list)))
			break
		}
		out = append(out, e.Value)
	}
	return strings.Join(out, " ")
}

// String is the source in one line: its zone and pool, its action, its arguments.
func (s Source) String() string {
	parts := []string{s.Zone + "/" + s.Pool, s.Action}
	for _, name := range slices.Sorted(maps.Keys(s.Args)) {
		parts = append(parts, name+"="+s.Args[name].String())
	}
	return strings.Join(parts, " ")
}

func (d *drawing) text() []byte {
	var b strings.Builder
	for _, r := range d.rows {
		indent := ""
		if r.depth > 0 {
			indent = strings.Repeat("    ", r.depth-1)
			b.WriteString(indent + r.number + ". ")
		}
		b.WriteString(d.title(r))
		if r.node.ID != "" {
			b.WriteString(" (" + r.node.ID + ")")
		}
		for _, remark := range d.remarks(r.node) {
			b.WriteString("  [" + remark + "]")
		}
		b.WriteByte('\n')
		for _, s := range d.steps(r.node) {
			b.WriteString(indent + "    - " + s + "\n")
		}
	}
	return []byte(b.String())
}

// mermaid draws a flowchart. Nodes are called by their place in the drawing, because Mermaid has reserved words, and
// each sign of a text that could mean something to it is written by its number.
func (d *drawing) mermaid() []byte {
	var b strings.Builder
	b.WriteString("flowchart LR\n")
	for i, r := range d.rows {
		lines := []string{escaped(strings.TrimSpace(r.number + " " + d.title(r)))}
		for _, l := range append(d.remarks(r.node), d.steps(r.node)...) {
			lines = append(lines, escaped(l))
		}
		fmt.Fprintf(&b, "  n%d[\"%s\"]\n", i, strings.Join(lines, "<br/>"))
		if r.parent >= 0 {
			fmt.Fprintf(&b, "  n%d --> n%d\n", r.parent, i)
		}
	}
	for i, r := range d.rows {
		if to, drawn := d.at[r.node.Link]; drawn && r.node.Link != nil {
			fmt.Fprintf(&b, "  n%d -.-> n%d\n", i, to)
		}
	}
	return []byte(b.String())
}

// escaped is a text as Mermaid shows it inside quotes.
func escaped(s string) string {
	var b strings.Builder
	for _, r := range s {
		plain := r == ' ' || r == '.' || r == ',' || r == ':' || r == '/' || r == '-' || r == '=' || r >= 0x80 ||
			r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
		if plain {
			b.WriteRune(r)
		} else {
			fmt.Fprintf(&b, "#%d;", r)
		}
	}
	return b.String()
}
