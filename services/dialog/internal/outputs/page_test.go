package outputs_test

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"palmops/services/dialog/internal/flow"
	"palmops/services/dialog/internal/outputs"
)

func TestPages(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		page int
		want flow.OutputPage
	}{
		"nothing":          {"", 0, flow.OutputPage{}},
		"blank":            {" \n\t\r\n\n", 3, flow.OutputPage{}},
		"one line":         {"a", 0, flow.OutputPage{Lines: []string{"a"}, Pages: 1}},
		"a page too far":   {"a\n", 9, flow.OutputPage{Lines: []string{"a"}, Pages: 1}},
		"before all":       {"a\n", -1, flow.OutputPage{Lines: []string{"a"}, Pages: 1}},
		"blank between":    {"\n a\r\n\n \nb\n\n", 0, flow.OutputPage{Lines: []string{"", " a", "", "", "b"}, Pages: 1}},
		"a line of a page": {strings.Repeat("x", outputs.PageBytes) + "\r\nb", 1, flow.OutputPage{Lines: []string{"b"}, Page: 1, Pages: 2}},
		"a torn line":      {strings.Repeat("输", 400) + "\nb", 1, flow.OutputPage{Lines: []string{strings.Repeat("输", 100), "b"}, Page: 1, Pages: 2}},
	} {
		if got, err := outputs.PageOf(strings.NewReader(c.text), c.page); err != nil || cmp.Diff(c.want, got) != "" {
			t.Errorf("%s: %v %s", name, err, cmp.Diff(c.want, got))
		}
	}
}

// All pages together are the text, however it arrives; none is larger than it may be.
func TestPagesHoldEverything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		line := rapid.StringOfN(rapid.RuneFrom([]rune("a输 \t😀")), 0, 700, -1)
		lines := rapid.SliceOfN(line, 0, 60).Draw(t, "lines")
		text := strings.Join(lines, "\n")
		var all []string
		for n := 0; ; n++ {
			page, err := outputs.PageOf(iotest.OneByteReader(strings.NewReader(text)), n)
			if err != nil {
				t.Fatal(err)
			}
			if page.Pages == 0 {
				break
			}
			body := strings.Join(page.Lines, "\n")
			if page.Page != n || len(page.Lines) == 0 || len(page.Lines) > outputs.PageLines || len(body) > outputs.PageBytes || !utf8.ValidString(body) {
				t.Fatalf("page %d of %d has %d lines and %d bytes", page.Page, page.Pages, len(page.Lines), len(body))
			}
			if all = append(all, page.Lines...); n+1 == page.Pages {
				break
			}
		}
		seen := func(s string) string {
			return strings.Map(func(r rune) rune {
				if strings.ContainsRune(" \t\n", r) {
					return -1
				}
				return r
			}, s)
		}
		if got := seen(strings.Join(all, "")); got != seen(text) {
			t.Fatalf("%d bytes instead of %d", len(got), len(seen(text)))
		}
	})
}

func TestATextThatBreaksOff(t *testing.T) {
	broken := errors.New("broken")
	if page, err := outputs.PageOf(io.MultiReader(strings.NewReader("a\nb"), iotest.ErrReader(broken)), 0); !errors.Is(err, broken) {
		t.Errorf("%+v, %v", page, err)
	}
}

func FuzzPages(f *testing.F) {
	f.Add([]byte("a\nb"), 0)
	f.Add([]byte{0xff, '\r', '\n', 0}, 1)
	f.Fuzz(func(t *testing.T, text []byte, n int) {
		page, err := outputs.PageOf(strings.NewReader(string(text)), n)
		if err != nil || page.Pages > 0 && (page.Page < 0 || page.Page >= page.Pages) || len(page.Lines) > outputs.PageLines {
			t.Errorf("%+v, %v", page, err)
		}
	})
}
