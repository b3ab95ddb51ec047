// Package app is the dialog as a value: New connects, Run serves, Ready tells. It reads no flags, signals or environment
// (Load reads the environment through conf).
package app

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
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
	"palmops/services/dialog/internal/outputs"
	"palmops/services/dialog/internal/people"
	"palmops/services/dialog/internal/pools"
	"palmops/services/dialog/internal/report"
	"palmops/services/dialog/internal/revision"
	"palmops/services/dialog/internal/rules"
	"palmops/services/dialog/internal/session"
	"palmops/services/dialog/internal/tasks"
	"palmops/services/dialog/menu"
	"palmops/services/dialog/node"
	"palmops/services/dialog/node/cidr"
	"palmops/services/dialog/policy"
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
	Nodes    map[string]node.Node  // written in Go, by the name menus call them; DefaultNodes when nil
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
	asker    *ask.Asker
	converse *converse.Converser
	reporter *report.Reporter
	sweeper  *report.Sweeper
	pools    *pools.Watch
	close    sync.Once
}

var _ run.Part = (*App)(nil)

// DefaultNodes are the nodes in Go that every dialog has.
func DefaultNodes() map[string]node.Node { return map[string]node.Node{"cidr": cidr.Node} }

// NodeNames are the names of DefaultNodes, for checks of menus.
func NodeNames() []string { return names(DefaultNodes()) }

// names of no nodes is empty and not nil, which would mean any.
func names(nodes map[string]node.Node) []string {
	return append([]string{}, slices.Sorted(maps.Keys(nodes))...)
}

// New reads menu and policy, connects to the bus and declares the streams; it waits for the bus until ctx ends, and does
// not wait for Redis. Who does not call Run calls Close. Errors: conf.Problems for wrong files; Invalid for keys or a
// Redis URL that cannot be used; Transient when the bus cannot be reached.
func New(ctx context.Context, o Options) (*App, error) {
	o = o.withDefaults()
	signer, err := ask.NewSigner(o.Keys, o.Now)
	if err != nil {
		return nil, err
	}
	check := zonesKnown(signer)
	if err := o.checkFiles(check); err != nil {
		return nil, err
	}
	ropts, err := session.Options(o.RedisURL.Reveal())
	if err != nil {
		return nil, err
	}
	// The client writes a line of its own to standard error for every failed dial; what it returns says the same.
	logging.Disable()
	log := o.Log.Named("dialog")
	a := &App{log: log, redis: redis.NewClient(ropts)}
	a.store = session.New(a.redis)
	o.NATS.Name, o.NATS.Log = "palmops-dialog", log
	if err := a.wire(ctx, o, signer, check); err != nil {
		a.Close()
		return nil, err
	}
	return a, nil
}

// checkFiles finds mistakes in menu and policy before anything is waited for.
func (o Options) checkFiles(check func(*menu.Menu) error) error {
	var ps conf.Problems
	m, err := menu.Load(o.Config.Menu, menu.BuildOptions{Nodes: names(o.Nodes)})
	ps.Merge(o.Config.Menu, err)
	p, err := policy.Load(o.Config.Policy)
	ps.Merge(o.Config.Policy, err)
	if m != nil && p != nil {
		ps.Merge(o.Config.Policy, p.Validate(m))
	}
	if m != nil {
		ps.Merge(o.Config.Menu, check(m))
	}
	return ps.Err()
}

// wire connects to the bus and puts the parts together.
func (a *App) wire(ctx context.Context, o Options, signer *ask.Signer, check func(*menu.Menu) error) (err error) {
	if a.bus, err = bus.Connect(ctx, o.NATS); err != nil {
		return err
	}
	if err := a.bus.Declare(ctx, max(o.Config.NATS.Replicas, 1)); err != nil {
		return err
	}
	kept, err := open(ctx, a.bus)
	if err != nil {
		return err
	}
	a.rules, err = rules.New(ctx, rules.Options{
		Menu: o.Config.Menu, Policy: o.Config.Policy, Nodes: names(o.Nodes), Check: check, Store: revision.New(kept.requests),
		Instance: o.Instance, Log: a.log, Registry: o.Registry, Now: o.Now,
	})
	if err != nil {
		return err
	}
	records, long := report.Bucket{KV: kept.actions}, kept.outputs
	a.trail = audit.New(a.bus, "dialog", o.Instance, a.log, o.Registry)
	a.asker = ask.New(ask.Options{
		Bus: a.bus, Signer: signer, Tasks: tasks.New(records, kept.act, signer, long, o.Now), Now: o.Now, Log: a.log, Registry: o.Registry,
	})
	a.pools = pools.New(a.bus, wanted(a.rules.Menu), o.Now, a.log)
	a.converse = converse.New(converse.Options{
		Bus: a.bus, Store: a.store, People: people.New(a.bus, o.Now), Rules: a.rules, Asker: a.asker, Signer: signer, Audit: a.trail,
		Nodes: o.Nodes, Online: a.pools.Online, Stream: kept.inLife, Log: a.log, Registry: o.Registry, Now: o.Now,
	})
	a.reporter = report.New(a.bus, converse.Settled{Store: a.store}, records, long, a.log, o.Registry)
	a.sweeper = report.NewSweeper(a.bus, records, signer, a.store, o.Now, func() *time.Location { return a.rules.Menu().Zone }, a.log)
	return nil
}

func (o Options) withDefaults() Options {
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	if o.Nodes == nil {
		o.Nodes = DefaultNodes()
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
				ps.Add(u.File, u.Line, "there are no keys for the zone %q", u.Zone)
			}
		}
		return ps.Err()
	}
}

// wanted are the pools that the present menu needs. It is for one goroutine.
func wanted(present func() *menu.Menu) func() []pools.Pool {
	var of *menu.Menu
	var list []pools.Pool
	return func() []pools.Pool {
		m := present()
		if m == of {
			return list
		}
		of, list = m, nil
		for _, u := range m.Uses() {
			if p := (pools.Pool{Zone: u.Zone, Pool: u.Pool}); !slices.Contains(list, p) {
				list = append(list, p)
			}
		}
		return list
	}
}

// stores are what lies on the bus.
type stores struct {
	inLife   string // names the life of the stream IN
	act      jetstream.Stream
	actions  jetstream.KeyValue
	requests jetstream.KeyValue
	outputs  *outputs.Store
}

// open finds what Declare has made.
func open(ctx context.Context, b *bus.Bus) (s stores, err error) {
	in, err := b.JS.Stream(ctx, wire.StreamIn)
	if err != nil {
		return s, fault.Wrap(fault.Transient, err, "stream "+wire.StreamIn)
	}
	s.inLife = strconv.FormatInt(in.CachedInfo().Created.UnixNano(), 36)
	if s.act, err = b.JS.Stream(ctx, wire.StreamAct); err != nil {
		return s, fault.Wrap(fault.Transient, err, "stream "+wire.StreamAct)
	}
	if s.actions, err = b.JS.KeyValue(ctx, wire.BucketActions); err != nil {
		return s, fault.Wrap(fault.Transient, err, "bucket "+wire.BucketActions)
	}
	if s.requests, err = b.JS.KeyValue(ctx, wire.BucketRequests); err != nil {
		return s, fault.Wrap(fault.Transient, err, "bucket "+wire.BucketRequests)
	}
	s.outputs, err = outputs.New(ctx, b.JS)
	return s, err
}

// Reload reads menu and policy again now, and makes them count in every dialog. On an error the old ones go on:
// conf.Problems for wrong files, Transient when the bus does not answer.
func (a *App) Reload(ctx context.Context) error { return a.rules.Reload(ctx) }

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
	work.Go(func() { a.pools.Run(ctx) })
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
		if a.asker != nil {
			a.asker.Close()
		}
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
