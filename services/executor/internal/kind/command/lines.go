package command

import (
	"bytes"
	"regexp"
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"palmops/libs/wire"
)

// Limits of answers.
const (
	maxItems  = 5000
	maxFields = 200
	maxValue  = 253 // bytes of an item's value: what can be an argument
	maxShown  = 200 // characters of what is only shown
)

// items reads one item for each line that is not empty: value, label and detail, divided by tabs. Lines whose value could not be
// an argument are left out, and so is a value that was there before. False when there are too many.
func items(text string) (list []wire.Item, ok bool) {
	seen := map[string]bool{}
	for line := range strings.Lines(text) {
		value, rest, _ := strings.Cut(strings.TrimRight(line, "\r\n"), "\t")
		label, detail, _ := strings.Cut(rest, "\t")
		if value == "" || len(value) > maxValue || seen[value] || !utf8.ValidString(value) || value != plain(value) {
			continue
		}
		if len(list) == maxItems {
			return nil, false
		}
		seen[value] = true
		list = append(list, wire.Item{Value: value, Label: short(plain(label)), Detail: short(plain(detail))})
	}
	return list, true
}

var fieldForm = regexp.MustCompile(`\A[A-Za-z][A-Za-z0-9_.-]{0,31}\z`)

// fields reads lines KEY=VALUE; others are left out. A key is written as a menu names it: ActiveState is active_state. Of a
// key that comes twice the last one counts. False when there are too many.
func fields(text string) (all map[string]string, ok bool) {
	all = map[string]string{}
	for line := range strings.Lines(text) {
		key, value, found := strings.Cut(strings.TrimRight(line, "\r\n"), "=")
		if !found || !fieldForm.MatchString(key) {
			continue
		}
		if all[snake(key)] = short(plain(value)); len(all) > maxFields {
			return nil, false
		}
	}
	return all, true
}

// snake writes MainPID as main_pid.
func snake(key string) string {
	var b strings.Builder
	for i := range len(key) {
		c := key[i]
		switch {
		case c == '-' || c == '.' || c == '_':
			c = '_'
		case 'A' <= c && c <= 'Z':
			next := i+1 < len(key) && 'a' <= key[i+1] && key[i+1] <= 'z'
			before := i > 0 && ('a' <= key[i-1] && key[i-1] <= 'z' || '0' <= key[i-1] && key[i-1] <= '9')
			inside := i > 0 && 'A' <= key[i-1] && key[i-1] <= 'Z'
			if before || inside && next {
				b.WriteByte('_')
			}
			c += 'a' - 'A'
		}
		b.WriteByte(c)
	}
	return b.String()
}

var escape = regexp.MustCompile(`\x1b(\[[0-9;?]*[ -/]*[@-~]|[@-Z\\-_])`)

// plain is a foreign line without control characters, colours, and bytes that are no text.
func plain(s string) string {
	s = escape.ReplaceAllString(strings.ToValidUTF8(s, ""), "")
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		switch {
		case r == '\t':
			return ' '
		case unicode.IsControl(r), r == '\u2028', r == '\u2029', unicode.Is(unicode.Bidi_Control, r):
			return -1
		}
		return r
	}, s))
}

// short cuts a text that is only shown.
func short(s string) string {
	if r := []rune(s); len(r) > maxShown {
		return string(r[:maxShown]) + "…"
	}
	return s
}

// follower tells of each line that is written, and passes it on. It is a writer that never fails.
type follower struct {
	mu     sync.Mutex
	next   interface{ Write([]byte) (int, error) }
	prefix string
	tell   func(line string) // nil once nobody listens any more
	begun  []byte            // of the line that has not ended
	last   string            // line of progress
}

// maxLine is how much of a line is kept until it ends, in bytes.
const maxLine = 4096

// Write looks for whole lines; a carriage return ends one too, as progress bars do.
func (f *follower) Write(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, _ = f.next.Write(p)
	for rest := p; len(rest) > 0; {
		i := bytes.IndexAny(rest, "\r\n")
		if i < 0 {
			f.begun = append(f.begun, rest[:min(len(rest), maxLine-min(maxLine, len(f.begun)))]...)
			break
		}
		f.line(append(slices.Clone(f.begun), rest[:min(i, maxLine)]...))
		f.begun = f.begun[:0]
		rest = rest[i+1:]
	}
	return len(p), nil
}

func (f *follower) line(raw []byte) {
	text, wanted := strings.CutPrefix(plain(string(raw)), f.prefix)
	if text = short(strings.TrimSpace(text)); text == "" || !wanted {
		return
	}
	f.last = text
	if f.tell != nil {
		f.tell(text)
	}
}

// close ends the telling; what comes later only goes on to next.
func (f *follower) close() (last string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.tell = nil
	return f.last
}
