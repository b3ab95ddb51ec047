package flow

import (
	"fmt"
	"strings"

	"palmops/libs/wire"
	"palmops/services/dialog/menu"
)

// maxFilter is how many characters of a filter count.
const maxFilter = 40

// openList asks for a list and keeps what may be chosen, narrowed to the lines that hold the filter.
func (t *turn) openList(p place, d *menu.Dynamic, filter string) (sh Shown, need *Question, failed string) {
	items, asOf, need, failed := t.gather(p, d)
	if need != nil || failed != "" {
		return Shown{}, need, failed
	}
	sh = Shown{Kind: wire.ScreenMenu, Filter: filter, AsOf: t.aged(asOf)}
	if filter != "" {
		sh.Total = len(items)
		items = narrow(items, filter)
	}
	if len(items) > MaxList {
		if filter == "" {
			sh.Total = len(items)
		}
		items = items[:MaxList]
	}
	if d.Table != nil { // the rest stands in the menu
		for i := range items {
			items[i] = wire.Item{Value: items[i].Value}
		}
	}
	sh.Items = items
	return sh, nil, ""
}

// gather is the whole list: every line that can be shown as it is, and that this person may choose.
func (t *turn) gather(p place, d *menu.Dynamic) (items []wire.Item, asOf int64, need *Question, failed string) {
	if _, args, ok := p.deed(""); ok && d.Param == "" {
		t.frozen = nil
		if !t.judge(t.rights.Decide(p.node, args)) {
			return nil, 0, nil, t.refusal("denied.note")
		}
	}
	var answer Answer
	switch {
	case d.Table != nil:
		answer.Items = t.entries(table(p, d.Table))
	case d.Source != nil:
		answer, need, failed = t.askSource(p, *d.Source, Question{What: AskList, Cache: d.Cache, Stale: d.Stale})
	case d.Directory != "":
		answer, need, failed = t.askDirectory(p, d)
	default:
		failed = t.say("open.nothing")
	}
	if need != nil || failed != "" {
		return nil, 0, need, failed
	}
	seen := make(map[string]bool, len(answer.Items))
	items = make([]wire.Item, 0, len(answer.Items))
	for _, it := range answer.Items {
		if it.Value == "" || len(it.Value) > maxValue || seen[it.Value] || strings.ContainsFunc(it.Value, unseen) ||
			strings.TrimSpace(it.Value) != it.Value || d.Multi && strings.Contains(it.Value, ",") {
			continue // what cannot be shown as it is, or not told from its neighbours, must not be chosen
		}
		seen[it.Value] = true
		label := clean(it.Label, menu.MaxLabel)
		if label == it.Value {
			label = ""
		}
		items = append(items, wire.Item{Value: it.Value, Label: label, Detail: clean(it.Detail, menu.MaxLabel)})
	}
	return t.offered(p, d.Param, items), answer.AsOf, nil, ""
}

// table is the lines of a table for the parameters of a place.
func table(p place, t *menu.Table) []menu.Entry {
	if t.By == "" {
		return t.Lists[""]
	}
	v, ok := p.params[t.By]
	if !ok {
		return nil
	}
	return t.Lists[fmt.Sprint(v)]
}

// narrow keeps the lines that match a text in what a person reads of them: a part, pinyin, or initials.
func narrow(items []wire.Item, text string) []wire.Item {
	filter := menu.NewFilter(text)
	var out []wire.Item
	for _, it := range items {
		if filter.Passes(it.Value, it.Label, it.Detail) {
			out = append(out, it)
		}
	}
	return out
}

// line takes the message for a line of a dynamic list, or for what narrows it.
func (t *turn) line(p place, d *menu.Dynamic) Result {
	if d.Multi && d.Param != "" {
		return t.several(p, d)
	}
	t.did = DidChoose
	if i, ok := t.picked(p); ok && d.Param != "" {
		it := t.s.Screen.Items[i]
		return t.forward(p, Hop{Typed: t.in, Param: d.Param, Text: it.Value, Label: it.Label})
	}
	if oneOf(t.in, "*", "all") || isAllLines(t.in) {
		return t.filter(p, d, "")
	}
	if note := t.misread(); note != "" {
		t.did, t.why = DidRepeat, ReasonInvalid
		if t.in != "" && d.Param == "" {
			note = t.say("list.reading", t.backWord())
		}
		return t.again(note)
	}
	return t.filter(p, d, t.in)
}

// misread is what to say of a message that is neither a line nor a filter, "" when it can be a filter.
func (t *turn) misread() string {
	sh := t.s.Screen
	switch {
	case t.in == "":
		return t.say("choose.empty")
	case len(sh.Items) == 0 && sh.Filter == "":
		return t.say("choose.nothing", t.backWord())
	case digits(t.in) && !t.beyond():
		return t.say("choose.wrong", quote(t.lang, t.ev.Text))
	}
	return ""
}

// beyond reports whether the message is a number that no line has, in a list that is too long to be shown whole: it can
// only be a part of a name then.
func (t *turn) beyond() bool {
	sh := t.s.Screen
	n, ok := number(t.in)
	return digits(t.in) && sh.Total > MaxList && (!ok || n-t.m.First >= len(sh.Items))
}

// filter asks for the list again and shows the lines that hold a text; all of them for an empty one.
func (t *turn) filter(p place, d *menu.Dynamic, text string) Result {
	t.did = DidFilter
	text, _ = unescaped(text)
	text = strings.TrimSpace(text)
	if len([]rune(text)) > maxFilter {
		t.did, t.why = DidRepeat, ReasonInvalid
		return t.again(t.say("filter.long", maxFilter))
	}
	text = clean(text, maxFilter)
	sh, need, failed := t.openList(p, d, text)
	if need != nil {
		return Result{Need: need}
	}
	if failed != "" {
		if t.why == "" {
			t.why = ReasonNoAnswer
		}
		return t.again(failed)
	}
	if text != "" && len(sh.Items) == 0 {
		t.why = ReasonInvalid
		return t.again(t.say("filter.none", quote(t.lang, text)))
	}
	sh.Picked = t.s.Screen.Picked
	t.s.Screen = sh
	return t.again("")
}
