package flow

import (
	"strings"
	"unicode/utf8"

	"palmops/libs/wire"
)

// Limits of one page of an output.
const (
	maxPageBytes = 900
	maxPageLines = 20
)

// output shows one page of what an action put out.
func (t *turn) output(id string, page int) Result {
	t.did = DidRoom
	if _, ok := t.given(id); !ok {
		t.why = ReasonInvalid
		return t.again(t.say("recent.gone"))
	}
	a, need, failed := t.ask(Question{Key: AskOutput + " " + id, What: AskOutput, Tasks: []string{id}})
	if need != nil || failed != "" {
		return t.room(Shown{}, need, failed)
	}
	pages := paged(a.Output)
	if len(pages) == 0 {
		t.why = ReasonInvalid
		return t.again(t.say("output.none"))
	}
	page = min(max(page, 0), len(pages)-1)
	return t.cover(Shown{
		Kind: wire.ScreenNotice, Room: Room{Name: roomOutput, Arg: id}, Total: len(pages), Page: page, Seen: page,
		View: &wire.View{Body: pages[page]},
	}, "")
}

// paged cuts a text into pages of whole lines; a line that is longer than a page is cut between characters.
func paged(text string) [][]string {
	text = strings.TrimRight(strings.ReplaceAll(text, "\r\n", "\n"), "\n \t")
	if text == "" {
		return nil
	}
	var pages [][]string
	var page []string
	size := 0
	for line := range strings.SplitSeq(text, "\n") {
		for first := true; first || line != ""; first = false {
			part := head(line, maxPageBytes)
			line = line[len(part):]
			shown := visibleText(part)
			if len(page) == maxPageLines || size+len(shown)+1 > maxPageBytes && len(page) > 0 {
				pages, page, size = append(pages, page), nil, 0
			}
			page, size = append(page, shown), size+len(shown)+1
		}
	}
	return append(pages, page)
}

// head is the beginning of a text: at most most bytes, whole characters.
func head(s string, most int) string {
	if len(s) <= most {
		return s
	}
	for cut := most; cut > 0; cut-- {
		if utf8.RuneStart(s[cut]) {
			return s[:cut]
		}
	}
	return s[:most] // no text at all
}

// visibleText makes spaces of what a reader could not see; a line keeps its indentation.
func visibleText(s string) string {
	return strings.Map(func(r rune) rune {
		if unseen(r) {
			return ' '
		}
		return r
	}, s)
}
