// Package metrics names everything the gateway counts, in one place. No label ever holds a user, a message or
// anything else that a stranger can choose: the number of series is bounded by the configuration.
package metrics

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// NoApp is the app label of requests that named none of the apps.
const NoApp = "-"

// Set is the gateway's metrics.
type Set struct {
	Refused    *prometheus.CounterVec   // app, reason: callbacks refused before or by the checks
	Callbacks  *prometheus.CounterVec   // app, result: every answer, refused included
	Seconds    *prometheus.HistogramVec // app: from receipt to the end of the answer
	Redelivery *prometheus.CounterVec   // app: callbacks that were on IN already
	Replies    *prometheus.CounterVec   // app, way: passive, or push
	Pushes     *prometheus.CounterVec   // app, result: ok, an errcode of WeCom, or a kind of failure; uploads too
	Cards      *prometheus.CounterVec   // app, result: sent, refused (it went as text), updated, not_updated
	Persons    *prometheus.CounterVec   // app, result: ok, stranger, list, or a kind of failure
	Unrecorded prometheus.Counter       // refusals that were counted, but too many to be logged and audited one by one
	Panics     prometheus.Counter
	InFlight   prometheus.Gauge
}

// New registers the metrics. Only one gateway can use a registry.
func New(reg prometheus.Registerer) (*Set, error) {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Namespace: "palmops", Subsystem: "gateway", Name: name, Help: help})
	}
	vec := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "palmops", Subsystem: "gateway", Name: name, Help: help}, labels)
	}
	s := &Set{
		Refused:    vec("refused_total", "Callbacks refused.", "app", "reason"),
		Callbacks:  vec("callbacks_total", "Callbacks answered.", "app", "result"),
		Redelivery: vec("redelivered_total", "Callbacks that had been accepted before.", "app"),
		Replies:    vec("replies_total", "Replies handed to WeCom.", "app", "way"),
		Pushes:     vec("pushes_total", "Messages pushed, one for each part and try.", "app", "result"),
		Cards:      vec("cards_total", "Cards pushed, and pressed cards made dead.", "app", "result"),
		Persons:    vec("persons_total", "Questions to the directory.", "app", "result"),
		Unrecorded: counter("refusals_unrecorded_total", "Refusals too many to be logged and audited one by one."),
		Panics:     counter("panics_total", "Panics in the callback handler."),
		Seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: "palmops", Subsystem: "gateway", Name: "callback_seconds", Help: "Time from receipt to the end of the answer.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2, 3, 4, 4.5, 5},
		}, []string{"app"}),
		InFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: "palmops", Subsystem: "gateway", Name: "in_flight", Help: "Callbacks being answered.",
		}),
	}
	var errs []error
	for _, c := range []prometheus.Collector{
		s.Refused, s.Callbacks, s.Seconds, s.Redelivery, s.Replies, s.Pushes, s.Cards, s.Persons, s.Unrecorded, s.Panics, s.InFlight,
	} {
		errs = append(errs, reg.Register(c))
	}
	return s, errors.Join(errs...)
}
