package policy

import (
	"regexp"
	"strconv"
	"strings"
)

// Values is what an argument may be: one of a list, a whole number of a range, or a text that matches a pattern.
type Values struct {
	OneOf    []string
	Range    bool // Min to Max, both included
	Min, Max int64
	Pattern  string // RE2 of the whole value; "" for none

	set   map[string]bool
	match *regexp.Regexp
}

// admits reports whether a value is one of them. Of a multi-select's value, texts joined by commas, each part must be.
func (v *Values) admits(value any, multi bool) bool {
	text, ok := value.(string)
	if !ok || !multi {
		return v.one(value)
	}
	for part := range strings.SplitSeq(text, ",") {
		if !v.one(part) {
			return false
		}
	}
	return true
}

func (v *Values) one(value any) bool {
	if v.Range {
		n, ok := whole(value)
		return ok && v.Min <= n && n <= v.Max
	}
	text, ok := asText(value)
	switch {
	case !ok:
		return false
	case v.match != nil:
		return v.match.MatchString(text)
	}
	return v.set[text]
}

// asText is a value as the executor's catalog writes it; ok is false for what can be no argument.
func asText(value any) (text string, ok bool) {
	switch x := value.(type) {
	case string:
		return x, true
	case int:
		return strconv.Itoa(x), true
	case int64:
		return strconv.FormatInt(x, 10), true
	case bool:
		return strconv.FormatBool(x), true
	}
	return "", false
}

// whole is a whole number. As a text it counts in plain decimal only: what an executor makes of 010 or +5 is not known here.
func whole(value any) (n int64, ok bool) {
	switch x := value.(type) {
	case int:
		return int64(x), true
	case int64:
		return x, true
	case string:
		n, err := strconv.ParseInt(x, 10, 64)
		return n, err == nil && strconv.FormatInt(n, 10) == x
	}
	return 0, false
}

// maxListed is how many values of a list an explanation names.
const maxListed = 8

// String says what is allowed, after the words "it may be".
func (v *Values) String() string {
	switch {
	case v.Range && v.Min == minWhole:
		return "at most " + strconv.FormatInt(v.Max, 10)
	case v.Range && v.Max == maxWhole:
		return "at least " + strconv.FormatInt(v.Min, 10)
	case v.Range:
		return strconv.FormatInt(v.Min, 10) + " to " + strconv.FormatInt(v.Max, 10)
	case v.Pattern != "":
		return "what matches " + v.Pattern
	case len(v.OneOf) > maxListed:
		return strings.Join(v.OneOf[:maxListed], ", ") + " or " + strconv.Itoa(len(v.OneOf)-maxListed) + " more"
	}
	return strings.Join(v.OneOf, ", ")
}
