package pools

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats.go/micro"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"palmops/libs/bus/bustest"
	"palmops/libs/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestExecutorsComeAndGo(t *testing.T) {
	srv := bustest.New(t)
	b := srv.Connect("dialog")
	w := New(b, func() []Pool { return nil }, time.Now, zap.NewNop())
	announce := func(name string, meta map[string]string) micro.Service {
		t.Helper()
		s, err := micro.AddService(b.NC, micro.Config{Name: name, Version: "0.0.1", Metadata: meta})
		if err != nil {
			t.Fatal(err)
		}
		if err := b.NC.Flush(); err != nil {
			t.Fatal(err)
		}
		return s
	}
	sees := func(k8s, db int) {
		t.Helper()
		found, err := w.look(t.Context())
		if err != nil || found[Pool{"local", "k8s"}] != k8s || found[Pool{"local", "db"}] != db {
			t.Errorf("%v %v, want %d and %d", found, err, k8s, db)
		}
	}
	if _, known := w.Online("local", "k8s"); known {
		t.Error("known before anybody has looked")
	}
	sees(0, 0)
	one := announce(wire.ServiceExecutor, map[string]string{wire.MetaZone: "local", wire.MetaPool: "k8s"})
	sees(1, 0)
	announce(wire.ServiceExecutor, map[string]string{wire.MetaZone: "local", wire.MetaPool: "k8s"})
	announce(wire.ServiceExecutor, map[string]string{wire.MetaZone: "local", wire.MetaPool: "db"})
	announce(wire.ServiceExecutor, nil)
	announce("another-service", map[string]string{wire.MetaZone: "local", wire.MetaPool: "k8s"})
	sees(2, 1)
	if err := one.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := b.NC.Flush(); err != nil {
		t.Fatal(err)
	}
	sees(1, 1)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if found, err := w.look(gone); err == nil {
		t.Errorf("%v without waiting", found)
	}
}

// Run stores what it has seen, and leaves the old when it can see nothing.
func TestRun(t *testing.T) {
	srv := bustest.New(t)
	b := srv.Connect("dialog")
	looked := make(chan struct{}, 100)
	now := time.Now()
	w := New(b, func() []Pool { looked <- struct{}{}; return nil }, func() time.Time { return now }, zap.NewNop())
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); w.Run(ctx) }()
	<-looked
	if n, known := w.Online("local", "k8s"); n != 0 || known {
		t.Errorf("%d %t", n, known)
	}
	cancel()
	<-done
	now = now.Add(goodFor + time.Second)
	if _, known := w.Online("local", "k8s"); known {
		t.Error("what is old still counts")
	}
}

func TestAPoolIsEmptyOnlyAfterAWhile(t *testing.T) {
	p, start := Pool{"z", "p"}, time.Now()
	w := New(nil, nil, nil, zap.NewNop())
	for _, c := range []struct {
		at    time.Duration
		found int
		known bool
	}{
		{0, 0, false},
		{3 * time.Second, 0, false},
		{5 * time.Second, 0, true},
		{7 * time.Second, 2, true},
		{9 * time.Second, 0, false},
		{12 * time.Second, 0, true},
		{20 * time.Second, 1, true},
		{60 * time.Second, 0, false},
		{65 * time.Second, 0, true},
	} {
		found := map[Pool]int{}
		if c.found > 0 {
			found[p] = c.found
		}
		now := start.Add(c.at)
		w.now = func() time.Time { return now }
		w.last.Store(w.last.Load().next(found, now))
		if n, known := w.Online("z", "p"); n != c.found || known != c.known {
			t.Errorf("after %s: %d %t", c.at, n, known)
		}
	}
}

func TestPauses(t *testing.T) {
	w := New(nil, func() []Pool { return []Pool{{"z", "p"}} }, time.Now, zap.NewNop())
	for _, c := range []struct {
		found map[Pool]int
		err   error
		want  time.Duration
	}{{nil, nil, emptyEvery}, {map[Pool]int{{"z", "p"}: 1}, nil, every}, {nil, context.Canceled, emptyEvery}} {
		if got := w.pause(c.found, c.err); got != c.want {
			t.Errorf("%v %v: %s", c.found, c.err, got)
		}
	}
}
