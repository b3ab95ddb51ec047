package phone

import (
	"slices"
	"strings"

	"palmops/services/simulator/client"
)

// RootDepartment is the id of the company itself, as in WeCom.
const RootDepartment = 1

// Department is one department. The root has ParentID 0.
type Department struct {
	ID       int64
	ParentID int64
	Name     string
}

// Person is one member of the company.
type Person struct {
	User        string // user id as configured; compared without regard to case
	Name        string
	Position    string
	Departments []int64
	Leads       []int64 // those of Departments in which the person is a lead
	Plain       bool    // the phone shows no cards, as WeChat's plug-in does not
}

// Tag is a list of people under a name.
type Tag struct {
	ID    int64
	Name  string
	Users []string // user ids
}

// Directory is the simulated company. It never changes after NewDirectory.
type Directory struct {
	people      []Person
	departments []Department
	tags        []Tag
	byUser      map[string]int
	byID        map[int64]int
}

// NewDirectory makes a directory of people, departments and tags that the configuration has already checked.
func NewDirectory(people []Person, departments []Department, tags []Tag) *Directory {
	d := &Directory{people: people, departments: departments, tags: tags, byUser: map[string]int{}, byID: map[int64]int{}}
	for i, p := range people {
		d.byUser[strings.ToLower(p.User)] = i
	}
	for i, dep := range departments {
		d.byID[dep.ID] = i
	}
	return d
}

// Person finds somebody by user id, without regard to case.
func (d *Directory) Person(user string) (Person, bool) {
	i, ok := d.byUser[strings.ToLower(user)]
	if !ok {
		return Person{}, false
	}
	return d.people[i], true
}

// People are all members, in the configured order.
func (d *Directory) People() []Person { return slices.Clone(d.people) }

// Tags are all tags, in the configured order.
func (d *Directory) Tags() []Tag { return slices.Clone(d.tags) }

// Tagged are the people with a tag, in the configured order of the people; ok is false when there is no such tag.
func (d *Directory) Tagged(id int64) (tag Tag, people []Person, ok bool) {
	i := slices.IndexFunc(d.tags, func(t Tag) bool { return t.ID == id })
	if i < 0 {
		return Tag{}, nil, false
	}
	for _, p := range d.people {
		if d.tags[i].has(p.User) {
			people = append(people, p)
		}
	}
	return d.tags[i], people, true
}

func (t Tag) has(user string) bool {
	return slices.ContainsFunc(t.Users, func(u string) bool { return strings.EqualFold(u, user) })
}

// Department finds a department.
func (d *Directory) Department(id int64) (Department, bool) {
	i, ok := d.byID[id]
	if !ok {
		return Department{}, false
	}
	return d.departments[i], true
}

// Under are a department and all departments below it, in the configured order; id 0 means all.
func (d *Directory) Under(id int64) []Department {
	var out []Department
	for _, dep := range d.departments {
		if id == 0 || d.within(dep, id) {
			out = append(out, dep)
		}
	}
	return out
}

// within says whether dep is id or lies below it. The number of steps is bounded, so that no loop of parents hangs it.
func (d *Directory) within(dep Department, id int64) bool {
	for range d.departments {
		if dep.ID == id {
			return true
		}
		parent, ok := d.Department(dep.ParentID)
		if !ok {
			return false
		}
		dep = parent
	}
	return dep.ID == id
}

// users is the directory as the page and the terminal see it.
func (d *Directory) users() []client.User {
	out := make([]client.User, 0, len(d.people))
	for _, p := range d.people {
		u := client.User{User: p.User, Name: p.Name, Position: p.Position, Departments: []client.Department{}, Plain: p.Plain}
		for _, t := range d.tags {
			if t.has(p.User) {
				u.Tags = append(u.Tags, t.Name)
			}
		}
		for _, id := range p.Departments {
			if dep, ok := d.Department(id); ok {
				u.Departments = append(u.Departments, client.Department{ID: dep.ID, Name: dep.Name})
			}
		}
		out = append(out, u)
	}
	return out
}
