package mask

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"strings"

	"palmops/services/executor/internal/kind"
)

// minLine is how long a line of a secret with several lines must be to be looked for by itself.
const minLine = 16

// forms are the texts in which a secret may show up.
func forms(secret string) []string {
	var out []string
	add := func(s string) {
		if len(s) >= kind.MinSecret && strings.Trim(s, "*") != "" {
			out = append(out, s)
		}
	}
	base := []string{secret}
	if t := strings.TrimSpace(secret); t != secret { // as read from a file, with its line feed
		base = append(base, t)
	}
	for _, s := range base {
		if len(s) < kind.MinSecret {
			continue
		}
		add(s)
		add(strings.ToValidUTF8(s, "\uFFFD"))
		add(url.QueryEscape(s))
		add(url.PathEscape(s))
		add(strings.ToLower(url.QueryEscape(s)))
		for _, html := range []bool{false, true} {
			add(quoted(s, html))
		}
		add(strings.ReplaceAll(s, "'", `''`))
		add(strings.ReplaceAll(s, "'", `'\''`))
		add(hex.EncodeToString([]byte(s)))
		for _, enc := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			for offset := range 3 {
				add(inside(enc, s, offset))
			}
		}
	}
	if strings.Contains(strings.TrimSpace(secret), "\n") {
		for line := range strings.Lines(secret) {
			if line = strings.TrimSpace(line); len(line) >= minLine && !strings.HasPrefix(line, "-----") {
				add(line)
			}
		}
	}
	return out
}

// quoted is a text inside JSON, without the quotes.
func quoted(s string, html bool) string {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(html)
	if enc.Encode(s) != nil { // a text always has a form in JSON
		return ""
	}
	return strings.TrimSuffix(strings.TrimPrefix(strings.TrimSuffix(b.String(), "\n"), `"`), `"`)
}

// inside is the part of a base64 text that is the same whatever stands before the secret, when as many bytes as offset stand there
// modulo 3, and behind it.
func inside(enc *base64.Encoding, s string, offset int) string {
	text := enc.EncodeToString([]byte(strings.Repeat("x", offset) + s))
	first := []int{0, 2, 3}[offset] // characters that hold a bit of what stands before
	last := len(text)
	if (offset+len(s))%3 != 0 {
		last-- // and the one that holds a bit of what follows
	}
	if last <= first {
		return ""
	}
	return text[first:last]
}

// value is one text to look for.
type value struct {
	text string
	next []int32 // of Knuth, Morris and Pratt: how much of the text still matches after a mismatch
}

func newValue(text string) *value {
	v := &value{text: text, next: make([]int32, len(text)+1)}
	for i, k := 1, int32(0); i < len(text); i++ {
		for k > 0 && text[i] != text[k] {
			k = v.next[k]
		}
		if text[i] == text[k] {
			k++
		}
		v.next[i+1] = k
	}
	return v
}

// find tells every place of the value, overlapping ones too, in time linear in the text however often the value repeats itself.
func (v *value) find(s string, add func(from, to int)) {
	for at := 0; ; {
		i := strings.Index(s[at:], v.text)
		if i < 0 {
			return
		}
		at += i
		for k := int32(0); at < len(s); {
			for k > 0 && (int(k) == len(v.text) || s[at] != v.text[k]) {
				k = v.next[k]
			}
			if s[at] == v.text[k] {
				k++
			}
			at++
			if int(k) == len(v.text) {
				add(at-len(v.text), at)
			}
			if k == 0 {
				break // nothing is half found: the fast search may go on
			}
		}
	}
}
