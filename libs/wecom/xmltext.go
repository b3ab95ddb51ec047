package wecom

import (
	"bytes"
	"encoding/binary"
	"strings"
	"unicode/utf8"
)

// value is the content of a leaf: a part of the document, or bytes of its own where the two differ.
type value struct {
	from, to int
	own      []byte // takes precedence unless nil
}

// in is the value as bytes of the document b.
func (v value) in(b []byte) []byte {
	if v.own != nil {
		return v.own
	}
	return b[v.from:v.to]
}

// of is the value as a string, given the document as one, so that values need no strings of their own.
func (v value) of(s string) string {
	if v.own != nil {
		return string(v.own)
	}
	return s[v.from:v.to]
}

func hasPrefix(b []byte, prefix string) bool {
	return len(b) >= len(prefix) && string(b[:len(prefix)]) == prefix
}

func isPrefixOf(b []byte, s string) bool {
	return len(b) <= len(s) && string(b) == s[:len(b)]
}

// text reads the character data of the leaf name, and its end tag. A nested element is refused.
func (x *xmlScanner) text(name []byte) (value, error) {
	if v, size := cdata(x.b[x.pos:], name, false); size > 0 {
		from := x.pos + len(cdataOpen)
		x.pos += size
		return value{from: from, to: from + len(v)}, nil
	}
	var joined []byte
	for pieces := 0; ; pieces++ {
		v, err := x.piece()
		if err != nil {
			return value{}, err
		}
		rest := x.b[x.pos:]
		if hasPrefix(rest, "</") {
			if pieces > 0 {
				v.own = append(joined, v.in(x.b)...)
			}
			return v, x.end(name)
		}
		if isPrefixOf(rest, cdataOpen) {
			return value{}, truncated()
		}
		if rest[0] == '<' && !hasPrefix(rest, cdataOpen) {
			return value{}, malformed("an element, comment or directive inside a value")
		}
		joined = append(joined, v.in(x.b)...)
	}
}

// cdata is the short way through text for what WeCom nearly always sends: one CDATA section of plain ASCII. b begins with
// it; size is how much of b it and the end tag of name take, or 0 if it is something else.
func cdata(b, name []byte, raw bool) (v []byte, size int) {
	if len(b) < len(cdataOpen) || string(b[:len(cdataOpen)]) != cdataOpen {
		return nil, 0
	}
	b = b[len(cdataOpen):]
	n := bytes.IndexByte(b, ']')
	if n < 0 {
		return nil, 0
	}
	after := b[n:]
	size = len(cdataClose) + len("</>") + len(name)
	if len(after) < size || string(after[:len(cdataTag)]) != cdataTag || after[size-1] != '>' ||
		string(after[len(cdataTag):size-1]) != string(name) || !raw && !isPlain(b[:n]) {
		return nil, 0
	}
	return b[:n], len(cdataOpen) + n + size
}

// piece reads one CDATA section, or plain text up to the next '<'.
func (x *xmlScanner) piece() (value, error) {
	v := value{from: x.pos}
	if hasPrefix(x.b[x.pos:], cdataOpen) {
		v.from += len(cdataOpen)
		size := bytes.Index(x.b[v.from:], []byte(cdataClose))
		if size < 0 {
			return v, truncated()
		}
		v.to = v.from + size
		x.pos = v.to + len(cdataClose)
		return v, x.clean(&v)
	}
	size := bytes.IndexByte(x.b[x.pos:], '<')
	if size < 0 {
		return v, truncated()
	}
	v.to = v.from + size
	x.pos = v.to
	if bytes.Contains(x.b[v.from:v.to], []byte(cdataClose)) {
		return v, malformed("the end of a CDATA section without its start")
	}
	if err := x.clean(&v); err != nil || bytes.IndexByte(v.in(x.b), '&') < 0 {
		return v, err
	}
	return v, v.unescape(x.b)
}

// clean refuses what is no XML character and turns line ends into "\n", as XML asks.
func (x *xmlScanner) clean(v *value) error {
	b := v.in(x.b)
	if isPlain(b) {
		return nil
	}
	for at := 0; at < len(b); {
		r, size := utf8.DecodeRune(b[at:])
		if r == utf8.RuneError && size == 1 || !isXMLRune(r) {
			return malformed("a byte that is no XML character")
		}
		at += size
	}
	if bytes.IndexByte(b, '\r') >= 0 {
		v.own = bytes.ReplaceAll(bytes.ReplaceAll(b, []byte("\r\n"), []byte("\n")), []byte("\r"), []byte("\n"))
	}
	return nil
}

// isPlain reports whether b is ASCII without control characters, in large steps.
func isPlain(b []byte) bool {
	const high, space = 0x8080808080808080, 0x2020202020202020
	for ; len(b) >= 32; b = b[32:] {
		w0, w1 := binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:])
		w2, w3 := binary.LittleEndian.Uint64(b[16:]), binary.LittleEndian.Uint64(b[24:])
		if (w0|(w0-space)|w1|(w1-space)|w2|(w2-space)|w3|(w3-space))&high != 0 {
			return false
		}
	}
	for ; len(b) >= 8; b = b[8:] {
		w := binary.LittleEndian.Uint64(b)
		if (w|(w-space))&high != 0 {
			return false
		}
	}
	for _, c := range b {
		if c < ' ' || c >= 0x80 {
			return false
		}
	}
	return true
}

// isXMLRune is Char of the XML 1.0 grammar.
func isXMLRune(r rune) bool {
	return r == '\t' || r == '\n' || r == '\r' || r >= 0x20 && r <= 0xD7FF ||
		r >= 0xE000 && r <= 0xFFFD || r >= 0x10000 && r <= utf8.MaxRune
}

// unescape replaces the predefined and the numeric entities.
func (v *value) unescape(b []byte) error {
	b = v.in(b)
	out := make([]byte, 0, len(b))
	for {
		before, rest, found := bytes.Cut(b, []byte("&"))
		out = append(out, before...)
		if !found {
			v.own = out
			return nil
		}
		end := bytes.IndexByte(rest, ';')
		if end < 0 || end > 10 {
			return malformed("an entity without an end")
		}
		r, ok := entity(string(rest[:end]))
		if !ok {
			return malformed("an entity that is neither predefined nor a character")
		}
		out = utf8.AppendRune(out, r)
		b = rest[end+1:]
	}
}

func entity(name string) (rune, bool) {
	switch name {
	case "lt":
		return '<', true
	case "gt":
		return '>', true
	case "amp":
		return '&', true
	case "quot":
		return '"', true
	case "apos":
		return '\'', true
	}
	digits, base := strings.TrimPrefix(name, "#"), rune(10)
	if len(digits) == len(name) {
		return 0, false
	}
	if digits != "" && digits[0] == 'x' {
		digits, base = digits[1:], 16
	}
	r := rune(0)
	for i := range len(digits) {
		d := rune(unhex(digits[i]))
		if d >= base {
			return 0, false
		}
		if r = r*base + d; r > utf8.MaxRune {
			return 0, false
		}
	}
	return r, digits != "" && isXMLRune(r)
}
