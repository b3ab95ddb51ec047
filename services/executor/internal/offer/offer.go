// Package offer announces an executor and what its catalog allows, by the NATS services protocol (nats.go micro): "nats micro ls"
// lists the executors, "nats micro info palmops-executor" says zone, pool and instance of each, and a request on
// wire.OfferSubject is answered with a wire.Offer by one executor of the pool. An executor comes and goes by that alone: nobody
// keeps a list.
//
// Nothing depends on it. Orders wait on ACT whether or not an executor is announced.
package offer

import (
	"context"
	"encoding/json"
	"regexp"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/nats-io/nats.go/micro"
	"go.uber.org/zap"

	"palmops/libs/bus"
	"palmops/libs/wire"
	"palmops/services/executor/catalog"
	"palmops/services/executor/internal/kind"
)

// Options are what an announcement needs.
type Options struct {
	Bus     *bus.Bus
	Catalog *catalog.Catalog
	Self    string // instance
	Log     *zap.Logger
}

// unreleased is the version of a program that was not built from a released module.
const unreleased = "0.1.0-dev"

var released = regexp.MustCompile(`\Av(\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?)(\+[0-9A-Za-z.-]+)?\z`)

// again is the pause before an announcement that ended is made anew.
const again = time.Second

// Version is the version of this program, as semantic versioning writes it, without a v.
func Version() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		if m := released.FindStringSubmatch(info.Main.Version); m != nil {
			return m[1]
		}
	}
	return unreleased
}

// Run announces until ctx ends. An announcement that cannot be made is tried again: an executor works without one.
func Run(ctx context.Context, o Options) {
	for ctx.Err() == nil {
		gone := make(chan struct{})
		s, err := announce(o, func(micro.Service) { close(gone) })
		if err != nil {
			o.Log.Warn("not announced; it will be tried again", zap.Error(err))
			_ = kind.Pause(ctx, again) // an ended context ends the loop
			continue
		}
		// AddService writes when the service started after its handlers run, without a lock; taking the service's own lock here orders
		// that before what is asked from now on.
		_ = s.Stopped()
		select {
		case <-ctx.Done():
		case <-gone: // by an error of the connection
		}
		err = s.Stop()
		if err == nil { // whoever asks from now on is not answered by an executor that has gone
			err = o.Bus.NC.FlushTimeout(again)
		}
		if err != nil {
			o.Log.Debug("announcement not taken back; it ends with the connection", zap.Error(err))
		}
		if ctx.Err() == nil {
			_ = kind.Pause(ctx, again)
		}
	}
}

func announce(o Options, done micro.DoneHandler) (micro.Service, error) {
	c := o.Catalog
	text, err := json.Marshal(Of(c, o.Self))
	if err != nil {
		return nil, err
	}
	return micro.AddService(o.Bus.NC, micro.Config{
		Name: wire.ServiceExecutor, Version: Version(), Description: "palmops executor of " + c.Zone + "/" + c.Pool,
		Metadata: map[string]string{
			wire.MetaZone: c.Zone, wire.MetaPool: c.Pool, wire.MetaInstance: o.Self, wire.MetaCatalog: c.Digest,
			wire.MetaActions: strconv.Itoa(len(c.Actions())),
		},
		DoneHandler: done,
		ErrorHandler: func(_ micro.Service, err *micro.NATSError) {
			o.Log.Warn("announcement", zap.String("subject", err.Subject), zap.String("error", err.Description))
		},
		Endpoint: &micro.EndpointConfig{
			Subject:  wire.OfferSubject(c.Zone, c.Pool),
			Metadata: map[string]string{"format": "application/json"},
			Handler: micro.HandlerFunc(func(r micro.Request) {
				if err := r.Respond(text); err != nil {
					o.Log.Warn("offer not answered", zap.Error(err))
				}
			}),
		},
	})
}

// Of is what a catalog offers, the built-in actions left out: every executor has them.
func Of(c *catalog.Catalog, instance string) wire.Offer {
	out := wire.Offer{V: wire.Version, Zone: c.Zone, Pool: c.Pool, Instance: instance, Version: Version(), Digest: c.Digest, Actions: []wire.OfferedAction{}}
	for _, a := range c.Actions() {
		to := wire.OfferedAction{Name: a.Name, Class: string(a.Class), Kind: a.Kind, Verb: a.Verb, Env: a.Env}
		for _, p := range a.Params {
			to.Params = append(to.Params, wire.OfferedParam{
				Name: p.Name, Type: p.Type, Optional: p.Optional, Allow: p.Allow, Pattern: p.Pattern, Min: p.Min, Max: p.Max,
			})
		}
		out.Actions = append(out.Actions, to)
	}
	return out
}
