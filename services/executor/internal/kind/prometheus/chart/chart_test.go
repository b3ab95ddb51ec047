package chart

import (
	"bytes"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var (
	zone = time.FixedZone("CST", 8*3600)
	noon = time.Date(2026, 11, 23, 12, 7, 0, 0, zone)
)

func wave(name string, from time.Time, n int, step time.Duration, f func(i int) float64) Series {
	s := Series{Name: name}
	for i := range n {
		s.Points = append(s.Points, Point{from.Add(time.Duration(i) * step), f(i)})
	}
	return s
}

func percent(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) + "%" }

func hour(series ...Series) Chart {
	return Chart{Title: "订单服务 CPU 使用率", Series: series, From: noon, To: noon.Add(time.Hour), Step: 15 * time.Second, Zone: zone, Value: percent}
}

func chinese(t *testing.T) *Font {
	t.Helper()
	if err := Check(Fonts[0]); err != nil {
		t.Fatalf("this test needs a font with Chinese glyphs: apt-get install fonts-droid-fallback (%v)", err)
	}
	f, err := OpenFont(Fonts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	return f
}

// shapes are charts of every sort.
func shapes() map[string]Chart {
	sine := func(phase, height float64) func(int) float64 {
		return func(i int) float64 { return 50 + height*math.Sin(float64(i)/20+phase) }
	}
	var many []Series
	for i := range 20 {
		many = append(many, wave("web-"+strconv.Itoa(i)+".shop.svc.cluster.local", noon, 240, 15*time.Second, sine(float64(i)/3, float64(45-2*i))))
	}
	gaps := wave("有缺口", noon, 240, 15*time.Second, sine(0, 30))
	gaps.Points = append(gaps.Points[:60:60], gaps.Points[120:]...)
	gaps.Points[100].Value = math.NaN()
	week := wave("一周", noon.Add(-7*24*time.Hour), 300, 34*time.Minute, sine(0, 40))
	return map[string]Chart{
		"one":      hour(wave("web-1", noon, 240, 15*time.Second, sine(0, 40))),
		"three":    hour(wave("web-1", noon, 240, 15*time.Second, sine(0, 40)), wave("web-2", noon, 240, 15*time.Second, sine(2, 20)), wave("数据库", noon, 240, 15*time.Second, sine(4, 10))),
		"many":     hour(many...),
		"gaps":     hour(gaps),
		"constant": hour(wave("恒定", noon, 240, 15*time.Second, func(int) float64 { return 42 })),
		"zero":     hour(wave("零", noon, 240, 15*time.Second, func(int) float64 { return 0 })),
		"point":    hour(wave("一个点", noon.Add(30*time.Minute), 1, 15*time.Second, sine(0, 1))),
		"nothing":  hour(wave("NaN", noon, 240, 15*time.Second, func(int) float64 { return math.NaN() })),
		"empty":    hour(),
		"huge":     hour(wave("huge", noon, 3, 15*time.Second, func(i int) float64 { return []float64{-math.MaxFloat64, math.Inf(1), math.MaxFloat64}[i] })),
		"tiny":     hour(wave("tiny", noon, 2, 15*time.Second, func(i int) float64 { return 1 + float64(i)*1e-16*3 })),
		"week":     {Title: "一周内存", Series: []Series{week}, From: noon.Add(-7 * 24 * time.Hour), To: noon, Step: 34 * time.Minute, Zone: zone, Value: percent},
		"noise":    hour(wave("noise", noon, 11000, 300*time.Millisecond, func(i int) float64 { return float64(i * 7919 % 100) })),
	}
}

// pictures, when set, is a folder where TestPictures leaves what it has drawn, to be looked at.
const pictures = "PALMOPS_PICTURES"

func TestPictures(t *testing.T) {
	f := chinese(t)
	for name, c := range shapes() {
		data, err := c.PNG(f)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		img, err := png.Decode(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		if b := img.Bounds(); b.Dx() != Width || b.Dy() < 500 || b.Dy() > 850 || len(data) > 300<<10 {
			t.Errorf("%s: %v, %d bytes", name, b, len(data))
		}
		if dir, ok := os.LookupEnv(pictures); ok {
			if err := os.WriteFile(filepath.Join(dir, name+".png"), data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestWithoutChineseFont: the built-in font draws, and says what it cannot.
func TestWithoutChineseFont(t *testing.T) {
	junk := filepath.Join(t.TempDir(), "junk.ttf")
	if err := os.WriteFile(junk, []byte("ttcf no font at all"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := OpenFont(filepath.Join(t.TempDir(), "none.ttf"), junk)
	if err != nil {
		t.Fatal(err)
	}
	if f.Covers("订单") || !f.Covers("CPU 93.5% #1 ...") || Check(junk) == nil {
		t.Error("the built-in font covers something else")
	}
	c := shapes()["one"]
	c.Title = "CPU"
	if data, err := c.PNG(f); err != nil || len(data) < 1000 {
		t.Errorf("%d bytes, %v", len(data), err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
}

// TestValuesFit: whatever is finite lies inside the axis, and there are few ticks.
func TestValuesFit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOf(rapid.Float64Range(-1e300, 1e300)).Draw(t, "values")
		scale := Scale(rapid.IntRange(0, 2).Draw(t, "scale"))
		s := Series{}
		for _, v := range values {
			s.Points = append(s.Points, Point{noon, v})
		}
		got := valuesOf([]Series{s}, scale)
		if len(got.ticks) < 2 || len(got.ticks) > 4*wantValues+1 || !(got.high > got.low) {
			t.Fatalf("%+v", got)
		}
		labels := map[string]bool{}
		for _, v := range got.ticks {
			labels[strconv.FormatFloat(v, 'g', 3, 64)] = true
		}
		if len(labels) < len(got.ticks) {
			t.Fatalf("labels say the same: %v", got.ticks)
		}
		for _, v := range values {
			if slack := (got.high - got.low) * 1e-6; v < got.low-slack || v > got.high+slack {
				t.Fatalf("%g is outside of %+v", v, got)
			}
		}
	})
}

func TestTimes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		from := noon.Add(time.Duration(rapid.Int64Range(0, 1e6).Draw(t, "from")) * time.Second)
		length := time.Duration(rapid.Int64Range(5, 43200).Draw(t, "minutes")) * time.Minute
		ticks, _ := timesOf(from, from.Add(length), zone)
		if len(ticks) > wantTimes+1 || len(ticks) < 1 && length > 5*time.Minute {
			t.Fatalf("%d ticks for %s", len(ticks), length)
		}
	})
	ticks, layout := timesOf(noon, noon.Add(time.Hour), zone)
	if len(ticks) != 4 || ticks[0].Format(layout) != "12:15" || ticks[3].Format(layout) != "13:00" {
		t.Error(ticks, layout)
	}
}
