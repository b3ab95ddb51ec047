package command

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/url"
	"slices"
	"sync"
	"testing"
)

// gate is a way to the bus for one process. It shuts for good, in both directions, at a moment that can be read off what the
// process says: what it had said before is with the bus, and it hears nothing of what the bus says after. A process that is killed
// then has died in exactly that moment, however slow the machine is.
type gate struct {
	t    testing.TB
	url  string        // to connect to instead of the bus
	shut chan struct{} // closed in that moment

	mu    sync.Mutex
	words []byte // what the process says in that moment; nil: not yet armed
	gone  bool   // whether the bus gets these words
	once  sync.Once
}

// newGate makes a gate to the bus at an address. It stands open until shutAt.
func newGate(t testing.TB, bus string) *gate {
	t.Helper()
	u, err := url.Parse(bus)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{t: t, url: "nats://" + l.Addr().String(), shut: make(chan struct{})}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	t.Cleanup(func() {
		cancel()
		_ = l.Close() // ends the loop below
		wg.Wait()
	})
	wg.Go(func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", u.Host)
			if err != nil {
				_ = near.Close() // the process tries again
				continue
			}
			end := sync.OnceFunc(func() { _, _ = near.Close(), far.Close() }) // whichever side ended first
			context.AfterFunc(ctx, end)
			wg.Go(func() { defer end(); g.said(ctx, far, near) })
			wg.Go(func() { defer end(); g.heard(ctx, near, far) })
		}
	})
	return g
}

// shutAt arms the gate. Words are NATS protocol, such as "PUB reply."; with gone the bus gets them, and its answer is lost.
func (g *gate) shutAt(words string, gone bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.words, g.gone = []byte(words), gone
}

// passes says how much of what a process says may go on; all of it does when whole is set.
func (g *gate) passes(said []byte) (n int, whole bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.words == nil {
		return len(said), true
	}
	at := bytes.Index(said, g.words)
	switch {
	case at < 0:
		return len(said), true
	case g.gone:
		at = len(said)
	}
	g.once.Do(func() { close(g.shut) })
	return at, g.gone
}

// said copies what the process says. Once the moment has come, what still belongs to the words that shall go goes, nothing else.
func (g *gate) said(ctx context.Context, far io.Writer, near io.Reader) {
	buf, tail := make([]byte, 64<<10), 0
	for {
		n, err := near.Read(buf[tail:])
		if err != nil {
			return
		}
		// Words may come in two parts: so much of what went is looked at again.
		m, whole := g.passes(buf[:tail+n])
		if _, err := far.Write(buf[min(tail, m):m]); err != nil {
			return
		}
		if !whole {
			<-ctx.Done()
			return
		}
		keep := min(tail+n, 16)
		copy(buf, slices.Clone(buf[tail+n-keep:tail+n]))
		tail = keep
	}
}

// heard copies what the bus says, until the moment has come.
func (g *gate) heard(ctx context.Context, near io.Writer, far io.Reader) {
	buf := make([]byte, 64<<10)
	for {
		n, err := far.Read(buf)
		if err != nil {
			return
		}
		select {
		case <-g.shut:
			<-ctx.Done()
			return
		default:
		}
		if _, err := near.Write(buf[:n]); err != nil {
			return
		}
	}
}

// reached waits for the moment and kills the process that is in it.
func (g *gate) reached(ctx context.Context, p *proc, also func()) {
	g.t.Helper()
	select {
	case <-g.shut:
	case <-ctx.Done():
		g.t.Fatalf("the gate never shut at %q", g.words)
	}
	p.freeze()
	if also != nil {
		also()
	}
	p.kill()
}
