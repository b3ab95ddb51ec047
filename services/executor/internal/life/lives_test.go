package life

import (
	"testing"

	"palmops/libs/wire"
)

func TestSimulatedLives(t *testing.T) {
	t.Parallel()
	const seeds = 10000
	ends := map[string]int{}
	resolved, dry := 0, 0
	for seed := range uint64(seeds) {
		w := newSimWorld(seed)
		if err := w.run(); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		resolved += len(w.resolved)
		for _, s := range w.store {
			if s.rec.Noop {
				dry++
			}
			ends[s.rec.State]++
		}
	}
	t.Logf("%d seeds, %d actions, ends %v", seeds, seeds*simActions, ends)
	t.Logf("%d of those were unknown and became certain, %d were dry runs", resolved, dry)
	if resolved == 0 || dry == 0 {
		t.Error("nothing was made certain afterwards, or there was no dry run")
	}
	for _, state := range []string{wire.StateSucceeded, wire.StateFailed, wire.StateExpired, wire.StateUnknown, wire.StateCanceled} {
		if ends[state] == 0 {
			t.Errorf("no action ended as %s: the faults are not strong enough", state)
		}
	}
}

// TestTheSimulatorFindsMistakes breaks one rule at a time and expects the simulator to see it.
func TestTheSimulatorFindsMistakes(t *testing.T) {
	t.Parallel()
	for _, rule := range []string{"no fence", "acknowledged first", "run again", "cancels what runs elsewhere", "anybody cancels", "guesses late", "dry runs begin"} {
		var err error
		for seed := uint64(0); seed < 3000 && err == nil; seed++ {
			w := newSimWorld(seed)
			w.broken = rule
			err = w.run()
		}
		if err == nil {
			t.Errorf("%s: not seen", rule)
		} else {
			t.Logf("%s: %v", rule, err)
		}
	}
}
