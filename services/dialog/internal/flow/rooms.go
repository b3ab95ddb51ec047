package flow

import (
	"strings"

	"palmops/libs/lang"
	"palmops/libs/wire"
	"palmops/services/dialog/menu"
)

// Rooms are screens beside the tree. They lie over the screen of the road, which comes back when they are left.
const (
	roomSearch     = "search"
	roomRecent     = "recent"     // menu.OpenRecent
	roomFavourites = "favourites" // menu.OpenFavourites
	roomTasks      = "tasks"      // menu.OpenTasks
	roomTask       = "task"       // one of them
	roomOutput     = "output"     // its whole output
	roomCancel     = "cancel"     // the confirm to stop it, and what comes after
)

var rooms = map[string]bool{
	roomSearch: true, roomRecent: true, roomFavourites: true, roomTasks: true, roomTask: true, roomOutput: true, roomCancel: true,
}

// cover lays a screen of a room over the road's, or in place of another room's.
func (t *turn) cover(sh Shown, note string) Result {
	if t.s.Screen.Room.Name == "" {
		under := t.s.Screen
		under.Card = "" // its card is not the newest screen any more
		t.s.Under = &under
	}
	t.s.Screen = sh
	return t.again(note)
}

// leaveRoom goes back to the room before, or to the screen that lay under it.
func (t *turn) leaveRoom() Result {
	var (
		sh     Shown
		need   *Question
		failed string
	)
	switch room := t.s.Screen.Room; room.Name {
	case roomTask:
		sh, need, failed = t.openTasks()
	case roomOutput, roomCancel:
		sh, need, failed = t.openTask(room.Arg)
	default:
		return t.uncover("")
	}
	switch {
	case need != nil:
		return Result{Need: need}
	case failed != "": // there must be a way out
		return t.uncover(failed)
	}
	return t.cover(sh, "")
}

func (t *turn) uncover(note string) Result {
	t.s.Screen, t.s.Under = *t.s.Under, nil
	if t.s.Screen.Kind == wire.ScreenAccepted { // nothing can be done on it any more, and the result may have come
		return t.show(t.s.Hops, nil, note)
	}
	p, _ := locate(t.m, t.s.Hops)
	if t.outdated(p) {
		return t.show(t.s.Hops, t.s.Ahead, t.refusal("denied.list"))
	}
	return t.again(note)
}

// enter opens a room by the name that menus use.
func (t *turn) enter(room string) Result {
	t.did = DidRoom
	switch room {
	case menu.OpenRecent:
		return t.recent()
	case menu.OpenFavourites:
		return t.favourites("")
	case menu.OpenTasks:
		return t.tasks()
	}
	return t.again(t.say("open.nothing"))
}

// word does what a word asks for that counts on nearly all screens.
func (t *turn) word(k key, p place) Result {
	t.did = DidSetting
	switch k {
	case keyRecent:
		return t.enter(menu.OpenRecent)
	case keyFavourites:
		return t.enter(menu.OpenFavourites)
	case keyTasks:
		return t.enter(menu.OpenTasks)
	case keyKeep, keyDrop:
		return t.mark(k == keyKeep)
	case keyCards, keyText:
		return t.again(t.setting(k))
	case keyEnglish, keyChinese:
		return t.translated(p, t.setting(k))
	}
	return t.again("")
}

// setting changes how this person is answered, and says so.
func (t *turn) setting(k key) (said string) {
	memo := t.remembered()
	said = "set.lang"
	switch k {
	case keyCards:
		memo.Cards, said = CardsOn, "set.cards"
	case keyText:
		memo.Cards, said = CardsOff, "set.text"
	case keyEnglish:
		memo.Lang = lang.English
		t.lang = memo.Lang
	default:
		memo.Lang = lang.Chinese
		t.lang = memo.Lang
	}
	t.memo = &memo
	return t.say(said)
}

// translated shows the screen in the other language. What a custom step said it must say again.
func (t *turn) translated(p place, said string) Result {
	step := p.current()
	if t.s.Screen.Room.Name != "" || step == nil || step.Custom == nil || t.s.Screen.Kind == wire.ScreenAccepted {
		return t.again(said)
	}
	sh, need, failed := t.openCustom(p, step.Custom)
	if need != nil {
		return Result{Need: need}
	}
	if failed != "" {
		return t.again(t.join(said, failed))
	}
	t.s.Screen = sh
	return t.again(said)
}

// inRoom takes the message for a choice in the room one is in.
func (t *turn) inRoom(p place) Result {
	t.did = DidRoom
	room := t.s.Screen.Room
	switch room.Name {
	case roomSearch:
		return t.chosen(p, t.found)
	case roomRecent:
		return t.chosen(p, t.recentLine)
	case roomFavourites:
		return t.inFavourites(p)
	case roomTasks:
		return t.chosen(p, func(i int) Result { return t.task(t.s.Screen.Items[i].Value) })
	case roomTask:
		return t.chosen(p, t.inTask)
	case roomCancel:
		return t.inCancel()
	case roomOutput:
		if n, ok := number(t.in); ok && n >= 1 && n <= t.s.Screen.Total {
			return t.output(room.Arg, n-1)
		}
		if t.s.Screen.Total > 1 {
			t.did, t.why = DidRepeat, ReasonInvalid
			return t.again(t.say("output.page", t.s.Screen.Total, t.backWord()))
		}
	}
	t.did, t.why = DidRepeat, ReasonInvalid
	return t.again(t.say("list.reading", t.backWord()))
}

// chosen does what a line of a room stands for.
func (t *turn) chosen(p place, do func(i int) Result) Result {
	i, ok := t.picked(p)
	switch {
	case ok && i < len(t.s.Screen.Items):
		return do(i)
	case !ok && t.s.Screen.Room.Name == roomSearch && t.in != "" && !digits(t.in):
		return t.search(clean(t.in, 40)) // another word
	}
	t.did, t.why = DidRepeat, ReasonInvalid
	return t.again(t.unknown())
}

// found goes to a node that was found.
func (t *turn) found(i int) Result {
	t.did = DidJump
	n := t.m.Node(t.s.Screen.Items[i].Value)
	if n == nil {
		return t.restart()
	}
	return t.jump(n, nil)
}

// roomLines are the lines of a room as people read them: what the menu or the memo holds is not stored with the screen.
func (t *turn) roomLines(sh Shown) []wire.Item {
	out := make([]wire.Item, 0, len(sh.Items))
	for _, it := range sh.Items {
		switch sh.Room.Name {
		case roomSearch, roomFavourites:
			if n := t.m.Node(it.Value); n != nil {
				it.Label, it.Detail = n.Title.In(t.lang), t.above(n)
			}
		case roomTasks:
			it = t.taskLine(it)
		case roomTask:
			it.Label = t.taskChoice(it.Value)
		}
		out = append(out, it)
	}
	return out
}

// above is the titles of the lists a node lies in, the outermost first.
func (t *turn) above(n *menu.Node) string {
	var titles []string
	for at := n.Parent; at != nil && at.Parent != nil; at = at.Parent {
		titles = append([]string{at.Title.In(t.lang)}, titles...)
	}
	return strings.Join(titles, " / ")
}
