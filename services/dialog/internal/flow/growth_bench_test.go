package flow_test

import (
	"slices"
	"testing"
	"time"

	"palmops/services/dialog/internal/flow"
)

// BenchmarkLimitStep is one choice in a menu of 100 nodes and in one of 10,000, in turns of a thousand steps, so that both
// meet the same machine.
func BenchmarkLimitStep(b *testing.B) {
	const steps = 1000
	run := func(n int) func() time.Duration {
		w := bigWorld(b, n)
		k := &talk{t: b, w: w}
		k.say("菜单")
		s, env := k.s, w.env()
		ev := flow.Event{ID: "m", Type: "text", Text: "2", SentAt: s.SentAt}
		if r := flow.Step(w.menu, s, ev, env); r.Did != flow.DidChoose || len(r.Screens[0].Choices) < 8 {
			b.Fatalf("%+v", r)
		}
		return func() time.Duration {
			begin := time.Now()
			for range steps {
				flow.Step(w.menu, s, ev, env)
			}
			return time.Since(begin) / steps
		}
	}
	small, large := run(100), run(10_000)
	small() // caches
	large()
	var littles, bigs []time.Duration
	for b.Loop() {
		littles, bigs = append(littles, small()), append(bigs, large())
	}
	slices.Sort(littles)
	slices.Sort(bigs)
	b.ReportMetric(float64(bigs[len(bigs)/2].Nanoseconds())/1000, "step-us")
	b.ReportMetric(float64(bigs[0].Nanoseconds())/1000, "step-best-us")
	b.ReportMetric(float64(bigs[0])/float64(littles[0]), "step-growth")
	b.ReportMetric(0, "ns/op")
}
