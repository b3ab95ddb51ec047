package http

import (
	_ "embed"
	"encoding/json"
	"maps"
	nethttp "net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/ohler55/ojg/jp"
	"go.yaml.in/yaml/v4"

	"palmops/libs/lang"
	"palmops/services/executor/catalog"
	"palmops/services/executor/internal/endpoint"
	"palmops/services/executor/internal/fill"
)

// Name is what a catalog calls the kind, and Targets where it names the services.
const (
	Name    = "http"
	Targets = "http"
)

// Verbs. All of them take the parameters that an action declares and its settings have places for.
const (
	verbGet    = "get"    // a report: the fields that were extracted, or the body
	verbFields = "fields" // fields: what the settings extract
	verbList   = "list"   // items: the elements of an array
	verbCall   = "call"   // a change: one request, and a probe if the settings have one
)

// actionID is the place for the action's own id, in calls.
const actionID = "action_id"

// Settings are what a catalog fixes for one action.
type Settings struct {
	Method      string
	Path        fill.Text // places are filled with escaped values and never add segments
	Query       []pair
	Body        *template // nil for none
	Expect      []int     // statuses of success; none for all from 200 to 299
	Extract     []field
	Text        map[lang.Tag]fill.Text // of arguments and extracted fields
	Idempotency string                 // header that carries the action's id; "" for none
	Object      fill.Text              // what is changed, for the lock; Path when empty
	Probe       *Probe

	Items, Value, Label, Detail jp.Expr // of a list
}

// Probe is a look at the service that tells whether a call has taken effect.
type Probe struct {
	Path         fill.Text
	Query        []pair
	Done, Undone Condition
}

// Condition holds when all that it names is so. One that names nothing never holds.
type Condition struct {
	Status []int
	Value  jp.Expr
	In     []fill.Text
}

type pair struct {
	key  string
	text fill.Text
}

type field struct {
	name string
	path jp.Expr
}

type settings struct {
	Method      string            `yaml:"method"`
	Path        string            `yaml:"path"`
	Query       map[string]string `yaml:"query"`
	Body        yaml.Node         `yaml:"body"`
	Expect      []int             `yaml:"expect"`
	Extract     map[string]string `yaml:"extract"`
	Text        catalog.Words     `yaml:"text"`
	Idempotency string            `yaml:"idempotency_header"`
	Object      string            `yaml:"object"`
	Probe       *probe            `yaml:"probe"`
	Items       string            `yaml:"items"`
	Value       string            `yaml:"value"`
	Label       string            `yaml:"label"`
	Detail      string            `yaml:"detail"`
}

type probe struct {
	Path   string            `yaml:"path"`
	Query  map[string]string `yaml:"query"`
	Done   condition         `yaml:"done"`
	Undone condition         `yaml:"undone"`
}

type condition struct {
	Status []int    `yaml:"status"`
	Value  string   `yaml:"value"`
	In     []string `yaml:"in"`
}

//go:embed schema.json
var schemaFile []byte

// Spec is what a catalog may say about this kind.
func Spec() catalog.Spec {
	return catalog.Spec{
		Name: Name, Targets: Targets,
		Target: func(s *catalog.Section) any {
			var in endpoint.Form
			s.Decode(&in)
			return in.Read(s)
		},
		Verbs: map[string]catalog.Verb{
			verbGet:    {Class: catalog.Report, Open: true, Settings: reads("method", "extract", "text")},
			verbFields: {Class: catalog.Question, Open: true, Settings: reads("extract")},
			verbList:   {Class: catalog.Question, Open: true, Settings: reads("items", "value", "label", "detail")},
			verbCall:   {Class: catalog.Change, Open: true, Settings: reads("method", "body", "extract", "text", "idempotency_header", "object", "probe")},
		},
		Schema: schema(),
	}
}

func schema() []byte {
	var doc map[string]json.RawMessage
	if err := json.Unmarshal(schemaFile, &doc); err != nil {
		panic("http: schema.json: " + err.Error()) // a part of the program
	}
	doc["target"] = endpoint.Schema()
	out, err := json.Marshal(doc)
	if err != nil {
		panic("http: schema.json: " + err.Error())
	}
	return out
}

// reads makes the reader of a verb's settings, which may have the given keys besides path, query and expect.
func reads(allowed ...string) func(*catalog.Section, catalog.Action) any {
	return func(s *catalog.Section, a catalog.Action) any {
		var in settings
		s.Decode(&in)
		for key, given := range map[string]bool{
			"method": in.Method != "", "body": in.Body.Kind != 0, "extract": in.Extract != nil, "text": !lang.Words(in.Text).Empty(),
			"idempotency_header": in.Idempotency != "", "object": in.Object != "", "probe": in.Probe != nil,
			"items": in.Items != "", "value": in.Value != "", "label": in.Label != "", "detail": in.Detail != "",
		} {
			if given && !slices.Contains(allowed, key) {
				s.Bad(s.At(key), "the verb %s takes no setting %s", a.Verb, key)
			}
		}
		r := reader{s: s, a: a, names: map[string]bool{actionID: a.Verb == verbCall}}
		for _, p := range a.Params {
			if p.Name == actionID {
				s.Bad(nil, "a parameter cannot be called %s: that is the place for the action's own id", actionID)
			}
			r.names[p.Name] = true
		}
		return r.settings(in)
	}
}

// reader makes Settings and reports mistakes.
type reader struct {
	s     *catalog.Section
	a     catalog.Action
	names map[string]bool // places that texts may have
}

var (
	fieldName   = regexp.MustCompile(`\A[a-z][a-z0-9_]{0,31}\z`)
	headerName  = regexp.MustCompile(`\A[A-Za-z][A-Za-z0-9-]{0,63}\z`)
	literalPath = regexp.MustCompile(`\A/[A-Za-z0-9\-._~!$&'()*+,;=:@%/]*\z`)
)

func (r reader) settings(in settings) Settings {
	out := Settings{
		Method: r.method(in.Method), Path: r.path(in.Path, "path"), Query: r.query(in.Query, "query"),
		Expect: r.statuses(in.Expect, "expect"), Extract: r.extract(in.Extract), Idempotency: nethttp.CanonicalHeaderKey(in.Idempotency),
	}
	if in.Idempotency != "" && !headerName.MatchString(in.Idempotency) {
		r.s.Bad(r.s.At("idempotency_header"), "%q is not the name of a header", in.Idempotency)
	}
	if in.Body.Kind != 0 {
		out.Body = r.body(&in.Body, r.s.At("body"))
	}
	out.Object = out.Path
	if in.Object != "" {
		out.Object = r.text(in.Object, false, "object")
	}
	if in.Probe != nil {
		out.Probe = r.probe(*in.Probe)
	}
	out.Text = r.words(lang.Words(in.Text), out.Extract)
	switch r.a.Verb {
	case verbFields:
		if len(out.Extract) == 0 {
			r.s.Bad(nil, "settings.extract must say which fields to answer with")
		}
	case verbList:
		out.Items, out.Value = r.json(in.Items, "items"), r.json(in.Value, "value")
		if in.Items == "" || in.Value == "" {
			r.s.Bad(nil, "settings.items and settings.value must say where the list is and what an item's value is")
		}
		if in.Label != "" {
			out.Label = r.json(in.Label, "label")
		}
		if in.Detail != "" {
			out.Detail = r.json(in.Detail, "detail")
		}
	}
	return out
}

func (r reader) method(m string) string {
	allowed := []string{nethttp.MethodGet, nethttp.MethodHead}
	if r.a.Verb == verbCall {
		allowed = []string{nethttp.MethodPost, nethttp.MethodPut, nethttp.MethodPatch, nethttp.MethodDelete}
	}
	if m == "" {
		return allowed[0]
	}
	if !slices.Contains(allowed, m) {
		r.s.Bad(r.s.At("method"), "method must be one of %s", strings.Join(allowed, ", "))
	}
	return m
}

// text reads a text with places. Whole says that it makes no sense with a value missing.
func (r reader) text(s string, optional bool, at ...string) fill.Text {
	t, err := fill.Parse(s)
	if err != nil {
		r.s.Bad(r.s.At(at...), "%v", err)
	}
	for _, name := range t.Names() {
		if !r.names[name] {
			r.s.Bad(r.s.At(at...), "${%s} is not a parameter of the action", name)
		}
		if p, ok := r.a.Param(name); ok && p.Optional && !optional {
			r.s.Bad(r.s.At(at...), "${%s} is optional and may be missing here", name)
		}
	}
	return t
}

// path reads a path below the base. Its literal parts are escaped already where they need it.
func (r reader) path(s string, at ...string) fill.Text {
	t := r.text(s, false, at...)
	literal := t.String(nil, nil) // the values are judged when they are known
	marked := t.String(marks(t), nil)
	if !strings.HasPrefix(marked, "/") || !literalPath.MatchString("/"+literal) || strings.Contains(marked, "//") ||
		slices.ContainsFunc(strings.Split(marked, "/"), dots) || !unescapes(marked) {
		r.s.Bad(r.s.At(at...), "path must begin with one slash and be a path such as /hosts/${host}, without query, //, . and ..")
	}
	return t
}

// marks gives every place a harmless value, so that what is around it can be judged.
func marks(t fill.Text) map[string]any {
	out := map[string]any{}
	for _, n := range t.Names() {
		out[n] = "x"
	}
	return out
}

func (r reader) query(in map[string]string, at ...string) []pair {
	var out []pair
	for _, key := range slices.Sorted(maps.Keys(in)) {
		if key == "" || strings.Contains(key, "${") {
			r.s.Bad(r.s.At(append(slices.Clone(at), key)...), "the name of a query value cannot be empty or have places")
		}
		out = append(out, pair{key: key, text: r.text(in[key], true, append(slices.Clone(at), key)...)})
	}
	return out
}

func (r reader) statuses(in []int, at ...string) []int {
	for i, n := range in {
		if n < 200 || n > 599 {
			r.s.Bad(r.s.At(append(slices.Clone(at), strconv.Itoa(i))...), "%d is not the status of an answer", n)
		}
	}
	return in
}

func (r reader) json(s string, at ...string) jp.Expr {
	x, err := parsePath(s)
	if err != nil {
		r.s.Bad(r.s.At(at...), "%q is not a JSON path such as $.status.phase", s)
	}
	return x
}

func (r reader) extract(in map[string]string) []field {
	var out []field
	for _, name := range slices.Sorted(maps.Keys(in)) {
		if !fieldName.MatchString(name) || r.names[name] {
			r.s.Bad(r.s.At("extract", name), "field %q: a name is 1 to 32 of a-z 0-9 _, and not a parameter's", name)
		}
		out = append(out, field{name: name, path: r.json(in[name], "extract", name)})
	}
	return out
}

func (r reader) words(w lang.Words, fields []field) map[lang.Tag]fill.Text {
	if w.Empty() {
		return nil
	}
	names := maps.Clone(r.names)
	for _, f := range fields {
		names[f.name] = true
	}
	out := map[lang.Tag]fill.Text{}
	for _, t := range []lang.Tag{lang.Chinese, lang.English} {
		out[t] = reader{s: r.s, a: r.a, names: names}.text(w.In(t), true, "text")
	}
	if len(w.ZH) > maxText || len(w.EN) > maxText || strings.Contains(w.ZH+w.EN, "\n") {
		r.s.Bad(r.s.At("text"), "text must be one line of at most %d bytes", maxText)
	}
	return out
}

func (r reader) probe(in probe) *Probe {
	out := &Probe{
		Path: r.path(in.Path, "probe", "path"), Query: r.query(in.Query, "probe", "query"),
		Done: r.condition(in.Done, "probe", "done"), Undone: r.condition(in.Undone, "probe", "undone"),
	}
	if out.Done.empty() {
		r.s.Bad(r.s.At("probe"), "probe.done must say by what status or value it is known that the call has taken effect")
	}
	return out
}

func (r reader) condition(in condition, at ...string) Condition {
	out := Condition{Status: r.statuses(in.Status, append(slices.Clone(at), "status")...)}
	if (in.Value == "") != (len(in.In) == 0) {
		r.s.Bad(r.s.At(at...), "value, a JSON path, and in, the texts that it may have, belong together")
	}
	if in.Value != "" {
		out.Value = r.json(in.Value, append(slices.Clone(at), "value")...)
	}
	for i, s := range in.In {
		out.In = append(out.In, r.text(s, false, append(slices.Clone(at), "in", strconv.Itoa(i))...))
	}
	return out
}
