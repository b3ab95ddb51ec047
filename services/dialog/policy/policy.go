// Package policy decides who may see and do what. Nobody may do anything that no grant allows.
//
// A person has roles, by user id or by department; a grant gives one role a branch of the menu, actions in it, and
// values that their arguments may have. All three must hold in the same grant.
package policy

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"palmops/libs/wire"
	"palmops/services/dialog/menu"
)

// Policy is a loaded policy. It never changes.
type Policy struct {
	File   string
	roles  map[string]role
	grants []Grant
}

type role struct {
	users       map[string]bool // lower case
	departments []int64
}

// Grant allows the members of a role some actions in some branches of the menu.
type Grant struct {
	Line    int
	Role    string
	Menu    []string            // node ids; each with all below it
	Actions []string            // exact names, or a beginning such as k8s.*
	Args    map[string][]string // argument to the values it may have; an argument that is not named is free
	lines   map[string]int      // node id to its line
}

// Decision is an answer with its reason. Role is the role whose grant allowed it.
type Decision struct {
	Allowed bool
	Role    string
	Why     string // for people who run the system; not for chat
}

// Roles lists the roles a person has, sorted. Who is not in the directory, or is disabled there, has none.
func (p *Policy) Roles(person wire.Person) []string {
	if !person.Found || !person.Active {
		return nil
	}
	var names []string
	for name, r := range p.roles {
		if r.has(person) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func (r role) has(person wire.Person) bool {
	if r.users[strings.ToLower(person.User)] {
		return true
	}
	return slices.ContainsFunc(r.departments, func(d int64) bool { return slices.Contains(person.Departments, d) })
}

// Sees reports whether the node of m at path (ids from the top) is shown: it lies in a granted branch, or on the way to
// one. The top itself, the empty path, is seen by everybody who has a grant in m.
func (p *Policy) Sees(person wire.Person, m *menu.Menu, path []string) bool {
	for _, g := range p.granted(person) {
		if g.covers(path) {
			return true
		}
		for _, id := range g.Menu {
			if n := m.Node(id); n != nil && (len(path) == 0 || slices.Contains(n.Path(), path[len(path)-1])) {
				return true
			}
		}
	}
	return false
}

// Decide says whether a person may run an action with these arguments from the node at path. A nil path asks about any
// place in the menu.
func (p *Policy) Decide(person wire.Person, path []string, action string, args map[string]any) Decision {
	return p.decide(person, path, action, args, false)
}

// May is Decide for arguments that are not all known yet: a missing one is taken to become an allowed one.
func (p *Policy) May(person wire.Person, path []string, action string, args map[string]any) Decision {
	return p.decide(person, path, action, args, true)
}

// FilterItems keeps the lines of a list that may become the argument arg of an action, given the arguments chosen so
// far. An arg of "" filters by those alone.
func (p *Policy) FilterItems(person wire.Person, path []string, action, arg string, items []wire.Item, args map[string]any) []wire.Item {
	kept := make([]wire.Item, 0, len(items))
	for _, item := range items {
		with := maps.Clone(args)
		if with == nil {
			with = map[string]any{}
		}
		if arg != "" {
			with[arg] = item.Value
		}
		if p.May(person, path, action, with).Allowed {
			kept = append(kept, item)
		}
	}
	return kept
}

func (p *Policy) decide(person wire.Person, path []string, action string, args map[string]any, partial bool) Decision {
	switch {
	case !person.Found:
		return Decision{Why: "not in the directory"}
	case !person.Active:
		return Decision{Why: "disabled in the directory"}
	}
	grants := p.granted(person)
	if len(grants) == 0 {
		return Decision{Why: "no role with a grant"}
	}
	why := "no grant for this part of the menu"
	for _, g := range grants {
		switch {
		case path != nil && !g.covers(path):
		case !g.names(action):
			why = "no grant names the action " + action
		default:
			bad, ok := g.admits(args, partial)
			if ok {
				return Decision{Allowed: true, Role: g.Role, Why: "granted in line " + strconv.Itoa(g.Line)}
			}
			why = "argument " + bad + " is outside the grant in line " + strconv.Itoa(g.Line)
		}
	}
	return Decision{Why: why}
}

func (p *Policy) granted(person wire.Person) []Grant {
	roles := p.Roles(person)
	var grants []Grant
	for _, g := range p.grants {
		if slices.Contains(roles, g.Role) {
			grants = append(grants, g)
		}
	}
	return grants
}

func (g Grant) covers(path []string) bool {
	return slices.ContainsFunc(path, func(id string) bool { return slices.Contains(g.Menu, id) })
}

func (g Grant) names(action string) bool {
	return slices.ContainsFunc(g.Actions, func(a string) bool {
		begin, any := strings.CutSuffix(a, ".*")
		return a == action || any && strings.HasPrefix(action, begin+".")
	})
}

// admits names the first argument that is outside, in the order of names. A named argument that is missing is outside,
// unless more are to come.
func (g Grant) admits(args map[string]any, partial bool) (bad string, ok bool) {
	for _, name := range slices.Sorted(maps.Keys(g.Args)) {
		v, given := args[name]
		if !given && partial {
			continue
		}
		if !given || !slices.Contains(g.Args[name], text(v)) {
			return name, false
		}
	}
	return "", true
}

func text(v any) string {
	switch x := v.(type) {
	case string:
		return x
	case int:
		return strconv.Itoa(x)
	case int64:
		return strconv.FormatInt(x, 10)
	case bool:
		return strconv.FormatBool(x)
	}
	return "\x00" // equal to nothing a policy can say
}

// Grants are all grants, in the order of the file, for checks against catalogs.
func (p *Policy) Grants() []Grant { return slices.Clone(p.grants) }
