package prometheus

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"palmops/services/executor/internal/endpoint"
	"palmops/services/executor/internal/kind/prometheus/chart"
)

// unit says how values are written and how the axis is divided.
type unit struct {
	text  func(float64) string
	scale chart.Scale
}

// units by their names in a catalog. Values in percent are from 0 to 100, a ratio is from 0 to 1 and shown in percent.
var units = map[string]unit{
	"":        {text: short},
	"short":   {text: short},
	"percent": {text: func(v float64) string { return rounded(v) + "%" }},
	"ratio":   {text: func(v float64) string { return rounded(v*100) + "%" }},
	"bytes":   {text: bytesText, scale: chart.Binary},
	"seconds": {text: secondsText, scale: chart.Clock},
}

// rounded writes a number with three digits, whole ones in full.
func rounded(v float64) string {
	switch a := math.Abs(v); {
	case math.IsNaN(v):
		return "NaN"
	case math.IsInf(v, 1):
		return "+Inf"
	case math.IsInf(v, -1):
		return "-Inf"
	case a == 0:
		return "0"
	case a >= 1e15 || a < 1e-4:
		return strconv.FormatFloat(v, 'g', 3, 64)
	case a >= 100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	default:
		digits := 2 - int(math.Floor(math.Log10(a)+1e-12))
		return trimZeros(strconv.FormatFloat(v, 'f', max(0, digits), 64))
	}
}

func trimZeros(s string) string {
	if !strings.Contains(s, ".") {
		return s
	}
	return strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
}

// prefixed writes a number with a prefix for its size.
func prefixed(v, base float64, prefixes []string, suffix string) string {
	i := 0
	for math.Abs(v) >= base*0.9995 && i < len(prefixes)-1 && !math.IsInf(v, 0) {
		v /= base
		i++
	}
	return rounded(v) + prefixes[i] + suffix
}

func short(v float64) string { return prefixed(v, 1000, []string{"", "k", "M", "G", "T"}, "") }

func bytesText(v float64) string {
	return prefixed(v, 1024, []string{"", "Ki", "Mi", "Gi", "Ti", "Pi"}, "B")
}

func secondsText(v float64) string {
	switch a := math.Abs(v); {
	case !(a < math.MaxInt32):
		return rounded(v) + "s"
	case a == 0:
		return "0s"
	case a < 1e-3:
		return rounded(v*1e6) + "us"
	case a < 1:
		return rounded(v*1e3) + "ms"
	case a < 60:
		return rounded(v) + "s"
	}
	sign := ""
	if v < 0 {
		sign = "-"
	}
	d := time.Duration(math.Round(math.Abs(v))) * time.Second
	days, d := d/(24*time.Hour), d%(24*time.Hour)
	hours, minutes, secs := d/time.Hour, d%time.Hour/time.Minute, d%time.Minute/time.Second
	switch {
	case days > 0 && hours == 0:
		return fmt.Sprintf("%s%dd", sign, days)
	case days > 0:
		return fmt.Sprintf("%s%dd%dh", sign, days, hours)
	case hours > 0 && minutes == 0:
		return fmt.Sprintf("%s%dh", sign, hours)
	case hours > 0:
		return fmt.Sprintf("%s%dh%dm", sign, hours, minutes)
	case secs == 0:
		return fmt.Sprintf("%s%dm", sign, minutes)
	}
	return fmt.Sprintf("%s%dm%ds", sign, minutes, secs)
}

const maxName = 80 // characters of a series' name

// name is what a series is called: the legend, or its labels, or otherwise.
func (s series) name(legend, otherwise string) string {
	var out string
	if legend != "" {
		out = place.ReplaceAllStringFunc(legend, func(m string) string { return s.labels[place.FindStringSubmatch(m)[1]] })
	} else {
		var all []string
		for _, k := range slices.Sorted(maps.Keys(s.labels)) {
			if k != "__name__" {
				all = append(all, k+"="+s.labels[k])
			}
		}
		if out = strings.Join(all, ","); out == "" {
			out = s.labels["__name__"]
		}
	}
	if out = endpoint.Line(out, maxName); out == "" {
		return endpoint.Line(otherwise, maxName)
	}
	return out
}

// sum is a series in four numbers; of no finite value all are NaN.
type sum struct{ last, low, high, mean float64 }

func (s series) sum() sum {
	out := sum{last: s.samples[len(s.samples)-1].value, low: math.NaN(), high: math.NaN(), mean: math.NaN()}
	n := 0
	for _, p := range s.samples {
		v := p.value
		if math.IsNaN(v) || math.IsInf(v, 0) {
			continue
		}
		if n++; n == 1 {
			out.low, out.high, out.mean = v, v, v
			continue
		}
		out.low, out.high = min(out.low, v), max(out.high, v)
		out.mean += v/float64(n) - out.mean/float64(n)
	}
	return out
}

// byHeight puts the series with the highest values first; those without any come last.
func byHeight(all []series) {
	key := func(s series) float64 {
		if h := s.sum().high; !math.IsNaN(h) {
			return h
		}
		return math.Inf(-1)
	}
	slices.SortStableFunc(all, func(a, b series) int {
		switch x, y := key(a), key(b); {
		case x > y:
			return -1
		case x < y:
			return 1
		}
		return strings.Compare(a.name("", ""), b.name("", ""))
	})
}
