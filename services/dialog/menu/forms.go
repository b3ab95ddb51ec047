package menu

import "strings"

// form is what a name must look like: its expression for the message, and the same by hand, since a menu has many names.
type form struct {
	text string
	ok   func(s string) bool
}

func (f form) String() string { return f.text }

var (
	idForm    = form{`^[a-z0-9][a-z0-9-]{0,62}$`, func(s string) bool { return made(s, 63, "-", false) }}
	paramForm = form{`^[a-z][a-z0-9_]{0,31}$`, func(s string) bool { return made(s, 32, "_", true) }}
	placeForm = form{`^[a-z0-9][a-z0-9_-]{0,62}$`, func(s string) bool { return made(s, 63, "_-", false) }}
	actForm   = form{`^[a-z0-9][a-z0-9_-]*(\.[a-z0-9][a-z0-9_-]*)*$`, dotted}
)

// made reports whether s is 1 to most bytes of a-z, 0-9 and the characters of more, which do not come first.
func made(s string, most int, more string, letterFirst bool) bool {
	if s == "" || len(s) > most {
		return false
	}
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z':
		case c >= '0' && c <= '9' && (i > 0 || !letterFirst):
		case i > 0 && strings.IndexByte(more, c) >= 0:
		default:
			return false
		}
	}
	return true
}

func dotted(s string) bool {
	for part := range strings.SplitSeq(s, ".") {
		if !made(part, len(s), "_-", false) {
			return false
		}
	}
	return true
}
