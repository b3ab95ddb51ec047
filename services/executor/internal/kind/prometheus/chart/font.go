package chart

import (
	"fmt"
	"image"
	"io"
	"os"

	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/font/sfnt"
	"golang.org/x/image/math/fixed"
)

// Fonts are where Debian's packages put fonts with Chinese glyphs, the smallest first: fonts-droid-fallback (4 MB, Apache
// License), fonts-noto-cjk. The tables of the fonts of WenQuanYi do not lie at the boundaries that the standard asks for, so
// that they cannot be read.
var Fonts = []string{
	"/usr/share/fonts/truetype/droid/DroidSansFallbackFull.ttf",
	"/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc",
}

// probeRune is a character that every Chinese font has.
const probeRune = '\u4e2d'

// Font draws text: Latin, Greek and Cyrillic letters with a built-in font, all else with one in a file. Of the file only the
// glyphs that are drawn are read, so that an open one costs little memory; a Font is for one goroutine, and is closed after use.
type Font struct {
	all  []*opentype.Font // the first that has a glyph draws it
	file io.Closer        // nil without a file
	buf  sfnt.Buffer
}

// OpenFont opens the first of the files that is a font with Chinese glyphs. Without any only the built-in one is there; see
// Covers.
func OpenFont(paths ...string) (*Font, error) {
	latin, err := opentype.Parse(goregular.TTF)
	if err != nil {
		return nil, fmt.Errorf("built-in font: %w", err)
	}
	for _, p := range paths {
		if f, err := open(p); err == nil {
			f.all = append([]*opentype.Font{latin}, f.all...)
			return f, nil
		}
	}
	return &Font{all: []*opentype.Font{latin}}, nil
}

// Check says why a file is no font with Chinese glyphs.
func Check(path string) error {
	f, err := open(path)
	if err != nil {
		return err
	}
	return f.Close()
}

func open(path string) (*Font, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("font: %w", err)
	}
	f, err := first(file)
	if err != nil {
		_ = file.Close() // the error of reading is the one that counts
		return nil, err
	}
	f.file = file
	return f, nil
}

func first(file io.ReaderAt) (*Font, error) {
	all, err := opentype.ParseCollectionReaderAt(file)
	if err != nil {
		return nil, fmt.Errorf("font: %w", err)
	}
	one, err := all.Font(0)
	if err != nil {
		return nil, fmt.Errorf("font: %w", err)
	}
	f := &Font{all: []*opentype.Font{one}}
	if f.of(probeRune) < 0 {
		return nil, fmt.Errorf("font: no Chinese glyphs")
	}
	return f, nil
}

// Close closes the file.
func (f *Font) Close() error {
	if f.file == nil {
		return nil
	}
	if err := f.file.Close(); err != nil {
		return fmt.Errorf("font: %w", err)
	}
	return nil
}

// of is the number of the font that has a glyph for a character, -1 for none.
func (f *Font) of(r rune) int {
	for n, one := range f.all {
		if i, err := one.GlyphIndex(&f.buf, r); err == nil && i != 0 {
			return n
		}
	}
	return -1
}

// Covers reports whether there is a glyph for every character of a text.
func (f *Font) Covers(s string) bool {
	for _, r := range s {
		if f.of(r) < 0 {
			return false
		}
	}
	return true
}

// face is the font in a size, in pixels.
func (f *Font) face(size float64) (font.Face, error) {
	out := &face{font: f}
	for _, one := range f.all {
		o, err := opentype.NewFace(one, &opentype.FaceOptions{Size: size, DPI: 72, Hinting: font.HintingNone})
		if err != nil {
			return nil, fmt.Errorf("font of %g px: %w", size, err)
		}
		out.all = append(out.all, o)
	}
	return out, nil
}

// face is a font.Face that takes each character from the first font that has it.
type face struct {
	font *Font
	all  []font.Face
}

func (f *face) of(r rune) font.Face { return f.all[max(0, f.font.of(r))] }

func (f *face) Close() error { return nil }

func (f *face) Glyph(dot fixed.Point26_6, r rune) (image.Rectangle, image.Image, image.Point, fixed.Int26_6, bool) {
	return f.of(r).Glyph(dot, r)
}

func (f *face) GlyphBounds(r rune) (fixed.Rectangle26_6, fixed.Int26_6, bool) {
	return f.of(r).GlyphBounds(r)
}

func (f *face) GlyphAdvance(r rune) (fixed.Int26_6, bool) { return f.of(r).GlyphAdvance(r) }

func (f *face) Kern(_, _ rune) fixed.Int26_6 { return 0 }

func (f *face) Metrics() font.Metrics { return f.all[0].Metrics() }
