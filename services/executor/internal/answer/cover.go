package answer

import (
	"maps"
	"slices"
	"strings"

	"palmops/libs/wire"
	"palmops/services/executor/internal/mask"
)

// covered is an answer without secrets. What the kind handed over is not changed: it may keep its lists for the next question.
func (s *Server) covered(a wire.Answer) wire.Answer {
	var texts []*string
	add := func(all ...*string) {
		for _, t := range all {
			if *t != "" {
				texts = append(texts, t)
			}
		}
	}
	items := func(in []wire.Item) []wire.Item {
		out := slices.Clone(in)
		for i := range out {
			add(&out[i].Value, &out[i].Label, &out[i].Detail)
		}
		return out
	}
	a.Items = items(a.Items)
	if a.View != nil {
		v := *a.View
		v.Items, v.Body = items(v.Items), slices.Clone(v.Body)
		add(&v.Title, &v.Refuse, &v.Value)
		for i := range v.Body {
			add(&v.Body[i])
		}
		a.View = &v
	}
	if a.Fault != nil {
		f := *a.Fault
		add(&f.Text)
		a.Fault = &f
	}
	names := slices.Sorted(maps.Keys(a.Fields))
	values := make([]string, len(names)) // with its name before it, a value is recognised that has no form of its own
	for i, name := range names {
		values[i] = name + "=" + a.Fields[name]
		add(&values[i])
	}
	s.mask.Strings(texts...)
	if len(names) > 0 {
		fields := make(map[string]string, len(names))
		for i, name := range names {
			value, ok := strings.CutPrefix(values[i], name+"=")
			if !ok { // the name itself was taken for a secret
				value = mask.Stars
			}
			fields[name] = value
		}
		a.Fields = fields
	}
	return a
}
