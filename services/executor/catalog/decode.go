package catalog

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"palmops/libs/conf"
)

// file is the YAML form.
type file struct {
	Version     int    `yaml:"version"`
	Zone        string `yaml:"zone"`
	Pool        string `yaml:"pool"`
	Concurrency *int   `yaml:"concurrency"`
	Targets     struct {
		Clusters map[string]cluster `yaml:"clusters"`
	} `yaml:"targets"`
	Actions map[string]action `yaml:"actions"`
}

type cluster struct {
	Kubeconfig string   `yaml:"kubeconfig"`
	InCluster  bool     `yaml:"in_cluster"`
	Server     string   `yaml:"server"`
	Namespaces []string `yaml:"namespaces"`
}

type action struct {
	Kind    string           `yaml:"kind"`
	Verb    string           `yaml:"verb"`
	Target  string           `yaml:"target"`
	Read    *bool            `yaml:"read"`
	Timeout *conf.Duration   `yaml:"timeout"`
	Params  map[string]param `yaml:"params"`

	Settings *settings `yaml:"settings"`
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
	dnsLabel   = regexp.MustCompile(`\A[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?\z`)
)

// patterns are the patterns that have a name. dns-label is RFC 1123's; dns-name is labels joined by dots, of at most MaxText
// bytes; line is any text without line breaks and other control characters.
var patterns = map[string]string{
	"action-id": `[0-9A-Za-z_-]{8,64}`,
	"line":      `[^\x00-\x1f\x7f-\x{9f}\x{2028}\x{2029}]+`,
	"dns-label": `[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?`,
	"dns-name":  `[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*`,
}

// reader holds a file while its mistakes are collected.
type reader struct {
	file  string
	raw   file
	lines *lines
	ps    conf.Problems
}

func (r *reader) bad(path []string, format string, args ...any) {
	r.ps.Add(r.file, r.lines.of(path...), format, args...)
}

// Decode reads a catalog; name stands for the file in errors, which are of type conf.Problems, and relative kubeconfig paths
// are relative to it.
func Decode(name string, data []byte) (*Catalog, error) {
	r := &reader{file: name}
	if err := conf.Decode(name, data, &r.raw); err != nil {
		return nil, err
	}
	var err error
	if r.lines, err = newLines(data); err != nil {
		return nil, conf.Problems{{File: name, Text: err.Error()}}
	}
	c := &Catalog{
		File: name, Zone: r.raw.Zone, Pool: r.raw.Pool, Concurrency: DefaultConcurrency,
		Clusters: map[string]Cluster{}, actions: map[string]Action{},
	}
	r.head(c)
	for _, n := range keys(r.raw.Targets.Clusters) {
		c.Clusters[n] = r.cluster(n, r.raw.Targets.Clusters[n])
	}
	for _, n := range keys(r.raw.Actions) {
		c.actions[n] = r.action(c, n, r.raw.Actions[n])
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
	if len(r.raw.Targets.Clusters) == 0 && !r.onlyDrills() {
		r.bad([]string{"targets", "clusters"}, "targets.clusters names no cluster")
	}
	if len(r.raw.Actions) == 0 {
		r.bad([]string{"actions"}, "actions is empty: this executor could do nothing")
	}
}

// onlyDrills reports whether no action needs a cluster.
func (r *reader) onlyDrills() bool {
	for _, a := range r.raw.Actions {
		if a.Kind != KindDrill {
			return false
		}
	}
	return len(r.raw.Actions) > 0
}

func (r *reader) cluster(name string, in cluster) Cluster {
	path := []string{"targets", "clusters", name}
	if !placeName.MatchString(name) {
		r.bad(path, "cluster %q: the name must be 1 to 63 of a-z 0-9 - _", name)
	}
	ways := 0
	for _, set := range []bool{in.Kubeconfig != "", in.InCluster, in.Server != ""} {
		if set {
			ways++
		}
	}
	if ways != 1 {
		r.bad(path, "cluster %s: exactly one of kubeconfig, in_cluster and server must say how to reach it", name)
	}
	if in.Server != "" {
		u, err := url.Parse(in.Server)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil {
			r.bad(append(path, "server"), "cluster %s: server must be an http or https URL without credentials", name)
		}
	}
	if len(in.Namespaces) == 0 {
		r.bad(path, "cluster %s: namespaces must name at least one namespace that may be touched", name)
	}
	for i, ns := range in.Namespaces {
		if !dnsLabel.MatchString(ns) {
			r.bad(append(path, "namespaces"), "cluster %s: %q is not the name of a namespace", name, ns)
		}
		if slices.Contains(in.Namespaces[:i], ns) {
			r.bad(append(path, "namespaces"), "cluster %s: namespace %s is named twice", name, ns)
		}
	}
	return Cluster{
		Name: name, Kubeconfig: conf.Near(r.file, in.Kubeconfig), InCluster: in.InCluster, Server: in.Server,
		Namespaces: in.Namespaces, Line: r.lines.of(path...),
	}
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
	var target Cluster
	if in.Kind != KindDrill {
		target = r.target(c, path, name, &out)
	} else if in.Target != "" {
		r.bad(append(path, "target"), "action %s: a drill has no target", name)
	}
	verbs, known := Verbs(in.Kind)
	if !known {
		r.bad(append(path, "kind"), "action %s: no kind %q; there are %s", name, in.Kind, strings.Join(keys(kinds), ", "))
		return out
	}
	verb, known := verbs[in.Verb]
	if !known {
		r.bad(append(path, "verb"), "action %s: %s has no verb %q; there are %s", name, in.Kind, in.Verb, strings.Join(keys(verbs), ", "))
		return out
	}
	out.Read = verb.Read
	if in.Read != nil && *in.Read != verb.Read {
		r.bad(append(path, "read"), "action %s: read must be %t, since the verb %s says so", name, verb.Read, in.Verb)
	}
	for _, need := range verb.Params {
		if _, given := in.Params[need.Name]; !given && !need.Optional {
			r.bad(append(path, "params"), "action %s: the verb %s needs the parameter %s", name, in.Verb, need.Name)
		}
	}
	for _, n := range keys(in.Params) {
		out.Params = append(out.Params, r.param(path, name, n, in.Params[n], verb, target))
	}
	if verb.Node {
		out.Params = append(out.Params, nodeParams()...)
	}
	out.Settings = r.settings(path, name, in.Settings, verb)
	return out
}

func (r *reader) target(c *Catalog, path []string, name string, out *Action) Cluster {
	if out.Target == "" && len(c.Clusters) == 1 {
		for only := range c.Clusters {
			out.Target = only
		}
	}
	t, ok := c.Clusters[out.Target]
	switch {
	case ok:
	case out.Target == "":
		r.bad(path, "action %s: target must name one of the clusters", name)
	default:
		r.bad(append(path, "target"), "action %s: there is no cluster %q", name, out.Target)
	}
	return t
}

func (r *reader) param(path []string, action, name string, in param, verb Verb, target Cluster) Param {
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
		r.text(&out, path, action, verb, target)
	case TypeInt:
		r.number(&out, path, action, need, verb.Read || need.Optional)
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

// text bounds a string. A namespace is always inside the target's, unless the verb gives the name no meaning.
func (r *reader) text(p *Param, path []string, action string, verb Verb, target Cluster) {
	if p.Pattern != "" {
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
	if p.Allow != nil && len(p.Allow) == 0 {
		r.bad(append(slices.Clone(path), "allow"), "action %s: parameter %s: allow is empty", action, p.Name)
	}
	if p.Name == "namespace" && !verb.Open {
		for _, ns := range p.Allow {
			if !slices.Contains(target.Namespaces, ns) {
				r.bad(append(slices.Clone(path), "allow"), "action %s: namespace %q is not among those of the cluster %s", action, ns, target.Name)
			}
		}
		if p.Allow == nil {
			p.Allow = target.Namespaces
		}
		return
	}
	if p.Allow == nil && p.Pattern == "" {
		r.bad(path, "action %s: parameter %s needs allow or pattern: an unbounded text is no permission", action, p.Name)
	}
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
