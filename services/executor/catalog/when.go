package catalog

import (
	"slices"
	"strconv"
	"time"

	"go.yaml.in/yaml/v4"

	"palmops/libs/conf"
	"palmops/libs/hours"
)

// span is a time of the week, as the file writes it.
type span struct {
	Days []string `yaml:"days"`
	From *string  `yaml:"from"`
	To   *string  `yaml:"to"`
}

// zone is where the file's hours are meant.
func (r *reader) zone() *time.Location {
	name := hours.DefaultZone
	if r.raw.Timezone != nil {
		name = *r.raw.Timezone
	}
	zone, err := hours.Zone(name)
	if err != nil {
		r.bad([]string{"timezone"}, "timezone %v", err)
		return time.UTC
	}
	return zone
}

// when reads one span or a list of them; nothing is no bound.
func (r *reader) when(action string, n yaml.Node, path []string) []hours.Span {
	if n.IsZero() {
		return nil
	}
	if n.Kind != yaml.SequenceNode {
		return []hours.Span{r.span(action, &n, path)}
	}
	if len(n.Content) == 0 {
		r.bad(path, "action %s: when is empty: the action could never run", action)
	}
	var out []hours.Span
	for i, one := range n.Content {
		out = append(out, r.span(action, one, append(slices.Clone(path), strconv.Itoa(i))))
	}
	return out
}

func (r *reader) span(action string, n *yaml.Node, path []string) hours.Span {
	at := func(key ...string) []string { return append(slices.Clone(path), key...) }
	var in span
	if err := conf.DecodeNode(r.file, n, &in); err != nil {
		r.ps.Merge(r.file, err)
		return hours.Always
	}
	out := hours.Always
	switch {
	case in.Days == nil && in.From == nil && in.To == nil:
		r.bad(path, "action %s: when needs days, from or to", action)
	case in.Days != nil && len(in.Days) == 0:
		r.bad(at("days"), "action %s: when: days is empty: the action could never run", action)
	case in.Days != nil:
		out.Days = [7]bool{}
	}
	for i, text := range in.Days {
		some, err := hours.ParseDays(text)
		if err != nil {
			r.bad(at("days", strconv.Itoa(i)), "action %s: when: day %v", action, err)
		}
		for d, on := range some {
			out.Days[d] = out.Days[d] || on
		}
	}
	read := true
	for _, edge := range []struct {
		key   string
		text  *string
		parse func(string) (int, error)
		into  *int
	}{{"from", in.From, hours.ParseFrom, &out.From}, {"to", in.To, hours.ParseTo, &out.To}} {
		if edge.text == nil {
			continue
		}
		m, err := edge.parse(*edge.text)
		if err != nil {
			r.bad(at(edge.key), "action %s: when: %s %v", action, edge.key, err)
			read = false
			continue
		}
		*edge.into = m
	}
	if err := out.Check(); read && err != nil {
		r.bad(path, "action %s: when: %v", action, err)
	}
	return out
}
