package report

import (
	_ "embed"
	"strconv"
	"strings"

	"palmops/libs/lang"
	"palmops/libs/wire"
)

//go:embed texts.yaml
var textsFile []byte

var texts = lang.MustLoad(textsFile)

// words are what is said of a state: the kind of screen, the keys of the head, and of what to do when the executor gave no
// words of its own, "" for nothing.
var words = map[string]struct{ kind, head, text string }{
	wire.StateRunning:   {wire.ScreenProgress, "head.running", ""},
	wire.StateSucceeded: {wire.ScreenResult, "head.succeeded", ""},
	wire.StateFailed:    {wire.ScreenResult, "head.failed", "text.failed"},
	wire.StateCanceled:  {wire.ScreenResult, "head.canceled", "text.canceled"},
	wire.StateTimeout:   {wire.ScreenResult, "head.timeout", "text.timeout"},
	wire.StateExpired:   {wire.ScreenResult, "head.expired", "text.expired"},
	wire.StateRejected:  {wire.ScreenResult, "head.rejected", "text.rejected"},
	wire.StateUnknown:   {wire.ScreenResult, "head.unknown", "text.unknown"},
}

// Screen is what a person shall see of an event, in the event's language, without its output. Ok is false for states that
// nobody needs to hear of.
func Screen(ev wire.Event) (s wire.Screen, ok bool) {
	w, ok := words[ev.State]
	if !ok {
		return wire.Screen{}, false
	}
	t := lang.Of(ev.Lang)
	s = wire.Screen{Kind: w.kind, Title: headline(t, w.head, ev.Noop) + " #" + wire.ShortID(ev.ID)}
	name := ev.Title
	if name == "" {
		name = ev.Action
	}
	text := ev.Text
	switch {
	case text != "":
	case ev.Noop:
		text = texts.Say(t, "noop.text")
	case w.text != "":
		text = texts.Say(t, w.text)
	}
	if !strings.Contains(text, name) { // an executor's sentence that names the thing needs no heading
		s.Body = add(s.Body, name)
	}
	s.Body = add(s.Body, text)
	if ev.State == wire.StateUnknown && ev.Executor != "" {
		s.Body = add(s.Body, texts.Say(t, "text.executor", ev.Executor))
	}
	return s, true
}

// headline is the beginning of a title, which says of a dry run that it is one.
func headline(t lang.Tag, key string, noop bool) string {
	if noop {
		return texts.Say(t, "noop.head", texts.Say(t, key))
	}
	return texts.Say(t, key)
}

func add(body []string, text string) []string {
	text = strings.TrimSpace(text)
	if text == "" {
		return body
	}
	return append(body, strings.Split(text, "\n")...)
}

// outID is the event's own id, but for an expiry, which an executor and the sweep may both announce.
func outID(ev wire.Event, seq uint64) string {
	if ev.State == wire.StateExpired {
		return expiredID(ev.ID)
	}
	rev := strconv.FormatUint(ev.Rev, 10)
	if ev.Rev == 0 {
		rev = "s" + strconv.FormatUint(seq, 10)
	}
	return ev.ID + ":" + ev.State + ":" + rev
}

func waitingID(id string) string { return id + ":waiting" }
func expiredID(id string) string { return id + ":expired" }
