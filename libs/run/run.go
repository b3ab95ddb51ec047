// Package run starts the parts of a process in order, stops them in reverse, and answers for their health.
package run

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"
)

// Part is one service inside the process. Run serves until ctx ends, finishes what it has in hand, and returns; an error
// before that is a failure of the whole process. Ready says whether the part can do its job now, and why not.
type Part interface {
	Run(ctx context.Context) error
	Ready(ctx context.Context) error
}

// Named is a part with the name it has in logs and readiness reports.
type Named struct {
	Name string
	Part Part
}

// All runs parts, started in the given order, until ctx ends or one of them fails; then stops them one after the other
// in reverse order, each within grace. It returns what failed, nil after an ordinary stop.
func All(ctx context.Context, log *zap.Logger, grace time.Duration, parts ...Named) error {
	type running struct {
		Named
		cancel context.CancelFunc
		done   chan struct{}
		err    error
	}
	failed := make(chan *running, len(parts))
	started := make([]*running, 0, len(parts))
	for _, p := range parts {
		r := &running{Named: p, done: make(chan struct{})}
		var pctx context.Context
		pctx, r.cancel = context.WithCancel(context.WithoutCancel(ctx))
		started = append(started, r)
		go func() {
			r.err = r.Part.Run(pctx)
			early := pctx.Err() == nil
			close(r.done)
			if early {
				failed <- r
			}
		}()
	}
	var errs []error
	select {
	case <-ctx.Done():
	case r := <-failed:
		if r.err == nil {
			r.err = errors.New("ended by itself")
		}
	}
	for i := len(started) - 1; i >= 0; i-- {
		r := started[i]
		log.Info("stopping", zap.String("part", r.Name))
		r.cancel()
		timer := time.NewTimer(grace)
		select {
		case <-r.done:
			if r.err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", r.Name, r.err))
			}
		case <-timer.C:
			errs = append(errs, fmt.Errorf("%s: still running after %s", r.Name, grace))
		}
		timer.Stop()
	}
	return errors.Join(errs...)
}
