package menu

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/mozillazg/go-pinyin"
)

// maxReadings is how many readings of one character count. The table lists the common ones first; no character in use
// has more than this many that anybody would type.
const maxReadings = 8

// glyph is one character of a name, and how it may be typed.
type glyph struct {
	forms []string // the character itself, then its readings without tones, such as chong and zhong; ü is v
	// start says that initials take this character: a Chinese one, or the first letter or digit of a word.
	start bool
	// loose says that it may be left out: a mark between words.
	loose bool
}

// script makes glyphs of characters and keeps them, because the same few hundred come again and again. It is not safe
// for concurrent use.
type script struct{ known map[spelled]*glyph }

// spelled is a character and whether a word begins with it.
type spelled struct {
	r     rune
	start bool
}

func newScript() *script { return &script{known: map[spelled]*glyph{}} }

// read cuts a text into its folded form without spaces and the glyphs of it.
func (s *script) read(text string) (folded string, glyphs []*glyph) {
	var b strings.Builder
	glyphs = make([]*glyph, 0, utf8.RuneCountInString(text))
	inside := false
	for _, r := range text {
		r = foldRune(r)
		if unicode.IsSpace(r) {
			inside = false
			continue
		}
		b.WriteRune(r)
		word := unicode.IsLetter(r) || unicode.IsDigit(r)
		key := spelled{r, word && !inside}
		g := s.known[key]
		if g == nil {
			g = newGlyph(r, word, key.start)
			s.known[key] = g
		}
		glyphs = append(glyphs, g)
		inside = word && len(g.forms) == 1
	}
	return b.String(), glyphs
}

func newGlyph(r rune, word, start bool) *glyph {
	g := &glyph{forms: []string{string(r)}, start: start, loose: !word}
	table, ok := pinyin.PinyinDict[int(r)]
	if !ok {
		return g
	}
	g.start, g.loose = true, false
	for reading := range strings.SplitSeq(table, ",") {
		if plain := toneless(reading); plain != "" && !slices.Contains(g.forms, plain) && len(g.forms) <= maxReadings {
			g.forms = append(g.forms, plain)
		}
	}
	return g
}

// tones are the letters of pinyin with their marks, and without.
var tones = map[rune]rune{
	'ā': 'a', 'á': 'a', 'ǎ': 'a', 'à': 'a', 'ē': 'e', 'é': 'e', 'ě': 'e', 'è': 'e', 'ê': 'e', 'ế': 'e', 'ề': 'e',
	'ī': 'i', 'í': 'i', 'ǐ': 'i', 'ì': 'i', 'ō': 'o', 'ó': 'o', 'ǒ': 'o', 'ò': 'o', 'ū': 'u', 'ú': 'u', 'ǔ': 'u', 'ù': 'u',
	'ü': 'v', 'ǖ': 'v', 'ǘ': 'v', 'ǚ': 'v', 'ǜ': 'v', 'ḿ': 'm', 'ń': 'n', 'ň': 'n', 'ǹ': 'n',
}

// toneless is a syllable in plain letters; marks that stand alone are left out.
func toneless(syllable string) string {
	return strings.Map(func(r rune) rune {
		if p, ok := tones[r]; ok {
			return p
		}
		if r < 'a' || r > 'z' {
			return -1
		}
		return r
	}, syllable)
}

// foldRune is a character in lower case and normal width.
func foldRune(r rune) rune {
	if r >= '！' && r <= '～' {
		r -= '！' - '!'
	}
	return unicode.ToLower(r)
}
