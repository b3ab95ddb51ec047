package flow_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"palmops/libs/wire"
	"palmops/services/dialog/internal/flow"
)

func TestANodeInGo(t *testing.T) {
	k := &talk{t: t, w: richWorld(t)}
	k.play(`
> 菜单
> 2-1
请输入地址和前缀长度
请输入地址和前缀长度
> 10.1.2/24
这不是地址或网段，没有接受
= repeat invalid
> =10.1.2.3/24
网段 10.1.2.0/24
广播地址 10.1.2.255
1. 使用 10.1.2.0/24
@ 2-1-=10.1.2.3/24
> 192.0.2.1
共 1 个地址
> 0
网段 10.1.2.0/24
> 1
端口，1 到 65535
> 0
1. 使用 10.1.2.0/24
> 0
请输入地址
> x
> y
> z
连续 3 次输入不正确
@ 2
`)
}

func TestANodeToRead(t *testing.T) {
	k := &talk{t: t, w: richWorld(t)}
	k.play("> 菜单\n> 2-3\n> 10.0.0.0/8\n> 1\n共 16777216 个地址\n@ 2-3-10.0.0.0/8-1\n> 1\n这里没有可选项\n> 0\n> 0\n> 0\n@ 2\n")
}

func TestANodeThatNobodyRegistered(t *testing.T) {
	k := &talk{t: t, w: richWorld(t)}
	env := k.w.env()
	env.Nodes = nil
	k.say("菜单", "2")
	r := flow.Step(k.w.menu, k.s, flow.Event{ID: "x", Type: "text", Text: "1", SentAt: 5000}, env)
	if !strings.Contains(text(r.Screens), "没有可以显示的内容，没有执行任何操作") || r.Session.Path() != "2" {
		t.Error(text(r.Screens))
	}
}

func TestARemoteNode(t *testing.T) {
	k := &talk{t: t, w: richWorld(t)}
	k.w.view = func(inputs []string) wire.View {
		switch {
		case len(inputs) == 0:
			return wire.View{Title: "工单\n系统", Body: []string{"选择\u202e类型"}, Items: []wire.Item{{Value: "a-1", Label: "甲"}, {Value: "b"}, {Value: ""}}}
		case inputs[0] == "b":
			return wire.View{Refuse: "乙不开放，没有执行任何操作"}
		case len(inputs) == 1:
			return wire.View{Body: []string{"说明"}, Free: true}
		}
		return wire.View{Done: true, Value: "T-" + inputs[1]}
	}
	k.play(`
> 菜单
> 2-2
工单 系统
选择 类型
1. 甲
2. b
! 3.
> 2
乙不开放，没有执行任何操作
= repeat invalid
> 甲
没有「甲」这个选项
> 1
说明
@ 2-2-1
> /不是搜索
工单 T-/不是搜索
2. 工单：T-/不是搜索
> 0
说明
> 0
1. 甲
`)
	q := k.w.asked[len(k.w.asked)-1]
	if q.What != flow.AskView || q.Action != "net.ticket" || q.Args["inputs"] != "" || q.Args["lang"] != "zh" {
		t.Errorf("%+v", q)
	}
	k.say("1", "x-y")
	if q := k.w.asked[len(k.w.asked)-1]; !slices.Equal(wire.SplitInputs(q.Args["inputs"].(string)), []string{"a-1", "x-y"}) {
		t.Errorf("%+v", q.Args)
	}
}

func TestARemoteNodeThatFails(t *testing.T) {
	k := &talk{t: t, w: richWorld(t)}
	k.w.fault = "执行器没有应答，没有执行任何操作"
	k.play("> 菜单\n> 2\n> 2\n执行器没有应答，没有执行任何操作；稍后再次回复 2 重试\n1. 放行网段\n@ 2\n= choose no_answer\n")
	k.w.fault = ""
	k.w.view = func(inputs []string) wire.View { return wire.View{Body: []string{"问"}, Free: true} }
	k.play("> 2\n问\n")
	k.w.fault = "执行器没有应答"
	k.play("> 答\n执行器没有应答；稍后再次回复 答 重试\n问\n= input no_answer\n@ 2-2\n")
	k.w.fault = ""
	k.w.view = func([]string) wire.View { return wire.View{Done: true, Value: "a\nb"} }
	k.play("> 答\n这项功能给出的值不能使用，没有执行任何操作，请联系管理员\n@ 2-2\n")
}

// What a custom step said it says again in the other language; when it cannot, the old words stay.
func TestACustomStepInAnotherLanguage(t *testing.T) {
	k := &talk{t: t, w: richWorld(t)}
	k.w.view = func(inputs []string) wire.View {
		return wire.View{Body: []string{k.w.asked[len(k.w.asked)-1].Args["lang"].(string)}, Items: []wire.Item{{Value: "a"}}}
	}
	k.play("> 菜单\n> 2\n> 2\nzh\n> English\nEnglish from now on\nen\n1. a\n")
	k.w.fault = "执行器没有应答"
	k.play("> 中文\n已改为中文，回复 English 换成英文；执行器没有应答\nen\n1. a\n@ 2-2\n")
}

func TestAViewIsBounded(t *testing.T) {
	k := &talk{t: t, w: richWorld(t)}
	k.w.view = func(inputs []string) wire.View {
		v := wire.View{Free: true, Title: strings.Repeat("题", 1000)}
		for i := range 1000 {
			v.Body = append(v.Body, strings.Repeat("文", 1000))
			v.Items = append(v.Items, wire.Item{Value: fmt.Sprint(i), Label: strings.Repeat("字", 1000)})
		}
		return v
	}
	k.say("菜单", "2-2")
	s := k.last.Screens[0]
	if n := len([]rune(s.Title)); n > 61 || len(s.Body) > 31 || len([]rune(s.Body[0])) > 201 || len(k.s.Screen.Items) != 200 {
		t.Errorf("%d characters, %d lines, %d items", n, len(s.Body), len(k.s.Screen.Items))
	}
	for i := range 60 {
		k.say(fmt.Sprint("输入", i))
	}
	k.wants("步骤太多，没有接受这一步")
	if len(k.s.Hops) > 50 {
		t.Errorf("%d hops", len(k.s.Hops))
	}
}
