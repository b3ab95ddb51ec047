// Package report tells people what becomes of their actions: progress and results from RES, and, by looking through ACT,
// that an action still waits for an executor or has waited past its time. An output that is too long for a message goes
// into the object store whole, and the message says how to read it.
package report

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"palmops/libs/bus"
	"palmops/libs/fault"
	"palmops/libs/wire"
	"palmops/services/dialog/internal/session"
)

// Publisher stores a message to a person.
type Publisher interface {
	Publish(ctx context.Context, subject, id string, v any) (bus.Ack, error)
}

// Records reads the truth about actions: nil without an error when there is no record.
type Records interface {
	Record(ctx context.Context, id string) (*wire.Record, error)
}

// Accepted says whether the reply that calls an action accepted is with the person, or on its way there.
type Accepted interface {
	Settled(ctx context.Context, w session.Who, action string) (bool, error)
}

const (
	// hold is how long an event waits for that reply: a quick action would else be finished on the phone before it was
	// accepted. It is short, since the events of everybody wait behind it.
	hold = 300 * time.Millisecond
	look = 10 * time.Millisecond
)

// Reporter turns events into messages. It is safe for concurrent use.
type Reporter struct {
	pub     Publisher
	replies Accepted
	records Records
	outputs Outputs
	log     *zap.Logger
	reports *prometheus.CounterVec
}

// New makes a Reporter.
func New(pub Publisher, replies Accepted, records Records, outputs Outputs, log *zap.Logger, reg prometheus.Registerer) *Reporter {
	r := &Reporter{
		pub: pub, replies: replies, records: records, outputs: outputs, log: log.Named("report"),
		reports: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "palmops_dialog_reports_total", Help: "Events of actions, by state and whether a message came of them.",
		}, []string{"state", "result"}),
	}
	reg.MustRegister(r.reports)
	return r
}

// Handle works on one event of RES. It is made for bus.Consume with one lane, so that a result never overtakes what was
// said before it.
func (r *Reporter) Handle(ctx context.Context, m *bus.Msg) error {
	var ev wire.Event
	if err := json.Unmarshal(m.Data, &ev); err != nil {
		return fault.Wrap(fault.Invalid, err, "event")
	}
	if ev.ID == "" || ev.Corp == "" || ev.App == "" || ev.User == "" {
		return fault.New(fault.Invalid, "event without id, corp, app or user")
	}
	screen, ok := Screen(ev)
	if !ok {
		return nil
	}
	if !wire.Final(ev.State) && r.over(ctx, ev.ID) {
		r.reports.WithLabelValues(ev.State, "overtaken").Inc()
		return nil
	}
	out := wire.Outbound{V: wire.Version, ID: outID(ev, m.Seq), Corp: ev.Corp, App: ev.App, User: ev.User, Screens: []wire.Screen{screen}, Lang: ev.Lang}
	if err := r.output(ctx, ev, m.Delivered, &out); err != nil {
		return err
	}
	if m.Delivered <= 1 {
		r.await(ctx, ev)
	}
	if _, err := r.pub.Publish(ctx, wire.OutSubject(ev.Corp, ev.App, ev.User), out.ID, out); err != nil {
		return err
	}
	r.reports.WithLabelValues(ev.State, "sent").Inc()
	return nil
}

// await waits a little for the reply that calls the action accepted. When nobody can say, the event is told at once.
func (r *Reporter) await(ctx context.Context, ev wire.Event) {
	ctx, cancel := context.WithTimeout(ctx, hold)
	defer cancel()
	tick := time.NewTicker(look)
	defer tick.Stop()
	for {
		settled, err := r.replies.Settled(ctx, session.Who{Corp: ev.Corp, App: ev.App, User: strings.ToLower(ev.User)}, ev.ID)
		if settled || err != nil {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// over reports whether an action has ended, so that progress which came late is not shown after the result.
func (r *Reporter) over(ctx context.Context, id string) bool {
	rec, err := r.records.Record(ctx, id)
	if err != nil {
		r.log.Warn("record", zap.String("action", id), zap.Error(err))
		return false // better a line too many than none
	}
	return rec != nil && wire.Final(rec.State)
}
