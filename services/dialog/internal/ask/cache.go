package ask

import (
	"container/list"
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"palmops/libs/fault"
	"palmops/libs/wire"
)

// Limits of what is kept of lists.
const (
	maxEntries = 1024
	maxBytes   = 32 << 20
	maxRenewed = 32 // lists that are fetched anew in the background at once
)

// fetch gets a list anew.
type fetch func(ctx context.Context) (wire.Answer, error)

// cache keeps lists for a while. A new one answers at once; an old one answers at once too, and is fetched anew meanwhile;
// for one that is too old, or not there, all who ask wait for one fetch. It is safe for concurrent use.
type cache struct {
	now    func() time.Time
	log    *zap.Logger
	counts *prometheus.CounterVec

	ctx  context.Context // of all fetches: they serve more than the one who asked
	stop context.CancelFunc
	work sync.WaitGroup

	mu      sync.Mutex
	closed  bool
	entries map[string]*list.Element
	used    *list.List // of *entry, the one asked for last in front
	bytes   int
	flights map[string]*flight
	renewed int
}

type entry struct {
	key    string
	answer wire.Answer
	at     time.Time
	size   int
}

// flight is a fetch on its way. Its fields may be read once done is closed.
type flight struct {
	done   chan struct{}
	answer wire.Answer
	at     time.Time
	err    error
}

func newCache(now func() time.Time, log *zap.Logger, reg prometheus.Registerer) *cache {
	c := &cache{
		now: now, log: log, entries: map[string]*list.Element{}, used: list.New(), flights: map[string]*flight{},
		counts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "palmops_dialog_lists_total", Help: "Lists that menus let grow old, by where they came from: new and old ones kept here, or asked.",
		}, []string{"from"}),
	}
	reg.MustRegister(c.counts)
	c.ctx, c.stop = context.WithCancel(context.Background())
	return c
}

func (c *cache) close() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.stop()
	c.work.Wait()
}

// get finds a list and says of when it is. It waits no longer than ctx.
func (c *cache) get(ctx context.Context, key string, fresh, stale time.Duration, f fetch) (wire.Answer, time.Time, error) {
	c.mu.Lock()
	if el := c.entries[key]; el != nil {
		e := el.Value.(*entry)
		// Clocks are set back at times: a list from the future is as old as it is early.
		age := c.now().Sub(e.at).Abs()
		if age <= fresh+stale {
			c.used.MoveToFront(el)
			from := "new"
			if age > fresh {
				from = "old"
				c.renew(key, f)
			}
			c.mu.Unlock()
			c.counts.WithLabelValues(from).Inc()
			return e.answer, e.at, nil
		}
	}
	fl := c.flights[key]
	if fl == nil && !c.closed {
		fl = c.fly(key, f)
	}
	c.mu.Unlock()
	if fl == nil {
		return wire.Answer{}, time.Time{}, fault.New(fault.Transient, "the dialog is ending")
	}
	c.counts.WithLabelValues("asked").Inc()
	select {
	case <-fl.done:
		return fl.answer, fl.at, fl.err
	case <-ctx.Done():
		return wire.Answer{}, time.Time{}, fault.Wrap(fault.Transient, ctx.Err(), "list")
	}
}

// renew fetches a list anew in the background, unless that is done already or too many are. Mu is held.
func (c *cache) renew(key string, f fetch) {
	if c.closed || c.flights[key] != nil || c.renewed >= maxRenewed {
		return
	}
	c.renewed++
	fl := c.fly(key, f)
	c.work.Go(func() {
		<-fl.done
		c.mu.Lock()
		c.renewed--
		c.mu.Unlock()
		if fl.err != nil && c.ctx.Err() == nil {
			c.log.Warn("an old list could not be fetched anew; it goes on", zap.String("kind", string(fault.KindOf(fl.err))), zap.Error(fl.err))
		}
	})
}

// fly starts a fetch. Mu is held.
func (c *cache) fly(key string, f fetch) *flight {
	fl := &flight{done: make(chan struct{})}
	c.flights[key] = fl
	c.work.Go(func() {
		fl.answer, fl.err = f(c.ctx)
		fl.at = c.now()
		c.mu.Lock()
		delete(c.flights, key)
		if fl.err == nil {
			c.keep(&entry{key: key, answer: fl.answer, at: fl.at, size: sizeOf(key, fl.answer)})
		}
		c.mu.Unlock()
		close(fl.done)
	})
	return fl
}

// keep puts a list in and lets go of those that were asked for longest ago. Mu is held.
func (c *cache) keep(e *entry) {
	if el := c.entries[e.key]; el != nil {
		c.drop(el)
	}
	c.entries[e.key] = c.used.PushFront(e)
	c.bytes += e.size
	for c.used.Len() > maxEntries || c.bytes > maxBytes {
		c.drop(c.used.Back())
	}
}

func (c *cache) drop(el *list.Element) {
	e := c.used.Remove(el).(*entry)
	delete(c.entries, e.key)
	c.bytes -= e.size
}

// sizeOf is about what an entry takes in memory.
func sizeOf(key string, a wire.Answer) int {
	const perEntry, perItem = 200, 48
	size := perEntry + len(key)
	for _, it := range a.Items {
		size += perItem + len(it.Value) + len(it.Label) + len(it.Detail)
	}
	return size
}
