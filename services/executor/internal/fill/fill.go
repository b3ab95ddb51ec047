// Package fill puts the arguments of an action into the texts that a catalog fixes: ${name} is the argument's value, $$ a
// dollar. It knows nothing of what the text is for: whoever uses it decides what a value may contain and quotes it where the
// result is read by something with a syntax.
package fill

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Text is a text with places for arguments. The zero value is empty.
type Text struct {
	parts []part
}

// part is literal text, or the name of an argument.
type part struct{ literal, name string }

var name = regexp.MustCompile(`\A[a-z][a-z0-9_]{0,31}\z`)

// Parse reads a text. A dollar that begins neither ${name} nor $$ is an error, and so is a name that no argument can have.
func Parse(s string) (Text, error) {
	var t Text
	var literal strings.Builder
	for {
		i := strings.IndexByte(s, '$')
		if i < 0 {
			break
		}
		literal.WriteString(s[:i])
		s = s[i:]
		if strings.HasPrefix(s, "$$") {
			literal.WriteByte('$')
			s = s[2:]
			continue
		}
		inner, rest, ok := strings.Cut(s, "}")
		inner, opened := strings.CutPrefix(inner, "${")
		if !ok || !opened || !name.MatchString(inner) {
			return Text{}, fmt.Errorf("%.40q: a $ begins ${name} or $$", s)
		}
		if literal.Len() > 0 {
			t.parts = append(t.parts, part{literal: literal.String()})
			literal.Reset()
		}
		t.parts = append(t.parts, part{name: inner})
		s = rest
	}
	literal.WriteString(s)
	if literal.Len() > 0 {
		t.parts = append(t.parts, part{literal: literal.String()})
	}
	return t, nil
}

// Names are the arguments that the text has places for, each once, in their order.
func (t Text) Names() []string {
	var out []string
	for _, p := range t.parts {
		if p.name != "" && !slices.Contains(out, p.name) {
			out = append(out, p.name)
		}
	}
	return out
}

// Only is the name of the argument that is the whole of the text; "" when there is more or less to it.
func (t Text) Only() string {
	if len(t.parts) == 1 {
		return t.parts[0].name
	}
	return ""
}

// Literal is the beginning of the text up to the first argument.
func (t Text) Literal() string {
	if len(t.parts) == 0 {
		return ""
	}
	return t.parts[0].literal
}

// String writes the text with the arguments, each passed through quote when that is not nil. An argument that is not given
// is empty.
func (t Text) String(args map[string]any, quote func(string) string) string {
	var b strings.Builder
	for _, p := range t.parts {
		if p.name == "" {
			b.WriteString(p.literal)
			continue
		}
		v := Value(args[p.name])
		if quote != nil {
			v = quote(v)
		}
		b.WriteString(v)
	}
	return b.String()
}

// Value writes an argument: a text as it is, a whole number in decimal, true or false, nothing for none.
func Value(v any) string {
	switch x := v.(type) {
	case nil:
		return ""
	case string:
		return x
	case int64:
		return strconv.FormatInt(x, 10)
	case bool:
		return strconv.FormatBool(x)
	}
	return fmt.Sprint(v)
}
