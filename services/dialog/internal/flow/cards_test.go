package flow_test

import (
	"regexp"
	"testing"

	"palmops/libs/lang"
	"palmops/libs/wire"
	"palmops/services/dialog/internal/flow"
)

var cardForm = regexp.MustCompile(`^[a-z0-9]{10,64}$`)

func TestCards(t *testing.T) {
	k := &talk{t: t, w: newWorld(t)}
	k.say("菜单")
	if k.last.Screens[0].Card != "" {
		t.Error("a card that nobody asked for")
	}
	k.play("> 卡片\n已改为卡片，回复 文字 改回来\n1. 零售事业部\n= setting\n")
	first := k.s.Screen.Card
	if !cardForm.MatchString(first) || k.last.Screens[0].Card != first || k.w.memo.Cards != flow.CardsOn {
		t.Fatalf("%q %+v", first, k.w.memo)
	}
	k.press(first, "1")
	k.play("1. Kubernetes 操作\n= choose\n@ 1\n")
	if k.last.Pressed != "已选 1 零售事业部" {
		t.Error(k.last.Pressed)
	}
	second := k.s.Screen.Card
	k.press(first, "1")
	k.play("按下的卡片已失效，没有执行任何操作，请使用这一屏\n1. Kubernetes 操作\n= repeat card\n@ 1\n")
	if k.last.Pressed != "已失效" || k.s.Screen.Card == second || k.s.Screen.Card == "" {
		t.Errorf("%+v", k.last)
	}
	k.press(second, "1")
	if k.last.Reason != flow.ReasonCard {
		t.Error("the card before the newest one still acts")
	}
	k.press(k.s.Screen.Card, "7")
	k.play("没有「7」这个选项\n= repeat invalid\n")
	if k.last.Pressed != "已失效" {
		t.Error(k.last.Pressed)
	}
	k.press(k.s.Screen.Card, "1")
	k.press(k.s.Screen.Card, "1")
	k.press(k.s.Screen.Card, "1")
	k.press(k.s.Screen.Card, "2")
	if k.s.Screen.Card != "" {
		t.Error("an input is no card")
	}
	k.play("> 5\n请确认\n")
	k.w.at = k.w.now
	r := k.press(k.s.Screen.Card, "1")
	if r.Intent == nil || r.Pressed != "已选 1 确认执行" || r.Screens[0].Card != "" {
		t.Errorf("%+v", r)
	}
	k.play("> 文字\n已改为文字\n")
	if k.s.Screen.Card != "" {
		t.Error("still a card")
	}
}

func TestAPressThatMeansNothing(t *testing.T) {
	k := &talk{t: t, w: newWorld(t)}
	k.w.memo.Cards = flow.CardsOn
	r := k.press("card", "1")
	if r.Session.Open() || r.Pressed != "已失效" || len(r.Screens) != 1 {
		t.Errorf("%+v", r)
	}
	k.say("x")
	card := k.s.Screen.Card
	k.w.identity = flow.Nobody
	if r := k.press(card, "1"); r.Pressed != "" || r.Session.Screen.Card != card {
		t.Errorf("a card that was not understood must stay: %+v", r)
	}
	k.w.identity = flow.Fresh
	if r := k.press(card, "返回"); r.Pressed != "已失效" || r.Did != flow.DidRepeat {
		t.Errorf("%+v", r)
	}
	before := k.s
	if r := k.w.step(t, before, flow.Event{ID: "e", Type: "event", Event: "enter_agent", SentAt: 5000}); r.Did != flow.DidIgnore || len(r.Screens) > 0 {
		t.Errorf("%+v", r)
	}
	late := k.w.step(t, before, flow.Event{ID: "e", Type: "event", Event: flow.EventCard, Card: before.Screen.Card, Key: "1", SentAt: 1})
	if late.Session.Path() != "" || late.Reason != flow.ReasonLate || late.Pressed != "已失效" {
		t.Errorf("%+v", late)
	}
}

func TestWhichScreensAreCards(t *testing.T) {
	k := &talk{t: t, w: richWorld(t)}
	k.w.memo.Cards = flow.CardsOn
	k.say("x")
	if k.s.Screen.Card == "" {
		t.Error("six choices fit")
	}
	k.w.lists["k.clusters"] = many(7)
	k.say("1")
	if k.s.Screen.Card != "" {
		t.Error("seven do not")
	}
	k.w.lists["k.clusters"] = nil
	k.say("0", "1")
	if k.s.Screen.Card != "" {
		t.Error("a list without lines")
	}
	k.say("00", "3-1", "a", "1", "今天", "8:05", "5m", "web", "x", "1", "1")
	if s := k.last.Screens[0]; s.Kind != wire.ScreenConfirm || len(s.Choices) != 11 || s.Card == "" {
		t.Errorf("%+v", s)
	}
	r := k.press(k.s.Screen.Card, "2")
	if r.Did != flow.DidChange || r.Pressed != "已选 2 说明：a" {
		t.Errorf("%+v", r)
	}
}

func TestCardsOfRooms(t *testing.T) {
	k, id := ordered(t)
	k.w.tasks = map[string]flow.Task{id: {State: wire.StateRunning}}
	k.say("卡片", "任务")
	k.press(k.s.Screen.Card, "1")
	k.press(k.s.Screen.Card, "2")
	old := k.s.Screen.Card
	k.play("请确认：取消\n> 返回\n")
	if r := k.press(old, "1"); r.Intent != nil {
		t.Error("the card of a room that was left still acts")
	}
	k.press(k.s.Screen.Card, "2")
	if r := k.press(k.s.Screen.Card, "1"); r.Intent == nil || r.Intent.Action != wire.ActionCancel {
		t.Errorf("%+v", r)
	}
}

func TestAPressThatCannotBeAnswered(t *testing.T) {
	k := &talk{t: t, w: newWorld(t)}
	k.w.memo.Cards = flow.CardsOn
	k.say("x", "1-1")
	k.w.fault = "列表暂时取不到，请稍后重试"
	old := k.s.Screen.Card
	k.press(old, "1")
	k.play("列表暂时取不到；稍后在最新的卡片上再按一次\n1. 调整 POD 数\n@ 1-1\n= choose no_answer\n")
	if k.last.Pressed != "已失效" || k.s.Screen.Card == old || k.s.Screen.Card == "" {
		t.Errorf("%+v", k.last)
	}
	k.w.fault = ""
	k.press(k.s.Screen.Card, "1")
	k.play("1. shop\n@ 1-1-1\n")
}

func TestLanguages(t *testing.T) {
	k := &talk{t: t, w: richWorld(t)}
	k.play(`
> 菜单
> english
English from now on
Practice
1. Clusters
# leave
> 1
> 2
> 1
> 2
> 1
> 4
a whole number, 0 to 20
reply default for 2
> 99
20
> default
Please confirm: Scale
1. Confirm and run
2. Cluster: b1
5. Replicas: 3 → 2
> back
> home
> 2
1. Allow a network
> 1
> 10.0.0.0/8
Network 10.0.0.0/8
> back
> back
> 中文
已改为中文
1. 放行网段
> quit
已退出
`)
	if k.w.memo.Lang != lang.Chinese {
		t.Errorf("%+v", k.w.memo)
	}
	k.play("> English\nEnglish from now on\nPractice\n> 1-1\nwas not used\n")
	if k.last.Lang != lang.English {
		t.Error(k.last.Lang)
	}
}
