package kind

import (
	"strings"
	"sync"
	"unicode/utf8"
)

// Capture keeps what a foreign program or system prints, up to MaxOutput, and counts the rest, so that memory does not grow with
// it. It is an io.Writer that never fails, safe for concurrent use; the zero value is ready.
type Capture struct {
	mu      sync.Mutex
	kept    []byte
	dropped int64
}

// Write keeps as much of p as there is room for.
func (c *Capture) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := min(len(p), MaxOutput-len(c.kept))
	c.kept = append(c.kept, p[:n]...)
	c.dropped += int64(len(p) - n)
	return len(p), nil
}

// WriteString is Write for a text.
func (c *Capture) WriteString(s string) { _, _ = c.Write([]byte(s)) }

// Text is what was kept, as whole UTF-8 characters, and how many bytes are missing at its end.
func (c *Capture) Text() (text string, dropped int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	kept := c.kept
	if c.dropped > 0 { // the cut may have torn a character
		for n := 0; n < utf8.UTFMax && len(kept) > 0 && !utf8.Valid(kept[max(0, len(kept)-utf8.UTFMax):]); n++ {
			if r, size := utf8.DecodeLastRune(kept); r != utf8.RuneError || size != 1 {
				break
			}
			kept = kept[:len(kept)-1]
		}
	}
	return strings.ToValidUTF8(string(kept), "\uFFFD"), c.dropped + int64(len(c.kept)-len(kept))
}
