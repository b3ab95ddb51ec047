package policy

import (
	"regexp"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"palmops/libs/conf"
	"palmops/libs/hours"
	"palmops/services/dialog/menu"
)

var (
	roleForm   = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,62}$`)
	actionForm = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]*(\.[a-z0-9][a-z0-9_-]*)*(\.\*)?$`)
	argForm    = regexp.MustCompile(`^[a-z][a-z0-9_]{0,31}$`)
)

// Load reads a policy file. The error is of type conf.Problems and holds every mistake with its line.
func Load(path string) (*Policy, error) {
	data, err := conf.Read(path)
	if err != nil {
		return nil, err
	}
	return Parse(path, data)
}

// Parse reads a policy; file is its name in the error, which is of type conf.Problems.
func Parse(file string, data []byte) (*Policy, error) {
	r := &reader{Tree: menu.Tree{File: file}, p: &Policy{File: file}}
	if doc := r.Parse(data); doc != nil {
		r.policy(doc)
	}
	if err := r.Problems.Err(); err != nil {
		return nil, err
	}
	r.p.prepare()
	return r.p, nil
}

type reader struct {
	menu.Tree
	p     *Policy
	roles map[string]bool
}

func (r *reader) policy(doc *yaml.Node) {
	f := r.Fields(doc, "a policy", "version", "timezone", "roles", "grants", "freezes")
	r.Need(doc, f, "a policy", "version", "roles", "grants")
	r.Integer(f["version"], "version", 1, 1, 1)
	r.p.Zone = r.zone(f["timezone"])
	r.roles = map[string]bool{}
	if n := f["roles"]; n != nil {
		for key, value := range r.Keys(n, "roles") {
			if !roleForm.MatchString(key.Value) {
				r.Add(key, "role %q must match %s", key.Value, roleForm)
			}
			r.roles[key.Value] = true
			r.p.roles = append(r.p.roles, r.role(key, value))
		}
	}
	for _, n := range r.Sequence(f["grants"], "grants") {
		r.p.grants = append(r.p.grants, r.grant(n))
	}
	for _, n := range r.Sequence(f["freezes"], "freezes") {
		r.p.freezes = append(r.p.freezes, r.freeze(n))
	}
	r.most(f["roles"], "roles", len(r.p.roles), MaxRoles)
	r.most(f["grants"], "grants", len(r.p.grants), MaxGrants)
	r.most(f["freezes"], "freezes", len(r.p.freezes), MaxFreezes)
}

func (r *reader) most(n *yaml.Node, what string, count, most int) {
	if count > most {
		r.Add(n, "%s has %d entries, the limit is %d", what, count, most)
	}
}

func (r *reader) zone(n *yaml.Node) *time.Location {
	name := DefaultZone
	if n != nil {
		name = r.Text(n, "timezone", 64)
	}
	zone, err := hours.Zone(name)
	if err != nil {
		r.Add(n, "timezone %v", err)
		return time.UTC
	}
	return zone
}

func (r *reader) role(key, n *yaml.Node) role {
	out := role{name: key.Value, line: key.Line}
	f := r.Fields(n, "a role", "users", "departments", "tags", "not_users")
	if n.Kind == yaml.MappingNode && f["users"] == nil && f["departments"] == nil && f["tags"] == nil {
		r.Add(n, "a role needs users, departments or tags")
	}
	out.users = r.people(f["users"], "users")
	out.not = r.people(f["not_users"], "not_users")
	for _, d := range r.Sequence(f["departments"], "departments") {
		out.departments = append(out.departments, r.Integer(d, "a department id", 1, 1<<53, 0))
	}
	for _, t := range r.Sequence(f["tags"], "tags") {
		out.tags = append(out.tags, r.Integer(t, "a tag id", 1, 1<<53, 0))
	}
	return out
}

func (r *reader) people(n *yaml.Node, what string) []string {
	var out []string
	for _, u := range r.Sequence(n, what) {
		name := strings.ToLower(r.Text(u, "a user id", 64))
		switch {
		case name == "":
			r.Add(u, "a user id is empty")
		case slices.Contains(out, name):
			r.Add(u, "user %q is listed twice", name)
		default:
			out = append(out, name)
		}
	}
	return out
}

func (r *reader) grant(n *yaml.Node) Grant {
	g := Grant{Line: n.Line}
	f := r.Fields(n, "a grant", "role", "menu", "actions", "env", "args", "hours")
	r.Need(n, f, "a grant", "role", "menu")
	if f["role"] != nil {
		g.Role = r.knownRole(f["role"], "role")
	}
	g.Menu, g.menuLines = r.names(f["menu"], "menu", "an item's id")
	g.Actions = r.actions(f["actions"])
	g.Env, g.envLines = r.names(f["env"], "env", "an environment")
	if f["args"] != nil {
		g.Args, g.argLines = r.args(f["args"])
		if f["actions"] == nil && len(g.Args) > 0 {
			r.Add(f["args"], "args restrict actions, and this grant names none")
		}
	}
	if f["hours"] != nil {
		g.Hours = r.hours(f["hours"])
	}
	return g
}

func (r *reader) knownRole(n *yaml.Node, what string) string {
	name := r.Text(n, what, 63)
	if name != "" && !r.roles[name] {
		r.Add(n, "there is no role %q", name)
	}
	return name
}

// names is a list of ids with their lines.
func (r *reader) names(n *yaml.Node, what, each string) (names []string, lines []int) {
	for _, v := range r.filled(n, what) {
		name := r.Text(v, each, 63)
		if name == "" && v.Kind == yaml.ScalarNode {
			r.Add(v, "%s is empty", each)
		}
		names, lines = append(names, name), append(lines, v.Line)
	}
	return names, lines
}

func (r *reader) actions(n *yaml.Node) []string {
	var out []string
	for _, a := range r.filled(n, "actions") {
		name := r.Text(a, "an action", 200)
		if name != "" && !actionForm.MatchString(name) {
			r.Add(a, "action %q must be a name such as k8s.scale, or a beginning such as k8s.*", name)
		}
		out = append(out, name)
	}
	return out
}

// filled is a list that must not be empty: an empty one would look like a grant and allow nothing, or look like a
// freeze of nothing and stop everything.
func (r *reader) filled(n *yaml.Node, what string) []*yaml.Node {
	list := r.Sequence(n, what)
	if n != nil && n.Kind == yaml.SequenceNode && len(list) == 0 {
		r.Add(n, "%s is empty", what)
	}
	return list
}
