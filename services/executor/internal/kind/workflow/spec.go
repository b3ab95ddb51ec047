package workflow

import (
	_ "embed"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"palmops/libs/lang"
	"palmops/services/executor/catalog"
	"palmops/services/executor/internal/fill"
)

// Name is what a catalog calls the kind.
const Name = "workflow"

const verbRun = "run"

// MaxSteps is how many steps a workflow may have.
const MaxSteps = 20

// undoPrefix is what the name of a way back begins with; the names of steps do not.
const undoPrefix = "undo-"

// Settings are the steps of one workflow.
type Settings struct{ Steps []Step }

// Step is one action of a workflow.
type Step struct {
	Name     string
	Title    lang.Words // Name when empty
	Do       Order
	Undo     *Order // how its effect is taken back; nil when it cannot be
	Tolerant bool   // on_failure: continue
}

// Order is an action of the same catalog with its arguments.
type Order struct {
	Action string
	Args   map[string]Arg
}

// Arg is one argument: a literal int64, bool or string, or a text with places for the workflow's own arguments.
type Arg struct {
	Literal any // nil for a text
	Text    fill.Text
}

type rawStep struct {
	Name      string         `yaml:"name"`
	Title     catalog.Words  `yaml:"title"`
	Action    string         `yaml:"action"`
	Args      map[string]any `yaml:"args"`
	Undo      *rawOrder      `yaml:"undo"`
	OnFailure string         `yaml:"on_failure"`
}

type rawOrder struct {
	Action string         `yaml:"action"`
	Args   map[string]any `yaml:"args"`
}

//go:embed schema.json
var schemaFile []byte

var stepName = regexp.MustCompile(`\A[a-z0-9]([a-z0-9_-]{0,30}[a-z0-9])?\z`)

// Spec is what a catalog may say about this kind.
func Spec() catalog.Spec {
	return catalog.Spec{
		Name: Name, Check: check, Schema: schemaFile,
		Verbs: map[string]catalog.Verb{verbRun: {Class: catalog.Change, Open: true, Settings: read}},
	}
}

func read(s *catalog.Section, _ catalog.Action) any {
	var in struct {
		Steps []rawStep `yaml:"steps"`
	}
	if !s.Decode(&in) {
		return Settings{}
	}
	if len(in.Steps) == 0 || len(in.Steps) > MaxSteps {
		s.Bad(nil, "settings.steps must hold 1 to %d steps", MaxSteps)
	}
	out := Settings{}
	names := map[string]bool{}
	for i, r := range in.Steps {
		at := s.At("steps", strconv.Itoa(i))
		if !stepName.MatchString(r.Name) || strings.HasPrefix(r.Name, undoPrefix) || names[r.Name] {
			s.Bad(append(at, "name"), "step %q: a name is 1 to 32 of a-z 0-9 _ -, there once, and does not begin with %s", r.Name, undoPrefix)
		}
		names[r.Name] = true
		step := Step{Name: r.Name, Title: lang.Words(r.Title), Do: order(s, at, r.Name, rawOrder{r.Action, r.Args})}
		if strings.Contains(step.Title.ZH+step.Title.EN, "\n") {
			s.Bad(append(at, "title"), "step %s: title must be one line", r.Name)
		}
		if strings.Contains(step.Title.ZH+step.Title.EN, "${") {
			s.Bad(append(at, "title"), "step %s: a title is shown as it is; ${…} is filled in args only", r.Name)
		}
		switch r.OnFailure {
		case "", "stop":
		case "continue":
			step.Tolerant = true
		default:
			s.Bad(append(at, "on_failure"), "step %s: on_failure must be stop or continue", r.Name)
		}
		if r.Undo != nil {
			back := order(s, append(at, "undo"), r.Name, *r.Undo)
			step.Undo = &back
		}
		out.Steps = append(out.Steps, step)
	}
	return out
}

// order reads an action's arguments as far as they can be judged without the rest of the catalog.
func order(s *catalog.Section, at []string, step string, in rawOrder) Order {
	out := Order{Action: in.Action, Args: map[string]Arg{}}
	for _, name := range slices.Sorted(maps.Keys(in.Args)) {
		place := append(slices.Clone(at), "args", name)
		switch v := in.Args[name].(type) {
		case int:
			out.Args[name] = Arg{Literal: int64(v)}
		case int64:
			out.Args[name] = Arg{Literal: v}
		case bool:
			out.Args[name] = Arg{Literal: v}
		case string:
			text, err := fill.Parse(v)
			if err != nil {
				s.Bad(place, "step %s: argument %s: %v", step, name, err)
			}
			out.Args[name] = Arg{Text: text}
		default:
			s.Bad(place, "step %s: argument %s must be a text, a whole number, true or false", step, name)
		}
	}
	return out
}

// check holds the steps against the rest of the catalog.
func check(c *catalog.Catalog, a catalog.Action, s *catalog.Section) {
	set, _ := a.Settings.(Settings)
	var total time.Duration
	for i, step := range set.Steps {
		at := s.At("steps", strconv.Itoa(i))
		did, ok := checkOrder(c, a, s, at, step.Name, step.Do)
		total += did.Timeout
		if step.Undo == nil || !ok {
			continue
		}
		at = append(slices.Clone(at), "undo")
		back, ok := checkOrder(c, a, s, at, step.Name, *step.Undo)
		total += back.Timeout
		if ok && (did.Class != catalog.Change || back.Class != catalog.Change) {
			s.Bad(at, "step %s: a way back is a change that takes back a change", step.Name)
		}
	}
	if total > a.Timeout {
		s.Bad(nil, "timeout is %s, but the steps and their ways back may take %s: a workflow must not run out of time half-way", a.Timeout, total)
	}
}

func checkOrder(c *catalog.Catalog, a catalog.Action, s *catalog.Section, at []string, step string, o Order) (catalog.Action, bool) {
	to, ok := c.Action(o.Action)
	place := append(slices.Clone(at), "action")
	switch {
	case !ok:
		s.Bad(place, "step %s: the catalog has no action %q", step, o.Action)
		return to, false
	case to.Class == catalog.Question || to.Kind == catalog.KindBuiltIn || to.Kind == Name:
		s.Bad(place, "step %s: %s cannot be a step: a step is a change or a report of the catalog, and no workflow", step, o.Action)
		return to, false
	}
	at = append(slices.Clone(at), "args")
	for _, p := range to.Params {
		if _, given := o.Args[p.Name]; !given && !p.Optional {
			s.Bad(at, "step %s: %s needs the argument %s", step, o.Action, p.Name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(o.Args)) {
		place := append(slices.Clone(at), name)
		p, known := to.Param(name)
		if !known {
			s.Bad(place, "step %s: %s takes no argument %s", step, o.Action, name)
			continue
		}
		checkArg(a, s, place, step, p, o.Args[name])
	}
	return to, true
}

// checkArg holds one argument against the parameter that it is for. What the workflow's own arguments make of it is known, and
// checked, once they are given.
func checkArg(a catalog.Action, s *catalog.Section, at []string, step string, p catalog.Param, arg Arg) {
	names := arg.Text.Names()
	for _, name := range names {
		if _, ok := a.Param(name); !ok {
			s.Bad(at, "step %s: argument %s: the workflow has no parameter %s", step, p.Name, name)
			return
		}
	}
	switch only := arg.Text.Only(); {
	case only != "":
		own, _ := a.Param(only)
		if own.Type != p.Type {
			s.Bad(at, "step %s: argument %s is %s, the parameter %s is %s", step, p.Name, p.Type, only, own.Type)
		} else if own.Optional && !p.Optional {
			s.Bad(at, "step %s: argument %s is needed, but the parameter %s may be missing", step, p.Name, only)
		}
	case len(names) > 0 && p.Type != catalog.TypeString:
		s.Bad(at, "step %s: argument %s is %s and cannot be made of a text", step, p.Name, p.Type)
	case len(names) == 0:
		one := catalog.Action{Params: []catalog.Param{p}}
		if err := one.Check(map[string]any{p.Name: arg.value(nil)}, lang.English); err != nil {
			s.Bad(at, "step %s: argument %s: %v", step, p.Name, err)
		}
	}
}

// value is the argument once the workflow's own are known; nil for one that is left out.
func (a Arg) value(args map[string]any) any {
	if a.Literal != nil {
		return a.Literal
	}
	if only := a.Text.Only(); only != "" {
		return args[only]
	}
	return a.Text.String(args, nil)
}

// args are the arguments of an order once the workflow's own are known.
func (o Order) args(args map[string]any) map[string]any {
	out := map[string]any{}
	for name, a := range o.Args {
		if v := a.value(args); v != nil {
			out[name] = v
		}
	}
	return out
}

// title is what a person reads.
func (s Step) title(t lang.Tag) string {
	if s.Title.Empty() {
		return s.Name
	}
	return s.Title.In(t)
}

// back is the name of a step's way back.
func (s Step) back() string { return undoPrefix + s.Name }
