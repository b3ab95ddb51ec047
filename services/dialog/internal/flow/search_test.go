package flow_test

import (
	"testing"
)

func TestSearch(t *testing.T) {
	k := &talk{t: t, w: richWorld(t)}
	k.play(`
> 菜单
> 3
> /网段
搜索：网段
1. 放行网段  网络
= search
> 0
表单
1. 各种输入
@ 3
> 、fxwd
1. 放行网段  网络
> ／远程
1. 远程  网络
> 1
@ 2-2
= jump
`)
	k.play(`
> 00
> /
搜索：回复 / 加关键词
= search invalid
> /没有这个
没有找到「没有这个」，请换个词再试
1. 集群
> / 各种
1. 各种输入  表单
> 计算
搜索：计算
1. 计算器  网络
> 9
没有「9」这个选项
> 1
请输入地址和前缀长度
@ 2-3
`)
}

func TestASearchThatOpensTheSession(t *testing.T) {
	k := &talk{t: t, w: richWorld(t)}
	k.play("> /网段\n1. 放行网段\n> 返回\n1. 集群\n@\n")
}

// Nodes on the way that ask for something are asked first, then the way goes on by itself.
func TestAJumpAsksOnTheWay(t *testing.T) {
	k := &talk{t: t, w: richWorld(t)}
	k.play(`
> 菜单
> /重启
1. 重启  集群 / 命名空间
> 1
选择集群
@ 1
> 2
2. shop
@ 1-2-1
> 2
可多选
@ 1-2-1-2-2
> 0
2. 重启
@ 1-2-1-2
`)
	k.play(`
> 00
> /重启
> 1
> 1
> 1
这项功能现在不能使用，没有执行任何操作
1. 调整副本数
@ 1-1-1-1
> 00
> /重启
> 1
> 2
> 0
1. 命名空间
2. 节点
@ 1-2
`)
	if len(k.s.Ahead) != 0 {
		t.Errorf("who goes back leaves the way: %+v", k.s.Ahead)
	}
}

func TestSearchShowsOnlyWhatMayBeSeen(t *testing.T) {
	k := &talk{t: t, w: richWorld(t).as("lisi")}
	k.play("> 菜单\n> /网段\n没有找到「网段」\n> /调整\n1. 调整副本数\n")
	k = &talk{t: t, w: richWorld(t)}
	k.play("> 菜单\n> /暗\n没有找到「暗」\n")
	k.w.now = noon + 14*3600_000
	k.play("> /暗\n1. 暗  夜里\n")
	k.w.now = noon
	k.play("> 1\n这项功能现在不能使用，没有执行任何操作\n1. 集群\n@\n")
}

func TestASearchFindsRoomsAndLinks(t *testing.T) {
	k := &talk{t: t, w: richWorld(t)}
	k.play("> 菜单\n> 2\n> /收藏夹\n1. 收藏夹\n> 1\n收藏是空的\n1. 集群\n@\n> /去放行\n1. 去放行  表单\n> 1\n请输入地址和前缀长度\n@ 3-2\n")
}

func TestSearchHasPages(t *testing.T) {
	k := &talk{t: t, w: bigWorld(t, 1000)}
	k.play("> 菜单\n> /功能\n第 1/3 页\n1. \n> 9\n没有「9」这个选项\n> +\n9. \n> 00\n@\n")
}
