package menu

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"palmops/libs/lang"
)

// Levels of a finding. A menu with an error can be served, but somebody will stand before a screen that does not work.
const (
	LevelError   = "error"
	LevelWarning = "warning"
)

// What a phone shows well.
const (
	goodScreen = 1024 // bytes of a screen that is read without scrolling
	maxScreen  = 2048 // bytes of one message of WeCom
	goodPages  = 3    // pages of a list whose entries never change
	goodDepth  = 6    // nodes on the way to one
	goodTitle  = 20   // characters of a title, two narrow ones counting as one
)

// Finding is something in a menu that is allowed, and wrong or hard for people.
type Finding struct {
	File  string
	Line  int
	Node  string // id, "" for the menu itself
	Level string // LevelError or LevelWarning
	Text  string
}

// String is the finding in one line, such as "menu.yaml:12: warning: retail-scale: the title has 24 characters".
func (f Finding) String() string {
	node := f.Node
	if node == "" {
		node = "the menu"
	}
	return fmt.Sprintf("%s:%d: %s: %s: %s", f.File, f.Line, f.Level, node, f.Text)
}

// Check looks at a menu as the people in front of the phones will: screens that do not fit, entries that nobody can
// reach, choose or tell from each other, questions whose answers are not used, texts that lack a language. What it finds
// is in the order of the files.
func Check(m *Menu) []Finding {
	c := &checker{m: m, english: hasEnglish(m), never: map[string]bool{}, alive: map[*Node]int{}, uses: map[*Node]map[string]bool{}}
	c.list(m.Root)
	each(m.Root, c.node)
	slices.SortStableFunc(c.findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Level, b.Level))
	})
	return c.findings
}

type checker struct {
	m        *Menu
	english  bool // some text of the menu has English
	findings []Finding
	never    map[string]bool           // conditions by what they depend on: those that cannot hold
	alive    map[*Node]int             // see reach
	uses     map[*Node]map[string]bool // parameters that a node or one below it uses
}

func (c *checker) add(n *Node, line int, level, format string, args ...any) {
	file := n.File
	if file == "" {
		file = c.m.File
	}
	c.findings = append(c.findings, Finding{File: file, Line: max(line, 1), Node: n.ID, Level: level, Text: fmt.Sprintf(format, args...)})
}

func (c *checker) error(n *Node, line int, format string, args ...any) {
	c.add(n, line, LevelError, format, args...)
}

func (c *checker) warn(n *Node, line int, format string, args ...any) {
	c.add(n, line, LevelWarning, format, args...)
}

func (c *checker) node(n *Node) {
	for _, t := range languages {
		if title := n.Title.In(t); breadth(title) > goodTitle {
			c.warn(n, n.Line, "the title %q is longer than %d characters", title, goodTitle)
			break
		}
	}
	if len(n.path) == goodDepth+1 {
		c.warn(n, n.Line, "it lies %d levels deep, more than %d; people lose their way", len(n.path), goodDepth)
	}
	if !c.reached(n) {
		c.error(n, n.Line, "%s", c.whyNot(n))
	}
	c.words(n)
	c.list(n)
	for i, s := range n.Steps {
		c.step(n, i, s)
	}
	c.unused(n)
}

var languages = []lang.Tag{lang.Chinese, lang.English}

// breadth is how many wide characters have the width of a text.
func breadth(s string) int {
	half := 0
	for _, r := range s {
		half++
		if r >= 0x1100 {
			half++
		}
	}
	return (half + 1) / 2
}

// list checks the screen of a list of nodes.
func (c *checker) list(n *Node) {
	if len(n.Items) == 0 {
		return
	}
	lines := make([]Entry, len(n.Items))
	for i, item := range n.Items {
		lines[i] = Entry{Value: item.ID, Label: item.Title}
	}
	c.pages(n, n.Line, n.Title, lang.Words{}, lines)
	for _, t := range languages {
		seen := map[string]*Node{}
		for _, item := range n.Items {
			title := fields(item.Title.In(t))
			key := strings.Join(title, " ")
			first := seen[key]
			switch {
			case first == nil:
				seen[key] = item
			case first.When.c != nil && item.When.c != nil:
				c.warn(item, item.Line, "it has the same title as %s; make sure that their conditions never hold together", first.ID)
			default:
				c.error(item, item.Line, "it has the same title as %s in the same list: %q", first.ID, item.Title.In(t))
			}
		}
		if !c.english {
			break
		}
	}
}

// Bytes of what a screen has beside its title, prompt and lines, as much as there can be.
const (
	frame = 97 // brackets of the title, the page, the keys
	asked = 29 // what a confirm says of itself
	field = 8  // the number, the colon and the end of one of its lines
)

// pages checks how much room a list of the menu itself takes.
func (c *checker) pages(n *Node, line int, title, prompt lang.Words, lines []Entry) {
	if pages := (len(lines) + c.m.PageSize - 1) / max(c.m.PageSize, 1); pages > goodPages {
		c.warn(n, line, "its list has %d entries on %d pages, more than %d; nobody turns so many", len(lines), pages, goodPages)
	}
	worst := 0
	for page := range slices.Chunk(lines, max(c.m.PageSize, 1)) {
		for _, t := range languages {
			size := frame + len(title.In(t)) + len(prompt.In(t)) + 1
			for _, e := range page {
				label := e.Label.In(t)
				if label == "" {
					label = e.Value
				}
				size += len("100. ") + len(label) + 1
				if d := e.Detail.In(t); d != "" {
					size += len(d) + 2
				}
			}
			worst = max(worst, size)
		}
	}
	c.size(n, line, "a page of the list", worst)
}

// size checks the bytes of a screen.
func (c *checker) size(n *Node, line int, what string, bytes int) {
	switch {
	case bytes > 2*maxScreen:
		c.error(n, line, "%s takes %d bytes and more than two messages; make page_size (%d) or the texts smaller", what, bytes, c.m.PageSize)
	case bytes > maxScreen:
		c.error(n, line, "%s takes %d bytes, a message has %d; make page_size (%d) or the texts smaller", what, bytes, maxScreen, c.m.PageSize)
	case bytes > goodScreen:
		c.warn(n, line, "%s takes %d bytes; above %d it must be scrolled", what, bytes, goodScreen)
	}
}

// step checks one step of a road.
func (c *checker) step(n *Node, i int, s Step) {
	switch {
	case s.Dynamic != nil:
		c.dynamic(n, i, s)
	case s.Input != nil:
		c.input(n, s)
	case s.Confirm != nil:
		c.confirm(n, i, s)
	}
}

func (c *checker) confirm(n *Node, i int, s Step) {
	worst := 0
	for _, t := range languages {
		size := frame + asked + len(n.Title.In(t)) + len(s.Confirm.Text.Words().In(t))
		for _, p := range n.Params {
			label := p.Label.In(t)
			if label == "" {
				label = p.Name
			}
			size += field + len(label)
		}
		worst = max(worst, size)
	}
	c.size(n, s.Line, "the confirm, without the values,", worst)
	if i+1 >= len(n.Steps) || n.Steps[i+1].Action == nil {
		return
	}
	said := s.Confirm.Text.Params()
	for _, p := range n.Steps[i+1].Action.params() {
		if !slices.Contains(said, p) {
			c.warn(n, s.Line, "the action uses $%s, and the text of the confirm does not say it", p)
		}
	}
}
