// Package directory answers who a person is, and lists members and departments, from WeCom's directory.
package directory

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"palmops/libs/bus"
	"palmops/libs/fault"
	"palmops/libs/wecom"
	"palmops/libs/wire"
	"palmops/services/gateway/internal/metrics"
)

// Source is the part of WeCom's API that is needed. *wecom.Client is one.
type Source interface {
	User(ctx context.Context, userID string) (wecom.User, error)
	Departments(ctx context.Context) ([]wecom.Department, error)
	NamedDepartments(ctx context.Context, under int64) ([]wecom.Department, error)
	Members(ctx context.Context, department int64, below bool) ([]wecom.Member, error)
	Tags(ctx context.Context) ([]wecom.Tag, error)
	Tagged(ctx context.Context, tag int64) (wecom.Tagged, error)
}

const (
	// treeFor is how long the tree of departments counts as known: it changes seldom, and is asked for with every person.
	treeFor = 60 * time.Second
	// timeout bounds one answer; who asks has a person waiting.
	timeout = 3 * time.Second
	// active is the status of a member who uses WeCom; others are disabled, have not joined, or have left.
	active = 1

	workers = 16
)

// Directory answers for one app.
type Directory struct {
	corp, app string
	source    Source
	metrics   *metrics.Set
	log       *zap.Logger
	now       func() time.Time

	flights flights
	stop    context.CancelFunc // ends the readings
	tree    *memo[map[int64]int64]
	tags    *memo[tagged]

	listMu sync.Mutex
	lists  map[listKey]*memo[[]wire.Item]
}

// New makes the directory of an app.
func New(corp, app string, s Source, m *metrics.Set, log *zap.Logger, now func() time.Time) *Directory {
	d := &Directory{corp: corp, app: app, source: s, metrics: m, log: log.Named("directory"), now: now, lists: map[listKey]*memo[[]wire.Item]{}}
	d.flights.ctx, d.stop = context.WithCancel(context.Background())
	d.tree = &memo[map[int64]int64]{read: d.readTree, now: now, flights: &d.flights, limit: timeout, current: treeFor}
	d.tags = &memo[tagged]{
		read: func(ctx context.Context) (tagged, error) { return readTags(ctx, s) }, now: now, flights: &d.flights, limit: tagsLimit,
		current: tagsFor, lasting: tagsLast, patience: tagsPatience, pause: tagsPause,
	}
	return d
}

// Serve answers questions on wire.DirSubject, shared with other gateways, until stop is called. What takes long to read is
// read at once.
func (d *Directory) Serve(b *bus.Bus) (stop func(), err error) {
	end, err := b.Serve(wire.DirSubject(d.corp, d.app), "gateway", workers, func(ctx context.Context, _ string, data []byte) any {
		var q wire.PersonQuery
		if err := json.Unmarshal(data, &q); err != nil {
			return failed(q, fault.Wrap(fault.Invalid, err, "question"))
		}
		if q.List != "" {
			return d.List(ctx, q)
		}
		return d.Person(ctx, q)
	})
	if err != nil {
		return nil, err
	}
	d.tree.warm()
	d.tags.warm()
	return func() {
		end()
		d.stop()
		d.flights.running.Wait()
	}, nil
}

// Person looks a member up. A person whom WeCom does not know, or does not show to the app, is not found, which is no fault.
func (d *Directory) Person(ctx context.Context, q wire.PersonQuery) wire.Person {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	u, err := d.source.User(ctx, q.User)
	if fault.Is(err, fault.NotFound) {
		d.metrics.Persons.WithLabelValues(d.app, "stranger").Inc()
		return wire.Person{V: wire.Version, User: strings.ToLower(q.User)}
	}
	var all []int64
	if err == nil {
		all, err = d.above(ctx, u.Departments)
	}
	var tags []int64
	if err == nil {
		var t tagged
		if t, _, err = d.tags.get(ctx); err == nil {
			tags = t.of(q.User, all)
		}
	}
	if err != nil {
		d.metrics.Persons.WithLabelValues(d.app, string(fault.KindOf(err))).Inc()
		d.log.Warn("directory does not answer", zap.String("app", d.app), zap.Error(err))
		return failed(q, err)
	}
	d.metrics.Persons.WithLabelValues(d.app, "ok").Inc()
	return wire.Person{
		V: wire.Version, User: strings.ToLower(q.User), Found: true, Name: u.Name, Departments: all, Tags: tags, Active: u.Status == active,
	}
}

func failed(q wire.PersonQuery, err error) wire.Person {
	return wire.Person{
		V: wire.Version, User: strings.ToLower(q.User),
		Fault: &wire.Fault{Kind: string(fault.KindOf(err)), Text: fault.Safe(err)},
	}
}

// above is the departments and all above them, sorted.
func (d *Directory) above(ctx context.Context, own []int64) ([]int64, error) {
	if len(own) == 0 {
		return nil, nil
	}
	parents, _, err := d.tree.get(ctx)
	if err != nil {
		return nil, err
	}
	return ancestors(parents, own), nil
}

// readTree reads the parent of each department.
func (d *Directory) readTree(ctx context.Context) (map[int64]int64, error) {
	list, err := d.source.Departments(ctx)
	if err != nil {
		return nil, err
	}
	parents := make(map[int64]int64, len(list))
	for _, dep := range list {
		parents[dep.ID] = dep.ParentID
	}
	return parents, nil
}

// ancestors is own and everything above, sorted and without repeats. The end of the way up is an id that is no key;
// circles, which WeCom never shows, end too.
func ancestors(parents map[int64]int64, own []int64) []int64 {
	seen := map[int64]bool{}
	for _, id := range own {
		for id > 0 && !seen[id] {
			seen[id] = true
			id = parents[id]
		}
	}
	out := make([]int64, 0, len(seen))
	for id := range seen {
		out = append(out, id)
	}
	slices.Sort(out)
	return out
}
