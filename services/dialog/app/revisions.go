package app

import (
	"context"
	"time"

	"palmops/libs/bus"
	"palmops/libs/fault"
	"palmops/libs/wire"
	"palmops/services/dialog/internal/revision"
	"palmops/services/dialog/menu"
	"palmops/services/dialog/policy"
)

// Revision is one menu that is kept on the bus.
type Revision struct {
	Rev     string
	At      time.Time // when it was stored
	By      string    // the dialog that stored it
	Bytes   int       // of its files
	Current bool
}

// Revisions are the menus that are kept on the bus, for the command line.
type Revisions struct {
	bus   *bus.Bus
	store *revision.Store
}

// RevisionsOn finds the menus that are kept on a bus; Close closes it. Errors: NotFound when no dialog has ever run on it.
func RevisionsOn(ctx context.Context, b *bus.Bus) (*Revisions, error) {
	kv, err := b.JS.KeyValue(ctx, wire.BucketRequests)
	if err != nil {
		return nil, fault.Wrap(fault.NotFound, err, "bucket "+wire.BucketRequests)
	}
	return &Revisions{bus: b, store: revision.New(kv)}, nil
}

// Close lets go of the connection.
func (r *Revisions) Close() { r.bus.Close() }

// List gives the menus, the newest first.
func (r *Revisions) List(ctx context.Context) ([]Revision, error) {
	list, err := r.store.List(ctx, revision.Menu)
	if err != nil {
		return nil, err
	}
	var out []Revision
	for _, e := range list {
		out = append(out, Revision{Rev: e.Rev, At: e.At, By: e.By, Bytes: e.Bytes, Current: e.Current})
	}
	return out, nil
}

// Menu builds a kept menu. Errors: NotFound when there is none of that name; conf.Problems when this program cannot build it.
func (r *Revisions) Menu(ctx context.Context, rev string) (*menu.Menu, error) {
	b, err := r.store.Get(ctx, revision.Menu, rev)
	if err != nil {
		return nil, err
	}
	if b == nil {
		return nil, fault.New(fault.NotFound, "there is no menu revision %q", rev)
	}
	return menu.Build(b.Root, b.Files, menu.BuildOptions{})
}

// Rollback makes a kept menu count, in all dialogs, with the policy that counts. By names who wants it. It returns the
// revision that counted before. Errors: NotFound for an unknown revision; conf.Problems when it cannot be built or the
// policy names nodes that it has not.
func (r *Revisions) Rollback(ctx context.Context, rev, by string) (before string, err error) {
	m, err := r.Menu(ctx, rev)
	if err != nil {
		return "", err
	}
	cur, ok, err := r.store.Now(ctx)
	if err != nil {
		return "", err
	}
	if !ok {
		return "", fault.New(fault.NotFound, "no menu counts yet")
	}
	b, err := r.store.Get(ctx, revision.Policy, cur.Policy)
	if err != nil {
		return "", err
	}
	if b == nil {
		return "", fault.New(fault.NotFound, "the policy %s is not stored", cur.Policy)
	}
	p, err := policy.Parse(b.Root, b.Files[b.Root])
	if err != nil {
		return "", err
	}
	if err := p.Validate(m); err != nil {
		return "", err
	}
	next := cur
	next.Menu, next.At, next.By, next.Why = rev, time.Now().UnixMilli(), by, "rollback"
	_, err = r.store.Set(ctx, next)
	return cur.Menu, err
}
