// Package app is the dialog as a value: New connects, Run serves, Ready tells. It reads no flags, signals or environment
// (Load reads the environment through conf).
package app

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"go.uber.org/zap"

	"palmops/libs/audit"
	"palmops/libs/bus"
	"palmops/libs/conf"
	"palmops/libs/fault"
	"palmops/libs/run"
	"palmops/libs/token"
	"palmops/libs/wire"
	"palmops/services/dialog/internal/ask"
	"palmops/services/dialog/internal/converse"
	"palmops/services/dialog/internal/people"
	"palmops/services/dialog/internal/report"
	"palmops/services/dialog/internal/rules"
	"palmops/services/dialog/internal/session"
	"palmops/services/dialog/menu"
)

// Timing of the inbound lanes: a message that nobody settled comes to another replica after ackWait; the handler ends before.
const (
	ackWait  = 2 * time.Second
	deadline = 1500 * time.Millisecond
)

// Options are what a dialog needs. Load fills Config, Keys, NATS and RedisURL.
type Options struct {
	Config   Config         // only Menu, Policy and NATS.Replicas are looked at
	Keys     []token.KeySet // one for each zone
	NATS     bus.Options    // Name and Log are set by New
	RedisURL conf.Secret
	Log      *zap.Logger           // nil for silence
	Registry prometheus.Registerer // of this dialog alone; nil for none
	Now      func() time.Time      // time.Now when nil
	Instance string                // in audit lines, with a random end; the host's name when empty
}

// App is a dialog. Any number of them share the work.
type App struct {
	log      *zap.Logger
	bus      *bus.Bus
	redis    *redis.Client
	store    *session.Store
	rules    *rules.Rules
	trail    *audit.Trail
	converse *converse.Converser
	reporter *report.Reporter
	sweeper  *report.Sweeper
	close    sync.Once
}

var _ run.Part = (*App)(nil)

// New reads menu and policy, connects to the bus and declares the streams; it waits for the bus until ctx ends, and does
// not wait for Redis. Who does not call Run calls Close. Errors: conf.Problems for wrong files; Invalid for keys or a
// Redis URL that cannot be used; Transient when the bus cannot be reached.
func New(ctx context.Context, o Options) (*App, error) {
	o = o.withDefaults()
	signer, err := ask.NewSigner(o.Keys, o.Now)
	if err != nil {
		return nil, err
	}
	log := o.Log.Named("dialog")
	r, err := rules.New(o.Config.Menu, o.Config.Policy, zonesKnown(signer), log, o.Registry)
	if err != nil {
		return nil, err
	}
	ropts, err := session.Options(o.RedisURL.Reveal())
	if err != nil {
		return nil, err
	}
	// The client writes a line of its own to standard error for every failed dial; what it returns says the same.
	logging.Disable()
	a := &App{log: log, rules: r, redis: redis.NewClient(ropts)}
	a.store = session.New(a.redis)
	o.NATS.Name, o.NATS.Log = "palmops-dialog", log
	if a.bus, err = bus.Connect(ctx, o.NATS); err != nil {
		a.Close()
		return nil, err
	}
	stream, records, err := declare(ctx, a.bus, max(o.Config.NATS.Replicas, 1))
	if err != nil {
		a.Close()
		return nil, err
	}
	a.trail = audit.New(a.bus, "dialog", o.Instance, log, o.Registry)
	a.converse = converse.New(converse.Options{
		Bus: a.bus, Store: a.store, People: people.New(a.bus, a.store, o.Now), Rules: r, Asker: ask.NewAsker(a.bus, signer, o.Now),
		Signer: signer, Audit: a.trail, Stream: stream, Log: log, Registry: o.Registry, Now: o.Now,
	})
	a.reporter = report.New(a.bus, records, log, o.Registry)
	a.sweeper = report.NewSweeper(a.bus, records, signer, a.store, o.Now, log)
	return a, nil
}

func (o Options) withDefaults() Options {
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	if o.Registry == nil {
		o.Registry = prometheus.NewRegistry()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Instance == "" {
		o.Instance, _ = os.Hostname() // without one the random end names the process well enough
	}
	var end [4]byte
	_, _ = rand.Read(end[:]) // never fails
	o.Instance += "-" + hex.EncodeToString(end[:])
	return o
}

// zonesKnown refuses a menu that orders something from a zone without keys.
func zonesKnown(signer *ask.Signer) func(*menu.Menu) error {
	return func(m *menu.Menu) error {
		var ps conf.Problems
		for _, u := range m.Uses() {
			if !signer.Has(u.Zone) {
				ps.Add(m.File, u.Line, "there are no keys for the zone %q", u.Zone)
			}
		}
		return ps.Err()
	}
}

// declare makes the streams, waiting for a server that is still coming up, and names the life of the stream IN.
func declare(ctx context.Context, b *bus.Bus, replicas int) (stream string, records report.Bucket, err error) {
	for {
		stream, records, err = tryDeclare(ctx, b, replicas)
		if err == nil || !fault.Is(err, fault.Transient) || !pause(ctx, 200*time.Millisecond) {
			return stream, records, err
		}
	}
}

func tryDeclare(ctx context.Context, b *bus.Bus, replicas int) (string, report.Bucket, error) {
	if err := b.Declare(ctx, replicas); err != nil {
		return "", report.Bucket{}, err
	}
	in, err := b.JS.Stream(ctx, wire.StreamIn)
	if err != nil {
		return "", report.Bucket{}, fault.Wrap(fault.Transient, err, "stream "+wire.StreamIn)
	}
	kv, err := b.JS.KeyValue(ctx, wire.BucketActions)
	if err != nil {
		return "", report.Bucket{}, fault.Wrap(fault.Transient, err, "bucket "+wire.BucketActions)
	}
	return strconv.FormatInt(in.CachedInfo().Created.UnixNano(), 36), report.Bucket{KV: kv}, nil
}

// Reload reads menu and policy again now. On an error, of type conf.Problems, the old ones go on.
func (a *App) Reload() error { return a.rules.Reload() }

// Ready reports whether messages can be worked on.
func (a *App) Ready(ctx context.Context) error {
	if err := a.bus.Ready(ctx); err != nil {
		return err
	}
	return a.store.Ready(ctx)
}

// Run works until ctx ends, finishes the messages in hand, and closes the connections. An App runs once.
func (a *App) Run(ctx context.Context) error {
	defer a.Close()
	stop, err := a.bus.Serve("said.*.*", "dialog", 32, a.converse.Said)
	if err != nil {
		return err
	}
	actx, stopAudit := context.WithCancel(context.WithoutCancel(ctx))
	defer stopAudit()
	var trail, work sync.WaitGroup
	trail.Go(func() { a.trail.Run(actx) })
	for lane := range wire.InPartitions {
		work.Go(func() {
			a.consume(ctx, bus.Consumer{
				Stream: wire.StreamIn, Durable: fmt.Sprintf("dlg-%02d", lane), Filter: wire.InLane(lane),
				Lane: 1, Workers: 1, AckWait: ackWait, Deadline: deadline,
			}, a.converse.Handle)
		})
	}
	work.Go(func() {
		a.consume(ctx, bus.Consumer{Stream: wire.StreamRes, Durable: "dlg-res", Filter: "res.>", Lane: 1, Workers: 1, AckWait: 10 * time.Second}, a.reporter.Handle)
	})
	work.Go(func() { a.rules.Run(ctx) })
	work.Go(func() { a.sweeper.Run(ctx) })
	work.Wait()
	stop()
	stopAudit() // last: the others have lines for it
	trail.Wait()
	return nil
}

// consume goes on through a bus that is away while the consumer is made.
func (a *App) consume(ctx context.Context, c bus.Consumer, handle func(context.Context, *bus.Msg) error) {
	for ctx.Err() == nil {
		if err := a.bus.Consume(ctx, c, handle); err != nil && ctx.Err() == nil {
			a.log.Warn("consumer not made; trying again", zap.String("consumer", c.Durable), zap.Error(err))
			pause(ctx, 500*time.Millisecond)
		}
	}
}

// Close lets go of all connections; for an App that never ran.
func (a *App) Close() {
	a.close.Do(func() {
		if a.bus != nil {
			a.bus.Close()
		}
		if a.redis != nil {
			_ = a.redis.Close() // fails only when it is closed already
		}
	})
}

// pause reports false when ctx ended first.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
