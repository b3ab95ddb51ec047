package catalog

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"palmops/libs/conf"
)

// Class says what the actions of a verb do to the world.
type Class string

// Classes.
const (
	// Question only reads, and is asked and answered at once: lists, current values, remote nodes.
	Question Class = "question"
	// Report only reads too, but takes its time or prints much: it is ordered like a change, needs no confirmation, waits for
	// no lock, and has nothing to be unsure about.
	Report Class = "report"
	// Change acts.
	Change Class = "change"
)

// Spec is a kind of actions as far as the catalog must know it. Each kind's package has a function that returns its own.
type Spec struct {
	Name string // what stands under kind
	// Targets is the key under targets whose entries the kind works on, such as clusters; "" for a kind without targets.
	Targets string
	// Target reads one entry; what it returns comes back as Action.On and from Targets. Nil with Targets "".
	Target func(s *Section) any
	Verbs  map[string]Verb
	// Check holds an action against the rest of the catalog, once all of it has been read; may be nil.
	Check func(c *Catalog, a Action, s *Section)
	// Schema is a JSON Schema fragment for editors: {"target": {…}, "settings": {"<verb>": {…}}, "$defs": {…}}; what is left out
	// is an object with any keys. Names under $defs begin with the kind's name; those of the catalog's own schema (text, words,
	// said, duration, place) may be referred to. Settings with required keys make the action's settings required.
	Schema []byte
}

// Verb is one thing that a kind can do.
type Verb struct {
	Class  Class
	Params []Need
	Open   bool // an action may declare other parameters than Params, of any type
	// Node says that the verb answers with a wire.View and takes NodeInputs and NodeLang, which no action declares.
	Node bool
	// Settings reads what an action fixes; what it returns comes back as Action.Settings. The action's Params and On are known by
	// then. It is called without settings in the file as well. Nil when the verb has none.
	Settings func(s *Section, a Action) any
}

// Arguments of a remote node; see wire.View.
const (
	NodeInputs = "inputs"
	NodeLang   = "lang"
)

// Need is one argument that a verb takes.
type Need struct {
	Name     string
	Type     string
	Optional bool // an action may leave it out of its params, or make it optional
	// Min and Max bound an int whatever the action says.
	Min, Max *int64
	// Allow bounds a string by the target: the action may only narrow it. Nil for no such bound, and for one that returns nil.
	Allow func(target any) []string
	// Pattern, a name or an expression as in a catalog, bounds a string for which the action says nothing.
	Pattern string
	// Long lets a text have up to MaxLong bytes instead of MaxText.
	Long bool
}

// Kinds are the kinds that a catalog may use.
type Kinds []Spec

func (ks Kinds) find(name string) (Spec, bool) {
	i := slices.IndexFunc(ks, func(s Spec) bool { return s.Name == name })
	if i < 0 {
		return Spec{}, false
	}
	return ks[i], true
}

func (ks Kinds) names() string {
	var out []string
	for _, s := range ks {
		out = append(out, s.Name)
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

// Section is one part of a catalog that a kind reads by itself: an entry under targets, or the settings of an action.
type Section struct {
	Name string // of the target or action
	r    *reader
	node *yaml.Node // nil when the file says nothing
	path []string
	what string
}

// Given reports whether the file says anything.
func (s *Section) Given() bool { return s.node != nil }

// Decode reads the section strictly into a pointer to a struct with yaml tags; false when there were mistakes, which are
// reported. Of a section that is not given nothing is read.
func (s *Section) Decode(out any) bool {
	if s.node == nil {
		return true
	}
	err := conf.DecodeNode(s.r.file, s.node, out)
	s.r.ps.Merge(s.r.file, err)
	return err == nil
}

// At is a place in the section for Bad: keys, and indexes of lists from 0 in decimal.
func (s *Section) At(path ...string) []string { return path }

// Bad reports a mistake at a place of the section, nil for the whole of it. The sentence begins with what the section is.
func (s *Section) Bad(at []string, format string, args ...any) {
	s.r.bad(append(slices.Clone(s.path), at...), s.what+": "+format, args...)
}

// Near resolves a path of the file system that is meant relative to the catalog.
func (s *Section) Near(path string) string { return conf.Near(s.r.file, path) }

// Optional is an optional int from 0 to a limit.
func Optional(name string, limit int64) Need {
	return Need{Name: name, Type: TypeInt, Optional: true, Min: new(int64), Max: &limit}
}
