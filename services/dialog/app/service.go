package app

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"palmops/libs/run"
)

// Service is the dialog as a process of its own.
func Service() run.Service {
	return run.Service{Name: "dialog", Config: "dialog.yaml", Build: func(ctx context.Context, config string, log *zap.Logger, reg *prometheus.Registry) (run.Part, string, string, error) {
		o, err := Load(config)
		if err != nil {
			return nil, "", "", err
		}
		o.Log, o.Registry = log, reg
		a, err := New(ctx, o)
		if err != nil {
			return nil, "", "", err
		}
		return a, o.Config.Admin, "", nil
	}}
}
