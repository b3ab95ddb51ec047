package flow

import (
	_ "embed"

	"palmops/libs/lang"
	"palmops/libs/wire"
	"palmops/services/dialog/menu"
)

//go:embed texts.yaml
var textFile []byte

var texts = lang.MustLoad(textFile)

// maxRule is how many characters of a rule the help shows: it fits one message.
const maxRule = 60

// help is what can be typed; at an input, what may be typed there first. Behind it stand the executors.
func (t *turn) help(step *menu.Step) (s wire.Screen, need *Question) {
	online, need := t.online()
	if need != nil {
		return wire.Screen{}, need
	}
	s = wire.Screen{Kind: wire.ScreenNotice, Title: t.say("help.title")}
	if step != nil && step.Input != nil {
		for _, rule := range t.rules(step.Input) {
			s.Body = append(s.Body, t.say("help.here", clean(rule, maxRule)))
		}
		if hint := step.Input.Hint.In(t.lang); hint != "" {
			s.Body = append(s.Body, t.say("help.here", clean(hint, maxRule)))
		}
	}
	back := t.say("help.back")
	if t.m.First == 0 {
		back = t.say("help.back_word")
	}
	s.Body = append(s.Body, t.say("help.number"), t.say("help.way"), back, t.say("help.home"), t.say("help.pages"), t.say("help.exit"),
		t.say("help.search"), t.say("help.filter"), t.say("help.multi"), t.say("help.rooms"), t.say("help.favourites"), t.say("help.settings"),
		t.say("help.default"), t.say("help.escape"), t.say("help.confirm"), t.say("help.noop"), t.say("help.report"))
	s.Body = append(s.Body, online...)
	return s, nil
}
