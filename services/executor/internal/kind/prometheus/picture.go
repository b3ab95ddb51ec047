package prometheus

import (
	"context"
	"strconv"
	"strings"
	"time"

	"palmops/libs/fault"
	"palmops/libs/lang"
	"palmops/libs/wire"
	"palmops/services/executor/internal/kind"
	"palmops/services/executor/internal/kind/prometheus/chart"
)

// Limits of a chart.
const (
	maxSeries = 20
	points    = 240 // of one series, about; Prometheus gives 11,000 at most
	minStep   = 15 * time.Second
)

// zone is the one of the people who read. It has had no summer time since 1991, and needs no database of zones.
var zone = time.FixedZone("Asia/Shanghai", 8*3600)

// stepOf is the time between points, in whole seconds.
func stepOf(length time.Duration) time.Duration {
	step := (length/points + time.Second - 1).Truncate(time.Second)
	return max(minStep, step)
}

// chart is a range query as a picture, with the numbers below.
func (k *Kind) chart(ctx context.Context, s server, set Settings, title string, w kind.Work) (kind.Result, error) {
	length := set.Range
	if n, ok := w.Args[rangeName].(int64); ok {
		length = time.Duration(n) * time.Minute
	}
	step := stepOf(length)
	to := k.now().Truncate(time.Second)
	from := to.Add(-length)
	res, err := s.over(ctx, set.Query.fill(w.Args), from, to, step, w.Lang)
	if err != nil {
		return kind.Result{}, err
	}
	when := span(from, to)
	if len(res.series) == 0 {
		return kind.Ended(texts.Say(w.Lang, "chart.nothing", title, when) + notes(res, w.Lang)), nil
	}
	byHeight(res.series)
	rest := len(res.series) - maxSeries
	res.series = res.series[:min(len(res.series), maxSeries)]
	k.drawing.Lock()
	defer k.drawing.Unlock()
	font, err := chart.OpenFont(s.fonts...)
	if err != nil {
		return kind.Result{}, fault.Wrap(fault.Internal, err, "font")
	}
	defer func() { _ = font.Close() }() // it was only read
	c := chart.Chart{Title: ascii(font, title, set.Title.EN, w.Action.Name), From: from, To: to, Step: step, Zone: zone, Scale: set.Unit.scale, Value: set.Unit.text}
	var lines []string
	for i, one := range res.series {
		name := one.name(set.Legend, title)
		number := "#" + strconv.Itoa(i+1)
		drawn := ascii(font, name, number)
		line := set.line(name, one.sum(), w.Lang)
		if drawn != name { // the picture cannot show the name: the number leads to it
			line = number + " " + line
		}
		lines = append(lines, line)
		points := make([]chart.Point, len(one.samples))
		for j, p := range one.samples {
			points[j] = chart.Point{At: p.at, Value: p.value}
		}
		c.Series = append(c.Series, chart.Series{Name: drawn, Points: points})
	}
	picture, err := c.PNG(font)
	if err != nil {
		return kind.Result{}, fault.Wrap(fault.Internal, err, "picture")
	}
	head := title + " (" + when + ")"
	r := kind.Result{State: wire.StateSucceeded, Image: picture, Text: strings.Join(append([]string{head}, lines[:min(len(lines), chart.Colored)]...), "\n")}
	if more := len(lines) - chart.Colored; more > 0 {
		r.Text += "\n" + texts.Say(w.Lang, "chart.grey", more)
		r.Output, r.Told = strings.Join(lines, "\n"), true
	}
	if rest > 0 {
		r.Text += "\n" + texts.Say(w.Lang, "chart.rest", rest, maxSeries)
	}
	r.Text += notes(res, w.Lang)
	return r, nil
}

// line is one series in words.
func (set Settings) line(name string, n sum, t lang.Tag) string {
	v := set.Unit.text
	return texts.Say(t, "chart.line", name, v(n.last), v(n.low), v(n.high), v(n.mean))
}

// span writes from when to when, in the zone.
func span(from, to time.Time) string {
	from, to = from.In(zone), to.In(zone)
	if from.Format(time.DateOnly) == to.Format(time.DateOnly) {
		return from.Format("01-02 15:04") + "–" + to.Format("15:04")
	}
	return from.Format("01-02 15:04") + " – " + to.Format("01-02 15:04")
}

// ascii is the first of some texts that the font covers; the last one always is.
func ascii(font *chart.Font, all ...string) string {
	for _, s := range all {
		if s != "" && font.Covers(s) {
			return s
		}
	}
	return all[len(all)-1]
}
