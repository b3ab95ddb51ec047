package flow

import (
	"slices"
	"strings"

	"palmops/libs/wire"
	"palmops/services/dialog/menu"
)

// maxJoined is how many bytes the value of a multi-select may take.
const maxJoined = 4096

// bounds are how many lines must and may be chosen.
func bounds(d *menu.Dynamic) (least, most int) {
	least, most = max(d.Least, 1), d.Most
	if most < least || most > menu.MaxPicked {
		most = menu.MaxPicked
	}
	return least, most
}

// several takes the message for what it says about the lines of a multi-select.
func (t *turn) several(p place, d *menu.Dynamic) Result {
	t.did = DidPick
	sh := &t.s.Screen
	switch {
	case isDone(t.in):
		return t.finish(p, d)
	case isPickAll(t.in):
		return t.pickAll(d)
	case isClear(t.in):
		sh.Picked = nil
		return t.again(t.say("multi.cleared"))
	case isAllLines(t.in):
		return t.filter(p, d, "")
	}
	if note := t.misread(); note != "" && t.in == "" || len(sh.Items) == 0 && sh.Filter == "" {
		t.did, t.why = DidRepeat, ReasonInvalid
		return t.again(note)
	}
	list, ok := selection(t.in)
	if t.beyond() {
		return t.filter(p, d, t.in)
	}
	if !ok {
		if digits(t.in) {
			t.did, t.why = DidRepeat, ReasonInvalid
			return t.again(t.say("choose.wrong", quote(t.lang, t.ev.Text)))
		}
		return t.filter(p, d, t.in)
	}
	picked := slices.Clone(sh.Picked)
	for _, n := range list {
		i, ok := t.pick(p, n)
		if !ok {
			t.did, t.why = DidRepeat, ReasonInvalid
			return t.again(t.say("multi.wrong", n))
		}
		v := sh.Items[i].Value
		if at := slices.Index(picked, v); at >= 0 {
			picked = slices.Delete(picked, at, at+1)
		} else {
			picked = append(picked, v)
		}
	}
	return t.choice(d, picked)
}

func (t *turn) pickAll(d *menu.Dynamic) Result {
	picked := slices.Clone(t.s.Screen.Picked)
	for _, it := range t.s.Screen.Items {
		if !slices.Contains(picked, it.Value) {
			picked = append(picked, it.Value)
		}
	}
	return t.choice(d, picked)
}

// choice makes these lines the chosen ones, if they are not too many.
func (t *turn) choice(d *menu.Dynamic, picked []string) Result {
	_, most := bounds(d)
	if len(picked) > most {
		t.did, t.why = DidRepeat, ReasonInvalid
		return t.again(t.say("multi.most", most, len(picked)))
	}
	if len(strings.Join(picked, ",")) > maxJoined {
		t.did, t.why = DidRepeat, ReasonInvalid
		return t.again(t.say("multi.long"))
	}
	t.s.Screen.Picked = picked
	return t.again("")
}

// finish makes the chosen lines the value, in the order of the whole list.
func (t *turn) finish(p place, d *menu.Dynamic) Result {
	sh := t.s.Screen
	least, most := bounds(d)
	if n := len(sh.Picked); n < least || n > most {
		t.did, t.why = DidRepeat, ReasonInvalid
		return t.again(t.say("multi.least", least, n))
	}
	items := sh.Items
	if sh.Filter != "" || sh.Total > 0 {
		var need *Question
		var failed string
		if items, _, need, failed = t.gather(p, d); need != nil {
			return Result{Need: need}
		}
		if failed != "" {
			t.why = ReasonNoAnswer
			return t.again(failed)
		}
	}
	values := inOrder(sh.Picked, items)
	hop := Hop{Typed: clean(t.in, 20), Param: d.Param, Text: strings.Join(values, ",")}
	if d.Table == nil {
		hop.Label = clean(t.called(values, items), maxShown)
	}
	return t.forward(p, hop)
}

// inOrder sorts values as a list has them; what it does not have any more comes last.
func inOrder(values []string, items []wire.Item) []string {
	at := make(map[string]int, len(items))
	for i, it := range items {
		at[it.Value] = i
	}
	out := slices.Clone(values)
	slices.SortStableFunc(out, func(a, b string) int {
		i, ok := at[a]
		if !ok {
			i = len(items)
		}
		j, ok := at[b]
		if !ok {
			j = len(items)
		}
		return i - j
	})
	return out
}

// selection reads numbers and ranges such as 1 3,5-7, each of which turns lines on or off.
func selection(folded string) (list []int, ok bool) {
	if len(folded) > 200 {
		return nil, false
	}
	parts := strings.FieldsFunc(folded, func(r rune) bool { return r == ' ' || r == ',' || r == '、' || r == '\n' })
	for _, part := range parts {
		from, to, _ := strings.Cut(part, "-")
		if to == "" && !strings.HasSuffix(part, "-") {
			to = from
		}
		a, okA := number(from)
		b, okB := number(to)
		if !okA || !okB || b < a || b-a >= menu.MaxItems {
			return nil, false
		}
		for n := a; n <= b; n++ {
			list = append(list, n)
		}
	}
	return list, len(list) > 0 && len(list) <= menu.MaxItems
}
