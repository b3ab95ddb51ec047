package flow

import (
	"slices"

	"palmops/libs/wire"
)

// favourites opens the room of the nodes that were kept, as far as this person may see them.
func (t *turn) favourites(note string) Result {
	sh := Shown{Kind: wire.ScreenMenu, Room: Room{Name: roomFavourites}}
	for _, id := range t.remembered().Favourites {
		if n := t.m.Node(id); n != nil && t.findable(n) && len(sh.Items) < MaxFavourites {
			sh.Items = append(sh.Items, wire.Item{Value: id})
		}
	}
	if len(sh.Items) == 0 {
		if t.s.Screen.Room.Name == roomFavourites {
			return t.uncover(t.join(note, t.say("fav.none")))
		}
		return t.again(t.join(note, t.say("fav.none")))
	}
	return t.cover(sh, note)
}

func (t *turn) inFavourites(p place) Result {
	if rest, ok := isRemove(t.in); ok {
		n, ok := number(rest)
		i, seen := t.pick(p, n)
		if !ok || !seen {
			t.did, t.why = DidRepeat, ReasonInvalid
			return t.again(t.say("choose.wrong", quote(t.lang, t.ev.Text)))
		}
		return t.favourites(t.drop(t.s.Screen.Items[i].Value))
	}
	return t.chosen(p, t.found)
}

// mark puts the node one stands at into the favourites, or takes it out.
func (t *turn) mark(in bool) Result {
	t.did = DidRoom
	at := lastNode(t.s.Hops)
	if at >= len(t.s.Hops) || t.s.Screen.Room.Name != "" {
		t.did, t.why = DidRepeat, ReasonInvalid
		return t.again(t.say("fav.where"))
	}
	id := t.s.Hops[at].Node
	if !in {
		return t.again(t.drop(id))
	}
	memo := t.remembered()
	title := t.title(id)
	switch {
	case slices.Contains(memo.Favourites, id):
		t.why = ReasonInvalid
		return t.again(t.say("fav.twice", title))
	case len(memo.Favourites) >= MaxFavourites:
		t.why = ReasonInvalid
		return t.again(t.say("fav.full", MaxFavourites))
	}
	memo.Favourites = append(slices.Clone(memo.Favourites), id)
	t.memo = &memo
	return t.again(t.say("fav.kept", title))
}

// drop takes a node out of the favourites and says so.
func (t *turn) drop(id string) string {
	memo := t.remembered()
	left := slices.DeleteFunc(slices.Clone(memo.Favourites), func(f string) bool { return f == id })
	if len(left) == len(memo.Favourites) {
		t.why = ReasonInvalid
		return t.say("fav.not", t.title(id))
	}
	memo.Favourites = left
	t.memo = &memo
	return t.say("fav.dropped", t.title(id))
}

func (t *turn) title(id string) string {
	if n := t.m.Node(id); n != nil {
		return n.Title.In(t.lang)
	}
	return id
}
