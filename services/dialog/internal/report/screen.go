package report

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"palmops/libs/wire"
)

// words are what is said of a state, and what to do when the executor gave no words of its own.
var words = map[string]struct{ kind, head, text string }{
	wire.StateRunning:   {wire.ScreenProgress, "进行中", ""},
	wire.StateSucceeded: {wire.ScreenResult, "已完成", ""},
	wire.StateFailed:    {wire.ScreenResult, "失败", "操作失败。请核对目标状态后再决定是否重新发起。"},
	wire.StateCanceled:  {wire.ScreenResult, "已取消", "操作已取消。已经生效的部分不会自动恢复，请核对目标状态。"},
	wire.StateTimeout:   {wire.ScreenResult, "超时", "在规定时间内没有完成，可能已部分生效。请核对目标状态，不要直接重试。"},
	wire.StateExpired:   {wire.ScreenResult, "已过期，没有执行", "超过有效期仍没有执行器受理，没有执行任何操作。需要时请重新发起。"},
	wire.StateRejected:  {wire.ScreenResult, "被拒绝，没有执行", "执行端拒绝了这个操作，没有执行任何操作。需要权限请联系管理员。"},
	wire.StateUnknown:   {wire.ScreenResult, "结果未知", "操作可能已经生效，也可能没有，系统不会自动重试。请先核对目标状态，再决定是否重新发起。"},
}

// Screen is what a person shall see of an event. Ok is false for states that nobody needs to hear of.
func Screen(ev wire.Event) (s wire.Screen, ok bool) {
	w, ok := words[ev.State]
	if !ok {
		return wire.Screen{}, false
	}
	s = wire.Screen{Kind: w.kind, Title: w.head + " #" + wire.ShortID(ev.ID)}
	name := ev.Title
	if name == "" {
		name = ev.Action
	}
	text := ev.Text
	if text == "" {
		text = w.text
	}
	if !strings.Contains(text, name) { // an executor's sentence that names the thing needs no heading
		s.Body = add(s.Body, name)
	}
	s.Body = add(s.Body, text)
	if ev.State == wire.StateUnknown && ev.Executor != "" {
		s.Body = add(s.Body, "执行器："+ev.Executor)
	}
	s.Body = add(s.Body, cut(ev.Output, maxOutput))
	return s, true
}

func add(body []string, text string) []string {
	text = strings.TrimSpace(text)
	if text == "" {
		return body
	}
	return append(body, strings.Split(text, "\n")...)
}

// cut shortens a text to most bytes without tearing a character, and says so.
func cut(text string, most int) string {
	if len(text) <= most {
		return text
	}
	cutAt := most
	for cutAt > 0 && !utf8.RuneStart(text[cutAt]) {
		cutAt--
	}
	return text[:cutAt] + "\n…（输出共 " + strconv.Itoa(len(text)) + " 字节，只显示开头）"
}

// outID is the event's own id, but for an expiry, which an executor and the sweep may both announce.
func outID(ev wire.Event, seq uint64) string {
	if ev.State == wire.StateExpired {
		return expiredID(ev.ID)
	}
	rev := strconv.FormatUint(ev.Rev, 10)
	if ev.Rev == 0 {
		rev = "s" + strconv.FormatUint(seq, 10)
	}
	return ev.ID + ":" + ev.State + ":" + rev
}

func waitingID(id string) string { return id + ":waiting" }
func expiredID(id string) string { return id + ":expired" }
