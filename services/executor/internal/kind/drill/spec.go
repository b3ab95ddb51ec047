package drill

import (
	_ "embed"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"palmops/libs/conf"
	"palmops/libs/lang"
	"palmops/services/executor/catalog"
)

// Name is what a catalog calls the kind.
const Name = "drill"

// Verbs. All of them take any parameter besides those that they know.
const (
	verbRun   = "run"   // waits, says its arguments, and prints as many lines as it was asked for
	verbShow  = "show"  // a report: the same, and with image a small picture
	verbList  = "list"  // items: those of the settings, or item-0001 and so on
	verbState = "state" // fields: those of the settings
	verbGuide = "guide" // a remote node: the decision tree of the settings
)

// Limits of a drill.
const (
	MaxSeconds      = 600
	MaxLines        = 20000
	MaxItems        = 5000
	maxDelay        = time.Minute
	maxGuideDepth   = 20
	maxGuideAnswers = 50
)

// Settings are what a catalog fixes for one drill.
type Settings struct {
	Items  []string          // of list
	Fields map[string]string // of state
	Delay  time.Duration     // before an answer
	Guide  *Guide            // of guide
}

// Guide is one place in a troubleshooting guide: a question with answers, or an end.
type Guide struct {
	Title   lang.Words // only the first place has one
	Text    lang.Words // lines; may be empty where there is a question
	Ask     lang.Words
	Answers []Answer
	Value   string // of an end: what the remote node is left with; without one the person reads Text and goes back
}

// Answer is one way on from a place in a guide.
type Answer struct {
	Key  string // unique among its neighbours; what was typed so far is written with it
	Say  lang.Words
	Then Guide
}

type settings struct {
	Items  []string          `yaml:"items"`
	Fields map[string]string `yaml:"fields"`
	Delay  *conf.Duration    `yaml:"delay"`
	Guide  *guide            `yaml:"guide"`
}

type guide struct {
	Title   catalog.Words `yaml:"title"`
	Text    catalog.Words `yaml:"text"`
	Ask     catalog.Words `yaml:"ask"`
	Answers []answer      `yaml:"answers"`
	Value   string        `yaml:"value"`
}

type answer struct {
	Key  string        `yaml:"key"`
	Say  catalog.Words `yaml:"say"`
	Then guide         `yaml:"then"`
}

//go:embed schema.json
var schema []byte

// Spec is what a catalog may say about this kind.
func Spec() catalog.Spec {
	return catalog.Spec{Name: Name, Schema: schema, Verbs: map[string]catalog.Verb{
		verbRun: {Class: catalog.Change, Open: true, Params: []catalog.Need{
			catalog.Optional("seconds", MaxSeconds), catalog.Optional("lines", MaxLines),
		}},
		verbShow: {Class: catalog.Report, Open: true, Params: []catalog.Need{
			catalog.Optional("seconds", MaxSeconds), catalog.Optional("lines", MaxLines), {Name: "image", Type: catalog.TypeBool, Optional: true},
		}},
		verbList: {Class: catalog.Question, Open: true, Settings: reads("items", "delay"), Params: []catalog.Need{
			catalog.Optional("count", MaxItems), {Name: "parent", Type: catalog.TypeString, Optional: true},
		}},
		verbState: {Class: catalog.Question, Open: true, Settings: reads("fields", "delay")},
		verbGuide: {Class: catalog.Question, Node: true, Settings: reads("guide", "delay")},
	}}
}

// reads makes the reader of a verb's settings, which may have the given keys.
func reads(allowed ...string) func(*catalog.Section, catalog.Action) any {
	return func(s *catalog.Section, _ catalog.Action) any { return readSettings(s, allowed) }
}

func readSettings(s *catalog.Section, allowed []string) Settings {
	var in settings
	s.Decode(&in)
	for key, given := range map[string]bool{
		"items": in.Items != nil, "fields": in.Fields != nil, "delay": in.Delay != nil, "guide": in.Guide != nil,
	} {
		if given && !slices.Contains(allowed, key) {
			s.Bad(s.At(key), "the verb takes no setting %s", key)
		}
	}
	out := Settings{Items: in.Items, Fields: in.Fields}
	if in.Delay != nil {
		if out.Delay = time.Duration(*in.Delay); out.Delay > maxDelay {
			s.Bad(s.At("delay"), "delay must be at most %s", maxDelay)
		}
	}
	if len(in.Items) > MaxItems {
		s.Bad(s.At("items"), "there may be at most %d items", MaxItems)
	}
	for i, item := range in.Items {
		if item == "" || slices.Contains(in.Items[:i], item) {
			s.Bad(s.At("items", strconv.Itoa(i)), "item %q is empty or there twice", item)
		}
	}
	switch {
	case in.Guide != nil:
		g := readGuide(s, s.At("guide"), *in.Guide, 1)
		out.Guide = &g
	case slices.Contains(allowed, "guide"):
		s.Bad(nil, "settings.guide must hold the guide")
	}
	return out
}

var answerKey = regexp.MustCompile(`\A[a-z0-9][a-z0-9_]{0,31}\z`)

// readGuide reads one place and all behind it.
func readGuide(s *catalog.Section, path []string, in guide, depth int) Guide {
	out := Guide{Title: lang.Words(in.Title), Text: lang.Words(in.Text), Ask: lang.Words(in.Ask), Value: in.Value}
	end := len(in.Answers) == 0
	switch {
	case depth > maxGuideDepth:
		s.Bad(path, "the guide goes deeper than %d questions", maxGuideDepth)
		return out
	case depth > 1 && !out.Title.Empty():
		s.Bad(append(path, "title"), "only the first place of a guide has a title")
	case end && !out.Ask.Empty():
		s.Bad(path, "a question without answers")
	case end && out.Text.Empty() && out.Value == "":
		s.Bad(path, "a guide ends with text or a value")
	case !end && (out.Ask.Empty() || out.Value != ""):
		s.Bad(path, "answers need a question under ask, and only an end has a value")
	case len(in.Answers) > maxGuideAnswers:
		s.Bad(append(path, "answers"), "at most %d answers", maxGuideAnswers)
	}
	keys := map[string]bool{}
	for i, a := range in.Answers {
		p := append(slices.Clone(path), "answers", strconv.Itoa(i))
		if !answerKey.MatchString(a.Key) || keys[a.Key] {
			s.Bad(append(p, "key"), "answer %q: a key is 1 to 32 of a-z 0-9 _, and each is there once", a.Key)
		}
		keys[a.Key] = true
		say := lang.Words(a.Say)
		if say.Empty() || strings.Contains(say.ZH+say.EN, "\n") {
			s.Bad(append(p, "say"), "answer %q needs say, one line", a.Key)
		}
		out.Answers = append(out.Answers, Answer{Key: a.Key, Say: say, Then: readGuide(s, append(p, "then"), a.Then, depth+1)})
	}
	return out
}
