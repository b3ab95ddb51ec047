package flow

import (
	"time"

	"palmops/libs/wire"
	"palmops/services/dialog/menu"
)

// How much of the pools the help shows: it stays one message.
const (
	maxPools = 6
	maxHeld  = 4
)

// pool names a pool of executors.
type pool struct{ zone, pool string }

// pools are those that what this person sees needs, in the order of the menu.
func (t *turn) pools() (list []pool) {
	known := map[pool]bool{}
	add := func(s *menu.Source) {
		if s == nil || known[pool{s.Zone, s.Pool}] {
			return
		}
		known[pool{s.Zone, s.Pool}] = true
		list = append(list, pool{s.Zone, s.Pool})
	}
	var walk func(n *menu.Node)
	walk = func(n *menu.Node) {
		if n.Parent != nil && !t.rights.Sees(n) {
			return
		}
		for _, s := range n.Steps {
			switch {
			case s.Dynamic != nil:
				add(s.Dynamic.Source)
			case s.Custom != nil:
				add(s.Custom.Remote)
			case s.Confirm != nil:
				add(s.Confirm.Current)
			case s.Action != nil:
				add(&s.Action.Source)
			}
		}
		for _, child := range n.Items {
			walk(child)
		}
	}
	walk(t.m.Root)
	return list
}

// online says of each pool how many executors it has, and which environments are held.
func (t *turn) online() (lines []string, need *Question) {
	if t.env.Online == nil {
		return nil, nil
	}
	list := t.pools()
	asked := map[string]bool{} // locks belong to a zone, and one of its pools knows them all
	var held []string
	for i, p := range list {
		n, known := t.env.Online(p.zone, p.pool)
		if i < maxPools {
			switch {
			case !known:
				lines = append(lines, t.say("pool.unknown", p.zone, p.pool))
			case n == 0:
				lines = append(lines, t.say("pool.offline", p.zone, p.pool))
			default:
				lines = append(lines, t.say("pool.online", p.zone, p.pool, n))
			}
		}
		if n == 0 || asked[p.zone] {
			continue
		}
		asked[p.zone] = true
		a, need, failed := t.ask(Question{
			Key: AskList + " " + p.zone + " " + p.pool + " " + wire.ActionLocks, What: AskList, Zone: p.zone, Pool: p.pool,
			Action: wire.ActionLocks, Args: map[string]any{},
		})
		if need != nil {
			return nil, need
		}
		if failed == "" {
			held = append(held, t.held(a.Items)...)
		}
	}
	if len(list) > maxPools {
		lines = append(lines, t.say("pool.more", len(list)-maxPools))
	}
	return append(lines, held[:min(len(held), maxHeld)]...), nil
}

// held says who holds what.
func (t *turn) held(items []wire.Item) (lines []string) {
	for _, it := range items {
		label := clean(it.Label, menu.MaxLabel)
		if label == "" {
			label = clean(it.Value, menu.MaxLabel)
		}
		lines = append(lines, t.say("pool.held", label, clean(it.Detail, maxRule)))
	}
	return lines
}

// waits says that an order finds nobody to take it now, as far as that is known.
func (t *turn) waits(intent *Intent) []string {
	if t.env.Online == nil {
		return nil
	}
	if n, known := t.env.Online(intent.Zone, intent.Pool); !known || n > 0 {
		return nil
	}
	from := t.env.Now / 1000
	if t.ev.At > 0 {
		from = min(from, t.ev.At/1000)
	}
	until := time.Unix(from+intent.Expire, 0).In(t.clock().Location()).Format("15:04:05")
	return []string{t.say("accepted.waits", intent.Zone, intent.Pool, until)}
}
