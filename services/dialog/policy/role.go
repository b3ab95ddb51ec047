package policy

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"palmops/libs/wire"
)

// role is a set of people: who is named by id, is in one of the departments or below, or has one of the tags, and is not
// one of not.
type role struct {
	name              string
	line              int
	users, not        []string // lower case
	departments, tags []int64
}

// Membership says whether a person has a role, and why.
type Membership struct {
	Role string
	Has  bool
	Why  string
}

func (p *Policy) prepareRoles() {
	p.ids = make(map[string]int, len(p.roles))
	p.users, p.not = map[string][]int{}, map[string][]int{}
	p.departments, p.tags = map[int64][]int{}, map[int64][]int{}
	for i, r := range p.roles {
		p.ids[r.name] = i
		for _, u := range r.users {
			p.users[u] = append(p.users[u], i)
		}
		for _, u := range r.not {
			p.not[u] = append(p.not[u], i)
		}
		for _, d := range r.departments {
			p.departments[d] = append(p.departments[d], i)
		}
		for _, t := range r.tags {
			p.tags[t] = append(p.tags[t], i)
		}
	}
}

// rolesOf is the roles of a person as a set. Who is not in the directory, or is disabled there, has none.
func (p *Policy) rolesOf(person wire.Person) bits {
	has := newBits(len(p.roles))
	if !person.Found || !person.Active {
		return has
	}
	user := strings.ToLower(person.User)
	for _, r := range p.users[user] {
		has.set(r)
	}
	for _, d := range person.Departments {
		for _, r := range p.departments[d] {
			has.set(r)
		}
	}
	for _, t := range person.Tags {
		for _, r := range p.tags[t] {
			has.set(r)
		}
	}
	for _, r := range p.not[user] {
		has.unset(r)
	}
	return has
}

// grantsFor is the grants of a set of roles.
func (p *Policy) grantsFor(roles bits) bits {
	held := newBits(len(p.grants))
	roles.each(func(r int) { held.add(p.grantsOf[r]) })
	return held
}

// Roles lists the roles a person has, sorted. Who is not in the directory, or is disabled there, has none.
func (p *Policy) Roles(person wire.Person) []string {
	var names []string
	p.rolesOf(person).each(func(r int) { names = append(names, p.roles[r].name) })
	slices.Sort(names)
	return names
}

// Tags lists the tags that make somebody a member of a role, sorted.
func (p *Policy) Tags() []int64 { return slices.Sorted(maps.Keys(p.tags)) }

// Memberships says of every role, in the order of the file, whether a person has it, and why.
func (p *Policy) Memberships(person wire.Person) []Membership {
	out := make([]Membership, len(p.roles))
	for i, r := range p.roles {
		has, why := r.explain(person)
		out[i] = Membership{Role: r.name, Has: has, Why: why + ", line " + strconv.Itoa(r.line)}
	}
	return out
}

func (r role) explain(person wire.Person) (has bool, why string) {
	user := strings.ToLower(person.User)
	switch {
	case !person.Found:
		return false, notFound
	case !person.Active:
		return false, notActive
	case slices.Contains(r.not, user):
		return false, "not_users names " + user
	case slices.Contains(r.users, user):
		return true, "users names " + user
	}
	for _, d := range r.departments {
		if slices.Contains(person.Departments, d) {
			return true, "in department " + strconv.FormatInt(d, 10) + " or below it"
		}
	}
	for _, t := range r.tags {
		if slices.Contains(person.Tags, t) {
			return true, "has tag " + strconv.FormatInt(t, 10)
		}
	}
	return false, "none of its users, departments and tags"
}
