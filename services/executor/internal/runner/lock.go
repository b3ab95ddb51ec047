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

// claim is the value of a lock: which action works on the target. It needs no lease of its own, since the action's record
// has one: the lock is free as soon as that record is final.
type claim struct {
	V      int    `json:"v"`
	ID     string `json:"id"`
	Target string `json:"target"`
}

const lockPrefix = "lock."

// LockKey is the key of a target's lock in the bucket ACTIONS. Keys with a dot are locks, all others are action ids.
func LockKey(zone, target string) string {
	sum := sha256.Sum256([]byte(target))
	return lockPrefix + zone + "." + hex.EncodeToString(sum[:12])
}

// locks keeps two actions from working on one target at the same time.
type locks struct {
	store    store
	zone     string
	observer *life.Observer
	retry    time.Duration // pause between two looks
}

// take gets the lock for an action whose record exists, waiting until ctx ends. With an error holder is the action that has the
// lock, "" when nobody was seen to have it. The lock is not given back: it is free when the action has ended.
func (l locks) take(ctx context.Context, target, id string) (holder string, err error) {
	for {
		now, err := l.try(ctx, target, id)
		if err == nil && now == "" {
			return "", nil
		}
		if now != "" {
			holder = now // kept when a later look fails, at the latest because ctx ends in it
		}
		if end := kind.Pause(ctx, l.retry); end != nil {
			return holder, fault.Wrap(fault.Transient, errors.Join(end, err), "lock of the target")
		}
	}
}

// try makes one attempt; no holder and no error mean success.
func (l locks) try(ctx context.Context, target, id string) (holder string, err error) {
	key := LockKey(l.zone, target)
	var has claim
	rev, err := l.store.read(ctx, key, &has)
	if err != nil {
		return "", err
	}
	if rev > 0 && has.ID == id {
		return "", nil
	}
	if rev > 0 {
		if over, err := l.over(ctx, key, rev, has.ID); err != nil || !over {
			return has.ID, err
		}
	}
	_, err = l.store.write(ctx, key, claim{V: wire.Version, ID: id, Target: target}, rev)
	return "", err
}

// over reports whether the holder of a lock has ended. A holder without a record is a stale read or the rest of a lost bucket: it is
// believed for as long as any silent owner.
func (l locks) over(ctx context.Context, key string, rev uint64, holder string) (bool, error) {
	rec, _, err := l.store.get(ctx, holder)
	if err != nil {
		return false, err
	}
	if rec == nil {
		alive, _ := l.observer.See(key, rev, time.Now())
		return !alive, nil
	}
	return wire.Final(rec.State), nil
}
