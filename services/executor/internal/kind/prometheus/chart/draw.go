package chart

import (
	"image"
	"image/color"
	"image/draw"
	"math"

	"golang.org/x/image/font"
	"golang.org/x/image/math/fixed"
	"golang.org/x/image/vector"
)

type point struct{ x, y float64 }

// picture is a white canvas. What draws is given the RGBA itself, for which image/draw and vector are many times as fast.
type picture struct {
	*image.RGBA
	raster *vector.Rasterizer
}

func newPicture(w, h int) *picture {
	p := &picture{image.NewRGBA(image.Rect(0, 0, w, h)), vector.NewRasterizer(w, h)}
	draw.Draw(p.RGBA, p.Bounds(), image.White, image.Point{}, draw.Src)
	return p
}

func (p *picture) bar(x, y, w, h int, c color.RGBA) {
	draw.Draw(p.RGBA, image.Rect(x, y, x+w, y+h), image.NewUniform(c), image.Point{}, draw.Src)
}

// text writes a line whose baseline begins at a place.
func (p *picture) text(f font.Face, s string, x, y int, c color.RGBA) {
	d := font.Drawer{Dst: p.RGBA, Src: image.NewUniform(c), Face: f, Dot: fixed.P(x, y)}
	d.DrawString(s)
}

func width(f font.Face, s string) int { return font.MeasureString(f, s).Ceil() }

// fit shortens a text in its middle: names of one family differ at the end as often as at the beginning.
func fit(f font.Face, s string, limit int) string {
	if width(f, s) <= limit {
		return s
	}
	r := []rune(s)
	for keep := len(r) - 1; keep > 0; keep-- {
		head := (keep + 1) / 2
		short := string(r[:head]) + "..." + string(r[len(r)-(keep-head):])
		if width(f, short) <= limit {
			return short
		}
	}
	return ""
}

// path draws a line with round joints and ends; one point is a dot.
func (p *picture) path(run []point, w float64, c color.RGBA) {
	if len(run) == 0 {
		return
	}
	b := p.Bounds()
	r := p.raster
	r.Reset(b.Dx(), b.Dy())
	if len(run) == 1 {
		disc(r, run[0], dotRadius)
	}
	var ux, uy float64 // direction of the segment before
	for i := 1; i < len(run); i++ {
		from, to := run[i-1], run[i]
		dx, dy := to.x-from.x, to.y-from.y
		length := math.Hypot(dx, dy)
		if length == 0 {
			continue
		}
		dx, dy = dx/length, dy/length
		// Where the line hardly turns no joint is needed, and its edge would show through the edge of the line.
		if dx*ux+dy*uy < 0.995 {
			disc(r, from, w/2)
		}
		ux, uy = dx, dy
		nx, ny := -dy*w/2, dx*w/2
		polygon(r, []point{{from.x - nx, from.y - ny}, {to.x - nx, to.y - ny}, {to.x + nx, to.y + ny}, {from.x + nx, from.y + ny}})
	}
	if len(run) > 1 {
		disc(r, run[len(run)-1], w/2)
	}
	r.Draw(p.RGBA, b, image.NewUniform(c), image.Point{})
}

func disc(r *vector.Rasterizer, at point, radius float64) {
	const corners = 12
	var all [corners]point
	for i := range all {
		sin, cos := math.Sincos(2 * math.Pi * float64(i) / corners)
		all[i] = point{at.x + radius*cos, at.y + radius*sin}
	}
	polygon(r, all[:])
}

// polygon adds a convex shape. The rasterizer adds up the windings of shapes that overlap, so all must turn the same way.
func polygon(r *vector.Rasterizer, all []point) {
	area := 0.0
	for i, a := range all {
		b := all[(i+1)%len(all)]
		area += a.x*b.y - b.x*a.y
	}
	at := func(i int) (float32, float32) {
		if area < 0 {
			i = len(all) - 1 - i
		}
		return float32(all[i].x), float32(all[i].y)
	}
	r.MoveTo(at(0))
	for i := 1; i < len(all); i++ {
		r.LineTo(at(i))
	}
	r.ClosePath()
}

// flat is the picture with at most 256 colors, which makes the file a fraction as large. The palette is what is drawn with, in
// shades from white, and a cube for where lines cross.
func (p *picture) flat() image.Image {
	palette := color.Palette{color.White, color.Black}
	for _, c := range append(colors[:], ink, grid, faint) {
		for i := 1; i <= 12; i++ {
			palette = append(palette, blend(c, i, 12))
		}
	}
	for r := range 5 {
		for g := range 5 {
			for b := range 4 {
				palette = append(palette, color.RGBA{uint8(r * 255 / 4), uint8(g * 255 / 4), uint8(b * 255 / 3), 0xff})
			}
		}
	}
	out := image.NewPaletted(p.Bounds(), palette)
	known := map[color.RGBA]uint8{}
	var last color.RGBA // of the pixel before: most are like their neighbour
	var index uint8
	for n := range out.Pix { // both pictures begin at 0, 0 and have no gaps between rows
		pix := p.Pix[4*n : 4*n+4 : 4*n+4]
		c := color.RGBA{pix[0], pix[1], pix[2], pix[3]}
		if c != last {
			i, ok := known[c]
			if !ok {
				i = uint8(palette.Index(c))
				known[c] = i
			}
			last, index = c, i
		}
		out.Pix[n] = index
	}
	return out
}

// blend is part of whole of a color on white.
func blend(c color.RGBA, part, whole int) color.RGBA {
	mix := func(v uint8) uint8 { return uint8((int(v)*part + 255*(whole-part)) / whole) }
	return color.RGBA{mix(c.R), mix(c.G), mix(c.B), 0xff}
}
