package runner

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"palmops/libs/wire"
	"palmops/services/executor/internal/kind"
	"palmops/services/executor/internal/life"
)

func TestTheBusGoesAwayWhileAnActionRuns(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	begun, goOn := make(chan struct{}), make(chan struct{})
	k := &book{dir: w.dir, apply: func(context.Context, kind.Work, kind.Hand) (kind.Result, bool) {
		close(begun)
		<-goOn
		return kind.Result{}, false
	}}
	w.executor("one", DefaultTiming(), k)
	id := wire.DeriveID("outage")
	w.send(w.order(w.claims(id), scaleArgs("web")), id)
	<-begun
	port := w.srv.Port()
	w.srv.Stop()
	close(goOn) // leave for the effect is asked while the store is away
	w.srv.Start(port)
	ev := w.event()
	want := 0
	if ev.State == wire.StateSucceeded {
		want = 1
	} else if ev.State != wire.StateFailed {
		t.Errorf("event %+v", ev)
	}
	w.effects(id, want) // whichever it was, the report is true
	w.drained()
}

// TestNoEffectWhileTheStoreRefuses: a store that takes no writes, as one with a full disk, keeps the effect from happening.
func TestNoEffectWhileTheStoreRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := wire.DeriveID("full")
	limit := func(size int32) {
		s, err := w.bus.JS.Stream(context.Background(), "KV_"+wire.BucketActions)
		w.check(err)
		cfg := s.CachedInfo().Config
		cfg.MaxMsgSize = size
		_, err = w.bus.JS.UpdateStream(context.Background(), cfg)
		w.check(err)
	}
	k := &book{dir: w.dir}
	full := false
	k.before = func(context.Context) error {
		if !full {
			full = true
			limit(1)
		}
		return nil
	}
	w.executor("one", DefaultTiming(), k)
	w.send(w.order(w.claims(id), scaleArgs("web")), id)
	ctx, cancel := context.WithTimeout(context.Background(), hang)
	defer cancel()
	for again := false; !again; { // until the message has been given back at least once
		w.check(kind.Pause(ctx, 20*time.Millisecond))
		c, err := w.bus.JS.Consumer(ctx, wire.StreamAct, Durable("local", "k8s"))
		if err != nil {
			continue // not made yet
		}
		again = c.CachedInfo().NumRedelivered > 0
	}
	w.effects(id, 0)
	limit(-1)
	if ev := w.event(); ev.State != wire.StateSucceeded {
		t.Errorf("event %+v", ev)
	}
	w.effects(id, 1)
}

// TestRecordsKeepArgumentsAsSigned keeps the arguments of a record in the form that was signed.
func TestRecordsKeepArgumentsAsSigned(t *testing.T) {
	t.Parallel()
	raw, err := wire.CanonicalArgs(map[string]any{"text": "a<b>&c 中文"})
	if err != nil {
		t.Fatal(err)
	}
	data, err := encode(&wire.Record{ID: "a", Args: raw})
	if err != nil {
		t.Fatal(err)
	}
	var rec wire.Record
	if err := json.Unmarshal(data, &rec); err != nil || string(rec.Args) != string(raw) {
		t.Errorf("%s, %v", rec.Args, err)
	}
}

// TestNoEffectUnlessRunningIsWritten: a lost compare-and-set before the effect means no effect by the loser.
func TestNoEffectUnlessRunningIsWritten(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := wire.DeriveID("stolen")
	k := &book{dir: w.dir}
	k.before = func(ctx context.Context) error {
		// Somebody else writes the record while the kind reads: the executor's own write must be refused.
		e, err := w.kv.Get(ctx, id)
		if err != nil {
			return err
		}
		var rec wire.Record
		if err := json.Unmarshal(e.Value(), &rec); err != nil {
			return err
		}
		rec.Owner, rec.Attempt = "somebody else", rec.Attempt+1
		data, err := json.Marshal(rec)
		if err != nil {
			return err
		}
		_, err = w.kv.Update(ctx, id, data, e.Revision())
		k.before = nil
		return err
	}
	w.executor("one", quick(), k)
	w.send(w.order(w.claims(id), scaleArgs("web")), id)
	ev := w.event() // "somebody else" is dead: the action is taken over, once
	if ev.State != wire.StateSucceeded {
		t.Errorf("event %+v", ev)
	}
	w.effects(id, 1)
	if rec := w.state(id, wire.StateSucceeded); rec.Attempt != 3 {
		t.Errorf("attempt %d, want 3", rec.Attempt)
	}
}

// slowAnswers is a bucket whose answers to writes come late: what is written is there by then.
type slowAnswers struct {
	jetstream.KeyValue
	late func()
}

func (s slowAnswers) Update(ctx context.Context, key string, value []byte, rev uint64) (uint64, error) {
	rev, err := s.KeyValue.Update(ctx, key, value, rev)
	s.late()
	return rev, err
}

// TestALateAnswerIsNoFreshLeave: an owner that is stopped between a heartbeat and the answer to it finds that answer when it
// wakes up. It was true long ago, and is no leave for an effect now.
func TestALateAnswerIsNoFreshLeave(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r, err := newRunner(t.Context(), w.bus, w.cat, w.keys, "one", DefaultTiming(), &book{dir: w.dir}, w.audit)
	w.check(err)
	direct := r.store
	id := wire.DeriveID("stopped at its heartbeat")
	rec := wire.Record{V: 1, ID: id, State: wire.StateRunning, Corp: "wwcorp", App: "ops", User: "zhangsan", Action: "k8s.scale", Owner: "one", Attempt: 1, Beat: 1}
	rev, err := direct.put(t.Context(), &rec, 0)
	w.check(err)
	r.store = store{kv: slowAnswers{KeyValue: w.kv, late: func() {
		w.check(kind.Pause(t.Context(), 2*fresh)) // asleep, while somebody else takes the action over
		now, rev, err := direct.get(t.Context(), id)
		w.check(err)
		now.Owner, now.Attempt = "heir", 2
		_, err = direct.put(t.Context(), now, rev)
		w.check(err)
	}}}
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	h := &hold{r: r, id: id, cancel: cancel, rec: &rec, rev: rev}
	if _, err := h.on(ctx, life.Beat{}); err != nil {
		t.Fatal(err)
	}
	r.store = direct
	if err := h.Step(ctx); err == nil {
		t.Error("it has leave for an effect")
	}
}
