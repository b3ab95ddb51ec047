package kind

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestCaptureKeepsWhatFits(t *testing.T) {
	var c Capture
	c.WriteString("一行\n")
	if text, lost := c.Text(); text != "一行\n" || lost != 0 {
		t.Errorf("%q %d", text, lost)
	}
	if n, err := c.Write([]byte("\xff")); n != 1 || err != nil {
		t.Error(n, err)
	}
	if text, _ := c.Text(); text != "一行\n\uFFFD" {
		t.Errorf("%q", text)
	}
	for edge := range 4 { // the limit in, before and behind a character of three bytes
		var c Capture
		c.WriteString(strings.Repeat("a", MaxOutput-edge))
		c.WriteString("行" + strings.Repeat("b", 100))
		text, lost := c.Text()
		if !utf8.ValidString(text) || len(text)+int(lost) != MaxOutput-edge+103 || len(text) > MaxOutput || strings.Contains(text, "\uFFFD") {
			t.Errorf("edge %d: %d bytes, %d lost, valid %t", edge, len(text), lost, utf8.ValidString(text))
		}
	}
	var large Capture
	block := bytes.Repeat([]byte("x"), 1<<20)
	for range 20 {
		_, _ = large.Write(block)
	}
	if text, lost := large.Text(); len(text) != MaxOutput || lost != 12<<20 || cap(large.kept) > 3*MaxOutput {
		t.Errorf("%d kept in %d, %d lost", len(text), cap(large.kept), lost)
	}
}
