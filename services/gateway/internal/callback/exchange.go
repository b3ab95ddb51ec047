package callback

import (
	"context"
	"encoding/json"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"go.uber.org/zap"

	"palmops/libs/fault"
	"palmops/libs/wecom"
	"palmops/libs/wire"
)

// ending is how an exchange with dialog ended.
type ending int

const (
	replied      ending = iota // there is a reply
	slow                       // accepted, no reply in time
	handed                     // accepted, and its reply goes by push in any case
	unaccepted                 // surely not accepted
	unsure                     // accepted or not, nobody knows
	swapped                    // an exchanged delivery
	unknownReply               // a redelivery whose reply nobody keeps any more, or that is still worked on: to promise one would be a guess
)

const (
	saidTimeout     = 500 * time.Millisecond // how long dialog may take to look up an earlier reply
	originalTimeout = 500 * time.Millisecond // how long the stream may take to show the first delivery

	// byMargin is what is kept of dialog's patience for writing the answer and telling dialog so.
	byMargin = 100 * time.Millisecond
	// lingers is how long a gateway that answered goes on saying so. A dialog that died before it noted the yes gives the
	// message to another after its acknowledgement time, 2 s, and that one asks again.
	lingers = 4 * time.Second
)

// exchange is the conversation about one message with the bus. Its fields but accepted belong to run until done is closed.
type exchange struct {
	h        *Handler
	app      *App
	in       wire.Inbound
	query    wecom.Query
	encrypt  string
	received time.Time
	silent   bool // WeCom takes no passive reply to it

	accepted atomic.Bool // the message is on IN
	repeated bool        // it was there before
	sub      *nats.Subscription
	requests chan *nats.Msg // dialog's replies, each a request that wants to know whether WeCom has it
	first    *nats.Msg      // the one that is answered passively
	confirm  bool           // whether dialog may be told that WeCom has the reply

	done  chan struct{} // closed when run has returned; end and reply are set then
	end   ending
	reply *wire.Reply
}

// wait returns when the exchange has ended that nobody waits for any more.
func (x *exchange) wait() {
	<-x.done
	x.settle(false, false)
}

// run publishes the message and waits for its reply; gone ends when nobody waits for the answer any more.
// The NATS client can hold its lock longer than any context says when the server is frozen, so that run is called in
// a goroutine of its own and its caller does not wait for it without a limit.
func (x *exchange) run(gone context.Context) (ending, *wire.Reply) {
	x.requests = make(chan *nats.Msg, 8)
	x.confirm = true
	var err error
	// Listening comes before publishing: else the reply could come before anybody listens. For a reply that can only be
	// pushed nobody listens: dialog learns so at once, and pushes.
	if !x.silent {
		x.sub, err = x.h.Bus.NC.ChanSubscribe(wire.ReplySubject(x.in.Corp, x.in.App, x.in.ID), x.requests)
		if err != nil {
			x.h.Log.Warn("message not accepted", zap.String("app", x.app.Name), zap.String("id", x.in.ID), zap.Error(err))
			return unaccepted, nil
		}
	}
	ctx, cancel := context.WithDeadline(context.WithoutCancel(gone), earlier(time.Now().Add(x.h.Publish), x.received.Add(answerBy)))
	defer cancel()
	ack, err := x.h.Bus.Publish(ctx, wire.InSubject(x.in.Corp, x.in.App, x.in.User), x.in.ID, x.in)
	if err != nil {
		x.h.Log.Warn("message not accepted", zap.String("app", x.app.Name), zap.String("id", x.in.ID),
			zap.String("kind", string(fault.KindOf(err))), zap.Error(err))
		if fault.Is(err, fault.Unknown) {
			return unsure, nil
		}
		return unaccepted, nil
	}
	x.accepted.Store(true)
	wait, cancel := context.WithDeadline(gone, x.received.Add(x.h.Passive))
	defer cancel()
	switch {
	case !ack.Duplicate && x.silent:
		return handed, nil
	case !ack.Duplicate:
		return x.await(wait, nil)
	}
	x.repeated = true
	x.h.Metrics.Redelivery.WithLabelValues(x.app.Name).Inc()
	switch first, err := x.original(wait, ack.Seq); {
	case err != nil:
		// It cannot be told from an exchanged one. It is answered, since the answer is of no use without the keys, but not
		// taken for the way by which the reply reaches the user.
		x.h.Log.Warn("first delivery cannot be read", zap.String("app", x.app.Name), zap.String("id", x.in.ID), zap.Error(err))
		x.confirm = false
	case exchanged(x.app, first.Envelope, x.query, x.encrypt):
		return swapped, nil
	}
	if x.silent {
		return handed, nil
	}
	said := make(chan *wire.Reply, 1)
	x.h.running.Go(func() { said <- x.said(wait) })
	return x.await(wait, said)
}

// await takes the first reply, from dialog itself or from its memory of what it said.
func (x *exchange) await(ctx context.Context, said <-chan *wire.Reply) (ending, *wire.Reply) {
	for {
		select {
		case msg := <-x.requests:
			var r wire.Reply
			if err := json.Unmarshal(msg.Data, &r); err != nil || !x.mine(&r) {
				x.h.Log.Warn("a reply that is none to this message", zap.String("app", x.app.Name), zap.String("id", x.in.ID))
				continue
			}
			if r.By != 0 && x.h.Now().UnixMilli() > r.By-byMargin.Milliseconds() {
				// This process stood still, or the clocks differ: dialog pushes, and the person shall not read it twice.
				x.h.Log.Warn("a reply was seen too late to be answered directly; it is pushed", zap.String("app", x.app.Name), zap.String("id", x.in.ID))
				x.confirm = false
				r.Screens = nil
				return replied, &r
			}
			x.first = msg
			return replied, &r
		case r := <-said:
			said = nil
			if r != nil {
				return replied, r
			}
		case <-ctx.Done():
			return slow, nil
		}
	}
}

// mine reports whether a reply is one to this message. It would be shown to its sender.
func (x *exchange) mine(r *wire.Reply) bool {
	return r.ID == x.in.ID && r.Corp == x.in.Corp && r.App == x.in.App && r.User == x.in.User
}

// original is the message as its first delivery put it on IN.
func (x *exchange) original(ctx context.Context, seq uint64) (wire.Inbound, error) {
	ctx, cancel := context.WithTimeout(ctx, originalTimeout)
	defer cancel()
	var first wire.Inbound
	data, err := x.h.Bus.Stored(ctx, wire.StreamIn, seq)
	if err == nil {
		err = json.Unmarshal(data, &first)
	}
	return first, err
}

// said asks dialog what it answered; nil when it has not, or cannot be asked.
func (x *exchange) said(ctx context.Context) *wire.Reply {
	ctx, cancel := context.WithTimeout(ctx, saidTimeout)
	defer cancel()
	var s wire.Said
	q := wire.SaidQuery{V: wire.Version, ID: x.in.ID, Corp: x.in.Corp, App: x.in.App, User: x.in.User}
	if err := x.h.Bus.Ask(ctx, wire.SaidSubject(x.in.Corp, x.in.App), q, &s); err != nil {
		x.h.Log.Debug("dialog cannot be asked what it said", zap.String("id", x.in.ID), zap.Error(err))
		return nil
	}
	if s.Reply == nil || !x.mine(s.Reply) {
		return nil
	}
	if s.Pushed { // the person has it already: an empty answer ends the redeliveries without a second copy
		s.Reply.Screens = nil
	}
	return s.Reply
}

// settle tells dialog whether WeCom has the reply, and stops listening. Without a yes dialog pushes the reply. Where
// this gateway cannot say yes it says nothing, since another one may hold a delivery of the same message and say yes;
// the exception is a reply that no gateway can answer passively, known to be so at once.
func (x *exchange) settle(passive, hopeless bool) {
	sure := x.confirm && (passive || hopeless)
	if lingers := sure && passive; x.sub != nil && !lingers {
		_ = x.sub.Unsubscribe() // fails only with the connection, and the subscription with it
	}
	if !sure {
		return
	}
	respond := func(msg *nats.Msg) {
		data, err := json.Marshal(wire.ReplyTaken{V: wire.Version, Passive: passive})
		if err == nil {
			err = msg.Respond(data)
		}
		if err != nil {
			x.h.Log.Warn("dialog does not learn that its reply was answered", zap.String("id", x.in.ID), zap.Error(err))
		}
	}
	if x.first != nil {
		respond(x.first)
	}
	if passive && x.sub != nil {
		x.h.running.Go(func() { x.linger(respond) })
		return
	}
	for {
		select {
		case msg := <-x.requests: // the same reply once more
			respond(msg)
		default:
			return
		}
	}
}

// linger answers whoever asks again for a while.
func (x *exchange) linger(respond func(*nats.Msg)) {
	end := time.NewTimer(lingers)
	defer end.Stop()
	for {
		select {
		case msg := <-x.requests:
			respond(msg)
			continue
		case <-end.C:
		case <-x.h.stopped:
		}
		_ = x.sub.Unsubscribe() // fails only with the connection, and the subscription with it
		return
	}
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
