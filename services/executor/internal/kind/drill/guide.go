package drill

import (
	"slices"
	"strings"

	"palmops/libs/lang"
	"palmops/libs/wire"
)

// view is what a guide shows after the answers typed so far, each by its key.
func view(root *Guide, typed []string, t lang.Tag) *wire.View {
	at := root
	for _, key := range typed {
		if len(at.Answers) == 0 {
			return &wire.View{Refuse: texts.Say(t, "guide.end")}
		}
		i := slices.IndexFunc(at.Answers, func(a Answer) bool { return a.Key == key })
		if i < 0 {
			return &wire.View{Refuse: texts.Say(t, "guide.refuse", key)}
		}
		at = &at.Answers[i].Then
	}
	v := &wire.View{Title: root.Title.In(t), Done: at.Value != "", Value: at.Value}
	for _, words := range []lang.Words{at.Text, at.Ask} {
		if text := strings.TrimRight(words.In(t), "\n"); text != "" {
			v.Body = append(v.Body, strings.Split(text, "\n")...)
		}
	}
	for _, a := range at.Answers {
		v.Items = append(v.Items, wire.Item{Value: a.Key, Label: a.Say.In(t)})
	}
	return v
}
