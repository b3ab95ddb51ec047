// Package outbox pushes messages: it takes them from OUT, in order for each person, and sends them through WeCom's API.
//
// A message leaves OUT once WeCom has taken all its parts, or has refused it in a way that no second try can mend. A
// failure that may pass is tried again with growing pauses. A try whose answer was lost may have been shown: it is
// repeated with the same text while WeCom's own duplicate check still remembers the first.
package outbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"palmops/libs/bus"
	"palmops/libs/fault"
	"palmops/libs/wecom"
	"palmops/libs/wire"
	"palmops/services/gateway/internal/metrics"
	"palmops/services/gateway/internal/render"
)

// Sender sends one message of one app. *wecom.Client is one.
type Sender interface {
	Send(ctx context.Context, m wecom.OutMessage) (wecom.SendResult, error)
}

// Trail keeps audit lines; it never blocks.
type Trail interface {
	Write(line wire.AuditLine)
}

// App is one WeCom application that messages are sent as.
type App struct {
	Corp, Name string
	Sender     Sender
}

const (
	// sameFor is how long WeCom does not show the same text to the same person again. It covers the pauses between tries;
	// longer, it would swallow what a person was told twice on purpose.
	sameFor = 60 * time.Second
	// busyFor is the pause after WeCom's frequency limit, which blocks for a whole window.
	busyFor  = 60 * time.Second
	codeBusy = 45009

	// How often a failure that nobody can explain is met before the message is given up, since others wait behind it: a
	// code of WeCom's that no list holds, and anything else, such as a page of some proxy instead of an answer.
	maxRefusals = 3
	maxTries    = 60

	ackWait = 10 * time.Second
)

// Outbox is the pushing half of the gateway.
type Outbox struct {
	apps    map[string]App
	bus     *bus.Bus
	trail   Trail
	metrics *metrics.Set
	now     func() time.Time
	retry   time.Duration // the first pause after a failure
}

// New makes an outbox for apps.
func New(b *bus.Bus, apps []App, trail Trail, m *metrics.Set, now func() time.Time) *Outbox {
	o := &Outbox{apps: map[string]App{}, bus: b, trail: trail, metrics: m, now: now, retry: 250 * time.Millisecond}
	for _, a := range apps {
		o.apps[key(a.Corp, a.Name)] = a
	}
	return o
}

func key(corp, app string) string { return corp + "\x00" + app }

// Run takes messages from every lane until ctx ends and the message in hand is done. Any number of gateways may run at once;
// a lane gives out one message at a time. Errors: the consumers cannot be made.
func (o *Outbox) Run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var wg sync.WaitGroup
	errs := make([]error, wire.OutPartitions)
	for p := range wire.OutPartitions {
		l := &lane{Outbox: o}
		wg.Go(func() {
			err := o.bus.Consume(ctx, bus.Consumer{
				Stream: wire.StreamOut, Durable: fmt.Sprintf("gw-%02d", p), Filter: wire.OutLane(p),
				Lane: 1, Workers: 1, AckWait: ackWait, Retry: o.retry,
			}, l.push)
			if err != nil && ctx.Err() == nil { // after a stop it is only the stop
				errs[p] = err
				stop()
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// lane is one lane's place: a message that failed in the middle goes on with the part that failed.
type lane struct {
	*Outbox
	id   string
	sent int
}

// push sends one message. The kind of its error settles the message; the consumer logs it.
func (l *lane) push(ctx context.Context, m *bus.Msg) error {
	var out wire.Outbound
	if err := json.Unmarshal(m.Data, &out); err != nil {
		return l.give(out, fault.Wrap(fault.Invalid, err, "outbound message"))
	}
	app, ok := l.apps[key(out.Corp, out.App)]
	switch {
	case !ok:
		return l.give(out, fault.New(fault.NotFound, "no app %q of corp %q is configured here", out.App, out.Corp))
	case out.User == "" || len(out.User) > 64 || out.User[0] == '@' || strings.Contains(out.User, "|"):
		return l.give(out, fault.New(fault.Invalid, "the receiver is not one person"))
	}
	if l.id != out.ID {
		l.id, l.sent = out.ID, 0
	}
	parts := render.Parts(text(out), wecom.MaxText)
	for l.sent < len(parts) {
		if err := l.send(ctx, app, out, parts[l.sent]); err != nil {
			return l.give(out, patience(err, m.Delivered))
		}
		l.sent++
		if err := m.Working(); err != nil {
			return fault.Wrap(fault.Transient, err, "keep the message")
		}
	}
	if len(parts) > 0 {
		l.metrics.Replies.WithLabelValues(app.Name, "push").Inc()
	}
	return nil
}

// patience makes an unexplained failure final when it has come often enough.
func patience(err error, tries uint64) error {
	limit := uint64(maxTries)
	var api *wecom.APIError
	if errors.As(err, &api) {
		limit = maxRefusals
	}
	if fault.Is(err, fault.Internal) && tries >= limit {
		return fault.Wrap(fault.Invalid, err, "given up")
	}
	return err
}

// text is the whole text of a message, with the line that says what it answers when it comes late.
func text(out wire.Outbound) string {
	s := render.Text(out.Screens)
	if s != "" && out.InReplyTo != "" && out.SentAt > 0 {
		s = render.Late(out.SaidText, time.Unix(out.SentAt, 0)) + "\n" + s
	}
	return s
}

func (l *lane) send(ctx context.Context, app App, out wire.Outbound, part string) error {
	res, err := app.Sender.Send(ctx, wecom.OutMessage{ToUser: out.User, MsgType: wecom.TypeText, Text: part, DuplicateCheck: sameFor})
	switch named := func(id string) bool { return strings.EqualFold(id, out.User) }; {
	case err == nil && slices.ContainsFunc(res.InvalidUser, named):
		err = fault.New(fault.NotFound, "WeCom knows no such receiver in the app's visible range")
	case err == nil && slices.ContainsFunc(res.Unlicensed, named):
		err = fault.New(fault.Denied, "the receiver has no licence for the interface")
	}
	var api *wecom.APIError
	switch {
	case err == nil:
		l.metrics.Pushes.WithLabelValues(app.Name, "ok").Inc()
	case errors.As(err, &api):
		l.metrics.Pushes.WithLabelValues(app.Name, strconv.Itoa(api.Code)).Inc()
		if api.Code == codeBusy {
			return bus.Later(busyFor, err)
		}
	default:
		l.metrics.Pushes.WithLabelValues(app.Name, string(fault.KindOf(err))).Inc()
	}
	return err
}

// give leaves an audit line for a message that is given up; one that comes again leaves none.
func (l *lane) give(out wire.Outbound, err error) error {
	if bus.Settle(err) == bus.Drop {
		reason := string(fault.KindOf(err))
		var api *wecom.APIError
		if errors.As(err, &api) {
			reason = "errcode_" + strconv.Itoa(api.Code)
		}
		l.trail.Write(wire.AuditLine{
			At: l.now().UnixMilli(), Corp: out.Corp, App: out.App, User: out.User, What: "push", Ref: out.ID, Verdict: "refused", Reason: reason,
		})
	}
	return err
}
