package local

import (
	"context"
	"fmt"
	"time"

	"github.com/alicebob/miniredis/v2"
)

// memoryRedis is a Redis-compatible store inside the process. It forgets everything at a restart: open
// conversations begin again, and nothing else is kept there.
type memoryRedis struct{ srv *miniredis.Miniredis }

func startRedis() (*memoryRedis, error) {
	srv := miniredis.NewMiniRedis()
	if err := srv.Start(); err != nil {
		return nil, fmt.Errorf("embedded redis: %w", err)
	}
	return &memoryRedis{srv}, nil
}

func (m *memoryRedis) url() string { return "redis://" + m.srv.Addr() + "/0" }

// Run makes time pass for the keys, which this store leaves to its owner, until ctx ends.
func (m *memoryRedis) Run(ctx context.Context) error {
	const step = 250 * time.Millisecond
	tick := time.NewTicker(step)
	defer tick.Stop()
	last := time.Now()
	for {
		select {
		case <-ctx.Done():
			m.srv.Close()
			return nil
		case now := <-tick.C:
			m.srv.FastForward(now.Sub(last))
			last = now
		}
	}
}

// Ready is always nil: the store lives in this process.
func (m *memoryRedis) Ready(context.Context) error { return nil }
