package runner

import (
	"strings"
	"unicode/utf8"

	"palmops/libs/lang"
	"palmops/services/executor/internal/kind"
)

// maxInline is how much of an output an event holds, in bytes; the whole of a longer one is in the object store.
const maxInline = 64 << 10

// maxProgress is how long a line of progress is, in characters.
const maxProgress = 200

// head is the beginning of an output that an event holds: whole lines, unless the first one alone is too long.
func head(out string) string {
	if len(out) <= maxInline {
		return out
	}
	if end := strings.LastIndexByte(out[:maxInline], '\n'); end >= 0 {
		return out[:end+1]
	}
	end := maxInline
	for end > 0 && !utf8.RuneStart(out[end]) {
		end--
	}
	return out[:end]
}

// beginning is head, with a last line that says how much is missing because it is kept nowhere.
func beginning(t lang.Tag, out string) string {
	kept := head(out)
	if len(kept) == len(out) {
		return out
	}
	rest := strings.TrimSuffix(out[len(kept):], "\n")
	return strings.TrimSuffix(kept, "\n") + "\n" + texts.Say(t, "output.lost", strings.Count(rest, "\n")+1)
}

// capped holds an output to the limit that a kind should have kept.
func capped(t lang.Tag, out string) string {
	if len(out) <= kind.MaxOutput {
		return out
	}
	end := strings.LastIndexByte(out[:kind.MaxOutput], '\n') + 1
	rest := strings.TrimSuffix(out[end:], "\n")
	return out[:end] + texts.Say(t, "output.cut", strings.Count(rest, "\n")+1)
}
