package wecom

import (
	"bytes"
	"strings"
)

const (
	rootName    = "xml"
	maxName     = 64   // bytes of an element name, or of a number
	maxDepth    = 16   // below the root
	maxElements = 4096 // of a document, skipped ones included
	cdataOpen   = "<![CDATA["
	cdataClose  = "]]>"
	cdataTag    = cdataClose + "</" // and then a name
)

// xmlScanner pulls elements out of the small part of XML that WeCom writes: elements without attributes, character
// data, CDATA sections, the five predefined entities and numeric ones. All else is refused. Every step moves forward,
// so that the work is linear in the document.
type xmlScanner struct {
	b        []byte
	pos      int
	elements int
}

func malformed(detail string) error { return refuse(CodeParse, ReasonMalformed, detail) }

func truncated() error { return refuse(CodeParse, ReasonTruncated, "the document ends too early") }

func (x *xmlScanner) space() {
	for x.pos < len(x.b) && isSpace(x.b[x.pos]) {
		x.pos++
	}
}

// root reads up to the content of the root element. empty means that it has none and is already closed.
func (x *xmlScanner) root() (empty bool, err error) {
	if hasPrefix(x.b, "<"+rootName+">") { // nearly always
		x.pos, x.elements = len("<"+rootName+">"), 1
		return false, nil
	}
	if hasPrefix(x.b, "<?") { // a declaration is one only as the very first thing
		if err := x.declaration(); err != nil {
			return false, err
		}
	}
	x.space()
	if x.pos >= len(x.b) {
		return false, truncated()
	}
	if x.b[x.pos] != '<' {
		return false, malformed("text before the root element")
	}
	name, empty, err := x.start()
	if err == nil && string(name) != rootName {
		err = malformed("the root element is not xml")
	}
	return empty, err
}

// declaration reads <?xml version="1.0" encoding="UTF-8" standalone="yes"?>, of which all but the version may be absent.
func (x *xmlScanner) declaration() error {
	end := bytes.Index(x.b, []byte("?>"))
	if end < 0 {
		return truncated()
	}
	if end > 128 || !hasPrefix(x.b, "<?xml") {
		return malformed("a processing instruction")
	}
	rest := string(x.b[len("<?xml"):end])
	wanted := []string{"version", "encoding", "standalone"}
	for at := 0; ; at++ {
		trimmed := strings.TrimLeft(rest, " \t\r\n")
		if trimmed == "" && at > 0 {
			x.pos = end + len("?>")
			return nil
		}
		name, value, ok := strings.Cut(trimmed, "=")
		name = strings.TrimRight(name, " \t\r\n")
		value = strings.TrimLeft(value, " \t\r\n")
		if !ok || len(trimmed) == len(rest) || value == "" || (value[0] != '"' && value[0] != '\'') {
			return malformed("the XML declaration")
		}
		value, rest, ok = strings.Cut(value[1:], value[:1])
		for at > 0 && at < len(wanted) && wanted[at] != name {
			at++
		}
		if !ok || at >= len(wanted) || wanted[at] != name || !declares(name, value) {
			return malformed("the XML declaration")
		}
	}
}

func declares(name, value string) bool {
	switch name {
	case "version":
		return value == "1.0"
	case "encoding":
		return equalFold(value, "utf-8")
	default:
		return value == "yes" || value == "no"
	}
}

// child reads the next start tag inside parent. ok is false at parent's end tag, which it consumes.
// leafless means that the element is already closed.
func (x *xmlScanner) child(parent []byte) (name []byte, leafless, ok bool, err error) {
	x.space()
	if x.pos+1 >= len(x.b) {
		return nil, false, false, truncated()
	}
	if x.b[x.pos] != '<' {
		return nil, false, false, malformed("text between elements")
	}
	if x.b[x.pos+1] == '/' {
		return nil, false, false, x.end(parent)
	}
	name, leafless, err = x.start()
	return name, leafless, err == nil, err
}

// start reads a start tag. The scanner stands on its '<'.
func (x *xmlScanner) start() (name []byte, leafless bool, err error) {
	if x.elements++; x.elements > maxElements {
		return nil, false, refuse(CodeParse, ReasonOversized, "too many elements")
	}
	from := x.pos + 1
	at := from
	for at < len(x.b) && nameBytes[x.b[at]] {
		at++
	}
	if at < len(x.b) && at > from && !isNameStart(x.b[from]) {
		return nil, false, malformed("not a plain start tag")
	}
	if name = x.b[from:at]; len(name) > maxName {
		return nil, false, refuse(CodeParse, ReasonOversized, "a name is too long")
	}
	x.pos = at
	x.space()
	if x.pos < len(x.b) && x.b[x.pos] == '/' {
		leafless = true
		x.pos++
	}
	if x.pos >= len(x.b) {
		return nil, false, truncated()
	}
	// Comments, directives, instructions, attributes and prefixes all end here.
	if x.b[x.pos] != '>' || len(name) == 0 {
		return nil, false, malformed("not a plain start tag")
	}
	x.pos++
	return name, leafless, nil
}

// end reads the end tag of name. The scanner stands on its '<'.
func (x *xmlScanner) end(name []byte) error {
	rest := x.b[x.pos:]
	if isEndTag(rest, name) {
		x.pos += len(name) + len("</>")
		return nil
	}
	if len(rest) < len(name)+len("</") {
		return truncated()
	}
	if !hasPrefix(rest, "</") || !bytes.HasPrefix(rest[len("</"):], name) {
		return malformed("not the end tag that is due")
	}
	x.pos += len(name) + len("</")
	x.space()
	if x.pos >= len(x.b) {
		return truncated()
	}
	if x.b[x.pos] != '>' {
		return malformed("not a plain end tag")
	}
	x.pos++
	return nil
}

// isEndTag reports whether b begins with the end tag of name, in its usual spelling.
func isEndTag(b, name []byte) bool {
	return len(b) > len(name)+2 && b[0] == '<' && b[1] == '/' && b[len(name)+2] == '>' && string(b[2:len(name)+2]) == string(name)
}

// cdataElement reads a whole element of this name if it stands right here and its content is what cdata takes, but with
// any bytes if raw. If it is not, the scanner has not moved.
func (x *xmlScanner) cdataElement(name string, raw bool) ([]byte, bool) {
	b := x.b[x.pos:]
	head := len(name) + len("<>")
	if len(b) < head || b[head-1] != '>' || b[0] != '<' || string(b[1:head-1]) != name || x.elements >= maxElements {
		return nil, false
	}
	v, size := cdata(b[head:], b[1:head-1], raw)
	if size == 0 {
		return nil, false
	}
	x.pos += head + size
	x.elements++
	return v, true
}

// skip reads over the content of name and its end tag.
func (x *xmlScanner) skip(name []byte) error {
	var open [maxDepth][]byte
	open[0] = name
	for depth := 1; depth > 0; {
		size := bytes.IndexByte(x.b[x.pos:], '<')
		if size < 0 {
			return truncated()
		}
		x.pos += size
		rest := x.b[x.pos:]
		switch {
		case hasPrefix(rest, cdataOpen):
			if size = bytes.Index(rest, []byte(cdataClose)); size < 0 {
				return truncated()
			}
			x.pos += size + len(cdataClose)
		case hasPrefix(rest, "</"):
			depth--
			if err := x.end(open[depth]); err != nil {
				return err
			}
		default:
			name, leafless, err := x.start()
			if err != nil {
				return err
			}
			if leafless {
				continue
			}
			if depth == maxDepth {
				return refuse(CodeParse, ReasonOversized, "elements are nested too deep")
			}
			open[depth] = name
			depth++
		}
	}
	return nil
}

// finish makes sure that nothing but white space follows.
func (x *xmlScanner) finish() error {
	x.space()
	if x.pos < len(x.b) {
		return refuse(CodeParse, ReasonTrailing, "something follows the root element")
	}
	return nil
}

// nameBytes are those that an element's name can hold. Letters beyond ASCII and prefixes are not used by WeCom.
var nameBytes = func() (t [256]bool) {
	for c := range t {
		b := byte(c)
		t[c] = isNameStart(b) || b-'0' <= 9 || b == '-' || b == '.'
	}
	return t
}()

func isNameStart(c byte) bool { return lower(c)-'a' <= 'z'-'a' || c == '_' }
