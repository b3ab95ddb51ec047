package app

import (
	"context"
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"palmops/libs/conf"
	"palmops/libs/run"
	"palmops/libs/token"
)

// Service is the executor as a process of its own. NATS_URL, PALMOPS_KEYS (a key file's content), PALMOPS_KUBE_SERVER and
// PALMOPS_KUBECONFIG of the environment win over the files.
func Service() run.Service {
	return run.Service{Name: "executor", Config: "executor.yaml", Build: func(ctx context.Context, config string, log *zap.Logger, reg *prometheus.Registry) (run.Part, string, string, error) {
		cfg, err := Load(config)
		url, uerr := conf.Env("NATS_URL")
		kubeconfig, kerr := conf.Env("PALMOPS_KUBECONFIG")
		server, serr := conf.Env("PALMOPS_KUBE_SERVER")
		secret, yerr := conf.Env("PALMOPS_KEYS")
		if err := errors.Join(err, uerr, kerr, serr, yerr); err != nil {
			return nil, "", "", err
		}
		var keys token.KeySet
		if secret != "" {
			if keys, err = token.ParseKeySet([]byte(secret)); err != nil {
				return nil, "", "", fmt.Errorf("PALMOPS_KEYS: %w", err)
			}
		}
		if url != "" {
			cfg.NATS.URL = url
		}
		a, err := New(ctx, Options{Config: cfg, Keys: keys, Log: log, Metrics: reg, Kubeconfig: kubeconfig, KubeServer: server})
		if err != nil {
			return nil, "", "", err
		}
		return a, cfg.Admin, "", nil
	}}
}
