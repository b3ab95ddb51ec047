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
//
// Actions of the kind drill touch nothing; they serve for training and for trying the whole way:
//
//	drill.run:                # seconds (0 to 600) and lines (0 to 20000) are understood, any other parameter is only shown
//	  kind: drill
//	  verb: run
//	  timeout: 660s
//	  params:
//	    seconds: {type: int, optional: true}
//	    service: {type: string, pattern: line}   # line: any text without line breaks
//	drill.list:               # items: count of them (8), named after parent; or those of the settings
//	  kind: drill
//	  verb: list
//	  settings: {items: [web, api], delay: 500ms}
//	drill.state:              # fields
//	  kind: drill
//	  verb: state
//	  settings: {fields: {version: "1.4.2"}}
//	drill.guide:              # a remote node: a troubleshooting guide
//	  kind: drill
//	  verb: guide
//	  settings:
//	    guide:
//	      title: {zh: 服务变慢怎么查, en: A service is slow}   # a text, or one in each language
//	      ask: Which requests are slow?
//	      answers:
//	        - key: all        # stands for the answer in what was typed: it must not change its meaning
//	          say: All of them
//	          then: {text: "Look at the nodes."}               # the end: text, or value, which the node is left with
//	        - key: one
//	          say: One of them
//	          then: {ask: …, answers: […]}
//
// The names palmops.* are built in: palmops.cancel is offered by every executor and has no entry here.
package catalog

import (
	_ "embed"
	"regexp"
	"slices"
	"strings"
	"time"

	"palmops/libs/conf"
	"palmops/libs/fault"
	"palmops/libs/lang"
	"palmops/libs/wire"
)

//go:embed texts.yaml
var textsFile []byte

var texts = lang.MustLoad(textsFile)

// Limits of a catalog.
const (
	MaxConcurrency     = 1024
	DefaultConcurrency = 32
	DefaultTimeout     = time.Minute
	MinTimeout         = time.Second
	MaxTimeout         = 30 * time.Minute
	MaxText            = 253  // bytes of a text argument: the longest name Kubernetes has
	MaxInputs          = 2048 // bytes of what was typed into a remote node
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
	Target  string // name of the cluster; "" for a kind that has none
	Read    bool   // it changes nothing, and may be asked as a question
	Params  []Param
	Timeout time.Duration // from the start of the work to its end; reads have a deadline of their own
	Line    int

	Settings Settings
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

	re   *regexp.Regexp
	free bool // any text of up to MaxInputs bytes
}

// Load reads a catalog file. The error is of type conf.Problems: every mistake with its line.
func Load(path string) (*Catalog, error) {
	data, err := conf.Read(path)
	if err != nil {
		return nil, err
	}
	return Decode(path, data)
}

// Action finds an action by name, built-in ones included.
func (c *Catalog) Action(name string) (Action, bool) {
	if name == wire.ActionCancel {
		return cancel, true
	}
	a, ok := c.actions[name]
	return a, ok
}

// Actions lists the actions of the file by name, for checks of menus and policies against the catalog.
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
// its bounds. Errors: Denied for a value that is not among the allowed ones, Invalid otherwise; each has a text for the user
// in language t.
func (a Action) Check(args map[string]any, t lang.Tag) error {
	for _, name := range sorted(args) {
		if _, known := a.Param(name); !known {
			return refusal(fault.Invalid, t, texts.Say(t, "args.extra", short(name)), "argument %q is not one of %s", name, a.Name)
		}
	}
	for _, p := range a.Params {
		v, given := args[p.Name]
		if !given {
			if p.Optional {
				continue
			}
			return refusal(fault.Invalid, t, texts.Say(t, "args.missing", p.Name), "argument %q of %s is missing", p.Name, a.Name)
		}
		if err := p.check(v, t); err != nil {
			return err
		}
	}
	return nil
}

func (p Param) check(v any, t lang.Tag) error {
	switch x := v.(type) {
	case string:
		if p.Type == TypeString {
			return p.checkText(x, t)
		}
	case int64:
		if p.Type == TypeInt {
			return p.checkInt(x, t)
		}
	case bool:
		if p.Type == TypeBool {
			return nil
		}
	}
	return refusal(fault.Invalid, t, texts.Say(t, "args.type", p.Name), "argument %q is %T, it must be %s", p.Name, v, p.Type)
}

func (p Param) checkText(s string, t lang.Tag) error {
	limit := MaxText
	if p.free {
		limit = MaxInputs
	}
	if len(s) > limit {
		return refusal(fault.Invalid, t, texts.Say(t, "args.long", p.Name), "argument %q has %d bytes, the limit is %d", p.Name, len(s), limit)
	}
	if p.re != nil && !p.re.MatchString(s) {
		return refusal(fault.Invalid, t, texts.Say(t, "args.form", p.Name), "argument %q does not match %s", p.Name, p.Pattern)
	}
	if len(p.Allow) > 0 && !slices.Contains(p.Allow, s) {
		return refusal(fault.Denied, t, texts.Say(t, "args.allowed", p.Name), "argument %q is not among the allowed values", p.Name)
	}
	return nil
}

func (p Param) checkInt(n int64, t lang.Tag) error {
	if p.Min != nil && n < *p.Min {
		return refusal(fault.Invalid, t, texts.Say(t, "args.min", p.Name, *p.Min), "argument %q is %d, below %d", p.Name, n, *p.Min)
	}
	if p.Max != nil && n > *p.Max {
		return refusal(fault.Invalid, t, texts.Say(t, "args.max", p.Name, *p.Max), "argument %q is %d, above %d", p.Name, n, *p.Max)
	}
	return nil
}

func refusal(kind fault.Kind, t lang.Tag, text, format string, args ...any) error {
	return fault.WithText(fault.New(kind, format, args...), texts.Say(t, "args.refused", text))
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
