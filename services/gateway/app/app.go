// Package app is the gateway as a value: New binds, Run serves, Addr tells where. It reads no flags, signals or environment.
package app

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"golang.org/x/net/netutil"

	"palmops/libs/audit"
	"palmops/libs/bus"
	"palmops/libs/fault"
	"palmops/libs/run"
	"palmops/libs/wecom"
	"palmops/services/gateway/internal/allow"
	"palmops/services/gateway/internal/callback"
	"palmops/services/gateway/internal/directory"
	"palmops/services/gateway/internal/metrics"
	"palmops/services/gateway/internal/outbox"
)

// Options are what a gateway needs. Load fills Config, Apps and NATS.
type Options struct {
	Config   Config
	Apps     []AppCredentials // one for each of Config.Apps, in the same order
	NATS     bus.Options      // Name, Log and Timeout are set by New
	Log      *zap.Logger
	Registry prometheus.Registerer // of this gateway alone
	Now      func() time.Time      // time.Now when nil
	Replicas int                   // of each stream; 1 when 0
}

// App is a gateway.
type App struct {
	log      *zap.Logger
	bus      *bus.Bus
	listener net.Listener
	server   *http.Server
	handler  *callback.Handler
	outbox   *outbox.Outbox
	people   []*directory.Directory
	trail    *audit.Trail
	client   *http.Client
	close    sync.Once
}

var _ run.Part = (*App)(nil)

// New connects to the bus, declares the streams and binds the listener; nothing is served before Run. It waits for the bus
// until ctx ends. Who does not call Run calls Close. Errors: fault.Invalid for a configuration that cannot work,
// fault.Transient when the bus cannot be reached.
func New(ctx context.Context, o Options) (*App, error) {
	if err := o.Config.Validate(); err != nil {
		return nil, err
	}
	cfg := o.Config.withDefaults()
	crypt, err := crypts(cfg, o.Apps)
	if err != nil {
		return nil, err
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	counters, err := metrics.New(o.Registry)
	if err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	fixed, err := allow.Parse(cfg.Allow.Static)
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "allow.static")
	}
	proxies, err := allow.Parse(cfg.TrustedProxies)
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "trusted_proxies")
	}
	a := &App{log: o.Log.Named("gateway")}
	if err := a.connect(ctx, o, cfg); err != nil {
		a.Close()
		return nil, err
	}
	a.trail = audit.New(a.bus, "gateway", instance(), a.log, o.Registry)
	a.client = apiClient(cfg)
	var calls []callback.App
	var sends []outbox.App
	for i, c := range o.Apps {
		api := wecom.NewClient(wecom.ClientOptions{
			BaseURL: cfg.APIBase, CorpID: c.WeCom.CorpID, Secret: c.WeCom.CorpSecret.Reveal(), AgentID: c.WeCom.AgentID, HTTP: a.client, Now: o.Now,
		})
		cards := cfg.Apps[i].allowsCards()
		calls = append(calls, callback.App{Name: c.Name, Corp: c.WeCom.CorpID, AgentID: c.WeCom.AgentID, Token: c.WeCom.Token, Crypt: crypt[i], Cards: cards})
		sends = append(sends, outbox.App{Corp: c.WeCom.CorpID, Name: c.Name, Sender: api, Cards: cards})
		a.people = append(a.people, directory.New(c.WeCom.CorpID, c.Name, api, counters, a.log, o.Now))
	}
	a.outbox = outbox.New(a.bus, sends, a.trail, counters, o.Now)
	a.handler, err = callback.New(callback.Options{
		Apps: calls, Allow: allow.NewSet(fixed), TrustedProxies: proxies.Strings(),
		Window: time.Duration(cfg.Window), Passive: time.Duration(cfg.PassiveBudget), Publish: time.Duration(cfg.PublishTimeout),
		MaxInFlight: cfg.MaxInFlight, Bus: a.bus, Trail: a.trail, Metrics: counters, Log: a.log, Now: o.Now,
	})
	if err == nil {
		err = a.bind(cfg)
	}
	if err != nil {
		a.Close()
		return nil, err
	}
	return a, nil
}

func (a *App) connect(ctx context.Context, o Options, cfg Config) (err error) {
	opts := o.NATS
	opts.Name, opts.Log, opts.Timeout = "palmops-gateway", a.log, time.Duration(cfg.PublishTimeout)
	if a.bus, err = bus.Connect(ctx, opts); err != nil {
		return err
	}
	return a.bus.Declare(ctx, max(o.Replicas, 1))
}

// apiClient is the way to WeCom's API. A connection that WeCom closed while idle must not cost a message a try, so they
// are dropped early; a try ends well before the outbox gives its message back. The client counts uploads by their own time.
func apiClient(cfg Config) *http.Client {
	transport := &http.Transport{
		MaxIdleConnsPerHost: 16, IdleConnTimeout: 30 * time.Second, ForceAttemptHTTP2: true,
		TLSHandshakeTimeout: 3 * time.Second, ResponseHeaderTimeout: 5 * time.Second,
		DialContext: (&net.Dialer{Timeout: 3 * time.Second}).DialContext,
	}
	if u, err := url.Parse(cfg.APIProxy); err == nil && cfg.APIProxy != "" { // Validate has read it before
		transport.Proxy = http.ProxyURL(u)
	}
	return &http.Client{Transport: transport, Timeout: 6 * time.Second}
}

// bind opens the listener. The limits leave WeCom, which gives up after 5 s, all the time it can use, and nobody more.
func (a *App) bind(cfg Config) error {
	ln, err := net.Listen("tcp", cfg.Listen)
	if err != nil {
		return fault.Wrap(fault.Invalid, err, "listen")
	}
	a.listener = netutil.LimitListener(ln, cfg.MaxConnections)
	// net/http's own messages are about single connections, which strangers cause at will.
	quiet, err := zap.NewStdLogAt(a.log.Named("http"), zap.DebugLevel)
	if err != nil {
		return err
	}
	a.server = &http.Server{
		Handler: a.handler, ReadHeaderTimeout: 2 * time.Second, ReadTimeout: 4 * time.Second, WriteTimeout: 6 * time.Second,
		IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10, ErrorLog: quiet,
	}
	return nil
}

// instance names this process on AUDIT.
func instance() string {
	host, err := os.Hostname()
	if err != nil {
		host = "gateway"
	}
	var b [6]byte
	_, _ = rand.Read(b[:]) // documented never to fail
	return host + "-" + hex.EncodeToString(b[:])
}

// Addr is the address that WeCom's callbacks go to.
func (a *App) Addr() string { return a.listener.Addr().String() }

// Ready reports whether callbacks can be accepted now.
func (a *App) Ready(ctx context.Context) error { return a.bus.Ready(ctx) }

// Run serves until ctx ends. Then it takes no more callbacks, answers those in work, finishes the message it is pushing,
// hands the audit lines over and closes everything.
func (a *App) Run(ctx context.Context) error {
	defer a.Close()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	for _, d := range a.people {
		end, err := d.Serve(a.bus)
		if err != nil {
			return err
		}
		defer end()
	}
	trailing, endTrail := context.WithCancel(context.WithoutCancel(ctx))
	var wg, trail sync.WaitGroup
	trail.Go(func() { a.trail.Run(trailing) })
	var pushErr error
	wg.Go(func() {
		if pushErr = a.outbox.Run(ctx); pushErr != nil {
			stop()
		}
	})
	a.log.Info("listening", zap.String("addr", a.Addr()))
	err := run.Serve(ctx, a.server, a.listener)
	stop()
	wg.Wait()
	a.handler.Wait()
	endTrail()
	trail.Wait()
	return errors.Join(err, pushErr)
}

// Close frees what New took. After Run it does nothing.
func (a *App) Close() {
	a.close.Do(func() {
		if a.listener != nil {
			_ = a.listener.Close() // closed already after Run
		}
		if a.bus != nil {
			a.bus.Close()
		}
		if a.client != nil {
			a.client.CloseIdleConnections()
		}
	})
}
