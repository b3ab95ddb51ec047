package flow

import (
	"strings"

	"palmops/libs/wire"
	"palmops/services/dialog/menu"
)

const (
	maxTitle = 200  // characters of an action's title
	maxValue = 1024 // bytes of a list's value; longer ones cannot be chosen
)

// keep answers with screens and leaves the session as it stands in t.
func (t *turn) keep(screens ...wire.Screen) Result {
	return Result{
		Session: t.s, Screens: append(t.extra, screens...), Memo: t.memo, Lang: t.lang, Did: t.did, Reason: t.why,
	}
}

// again shows the stored screen once more: no list is asked for.
func (t *turn) again(note string) Result {
	p, _ := locate(t.m, t.s.Hops) // Step has made sure
	s := t.draw(p, t.s.Screen, note)
	t.card(&s)
	return t.keep(s)
}

// show opens the screen at the end of hops, and on the way takes what ahead knows. When a list or a value for it cannot
// be had, the person stays where they are.
func (t *turn) show(hops, ahead []Hop, note string) Result {
	var room string
	if len(ahead) > 0 {
		var more string
		hops, ahead, room, more = t.follow(hops, ahead)
		note = t.join(note, more)
	}
	p, ok := locate(t.m, hops)
	if !ok {
		hops, ahead, p = nil, nil, place{node: t.m.Root, params: map[string]any{}}
	}
	if act := reported(p); act != nil && room == "" {
		return t.report(p, hops, act, note)
	}
	sh, need, failed := t.open(p, ahead)
	if need != nil {
		return Result{Need: need}
	}
	if failed != "" {
		return t.stay(failed)
	}
	if len(hops) == 0 && len(sh.Items) == 0 {
		return t.nothing()
	}
	t.s.Rev, t.s.Hops, t.s.Ahead, t.s.Screen, t.s.Under = t.m.Rev, hops, ahead, sh, nil
	if room != "" {
		return t.enter(room)
	}
	return t.again(note)
}

// nothing tells somebody that they have no rights here, or none now.
func (t *turn) nothing() Result {
	frozen := t.rights.Frozen(t.m.Root)
	t.s, t.why = Session{SentAt: t.s.SentAt}, ReasonDenied
	s := t.notice(t.say("nothing.title"), t.say("nothing.body", clean(t.env.Person.User, 64)))
	if len(frozen) > 0 {
		t.why = ReasonFrozen
		s.Body = nil
		for _, f := range frozen {
			s.Body = append(s.Body, t.say("denied.frozen", t.freeze(f)))
		}
	}
	return t.keep(s)
}

// join makes one note of two.
func (t *turn) join(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return t.say("note.join", a, b)
}

// stay shows the old screen with the reason why the new one could not be opened.
func (t *turn) stay(reason string) Result {
	if t.why == "" {
		t.why = ReasonNoAnswer
	}
	if _, ok := t.standing(); ok && t.s.Screen.Kind != wire.ScreenAccepted && t.allowed(t.s.Hops) == len(t.s.Hops) {
		return t.again(reason)
	}
	// Nothing to stay on: the top always can be shown, it needs no answer.
	return t.show(nil, nil, reason)
}

// open gathers what the screen at p needs.
func (t *turn) open(p place, ahead []Hop) (sh Shown, need *Question, failed string) {
	step := p.current()
	switch {
	case step == nil:
		sh = Shown{Kind: wire.ScreenMenu}
		for _, child := range t.children(p) {
			sh.Items = append(sh.Items, wire.Item{Value: child.ID})
		}
		return sh, nil, ""
	case step.Dynamic != nil:
		sh, need, failed = t.openList(p, step.Dynamic, "")
		if step.Dynamic.Multi && failed == "" {
			h, ok := present(step, ahead)
			if !ok && t.undone.Param == step.Dynamic.Param {
				h, ok = t.undone, true // a step back undoes one step, not the choice of every line
			}
			if ok {
				sh.Picked = kept(strings.Split(h.Text, ","), sh.Items)
			}
		}
		return sh, need, failed
	case step.Input != nil:
		return Shown{Kind: wire.ScreenInput}, nil, ""
	case step.Custom != nil:
		return t.openCustom(p, step.Custom)
	case step.Confirm != nil:
		return t.openConfirm(p, step.Confirm)
	}
	return Shown{}, nil, t.say("open.nothing")
}

func (t *turn) openConfirm(p place, c *menu.Confirm) (sh Shown, need *Question, failed string) {
	sh = Shown{Kind: wire.ScreenConfirm, At: t.env.Now}
	if c.By == menu.ByCode {
		sh.Code = code(t.ev.ID, p.node.ID)
	}
	if c.Current != nil {
		answer, need, failed := t.askSource(p, *c.Current, Question{What: AskFields})
		if need != nil || failed != "" {
			return Shown{}, need, failed
		}
		sh.Current = map[string]string{}
		for _, f := range currentFields(p.node) {
			if v, ok := answer.Fields[f]; ok {
				sh.Current[f] = clean(v, maxTitle)
			}
		}
	}
	_, err := c.Text.Text(t.lang, t.data(p, sh))
	if act := action(p); err == nil && act != nil {
		if _, err = act.Values(p.params, sh.Current); err == nil {
			_, err = act.Title.Text(t.lang, t.data(p, sh))
		}
	}
	if err != nil {
		return Shown{}, nil, t.say("confirm.incomplete")
	}
	return sh, nil, ""
}

// currentFields are the fields of the confirm's answer that anything on its screen reads.
func currentFields(n *menu.Node) []string {
	fields := n.CurrentFields()
	for _, p := range n.Params { // those of the nodes above as well
		if in := inputOf(p); in != nil && in.Current != "" {
			fields = append(fields[:len(fields):len(fields)], in.Current)
		}
	}
	return fields
}

// inputOf is the input that sets a parameter, nil when it is none.
func inputOf(p menu.Param) *menu.Input {
	if p.Node == nil || p.Step < 0 || p.Step >= len(p.Node.Steps) {
		return nil
	}
	return p.Node.Steps[p.Step].Input
}

// dynamicOf is the list that a parameter is chosen from, nil when it is none.
func dynamicOf(p menu.Param) *menu.Dynamic {
	if p.Node == nil || p.Step < 0 || p.Step >= len(p.Node.Steps) {
		return nil
	}
	return p.Node.Steps[p.Step].Dynamic
}

func (t *turn) data(p place, sh Shown) menu.Data {
	return menu.Data{Params: p.params, Current: sh.Current, Person: t.env.Person}
}

// action is the order behind the confirm one stands at.
func action(p place) *menu.Action {
	if p.step+1 >= len(p.node.Steps) {
		return nil
	}
	return p.node.Steps[p.step+1].Action
}

// lines are the lines of a screen in their order, as people read them. Of what the menu knows itself only the values are
// stored.
func (t *turn) lines(p place, sh Shown) []wire.Item {
	if sh.Room.Name != "" {
		return t.roomLines(sh)
	}
	step := p.current()
	switch {
	case sh.Kind == wire.ScreenAccepted || sh.Kind == wire.ScreenConfirm:
		return nil
	case step == nil:
		out := make([]wire.Item, len(sh.Items))
		for i, it := range sh.Items {
			out[i] = it
			if n := t.m.Node(it.Value); n != nil {
				out[i].Label = n.Title.In(t.lang)
			}
		}
		return out
	case step.Input != nil:
		return t.entries(step.Input.Values)
	case step.Dynamic != nil && step.Dynamic.Table != nil:
		labels := map[string]wire.Item{}
		for _, it := range t.entries(table(p, step.Dynamic.Table)) {
			labels[it.Value] = it
		}
		out := make([]wire.Item, len(sh.Items))
		for i, it := range sh.Items {
			out[i] = it
			if known, ok := labels[it.Value]; ok {
				out[i] = known
			}
		}
		return out
	}
	return sh.Items
}

func (t *turn) entries(list []menu.Entry) []wire.Item {
	var out []wire.Item
	for _, e := range list {
		out = append(out, wire.Item{Value: e.Value, Label: e.Label.In(t.lang), Detail: e.Detail.In(t.lang)})
	}
	return out
}

// count is the number of lines on all pages of a screen.
func (t *turn) count(p place, sh Shown) int {
	if step := p.current(); sh.Room.Name == "" && step != nil && step.Input != nil && sh.Kind == wire.ScreenInput {
		return len(step.Input.Values)
	}
	return len(sh.Items)
}

func (t *turn) pages(p place, sh Shown) int {
	if sh.Room.Name == roomOutput {
		return sh.Total
	}
	return (t.count(p, sh) + t.m.PageSize - 1) / t.m.PageSize
}

// pick is the index of the line that a number means: one of the stored list, on a page that was shown.
func (t *turn) pick(p place, n int) (int, bool) {
	i, sh := n-t.m.First, t.s.Screen
	return i, i >= 0 && i < t.count(p, sh) && i < (sh.Seen+1)*t.m.PageSize
}

// picked reads the message as one such number.
func (t *turn) picked(p place) (int, bool) {
	n, ok := number(t.in)
	if !ok {
		return 0, false
	}
	return t.pick(p, n)
}
