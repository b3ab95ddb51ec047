package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"palmops/libs/conf"
	"palmops/libs/run"
	"palmops/libs/wecom"
	"palmops/services/simulator/client"
	"palmops/services/simulator/internal/media"
	"palmops/services/simulator/internal/page"
	"palmops/services/simulator/internal/phone"
	"palmops/services/simulator/internal/practice"
	"palmops/services/simulator/internal/qyapi"
)

// Options are what an App needs.
type Options struct {
	Config      Config     // absent values have their defaults
	Credentials conf.WeCom // of the app, as the gateway has them
	StateDir    string     // made when it is not there; "" keeps everything in memory
	Log         *zap.Logger
	Registry    prometheus.Registerer // nil means no metrics
	Now         func() time.Time      // nil means time.Now
}

// App is the simulator. Make it with New.
type App struct {
	ln, clusterLn net.Listener
	srv, k8s      *http.Server
	phones        *phone.Phones
	book          *phone.Book
	cluster       *practice.Cluster
	callback      atomic.Pointer[string]
	log           *zap.Logger
}

// New reads the state and binds both listeners; nothing is served before Run. An App that is not run must be closed with Close.
func New(o Options) (*App, error) {
	if err := o.Config.Validate("simulator"); err != nil {
		return nil, err
	}
	c := o.Config.withDefaults()
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	a := &App{log: o.Log}
	a.SetCallback(c.Callback)
	crypt, err := wecom.NewCrypt(o.Credentials.Token.Reveal(), o.Credentials.EncodingAESKey.Reveal(), o.Credentials.CorpID)
	if err != nil {
		return nil, fmt.Errorf("simulator: credentials: %w", err)
	}
	observe, err := metrics(o.Registry)
	if err != nil {
		return nil, fmt.Errorf("simulator: metrics: %w", err)
	}
	state, err := statePaths(o.StateDir)
	if err != nil {
		return nil, err
	}
	files, err := media.Open(state.media, o.Now)
	if err != nil {
		return nil, fmt.Errorf("simulator: %w", err)
	}
	if a.cluster, err = practice.New(practice.Options{Path: state.cluster, Step: time.Duration(c.Cluster.Step), Now: o.Now, Log: o.Log.Named("practice")}); err != nil {
		return nil, fmt.Errorf("simulator: %w", err)
	}
	var lost int
	if a.book, lost, err = phone.OpenBook(state.messages, o.Now); err != nil {
		return nil, fmt.Errorf("simulator: %w", err)
	}
	if lost > 0 {
		o.Log.Warn("lines of the message book could not be read and are left out", zap.String("file", state.messages), zap.Int("lines", lost))
	}
	form := wecom.FormXML
	if c.Form == wecom.FormJSON.String() {
		form = wecom.FormJSON
	}
	directory := c.directory()
	a.phones = phone.New(phone.Options{
		Directory: directory, Book: a.book, Crypt: crypt, CorpID: o.Credentials.CorpID, AgentID: o.Credentials.AgentID,
		Callback: func() string { return *a.callback.Load() }, Form: form,
		Timeout: time.Duration(c.Timeout), Retries: *c.Retries, Pause: time.Duration(c.Pause),
		Now: o.Now, Log: o.Log.Named("phone"), Observe: observe, Files: files,
	})
	api, err := qyapi.New(qyapi.Options{
		CorpID: o.Credentials.CorpID, Secret: o.Credentials.CorpSecret.Reveal(), AgentID: o.Credentials.AgentID,
		Directory: directory, Phones: a.phones, Media: files, Now: o.Now, Sent: state.sent,
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("simulator: %w", err), a.Close())
	}
	if a.ln, err = net.Listen("tcp", c.Listen); err != nil {
		return nil, errors.Join(fmt.Errorf("simulator: %w", err), a.Close())
	}
	if a.clusterLn, err = net.Listen("tcp", c.Cluster.Listen); err != nil {
		return nil, errors.Join(fmt.Errorf("simulator: practice cluster: %w", err), a.Close())
	}
	mux := http.NewServeMux()
	mux.Handle("/cgi-bin/", api)
	mux.Handle("/sim/", a.phones.Handler())
	mux.HandleFunc("POST /sim/tokens/invalidate", func(w http.ResponseWriter, _ *http.Request) {
		api.Invalidate()
		w.WriteHeader(http.StatusNoContent)
	})
	mux.Handle("/", page.Handler())
	a.srv = a.server(guard(mux, a.ln.Addr()))
	a.k8s = a.server(guard(a.cluster.Handler(), a.clusterLn.Addr()))
	return a, nil
}

// paths are what is in the state directory; all are "" without one.
type paths struct{ messages, sent, media, cluster string }

// statePaths makes the state directory and names what is in it.
func statePaths(dir string) (paths, error) {
	if dir == "" {
		return paths{}, nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return paths{}, fmt.Errorf("simulator: state: %w", err)
	}
	in := func(name string) string { return filepath.Join(dir, name) }
	return paths{in("messages.jsonl"), in("sent.jsonl"), in("media"), in("cluster.json")}, nil
}

// metrics counts deliveries by kind and outcome; none names a person.
func metrics(reg prometheus.Registerer) (func(client.Delivery), error) {
	if reg == nil {
		return nil, nil
	}
	count := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "palmops_simulator_deliveries_total", Help: "Callbacks sent and pushes taken, by outcome.",
	}, []string{"kind", "outcome"})
	if err := reg.Register(count); err != nil {
		return nil, err
	}
	return func(d client.Delivery) { count.WithLabelValues(d.Kind, d.Outcome).Inc() }, nil
}

// server has neither a read nor a write timeout for whole requests: long polls, event streams and watches go on, and a read deadline
// that passes while an answer is being written ends the request's context.
func (a *App) server(h http.Handler) *http.Server {
	return &http.Server{
		Handler: h, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: 2 * time.Minute,
		MaxHeaderBytes: 64 << 10, ErrorLog: zap.NewStdLog(a.log.Named("http")),
	}
}

// Addr is the address of the phone page and of the API.
func (a *App) Addr() string { return a.ln.Addr().String() }

// ClusterAddr is the address of the practice Kubernetes API, which speaks plain HTTP.
func (a *App) ClusterAddr() string { return a.clusterLn.Addr().String() }

// SetCallback changes the app's callback address; the next attempt uses it. It is for programs that start the app after the simulator.
func (a *App) SetCallback(address string) { a.callback.Store(&address) }

// Ready says whether the simulator can do its job.
func (a *App) Ready(context.Context) error { return a.phones.Ready() }

// Close gives back what New took. Run does it by itself.
func (a *App) Close() error {
	var errs []error
	for _, ln := range []net.Listener{a.ln, a.clusterLn} {
		if ln != nil {
			errs = append(errs, ln.Close())
		}
	}
	return errors.Join(append(errs, a.book.Close())...)
}

// Run serves until ctx ends, which also ends long polls, event streams, watches and deliveries under way.
func (a *App) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	base := func(net.Listener) context.Context { return ctx }
	a.srv.BaseContext, a.k8s.BaseContext = base, base
	ends := make(chan error, 4)
	part := func(do func() error) {
		go func() {
			err := do()
			cancel() // one part ends only with all
			ends <- err
		}()
	}
	part(func() error { a.phones.Run(ctx); return nil })
	part(func() error { a.cluster.Run(ctx); return nil })
	part(func() error { return run.Serve(ctx, a.srv, a.ln) })
	part(func() error { return run.Serve(ctx, a.k8s, a.clusterLn) })
	var errs []error
	for range cap(ends) {
		errs = append(errs, <-ends)
	}
	return errors.Join(append(errs, a.book.Close())...)
}
