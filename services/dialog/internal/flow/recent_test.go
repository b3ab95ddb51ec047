package flow_test

import (
	"fmt"
	"strings"
	"testing"

	"palmops/services/dialog/internal/flow"
)

func TestAnOrderCanBeGivenAgain(t *testing.T) {
	k, id := ordered(t)
	k.w.fields["replicas"] = "5"
	k.play(`
> 最近
最近的操作
1. web → 5  11-23 12:00
> 1
请确认：调整副本数
shop/web：5 → 5
2. 集群：b1
5. 副本数：5 → 5
@ 1-2-1-2-1-4-5
= jump
> 5
> 6
shop/web：5 → 6
> 1
已受理
`)
	if list := k.w.memo.Recent; len(list) != 2 || list[1].ID != id || list[0].Title != "web → 6" {
		t.Errorf("%+v", list)
	}
	k.play("> 任务\n> 2\n> 3\n请确认：调整副本数\n5. 副本数：5 → 5\n> 0\n> 0\n> 0\n@ 1-2-1-2\n")
}

func TestAValueThatFitsNoMoreIsAskedAgain(t *testing.T) {
	k, _ := ordered(t)
	k.w.memo.Recent[0].Hops[3].Int = 99
	k.play("> 最近\n> 1\n「副本数」原来的值 99 现在不能使用，请重新填写\n新的副本数\n@ 1-2-1-2-1-4\n> 4\n请确认：调整副本数\n")
	k.w.memo.Recent[0].Hops[1].Text = "pay"
	k.w.as("lisi")
	k.play("> 最近\n> 1\n「命名空间」原来的值 pay 现在不能使用，请重新填写\n1. shop\n! 2. \n> 1\n1. api\n@ 1-2-1-1-1\n> 1\n「副本数」原来的值\n")
}

func TestAnOrderOfAFunctionThatIsGone(t *testing.T) {
	k, _ := ordered(t)
	k.w.memo.Recent[0].Node = "no-more"
	k.play("> 最近\n> 1\n找不到这项操作，没有执行任何操作\n最近的操作\n= jump invalid\n")
	k, _ = ordered(t)
	k.w.grant(t, "version: 1\nroles: {all: {users: [zhangsan]}}\ngrants: [{role: all, menu: [net], actions: [net.*]}]\n")
	k.play("> 00\n> 最近\n> 1\n这项功能现在不能使用\n1. 网络\n@\n")
}

func TestRecentOrdersAreFew(t *testing.T) {
	k := &talk{t: t, w: richWorld(t)}
	for i := range 12 {
		k.say("00", "3-2", fmt.Sprintf("10.0.0.%d", i), "1", "80", "1")
	}
	list := k.w.memo.Recent
	if len(list) != flow.MaxRecent || list[0].Title != "放行 10.0.0.11/32:80" || list[0].Node != "jump" || len(list[0].Hops) != 2 {
		t.Errorf("%d: %+v", len(list), list[0])
	}
	k.play("> 最近\n第 1/2 页\n> 2\n请确认：放行网段\n放行 10.0.0.10/32:80\n@ 3-2-1-80\n> 2\n现在填的是 10.0.0.10/32\n")
}

func TestLongValuesAreNotKept(t *testing.T) {
	k := &talk{t: t, w: richWorld(t)}
	k.say("x", "3-1", "说明", "1", "今天", "8:05", "5m", "web", strings.Repeat("长", 200), "1", "1", "1")
	k.play("> 最近\n> 1\n可以多行\n@ 3-1-说明-1-今天-8:05-5m-web\n> 短\n请确认\n8. 内容：短\n")
}
