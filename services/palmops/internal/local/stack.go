// Package local is the whole system in one process: an embedded NATS server with its streams on disk, an embedded Redis
// unless another is given, the simulator with its practice cluster, an executor, a dialog and a gateway.
package local

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"palmops/libs/bus"
	"palmops/libs/conf"
	"palmops/libs/run"
	"palmops/libs/token"
	dialog "palmops/services/dialog/app"
	"palmops/services/dialog/menu"
	"palmops/services/dialog/policy"
	executor "palmops/services/executor/app"
	"palmops/services/executor/catalog"
	gateway "palmops/services/gateway/app"
	simulator "palmops/services/simulator/app"
)

// Grace is how long each part may take to stop.
const Grace = 30 * time.Second

// Options say what the stack is made of.
type Options struct {
	ConfigDir string // with gateway.yaml, dialog.yaml, executor.yaml, simulator.yaml and what they name
	DataDir   string // streams, keys, the simulator's memory; made when missing

	// Addresses; "" keeps those of the configuration files.
	Gateway, Simulator, Practice string

	NATSURL    string // a server that runs already, instead of the embedded one
	NATSListen string // lets others join the embedded server at this loopback address, such as further executors
	RedisURL   string // "" for the embedded store
	Kubeconfig string // a real cluster instead of the practice one
	NoExecutor bool   // executors are processes of their own, in any language, and join at NATSListen or NATSURL

	Log      *zap.Logger
	Registry *prometheus.Registry
}

// Stack is the running whole.
type Stack struct {
	lock      *os.File
	nats      *server.Server
	redis     *memoryRedis
	simulator *simulator.App
	executor  *executor.App
	dialog    *dialog.App
	gateway   *gateway.App
	log       *zap.Logger
	close     sync.Once
}

// New starts the stores and builds every service; all addresses are bound when it returns. Every mistake of the
// configuration files is reported at once, and nothing runs then. Who does not call Run calls Close.
func New(ctx context.Context, o Options) (*Stack, error) {
	files, err := load(o)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(o.DataDir, 0o700); err != nil {
		return nil, fmt.Errorf("data: %w", err)
	}
	s := &Stack{log: o.Log}
	if s.lock, err = lockDir(o.DataDir); err != nil {
		return nil, err
	}
	keys, err := zoneKeys(filepath.Join(o.DataDir, "keys"), files.catalog.Zone)
	if err != nil {
		s.Close()
		return nil, err
	}
	if err := s.build(ctx, o, files, keys); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// build wires the parts in the order in which they need each other.
func (s *Stack) build(ctx context.Context, o Options, f files, keys token.KeySet) (err error) {
	link := bus.Options{URL: o.NATSURL}
	if o.NATSURL == "" {
		if s.nats, err = startNATS(filepath.Join(o.DataDir, "nats"), o.NATSListen); err != nil {
			return err
		}
		link = bus.Options{InProcess: s.nats}
	}
	if o.RedisURL == "" {
		if s.redis, err = startRedis(filepath.Join(o.DataDir, "redis")); err != nil {
			return err
		}
		o.RedisURL = s.redis.url()
	}

	f.simulator.StateDir = filepath.Join(o.DataDir, "simulator")
	s.simulator, err = simulator.New(simulator.Options{
		Config: f.simulator, Credentials: f.credentials, StateDir: f.simulator.StateDir, Log: o.Log.Named("simulator"), Registry: o.Registry,
	})
	if err != nil {
		return err
	}

	if !o.NoExecutor {
		if err := s.addExecutor(ctx, o, f, keys, link); err != nil {
			return err
		}
	}

	s.dialog, err = dialog.New(ctx, dialog.Options{
		Config: f.dialog, Keys: []token.KeySet{keys}, NATS: link, RedisURL: conf.Secret(o.RedisURL), Log: o.Log, Registry: o.Registry,
	})
	if err != nil {
		return err
	}

	f.gateway.Config.APIBase = "http://" + s.simulator.Addr()
	f.gateway.NATS, f.gateway.Log, f.gateway.Registry = link, o.Log, o.Registry
	if s.gateway, err = gateway.New(ctx, f.gateway); err != nil {
		return err
	}
	s.simulator.SetCallback(s.CallbackURL())
	return nil
}

func (s *Stack) addExecutor(ctx context.Context, o Options, f files, keys token.KeySet, link bus.Options) (err error) {
	practice := ""
	if o.Kubeconfig == "" {
		practice = "http://" + s.simulator.ClusterAddr()
	}
	s.executor, err = executor.New(ctx, executor.Options{
		Config: f.executor, Catalog: f.catalog, Keys: keys, NATS: link, Log: o.Log, Metrics: o.Registry,
		KubeServer: practice, Kubeconfig: o.Kubeconfig,
	})
	return err
}

// files is the configuration, read and checked.
type files struct {
	simulator   simulator.Config
	credentials conf.WeCom
	executor    executor.Config
	catalog     *catalog.Catalog
	dialog      dialog.Config
	gateway     gateway.Options
}

// load reads everything before anything starts.
func load(o Options) (files, error) {
	var f files
	var ps conf.Problems
	path := func(name string) string { return filepath.Join(o.ConfigDir, name) }

	ps.Merge(path("simulator.yaml"), conf.Load(path("simulator.yaml"), &f.simulator))
	override(&f.simulator.Listen, o.Simulator)
	override(&f.simulator.Cluster.Listen, o.Practice)

	var err error
	f.executor, err = executor.Load(path("executor.yaml"))
	ps.Merge(path("executor.yaml"), err)
	if f.executor.Catalog != "" {
		f.catalog, err = catalog.Load(f.executor.Catalog, executor.Kinds())
		ps.Merge(f.executor.Catalog, err)
	}

	ps.Merge(path("dialog.yaml"), conf.Load(path("dialog.yaml"), &f.dialog))
	f.dialog.Menu, f.dialog.Policy = conf.Near(path("dialog.yaml"), f.dialog.Menu), conf.Near(path("dialog.yaml"), f.dialog.Policy)
	// The dialog reads them again; here they are read so that their mistakes come with all others.
	m, err := menu.Load(f.dialog.Menu, menu.BuildOptions{Nodes: dialog.NodeNames()})
	ps.Merge(f.dialog.Menu, err)
	p, err := policy.Load(f.dialog.Policy)
	ps.Merge(f.dialog.Policy, err)
	if m != nil && p != nil {
		ps.Merge(f.dialog.Policy, p.Validate(m))
	}

	f.gateway, err = gateway.Load(path("gateway.yaml"))
	ps.Merge(path("gateway.yaml"), err)
	override(&f.gateway.Config.Listen, o.Gateway)
	if len(f.gateway.Apps) > 0 {
		f.credentials = f.gateway.Apps[0].WeCom
	}
	return f, ps.Err()
}

func override(s *string, with string) {
	if with != "" {
		*s = with
	}
}

// Parts are the services in the order in which they start; they stop in reverse, the door first.
func (s *Stack) Parts() []run.Named {
	var parts []run.Named
	if s.redis != nil {
		parts = append(parts, run.Named{Name: "redis", Part: s.redis})
	}
	parts = append(parts, run.Named{Name: "simulator", Part: s.simulator})
	if s.executor != nil {
		parts = append(parts, run.Named{Name: "executor", Part: s.executor})
	}
	return append(parts, run.Named{Name: "dialog", Part: s.dialog}, run.Named{Name: "gateway", Part: s.gateway})
}

// Run serves until ctx ends or a part fails, stops the parts in reverse order, and the stores last.
func (s *Stack) Run(ctx context.Context, more ...run.Named) error {
	defer s.Close()
	return run.All(ctx, s.log, Grace, append(more, s.Parts()...)...)
}

// Close stops what Run would have stopped.
func (s *Stack) Close() {
	s.close.Do(func() {
		if s.gateway != nil {
			s.gateway.Close()
		}
		if s.dialog != nil {
			s.dialog.Close()
		}
		if s.executor != nil {
			s.executor.Close()
		}
		if s.simulator != nil {
			if err := s.simulator.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
				s.log.Debug("simulator", zap.Error(err))
			}
		}
		if s.redis != nil {
			_ = s.redis.close() // closed already after Run
		}
		if s.nats != nil {
			s.nats.Shutdown()
			s.nats.WaitForShutdown()
		}
		_ = s.lock.Close() // which also unlocks
	})
}

// Reload reads menu and policy again now.
func (s *Stack) Reload(ctx context.Context) error { return s.dialog.Reload(ctx) }

// CallbackURL is where WeCom's callbacks go.
func (s *Stack) CallbackURL() string { return "http://" + s.gateway.Addr() + "/wecom/ops/callback" }

// PageURL is where the phone page is.
func (s *Stack) PageURL() string { return "http://" + s.simulator.Addr() }

// PracticeURL is the practice Kubernetes API.
func (s *Stack) PracticeURL() string { return "http://" + s.simulator.ClusterAddr() }

// NATSURL is where others can join the embedded server, "" when they cannot.
func (s *Stack) NATSURL() string {
	if s.nats == nil || s.nats.Addr() == nil {
		return ""
	}
	return s.nats.ClientURL()
}
