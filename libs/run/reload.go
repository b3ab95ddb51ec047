package run

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"go.uber.org/zap"
)

// Reloader is a part that can read its configuration again. On an error nothing has changed.
type Reloader interface {
	Reload(ctx context.Context) error
}

// hangup reloads a part whenever the process gets SIGHUP, as nginx, nats-server and others do.
type hangup struct {
	reload  Reloader
	log     *zap.Logger
	signals chan os.Signal
}

// Hangup is a part that calls r on every SIGHUP while it runs, and logs what came of it. It listens from now on.
func Hangup(r Reloader, log *zap.Logger) Named {
	h := hangup{reload: r, log: log.Named("reload"), signals: make(chan os.Signal, 1)}
	signal.Notify(h.signals, syscall.SIGHUP)
	return Named{Name: "reload", Part: h}
}

// Ready says yes.
func (h hangup) Ready(context.Context) error { return nil }

// Run reloads until ctx ends.
func (h hangup) Run(ctx context.Context) error {
	defer signal.Stop(h.signals)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-h.signals:
		}
		if err := h.reload.Reload(ctx); err != nil {
			h.log.Error("not reloaded; the old configuration goes on", zap.Error(err))
			continue
		}
		h.log.Info("reloaded")
	}
}
