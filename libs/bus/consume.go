package bus

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"palmops/libs/fault"
)

// Consumer says which messages to take and how.
type Consumer struct {
	Stream  string
	Durable string
	Filter  string
	// Lane is the number of messages of this consumer that may be in work at once over all replicas;
	// 1 keeps them in order. Workers is the number this process takes at once.
	Lane    int
	Workers int
	// AckWait is when the server gives a message that nobody settled to somebody else. The handler's context ends at
	// Deadline (default three quarters of AckWait); a handler that calls Msg.Working goes on longer.
	AckWait  time.Duration
	Deadline time.Duration
	// Retry is the pause before a message comes back after an error that another try may mend; it doubles up to RetryMax.
	Retry    time.Duration
	RetryMax time.Duration
	// Sure makes an acknowledgement wait for the server: for consumers whose handler must not be run again.
	Sure bool
}

// Msg is one message in work.
type Msg struct {
	Subject   string
	Data      []byte
	Seq       uint64 // place in the stream
	Delivered uint64 // 1 at the first delivery
	Stored    time.Time

	raw jetstream.Msg
}

// Working tells the server that the handler is alive, which starts AckWait anew.
func (m *Msg) Working() error { return m.raw.InProgress() }

// laterError gives the message back for a duration of the handler's choice.
type laterError struct {
	after time.Duration
	why   error
}

func (e *laterError) Error() string {
	return fmt.Sprintf("again in %s: %v", e.after, e.why)
}
func (e *laterError) Unwrap() error         { return e.why }
func (e *laterError) FaultKind() fault.Kind { return fault.Transient }

// Later makes a handler's error that gives the message back and asks for it again after a pause.
func Later(after time.Duration, why error) error { return &laterError{after: after, why: why} }

// Settlement is what becomes of a message.
type Settlement string

// The settlements.
const (
	Done  Settlement = "ack"
	Again Settlement = "nak"
	Drop  Settlement = "term"
)

// Settle maps a handler's error to a settlement: what another try may mend comes again, what stays wrong is dropped.
func Settle(err error) Settlement {
	if err == nil {
		return Done
	}
	switch fault.KindOf(err) {
	case fault.Invalid, fault.Denied, fault.Expired, fault.NotFound:
		return Drop
	}
	return Again
}

// Consume takes messages until ctx ends, then waits for the running handlers. The consumer is made if it is missing;
// while the bus is away that is tried again. It returns an error only when the consumer's settings are refused. The handler
// owns the message until it returns; its error is logged here and nowhere else.
func (b *Bus) Consume(ctx context.Context, c Consumer, handle func(ctx context.Context, m *Msg) error) error {
	c = c.withDefaults()
	cons, err := b.consumer(ctx, c)
	if err != nil || cons == nil {
		return err
	}
	var wg sync.WaitGroup
	for range c.Workers {
		wg.Go(func() { b.pull(ctx, cons, c, handle) })
	}
	wg.Wait()
	return nil
}

// consumer makes the consumer; it is nil without an error when ctx ended first.
func (b *Bus) consumer(ctx context.Context, c Consumer) (jetstream.Consumer, error) {
	for said := false; ; {
		cons, err := b.JS.CreateOrUpdateConsumer(ctx, c.Stream, jetstream.ConsumerConfig{
			Durable: c.Durable, FilterSubject: c.Filter, AckPolicy: jetstream.AckExplicitPolicy,
			AckWait: c.AckWait, MaxAckPending: c.Lane, MaxDeliver: -1, DeliverPolicy: jetstream.DeliverAllPolicy,
		})
		var refused *jetstream.APIError
		switch {
		case err == nil:
			return cons, nil
		case ctx.Err() != nil:
			return nil, nil
		case errors.As(err, &refused) && refused.Code >= 400 && refused.Code < 500:
			return nil, fault.Wrap(fault.Internal, err, "consumer "+c.Durable)
		case !said:
			said = true
			b.log.Warn("consumer not made yet; trying again", zap.String("consumer", c.Durable), zap.Error(err))
		}
		pause(ctx, 200*time.Millisecond)
	}
}

func (c Consumer) withDefaults() Consumer {
	if c.Lane <= 0 {
		c.Lane = 1
	}
	if c.Workers <= 0 {
		c.Workers = 1
	}
	if c.AckWait <= 0 {
		c.AckWait = 30 * time.Second
	}
	if c.Deadline <= 0 {
		c.Deadline = c.AckWait * 3 / 4
	}
	if c.Retry <= 0 {
		c.Retry = 250 * time.Millisecond
	}
	if c.RetryMax <= 0 {
		c.RetryMax = 10 * time.Second
	}
	return c
}

// pullExpiry is how long an open pull stands at the server. A frozen process goes on being handed messages for so long.
const pullExpiry = 5 * time.Second

// pull is one worker: it holds at most one message, so nothing waits unseen behind a slow handler.
func (b *Bus) pull(ctx context.Context, cons jetstream.Consumer, c Consumer, handle func(context.Context, *Msg) error) {
	for ctx.Err() == nil {
		it, err := cons.Messages(jetstream.PullMaxMessages(1), jetstream.PullExpiry(pullExpiry), jetstream.WithMessagesErrOnMissingHeartbeat(true))
		if err != nil {
			pause(ctx, 200*time.Millisecond)
			continue
		}
		release := context.AfterFunc(ctx, it.Stop)
		b.drain(ctx, it, c, handle)
		release()
		it.Stop()
	}
}

func (b *Bus) drain(ctx context.Context, it jetstream.MessagesContext, c Consumer, handle func(context.Context, *Msg) error) {
	for {
		raw, err := it.Next()
		switch {
		case errors.Is(err, jetstream.ErrMsgIteratorClosed) || ctx.Err() != nil:
			if raw != nil {
				_ = raw.Nak() // stopping: give it back at once instead of after AckWait
			}
			return
		case err != nil:
			b.log.Warn("pull", zap.String("consumer", c.Durable), zap.Error(err))
			pause(ctx, 200*time.Millisecond)
			return
		}
		b.work(ctx, raw, c, handle)
	}
}

// work runs the handler under a context that outlives a stop: a message in work is finished, not torn.
func (b *Bus) work(ctx context.Context, raw jetstream.Msg, c Consumer, handle func(context.Context, *Msg) error) {
	m := &Msg{Subject: raw.Subject(), Data: raw.Data(), Delivered: 1, raw: raw}
	if meta, err := raw.Metadata(); err == nil {
		m.Seq, m.Delivered, m.Stored = meta.Sequence.Stream, meta.NumDelivered, meta.Timestamp
	}
	hctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.Deadline)
	defer cancel()
	err := guard(hctx, m, handle)
	if err != nil {
		level := zap.WarnLevel
		var later *laterError
		if errors.As(err, &later) {
			level = zap.DebugLevel // the handler's own choice, nothing went wrong
		}
		b.log.Log(level, "message not done", zap.String("consumer", c.Durable), zap.String("subject", m.Subject), zap.Uint64("seq", m.Seq),
			zap.Uint64("delivered", m.Delivered), zap.String("kind", string(fault.KindOf(err))), zap.Error(err))
	}
	if err := b.settle(raw, c, m, err); err != nil {
		b.log.Warn("settlement lost; the message will come again", zap.String("consumer", c.Durable), zap.Uint64("seq", m.Seq), zap.Error(err))
	}
}

func (b *Bus) settle(raw jetstream.Msg, c Consumer, m *Msg, err error) error {
	switch Settle(err) {
	case Done:
		if c.Sure {
			ctx, cancel := context.WithTimeout(context.Background(), b.timeout)
			defer cancel()
			return raw.DoubleAck(ctx)
		}
		return raw.Ack()
	case Drop:
		return raw.TermWithReason(string(fault.KindOf(err)))
	default:
		var later *laterError
		if errors.As(err, &later) {
			return raw.NakWithDelay(later.after)
		}
		return raw.NakWithDelay(c.backoff(m.Delivered))
	}
}

func (c Consumer) backoff(delivered uint64) time.Duration {
	d := c.Retry
	for i := uint64(1); i < delivered && d < c.RetryMax; i++ {
		d *= 2
	}
	return min(d, c.RetryMax)
}

// guard turns a panic into an error, so that one poisonous message does not take the process down with all others.
func guard(ctx context.Context, m *Msg, handle func(context.Context, *Msg) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fault.New(fault.Internal, "panic: %v\n%s", p, debug.Stack())
		}
	}()
	return handle(ctx, m)
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
