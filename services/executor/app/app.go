// Package app is the executor as a value: New wires and connects, Run serves, Ready tells.
package app

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"os"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"palmops/libs/audit"
	"palmops/libs/bus"
	"palmops/libs/fault"
	"palmops/libs/token"
	"palmops/services/executor/catalog"
	"palmops/services/executor/internal/answer"
	"palmops/services/executor/internal/guard"
	"palmops/services/executor/internal/kind"
	"palmops/services/executor/internal/offer"
	"palmops/services/executor/internal/runner"
)

// Options are everything the executor needs from outside.
type Options struct {
	Config  Config
	Catalog *catalog.Catalog // read from Config.Catalog when nil
	Keys    token.KeySet     // read from Config.KeysFile when it has no zone
	NATS    bus.Options      // URL and credentials are taken from Config where this says nothing
	Log     *zap.Logger      // nil for silence
	Metrics prometheus.Registerer
	Now     func() time.Time // time.Now when nil
	// Instance names this process in records, events and audit lines. A random end is always added: two processes never share a
	// name, since a record's owner is known by it. The host's name when empty.
	Instance string
	// KubeServer replaces the way to every cluster by the URL of an API without authentication.
	KubeServer string
	// Kubeconfig, a path, replaces the way to every cluster.
	Kubeconfig string
}

// App is one executor.
type App struct {
	self   string
	bus    *bus.Bus
	kinds  map[string]kind.Kind
	audit  *audit.Trail
	runner *runner.Runner
	answer *answer.Server
	offer  offer.Options
	closed sync.Once
}

// New reads what is missing, connects and declares the streams; it keeps trying to reach NATS until ctx ends. Errors: Invalid
// for a wrong configuration, catalog or key file, with file and line; Transient when NATS cannot be reached.
func New(ctx context.Context, o Options) (*App, error) {
	o, err := o.complete()
	if err != nil {
		return nil, err
	}
	g, err := guard.New(o.Catalog, o.Keys)
	if err != nil {
		return nil, err
	}
	ks, err := kinds(o.Catalog, o)
	if err != nil {
		return nil, err
	}
	a := &App{self: instance(o.Instance), kinds: ks}
	o.NATS.Name = "palmops executor " + a.self
	if a.bus, err = bus.Connect(ctx, o.NATS); err != nil {
		a.Close()
		return nil, err
	}
	if err := a.bus.Declare(ctx, o.Config.NATS.Replicas); err != nil {
		a.Close()
		return nil, err
	}
	log := o.Log.Named("executor").With(zap.String("instance", a.self))
	a.audit = audit.New(a.bus, "executor", a.self, log, o.Metrics)
	a.runner, err = runner.New(ctx, runner.Options{
		Bus: a.bus, Catalog: o.Catalog, Guard: g, Kinds: ks, Self: a.self, Workers: o.Config.Workers, Timing: runner.DefaultTiming(),
		Audit: a.audit, Metrics: o.Metrics, Log: log, Now: o.Now,
	})
	if err != nil {
		a.Close()
		return nil, err
	}
	a.answer = answer.New(answer.Options{
		Bus: a.bus, Catalog: o.Catalog, Guard: g, Kinds: ks, Locks: a.runner, Audit: a.audit, Metrics: o.Metrics, Log: log, Now: o.Now,
	})
	a.offer = offer.Options{Bus: a.bus, Catalog: o.Catalog, Self: a.self, Log: log}
	return a, nil
}

func (o Options) complete() (Options, error) {
	var err error
	if o.Catalog == nil {
		if o.Catalog, err = catalog.Load(o.Config.Catalog, Kinds()); err != nil {
			return o, err
		}
	}
	if o.Keys.Zone == "" {
		if o.Keys, err = LoadKeys(o.Config.KeysFile); err != nil {
			return o, err
		}
	}
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	if o.Metrics == nil {
		o.Metrics = prometheus.NewRegistry()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Config.Workers == 0 {
		o.Config.Workers = DefaultWorkers
	}
	if o.Config.NATS.Replicas == 0 {
		o.Config.NATS.Replicas = 1
	}
	if o.NATS.URL == "" && o.NATS.InProcess == nil {
		o.NATS.URL, o.NATS.Creds = o.Config.NATS.URL, o.Config.NATS.Creds
	}
	if o.NATS.Log == nil {
		o.NATS.Log = o.Log
	}
	if o.Config.Workers < 1 || o.Config.Workers > MaxWorkers {
		return o, fault.New(fault.Invalid, "workers must be 1 to %d", MaxWorkers)
	}
	return o, nil
}

func instance(name string) string {
	if name == "" {
		name, _ = os.Hostname() // without one the random end names the process well enough
	}
	var end [4]byte
	_, _ = rand.Read(end[:]) // never fails
	return name + "-" + hex.EncodeToString(end[:])
}

// Instance is the name under which this executor owns actions.
func (a *App) Instance() string { return a.self }

// Ready reports whether orders can be taken now. A cluster that is down does not make the executor unready: it says so to
// those who ask.
func (a *App) Ready(ctx context.Context) error { return a.bus.Ready(ctx) }

// Run takes orders and answers questions until ctx ends, finishes what is at work, and closes the connection. An App runs once.
func (a *App) Run(ctx context.Context) error {
	defer a.Close()
	var wg sync.WaitGroup
	actx, stopAudit := context.WithCancel(context.WithoutCancel(ctx))
	wg.Go(func() { a.audit.Run(actx) })
	work, cancel := context.WithCancel(ctx)
	defer cancel()
	var rerr, qerr error
	var parts sync.WaitGroup
	parts.Go(func() { defer cancel(); rerr = a.runner.Run(work) })
	parts.Go(func() { defer cancel(); qerr = a.answer.Run(work) })
	parts.Go(func() { offer.Run(work, a.offer) })
	parts.Wait()
	stopAudit() // last: it has lines of both
	wg.Wait()
	return errors.Join(rerr, qerr)
}

// Close lets go of all connections; for an App that never ran.
func (a *App) Close() {
	a.closed.Do(func() {
		for _, k := range a.kinds {
			k.Close()
		}
		if a.bus != nil {
			a.bus.Close()
		}
	})
}
