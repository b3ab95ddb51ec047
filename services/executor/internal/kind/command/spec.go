package command

import (
	_ "embed"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"palmops/libs/conf"
	"palmops/libs/lang"
	"palmops/services/executor/catalog"
	"palmops/services/executor/internal/fill"
)

// Name is what a catalog calls the kind.
const Name = "command"

// Verbs. All of them take any parameters; each must have a place in the settings.
const (
	verbRun    = "run"    // a command that changes something
	verbShow   = "show"   // one that only reads; its output is the result
	verbList   = "list"   // items: one for each line, value, label and detail divided by tabs
	verbFields = "fields" // fields: lines KEY=VALUE
)

// Limits.
const (
	maxArgv      = 64
	maxNice      = 19
	maxGrace     = 10 * time.Second
	defaultGrace = 5 * time.Second
	maxSay       = 300 // bytes
)

// Settings are what a catalog fixes for one command.
type Settings struct {
	Argv     []fill.Text
	User     string // name, uid or uid:gid; "" for the executor's own
	Root     bool   // the command may run as root
	Dir      string
	Env      map[string]string
	EnvFiles map[string]string // variable to the path of a private file with its value
	Exit     map[int]Outcome
	Probe    *Probe        // of run
	On       fill.Text     // of run: what the command changes; empty for the action itself
	Look     lang.Words    // of run: what a person should look at when nobody can tell
	Progress string        // of run and show: what lines of progress begin with; "" for every line
	Grace    time.Duration // of run and show: from the request to end to the end by force
	Nice     int
}

// Outcome says what an exit code means.
type Outcome struct {
	Means string     // meansDone, meansNothing or meansUnknown
	Say   lang.Words // besides the usual sentence
}

// What an exit code can mean.
const (
	meansDone    = "done"    // all of it was done
	meansNothing = "nothing" // surely nothing was changed
	meansUnknown = "unknown" // the probe decides
)

// Probe tells whether a command took effect that nobody saw end: by the exit code of Argv (0 yes, 1 surely not), or, with
// Reads, by another output than before.
type Probe struct {
	Argv  []fill.Text
	Reads bool
	Same  string // with Reads, what the same output means: meansNothing or meansUnknown
}

type settings struct {
	Argv     []string           `yaml:"argv"`
	User     string             `yaml:"user"`
	Root     bool               `yaml:"root"`
	Dir      *string            `yaml:"dir"`
	Env      map[string]string  `yaml:"env"`
	EnvFiles map[string]string  `yaml:"env_files"`
	Exit     map[string]outcome `yaml:"exit"`
	Probe    *probe             `yaml:"probe"`
	On       *string            `yaml:"on"`
	Look     *catalog.Words     `yaml:"look"`
	Progress *string            `yaml:"progress"`
	Grace    *conf.Duration     `yaml:"grace"`
	Nice     *int               `yaml:"nice"`
}

type probe struct {
	Argv []string `yaml:"argv"`
	Read []string `yaml:"read"`
	Same *string  `yaml:"same"`
}

type outcome struct {
	Means string        `yaml:"means"`
	Say   catalog.Words `yaml:"say"`
}

// UnmarshalYAML takes a meaning alone as well.
func (o *outcome) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode {
		o.Means = n.Value
		return nil
	}
	type plain outcome
	return n.Load((*plain)(o), yaml.WithKnownFields(), yaml.WithUniqueKeys())
}

//go:embed schema.json
var schema []byte

// Spec is what a catalog may say about this kind.
func Spec() catalog.Spec {
	verb := func(class catalog.Class, more ...string) catalog.Verb {
		return catalog.Verb{Class: class, Open: true, Settings: func(s *catalog.Section, a catalog.Action) any { return read(s, a, more) }}
	}
	return catalog.Spec{Name: Name, Schema: schema, Verbs: map[string]catalog.Verb{
		verbRun:    verb(catalog.Change, "probe", "on", "look", "progress", "grace"),
		verbShow:   verb(catalog.Report, "progress", "grace"),
		verbList:   verb(catalog.Question),
		verbFields: verb(catalog.Question),
	}}
}

var (
	userForm = regexp.MustCompile(`\A([a-z_][a-z0-9_.-]{0,31}|[0-9]{1,9}(:[0-9]{1,9})?)\z`)
	envForm  = regexp.MustCompile(`\A[A-Za-z_][A-Za-z0-9_]{0,63}\z`)
)

// shells are programs that would read an argument as a line of commands.
var shells = []string{"sh", "bash", "rbash", "dash", "ash", "zsh", "ksh", "mksh", "csh", "tcsh", "fish", "busybox", "eval"}

// reading is one section of settings while it is read.
type reading struct {
	*catalog.Section
	a    catalog.Action
	used map[string]bool // parameters that have a place
}

func read(s *catalog.Section, a catalog.Action, more []string) Settings {
	var in settings
	if !s.Decode(&in) {
		return Settings{}
	}
	r := reading{Section: s, a: a, used: map[string]bool{}}
	for key, given := range map[string]bool{
		"probe": in.Probe != nil, "on": in.On != nil, "look": in.Look != nil, "progress": in.Progress != nil, "grace": in.Grace != nil,
	} {
		if given && !slices.Contains(more, key) {
			s.Bad(s.At(key), "the verb %s takes no setting %s", a.Verb, key)
		}
	}
	out := Settings{
		Argv: r.argv(in.Argv, "argv"), User: in.User, Root: in.Root, Dir: "/", Env: in.Env, EnvFiles: map[string]string{},
		Exit: r.exit(in.Exit), Grace: defaultGrace,
	}
	r.probe(in.Probe, &out)
	if in.On != nil {
		out.On = r.text(*in.On, "on")
		if *in.On == "" {
			s.Bad(s.At("on"), "on is empty")
		}
	}
	for _, p := range a.Params {
		if !r.used[p.Name] {
			s.Bad(nil, "the parameter %s has no place in the settings", p.Name)
		}
	}
	r.surroundings(in, &out)
	return out
}

// surroundings are what a process has besides its arguments.
func (r reading) surroundings(in settings, out *Settings) {
	if in.User != "" && !userForm.MatchString(in.User) {
		r.Bad(r.At("user"), "user %q is neither a name nor uid:gid", in.User)
	}
	if in.Dir != nil {
		if out.Dir = *in.Dir; !filepath.IsAbs(out.Dir) || strings.ContainsRune(out.Dir, 0) {
			r.Bad(r.At("dir"), "dir %q is not an absolute path", out.Dir)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(in.Env)) {
		if !envForm.MatchString(key) || key == marker || strings.ContainsRune(in.Env[key], 0) {
			r.Bad(r.At("env", key), "env: %q is no variable, or its value holds a NUL", key)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(in.EnvFiles)) {
		_, twice := in.Env[key]
		if !envForm.MatchString(key) || key == marker || twice || in.EnvFiles[key] == "" {
			r.Bad(r.At("env_files", key), "env_files: %q is no variable, is in env as well, or names no file", key)
		}
		out.EnvFiles[key] = r.Near(in.EnvFiles[key])
	}
	if in.Look != nil {
		if out.Look = lang.Words(*in.Look); !sentence(out.Look) || out.Look.Empty() {
			r.Bad(r.At("look"), "look must be one line of at most %d bytes", maxSay)
		}
	}
	if in.Progress != nil {
		out.Progress = *in.Progress
	}
	if in.Grace != nil {
		if out.Grace = time.Duration(*in.Grace); out.Grace > maxGrace {
			r.Bad(r.At("grace"), "grace must be at most %s", maxGrace)
		}
	}
	if in.Nice != nil {
		if out.Nice = *in.Nice; out.Nice < 0 || out.Nice > maxNice {
			r.Bad(r.At("nice"), "nice must be 0 to %d", maxNice)
		}
	}
}

// text reads one text with places for parameters.
func (r reading) text(s string, path ...string) fill.Text {
	t, err := fill.Parse(s)
	if err != nil {
		r.Bad(path, "%v", err)
		return t
	}
	for _, name := range t.Names() {
		if _, known := r.a.Param(name); !known {
			r.Bad(path, "there is no parameter %q", name)
		}
		r.used[name] = true
	}
	return t
}

// argv reads a command: the program is literal and absolute, and no shell.
func (r reading) argv(in []string, path ...string) []fill.Text {
	if len(in) == 0 || len(in) > maxArgv {
		r.Bad(path, "%s must hold 1 to %d elements", strings.Join(path, "."), maxArgv)
		return nil
	}
	out := make([]fill.Text, len(in))
	for i, s := range in {
		at := append(slices.Clone(path), strconv.Itoa(i))
		if strings.ContainsRune(s, 0) {
			r.Bad(at, "an element holds a NUL")
		}
		out[i] = r.text(s, at...)
	}
	program := out[0].String(nil, nil)
	switch {
	case len(out[0].Names()) > 0:
		r.Bad(append(slices.Clone(path), "0"), "the program itself cannot be a parameter")
	case !filepath.IsAbs(program) || filepath.Clean(program) != program:
		r.Bad(append(slices.Clone(path), "0"), "the program must be an absolute path such as /usr/bin/systemctl")
	case slices.Contains(shells, filepath.Base(program)):
		r.Bad(append(slices.Clone(path), "0"), "%s is a shell: name the program itself, or a script of your own", program)
	}
	return out
}

func (r reading) exit(in map[string]outcome) map[int]Outcome {
	out := map[int]Outcome{0: {Means: meansDone}}
	for _, key := range slices.Sorted(maps.Keys(in)) {
		code, err := strconv.Atoi(key)
		if err != nil || code < 0 || code > 255 || strconv.Itoa(code) != key {
			r.Bad(r.At("exit", key), "exit: %q is no code from 0 to 255", key)
			continue
		}
		o := Outcome{Means: in[key].Means, Say: lang.Words(in[key].Say)}
		if !slices.Contains([]string{meansDone, meansNothing, meansUnknown}, o.Means) {
			r.Bad(r.At("exit", key), "exit: %q must be %s, %s or %s", o.Means, meansDone, meansNothing, meansUnknown)
		}
		if !sentence(o.Say) {
			r.Bad(r.At("exit", key), "exit: say must be one line of at most %d bytes", maxSay)
		}
		out[code] = o
	}
	return out
}

func (r reading) probe(in *probe, out *Settings) {
	if in == nil {
		return
	}
	p := &Probe{Reads: in.Read != nil, Same: meansUnknown}
	switch {
	case (in.Argv == nil) == (in.Read == nil):
		r.Bad(r.At("probe"), "probe needs argv or read, one of them")
		return
	case p.Reads:
		p.Argv = r.argv(in.Read, "probe", "read")
	default:
		p.Argv = r.argv(in.Argv, "probe", "argv")
	}
	if in.Same != nil {
		if p.Same = *in.Same; !p.Reads || p.Same != meansNothing && p.Same != meansUnknown {
			r.Bad(r.At("probe", "same"), "same belongs to read, and must be %s or %s", meansNothing, meansUnknown)
		}
	}
	out.Probe = p
}

// sentence reports whether words fit into a message.
func sentence(w lang.Words) bool {
	return len(w.ZH) <= maxSay && len(w.EN) <= maxSay && !strings.ContainsAny(w.ZH+w.EN, "\n\r\x00")
}
