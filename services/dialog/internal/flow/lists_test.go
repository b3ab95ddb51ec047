package flow_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"palmops/libs/wire"
	"palmops/services/dialog/internal/flow"
)

func many(n int) []wire.Item {
	items := make([]wire.Item, n)
	for i := range items {
		items[i] = wire.Item{Value: fmt.Sprintf("web-%03d", i+1)}
	}
	return items
}

func TestPaging(t *testing.T) {
	k := &talk{t: t, w: newWorld(t)}
	k.w.lists["k8s.deployments"] = many(20)
	k.say("x", "1", "1", "1", "1")
	k.wants("第 1/3 页", "8. web-008", "+ 下一页")
	k.say("9")
	k.wants("没有「9」这个选项")
	asked := len(k.w.asked)
	k.say("+")
	k.wants("第 2/3 页", "9. web-009", "- 上一页")
	k.say("＋", "下一页")
	k.wants("已经是最后一页", "20. web-020")
	k.say("-", "上一页", "-")
	k.wants("已经是第一页", "1. web-001")
	if len(k.w.asked) != asked || k.s.Path() != "1-1-1-1" {
		t.Errorf("paging asked %v, path %s", k.w.asked[asked:], k.s.Path())
	}
	k.say("20")
	if k.s.Hops[4].Text != "web-020" {
		t.Errorf("20 means %+v", k.s.Hops[4])
	}
}

func TestALongListIsCutAndSaysSo(t *testing.T) {
	k := &talk{t: t, w: newWorld(t)}
	k.w.lists["k8s.deployments"] = many(flow.MaxList + 50)
	k.say("x", "1", "1", "1", "1")
	k.wants("共 250 项，只显示前 200 项", "第 1/25 页")
}

// The list moves between the screen and the number: the number still means what was on the screen.
func TestANumberMeansWhatWasShown(t *testing.T) {
	k := &talk{t: t, w: newWorld(t)}
	k.say("x", "1", "1", "1", "1")
	k.wants("2. web")
	k.w.lists["k8s.deployments"] = []wire.Item{{Value: "aaa"}, {Value: "api"}, {Value: "web"}}
	k.say("2")
	if k.s.Hops[4].Text != "web" {
		t.Fatalf("2 became %+v", k.s.Hops[4])
	}
	k.say("0")
	k.wants("2. api", "3. web")
}

func TestAListThatCannotBeHadLosesNothing(t *testing.T) {
	k := &talk{t: t, w: newWorld(t)}
	k.say("x", "1", "1")
	k.w.fault = "列表暂时取不到（执行器没有应答），没有执行任何操作"
	k.say("1")
	if k.s.Path() != "1-1" || k.last.Reason != flow.ReasonNoAnswer {
		t.Errorf("path %s, reason %s", k.s.Path(), k.last.Reason)
	}
	k.wants("没有执行任何操作；稍后再次回复 1 重试", "1. 调整 POD 数")
	k.w.fault = ""
	k.say("1")
	k.wants("1. shop")
	k.say("1", "2")
	k.w.fields = map[string]string{"ready": "3"}
	k.say("5")
	k.wants("应答不完整", "输入新的副本数")
	k.w.fields = map[string]string{"replicas": "three"}
	k.say("5")
	k.wants("应答不完整")
}

func TestListsAreMadeHarmless(t *testing.T) {
	k := &talk{t: t, w: newWorld(t)}
	k.w.lists["k8s.deployments"] = []wire.Item{
		{Value: ""}, {Value: "a\nb"}, {Value: strings.Repeat("x", 2000)}, {Value: "web", Label: "web\n1. 假的", Detail: "\u202e3/3"}, {Value: "web"},
	}
	k.say("x", "1", "1", "1", "1")
	want := []wire.Choice{{Key: "1", Label: "web 1. 假的", Detail: "3/3"}}
	if diff := cmp.Diff(want, k.last.Screens[0].Choices); diff != "" {
		t.Error(diff)
	}
}

func TestAnEmptyListSaysSo(t *testing.T) {
	k := &talk{t: t, w: newWorld(t)}
	k.w.lists["k8s.deployments"] = nil
	k.say("x", "1", "1", "1", "1")
	k.wants("这个命名空间里没有部署", "0 返回")
	k.say("1")
	k.wants("这里没有可选项")
	k.say("0")
	k.wants("1. shop")
}
