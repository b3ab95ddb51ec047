package flow

import (
	"fmt"
	"strconv"
	"strings"

	"palmops/libs/wire"
	"palmops/services/dialog/menu"
)

// draw makes the screen of a place from what is stored of it.
func (t *turn) draw(p place, sh Shown, note string) wire.Screen {
	s := wire.Screen{Kind: sh.Kind, Note: note, Title: p.node.Title}
	step := p.current()
	switch {
	case sh.Kind == wire.ScreenAccepted:
		s.Title = "上一个操作已受理"
		s.Body = []string{"没有再次执行。结果会自动发来。"}
	case step == nil:
		t.lines(&s, sh, true)
	case step.Dynamic != nil:
		s.Body = nonEmpty(step.Dynamic.Prompt)
		if len(sh.Items) == 0 {
			empty := step.Dynamic.Empty
			if empty == "" {
				empty = "列表是空的"
			}
			s.Body = []string{empty}
		}
		t.lines(&s, sh, step.Dynamic.Param != "")
	case step.Input != nil:
		s.Body = []string{t.prompt(step.Input)}
		t.lines(&s, sh, true)
	case step.Confirm != nil:
		text, _ := step.Confirm.Text.Text(p.params, sh.Current) // was filled in when the screen was opened
		s.Title = "请确认：" + p.node.Title
		s.Body = []string{clean(text, 500)}
		s.Choices = []wire.Choice{{Key: "1", Label: "确认执行"}}
	}
	s.Keys = t.keys(p, sh)
	return s
}

// lines adds the present page of a list, with numbers or to be read only.
func (t *turn) lines(s *wire.Screen, sh Shown, numbered bool) {
	from := min(sh.Page*t.m.PageSize, len(sh.Items))
	to := min(from+t.m.PageSize, len(sh.Items))
	for i, it := range sh.Items[from:to] {
		label := it.Label
		if label == "" {
			label = it.Value
		}
		switch {
		case numbered:
			s.Choices = append(s.Choices, wire.Choice{Key: strconv.Itoa(from + i + t.m.First), Label: label, Detail: it.Detail})
		case it.Detail != "":
			s.Body = append(s.Body, label+"  "+it.Detail)
		default:
			s.Body = append(s.Body, label)
		}
	}
	if pages := t.pages(sh); pages > 1 {
		s.Page, s.Pages = sh.Page+1, pages
	}
	if sh.Total > 0 {
		s.Body = append(s.Body, fmt.Sprintf("共 %d 项，只显示前 %d 项", sh.Total, len(sh.Items)))
	}
}

func (t *turn) prompt(in *menu.Input) string {
	text := in.Prompt
	if text == "" {
		text = "请输入"
	}
	var more []string
	if in.Type == menu.Int && (in.Min > -1<<53 || in.Max < 1<<53) {
		more = append(more, fmt.Sprintf("%d 到 %d 的整数", in.Min, in.Max))
	}
	if in.Example != "" {
		more = append(more, "例如 "+in.Example)
	}
	if in.Default != "" {
		more = append(more, "回复 默认 使用 "+in.Default)
	}
	if in.Type == menu.Int && in.Min <= 0 && in.Max >= 0 && t.m.First == 1 {
		more = append(more, "0 是返回，要输入零请回复 =0")
	}
	if len(more) > 0 {
		text += "（" + strings.Join(more, "；") + "）"
	}
	return text
}

func (t *turn) backWord() string {
	if t.m.First == 0 {
		return "返回"
	}
	return "0"
}

// keys is the line that says which keys work on this screen.
func (t *turn) keys(p place, sh Shown) string {
	back := "返回"
	if t.m.First == 1 {
		back = "0 返回"
	}
	if sh.Kind == wire.ScreenConfirm {
		back += "修改"
	}
	var keys []string
	if sh.Page+1 < t.pages(sh) {
		keys = append(keys, "+ 下一页")
	}
	if sh.Page > 0 {
		keys = append(keys, "- 上一页")
	}
	if p.node.Parent != nil {
		keys = append(keys, back, "00 首页")
	}
	return strings.Join(append(keys, "# 退出", "? 帮助"), " · ")
}

func (t *turn) help() wire.Screen {
	back := "0 或 返回：回到上一步"
	if t.m.First == 0 {
		back = "返回：回到上一步"
	}
	return wire.Screen{Kind: wire.ScreenNotice, Title: "使用帮助", Body: []string{
		"数字：选择列表中的一项", back, "00 或 首页：回到首页", "+ 或 下一页，- 或 上一页：翻页", "# 或 退出：结束会话",
		"输入的内容恰好是按键时，在前面加 =，例如 =0",
		"所有操作都要在确认页回复 1 才会执行",
	}}
}

func notice(title string, body ...string) wire.Screen {
	return wire.Screen{Kind: wire.ScreenNotice, Title: title, Body: body}
}

func nonEmpty(s string) []string {
	if s == "" {
		return nil
	}
	return []string{s}
}
