package flow_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"palmops/libs/wire"
	"palmops/services/dialog/internal/flow"
)

// inputs is what people type: keys, choices, values, and nonsense. CODE is the code on the screen, PRESS n a button of
// the newest card, STALE one of an older card.
func inputs() *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.SampledFrom([]string{"1", "2", "1", "2", "3", "1", "1", "CODE"}),
		rapid.SampledFrom([]string{"1", "2", "1", "2", "0", "4", "PRESS 1", "PRESS 2", "*", "1 2", "默认"}),
		rapid.SampledFrom([]string{"web", "10.0.0.1/8", "5m", "今天", "a", "2026-12-01", "1-2-1", "x y", "1-3", "full text"}),
		rapid.SampledFrom([]string{
			"0", "00", "#", "+", "-", "?", "返回", "首页", "帮助", "１", "＝0", "=5", "-1", "菜单", "", " ", "全选", "清空", "完成", "全部", "all",
			"/功能", "/1", "/", "最近", "收藏", "收藏+", "收藏-", "删1", "任务", "卡片", "文字", "English", "中文", "PRESS 9", "STALE 1", "back", "home",
		}),
		rapid.String(),
	)
}

// walk is one random conversation and what is known of it from outside.
type walk struct {
	rt    *rapid.T
	t     *testing.T
	w     *world
	s     flow.Session
	last  flow.Result
	card  string            // one before the newest
	shown map[string]string // choices of the standing screen that have been on the phone: key to label
}

// Any sequence of messages keeps the promises of the package.
func TestAnySequence(t *testing.T) {
	retail, rich := newWorld(t), richWorld(t)
	rapid.Check(t, func(rt *rapid.T) {
		var w *world
		switch rapid.IntRange(0, 4).Draw(rt, "world") {
		case 0:
			copied := *retail
			w = &copied
			w.as(rapid.SampledFrom([]string{"zhangsan", "lisi", "outsider"}).Draw(rt, "user"))
		case 1:
			copied := *rich
			w = &copied
			w.as(rapid.SampledFrom([]string{"zhangsan", "lisi"}).Draw(rt, "user"))
		default:
			w = randomWorld(rt, rich)
		}
		k := &walk{rt: rt, t: t, w: w, shown: map[string]string{}}
		w.everyone = flow.Task{State: rapid.SampledFrom([]string{wire.StateRunning, wire.StateFailed}).Draw(rt, "state"), Output: 5, At: noon}
		w.output = strings.Repeat("输出 output\n", rapid.IntRange(0, 300).Draw(rt, "output"))
		for i := range rapid.IntRange(1, 40).Draw(rt, "messages") {
			w.fault = ""
			w.identity = flow.Fresh
			switch rapid.IntRange(0, 19).Draw(rt, "luck") {
			case 0:
				w.fault = "列表暂时取不到"
			case 1:
				w.identity = flow.Identity(rapid.IntRange(0, 1).Draw(rt, "identity"))
			case 2:
				w.asOf = w.now - 60_000
			case 3:
				w.now = noon + int64(rapid.IntRange(0, 23).Draw(rt, "hour"))*3600_000
			case 4:
				w.as(rapid.SampledFrom([]string{"zhangsan", "zhangsan", "lisi", "nobody"}).Draw(rt, "other"))
			}
			k.step(fmt.Sprint(i), int64(100+i), inputs().Draw(rt, "input"))
		}
		w.fault, w.identity = "", flow.Fresh
		if r := w.step(t, k.s, flow.Event{ID: "x", Type: "text", Text: "#", SentAt: 1 << 40}); r.Session.Open() {
			rt.Fatal("there is no way out")
		}
	})
}

func (k *walk) event(id string, sent int64, in string) flow.Event {
	ev := flow.Event{ID: id, Type: "text", Text: in, SentAt: sent}
	card, key := k.s.Screen.Card, ""
	switch {
	case in == "CODE" && k.s.Screen.Code != "":
		ev.Text = k.s.Screen.Code
	case strings.HasPrefix(in, "PRESS "):
		key = in[6:]
	case strings.HasPrefix(in, "STALE "):
		key, card = in[6:], k.card
	}
	if key != "" {
		ev = flow.Event{ID: id, Type: "event", Event: flow.EventCard, Key: key, Card: card, SentAt: sent}
	}
	return ev
}

func (k *walk) step(id string, sent int64, in string) {
	ev := k.event(id, sent, in)
	before := k.s
	r := k.w.step(k.t, before, ev)
	if again := k.w.step(k.t, before, ev); cmp.Diff(r, again) != "" {
		k.rt.Fatal("the same step twice gives two results:", cmp.Diff(r, again))
	}
	if len(r.Screens) == 0 {
		k.rt.Fatal("a text without an answer")
	}
	if r.Session.SentAt < ev.SentAt {
		k.rt.Fatal("the message was forgotten")
	}
	typed := ev.Text
	if ev.Type == "event" {
		typed = ev.Key
		if r.Pressed == "" && k.w.identity != flow.Nobody {
			k.rt.Fatal("a press without a word on the card")
		}
		if (ev.Card != before.Screen.Card || ev.Card == "") && (r.Intent != nil || r.Session.Path() != before.Path() && r.Reason == "") {
			k.rt.Fatalf("a foreign card did %s", r.Did)
		}
	}
	k.ordered(before, r, flow.Fold(typed))
	k.chosen(before, r, flow.Fold(typed))
	if k.w.identity != flow.Nobody { // what is said to nobody leaves the screen before it standing
		k.last = r
	}
	k.legal(r)
	k.undoable(before, r)
	k.see(before, r)
	k.s = r.Session
	if r.Memo != nil {
		k.w.memo = *r.Memo
	}
	if before.Screen.Card != "" {
		k.card = before.Screen.Card
	}
}

// badSentence is what fmt makes of a sentence with wrong arguments.
var badSentence = regexp.MustCompile(`%!\w?\(|\(MISSING\)|\(EXTRA `)

var codeForm = regexp.MustCompile(`\d{4}`)

// ordered: nothing runs unless its confirm was on the phone, and exactly what it asks for was said; and nothing runs that
// the policy does not allow.
func (k *walk) ordered(before flow.Session, r flow.Result, in string) {
	i := r.Intent
	if i == nil {
		return
	}
	if i.Report || i.Noop {
		k.harmless(before, r, in)
		return
	}
	if k.w.identity != flow.Fresh {
		k.rt.Fatal("an order of somebody who is not known well")
	}
	if len(k.last.Screens) == 0 || before.Screen.Kind != wire.ScreenConfirm {
		k.rt.Fatalf("an order from %q with %q", before.Screen.Kind, in)
	}
	screen := k.last.Screens[len(k.last.Screens)-1]
	run := len(screen.Choices) > 0 && screen.Choices[0].Key == "1" && in == "1"
	byCode := before.Screen.Code != "" && in == before.Screen.Code && slices.ContainsFunc(screen.Body, func(line string) bool {
		return codeForm.FindString(line) == in
	})
	if screen.Kind != wire.ScreenConfirm || !run && !byCode || run && before.Screen.Code != "" {
		k.rt.Fatalf("%q orders from\n%s", in, text(k.last.Screens))
	}
	if i.Action == wire.ActionCancel {
		if i.Args["id"] == "" || !slices.ContainsFunc(k.w.memo.Recent, func(r flow.Recent) bool { return r.ID == i.Args["id"] }) {
			k.rt.Fatalf("cancels %+v", i)
		}
		return
	}
	if d := k.w.rights(k.w.menu).Decide(k.w.menu.Node(i.Node), i.Args); !d.Allowed {
		k.rt.Fatalf("%+v is not allowed: %s", i, d.Why)
	}
	if r.Memo == nil || r.Memo.Recent[0].ID != i.ID {
		k.rt.Fatal("the order is not remembered")
	}
}

// harmless: what is ordered without a confirm is a report of the menu; a dry run is asked for at a confirm that offers it,
// and leaves it standing. Both are allowed, and remembered.
func (k *walk) harmless(before flow.Session, r flow.Result, in string) {
	i := r.Intent
	n := k.w.menu.Node(i.Node)
	switch {
	case k.w.identity == flow.Nobody:
		k.rt.Fatal("an order of nobody")
	case i.Report == i.Noop || i.Report != n.Order().Report:
		k.rt.Fatalf("%+v is neither a report nor a dry run", i)
	case i.Report && (r.Did != flow.DidReport || r.Session.Screen.Kind != wire.ScreenAccepted):
		k.rt.Fatalf("a report by %s, on %s", r.Did, r.Session.Screen.Kind)
	case i.Noop && (r.Did != flow.DidDryRun || !n.Steps[len(n.Steps)-2].Confirm.Noop || same(before, r.Session) != "" || before.Screen.Code != r.Session.Screen.Code):
		k.rt.Fatalf("a dry run by %s: %s", r.Did, same(before, r.Session))
	}
	if i.Noop && in != "试运行" {
		screen := k.last.Screens[len(k.last.Screens)-1]
		if last := len(screen.Choices) - 1; before.Screen.Kind != wire.ScreenConfirm || last < 0 || screen.Choices[last].Key != in {
			k.rt.Fatalf("%q tries\n%s", in, text(k.last.Screens))
		}
	}
	if d := k.w.rights(k.w.menu).Decide(n, i.Args); !d.Allowed {
		k.rt.Fatalf("%+v is not allowed: %s", i, d.Why)
	}
	if r.Memo == nil || r.Memo.Recent[0].ID != i.ID {
		k.rt.Fatal("the order is not remembered")
	}
}

// chosen: a number means a line that was on the phone, and that very line.
func (k *walk) chosen(before flow.Session, r flow.Result, in string) {
	if r.Did != flow.DidChoose || r.Reason != "" || len(r.Session.Hops) <= len(before.Hops) {
		return
	}
	label, ok := k.shown[in]
	if !ok {
		k.rt.Fatalf("%q was not on the screen:\n%s", in, text(k.last.Screens))
	}
	hop := r.Session.Hops[len(before.Hops)]
	if n := k.w.menu.Node(hop.Node); n != nil && n.Title.ZH != label && n.Title.EN != label {
		k.rt.Fatalf("%q was %q and became %s", in, label, hop.Node)
	}
	if hop.Node == "" && hop.Param != "" && !hop.Part && strings.HasPrefix(hop.Text, "web-") && hop.Text != label {
		k.rt.Fatalf("%q was %q and became %+v", in, label, hop)
	}
}

// see notes what has been on the phone of the screen that stands now.
func (k *walk) see(before flow.Session, r flow.Result) {
	if k.w.identity == flow.Nobody {
		return
	}
	a, b := before.Screen, r.Session.Screen
	if r.Session.Path() != before.Path() || a.Kind != b.Kind || a.Room != b.Room || a.Filter != b.Filter || !cmp.Equal(a.Items, b.Items) {
		k.shown = map[string]string{}
	}
	for _, c := range k.last.Screens[len(k.last.Screens)-1].Choices {
		k.shown[c.Key] = c.Label
	}
}

// legal holds a result against what a person and the store need of it.
func (k *walk) legal(r flow.Result) {
	if !r.Session.Open() || k.w.identity == flow.Nobody {
		return
	}
	last := r.Screens[len(r.Screens)-1]
	if last.Kind != r.Session.Screen.Kind || last.Card != r.Session.Screen.Card {
		k.rt.Fatalf("%s %s is shown, %s %s is stored", last.Kind, last.Card, r.Session.Screen.Kind, r.Session.Screen.Card)
	}
	if last.Kind == wire.ScreenAccepted && len(last.Choices) > 0 {
		k.rt.Fatal("the accepted screen has choices")
	}
	if !strings.Contains(last.Keys, "#") || badSentence.MatchString(text(r.Screens)) {
		k.rt.Fatalf("no way out, or a wrong sentence, on\n%s", text(r.Screens))
	}
	raw, err := json.Marshal(r.Session)
	if err != nil {
		k.rt.Fatal(err)
	}
	var back flow.Session
	if err := json.Unmarshal(raw, &back); err != nil || !cmp.Equal(r.Session.Path(), back.Path()) {
		k.rt.Fatalf("the session does not survive storage: %v", err)
	}
	help := k.w.step(k.t, back, flow.Event{ID: "help", Type: "text", Text: "?", SentAt: back.SentAt})
	if help.Did != flow.DidHelp || help.Reason != "" || help.Session.Path() != back.Path() {
		k.rt.Fatalf("the session does not fit the menu: %s %s: after %s %s\n%s\n%+v\n%s", help.Did, help.Reason, r.Did, r.Reason, text(r.Screens), r.Session, text(help.Screens))
	}
}

// undoable: after an accepted choice or value, 返回 leads to where one was.
func (k *walk) undoable(before flow.Session, r flow.Result) {
	forward := k.w.identity != flow.Nobody && r.Reason == "" && (r.Did == flow.DidChoose || r.Did == flow.DidInput || r.Did == flow.DidPick)
	if !forward || k.w.fault != "" || len(r.Session.Hops) != len(before.Hops)+1 || len(before.Ahead)+len(r.Session.Ahead) > 0 {
		return
	}
	back := k.w.step(k.t, r.Session, flow.Event{ID: "back", Type: "text", Text: "返回", SentAt: r.Session.SentAt})
	if diff := same(before, back.Session); diff != "" || back.Did != flow.DidBack {
		k.rt.Fatalf("back from %s leads to %s (%s):\n%s", r.Session.Path(), back.Session.Path(), back.Did, diff)
	}
}

func TestPathGoesThereAndBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s flow.Session
		typed := rapid.SliceOfN(rapid.StringMatching(`[-\\a1]{1,6}|.{1,6}`), 1, 6).Draw(t, "typed")
		for _, in := range typed {
			s.Hops = append(s.Hops, flow.Hop{Typed: in})
		}
		if diff := cmp.Diff(typed, wire.SplitInputs(s.Path())); diff != "" {
			t.Fatalf("%s: %s", s.Path(), diff)
		}
	})
}
