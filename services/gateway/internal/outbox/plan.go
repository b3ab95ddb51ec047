package outbox

import (
	_ "embed"
	"time"

	"palmops/libs/lang"
	"palmops/libs/wecom"
	"palmops/libs/wire"
	"palmops/services/gateway/internal/render"
)

//go:embed texts.yaml
var textsFile []byte

var texts = lang.MustLoad(textsFile)

// step is one message to WeCom: a text, a card, a file, or an image, which is a file that is shown. A card has the text that
// stands in for it.
type step struct {
	text    string
	card    *wecom.Card
	instead []step
	file    *wire.File
	image   bool   // file is one
	media   string // of the file, once it is uploaded
	tries   int    // of the file's upload
}

// plan is the messages that an Outbound becomes, in their order. Screens that are no cards go out together.
func plan(cards bool, out wire.Outbound) []step {
	t := lang.Of(out.Lang)
	asCards := make([]*wecom.Card, len(out.Screens))
	pushOnly := out.Card != nil // it answers a press, as only a push can
	if cards {
		for i, s := range out.Screens {
			if c, ok := render.Card(s, t); ok {
				asCards[i], pushOnly = toCard(s.Card, c), true
			}
		}
	}
	late := ""
	// Only what could have come as an answer is late.
	if out.InReplyTo != "" && out.SentAt > 0 && !pushOnly {
		late = render.Late(out.SaidText, time.Unix(out.SentAt, 0), t) + "\n"
	}
	var steps []step
	if out.Image != nil {
		steps = append(steps, step{file: out.Image, image: true})
	}
	var together []wire.Screen
	flush := func() {
		if text := render.Text(together, t); text != "" {
			steps = append(steps, textSteps(late+text)...)
			late = ""
		}
		together = nil
	}
	for i, s := range out.Screens {
		if asCards[i] == nil {
			together = append(together, s)
			continue
		}
		flush()
		steps = append(steps, step{card: asCards[i], instead: textSteps(render.Text(out.Screens[i:i+1], t))})
	}
	flush()
	if out.File != nil {
		steps = append(steps, step{file: out.File})
	}
	return steps
}

func textSteps(text string) []step {
	var steps []step
	for _, p := range render.Parts(text, wecom.MaxText) {
		steps = append(steps, step{text: p})
	}
	return steps
}

func toCard(task string, c render.ButtonCard) *wecom.Card {
	card := &wecom.Card{TaskID: task, Title: c.Title, Desc: c.Desc, SubTitle: c.Sub}
	for _, b := range c.Buttons {
		card.Buttons = append(card.Buttons, wecom.CardButton{Text: b.Text, Key: b.Key})
	}
	return card
}
