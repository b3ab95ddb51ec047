package command

import (
	"palmops/libs/conf"
	"palmops/libs/wire"
	dialog "palmops/services/dialog/app"
)

// answersDoc is answers.yaml: by action a list, the fields of one thing, or the page of a remote node; and under members
// and departments the lists of the directory.
type answersDoc map[string]struct {
	Items  []answerItem      `yaml:"items"`
	Fields map[string]string `yaml:"fields"`
	View   *answerView       `yaml:"view"`
}

// answerItem is one line of a list.
type answerItem struct {
	Value  string `yaml:"value"`
	Label  string `yaml:"label"`
	Detail string `yaml:"detail"`
}

// answerView is a page of a remote node: the same one, whatever was chosen before.
type answerView struct {
	Title string       `yaml:"title"`
	Body  []string     `yaml:"body"`
	Items []answerItem `yaml:"items"`
	Free  bool         `yaml:"free"`
	Done  bool         `yaml:"done"`
	Value string       `yaml:"value"`
}

// loadAnswers reads answers.yaml. The error is of type conf.Problems.
func loadAnswers(path string) (dialog.Answers, error) {
	var doc answersDoc
	if err := conf.Load(path, &doc); err != nil {
		return nil, err
	}
	answers := dialog.Answers{}
	for name, a := range doc {
		entry := answers[name]
		entry.Items, entry.Fields = wireItems(a.Items), a.Fields
		if v := a.View; v != nil {
			entry.View = &wire.View{Title: v.Title, Body: v.Body, Items: wireItems(v.Items), Free: v.Free, Done: v.Done, Value: v.Value}
		}
		answers[name] = entry
	}
	return answers, nil
}

func wireItems(list []answerItem) []wire.Item {
	var items []wire.Item
	for _, it := range list {
		items = append(items, wire.Item{Value: it.Value, Label: it.Label, Detail: it.Detail})
	}
	return items
}
