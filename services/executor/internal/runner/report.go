package runner

import (
	"context"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"palmops/libs/bus"
	"palmops/libs/fault"
	"palmops/libs/lang"
	"palmops/libs/wire"
	"palmops/services/executor/internal/guard"
	"palmops/services/executor/internal/kind"
)

type metrics struct {
	actions *prometheus.CounterVec // action, state
	refused *prometheus.CounterVec // reason
	claim   prometheus.Histogram
	running prometheus.Gauge
}

func newMetrics(reg prometheus.Registerer) metrics {
	m := metrics{
		actions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "palmops_executor_actions_total", Help: "Actions that this executor brought into a state.",
		}, []string{"action", "state"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "palmops_executor_refused_total", Help: "Messages on ACT that were refused, by reason.",
		}, []string{"reason"}),
		claim: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "palmops_executor_claim_seconds", Help: "From the issue of an order to its first claim, in seconds.",
			Buckets: []float64{0.01, 0.05, 0.1, 0.5, 1, 2, 5, 15, 60, 120},
		}),
		running: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "palmops_executor_running", Help: "Actions in this executor's hands.",
		}),
	}
	reg.MustRegister(m.actions, m.refused, m.claim, m.running)
	return m
}

// note counts and audits that this executor brought an action into a new state or hand.
func (r *Runner) note(rec *wire.Record) {
	name := rec.Action
	if _, known := r.o.Catalog.Action(name); !known {
		name = "other" // a label must not grow with what strangers write
	}
	r.metrics.actions.WithLabelValues(name, rec.State).Inc()
	r.o.Audit.Write(line(rec, rec.State, ""))
}

// line is an audit line about an action.
func line(rec *wire.Record, verdict, reason string) wire.AuditLine {
	l := wire.AuditLine{
		Corp: rec.Corp, App: rec.App, User: rec.User, What: "action", Ref: rec.ID, Verdict: verdict, Reason: reason,
		Detail: map[string]string{"action": rec.Action, "args_sha256": rec.ArgsHash, "attempt": fmt.Sprint(rec.Attempt)},
	}
	if rec.Noop {
		l.Detail["noop"] = "yes"
	}
	if rec.Report {
		l.Detail["report"] = "yes" // nobody confirmed it
	}
	if rec.Parent != "" {
		l.Detail["parent"] = rec.Parent
	}
	if rec.Owner != "" {
		l.Detail["owner"] = rec.Owner
	}
	return l
}

// refused counts and audits a verdict of the guard. What is not proven is marked so.
func (r *Runner) refused(m *bus.Msg, no *guard.Refusal) {
	r.metrics.refused.WithLabelValues(string(no.Reason)).Inc()
	c := no.Claims
	proven := "yes"
	if !no.Proven {
		proven = "no"
	}
	r.o.Audit.Write(wire.AuditLine{
		Corp: c.Corp, App: c.App, User: c.User, What: "action", Ref: c.ID, Verdict: "refused", Reason: string(no.Reason),
		Detail: map[string]string{"proven": proven, "seq": fmt.Sprint(m.Seq), "action": c.Action},
	})
}

// evidence keeps what a former owner found out after it had lost the action.
func (r *Runner) evidence(rec *wire.Record, result kind.Result) {
	l := line(rec, "evidence", result.State)
	l.What = "evidence"
	l.Detail["owner"] = r.o.Self
	r.o.Audit.Write(l)
}

// event is the state of a record for the user, without secrets.
func (r *Runner) event(rec *wire.Record, rev uint64) wire.Event {
	return wire.Event{
		V: wire.Version, ID: rec.ID, Corp: rec.Corp, App: rec.App, User: rec.User, Action: rec.Action, Title: rec.Title,
		State: rec.State, Rev: rev, Text: r.mask.Text(rec.Summary), Executor: r.o.Self, At: r.o.Now().UnixMilli(), Lang: rec.Lang, Noop: rec.Noop,
	}
}

// publish stores an event on RES. Its id makes a repetition harmless.
func (r *Runner) publish(ctx context.Context, ev wire.Event) error {
	_, err := r.o.Bus.Publish(ctx, wire.ResSubject(ev.Corp, ev.App, ev.ID), fmt.Sprintf("%s:%s:%d", ev.ID, ev.State, ev.Rev), ev)
	return err
}

// tell publishes the final state of an action, with what it printed; "" asks for what was stored. Only then may its message be
// acknowledged. It tries for some seconds. Of a step nobody is told: the person hears from its workflow.
func (r *Runner) tell(ctx context.Context, rec *wire.Record, rev uint64, output string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if rec.Parent != "" {
		return nil
	}
	ev := r.event(rec, rev)
	r.shown(ctx, &ev, rec, output)
	wait := 100 * time.Millisecond
	for {
		err := r.publish(ctx, ev)
		if err == nil || fault.Is(err, fault.Invalid) || kind.Pause(ctx, wait) != nil {
			return err
		}
		wait = min(2*wait, 2*time.Second)
	}
}

// tellUnproven tells whoever a refused message names that it was refused, so that wrong keys do not leave a person waiting. The
// words are fixed and no record is made: with no proof the message may not even use up an action id.
func (r *Runner) tellUnproven(ctx context.Context, no *guard.Refusal) {
	c := no.Claims
	if no.Reason != guard.Signature || c.ID == "" {
		return
	}
	if rec, _, err := r.store.get(ctx, c.ID); err != nil || rec != nil {
		return // a real action has this id: a forgery must not speak for it
	}
	// When it fails the audit line remains, and dialog tells of orders that nobody took.
	_ = r.publish(ctx, wire.Event{
		V: wire.Version, ID: c.ID, Corp: c.Corp, App: c.App, User: c.User, State: wire.StateRejected,
		Text: texts.Say(lang.Of(c.Lang), "begin.unproven"), Executor: r.o.Self, At: r.o.Now().UnixMilli(), Lang: c.Lang,
	})
}
