package policy

import (
	"time"

	"go.yaml.in/yaml/v4"

	"palmops/libs/hours"
)

// hours is one mapping, or a list of them.
func (r *reader) hours(n *yaml.Node) []hours.Span {
	if n.Kind == yaml.MappingNode {
		return []hours.Span{r.span(n)}
	}
	var out []hours.Span
	for _, h := range r.filled(n, "hours") {
		out = append(out, r.span(h))
	}
	return out
}

func (r *reader) span(n *yaml.Node) hours.Span {
	f := r.Fields(n, "hours", "days", "from", "to")
	h := hours.Always
	if n.Kind == yaml.MappingNode && len(f) == 0 {
		r.Add(n, "hours need days, from or to")
	}
	if f["days"] != nil {
		h.Days = r.days(f["days"])
	}
	read := true
	for _, at := range []struct {
		key   string
		parse func(string) (int, error)
		into  *int
	}{{"from", hours.ParseFrom, &h.From}, {"to", hours.ParseTo, &h.To}} {
		if f[at.key] == nil {
			continue
		}
		m, err := at.parse(r.Text(f[at.key], at.key, 10))
		if err != nil {
			r.Add(f[at.key], "%s %v", at.key, err)
			read = false
		}
		*at.into = m
	}
	if err := h.Check(); read && err != nil {
		r.Add(n, "hours %v", err)
	}
	return h
}

// days is a list of mon … sun and of ranges such as mon-fri, which may pass the end of the week.
func (r *reader) days(n *yaml.Node) (days [7]bool) {
	for _, d := range r.filled(n, "days") {
		some, err := hours.ParseDays(r.Text(d, "a day", 10))
		if err != nil {
			r.Add(d, "day %v", err)
		}
		for i, on := range some {
			days[i] = days[i] || on
		}
	}
	return days
}

func (r *reader) freeze(n *yaml.Node) Freeze {
	z := Freeze{Line: n.Line}
	f := r.Fields(n, "a freeze", "name", "from", "to", "reason", "menu", "actions", "env", "except_roles")
	r.Need(n, f, "a freeze", "name", "from", "to", "reason")
	if f["name"] != nil {
		z.Name = r.Text(f["name"], "name", 63)
		if z.Name == "" {
			r.Add(f["name"], "name is empty")
		}
		for _, o := range r.p.freezes {
			if o.Name == z.Name && z.Name != "" {
				r.Add(f["name"], "freeze %q is already in line %d", z.Name, o.Line)
			}
		}
	}
	z.From, z.Until = r.moment(f["from"], "from"), r.moment(f["to"], "to")
	if !z.From.IsZero() && !z.Until.IsZero() && !z.From.Before(z.Until) {
		r.Add(n, "the freeze ends before it begins")
	}
	z.Reason = r.Words(f["reason"], "reason", MaxReason)
	z.Menu, z.menuLines = r.names(f["menu"], "menu", "an item's id")
	z.Actions = r.actions(f["actions"])
	z.Env, z.envLines = r.names(f["env"], "env", "an environment")
	for _, role := range r.filled(f["except_roles"], "except_roles") {
		z.ExceptRoles = append(z.ExceptRoles, r.knownRole(role, "a role"))
	}
	return z
}

// localForm is a moment without an offset, by the policy's zone.
const localForm = "2006-01-02 15:04"

// ParseTime reads RFC 3339, or 2026-11-10 00:00 as the clocks of a zone show it.
func ParseTime(text string, zone *time.Location) (time.Time, error) {
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t, nil
	}
	return time.ParseInLocation(localForm, text, zone)
}

func (r *reader) moment(n *yaml.Node, what string) time.Time {
	if n == nil {
		return time.Time{}
	}
	text := r.Text(n, what, 40)
	t, err := ParseTime(text, r.p.Zone)
	if err != nil {
		r.Add(n, "%s %q is not a time such as \"2026-11-10 00:00\" or 2026-11-10T00:00:00+08:00", what, text)
	}
	return t
}
