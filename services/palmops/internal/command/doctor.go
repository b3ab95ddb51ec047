package command

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/redis/go-redis/v9"

	"palmops/libs/bus"
	"palmops/libs/conf"
	"palmops/libs/wire"
	dialog "palmops/services/dialog/app"
	"palmops/services/dialog/menu"
	"palmops/services/palmops/internal/survey"
)

// patient is how long an order may wait before the doctor calls it late.
const patient = 15 * time.Second

// diagnosis gathers what the doctor finds, a line each, and how bad it is.
type diagnosis struct {
	s            Streams
	warns, fails int
}

func (d *diagnosis) ok(what, format string, args ...any) { d.say("ok", what, format, args...) }

func (d *diagnosis) warn(what, format string, args ...any) {
	d.warns++
	d.say("warn", what, format, args...)
}

func (d *diagnosis) fail(what, format string, args ...any) {
	d.fails++
	d.say("FAIL", what, format, args...)
}

func (d *diagnosis) say(level, what, format string, args ...any) {
	fmt.Fprintf(d.s.Out, "%-4s  %-18s %s\n", level, what, strings.ReplaceAll(fmt.Sprintf(format, args...), "\n", " "))
}

// doctor looks at a running system over its bus: the stores, the pools with their executors, what the menu in force needs of
// them, what waits, and what nobody knows the end of. It changes nothing.
func doctor(ctx context.Context, s Streams, args []string) error {
	f := flags(s, "doctor")
	dial := dialFlags(f)
	redisURL := f.String("redis", "", "address of Redis (default: REDIS_URL; not looked at without)")
	menuFile := f.String("menu", "", "menu file (default: the menu in force on the bus)")
	if err := noArgs(f, args); err != nil {
		return err
	}
	if *redisURL == "" {
		v, err := conf.Env("REDIS_URL")
		if err != nil {
			return err
		}
		*redisURL = v
	}
	b, err := dial(ctx)
	if err != nil {
		return err
	}
	defer b.Close()
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	d := &diagnosis{s: s}
	d.bus(ctx, b)
	if *redisURL != "" {
		d.redis(ctx, *redisURL)
	}
	pools, err := survey.Pools(ctx, b)
	if err != nil {
		d.fail("pools", "%v", err)
	}
	for _, p := range pools {
		d.pool(p)
	}
	d.menu(ctx, b, *menuFile, pools)
	d.records(ctx, b)
	fmt.Fprintf(s.Out, "%s, %s\n", counted(d.fails, "failure"), counted(d.warns, "warning"))
	if d.fails > 0 {
		return refuse(errors.New("something must be mended"))
	}
	return nil
}

// bus looks at the server, the streams and the buckets.
func (d *diagnosis) bus(ctx context.Context, b *bus.Bus) {
	rtt, err := b.NC.RTT()
	if err != nil {
		d.fail("bus", "%v", err)
		return
	}
	d.ok("bus", "%s, NATS %s, %.1f ms away", b.NC.ConnectedUrlRedacted(), b.NC.ConnectedServerVersion(), float64(rtt.Microseconds())/1000)
	names := []string{
		wire.StreamIn, wire.StreamAct, wire.StreamRes, wire.StreamOut, wire.StreamAudit, wire.StreamAdv,
		"KV_" + wire.BucketActions, "KV_" + wire.BucketRequests, "OBJ_" + wire.BucketOutputs,
	}
	var there []string
	for _, name := range names {
		st, err := b.JS.Stream(ctx, name)
		switch {
		case errors.Is(err, jetstream.ErrStreamNotFound):
			d.fail("stream "+name, "is missing: no service has been started on this bus, or somebody deleted it")
		case err != nil:
			d.fail("stream "+name, "%v", err)
		default:
			info := st.CachedInfo()
			there = append(there, fmt.Sprintf("%s %d", name, info.State.Msgs))
			if c := info.Cluster; c != nil {
				for _, r := range c.Replicas {
					if !r.Current || r.Offline {
						d.warn("stream "+name, "its copy on %s lags behind or is gone", r.Name)
					}
				}
			}
		}
	}
	if len(there) == len(names) {
		d.ok("streams", "%s messages", strings.Join(there, ", "))
	}
}

func (d *diagnosis) redis(ctx context.Context, url string) {
	o, err := redis.ParseURL(url)
	if err != nil {
		d.fail("redis", "the URL cannot be read") // it may hold a password
		return
	}
	o.DialTimeout, o.ReadTimeout, o.MaxRetries = 2*time.Second, 2*time.Second, -1
	c := redis.NewClient(o)
	defer func() { _ = c.Close() }() // nothing was written
	began := time.Now()
	if err := c.Ping(ctx).Err(); err != nil {
		d.fail("redis", "%v; conversations do not go on without it, actions that run do", err)
		return
	}
	d.ok("redis", "%s answers in %.1f ms", o.Addr, float64(time.Since(began).Microseconds())/1000)
}

// pool judges one pool: its executors, whether they do the same, and what waits for them.
func (d *diagnosis) pool(p survey.Pool) {
	what := "pool " + p.Name()
	if len(p.Executors) == 0 {
		d.fail(what, "no executor is online; %s waiting", counted(p.Waiting, "order"))
		return
	}
	var digests []string
	for _, e := range p.Executors {
		if !slices.Contains(digests, e.Catalog) {
			digests = append(digests, e.Catalog)
		}
	}
	offers := "what it offers is not known"
	if p.Offer != nil {
		offers = counted(len(p.Offer.Actions), "action")
	}
	d.ok(what, "%s online, %s, %d in work, %d waiting", counted(len(p.Executors), "executor"), offers, p.InWork, p.Waiting)
	for _, e := range p.Executors {
		d.say("", "", "  %s  version %s  catalog %s", e.Instance, e.Version, e.Catalog)
	}
	if len(digests) > 1 {
		d.warn(what, "its executors have %d different catalogs: what an order meets is chance until all have the same", len(digests))
	}
	if p.Offer == nil {
		d.warn(what, "no executor said what it offers")
	}
	if !p.Oldest.IsZero() && time.Since(p.Oldest) > patient {
		d.warn(what, "the oldest order has waited for %s", time.Since(p.Oldest).Round(time.Second))
	}
}

// menu holds the menu in force against what the pools offer now.
func (d *diagnosis) menu(ctx context.Context, b *bus.Bus, file string, pools []survey.Pool) {
	m, err := menuInForce(ctx, b, file)
	if err != nil {
		d.warn("menu", "%v", err)
		return
	}
	bad := 0
	complain := func(format string, args ...any) {
		bad++
		d.fail("menu "+m.Rev, format, args...)
	}
	told := map[string]bool{}
	once := func(key, format string, args ...any) {
		if !told[key] {
			told[key] = true
			complain(format, args...)
		}
	}
	for _, use := range m.Uses() {
		name := use.Zone + "/" + use.Pool
		i := slices.IndexFunc(pools, func(p survey.Pool) bool { return p.Name() == name })
		switch {
		case i < 0 || len(pools[i].Executors) == 0:
			once(name, "%s and others: no executor of pool %s is online", use.Node, name)
		case pools[i].Offer == nil || strings.HasPrefix(use.Action, "palmops."):
		default:
			d.use(use, *pools[i].Offer, once)
		}
	}
	if bad == 0 {
		d.ok("menu "+m.Rev, "all of its %d questions and orders are offered", len(m.Uses()))
	}
}

func (d *diagnosis) use(use menu.Use, offer wire.Offer, once func(key, format string, args ...any)) {
	i := slices.IndexFunc(offer.Actions, func(a wire.OfferedAction) bool { return a.Name == use.Action })
	if i < 0 {
		once(use.Action, "%s: pool %s/%s does not offer %s", use.Node, use.Zone, use.Pool, use.Action)
		return
	}
	a := offer.Actions[i]
	switch {
	case use.Read != (a.Class == "question"):
		once(use.Action+" class", "%s: %s is a %s", use.Node, use.Action, a.Class)
	case use.Report && a.Class != "report":
		once(use.Action+" class", "%s: %s is a %s and needs a confirm", use.Node, use.Action, a.Class)
	}
	known := map[string]bool{}
	for _, p := range a.Params {
		known[p.Name] = true
		if _, given := use.Args[p.Name]; !given && !p.Optional {
			once(use.Node+p.Name, "%s: %s needs the argument %q by now", use.Node, use.Action, p.Name)
		}
	}
	for name := range use.Args {
		if !known[name] {
			once(use.Node+name, "%s: %s does not know the argument %q", use.Node, use.Action, name)
		}
	}
}

// menuInForce is the menu of the file, or the one that counts on the bus.
func menuInForce(ctx context.Context, b *bus.Bus, file string) (*menu.Menu, error) {
	if file != "" {
		return menu.Load(file, menu.BuildOptions{Nodes: dialog.NodeNames()})
	}
	r, err := dialog.RevisionsOn(ctx, b)
	if err != nil {
		return nil, err
	}
	list, err := r.List(ctx)
	if err != nil {
		return nil, err
	}
	for _, e := range list {
		if e.Current {
			return r.Menu(ctx, e.Rev)
		}
	}
	return nil, errors.New("no menu counts on this bus: no dialog has been started on it")
}

// records tells of actions that need a person.
func (d *diagnosis) records(ctx context.Context, b *bus.Bus) {
	running := 0
	now := time.Now()
	unknown, err := survey.Records(ctx, b, func(r *wire.Record) bool {
		if r.State == wire.StateRunning || r.State == wire.StateClaimed {
			running++
		}
		return r.State == wire.StateUnknown && now.Sub(time.UnixMilli(r.Ended)) < 7*24*time.Hour
	})
	if err != nil {
		d.fail("actions", "%v", err)
		return
	}
	if len(unknown) > 0 {
		d.warn("actions", "%s of the last 7 days ended without anybody knowing how; `palmops actions list --state unknown` shows them", counted(len(unknown), "action"))
	}
	d.ok("actions", "%d running", running)
}
