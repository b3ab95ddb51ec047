package app

import (
	"context"
	"errors"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"palmops/libs/conf"
	"palmops/libs/run"
)

// Service is the executor as a process of its own. NATS_URL and PALMOPS_KUBECONFIG of the environment win over the files.
func Service() run.Service {
	return run.Service{Name: "executor", Config: "executor.yaml", Build: func(ctx context.Context, config string, log *zap.Logger, reg *prometheus.Registry) (run.Part, string, string, error) {
		cfg, err := Load(config)
		url, uerr := conf.Env("NATS_URL")
		kubeconfig, kerr := conf.Env("PALMOPS_KUBECONFIG")
		if err := errors.Join(err, uerr, kerr); err != nil {
			return nil, "", "", err
		}
		if url != "" {
			cfg.NATS.URL = url
		}
		a, err := New(ctx, Options{Config: cfg, Log: log, Metrics: reg, Kubeconfig: kubeconfig})
		if err != nil {
			return nil, "", "", err
		}
		return a, cfg.Admin, "", nil
	}}
}
