// Package mask takes secrets out of texts before they leave the ops side: those it was told, by value, and what looks like
// one, by pattern. Each becomes ****; the word that names it stays, so that a person still sees what was there.
//
// By value means the value itself and what programs make of it: escaped for a URL, for JSON or a shell-like log, in base64 (alone
// and inside a longer base64 text), in hex, and line by line where it has several lines. Values below kind.MinSecret bytes are
// not looked for: they would take innocent words with them.
//
// By pattern means: key=value, key: value and --key value where the key says password, secret, token, API key and the like, in English
// or Chinese; Authorization and Cookie headers; the password of user:password@ in a URL or data source name; blocks of private
// keys; JWTs and the tokens of this project; access keys of the known clouds; and what the catalog adds under mask, whose
// whole match is taken.
//
// What no rule can know stays: a password in a column of a table, or in prose. That is why kinds tell theirs.
//
// All of it takes time in proportion to the text. Everything is found in the text as it came and replaced at once, so that
// one rule never hides from another. A masked text is valid UTF-8; masking it again changes nothing that matters.
package mask

import (
	"regexp"
	"slices"
	"strings"
)

// Stars stands for what was taken out.
const Stars = "****"

// Masker is safe for concurrent use; it never changes.
type Masker struct {
	values   []*value
	patterns []*regexp.Regexp
}

// New makes a masker of secret values and of patterns besides the built-in ones. Which values are too short to be looked for is said above.
func New(secrets []string, patterns []*regexp.Regexp) *Masker {
	m := &Masker{patterns: patterns}
	seen := map[string]bool{}
	for _, s := range secrets {
		for _, f := range forms(s) {
			if !seen[f] {
				seen[f] = true
				m.values = append(m.values, newValue(f))
			}
		}
	}
	return m
}

// Text masks a text. What is not UTF-8 in it becomes U+FFFD.
func (m *Masker) Text(s string) string {
	var found spans
	for _, v := range m.values {
		v.find(s, found.add)
	}
	for _, p := range m.patterns {
		for _, at := range p.FindAllStringIndex(s, -1) {
			found.add(at[0], at[1])
		}
	}
	keyed(s, found.add)
	words(s, found.add)
	logins(s, found.add)
	keyBlocks(s, found.add)
	return strings.ToValidUTF8(found.replace(s), "\uFFFD")
}

// Strings masks many short texts in place, at little cost when there is nothing to mask, as is the rule.
func (m *Masker) Strings(texts ...*string) {
	parts := make([]string, len(texts))
	for i, t := range texts {
		parts[i] = *t
	}
	whole := strings.Join(parts, "\n")
	if m.Text(whole) == whole {
		return
	}
	for _, t := range texts {
		*t = m.Text(*t)
	}
}

// span is a part of a text, in bytes.
type span struct{ from, to int }

type spans []span

func (ss *spans) add(from, to int) {
	if n := len(*ss); n > 0 && (*ss)[n-1].to >= from && (*ss)[n-1].from <= from { // what comes in order stays small
		(*ss)[n-1].to = max((*ss)[n-1].to, to)
		return
	}
	*ss = append(*ss, span{from, to})
}

// replace puts stars for each connected part. What is stars already stays as long as it is.
func (ss spans) replace(s string) string {
	if len(ss) == 0 {
		return s
	}
	slices.SortFunc(ss, func(a, b span) int { return a.from - b.from })
	var b strings.Builder
	done := 0
	for i := 0; i < len(ss); {
		at := ss[i]
		for i++; i < len(ss) && ss[i].from <= at.to; i++ {
			at.to = max(at.to, ss[i].to)
		}
		b.WriteString(s[done:at.from])
		b.WriteString(Stars)
		done = at.to
	}
	b.WriteString(s[done:])
	return b.String()
}
