// Package survey looks at a running system over its bus: which executors there are and what they offer, which orders wait,
// and what the records say. It changes nothing.
package survey

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"palmops/libs/bus"
	"palmops/libs/fault"
	"palmops/libs/wire"
)

// How long executors have to answer: all of them, and after the last one that did.
const (
	findWait  = time.Second
	findQuiet = 300 * time.Millisecond
)

// Pool is one pool of executors as it is now.
type Pool struct {
	Zone, Pool string
	Executors  []Executor
	Offer      *wire.Offer // of one of them; nil when none answered
	Waiting    int         // orders that no executor holds
	InWork     int         // orders that executors hold
	Oldest     time.Time   // of the waiting ones; zero when none waits
}

// Name is zone/pool.
func (p Pool) Name() string { return p.Zone + "/" + p.Pool }

// Executor is one member of a pool.
type Executor struct {
	Instance, Version string
	Catalog           string // digest
}

// Pools finds all pools that have an executor or an order, by name. Errors: Transient.
func Pools(ctx context.Context, b *bus.Bus) ([]Pool, error) {
	found, err := b.Find(ctx, wire.ServiceExecutor, findWait, findQuiet)
	if err != nil {
		return nil, err
	}
	pools := map[string]*Pool{}
	at := func(zone, pool string) *Pool {
		p := pools[zone+"/"+pool]
		if p == nil {
			p = &Pool{Zone: zone, Pool: pool}
			pools[p.Name()] = p
		}
		return p
	}
	for _, s := range found {
		p := at(s.Metadata[wire.MetaZone], s.Metadata[wire.MetaPool])
		p.Executors = append(p.Executors, Executor{Instance: s.Metadata[wire.MetaInstance], Version: s.Version, Catalog: s.Metadata[wire.MetaCatalog]})
	}
	orders, err := Orders(ctx, b)
	if err != nil {
		return nil, err
	}
	for _, o := range orders {
		at(o.Zone, o.Pool)
	}
	var out []Pool
	for _, p := range pools {
		if err := p.complete(ctx, b, orders); err != nil {
			return nil, err
		}
		out = append(out, *p)
	}
	slices.SortFunc(out, func(a, b Pool) int { return strings.Compare(a.Name(), b.Name()) })
	return out, nil
}

// complete asks what the pool offers, and counts its orders.
func (p *Pool) complete(ctx context.Context, b *bus.Bus, orders []Order) error {
	if len(p.Executors) > 0 {
		octx, cancel := context.WithTimeout(ctx, findWait)
		defer cancel()
		var offer wire.Offer
		if err := b.Ask(octx, wire.OfferSubject(p.Zone, p.Pool), struct{}{}, &offer); err == nil {
			p.Offer = &offer
		}
	}
	c, err := b.JS.Consumer(ctx, wire.StreamAct, "exec-"+p.Zone+"-"+p.Pool)
	switch {
	case err == nil:
		p.InWork = c.CachedInfo().NumAckPending
	case !errors.Is(err, jetstream.ErrConsumerNotFound):
		return fault.Wrap(fault.Transient, err, "consumer of "+p.Name())
	}
	all := 0
	for _, o := range orders {
		if o.Zone == p.Zone && o.Pool == p.Pool {
			if all++; p.Oldest.IsZero() || o.At.Before(p.Oldest) {
				p.Oldest = o.At
			}
		}
	}
	if p.Waiting = max(0, all-p.InWork); p.Waiting == 0 {
		p.Oldest = time.Time{}
	}
	return nil
}

// Order is an order that lies in the queue: waiting, or in an executor's hands.
type Order struct {
	Zone, Pool, Action, ID string
	At                     time.Time
}

// maxOrders is how many orders are read at most; a queue that is longer is reported by its first ones.
const maxOrders = 10_000

// Orders reads the queue in its order. Errors: Transient.
func Orders(ctx context.Context, b *bus.Bus) ([]Order, error) {
	stream, err := b.JS.Stream(ctx, wire.StreamAct)
	if err != nil {
		return nil, fault.Wrap(fault.Transient, err, "stream "+wire.StreamAct)
	}
	var out []Order
	for seq := stream.CachedInfo().State.FirstSeq; len(out) < maxOrders; {
		msg, err := stream.GetMsg(ctx, seq, jetstream.WithGetMsgSubject("act.>"))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			break
		}
		if err != nil {
			return nil, fault.Wrap(fault.Transient, err, "orders")
		}
		seq = msg.Sequence + 1
		if w := strings.Split(msg.Subject, "."); len(w) == 5 {
			out = append(out, Order{Zone: w[1], Pool: w[2], Action: strings.ReplaceAll(w[3], "_", "."), ID: w[4], At: msg.Time})
		}
	}
	return out, nil
}

// Records reads all records of actions that keep wants, newest first. Errors: Transient.
func Records(ctx context.Context, b *bus.Bus, keep func(*wire.Record) bool) ([]wire.Record, error) {
	kv, err := b.JS.KeyValue(ctx, wire.BucketActions)
	if err != nil {
		return nil, fault.Wrap(fault.Transient, err, "bucket "+wire.BucketActions)
	}
	w, err := kv.WatchAll(ctx, jetstream.IgnoreDeletes())
	if err != nil {
		return nil, fault.Wrap(fault.Transient, err, "records")
	}
	defer func() { _ = w.Stop() }() // it ends with the connection as well
	var out []wire.Record
	for {
		select {
		case <-ctx.Done():
			return nil, fault.Wrap(fault.Transient, ctx.Err(), "records")
		case e, open := <-w.Updates():
			if !open {
				return nil, fault.New(fault.Transient, "records: the connection broke")
			}
			if e == nil { // all there was
				slices.SortFunc(out, func(a, b wire.Record) int {
					if a.Created != b.Created {
						return int(min(max(b.Created-a.Created, -1), 1))
					}
					return strings.Compare(a.ID, b.ID)
				})
				return out, nil
			}
			var r wire.Record
			// Keys with a dot are locks.
			if !strings.Contains(e.Key(), ".") && json.Unmarshal(e.Value(), &r) == nil && r.ID == e.Key() && keep(&r) {
				out = append(out, r)
			}
		}
	}
}
