package flow_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"palmops/libs/wire"
	"palmops/services/dialog/internal/flow"
)

// toScale is the way to the confirm of scaling b1/shop/web to 5.
const toScale = `
> 菜单
> 1
> 2
> 1
> 2
> 1
> 4
> 5
`

func TestAFormOverSeveralLevels(t *testing.T) {
	k := &talk{t: t, w: richWorld(t)}
	k.play(`
> 菜单
1. 集群
> 1
选择集群
2. b1
> 2
1. 命名空间
2. 节点
> 1
2. shop
> 2
1. 调整副本数
2. 重启
> 1
4. web  3/3
> 4
新的副本数（0 到 20 的整数；例如 5；回复 默认 使用 2；0 是返回，要输入零请回复 =0）
> 5
请确认：调整副本数
shop/web：3 → 5
1. 确认执行
2. 集群：b1
3. 命名空间：shop
4. 部署：web
5. 副本数：3 → 5
0 返回修改
@ 1-2-1-2-1-4-5
> 9
还没有执行。请回复 1 确认执行，或回复 0 返回修改
= repeat invalid
> 1
已受理 #
`)
	want := map[string]any{"cluster": "b1", "namespace": "shop", "deployment": "web", "replicas": int64(5)}
	if diff := cmp.Diff(want, k.last.Intent.Args); diff != "" {
		t.Error(diff)
	}
	k.play(`
@ 1-2-1-2
> 1
没有再次执行
1. 调整副本数
`)
}

func TestChangingAValueThatNothingRestsOn(t *testing.T) {
	k := &talk{t: t, w: richWorld(t)}
	k.play(toScale + `
> 5
现在填的是 5，0 返回不修改
= change
> 30
0 到 20
现在填的是 5
> 7
请确认：调整副本数
5. 副本数：3 → 7
@ 1-2-1-2-1-4-7
`)
	if len(k.s.Ahead) != 0 {
		t.Errorf("still ahead: %+v", k.s.Ahead)
	}
	k.play(`
> 4
现在填的是 web
1. api  2/2
> 1
shop/api：3 → 7
`)
}

func TestChangingAValueThatOthersRestOn(t *testing.T) {
	k := &talk{t: t, w: richWorld(t)}
	k.play(toScale + `
> 2
选择集群
现在填的是 b1，0 返回不修改
> 1
前面的内容改了，请重新填写「命名空间」
1. pay
@ 1-1-1
> 1
前面的内容改了，请重新填写「部署」
> 1
请确认：调整副本数
2. 集群：a1
3. 命名空间：pay
4. 部署：api
5. 副本数：3 → 5
@ 1-1-1-1-1-1-5
`)
}

func TestChangingToTheSameValueAsksNothingMore(t *testing.T) {
	k := &talk{t: t, w: richWorld(t)}
	k.play(toScale + `
> 2
> 2
2. 集群：b1
5. 副本数：3 → 5
@ 1-2-1-2-1-4-5
`)
}

func TestLeavingAChangeRestoresTheForm(t *testing.T) {
	for name, script := range map[string]string{
		"at once":                   "> 2\n> 0\n",
		"after what others rest on": "> 2\n> 1\n前面的内容改了\n> 0\n",
		"two steps in":              "> 2\n> 1\n> 1\n前面的内容改了，请重新填写「部署」\n> 返回\n",
		"an input":                  "> 5\n> 99\n> 0\n",
	} {
		t.Run(name, func(t *testing.T) {
			k := &talk{t: t, w: richWorld(t)}
			k.play(toScale)
			before := k.s
			k.play(script + `
没有修改
2. 集群：b1
5. 副本数：3 → 5
1. 确认执行
`)
			if diff := same(before, k.s); diff != "" || len(k.s.Ahead) != 0 {
				t.Errorf("%s%+v", diff, k.s.Ahead)
			}
		})
	}
}

// The node on the way is not there for another value: the person stands where that shows, and nothing is left over.
func TestAChangeThatTakesTheFunctionAway(t *testing.T) {
	k := &talk{t: t, w: richWorld(t)}
	k.play(`
> 菜单
> 1
> 2
> 1
> 2
> 2
> 1 4
> *
请确认：重启
> 2
> 1
> 1
这项功能现在不能使用，没有执行任何操作
1. 调整副本数
! 重启
@ 1-1-1-1
> 1
> 1
> 5
请确认：调整副本数
`)
}

var digitsOf = regexp.MustCompile(`请输入 (\d{4}) 确认执行`)

func TestConfirmByCode(t *testing.T) {
	k := &talk{t: t, w: richWorld(t)}
	k.play(`
> 菜单
> 1
> 2
> 1
> 2
> 2
> 1,4
> 完成
请确认：重启
重启 api,web
! 1. 确认执行
4. 部署：api,web
`)
	code := digitsOf.FindStringSubmatch(text(k.last.Screens))
	if code == nil {
		t.Fatal(text(k.last.Screens))
	}
	before := *k
	if r := k.say("1"); r.Intent != nil {
		t.Error("1 confirms where a code is wanted")
	}
	k.play(`
确认码不对，没有执行。请输入
> 好的
还没有执行
> 1234567
确认码不对
> 0000
连续 3 次输入不正确，已退出这项操作，没有执行任何操作
1. 调整副本数
2. 重启
@ 1-2-1-2
= repeat tries
`)
	*k = before
	if r := k.say(code[1]); r.Intent == nil || r.Intent.Args["targets"] != "api,web" {
		t.Errorf("the code does not confirm: %+v", r)
	}
	*k = before
	k.play("> 3\n现在填的是 shop\n> 0\n请确认：重启\n")
	again := digitsOf.FindStringSubmatch(text(k.last.Screens))
	if again == nil || again[1] == code[1] {
		t.Errorf("the code of a confirm that was opened again: %v, before %v", again, code)
	}
	if r := k.say(code[1]); r.Intent != nil {
		t.Error("an old code confirms")
	}
}

func TestExitAndHomeForgetTheForm(t *testing.T) {
	k := &talk{t: t, w: richWorld(t)}
	k.play(toScale + "> 2\n> 00\n@\n1. 集群\n")
	if len(k.s.Ahead) > 0 {
		t.Errorf("%+v", k.s.Ahead)
	}
	k.play(toScale + "> 2\n> #\n")
	if k.s.Open() || k.s.Ahead != nil {
		t.Errorf("%+v", k.s)
	}
}

func TestAFormWithACustomStep(t *testing.T) {
	k := &talk{t: t, w: richWorld(t)}
	k.play(`
> 菜单
> 2-1
请输入地址和前缀长度
> 10.1.2.3/24
> 1
> 443
请确认：放行网段
放行 10.1.2.0/24:443
2. 网段：10.1.2.0/24
3. 端口：443
> 2
请输入地址和前缀长度
现在填的是 10.1.2.0/24
> 10.9.9.9/16
网段 10.9.0.0/16
> 0
没有修改
放行 10.1.2.0/24:443
> 2
> 10.9.9.9/16
> 1
放行 10.9.0.0/16:443
@ 2-1-10.9.9.9/16-1-443
> 1
已受理
`)
	if diff := cmp.Diff(map[string]any{"network": "10.9.0.0/16", "port": int64(443)}, k.last.Intent.Args); diff != "" {
		t.Error(diff)
	}
}

func TestLongValuesAreCountedOnTheConfirm(t *testing.T) {
	k := &talk{t: t, w: richWorld(t)}
	k.say("x", "3", "1", strings.Repeat("长", 199), "1", "今天", "8:05", "5m", "web", "a\nb\n"+strings.Repeat("c", 300), "1", "2")
	if k.s.Screen.Kind != wire.ScreenConfirm {
		t.Fatal(text(k.last.Screens))
	}
	k.wants("8. 内容：a ⏎ b ⏎ ccc", "（共 304 个字）", "3. 环境：生产（prod）", "10. 负责人：张三（zhangsan）", "6. 时长：5m")
	if r := k.say("1"); r.Intent == nil || r.Intent.Args["text"] != "a\nb\n"+strings.Repeat("c", 300) || r.Did != flow.DidConfirm {
		t.Errorf("%+v", r)
	}
}
