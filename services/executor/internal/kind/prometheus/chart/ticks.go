package chart

import (
	"math"
	"time"
)

// Scale says how the numbers of a unit are rounded at the axis.
type Scale int

// Scales.
const (
	Decimal Scale = iota // steps of 1, 2 and 5
	Binary               // of bytes: steps of powers of two
	Clock                // of seconds: minutes, hours and days above a minute
)

const (
	wantValues = 5 // steps at the value axis, about
	wantTimes  = 4 // labels at the time axis, at most this many and one
)

// span is the interval of the value axis and its ticks.
type span struct {
	low, high float64
	ticks     []float64
}

// valuesOf makes an axis that all finite values fit into, with zero when they are not far from it. No values give 0 to 1.
func valuesOf(series []Series, scale Scale) span {
	low, high := math.Inf(1), math.Inf(-1)
	for _, s := range series {
		for _, p := range s.Points {
			if finite(p.Value) {
				low, high = min(low, p.Value), max(high, p.Value)
			}
		}
	}
	switch {
	case low > high:
		low, high = 0, 1
	case low == high && low == 0:
		high = 1
	case low == high: // a constant: in the middle, with zero in sight
		low, high = min(0, 1.5*low), max(0, 1.5*high)
	}
	if low > 0 && low < high/2 {
		low = 0
	}
	if high < 0 && high > low/2 {
		high = 0
	}
	// Labels have three digits: closer together they would say the same, and noise would look like a storm.
	finest := 0.01
	if scale == Clock {
		finest = 0.05
	}
	if need := wantValues * finest * max(math.Abs(low), math.Abs(high)); high-low < need {
		middle := low/2 + high/2
		low, high = middle-need/2, middle+need/2
	}
	// A part of the largest float keeps all that follows finite.
	low, high = max(low, -math.MaxFloat64/4), min(high, math.MaxFloat64/4)
	step := stepOf((high-low)/wantValues, scale)
	from := math.Floor(low/step + 1e-9)
	n := int(math.Ceil(high/step-1e-9) - from)
	if n < 1 || n > 4*wantValues { // so small that the step drowns in the rounding
		return span{low: low, high: high, ticks: []float64{low, high}}
	}
	out := span{low: from * step, high: (from + float64(n)) * step}
	for i := range n + 1 {
		out.ticks = append(out.ticks, (from+float64(i))*step)
	}
	return out
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

// stepOf rounds a step up to one that reads well.
func stepOf(rough float64, scale Scale) float64 {
	switch {
	case scale == Binary && rough >= 1:
		return math.Exp2(math.Ceil(math.Log2(rough)))
	case scale == Clock && rough > 20:
		for _, s := range []float64{30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400} {
			if rough <= s {
				return s
			}
		}
		return 86400 * decimal(rough/86400)
	}
	return decimal(rough)
}

func decimal(rough float64) float64 {
	if rough < math.SmallestNonzeroFloat64*1e10 {
		rough = math.SmallestNonzeroFloat64 * 1e10
	}
	power := math.Pow(10, math.Floor(math.Log10(rough)))
	for _, m := range []float64{1, 2, 5} {
		if rough <= m*power*(1+1e-9) {
			return m * power
		}
	}
	return 10 * power
}

// timeSteps are the distances between labels of the time axis.
var timeSteps = []time.Duration{
	time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 15 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour,
	3 * time.Hour, 6 * time.Hour, 12 * time.Hour, 24 * time.Hour, 2 * 24 * time.Hour, 7 * 24 * time.Hour, 14 * 24 * time.Hour,
}

// timesOf are the ticks of the time axis, at full hours and days of the zone, and the layout of their labels.
func timesOf(from, to time.Time, zone *time.Location) (ticks []time.Time, layout string) {
	step := timeSteps[len(timeSteps)-1]
	for _, s := range timeSteps {
		if to.Sub(from) <= wantTimes*s {
			step = s
			break
		}
	}
	local := from.In(zone)
	midnight := time.Date(local.Year(), local.Month(), local.Day(), 0, 0, 0, 0, zone)
	for at := midnight; !at.After(to) && len(ticks) < 64; at = at.Add(step) {
		if !at.Before(from) {
			ticks = append(ticks, at)
		}
	}
	switch {
	case step >= 24*time.Hour:
		return ticks, "01-02"
	case to.Sub(from) > 24*time.Hour:
		return ticks, "01-02 15:04"
	}
	return ticks, "15:04"
}
