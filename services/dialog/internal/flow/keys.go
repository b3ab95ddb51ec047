package flow

import (
	"strings"
	"unicode"
)

// key is a control word that a person can type on any screen.
type key int

const (
	keyNone key = iota
	keyBack
	keyHome
	keyExit
	keyNext
	keyPrev
	keyHelp
)

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

// keyOf reads a folded text. In menus that count from 0 the 0 is a line, and only 返回 goes back.
func keyOf(folded string, first int) key {
	switch folded {
	case "0":
		if first == 0 {
			return keyNone
		}
		return keyBack
	case "返回":
		return keyBack
	case "00", "首页", "菜单":
		return keyHome
	case "#", "退出":
		return keyExit
	case "+", "下一页":
		return keyNext
	case "-", "上一页":
		return keyPrev
	case "?", "帮助":
		return keyHelp
	}
	return keyNone
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

// quote is the beginning of what somebody typed, on one line and short enough for a note.
func quote(s string) string {
	s = clean(s, 12)
	if s == "" {
		return "（空）"
	}
	return "「" + s + "」"
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
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == '\u2028' || r == '\u2029' || r == unicode.ReplacementChar {
			r = ' '
		}
		b.WriteRune(r)
		n++
	}
	return strings.TrimSpace(b.String())
}
