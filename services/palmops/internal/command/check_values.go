package command

import (
	"cmp"
	"maps"
	"regexp/syntax"
	"slices"
	"strings"
	"time"

	"palmops/libs/conf"
	"palmops/libs/lang"
	"palmops/services/dialog/menu"
	"palmops/services/executor/catalog"
)

// valuesAgainstParams finds values that the menu itself offers, such as the lines of a table, and the executor would refuse.
func valuesAgainstParams(m *menu.Menu, use menu.Use, a catalog.Action) conf.Problems {
	var ps conf.Problems
	n := m.Node(use.Node)
	if n == nil {
		return nil
	}
	for _, src := range sources(n) {
		if src.Line != use.Line || src.Action != use.Action {
			continue
		}
		for _, name := range sortedKeys(src.Args) {
			p, known := a.Param(name)
			if !known || p.Type != catalog.TypeString {
				continue
			}
			bad := func(what string) {
				ps.Add(use.File, use.Line, "%s: %s, which the catalog refuses for the argument %q of %s", use.Node, what, name, use.Action)
			}
			arg := src.Args[name]
			if text, ok := arg.Literal.(string); ok && !takes(p, text) {
				bad("the menu gives " + quoted(text))
			}
			i := slices.IndexFunc(n.Params, func(p menu.Param) bool { return p.Name == arg.Param })
			if arg.Param == "" || i < 0 {
				continue
			}
			switch step := n.Params[i].Node.Steps[n.Params[i].Step]; {
			case step.Input != nil:
				inputAgainstParam(step.Input, p, bad)
			case step.Dynamic != nil && step.Dynamic.Table != nil:
				tableAgainstParam(step.Dynamic, p, bad)
			case step.Dynamic != nil && step.Dynamic.Multi && len(p.Allow) > 0 && step.Dynamic.Most > 1:
				bad("several lines of " + arg.Param + " can be chosen, which come joined by commas")
			}
		}
	}
	return ps
}

// sources are the questions and the order of a node.
func sources(n *menu.Node) []menu.Source {
	var list []menu.Source
	for _, s := range n.Steps {
		switch {
		case s.Dynamic != nil && s.Dynamic.Source != nil:
			list = append(list, *s.Dynamic.Source)
		case s.Confirm != nil && s.Confirm.Current != nil:
			list = append(list, *s.Confirm.Current)
		case s.Custom != nil && s.Custom.Remote != nil:
			list = append(list, *s.Custom.Remote)
		case s.Action != nil:
			list = append(list, s.Action.Source)
		}
	}
	return list
}

// inputAgainstParam holds what an input offers by itself against a text argument: the values of an enum, the default, the
// example, and for several lines the breaks between them.
func inputAgainstParam(in *menu.Input, p catalog.Param, bad func(string)) {
	if in.Type == menu.Lines && !takesBreaks(p) {
		bad(in.Param + " may have several lines")
		return
	}
	for _, v := range in.Values {
		if !takes(p, v.Value) {
			bad(in.Param + " offers " + quoted(v.Value))
		}
	}
	if in.Type != menu.Text && in.Type != menu.Lines && in.Type != menu.DNSLabel {
		return // an enum's default is one of its values; moments and durations are written as the present day has it
	}
	for _, s := range []struct{ what, text string }{{"default", in.Default}, {"example", in.Example}} {
		if s.text == "" {
			continue
		}
		// The form in which it would be sent. What the input itself does not accept is not the catalog's matter.
		if value, err := in.Read(lang.English, s.text, time.Time{}); err == nil && !takes(p, value) {
			bad("the " + s.what + " of " + in.Param + " is " + quoted(value))
		}
	}
}

// tableAgainstParam holds the lines of a table against a text argument, and for a multi-select the longest value that it
// can have.
func tableAgainstParam(d *menu.Dynamic, p catalog.Param, bad func(string)) {
	seen := map[string]bool{}
	for _, key := range slices.Sorted(maps.Keys(d.Table.Lists)) {
		var values []string
		for _, v := range d.Table.Lists[key] {
			values = append(values, v.Value)
			if (!d.Multi || d.Least <= 1) && !seen[v.Value] && !takes(p, v.Value) {
				bad(d.Param + " offers " + quoted(v.Value))
				seen[v.Value] = true
			}
		}
		if !d.Multi || min(d.Most, len(values)) < 2 || len(seen) > 0 {
			continue
		}
		slices.SortStableFunc(values, func(a, b string) int { return cmp.Compare(len(b), len(a)) })
		if joined := strings.Join(values[:min(d.Most, len(values))], ","); !takes(p, joined) {
			bad("several lines of " + d.Param + " can be chosen, such as " + quoted(joined))
			seen[joined] = true
		}
	}
}

// takes reports whether an executor would take a text as this argument.
func takes(p catalog.Param, text string) bool {
	one := catalog.Action{Params: []catalog.Param{p}}
	return one.Check(map[string]any{p.Name: text}, lang.English) == nil
}

// takesBreaks reports whether a text with a line break can be right for an argument at all.
func takesBreaks(p catalog.Param) bool {
	if len(p.Allow) > 0 {
		return slices.ContainsFunc(p.Allow, func(s string) bool { return strings.Contains(s, "\n") })
	}
	if p.Pattern == "" {
		return true
	}
	// The name of a built-in pattern reads as an expression for the name itself. None of them takes breaks either.
	re, err := syntax.Parse(p.Pattern, syntax.Perl)
	return err != nil || matchesBreak(re)
}

// matchesBreak reports whether a part of an expression can stand for a line break.
func matchesBreak(re *syntax.Regexp) bool {
	switch re.Op {
	case syntax.OpAnyChar:
		return true
	case syntax.OpLiteral:
		return slices.Contains(re.Rune, '\n')
	case syntax.OpCharClass:
		for i := 0; i+1 < len(re.Rune); i += 2 {
			if re.Rune[i] <= '\n' && '\n' <= re.Rune[i+1] {
				return true
			}
		}
	}
	return slices.ContainsFunc(re.Sub, matchesBreak)
}

// quoted is a value for a message, with its end cut when it is long.
func quoted(s string) string {
	const most = 60
	if r := []rune(s); len(r) > most {
		s = string(r[:most]) + "…"
	}
	return `"` + strings.ReplaceAll(s, "\n", `\n`) + `"`
}
