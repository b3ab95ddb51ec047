package policy

import (
	"container/list"
	"sync"
	"time"

	"palmops/libs/wire"
	"palmops/services/dialog/menu"
)

// Why nothing is allowed to somebody.
const (
	notFound  = "not in the directory"
	notActive = "disabled in the directory"
)

// maxLenses is how many lenses a Bound keeps, those used last. People with the same grants share one, so that it is
// about the number of different sets of roles, not of people.
const maxLenses = 256

// Lens is what somebody sees and may do in a menu at one moment. It never changes, and is safe for concurrent use.
type Lens struct {
	b       *Bound
	none    string // why nothing is allowed, "" for people of the directory
	held    bits   // the grants of their roles
	counts  bits   // those that count at this moment
	freezes uint64 // those that count at this moment for them

	granted bits // classes that a grant may allow
	sees    bits // nodes by index
	// What freezes hide, only when one counts: of each node the place in masks of the freezes that stop a granted road at
	// it or below it.
	stopped []uint16
	masks   []uint64
}

// For is the lens of a person at a moment: what hours and freezes say is exact for that moment, and the lens is to be
// thrown away after it. Who is not found in the directory, or not active there, sees nothing.
func (b *Bound) For(person wire.Person, at time.Time) *Lens {
	switch {
	case !person.Found:
		return &Lens{b: b, none: notFound}
	case !person.Active:
		return &Lens{b: b, none: notActive}
	}
	roles := b.p.rolesOf(person)
	held := b.p.grantsFor(roles)
	counts, freezes := b.p.counting(held, roles, at)
	key := make([]byte, 0, 8*(2*len(held)+1))
	key = bits{freezes}.appendTo(counts.appendTo(held.appendTo(key)))
	return b.cache.get(key, func() *Lens { return b.lens(held, counts, freezes) })
}

// lens computes the table of what is shown.
func (b *Bound) lens(held, counts bits, freezes uint64) *Lens {
	l := &Lens{
		b: b, held: held, counts: counts, freezes: freezes,
		granted: newBits(len(b.classes)), sees: newBits(len(b.nodes)),
	}
	for i := range b.classes {
		for _, r := range b.classes[i].rows {
			if counts.has(r.grant) {
				l.granted.set(i)
				break
			}
		}
	}
	for _, at := range b.roads {
		if c := b.class[at]; l.granted.has(int(c)) && b.classes[c].freezes&freezes == 0 {
			l.show(at)
		}
	}
	if !held.empty() {
		for _, at := range b.rooms {
			l.show(at)
		}
	}
	for again := true; again; {
		again = false
		for _, k := range b.links {
			if b.inside(k.to) && l.sees.has(int(k.to)) && !l.sees.has(int(k.at)) {
				l.show(k.at)
				again = true
			}
		}
	}
	if freezes != 0 {
		l.hide()
	}
	return l
}

// show marks a node and what leads to it; from a door only as far as there are doors, and the top.
func (l *Lens) show(at int32) {
	door := l.b.doors.has(int(at))
	for ; at >= 0 && !l.sees.has(int(at)); at = l.b.parent[at] {
		if door && at > 0 && !l.b.doors.has(int(at)) {
			at = 0
		}
		l.sees.set(int(at))
	}
}

// hide notes which freezes stop something where.
func (l *Lens) hide() {
	stops := make([]uint64, len(l.b.nodes))
	up := func(at int32, mask uint64) {
		door := l.b.doors.has(int(at))
		for ; at >= 0 && stops[at]&mask != mask; at = l.b.parent[at] {
			if door && at > 0 && !l.b.doors.has(int(at)) {
				at = 0
			}
			stops[at] |= mask
		}
	}
	for _, at := range l.b.roads {
		c := l.b.class[at]
		if mask := l.b.classes[c].freezes & l.freezes; mask != 0 && l.granted.has(int(c)) {
			up(at, mask)
		}
	}
	for again := true; again; {
		again = false
		for _, k := range l.b.links {
			if l.b.inside(k.to) && stops[k.to]&^stops[k.at] != 0 {
				up(k.at, stops[k.to])
				again = true
			}
		}
	}
	l.stopped = make([]uint16, len(stops))
	places := map[uint64]uint16{}
	for i, mask := range stops {
		place, ok := places[mask]
		if !ok {
			place = uint16(len(l.masks))
			places[mask] = place
			l.masks = append(l.masks, mask)
		}
		l.stopped[i] = place
	}
}

func (b *Bound) inside(at int32) bool { return at >= 0 && int(at) < len(b.nodes) }

// at is the index of what n stands for; ok is false for a node of another menu.
func (b *Bound) at(n *menu.Node) (at int32, ok bool) {
	n = n.Target()
	at = int32(n.Index)
	return at, b.inside(at) && b.nodes[at] == n
}

// cache keeps lenses, the most recently used first.
type cache struct {
	mu    sync.Mutex
	kept  map[string]*list.Element
	order *list.List
}

type entry struct {
	key  string
	once sync.Once
	lens *Lens
}

func (c *cache) init() { c.kept, c.order = map[string]*list.Element{}, list.New() }

// get finds a lens, or makes it: once, however many ask for it at the same time.
func (c *cache) get(key []byte, build func() *Lens) *Lens {
	c.mu.Lock()
	el, ok := c.kept[string(key)]
	if ok {
		c.order.MoveToFront(el)
	} else {
		e := &entry{key: string(key)}
		el = c.order.PushFront(e)
		c.kept[e.key] = el
		if c.order.Len() > maxLenses {
			last := c.order.Back()
			delete(c.kept, last.Value.(*entry).key)
			c.order.Remove(last)
		}
	}
	e := el.Value.(*entry)
	c.mu.Unlock()
	e.once.Do(func() { e.lens = build() })
	return e.lens
}
