// Package policy decides who may see and do what. Nobody may do anything that no grant allows.
//
// A person has roles, by user id, department or tag. A grant gives one role a branch of the menu, actions in it, values
// that their arguments may have, and hours; everything must hold in the same grant. A freeze refuses what changes
// something for a while, whatever the grants say. README.md beside this file is the reference of the language.
//
// A Policy bound to a menu gives a Lens for each person: what they see and may do at one moment. Lenses answer every step
// of every conversation, so what can be known beforehand is: which grants can reach a road is found when the policy is
// bound, what a set of grants shows is found once for all who have the same set.
package policy

import (
	"maps"
	"slices"
	"strconv"
	"time"

	"palmops/libs/hours"
	"palmops/libs/lang"
)

// Limits of a policy file.
const (
	MaxRoles   = 1000
	MaxGrants  = 2000
	MaxFreezes = 64  // one bit each
	MaxPattern = 200 // characters of an argument's pattern
	MaxReason  = 100 // characters of a freeze's reason
)

// DefaultZone is where the hours and freezes of a policy are meant that names no timezone.
const DefaultZone = hours.DefaultZone

// Policy is a loaded policy. It never changes.
type Policy struct {
	File    string
	Zone    *time.Location
	roles   []role
	grants  []Grant
	freezes []Freeze

	ids                  map[string]int   // role name to its place in roles
	users, not           map[string][]int // lower case user id to roles
	departments, tags    map[int64][]int
	constrained          map[string]bool // arguments that some grant restricts
	schedules            []schedule
	why                  []string // of each grant, when it allows
	grantsOf, exemptFrom []bits   // of each role: its grants; the freezes that do not count for it
}

// Grant allows the members of a role some actions in some branches of the menu.
type Grant struct {
	Line    int
	Role    string
	Menu    []string          // node ids; each with all below it
	Actions []string          // exact names, or a beginning such as k8s.*; none for branches that only show what needs no action
	Env     []string          // environments of nodes; none for that of the branch's top
	Args    map[string]Values // argument to the values it may have; an argument that is not named is free
	Hours   []hours.Span      // when it counts, any of them; none for always

	menuLines, envLines []int
	argLines            map[string]int
	argNames            []string // sorted
}

// Freeze refuses what changes something, from From on until Until: actions, not lists that are read.
type Freeze struct {
	Name        string
	Line        int
	Reason      lang.Words
	From, Until time.Time
	Menu        []string // node ids; each with all below it; none for the whole menu
	Actions     []string // as Grant.Actions; none for all
	Env         []string // none for all
	ExceptRoles []string // whose members it does not concern

	menuLines, envLines []int
}

// Decision is an answer with its reason. Role is the role whose grant allowed it, "" when it was refused and when it is
// about a list or a room, which no single grant opens. Freeze is set when only a freeze refuses.
type Decision struct {
	Allowed bool
	Role    string
	Why     string // for people who run the system; not for chat
	Freeze  *Freeze
}

// schedule is hours that one or more grants have.
type schedule struct {
	hours  []hours.Span
	grants bits
}

// Grants are all grants, in the order of the file, for checks against catalogs.
func (p *Policy) Grants() []Grant { return slices.Clone(p.grants) }

// Freezes are all freezes, in the order of the file, past and coming ones too.
func (p *Policy) Freezes() []Freeze { return slices.Clone(p.freezes) }

// prepare fills in what follows from roles, grants and freezes.
func (p *Policy) prepare() {
	p.prepareRoles()
	p.constrained = map[string]bool{}
	p.why = make([]string, len(p.grants))
	p.grantsOf = make([]bits, len(p.roles))
	p.exemptFrom = make([]bits, len(p.roles))
	for i := range p.roles {
		p.grantsOf[i], p.exemptFrom[i] = newBits(len(p.grants)), newBits(MaxFreezes)
	}
	byHours := map[string]int{}
	for i, g := range p.grants {
		p.why[i] = "granted in line " + strconv.Itoa(g.Line)
		p.grants[i].argNames = slices.Sorted(maps.Keys(g.Args))
		p.grantsOf[p.ids[g.Role]].set(i)
		for name := range g.Args {
			p.constrained[name] = true
		}
		if len(g.Hours) == 0 {
			continue
		}
		key := hours.Text(g.Hours)
		at, known := byHours[key]
		if !known {
			at = len(p.schedules)
			byHours[key] = at
			p.schedules = append(p.schedules, schedule{hours: g.Hours, grants: newBits(len(p.grants))})
		}
		p.schedules[at].grants.set(i)
	}
	for i, f := range p.freezes {
		for _, r := range f.ExceptRoles {
			p.exemptFrom[p.ids[r]].set(i)
		}
	}
}

// counting is the grants of held that count at a moment, and the freezes, as a mask, that count for a person who has roles.
func (p *Policy) counting(held bits, roles bits, at time.Time) (counts bits, freezes uint64) {
	counts = held.clone()
	if len(p.schedules) > 0 {
		clock := hours.At(at.In(p.Zone))
		for _, s := range p.schedules {
			if !clock.In(s.hours) {
				counts.remove(s.grants)
			}
		}
	}
	for i := range p.freezes {
		if f := &p.freezes[i]; !at.Before(f.From) && at.Before(f.Until) {
			freezes |= 1 << i
		}
	}
	if freezes != 0 {
		roles.each(func(r int) { freezes &^= p.exemptFrom[r][0] })
	}
	return counts, freezes
}
