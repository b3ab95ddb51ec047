package drill

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
)

// Size of the picture in pixels.
const pictureWidth, pictureHeight = 320, 200

// picture is a few rising bars, as a PNG: enough to see that images arrive.
func picture() []byte {
	img := image.NewPaletted(image.Rect(0, 0, pictureWidth, pictureHeight), color.Palette{color.White, color.RGBA{R: 0x1f, G: 0x6f, B: 0xeb, A: 0xff}})
	const bars, gap = 8, 8
	for x := range pictureWidth {
		bar, at := x*bars/pictureWidth, x%(pictureWidth/bars)
		if at < gap {
			continue
		}
		for y := pictureHeight * (bars - bar) / (bars + 1); y < pictureHeight; y++ {
			img.SetColorIndex(x, y, 1)
		}
	}
	var b bytes.Buffer
	_ = png.Encode(&b, img) // into memory, of an image that has pixels
	return b.Bytes()
}
