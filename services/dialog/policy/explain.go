package policy

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"palmops/libs/hours"
	"palmops/libs/wire"
	"palmops/services/dialog/menu"
)

// Explanation is a decision about one road with everything it came from.
type Explanation struct {
	Decision Decision
	Grants   []GrantVerdict  // of all grants, in the order of the file
	Freezes  []FreezeVerdict // of all freezes, in the order of the file
}

// GrantVerdict says whether one grant allows, and if not, the first thing that fails: role, branch, action, environment,
// argument, hours. Near means that the grant is about this road, or its role is the person's.
type GrantVerdict struct {
	Line   int
	Role   string
	Allows bool
	Near   bool
	Why    string
}

// FreezeVerdict says whether one freeze stops the road, and why or why not.
type FreezeVerdict struct {
	Name  string
	Line  int
	Stops bool
	Why   string
}

// Explain decides as For(person, at).Decide(n, args), and says what each grant and each freeze had to do with it. It goes
// through the whole policy: it is for people who test one, not for conversations.
func (b *Bound) Explain(person wire.Person, at time.Time, n *menu.Node, args map[string]any) Explanation {
	n = n.Target()
	l := b.For(person, at)
	roles := b.p.rolesOf(person)
	counts, _ := b.p.counting(b.p.grantsFor(roles), roles, at)
	out := Explanation{Decision: l.Decide(n, args)}
	for i := range b.p.grants {
		g := &b.p.grants[i]
		v := GrantVerdict{Line: g.Line, Role: g.Role}
		has := roles.has(b.p.ids[g.Role])
		stage, why := b.p.judge(g, n, args, false)
		v.Near = has || stage > failsAction
		switch {
		case !has:
			v.Why = "the person does not have this role"
		case stage < passes:
			v.Why = why
		case !counts.has(i):
			v.Why = b.p.closed(g)
		default:
			v.Allows, v.Why = true, "allows it"
		}
		out.Grants = append(out.Grants, v)
	}
	for i := range b.p.freezes {
		f := &b.p.freezes[i]
		stops, why := b.p.stops(f, n, roles, at)
		out.Freezes = append(out.Freezes, FreezeVerdict{Name: f.Name, Line: f.Line, Stops: stops, Why: why})
	}
	return out
}

// What about a road a grant fails at first.
const (
	failsBranch = iota
	failsAction
	failsEnv
	failsArgument
	passes
)

// judge says how far a grant reaches a road with these arguments, whoever asks and whenever.
func (p *Policy) judge(g *Grant, n *menu.Node, args map[string]any, partial bool) (stage int, why string) {
	src, deed := n.Deed()
	covers, inEnv := false, false
	for a := n; a != nil && a.Parent != nil; a = a.Parent {
		if slices.Contains(g.Menu, a.ID) {
			covers = true
			inEnv = inEnv || g.inEnv(a.Env, n.Env)
		}
	}
	switch {
	case !covers:
		return failsBranch, "it is not about this branch of the menu"
	case deed && !names(g.Actions, src.Action):
		return failsAction, "it does not name the action " + src.Action
	case !inEnv && len(g.Env) == 0:
		return failsEnv, fmt.Sprintf("the environment %s begins below its branch, so that it must be named in env", n.Env)
	case !inEnv:
		return failsEnv, fmt.Sprintf("its env is %s, the node's is %q", strings.Join(g.Env, ", "), n.Env)
	case !deed:
		return passes, ""
	}
	for _, name := range g.argNames {
		if why := argument(g, name, n, src, args, partial); why != "" {
			return failsArgument, why
		}
	}
	return passes, ""
}

// argument says what is wrong with one argument, "" when it is allowed.
func argument(g *Grant, name string, n *menu.Node, src menu.Source, args map[string]any, partial bool) string {
	may := g.Args[name]
	a, has := src.Args[name]
	value, given := args[name]
	switch literal := a.Param == "" && a.Current == ""; {
	case !has:
		return "it asks for the argument " + name + ", which the road does not have"
	case literal && !may.admits(a.Literal, false):
		value = a.Literal // whatever is given, the road always sends this
	case !given && partial:
		return ""
	case !given:
		return "argument " + name + " is missing; it may be " + may.String()
	case may.admits(value, a.Param != "" && isMulti(n, a.Param)):
		return ""
	}
	text, ok := asText(value)
	if !ok {
		text = fmt.Sprintf("a %T", value)
	}
	return fmt.Sprintf("argument %s is %q; it may be %s", name, text, may.String())
}

func (p *Policy) closed(g *Grant) string {
	return "it is outside its hours, " + hours.Text(g.Hours) + " " + p.Zone.String()
}

// stops says whether a freeze stops a road, at a moment, for a person with these roles.
func (p *Policy) stops(f *Freeze, n *menu.Node, roles bits, at time.Time) (bool, string) {
	src, deed := n.Deed()
	covers := len(f.Menu) == 0
	for a := n; a != nil && a.Parent != nil; a = a.Parent {
		covers = covers || slices.Contains(f.Menu, a.ID)
	}
	switch {
	case at.Before(f.From):
		return false, "it begins at " + f.From.In(p.Zone).Format(localForm)
	case !at.Before(f.Until):
		return false, "it ended at " + f.Until.In(p.Zone).Format(localForm)
	case !deed || !n.Changes():
		return false, "the road changes nothing"
	case !covers:
		return false, "it is not about this branch of the menu"
	case len(f.Actions) > 0 && !names(f.Actions, src.Action):
		return false, "it does not name the action " + src.Action
	case len(f.Env) > 0 && !slices.Contains(f.Env, n.Env):
		return false, fmt.Sprintf("its env is %s, the node's is %q", strings.Join(f.Env, ", "), n.Env)
	}
	for _, r := range f.ExceptRoles {
		if roles.has(p.ids[r]) {
			return false, "the role " + r + " is excepted"
		}
	}
	return true, "it counts until " + f.Until.In(p.Zone).Format(localForm)
}

// How much a refusal says: so many grants are named, of the first so many that are about the road.
const (
	maxNamed  = 4
	maxJudged = 64
)

// refusal says why no grant allows a road: of each grant that is about it, the first thing that fails.
func (l *Lens) refusal(c *class, n *menu.Node, args map[string]any, partial bool) string {
	var near []int
	for _, br := range c.branches {
		if len(near) < maxJudged && c.named(&l.b.p.grants[br.grant]) && !slices.Contains(near, br.grant) {
			near = append(near, br.grant)
		}
	}
	switch {
	case len(c.branches) == 0:
		return "no grant for this part of the menu"
	case len(near) == 0:
		return "no grant here names the action " + c.action
	}
	slices.Sort(near)
	var own, foreign []string
	for _, i := range near {
		g := &l.b.p.grants[i]
		stage, why := l.b.p.judge(g, n, args, partial)
		at := "line " + strconv.Itoa(g.Line) + " (" + g.Role + "): "
		switch {
		case l.held.has(i) && stage < passes:
			own = append(own, at+why)
		case l.held.has(i):
			own = append(own, at+l.b.p.closed(g))
		case stage == passes:
			foreign = append(foreign, at+"the person does not have this role")
		}
	}
	all := append(own, foreign...)
	if len(all) == 0 {
		return "the person's grants are not about this, and no other would allow it"
	}
	if more := len(all) - maxNamed; more > 0 {
		all = append(all[:maxNamed], strconv.Itoa(more)+" more")
	}
	return strings.Join(all, "; ")
}
