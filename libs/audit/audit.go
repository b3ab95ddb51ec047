// Package audit carries a service's audit lines to AUDIT without ever making its work wait for them.
package audit

import (
	"context"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"palmops/libs/bus"
	"palmops/libs/fault"
	"palmops/libs/wire"
)

// Queue is how many lines may wait while the bus is away; further ones are dropped and counted.
const Queue = 4096

// grace is how long Run goes on publishing after the stop.
const grace = 2 * time.Second

// Publisher stores a value once under an id, as bus.Bus does.
type Publisher interface {
	Publish(ctx context.Context, subject, id string, v any) (bus.Ack, error)
}

// Trail is a bounded queue of lines in front of AUDIT.
type Trail struct {
	pub      Publisher
	log      *zap.Logger
	service  string
	instance string
	queue    chan wire.AuditLine
	count    uint64
	lost     atomic.Uint64
	metric   prometheus.Counter
}

// New makes the trail of one process. Instance tells its lines from those of others and must be unique to this
// start of it. Lines that find the queue full, or that the bus refuses for good, are counted in
// palmops_audit_lost_total, with the service as label.
func New(pub Publisher, service, instance string, log *zap.Logger, reg prometheus.Registerer) *Trail {
	t := &Trail{
		pub: pub, log: log.Named("audit"), service: service, instance: instance, queue: make(chan wire.AuditLine, Queue),
		metric: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "palmops_audit_lost_total", Help: "Audit lines that could not be stored.", ConstLabels: prometheus.Labels{"service": service},
		}),
	}
	if reg != nil {
		reg.MustRegister(t.metric)
	}
	return t
}

// Write hands a line over and never blocks. V, Service and Instance are filled in, and At when it is zero.
func (t *Trail) Write(line wire.AuditLine) {
	line.V, line.Service, line.Instance = wire.Version, t.service, t.instance
	if line.At == 0 {
		line.At = time.Now().UnixMilli()
	}
	select {
	case t.queue <- line:
	default:
		t.lose(1)
	}
}

// Lost is how many lines were lost so far.
func (t *Trail) Lost() uint64 { return t.lost.Load() }

func (t *Trail) lose(n int) {
	t.lost.Add(uint64(n))
	t.metric.Add(float64(n))
}

// Run publishes lines in their order until ctx ends, then for up to two seconds what is still queued. A line that the bus
// did not take is tried again under the same id, so that it is kept once.
func (t *Trail) Run(ctx context.Context) {
	for {
		select {
		case line := <-t.queue:
			if !t.publish(ctx, line) {
				t.lose(1)
			}
		case <-ctx.Done():
			t.flush(context.WithoutCancel(ctx))
			return
		}
	}
}

// flush gives up at the first line that does not go through any more, and counts the rest.
func (t *Trail) flush(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, grace)
	defer cancel()
	lost := 0
	for {
		select {
		case line := <-t.queue:
			if lost > 0 || !t.publish(ctx, line) {
				lost++
			}
		default:
			if lost > 0 {
				t.lose(lost)
				t.log.Error("audit lines lost at the stop: the bus is away", zap.Int("lines", lost))
			}
			return
		}
	}
}

// publish reports whether the line is kept. It tries until ctx ends; a try under way is not cut off by that.
func (t *Trail) publish(ctx context.Context, line wire.AuditLine) bool {
	t.count++
	id := t.instance + ":" + strconv.FormatUint(t.count, 10)
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, 2*time.Second) {
		_, err := t.pub.Publish(context.WithoutCancel(ctx), wire.AuditSubject(line.Corp, line.Service), id, line)
		switch fault.KindOf(err) {
		case "":
			return true
		case fault.Transient, fault.Unknown:
			if !pause(ctx, wait) {
				return false
			}
		default:
			t.log.Error("audit line refused by the bus", zap.String("what", line.What), zap.String("reason", line.Reason), zap.Error(err))
			return false
		}
	}
}

// pause waits, and reports false when ctx ended first.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
