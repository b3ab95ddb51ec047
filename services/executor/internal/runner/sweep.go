package runner

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"palmops/libs/fault"
	"palmops/libs/wire"
	"palmops/services/executor/internal/kind"
	"palmops/services/executor/internal/life"
)

// sweeper watches the records of other executors' actions, so that a running action whose owner is gone is looked after even
// when its message does not come back: a frozen process goes on holding messages that the server hands to it.
type sweeper struct {
	r    *Runner
	mu   sync.Mutex
	seen map[string]uint64 // running actions of other owners, and their revision
}

// run sweeps until ctx ends, and waits for the probes it has begun.
func (s *sweeper) run(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { s.listen(ctx) })
	t := time.NewTicker(s.r.o.Timing.Beat)
	defer t.Stop()
	slots := make(chan struct{}, 2*watchers)
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		for _, id := range s.still() {
			select {
			case slots <- struct{}{}:
			default:
				continue // next time
			}
			wg.Go(func() {
				defer func() { <-slots }()
				if err := s.adopt(context.WithoutCancel(ctx), id); err != nil {
					s.r.o.Log.Warn("dead owner's action not settled; it will be tried again", zap.String("action", id), zap.Error(err))
				}
			})
		}
	}
}

// listen notes every change of a record.
func (s *sweeper) listen(ctx context.Context) {
	for ctx.Err() == nil {
		w, err := s.r.store.kv.WatchAll(ctx, jetstream.UpdatesOnly(), jetstream.IgnoreDeletes())
		if err != nil {
			_ = kind.Pause(ctx, time.Second) // an ended context ends the loop
			continue
		}
		s.r.watching.Store(true)
		for e := range w.Updates() {
			if e != nil && !strings.Contains(e.Key(), ".") /* a lock */ {
				s.note(e)
			}
		}
		_ = w.Stop() // it has ended already
	}
}

func (s *sweeper) note(e jetstream.KeyValueEntry) {
	var rec wire.Record
	if json.Unmarshal(e.Value(), &rec) != nil || rec.Zone != s.r.o.Catalog.Zone || rec.Pool != s.r.o.Catalog.Pool {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if (rec.State != wire.StateRunning || rec.Owner == s.r.o.Self) && !orphan(&rec) {
		delete(s.seen, rec.ID)
		return
	}
	s.seen[rec.ID] = e.Revision()
	s.r.observer.See(rec.ID, e.Revision(), time.Now())
}

// still lists the actions whose records have stood still for too long.
func (s *sweeper) still() (ids []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, rev := range s.seen {
		if alive, _ := s.r.observer.See(id, rev, time.Now()); !alive {
			ids = append(ids, id)
		}
	}
	return ids
}

// adopt settles one running action whose owner is gone, if that is still so.
func (s *sweeper) adopt(ctx context.Context, id string) error {
	r := s.r
	if !r.enter(id) {
		return nil // its message is being handled
	}
	defer r.leave(id)
	ctx, cancel := context.WithTimeout(ctx, margin)
	defer cancel()
	defer context.AfterFunc(r.end, cancel)()
	rec, rev, err := r.store.get(ctx, id)
	if err != nil {
		return err
	}
	if rec == nil || (rec.State != wire.StateRunning || rec.Owner == r.o.Self) && !orphan(rec) {
		s.mu.Lock()
		delete(s.seen, id)
		s.mu.Unlock()
		return nil
	}
	if alive, _ := r.observer.See(id, rev, time.Now()); alive {
		return nil
	}
	if orphan(rec) {
		return r.adoptStep(ctx, rev, rec)
	}
	step := life.On(rec, life.Delivered{Born: *rec, Self: r.o.Self, Now: r.o.Now().UnixMilli()})
	if step.Next != life.Probe {
		return fault.New(fault.Internal, "a running action asks for %q", step.Next)
	}
	if rev, err = r.store.put(ctx, step.Write, rev); err != nil {
		return err
	}
	r.note(step.Write)
	return r.probe(ctx, step.Write, rev)
}
