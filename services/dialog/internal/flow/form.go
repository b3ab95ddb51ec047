package flow

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"palmops/libs/wire"
	"palmops/services/dialog/menu"
)

// maxShown is how many characters of a value a confirm shows.
const maxShown = 200

// field is one numbered line of a confirm: a parameter and what it was answered with.
type field struct {
	param menu.Param
	text  string
}

// firstField is the number of a form's first line: 1 is the confirm itself, also where a code is wanted instead.
const firstField = 2

// form is everything that the road knows, in the order it was asked.
func (t *turn) form(p place, current map[string]string) []field {
	var list []field
	for _, prm := range p.node.Params {
		v, ok := p.params[prm.Name]
		if !ok {
			continue
		}
		text := ""
		switch x := v.(type) {
		case int64:
			text = strconv.FormatInt(x, 10)
		case string:
			text = x
		}
		h, _ := valueIn(t.s.Hops, prm.Name)
		wanted := t.shown(p, prm, text, h.Label)
		line := t.say("form.line", t.label(p.node, prm.Name), wanted)
		if in := inputOf(prm); in != nil && in.Current != "" {
			if before, ok := current[in.Current]; ok {
				line = t.say("form.change", t.label(p.node, prm.Name), t.shown(p, prm, before, ""), wanted)
			}
		}
		list = append(list, field{prm, line})
	}
	return list
}

// shown is a value as a confirm shows it, behind what a list calls it: a person has chosen that. What is left out is
// counted.
func (t *turn) shown(p place, prm menu.Param, value, label string) string {
	if in := inputOf(prm); in != nil {
		value = t.entry(in, value)
	} else if d := dynamicOf(prm); d != nil {
		if d.Table != nil {
			values := []string{value}
			if d.Multi {
				values = strings.Split(value, ",")
			}
			label = t.called(values, t.entries(table(p, d.Table)))
		}
		if label != "" {
			value = t.say("form.entry", label, value)
		}
	}
	line := strings.ReplaceAll(value, "\n", " ⏎ ")
	if n := utf8.RuneCountInString(line); n > maxShown {
		return t.say("form.cut", clean(line, maxShown), utf8.RuneCountInString(value))
	}
	return clean(line, maxShown)
}

// called is what a list calls these values, "" when it has no other words for them.
func (t *turn) called(values []string, items []wire.Item) string {
	labels := make(map[string]string, len(values))
	for _, it := range items {
		labels[it.Value] = it.Label
	}
	list, known := make([]string, len(values)), false
	for i, v := range values {
		list[i] = v
		if label := labels[v]; label != "" && label != v {
			list[i], known = label, true
		}
	}
	if !known {
		return ""
	}
	return strings.Join(list, t.say("form.and"))
}

// code is what must be typed at a confirm by code: four digits that are not the number of a line, the same whenever the
// same message opens the same confirm.
func code(event, node string) string {
	n := 0
	for _, c := range []byte(wire.DeriveID("code", event, node)[:6]) {
		n = n*31 + int(c)
	}
	return strconv.Itoa(1000 + n%9000)
}

func (t *turn) confirm(p place) Result {
	t.did = DidConfirm
	step := p.current()
	if step == nil || step.Confirm == nil {
		return t.restart()
	}
	byCode := step.Confirm.By == menu.ByCode
	wants := "1"
	if byCode {
		wants = t.s.Screen.Code
	}
	if wants == "" {
		return t.restart() // a damaged session
	}
	if t.in == wants {
		return t.order(p, wants)
	}
	fields := t.form(p, t.s.Screen.Current)
	dryRun := firstField + len(fields)
	if n, ok := number(t.in); ok && n >= firstField && n < dryRun {
		return t.alter(fields[n-firstField].param.Name)
	}
	if n, ok := number(t.in); step.Confirm.Noop && (ok && n == dryRun || isDryRun(t.in)) {
		return t.dryRun(p, t.in)
	}
	if byCode && digits(t.in) {
		return t.wrong(p, t.say("code.wrong", wants))
	}
	t.did, t.why = DidRepeat, ReasonInvalid
	return t.again(t.say("confirm.not", wants, t.backWord()))
}

// alter goes back to one value of the form. Everything behind it waits to be taken again.
func (t *turn) alter(name string) Result {
	t.did = DidChange
	i, ok := firstOf(t.s.Hops, name)
	if !ok {
		return t.restart()
	}
	t.change = true
	return t.show(t.s.Hops[:i:i], t.s.Hops[i:], "")
}
