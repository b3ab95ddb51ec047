package runner

import (
	"context"
	"time"

	"palmops/libs/fault"
	"palmops/libs/lang"
	"palmops/libs/wire"
	"palmops/services/executor/catalog"
	"palmops/services/executor/internal/envlock"
)

// barred finds the lock of an environment that keeps a person's change out: the environment's own one, or one of the named
// locks that the action honours. Nil when nothing stands against it. Errors: Transient, the locks cannot be read.
//
// It is looked at right before the record becomes running. Between the two a lock may be taken; that action still runs, and
// the one who took the lock sees it among the running ones.
func (r *Runner) barred(ctx context.Context, rec *wire.Record, a catalog.Action) (*envlock.Lock, error) {
	if a.Env == "" || a.Class != catalog.Change || rec.Noop {
		return nil, nil
	}
	for _, name := range append([]string{""}, a.Locks...) {
		l, _, err := r.envLock(ctx, a.Env, name)
		if err != nil {
			return nil, err
		}
		if l.Bars(rec.Corp, rec.App, rec.User, r.o.Now()) {
			return l, nil
		}
	}
	return nil, nil
}

// envLock reads one lock and its revision; nil and 0 when nobody ever had it.
func (r *Runner) envLock(ctx context.Context, env, name string) (*envlock.Lock, uint64, error) {
	var l envlock.Lock
	rev, err := r.store.read(ctx, envlock.Key(r.o.Catalog.Zone, env, name), &l)
	if err != nil || rev == 0 {
		return nil, 0, err
	}
	return &l, rev, nil
}

// EnvLocks are the locks that are held now in an environment of the catalog, or in all with "". Errors: NotFound, the catalog
// has no such environment; Transient.
func (r *Runner) EnvLocks(ctx context.Context, env string, t lang.Tag) ([]wire.Item, error) {
	now, zone := r.o.Now(), r.zone()
	var held []wire.Item
	names := []string{env}
	if env == "" {
		names = sortedKeys(r.o.Catalog.Environments)
	}
	for _, e := range names {
		known, ok := r.o.Catalog.Environments[e]
		if !ok {
			return nil, fault.WithText(fault.New(fault.NotFound, "no environment %s", e), texts.Say(t, "lock.no_env", e))
		}
		for _, name := range append([]string{""}, known.Locks...) {
			l, _, err := r.envLock(ctx, e, name)
			if err != nil {
				return nil, err
			}
			if l.Held(now) {
				held = append(held, wire.Item{Value: l.Value(), Label: l.Place(known.Title, t), Detail: l.Say(now, zone, t)})
			}
		}
	}
	return held, nil
}

// place is an environment or one of its locks, in words.
func (r *Runner) place(l *envlock.Lock, t lang.Tag) string {
	return l.Place(r.o.Catalog.Environments[l.Env].Title, t)
}

// zone is where the people of the catalog read their clocks.
func (r *Runner) zone() *time.Location {
	if z := r.o.Catalog.Timezone; z != nil {
		return z
	}
	return time.UTC
}
