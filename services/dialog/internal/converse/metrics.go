package converse

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	steps     *prometheus.CounterVec
	seconds   prometheus.Histogram
	replies   *prometheus.CounterVec
	questions *prometheus.CounterVec
	orders    prometheus.Counter
	storeDown prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		steps: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "palmops_dialog_steps_total", Help: "Messages worked on, by what they were taken for and why they had no effect.",
		}, []string{"did", "reason"}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "palmops_dialog_step_seconds", Help: "From taking a message to its acknowledgement.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 1.5},
		}),
		replies: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "palmops_dialog_replies_total", Help: "Replies by the way they took: passive, push, or none when there was nothing to say.",
		}, []string{"way"}),
		questions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "palmops_dialog_questions_total", Help: "Questions of steps, by what was wanted, from whom, and the result.",
		}, []string{"what", "zone", "pool", "result"}),
		orders: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "palmops_dialog_orders_total", Help: "Confirmed actions that were stored for executors.",
		}),
		storeDown: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "palmops_dialog_store_unavailable_total", Help: "Messages answered without a session store.",
		}),
	}
	reg.MustRegister(m.steps, m.seconds, m.replies, m.questions, m.orders, m.storeDown)
	return m
}
