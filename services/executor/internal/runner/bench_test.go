package runner

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

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

// BenchmarkReplicas is how many times as fast eight replicas are as one, with 400 actions that take 100 ms each on targets of
// their own. A replica is a runner with one worker and a connection to the bus of its own; the orders wait when they start.
// What replicas share is the bus: on a disk that takes a thousand writes a second they wait for each other there, since an
// action takes five, and workers by default are 16 to a replica, which no disk keeps up with. So this says what replicas
// cost each other where the bus is not what is slow. The eight run three times; ratio is that of the middle one. The yardstick
// is as many loops without an executor, of five writes and 100 ms each, in turn with them: what a busy machine adds, it adds to both.
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
	bare := func(loops int) time.Duration {
		w := newWorld(b)
		var stores []jetstream.KeyValue
		for i := range loops {
			kv, err := w.srv.Connect(fmt.Sprint("bare-", i)).JS.KeyValue(b.Context(), wire.BucketActions)
			w.check(err)
			stores = append(stores, kv)
		}
		var wg sync.WaitGroup
		begun := time.Now()
		for i, kv := range stores {
			wg.Go(func() {
				for range actions / loops {
					for range 5 {
						if _, err := kv.Put(b.Context(), fmt.Sprint("lock.local.bare-", i), []byte("{}")); err != nil {
							b.Error(err)
							return
						}
					}
					_ = kind.Pause(b.Context(), 100*time.Millisecond) // the context of a benchmark that goes on
				}
			})
		}
		wg.Wait()
		return time.Since(begun)
	}
	for b.Loop() {
		one, eight, yard := run(1), []time.Duration{}, []time.Duration{}
		for range 3 {
			eight, yard = append(eight, run(8)), append(yard, bare(8))
		}
		slices.Sort(eight)
		slices.Sort(yard)
		b.ReportMetric(0, "ns/op")
		b.ReportMetric(one.Seconds(), "one-s")
		b.ReportMetric(eight[1].Seconds(), "eight-s")
		b.ReportMetric(one.Seconds()/eight[1].Seconds(), "ratio")
		b.ReportMetric(8*eight[1].Seconds()/one.Seconds(), "of-ideal") // 1 when eight are eight times as fast
		b.ReportMetric(eight[1].Seconds()/yard[1].Seconds(), "of-bare")
	}
}
