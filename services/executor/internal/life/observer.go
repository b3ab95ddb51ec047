package life

import (
	"sync"
	"time"
)

// Observer times how long records stand still. It compares revisions by the observer's own monotonic clock and never looks
// at the time another machine wrote down. It is safe for concurrent use.
type Observer struct {
	patience time.Duration
	mu       sync.Mutex
	seen     map[string]sight
}

type sight struct {
	rev   uint64
	since time.Time
}

// observed is how many keys are remembered; those that stood still the longest go first.
const observed = 4096

// NewObserver makes an observer that believes in a standing record for as long as patience: the lease and the allowance on top.
func NewObserver(patience time.Duration) *Observer {
	return &Observer{patience: patience, seen: map[string]sight{}}
}

// See notes the revision of a record at a moment and says whether its owner counts as alive; if so, for how long at most
// without another sign. The first look at a revision always finds it alive.
func (o *Observer) See(key string, rev uint64, now time.Time) (alive bool, rest time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	s, ok := o.seen[key]
	if !ok || s.rev != rev {
		if !ok && len(o.seen) >= observed {
			o.dropOldest()
		}
		s = sight{rev: rev, since: now}
		o.seen[key] = s
	}
	rest = o.patience - now.Sub(s.since)
	return rest > 0, max(rest, 0)
}

// Forget drops a key that needs no more watching.
func (o *Observer) Forget(key string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.seen, key)
}

func (o *Observer) dropOldest() {
	var oldest string
	var at time.Time
	for k, s := range o.seen {
		if oldest == "" || s.since.Before(at) {
			oldest, at = k, s.since
		}
	}
	delete(o.seen, oldest)
}
