package mysql

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"palmops/libs/wire"
	"palmops/services/executor/internal/kind"
	"palmops/services/executor/internal/kind/kindtest"
)

// between stands before a server and, once stopped, passes nothing on any more: connections stay, as those of a frozen machine do.
type between struct {
	address string
	stopped chan struct{}
}

func newBetween(t *testing.T, to string) *between {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &between{address: l.Addr().String(), stopped: make(chan struct{})}
	var mu sync.Mutex
	var open []net.Conn
	var wg sync.WaitGroup
	pass := func(to, from net.Conn) {
		buf := make([]byte, 4096)
		for {
			n, err := from.Read(buf)
			if err != nil {
				return
			}
			select {
			case <-b.stopped:
				_, _ = io.Copy(io.Discard, from)
				return
			default:
			}
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
	}
	wg.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", to)
			if err != nil {
				_ = in.Close()
				continue
			}
			mu.Lock()
			open = append(open, in, out)
			mu.Unlock()
			wg.Go(func() { pass(out, in) })
			wg.Go(func() { pass(in, out) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		mu.Lock()
		for _, c := range open {
			_ = c.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
	return b
}

// TestAFrozenServerDoesNotHoldTheWork: what tidies up after the work has an end of its own.
func TestAFrozenServerDoesNotHoldTheWork(t *testing.T) {
	s := target(t)
	b := newBetween(t, s.Address)
	s.Address = b.address
	k := kindOf(t, s)
	v := newVictim(t).runs(t, "SELECT SLEEP(100) AS frozen")
	w := work(verbKill, map[string]any{"id": v.text()})
	raw := prepare(t, k, w)
	ended := make(chan kind.Result, 1)
	go func() { ended <- k.Apply(within(t), w, raw, &freezing{stopped: b.stopped}) }()
	select {
	case r := <-ended:
		if r.State != wire.StateFailed || !strings.Contains(r.Text, "没有执行任何操作") {
			t.Errorf("%+v", r)
		}
	case <-time.After(hang):
		t.Fatal("the work does not end")
	}
}

// freezing gives no leave, and lets the server freeze when it is asked.
type freezing struct {
	kindtest.Hand
	stopped chan struct{}
}

func (h *freezing) Step(context.Context) error {
	close(h.stopped)
	return errors.New("no leave")
}
