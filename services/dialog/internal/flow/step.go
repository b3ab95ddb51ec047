package flow

import (
	"time"

	"palmops/libs/lang"
	"palmops/libs/wire"
	"palmops/services/dialog/menu"
	"palmops/services/dialog/policy"
)

// What a message was taken for.
const (
	DidIgnore  = "ignore" // an event, nothing to say
	DidOpen    = "open"
	DidChoose  = "choose"
	DidInput   = "input"
	DidConfirm = "confirm"
	DidBack    = "back"
	DidHome    = "home"
	DidExit    = "exit"
	DidPage    = "page"
	DidHelp    = "help"
	DidFilter  = "filter"  // a dynamic list narrowed, or whole again
	DidPick    = "pick"    // lines of a multi-select
	DidChange  = "change"  // back from a confirm to one of its values
	DidJump    = "jump"    // several choices by one message
	DidSearch  = "search"  // the room of that name was opened
	DidRoom    = "room"    // one of the other rooms was opened, or something done in it
	DidSetting = "setting" // language, cards
	DidReport  = "report"  // an order that changes nothing and needs no confirm
	DidDryRun  = "dry_run" // what the order behind a confirm would change
	DidRepeat  = "repeat"  // not understood: the same screen again
)

// Why a message had no effect.
const (
	ReasonIdentity = "identity"      // the directory could not be asked
	ReasonDenied   = "denied"        // no right, or no longer
	ReasonFrozen   = "frozen"        // a freeze counts
	ReasonLate     = "late"          // a later one was worked on before
	ReasonUnseen   = "unseen"        // sent before the confirm was shown
	ReasonNoAnswer = "no_answer"     // a list or a value could not be had
	ReasonInvalid  = "invalid"       // no such choice, or a value out of range
	ReasonTries    = "tries"         // the third wrong input in a row
	ReasonExpired  = "no_session"    // a number, and nothing it could mean
	ReasonRevision = "menu_revision" // the menu it belonged to is gone
	ReasonCard     = "card"          // a card that is not the newest screen
	ReasonType     = "type"          // not a text
)

// turn is one call of Step.
type turn struct {
	m      *menu.Menu
	rights Rights // in m
	s      Session
	ev     Event
	env    Env
	lang   lang.Tag
	press  bool // of a button
	did    string
	why    string
	in     string // folded text
	extra  []wire.Screen
	memo   *Memo // once it changed
	frozen *policy.Freeze
	change bool // ahead is the tail of a form that is being changed
	undone Hop  // what a step back took from the road
}

// Step makes one step. M must be the menu of the revision that s names; with any other menu the session starts again.
// It never panics, whatever s and ev hold, and the same arguments always give the same result.
func Step(m *menu.Menu, s Session, ev Event, env Env) Result {
	if ev.Type == "event" && ev.Event != EventCard {
		return Result{Session: s, Lang: tongue(env.Memo, m), Did: DidIgnore}
	}
	t := &turn{s: s, ev: ev, env: env, lang: tongue(env.Memo, m)}
	t.use(m)
	if ev.Type == "event" {
		t.press, t.ev.Text = true, ev.Key
	}
	t.in = Fold(t.ev.Text)
	if !t.press {
		return t.step()
	}
	if t.dead() {
		r := t.stale()
		r.Pressed = t.say("card.dead")
		return r
	}
	label := t.pressed()
	r := t.step()
	switch {
	case r.Need != nil || env.Identity == Nobody: // in the second case the card stands, and can be pressed again
	case r.Reason != "":
		r.Pressed = t.say("card.dead")
	default:
		r.Pressed = label
	}
	return r
}

func (t *turn) step() Result {
	if t.ev.SentAt < t.s.SentAt {
		return t.late()
	}
	t.s.SentAt = t.ev.SentAt
	if t.env.Identity == Nobody {
		return t.nobody()
	}
	if !t.s.Open() {
		return t.start()
	}
	p, ok := t.standing()
	if !ok {
		return t.restart()
	}
	return t.act(p)
}

// tongue is the language in which a person is spoken to.
func tongue(memo Memo, m *menu.Menu) lang.Tag {
	if memo.Lang != "" {
		return lang.Of(string(memo.Lang))
	}
	return lang.Of(string(m.Language))
}

func (t *turn) use(m *menu.Menu) { t.m, t.rights = m, t.env.Rights(m) }

func (t *turn) say(key string, args ...any) string { return texts.Say(t.lang, key, args...) }

func (t *turn) notice(title, body string) wire.Screen {
	return wire.Screen{Kind: wire.ScreenNotice, Title: title, Body: []string{body}}
}

// remembered is the memo as it is after what this step did so far.
func (t *turn) remembered() Memo {
	if t.memo != nil {
		return *t.memo
	}
	return t.env.Memo
}

func (t *turn) clock() time.Time {
	zone := t.m.Zone
	if zone == nil {
		zone = time.UTC
	}
	return time.UnixMilli(t.env.Now).In(zone)
}

// standing is the place of the stored session. Ok is false when it does not fit the menu, which only a damaged one does.
func (t *turn) standing() (p place, ok bool) {
	if t.s.Rev != t.m.Rev {
		return place{}, false
	}
	p, ok = locate(t.m, t.s.Hops)
	return p, ok && t.fits(p)
}

func (t *turn) nobody() Result {
	t.did, t.why = DidRepeat, ReasonIdentity
	return t.keep(t.notice(t.say("nobody.title"), t.say("nobody.body")))
}

// late answers a message that was sent before one that has been worked on already: it must not act.
func (t *turn) late() Result {
	t.did, t.why = DidRepeat, ReasonLate
	return t.stand(t.say("late.note", quote(t.lang, t.ev.Text)))
}

// stand shows the screen one stands at with a note, without doing anything.
func (t *turn) stand(note string) Result {
	if t.env.Identity == Nobody || !t.s.Open() {
		return t.keep(t.notice(note, t.say("open.hint")))
	}
	p, ok := t.standing()
	if !ok {
		return t.restart()
	}
	if n := t.allowed(t.s.Hops); n < len(t.s.Hops) {
		return t.show(t.s.Hops[:n], nil, note)
	}
	if t.s.Screen.Room.Name == "" && t.outdated(p) {
		return t.show(t.s.Hops, t.s.Ahead, note)
	}
	return t.again(note)
}

func (t *turn) start() Result {
	t.did = DidOpen
	_, way := numbers(t.in)
	k := keyOf(t.in, t.m.First)
	switch {
	case !t.press && t.ev.Type != "text":
		t.why = ReasonType
		return t.show(nil, nil, t.say("type.start"))
	case k == keyExit:
		t.did = DidExit
		return t.keep(t.notice(t.say("exit.none"), t.say("open.hint")))
	case (digits(t.in) || way) && k != keyHome:
		t.why = ReasonExpired
		return t.show(nil, nil, t.say("start.expired"))
	case k == keyHelp:
		t.did = DidHelp
		s, need := t.help(nil)
		if need != nil {
			return Result{Need: need}
		}
		t.extra = []wire.Screen{s}
	case k >= keyCards: // also for somebody with nothing to open
		note := t.setting(k)
		t.did = DidSetting
		return t.show(nil, nil, note)
	case k >= keyRecent:
		return t.overTop(func() Result { return t.word(k, place{node: t.m.Root}) })
	}
	if query, ok := queryOf(t.in); ok {
		return t.overTop(func() Result { return t.search(query) })
	}
	return t.show(nil, nil, "")
}

// overTop does something over the top list, for a message that opens the session by it.
func (t *turn) overTop(do func() Result) Result {
	if r := t.show(nil, nil, ""); !r.Session.Open() {
		return r
	}
	return do()
}

// restart begins again at the top because the menu that the session walked through is not there any more.
func (t *turn) restart() Result {
	if keyOf(t.in, t.m.First) == keyExit && t.why == "" {
		return t.exit()
	}
	t.did, t.why = DidOpen, ReasonRevision
	t.s = Session{Rev: t.m.Rev, SentAt: t.s.SentAt}
	return t.show(nil, nil, t.say("restart.note"))
}

func (t *turn) exit() Result {
	t.did = DidExit
	t.s = Session{SentAt: t.s.SentAt}
	return t.keep(t.notice(t.say("exit.title"), t.say("exit.body")))
}

func (t *turn) act(p place) Result {
	k := keyOf(t.in, t.m.First)
	if k == keyExit {
		return t.exit()
	}
	if n := t.allowed(t.s.Hops); n < len(t.s.Hops) {
		t.did = DidRepeat
		return t.show(t.s.Hops[:n], nil, t.refusal("denied.changed"))
	}
	if k != keyBack && k != keyHome && t.s.Screen.Room.Name == "" && t.outdated(p) {
		t.did = DidRepeat
		return t.show(t.s.Hops, t.s.Ahead, t.refusal("denied.list"))
	}
	if !t.press && t.ev.Type != "text" {
		t.did, t.why = DidRepeat, ReasonType
		return t.again(t.say("type.note"))
	}
	free := t.free(p)
	switch {
	case k == keyHome:
		return t.home()
	case k == keyBack:
		return t.back(p)
	case k == keyHelp:
		t.did = DidHelp
		s, need := t.help(p.current())
		if need != nil {
			return Result{Need: need}
		}
		t.extra = []wire.Screen{s}
		return t.again("")
	case (k == keyNext || k == keyPrev) && !t.typing(p):
		return t.page(k, p)
	case k >= keyRecent && (!free || k == keyKeep || k == keyDrop):
		return t.word(k, p)
	}
	if query, ok := queryOf(t.in); ok && !free {
		return t.search(query)
	}
	if t.s.Screen.Room.Name != "" {
		return t.inRoom(p)
	}
	switch t.s.Screen.Kind {
	case wire.ScreenConfirm:
		return t.confirm(p)
	case wire.ScreenInput, wire.ScreenMenu:
		return t.answer(p)
	}
	// The accepted screen has no choices: a number typed again must not meet a menu that was not on the screen.
	t.did = DidOpen
	if _, way := numbers(t.in); way || digits(t.in) {
		t.did, t.why = DidRepeat, ReasonInvalid
		return t.show(t.s.Hops, nil, t.say("accepted.again"))
	}
	return t.show(t.s.Hops, nil, "")
}

// answer takes the message for what the step one stands at asks for.
func (t *turn) answer(p place) Result {
	step := p.current()
	switch {
	case step == nil:
		return t.choose(p)
	case step.Dynamic != nil:
		return t.line(p, step.Dynamic)
	case step.Input != nil:
		return t.input(p, step.Input)
	case step.Custom != nil:
		return t.custom(p, step.Custom)
	}
	return t.restart()
}

func (t *turn) home() Result {
	t.did = DidHome
	if t.env.Latest != nil {
		t.use(t.env.Latest)
		t.s.Rev = t.m.Rev
		t.s.Screen, t.s.Under = Shown{}, nil
	}
	return t.show(nil, nil, "")
}

func (t *turn) back(p place) Result {
	t.did = DidBack
	switch {
	case t.s.Screen.Room.Name != "":
		return t.leaveRoom()
	case t.s.Screen.Kind == wire.ScreenAccepted:
		return t.show(t.s.Hops, nil, "")
	case t.changing(p):
		return t.show(t.unchanged(p), nil, t.say("change.left"))
	case len(t.s.Hops) == 0:
		return t.show(nil, nil, t.say("back.top"))
	}
	t.undone = t.s.Hops[len(t.s.Hops)-1]
	return t.show(t.s.Hops[:len(t.s.Hops)-1], nil, "")
}

func (t *turn) page(k key, p place) Result {
	t.did = DidPage
	sh := &t.s.Screen
	pages := t.pages(p, *sh)
	to := sh.Page + 1
	if k == keyPrev {
		to = sh.Page - 1
	}
	switch {
	case pages < 2:
		t.why = ReasonInvalid
		return t.again(t.say("page.one"))
	case to >= pages:
		return t.again(t.say("page.last"))
	case to < 0:
		return t.again(t.say("page.first"))
	case sh.Room.Name == roomOutput:
		return t.output(sh.Room.Arg, to)
	}
	sh.Page = to
	sh.Seen = max(sh.Seen, sh.Page)
	return t.again("")
}

// typing reports whether a value is typed here and nothing is listed: + and - are values then.
func (t *turn) typing(p place) bool {
	return t.s.Screen.Room.Name == "" && t.s.Screen.Kind == wire.ScreenInput && len(t.lines(p, t.s.Screen)) == 0
}

// free reports whether any text may be typed as a value here: only the keys that lead away count besides.
func (t *turn) free(p place) bool {
	if t.s.Screen.Room.Name != "" || t.s.Screen.Kind != wire.ScreenInput {
		return false
	}
	switch step := p.current(); {
	case step == nil:
		return false
	case step.Input != nil:
		return step.Input.Type == menu.Text || step.Input.Type == menu.Lines
	case step.Custom != nil:
		return t.s.Screen.View != nil && t.s.Screen.View.Free
	}
	return false
}
