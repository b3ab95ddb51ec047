package catalog

import (
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"palmops/libs/conf"
	"palmops/libs/lang"
)

// file is the YAML form. What belongs to a kind stays a node until the kind reads it.
type file struct {
	Version      int                             `yaml:"version"`
	Zone         string                          `yaml:"zone"`
	Pool         string                          `yaml:"pool"`
	Concurrency  *int                            `yaml:"concurrency"`
	Environments map[string]environment          `yaml:"environments"`
	Timezone     *string                         `yaml:"timezone"`
	Mask         []string                        `yaml:"mask"`
	Targets      map[string]map[string]yaml.Node `yaml:"targets"`
	Actions      map[string]action               `yaml:"actions"`
}

type environment struct {
	Title Words    `yaml:"title"`
	Locks []string `yaml:"locks"`
}

type action struct {
	Kind      string           `yaml:"kind"`
	Verb      string           `yaml:"verb"`
	Target    string           `yaml:"target"`
	Read      *bool            `yaml:"read"`
	Env       string           `yaml:"env"`
	Locks     []string         `yaml:"locks"`
	When      yaml.Node        `yaml:"when"`
	PerTarget *int             `yaml:"per_target"`
	Probe     string           `yaml:"probe"`
	Timeout   *conf.Duration   `yaml:"timeout"`
	Params    map[string]param `yaml:"params"`
	Settings  yaml.Node        `yaml:"settings"`
}

type param struct {
	Type     string   `yaml:"type"`
	Optional bool     `yaml:"optional"`
	Allow    []string `yaml:"allow"`
	Pattern  string   `yaml:"pattern"`
	Min      *int64   `yaml:"min"`
	Max      *int64   `yaml:"max"`
}

var (
	placeName  = regexp.MustCompile(`\A[a-z0-9_-]{1,63}\z`)
	actionName = regexp.MustCompile(`\A[a-z0-9]+([._-][a-z0-9]+)*\z`)
	paramName  = regexp.MustCompile(`\A[a-z][a-z0-9_]{0,31}\z`)
)

// patterns are the patterns that have a name. dns-label is RFC 1123's; dns-name is labels joined by dots, of at most MaxText
// bytes; line is any text without line breaks, other control characters and marks that turn the direction of writing, lines
// may have line breaks and tabs.
var patterns = map[string]string{
	"place":     `[a-z0-9_-]{1,63}`,
	"action-id": `[0-9A-Za-z_-]{8,64}`,
	"lines":     `[^\x00-\x08\x0b-\x1f\x7f-\x{9f}\x{61c}\x{200e}\x{200f}\x{2028}-\x{202e}\x{2066}-\x{2069}]+`,
	"line":      `[^\x00-\x1f\x7f-\x{9f}\x{61c}\x{200e}\x{200f}\x{2028}-\x{202e}\x{2066}-\x{2069}]+`,
	"dns-label": `[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?`,
	"dns-name":  `[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*`,
}

// reader holds a file while its mistakes are collected.
type reader struct {
	file  string
	kinds Kinds
	raw   file
	lines *lines
	ps    conf.Problems
}

func (r *reader) bad(path []string, format string, args ...any) {
	r.ps.Add(r.file, r.lines.of(path...), format, args...)
}

// Decode reads a catalog; name stands for the file in errors, which are of type conf.Problems, and relative paths in it are
// relative to it.
func Decode(name string, data []byte, kinds Kinds) (*Catalog, error) {
	r := &reader{file: name, kinds: kinds}
	if err := conf.Decode(name, data, &r.raw); err != nil {
		return nil, err
	}
	var err error
	if r.lines, err = newLines(data); err != nil {
		return nil, conf.Problems{{File: name, Text: err.Error()}}
	}
	sum := sha256.Sum256(data)
	c := &Catalog{
		File: name, Digest: hex.EncodeToString(sum[:8]), Zone: r.raw.Zone, Pool: r.raw.Pool, Concurrency: DefaultConcurrency,
		Environments: map[string]Environment{}, targets: map[string]map[string]any{}, actions: map[string]Action{},
	}
	r.head(c)
	r.environments(c)
	r.targets(c)
	for _, n := range keys(r.raw.Actions) {
		c.actions[n] = r.action(c, n, r.raw.Actions[n])
	}
	if err := r.ps.Err(); err != nil {
		return nil, err
	}
	for _, n := range keys(c.actions) { // only whole actions can be held against each other
		a := c.actions[n]
		if spec, _ := kinds.find(a.Kind); spec.Check != nil {
			spec.Check(c, a, r.section(n, r.raw.Actions[n].Settings, "action "+n, "actions", n, "settings"))
		}
	}
	if err := r.ps.Err(); err != nil {
		return nil, err
	}
	return c, nil
}

func (r *reader) head(c *Catalog) {
	if r.raw.Version != 1 {
		r.bad([]string{"version"}, "version must be 1")
	}
	if !placeName.MatchString(c.Zone) {
		r.bad([]string{"zone"}, "zone must be 1 to 63 of a-z 0-9 - _")
	}
	if !placeName.MatchString(c.Pool) {
		r.bad([]string{"pool"}, "pool must be 1 to 63 of a-z 0-9 - _")
	}
	if n := r.raw.Concurrency; n != nil {
		c.Concurrency = *n
		if *n < 1 || *n > MaxConcurrency {
			r.bad([]string{"concurrency"}, "concurrency must be 1 to %d", MaxConcurrency)
		}
	}
	c.Timezone = r.zone()
	for i, text := range r.raw.Mask {
		re, err := regexp.Compile(text)
		if err != nil || re.MatchString("") {
			r.bad([]string{"mask", strconv.Itoa(i)}, "mask: %q is no regular expression, or matches the empty text", text)
			continue
		}
		c.Mask = append(c.Mask, re)
	}
	if len(r.raw.Actions) == 0 {
		r.bad([]string{"actions"}, "actions is empty: this executor could do nothing")
	}
}

func (r *reader) environments(c *Catalog) {
	for _, name := range keys(r.raw.Environments) {
		in := r.raw.Environments[name]
		path := []string{"environments", name}
		if !placeName.MatchString(name) {
			r.bad(path, "environment %q: the name must be 1 to 63 of a-z 0-9 - _", name)
		}
		for i, lock := range in.Locks {
			if !placeName.MatchString(lock) || slices.Contains(in.Locks[:i], lock) {
				r.bad(append(path, "locks", strconv.Itoa(i)), "environment %s: lock %q must be 1 to 63 of a-z 0-9 - _, and there once", name, lock)
			}
		}
		c.Environments[name] = Environment{Title: lang.Words(in.Title), Locks: in.Locks}
	}
}

// targets lets each kind read its own entries.
func (r *reader) targets(c *Catalog) {
	for _, key := range keys(r.raw.Targets) {
		i := slices.IndexFunc(r.kinds, func(s Spec) bool { return s.Target != nil && s.Targets == key }) // a kind without targets has no name for them
		if i < 0 {
			r.bad([]string{"targets", key}, "targets: no kind works on %q", key)
			continue
		}
		c.targets[key] = map[string]any{}
		for _, name := range keys(r.raw.Targets[key]) {
			what := strings.TrimSuffix(key, "s") + " " + name // cluster practice
			path := []string{"targets", key, name}
			if !placeName.MatchString(name) {
				r.bad(path, "%s: the name must be 1 to 63 of a-z 0-9 - _", what)
			}
			c.targets[key][name] = r.kinds[i].Target(r.section(name, r.raw.Targets[key][name], what, path...))
		}
	}
}

func (r *reader) section(name string, n yaml.Node, what string, path ...string) *Section {
	s := &Section{Name: name, r: r, path: path, what: what}
	if !n.IsZero() && n.ShortTag() != "!!null" {
		s.node = &n
	}
	return s
}

func (r *reader) action(c *Catalog, name string, in action) Action {
	path := []string{"actions", name}
	out := Action{Name: name, Kind: in.Kind, Verb: in.Verb, Target: in.Target, Timeout: DefaultTimeout, Line: r.lines.of(path...)}
	if len(name) > 63 || !actionName.MatchString(name) {
		r.bad(path, "action %q: a name is words of a-z 0-9 joined by . - or _, at most 63 bytes", name)
	}
	if in.Timeout != nil {
		out.Timeout = time.Duration(*in.Timeout)
		if out.Timeout < MinTimeout || out.Timeout > MaxTimeout {
			r.bad(append(path, "timeout"), "action %s: timeout must be %s to %s", name, MinTimeout, MaxTimeout)
		}
	}
	if strings.HasPrefix(name, KindBuiltIn+".") {
		r.bad(path, "action %s: names that begin with %s. are built in", name, KindBuiltIn)
	}
	r.bounds(c, path, in, &out)
	spec, known := r.kinds.find(in.Kind)
	if !known {
		r.bad(append(path, "kind"), "action %s: no kind %q; there are %s", name, in.Kind, r.kinds.names())
		return out
	}
	r.target(c, path, spec, &out)
	verb, known := spec.Verbs[in.Verb]
	if !known {
		r.bad(append(path, "verb"), "action %s: %s has no verb %q; there are %s", name, in.Kind, in.Verb, strings.Join(keys(spec.Verbs), ", "))
		return out
	}
	out.Class, out.Node = verb.Class, verb.Node
	if reads := verb.Class != Change; in.Read != nil && *in.Read != reads {
		r.bad(append(path, "read"), "action %s: read must be %t, since the verb %s says so", name, reads, in.Verb)
	}
	for _, need := range verb.Params {
		if _, given := in.Params[need.Name]; !given && !need.Optional {
			r.bad(append(path, "params"), "action %s: the verb %s needs the parameter %s", name, in.Verb, need.Name)
		}
	}
	for _, n := range keys(in.Params) {
		out.Params = append(out.Params, r.param(path, n, in.Params[n], verb, out))
	}
	if verb.Node {
		out.Params = append(out.Params, nodeParams()...)
	}
	settings := r.section(name, in.Settings, "action "+name, append(path, "settings")...)
	switch {
	case verb.Settings != nil:
		out.Settings = verb.Settings(settings, out)
	case settings.Given():
		r.bad(append(path, "settings"), "action %s: the verb %s takes no settings", name, in.Verb)
	}
	return out
}

// bounds reads what every action may say besides its kind's own.
func (r *reader) bounds(c *Catalog, path []string, in action, out *Action) {
	name := out.Name
	out.Env, out.Locks, out.PerTarget = in.Env, in.Locks, 1
	out.When, out.zone = r.when(name, in.When, append(path, "when")), c.Timezone
	env, known := c.Environments[in.Env]
	if in.Env != "" && !known {
		r.bad(append(path, "env"), "action %s: there is no environment %q", name, in.Env)
	}
	for i, lock := range in.Locks {
		if !slices.Contains(env.Locks, lock) || slices.Contains(in.Locks[:i], lock) {
			r.bad(append(path, "locks", strconv.Itoa(i)), "action %s: lock %q is none of its environment's, or there twice", name, lock)
		}
	}
	if n := in.PerTarget; n != nil {
		if out.PerTarget = *n; *n < 1 || *n > MaxPerTarget {
			r.bad(append(path, "per_target"), "action %s: per_target must be 1 to %d", name, MaxPerTarget)
		}
	}
	switch in.Probe {
	case "", "kind":
	case "none":
		out.Blind = true
	default:
		r.bad(append(path, "probe"), "action %s: probe must be kind or none", name)
	}
}

// target finds what the action works on.
func (r *reader) target(c *Catalog, path []string, spec Spec, out *Action) {
	entries := c.targets[spec.Targets]
	switch {
	case spec.Targets == "" && out.Target != "":
		r.bad(append(path, "target"), "action %s: %s has no targets", out.Name, spec.Name)
		return
	case spec.Targets == "":
		return
	case out.Target == "" && len(entries) == 1:
		for only := range entries {
			out.Target = only
		}
	}
	on, ok := entries[out.Target]
	switch {
	case ok:
		out.On = on
	case out.Target == "":
		r.bad(path, "action %s: target must name one of targets.%s", out.Name, spec.Targets)
	default:
		r.bad(append(path, "target"), "action %s: targets.%s has no %q", out.Name, spec.Targets, out.Target)
	}
}

func (r *reader) param(path []string, name string, in param, verb Verb, a Action) Param {
	action := a.Name
	path = append(slices.Clone(path), "params", name)
	at := func(key string) []string { return append(slices.Clone(path), key) }
	out := Param{
		Name: name, Type: in.Type, Optional: in.Optional, Allow: in.Allow, Pattern: in.Pattern, Min: in.Min, Max: in.Max, Line: r.lines.of(path...),
	}
	need := Need{Name: name, Type: in.Type, Optional: true}
	i := slices.IndexFunc(verb.Params, func(n Need) bool { return n.Name == name })
	if i >= 0 {
		need = verb.Params[i]
	}
	switch {
	case !paramName.MatchString(name):
		r.bad(path, "action %s: parameter %q: a name is a letter, then a-z 0-9 _, at most 32 bytes", action, name)
	case i < 0 && !verb.Open:
		r.bad(path, "action %s: the verb takes no parameter %s", action, name)
		return out
	case i < 0 && in.Type != TypeString && in.Type != TypeInt && in.Type != TypeBool:
		r.bad(at("type"), "action %s: parameter %s: the type must be %s, %s or %s", action, name, TypeString, TypeInt, TypeBool)
		return out
	case in.Type != need.Type:
		r.bad(at("type"), "action %s: parameter %s must have the type %s", action, name, need.Type)
		return out
	case in.Optional && !need.Optional:
		r.bad(at("optional"), "action %s: parameter %s cannot be optional", action, name)
	}
	if in.Type != TypeString && (in.Allow != nil || in.Pattern != "") {
		r.bad(path, "action %s: parameter %s: allow and pattern are for strings", action, name)
	}
	if in.Type != TypeInt && (in.Min != nil || in.Max != nil) {
		r.bad(path, "action %s: parameter %s: min and max are for ints", action, name)
	}
	switch in.Type {
	case TypeString:
		if spec, _ := r.kinds.find(a.Kind); a.On == nil && need.Allow != nil && spec.Targets != "" {
			return out // the target that bounds it is missing, which has been said
		}
		r.text(&out, path, action, need, a.On)
	case TypeInt:
		r.number(&out, path, action, need, verb.Class != Change || need.Optional)
	}
	return out
}

// number bounds an int.
func (r *reader) number(p *Param, path []string, action string, need Need, open bool) {
	at := func(key string) []string { return append(slices.Clone(path), key) }
	if p.Min != nil && p.Max != nil && *p.Min > *p.Max {
		r.bad(at("min"), "action %s: parameter %s: min is greater than max", action, p.Name)
	}
	if !open && (p.Min == nil || p.Max == nil) {
		r.bad(path, "action %s: parameter %s needs min and max: an unbounded number is no permission", action, p.Name)
	}
	if p.Min == nil {
		p.Min = need.Min
	}
	if p.Max == nil {
		p.Max = need.Max
	}
	if need.Min != nil && *p.Min < *need.Min {
		r.bad(at("min"), "action %s: parameter %s must not be below %d", action, p.Name, *need.Min)
	}
	if need.Max != nil && *p.Max > *need.Max {
		r.bad(at("max"), "action %s: parameter %s must not be above %d", action, p.Name, *need.Max)
	}
}

// text bounds a string: by the target where the verb says so, by allow or pattern of the file, or by the verb's own pattern.
func (r *reader) text(p *Param, path []string, action string, need Need, target any) {
	if need.Long {
		p.limit = MaxLong
	}
	var within []string
	if need.Allow != nil && target != nil {
		within = need.Allow(target)
	}
	if p.Pattern == "" && p.Allow == nil {
		p.Pattern = need.Pattern
	}
	if p.Pattern != "" {
		r.pattern(p, path, action)
	}
	if p.Allow != nil && len(p.Allow) == 0 {
		r.bad(append(slices.Clone(path), "allow"), "action %s: parameter %s: allow is empty", action, p.Name)
	}
	if within != nil {
		for _, v := range p.Allow {
			if !slices.Contains(within, v) {
				r.bad(append(slices.Clone(path), "allow"), "action %s: %s %q is not among those of the target", action, p.Name, v)
			}
		}
		if p.Allow == nil {
			p.Allow = within
		}
		return
	}
	if p.Allow == nil && p.Pattern == "" {
		r.bad(path, "action %s: parameter %s needs allow or pattern: an unbounded text is no permission", action, p.Name)
	}
}

func (r *reader) pattern(p *Param, path []string, action string) {
	expr, named := patterns[p.Pattern]
	if !named {
		expr = p.Pattern
	}
	// Compiled alone first: "a)|(b" would be a valid expression between the anchors and escape them.
	re, err := regexp.Compile(expr)
	if err == nil {
		re, err = regexp.Compile(anchored(expr))
	}
	if err != nil {
		r.bad(append(slices.Clone(path), "pattern"), "action %s: parameter %s: pattern is neither %s nor a regular expression: %v",
			action, p.Name, strings.Join(keys(patterns), ", "), err)
	}
	p.re = re
}

// anchored makes an expression match a whole text only.
func anchored(expr string) string { return `\A(?:` + expr + `)\z` }

func keys[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}
