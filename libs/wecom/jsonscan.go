package wecom

import (
	"bytes"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// jsonScanner pulls values out of a JSON document. It takes exactly what RFC 8259 allows, in UTF-8, without
// unpaired surrogates, and within the same bounds as xmlScanner.
type jsonScanner struct {
	b      []byte
	pos    int
	values int
}

// peek is the next byte that is not white space, or 0 at the end.
func (j *jsonScanner) peek() byte {
	for j.pos < len(j.b) && isSpace(j.b[j.pos]) {
		j.pos++
	}
	if j.pos == len(j.b) {
		return 0
	}
	return j.b[j.pos]
}

// take consumes c, which must come next.
func (j *jsonScanner) take(c byte, what string) error {
	if got := j.peek(); got == c {
		j.pos++
		return nil
	}
	if j.pos == len(j.b) {
		return truncated()
	}
	return malformed(what)
}

func (j *jsonScanner) object() error { return j.take('{', "an object is due") }

// more stands before the next member or element of what close ends, or consumes close and reports false.
func (j *jsonScanner) more(first bool, closing byte) (bool, error) {
	if j.values++; j.values > maxElements {
		return false, refuse(CodeParse, ReasonOversized, "too many values")
	}
	if j.peek() == closing {
		j.pos++
		return false, nil
	}
	if !first {
		if err := j.take(',', "a comma is due"); err != nil {
			return false, err
		}
	}
	return true, nil
}

// key reads the next key of an object and its colon. ok is false at the object's end, which it consumes.
func (j *jsonScanner) key(first bool) (key []byte, ok bool, err error) {
	if ok, err = j.more(first, '}'); !ok {
		return nil, false, err
	}
	v, err := j.str()
	if err != nil {
		return nil, false, err
	}
	return v.in(j.b), true, j.take(':', "a colon is due")
}

// scalar reads a string, a number as it is written, or null as the empty string.
func (j *jsonScanner) scalar() (value, error) {
	switch c := j.peek(); {
	case c == '"':
		return j.str()
	case c == '-' || c-'0' <= 9:
		return j.number()
	case c == 'n':
		return value{}, j.literal("null")
	case c == 0 && j.pos == len(j.b):
		return value{}, truncated()
	}
	return value{}, malformed("a string or a number is due")
}

func (j *jsonScanner) literal(word string) error {
	rest := j.b[j.pos:]
	if !hasPrefix(rest, word) {
		if isPrefixOf(rest, word) {
			return truncated()
		}
		return malformed("not a JSON value")
	}
	j.pos += len(word)
	return nil
}

func (j *jsonScanner) number() (value, error) {
	from := j.pos
	digits := func() bool {
		start := j.pos
		for j.pos < len(j.b) && j.b[j.pos]-'0' <= 9 {
			j.pos++
		}
		return j.pos > start
	}
	at := func(set string) bool {
		if j.pos < len(j.b) && strings.IndexByte(set, j.b[j.pos]) >= 0 {
			j.pos++
			return true
		}
		return false
	}
	at("-")
	ok := at("0") || digits()
	if ok && at(".") {
		ok = digits()
	}
	if ok && at("eE") {
		at("+-")
		ok = digits()
	}
	switch {
	case j.pos-from > maxName:
		return value{}, refuse(CodeParse, ReasonOversized, "a number is too long")
	case ok:
		return value{from: from, to: j.pos}, nil
	case j.pos == len(j.b):
		return value{}, truncated()
	}
	return value{}, malformed("not a JSON number")
}

// str reads a string.
func (j *jsonScanner) str() (value, error) {
	if err := j.take('"', "a string is due"); err != nil {
		return value{}, err
	}
	from, quote := j.pos, -1
	var out []byte // set from the first escape on
	for {
		if quote < j.pos { // the one before was escaped; looking for it only then keeps the work linear
			n := bytes.IndexByte(j.b[j.pos:], '"')
			if n < 0 {
				return value{}, truncated()
			}
			quote = j.pos + n
		}
		piece := j.b[j.pos:quote]
		slash := bytes.IndexByte(piece, '\\')
		if slash >= 0 {
			piece = piece[:slash]
		}
		if err := checkJSONText(piece); err != nil {
			return value{}, err
		}
		j.pos += len(piece)
		if slash < 0 {
			j.pos++
			if out == nil {
				return value{from: from, to: quote}, nil
			}
			return value{own: append(out, piece...)}, nil
		}
		if out == nil {
			out = make([]byte, 0, quote-from)
		}
		r, err := j.escape()
		if err != nil {
			return value{}, err
		}
		out = utf8.AppendRune(append(out, piece...), r)
	}
}

// checkJSONText refuses what a JSON string cannot hold as it is.
func checkJSONText(piece []byte) error {
	if isPlain(piece) {
		return nil
	}
	for _, c := range piece {
		if c < ' ' {
			return malformed("a control character inside a string")
		}
	}
	if !utf8.Valid(piece) {
		return malformed("a string that is not UTF-8")
	}
	return nil
}

// escape reads one escape, or a surrogate pair of them. The scanner stands on the backslash.
func (j *jsonScanner) escape() (rune, error) {
	if len(j.b)-j.pos < 2 {
		return 0, truncated()
	}
	c := j.b[j.pos+1]
	j.pos += 2
	if at := strings.IndexByte(`"\/bfnrt`, c); at >= 0 {
		return rune("\"\\/\b\f\n\r\t"[at]), nil
	}
	if c != 'u' {
		return 0, malformed("an escape that JSON does not know")
	}
	r, err := j.hex4()
	if err != nil || !utf16.IsSurrogate(r) {
		return r, err
	}
	if !hasPrefix(j.b[j.pos:], `\u`) {
		return 0, malformed("half a surrogate pair")
	}
	j.pos += 2
	low, err := j.hex4()
	if err != nil {
		return 0, err
	}
	if r = utf16.DecodeRune(r, low); r == utf8.RuneError {
		return 0, malformed("half a surrogate pair")
	}
	return r, nil
}

func (j *jsonScanner) hex4() (rune, error) {
	if len(j.b)-j.pos < 4 {
		return 0, truncated()
	}
	r := rune(0)
	for range 4 {
		d := unhex(j.b[j.pos])
		if d > 15 {
			return 0, malformed("not four hexadecimal digits")
		}
		r = r<<4 | rune(d)
		j.pos++
	}
	return r, nil
}

// skip reads over any value.
func (j *jsonScanner) skip() error {
	var open [maxDepth]byte // the closing byte of each level
	depth, first := 0, false
	for {
		if depth > 0 {
			ok, err := j.more(first, open[depth-1])
			if err != nil {
				return err
			}
			if !ok {
				if depth--; depth == 0 {
					return nil
				}
				first = false
				continue
			}
			if open[depth-1] == '}' {
				if _, err := j.str(); err != nil {
					return err
				}
				if err := j.take(':', "a colon is due"); err != nil {
					return err
				}
			}
		}
		if c := j.peek(); c == '{' || c == '[' {
			if depth == maxDepth {
				return refuse(CodeParse, ReasonOversized, "values are nested too deep")
			}
			open[depth] = c + 2 // '{' and '}', '[' and ']' are two apart
			depth++
			j.pos++
			first = true
			continue
		}
		if err := j.word(); err != nil || depth == 0 {
			return err
		}
		first = false
	}
}

// word reads over a value without parts.
func (j *jsonScanner) word() error {
	switch j.peek() {
	case 't':
		return j.literal("true")
	case 'f':
		return j.literal("false")
	}
	_, err := j.scalar()
	return err
}

// finish makes sure that nothing but white space follows.
func (j *jsonScanner) finish() error {
	if j.peek(); j.pos < len(j.b) {
		return refuse(CodeParse, ReasonTrailing, "something follows the object")
	}
	return nil
}
