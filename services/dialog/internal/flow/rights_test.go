package flow_test

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"palmops/libs/wire"
	"palmops/services/dialog/internal/flow"
	"palmops/services/dialog/menu"
)

func TestPeopleSeeTheirOwn(t *testing.T) {
	k := &talk{t: t, w: newWorld(t).as("wangwu")}
	k.say("x")
	k.wants("1. 支付事业部")
	if strings.Contains(text(k.last.Screens), "零售") {
		t.Error("wangwu sees 零售事业部")
	}
	k.say("1", "1", "1")
	k.wants("1. pay")
	if strings.Contains(text(k.last.Screens), "shop") {
		t.Error("wangwu sees shop")
	}
	o := &talk{t: t, w: newWorld(t).as("outsider")}
	o.say("x")
	o.wants("没有可用的功能", "outsider")
	if o.s.Open() || o.last.Reason != flow.ReasonDenied {
		t.Errorf("%+v", o.last)
	}
}

func TestARightTakenAwayIsGoneAtTheNextStep(t *testing.T) {
	const head = "version: 1\nroles: {r: {users: [zhangsan]}}\ngrants:\n  - "
	for name, c := range map[string]struct{ policy, path, wants string }{
		"all":           {head + "{role: r, menu: [pay], actions: [k8s.scale]}\n", "", "1. 支付事业部"},
		"the action":    {head + "{role: r, menu: [retail], actions: [k8s.deployments], args: {namespace: [shop]}}\n", "1-1", "1. 查看部署"},
		"the value":     {head + "{role: r, menu: [retail], actions: [k8s.scale], args: {namespace: [other]}}\n", "1-1", "1. 调整 POD 数"},
		"another arg":   {head + "{role: r, menu: [retail], actions: [k8s.scale], args: {replicas: [4]}}\n", "1-1", "1. 调整 POD 数"},
		"what is asked": {head + "{role: r, menu: [retail], actions: [k8s.scale], args: {from: [4]}}\n", "1-1", "1. 调整 POD 数"},
		"whole person":  {"version: 1\nroles: {r: {users: [lisi]}}\ngrants: [{role: r, menu: [pay], actions: [k8s.scale]}]\n", "", "没有可用的功能"},
	} {
		t.Run(name, func(t *testing.T) {
			k := &talk{t: t, w: newWorld(t)}
			k.say("x", "1", "1", "1", "1", "2", "5")
			k.w.grant(t, c.policy)
			if r := k.say("1"); r.Intent != nil || r.Reason != flow.ReasonDenied || k.s.Path() != c.path {
				t.Errorf("path %q, %+v", k.s.Path(), r)
			}
			k.wants("没有执行任何操作", c.wants)
		})
	}
}

func TestALineThatIsNotAllowedAnyMoreIsNotShownAgain(t *testing.T) {
	const both = "version: 1\nroles: {r: {users: [zhangsan]}}\ngrants: [{role: r, menu: [retail, pay], actions: [k8s.*], args: {namespace: [shop, pay]}}]\n"
	k := &talk{t: t, w: newWorld(t)}
	k.w.grant(t, both)
	k.say("x")
	k.wants("1. 零售事业部", "2. 支付事业部")
	k.w.grant(t, strings.Replace(both, "retail, ", "", 1))
	if r := k.say("1"); r.Reason != flow.ReasonDenied || k.s.Path() != "" {
		t.Errorf("%+v", r)
	}
	k.wants("权限已变更，没有执行任何操作", "1. 支付事业部")
	k.say("1", "1", "1")
	k.wants("1. pay", "2. shop")
	k.w.grant(t, "version: 1\nroles: {r: {users: [zhangsan]}}\ngrants: [{role: r, menu: [pay], actions: [k8s.*], args: {namespace: [shop]}}]\n")
	if r := k.say("1"); r.Reason != flow.ReasonDenied || k.s.Path() != "1-1-1" {
		t.Errorf("%+v", r)
	}
	k.wants("1. shop")
}

func TestOtherMenuRevision(t *testing.T) {
	k := &talk{t: t, w: newWorld(t)}
	k.say("x", "1", "1", "1", "1", "2", "5")
	data, err := os.ReadFile("testdata/retail.yaml")
	if err != nil {
		t.Fatal(err)
	}
	newer, err := menu.Build("menu.yaml", menu.Files{"menu.yaml": append(data, "# newer\n"...)}, menu.BuildOptions{})
	if err != nil {
		t.Fatal(err)
	}
	old := *k
	old.w.latest = newer
	if r := old.say("1"); r.Intent == nil {
		t.Error("an open session does not finish on its own menu")
	}
	old.say("00")
	if old.s.Rev != newer.Rev {
		t.Error("home is not the newest menu")
	}
	k.w.menu, k.w.latest = newer, newer
	if r := k.say("1"); r.Intent != nil || r.Reason != flow.ReasonRevision || k.s.Rev != newer.Rev || len(k.s.Hops) != 0 {
		t.Errorf("%+v", r)
	}
	k.wants("菜单已更新，没有执行任何操作，请重新选择", "1. 零售事业部")
}

const fromZero = `
version: 1
title: 老菜单
first: 0
items:
  - id: a
    title: 甲
    steps:
      - input: {param: size, type: enum, values: [小-号, 大\号], prompt: 选择大小}
      - input: {param: word, type: text, default: 无}
      - confirm: {text: "{{.size}} {{.word}}"}
      - action: {zone: z, pool: p, action: a.b, args: {size: $size, word: $word}, title: "{{.word}}"}
  - {id: b, title: 乙, steps: [{dynamic: {source: {zone: z, pool: p, action: a.list}}}]}
`

func TestAMenuThatCountsFromZero(t *testing.T) {
	w := newWorld(t)
	var err error
	if w.menu, err = menu.Build("m.yaml", menu.Files{"m.yaml": []byte(fromZero)}, menu.BuildOptions{}); err != nil {
		t.Fatal(err)
	}
	w.grant(t, "version: 1\nroles: {r: {users: [zhangsan]}}\ngrants: [{role: r, menu: [a, b], actions: [a.*]}]\n")
	k := &talk{t: t, w: w}
	k.say("x")
	k.wants("0. 甲", "1. 乙")
	k.say("0")
	k.wants("0. 小-号", "1. 大\\号", "返回 · 00 首页")
	k.say("1", "a-b\\c")
	k.wants("大\\号 a-b\\c", "1. 确认执行")
	if got, want := k.s.Path(), `0-1-a\-b\\c`; got != want {
		t.Errorf("path %s, want %s", got, want)
	}
	if diff := cmp.Diff([]string{"0", "1", `a-b\c`}, wire.SplitInputs(k.s.Path())); diff != "" {
		t.Error(diff)
	}
	k.say("0")
	k.wants("还没有执行")
	k.say("返回", "=返回")
	k.wants("大\\号 返回")
	k.say("返回", "默认")
	k.wants("大\\号 无")
	if r := k.say("1"); r.Intent == nil || r.Intent.Args["word"] != "无" {
		t.Errorf("%+v", r.Intent)
	}
}
