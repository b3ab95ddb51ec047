package flow_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"palmops/libs/wire"
	"palmops/services/dialog/internal/flow"
	"palmops/services/dialog/menu"
)

// reports is a menu of roads that change nothing, and of one that may not be tried.
const reports = `
version: 1
title: t
items:
  - id: logs
    title: 日志
    steps:
      - dynamic: {param: pod, label: 容器组, source: {zone: z, pool: p, action: k.pods}}
      - input: {param: tail, label: 行数, type: int, min: 1, max: 5000, default: "200"}
      - report: {zone: z, pool: p, action: k.logs, args: {pod: $pod, tail: $tail}, title: "{{.pod}} 的日志", expires: 60s}
  - {id: all, title: 全部事件, steps: [report: {zone: z, pool: p, action: k.events, title: 全部事件}]}
  - id: lock
    title: 占用
    steps:
      - confirm: {text: 占用, noop: false}
      - action: {zone: z, pool: p, action: k.lock, title: 占用}
`

func reporting(t *testing.T) *talk {
	t.Helper()
	w := richWorld(t)
	var err error
	if w.menu, err = menu.Build("m.yaml", menu.Files{"m.yaml": []byte(reports)}, menu.BuildOptions{}); err != nil {
		t.Fatal(err)
	}
	w.grant(t, "version: 1\nroles: {all: {users: [zhangsan]}, half: {users: [lisi]}}\ngrants: [{role: all, menu: [logs, all, lock], actions: [k.*]}, {role: half, menu: [logs, all, lock], actions: [k.*], args: {pod: [web-1]}}]\n")
	w.lists["k.pods"] = []wire.Item{{Value: "api-1"}, {Value: "web-1"}}
	return &talk{t: t, w: w}
}

func TestAReportIsOrderedWithoutAConfirm(t *testing.T) {
	k := reporting(t)
	k.w.identity = flow.Stale // good enough to look
	k.play("> 菜单\n> 1\n> 2\n> 50\n已受理 #\nweb-1 的日志\n结果会自动发来\n= report\n@\n")
	want := &flow.Intent{
		ID: wire.DeriveID("action", "m4", "logs"), Node: "logs", Zone: "z", Pool: "p", Action: "k.logs", Lang: "zh",
		Args: map[string]any{"pod": "web-1", "tail": int64(50)}, Title: "web-1 的日志", Expire: 60, Report: true,
	}
	if d := cmp.Diff(want, k.last.Intent); d != "" {
		t.Error(d)
	}
	k.play("> 1\n没有再次执行\n1. 日志\n= repeat invalid\n")
	if k.last.Intent != nil {
		t.Error("a number typed again orders again")
	}

	// One without any step runs when it is chosen, searched for, or repeated.
	for _, way := range []string{"2", "> /全部事件\n> 1", "> 最近\n只查看的报告会直接再查一次\n> 1"} {
		if !strings.HasPrefix(way, ">") {
			way = "> " + way
		}
		k.play("> 00\n" + way + "\n已受理 #\n全部事件\n= report\n@\n")
		if k.last.Intent == nil || !k.last.Intent.Report || k.last.Intent.Action != "k.events" {
			t.Errorf("%s: %+v", way, k.last.Intent)
		}
	}
	k.play("> 00\n> 2-1\n后面的 1 没有使用\n已受理 #\n= report\n")
}

func TestARepeatedReportTakesItsValues(t *testing.T) {
	k := reporting(t)
	k.play("> x\n> 1\n> 2\n> 默认\n> 最近\n> 1\n已受理 #\nweb-1 的日志\n= report\n")
	if i := k.last.Intent; i == nil || i.Args["tail"] != int64(200) || i.ID != wire.DeriveID("action", "m6", "logs") {
		t.Errorf("%+v", i)
	}
	k.play("> 任务\n1. #\n2. #\n> 1\n再来一次\n")
}

func TestAReportThatIsNotGiven(t *testing.T) {
	k := reporting(t)
	k.w.as("lisi")
	k.play("> x\n> 1\n1. web-1\n! api-1\n> 1\n")
	k.w.grant(t, "version: 1\nroles: {half: {users: [lisi]}}\ngrants: [{role: half, menu: [logs, all, lock], actions: [k.*], args: {pod: [web-2]}}]\n")
	k.play("> 5\n你的权限已变更，没有执行任何操作\n")
	if k.last.Intent != nil {
		t.Error("ordered without the right")
	}

	k = reporting(t)
	k.play("> x\n")
	k.w.at, k.w.now = noon, noon+60_000
	k.play("> 1\n> 1\n> 9\n这条消息在路上耽搁太久，没有查询\n输入\n! 已受理\n= report late\n@ 1-1\n")
	k.w.at = 0
	k.play("> 9\n已受理\n= report\n")
}

func TestADryRunLeavesTheConfirm(t *testing.T) {
	k, _ := ordered(t)
	k.play("> 00\n> 1\n> 2\n> 1\n> 2\n> 1\n> 4\n> 8\n请确认\n1. 确认执行\n5. 副本数：3 → 8\n6. 试运行（不做更改）\n2-5 改对应的值\n")
	path := k.s.Path()
	k.w.identity = flow.Stale
	k.play("> 6\n已受理试运行 #\n下面的确认页仍然有效\n请确认\n6. 试运行（不做更改）\n= dry_run\n@ " + path + "\n")
	i := k.last.Intent
	if i == nil || !i.Noop || i.Report || i.Args["replicas"] != int64(8) {
		t.Fatalf("%+v", i)
	}
	k.play("> 试运行\n已受理试运行 #\n")
	if k.last.Intent.ID == i.ID {
		t.Error("two dry runs with one id")
	}
	k.w.identity = flow.Fresh
	k.play("> 1\n已受理 #\n! 试运行\n= confirm\n")
	if k.last.Intent.Noop || k.last.Intent.ID == i.ID {
		t.Errorf("%+v", k.last.Intent)
	}
	k.play("> 最近\n1. web → 8\n2. web → 5\n! 试运行\n> 任务\n2. #\n试运行：web → 8\n> 2\n试运行：web → 8\n")
}

func TestADryRunAtAConfirmByCode(t *testing.T) {
	k := &talk{t: t, w: richWorld(t)}
	k.play("> x\n> 1\n> 2\n> 1\n> 2\n> 2\n> 1 2\n> *\n请输入\n2. 集群：b1\n4. 部署：\n5. 试运行（不做更改）\n! 1. \n")
	code := k.s.Screen.Code
	k.play("> 5\n已受理试运行 #\n请输入 " + code + " 确认执行\n= dry_run\n> " + code + "\n已受理 #\n= confirm\n")
}

func TestNoDryRun(t *testing.T) {
	k := reporting(t)
	k.play("> x\n> 3\n1. 确认执行\n! 试运行\n> 2\n还没有执行。请回复 1\n= repeat invalid\n> 试运行\n还没有执行。请回复 1\n= repeat invalid\n")
}

func TestADryRunOfAnUnseenConfirm(t *testing.T) {
	k := &talk{t: t, w: richWorld(t)}
	k.say("x", "1", "2", "1", "2", "1", "4")
	k.w.at = k.w.now - 1000
	k.play("> 8\n请确认\n> 6\n这条消息早于确认页，没有执行；核对后请再次回复 6\n! 已受理\n= dry_run unseen\n")
}

func TestAnOrderThatNobodyTakesNowSaysSo(t *testing.T) {
	w := reporting(t).w
	offline := func(n int, known bool) []string {
		env := w.env()
		env.Online = func(zone, pool string) (int, bool) {
			if zone != "z" || pool != "p" {
				t.Errorf("asked for %s/%s", zone, pool)
			}
			return n, known
		}
		var s flow.Session
		var r flow.Result
		for i, say := range []string{"x", "2"} {
			r = flow.Step(w.menu, s, flow.Event{ID: say, Type: "text", Text: say, SentAt: int64(i)}, env)
			s = r.Session
		}
		return r.Screens[0].Body
	}
	if got := strings.Join(offline(0, true), "\n"); !strings.Contains(got, "没有看到 z/p 的执行器在线：操作会等待，到 12:02:00 仍没有执行器受理就作废") {
		t.Error(got)
	}
	for _, c := range []struct {
		n     int
		known bool
	}{{1, true}, {0, false}} {
		if got := strings.Join(offline(c.n, c.known), "\n"); strings.Contains(got, "在线") {
			t.Error(got)
		}
	}
}

func TestTheHelpShowsTheExecutors(t *testing.T) {
	w := reporting(t).w
	w.lists[wire.ActionLocks] = []wire.Item{{Value: "prod", Label: "生产环境", Detail: "李四：压测（至 15:00）"}}
	help := func(n int, known bool) string {
		env := w.env()
		env.Online = func(string, string) (int, bool) { return n, known }
		r := flow.Step(w.menu, flow.Session{}, flow.Event{ID: "m", Type: "text", Text: "帮助"}, env)
		for range 3 {
			if r.Need == nil {
				break
			}
			if r.Need.Action != wire.ActionLocks || r.Need.Zone != "z" || r.Need.Pool != "p" {
				t.Fatalf("%+v", r.Need)
			}
			env.Answers[r.Need.Key] = w.answer(*r.Need)
			r = flow.Step(w.menu, flow.Session{}, flow.Event{ID: "m", Type: "text", Text: "帮助"}, env)
		}
		return strings.Join(r.Screens[0].Body, "\n")
	}
	if got := help(2, true); !strings.HasSuffix(got, "\n执行器 z/p：2 个在线\n占用中：生产环境 李四：压测（至 15:00）") {
		t.Error(got)
	}
	if got := help(0, true); !strings.HasSuffix(got, "\n执行器 z/p：离线") {
		t.Error(got)
	}
	if got := help(0, false); !strings.HasSuffix(got, "\n执行器 z/p：暂时看不到状态") {
		t.Error(got)
	}
	w.fault = "没有应答" // who holds what is not known then, and nothing else is wrong
	if got := help(1, true); !strings.HasSuffix(got, "\n执行器 z/p：1 个在线") {
		t.Error(got)
	}
	w.fault = ""
	w.as("stranger")
	if got := help(1, true); strings.Contains(got, "执行器 z/p") {
		t.Error(got)
	}
}
