// Package runner is the shell around an action's life: it takes orders from ACT, lets the guard judge and package life decide, writes
// the record, lets the kind work, and reports on RES.
//
// Who owns an action is decided by compare-and-set on its record and by nothing else; the queue's acknowledgements are only flow
// control. An owner writes a heartbeat into the record; whoever is handed the same message meanwhile watches the record by
// his own clock and steps in when it has stood still for the lease and the skew allowance. An owner that lost a write
// changes nothing any more; what it had found out is kept as evidence in the audit only.
package runner

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"palmops/libs/bus"
	"palmops/libs/fault"
	"palmops/libs/wire"
	"palmops/services/executor/catalog"
	"palmops/services/executor/internal/guard"
	"palmops/services/executor/internal/kind"
	"palmops/services/executor/internal/life"
	"palmops/services/executor/internal/mask"
)

// Timing of ownership. The same values for every executor of a pool.
type Timing struct {
	Lease   time.Duration // a record that stands still for Lease + Skew has no owner any more
	Skew    time.Duration
	Beat    time.Duration // between two heartbeats
	AckWait time.Duration // after which an unsettled message goes to somebody else
	Stop    time.Duration // what running actions get to finish when the executor stops
	Lock    time.Duration // how long an action waits for another one on the same target
	Prepare time.Duration // how long a kind may take to read before its first effect
	Probe   time.Duration // how long a kind may take to look
	Ask     time.Duration // how long the owner of an action is waited for when it is to be cancelled
}

// DefaultTiming makes a dead owner known to the user within 30 s: 8 s until the message comes back, 12 s of standing still,
// and the probe.
func DefaultTiming() Timing {
	return Timing{
		Lease: 8 * time.Second, Skew: 4 * time.Second, Beat: 2500 * time.Millisecond, AckWait: 8 * time.Second,
		Stop: 20 * time.Second, Lock: 10 * time.Second, Prepare: 10 * time.Second, Probe: 8 * time.Second,
		Ask: 5 * time.Second,
	}
}

// margin is what an action may take beyond its timeout: lock, preparation, settling and the writing of the result.
const margin = 2 * time.Minute

// writeOut is what is left for writing results after running actions have been ended.
const writeOut = 5 * time.Second

// Auditor takes audit lines without making the caller wait.
type Auditor interface{ Write(wire.AuditLine) }

// Options are what a runner needs.
type Options struct {
	Bus     *bus.Bus
	Catalog *catalog.Catalog
	Guard   *guard.Guard
	Kinds   map[string]kind.Kind
	Self    string // instance; never the same for two processes
	Workers int    // actions at work at once in this process
	Timing  Timing
	Audit   Auditor
	Metrics prometheus.Registerer
	Log     *zap.Logger
	Now     func() time.Time // the wall clock, for expiry and for times in records
}

// watchers is how many messages beyond Workers are taken, so that a dead owner's action is looked after while all workers are busy.
const watchers = 2

// Runner takes and runs the actions of one pool.
type Runner struct {
	o        Options
	store    store
	outputs  outputs
	mask     *mask.Live
	locks    locks
	observer *life.Observer
	metrics  metrics
	slots    chan struct{}

	stopping context.Context // ended when the runner begins to stop
	stop     context.CancelFunc
	halt     context.Context // ended when running actions have had their time
	halted   context.CancelFunc
	end      context.Context // ended when nothing more may be waited for
	ended    context.CancelFunc

	watching atomic.Bool // records of other executors' actions are being followed

	mu      sync.Mutex
	working map[string]bool
	held    map[string]*hold // actions in this executor's hands
}

// New makes a runner. Streams and buckets must have been declared. Errors: Transient when the bucket cannot be reached.
func New(ctx context.Context, o Options) (*Runner, error) {
	kv, err := o.Bus.JS.KeyValue(ctx, wire.BucketActions)
	if err != nil {
		return nil, fault.Wrap(fault.Transient, err, "bucket "+wire.BucketActions)
	}
	objects, err := o.Bus.JS.ObjectStore(ctx, wire.BucketOutputs)
	if err != nil {
		return nil, fault.Wrap(fault.Transient, err, "object store "+wire.BucketOutputs)
	}
	r := &Runner{
		o: o, store: store{kv: kv}, outputs: outputs{objects: objects}, mask: mask.Over(o.Kinds, o.Catalog.Mask), observer: life.NewObserver(o.Timing.Lease + o.Timing.Skew),
		metrics: newMetrics(o.Metrics), slots: make(chan struct{}, o.Workers), working: map[string]bool{}, held: map[string]*hold{},
	}
	r.locks = locks{store: r.store, zone: o.Catalog.Zone, observer: r.observer, retry: min(o.Timing.Beat, time.Second) / 2}
	r.stopping, r.stop = context.WithCancel(context.Background())
	r.halt, r.halted = context.WithCancel(context.Background())
	r.end, r.ended = context.WithCancel(context.Background())
	return r, nil
}

// Durable is the name of a pool's consumer on ACT.
func Durable(zone, pool string) string { return "exec-" + zone + "-" + pool }

// Run takes actions until ctx ends. Then it takes no more, gives back what has not begun, lets running actions finish for
// Timing.Stop, ends the rest, and returns when all have been recorded.
func (r *Runner) Run(ctx context.Context) error {
	back, done := context.WithCancel(context.Background())
	defer done()
	defer context.AfterFunc(ctx, func() {
		r.stop()
		if kind.Pause(back, r.o.Timing.Stop) != nil {
			return
		}
		r.halted()
		if kind.Pause(back, writeOut) == nil {
			r.ended()
		}
	})()
	sctx, still := context.WithCancel(ctx)
	var sweep sync.WaitGroup
	sweep.Go(func() { (&sweeper{r: r, seen: map[string]uint64{}}).run(sctx) })
	defer sweep.Wait()
	defer still()
	quiet, err := r.listen()
	if err != nil {
		return err
	}
	defer quiet()
	c := r.o.Catalog
	return r.o.Bus.Consume(ctx, bus.Consumer{
		Stream: wire.StreamAct, Durable: Durable(c.Zone, c.Pool), Filter: wire.ActPool(c.Zone, c.Pool),
		Lane: c.Concurrency, Workers: r.o.Workers + watchers,
		AckWait: r.o.Timing.AckWait, Deadline: c.LongestTimeout() + margin, Sure: true,
	}, r.handle)
}

// handle settles one message. It is exclusive for each action in this process.
func (r *Runner) handle(ctx context.Context, m *bus.Msg) error {
	defer r.keep(m)()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(r.end, cancel)()
	order, err := r.o.Guard.Order(m.Data, r.o.Now())
	var no *guard.Refusal
	if err != nil && !errors.As(err, &no) {
		return fault.Wrap(fault.Internal, err, "guard")
	}
	if no != nil {
		r.refused(m, no)
		if !no.Proven {
			r.tellUnproven(ctx, no)
			return no
		}
	}
	born := bornOf(order, no)
	if !r.enter(born.ID) {
		return bus.Later(r.o.Timing.Beat, errors.New("at work in this process already"))
	}
	defer r.leave(born.ID)
	for {
		again, err := r.deliver(ctx, born, no)
		if !again {
			return err
		}
	}
}

// deliver makes one step with a message. Again asks for another look at the record.
func (r *Runner) deliver(ctx context.Context, born wire.Record, no *guard.Refusal) (again bool, err error) {
	rec, rev, err := r.store.get(ctx, born.ID)
	if err != nil {
		return false, err
	}
	t := langOf(&born)
	ev := life.Delivered{Born: born, Self: r.o.Self, GivenUp: texts.Say(t, "begin.given_up"), Now: r.o.Now().UnixMilli()}
	if no != nil {
		ev.Refused = &life.Refused{State: no.State(), Text: fault.SafeIn(no, t)}
	}
	var rest time.Duration
	if rec != nil && rec.Owner != r.o.Self { // a record of its own that it does not work on has no owner
		ev.Alive, rest = r.observer.See(rec.ID, rev, time.Now())
	}
	step := life.On(rec, ev)
	if step.Next == life.Prepare && born.Action != wire.ActionCancel { // which is quick, and may be what frees a worker
		release, ok := r.slot(ctx)
		if !ok {
			return false, bus.Later(0, errors.New("all workers are busy"))
		}
		defer release()
	}
	if step.Write != nil {
		rev, err = r.store.put(ctx, step.Write, rev)
		if errors.Is(err, errMoved) {
			return true, nil
		}
		if err != nil {
			return false, err
		}
		rec = step.Write
		r.note(rec)
	}
	switch step.Next {
	case life.Prepare:
		return false, r.work(ctx, rec, rev)
	case life.Probe:
		return false, r.probe(ctx, rec, rev)
	case life.Tell:
		r.observer.Forget(rec.ID)
		return false, r.tell(ctx, rec, rev, "")
	case life.Wait:
		return r.watch(ctx, rec.ID, rev, rest)
	}
	r.o.Audit.Write(line(&born, "refused", "reused"))
	r.metrics.refused.WithLabelValues("reused").Inc()
	return false, fault.New(fault.Denied, "the action id is used by another order")
}

// watch stays with an action that somebody else owns until its record moves or has stood still long enough. It gives the
// message back when the owner proves to be alive, so that no worker is tied up for as long as another one works.
func (r *Runner) watch(ctx context.Context, id string, rev uint64, rest time.Duration) (again bool, err error) {
	alive := bus.Later(2*r.o.Timing.Beat, errors.New("another executor works on it"))
	t := time.NewTicker(min(r.o.Timing.Beat, time.Second) / 2)
	defer t.Stop()
	over := time.NewTimer(rest)
	defer over.Stop()
	for {
		select {
		case <-r.stopping.Done():
			return false, alive
		case <-ctx.Done():
			return false, alive
		case <-over.C:
			return true, nil
		case <-t.C:
		}
		rec, now, err := r.store.get(ctx, id)
		if err != nil {
			return false, err
		}
		if now != rev {
			r.observer.See(id, now, time.Now())
			return rec != nil && wire.Final(rec.State), alive
		}
	}
}

func bornOf(o guard.Order, no *guard.Refusal) wire.Record {
	c, args := o.Claims, o.Raw
	if no != nil {
		c, args = no.Claims, no.Raw
	}
	return wire.Record{
		V: wire.Version, ID: c.ID, Corp: c.Corp, App: c.App, User: c.User, Zone: c.Zone, Pool: c.Pool, Action: c.Action, Title: c.Title,
		Args: args, ArgsHash: c.ArgsHash, IssuedAt: c.IssuedAt, Expires: c.Expires, Lang: c.Lang,
		Noop: c.Noop, Report: c.Report,
	}
}

// keep tells the server that the message is in work until the returned function is called.
func (r *Runner) keep(m *bus.Msg) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		t := time.NewTicker(r.o.Timing.Beat)
		defer t.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-t.C:
				_ = m.Working() // without it the message comes to somebody else, who will see that its record is alive
			}
		}
	})
	return func() {
		cancel()
		wg.Wait()
	}
}

func (r *Runner) enter(id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.working[id] {
		return false
	}
	r.working[id] = true
	return true
}

func (r *Runner) leave(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.working, id)
}

// slotWait is how long a message that is to be worked on waits here for a worker before it is given back, so that another
// replica may have one. Without the wait a full replica would go through the whole queue again and again.
const slotWait = 500 * time.Millisecond

// slot is a worker, waited for a little.
func (r *Runner) slot(ctx context.Context) (release func(), ok bool) {
	over := time.NewTimer(slotWait)
	defer over.Stop()
	select {
	case r.slots <- struct{}{}:
		return func() { <-r.slots }, true
	case <-over.C:
	case <-r.stopping.Done():
	case <-ctx.Done():
	}
	return nil, false
}
