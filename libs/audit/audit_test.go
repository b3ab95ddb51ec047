package audit

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"palmops/libs/bus"
	"palmops/libs/fault"
	"palmops/libs/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// store is a bus that fails as it is told.
type store struct {
	mu    sync.Mutex
	fails []error
	kept  map[string]wire.AuditLine
	order []string
	got   chan string
}

func (s *store) Publish(_ context.Context, subject, id string, v any) (bus.Ack, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.fails) > 0 {
		err := s.fails[0]
		s.fails = s.fails[1:]
		if err != nil {
			return bus.Ack{}, err
		}
	}
	line := v.(wire.AuditLine)
	s.kept[id] = line
	s.order = append(s.order, line.Ref)
	s.got <- subject
	return bus.Ack{}, nil
}

func TestTrailKeepsLinesInOrderThroughFailures(t *testing.T) {
	s := &store{kept: map[string]wire.AuditLine{}, got: make(chan string, 9), fails: []error{
		fault.New(fault.Transient, "away"), fault.New(fault.Unknown, "perhaps"), nil, errors.New("refused for good"),
	}}
	tr := New(s, "gateway", "g-1", zap.NewNop(), prometheus.NewRegistry())
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { tr.Run(ctx); close(done) }()
	for _, ref := range []string{"a", "lost", "c"} {
		tr.Write(wire.AuditLine{Corp: "C", What: "callback", Ref: ref})
	}
	for range 2 {
		if subject := <-s.got; subject != "audit.c.gateway" {
			t.Errorf("subject %s", subject)
		}
	}
	stop()
	<-done
	if len(s.order) != 2 || s.order[0] != "a" || s.order[1] != "c" || tr.Lost() != 1 {
		t.Errorf("kept %v, lost %d", s.order, tr.Lost())
	}
	line := s.kept["g-1:1"]
	if line.V != wire.Version || line.Service != "gateway" || line.Instance != "g-1" || line.At == 0 {
		t.Errorf("not filled in: %+v", line)
	}
}

func TestTrailNeverBlocksAndFlushesAtTheStop(t *testing.T) {
	s := &store{kept: map[string]wire.AuditLine{}, got: make(chan string, Queue)}
	tr := New(s, "gateway", "g-1", zap.NewNop(), nil)
	for range Queue + 3 {
		tr.Write(wire.AuditLine{Corp: "c"})
	}
	if tr.Lost() != 3 {
		t.Errorf("lost %d, want the 3 beyond the queue", tr.Lost())
	}
	ctx, stop := context.WithCancel(context.Background())
	stop()
	tr.Run(ctx)
	if len(s.kept) != Queue {
		t.Errorf("kept %d of %d", len(s.kept), Queue)
	}
}
