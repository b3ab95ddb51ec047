package menu

import (
	"fmt"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"palmops/libs/lang"
)

// keyWords are what a person types to go somewhere. A value that is one of them is taken for it, unless it is typed
// with = in front.
var keyWords = strings.Fields(
	"0 00 # ? + - * " +
		"返回 首页 菜单 退出 上一页 下一页 帮助 默认 最近 收藏 收藏+ 收藏- 加收藏 删收藏 任务 我的任务 卡片 文字 英文 中文 全部 全选 清空 完成 " + //lang:word
		"back home menu exit quit next prev help default recent favourites favorites fav+ fav- tasks card cards text english chinese all clear done ok", //lang:word
)

// signs are the key words that are no words, and so what a pattern takes by accident.
var signs = []string{"0", "00", "#", "?", "+", "-"}

func (c *checker) input(n *Node, s Step) {
	in := s.Input
	if in.Type == Text && in.Pattern != "" && in.match != nil {
		var taken []string
		for _, k := range signs {
			if in.match(k) && (k != "0" || c.m.First != 0) {
				taken = append(taken, k)
			}
		}
		if len(taken) > 0 {
			c.warn(n, s.Line, "the pattern of %s also fits %s, which is a key there and can only be typed with = in front", in.Param, strings.Join(taken, " "))
		}
	}
	if in.Type == Enum {
		c.pages(n, s.Line, n.Title, in.Prompt, in.Values)
		c.entries(n, s.Line, in.Param, in.Values)
		return
	}
	worst := 0
	for _, t := range languages {
		worst = max(worst, frame+len(n.Title.In(t))+len(in.Prompt.In(t))+len(in.Hint.In(t))+len(in.Example)+len(in.Default))
	}
	c.size(n, s.Line, "the question for "+in.Param, worst)
}

func (c *checker) dynamic(n *Node, i int, s Step) {
	d := s.Dynamic
	if d.In != nil && d.In.Param != "" && isMulti(n, d.In.Param) {
		c.error(n, s.Line, "in is $%s, of which several can be chosen; it must be one department", d.In.Param)
	}
	if d.Source != nil && d.Param != "" && d.Cache == 0 {
		if first := askedBefore(n, i, d.Source.String()); first != "" {
			c.warn(n, s.Line, "the list of %s is the same as that of %s; with cache it is asked once", d.Param, first)
		}
	}
	if d.Table == nil {
		return
	}
	for _, key := range slices.Sorted(maps.Keys(d.Table.Lists)) {
		c.pages(n, s.Line, n.Title, d.Prompt, d.Table.Lists[key])
		if d.Param != "" {
			c.entries(n, s.Line, d.Param, d.Table.Lists[key])
		}
		if d.Multi && len(d.Table.Lists[key]) < d.Least {
			c.error(n, s.Line, "%d lines of %s must be chosen, and its list has only %d", d.Least, d.Param, len(d.Table.Lists[key]))
		}
	}
	c.table(n, s)
}

// table checks that a table has a list for each value of the parameter that it depends on.
func (c *checker) table(n *Node, s Step) {
	t := s.Dynamic.Table
	if t.By == "" {
		return
	}
	if isMulti(n, t.By) {
		c.error(n, s.Line, "the table is looked up by $%s, of which several can be chosen; it must be one value", t.By)
		return
	}
	p := n.param(t.By)
	if p == nil {
		return
	}
	values := possible(*p)
	if values == nil {
		return
	}
	for _, v := range values {
		if _, ok := t.Lists[fmt.Sprint(v)]; !ok {
			c.warn(n, s.Line, "the table has no list for %q, which %s can be", fmt.Sprint(v), t.By)
		}
	}
}

// entries checks the lines of an enum or a table, of which one is chosen by its number or by what it is.
func (c *checker) entries(n *Node, line int, param string, list []Entry) {
	labels := map[string]string{}
	for i, e := range list {
		text := strings.Join(fields(e.Value), " ")
		if slices.Contains(keyWords, text) {
			c.warn(n, line, "the value %q of %s is a key and can only be typed with = in front", e.Value, param)
		}
		if number, err := strconv.Atoi(text); err == nil && number >= c.m.First && number < c.m.First+len(list) && number != c.m.First+i {
			c.warn(n, line, "the value %q of %s is also the number of another line", e.Value, param)
		}
		if text == "" {
			c.error(n, line, "the value %q of %s is blank", e.Value, param)
		}
		label := e.Label.In(lang.Chinese) + "\x00" + e.Detail.In(lang.Chinese)
		if e.Label.Empty() {
			label = e.Value + label
		}
		first := labels[label]
		if first != "" {
			c.warn(n, line, "the values %q and %q of %s look the same", first, e.Value, param)
		}
		if first == "" {
			labels[label] = e.Value
		}
	}
}

// isMulti reports whether a parameter is a list of several values.
func isMulti(n *Node, name string) bool {
	p := n.param(name)
	if p == nil || p.Node == nil || p.Step >= len(p.Node.Steps) {
		return false
	}
	d := p.Node.Steps[p.Step].Dynamic
	return d != nil && d.Multi
}

// askedBefore gives the parameter of an earlier list on the way to a step that asks the same; "" for none.
func askedBefore(n *Node, at int, source string) string {
	for ; n != nil; n = n.Parent {
		for _, s := range n.Steps[:at] {
			if s.Dynamic != nil && s.Dynamic.Param != "" && s.Dynamic.Source != nil && s.Dynamic.Source.String() == source {
				return s.Dynamic.Param
			}
		}
		if n.Parent != nil {
			at = len(n.Parent.Steps)
		}
	}
	return ""
}

// hasEnglish reports whether anybody wrote English for the menu.
func hasEnglish(m *Menu) bool {
	found := m.Title.EN != ""
	each(m.Root, func(n *Node) {
		if found {
			return
		}
		for _, w := range spokenBy(n) {
			found = found || w.EN != ""
		}
	})
	return found
}

// words notes texts that lack a language which others have.
func (c *checker) words(n *Node) {
	if !c.english {
		return
	}
	var missing []string
	for s, w := range spokenBy(n) {
		switch {
		case w.EN == "" && strings.ContainsFunc(w.ZH, isHan):
			missing = append(missing, "the English of its "+nameOf(s))
		case w.ZH == "" && w.EN != "":
			missing = append(missing, "the Chinese of its "+nameOf(s))
		}
	}
	if len(missing) > 0 {
		slices.Sort(missing)
		c.warn(n, n.Line, "%s is missing", strings.Join(slices.Compact(missing), ", "))
	}
}

func isHan(r rune) bool { return unicode.Is(unicode.Han, r) }

// nameOf is what a text belongs to: the title for no step.
func nameOf(s *Step) string {
	if s == nil {
		return "title"
	}
	return strings.TrimSpace(kindOf(*s) + " " + s.Param())
}

// spokenBy goes through all that a person reads of a node: its title, with no step, and the texts of its steps.
func spokenBy(n *Node) iter.Seq2[*Step, lang.Words] {
	return func(yield func(*Step, lang.Words) bool) {
		if !yield(nil, n.Title) {
			return
		}
		for i := range n.Steps {
			for _, w := range n.Steps[i].spoken() {
				if !yield(&n.Steps[i], w) {
					return
				}
			}
		}
	}
}

func (s *Step) spoken() []lang.Words {
	switch {
	case s.Dynamic != nil:
		all := []lang.Words{s.Dynamic.Label, s.Dynamic.Prompt, s.Dynamic.Empty}
		if s.Dynamic.Table != nil {
			for _, list := range s.Dynamic.Table.Lists {
				all = append(all, entryWords(list)...)
			}
		}
		return all
	case s.Input != nil:
		return append([]lang.Words{s.Input.Label, s.Input.Prompt, s.Input.Hint}, entryWords(s.Input.Values)...)
	case s.Custom != nil:
		return []lang.Words{s.Custom.Label, s.Custom.Prompt}
	case s.Confirm != nil:
		return []lang.Words{s.Confirm.Text.Words()}
	case s.Action != nil:
		return []lang.Words{s.Action.Title.Words()}
	}
	return nil
}

func entryWords(list []Entry) (out []lang.Words) {
	for _, e := range list {
		out = append(out, e.Label, e.Detail)
	}
	return out
}
