package wecom

import (
	"context"
	"strings"
	"unicode/utf8"

	"palmops/libs/fault"
)

// Limits of a card (page 90236). The texts are in characters, and WeCom calls them advice: what is longer is cut on the
// phone. The others are in bytes, and WeCom refuses what is beyond.
const (
	MaxCardTitle      = 36
	MaxCardDesc       = 44
	MaxCardSubTitle   = 160
	MaxCardButtonText = 10
	MaxCardButtons    = 6
	MaxCardTaskID     = 128
	MaxCardKey        = 1024
)

// Card is a template card of the kind button_interaction. A press on a button comes back as a template_card_event with
// TaskID and the button's key. Texts that are too long are cut between characters.
type Card struct {
	TaskID   string // 1 to MaxCardTaskID letters, digits and _-@; never used before by the application
	Title    string // 1 to MaxCardTitle characters
	Desc     string // at most MaxCardDesc characters, shown below the title
	SubTitle string // at most MaxCardSubTitle characters, lines below both
	Buttons  []CardButton
}

// CardButton is one button.
type CardButton struct {
	Text string // 1 to MaxCardButtonText characters
	Key  string // 1 to MaxCardKey bytes, another one for each button of a card
}

type sendCard struct {
	CardType string       `json:"card_type"`
	Main     cardTitle    `json:"main_title"`
	SubTitle string       `json:"sub_title_text,omitempty"`
	TaskID   string       `json:"task_id"`
	Buttons  []sendButton `json:"button_list"`
}

type cardTitle struct {
	Title string `json:"title"`
	Desc  string `json:"desc,omitempty"`
}

type sendButton struct {
	Text  string `json:"text"`
	Style int    `json:"style"`
	Key   string `json:"key"`
}

const styleBlue = 1 // what WeCom takes when none is named

// encode checks a card and brings it into WeCom's form.
func (c *Card) encode() (*sendCard, error) {
	switch {
	case c == nil:
		return nil, fault.New(fault.Invalid, "wecom: there is no card to send")
	case !validTaskID(c.TaskID):
		return nil, fault.New(fault.Invalid, "wecom: the task id of a card is 1 to %d letters, digits and _-@", MaxCardTaskID)
	case c.Title == "":
		return nil, fault.New(fault.Invalid, "wecom: a card has a title")
	case len(c.Buttons) == 0 || len(c.Buttons) > MaxCardButtons:
		return nil, fault.New(fault.Invalid, "wecom: a card has 1 to %d buttons, not %d", MaxCardButtons, len(c.Buttons))
	case !utf8.ValidString(c.Title) || !utf8.ValidString(c.Desc) || !utf8.ValidString(c.SubTitle):
		return nil, fault.New(fault.Invalid, "wecom: the texts of the card are not UTF-8")
	}
	out := &sendCard{
		CardType: "button_interaction", TaskID: c.TaskID, SubTitle: Cut(c.SubTitle, MaxCardSubTitle),
		Main: cardTitle{Title: Cut(c.Title, MaxCardTitle), Desc: Cut(c.Desc, MaxCardDesc)},
	}
	seen := map[string]bool{}
	for _, b := range c.Buttons {
		switch {
		case b.Text == "" || !utf8.ValidString(b.Text):
			return nil, fault.New(fault.Invalid, "wecom: a button has a text in UTF-8")
		case b.Key == "" || len(b.Key) > MaxCardKey || !utf8.ValidString(b.Key):
			return nil, fault.New(fault.Invalid, "wecom: the key of a button has 1 to %d bytes of UTF-8, not %d", MaxCardKey, len(b.Key))
		case seen[b.Key]:
			return nil, fault.New(fault.Invalid, "wecom: two buttons of a card have the same key")
		}
		seen[b.Key] = true
		out.Buttons = append(out.Buttons, sendButton{Text: Cut(b.Text, MaxCardButtonText), Style: styleBlue, Key: b.Key})
	}
	return out, nil
}

func validTaskID(id string) bool {
	if id == "" || len(id) > MaxCardTaskID {
		return false
	}
	for i := range len(id) {
		c := id[i]
		if good := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("_-@", c) >= 0; !good {
			return false
		}
	}
	return true
}

// Cut is s when it has at most n characters, else what fits with an ellipsis as its last character.
func Cut(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	seen := 0
	for at := range s {
		if seen == n-1 {
			return s[:at] + "…"
		}
		seen++
	}
	return s
}

// UpdateCard makes the button of a card dead for those members, with replaceName on it from then on (page 94888).
// responseCode comes from a SendResult or from a press, and is good for one update within 72 h. A lost answer may be
// followed by a second try, which then fails with fault.Expired.
// Errors: fault.Expired when the code is used up or too old, fault.Unknown when the answer was lost; else as Send's.
func (c *Client) UpdateCard(ctx context.Context, userIDs []string, responseCode, replaceName string) error {
	switch {
	case len(userIDs) == 0 || len(userIDs) > 1000:
		return fault.New(fault.Invalid, "wecom: a card is updated for 1 to 1000 members, not %d", len(userIDs))
	case responseCode == "":
		return fault.New(fault.Invalid, "wecom: a card is updated by its response code")
	case replaceName == "" || !utf8.ValidString(replaceName):
		return fault.New(fault.Invalid, "wecom: the updated button has a text in UTF-8")
	}
	type button struct {
		ReplaceName string `json:"replace_name"`
	}
	body := struct {
		UserIDs      []string `json:"userids"`
		AgentID      int64    `json:"agentid"`
		ResponseCode string   `json:"response_code"`
		Button       button   `json:"button"`
	}{userIDs, c.agentID, responseCode, button{Cut(replaceName, MaxCardButtonText)}}
	var out struct{}
	return c.do(ctx, call{api: "message/update_template_card", body: body, effect: true}, &out)
}
