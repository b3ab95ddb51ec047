package flow_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"palmops/services/dialog/menu"
)

func TestEveryTypeOfInput(t *testing.T) {
	k := &talk{t: t, w: richWorld(t)}
	k.play(`
> 菜单
> 3-1
请输入
> axb
不能有 x
= repeat invalid
> =0
1. 生产
2. test
回复 默认 使用 test
> 3
没有「3」这个选项
> 默认
2026-11-23 到 2026-11-30
> 2026-12-24
> ２０２６－１１－２４
如 14:30
> ８：０５
1m 到 2h
> 3h
> 5分钟
> Web_1
> web-1
可以多行
`)
	k.say("第一行\n  0  \n=三")
	k.play(`
1. t1
> 1
1. 李四
2. 张三
> 2
请确认：各种输入
2. 说明：0
3. 环境：test
4. 日期：2026-11-24
5. 时间：08:05
6. 时长：5m0s
7. 名称：web-1
9. 区域：t1
10. 负责人：张三（zhangsan）
> 1
`)
	want := map[string]any{
		"word": "0", "env": "test", "day": "2026-11-24", "clock": "08:05", "span": "5m0s", "label": "web-1", "text": "第一行\n  0\n=三",
		"region": "t1", "who": "zhangsan",
	}
	if diff := cmp.Diff(want, k.last.Intent.Args); diff != "" {
		t.Error(diff)
	}
}

func TestThreeWrongInputsEndTheForm(t *testing.T) {
	k := &talk{t: t, w: richWorld(t)}
	k.play(`
> 菜单
> 1
> 2
> 1
> 2
> 1
> 4
> 五
> ?
0 到 20 的整数
> 99
= repeat invalid
> -1
连续 3 次输入不正确，已退出这项操作，没有执行任何操作
1. 调整副本数
= repeat tries
@ 1-2-1-2
> 1
> 4
> a
> b
> 5
请确认
> 0
> a
> b
新的副本数
`)
}

// Words that lead away count everywhere; the others are values where text is typed, and = makes a value of any.
func TestKeysAtAnInput(t *testing.T) {
	k := &talk{t: t, w: richWorld(t)}
	k.play(`
> 菜单
> 3-1
> 任务
@ 3-1-任务
> 0
> /etc/hosts
@ 3-1-/etc/hosts
> 0
> 收藏
@ 3-1-收藏
> 0
> =首页
> 默认
> /网段
搜索：网段
> 0
日期，如 2026-11-23
@ 3-1-=首页-默认
> 0
> 0
> 首页
@
1. 集群
`)
}

func TestHelpAtAnInput(t *testing.T) {
	k := &talk{t: t, w: richWorld(t)}
	k.play("> 菜单\n> 3-1\n> 说明\n> 1\n> ?\n使用帮助\n这里：日期，如 2026-11-23\n这里：2026-11-23 到 2026-11-30\n日期，如\n")
	k.play("> 0\n> 0\n> ?\n这里：不能有 x\n")
}

func TestHelpFitsOneMessage(t *testing.T) {
	long := strings.Repeat("长", 200)
	file := "version: 1\ntitle: t\nitems:\n  - id: a\n    title: t\n    steps:\n      - input: {param: p, type: text, pattern: 长+, hint: " + long +
		", example: " + long + "}\n      - confirm: {text: t}\n      - action: {zone: z, pool: p, action: a, title: t}\n"
	m, err := menu.Build("m.yaml", menu.Files{"m.yaml": []byte(file)}, menu.BuildOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range []string{"中文", "English"} {
		k := &talk{t: t, w: richWorld(t)}
		k.w.menu = m
		k.w.grant(t, "version: 1\nroles: {r: {users: [zhangsan]}}\ngrants: [{role: r, menu: [a], actions: [a]}]\n")
		k.say("菜单", word, "1", "help")
		help := text(k.last.Screens[:1])
		if len(help) > 2048 || len(k.last.Screens[0].Body) < 17 {
			t.Errorf("help in %s has %d bytes:\n%s", word, len(help), help)
		}
	}
}
