package token

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"palmops/libs/fault"
)

// style is one of the two ways in which Python's classes write JSON.
type style int

const (
	plainJSON   style = iota // json.dumps as it comes: ", " and ": ", everything beyond ASCII escaped
	compactJSON              // itsdangerous' _CompactJSON: no spaces, only what JSON demands escaped
)

// encodeJSON writes v with the same bytes as Python would, given the same order of keys: Go sorts the keys of a map,
// Python keeps the order of insertion, a struct or json.RawMessage gives any order.
//
// Numbers keep the digits they have in v (json.Number, json.RawMessage), except that a float Go would spell in its own
// way gets Python's spelling (1e-05, not 0.00001); a whole float64 is written as an integer, as always in Go. Text that is no
// UTF-8 becomes U+FFFD in strings, as always in encoding/json. Errors are fault.Invalid.
func encodeJSON(v any, s style) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "token: the value cannot be written as JSON")
	}
	text := bytes.TrimSuffix(b.Bytes(), []byte("\n"))
	if !utf8.Valid(text) { // encoding/json copies a RawMessage as it is
		return nil, fault.New(fault.Invalid, "token: the value contains JSON that is not UTF-8")
	}
	return respell(text, s)
}

// respell turns compact JSON as encoding/json writes it into JSON as Python writes it.
func respell(text []byte, s style) ([]byte, error) {
	out := make([]byte, 0, len(text)+len(text)/8)
	for i := 0; i < len(text); {
		switch c := text[i]; {
		case c == '"':
			var err error
			if out, i, err = respellString(out, text, i, s); err != nil {
				return nil, err
			}
		case c == '-' || c >= '0' && c <= '9':
			end := i + 1
			for end < len(text) && strings.IndexByte("0123456789+-.eE", text[end]) >= 0 {
				end++
			}
			out = append(out, respellNumber(string(text[i:end]))...)
			i = end
		case (c == ',' || c == ':') && s == plainJSON:
			out = append(out, c, ' ')
			i++
		default:
			out = append(out, c)
			i++
		}
	}
	return out, nil
}

// respellString copies the string literal that begins at text[i] and returns the index after it.
func respellString(out, text []byte, i int, s style) ([]byte, int, error) {
	out = append(out, '"')
	for i++; text[i] != '"'; {
		r, size := utf8.DecodeRune(text[i:])
		if r == '\\' {
			if r, size = unescape(text[i:]); r < 0 {
				return nil, 0, fault.New(fault.Invalid, "token: the value contains half a surrogate pair, which is not UTF-8")
			}
		}
		out = appendRune(out, r, s)
		i += size
	}
	return append(out, '"'), i + 1, nil
}

// unescape reads the escape, valid as JSON, that text begins with, and how long it is; -1 for half a surrogate pair.
func unescape(text []byte) (rune, int) {
	switch text[1] {
	case 'b':
		return '\b', 2
	case 'f':
		return '\f', 2
	case 'n':
		return '\n', 2
	case 'r':
		return '\r', 2
	case 't':
		return '\t', 2
	case 'u':
		r := hex4(text[2:])
		if !utf16.IsSurrogate(r) {
			return r, 6
		}
		if len(text) >= 12 && text[6] == '\\' && text[7] == 'u' {
			if pair := utf16.DecodeRune(r, hex4(text[8:])); pair != utf8.RuneError {
				return pair, 12
			}
		}
		return -1, 6
	default: // ", \ and /
		return rune(text[1]), 2
	}
}

// hex4 reads four hexadecimal digits.
func hex4(text []byte) rune {
	n, _ := strconv.ParseUint(string(text[:4]), 16, 16)
	return rune(n)
}

// appendRune writes one character of a string literal as Python's json does.
func appendRune(out []byte, r rune, s style) []byte {
	switch r {
	case '"', '\\':
		return append(out, '\\', byte(r))
	case '\b':
		return append(out, '\\', 'b')
	case '\f':
		return append(out, '\\', 'f')
	case '\n':
		return append(out, '\\', 'n')
	case '\r':
		return append(out, '\\', 'r')
	case '\t':
		return append(out, '\\', 't')
	}
	switch {
	case r < ' ':
		return appendEscape(out, r)
	case s == compactJSON || r <= '~':
		return utf8.AppendRune(out, r)
	case r > 0xFFFF:
		high, low := utf16.EncodeRune(r)
		return appendEscape(appendEscape(out, high), low)
	default:
		return appendEscape(out, r)
	}
}

func appendEscape(out []byte, r rune) []byte {
	const digits = "0123456789abcdef"
	return append(out, '\\', 'u', digits[r>>12&15], digits[r>>8&15], digits[r>>4&15], digits[r&15])
}

// respellNumber gives a float that is spelt as Go spells it Python's spelling; any other number stays what it is.
func respellNumber(text string) string {
	if !strings.ContainsAny(text, ".e") {
		return text
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || goFloat(f) != text {
		return text
	}
	return pythonFloat(f)
}

// goFloat is the spelling of encoding/json.
func goFloat(f float64) string {
	if abs := math.Abs(f); abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		text := strconv.FormatFloat(f, 'e', -1, 64)
		if n := len(text); n >= 4 && text[n-4:n-1] == "e-0" { // e-09 is e-9
			text = text[:n-2] + text[n-1:]
		}
		return text
	}
	return strconv.FormatFloat(f, 'f', -1, 64)
}

// pythonFloat is the spelling of repr.
func pythonFloat(f float64) string {
	text := strconv.FormatFloat(f, 'e', -1, 64)
	exponent, _ := strconv.Atoi(text[strings.IndexByte(text, 'e')+1:])
	if exponent < -4 || exponent >= 16 {
		return text
	}
	text = strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(text, ".") {
		text += ".0"
	}
	return text
}

// decodeJSON reads one JSON value into v, refusing what Go would change in silence. Errors are ErrBadPayload, or
// fault.Internal when v is nothing that can be decoded into.
func decodeJSON(text []byte, v any) error {
	if !utf8.Valid(text) {
		return &Error{class: badPayload, reason: "the payload is not UTF-8"}
	}
	if halfSurrogate(text) {
		return &Error{class: badPayload, reason: "the payload contains half a surrogate pair"}
	}
	err := json.Unmarshal(text, v)
	if err == nil {
		return nil
	}
	var nowhere *json.InvalidUnmarshalError
	if errors.As(err, &nowhere) {
		return fault.New(fault.Internal, "token: the payload cannot be read into a %T", v)
	}
	reason := "the payload is not the JSON that was expected"
	var misfit *json.UnmarshalTypeError
	if errors.As(err, &misfit) && misfit.Field != "" { // a name out of our own struct, unlike the rest of the text
		reason = "the field " + misfit.Field + " of the payload is of the wrong type"
	}
	return &Error{class: badPayload, reason: reason, Original: err}
}

// halfSurrogate reports an escape of half a surrogate pair, which encoding/json would read as U+FFFD. The text need
// not be valid JSON.
func halfSurrogate(text []byte) bool {
	for i := 0; i < len(text); {
		step := bytes.IndexByte(text[i:], '\\')
		if step < 0 {
			return false
		}
		i += step
		if len(text)-i < 6 || text[i+1] != 'u' {
			i += 2
			continue
		}
		r, size := unescape(text[i:])
		if r < 0 {
			return true
		}
		i += size
	}
	return false
}
