package directory

import (
	"context"
	"sync"
	"time"

	"palmops/libs/fault"
)

// memo keeps one value that is dear to read. However many ask at once, it is read once, by nobody's own context: who
// stops waiting leaves the reading to the others.
type memo[T any] struct {
	read    func(ctx context.Context) (T, error)
	now     func() time.Time
	flights *flights
	limit   time.Duration // of one reading

	current time.Duration // how long a value counts as known
	// lasting, when longer than current, is how long an older value stands in for one that cannot be read, or that takes
	// longer to read than patience. After a failure it does so for pause before the next reading is tried.
	lasting, patience, pause time.Duration

	mu       sync.Mutex
	value    T
	readAt   time.Time // zero: never
	failedAt time.Time
	flight   *flight[T]
}

// flight is one reading that goes on.
type flight[T any] struct {
	done  chan struct{}
	value T
	at    time.Time
	err   error
}

// flights are the readings that go on, so that they can be ended.
type flights struct {
	ctx     context.Context
	running sync.WaitGroup
}

// get is the value and when it was read. Errors: those of read, and fault.Transient when ctx ends first.
func (m *memo[T]) get(ctx context.Context) (T, time.Time, error) {
	m.mu.Lock()
	now := m.now()
	value, at := m.value, m.readAt
	known := func(span time.Duration) bool { return !at.IsZero() && now.Sub(at) < span }
	old := known(m.lasting)
	if known(m.current) || old && m.flight == nil && now.Sub(m.failedAt) < m.pause {
		m.mu.Unlock()
		return value, at, nil
	}
	f := m.flight
	if f == nil {
		f = m.take()
	}
	m.mu.Unlock()

	var impatient <-chan time.Time
	if old {
		t := time.NewTimer(m.patience)
		defer t.Stop()
		impatient = t.C
	}
	var err error
	select {
	case <-f.done:
		if f.err == nil {
			return f.value, f.at, nil
		}
		err = f.err
	case <-impatient:
	case <-ctx.Done():
		err = fault.Wrap(fault.Transient, ctx.Err(), "directory")
	}
	if old {
		return value, at, nil
	}
	return value, time.Time{}, err
}

// warm starts a first reading, so that the first who asks need not wait for it.
func (m *memo[T]) warm() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.readAt.IsZero() && m.flight == nil {
		m.take()
	}
}

// take starts a reading. The lock is held.
func (m *memo[T]) take() *flight[T] {
	f := &flight[T]{done: make(chan struct{})}
	m.flight = f
	m.flights.running.Go(func() { m.fly(f) })
	return f
}

// fly reads the value for all who wait for f.
func (m *memo[T]) fly(f *flight[T]) {
	ctx, cancel := context.WithTimeout(m.flights.ctx, m.limit)
	defer cancel()
	defer close(f.done)
	f.at = m.now() // what it shows is at least as young as that
	f.value, f.err = m.read(ctx)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.flight = nil
	if f.err != nil {
		m.failedAt = m.now()
		return
	}
	m.value, m.readAt = f.value, f.at
}
