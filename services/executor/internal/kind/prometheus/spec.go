package prometheus

import (
	_ "embed"
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"time"

	"palmops/libs/conf"
	"palmops/libs/lang"
	"palmops/services/executor/catalog"
	"palmops/services/executor/internal/endpoint"
)

// Name is what a catalog calls the kind, and Targets where it names the servers.
const (
	Name    = "prometheus"
	Targets = "prometheus"
)

// Verbs. All of them take the parameters that an action declares and its query has places for.
const (
	verbValue = "value" // fields, or items by a label: an instant query
	verbQuery = "query" // a report: an instant query as a table
	verbChart = "chart" // a report: a range query as a picture
)

// Limits of a range, in minutes and as time.
const (
	minRange     = 5
	maxRange     = 43200
	defaultRange = time.Hour
	rangeName    = "range"
)

// Target is one server of Prometheus, or another that has its API.
type Target struct {
	endpoint.Target
	Font string // a file with Chinese glyphs, tried before chart.Fonts; "" for none
}

// Settings are what a catalog fixes for one action.
type Settings struct {
	Query  query
	Title  lang.Words // the action's name when empty
	Unit   unit
	Legend string        // label names in {{ }}; "" for all labels
	Label  string        // of value: items by this label; "" for fields
	Range  time.Duration // of chart, when the argument range is not given
}

type settings struct {
	Query  string         `yaml:"query"`
	Title  catalog.Words  `yaml:"title"`
	Unit   string         `yaml:"unit"`
	Legend string         `yaml:"legend"`
	Label  string         `yaml:"label"`
	Range  *conf.Duration `yaml:"range"`
}

//go:embed schema.json
var schemaFile []byte

// Spec is what a catalog may say about this kind.
func Spec() catalog.Spec {
	least, most := int64(minRange), int64(maxRange)
	return catalog.Spec{
		Name: Name, Targets: Targets, Target: readTarget,
		Verbs: map[string]catalog.Verb{
			verbValue: {Class: catalog.Question, Open: true, Settings: reads("label", "legend")},
			verbQuery: {Class: catalog.Report, Open: true, Settings: reads("legend")},
			verbChart: {
				Class: catalog.Report, Open: true, Settings: reads("legend", "range"),
				Params: []catalog.Need{{Name: rangeName, Type: catalog.TypeInt, Optional: true, Min: &least, Max: &most}},
			},
		},
		Schema: schema(),
	}
}

// schema is schema.json with the form of a target, which has a font besides what every service has.
func schema() []byte {
	var doc, target, properties map[string]json.RawMessage
	for out, data := range map[*map[string]json.RawMessage][]byte{&doc: schemaFile, &target: endpoint.Schema()} {
		if err := json.Unmarshal(data, out); err != nil {
			panic("prometheus: schema: " + err.Error()) // a part of the program
		}
	}
	if err := json.Unmarshal(target["properties"], &properties); err != nil {
		panic("prometheus: schema: " + err.Error())
	}
	properties["font"] = json.RawMessage(`{"type": "string", "description": "File of a font with Chinese glyphs."}`)
	target["properties"] = encoded(properties)
	doc["target"] = encoded(target)
	return encoded(doc)
}

func encoded(v any) []byte {
	data, err := json.Marshal(v)
	if err != nil {
		panic("prometheus: schema: " + err.Error())
	}
	return data
}

func readTarget(s *catalog.Section) any {
	var in struct {
		endpoint.Form `yaml:",inline"`
		Font          string `yaml:"font"`
	}
	s.Decode(&in)
	return Target{Target: in.Read(s), Font: s.Near(in.Font)}
}

var (
	labelName = regexp.MustCompile(`\A[a-zA-Z_][a-zA-Z0-9_]*\z`)
	place     = regexp.MustCompile(`\{\{\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*\}\}`)
)

// reads makes the reader of a verb's settings, which may have the given keys besides query, title and unit.
func reads(allowed ...string) func(*catalog.Section, catalog.Action) any {
	return func(s *catalog.Section, a catalog.Action) any {
		var in settings
		s.Decode(&in)
		for key, given := range map[string]bool{"legend": in.Legend != "", "label": in.Label != "", "range": in.Range != nil} {
			if given && !slices.Contains(allowed, key) {
				s.Bad(s.At(key), "the verb %s takes no setting %s", a.Verb, key)
			}
		}
		out := Settings{Title: lang.Words(in.Title), Legend: in.Legend, Label: in.Label, Range: defaultRange}
		var err error
		if out.Query, err = parseQuery(in.Query); err != nil {
			s.Bad(s.At("query"), "%v", err)
		}
		for _, name := range out.Query.text.Names() {
			if p, ok := a.Param(name); !ok || p.Optional || name == rangeName {
				s.Bad(s.At("query"), "${%s} must be a parameter of the action that is not optional, and not %s", name, rangeName)
			}
		}
		var known bool
		if out.Unit, known = units[in.Unit]; !known {
			s.Bad(s.At("unit"), "unit must be one of percent, ratio, bytes, seconds, short")
		}
		if in.Label != "" && !labelName.MatchString(in.Label) {
			s.Bad(s.At("label"), "%q is not the name of a label", in.Label)
		}
		if strings.Contains(place.ReplaceAllString(in.Legend, ""), "{{") || strings.ContainsAny(in.Legend, "\r\n\t") {
			s.Bad(s.At("legend"), "legend must be one line with label names such as {{pod}}")
		}
		if t := out.Title; len(t.ZH) > 200 || len(t.EN) > 200 || strings.ContainsAny(t.ZH+t.EN, "\r\n\t") {
			s.Bad(s.At("title"), "title must be one line of at most 200 bytes")
		}
		if in.Range != nil {
			if out.Range = time.Duration(*in.Range); out.Range < minRange*time.Minute || out.Range > maxRange*time.Minute {
				s.Bad(s.At("range"), "range must be %dm to %dm", minRange, maxRange)
			}
		}
		return out
	}
}
