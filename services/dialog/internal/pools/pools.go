// Package pools knows which executors are online. Executors announce themselves by the NATS services protocol; nobody keeps
// a list, and nothing but texts to people depends on what is known here.
package pools

import (
	"context"
	"maps"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"palmops/libs/bus"
	"palmops/libs/wire"
)

const (
	// gatherFor is how long answers are waited for.
	gatherFor = 300 * time.Millisecond
	// every is the pause between two looks; emptyEvery, while a wanted pool has nobody, so that who comes back is soon seen.
	every, emptyEvery = 10 * time.Second, time.Second
	// goodFor is how long what was seen counts.
	goodFor = 25 * time.Second
	// absentFor is how long a pool must have been looked for in vain before it counts as empty: executors start, and come
	// back after the bus was away, a little later than dialogs.
	absentFor = 5 * time.Second
)

// Pool names a pool of executors.
type Pool struct{ Zone, Pool string }

// seen is what one look has found.
type seen struct {
	executors map[Pool]int
	present   map[Pool]time.Time // when the pool had somebody; not older than began
	began     time.Time
	at        time.Time
}

// next is what was seen after one more look; s is nil before the first.
func (s *seen) next(found map[Pool]int, now time.Time) *seen {
	out := &seen{executors: found, present: map[Pool]time.Time{}, began: now, at: now}
	if s != nil && now.Sub(s.at) <= goodFor {
		out.began = s.began
		maps.Copy(out.present, s.present)
	}
	for p := range found {
		out.present[p] = now
	}
	return out
}

// Watch looks for executors in the background, so that nobody waits for an answer. It is safe for concurrent use.
type Watch struct {
	bus    *bus.Bus
	wanted func() []Pool
	now    func() time.Time
	log    *zap.Logger
	last   atomic.Pointer[seen]
}

// New makes a Watch; wanted are the pools that are missed when they are empty.
func New(b *bus.Bus, wanted func() []Pool, now func() time.Time, log *zap.Logger) *Watch {
	return &Watch{bus: b, wanted: wanted, now: now, log: log.Named("pools")}
}

// Online is how many executors of a pool were seen lately. Known is false when the last look is too old or there was none, and
// while a pool has been missed for a moment only.
func (w *Watch) Online(zone, pool string) (executors int, known bool) {
	s := w.last.Load()
	if s == nil || w.now().Sub(s.at) > goodFor {
		return 0, false
	}
	p := Pool{zone, pool}
	if n := s.executors[p]; n > 0 {
		return n, true
	}
	since := s.began
	if last, was := s.present[p]; was {
		since = last
	}
	return 0, s.at.Sub(since) >= absentFor
}

// Run looks until ctx ends.
func (w *Watch) Run(ctx context.Context) {
	for {
		found, err := w.look(ctx)
		if err != nil && ctx.Err() == nil {
			w.log.Debug("no look for executors", zap.Error(err)) // the connection tells its troubles itself
		}
		if err == nil {
			w.last.Store(w.last.Load().next(found, w.now()))
		}
		timer := time.NewTimer(w.pause(found, err))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
	}
}

func (w *Watch) pause(found map[Pool]int, err error) time.Duration {
	if err != nil {
		return emptyEvery
	}
	for _, p := range w.wanted() {
		if found[p] == 0 {
			return emptyEvery
		}
	}
	return every
}

// look asks all executors who they are and counts those that answer in time.
func (w *Watch) look(ctx context.Context) (map[Pool]int, error) {
	all, err := w.bus.Find(ctx, wire.ServiceExecutor, gatherFor, gatherFor)
	if err != nil {
		return nil, err
	}
	found := map[Pool]int{}
	for _, s := range all {
		if p := (Pool{s.Metadata[wire.MetaZone], s.Metadata[wire.MetaPool]}); p.Zone != "" && p.Pool != "" {
			found[p]++
		}
	}
	return found, nil
}
