package flow_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"palmops/libs/wire"
	"palmops/services/dialog/internal/flow"
)

func TestTheMainRoad(t *testing.T) {
	c := &talk{t: t, w: newWorld(t)}
	var b strings.Builder
	for _, said := range []string{"菜单", "1", "1", "1", "1", "2", "5", "1"} {
		c.say(said)
		fmt.Fprintf(&b, "> %s\n%s= path %s\n\n", said, text(c.last.Screens), c.s.Path())
	}
	golden(t, "testdata/main.golden", b.String())
	intent := &flow.Intent{
		ID: wire.DeriveID("action", "m8", "retail-scale"), Node: "retail-scale", Zone: "local", Pool: "k8s", Action: "k8s.scale",
		Args:  map[string]any{"namespace": "shop", "deployment": "web", "replicas": int64(5), "from": int64(3)},
		Title: "shop/web 副本数 3 → 5", Lang: "zh", Expire: 120,
	}
	if diff := cmp.Diff(intent, c.last.Intent); diff != "" {
		t.Error(diff)
	}
	c.say("1")
	if c.last.Intent != nil {
		t.Error("the number of the confirm typed again orders again")
	}
	c.wants("没有再次执行", "1. 调整 POD 数")
}

func TestKeys(t *testing.T) {
	for _, c := range []struct {
		name  string
		say   []string
		path  string
		did   string
		wants []string
	}{
		{"any text opens", []string{"你好"}, "", flow.DidOpen, []string{"掌上运维", "1. 零售事业部"}},
		{"a bare number opens with a note", []string{"1"}, "", flow.DidOpen, []string{"会话已过期或尚未开始，请重新选择", "1. 零售事业部"}},
		{"full-width digits", []string{"x", "１", "　１ "}, "1-1", flow.DidChoose, []string{"1. 调整 POD 数"}},
		{"0 goes back", []string{"x", "1", "1", "0"}, "1", flow.DidBack, []string{"零售事业部", "1. Kubernetes 操作"}},
		{"返回 goes back", []string{"x", "1", "1", "返回"}, "1", flow.DidBack, nil},
		{"full-width 0 goes back", []string{"x", "1", "1", "０"}, "1", flow.DidBack, nil},
		{"back at the top", []string{"x", "0"}, "", flow.DidBack, []string{"已经在首页", "1. 零售事业部"}},
		{"00 goes home", []string{"x", "1", "1", "1", "1", "00"}, "", flow.DidHome, []string{"1. 零售事业部"}},
		{"首页 goes home", []string{"x", "1", "1", "首页"}, "", flow.DidHome, nil},
		{"菜单 goes home", []string{"x", "1", "1", "菜单"}, "", flow.DidHome, nil},
		{"help", []string{"x", "1", "？"}, "1", flow.DidHelp, []string{"使用帮助", "1. Kubernetes 操作"}},
		{"帮助", []string{"x", "1", "帮助"}, "1", flow.DidHelp, []string{"使用帮助"}},
		{"help opens as well", []string{"?"}, "", flow.DidHelp, []string{"使用帮助", "1. 零售事业部"}},
		{"out of range", []string{"x", "1", "9"}, "1", flow.DidRepeat, []string{"没有「9」这个选项", "1. Kubernetes 操作"}},
		{"leading zero is no choice", []string{"x", "01"}, "", flow.DidRepeat, []string{"没有「01」这个选项"}},
		{"huge number", []string{"x", "99999999999999999999"}, "", flow.DidRepeat, []string{"这个选项"}},
		{"letters", []string{"x", "web"}, "", flow.DidRepeat, []string{"没有「web」这个选项"}},
		{"empty", []string{"x", ""}, "", flow.DidRepeat, []string{"没有收到内容"}},
		{"emoji", []string{"x", "👍"}, "", flow.DidRepeat, []string{"没有「👍」这个选项"}},
		{"10,000 characters", []string{"x", strings.Repeat("长", 10000)}, "", flow.DidRepeat, []string{"没有「长长长长长长长长长长长长…」这个选项"}},
		{"no second page", []string{"x", "+"}, "", flow.DidPage, []string{"这里只有一页"}},
		{"input too large", []string{"x", "1", "1", "1", "1", "2", "21"}, "1-1-1-1-2", flow.DidRepeat, []string{"0 到 20", "输入新的副本数"}},
		{"input in letters", []string{"x", "1", "1", "1", "1", "2", "five"}, "1-1-1-1-2", flow.DidRepeat, []string{"整数"}},
		{"input with a plus", []string{"x", "1", "1", "1", "1", "2", "+1"}, "1-1-1-1-2", flow.DidRepeat, []string{"不要写加号"}},
		{"a plus alone at an input is no page", []string{"x", "1", "1", "1", "1", "2", "+"}, "1-1-1-1-2", flow.DidRepeat, []string{"加号"}},
		{"full-width input", []string{"x", "1", "1", "1", "1", "2", "１２"}, "1-1-1-1-2-12", flow.DidInput, []string{"shop/web：3 → 12"}},
		{"0 at an input goes back", []string{"x", "1", "1", "1", "1", "2", "0"}, "1-1-1-1", flow.DidBack, []string{"2. web  3/3"}},
		{"=0 is the value zero", []string{"x", "1", "1", "1", "1", "2", "＝0"}, "1-1-1-1-2-=0", flow.DidInput, []string{"shop/web：3 → 0"}},
		{"0 at a confirm goes back to the input", []string{"x", "1", "1", "1", "1", "2", "5", "0"}, "1-1-1-1-2", flow.DidBack, []string{"输入新的副本数"}},
		{"another number is no confirm", []string{"x", "1", "1", "1", "1", "2", "5", "9"}, "1-1-1-1-2-5", flow.DidRepeat, []string{"还没有执行", "shop/web：3 → 5"}},
		{"yes is no confirm", []string{"x", "1", "1", "1", "1", "2", "5", "确认"}, "1-1-1-1-2-5", flow.DidRepeat, []string{"还没有执行"}},
		{"full-width confirm", []string{"x", "1", "1", "1", "1", "2", "5", "１"}, "1-1", flow.DidConfirm, []string{"已受理 #"}},
		{"back from the accepted screen", []string{"x", "1", "1", "1", "1", "2", "5", "1", "0"}, "1-1", flow.DidBack, []string{"1. 调整 POD 数"}},
		{"a word after the accepted screen", []string{"x", "1", "1", "1", "1", "2", "5", "1", "好的"}, "1-1", flow.DidOpen, []string{"1. 调整 POD 数"}},
		{"help on the accepted screen", []string{"x", "1", "1", "1", "1", "2", "5", "1", "?"}, "1-1", flow.DidHelp, []string{"上一个操作已受理"}},
		{"a list to read", []string{"x", "1", "1", "2", "1"}, "1-1-2-1", flow.DidChoose, []string{"web  3/3"}},
		{"a list to read takes no number", []string{"x", "1", "1", "2", "1", "1"}, "1-1-2-1", flow.DidRepeat, []string{"只供查看"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := &talk{t: t, w: newWorld(t)}
			k.say(c.say...)
			if got := k.s.Path(); got != c.path || k.last.Did != c.did || !k.s.Open() {
				t.Errorf("path %q, did %q, open %t; want %q, %q", got, k.last.Did, k.s.Open(), c.path, c.did)
			}
			k.wants(c.wants...)
		})
	}
}

func TestExitEndsTheSession(t *testing.T) {
	for _, exit := range []string{"#", "退出", "＃"} {
		k := &talk{t: t, w: newWorld(t)}
		k.say("x", "1", "1", "1", "1", "2", exit)
		if k.s.Open() || k.s.SentAt == 0 || k.last.Did != flow.DidExit {
			t.Errorf("after %s: %+v", exit, k.s)
		}
		k.wants("已退出")
		k.say(exit)
		k.wants("没有进行中的会话")
	}
}

func TestOtherMessageTypes(t *testing.T) {
	k := &talk{t: t, w: newWorld(t)}
	k.say("x", "1", "1", "1", "1", "2", "5")
	before := k.s
	r := k.w.step(t, before, flow.Event{ID: "e", Type: "event", SentAt: before.SentAt + 5})
	if len(r.Screens) != 0 || cmp.Diff(before, r.Session) != "" {
		t.Errorf("an event: %+v", r)
	}
	r = k.w.step(t, before, flow.Event{ID: "i", Type: "image", Text: "1", SentAt: before.SentAt + 5})
	if r.Intent != nil || !strings.Contains(text(r.Screens), "只能处理文字消息") || r.Session.Path() != before.Path() {
		t.Errorf("an image: %+v", r)
	}
}

func TestAMessageThatCameLateDoesNotAct(t *testing.T) {
	k := &talk{t: t, w: newWorld(t)}
	k.say("x", "1", "1", "1", "1", "2", "5")
	before := k.s
	r := k.w.step(t, k.s, flow.Event{ID: "late", Type: "text", Text: "1", SentAt: before.SentAt - 1})
	if r.Intent != nil || r.Reason != flow.ReasonLate || cmp.Diff(before, r.Session) != "" {
		t.Errorf("%+v", r)
	}
	if got := text(r.Screens); !strings.Contains(got, "较早的消息「1」现在才送达，没有执行") || !strings.Contains(got, "shop/web：3 → 5") {
		t.Error(got)
	}
	if r = k.w.step(t, before, flow.Event{ID: "same", Type: "text", Text: "1", SentAt: before.SentAt}); r.Intent == nil {
		t.Error("a message of the same second is not late")
	}
	closed := flow.Session{SentAt: before.SentAt}
	if r = k.w.step(t, closed, flow.Event{ID: "late", Type: "text", Text: "1", SentAt: before.SentAt - 1}); r.Session.Open() || r.Reason != flow.ReasonLate {
		t.Errorf("%+v", r)
	}
}

func TestAConfirmCountsOnlyInItsTime(t *testing.T) {
	k := &talk{t: t, w: newWorld(t)}
	k.w.now, k.w.at = 1_000_000, 999_000
	k.say("x", "1", "1", "1", "1", "2", "1")
	k.w.at = 999_500 // an impatient second 1, typed before the confirm was there
	if r := k.say("1"); r.Intent != nil || r.Reason != flow.ReasonUnseen {
		t.Errorf("%+v", r)
	}
	k.wants("早于确认页，没有执行", "shop/web：3 → 1")
	k.w.at, k.w.now = 1_005_000, 1_125_000
	if r := k.say("1"); r.Intent != nil || r.Reason != flow.ReasonLate {
		t.Errorf("%+v", r)
	}
	k.wants("耽搁太久，没有执行", "shop/web：3 → 1")
	k.w.now--
	if r := k.say("1"); r.Intent == nil {
		t.Error("the confirm does not count any more")
	}
}

func TestIdentity(t *testing.T) {
	k := &talk{t: t, w: newWorld(t)}
	k.say("x", "1", "1", "1", "1", "2", "5")
	k.w.identity = flow.Stale
	if r := k.say("1"); r.Intent != nil || r.Reason != flow.ReasonIdentity {
		t.Errorf("%+v", r)
	}
	k.wants("暂时无法核实你的身份，没有执行任何操作", "shop/web：3 → 5")
	k.w.identity = flow.Nobody
	if r := k.say("1"); r.Intent != nil || r.Session.Path() != "1-1-1-1-2-5" {
		t.Errorf("%+v", r)
	}
	k.wants("暂时无法核实你的身份")
	k.w.identity = flow.Fresh
	if r := k.say("1"); r.Intent == nil {
		t.Error("the session was lost")
	}
}

func TestTheFirstMessageIsNoText(t *testing.T) {
	k := &talk{t: t, w: newWorld(t)}
	k.send(flow.Event{Type: "image"})
	k.wants("目前只能处理文字消息，请回复数字选择", "1. 零售事业部")
	if k.last.Reason != flow.ReasonType {
		t.Error(k.last.Reason)
	}
	k.play("> #\n> 1-1\n会话已过期或尚未开始，请重新选择\n@\n= open no_session\n")
}

// A confirm that was held up longer than its order lives must not count.
func TestTheTimeOfAnOrderIsItsOwn(t *testing.T) {
	k := &talk{t: t, w: richWorld(t)}
	k.w.lists["departments 0"] = []wire.Item{{Value: "7", Label: "平台部"}}
	k.w.at = k.w.now
	k.play("> 菜单\n> 3-4\n1. 平台部\n> 1\n1. 李四\n> 1\n请确认：值班\n")
	q := k.w.asked[len(k.w.asked)-1]
	if q.What != flow.AskDirectory || q.In != 7 || q.Cache.Seconds() != 10 || q.Stale.Seconds() != 60 {
		t.Errorf("%+v", q)
	}
	k.w.now += 30_000
	if r := k.say("1"); r.Intent != nil || r.Reason != flow.ReasonLate {
		t.Errorf("%+v", r)
	}
	k.w.now--
	if r := k.say("1"); r.Intent == nil || r.Intent.Expire != 30 {
		t.Errorf("%+v", r)
	}
}
