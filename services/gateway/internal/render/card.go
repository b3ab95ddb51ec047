package render

import (
	"slices"
	"strings"
	"unicode/utf8"

	"palmops/libs/lang"
	"palmops/libs/wire"
)

// How much a card shows, in characters, and how many buttons it has.
const (
	maxTitle    = 36
	maxDesc     = 44
	maxSub      = 160
	maxButton   = 10
	maxButtons  = 6
	maxKeyBytes = 1024
)

// ButtonCard is a screen in the form of a card: a title, a line below it, lines below both, and a button for each choice.
type ButtonCard struct {
	Title, Desc, Sub string
	Buttons          []Button
}

// Button is one choice: its number and as much of its label as a button holds, and the key that a press brings back.
type Button struct{ Text, Key string }

// Card makes a card of a screen that asks to be one, with nothing of the screen hidden: when a button does not show its
// choice in full, all choices are written out above the buttons, or only those that are cut where there is no room for all.
// Only the line of keys is left out when there is no room for it: a card's buttons say what to do. ok is false for a screen
// that shall not be a card, or does not fit one; it goes out as its Text then.
func Card(s wire.Screen, t lang.Tag) (c ButtonCard, ok bool) {
	if s.Card == "" || len(s.Choices) == 0 || len(s.Choices) > maxButtons {
		return c, false
	}
	note := oneLine(s.Note)
	c.Title = oneLine(s.Title)
	if c.Title == "" { // a card must have one
		c.Title, note = note, ""
	}
	var lines []string
	switch {
	case length(note) <= maxDesc:
		c.Desc = note
	default:
		lines = append(lines, note)
	}
	for _, l := range s.Body {
		lines = append(lines, clean(l))
	}
	var all, cut []string // choices as lines
	for _, option := range s.Choices {
		b := Button{Text: oneLine(option.Key) + " " + oneLine(option.Label), Key: option.Key}
		all = append(all, choice(option))
		if length(b.Text) > maxButton || option.Detail != "" {
			cut = append(cut, choice(option))
			b.Text = short(b.Text, maxButton)
		}
		twice := slices.ContainsFunc(c.Buttons, func(other Button) bool { return other.Key == b.Key })
		if twice || b.Key == "" || len(b.Key) > maxKeyBytes {
			return ButtonCard{}, false
		}
		c.Buttons = append(c.Buttons, b)
	}
	page := page(s, t)
	join := func(choices []string) string {
		with := slices.Concat(lines, choices)
		if page != "" {
			with = append(with, page)
		}
		return strings.Join(with, "\n")
	}
	c.Sub = join(cut)
	// A list with gaps reads as if something were missing.
	if whole := join(all); len(cut) > 0 && length(whole) <= maxSub {
		c.Sub = whole
	}
	if keys := oneLine(s.Keys); keys != "" && length(c.Sub)+1+length(keys) <= maxSub {
		c.Sub = strings.TrimPrefix(c.Sub+"\n"+keys, "\n")
	}
	if c.Title == "" || length(c.Title) > maxTitle || length(c.Sub) > maxSub {
		return ButtonCard{}, false
	}
	return c, true
}

func length(s string) int { return utf8.RuneCountInString(s) }

// short is as many whole characters of s as fit into n, the last one an ellipsis when something is missing.
func short(s string, n int) string {
	if length(s) <= n {
		return s
	}
	at := 0
	for range n - 1 {
		_, size := utf8.DecodeRuneInString(s[at:])
		at += size
	}
	for whole := at; whole > 0; { // not into a character that is made of several
		if !joined(s, whole) {
			return s[:whole] + "…"
		}
		_, size := utf8.DecodeLastRuneInString(s[:whole])
		whole -= size
	}
	return s[:at] + "…"
}

const (
	maxName = 120 // bytes
	maxExt  = 16
)

// FileName makes a name fit for a file that is sent to a person: one line without slashes and double quotes, at most 120
// bytes, its ending kept. A name of nothing is output.txt.
func FileName(name string) string {
	name = strings.Map(func(r rune) rune {
		switch r {
		case '/', '\\':
			return '_'
		case '"': // ends the name in the header of an upload, for readers that know no escapes
			return '\''
		case '\t':
			return ' '
		}
		return r
	}, oneLine(name))
	name = strings.TrimSpace(name)
	if name == "" {
		return "output.txt"
	}
	if len(name) <= maxName {
		return name
	}
	ext := ""
	if dot := strings.LastIndexByte(name, '.'); dot > 0 && len(name)-dot <= maxExt {
		ext = name[dot:]
	}
	return name[:start(name, maxName-len(ext))] + ext
}
