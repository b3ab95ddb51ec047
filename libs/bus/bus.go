// Package bus is how services speak over NATS: connect, declare the streams, publish with an id, ask, consume.
//
// Its rule for consumers: the kind of the error a handler returns decides what becomes of the message
// (Settle). Its rule for publishers: a publish that was not acknowledged has the kind Transient when it
// surely never left, and Unknown when it may have been stored; both may be repeated with the same id.
package bus

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"palmops/libs/fault"
)

// Options say how to reach NATS.
type Options struct {
	URL       string                     // one or more, separated by commas; ignored with InProcess
	InProcess nats.InProcessConnProvider // an embedded server, instead of a URL
	Name      string                     // shown by the server's monitoring
	Creds     string                     // user credentials file, "" for none
	Log       *zap.Logger                // connection changes; nil for silence
	// Timeout bounds the first connection and each publish that has no earlier deadline. Default 1.5 s.
	Timeout time.Duration
}

// Bus is one connection. It is safe for concurrent use.
type Bus struct {
	NC      *nats.Conn
	JS      jetstream.JetStream
	log     *zap.Logger
	timeout time.Duration
}

// Connect opens a connection that comes back by itself for as long as the process lives. While it is away,
// publishes fail at once instead of being buffered: a buffered publish would be stored after its sender had
// told the user that it was not.
func Connect(ctx context.Context, o Options) (*Bus, error) {
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	if o.Timeout <= 0 {
		o.Timeout = 1500 * time.Millisecond
	}
	log := o.Log.Named("nats")
	opts := []nats.Option{
		nats.Name(o.Name),
		nats.Timeout(o.Timeout),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(200 * time.Millisecond),
		nats.ReconnectBufSize(-1),
		// The client holds its lock while it writes to a server that takes nothing; the default is a minute.
		nats.FlusherTimeout(time.Second),
		nats.PingInterval(5 * time.Second),
		nats.MaxPingsOutstanding(2),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) { log.Warn("disconnected", zap.Error(err)) }),
		nats.ReconnectHandler(func(*nats.Conn) { log.Info("connected again") }),
		nats.ErrorHandler(func(_ *nats.Conn, s *nats.Subscription, err error) {
			subject := ""
			if s != nil {
				subject = s.Subject
			}
			log.Warn("asynchronous error", zap.String("subject", subject), zap.Error(err))
		}),
	}
	if o.InProcess != nil {
		opts = append(opts, nats.InProcessServer(o.InProcess))
	}
	if o.Creds != "" {
		opts = append(opts, nats.UserCredentials(o.Creds))
	}
	nc, err := connect(ctx, o.URL, opts)
	if err != nil {
		return nil, fault.Wrap(fault.Transient, err, "connect to NATS")
	}
	js, err := jetstream.New(nc)
	if err != nil {
		nc.Close()
		return nil, fmt.Errorf("jetstream: %w", err)
	}
	return &Bus{NC: nc, JS: js, log: log, timeout: o.Timeout}, nil
}

// connect tries until ctx ends, so that services may start in any order.
func connect(ctx context.Context, url string, opts []nats.Option) (*nats.Conn, error) {
	for {
		nc, err := nats.Connect(url, opts...)
		if err == nil {
			return nc, nil
		}
		if errors.Is(err, nats.ErrAuthorization) {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// Close ends the connection; what was published and acknowledged is safe, consumers must have been stopped before.
func (b *Bus) Close() { b.NC.Close() }

// Ready reports whether the connection is up, and why not.
func (b *Bus) Ready(context.Context) error {
	if s := b.NC.Status(); s != nats.CONNECTED {
		return fault.New(fault.Transient, "nats is %s", s)
	}
	return nil
}

// Ack says where a publish was stored. On a duplicate, Seq is the place of the first copy.
type Ack struct {
	Seq       uint64
	Duplicate bool
}

// Publish stores v as JSON under an id; a second publish with the same id within the stream's window changes
// nothing and says Duplicate. Errors: Transient, nothing was stored; Unknown, it may have been; Internal, v has no JSON form.
func (b *Bus) Publish(ctx context.Context, subject, id string, v any) (Ack, error) {
	data, err := encode(v)
	if err != nil {
		return Ack{}, fmt.Errorf("publish %s: %w", subject, err)
	}
	if err := b.Ready(ctx); err != nil {
		return Ack{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, b.timeout)
	defer cancel()
	pa, err := b.JS.Publish(ctx, subject, data, jetstream.WithMsgID(id), jetstream.WithRetryAttempts(1))
	if err != nil {
		return Ack{}, fault.Wrap(publishKind(err), err, "publish "+subject)
	}
	return Ack{Seq: pa.Sequence, Duplicate: pa.Duplicate}, nil
}

// encode writes JSON with every byte of raw parts as it stands: arguments are digested, so that rewriting < as \u003c inside
// them, as json.Marshal does, would break the digest.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

func publishKind(err error) fault.Kind {
	var api *jetstream.APIError
	switch {
	case errors.As(err, &api), // the server refused it
		errors.Is(err, jetstream.ErrNoStreamResponse), // nobody stores this subject
		errors.Is(err, nats.ErrNoResponders),
		errors.Is(err, nats.ErrReconnectBufExceeded), // not connected, and nothing is buffered
		errors.Is(err, nats.ErrConnectionDraining):
		return fault.Transient
	case errors.Is(err, nats.ErrMaxPayload):
		return fault.Invalid
	}
	return fault.Unknown
}

// Send publishes v as JSON with no acknowledgement and no storage.
func (b *Bus) Send(subject string, v any) error {
	data, err := encode(v)
	if err != nil {
		return fmt.Errorf("send %s: %w", subject, err)
	}
	return fault.Wrap(fault.Transient, b.NC.Publish(subject, data), "send "+subject)
}

// Ask is one request and its first answer, both JSON. Errors: Transient when nobody listens or the time ran out.
func (b *Bus) Ask(ctx context.Context, subject string, question, answer any) error {
	data, err := encode(question)
	if err != nil {
		return fmt.Errorf("ask %s: %w", subject, err)
	}
	msg, err := b.NC.RequestWithContext(ctx, subject, data)
	if err != nil {
		return fault.Wrap(fault.Transient, err, "ask "+subject)
	}
	if err := json.Unmarshal(msg.Data, answer); err != nil {
		return fault.Wrap(fault.Internal, err, "answer on "+subject)
	}
	return nil
}

// NobodyListens reports whether an Ask failed because no service is there at all, which is known at once.
func NobodyListens(err error) bool { return errors.Is(err, nats.ErrNoResponders) }

// Serve answers requests on a subject, each in a goroutine of its own, at most workers at a time; further ones wait.
// Members of one queue share the requests. The handler's answer is sent as JSON; a nil answer sends none.
// Stop returns once the running handlers have ended.
func (b *Bus) Serve(subject, queue string, workers int, handle func(ctx context.Context, subject string, data []byte) any) (stop func(), err error) {
	ctx, cancel := context.WithCancel(context.Background())
	slots := make(chan struct{}, workers)
	answer := func(m *nats.Msg) {
		slots <- struct{}{}
		go func() {
			defer func() { <-slots }()
			out := handle(ctx, m.Subject, m.Data)
			if out == nil || m.Reply == "" {
				return
			}
			data, err := encode(out)
			if err == nil {
				err = m.Respond(data)
			}
			if err != nil && !errors.Is(err, nats.ErrConnectionClosed) {
				b.log.Warn("answer lost", zap.String("subject", m.Subject), zap.Error(err))
			}
		}()
	}
	var sub *nats.Subscription
	if queue == "" {
		sub, err = b.NC.Subscribe(subject, answer)
	} else {
		sub, err = b.NC.QueueSubscribe(subject, queue, answer)
	}
	if err != nil {
		cancel()
		return nil, fault.Wrap(fault.Transient, err, "serve "+subject)
	}
	return func() {
		_ = sub.Unsubscribe() // fails only when the connection is gone, and the subscription with it
		cancel()
		for range cap(slots) {
			slots <- struct{}{}
		}
	}, nil
}
