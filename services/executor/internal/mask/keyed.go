package mask

import (
	"slices"
	"strings"
)

// Words that say that a secret follows, as the end of a key in lower case without - _ . and closing digits.
var (
	secretEnds = []string{
		"password", "passwords", "passwd", "pwd", "passphrase", "secret", "token", "apikey", "accesskey", "secretkey", "privatekey",
		"accesskeysecret", "encryptionkey", "signingkey", "masterkey", "aeskey", "credential", "credentials", "connectionstring",
	}
	// A whole line, or all up to the quote that the line stands in, belongs to these.
	headerKeys   = []string{"authorization", "proxyauthorization", "cookie", "setcookie"}
	secretHanzi  = []string{"密码", "口令", "密钥", "秘钥", "令牌"}
	hanziIs      = []string{"是", "为"}
	plainAnswers = []string{"true", "false", "null", "nil", "none", "yes", "no", "<none>", "<nil>", Stars}
)

// maxKey is how far back from a separator a key may begin, in bytes.
const maxKey = 64

// worth says how much of what follows a key is a secret.
type worth int

const (
	open   worth = iota
	closed       // one value
	header       // all of the line
)

// keyed finds the values of keys that say password and the like.
func keyed(s string, add func(from, to int)) {
	done := 0 // up to here the text is masked by this rule already
	mark := func(from, to int) {
		if from < to && !slices.Contains(plainAnswers, strings.ToLower(s[from:to])) {
			add(from, to)
		}
		done = max(done, to)
	}
	for i := 0; i < len(s); i++ {
		width := separator(s, i)
		if width == 0 {
			continue
		}
		from := i + width
		key, at := keyBefore(s, i)
		w := worthOf(key, s[i], at > 0 && (s[at-1] == '?' || s[at-1] == '&'))
		if w == open || from < done {
			continue
		}
		for from < len(s) && (s[from] == '=' || s[from] == ':' || s[from] == '>') { // => and :=
			from++
		}
		if w == header {
			mark(rest(s, from, at))
			continue
		}
		first, to := valueAt(s, from)
		if v := s[first:to]; v != "" && strings.Trim(v, "|>-+") == "" && (to == len(s) || s[to] == '\n') {
			first, to = block(s, at, to) // YAML: the value stands on the lines below
		}
		mark(first, to)
	}
	done = 0
	said(s, func(from int) {
		if from >= done {
			mark(sentence(s, from))
		}
	})
	flags(s, mark)
	identified(s, mark)
}

// separator is the length of what separates a key from its value at a place; 0 for none.
func separator(s string, i int) int {
	switch s[i] {
	case ':', '=':
		return 1
	case 0xEF:
		if strings.HasPrefix(s[i:], "：") || strings.HasPrefix(s[i:], "＝") {
			return 3
		}
	}
	return 0
}

// keyBefore is the word before a separator, which may stand in quotes, and where it begins.
func keyBefore(s string, i int) (key string, at int) {
	low := max(0, i-maxKey)
	for i > low && (s[i-1] == ' ' || s[i-1] == '\t') {
		i--
	}
	for i > low && (s[i-1] == '"' || s[i-1] == '\'' || s[i-1] == '\\' || s[i-1] == '`') {
		i--
	}
	at = i
	for at > low && keyByte(s[at-1]) {
		at--
	}
	return s[at:i], at
}

func keyByte(c byte) bool { return wordByte(c) || c >= 0x80 }

func wordByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-' || c == '.'
}

// worthOf judges a key. Query says that it stands in the query of a URL.
func worthOf(key string, separator byte, query bool) worth {
	if len(key) < 3 {
		return open
	}
	for _, h := range secretHanzi {
		if strings.HasSuffix(key, h) {
			return closed
		}
	}
	word := plain(key)
	switch {
	case slices.Contains(headerKeys, word):
		return header
	case query && (word == "key" || word == "sig" || word == "signature"):
		return closed
	case word == "pass" && separator == '=', strings.HasSuffix(word, "pass") && word != "pass" && word != "bypass" && word != "compass":
		return closed
	}
	for _, end := range secretEnds {
		if strings.HasSuffix(word, end) {
			return closed
		}
	}
	return open
}

// plain is a key in lower case without what joins its words and without digits at its end.
func plain(key string) string {
	b := make([]byte, 0, maxKey)
	for i := range len(key) {
		switch c := key[i]; {
		case c == '-' || c == '_' || c == '.':
		case c >= 'A' && c <= 'Z':
			b = append(b, c+'a'-'A')
		default:
			b = append(b, c)
		}
	}
	return strings.TrimRight(string(b), "0123456789")
}

// valueAt finds the value that begins at a place or behind spaces there: what stands in quotes, or all up to a space.
func valueAt(s string, from int) (first, to int) {
	for from < len(s) && (s[from] == ' ' || s[from] == '\t') {
		from++
	}
	slashes := 0
	for from+slashes < len(s) && s[from+slashes] == '\\' {
		slashes++
	}
	if q := from + slashes; q < len(s) && (s[q] == '"' || s[q] == '\'' || s[q] == '`') {
		return q + 1, closing(s, q+1, s[q], slashes)
	}
	to = from
	for to < len(s) && s[to] > ' ' && s[to] != 0x7f {
		if c := s[to]; (c == ',' || c == ';' || c == '&') && anotherKey(s[to+1:]) {
			break
		}
		to++
	}
	return from, from + len(strings.TrimRight(s[from:to], `,;)}]"'\`+"`"))
}

// closing finds the quote that ends a value. Inside text that was itself put in quotes, the opening one has slashes before it, and
// a quote that belongs to the value has more of them.
func closing(s string, from int, quote byte, slashes int) int {
	run := 0
	for i := from; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\':
			run++
			continue
		case c == '\n':
			return i
		case c == quote && quote == '\'' && run == 0 && i > from && i+1 < len(s) && s[i+1] == quote: // SQL doubles it
			i++
		case c == quote && run%(2*(slashes+1)) == slashes:
			return i - slashes
		}
		run = 0
	}
	return len(s)
}

// anotherKey reports whether a text goes on with a key and a separator.
func anotherKey(s string) bool {
	i := 0
	for i < len(s) && i < maxKey && (s[i] == ' ' || s[i] == '"' || s[i] == '\'') {
		i++
	}
	word := i
	for i < len(s) && i < maxKey && wordByte(s[i]) {
		i++
	}
	if i == word {
		return false
	}
	for i < len(s) && i < maxKey && (s[i] == '"' || s[i] == '\'') {
		i++
	}
	return i < len(s) && (s[i] == '=' || s[i] == ':')
}

// rest is what belongs to a header: the value in quotes, or the rest of its line, up to the quote that the key stands in.
func rest(s string, from, key int) (first, to int) {
	for from < len(s) && (s[from] == ' ' || s[from] == '\t') {
		from++
	}
	ends := "\r\n"
	if from < len(s) && (s[from] == '"' || s[from] == '\'' || s[from] == '\\') {
		return valueAt(s, from)
	}
	if key > 0 && (s[key-1] == '"' || s[key-1] == '\'') {
		ends += string(s[key-1])
	}
	if n := strings.IndexAny(s[from:], ends); n >= 0 {
		return from, from + n
	}
	return from, len(s)
}

// block is the YAML block below the line of a key: all lines that are indented further.
func block(s string, key, end int) (first, to int) {
	line := strings.LastIndexByte(s[:key], '\n') + 1
	depth := key - line - len(strings.TrimLeft(s[line:key], " "))
	first, to = min(end+1, len(s)), min(end+1, len(s))
	for to < len(s) {
		next := strings.IndexByte(s[to:], '\n') + 1
		if next == 0 {
			next = len(s) - to
		}
		text := s[to : to+next]
		if blank := strings.TrimLeft(text, " "); strings.TrimSpace(text) != "" && len(text)-len(blank) <= depth {
			break
		}
		to += next
	}
	return first, first + len(strings.TrimRight(s[first:to], "\n"))
}

// said finds where a Chinese sentence tells a value: 密码是…, 密码为….
func said(s string, tell func(from int)) {
	for _, is := range hanziIs {
		for at := 0; ; {
			i := strings.Index(s[at:], is)
			if i < 0 {
				break
			}
			at += i
			if slices.ContainsFunc(secretHanzi, func(word string) bool { return strings.HasSuffix(s[:at], word) }) {
				tell(at + len(is))
			}
			at += len(is)
		}
	}
}

// sentence is the part of a Chinese sentence from a place to the next space or mark.
func sentence(s string, from int) (first, to int) {
	first, to = valueAt(s, from)
	if n := strings.IndexAny(s[first:to], "，。；、！）"); n >= 0 {
		to = first + n
	}
	return first, to
}

// flags finds the values of command-line flags that stand behind a space: --password hunter2.
func flags(s string, mark func(from, to int)) {
	for at := 0; ; {
		i := strings.Index(s[at:], "--")
		if i < 0 {
			return
		}
		at += i + 2
		end := at
		for end < len(s) && end-at < maxKey && wordByte(s[end]) {
			end++
		}
		if end < len(s) && s[end] == ' ' && worthOf(s[at:end], '=', false) == closed {
			mark(valueAt(s, end))
		}
		at = max(at, end)
	}
}

// identified finds passwords in SQL: IDENTIFIED BY 'hunter2', IDENTIFIED WITH … AS '…'.
func identified(s string, mark func(from, to int)) {
	for at := 0; ; {
		i := strings.IndexByte(s[at:], '\'')
		if i < 0 {
			return
		}
		at += i
		before := strings.TrimRight(s[max(0, at-maxKey):at], " ")
		word := before[strings.LastIndexByte(before, ' ')+1:]
		if (strings.EqualFold(word, "by") || strings.EqualFold(word, "as")) && strings.Contains(strings.ToLower(before), "identified") {
			from, to := valueAt(s, at)
			mark(from, to)
			at = max(at, to)
		}
		at++
	}
}
