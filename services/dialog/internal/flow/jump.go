package flow

import (
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"palmops/libs/wire"
	"palmops/services/dialog/menu"
)

// choose takes the message for a line of a list of nodes, or for several in one go.
func (t *turn) choose(p place) Result {
	t.did = DidChoose
	if list, ok := numbers(t.in); ok && len(t.s.Screen.Items) > 0 {
		return t.way(p, list)
	}
	i, ok := t.picked(p)
	if !ok {
		note := t.misread()
		if note == "" {
			note = t.unknown()
			if query := clean(t.in, maxFilter); searchable(query) {
				note = t.say("choose.search", quote(t.lang, t.ev.Text), query)
			}
		}
		t.did, t.why = DidRepeat, ReasonInvalid
		return t.again(note)
	}
	id := t.s.Screen.Items[i].Value
	if n := t.m.Node(id); n != nil && n.Parent == p.node && n.Open != "" {
		return t.enter(n.Open)
	}
	return t.forward(p, Hop{Typed: t.in, Node: id})
}

// unknown says that the message is no line of the list.
func (t *turn) unknown() string {
	if clean(t.in, 12) == "" {
		return t.say("choose.empty")
	}
	return t.say("choose.wrong", quote(t.lang, t.ev.Text))
}

// searchable reports whether a text that is no line looks like the name of something, short enough to be repeated.
func searchable(query string) bool {
	return utf8.RuneCountInString(query) <= 12 && strings.ContainsFunc(query, unicode.IsLetter)
}

// way walks by several numbers through lists of nodes, which are the same for everybody who sees them, and stops at the
// first screen of another kind: what is on that nobody has seen yet.
func (t *turn) way(p place, list []int) Result {
	t.did = DidJump
	hops := join(t.s.Hops, nil)
	for at, n := range list {
		shown := t.children(p)
		i := n - t.m.First
		if at == 0 { // the first one means the screen
			line, ok := t.pick(p, n)
			i = slices.IndexFunc(shown, func(child *menu.Node) bool { return ok && child.ID == t.s.Screen.Items[line].Value })
		}
		if i < 0 || i >= len(shown) {
			note := t.say("way.wrong", n)
			if n == 0 && t.m.First == 1 {
				note = t.say("way.zero")
			}
			note = t.join(note, t.rest(list[at+1:]))
			if at == 0 {
				t.did, t.why = DidRepeat, ReasonInvalid
				return t.again(note)
			}
			return t.show(hops, nil, note)
		}
		if child := shown[i]; child.Open != "" {
			return t.show(hops, []Hop{{Node: child.ID}}, t.rest(list[at+1:]))
		}
		hop := Hop{Typed: strconv.Itoa(n), Node: shown[i].ID}
		if !p.take(t.m, hop) {
			return t.restart()
		}
		hops = append(hops, hop)
		if t.allowed(hops) < len(hops) {
			return t.again(t.refusal("denied.note"))
		}
		if p.current() != nil {
			return t.show(hops, nil, t.rest(list[at+1:]))
		}
	}
	return t.show(hops, nil, "")
}

// rest says which numbers were not used.
func (t *turn) rest(list []int) string {
	if len(list) == 0 {
		return ""
	}
	text := make([]string, len(list))
	for i, n := range list {
		text[i] = strconv.Itoa(n)
	}
	return t.say("way.rest", strings.Join(text, "-"))
}

// jump leaves the present road and goes to a node, and on by values that are known already. Nodes on the way that ask for
// something are asked first.
func (t *turn) jump(n *menu.Node, values []Hop) Result {
	var ahead []Hop
	for _, id := range n.Path() {
		ahead = append(ahead, Hop{Node: id})
	}
	for _, v := range values {
		if v.Node == "" && v.Param != "" && !v.Part {
			ahead = append(ahead, v)
		}
	}
	return t.show(nil, ahead, "")
}

// search opens the room of what is found.
func (t *turn) search(query string) Result {
	t.did = DidSearch
	if query == "" {
		t.why = ReasonInvalid
		return t.again(t.say("search.how"))
	}
	found := t.m.Search(query, t.findable, maxFound)
	if len(found) == 0 {
		t.why = ReasonInvalid
		return t.again(t.say("search.none", quote(t.lang, query)))
	}
	sh := Shown{Kind: wire.ScreenMenu, Room: Room{Name: roomSearch, Arg: query}}
	for _, n := range found {
		sh.Items = append(sh.Items, wire.Item{Value: n.ID})
	}
	return t.cover(sh, "")
}

// maxFound is how many nodes a search shows.
const maxFound = 20

// findable reports whether the whole way to a node is open to this person, as far as that can be said before the
// parameters on the way are known; the others are looked at on the way.
func (t *turn) findable(n *menu.Node) bool {
	for at := n; at != nil && at.Parent != nil; at = at.Parent {
		if !t.rights.Sees(at) || len(at.Parent.Params) == 0 && !t.visible(at, nil) {
			return false
		}
	}
	return true
}
