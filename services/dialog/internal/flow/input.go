package flow

import (
	"strconv"
	"strings"
	"time"

	"palmops/libs/fault"
	"palmops/services/dialog/menu"
)

// maxTries is how many wrong inputs in a row end a form.
const maxTries = 3

func (t *turn) input(p place, in *menu.Input) Result {
	t.did = DidInput
	typed, value := strings.TrimSpace(t.ev.Text), ""
	switch {
	case isDefault(t.in) && in.Default != "":
		typed, value = t.in, in.Default
	case isDefault(t.in) && in.Type != menu.Text && in.Type != menu.Lines:
		return t.wrong(p, t.say("input.no_default"))
	case in.Type == menu.Enum:
		i, ok := t.picked(p)
		if !ok {
			return t.wrong(p, t.unknown())
		}
		typed, value = t.in, in.Values[i].Value
	case in.Type == menu.Text || in.Type == menu.Lines:
		value, _ = unescaped(typed)
	default: // what is made of digits and letters may be typed in any width
		typed = t.in
		value, _ = unescaped(typed)
		value = strings.TrimSpace(value)
	}
	read, err := in.Read(t.lang, value, t.clock())
	if err != nil {
		return t.wrong(p, fault.Safe(err))
	}
	hop := Hop{Typed: clean(typed, menu.MaxText), Param: in.Param, Text: read}
	if in.Type == menu.Int || in.Type == menu.Port {
		hop.Int, hop.IsInt, hop.Text = integer(read), true, ""
	}
	return t.forward(p, hop)
}

// wrong says no to an input; the third time in a row it ends the form.
func (t *turn) wrong(p place, note string) Result {
	t.did, t.why = DidRepeat, ReasonInvalid
	t.s.Screen.Tries = min(max(t.s.Screen.Tries, 0), maxTries) + 1
	if t.s.Screen.Tries < maxTries {
		return t.again(sentence(note))
	}
	t.why = ReasonTries
	return t.show(t.s.Hops[:lastNode(t.s.Hops)], nil, t.say("input.tries", maxTries))
}

// sentence begins with a capital letter, where the script has them: what went wrong stands alone on its line.
func sentence(s string) string {
	if s != "" && s[0] >= 'a' && s[0] <= 'z' {
		return string(s[0]-'a'+'A') + s[1:]
	}
	return s
}

func integer(decimal string) int64 {
	n, _ := strconv.ParseInt(decimal, 10, 64) // Input.Read made it
	return n
}

// prompt is what an input asks, with everything in brackets that helps to answer it.
func (t *turn) prompt(in *menu.Input) string {
	text := in.Prompt.In(t.lang)
	if text == "" {
		text = t.say("input.prompt")
	}
	more := t.rules(in)
	if in.Default != "" {
		more = append(more, t.say("input.default", t.entry(in, in.Default)))
	}
	if zero(in) && t.m.First == 1 {
		more = append(more, t.say("input.zero"))
	}
	if len(more) == 0 {
		return text
	}
	return t.say("input.brackets", text, strings.Join(more, t.say("input.between")))
}

// zero reports whether the value zero is allowed, which is also a key.
func zero(in *menu.Input) bool { return in.Type == menu.Int && in.Min <= 0 && in.Max >= 0 }

// rules are what a value must be like, and an example.
func (t *turn) rules(in *menu.Input) []string {
	var list []string
	add := func(key string, args ...any) { list = append(list, t.say(key, args...)) }
	least, most := in.Limits(t.clock())
	switch in.Type {
	case menu.DNSLabel:
		add("input.dns")
	case menu.Date:
		add("input.date", within(t.clock().Format("2006-01-02"), least, most))
	case menu.Clock:
		add("input.clock")
	case menu.DateTime:
		add("input.datetime", within(t.clock().Format("2006-01-02")+" 14:30", least, most))
	case menu.Duration:
		add("input.duration")
	case menu.Lines:
		add("input.lines")
	}
	switch {
	case in.Type == menu.Duration && in.Min <= int64(time.Second) && in.Max >= int64(menu.MaxDuration): // says nothing
	case least == "" && most == "":
	case in.Type == menu.Int && least != "" && most != "":
		add("input.int", in.Min, in.Max)
	case in.Type == menu.Port:
		add("input.port", in.Min, in.Max)
	case most == "":
		add("input.from", least)
	case least == "":
		add("input.to", most)
	default:
		add("input.range", least, most)
	}
	if in.Example != "" {
		add("input.example", in.Example)
	}
	return list
}

// within is a date, or the limit that it is beyond: an example that would be refused helps nobody. All are written so that
// their order is that of time; a limit may be "".
func within(date, least, most string) string {
	switch {
	case least != "" && date < least:
		return least
	case most != "" && date > most:
		return most
	}
	return date
}

// entry is a value as an enum names it.
func (t *turn) entry(in *menu.Input, value string) string {
	for _, e := range in.Values {
		if label := e.Label.In(t.lang); e.Value == value && label != "" && label != value {
			return t.say("form.entry", label, value)
		}
	}
	return value
}
