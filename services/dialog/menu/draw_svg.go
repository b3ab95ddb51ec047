package menu

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Measures of the picture, in its units, which are pixels at its natural size.
const (
	boxWidth   = 280
	boxPad     = 8
	columnGap  = 36
	rowGap     = 8
	titleLine  = 20 // height of the line with the title
	smallLine  = 15 // height of a line below it
	titleSize  = 13 // of the font
	smallSize  = 11
	pageMargin = 12
	linkMargin = columnGap / 2 // where the line from a list turns down
)

// style fits a light and a dark page; kinds differ by more than their colour.
const style = `
svg{--paper:#fff;--ink:#1c2530;--soft:#5b6673;--line:#9aa5b1;--list:#eef3f8;--act:#fdeee6;--read:#eaf6ee}
@media (prefers-color-scheme:dark){svg{--paper:#14181d;--ink:#e6ebf0;--soft:#a3aeba;--line:#66717d;--list:#1f2933;--act:#3a2a22;--read:#1d3026}}
text{font-family:system-ui,"PingFang SC","Microsoft YaHei","Noto Sans CJK SC",sans-serif;fill:var(--ink,#1c2530)}
.s{fill:var(--soft,#5b6673)}
.paper{fill:var(--paper,#fff)}
rect.b{stroke:var(--line,#9aa5b1);stroke-width:1;fill:var(--list,#eef3f8)}
rect.act{fill:var(--act,#fdeee6)}
rect.read{fill:var(--read,#eaf6ee)}
rect.link{fill:none;stroke-dasharray:5 3}
path{fill:none;stroke:var(--line,#9aa5b1);stroke-width:1}
`

// box is one node of the picture.
type box struct {
	x, y, height int
	lines        []string // small ones below the title
}

// svg lays the nodes out in columns, one a level. The first item of a list stands beside it and the next one below all
// that belongs to the one before, so that no two lines cross.
func (d *drawing) svg() []byte {
	boxes := make([]box, len(d.rows))
	deepest, end := 0, 0
	for i, r := range d.rows {
		b := box{x: pageMargin + r.depth*(boxWidth+columnGap), lines: append(d.remarks(r.node), d.steps(r.node)...)}
		b.height = 2*boxPad + titleLine + smallLine*len(b.lines)
		switch {
		case r.parent < 0:
			b.y = pageMargin
		case r.parent == i-1:
			b.y = boxes[r.parent].y
		default:
			b.y = end + rowGap
		}
		boxes[i] = b
		end = max(end, b.y+b.height)
		deepest = max(deepest, r.depth)
	}
	width := 2*pageMargin + (deepest+1)*boxWidth + deepest*columnGap
	height := end + pageMargin

	var out bytes.Buffer
	fmt.Fprintf(&out, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img">`+"\n", width, height, width, height)
	out.WriteString("<title>" + xmlText(d.menu.Title.In(d.in)) + "</title>\n<style>" + style + "</style>\n")
	fmt.Fprintf(&out, `<rect class="paper" width="%d" height="%d"/>`+"\n", width, height)
	d.lines(&out, boxes)
	for i, r := range d.rows {
		d.box(&out, r, boxes[i])
	}
	out.WriteString("</svg>\n")
	return out.Bytes()
}

// lines joins each list with its items.
func (d *drawing) lines(out *bytes.Buffer, boxes []box) {
	middle := boxPad + titleLine/2
	for i, r := range d.rows {
		if r.parent < 0 {
			continue
		}
		from, to := boxes[r.parent], boxes[i]
		x := from.x + boxWidth
		fmt.Fprintf(out, `<path d="M%d %dh%dV%dh%d"/>`+"\n", x, from.y+middle, linkMargin, to.y+middle, to.x-x-linkMargin)
	}
}

func (d *drawing) box(out *bytes.Buffer, r row, b box) {
	class := "b"
	switch mark(r.node) {
	case "●":
		class = "b act"
	case "○", "★":
		class = "b read"
	case "→":
		class = "b link"
	}
	title := strings.TrimSpace(r.number + " " + d.title(r))
	full := title
	if r.node.ID != "" {
		full += " (" + r.node.ID + ")"
	}
	full = strings.Join(append([]string{full}, b.lines...), "\n")
	fmt.Fprintf(out, `<g><title>%s</title><rect class="%s" x="%d" y="%d" width="%d" height="%d" rx="5"/>`, xmlText(full), class, b.x, b.y, boxWidth, b.height)
	y := b.y + boxPad + titleSize + 1
	fmt.Fprintf(out, `<text x="%d" y="%d" font-size="%d">%s</text>`, b.x+boxPad, y, titleSize, xmlText(fitted(title, titleSize)))
	y = b.y + boxPad + titleLine + smallSize
	for _, l := range b.lines {
		fmt.Fprintf(out, `<text class="s" x="%d" y="%d" font-size="%d">%s</text>`, b.x+boxPad, y, smallSize, xmlText(fitted(l, smallSize)))
		y += smallLine
	}
	out.WriteString("</g>\n")
}

// fitted cuts a text to the width of a box. It takes wide characters for as wide as the font is high and the others for
// the usual 0.6 of it, which is enough for any font a reader may have.
func fitted(s string, size int) string {
	room := float64(boxWidth - 2*boxPad)
	width := 0.0
	for i, r := range s {
		w := 0.6 * float64(size)
		if r >= 0x1100 {
			w = float64(size)
		}
		if width += w; width > room {
			cut := s[:i]
			_, last := utf8.DecodeLastRuneInString(cut)
			return cut[:len(cut)-last] + "…"
		}
	}
	return s
}

// xmlText is a text between two tags.
func xmlText(s string) string {
	var b bytes.Buffer
	// A bytes.Buffer takes everything, so there is no error; signs that XML cannot hold are replaced.
	_ = xml.EscapeText(&b, []byte(s))
	return b.String()
}
