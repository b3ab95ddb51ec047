package menu

import (
	"math/bits"
	"slices"
	"strings"
)

// How a glyph may be taken: by its first letter, whole, or both ways.
const (
	byInitial = 1 << iota
	byForm
	mixed = byInitial | byForm
)

// seeker holds one query against names. It keeps its buffers and is not safe for concurrent use.
type seeker struct {
	query               string
	mask                uint64
	here, next, pending []int
}

func newSeeker(query string) *seeker { return &seeker{query: query, mask: maskOf(query)} }

// any reports whether the query is found in one of the names at all.
func (s *seeker) any(names []name) bool {
	for _, n := range names {
		if s.holds(n) {
			return true
		}
	}
	return false
}

// holds reports whether rank is better than a miss, without finding out how good it is.
func (s *seeker) holds(n name) bool {
	if s.mask&^n.mask != 0 {
		return false
	}
	if strings.Contains(n.text, s.query) {
		return true
	}
	for i, g := range n.glyphs {
		if i > 0 && (!g.start || !s.begins(g)) {
			continue
		}
		if found, _ := s.match(n.glyphs[i:], mixed); found {
			return true
		}
	}
	return false
}

// rank says how well a name matches.
func (s *seeker) rank(n name) int {
	if s.mask&^n.mask != 0 {
		return miss
	}
	at := strings.Index(n.text, s.query)
	if at == 0 {
		if len(n.text) == len(s.query) {
			return rankExact
		}
		return rankPrefix
	}
	best := miss
	if found, _ := s.match(n.glyphs, mixed); found {
		best = s.fromStart(n.glyphs)
	}
	if at > 0 {
		best = min(best, rankInside)
	}
	for i := 1; i < len(n.glyphs) && best > rankMixedInside; i++ {
		if !n.glyphs[i].start || !s.begins(n.glyphs[i]) {
			continue
		}
		if found, _ := s.match(n.glyphs[i:], mixed); found {
			best = rankMixedInside
			if found, _ := s.match(n.glyphs[i:], byForm); found {
				best = rankPinyinInside
			}
		}
	}
	return best
}

// fromStart ranks a name that is known to match from its first glyph.
func (s *seeker) fromStart(glyphs []*glyph) int {
	if found, all := s.match(glyphs, byInitial); found {
		if all {
			return rankInitials
		}
		return rankInitialsPrefix
	}
	if found, all := s.match(glyphs, byForm); found {
		if all {
			return rankPinyin
		}
		return rankPinyinPrefix
	}
	return rankMixed
}

// begins reports whether the query's first letter is one of the glyph's.
func (s *seeker) begins(g *glyph) bool {
	for _, f := range g.forms {
		if f[0] == s.query[0] {
			return true
		}
	}
	return false
}

// match lets the glyphs take the query from its beginning. Found: the query ended; whole: with the last glyph.
//
// It goes glyph by glyph with the set of places in the query that were reached, which stays small, so that a character
// with several readings costs no more than its readings.
func (s *seeker) match(glyphs []*glyph, how int) (found, whole bool) {
	end := len(s.query)
	s.here, s.pending = append(s.here[:0], 0), s.pending[:0]
	for _, g := range glyphs {
		if g.start {
			for _, p := range s.pending { // the word before was taken by its initial
				s.here = place(s.here, p)
			}
			s.pending = s.pending[:0]
		}
		if len(s.here) == 0 && len(s.pending) == 0 {
			return found, false
		}
		s.next = s.next[:0]
		for _, p := range s.here {
			if p == end {
				if g.loose {
					s.next = place(s.next, p)
				}
				continue
			}
			if s.take(g, p, how) {
				found = true
			}
		}
		s.here, s.next = s.next, s.here
		if slices.Contains(s.here, end) || slices.Contains(s.pending, end) {
			found = true
		}
	}
	return found, slices.Contains(s.here, end) || slices.Contains(s.pending, end)
}

// take moves on from place p over one glyph. It reports whether the query ends inside a reading.
func (s *seeker) take(g *glyph, p, how int) (ended bool) {
	rest := s.query[p:]
	if g.loose {
		s.next = place(s.next, p)
	}
	for i, f := range g.forms {
		if how&byForm != 0 || g.loose {
			switch {
			case strings.HasPrefix(rest, f):
				s.next = place(s.next, p+len(f))
			case i > 0 && strings.HasPrefix(f, rest):
				ended = true
			}
		}
		if how&byInitial != 0 && g.start && initial(f, i) && rest[0] == f[0] {
			s.pending = place(s.pending, p+1)
		}
	}
	return ended
}

// initial reports whether the form has an initial: a reading, or a letter or digit of ASCII.
func initial(form string, i int) bool { return i > 0 || len(form) == 1 }

// place adds a place to a set.
func place(set []int, p int) []int {
	if slices.Contains(set, p) {
		return set
	}
	return append(set, p)
}

// way follows a query of initials down the tree: some of a node's above, then some of the node's own, such as lskcq for
// 零售事业部 / Kubernetes 重启. Sets of places in the query are bits, so that 10,000 nodes cost little.
type way struct {
	query string
	after []uint64 // by entry: places reached with it and with what is above
}

// newWay gives a way; one that finds nothing for queries that are too short or too long to be initials.
func newWay(query string, entries int) *way {
	if len(query) < 2 || len(query) > 63 || strings.ContainsFunc(query, func(r rune) bool { return r >= 0x80 }) {
		return &way{}
	}
	return &way{query: query, after: make([]uint64, entries)}
}

// step goes over one entry and reports whether the query ends in it, having begun above it.
func (w *way) step(at int, e entry) bool {
	if w.query == "" {
		return false
	}
	var above uint64
	if e.parent >= 0 {
		above = w.after[e.parent]
	}
	reached := above
	end := uint64(1) << len(w.query)
	hit := false
	for _, n := range e.names[:e.titles] {
		hit = hit || w.initials(n.glyphs, above)&end != 0
		reached |= w.initials(n.glyphs, 1)
		reached |= w.initials(n.glyphs, above)
	}
	w.after[at] = reached &^ end
	return hit
}

// initials are the places reached from some others by the first one, two … initials of a name.
func (w *way) initials(glyphs []*glyph, from uint64) uint64 {
	var all uint64
	for _, g := range glyphs {
		if from == 0 {
			break
		}
		if !g.start {
			continue
		}
		var to uint64
		for left := from &^ (1 << len(w.query)); left != 0; left &= left - 1 {
			if p := bits.TrailingZeros64(left); g.has(w.query[p]) {
				to |= 1 << (p + 1)
			}
		}
		from = to
		all |= to
	}
	return all
}

// has reports whether one of the glyph's initials is c.
func (g *glyph) has(c byte) bool {
	for i, f := range g.forms {
		if initial(f, i) && f[0] == c {
			return true
		}
	}
	return false
}
