package flow_test

import (
	"testing"
)

func TestSeveralNumbersInOneGo(t *testing.T) {
	for name, c := range map[string]struct{ said, wants string }{
		"to a list":               {"2", "1. 放行网段\n@ 2"},
		"with a hyphen":           {"3-3-1", "1. 放行网段\n2. 远程\n@ 3-3-1\n= jump"},
		"with blanks":             {"3  3 1", "@ 3-3-1"},
		"with dots, full width":   {"３．３．１", "@ 3-3-1"},
		"stops at a dynamic list": {"1-1-1", "选择集群\n后面的 1-1 没有使用，请看过这一屏再回复\n@ 1"},
		"stops at an input":       {"3-1-5", "请输入\n后面的 5 没有使用\n@ 3-1"},
		"stops at a custom step":  {"2-1-1", "请输入地址和前缀长度\n后面的 1 没有使用\n@ 2-1"},
		"stops at a wrong number": {"3-9-1", "这里没有 9 这个选项，请从这一屏选择；后面的 1 没有使用\n1. 各种输入\n@ 3"},
		"first number wrong":      {"9-1", "这里没有 9 这个选项\n1. 集群\n= repeat invalid\n@"},
		"stops at a room":         {"4-1", "还没有执行过操作\n@"},
		"not with words":          {"1-a", "没有「1-a」这个选项\n@"},
		"not too many":            {"3-3-1-1-1-1-1-1-1-1-1-1-1-1-1-1-1-1-1", "这个选项\n@"},
	} {
		t.Run(name, func(t *testing.T) {
			k := &talk{t: t, w: richWorld(t)}
			k.play("> 菜单\n> " + c.said + "\n" + c.wants + "\n")
		})
	}
}

func TestALinkIsItsTarget(t *testing.T) {
	k := &talk{t: t, w: richWorld(t)}
	k.play(`
> 菜单
> 3
2. 去放行
> 2
请输入地址和前缀长度
> 10.0.0.1
> 1
> 80
请确认：放行网段
> 0
端口
> 0
> 0
> 0
2. 去放行
3. 另一处
@ 3
> 3
> 1
1. 放行网段
2. 远程
> 3
@ 3-3-1-3
> 0
> 0
1. 到网络
@ 3-3
`)
}

// A link inside a list that knows parameters gives them on, and the form behind it can change them.
func TestALinkCarriesParameters(t *testing.T) {
	k := &talk{t: t, w: richWorld(t)}
	k.play(`
> 菜单
> 1
> 2
> 1
> 2
3. 再调一次
> 3
1. api
> 1
> 4
shop/api：3 → 4
@ 1-2-1-2-3-1-4
> 3
现在填的是 shop
> 1
前面的内容改了，请重新填写「部署」
> 2
3. 命名空间：pay
4. 部署：db
5. 副本数：3 → 4
@ 1-2-1-1-3-2-4
> 1
已受理
> 最近
> 1
pay/db：3 → 4
@ 1-2-1-1-3-2-4
`)
}

func TestConditions(t *testing.T) {
	k := &talk{t: t, w: richWorld(t)}
	k.play("> 菜单\n! 夜里\n4. 我的任务\n> 1\n> 1\n> 1\n> 2\n1. 调整副本数\n! 重启\n")
	k.w.now = noon + 14*3600_000 // 2 o'clock
	k.play("> 00\n4. 夜里\n> 4-1\n请输入地址和前缀长度\n@ 4-1\n")
	k.w.now = noon
	k.play("> 10.0.0.1\n你的权限已变更，没有执行任何操作\n1. 集群\n! 夜里\n@\n= repeat denied\n")
	k.w.now = noon + 14*3600_000
	k.play("> 00\n4. 夜里\n")
	k.w.now = noon
	k.play("> 4\n请重新选择\n4. 我的任务\n")
}
