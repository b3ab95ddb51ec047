// Package phone writes figures and tables for a narrow screen with a fixed-width font. It is pure.
package phone

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/width"
)

// Width is how many columns a text takes: two for a wide character such as a Chinese one, none for what is drawn on top of
// another.
func Width(s string) int {
	n := 0
	for _, r := range s {
		n += columns(r)
	}
	return n
}

func columns(r rune) int {
	if r < utf8.RuneSelf {
		return 1
	}
	if unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf) {
		return 0
	}
	switch width.LookupRune(r).Kind() {
	case width.EastAsianWide, width.EastAsianFullwidth:
		return 2
	}
	return 1
}

// Line makes one line of any text: white space is one space, control characters and what is no UTF-8 are replaced, and
// what is wider than limit columns is cut with an ellipsis. A limit of 0 cuts nothing.
func Line(s string, limit int) string {
	var b strings.Builder
	used, end := 0, 0 // end is where the text can be cut so that the ellipsis still fits
	space := false
	for i, r := range s {
		if limit > 0 && i > 64*limit { // a long run of white space is not worth reading to its end
			break
		}
		if unicode.IsSpace(r) {
			space = b.Len() > 0
			continue
		}
		if space {
			b.WriteByte(' ')
			used++
			space = false
		}
		if unicode.IsControl(r) || r == utf8.RuneError || unicode.Is(unicode.Cf, r) {
			r = '\uFFFD'
		}
		b.WriteRune(r)
		used += columns(r)
		if limit > 0 && used > limit {
			return strings.TrimRight(b.String()[:end], " ") + "…"
		}
		if used < limit {
			end = b.Len()
		}
	}
	return b.String()
}

// MaxCell is how many columns wide a cell of a table may become.
const MaxCell = 48

// Table lays rows out under their head, in columns two spaces apart. Columns of figures stand to the right. Cells are made
// one line of at most MaxCell columns; the last one of a row is not filled up. A row may have fewer cells than the head.
func Table(head []string, rows [][]string) string {
	cells := make([][]string, 0, len(rows)+1)
	widths := make([]int, len(head))
	figures := make([]bool, len(head))
	for i := range figures {
		figures[i] = len(rows) > 0
	}
	for n, row := range append([][]string{head}, rows...) {
		line := make([]string, len(head))
		for i := range min(len(row), len(head)) {
			line[i] = Line(row[i], MaxCell)
			widths[i] = max(widths[i], Width(line[i]))
			if n > 0 && line[i] != "" && !figure(line[i]) {
				figures[i] = false
			}
		}
		cells = append(cells, line)
	}
	var b strings.Builder
	for _, line := range cells {
		var row strings.Builder
		for i, cell := range line {
			if i > 0 {
				row.WriteString("  ")
			}
			pad := strings.Repeat(" ", widths[i]-Width(cell))
			if figures[i] {
				row.WriteString(pad + cell)
			} else {
				row.WriteString(cell + pad)
			}
		}
		b.WriteString(strings.TrimRight(row.String(), " ") + "\n")
	}
	return b.String()
}

// figure reports whether a cell is a number, perhaps with a unit behind a space or a percent sign.
func figure(s string) bool {
	digits := strings.TrimLeft(s, "+-")
	return digits != "" && digits[0] >= '0' && digits[0] <= '9' && strings.Trim(digits, "0123456789.,%eE+- KMGTBismhdn") == ""
}

// Bytes writes a size: 512 B, 1.5 KB, 20 MB, in steps of 1024.
func Bytes(n uint64) string {
	const units = "KMGTPE"
	if n < 1024 {
		return strconv.FormatUint(n, 10) + " B"
	}
	f, i := float64(n)/1024, 0
	for f >= 1023.95 && i < len(units)-1 {
		f, i = f/1024, i+1
	}
	return short(f) + " " + units[i:i+1] + "B"
}

// Count writes a number with a comma between each three digits.
func Count(n uint64) string {
	s := strconv.FormatUint(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// Percent writes a part of a whole; a dash when there is no whole.
func Percent(part, whole float64) string {
	if whole <= 0 {
		return "-"
	}
	return strconv.FormatFloat(100*part/whole, 'f', 1, 64) + "%"
}

// Span writes a time that has passed in its largest unit, or two: 0.3 s, 12 s, 5 min, 3 h, 2 d 4 h. A negative one is 0 s.
func Span(d time.Duration) string {
	switch {
	case d <= 0:
		return "0 s"
	case d < time.Millisecond:
		return fmt.Sprintf("%d us", d.Microseconds())
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < 10*time.Second && d%time.Second != 0:
		return fmt.Sprintf("%.1f s", d.Truncate(100*time.Millisecond).Seconds())
	case d < 2*time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return fmt.Sprintf("%d d %d h", int(d.Hours())/24, int(d.Hours())%24)
}

func short(f float64) string {
	if f < 10 {
		return strings.TrimSuffix(strconv.FormatFloat(f, 'f', 1, 64), ".0")
	}
	return strconv.FormatFloat(f, 'f', 0, 64)
}
