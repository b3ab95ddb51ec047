package menu

import (
	_ "embed"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"palmops/libs/fault"
	"palmops/libs/lang"
)

//go:embed texts.yaml
var textsFile []byte

var sentences = lang.MustLoad(textsFile)

// refusal is why a value is not accepted, in any language.
type refusal struct {
	key  string
	args []any
	own  lang.Words // the menu's words, instead
}

func refuse(key string, args ...any) *refusal { return &refusal{key: key, args: args} }

func (r *refusal) in(t lang.Tag) string {
	if !r.own.Empty() {
		return r.own.In(t)
	}
	return sentences.Say(t, r.key, r.args...)
}

// Read checks a typed value and gives the form in which it is kept: reading that one again gives the same. Now is the
// present time in the menu's zone, for 今天 and bounds such as today+7d. The error has the kind Invalid, and its safe text tells
// the person in their language what is wanted.
func (in *Input) Read(t lang.Tag, typed string, now time.Time) (string, error) {
	value, bad := in.check(typed, now, true)
	if bad != nil {
		return "", fault.WithText(fault.New(fault.Invalid, "input %s: %s", in.Param, bad.in(lang.English)), bad.in(t))
	}
	return value, nil
}

// check is Read. Unless bounded, bounds that depend on the present are not looked at: what a menu file holds must not
// become wrong by itself.
func (in *Input) check(typed string, now time.Time, bounded bool) (string, *refusal) {
	switch in.Type {
	case Int, Port:
		return in.number(fold(typed))
	case Enum:
		for _, v := range in.Values {
			if v.Value == typed {
				return typed, nil
			}
		}
		return "", refuse("read.enum")
	case DNSLabel:
		if s := fold(typed); made(s, 63, "-", false) && !strings.HasSuffix(s, "-") {
			return s, nil
		}
		return "", refuse("read.label")
	case Date, DateTime:
		return in.moment(fold(typed), now, bounded)
	case Clock:
		if c, ok := parseClock(fold(typed)); ok {
			return c.Format(clockForm), nil
		}
		return "", refuse("read.clock")
	case Duration:
		return in.span(fold(typed))
	case Lines:
		return in.lines(typed)
	}
	return in.text(typed)
}

// fold makes the full-width characters of Chinese keyboards plain, and removes white space around.
func fold(s string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		switch {
		case r >= '！' && r <= '～':
			return r - '！' + '!'
		case r == '\u3000':
			return ' '
		}
		return r
	}, s))
}

func (in *Input) number(typed string) (string, *refusal) {
	n, err := strconv.ParseInt(typed, 10, 64)
	switch {
	case strings.HasPrefix(typed, "+"): // could be meant as "5 more"; targets are absolute
		return "", refuse("read.plus", in.Min, in.Max)
	case err != nil && strings.TrimLeft(strings.TrimPrefix(typed, "-"), "0123456789") == "" && strings.Trim(typed, "-") != "":
		return "", refuse("read.range", in.Min, in.Max)
	case err != nil:
		return "", refuse("read.number", in.Min, in.Max)
	case n < in.Min || n > in.Max:
		return "", refuse("read.range", in.Min, in.Max)
	}
	return strconv.FormatInt(n, 10), nil
}

func (in *Input) text(typed string) (string, *refusal) {
	most := in.MaxLength
	if most == 0 {
		most = MaxText
	}
	match := in.match
	if match == nil && in.Pattern != "" { // an input that no file describes
		re, err := regexp.Compile(`^(?:` + in.Pattern + `)$`)
		match = func(s string) bool { return err == nil && re.MatchString(s) }
	}
	switch {
	case typed == "":
		return "", refuse("read.empty")
	case !utf8.ValidString(typed) || strings.ContainsFunc(typed, hidden):
		return "", refuse("read.hidden")
	case utf8.RuneCountInString(typed) > most:
		return "", refuse("read.long", most)
	case match == nil || match(typed):
		return typed, nil
	case !in.Hint.Empty():
		return "", &refusal{own: in.Hint}
	case in.Example != "":
		return "", refuse("read.form_like", in.Example)
	}
	return "", refuse("read.form")
}

func (in *Input) lines(typed string) (string, *refusal) {
	most := in.MaxLength
	if most == 0 {
		most = MaxLong
	}
	lines := strings.Split(strings.ReplaceAll(typed, "\r\n", "\n"), "\n")
	for i, l := range lines {
		if !utf8.ValidString(l) || strings.ContainsFunc(l, hidden) {
			return "", refuse("read.hidden")
		}
		lines[i] = strings.TrimRightFunc(l, unicode.IsSpace)
	}
	s := strings.Trim(strings.Join(lines, "\n"), "\n")
	switch {
	case s == "":
		return "", refuse("read.empty")
	case strings.Count(s, "\n") >= MaxLines:
		return "", refuse("read.lines", MaxLines)
	case utf8.RuneCountInString(s) > most:
		return "", refuse("read.long", most)
	}
	return s, nil
}

// hidden are characters that a reader of the confirm could not see: controls, and what changes the direction of text.
func hidden(r rune) bool {
	return unicode.Is(unicode.Cc, r) || unicode.Is(unicode.Cf, r) || r == '\u2028' || r == '\u2029'
}
