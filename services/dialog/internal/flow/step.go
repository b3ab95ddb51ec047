package flow

import (
	"strings"

	"palmops/libs/fault"
	"palmops/libs/wire"
	"palmops/services/dialog/menu"
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
	DidRepeat  = "repeat" // not understood: the same screen again
)

// Why a message had no effect.
const (
	ReasonIdentity = "identity"      // the directory could not be asked
	ReasonDenied   = "denied"        // no right, or no longer
	ReasonLate     = "late"          // a later one was worked on before
	ReasonUnseen   = "unseen"        // sent before the confirm was shown
	ReasonNoAnswer = "no_answer"     // a list or a value could not be had
	ReasonInvalid  = "invalid"       // no such choice, or a value out of range
	ReasonExpired  = "no_session"    // a number, and nothing it could mean
	ReasonRevision = "menu_revision" // the menu it belonged to is gone
	ReasonType     = "type"          // not a text
)

// turn is one call of Step.
type turn struct {
	m     *menu.Menu
	s     Session
	ev    Event
	env   Env
	did   string
	why   string
	in    string // folded text
	extra []wire.Screen
}

// Step makes one step. M must be the menu of the revision that s names; with any other menu the session starts again.
// It never panics, whatever s and ev hold, and the same arguments always give the same result.
func Step(m *menu.Menu, s Session, ev Event, env Env) Result {
	t := &turn{m: m, s: s, ev: ev, env: env, in: Fold(ev.Text)}
	if ev.Type == "event" {
		return Result{Session: s, Did: DidIgnore}
	}
	if ev.SentAt < s.SentAt {
		return t.late()
	}
	t.s.SentAt = ev.SentAt
	if env.Identity == Nobody {
		t.did, t.why = DidRepeat, ReasonIdentity
		return t.keep(notice("暂时无法核实你的身份", "通讯录没有应答，这条消息没有执行任何操作。请稍后重发。"))
	}
	if !s.Open() {
		return t.start()
	}
	p, ok := locate(m, s.Hops)
	if s.Rev != m.Rev || !ok || !fits(p, s.Screen) {
		return t.restart()
	}
	return t.act(p)
}

// late answers a message that was sent before one that has been worked on already: it must not act.
func (t *turn) late() Result {
	t.did, t.why = DidRepeat, ReasonLate
	note := "较早的消息" + quote(t.ev.Text) + "现在才送达，没有执行"
	if t.env.Identity == Nobody || !t.s.Open() {
		return t.keep(notice(note, "发送任意内容打开菜单。"))
	}
	if p, ok := locate(t.m, t.s.Hops); t.s.Rev != t.m.Rev || !ok || !fits(p, t.s.Screen) {
		return t.restart()
	}
	if n := t.allowed(t.s.Hops); n < len(t.s.Hops) {
		return t.show(t.s.Hops[:n], note)
	}
	return t.again(note)
}

func (t *turn) start() Result {
	t.did = DidOpen
	switch {
	case t.ev.Type != "text":
		t.why = ReasonType
		return t.show(nil, "目前只能处理文字消息，请回复数字选择")
	case keyOf(t.in, t.m.First) == keyExit:
		t.did = DidExit
		return t.keep(notice("没有进行中的会话", "发送任意内容打开菜单。"))
	case digits(t.in):
		t.why = ReasonExpired
		return t.show(nil, "会话已过期或尚未开始，请重新选择")
	case keyOf(t.in, t.m.First) == keyHelp:
		t.did = DidHelp
		t.extra = []wire.Screen{t.help()}
	}
	return t.show(nil, "")
}

// restart begins again at the top because the menu that the session walked through is not there any more.
func (t *turn) restart() Result {
	if keyOf(t.in, t.m.First) == keyExit && t.why == "" {
		return t.exit()
	}
	t.did, t.why = DidOpen, ReasonRevision
	t.s = Session{Rev: t.m.Rev, SentAt: t.s.SentAt}
	return t.show(nil, "菜单已更新，没有执行任何操作，请重新选择")
}

func (t *turn) exit() Result {
	t.did = DidExit
	t.s = Session{SentAt: t.s.SentAt}
	return t.keep(notice("已退出", "发送任意内容重新打开菜单。正在运行的操作不受影响。"))
}

func (t *turn) act(p place) Result {
	k := keyOf(t.in, t.m.First)
	if k == keyExit {
		return t.exit()
	}
	if n := t.allowed(t.s.Hops); n < len(t.s.Hops) {
		t.did, t.why = DidRepeat, ReasonDenied
		return t.show(t.s.Hops[:n], "你的权限已变更，没有执行任何操作")
	}
	if k != keyBack && k != keyHome && t.outdated(p) {
		t.did, t.why = DidRepeat, ReasonDenied
		return t.show(t.s.Hops, "你的权限已变更，没有执行任何操作，请重新选择")
	}
	if t.ev.Type != "text" {
		t.did, t.why = DidRepeat, ReasonType
		return t.again("目前只能处理文字消息，请回复文字或数字")
	}
	switch k {
	case keyHome:
		t.did = DidHome
		if t.env.Latest != nil {
			t.m, t.s.Rev = t.env.Latest, t.env.Latest.Rev
		}
		return t.show(nil, "")
	case keyBack:
		return t.back()
	case keyHelp:
		t.did = DidHelp
		t.extra = []wire.Screen{t.help()}
		return t.again("")
	case keyNext, keyPrev:
		if typed := t.s.Screen.Kind == wire.ScreenInput && len(t.s.Screen.Items) == 0; !typed {
			return t.page(k)
		}
	}
	switch t.s.Screen.Kind {
	case wire.ScreenConfirm:
		return t.confirm(p)
	case wire.ScreenInput:
		return t.input(p)
	case wire.ScreenMenu:
		return t.choose(p)
	}
	// The accepted screen has no choices: a number typed again must not meet a menu that was not on the screen.
	t.did = DidOpen
	if digits(t.in) {
		t.did, t.why = DidRepeat, ReasonInvalid
		return t.show(t.s.Hops, "上一个操作已受理，没有再次执行，请从菜单选择")
	}
	return t.show(t.s.Hops, "")
}

func (t *turn) back() Result {
	t.did = DidBack
	switch {
	case t.s.Screen.Kind == wire.ScreenAccepted:
		return t.show(t.s.Hops, "")
	case len(t.s.Hops) == 0:
		return t.again("已经在首页")
	}
	return t.show(t.s.Hops[:len(t.s.Hops)-1], "")
}

func (t *turn) page(k key) Result {
	t.did = DidPage
	sh := &t.s.Screen
	pages := t.pages(*sh)
	switch {
	case pages < 2:
		t.why = ReasonInvalid
		return t.again("这里只有一页")
	case k == keyNext && sh.Page+1 >= pages:
		return t.again("已经是最后一页")
	case k == keyPrev && sh.Page == 0:
		return t.again("已经是第一页")
	case k == keyNext:
		sh.Page++
	default:
		sh.Page--
	}
	sh.Seen = max(sh.Seen, sh.Page)
	return t.again("")
}

// pick finds the line that a number means: one of the stored list, on a page that was shown.
func (t *turn) pick() (wire.Item, bool) {
	n, ok := number(t.in)
	i := n - t.m.First
	sh := t.s.Screen
	if !ok || i < 0 || i >= len(sh.Items) || i >= (sh.Seen+1)*t.m.PageSize {
		return wire.Item{}, false
	}
	return sh.Items[i], true
}

func (t *turn) choose(p place) Result {
	t.did = DidChoose
	step := p.current()
	reading := step != nil && step.Param() == ""
	item, ok := t.pick()
	switch {
	case reading:
		t.did, t.why = DidRepeat, ReasonInvalid
		return t.again("这个列表只供查看，" + t.backWord() + " 返回")
	case !ok && len(t.s.Screen.Items) == 0:
		t.did, t.why = DidRepeat, ReasonInvalid
		return t.again("这里没有可选项，" + t.backWord() + " 返回")
	case !ok && t.in == "":
		t.did, t.why = DidRepeat, ReasonInvalid
		return t.again("没有收到内容，请回复列表中的数字")
	case !ok:
		t.did, t.why = DidRepeat, ReasonInvalid
		return t.again("没有" + quote(t.ev.Text) + "这个选项，请回复列表中的数字")
	}
	hop := Hop{Typed: t.in}
	if step == nil {
		hop.Node = item.Value
	} else {
		hop.Param, hop.Text = step.Param(), item.Value
	}
	return t.forward(hop)
}

// forward takes one more hop, if the person may.
func (t *turn) forward(hop Hop) Result {
	hops := append(append([]Hop(nil), t.s.Hops...), hop)
	if _, ok := locate(t.m, hops); !ok {
		return t.restart()
	}
	if t.allowed(hops) < len(hops) {
		t.why = ReasonDenied
		return t.again("没有权限，没有执行任何操作")
	}
	return t.show(hops, "")
}

func (t *turn) input(p place) Result {
	t.did = DidInput
	step := p.current()
	if step == nil || step.Input == nil {
		return t.restart()
	}
	in := step.Input
	typed, value := strings.TrimSpace(t.ev.Text), ""
	switch {
	case in.Type == menu.Enum:
		item, ok := t.pick()
		if !ok {
			t.did, t.why = DidRepeat, ReasonInvalid
			return t.again("没有" + quote(t.ev.Text) + "这个选项，请回复列表中的数字")
		}
		typed, value = t.in, item.Value
	case t.in == "默认" && in.Default != "":
		typed, value = t.in, in.Default
	case in.Type == menu.Int:
		typed, value = t.in, strings.TrimPrefix(t.in, "=")
	default:
		value = typed
		if rest, ok := strings.CutPrefix(value, "="); ok {
			value = rest
		} else if rest, ok := strings.CutPrefix(value, "＝"); ok {
			value = rest
		}
	}
	read, err := in.Read(value)
	if err != nil {
		t.did, t.why = DidRepeat, ReasonInvalid
		return t.again(fault.Safe(err))
	}
	hop := Hop{Typed: typed, Param: in.Param, Text: read}
	if in.Type == menu.Int {
		hop.Int, hop.IsInt, hop.Text = integer(read), true, ""
	}
	return t.forward(hop)
}

func (t *turn) confirm(p place) Result {
	t.did = DidConfirm
	if t.in != "1" {
		t.did, t.why = DidRepeat, ReasonInvalid
		return t.again("还没有执行。请回复 1 确认执行，或回复 " + t.backWord() + " 返回修改")
	}
	if t.env.Identity != Fresh {
		t.why = ReasonIdentity
		return t.again("暂时无法核实你的身份，没有执行任何操作，请稍后再回复 1")
	}
	if p.step+1 >= len(p.node.Steps) || p.node.Steps[p.step+1].Action == nil {
		return t.restart()
	}
	act := p.node.Steps[p.step+1].Action
	switch {
	case t.ev.At > 0 && t.ev.At < t.s.Screen.At:
		// Typed before the confirm was on the screen: an impatient second 1 must not confirm what nobody has read. The two
		// times are of two machines; who reads before answering is later by more than their clocks differ.
		t.why = ReasonUnseen
		return t.again("这条消息早于确认页，没有执行；核对后请再次回复 1")
	case t.ev.At > 0 && t.env.Now-t.ev.At >= act.Expires.Milliseconds():
		t.why = ReasonLate
		return t.again("这条确认在路上耽搁太久，没有执行；如果仍要执行，请再次回复 1")
	}
	holder := t.s.Hops[:lastNode(t.s.Hops)]
	args, err := act.Values(p.params, t.s.Screen.Current)
	if err == nil {
		_, err = wire.CanonicalArgs(args)
	}
	title, terr := act.Title.Text(p.params, t.s.Screen.Current)
	if err != nil || terr != nil {
		t.why = ReasonNoAnswer
		return t.again("当前值不完整，没有执行任何操作，请返回后重试")
	}
	if !t.env.Rights.Decide(t.env.Person, p.node.Path(), act.Action, args).Allowed {
		t.why = ReasonDenied
		return t.show(holder[:t.allowed(holder)], "没有权限，没有执行任何操作")
	}
	title = clean(title, maxTitle)
	id := wire.DeriveID("action", t.ev.ID, p.node.ID)
	t.s.Hops = holder
	t.s.Screen = Shown{Kind: wire.ScreenAccepted}
	r := t.keep(wire.Screen{
		Kind: wire.ScreenAccepted, Title: "已受理 #" + wire.ShortID(id), Body: []string{title, "结果会自动发来，不需要重复操作。"},
		Keys: t.backWord() + " 返回菜单 · 00 首页 · # 退出",
	})
	r.Intent = &Intent{
		ID: id, Node: p.node.ID, Zone: act.Zone, Pool: act.Pool, Action: act.Action, Args: args, Title: title,
		Expire: int64(act.Expires.Seconds()),
	}
	return r
}

// lastNode is the index of the last choice of a node.
func lastNode(hops []Hop) int {
	for i := len(hops) - 1; i >= 0; i-- {
		if hops[i].Node != "" {
			return i
		}
	}
	return 0
}
