package runner

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"time"

	"palmops/libs/fault"
	"palmops/libs/wire"
	"palmops/services/executor/internal/kind"
	"palmops/services/executor/internal/life"
)

// claims is the value of a target's lock: which actions work on it. It needs no lease of its own, since the records of the
// actions have one: a place is free as soon as the record of who has it is final. Where only one action may be there the value
// is just its ID and the target, which is all that an executor must understand whose catalog allows no more.
type claims struct {
	V      int     `json:"v"`
	Target string  `json:"target"`
	ID     string  `json:"id"`
	Limit  int     `json:"limit,omitempty"` // of the action ID; 1 when missing
	More   []claim `json:"more,omitempty"`  // who is there besides
}

// claim is one action's place.
type claim struct {
	ID    string `json:"id"`
	Limit int    `json:"limit"` // how many may be there at once, as this action's catalog entry says
}

// all are the places that are taken.
func (c claims) all() []claim {
	if c.ID == "" {
		return nil
	}
	return append([]claim{{ID: c.ID, Limit: max(c.Limit, 1)}}, c.More...)
}

// claimsOf is the value for at least one place.
func claimsOf(target string, all []claim) claims {
	c := claims{V: wire.Version, Target: target, ID: all[0].ID, More: all[1:]}
	if all[0].Limit > 1 {
		c.Limit = all[0].Limit
	}
	return c
}

// room reports whether one more action with a limit of its own may work beside those who are there. The smallest limit counts.
func room(all []claim, limit int) bool {
	for _, h := range all {
		limit = min(limit, h.Limit)
	}
	return len(all) < max(limit, 1)
}

const lockPrefix = "lock."

// LockKey is the key of a target's lock in the bucket ACTIONS. Keys with a dot are locks, all others are action ids.
func LockKey(zone, target string) string {
	sum := sha256.Sum256([]byte(target))
	return lockPrefix + zone + "." + hex.EncodeToString(sum[:12])
}

// locks keeps more actions from working on one target than may.
type locks struct {
	store    store
	zone     string
	observer *life.Observer
	retry    time.Duration // pause between two looks
}

// take gets a place at the target for an action whose record exists, waiting until ctx ends; waits is told at each look who is
// waited for. With an error holder is an action that has a place, "" when nobody was seen to have one. A place is not given
// back: it is free when the action has ended.
func (l locks) take(ctx context.Context, target, id string, limit int, waits func(holder string)) (holder string, err error) {
	for {
		now, err := l.try(ctx, target, id, limit)
		if errors.Is(err, errMoved) && ctx.Err() == nil {
			continue // somebody else was quicker, and made a step by that
		}
		if err == nil && now == "" {
			return "", nil
		}
		if now != "" {
			holder = now // kept when a later look fails, at the latest because ctx ends in it
			waits(holder)
		}
		if end := kind.Pause(ctx, l.retry); end != nil {
			return holder, fault.Wrap(fault.Transient, errors.Join(end, err), "lock of the target")
		}
	}
}

// try makes one attempt; no holder and no error mean success.
func (l locks) try(ctx context.Context, target, id string, limit int) (holder string, err error) {
	key := LockKey(l.zone, target)
	var has claims
	rev, err := l.store.read(ctx, key, &has)
	if err != nil {
		return "", err
	}
	var stay []claim
	for _, h := range has.all() {
		if h.ID == id {
			return "", nil
		}
		over, err := l.over(ctx, key, h.ID)
		if err != nil {
			return h.ID, err
		}
		if !over {
			stay = append(stay, h)
		}
	}
	if !room(stay, limit) {
		return stay[0].ID, nil
	}
	_, err = l.store.write(ctx, key, claimsOf(target, append(stay, claim{ID: id, Limit: max(limit, 1)})), rev)
	return "", err
}

// over reports whether an action that has a place has ended. One without a record is a stale read or the rest of a lost
// bucket: it is believed for as long as any silent owner.
func (l locks) over(ctx context.Context, key, holder string) (bool, error) {
	rec, _, err := l.store.get(ctx, holder)
	if err != nil {
		return false, err
	}
	if rec == nil {
		alive, _ := l.observer.See(key+"/"+holder, 1, time.Now())
		return !alive, nil
	}
	return wire.Final(rec.State), nil
}
