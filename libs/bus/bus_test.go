package bus_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"strconv"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"palmops/libs/bus"
	"palmops/libs/bus/bustest"
	"palmops/libs/fault"
	"palmops/libs/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// within is a guard against hanging tests, never a measure.
func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func take[T any](t *testing.T, ctx context.Context, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-ctx.Done():
		t.Fatal("nothing came")
		panic("unreachable")
	}
}

func TestPublishKnowsADuplicateAlsoAfterARestart(t *testing.T) {
	srv := bustest.New(t)
	b := srv.Connect("test")
	ctx := within(t)
	subject := wire.InSubject("c", "ops", "zhangsan")
	first, err := b.Publish(ctx, subject, "m1", wire.Inbound{ID: "m1"})
	if err != nil || first.Duplicate {
		t.Fatalf("first: %+v %v", first, err)
	}
	// Consumed and acknowledged: a work queue would forget it over the restart.
	consumed := make(chan uint64, 1)
	cctx, stop := context.WithCancel(ctx)
	var done sync.WaitGroup
	done.Go(func() {
		_ = b.Consume(cctx, bus.Consumer{Stream: wire.StreamIn, Durable: "d", Filter: "in.>", Sure: true},
			func(_ context.Context, m *bus.Msg) error { consumed <- m.Seq; return nil })
	})
	if seq := take(t, ctx, consumed); seq != first.Seq {
		t.Errorf("consumed %d, published %d", seq, first.Seq)
	}
	stop()
	done.Wait()
	srv.Restart()
	again := publishOnceConnected(t, ctx, b, subject, "m1")
	if !again.Duplicate || again.Seq != first.Seq {
		t.Errorf("after the restart: %+v, want a duplicate of %d", again, first.Seq)
	}
	data, err := b.Stored(ctx, wire.StreamIn, first.Seq)
	if err != nil || len(data) == 0 {
		t.Errorf("stored: %q %v", data, err)
	}
}

func publishOnceConnected(t *testing.T, ctx context.Context, b *bus.Bus, subject, id string) bus.Ack {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		ack, err := b.Publish(ctx, subject, id, wire.Inbound{ID: id})
		if err == nil {
			return ack
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("never connected again: %v", err)
		}
	}
}

func TestPublishSaysWhetherItMayHaveBeenStored(t *testing.T) {
	srv := bustest.New(t)
	srv.Connect("declare")
	hole := newHole(t, srv.Addr())
	ctx := within(t)
	b, err := bus.Connect(ctx, bus.Options{URL: "nats://" + hole.addr(), Name: "test", Timeout: 2 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if _, err := b.Publish(ctx, "nobody.stores.this", "x", 1); !fault.Is(err, fault.Transient) {
		t.Errorf("no stream: %v is %s, want transient", err, fault.KindOf(err))
	}
	hole.freeze()
	if _, err := b.Publish(ctx, wire.InSubject("c", "ops", "u"), "x", 1); !fault.Is(err, fault.Unknown) {
		t.Errorf("frozen: %v is %s, want unknown", err, fault.KindOf(err))
	}
	hole.close()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for b.Ready(ctx) == nil {
		take(t, ctx, tick.C)
	}
	if _, err := b.Publish(ctx, wire.InSubject("c", "ops", "u"), "y", 1); !fault.Is(err, fault.Transient) {
		t.Errorf("disconnected: %v is %s, want transient", err, fault.KindOf(err))
	}
	if err := b.Ask(ctx, "nobody", 1, new(int)); !fault.Is(err, fault.Transient) {
		t.Errorf("ask while disconnected: %v", err)
	}
}

func TestLaneKeepsOrderAcrossReplicasAndRetries(t *testing.T) {
	srv := bustest.New(t)
	ctx := within(t)
	pub := srv.Connect("publisher")
	const n = 60
	subject := wire.InSubject("c", "ops", "zhangsan")
	for i := range n {
		if _, err := pub.Publish(ctx, subject, strconv.Itoa(i), i); err != nil {
			t.Fatal(err)
		}
	}
	got := make(chan string, n)
	var mu sync.Mutex
	failed := map[string]bool{}
	cctx, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	for range 3 {
		b := srv.Connect("replica")
		wg.Go(func() {
			_ = b.Consume(cctx, bus.Consumer{Stream: wire.StreamIn, Durable: "d", Filter: "in.>", Retry: time.Millisecond}, func(_ context.Context, m *bus.Msg) error {
				mu.Lock()
				defer mu.Unlock()
				id := string(m.Data)
				if !failed[id] && m.Seq%7 == 0 {
					failed[id] = true
					return fault.New(fault.Transient, "first try fails")
				}
				got <- id
				return nil
			})
		})
	}
	for i := range n {
		if id := take(t, ctx, got); id != strconv.Itoa(i) {
			t.Fatalf("place %d: got %s", i, id)
		}
	}
	stop()
	wg.Wait()
}

func TestKindDecidesWhatBecomesOfAMessage(t *testing.T) {
	want := map[fault.Kind]bus.Settlement{
		fault.Invalid: bus.Drop, fault.Denied: bus.Drop, fault.Expired: bus.Drop, fault.NotFound: bus.Drop,
		fault.Conflict: bus.Again, fault.Transient: bus.Again, fault.Unknown: bus.Again, fault.Internal: bus.Again,
	}
	for _, kind := range fault.Kinds() {
		if got := bus.Settle(fault.New(kind, "x")); got != want[kind] {
			t.Errorf("%s: %s, want %s", kind, got, want[kind])
		}
	}
	if bus.Settle(nil) != bus.Done || bus.Settle(errors.New("x")) != bus.Again || bus.Settle(bus.Later(1, errors.New("x"))) != bus.Again {
		t.Error("nil, plain or later error")
	}

	srv := bustest.New(t)
	b := srv.Connect("test")
	ctx := within(t)
	for _, id := range []string{"drop", "panic", "later", "last"} {
		if _, err := b.Publish(ctx, "in.00.c.ops.u", id, id); err != nil {
			t.Fatal(err)
		}
	}
	type seen struct {
		id        string
		delivered uint64
	}
	got := make(chan seen, 16)
	cctx, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		_ = b.Consume(cctx, bus.Consumer{Stream: wire.StreamIn, Durable: "d", Filter: "in.>", Retry: time.Millisecond}, func(_ context.Context, m *bus.Msg) error {
			id := string(m.Data)
			got <- seen{id, m.Delivered}
			switch {
			case id == `"drop"`:
				return fault.New(fault.Invalid, "poison")
			case id == `"panic"` && m.Delivered == 1:
				panic("poison")
			case id == `"later"` && m.Delivered == 1:
				return bus.Later(time.Millisecond, errors.New("not yet"))
			}
			return nil
		})
	})
	for _, w := range []seen{{`"drop"`, 1}, {`"panic"`, 1}, {`"panic"`, 2}, {`"later"`, 1}, {`"later"`, 2}, {`"last"`, 1}} {
		if s := take(t, ctx, got); s != w {
			t.Errorf("got %+v, want %+v", s, w)
		}
	}
	stop()
	wg.Wait()
}

func TestAMessageInWorkIsFinishedAtAStop(t *testing.T) {
	srv := bustest.New(t)
	b := srv.Connect("test")
	ctx := within(t)
	if _, err := b.Publish(ctx, "in.00.c.ops.u", "1", 1); err != nil {
		t.Fatal(err)
	}
	begun, release := make(chan struct{}), make(chan struct{})
	cctx, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() {
		ended <- b.Consume(cctx, bus.Consumer{Stream: wire.StreamIn, Durable: "d", Filter: "in.>", Sure: true}, func(hctx context.Context, _ *bus.Msg) error {
			close(begun)
			<-release
			return hctx.Err()
		})
	}()
	take(t, ctx, begun)
	stop()
	close(release)
	if err := take(t, ctx, ended); err != nil {
		t.Fatal(err)
	}
	cons, err := b.JS.Consumer(ctx, wire.StreamIn, "d")
	if err != nil {
		t.Fatal(err)
	}
	if info, err := cons.Info(ctx); err != nil || info.AckFloor.Stream != 1 || info.NumAckPending != 0 {
		t.Errorf("not acknowledged: %+v %v", info, err)
	}
}

func TestAskAndServe(t *testing.T) {
	srv := bustest.New(t)
	b := srv.Connect("test")
	ctx := within(t)
	var answer wire.Answer
	if err := b.Ask(ctx, "ask.local.k8s.x", wire.Question{}, &answer); !bus.NobodyListens(err) || !fault.Is(err, fault.Transient) {
		t.Errorf("nobody there: %v", err)
	}
	stop, err := b.Serve("ask.local.k8s.*", "q", 2, func(_ context.Context, subject string, _ []byte) any {
		return wire.Answer{V: 1, Fields: map[string]string{"subject": subject}}
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Ask(ctx, "ask.local.k8s.x", wire.Question{}, &answer); err != nil || answer.Fields["subject"] != "ask.local.k8s.x" {
		t.Errorf("%v %+v", err, answer)
	}
	stop()
	if err := b.Ask(ctx, "ask.local.k8s.x", wire.Question{}, &answer); !bus.NobodyListens(err) {
		t.Errorf("after stop: %v", err)
	}
}

// hole is a TCP relay that can go silent, as a frozen server or a dead link does.
type hole struct {
	ln     net.Listener
	mu     sync.Mutex
	conns  []net.Conn
	frozen bool
	wg     sync.WaitGroup
}

func newHole(t *testing.T, to string) *hole {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := &hole{ln: ln}
	h.wg.Go(func() {
		for {
			in, err := ln.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", to)
			if err != nil {
				in.Close()
				continue
			}
			h.mu.Lock()
			h.conns = append(h.conns, in, out)
			h.mu.Unlock()
			h.wg.Go(func() { _, _ = io.Copy(gate{in, h}, out) })
			h.wg.Go(func() { _, _ = io.Copy(gate{out, h}, in) })
		}
	})
	t.Cleanup(h.close)
	return h
}

// gate swallows what is written while the hole is frozen.
type gate struct {
	net.Conn
	h *hole
}

func (g gate) Write(p []byte) (int, error) {
	g.h.mu.Lock()
	frozen := g.h.frozen
	g.h.mu.Unlock()
	if frozen {
		return len(p), nil
	}
	return g.Conn.Write(p)
}

func (h *hole) addr() string { return h.ln.Addr().String() }

func (h *hole) freeze() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.frozen = true
}

func (h *hole) close() {
	h.ln.Close()
	h.mu.Lock()
	for _, c := range h.conns {
		c.Close()
	}
	h.mu.Unlock()
	h.wg.Wait()
}

func TestRawPartsKeepTheirBytes(t *testing.T) {
	srv := bustest.New(t)
	b := srv.Connect("test")
	ctx := within(t)
	args, err := wire.CanonicalArgs(map[string]any{"text": "a<b>&c\u2028"})
	if err != nil {
		t.Fatal(err)
	}
	ack, err := b.Publish(ctx, wire.ActSubject("z", "p", "a", "id"), "id", wire.Action{ID: "id", Args: args})
	if err != nil {
		t.Fatal(err)
	}
	data, err := b.Stored(ctx, wire.StreamAct, ack.Seq)
	if err != nil {
		t.Fatal(err)
	}
	var back wire.Action
	if err := json.Unmarshal(data, &back); err != nil || wire.ArgsHash(back.Args) != wire.ArgsHash(args) {
		t.Errorf("%s became %s (%v)", args, back.Args, err)
	}
}
