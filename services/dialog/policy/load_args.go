package policy

import (
	"math"
	"regexp"
	"strconv"

	"go.yaml.in/yaml/v4"
)

// The ends of a range that names only one.
const (
	minWhole = math.MinInt64
	maxWhole = math.MaxInt64
)

func (r *reader) args(n *yaml.Node) (args map[string]Values, lines map[string]int) {
	args, lines = map[string]Values{}, map[string]int{}
	for key, value := range r.Keys(n, "args") {
		if !argForm.MatchString(key.Value) {
			r.Add(key, "argument %q must match %s", key.Value, argForm)
		}
		args[key.Value], lines[key.Value] = r.values(value), key.Line
	}
	return args, lines
}

// values is what an argument may be: a list, {min, max}, or {pattern}.
func (r *reader) values(n *yaml.Node) Values {
	if n.Kind != yaml.MappingNode {
		return r.oneOf(n)
	}
	var v Values
	f := r.Fields(n, "an argument", "min", "max", "pattern")
	ranged := f["min"] != nil || f["max"] != nil
	switch {
	case ranged && f["pattern"] != nil:
		r.Add(n, "an argument has a pattern or a range, not both")
	case f["pattern"] != nil:
		v.Pattern, v.match = r.pattern(f["pattern"])
	case ranged:
		v.Range = true
		v.Min = r.Integer(f["min"], "min", minWhole, maxWhole, minWhole)
		v.Max = r.Integer(f["max"], "max", minWhole, maxWhole, maxWhole)
		if v.Min > v.Max {
			r.Add(n, "min %d is greater than max %d", v.Min, v.Max)
		}
	default:
		r.Add(n, "an argument needs a list of values, min or max, or a pattern")
	}
	return v
}

// pattern is compiled alone first: with the anchors around it, x)|(?:y would mean something else than it says.
func (r *reader) pattern(n *yaml.Node) (string, *regexp.Regexp) {
	text := r.Text(n, "pattern", MaxPattern)
	if text == "" {
		r.Add(n, "pattern is empty")
		return "", nil
	}
	if _, err := regexp.Compile(text); err != nil {
		r.Add(n, "pattern: %v", err)
		return text, nil
	}
	whole, err := regexp.Compile(`\A(?:` + text + `)\z`)
	if err != nil {
		r.Add(n, "pattern: %v", err) // too large with the anchors
	}
	return text, whole
}

func (r *reader) oneOf(n *yaml.Node) Values {
	v := Values{set: map[string]bool{}}
	for _, value := range r.filled(n, "the allowed values") {
		text := r.Text(value, "an allowed value", 253)
		if value.Kind == yaml.ScalarNode && value.ShortTag() == "!!int" {
			// 010 and 0x8 are numbers to YAML; compare what an argument will say.
			i, err := strconv.ParseInt(text, 10, 64)
			if err != nil || strconv.FormatInt(i, 10) != text {
				r.Add(value, "write the number %s in plain decimal", text)
			}
		}
		v.OneOf = append(v.OneOf, text)
		v.set[text] = true
	}
	return v
}
