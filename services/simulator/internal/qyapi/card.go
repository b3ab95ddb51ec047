package qyapi

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"palmops/services/simulator/client"
	"palmops/services/simulator/internal/phone"
)

// The kinds of template cards that are understood; WeCom has three more.
const (
	cardNotice  = "text_notice"
	cardButtons = "button_interaction"
)

// Limits of a card (page 90236).
const (
	maxButtons    = 6
	maxKey        = 1024 // bytes
	maxHorizontal = 6
	maxJumps      = 3
	maxMenu       = 3
	maxOptions    = 10
	maxOptionID   = 128 // bytes
)

var validTask = regexp.MustCompile(`^[0-9A-Za-z_@-]{1,128}$`)

// templateCard is the body of a template_card in both message/send and message/update_template_card.
type templateCard struct {
	CardType   string `json:"card_type"`
	TaskID     string `json:"task_id"`
	Source     struct{ Desc string }
	ActionMenu *struct {
		Desc string
		List []cardButton `json:"action_list"`
	} `json:"action_menu"`
	Main     titled `json:"main_title"`
	Emphasis titled `json:"emphasis_content"`
	Quote    struct {
		Title string
		Text  string `json:"quote_text"`
	} `json:"quote_area"`
	SubTitle   string         `json:"sub_title_text"`
	Horizontal []horizontal   `json:"horizontal_content_list"`
	Jumps      []cardLink     `json:"jump_list"`
	Action     *cardLink      `json:"card_action"`
	Selection  *cardSelection `json:"button_selection"`
	Buttons    []cardButton   `json:"button_list"`
	Replace    string         `json:"replace_text"`
}

type titled struct{ Title, Desc string }

type horizontal struct {
	Type    int
	KeyName string
	Value   string
	URL     string
	MediaID string `json:"media_id"`
	UserID  string
}

// cardLink leads to a page (1) or into a mini program (2); 0 leads nowhere.
type cardLink struct {
	Type              int
	Title, URL, AppID string
}

type cardButton struct {
	Type           int // 0 tells the app, 1 opens URL
	Text, Key, URL string
	Style          int // 1 to 4; 0 when absent
}

type cardSelection struct {
	Key     string `json:"question_key"`
	Title   string
	Options []struct{ ID, Text string } `json:"option_list"`
}

// shown is the card as a phone shows it, or the refusal.
func (a *API) shown(t *templateCard) (client.Card, reply) {
	if t == nil || (t.CardType != cardNotice && t.CardType != cardButtons) {
		return client.Card{}, reply{code: codeCardType}
	}
	for _, check := range []func(*templateCard) reply{checkTitles, checkMenu, a.checkHorizontal, checkJumps, checkAction, checkButtons, checkSelection} {
		if out := check(t); out.code != codeOK {
			return client.Card{}, out
		}
	}
	c := client.Card{TaskID: t.TaskID, CardType: t.CardType, Title: phone.Cut(t.Main.Title), Buttons: []client.Button{}}
	lines := []string{t.Source.Desc, t.Main.Desc, t.Emphasis.Title, t.Emphasis.Desc, t.Quote.Title, t.Quote.Text, t.SubTitle}
	for _, h := range t.Horizontal {
		lines = append(lines, strings.TrimSuffix(h.KeyName+"："+h.Value, "："))
	}
	for _, j := range t.Jumps {
		lines = append(lines, j.Title)
	}
	if t.Selection != nil {
		lines = append(lines, t.Selection.Title)
		for _, o := range t.Selection.Options {
			lines = append(lines, "· "+o.Text)
		}
	}
	if t.CardType == cardButtons {
		for _, b := range t.Buttons {
			if b.Type == 0 {
				c.Buttons = append(c.Buttons, client.Button{Key: b.Key, Text: b.Text})
			} else {
				lines = append(lines, b.Text)
			}
		}
	}
	c.Body = phone.Cut(strings.Join(slices.DeleteFunc(lines, func(s string) bool { return s == "" }), "\n"))
	if t.Replace != "" && t.CardType == cardButtons {
		c.Disabled, c.Label = true, t.Replace
	}
	return c, reply{}
}

func checkTitles(t *templateCard) reply {
	if t.CardType == cardNotice && t.Main.Title == "" && t.SubTitle == "" {
		return reply{code: codeCardTitle, msg: "main_title.title or sub_title_text"}
	}
	return reply{}
}

// checkMenu checks the menu in the upper corner, and with it the task id, which a card needs as soon as it can be pressed.
func checkMenu(t *templateCard) reply {
	if t.ActionMenu != nil {
		list := t.ActionMenu.List
		if len(list) == 0 || len(list) > maxMenu {
			return reply{code: codeParam, msg: fmt.Sprintf("action_menu.action_list has 1 to %d entries", maxMenu)}
		}
		seen := map[string]bool{}
		for _, one := range list {
			switch {
			case one.Text == "":
				return reply{code: codeButtonText, msg: "action_menu"}
			case one.Key == "" || len(one.Key) > maxKey:
				return reply{code: codeButtonKey, msg: "action_menu"}
			case seen[one.Key]:
				return reply{code: codeMenuConflict}
			}
			seen[one.Key] = true
		}
	}
	if needed := t.CardType == cardButtons || t.ActionMenu != nil; (needed || t.TaskID != "") && !validTask.MatchString(t.TaskID) {
		return reply{code: codeTaskID}
	}
	return reply{}
}

func (a *API) checkHorizontal(t *templateCard) reply {
	if len(t.Horizontal) > maxHorizontal {
		return reply{code: codeHorizontal}
	}
	for _, h := range t.Horizontal {
		_, stored := a.o.Media.Stat(h.MediaID)
		_, member := a.o.Directory.Person(h.UserID)
		switch {
		case h.KeyName == "":
			return reply{code: codeKeyName}
		case h.Type < 0 || h.Type > 3:
			return reply{code: codeParam, msg: "horizontal_content_list.type"}
		case h.Type == 1 && h.URL == "":
			return reply{code: codeCardURL, msg: "horizontal_content_list"}
		case h.Type == 2 && h.MediaID == "":
			return reply{code: codeCardMedia}
		case h.Type == 2 && !stored:
			return reply{code: codeMediaID}
		case h.Type == 3 && !member:
			return reply{code: codeCardUser}
		}
	}
	return reply{}
}

func checkJumps(t *templateCard) reply {
	if len(t.Jumps) > maxJumps {
		return reply{code: codeJumps}
	}
	for _, j := range t.Jumps {
		if j.Title == "" {
			return reply{code: codeCardTitle, msg: "jump_list"}
		}
		if out := j.check("jump_list"); out.code != codeOK {
			return out
		}
	}
	return reply{}
}

func checkAction(t *templateCard) reply {
	switch {
	case t.Action == nil && t.CardType == cardNotice, t.Action != nil && t.Action.Type == 0 && t.CardType == cardNotice:
		return reply{code: codeCardAction}
	case t.Action == nil:
		return reply{}
	case t.Action.Type < 0 || t.Action.Type > 2:
		return reply{code: codeCardAction}
	}
	return t.Action.check("card_action")
}

func (l cardLink) check(where string) reply {
	switch {
	case l.Type == 1 && l.URL == "":
		return reply{code: codeCardURL, msg: where}
	case l.Type == 2 && l.AppID == "":
		return reply{code: codeCardApp, msg: where}
	}
	return reply{}
}

func checkButtons(t *templateCard) reply {
	if t.CardType != cardButtons {
		return reply{}
	}
	if len(t.Buttons) == 0 || len(t.Buttons) > maxButtons {
		return reply{code: codeParam, msg: fmt.Sprintf("button_list has 1 to %d entries", maxButtons)}
	}
	seen := map[string]bool{}
	for _, b := range t.Buttons {
		switch {
		case b.Text == "":
			return reply{code: codeButtonText}
		case b.Style < 0 || b.Style > 4 || b.Type < 0 || b.Type > 1:
			return reply{code: codeParam, msg: "button_list.style or type"}
		case b.Type == 1 && b.URL == "":
			return reply{code: codeCardURL, msg: "button_list"}
		case b.Type == 0 && (b.Key == "" || len(b.Key) > maxKey || seen[b.Key]):
			return reply{code: codeButtonKey}
		}
		seen[b.Key] = true
	}
	return reply{}
}

func checkSelection(t *templateCard) reply {
	s := t.Selection
	if s == nil {
		return reply{}
	}
	if s.Key == "" || len(s.Key) > maxKey {
		return reply{code: codeQuestion}
	}
	if len(s.Options) == 0 || len(s.Options) > maxOptions {
		return reply{code: codeOptions}
	}
	seen := map[string]bool{}
	for _, o := range s.Options {
		switch {
		case o.ID == "" || len(o.ID) > maxOptionID || seen[o.ID]:
			return reply{code: codeOptionID}
		case o.Text == "":
			return reply{code: codeOptionText}
		}
		seen[o.ID] = true
	}
	return reply{}
}
