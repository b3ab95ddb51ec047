package menu

import (
	"regexp"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"palmops/libs/lang"
)

// Limits of inputs.
const (
	MaxLong     = 2000                 // characters of a multi-line text, unless the input says less
	MaxNumber   = 1 << 53              // the largest whole number, and the smallest below 0; JSON holds no larger ones
	MaxDuration = 365 * 24 * time.Hour // the longest duration, unless the input says less
)

// someDay stands for the present where a menu file is read, which shall not depend on it.
var someDay = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// matcher says whether a typed text has the form that is wanted.
type matcher func(string) bool

var inputTypes = []string{Text, Int, Port, DNSLabel, Enum, Date, Clock, DateTime, Duration, Lines}

// owners says which types a key of an input belongs to; keys that are missing belong to all.
var owners = []struct {
	key   string
	types []string
}{
	{"min", []string{Int, Port, Duration}},
	{"max", []string{Int, Port, Duration}},
	{"from", []string{Date, DateTime}},
	{"to", []string{Date, DateTime}},
	{"pattern", []string{Text}},
	{"hint", []string{Text}},
	{"max_length", []string{Text, Lines}},
	{"values", []string{Enum}},
}

func (r *reader) input(n *yaml.Node) (*Input, *yaml.Node) {
	f := r.Fields(n, "input", "param", "label", "type", "prompt", "example", "default", "min", "max", "from", "to", "pattern", "hint", "max_length", "values", "current")
	r.Need(n, f, "input", "param", "type")
	in := &Input{
		Label: r.label(f["label"], "label"), Type: r.oneOf(f["type"], "type", inputTypes...), Prompt: r.prompt(f["prompt"], "prompt"),
		Hint: r.prompt(f["hint"], "hint"), Current: r.named(f["current"], "current", paramForm), MaxLength: MaxText,
	}
	for _, o := range owners {
		if f[o.key] != nil && in.Type != "" && !slices.Contains(o.types, in.Type) {
			r.Add(f[o.key], "%s belongs to inputs of type %s, this one is %s", o.key, strings.Join(o.types, ", "), in.Type)
			delete(f, o.key)
		}
	}
	before := len(r.Problems)
	switch in.Type {
	case Int:
		r.numbers(f, in, -MaxNumber, MaxNumber)
	case Port:
		r.numbers(f, in, 1, 65535)
	case Duration:
		in.Min = int64(r.duration(f["min"], "min", time.Second))
		in.Max = int64(r.duration(f["max"], "max", MaxDuration))
		if in.Min > in.Max {
			r.Add(f["min"], "min %s is greater than max %s", brief(time.Duration(in.Min)), brief(time.Duration(in.Max)))
		}
	case Date, DateTime:
		in.From, in.To = r.bound(f["from"], "from", in.Type), r.bound(f["to"], "to", in.Type)
	case Text:
		in.MaxLength = int(r.Integer(f["max_length"], "max_length", 1, MaxText, MaxText))
		in.Pattern = r.Text(f["pattern"], "pattern", MaxPrompt)
		in.match = r.pattern(f["pattern"], in.Pattern)
	case Lines:
		in.MaxLength = int(r.Integer(f["max_length"], "max_length", 1, MaxLong, MaxLong))
	case Enum:
		if f["values"] == nil {
			r.Add(n, "an input of type enum needs the key values")
		} else {
			in.Values = r.list(f["values"], "values", MaxLabel)
		}
	}
	name := ""
	if f["param"] != nil {
		name = f["param"].Value
	}
	in.Param = name // for messages; the step sets it again
	wrong := len(r.Problems) > before
	in.Default = r.sample(f["default"], "default", in, wrong)
	in.Example = r.sample(f["example"], "example", in, wrong || in.Type == Lines || in.Type == Text && in.Pattern == "")
	return in, f["param"]
}

// sample reads a default or an example, and holds it against the input unless it may be anything, or the input is wrong.
func (r *reader) sample(n *yaml.Node, what string, in *Input, anything bool) string {
	s := r.block(n, what, in.Type)
	if s == "" || anything || in.Type == "" {
		return s
	}
	if _, bad := in.check(s, someDay, false); bad != nil {
		r.Add(n, "%s %q would not be accepted: %s", what, s, bad.in(lang.English))
	}
	return s
}

// block is a text of one line, or of several for Lines.
func (r *reader) block(n *yaml.Node, what, kind string) string {
	if kind != Lines || n == nil || n.Kind != yaml.ScalarNode || n.Value == "" || n.ShortTag() == nullTag {
		return r.filled(n, what, MaxPrompt)
	}
	for line := range strings.SplitSeq(n.Value, "\n") {
		if strings.ContainsFunc(line, func(c rune) bool { return c < ' ' || c == 0x7f }) {
			r.Add(n, "%s must have no control characters", what)
			return ""
		}
	}
	return strings.TrimRight(n.Value, "\n")
}

func (r *reader) numbers(f map[string]*yaml.Node, in *Input, least, most int64) {
	in.Min = r.Integer(f["min"], "min", least, most, least)
	in.Max = r.Integer(f["max"], "max", least, most, most)
	if in.Min > in.Max {
		at := f["min"]
		if at == nil {
			at = f["max"]
		}
		r.Add(at, "min %d is greater than max %d", in.Min, in.Max)
	}
}

func (r *reader) duration(n *yaml.Node, what string, def time.Duration) time.Duration {
	if n == nil {
		return def
	}
	d, ok := parseDuration(n.Value)
	if n.Kind != yaml.ScalarNode || !ok || d > MaxDuration {
		r.Add(n, "%s must be a duration of at most 365d, such as 30s, 5m, 1h30m or 2d", what)
		return def
	}
	return d
}

func (r *reader) bound(n *yaml.Node, what, kind string) string {
	s := r.filled(n, what, MaxLabel)
	if s == "" {
		return ""
	}
	if _, ok := parseBound(s, kind, someDay, false); !ok {
		if kind == Date {
			r.Add(n, "%s is %q, it must be a date such as 2026-11-23, or today, today+7d, today-7d", what, s)
		} else {
			r.Add(n, "%s is %q, it must be a time such as 2026-11-23 14:30, or now, now+2h, today, today+7d", what, s)
		}
		return ""
	}
	return s
}

func (r *reader) pattern(n *yaml.Node, src string) matcher {
	if src == "" {
		return nil
	}
	m, ok := r.patterns[src]
	if !ok {
		re, err := regexp.Compile(`^(?:` + src + `)$`)
		if err != nil {
			r.Add(n, "pattern: %v", err)
			return nil
		}
		m = re.MatchString
		r.patterns[src] = m
	}
	return m
}
