package menu

import (
	"fmt"
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
		for _, t := range spokenBy(n) {
			found = found || t.words.EN != ""
		}
	})
	return found
}

// words notes texts that lack a language which others have.
func (c *checker) words(n *Node) {
	if !c.english {
		return
	}
	missing := map[string]bool{}
	for _, t := range spokenBy(n) {
		switch {
		case t.words.EN == "" && strings.ContainsFunc(t.words.ZH, isHan):
			missing["the English of its "+t.what] = true
		case t.words.ZH == "" && t.words.EN != "":
			missing["the Chinese of its "+t.what] = true
		}
	}
	if len(missing) > 0 {
		c.warn(n, n.Line, "%s is missing", strings.Join(slices.Sorted(maps.Keys(missing)), ", "))
	}
}

func isHan(r rune) bool { return unicode.Is(unicode.Han, r) }

// spoken is one text that people read, and what it is.
type spoken struct {
	what  string
	words lang.Words
}

// spokenBy is all that a person reads of a node.
func spokenBy(n *Node) []spoken {
	all := []spoken{{"title", n.Title}}
	for _, s := range n.Steps {
		what := strings.TrimSpace(kindOf(s) + " " + s.Param())
		put := func(words ...lang.Words) {
			for _, w := range words {
				all = append(all, spoken{what, w})
			}
		}
		switch {
		case s.Dynamic != nil:
			put(s.Dynamic.Label, s.Dynamic.Prompt, s.Dynamic.Empty)
			if s.Dynamic.Table != nil {
				for _, list := range s.Dynamic.Table.Lists {
					put(entryWords(list)...)
				}
			}
		case s.Input != nil:
			put(s.Input.Label, s.Input.Prompt, s.Input.Hint)
			put(entryWords(s.Input.Values)...)
		case s.Custom != nil:
			put(s.Custom.Label, s.Custom.Prompt)
		case s.Confirm != nil:
			put(s.Confirm.Text.Words())
		case s.Action != nil:
			put(s.Action.Title.Words())
		}
	}
	return all
}

func entryWords(list []Entry) (out []lang.Words) {
	for _, e := range list {
		out = append(out, e.Label, e.Detail)
	}
	return out
}
