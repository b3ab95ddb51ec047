package flow_test

import (
	"fmt"
	"strings"
	"testing"

	"palmops/libs/wire"
)

const toRestart = "> 菜单\n> 1\n> 2\n> 1\n> 2\n> 2\n"

func TestChoosingSeveralLines(t *testing.T) {
	k := &talk{t: t, w: richWorld(t)}
	k.play(toRestart + `
可多选，已选 0 项（最多 4 项）
1. ☐ api  2/2
4. ☐ web  3/3
! x,y
> *
至少选 2 项，现在选了 0 项
= repeat invalid
> 4
4. ☑ web
已选 1 项
= pick
> 1、2
1. ☑ api
2. ☑ db
> 2
2. ☐ db
> 2-3
2. ☑ db
3. ☑ job
已选 4 项
> 清空
已清空
已选 0 项
1. ☐ api
> 全选
已选 4 项
> clear
> all
已选 4 项
> 3
> 9
没有 9 这个选项，选择没有变
已选 3 项
> 1 9
没有 9 这个选项
1. ☑ api
> ＊
重启 api,db,web
@ 1-2-1-2-2-*
`)
}

func TestLimitsOfAMultiSelect(t *testing.T) {
	k := &talk{t: t, w: richWorld(t)}
	k.w.lists["k.deployments"] = many(12)
	k.play(toRestart + `
第 1/2 页
> 1-4
已选 4 项
> 5
最多选 4 项，这样会是 5 项，选择没有变
已选 4 项
> 全选
最多选 4 项，这样会是 12 项
> 9
没有 9 这个选项
> +
9. ☐ web-009
> 1 9
1. 
9. ☑ web-009
! 1. ☑
> -
1. ☐ web-001
2. ☑ web-002
> done
重启 web-002,web-003,web-004,web-009
`)
}

func TestPickedLinesSurviveFiltering(t *testing.T) {
	k := &talk{t: t, w: richWorld(t)}
	k.w.lists["k.deployments"] = many(5000)
	k.play(toRestart + `
共 5000 项，只显示前 200 项
> 2
> 4312
筛选：4312（1/5000 项）
> 4999
筛选：4999
> 全部
> 9
没有 9 这个选项
> web-4312
筛选：web-4312（1/5000 项），全部 显示全部
1. ☐ web-4312
> 1
1. ☑ web-4312
已选 2 项
> web-0
> 1
1. ☑ web-001
已选 3 项
> 全部
1. ☑ web-001
2. ☑ web-002
! 筛选：
> web-4312
> ok
重启 web-001,web-002,web-4312
`)
}

// The order is the list's as it is when the choice ends; what it has lost stays chosen, and stands at the end.
func TestTheOrderOfTheWholeList(t *testing.T) {
	k := &talk{t: t, w: richWorld(t)}
	k.w.lists["k.deployments"] = many(300)
	k.play(toRestart + "> web-29\n> 1 2\n已选 2 项\n> web-001\n> 1\n")
	k.w.lists["k.deployments"] = append([]wire.Item{{Value: "web-290"}}, many(250)...)
	k.play("> *\n重启 web-290,web-001,web-291\n")
}

func TestChangingAMultiSelect(t *testing.T) {
	k := &talk{t: t, w: richWorld(t)}
	k.play(toRestart + `
> 4 1
> *
4. 部署：api,web
> 4
1. ☑ api
2. ☐ db
4. ☑ web
现在填的是 api,web
> 2
> *
4. 部署：api,db,web
`)
}

func TestAMultiSelectTooLongForAnOrder(t *testing.T) {
	k := &talk{t: t, w: richWorld(t)}
	var items []wire.Item
	for i := range 5 {
		items = append(items, wire.Item{Value: fmt.Sprint(i) + strings.Repeat("x", 1023)})
	}
	items[4].Value += "x"
	k.w.lists["k.deployments"] = items
	k.play(toRestart + "! 5. \n> 1-4\n选中的内容太长，选择没有变\n已选 0 项\n> 1-3\n已选 3 项\n")
}
