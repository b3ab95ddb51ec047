package flow_test

import (
	"fmt"
	"testing"

	"palmops/services/dialog/internal/flow"
)

func TestFavourites(t *testing.T) {
	k := &talk{t: t, w: richWorld(t)}
	k.play(`
> 菜单
> 收藏+
请先进入一个列表或操作
= repeat invalid
> 2
> 加收藏
已收藏「网络」
1. 放行网段
= room
> 收藏＋
「网络」已经在收藏里
> 00
> 3-3
> fav+
> 收藏
收藏
回复 删2 移除第 2 项
1. 网络
2. 另一处  表单
> 1
1. 放行网段
@ 2
> 收藏
> 删 9
没有「删 9」这个选项
> 删1
已从收藏移除「网络」
1. 另一处
! 2.
> 0
放行网段
@ 2
> 收藏-
「网络」不在收藏里
> 收藏
> del 1
收藏是空的
1. 放行网段
@ 2
`)
	if len(k.w.memo.Favourites) != 0 || k.s.Under != nil {
		t.Errorf("%+v", k.w.memo)
	}
}

func TestFavouritesOfOthersRights(t *testing.T) {
	k := &talk{t: t, w: richWorld(t).as("lisi")}
	k.w.memo.Favourites = []string{"net", "k8s", "no-more"}
	k.play("> 收藏\n1. 集群\n! 网络\n> 1\n选择集群\n@ 1\n")
}

func TestTooManyFavourites(t *testing.T) {
	k := &talk{t: t, w: richWorld(t)}
	for i := range flow.MaxFavourites {
		k.w.memo.Favourites = append(k.w.memo.Favourites, fmt.Sprint("f", i))
	}
	k.play("> 菜单\n> 2\n> 收藏+\n收藏已满 20 项，没有加入\n")
}
