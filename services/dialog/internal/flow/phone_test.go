package flow_test

import (
	"strings"
	"testing"
	"time"

	"palmops/libs/wire"
	"palmops/services/dialog/internal/flow"
)

// What an operator with nothing but a phone stumbled over.

func TestHomeOpensWithoutAWarning(t *testing.T) {
	k := &talk{t: t, w: richWorld(t)}
	k.play("> 00\n1. 集群\n! 会话已过期\n= open\n> #\n> 1\n会话已过期\n= open no_session\n")
}

func TestTheLanguageOfSomebodyWithoutRights(t *testing.T) {
	k := &talk{t: t, w: newWorld(t).as("nobody")}
	k.play("> English\nNothing is available to you\n= setting denied\n> x\nNothing is available to you\n> 中文\n没有可用的功能\n")
}

func TestSettingsOpenTheSession(t *testing.T) {
	k := &talk{t: t, w: richWorld(t)}
	k.play("> English\nEnglish from now on\n1. Clusters\n= setting\n> #\n> 卡片\nCards from now on\n1. Clusters\n")
	if k.last.Screens[0].Card == "" {
		t.Error("no card")
	}
}

func TestLeavingARoomOverAnAcceptedOrder(t *testing.T) {
	k, _ := ordered(t)
	k.play("> 最近\n最近的操作\n> 0\n1. 调整副本数\n! 上一个操作已受理\n@ 1-2-1-2\n> 1\n> /放行\n> 0\n1. api\n")
}

func TestATaskThatIsOverSaysOnlyHowItEnded(t *testing.T) {
	k, id := ordered(t)
	k.w.tasks = map[string]flow.Task{id: {State: wire.StateSucceeded, Step: "3/4 就绪", Summary: "4/4 就绪"}}
	k.play("> 任务\n> 1\n4/4 就绪\n! 3/4 就绪\n")
	k.w.tasks[id] = flow.Task{State: wire.StateUnknown, Step: "3/4 就绪"}
	k.play("> 1\n结果未知\n3/4 就绪\n")
}

func TestWhatALineWasCalled(t *testing.T) {
	k := &talk{t: t, w: richWorld(t)}
	k.w.lists["departments 0"] = []wire.Item{{Value: "7", Label: "零售事业部"}, {Value: "8"}}
	k.play("> 菜单\n> 3-4\n> 1\n> 2\n请确认：值班\n2. 部门：零售事业部（7）\n3. 值班人：张三（zhangsan）\n> 2\n现在填的是 零售事业部（7）\n> 0\n> 1\n")
	k.play("> 最近\n> 1\n2. 部门：零售事业部（7）\n3. 值班人：张三（zhangsan）\n")
}

func TestWhatLinesOfAMultiSelectWereCalled(t *testing.T) {
	k := &talk{t: t, w: richWorld(t)}
	k.w.lists["k.deployments"] = []wire.Item{{Value: "api", Label: "接口"}, {Value: "db"}}
	k.play(toRestart + "> 全选\n> *\n2. 集群：b1\n4. 部署：接口、db（api,db）\n")
}

func TestAListSaysWhatItIsAbout(t *testing.T) {
	k := &talk{t: t, w: richWorld(t)}
	k.play("> 菜单\n! 集群：\n> 1\n> 2\n集群：b1\n1. 命名空间\n> 1\n> 2\n集群：b1\n命名空间：shop\n1. 调整副本数\n> English\nCluster: b1\nNamespace: shop\n")
}

func TestBackToAMultiSelectKeepsTheChoice(t *testing.T) {
	k := &talk{t: t, w: richWorld(t)}
	k.play(toRestart + "> 1 4\n> *\n请确认\n> 0\n1. ☑ api\n2. ☐ db\n4. ☑ web\n已选 2 项\n> 0\n> 2\n1. ☐ api\n已选 0 项\n")
}

func TestAValueThatIsNotAllowed(t *testing.T) {
	k := &talk{t: t, w: newWorld(t)}
	k.w.grant(t, `
version: 1
roles: {op: {users: [zhangsan]}}
grants:
  - role: op
    menu: [retail]
    actions: [k8s.*]
    args: {namespace: [shop], replicas: {min: 0, max: 4}}
`)
	k.play("> 菜单\n> 1-1-1\n> 1\n> 2\n> 9\n没有权限使用「9」，没有执行任何操作\n= input denied\n> 4\n请确认\n")
}

func TestHintsOfALostOperator(t *testing.T) {
	k := &talk{t: t, w: richWorld(t)}
	k.play(`
> 菜单
> 重启
没有「重启」这个选项
回复 /重启 搜索
> 1.x
没有「1.x」这个选项
> <b>
= repeat invalid
> 99
! 搜索
` + "> \x00\x01\n没有收到内容\n" + `
> 2-0
单独回复 0 返回
1. 放行网段
> 00
> 2 - 3
计算器
> 00
> 2、3
计算器
> 00
> 2，3
计算器
> 0
> 0
> 3-1
> 默认
1. 生产
`)
	if strings.Contains(text(k.last.Screens), "没有收到内容") {
		t.Error("a note that stays")
	}
}

func TestADefaultThatIsNotThere(t *testing.T) {
	k := &talk{t: t, w: richWorld(t)}
	k.play("> 菜单\n> 2-1\n> 10.0.0.0/8\n> 1\n> 默认\n这里没有默认值\n= repeat invalid\n> English\n> x\nA whole number is needed\n")
}

func TestThePagesOfAnOutput(t *testing.T) {
	k, id := ordered(t)
	k.w.output = strings.Repeat("行\n", 50)
	k.w.tasks = map[string]flow.Task{id: {State: wire.StateFailed, Output: len(k.w.output)}}
	k.play("> 任务\n> 1\n> 1\n第 1/3 页\n> 9\n请回复 1 到 3 的页码\n第 1/3 页\n> 3\n第 3/3 页\n")
}

func TestAConfirmWithNothingToChange(t *testing.T) {
	k := &talk{t: t, w: richWorld(t)}
	k.play("> 菜单\n> 3-3-2\n请确认：恢复分拣\n1. 确认执行\n0 返回 · \n! 返回修改\n> 1\n已受理\n")
}

func TestTheExampleOfADateWouldBeTaken(t *testing.T) {
	k := &talk{t: t, w: richWorld(t)}
	k.w.now += 400 * 24 * time.Hour.Milliseconds()
	k.play("> 菜单\n> 3-1\n> a\n> 1\n日期，如 2027-12-28，也可以写\n2027-12-28 到 2028-01-04\n! 2026\n> 2027-12-28\n时间，如 14:30\n")
}
