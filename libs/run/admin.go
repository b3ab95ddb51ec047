package run

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

// Admin is the listener for operators' tools: /healthz, the process lives; /readyz, 200 when every part is ready,
// else 503 with the reasons; /metrics. It is a listener of its own and must not be reachable from outside.
type Admin struct {
	ln       net.Listener
	srv      *http.Server
	parts    []Named
	stopping atomic.Bool
}

// NewAdmin binds addr. The parts are asked for their readiness at each request, 2 s at most for all of them.
func NewAdmin(addr string, metrics http.Handler, log *zap.Logger, parts ...Named) (*Admin, error) {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("admin listener: %w", err)
	}
	a := &Admin{ln: ln, parts: parts}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) })
	mux.HandleFunc("GET /readyz", a.readyz)
	mux.Handle("GET /metrics", metrics)
	a.srv = &http.Server{
		Handler: mux, ReadHeaderTimeout: 2 * time.Second, ReadTimeout: 4 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10,
		ErrorLog: zap.NewStdLog(log.Named("admin")),
	}
	return a, nil
}

// Addr is the address that was bound.
func (a *Admin) Addr() string { return a.ln.Addr().String() }

// Stopping makes /readyz say no from now on, so that balancers look elsewhere before anything ends.
func (a *Admin) Stopping() { a.stopping.Store(true) }

// Ready is always nil: the listener is bound.
func (a *Admin) Ready(context.Context) error { return nil }

// Run serves until ctx ends.
func (a *Admin) Run(ctx context.Context) error { return Serve(ctx, a.srv, a.ln) }

func (a *Admin) readyz(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
	defer cancel()
	report := map[string]string{}
	ready := !a.stopping.Load()
	if !ready {
		report["process"] = "stopping"
	}
	for _, p := range a.parts {
		report[p.Name] = "ready"
		if err := p.Part.Ready(ctx); err != nil {
			ready = false
			report[p.Name] = err.Error()
		}
	}
	w.Header().Set("Content-Type", "application/json")
	if !ready {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_ = json.NewEncoder(w).Encode(report) // the client went away
}

// Serve runs an HTTP server on a bound listener until ctx ends, then lets running requests finish for up to 10 s.
func Serve(ctx context.Context, srv *http.Server, ln net.Listener) error {
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	sctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	err := srv.Shutdown(sctx)
	if err != nil {
		_ = srv.Close() // Shutdown already says what went wrong
	}
	if serr := <-served; !errors.Is(serr, http.ErrServerClosed) {
		err = errors.Join(err, serr)
	}
	return err
}
