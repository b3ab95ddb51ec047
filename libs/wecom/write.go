package wecom

import (
	"strings"
	"unicode/utf8"
)

// appendCDATA writes s as the content of an XML element that reads back as s. What no XML document can hold, control
// characters and bytes that are not UTF-8, becomes U+FFFD.
func appendCDATA(b []byte, s string) []byte {
	b = append(b, cdataOpen...)
	for at := 0; at < len(s); {
		r, size := utf8.DecodeRuneInString(s[at:])
		switch {
		case strings.HasPrefix(s[at:], cdataClose): // must not end the section
			b = append(b, "]]"+cdataClose+cdataOpen...)
			size = 2
		case r == '\r': // a reader would make a line feed of it
			b = append(b, cdataClose+"&#13;"+cdataOpen...)
		case !isXMLRune(r):
			b = utf8.AppendRune(b, utf8.RuneError)
		default:
			b = utf8.AppendRune(b, r) // U+FFFD for a byte that is not UTF-8
		}
		at += size
	}
	return append(b, cdataClose...)
}

// appendJSONString writes s as a JSON string. Bytes that are not UTF-8 become U+FFFD.
func appendJSONString(b []byte, s string) []byte {
	const digits = "0123456789abcdef"
	b = append(b, '"')
	for at := 0; at < len(s); {
		r, size := utf8.DecodeRuneInString(s[at:])
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		case r == '\n':
			b = append(b, '\\', 'n')
		case r < ' ':
			b = append(b, '\\', 'u', '0', '0', digits[r>>4], digits[r&15])
		default:
			b = utf8.AppendRune(b, r)
		}
		at += size
	}
	return append(b, '"')
}
