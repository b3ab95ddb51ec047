package phone

import (
	crand "crypto/rand"
	"slices"
	"strings"
	"time"

	"palmops/libs/fault"
	"palmops/services/simulator/client"
)

// codeLife is how long a response code may be used (page 94888).
const codeLife = 72 * time.Hour

// keepCodes is how many unused response codes of one card are remembered; the oldest are forgotten first.
const keepCodes = 20

// code is a response code. It is good for one update of the card.
type code struct {
	Code string    `json:"code"`
	End  time.Time `json:"end"`
}

func newCode(now time.Time) code {
	return code{Code: crand.Text() + crand.Text(), End: now.Add(codeLife)}
}

// addCard writes one message for each person, all of the same card, and remembers the response code unless it is empty.
// A task id that has been used before is fault.Conflict.
func (b *Book) addCard(messages []client.Message, taskID string, c code) (client.Message, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if taskID != "" && slices.ContainsFunc(b.records, func(r record) bool { return r.TaskID == taskID }) {
		return client.Message{}, fault.New(fault.Conflict, "card: the task id has been used")
	}
	records := make([]record, len(messages))
	for i, m := range messages {
		records[i] = record{Message: m, TaskID: taskID}
	}
	if c.Code != "" {
		records[0].Codes = []code{c}
	}
	added, err := b.add(records)
	if err != nil {
		return client.Message{}, err
	}
	return added[0].Message, nil
}

// press finds the card whose button a person presses and remembers the response code of the press. Errors: fault.NotFound for an
// unknown card or button, fault.Conflict for a disabled card, each with its text.
func (b *Book) press(user, taskID, key string, c code) (client.Message, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	i := slices.IndexFunc(b.records, func(r record) bool { return r.User == user && r.Card != nil && taskID != "" && r.TaskID == taskID })
	if i < 0 {
		return client.Message{}, fault.WithText(fault.New(fault.NotFound, "press: no such card"), "这个人没有这张卡片，什么都没有发送。请核对 task_id。")
	}
	r := b.records[i]
	switch {
	case r.Card.Disabled:
		return client.Message{}, fault.WithText(fault.New(fault.Conflict, "press: the card is disabled"), "这张卡片的按钮已经失效，什么都没有发送。请看最新的消息。")
	case !slices.ContainsFunc(r.Card.Buttons, func(b client.Button) bool { return b.Key == key }):
		return client.Message{}, fault.WithText(fault.New(fault.NotFound, "press: no such button"), "卡片上没有这个按钮，什么都没有发送。请核对 key。")
	}
	now := b.now()
	r.Codes = slices.DeleteFunc(slices.Clone(r.Codes), func(c code) bool { return !now.Before(c.End) })
	if n := len(r.Codes) - (keepCodes - 1); n > 0 {
		r.Codes = slices.Delete(r.Codes, 0, n)
	}
	r.Codes = append(r.Codes, c)
	if err := b.replace([]record{r}, nil); err != nil {
		return client.Message{}, fault.Wrap(fault.Internal, err, "press")
	}
	return r.Message, nil
}

// update uses up a response code and changes the card for those of the people who have it; change gets the task id and a copy of
// the card. missing are the others. Errors: fault.Expired for a code that is unknown, used or too old, fault.NotFound when nobody has
// the card, that of change; none of them uses up the code.
func (b *Book) update(text string, users []string, change func(taskID string, c client.Card) (client.Card, error)) (missing []string, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	holder := slices.IndexFunc(b.records, func(r record) bool {
		return slices.ContainsFunc(r.Codes, func(c code) bool { return c.Code == text && now.Before(c.End) })
	})
	if text == "" || holder < 0 {
		return nil, fault.New(fault.Expired, "card: the response code is unknown, used or too old")
	}
	taskID := b.records[holder].TaskID
	var hidden, shown []record
	for _, user := range users {
		i := slices.IndexFunc(b.records, func(r record) bool { return r.TaskID == taskID && r.User == user })
		if i < 0 {
			missing = append(missing, strings.ToLower(user))
			continue
		}
		r := b.records[i]
		if i == holder {
			r.Codes = without(r.Codes, text)
		}
		if r.Card == nil { // the phone shows none, and goes on showing none
			hidden = append(hidden, r)
			continue
		}
		card, err := change(taskID, *r.Card)
		if err != nil {
			return nil, err
		}
		r.Card, r.Text = &card, card.Text()
		shown = append(shown, r)
	}
	if len(hidden)+len(shown) == 0 {
		return missing, fault.New(fault.NotFound, "card: none of the people has it")
	}
	if h := b.records[holder]; !slices.ContainsFunc(slices.Concat(hidden, shown), func(r record) bool { return r.Seq == h.Seq }) {
		h.Codes = without(h.Codes, text)
		hidden = append(hidden, h)
	}
	if err := b.replace(hidden, shown); err != nil {
		return nil, fault.Wrap(fault.Internal, err, "card")
	}
	return missing, nil
}

func without(codes []code, text string) []code {
	return slices.DeleteFunc(slices.Clone(codes), func(c code) bool { return c.Code == text })
}

// plainCard is what stands in the place of a card where a phone shows none, as in WeChat's plug-in.
const plainCard = "[模板卡片消息，请在企业微信中查看]"

// PushCard shows a template card that the app sent with message/send to people of the directory, at least one, each once. With answer set
// the card gets a response code. Errors: fault.NotFound for an unknown person, fault.Conflict for a task id that has been used,
// fault.Internal when the card could not be kept. None of them shows anything.
func (p *Phones) PushCard(users []string, card client.Card, answer bool) (msgID, responseCode string, err error) {
	var messages []client.Message
	for _, user := range users {
		person, ok := p.o.Directory.Person(user)
		if !ok {
			return "", "", fault.New(fault.NotFound, "push: no such person")
		}
		m := client.Message{User: person.User, Via: client.ViaPush, Kind: client.KindCard, MsgType: "template_card", Text: card.Text(), Card: &card}
		if person.Plain {
			m.Kind, m.Text, m.Card = client.KindText, plainCard, nil
		}
		messages = append(messages, m)
	}
	if len(messages) == 0 {
		return "", "", fault.New(fault.NotFound, "push: nobody")
	}
	var c code
	if answer {
		c = newCode(p.o.Now())
	}
	first, err := p.o.Book.addCard(messages, card.TaskID, c)
	if err != nil {
		return "", "", fault.Wrap(fault.KindOf(err), err, "push")
	}
	return first.MsgID, c.Code, nil
}

// UpdateCard changes a card that was sent before, as message/update_template_card does, on the phones of the given people or, for nil, of
// everybody who has it; missing are those of them who do not have it, in lower case. Errors: see Book.update.
func (p *Phones) UpdateCard(responseCode string, users []string, change func(taskID string, c client.Card) (client.Card, error)) (missing []string, err error) {
	all := users == nil
	if all {
		for _, person := range p.o.Directory.people {
			users = append(users, person.User)
		}
	}
	missing, err = p.o.Book.update(responseCode, users, change)
	if all {
		missing = nil
	}
	return missing, err
}

// PushFile shows a file or, with the kind client.KindImage, an image that the app sent with message/send, and returns its
// msgid. An unknown person is fault.NotFound.
func (p *Phones) PushFile(user, kind string, f client.File) (string, error) {
	return p.push(client.Message{User: user, Via: client.ViaPush, Kind: kind, MsgType: kind, Text: f.Name, File: &f})
}
