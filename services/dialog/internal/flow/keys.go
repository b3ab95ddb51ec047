package flow

import (
	"strings"
	"unicode"

	"palmops/libs/lang"
)

// key is a control word that a person can type.
type key int

const (
	keyNone key = iota
	keyBack
	keyHome
	keyExit
	keyNext
	keyPrev
	keyHelp

	// The following do not count where free text is typed, but for keyKeep and keyDrop.
	keyRecent
	keyFavourites
	keyTasks
	keyKeep // the node one stands at into the favourites
	keyDrop // and out of them
	keyCards
	keyText
	keyEnglish
	keyChinese
)

// words are the keys as they are typed, folded and in lower case. The 0 is looked at in keyOf.
var words = map[string]key{
	"back": keyBack, "返回": keyBack, //lang:word
	"00": keyHome, "home": keyHome, "menu": keyHome, "首页": keyHome, "菜单": keyHome, //lang:word
	"#": keyExit, "exit": keyExit, "quit": keyExit, "退出": keyExit, //lang:word
	"+": keyNext, "next": keyNext, "下一页": keyNext, //lang:word
	"-": keyPrev, "prev": keyPrev, "上一页": keyPrev, //lang:word
	"?": keyHelp, "help": keyHelp, "帮助": keyHelp, //lang:word
	"recent": keyRecent, "最近": keyRecent, //lang:word
	"favourites": keyFavourites, "favorites": keyFavourites, "收藏": keyFavourites, //lang:word
	"tasks": keyTasks, "任务": keyTasks, "我的任务": keyTasks, //lang:word
	"fav+": keyKeep, "收藏+": keyKeep, "加收藏": keyKeep, //lang:word
	"fav-": keyDrop, "收藏-": keyDrop, "删收藏": keyDrop, //lang:word
	"card": keyCards, "cards": keyCards, "卡片": keyCards, //lang:word
	"text": keyText, "文字": keyText, //lang:word
	"english": keyEnglish, "英文": keyEnglish, //lang:word
	"chinese": keyChinese, "中文": keyChinese, //lang:word
}

// keyOf reads a folded text. In menus that count from 0 the 0 is a line, and only the word goes back.
func keyOf(folded string, first int) key {
	if folded == "0" && first != 0 {
		return keyBack
	}
	if len(folded) > 16 {
		return keyNone
	}
	return words[strings.ToLower(folded)]
}

// Words that count on some screens only.
func isDefault(folded string) bool  { return oneOf(folded, "默认", "default") }          //lang:word
func isAllLines(folded string) bool { return oneOf(folded, "全部", "show all") }         //lang:word
func isPickAll(folded string) bool  { return oneOf(folded, "全选", "all") }              //lang:word
func isClear(folded string) bool    { return oneOf(folded, "清空", "clear") }            //lang:word
func isDone(folded string) bool     { return oneOf(folded, "*", "完成", "done", "ok") }  //lang:word
func isDryRun(folded string) bool   { return oneOf(folded, "试运行", "dry run", "noop") } //lang:word
func isRemove(folded string) (rest string, ok bool) { // of a line of the favourites
	for _, word := range []string{"删", "del "} { //lang:word
		if rest, ok := strings.CutPrefix(strings.ToLower(folded), word); ok {
			return strings.TrimSpace(rest), true
		}
	}
	return "", false
}

func oneOf(folded string, words ...string) bool {
	for _, w := range words {
		if strings.EqualFold(folded, w) {
			return true
		}
	}
	return false
}

// Fold makes plain ASCII of the full-width forms that Chinese keyboards give, and removes white space around the text.
func Fold(s string) string {
	folded := strings.Map(func(r rune) rune {
		switch {
		case r >= '！' && r <= '～':
			return r - '！' + '!'
		case r == '　':
			return ' '
		}
		return r
	}, s)
	return strings.TrimSpace(folded)
}

// number reads a choice: plain decimal without sign or leading zeros, at most four digits.
func number(folded string) (n int, ok bool) {
	if folded == "" || len(folded) > 4 || len(folded) > 1 && folded[0] == '0' {
		return 0, false
	}
	for i := 0; i < len(folded); i++ {
		if folded[i] < '0' || folded[i] > '9' {
			return 0, false
		}
		n = n*10 + int(folded[i]-'0')
	}
	return n, true
}

func digits(folded string) bool {
	return folded != "" && strings.Trim(folded, "0123456789") == ""
}

// maxWay is how many numbers may be typed in one go.
const maxWay = 16

// numbers reads several choices in one go, such as 1-2-1: two at least.
func numbers(folded string) (list []int, ok bool) {
	if len(folded) > 5*maxWay {
		return nil, false
	}
	sep := " "
	for _, mark := range []string{"-", ".", ",", "、"} {
		if strings.Contains(folded, mark) {
			sep = mark
		}
	}
	parts := strings.Split(folded, sep)
	if sep == " " {
		parts = strings.Fields(folded)
	}
	if len(parts) < 2 {
		return nil, false
	}
	for _, part := range parts {
		n, ok := number(strings.TrimSpace(part))
		if !ok {
			return nil, false
		}
		list = append(list, n)
	}
	return list, len(list) <= maxWay
}

// queryOf reads a search: what stands behind the slash, or the mark that is on its place on Chinese keyboards.
func queryOf(folded string) (query string, ok bool) {
	for _, mark := range []string{"/", "、"} {
		if rest, ok := strings.CutPrefix(folded, mark); ok {
			return clean(rest, 40), true
		}
	}
	return "", false
}

// unescaped is the text behind an = that says: this is the value itself, not a key.
func unescaped(s string) (string, bool) {
	for _, mark := range []string{"=", "＝"} {
		if rest, ok := strings.CutPrefix(s, mark); ok {
			return rest, true
		}
	}
	return s, false
}

// quote is the beginning of what somebody typed, on one line and short enough for a note.
func quote(t lang.Tag, s string) string {
	s = clean(s, 12)
	if s == "" {
		return texts.Say(t, "quote.empty")
	}
	return texts.Say(t, "quote.text", s)
}

// clean makes one line of at most most characters: controls and marks that change the direction of text become spaces.
func clean(s string, most int) string {
	var b strings.Builder
	n := 0
	for _, r := range s {
		if n == most {
			b.WriteRune('…')
			break
		}
		if unseen(r) {
			r = ' '
		}
		b.WriteRune(r)
		n++
	}
	return strings.TrimSpace(b.String())
}

// unseen are characters that a reader could not see, or that change how others are read.
func unseen(r rune) bool {
	if r < unicode.MaxASCII {
		return r < ' '
	}
	return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == '\u2028' || r == '\u2029' || r == unicode.ReplacementChar
}
