package flow_test

import (
	"testing"

	"palmops/libs/wire"
	"palmops/services/dialog/internal/flow"
)

const toDeployments = "> 菜单\n> 1\n> 2\n> 1\n> 2\n> 1\n"

func TestNarrowingAList(t *testing.T) {
	k := &talk{t: t, w: richWorld(t)}
	k.w.lists["k.deployments"] = append(many(5000), wire.Item{Value: "pay", Label: "支付网关"})
	k.play(toDeployments + `
共 5001 项，只显示前 200 项；回复文字可以筛选
> 9
没有「9」这个选项
> 200
没有「200」这个选项
> 4312
筛选：4312（1/5001 项）
1. web-4312
> 2
筛选：2（
> 9
没有「9」这个选项
> Web-4312
筛选：Web-4312（1/5001 项），* 显示全部
1. web-4312
! 2. 
= filter
@ 1-2-1-2-1
> 支付
筛选：支付（1/5001 项）
1. 支付网关
> zfwg
1. 支付网关
> nothing
没有包含「nothing」的项，列表没有变
筛选：zfwg
= filter invalid
> ＝4312
1. web-4312
> *
1. web-001
! 筛选：
> web-1
筛选：web-1（200/5001 项）
只显示前 200 项，请输入更多文字
> 全部
共 5001 项
> web-4312
> 1
新的副本数
@ 1-2-1-2-1-1
> 0
共 5001 项
`)
}

// In a list that is shown whole a number is a line or a mistake.
func TestANumberNarrowsOnlyLongLists(t *testing.T) {
	k := &talk{t: t, w: richWorld(t)}
	k.w.lists["k.deployments"] = many(150)
	k.play(toDeployments + "> 151\n没有「151」这个选项\n> 1234567\n没有「1234567」这个选项\n! 筛选\n> web-15\n筛选：web-15（1/150 项）\n> 2\n没有「2」这个选项\n")
}

func TestAFilterIsNoChoice(t *testing.T) {
	k := &talk{t: t, w: richWorld(t)}
	k.play(toDeployments + "> web\n筛选：web（1/5 项）\n1. web\n@ 1-2-1-2-1\n= filter\n> all\n5. x,y\n")
}

func TestAListToReadIsNarrowedToo(t *testing.T) {
	k := &talk{t: t, w: richWorld(t)}
	k.play("> 菜单\n> 1\n> 1\n> 2\nn1\nn2\n> n2\n筛选：n2（1/2 项）\nn2\n! n1\n> 1\n这个列表只供查看，0 返回\n> *\nn1\n")
}

func TestAFilterThatCannotBeAskedChangesNothing(t *testing.T) {
	k := &talk{t: t, w: richWorld(t)}
	k.play(toDeployments)
	k.w.fault = "列表暂时取不到（执行器没有应答），没有执行任何操作"
	k.play("> web\n列表暂时取不到（执行器没有应答），没有执行任何操作；稍后再次回复 web 重试\n1. api\n= filter no_answer\n")
	if k.s.Screen.Filter != "" {
		t.Errorf("%+v", k.s.Screen)
	}
}

func TestAWordThatIsAKeyNarrowsWithAnEqualsSign(t *testing.T) {
	k := &talk{t: t, w: richWorld(t)}
	k.w.lists["k.deployments"] = []wire.Item{{Value: "tasks"}, {Value: "web"}}
	k.play(toDeployments + "> =tasks\n筛选：tasks（1/2 项）\n> tasks\n还没有执行过操作\n筛选：tasks\n")
}

func TestTheAgeOfAList(t *testing.T) {
	for age, want := range map[int64]string{4: "! 列表取自", 12: "列表取自 12 秒前", 300: "列表取自 5 分钟前", 8000: "列表取自 2 小时前", -60: "! 列表取自"} {
		k := &talk{t: t, w: richWorld(t)}
		k.w.asOf = k.w.now - age*1000
		k.play("> 菜单\n> 1\n" + want + "\n")
	}
	k := &talk{t: t, w: richWorld(t)}
	k.w.asOf = k.w.now - 12_000
	k.play("> 菜单\n> 1\n")
	k.w.now += 60_000
	k.play("> ?\n列表取自 72 秒前\n")
}

func TestCacheAndStaleAreAskedFor(t *testing.T) {
	k := &talk{t: t, w: richWorld(t)}
	k.say("菜单", "1", "2", "1")
	q := k.w.asked[len(k.w.asked)-1]
	if q.What != flow.AskList || q.Action != "k.namespaces" || q.Args["cluster"] != "b1" || q.Node != "ns" || q.Key == "" {
		t.Errorf("%+v", q)
	}
}

func TestATableByAParameter(t *testing.T) {
	k := &talk{t: t, w: richWorld(t)}
	k.say("菜单", "3-1", "w", "1", "今天", "8:05", "5m", "web", "a")
	k.wants("1. 北一", "2. s1")
	if it := k.s.Screen.Items[0]; it.Value != "n1" || it.Label != "" {
		t.Errorf("the session keeps what the menu knows: %+v", it)
	}
	k.play("> English\n1. North 1\n> beiyi\nNo line holds\n> north\n1. North 1\nFilter: north (1 of 2), * shows all\n> 1\n")
	if q := k.w.asked[len(k.w.asked)-1]; q.What != flow.AskDirectory || q.Directory != wire.ListMembers || q.In != 7 {
		t.Errorf("%+v", q)
	}
}

// A value that is empty is never asked about.
func TestAnEmptyParentIsNotAsked(t *testing.T) {
	k := &talk{t: t, w: richWorld(t)}
	k.play("> 菜单\n> 1\n> 2\n")
	k.s.Hops[1].Text = ""
	n := len(k.w.asked)
	k.play("> 1\n上一级「集群」的值是空的，取不到列表，没有执行任何操作\n1. 命名空间\n@ 1-2\n")
	if len(k.w.asked) != n {
		t.Errorf("%+v", k.w.asked[n:])
	}
}
