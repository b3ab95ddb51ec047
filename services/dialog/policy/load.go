package policy

import (
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"

	"palmops/libs/conf"
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
	r := &reader{Tree: menu.Tree{File: file}, p: &Policy{File: file, roles: map[string]role{}}}
	if doc := r.Parse(data); doc != nil {
		r.policy(doc)
	}
	if err := r.Problems.Err(); err != nil {
		return nil, err
	}
	return r.p, nil
}

// Validate holds the policy against a menu: every node that a grant names must exist. The error is of type conf.Problems.
func (p *Policy) Validate(m *menu.Menu) error {
	var ps conf.Problems
	for _, g := range p.grants {
		for _, id := range g.Menu {
			if m.Node(id) == nil {
				ps.Add(p.File, g.lines[id], "the menu %s has no item with the id %q", m.File, id)
			}
		}
	}
	return ps.Err()
}

type reader struct {
	menu.Tree
	p *Policy
}

func (r *reader) policy(doc *yaml.Node) {
	f := r.Fields(doc, "a policy", "version", "roles", "grants")
	r.Need(doc, f, "a policy", "version", "roles", "grants")
	r.Integer(f["version"], "version", 1, 1, 1)
	if n := f["roles"]; n != nil {
		for key, value := range r.Keys(n, "roles") {
			if !roleForm.MatchString(key.Value) {
				r.Add(key, "role %q must match %s", key.Value, roleForm)
			}
			r.p.roles[key.Value] = r.role(value)
		}
	}
	for _, n := range r.Sequence(f["grants"], "grants") {
		r.p.grants = append(r.p.grants, r.grant(n))
	}
}

func (r *reader) role(n *yaml.Node) role {
	out := role{users: map[string]bool{}}
	f := r.Fields(n, "a role", "users", "departments")
	if n.Kind == yaml.MappingNode && len(f) == 0 {
		r.Add(n, "a role needs users or departments")
	}
	for _, u := range r.Sequence(f["users"], "users") {
		name := strings.ToLower(r.Text(u, "a user id", 64))
		if name == "" {
			continue
		}
		if out.users[name] {
			r.Add(u, "user %q is listed twice", name)
		}
		out.users[name] = true
	}
	for _, d := range r.Sequence(f["departments"], "departments") {
		out.departments = append(out.departments, r.Integer(d, "a department id", 1, 1<<53, 0))
	}
	return out
}

func (r *reader) grant(n *yaml.Node) Grant {
	g := Grant{Line: n.Line, lines: map[string]int{}, Args: map[string][]string{}}
	f := r.Fields(n, "a grant", "role", "menu", "actions", "args")
	r.Need(n, f, "a grant", "role", "menu", "actions")
	if f["role"] != nil {
		g.Role = r.Text(f["role"], "role", 63)
		if _, ok := r.p.roles[g.Role]; !ok && g.Role != "" {
			r.Add(f["role"], "there is no role %q", g.Role)
		}
	}
	for _, id := range r.filled(f["menu"], "menu") {
		name := r.Text(id, "an item's id", 63)
		g.Menu, g.lines[name] = append(g.Menu, name), id.Line
	}
	for _, a := range r.filled(f["actions"], "actions") {
		name := r.Text(a, "an action", 200)
		if name != "" && !actionForm.MatchString(name) {
			r.Add(a, "action %q must be a name such as k8s.scale, or a beginning such as k8s.*", name)
		}
		g.Actions = append(g.Actions, name)
	}
	if f["args"] == nil {
		return g
	}
	for key, values := range r.Keys(f["args"], "args") {
		if !argForm.MatchString(key.Value) {
			r.Add(key, "argument %q must match %s", key.Value, argForm)
		}
		g.Args[key.Value] = r.values(values)
	}
	return g
}

// filled is a list that must not be empty: an empty one would look like a grant and allow nothing.
func (r *reader) filled(n *yaml.Node, what string) []*yaml.Node {
	list := r.Sequence(n, what)
	if n != nil && n.Kind == yaml.SequenceNode && len(list) == 0 {
		r.Add(n, "%s is empty", what)
	}
	return list
}

func (r *reader) values(n *yaml.Node) []string {
	var out []string
	for _, v := range r.filled(n, "the allowed values") {
		text := r.Text(v, "an allowed value", 253)
		if v.Kind == yaml.ScalarNode && v.ShortTag() == "!!int" {
			// 010 and 0x8 are numbers to YAML; compare what an argument will say.
			i, err := strconv.ParseInt(text, 10, 64)
			if err != nil || strconv.FormatInt(i, 10) != text {
				r.Add(v, "write the number %s in plain decimal", text)
			}
		}
		out = append(out, text)
	}
	return out
}
