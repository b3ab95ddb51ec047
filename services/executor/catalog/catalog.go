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
// What an entry under targets and the settings of an action may hold is said by the kind (Spec); see the READMEs beside the
// kinds. For every action:
//
//	env: prod               # one of environments; its locks are honoured
//	locks: [database]       # named locks of the environment that this action honours besides the environment's own
//	per_target: 1           # changes at work at once on one target
//	probe: none             # an action whose owner died ends as unknown without a look (default: what the kind can do)
//	when: {days: [mon-fri], from: "09:00", to: "18:00"} # the action runs at no other time; may be a list of these, any of which opens
//
// and for the whole catalog:
//
//	environments:
//	  prod: {title: {zh: 生产, en: production}, locks: [release, database]}
//	timezone: Asia/Shanghai # of when; this is the default
//	mask: ['(?i)session=\S+']  # besides what is always masked, in everything that leaves the executor
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
	"palmops/libs/hours"
	"palmops/libs/lang"
)

//go:embed texts.yaml
var textsFile []byte

var texts = lang.MustLoad(textsFile)

// Limits of a catalog.
const (
	MaxPerTarget       = 16
	MaxLong            = 8 << 10 // bytes of a long text argument, such as a reason with several lines
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
	File         string
	Digest       string // of the file, hex: replicas with the same one do the same
	Zone         string
	Pool         string
	Concurrency  int
	Environments map[string]Environment
	Timezone     *time.Location // of Action.When
	Mask         []*regexp.Regexp
	targets      map[string]map[string]any
	actions      map[string]Action
}

// Environment is a place such as production, and what may be locked in it.
type Environment struct {
	Title lang.Words // the name when empty
	Locks []string   // named locks besides the environment's own
}

// Action is one thing the executor can do.
type Action struct {
	Name      string
	Kind      string
	Verb      string
	Class     Class
	Node      bool   // see Verb.Node
	Target    string // name of the entry under targets; "" for a kind that has none
	On        any    // that entry, as the kind's Spec.Target returned it
	Settings  any    // as the verb's Settings returned them
	Env       string
	Locks     []string     // of Env, besides its own
	When      []hours.Span // none for always; see OpenAt
	PerTarget int          // changes at work at once on one target
	Blind     bool         // the state of a dead owner's work is not probed
	Params    []Param
	Timeout   time.Duration // from the start of the work to its end; questions have a deadline of their own
	Line      int

	zone *time.Location // of When
}

// Target is the entry of a name under a key of targets, typed by its kind.
func Target[T any](c *Catalog, key, name string) (T, bool) {
	t, ok := c.targets[key][name].(T)
	return t, ok
}

// Targets are all entries under a key of targets, typed by their kind.
func Targets[T any](c *Catalog, key string) map[string]T {
	out := map[string]T{}
	for name, t := range c.targets[key] {
		if v, ok := t.(T); ok {
			out[name] = v
		}
	}
	return out
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

	re    *regexp.Regexp
	limit int // bytes of a string; MaxText when 0
}

// Load reads a catalog file. The error is of type conf.Problems: every mistake with its line.
func Load(path string, kinds Kinds) (*Catalog, error) {
	data, err := conf.Read(path)
	if err != nil {
		return nil, err
	}
	return Decode(path, data, kinds)
}

// Action finds an action by name, built-in ones included.
func (c *Catalog) Action(name string) (Action, bool) {
	if a, ok := builtIn[name]; ok {
		return a, true
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
		if a.Class != Question {
			longest = max(longest, a.Timeout)
		}
	}
	return longest
}

// OpenAt reports whether the action may begin at a moment, by the clock of the catalog's timezone; for an action that is of
// no catalog, by the moment's own.
func (a Action) OpenAt(now time.Time) bool {
	if a.zone != nil {
		now = now.In(a.zone)
	}
	return hours.Open(a.When, now)
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
	limit := p.limit
	if limit == 0 {
		limit = MaxText
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
