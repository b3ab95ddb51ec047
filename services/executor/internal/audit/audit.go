// Package audit sends the executor's audit lines on their way without ever making its work wait for them.
package audit

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"palmops/libs/bus"
	"palmops/libs/wire"
)

// Service is the executor's name in audit lines and subjects.
const Service = "executor"

// queue is how many lines may wait for the bus; further ones are dropped and counted.
const queue = 4096

// retry is the pause before a line is published again.
const retry = 500 * time.Millisecond

// Publisher stores a value under an id, as bus.Bus does.
type Publisher interface {
	Publish(ctx context.Context, subject, id string, v any) (bus.Ack, error)
}

// Log takes lines at any time and publishes them one after the other while Run runs.
type Log struct {
	pub      Publisher
	log      *zap.Logger
	instance string
	lines    chan wire.AuditLine
	count    atomic.Uint64
	dropped  prometheus.Counter
}

// New makes a log for one executor instance.
func New(pub Publisher, instance string, reg prometheus.Registerer, log *zap.Logger) *Log {
	l := &Log{
		pub: pub, log: log, instance: instance, lines: make(chan wire.AuditLine, queue),
		dropped: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "palmops_executor_audit_dropped_total", Help: "Audit lines that could not be stored.",
		}),
	}
	reg.MustRegister(l.dropped)
	return l
}

// Write queues a line; time, service and instance are filled in.
func (l *Log) Write(line wire.AuditLine) {
	line.V, line.Service, line.Instance = wire.Version, Service, l.instance
	if line.At == 0 {
		line.At = time.Now().UnixMilli()
	}
	select {
	case l.lines <- line:
	default:
		l.dropped.Inc()
	}
}

// Run publishes until ctx ends, then for up to two seconds what is still queued.
func (l *Log) Run(ctx context.Context) {
	for {
		select {
		case line := <-l.lines:
			l.publish(ctx, line)
		case <-ctx.Done():
			l.flush(context.WithoutCancel(ctx))
			return
		}
	}
}

func (l *Log) flush(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	for {
		select {
		case line := <-l.lines:
			l.publish(ctx, line)
		default:
			return
		}
	}
}

// publish tries again until ctx ends: an audit line is worth more than the next one's place in the queue. Each try has a time of
// its own, so that a line that is at hand when stopping begins still gets one.
func (l *Log) publish(ctx context.Context, line wire.AuditLine) {
	id := fmt.Sprintf("%s:%d", l.instance, l.count.Add(1))
	for {
		pctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		_, err := l.pub.Publish(pctx, wire.AuditSubject(line.Corp, Service), id, line)
		cancel()
		if err == nil {
			return
		}
		t := time.NewTimer(retry)
		select {
		case <-t.C:
			continue
		case <-ctx.Done():
		}
		t.Stop()
		l.dropped.Inc()
		l.log.Warn("audit line lost", zap.String("what", line.What), zap.String("ref", line.Ref), zap.String("verdict", line.Verdict), zap.Error(err))
		return
	}
}
