package audit

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"palmops/libs/bus"
	"palmops/libs/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// store is a bus that fails as often as it is told.
type store struct {
	mu    sync.Mutex
	fail  int
	ids   []string
	lines []wire.AuditLine
	seen  chan struct{}
}

func (s *store) Publish(_ context.Context, subject, id string, v any) (bus.Ack, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != 0 {
		s.fail--
		return bus.Ack{}, errors.New("not now")
	}
	line, ok := v.(wire.AuditLine)
	if !ok || subject != "audit.ww.executor" {
		return bus.Ack{}, errors.New("not a line of this service")
	}
	s.ids, s.lines = append(s.ids, id), append(s.lines, line)
	if s.seen != nil {
		s.seen <- struct{}{}
	}
	return bus.Ack{}, nil
}

func dropped(t *testing.T, reg *prometheus.Registry) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil || len(families) != 1 {
		t.Fatalf("%v, %v", families, err)
	}
	return families[0].GetMetric()[0].GetCounter().GetValue()
}

func TestLinesAreKeptInOrderThroughAnOutage(t *testing.T) {
	t.Parallel()
	s, reg := &store{fail: 1, seen: make(chan struct{}, 10)}, prometheus.NewRegistry()
	l := New(s, "exec-1", reg, zap.NewNop())
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); l.Run(ctx) }()
	for i := range 3 {
		l.Write(wire.AuditLine{Corp: "ww", What: "action", Ref: strconv.Itoa(i), Verdict: "ok"})
	}
	for range 3 {
		<-s.seen
	}
	cancel()
	<-done
	ids := map[string]bool{}
	for i, line := range s.lines {
		if line.Ref != strconv.Itoa(i) || line.Service != Service || line.Instance != "exec-1" || line.At == 0 || line.V != wire.Version {
			t.Errorf("line %d: %+v", i, line)
		}
		ids[s.ids[i]] = true
	}
	if len(ids) != 3 || dropped(t, reg) != 0 {
		t.Errorf("ids %v, dropped %v", s.ids, dropped(t, reg))
	}
}

func TestWhatIsQueuedAtTheEndIsWritten(t *testing.T) {
	t.Parallel()
	s, reg := &store{}, prometheus.NewRegistry()
	l := New(s, "exec-1", reg, zap.NewNop())
	for range 100 {
		l.Write(wire.AuditLine{Corp: "ww"})
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	l.Run(ctx)
	if len(s.lines) != 100 || dropped(t, reg) != 0 {
		t.Errorf("%d lines, %v dropped", len(s.lines), dropped(t, reg))
	}
}

func TestAFullQueueCountsInsteadOfWaiting(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	l := New(&store{}, "exec-1", reg, zap.NewNop())
	for range queue + 7 {
		l.Write(wire.AuditLine{Corp: "ww"})
	}
	if n := dropped(t, reg); n != 7 {
		t.Errorf("%v dropped, want 7", n)
	}
}
