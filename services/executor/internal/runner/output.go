package runner

import (
	"strings"
	"unicode/utf8"

	"palmops/libs/lang"
)

// Limits of an event's output, in bytes. The second one is that of its form in JSON, where a line feed takes two and a
// control character six: with all else an event must stay below the 1 MiB that the bus takes.
const (
	MaxOutput        = 512 << 10
	maxEncodedOutput = 800 << 10
)

// cutOutput keeps the lines of an output that fit, and says in a last line how many did not. A first line that is too long
// by itself is not kept either.
func cutOutput(t lang.Tag, out string) string {
	const lastLine = 200 // bytes for what the last line says
	if len(out) <= MaxOutput && encodedLen(out) <= maxEncodedOutput {
		return out
	}
	raw, encoded, end := 0, 0, 0
	for line := range strings.Lines(out) {
		raw += len(line)
		encoded += encodedLen(line)
		if raw > MaxOutput-lastLine || encoded > maxEncodedOutput-lastLine {
			break
		}
		end += len(line)
	}
	rest := strings.TrimSuffix(out[end:], "\n")
	return out[:end] + texts.Say(t, "output.cut", strings.Count(rest, "\n")+1)
}

// encodedLen is the length of a text inside JSON, never less than what the encoder makes of it.
func encodedLen(s string) int {
	n := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			switch {
			case c == '\n' || c == '\r' || c == '\t' || c == '"' || c == '\\':
				n += 2
			case c < ' ' || c == 0x7f:
				n += 6
			default:
				n++
			}
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError || r == '\u2028' || r == '\u2029' {
			n += 6
		} else {
			n += size
		}
		i += size
	}
	return n
}
