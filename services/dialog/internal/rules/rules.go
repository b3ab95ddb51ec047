// Package rules holds the menu and the policy that count right now, the same in every dialog.
//
// They come from files, and they are kept as revisions on the bus. A dialog whose files changed builds the new pair
// completely, checks it, stores it, and then says that it counts; every dialog hears that and takes the same pair over
// in one atomic swap. A pair that cannot be built changes nothing: the old one goes on, and the log and a gauge say so.
//
// At its start a dialog follows what counts already, unless its own files are new: of a content never seen before, or
// written after the present pair began to count. So a replica that starts again with the files of yesterday does not
// undo the change of today, nor a rollback.
package rules

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"palmops/libs/fault"
	"palmops/libs/wire"
	"palmops/services/dialog/internal/revision"
	"palmops/services/dialog/menu"
	"palmops/services/dialog/policy"
)

const (
	// Poll is how often the files are looked at. A change counts when two looks in a row saw the same, so that a file
	// which is just being written is not read in half.
	Poll = 500 * time.Millisecond
	// Again is how often the bus is asked what counts, should a watch have missed it.
	Again = 5 * time.Second
	// Remembered is how many old menus stay in memory for open sessions; others are read again from the bus.
	Remembered = 32

	tries = 5
)

// Store keeps revisions. *revision.Store is one.
type Store interface {
	Now(ctx context.Context) (revision.Now, bool, error)
	Set(ctx context.Context, n revision.Now) (revision.Now, error)
	Put(ctx context.Context, kind, rev string, b revision.Bundle) error
	Get(ctx context.Context, kind, rev string) (*revision.Bundle, error)
	Prune(ctx context.Context) error
	Watch(ctx context.Context, changed func(revision.Now)) error
}

// Options are what Rules need.
type Options struct {
	Menu, Policy string                 // files
	Nodes        []string               // names of the nodes written in Go
	Check        func(*menu.Menu) error // may refuse a menu, for instance because of a zone without keys; nil for none
	Store        Store
	Instance     string // who stores and switches, in lists of revisions
	Log          *zap.Logger
	Registry     prometheus.Registerer
	Now          func() time.Time
}

// Rules is safe for concurrent use.
type Rules struct {
	Options
	ok, when prometheus.Gauge
	now      atomic.Pointer[set]

	mu      sync.Mutex // one load at a time
	seen    uint64     // revision of the newest revision.Now that was followed
	failing bool       // the last pair that should count could not be built
	tried   string     // look at the files as last read

	oldMu sync.Mutex
	old   []*menu.Menu // the newest first
}

// set is what counts at one time.
type set struct {
	pair
	bounds sync.Map // *menu.Menu to *policy.Bound
}

// New reads both files, and takes over what counts. Errors: conf.Problems for wrong files; Transient when the bus does
// not answer.
func New(ctx context.Context, o Options) (*Rules, error) {
	o.Log = o.Log.Named("rules")
	r := &Rules{
		Options: o,
		ok: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "palmops_dialog_reload_ok", Help: "1 when the newest menu and policy that were given are the ones that count here.",
		}),
		when: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "palmops_dialog_reload_seconds", Help: "When menu and policy were last taken over, Unix time.",
		}),
	}
	o.Registry.MustRegister(r.ok, r.when)
	r.tried = r.look()
	p, err := r.read()
	if err != nil {
		return nil, err
	}
	cur, known, err := o.Store.Now(ctx)
	if err != nil {
		return nil, err
	}
	if known && (cur.Menu != p.menu.Rev || cur.Policy != p.policyRev) {
		older, err := r.older(ctx, p, cur)
		if err != nil {
			return nil, err
		}
		if older {
			r.swap(p) // something must count, should the stored pair be beyond this program
			if err := r.follow(ctx, cur); err != nil {
				r.Log.Error("the pair that counts elsewhere cannot be used here; the files count", zap.Error(err))
			}
			return r, nil
		}
	}
	return r, r.publish(ctx, p, "start")
}

// older reports whether the files were known already when cur began to count.
func (r *Rules) older(ctx context.Context, p pair, cur revision.Now) (bool, error) {
	m, err := r.Store.Get(ctx, revision.Menu, p.menu.Rev)
	if err != nil {
		return false, err
	}
	pol, err := r.Store.Get(ctx, revision.Policy, p.policyRev)
	if err != nil {
		return false, err
	}
	return m != nil && pol != nil && p.changed.UnixMilli() <= cur.At, nil
}

// Menu is the menu that counts.
func (r *Rules) Menu() *menu.Menu { return r.now.Load().menu }

// Policy is the policy that counts.
func (r *Rules) Policy() *policy.Policy { return r.now.Load().policy }

// Rights are the decisions of the policy that counts, in any menu.
func (r *Rules) Rights(m *menu.Menu) func(person wire.Person, at time.Time) *policy.Lens {
	now := r.now.Load()
	b, ok := now.bounds.Load(m)
	if !ok {
		b, _ = now.bounds.LoadOrStore(m, now.policy.Bind(m))
	}
	return b.(*policy.Bound).For
}

// Revision finds a menu that sessions may still walk through; nil when it is not kept any more. Errors: Transient when
// the bus does not answer.
func (r *Rules) Revision(ctx context.Context, rev string) (*menu.Menu, error) {
	if rev == "" {
		return nil, nil
	}
	if m := r.Menu(); m.Rev == rev {
		return m, nil
	}
	r.oldMu.Lock()
	defer r.oldMu.Unlock() // one build at a time: thousands of sessions may wait for the same menu
	for _, m := range r.old {
		if m.Rev == rev {
			return m, nil
		}
	}
	b, err := r.Store.Get(ctx, revision.Menu, rev)
	if b == nil || err != nil {
		return nil, err
	}
	m, err := r.buildMenu(*b)
	if err != nil {
		r.Log.Warn("an old menu cannot be built any more", zap.String("rev", rev), zap.Error(err))
		return nil, nil
	}
	r.remember(m)
	return m, nil
}

// remember keeps a menu in memory; oldMu is held.
func (r *Rules) remember(m *menu.Menu) {
	old := []*menu.Menu{m}
	for _, o := range r.old {
		if o.Rev != m.Rev && len(old) < Remembered {
			old = append(old, o)
		}
	}
	r.old = old
}

// Reload reads both files now and makes them count everywhere, also when they counted before. On an error nothing has
// changed: conf.Problems for wrong files, Transient when the bus does not answer.
func (r *Rules) Reload(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tried = r.look() // the next look need not read them again
	return r.take(ctx, "reload")
}

// take makes the pair that the files hold now count; mu is held.
func (r *Rules) take(ctx context.Context, why string) error {
	p, err := r.read()
	if err == nil {
		err = r.publish(ctx, p, why)
	}
	if err != nil {
		r.ok.Set(0)
	}
	return err
}

// publish stores a pair and makes it count.
func (r *Rules) publish(ctx context.Context, p pair, why string) error {
	at := r.Now()
	for _, part := range []struct {
		kind, rev string
		b         revision.Bundle
	}{{revision.Menu, p.menu.Rev, p.menuFiles}, {revision.Policy, p.policyRev, p.policyFile}} {
		part.b.At, part.b.By = at.UnixMilli(), r.Instance
		if err := r.Store.Put(ctx, part.kind, part.rev, part.b); err != nil {
			return err
		}
	}
	for range tries {
		cur, _, err := r.Store.Now(ctx)
		if err != nil {
			return err
		}
		if cur.Menu != p.menu.Rev || cur.Policy != p.policyRev {
			next := revision.Now{Menu: p.menu.Rev, Policy: p.policyRev, At: at.UnixMilli(), By: r.Instance, Why: why, Rev: cur.Rev}
			cur, err = r.Store.Set(ctx, next)
			if fault.Is(err, fault.Conflict) {
				continue // another dialog was faster, most often with the same files
			}
			if err != nil {
				return err
			}
			if err := r.Store.Prune(ctx); err != nil {
				r.Log.Warn("old revisions stay", zap.Error(err))
			}
		}
		r.seen = max(r.seen, cur.Rev)
		r.swap(p)
		return nil
	}
	return fault.New(fault.Transient, "others changed menu and policy %d times meanwhile", tries)
}

// follow takes over a pair that was made to count elsewhere.
func (r *Rules) follow(ctx context.Context, n revision.Now) error {
	if n.Rev <= r.seen {
		return nil
	}
	cur := r.now.Load()
	p := cur.pair
	if n.Menu != p.menu.Rev || n.Policy != p.policyRev {
		var err error
		if p, err = r.fetch(ctx, n); err != nil {
			r.ok.Set(0)
			return err
		}
		r.Log.Info("menu and policy taken over", zap.String("menu", n.Menu), zap.String("policy", n.Policy), zap.String("by", n.By), zap.String("why", n.Why))
	}
	r.seen = n.Rev
	if p.menu != cur.menu || p.policy != cur.policy {
		r.swap(p)
	}
	return nil
}

func (r *Rules) swap(p pair) {
	if cur := r.now.Load(); cur != nil {
		r.oldMu.Lock()
		r.remember(cur.menu)
		r.oldMu.Unlock()
	}
	next := &set{pair: p}
	next.bounds.Store(p.menu, p.policy.Bind(p.menu)) // before it counts: no message shall wait for it
	r.now.Store(next)
	r.ok.Set(1)
	r.when.Set(float64(r.Now().Unix()))
}

// Run follows what counts and the files, until ctx ends.
func (r *Rules) Run(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { r.watch(ctx) })
	tick := time.NewTicker(Poll)
	defer tick.Stop()
	last, again := "", r.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		// A look that differs from the one before it is not taken yet: the file may be half written.
		look := r.look()
		if look == last {
			r.changed(ctx, look)
		}
		last = look
		if now := r.Now(); now.Sub(again).Abs() >= Again {
			again = now
			r.ask(ctx)
		}
	}
}

// changed takes over files that look other than when they were read last.
func (r *Rules) changed(ctx context.Context, look string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if look == r.tried {
		return
	}
	r.tried = look
	if err := r.take(ctx, "file"); err != nil {
		if fault.Is(err, fault.Transient) {
			r.tried = "" // the bus was away, not the files wrong
		}
		r.Log.Error("menu and policy not taken over; the old ones go on", zap.Error(err))
		return
	}
	r.Log.Info("menu and policy taken over", zap.String("menu", r.Menu().Rev), zap.String("policy", r.now.Load().policyRev), zap.String("why", "file"))
}

// ask follows what counts on the bus.
func (r *Rules) ask(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, Again)
	defer cancel()
	n, ok, err := r.Store.Now(ctx)
	if err == nil && ok {
		r.heard(ctx, n)
	}
}

func (r *Rules) watch(ctx context.Context) {
	for ctx.Err() == nil {
		if err := r.Store.Watch(ctx, func(n revision.Now) { r.heard(ctx, n) }); err != nil && ctx.Err() == nil {
			r.Log.Warn("watch", zap.Error(err))
		}
		t := time.NewTimer(Poll)
		select {
		case <-ctx.Done():
		case <-t.C:
		}
		t.Stop()
	}
}

func (r *Rules) heard(ctx context.Context, n revision.Now) {
	r.mu.Lock()
	defer r.mu.Unlock()
	err := r.follow(ctx, n)
	if err != nil && !r.failing && ctx.Err() == nil {
		r.Log.Error("the pair that counts elsewhere cannot be used here; the old one goes on",
			zap.String("menu", n.Menu), zap.String("policy", n.Policy), zap.Error(err))
	}
	r.failing = err != nil
}
