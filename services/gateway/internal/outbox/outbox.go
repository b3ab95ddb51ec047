// Package outbox pushes messages: it takes them from OUT, in order for each person, and sends them through WeCom's API.
//
// A message leaves OUT once WeCom has taken all its parts, or has refused it in a way that no second try can mend. A
// failure that may pass is tried again with growing pauses. A try whose answer was lost may have been shown: it is
// repeated with the same content while WeCom's own duplicate check still remembers the first.
//
// A screen that asks for it goes out as a card with buttons where the app allows cards; when WeCom does not take the card,
// the same screen goes out as text, whose numbers always work. A file or an image comes from the object store and is uploaded
// first; when that cannot be done, a sentence says so in its place.
package outbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"palmops/libs/bus"
	"palmops/libs/wecom"
	"palmops/libs/wire"
	"palmops/services/gateway/internal/metrics"
)

// Sender sends messages of one app. *wecom.Client is one.
type Sender interface {
	Send(ctx context.Context, m wecom.OutMessage) (wecom.SendResult, error)
	UpdateCard(ctx context.Context, userIDs []string, responseCode, replaceName string) error
	Upload(ctx context.Context, kind, name string, r io.Reader, size int64) (mediaID string, err error)
}

// Trail keeps audit lines; it never blocks.
type Trail interface {
	Write(line wire.AuditLine)
}

// App is one WeCom application that messages are sent as.
type App struct {
	Corp, Name string
	Sender     Sender
	Cards      bool // whether screens that ask for it go out as cards
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
	// updateFor is how long the update of a pressed card may hold up the screens.
	updateFor = 3 * time.Second
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
