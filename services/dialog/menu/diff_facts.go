package menu

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"palmops/libs/lang"
)

// fact is one thing that is said about a node or a step: a value, or a list of which the elements count.
type fact struct {
	key, value string
	list       []string
}

// facts are a thing as far as two of its kind can differ, in the order in which it is written in YAML. What is not said
// is left out.
type facts []fact

func (f facts) get(key string) (fact, bool) {
	for _, x := range f {
		if x.key == key {
			return x, true
		}
	}
	return fact{}, false
}

func (f *facts) text(key, value string) {
	if value != "" {
		*f = append(*f, fact{key: key, value: value})
	}
}

func (f *facts) words(key string, w lang.Words) { f.text(key, bilingual(w)) }
func (f *facts) duration(key string, v time.Duration) {
	if v != 0 {
		f.text(key, exactly(v))
	}
}

func (f *facts) flag(key string, v bool) {
	if v {
		f.text(key, "true")
	}
}

func (f *facts) number(key string, v int64) { f.text(key, strconv.FormatInt(v, 10)) }

func (f *facts) strings(key string, list []string) {
	if len(list) > 0 {
		*f = append(*f, fact{key: key, list: list})
	}
}

// exactly is a duration as a person would type it, with what it has below a second.
func exactly(d time.Duration) string {
	if d%time.Second != 0 {
		return d.String()
	}
	return brief(d)
}

// bilingual is a text in both languages, or in the one there is.
func bilingual(w lang.Words) string {
	if w.ZH == "" || w.EN == "" || w.ZH == w.EN {
		return w.In(lang.Chinese)
	}
	return w.ZH + " / " + w.EN
}

// menuFacts are the menu's own facts.
func menuFacts(m *Menu) (f facts) {
	f.words("title", m.Title)
	f.number("first", int64(m.First))
	f.number("page_size", int64(m.PageSize))
	f.duration("session.timeout", m.Timeout)
	f.flag("session.fixed", m.Fixed)
	f.flag("cards", m.Cards)
	f.text("language", string(m.Language))
	if m.Zone != nil {
		f.text("timezone", m.Zone.String())
	}
	return f
}

// nodeFacts are a node's facts without its title, its place, its environment and its steps.
func nodeFacts(n *Node) (f facts) {
	f.strings("alias", n.Alias)
	f.text("when", n.When.String())
	if n.Link != nil {
		f.text("link", n.Link.ID)
	}
	f.text("open", n.Open)
	return f
}

func stepFacts(s Step) (f facts) {
	switch {
	case s.Dynamic != nil:
		f.dynamic(s.Dynamic)
	case s.Input != nil:
		f.input(s.Input)
	case s.Custom != nil:
		f.words("label", s.Custom.Label)
		f.words("prompt", s.Custom.Prompt)
		f.text("go", s.Custom.Go)
		f.source("remote", s.Custom.Remote)
	case s.Confirm != nil:
		f.text("by", s.Confirm.By)
		f.source("current", s.Confirm.Current)
		f.words("text", s.Confirm.Text.Words())
		if !s.Confirm.Noop {
			f.text("noop", "false")
		}
	case s.Action != nil:
		f.source("action", &s.Action.Source)
		f.words("title", s.Action.Title.Words())
		f.duration("expires", s.Action.Expires)
	}
	return f
}

func (f *facts) dynamic(d *Dynamic) {
	f.words("label", d.Label)
	f.words("prompt", d.Prompt)
	f.words("empty", d.Empty)
	f.source("source", d.Source)
	f.text("directory", d.Directory)
	if d.In != nil {
		f.text("in", d.In.String())
	}
	if d.Table != nil {
		f.text("table.by", d.Table.By)
		for _, key := range slices.Sorted(maps.Keys(d.Table.Lists)) {
			name := "lines"
			if d.Table.By != "" {
				name = "table.lists." + key
			}
			f.entries(name, d.Table.Lists[key])
		}
	}
	f.duration("cache", d.Cache)
	f.duration("stale", d.Stale)
	f.flag("multi", d.Multi)
	if d.Multi {
		f.number("least", int64(d.Least))
		f.number("most", int64(d.Most))
	}
}

func (f *facts) input(in *Input) {
	f.words("label", in.Label)
	f.text("type", in.Type)
	f.words("prompt", in.Prompt)
	f.text("example", in.Example)
	f.text("default", in.Default)
	switch in.Type {
	case Int, Port:
		f.number("min", in.Min)
		f.number("max", in.Max)
	case Duration:
		f.text("min", exactly(time.Duration(in.Min)))
		f.text("max", exactly(time.Duration(in.Max)))
	case Text, Lines:
		f.number("max_length", int64(in.MaxLength))
	}
	f.text("from", in.From)
	f.text("to", in.To)
	f.text("pattern", in.Pattern)
	f.words("hint", in.Hint)
	f.entries("values", in.Values)
	f.text("current", in.Current)
}

// entries are the values of a list, and what is shown for each that has a label of its own.
func (f *facts) entries(key string, list []Entry) {
	values := make([]string, len(list))
	for i, e := range list {
		values[i] = e.Value
	}
	f.strings(key, values)
	for _, e := range list {
		if l := bilingual(e.Label); l != e.Value {
			f.text(fmt.Sprintf("%s[%s].label", key, e.Value), l)
		}
		f.words(fmt.Sprintf("%s[%s].detail", key, e.Value), e.Detail)
	}
}

func (f *facts) source(key string, s *Source) {
	if s == nil {
		return
	}
	f.text(key, s.Zone+"/"+s.Pool+" "+s.Action)
	for _, name := range slices.Sorted(maps.Keys(s.Args)) {
		f.text(key+".args."+name, s.Args[name].String())
	}
}

// String is the argument as the menu writes it.
func (a Arg) String() string {
	switch {
	case a.Param != "":
		return "$" + a.Param
	case a.Current != "" && a.Int:
		return "$current." + a.Current + ":int"
	case a.Current != "":
		return "$current." + a.Current
	}
	text, isText := a.Literal.(string)
	if !isText {
		return fmt.Sprint(a.Literal)
	}
	_, err := strconv.ParseInt(text, 10, 64)
	if err == nil || text == "" || text == "true" || text == "false" || text[0] == '$' {
		return strconv.Quote(text)
	}
	return text
}
