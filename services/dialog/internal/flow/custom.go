package flow

import (
	"slices"
	"strings"

	"palmops/libs/wire"
	"palmops/services/dialog/menu"
	"palmops/services/dialog/node"
)

// Limits of what a custom step shows and takes.
const (
	maxBody   = 30  // lines
	maxLine   = 200 // characters of one
	maxViewed = 200 // items
	maxParts  = 40  // inputs
)

// openCustom shows a custom step as it is after the inputs it has accepted.
func (t *turn) openCustom(p place, c *menu.Custom) (sh Shown, need *Question, failed string) {
	v, need, failed := t.view(p, c, p.inputs)
	if need != nil || failed != "" {
		return Shown{}, need, failed
	}
	if v.Refuse != "" {
		return Shown{}, nil, v.Refuse
	}
	return viewed(v), nil, ""
}

// viewed is the screen of a view.
func viewed(v wire.View) Shown {
	sh := Shown{Kind: wire.ScreenMenu, Items: v.Items, View: &wire.View{Title: v.Title, Body: v.Body, Free: v.Free}}
	if v.Free {
		sh.Kind = wire.ScreenInput
	}
	return sh
}

// view asks a custom step what it says to these inputs.
func (t *turn) view(p place, c *menu.Custom, inputs []string) (v wire.View, need *Question, failed string) {
	if c.Remote != nil {
		answer, need, failed := t.askSource(p, *c.Remote, Question{What: AskView}, "inputs", wire.JoinInputs(inputs), "lang", string(t.lang))
		if need != nil || failed != "" {
			return wire.View{}, need, failed
		}
		if answer.View == nil {
			return wire.View{}, nil, t.say("custom.answer")
		}
		return bounded(*answer.View), nil, ""
	}
	n := t.env.Nodes[c.Go]
	if n == nil {
		return wire.View{}, nil, t.say("open.nothing")
	}
	params := make(map[string]any, len(p.params))
	for k, v := range p.params {
		params[k] = v
	}
	return bounded(n.Show(node.Query{Person: t.env.Person, Params: params, Inputs: slices.Clone(inputs), Lang: t.lang, Now: t.env.Now})), nil, ""
}

// bounded makes a view harmless: its texts are one line each, short, and not too many.
func bounded(v wire.View) wire.View {
	out := wire.View{
		Title: clean(v.Title, menu.MaxLabel), Free: v.Free, Refuse: clean(v.Refuse, maxLine), Done: v.Done, Value: v.Value,
	}
	if v.Refuse != "" && out.Refuse == "" {
		out.Refuse = "…" // it is refused, whatever the words are
	}
	for _, line := range v.Body[:min(len(v.Body), maxBody)] {
		out.Body = append(out.Body, clean(line, maxLine))
	}
	for _, it := range v.Items[:min(len(v.Items), maxViewed)] {
		if it.Value == "" || len(it.Value) > maxValue || strings.ContainsFunc(it.Value, unseen) {
			continue
		}
		label := clean(it.Label, menu.MaxLabel)
		if label == it.Value {
			label = ""
		}
		out.Items = append(out.Items, wire.Item{Value: it.Value, Label: label, Detail: clean(it.Detail, menu.MaxLabel)})
	}
	return out
}

// custom takes the message for an input of a custom step.
func (t *turn) custom(p place, c *menu.Custom) Result {
	t.did = DidInput
	sh := t.s.Screen
	typed, input := t.in, ""
	switch i, ok := t.picked(p); {
	case ok:
		t.did, input = DidChoose, sh.Items[i].Value
	case sh.View == nil || !sh.View.Free:
		t.did, t.why = DidRepeat, ReasonInvalid
		if len(sh.Items) == 0 {
			return t.again(t.say("choose.nothing", t.backWord()))
		}
		return t.again(t.unknown())
	default:
		typed = strings.TrimSpace(t.ev.Text)
		input, _ = unescaped(typed)
		input = strings.TrimSpace(input)
	}
	switch {
	case input == "":
		return t.wrong(p, t.say("choose.empty"))
	case len(input) > maxValue || strings.ContainsFunc(input, unseen):
		return t.wrong(p, t.say("custom.input"))
	case len(p.inputs) >= maxParts:
		t.did, t.why = DidRepeat, ReasonInvalid
		return t.again(t.say("custom.parts", t.backWord()))
	}
	v, need, failed := t.view(p, c, append(slices.Clone(p.inputs), input))
	switch {
	case need != nil:
		return Result{Need: need}
	case failed != "":
		t.why = ReasonNoAnswer
		return t.again(failed)
	case v.Refuse != "":
		return t.wrong(p, v.Refuse)
	}
	hop := Hop{Typed: clean(typed, menu.MaxText), Param: noParam, Text: input, Part: true}
	if c.Param != "" {
		hop.Param = c.Param
	}
	if v.Done && c.Param != "" {
		if v.Value == "" || len(v.Value) > maxValue || strings.ContainsFunc(v.Value, unseen) {
			t.why = ReasonNoAnswer
			return t.again(t.say("custom.value"))
		}
		hop.Text, hop.Part = v.Value, false
	}
	return t.forward(p, hop)
}
