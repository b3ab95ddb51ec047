// Package report tells people what becomes of their actions: progress and results from RES, and, by looking through ACT,
// that an action still waits for an executor or has waited past its time. An output that is too long for a message goes
// into the object store whole, and the message says how to read it.
package report

import (
	"context"
	"encoding/json"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"palmops/libs/bus"
	"palmops/libs/fault"
	"palmops/libs/wire"
)

// Publisher stores a message to a person.
type Publisher interface {
	Publish(ctx context.Context, subject, id string, v any) (bus.Ack, error)
}

// Records reads the truth about actions: nil without an error when there is no record.
type Records interface {
	Record(ctx context.Context, id string) (*wire.Record, error)
}

// Reporter turns events into messages. It is safe for concurrent use.
type Reporter struct {
	pub     Publisher
	records Records
	outputs Outputs
	log     *zap.Logger
	reports *prometheus.CounterVec
}

// New makes a Reporter.
func New(pub Publisher, records Records, outputs Outputs, log *zap.Logger, reg prometheus.Registerer) *Reporter {
	r := &Reporter{
		pub: pub, records: records, outputs: outputs, log: log.Named("report"),
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
	if _, err := r.pub.Publish(ctx, wire.OutSubject(ev.Corp, ev.App, ev.User), out.ID, out); err != nil {
		return err
	}
	r.reports.WithLabelValues(ev.State, "sent").Inc()
	return nil
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
