package menu

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// What reach knows of a node.
const (
	asking = iota + 1 // it is being found out: coming here again is going round in circles
	dead
	living
)

// maxCases is how many cases of a condition are tried: every minute of a week, twice.
const maxCases = 2 * 7 * 24 * 60

// reached reports whether anybody can ever enter a node and do something there. What stands above it does not count.
func (c *checker) reached(n *Node) bool {
	switch c.alive[n] {
	case asking, dead:
		return false
	case living:
		return true
	}
	c.alive[n] = asking
	ok := !c.cannotHold(n)
	switch {
	case !ok:
	case n.Link != nil:
		ok = c.reached(n.Link)
	case n.Open != "" || len(n.Steps) > 0 && len(n.Items) == 0:
	default:
		ok = false
		for _, item := range n.Items {
			if c.reached(item) {
				ok = true
			}
		}
	}
	c.alive[n] = dead
	if ok {
		c.alive[n] = living
	}
	return ok
}

// whyNot says why a node is not reached.
func (c *checker) whyNot(n *Node) string {
	switch {
	case c.cannotHold(n):
		return fmt.Sprintf("nobody ever sees it: %q cannot hold", n.When.String())
	case n.Link != nil:
		return fmt.Sprintf("it leads nowhere: nobody can enter %s, or the links go round in circles", n.Link.ID)
	case len(n.Items) > 0:
		return "nobody can enter any of its items"
	}
	return "it has nothing: no items, no steps, no link and no room"
}

// cannotHold reports whether a node's condition is false in all cases. It tries them where they can be counted: times,
// the node's environment, and parameters with few values; what depends on more may hold.
func (c *checker) cannotHold(n *Node) bool {
	if n.When.c == nil {
		return false
	}
	cases := []Vars{{At: time.Date(2026, 11, 23, 0, 0, 0, 0, n.When.c.zone), Env: n.Env, Params: map[string]any{}}} // a Monday
	key := strings.Join([]string{n.When.c.source, n.Env}, "\x00")
	for _, name := range n.When.c.names {
		changes := c.values(n, name)
		if len(changes) == 0 || len(changes)*len(cases) > maxCases {
			return false
		}
		more := make([]Vars, 0, len(changes)*len(cases))
		for _, change := range changes {
			for _, v := range cases {
				more = append(more, change(v))
			}
		}
		if _, known := about[name]; !known || n.param(name) != nil {
			key = "" // the values are the node's own
		}
		cases = more
	}
	if known, ok := c.never[key]; ok && key != "" {
		return known
	}
	holds := slices.ContainsFunc(cases, n.When.Holds)
	if key != "" {
		c.never[key] = !holds
	}
	return !holds
}

// values are all that a name in a condition can stand for, each as a change of what the condition is asked with; none
// when they cannot be counted.
func (c *checker) values(n *Node, name string) (out []func(Vars) Vars) {
	later := func(count int, by time.Duration) {
		for i := range count {
			out = append(out, func(v Vars) Vars {
				v.At = v.At.Add(time.Duration(i) * by)
				return v
			})
		}
	}
	if p := n.param(name); p != nil {
		for _, value := range possible(*p) {
			out = append(out, func(v Vars) Vars {
				v.Params = maps.Clone(v.Params)
				v.Params[name] = value
				return v
			})
		}
		return out
	}
	switch name {
	case "env":
		later(1, 0)
	case "weekday":
		later(7, 24*time.Hour)
	case "hour":
		later(24, time.Hour)
	case "minute":
		later(60, time.Minute)
	}
	return out
}

// possible are the values that a parameter can have, as far as the menu itself fixes them; nil when it does not.
func possible(p Param) (out []any) {
	if p.Node == nil || p.Step >= len(p.Node.Steps) {
		return nil
	}
	const most = 300
	switch s := p.Node.Steps[p.Step]; {
	case s.Input != nil && s.Input.Type == Enum:
		for _, e := range s.Input.Values {
			out = append(out, e.Value)
		}
	case s.Input != nil && s.Input.Type == Int && s.Input.Max-s.Input.Min < most && s.Input.Max-s.Input.Min >= 0:
		for v := s.Input.Min; v <= s.Input.Max; v++ {
			out = append(out, v)
		}
	case s.Dynamic != nil && s.Dynamic.Table != nil && !s.Dynamic.Multi:
		for _, key := range slices.Sorted(maps.Keys(s.Dynamic.Table.Lists)) {
			for _, e := range s.Dynamic.Table.Lists[key] {
				out = append(out, e.Value)
			}
		}
	}
	return out
}

// everything is the name under which a step in Go uses parameters: it is given all of them.
const everything = "*"

// unused notes parameters that a node asks for and that nothing behind it needs.
func (c *checker) unused(n *Node) {
	for _, s := range n.Steps {
		if p := s.Param(); p != "" && !c.used(n)[p] && !c.used(n)[everything] {
			c.warn(n, s.Line, "it asks for %s, and nothing uses it", p)
		}
	}
}

// used are the parameters that a node or what can be entered from it uses.
func (c *checker) used(n *Node) map[string]bool {
	if known, ok := c.uses[n]; ok {
		return known
	}
	out := map[string]bool{}
	c.uses[n] = out
	for _, s := range n.Steps {
		for _, p := range usesOf(s) {
			out[p] = true
		}
	}
	next := n.Items
	if n.Link != nil {
		next = []*Node{n.Link}
	}
	for _, below := range next {
		for name := range c.used(below) {
			out[name] = true
		}
		if below.When.c != nil {
			for _, name := range below.When.c.names {
				out[name] = true
			}
		}
	}
	return out
}

// usesOf are the parameters that a step uses.
func usesOf(s Step) (out []string) {
	switch {
	case s.Dynamic != nil:
		if s.Dynamic.Source != nil {
			out = append(out, s.Dynamic.Source.params()...)
		}
		if s.Dynamic.In != nil {
			out = append(out, s.Dynamic.In.Param)
		}
		if s.Dynamic.Table != nil {
			out = append(out, s.Dynamic.Table.By)
		}
	case s.Custom != nil && s.Custom.Remote != nil:
		out = s.Custom.Remote.params()
	case s.Custom != nil:
		out = []string{everything}
	case s.Confirm != nil:
		out = s.Confirm.Text.Params()
		if s.Confirm.Current != nil {
			out = append(slices.Clone(out), s.Confirm.Current.params()...)
		}
	case s.Action != nil:
		out = append(s.Action.params(), s.Action.Title.Params()...)
	}
	return out
}
