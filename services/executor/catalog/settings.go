package catalog

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"palmops/libs/conf"
	"palmops/libs/lang"
)

// Limits of settings.
const (
	MaxDelay        = time.Minute
	MaxGuideDepth   = 20
	MaxGuideAnswers = 50
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
	Title   words    `yaml:"title"`
	Text    words    `yaml:"text"`
	Ask     words    `yaml:"ask"`
	Answers []answer `yaml:"answers"`
	Value   string   `yaml:"value"`
}

type answer struct {
	Key  string `yaml:"key"`
	Say  words  `yaml:"say"`
	Then guide  `yaml:"then"`
}

// words is one text, or a text in each language: {zh: …, en: …}.
type words lang.Words

func (w *words) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode {
		w.ZH = n.Value
		return nil
	}
	if n.Kind != yaml.MappingNode {
		return fmt.Errorf("a text, or {zh: a text, en: a text}, is needed")
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i].Value, n.Content[i+1]
		switch {
		case value.Kind != yaml.ScalarNode:
			return fmt.Errorf("%s must be a text", key)
		case key == string(lang.Chinese):
			w.ZH = value.Value
		case key == string(lang.English):
			w.EN = value.Value
		default:
			return fmt.Errorf("there is no language %q; there are zh and en", key)
		}
	}
	return nil
}

// settings reads what an action fixes. The path is that of the action.
func (r *reader) settings(path []string, name string, in *settings, verb Verb) Settings {
	if in == nil {
		in = &settings{}
	}
	path = append(slices.Clone(path), "settings")
	at := func(key string) []string { return append(slices.Clone(path), key) }
	for key, given := range map[string]bool{
		"items": in.Items != nil, "fields": in.Fields != nil, "delay": in.Delay != nil, "guide": in.Guide != nil,
	} {
		if given && !slices.Contains(verb.Settings, key) {
			r.bad(at(key), "action %s: the verb takes no setting %s", name, key)
		}
	}
	out := Settings{Items: in.Items, Fields: in.Fields}
	if in.Delay != nil {
		if out.Delay = time.Duration(*in.Delay); out.Delay > MaxDelay {
			r.bad(at("delay"), "action %s: delay must be at most %s", name, MaxDelay)
		}
	}
	if len(in.Items) > MaxDrillItems {
		r.bad(at("items"), "action %s: there may be at most %d items", name, MaxDrillItems)
	}
	for i, item := range in.Items {
		if item == "" || slices.Contains(in.Items[:i], item) {
			r.bad(append(at("items"), strconv.Itoa(i)), "action %s: item %q is empty or there twice", name, item)
		}
	}
	switch {
	case in.Guide != nil:
		g := r.guide(at("guide"), name, *in.Guide, 1)
		out.Guide = &g
	case slices.Contains(verb.Settings, "guide"):
		r.bad(path, "action %s: settings.guide must hold the guide", name)
	}
	return out
}

var answerKey = regexp.MustCompile(`\A[a-z0-9][a-z0-9_]{0,31}\z`)

// guide reads one place and all behind it.
func (r *reader) guide(path []string, name string, in guide, depth int) Guide {
	out := Guide{Title: lang.Words(in.Title), Text: lang.Words(in.Text), Ask: lang.Words(in.Ask), Value: in.Value}
	end := len(in.Answers) == 0
	switch {
	case depth > MaxGuideDepth:
		r.bad(path, "action %s: the guide goes deeper than %d questions", name, MaxGuideDepth)
		return out
	case depth > 1 && !out.Title.Empty():
		r.bad(append(path, "title"), "action %s: only the first place of a guide has a title", name)
	case end && !out.Ask.Empty():
		r.bad(path, "action %s: a question without answers", name)
	case end && out.Text.Empty() && out.Value == "":
		r.bad(path, "action %s: a guide ends with text or a value", name)
	case !end && (out.Ask.Empty() || out.Value != ""):
		r.bad(path, "action %s: answers need a question under ask, and only an end has a value", name)
	case len(in.Answers) > MaxGuideAnswers:
		r.bad(append(path, "answers"), "action %s: at most %d answers", name, MaxGuideAnswers)
	}
	keys := map[string]bool{}
	for i, a := range in.Answers {
		p := append(slices.Clone(path), "answers", strconv.Itoa(i))
		if !answerKey.MatchString(a.Key) || keys[a.Key] {
			r.bad(append(p, "key"), "action %s: answer %q: a key is 1 to 32 of a-z 0-9 _, and each is there once", name, a.Key)
		}
		keys[a.Key] = true
		say := lang.Words(a.Say)
		if say.Empty() || strings.Contains(say.ZH+say.EN, "\n") {
			r.bad(append(p, "say"), "action %s: answer %q needs say, one line", name, a.Key)
		}
		out.Answers = append(out.Answers, Answer{Key: a.Key, Say: say, Then: r.guide(append(p, "then"), name, a.Then, depth+1)})
	}
	return out
}
