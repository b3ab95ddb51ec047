package flow

import "palmops/libs/wire"

// maxButtons is how many choices a card can hold.
const maxButtons = 6

// card makes a card of a screen, where the person wants that and it has choices to press. Its id is new each time: of all
// cards that a person has, only the one of the newest screen does anything.
func (t *turn) card(s *wire.Screen) {
	t.s.Screen.Card = ""
	if n := len(s.Choices); !t.cards() || n == 0 || n > maxButtons && s.Kind != wire.ScreenConfirm {
		return
	}
	t.s.Screen.Card = wire.DeriveID("card", t.ev.ID)
	s.Card = t.s.Screen.Card
}

func (t *turn) cards() bool {
	switch t.remembered().Cards {
	case CardsOn:
		return true
	case CardsOff:
		return false
	}
	return t.m.Cards
}

// dead reports whether the pressed card is another than the one of the screen that stands.
func (t *turn) dead() bool {
	_, ok := number(t.in)
	return !ok || !t.s.Open() || t.s.Screen.Card == "" || t.s.Screen.Card != t.ev.Card
}

// stale answers a press that means nothing any more.
func (t *turn) stale() Result {
	t.did, t.why = DidRepeat, ReasonCard
	t.s.SentAt = max(t.s.SentAt, t.ev.SentAt)
	if t.env.Identity == Nobody {
		return t.nobody()
	}
	return t.stand(t.say("card.note"))
}

// pressed is what stands on a card after a press that counted.
func (t *turn) pressed() string {
	label := ""
	if p, ok := t.standing(); ok {
		for _, c := range t.draw(p, t.s.Screen, "").Choices {
			if c.Key == t.in {
				label = clean(c.Label, 10)
			}
		}
	}
	return t.say("card.pressed", t.in, label)
}
