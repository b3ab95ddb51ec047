package app

import (
	"context"
	"encoding/json"
	"net"
	"sync"
	"testing"
	"time"

	"palmops/libs/bus"
	"palmops/libs/wire"
)

// dialog is a stand-in that answers every message once, remembers what it said, and pushes what nobody took.
type dialog struct {
	w      *world
	answer func(wire.Inbound) []wire.Screen
	lang   string        // of everybody
	gate   chan struct{} // when set, every message waits for one token before it is answered

	mu    sync.Mutex
	said  map[string]*wire.Reply
	asked map[string]int
	taken chan taken
}

// taken is what became of one reply.
type taken struct {
	id      string
	passive bool
	nobody  bool // no gateway listened
}

func echo(in wire.Inbound) []wire.Screen {
	return []wire.Screen{{Kind: wire.ScreenNotice, Body: []string{"你说：" + in.Text}}}
}

func (w *world) dialog(answerWith func(wire.Inbound) []wire.Screen, gate chan struct{}) *dialog {
	w.t.Helper()
	d := &dialog{w: w, answer: answerWith, gate: gate, said: map[string]*wire.Reply{}, asked: map[string]int{}, taken: make(chan taken, 1024)}
	ctx, cancel := context.WithCancel(w.ctx)
	done := make(chan error, 1)
	go func() {
		done <- w.bus.Consume(ctx, bus.Consumer{Stream: wire.StreamIn, Durable: "dialog", Lane: 64, Workers: 8, AckWait: hang}, d.handle)
	}()
	stop, err := w.bus.Serve(wire.SaidSubject(testCorp, "ops"), "dialog", 8, func(_ context.Context, _ string, data []byte) any {
		var q wire.SaidQuery
		if err := json.Unmarshal(data, &q); err != nil {
			return nil
		}
		d.mu.Lock()
		defer d.mu.Unlock()
		d.asked[q.ID]++
		return wire.Said{V: wire.Version, Reply: d.said[q.ID]}
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		stop()
		cancel()
		<-done
	})
	return d
}

func (d *dialog) handle(ctx context.Context, m *bus.Msg) error {
	var in wire.Inbound
	if err := json.Unmarshal(m.Data, &in); err != nil {
		return err
	}
	if d.gate != nil {
		select {
		case <-d.gate:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	r := &wire.Reply{V: wire.Version, ID: in.ID, Corp: in.Corp, App: in.App, User: in.User, Screens: d.answer(in), Lang: d.lang}
	d.mu.Lock()
	d.said[in.ID] = r
	d.mu.Unlock()
	actx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	var t wire.ReplyTaken
	err := d.w.bus.Ask(actx, wire.ReplySubject(in.Corp, in.App, in.ID), r, &t)
	d.taken <- taken{id: in.ID, passive: err == nil && t.Passive, nobody: bus.NobodyListens(err)}
	if err == nil && t.Passive {
		return nil
	}
	_, err = d.w.bus.Publish(ctx, wire.OutSubject(in.Corp, in.App, in.User), in.ID+":reply", wire.Outbound{
		V: wire.Version, ID: in.ID + ":reply", Corp: in.Corp, App: in.App, User: in.User, Screens: r.Screens,
		InReplyTo: in.ID, SaidText: in.Text, SentAt: in.SentAt, Lang: d.lang,
	})
	return err
}

func (d *dialog) next() taken {
	d.w.t.Helper()
	select {
	case t := <-d.taken:
		return t
	case <-time.After(hang):
		d.w.t.Fatal("dialog answers nothing")
		return taken{}
	}
}

// hole is a TCP proxy in front of the bus that can swallow everything, as a frozen server does, or cut its connections.
type hole struct {
	ln     net.Listener
	target string
	mu     sync.Mutex
	open   *sync.Cond
	frozen bool
	conns  []net.Conn
	wg     sync.WaitGroup
}

func newHole(t *testing.T, target string) *hole {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := &hole{ln: ln, target: target}
	h.open = sync.NewCond(&h.mu)
	h.wg.Go(h.accept)
	t.Cleanup(func() {
		_ = ln.Close()
		h.freeze(false)
		h.cut()
		h.wg.Wait()
	})
	return h
}

func (h *hole) url() string { return "nats://" + h.ln.Addr().String() }

func (h *hole) accept() {
	for {
		in, err := h.ln.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", h.target)
		if err != nil {
			_ = in.Close()
			continue
		}
		h.mu.Lock()
		h.conns = append(h.conns, in, out)
		h.mu.Unlock()
		h.wg.Go(func() { h.copy(out, in) })
		h.wg.Go(func() { h.copy(in, out) })
	}
}

func (h *hole) copy(to, from net.Conn) {
	defer func() { _, _ = to.Close(), from.Close() }()
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		h.mu.Lock()
		for h.frozen {
			h.open.Wait()
		}
		h.mu.Unlock()
		if n > 0 {
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func (h *hole) freeze(on bool) {
	h.mu.Lock()
	h.frozen = on
	h.mu.Unlock()
	h.open.Broadcast()
}

func (h *hole) cut() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range h.conns {
		_ = c.Close()
	}
	h.conns = nil
}
