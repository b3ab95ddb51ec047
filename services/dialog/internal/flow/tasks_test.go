package flow_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"palmops/libs/wire"
	"palmops/services/dialog/internal/flow"
)

// ordered is a talk in which one order was given: its id.
func ordered(t *testing.T) (*talk, string) {
	t.Helper()
	k := &talk{t: t, w: richWorld(t)}
	k.play(toScale)
	r := k.say("1")
	if r.Intent == nil || len(k.w.memo.Recent) != 1 {
		t.Fatalf("%+v", r)
	}
	return k, r.Intent.ID
}

func TestTasks(t *testing.T) {
	k, id := ordered(t)
	short := "#" + wire.ShortID(id)
	k.w.tasks = map[string]flow.Task{id: {State: wire.StateRunning, Title: "web → 5", Step: "等待 4/5", At: noon}}
	k.play(`
> 我的任务
我的任务
1. ` + short + ` 进行中 web → 5
= room
> 1
` + short + ` 进行中
web → 5
等待 4/5
更新于 11-23 12:00:00
1. 刷新
2. 取消
3. 再来一次
! 查看输出
`)
	k.w.tasks[id] = flow.Task{State: wire.StateSucceeded, Title: "web → 5", Summary: "5/5", Output: 12}
	k.w.output = "第一行\n  缩进\n"
	k.play(`
> 1
` + short + ` 已完成
5/5
1. 查看输出
2. 刷新
3. 再来一次
! 取消
> 1
` + short + ` 的输出
第一行
  缩进
> 7
这个列表只供查看
> 0
已完成
> 0
我的任务
已完成 web → 5
> 0
1. 调整副本数
! 已受理
@ 1-2-1-2
`)
}

func TestNoTasks(t *testing.T) {
	k := &talk{t: t, w: richWorld(t)}
	k.play("> 任务\n还没有执行过操作\n1. 集群\n= room invalid\n> 最近\n还没有执行过操作\n> 4\n还没有执行过操作\n")
}

func TestTasksOpenTheSession(t *testing.T) {
	k, id := ordered(t)
	k.play("> #\n> 任务\n" + wire.ShortID(id) + " 排队中 web → 5\n> 0\n1. 集群\n")
}

func TestCancelling(t *testing.T) {
	k, id := ordered(t)
	short := wire.ShortID(id)
	k.w.tasks = map[string]flow.Task{id: {State: wire.StateRunning, Title: "web → 5"}}
	k.play(`
> 任务
> 1
> 2
请确认：取消
取消 #` + short + ` web → 5
1. 确认取消
> 2
还没有取消。请回复 1 确认取消，或回复 0 返回
> 0
1. 刷新
> 2
`)
	before := *k
	k.w.identity = flow.Stale
	if r := k.say("1"); r.Intent != nil || r.Reason != flow.ReasonIdentity {
		t.Errorf("%+v", r)
	}
	*k = before
	k.w.identity = flow.Fresh
	k.w.at = k.w.now - 1
	if r := k.say("1"); r.Intent != nil || r.Reason != flow.ReasonUnseen {
		t.Errorf("%+v", r)
	}
	k.w.at = 0
	r := k.say("1")
	want := &flow.Intent{
		ID: wire.DeriveID("action", fmt.Sprintf("m%d", k.n), "cancel", id), Node: "scale", Zone: "z", Pool: "p", Action: wire.ActionCancel,
		Args: map[string]any{"id": id}, Title: "取消 #" + short + " web → 5", Lang: "zh", Expire: 120,
	}
	if diff := cmp.Diff(want, r.Intent); diff != "" {
		t.Error(diff)
	}
	if len(k.w.memo.Recent) != 1 {
		t.Error("a wish to cancel is no order to be given again")
	}
	k.play("已受理 #\n> 1\n取消已受理，没有再次执行\n1. 刷新\n! 上一个操作已受理\n")
	if k.last.Intent != nil {
		t.Error("cancelled twice")
	}
	k.w.tasks[id] = flow.Task{State: wire.StateCanceled}
	k.play("> 1\n#" + short + " 已取消\nweb → 5\n! 2. 取消\n")
}

func TestATaskThatIsNotOnesOwn(t *testing.T) {
	k, _ := ordered(t)
	k.play("> 任务\n> 1\n> 2\n请确认：取消\n")
	k.w.memo = flow.Memo{}
	if r := k.say("1"); r.Intent != nil {
		t.Errorf("%+v", r.Intent)
	}
	k.wants("找不到这项操作")
}
