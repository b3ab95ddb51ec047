package app

import (
	"context"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"palmops/libs/run"
)

// DefaultAdmin is where /healthz, /readyz and /metrics of a simulator that runs alone are served.
const DefaultAdmin = "127.0.0.1:8094"

// Service is the simulator as a process of its own.
func Service() run.Service {
	return run.Service{Name: "simulator", Config: "simulator.yaml", Build: func(_ context.Context, config string, log *zap.Logger, reg *prometheus.Registry) (run.Part, string, string, error) {
		o, err := Load(config)
		if err != nil {
			return nil, "", "", err
		}
		o.Log, o.Registry = log, reg
		a, err := New(o)
		if err != nil {
			return nil, "", "", err
		}
		return a, DefaultAdmin, fmt.Sprintf("手机页面 http://%s/ ，练习集群 http://%s", a.Addr(), a.ClusterAddr()), nil
	}}
}
