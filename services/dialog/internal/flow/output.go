package flow

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"palmops/libs/wire"
)

// Limits of one page of an output as it is shown.
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
	page = max(page, 0)
	a, need, failed := t.ask(Question{Key: AskOutput + " " + id + " " + strconv.Itoa(page), What: AskOutput, Tasks: []string{id}, Page: page})
	if need != nil || failed != "" {
		return t.room(Shown{}, need, failed)
	}
	out := a.Output
	if out.Pages <= 0 || out.Page < 0 || out.Page >= out.Pages {
		t.why = ReasonInvalid
		return t.again(t.say("output.none"))
	}
	view := &wire.View{}
	for _, line := range out.Lines[:min(len(out.Lines), maxPageLines)] {
		view.Body = append(view.Body, visibleText(head(line, maxPageBytes)))
	}
	note := ""
	if out.Cut && out.Page+1 == out.Pages {
		note = t.say("output.cut")
	}
	return t.cover(Shown{
		Kind: wire.ScreenNotice, Room: Room{Name: roomOutput, Arg: id}, Total: out.Pages, Page: out.Page, Seen: out.Page, View: view,
	}, note)
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
