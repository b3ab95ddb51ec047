// Package chart draws lines over time as a PNG that can be read on a phone: large letters, thick lines, few ticks, the legend below.
// It is pure but for the font's file.
//
// There are libraries that draw charts. None of those looked at puts the legend below, keeps a line broken where values are
// missing, and reads only the glyphs it needs of a large font, all at once; what is needed here is two hundred lines.
package chart

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"
	"time"

	"golang.org/x/image/font"
)

// Size of a picture and of its letters, in pixels. The height grows with the legend.
const (
	Width     = 900
	plotBelow = 470 // where the plot ends
	titleSize = 30
	labelSize = 24
	rowHeight = 38 // of the legend
	margin    = 24
	lineWidth = 4.0
	thinWidth = 2.0
	dotRadius = 5.0
)

// Colored is how many series have a color and a place in the legend; those after them are thin and grey.
const Colored = 8

// MaxPoints is how many points of one series are drawn.
const MaxPoints = 11000

var (
	ink    = color.RGBA{0x22, 0x22, 0x22, 0xff}
	grid   = color.RGBA{0xdd, 0xdd, 0xdd, 0xff}
	faint  = color.RGBA{0xb4, 0xb4, 0xb4, 0xff}
	colors = [Colored]color.RGBA{
		{0x1f, 0x5f, 0xbf, 0xff},
		{0xd9, 0x5f, 0x02, 0xff},
		{0x1b, 0x8a, 0x5a, 0xff},
		{0x7b, 0x3f, 0xa0, 0xff},
		{0xc6, 0x28, 0x28, 0xff},
		{0x00, 0x8c, 0x95, 0xff},
		{0x8c, 0x56, 0x4b, 0xff},
		{0x80, 0x80, 0x00, 0xff},
	}
)

// Series is one line.
type Series struct {
	Name   string
	Points []Point // in the order of time
}

// Point is one value. NaN and infinite values break the line.
type Point struct {
	At    time.Time
	Value float64
}

// Chart is one picture.
type Chart struct {
	Title    string
	Series   []Series // the most important first
	From, To time.Time
	Step     time.Duration        // between points; a line is broken where more than one and a half are missing
	Zone     *time.Location       // of the time axis
	Scale    Scale                // of the value axis
	Value    func(float64) string // writes a value at the axis; short
}

// PNG draws the chart. The texts must be covered by the font; see Font.Covers. The error is one of the font, or of a chart
// without a time between From and To.
func (c Chart) PNG(f *Font) ([]byte, error) {
	if !c.To.After(c.From) {
		return nil, fmt.Errorf("a chart from %s to %s", c.From, c.To)
	}
	small, err := f.face(labelSize)
	if err != nil {
		return nil, err
	}
	large, err := f.face(titleSize)
	if err != nil {
		return nil, err
	}
	named := c.Series[:min(len(c.Series), Colored)]
	cells := legend(named, small)
	height := plotBelow + 52 + len(cells.rows)*rowHeight + margin/2
	p := newPicture(Width, height)
	values := valuesOf(c.Series, c.Scale)
	labels := make([]string, len(values.ticks))
	left := 0
	for i, v := range values.ticks {
		labels[i] = fit(small, c.Value(v), Width/4)
		left = max(left, width(small, labels[i]))
	}
	area := image.Rect(margin+left+12, margin+titleSize+26, Width-margin-8, plotBelow)
	p.text(large, fit(large, c.Title, Width-2*margin), margin, margin+titleSize, ink)
	a := axes{area: area, values: values, from: c.From, to: c.To}
	c.grid(p, a, small, labels)
	for i := len(c.Series) - 1; i >= 0; i-- { // the most important on top
		col, w := faint, thinWidth
		if i < Colored {
			col, w = colors[i], lineWidth
		}
		c.line(p, a, c.Series[i], w, col)
	}
	for r, row := range cells.rows {
		y := plotBelow + 52 + r*rowHeight
		for i, cell := range row {
			x := margin + i*cells.wide
			p.bar(x, y+rowHeight/2-3, 34, 8, colors[cell.index])
			p.text(small, cell.name, x+46, y+rowHeight/2+9, ink)
		}
	}
	var out bytes.Buffer
	if err := png.Encode(&out, p.flat()); err != nil {
		return nil, fmt.Errorf("png: %w", err)
	}
	return out.Bytes(), nil
}

// axes turns times and values into places.
type axes struct {
	area     image.Rectangle
	values   span
	from, to time.Time
}

func (a axes) x(t time.Time) float64 {
	return float64(a.area.Min.X) + float64(a.area.Dx())*(float64(t.Sub(a.from))/float64(a.to.Sub(a.from)))
}

func (a axes) y(v float64) float64 {
	share := (v - a.values.low) / (a.values.high - a.values.low)
	if !finite(share) {
		share = 0.5
	}
	return float64(a.area.Max.Y) - float64(a.area.Dy())*max(-0.01, min(1.01, share))
}

func (c Chart) grid(p *picture, a axes, small font.Face, labels []string) {
	for i, v := range a.values.ticks {
		y := int(math.Round(a.y(v)))
		p.bar(a.area.Min.X, y-1, a.area.Dx(), 2, grid)
		p.text(small, labels[i], a.area.Min.X-12-width(small, labels[i]), y+9, ink)
	}
	ticks, layout := timesOf(a.from, a.to, c.Zone)
	ends := math.MinInt
	for _, t := range ticks {
		label := t.In(c.Zone).Format(layout)
		w, x := width(small, label), int(math.Round(a.x(t)))
		p.bar(x-1, a.area.Min.Y, 2, a.area.Dy(), grid)
		at := max(margin/2, min(x-w/2, Width-margin/2-w))
		if at < ends {
			continue // no room
		}
		p.text(small, label, at, a.area.Max.Y+34, ink)
		ends = at + w + 16
	}
	p.bar(a.area.Min.X, a.area.Max.Y-1, a.area.Dx(), 3, ink)
}

// line draws a series: its runs of values without a gap; a run of one point is a dot.
func (c Chart) line(p *picture, a axes, s Series, w float64, col color.RGBA) {
	var run []point
	end := func() {
		p.path(run, w, col)
		run = nil
	}
	var last time.Time
	for _, pt := range s.Points[:min(len(s.Points), MaxPoints)] {
		if !finite(pt.Value) || pt.At.Before(c.From) || pt.At.After(c.To) {
			end()
			continue
		}
		if len(run) > 0 && pt.At.Sub(last) > c.Step+c.Step/2 {
			end()
		}
		run = append(run, point{a.x(pt.At), a.y(pt.Value)})
		last = pt.At
	}
	end()
}

// cells is the legend: two columns where the names are short, else one.
type cells struct {
	rows [][]cell
	wide int
}

type cell struct {
	index int
	name  string
}

func legend(series []Series, small font.Face) cells {
	out := cells{wide: (Width - 2*margin) / 2}
	columns := 2
	for _, s := range series {
		if width(small, s.Name) > out.wide-60 {
			columns = 1
			out.wide = Width - 2*margin
			break
		}
	}
	for i, s := range series {
		if i%columns == 0 {
			out.rows = append(out.rows, nil)
		}
		last := len(out.rows) - 1
		out.rows[last] = append(out.rows[last], cell{index: i, name: fit(small, s.Name, out.wide-60)})
	}
	return out
}
