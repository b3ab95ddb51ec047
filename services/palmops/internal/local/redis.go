package local

import (
	"context"
	"fmt"

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
	srv.ClockTTL(true)
	j, err := openJournal(dir, srv)
	if err != nil {
		srv.Close()
		return nil, fmt.Errorf("embedded redis: %w", err)
	}
	return &memoryRedis{srv, j}, nil
}

func (m *memoryRedis) url() string { return "redis://" + m.srv.Addr() + "/0" }

// Run keeps the store until ctx ends.
func (m *memoryRedis) Run(ctx context.Context) error {
	<-ctx.Done()
	return m.close()
}

func (m *memoryRedis) close() error {
	m.srv.Close()
	return m.journal.close()
}

// Ready is always nil: the store lives in this process.
func (m *memoryRedis) Ready(context.Context) error { return nil }
