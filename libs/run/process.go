package run

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os/signal"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"palmops/libs/obs"
)

// StopWithin is how long a part of a process may take to finish what it has in hand. Orchestrators kill after 30 s.
const StopWithin = 25 * time.Second

// Service is a part that can be a process of its own.
type Service struct {
	Name   string // one word
	Config string // the configuration file when none is named
	// Build reads the configuration file and builds the part with everything bound. Admin is where the operators'
	// listener shall be; hello, when not empty, is what a person at a terminal should know.
	Build func(ctx context.Context, config string, log *zap.Logger, reg *prometheus.Registry) (part Part, admin, hello string, err error)
}

// Main runs the service until SIGINT or SIGTERM and returns the exit code: 0 after an ordinary stop, 1 after a failure, which
// it writes to errs. Logs go there too.
func (s Service) Main(ctx context.Context, args []string, errs io.Writer) int {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	err := s.run(ctx, args, errs)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintf(errs, "%s: %v\n", s.Name, err)
		return 1
	}
	return 0
}

func (s Service) run(ctx context.Context, args []string, errs io.Writer) error {
	f := flag.NewFlagSet(s.Name, flag.ContinueOnError)
	f.SetOutput(errs)
	config := f.String("config", s.Config, "configuration `file`")
	level := f.String("log", "info", "log level: debug, info, warn or error")
	text := f.Bool("log-text", false, "log as text lines instead of JSON")
	admin := f.String("admin", "", "`address` of /healthz, /readyz and /metrics (default: the configuration's)")
	if err := f.Parse(args); err != nil {
		return err
	}
	if f.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", f.Arg(0))
	}
	log, err := obs.NewLogger(errs, *level, !*text)
	if err != nil {
		return err
	}
	reg := obs.NewRegistry()
	part, addr, hello, err := s.Build(ctx, *config, log, reg)
	if err != nil {
		return err
	}
	if *admin != "" {
		addr = *admin
	}
	own := Named{s.Name, part}
	a, err := NewAdmin(addr, obs.MetricsHandler(reg), log, own)
	if err != nil {
		// Run with an ended context is how a part that never served gives back what it took.
		done, cancel := context.WithCancel(ctx)
		cancel()
		return errors.Join(err, part.Run(done))
	}
	release := context.AfterFunc(ctx, a.Stopping)
	defer release()
	if hello != "" {
		fmt.Fprintln(errs, hello)
	}
	log.Info("serving", zap.String("service", s.Name), zap.String("admin", a.Addr()))
	parts := []Named{{"admin", a}}
	if r, ok := part.(Reloader); ok {
		parts = append(parts, Hangup(r, log))
	}
	return All(ctx, log, StopWithin, append(parts, own)...)
}
