// Package catalog is the executor's own list of what it will do: which actions exist, on which targets, with which arguments.
//
// It is the last word. A perfectly signed order for something that is not in the catalog, or with an argument outside
// its bounds, is refused. The file is strict YAML:
//
//	version: 1
//	zone: local               # the zone and pool this executor serves
//	pool: k8s
//	concurrency: 32           # actions in work at once over all executors of the pool
//	targets:
//	  clusters:
//	    practice:
//	      server: http://127.0.0.1:8092   # or kubeconfig: path, or in_cluster: true
//	      namespaces: [shop, pay]         # nothing outside them is listed or touched
//	actions:
//	  k8s.scale:
//	    kind: kubernetes
//	    verb: scale
//	    target: practice      # may be left out when there is only one
//	    timeout: 60s
//	    params:
//	      namespace: {type: string}       # bounded by the target's namespaces, or narrower by allow
//	      deployment: {type: string, pattern: dns-label}
//	      replicas: {type: int, min: 0, max: 20}
//	      from: {type: int, optional: true}
package catalog

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"palmops/libs/conf"
	"palmops/libs/fault"
)

// Limits of a catalog.
const (
	MaxConcurrency     = 1024
	DefaultConcurrency = 32
	DefaultTimeout     = time.Minute
	MinTimeout         = time.Second
	MaxTimeout         = 30 * time.Minute
	MaxText            = 253 // bytes of a text argument: the longest name Kubernetes has
)

// Types of parameters.
const (
	TypeString = "string"
	TypeInt    = "int"
	TypeBool   = "bool"
)

// Catalog is a whole, valid catalog. It does not change after it was read.
type Catalog struct {
	File        string
	Zone        string
	Pool        string
	Concurrency int
	Clusters    map[string]Cluster
	actions     map[string]Action
}

// Cluster is one Kubernetes cluster: exactly one of Kubeconfig, InCluster and Server says how to reach it.
type Cluster struct {
	Name       string
	Kubeconfig string // path, resolved against the catalog's own
	InCluster  bool
	Server     string // URL of an API without authentication, as in practice
	Namespaces []string
	Line       int
}

// Action is one thing the executor can do.
type Action struct {
	Name    string
	Kind    string // see Verbs
	Verb    string
	Target  string // name of the cluster
	Read    bool   // it changes nothing, and may be asked as a question
	Params  []Param
	Timeout time.Duration // from the start of the work to its end; reads have a deadline of their own
	Line    int
}

// Param is one argument of an action and its bounds.
type Param struct {
	Name     string
	Type     string
	Optional bool
	Allow    []string // of a string: these values only
	Pattern  string   // of a string: the name of a pattern, or a regular expression for the whole value
	Min, Max *int64   // of an int, both included
	Line     int

	re *regexp.Regexp
}

// Load reads a catalog file. The error is of type conf.Problems: every mistake with its line.
func Load(path string) (*Catalog, error) {
	data, err := conf.Read(path)
	if err != nil {
		return nil, err
	}
	return Decode(path, data)
}

// Action finds an action by name.
func (c *Catalog) Action(name string) (Action, bool) {
	a, ok := c.actions[name]
	return a, ok
}

// Actions lists all actions by name, for checks of menus and policies against the catalog.
func (c *Catalog) Actions() []Action {
	out := make([]Action, 0, len(c.actions))
	for _, a := range c.actions {
		out = append(out, a)
	}
	slices.SortFunc(out, func(a, b Action) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// LongestTimeout is the longest time any action of the catalog may take.
func (c *Catalog) LongestTimeout() time.Duration {
	longest := MinTimeout
	for _, a := range c.actions {
		if !a.Read {
			longest = max(longest, a.Timeout)
		}
	}
	return longest
}

// Param finds a parameter by name.
func (a Action) Param(name string) (Param, bool) {
	for _, p := range a.Params {
		if p.Name == name {
			return p, true
		}
	}
	return Param{}, false
}

// Check holds arguments, as wire.ParseArgs gives them, against the action: none missing, none extra, each of its type and inside
// its bounds. Errors: Denied for a value that is not among the allowed ones, Invalid otherwise; each has a text for the user.
func (a Action) Check(args map[string]any) error {
	for _, name := range sorted(args) {
		if _, known := a.Param(name); !known {
			return refusal(fault.Invalid, "多出参数 "+short(name), "argument %q is not one of %s", name, a.Name)
		}
	}
	for _, p := range a.Params {
		v, given := args[p.Name]
		if !given {
			if p.Optional {
				continue
			}
			return refusal(fault.Invalid, "缺少参数 "+p.Name, "argument %q of %s is missing", p.Name, a.Name)
		}
		if err := p.check(v); err != nil {
			return err
		}
	}
	return nil
}

func (p Param) check(v any) error {
	switch x := v.(type) {
	case string:
		if p.Type == TypeString {
			return p.checkText(x)
		}
	case int64:
		if p.Type == TypeInt {
			return p.checkInt(x)
		}
	case bool:
		if p.Type == TypeBool {
			return nil
		}
	}
	return refusal(fault.Invalid, fmt.Sprintf("参数 %s 的类型不对", p.Name), "argument %q is %T, it must be %s", p.Name, v, p.Type)
}

func (p Param) checkText(s string) error {
	if len(s) > MaxText {
		return refusal(fault.Invalid, fmt.Sprintf("参数 %s 太长", p.Name), "argument %q has %d bytes, the limit is %d", p.Name, len(s), MaxText)
	}
	if p.re != nil && !p.re.MatchString(s) {
		return refusal(fault.Invalid, fmt.Sprintf("参数 %s 的格式不对", p.Name), "argument %q does not match %s", p.Name, p.Pattern)
	}
	if len(p.Allow) > 0 && !slices.Contains(p.Allow, s) {
		return refusal(fault.Denied, fmt.Sprintf("参数 %s 的值不在允许范围内", p.Name), "argument %q is not among the allowed values", p.Name)
	}
	return nil
}

func (p Param) checkInt(n int64) error {
	if p.Min != nil && n < *p.Min {
		return refusal(fault.Invalid, fmt.Sprintf("参数 %s 不能小于 %d", p.Name, *p.Min), "argument %q is %d, below %d", p.Name, n, *p.Min)
	}
	if p.Max != nil && n > *p.Max {
		return refusal(fault.Invalid, fmt.Sprintf("参数 %s 不能大于 %d", p.Name, *p.Max), "argument %q is %d, above %d", p.Name, n, *p.Max)
	}
	return nil
}

func refusal(kind fault.Kind, text, format string, args ...any) error {
	return fault.WithText(fault.New(kind, format, args...), text+"，没有执行任何操作。请返回重新选择。")
}

// short keeps a foreign name from filling a message.
func short(name string) string {
	r := []rune(name)
	if len(r) > 32 {
		return string(r[:32]) + "…"
	}
	return name
}

func sorted(args map[string]any) []string {
	names := make([]string, 0, len(args))
	for n := range args {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}
