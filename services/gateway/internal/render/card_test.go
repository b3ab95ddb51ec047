package render

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"palmops/libs/lang"
	"palmops/libs/wire"
)

func choices(labels ...string) []wire.Choice {
	var out []wire.Choice
	for i, l := range labels {
		out = append(out, wire.Choice{Key: string(rune('1' + i)), Label: l})
	}
	return out
}

func TestCard(t *testing.T) {
	for name, c := range map[string]struct {
		s    wire.Screen
		want ButtonCard
	}{
		"confirm": {
			wire.Screen{Title: "请确认", Body: []string{"shop/web：3 → 5"}, Choices: choices("确认执行", "取消"), Keys: "0 返回修改 · # 退出"},
			ButtonCard{Title: "请确认", Sub: "shop/web：3 → 5\n0 返回修改 · # 退出", Buttons: []Button{{"1 确认执行", "1"}, {"2 取消", "2"}}},
		},
		"a note, a page, and choices that need more than a button": {
			wire.Screen{
				Title: "选择", Note: "没有第 9 项。", Page: 1, Pages: 3,
				Choices: []wire.Choice{{Key: "1", Label: "零售事业部的全部机器"}, {Key: "2", Label: "web", Detail: "3/3 就绪"}, {Key: "3", Label: "b"}},
			},
			ButtonCard{
				Title: "选择", Desc: "没有第 9 项。", Sub: "1. 零售事业部的全部机器\n2. web  3/3 就绪\n3. b\n第 1/3 页",
				Buttons: []Button{{"1 零售事业部的全…", "1"}, {"2 web", "2"}, {"3 b", "3"}},
			},
		},
		"no title": {
			wire.Screen{Note: "已恢复", Choices: choices("好")},
			ButtonCard{Title: "已恢复", Buttons: []Button{{"1 好", "1"}}},
		},
		"only keys": {
			wire.Screen{Title: "t", Choices: choices("好"), Keys: "0 返回"},
			ButtonCard{Title: "t", Sub: "0 返回", Buttons: []Button{{"1 好", "1"}}},
		},
		"a long note": {
			wire.Screen{Title: "t", Note: strings.Repeat("注", 45), Choices: choices("好")},
			ButtonCard{Title: "t", Sub: strings.Repeat("注", 45), Buttons: []Button{{"1 好", "1"}}},
		},
		"no room for the keys": {
			wire.Screen{Title: "t", Body: []string{strings.Repeat("行", 158)}, Choices: choices("好"), Keys: "0 返回"},
			ButtonCard{Title: "t", Sub: strings.Repeat("行", 158), Buttons: []Button{{"1 好", "1"}}},
		},
		"harmful": {
			wire.Screen{Title: "a\nb\x00", Choices: choices("x\n2. 确认")},
			ButtonCard{Title: "a b�", Buttons: []Button{{"1 x 2. 确认", "1"}}},
		},
	} {
		c.s.Card = "task"
		got, ok := Card(c.s, lang.Chinese)
		if diff := cmp.Diff(c.want, got); !ok || diff != "" {
			t.Errorf("%s: %v %s", name, ok, diff)
		}
	}
	for name, s := range map[string]wire.Screen{
		"not asked for":  {Title: "t", Choices: choices("a")},
		"no choices":     {Card: "c", Title: "t"},
		"seven choices":  {Card: "c", Title: "t", Choices: choices("a", "b", "c", "d", "e", "f", "g")},
		"no title":       {Card: "c", Choices: choices("a")},
		"a long title":   {Card: "c", Title: strings.Repeat("题", 37), Choices: choices("a")},
		"a long body":    {Card: "c", Title: "t", Body: []string{strings.Repeat("行", 161)}, Choices: choices("a")},
		"the same key":   {Card: "c", Title: "t", Choices: []wire.Choice{{Key: "1", Label: "a"}, {Key: "1", Label: "b"}}},
		"no key":         {Card: "c", Title: "t", Choices: []wire.Choice{{Label: "a"}}},
		"an endless key": {Card: "c", Title: "t", Choices: []wire.Choice{{Key: strings.Repeat("k", 1025), Label: "a"}}},
	} {
		if got, ok := Card(s, lang.Chinese); ok || got.Title != "" {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// Whatever the screen, a card is within its limits, harmless, and shows everything that the text shows.
func TestACardHidesNothing(t *testing.T) {
	word := rapid.StringN(0, 30, -1)
	rapid.Check(t, func(t *rapid.T) {
		s := wire.Screen{
			Card: "c", Title: word.Draw(t, "title"), Note: word.Draw(t, "note"), Keys: word.Draw(t, "keys"),
			Body: rapid.SliceOfN(word, 0, 3).Draw(t, "body"), Pages: rapid.IntRange(0, 2).Draw(t, "pages"),
		}
		for i := range rapid.IntRange(1, 6).Draw(t, "choices") {
			s.Choices = append(s.Choices, wire.Choice{Key: string(rune('1' + i)), Label: word.Draw(t, "label"), Detail: rapid.StringN(0, 5, -1).Draw(t, "detail")})
		}
		c, ok := Card(s, lang.Chinese)
		if !ok {
			return
		}
		if length(c.Title) > maxTitle || length(c.Desc) > maxDesc || length(c.Sub) > maxSub || len(c.Buttons) != len(s.Choices) {
			t.Fatalf("%+v", c)
		}
		all := c.Title + "\n" + c.Desc + "\n" + c.Sub
		if clean(all) != all || !utf8.ValidString(all) {
			t.Fatalf("%q is harmful", all)
		}
		for i, b := range c.Buttons {
			if length(b.Text) > maxButton || b.Key != s.Choices[i].Key || !utf8.ValidString(b.Text) {
				t.Fatalf("%+v", b)
			}
			full := oneLine(s.Choices[i].Key) + " " + oneLine(s.Choices[i].Label)
			if (b.Text != full || s.Choices[i].Detail != "") && !strings.Contains(all, choice(s.Choices[i])) {
				t.Fatalf("%q hides %q", all, s.Choices[i].Label)
			}
		}
		for _, l := range append([]string{oneLine(s.Title), oneLine(s.Note)}, s.Body...) {
			if !strings.Contains(all, clean(l)) {
				t.Fatalf("%q lacks %q", all, l)
			}
		}
	})
}

func TestShortKeepsCharactersWhole(t *testing.T) {
	family := "👨‍👩‍👧‍👦"
	for s, want := range map[string]string{
		"1234567890": "1234567890", "12345678901": "123456789…", "一二三四五六七八九十一": "一二三四五六七八九…",
		"12345" + family + family: "12345…", family + family: family + "…", "": "",
	} {
		if got := short(s, 10); got != want {
			t.Errorf("%q: %q, want %q", s, got, want)
		}
	}
	if got := short(strings.Repeat("́", 40), 10); length(got) != 10 {
		t.Errorf("%q", got)
	}
}

func TestFileName(t *testing.T) {
	for name, want := range map[string]string{
		"输出.txt": "输出.txt", "": "output.txt", " \t ": "output.txt", "../../etc/passwd": ".._.._etc_passwd", "a\tb\r\nc": "a b c", `a\b "c"`: "a_b 'c'",
		strings.Repeat("长", 100) + ".log": strings.Repeat("长", 38) + ".log", strings.Repeat("x", 200): strings.Repeat("x", 120),
	} {
		if got := FileName(name); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		got := FileName(rapid.String().Draw(t, "name") + string(rapid.SliceOf(rapid.Byte()).Draw(t, "bytes")))
		if got == "" || len(got) > maxName || !utf8.ValidString(got) || strings.ContainsAny(got, "/\\\t\n\r\x00") {
			t.Fatalf("%q", got)
		}
	})
}
