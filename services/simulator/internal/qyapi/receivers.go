package qyapi

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"palmops/services/simulator/internal/phone"
)

// How many receivers of each sort one call may name (pages 90236, 94888).
const (
	maxUsers   = 1000
	maxParties = 100
	maxTags    = 100
)

// audience collects the people that a call is for, each once, and what it names that does not exist.
type audience struct {
	directory                     *phone.Directory
	people                        []string // user ids
	badUsers, badParties, badTags []string
}

func (to *audience) add(people ...phone.Person) {
	for _, p := range people {
		if !slices.Contains(to.people, p.User) {
			to.people = append(to.people, p.User)
		}
	}
}

// users adds people by their ids; an unknown one is noted in lower case, as in WeCom's answers.
func (to *audience) users(ids []string) {
	for _, id := range ids {
		if p, known := to.directory.Person(id); known {
			to.add(p)
		} else {
			to.badUsers = append(to.badUsers, strings.ToLower(id))
		}
	}
}

// parties adds the people of departments and of all below them.
func (to *audience) parties(ids []string) {
	for _, text := range ids {
		id, err := strconv.ParseInt(text, 10, 64)
		if _, known := to.directory.Department(id); err != nil || !known {
			to.badParties = append(to.badParties, text)
			continue
		}
		to.add(members(to.directory, id, true)...)
	}
}

// tags adds the people with a tag.
func (to *audience) tags(ids []string) {
	for _, text := range ids {
		id, err := strconv.ParseInt(text, 10, 64)
		_, people, known := to.directory.Tagged(id)
		if err != nil || !known {
			to.badTags = append(to.badTags, text)
			continue
		}
		to.add(people...)
	}
}

// members are the people in a department and, with below set, in all departments below it.
func members(d *phone.Directory, id int64, below bool) []phone.Person {
	in := []int64{id}
	if below {
		for _, dep := range d.Under(id) {
			in = append(in, dep.ID)
		}
	}
	return slices.DeleteFunc(d.People(), func(p phone.Person) bool {
		return !slices.ContainsFunc(p.Departments, func(dep int64) bool { return slices.Contains(in, dep) })
	})
}

// tooMany is the refusal of a list that is too long.
func tooMany(users, parties, tags int) reply {
	switch {
	case users > maxUsers:
		return reply{code: codeParam, msg: fmt.Sprintf("more than %d users", maxUsers)}
	case parties > maxParties:
		return reply{code: codeParam, msg: fmt.Sprintf("more than %d parties", maxParties)}
	case tags > maxTags:
		return reply{code: codeParam, msg: fmt.Sprintf("more than %d tags", maxTags)}
	}
	return reply{}
}

// receivers are the people that a message is for, each once, in a reply that names the others.
// A reply with a code is the refusal.
func (a *API) receivers(m sendRequest) ([]string, reply) {
	if m.ToUser == "" && m.ToParty == "" && m.ToTag == "" {
		return nil, reply{code: codeReceiverEmpty}
	}
	to := audience{directory: a.o.Directory}
	if m.ToUser == "@all" {
		to.add(a.o.Directory.People()...) // parties and tags are ignored then
	} else {
		users, parties, tags := split(m.ToUser), split(m.ToParty), split(m.ToTag)
		if out := tooMany(len(users), len(parties), len(tags)); out.code != codeOK {
			return nil, out
		}
		to.users(users)
		to.parties(parties)
		to.tags(tags)
	}
	out := reply{fields: map[string]any{
		"invaliduser": strings.Join(to.badUsers, "|"), "invalidparty": strings.Join(to.badParties, "|"),
		"invalidtag": strings.Join(to.badTags, "|"), "unlicenseduser": "",
	}}
	if len(to.people) == 0 {
		out.code = codeNoReceiver
	}
	return to.people, out
}

func split(list string) []string {
	return slices.DeleteFunc(strings.Split(list, "|"), func(s string) bool { return s == "" })
}
