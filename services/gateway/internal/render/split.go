package render

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Parts cuts a text into messages of at most limit bytes each. One that fits stays as it is; of several, each starts
// with a line such as (2/3), and the rest of the parts joined is the text. Cuts fall after a line break where one is
// near enough, else between characters as they are read. An empty text has no parts. A limit below 64 counts as 64;
// what is not UTF-8 becomes U+FFFD.
func Parts(text string, limit int) []string {
	limit = max(limit, 64)
	text = strings.ToValidUTF8(text, string(utf8.RuneError))
	switch {
	case text == "":
		return nil
	case len(text) <= limit:
		return []string{text}
	}
	for digits := 1; ; digits++ {
		head := len("(/)\n") + 2*digits
		parts := cut(text, limit-head)
		if len(strconv.Itoa(len(parts))) > digits {
			continue
		}
		of := "/" + strconv.Itoa(len(parts)) + ")\n"
		for i := range parts {
			parts[i] = "(" + strconv.Itoa(i+1) + of + parts[i]
		}
		return parts
	}
}

func cut(text string, limit int) []string {
	parts := make([]string, 0, len(text)/limit+1)
	for len(text) > limit {
		n := boundary(text, limit)
		parts = append(parts, text[:n])
		text = text[n:]
	}
	return append(parts, text)
}

// boundary finds where to cut a text that is longer than limit: after the last line break in the second half of what
// fits, else before a character that does not belong to the one before it.
func boundary(text string, limit int) int {
	if n := strings.LastIndexByte(text[:limit], '\n') + 1; n > limit/2 {
		return n
	}
	n := start(text, limit)
	for at := n; at > limit/2; at = start(text, at-1) {
		if !joined(text, at) {
			return at
		}
	}
	return n // one endless cluster: a whole character is the best there is
}

// start is the first byte of the character that the byte at position n belongs to.
func start(text string, n int) int {
	for n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	return n
}

// joined reports whether the characters on both sides of a position are read as one: a combining mark, a variation
// selector, a skin tone, or two parts of an emoji joined by U+200D.
func joined(text string, at int) bool {
	next, _ := utf8.DecodeRuneInString(text[at:])
	before, _ := utf8.DecodeLastRuneInString(text[:at])
	const joiner = '\u200d'
	return next == joiner || before == joiner || unicode.In(next, unicode.Mn, unicode.Me) || next >= 0x1F3FB && next <= 0x1F3FF
}
