package runner

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"palmops/libs/wire"
	"palmops/services/executor/internal/kind"
)

// BenchmarkFirstEffect is the time from the publishing of a confirmed order to the leave for its first effect, with the bus's
// storage written through to the disk at every step. Its yardstick is one such write, measured between the orders.
func BenchmarkFirstEffect(b *testing.B) {
	w := newWorld(b)
	effects := make(chan time.Time, 1)
	k := &book{dir: w.dir, apply: func(ctx context.Context, _ kind.Work, hand kind.Hand) (kind.Result, bool) {
		if hand.Step(ctx) != nil {
			return kind.Failed(""), true
		}
		effects <- time.Now()
		return kind.Ended("done"), true
	}}
	w.executor("one", DefaultTiming(), k)
	w.listens("one")
	var took, yard []time.Duration
	for i := 0; b.Loop(); i++ {
		id := wire.DeriveID("first effect", fmt.Sprint(i))
		o := w.order(w.claims(id), scaleArgs(fmt.Sprint("web-", i%50)))
		begun := time.Now()
		w.send(o, id)
		took = append(took, (<-effects).Sub(begun))
		w.event() // the next order comes to an idle executor
		begun = time.Now()
		_, err := w.kv.Put(b.Context(), "lock.local.yardstick", []byte("{}"))
		w.check(err)
		yard = append(yard, time.Since(begun))
	}
	slices.Sort(took)
	slices.Sort(yard)
	b.ReportMetric(float64(took[len(took)/2])/float64(yard[len(yard)/2]), "writes")
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
}

// BenchmarkReplicas is how many times as fast eight replicas are as one, with 400 actions that take 100 ms each and one worker to a
// replica.
func BenchmarkReplicas(b *testing.B) {
	const actions = 400
	run := func(replicas int) time.Duration {
		w := newWorld(b)
		k := &book{dir: w.dir, apply: func(ctx context.Context, _ kind.Work, hand kind.Hand) (kind.Result, bool) {
			if hand.Step(ctx) != nil || kind.Pause(ctx, 100*time.Millisecond) != nil {
				return kind.Failed(""), true
			}
			return kind.Ended("done"), true
		}}
		for i := range actions {
			id := wire.DeriveID("replicas", fmt.Sprint(i))
			c := w.claims(id)
			c.Expires = c.IssuedAt + 3600
			w.send(w.order(c, scaleArgs(fmt.Sprint("web-", i))), id)
		}
		var start, stop []func()
		for i := range replicas {
			name := fmt.Sprint("replica-", i)
			run, end := w.prepare(name, DefaultTiming(), k, func(o *Options) { o.Workers = 1 })
			start, stop = append(start, run), append(stop, end)
		}
		begun := time.Now()
		for _, run := range start {
			run()
		}
		for range actions {
			if ev := w.event(); ev.State != wire.StateSucceeded {
				b.Fatalf("%+v", ev)
			}
		}
		took := time.Since(begun)
		for _, end := range stop {
			end()
		}
		return took
	}
	for b.Loop() {
		one, eight := run(1), run(8)
		b.ReportMetric(one.Seconds(), "one-s")
		b.ReportMetric(eight.Seconds(), "eight-s")
		b.ReportMetric(one.Seconds()/eight.Seconds(), "ratio")
		b.ReportMetric(8*eight.Seconds()/one.Seconds(), "of-ideal") // 1 when eight are eight times as fast
	}
}
