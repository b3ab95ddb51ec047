package prometheus

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"palmops/services/executor/internal/fill"
)

// maxQuery is the length of a query, in bytes, before it is filled.
const maxQuery = 4 << 10

var errPlace = errors.New("a place ${name} may stand in the value of a label matcher only, such as {pod=\"${name}\"}, in \" or '")

// query is PromQL with places for arguments, all of them in the values of label matchers.
type query struct {
	text  fill.Text
	parts []queryPart
}

// queryPart is literal PromQL, or an argument and whether it stands in a regular expression.
type queryPart struct {
	literal, name string
	regex         bool
}

// marker stands for a place while the query is looked at; no PromQL contains it.
const marker = '\x00'

// parseQuery reads PromQL as far as it must: where quotes and braces begin and end, and comments. All else is the server's to
// judge.
func parseQuery(s string) (query, error) {
	text, err := fill.Parse(s)
	switch {
	case err != nil:
		return query{}, fmt.Errorf("query: %w", err)
	case strings.TrimSpace(s) == "" || len(s) > maxQuery || strings.ContainsRune(s, marker):
		return query{}, fmt.Errorf("query must be PromQL of at most %d bytes", maxQuery)
	}
	q := query{text: text}
	names := places(s)
	marked := text.String(markers(names), nil)
	scan := scanner{}
	rest := marked
	for {
		at := strings.IndexRune(rest, marker)
		if at < 0 {
			break
		}
		scan.over(rest[:at])
		if scan.quote != '"' && scan.quote != '\'' || scan.braces != 1 || scan.matcher == "" || scan.escaped {
			return query{}, errPlace
		}
		q.parts = append(q.parts, queryPart{literal: rest[:at]}, queryPart{name: names[0], regex: scan.matcher == "=~" || scan.matcher == "!~"})
		names, rest = names[1:], rest[at+1:]
	}
	scan.over(rest)
	if scan.quote != 0 || scan.braces != 0 {
		return query{}, errors.New("query: a quote or a brace is not closed")
	}
	q.parts = append(q.parts, queryPart{literal: rest})
	return q, nil
}

var placeForm = regexp.MustCompile(`\$\$|\$\{([a-z][a-z0-9_]{0,31})\}`)

// places are the names of the places in their order, each as often as it stands there.
func places(s string) []string {
	var out []string
	for _, m := range placeForm.FindAllStringSubmatch(s, -1) {
		if m[1] != "" {
			out = append(out, m[1])
		}
	}
	return out
}

func markers(names []string) map[string]any {
	out := map[string]any{}
	for _, n := range names {
		out[n] = string(marker)
	}
	return out
}

// scanner follows PromQL byte by byte.
type scanner struct {
	quote   byte // the one that is open
	escaped bool // the next byte is behind a backslash
	comment bool
	braces  int
	matcher string // the operator right before the newest quote, in braces; "" for anything else
	last    string // the bytes before this one, without white space, as far as an operator needs
}

func (s *scanner) over(text string) {
	for i := range len(text) {
		c := text[i]
		switch {
		case s.comment:
			s.comment = c != '\n'
		case s.quote != 0:
			s.inside(c)
		case c == '"' || c == '\'' || c == '`':
			s.quote, s.matcher = c, ""
			for _, op := range []string{"=~", "!~", "!=", "="} {
				if s.braces == 1 && strings.HasSuffix(s.last, op) {
					s.matcher = op
					break
				}
			}
		case c == '#':
			s.comment = true
		default:
			switch c {
			case '{':
				s.braces++
			case '}':
				s.braces--
			}
			if c != ' ' && c != '\t' && c != '\n' && c != '\r' {
				s.last = s.last[max(0, len(s.last)-1):] + string(rune(c))
			}
		}
	}
}

// inside follows a quoted text. Behind its end stands no operator.
func (s *scanner) inside(c byte) {
	switch {
	case s.escaped:
		s.escaped = false
	case c == '\\' && s.quote != '`':
		s.escaped = true
	case c == s.quote:
		s.quote, s.last = 0, ""
	}
}

// fill makes the query. An argument is escaped for a PromQL text, and for a regular expression before where it stands in one:
// it always stands for itself.
func (q query) fill(args map[string]any) string {
	var b strings.Builder
	for _, p := range q.parts {
		if p.name == "" {
			b.WriteString(p.literal)
			continue
		}
		v := fill.Value(args[p.name])
		if p.regex {
			v = regexp.QuoteMeta(v)
		}
		b.WriteString(literal(v))
	}
	return b.String()
}

// literal escapes a value for between quotes of either sort.
func literal(s string) string {
	var b strings.Builder
	for _, r := range strings.ToValidUTF8(s, "\uFFFD") {
		switch {
		case r == '\\':
			b.WriteString(`\\`)
		case r == utf8.RuneError: // the lexer of Prometheus takes the character itself for broken text
			b.WriteString(`\ufffd`)
		case r == '"' || r == '\'' || r < ' ' || r == 0x7f: // a backslash before the other sort of quote is not allowed
			fmt.Fprintf(&b, `\x%02x`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}
