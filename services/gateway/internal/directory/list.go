package directory

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"

	"palmops/libs/fault"
	"palmops/libs/wecom"
	"palmops/libs/wire"
)

const (
	// listFor is how long a list counts as known.
	listFor = 60 * time.Second
	// maxItems is how many items of a list are shown; Fields["total"] of an answer says how many there are when it is cut.
	maxItems = 1000
	// maxLists is how many different lists are kept. Which there are, menus say.
	maxLists = 64
)

// listKey names a list.
type listKey struct {
	list string
	in   int64
}

// List answers for a list of members or of departments, sorted by user id and by department id. A fault says why
// there is none: fault.NotFound for a department that the app does not see, fault.Invalid for another list.
func (d *Directory) List(ctx context.Context, q wire.PersonQuery) wire.Answer {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	items, at, err := d.listed(ctx, listKey{q.List, q.In})
	if err != nil {
		d.metrics.Persons.WithLabelValues(d.app, string(fault.KindOf(err))).Inc()
		d.log.Warn("directory lists nothing", zap.String("app", d.app), zap.String("list", q.List), zap.Int64("in", q.In), zap.Error(err))
		return wire.Answer{V: wire.Version, Fault: &wire.Fault{Kind: string(fault.KindOf(err)), Text: fault.Safe(err)}}
	}
	d.metrics.Persons.WithLabelValues(d.app, "list").Inc()
	a := wire.Answer{V: wire.Version, Items: items, AsOf: at.UnixMilli()}
	if len(items) > maxItems {
		a.Items, a.Fields = items[:maxItems], map[string]string{"total": strconv.Itoa(len(items))}
	}
	return a
}

func (d *Directory) listed(ctx context.Context, k listKey) ([]wire.Item, time.Time, error) {
	var read func(context.Context) ([]wire.Item, error)
	switch {
	case k.in < 0:
		return nil, time.Time{}, fault.New(fault.Invalid, "no department has the id %d", k.in)
	case k.list == wire.ListMembers:
		read = func(ctx context.Context) ([]wire.Item, error) { return d.members(ctx, k.in) }
	case k.list == wire.ListDepartments:
		read = func(ctx context.Context) ([]wire.Item, error) { return d.departments(ctx, k.in) }
	default:
		return nil, time.Time{}, fault.New(fault.Invalid, "the directory has no list %q", k.list)
	}
	d.listMu.Lock()
	m := d.lists[k]
	if m == nil {
		if len(d.lists) >= maxLists {
			for some := range d.lists {
				delete(d.lists, some)
				break
			}
		}
		m = &memo[[]wire.Item]{read: read, now: d.now, flights: &d.flights, limit: timeout, current: listFor}
		d.lists[k] = m
	}
	d.listMu.Unlock()
	return m.get(ctx)
}

// members is the members of a department and all below it, or with 0 of all that the app may see.
func (d *Directory) members(ctx context.Context, in int64) ([]wire.Item, error) {
	roots := []int64{in}
	if in == 0 {
		parents, _, err := d.tree.get(ctx)
		if err != nil {
			return nil, err
		}
		roots = tops(parents)
	}
	var items []wire.Item
	for _, root := range roots {
		list, err := d.source.Members(ctx, root, true)
		if err != nil {
			return nil, err
		}
		for _, m := range list {
			items = append(items, wire.Item{Value: strings.ToLower(m.UserID), Label: m.Name})
		}
	}
	slices.SortFunc(items, func(a, b wire.Item) int { return cmp.Compare(a.Value, b.Value) })
	// A member of several departments comes once for each.
	return slices.CompactFunc(items, func(a, b wire.Item) bool { return a.Value == b.Value }), nil
}

// departments is a department with all below it, or with 0 all that the app may see. Each says below which one it is.
func (d *Directory) departments(ctx context.Context, in int64) ([]wire.Item, error) {
	list, err := d.source.NamedDepartments(ctx, in)
	if err != nil {
		return nil, err
	}
	names := make(map[int64]string, len(list))
	for _, dep := range list {
		names[dep.ID] = dep.Name
	}
	slices.SortFunc(list, func(a, b wecom.Department) int { return cmp.Compare(a.ID, b.ID) })
	items := make([]wire.Item, 0, len(list))
	for _, dep := range list {
		items = append(items, wire.Item{Value: strconv.FormatInt(dep.ID, 10), Label: dep.Name, Detail: names[dep.ParentID]})
	}
	return items, nil
}

// tops is the departments with none above them that the app may see.
func tops(parents map[int64]int64) []int64 {
	var out []int64
	for id, parent := range parents {
		if _, seen := parents[parent]; !seen {
			out = append(out, id)
		}
	}
	slices.Sort(out)
	return out
}
