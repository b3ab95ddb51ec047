// Package render turns screens into the text of chat messages. It is pure, and the only place that knows how a
// screen looks in WeCom and how many bytes a message may have.
//
// What is shown comes from menus, from people and from the systems behind the executors, so every field is made
// harmless first: a label cannot add a line that looks like a choice, hide text behind direction marks, or become a link.
package render

import (
	_ "embed"
	"strings"
	"time"
	"unicode/utf8"

	"palmops/libs/lang"
	"palmops/libs/wire"
)

//go:embed texts.yaml
var textsFile []byte

var texts = lang.MustLoad(textsFile)

// zone is the time zone of the people in front of the phones: China has one, without summer time.
var zone = time.FixedZone("CST", 8*60*60)

// Text writes screens as one text, separated by a blank line: note, title in 【】, body, choices as
// "1. label  detail", page, keys; what a screen does not have takes no line. The text of no screens is empty. Only the
// page line is in language t, all else is as the screen has it.
func Text(screens []wire.Screen, t lang.Tag) string {
	var b strings.Builder
	for _, s := range screens {
		lines := screen(s, t)
		if len(lines) == 0 {
			continue
		}
		if b.Len() > 0 {
			b.WriteString("\n\n")
		}
		b.WriteString(strings.Join(lines, "\n"))
	}
	return b.String()
}

func screen(s wire.Screen, t lang.Tag) []string {
	var lines []string
	add := func(line string) {
		if line != "" {
			lines = append(lines, line)
		}
	}
	add(oneLine(s.Note))
	if title := oneLine(s.Title); title != "" {
		add("【" + title + "】")
	}
	for _, l := range s.Body {
		lines = append(lines, clean(l))
	}
	for _, c := range s.Choices {
		lines = append(lines, choice(c))
	}
	add(page(s, t))
	add(oneLine(s.Keys))
	return lines
}

// choice is the line of a choice.
func choice(c wire.Choice) string {
	line := oneLine(c.Key) + ". " + oneLine(c.Label)
	if d := oneLine(c.Detail); d != "" {
		line += "  " + d
	}
	return line
}

// page is the line that says which of several pages a screen is; empty when it is the only one.
func page(s wire.Screen, t lang.Tag) string {
	if s.Pages <= 1 {
		return ""
	}
	return texts.Say(t, "screen.page", s.Page, s.Pages)
}

// maxSaid is how many characters of a person's own message a late reply repeats.
const maxSaid = 16

// Late is the first line of a reply that comes by push, later than the conversation expects it: which message it
// answers, and when that was sent. It also makes the text of two such replies differ.
func Late(said string, sentAt time.Time, t lang.Tag) string {
	said = oneLine(said)
	if r := []rune(said); len(r) > maxSaid {
		said = string(r[:maxSaid]) + "…"
	}
	at := sentAt.In(zone).Format("15:04:05")
	if said == "" {
		return texts.Say(t, "late.silent", at)
	}
	return texts.Say(t, "late.said", said, at)
}

// Line makes a text harmless and puts it on one line.
func Line(s string) string { return oneLine(s) }

// oneLine makes a field harmless and puts it on one line.
func oneLine(s string) string { return strings.ReplaceAll(clean(s), "\n", " ") }

// clean makes a text harmless: valid UTF-8, lines ended by \n alone, no characters that control a terminal, reorder
// what is read, or are not allowed in XML; each of them is shown as U+FFFD. A tag that WeCom would turn into a link
// loses its bracket.
func clean(s string) string {
	var b strings.Builder
	b.Grow(len(s))
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == '\r':
			if i+n < len(s) && s[i+n] == '\n' {
				n++
			}
			b.WriteByte('\n')
		case r == '\u2028' || r == '\u2029' || r == '\u0085':
			b.WriteByte('\n')
		case forbidden(r):
			b.WriteRune(utf8.RuneError)
		case r == '<' && opensLink(s[i+n:]):
			b.WriteRune('＜')
		default:
			b.WriteRune(r)
		}
		i += n
	}
	return b.String()
}

func forbidden(r rune) bool {
	switch {
	case r == '\n' || r == '\t':
		return false
	case r < 0x20 || r >= 0x7F && r <= 0x9F: // control characters
		return true
	case r == 0x061C || r == 0x200E || r == 0x200F || r >= 0x202A && r <= 0x202E || r >= 0x2066 && r <= 0x2069: // direction marks
		return true
	case r == 0xFFFE || r == 0xFFFF: // not characters, and not XML
		return true
	case r >= 0xE0000 && r <= 0xE007F: // invisible tags
		return true
	}
	return false
}

// opensLink reports whether what follows a < makes it the link tag of WeCom's text messages, or may do so once more text
// follows: texts that are harmless one by one stay so when they are joined.
func opensLink(rest string) bool {
	const gaps = " \t\r\n/\u2028\u2029\u0085" // the last three become line ends
	rest = strings.TrimLeft(rest, gaps)
	if rest == "" {
		return true
	}
	if rest[0]|0x20 != 'a' {
		return false
	}
	next, _ := utf8.DecodeRuneInString(rest[1:])
	return len(rest) == 1 || next == '>' || strings.ContainsRune(gaps, next)
}
