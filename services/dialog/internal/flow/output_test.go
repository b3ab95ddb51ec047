package flow_test

import (
	"fmt"
	"strings"
	"testing"

	"palmops/libs/wire"
	"palmops/services/dialog/internal/flow"
)

func TestALongOutputHasPages(t *testing.T) {
	k, id := ordered(t)
	var lines []string
	for i := range 200 {
		lines = append(lines, fmt.Sprintf("行 %03d %s", i, strings.Repeat("。", i%40)))
	}
	lines = append(lines, strings.Repeat("长", 1000), "最后\x1b[31m一行\u202e", "CUT")
	k.w.output = strings.Join(lines, "\n")
	k.w.tasks = map[string]flow.Task{id: {State: wire.StateFailed, Output: len(k.w.output)}}
	k.say("任务", "1", "1")
	var all strings.Builder
	for {
		s := k.last.Screens[0]
		body := strings.Join(s.Body, "\n")
		if len(body) > 900 || s.Kind != wire.ScreenNotice || s.Pages < 5 {
			t.Fatalf("%d bytes, %d pages", len(body), s.Pages)
		}
		all.WriteString(body + "\n")
		if s.Page == s.Pages {
			break
		}
		k.say("+")
	}
	got := all.String()
	for _, l := range lines[:200] {
		if !strings.Contains(got, l+"\n") {
			t.Errorf("%q is missing or torn", l)
		}
	}
	if strings.Count(got, "长") != 300 || !strings.Contains(got, "最后 [31m一行 \n") || k.last.Screens[0].Note != "能翻看的只到这里，完整的输出在随结果发来的文件里" {
		t.Error("the end is missing")
	}
	k.play("> +\n已经是最后一页\n> -\n- 上一页\n> 1\n行 000\n第 1/\n> -\n已经是第一页\n")
}

func TestAnOutputThatCannotBeHad(t *testing.T) {
	k, id := ordered(t)
	k.w.tasks = map[string]flow.Task{id: {State: wire.StateFailed, Output: 5}}
	k.say("任务", "1", "1")
	k.play("没有输出\n1. 查看输出\n")
	k.w.fault = "存储没有应答"
	k.play("> 1\n存储没有应答；稍后再次回复 1 重试\n1. 查看输出\n> 0\n1. 调整副本数\n存储没有应答\n")
}
