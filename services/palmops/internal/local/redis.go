package local

import (
	"context"
	"fmt"
	"time"

	"github.com/alicebob/miniredis/v2"
)

// memoryRedis is a Redis-compatible store inside the process, with a journal on disk. It is made for one process and a
// handful of people; several dialogs need a real Redis.
type memoryRedis struct {
	srv     *miniredis.Miniredis
	journal *journal
}

// startRedis starts the store with what the journal in dir holds.
func startRedis(dir string) (*memoryRedis, error) {
	srv := miniredis.NewMiniRedis()
	if err := srv.Start(); err != nil {
		return nil, fmt.Errorf("embedded redis: %w", err)
	}
	j, err := openJournal(dir, srv)
	if err != nil {
		srv.Close()
		return nil, fmt.Errorf("embedded redis: %w", err)
	}
	return &memoryRedis{srv, j}, nil
}

func (m *memoryRedis) url() string { return "redis://" + m.srv.Addr() + "/0" }

// Run makes time pass for the keys until ctx ends. The store could look at the clock by itself, but then at every key for
// every command.
func (m *memoryRedis) Run(ctx context.Context) error {
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	last := time.Now()
	for {
		select {
		case <-ctx.Done():
			return m.close()
		case now := <-tick.C:
			m.srv.FastForward(now.Sub(last))
			last = now
		}
	}
}

func (m *memoryRedis) close() error {
	m.srv.Close()
	return m.journal.close()
}

// Ready is always nil: the store lives in this process.
func (m *memoryRedis) Ready(context.Context) error { return nil }
