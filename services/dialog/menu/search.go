package menu

import (
	"strings"
	"unicode"

	"palmops/libs/lang"
)

// Limits of a query. What is longer is cut, or finds nothing by its words.
const (
	maxQuery = 400 // bytes; the longest title in pinyin fits
	maxWords = 8
)

// Places in the order of results, the best first.
const (
	rankExact = iota
	rankPrefix
	rankInitials
	rankInitialsPrefix
	rankInside
	rankPinyin
	rankPinyinPrefix
	rankPinyinInside
	rankMixed // pinyin and initials in one, such as cqi
	rankMixedInside
	rankPath
	rankPathInitials
	ranks // how many there are
	miss  = ranks
)

// index is what Search looks in, built once with the menu.
type index struct{ entries []entry }

// entry is one node, behind its parent and before what is below it.
type entry struct {
	node   *Node
	parent int // in entries, -1 at the top
	titles int // how many of the names are its titles; the others are aliases
	names  []name
}

// name is one text under which a node is found.
type name struct {
	text   string // folded, without spaces
	glyphs []*glyph
	mask   uint64 // of all its forms, see maskOf
}

func newIndex(m *Menu) *index {
	x := &index{}
	s := newScript()
	var add func(n *Node, parent int)
	add = func(n *Node, parent int) {
		e := entry{node: n, parent: parent}
		e.names = s.names(e.names, n.Title)
		e.titles = len(e.names)
		for _, a := range n.Alias {
			e.names = s.names(e.names, lang.Words{ZH: a})
		}
		x.entries = append(x.entries, e)
		at := len(x.entries) - 1
		for _, below := range n.Items {
			add(below, at)
		}
	}
	for _, n := range m.Root.Items {
		add(n, -1)
	}
	return x
}

func (s *script) names(list []name, w lang.Words) []name {
	for _, text := range []string{w.ZH, w.EN} {
		if n := s.name(text); n.text != "" {
			list = append(list, n)
		}
	}
	return list
}

func (s *script) name(text string) name {
	n := name{}
	n.text, n.glyphs = s.read(text)
	for _, g := range n.glyphs {
		for _, f := range g.forms {
			n.mask |= maskOf(f)
		}
	}
	return n
}

// maskOf has one bit for each letter and digit of a text, and one for everything else. A name whose mask lacks a bit of
// the query's cannot hold it.
func maskOf(s string) uint64 {
	var m uint64
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z':
			m |= 1 << (c - 'a')
		case c >= '0' && c <= '9':
			m |= 1 << (26 + c - '0')
		default:
			m |= 1 << 36
		}
	}
	return m
}

// Search finds nodes by what a person types: a title or an alias or a part of it, its pinyin, its initials, or several
// words of which at least one names the node and the others the nodes above it. Case, width and spaces do not count.
//
// The best come first, equal ones in the order of the files. See is asked only about nodes that match; nil sees all.
// No more than most nodes are given.
func (m *Menu) Search(query string, see func(*Node) bool, most int) []*Node {
	if m.search == nil || most <= 0 {
		return nil
	}
	hits := m.search.find(query)
	var out []*Node
	for _, nodes := range hits {
		for _, n := range nodes {
			if see != nil && !see(n) {
				continue
			}
			if out = append(out, n); len(out) == most {
				return out
			}
		}
	}
	return out
}

// find gives the nodes that match, by rank.
func (x *index) find(query string) (hits [ranks][]*Node) {
	words := fields(query)
	if len(words) == 0 {
		return hits
	}
	whole := newSeeker(strings.Join(words, ""))
	var parts []*seeker
	if len(words) > 1 && len(words) <= maxWords {
		for _, w := range words {
			parts = append(parts, newSeeker(w))
		}
	}
	said := make([]uint, len(x.entries)) // the words that a node or one above it matches
	way := newWay(whole.query, len(x.entries))
	for i, e := range x.entries {
		best := miss
		for _, n := range e.names {
			best = min(best, whole.rank(n))
		}
		if len(parts) > 0 {
			own := uint(0)
			for w, p := range parts {
				if p.any(e.names) {
					own |= 1 << w
				}
			}
			said[i] = own
			if e.parent >= 0 {
				said[i] |= said[e.parent]
			}
			if own != 0 && said[i] == 1<<len(parts)-1 {
				best = min(best, rankPath)
			}
		}
		if way.step(i, e) {
			best = min(best, rankPathInitials)
		}
		if best < miss {
			hits[best] = append(hits[best], e.node)
		}
	}
	return hits
}

// fields cuts a query into folded words.
func fields(query string) []string {
	if len(query) > maxQuery {
		query = query[:maxQuery]
	}
	return strings.FieldsFunc(strings.Map(foldRune, strings.ToValidUTF8(query, " ")), unicode.IsSpace)
}

// Filter narrows texts, such as the lines of a list, the way Search does: by a part, pinyin or initials. It is not safe
// for concurrent use.
type Filter struct {
	script *script
	words  []*seeker
}

// NewFilter makes a filter of what a person typed. Every word must be found; no words let everything pass.
func NewFilter(query string) *Filter {
	f := &Filter{script: newScript()}
	for _, w := range fields(query) {
		f.words = append(f.words, newSeeker(w))
	}
	return f
}

// Passes reports whether each word is found in one of the texts.
func (f *Filter) Passes(texts ...string) bool {
	names := make([]name, len(texts))
	for i, t := range texts {
		names[i] = f.script.name(t)
	}
	for _, w := range f.words {
		if !w.any(names) {
			return false
		}
	}
	return true
}
