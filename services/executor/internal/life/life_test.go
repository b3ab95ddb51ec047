package life

import (
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"palmops/libs/wire"
)

func TestDeliveries(t *testing.T) {
	t.Parallel()
	born := wire.Record{ID: "a", Action: "k8s.scale", ArgsHash: "h"}
	rec := func(state, owner string, attempt int) *wire.Record {
		r := born
		r.State, r.Owner, r.Attempt, r.Beat = state, owner, attempt, 7
		return &r
	}
	expired := &Refused{State: wire.StateExpired, Text: "late"}
	for name, c := range map[string]struct {
		rec   *wire.Record
		ev    Delivered
		next  Next
		state string // of the write, "" for none
		owner string
	}{
		"new":                    {nil, Delivered{Born: born, Self: "x"}, Prepare, wire.StateClaimed, "x"},
		"new, refused":           {nil, Delivered{Born: born, Self: "x", Refused: expired}, Tell, wire.StateExpired, ""},
		"nothing proven":         {nil, Delivered{Self: "x", Refused: &Refused{State: wire.StateRejected}}, Discard, "", ""},
		"claimed, alive":         {rec(wire.StateClaimed, "y", 1), Delivered{Born: born, Self: "x", Alive: true}, Wait, "", ""},
		"claimed, dead":          {rec(wire.StateClaimed, "y", 1), Delivered{Born: born, Self: "x"}, Prepare, wire.StateClaimed, "x"},
		"claimed, given back":    {rec(wire.StateClaimed, "", 1), Delivered{Born: born, Self: "x", Alive: true}, Prepare, wire.StateClaimed, "x"},
		"claimed, dead, expired": {rec(wire.StateClaimed, "y", 1), Delivered{Born: born, Self: "x", Refused: expired}, Tell, wire.StateExpired, "y"},
		"claimed too often":      {rec(wire.StateClaimed, "y", MaxAttempts), Delivered{Born: born, Self: "x"}, Tell, wire.StateFailed, "y"},
		"running, alive":         {rec(wire.StateRunning, "y", 1), Delivered{Born: born, Self: "x", Alive: true}, Wait, "", ""},
		"running, dead":          {rec(wire.StateRunning, "y", 1), Delivered{Born: born, Self: "x"}, Probe, wire.StateRunning, "x"},
		"running, dead, expired": {rec(wire.StateRunning, "y", 1), Delivered{Born: born, Self: "x", Refused: expired}, Probe, wire.StateRunning, "x"},
		"ended":                  {rec(wire.StateFailed, "y", 1), Delivered{Born: born, Self: "x"}, Tell, "", ""},
		"unknown":                {rec(wire.StateUnknown, "y", 1), Delivered{Born: born, Self: "x"}, Tell, "", ""},
		"another order's id":     {rec(wire.StateClaimed, "y", 1), Delivered{Born: wire.Record{ID: "a", Action: "k8s.scale", ArgsHash: "other"}, Self: "x"}, Discard, "", ""},
		"another action's id":    {rec(wire.StateSucceeded, "y", 1), Delivered{Born: wire.Record{ID: "a", Action: "k8s.delete", ArgsHash: "h"}, Self: "x"}, Discard, "", ""},
		"a state from elsewhere": {rec(wire.StatePending, "y", 1), Delivered{Born: born, Self: "x"}, Discard, "", ""},
	} {
		s := On(c.rec, c.ev)
		if s.Next != c.next {
			t.Errorf("%s: next is %q, want %q", name, s.Next, c.next)
		}
		if s.Create != (c.rec == nil && s.Write != nil) {
			t.Errorf("%s: create is %t", name, s.Create)
		}
		if c.state == "" {
			if s.Write != nil {
				t.Errorf("%s: writes %+v", name, s.Write)
			}
			continue
		}
		if s.Write == nil || s.Write.State != c.state || s.Write.Owner != c.owner {
			t.Errorf("%s: writes %+v", name, s.Write)
		}
	}
}

// TestAnyEvent: whatever comes in whatever state, the record that was given is not changed, an ended one is never written, running
// is reached from claimed only, and heartbeats and attempts only grow.
func TestAnyEvent(t *testing.T) {
	t.Parallel()
	states := []string{
		wire.StatePending, wire.StateQueued, wire.StateClaimed, wire.StateRunning, wire.StateSucceeded, wire.StateFailed,
		wire.StateCanceled, wire.StateTimeout, wire.StateExpired, wire.StateRejected, wire.StateUnknown, "nonsense", "",
	}
	rapid.Check(t, func(t *rapid.T) {
		state := rapid.SampledFrom(states)
		var rec *wire.Record
		if rapid.Bool().Draw(t, "exists") {
			rec = &wire.Record{
				ID: "a", Action: "k", ArgsHash: "h", State: state.Draw(t, "state"), Owner: rapid.SampledFrom([]string{"", "x", "y"}).Draw(t, "owner"),
				Attempt: rapid.IntRange(0, 9).Draw(t, "attempt"), Beat: rapid.Int64Range(0, 99).Draw(t, "beat"),
			}
		}
		to := state.Draw(t, "to")
		ev := rapid.SampledFrom([]Event{
			Delivered{Born: wire.Record{ID: "a", Action: "k", ArgsHash: "h"}, Self: "x", Alive: rapid.Bool().Draw(t, "alive")},
			Delivered{Born: wire.Record{ID: "a", Action: "k", ArgsHash: "h"}, Self: "x", Refused: &Refused{State: wire.StateRejected}},
			Delivered{},
			Prepared{},
			Declined{State: to},
			Beat{Step: "s"},
			Ended{State: to},
			Probed{State: to},
			Stopping{},
		}).Draw(t, "event")
		var copied wire.Record
		if rec != nil {
			copied = *rec
		}
		s := On(rec, ev)
		if rec != nil && !reflect.DeepEqual(*rec, copied) {
			t.Fatal("the record that was given has changed")
		}
		if s.Write == nil {
			return
		}
		if rec == nil {
			if !s.Create {
				t.Fatal("a write over nothing that is no creation")
			}
			return
		}
		if s.Create || wire.Final(rec.State) {
			t.Fatalf("%s: writes %+v", rec.State, s)
		}
		if s.Write.State == wire.StateRunning && rec.State != wire.StateClaimed && rec.State != wire.StateRunning {
			t.Fatalf("running from %s", rec.State)
		}
		if s.Next == Apply && rec.State != wire.StateClaimed {
			t.Fatalf("applied again from %s", rec.State)
		}
		if s.Write.Beat <= rec.Beat || s.Write.Attempt < rec.Attempt {
			t.Fatal("beat or attempt went back")
		}
	})
}

func TestObserver(t *testing.T) {
	t.Parallel()
	o := NewObserver(10 * time.Second)
	at := func(s int) time.Time { return time.Unix(int64(s), 0) }
	for i, c := range []struct {
		rev   uint64
		sec   int
		alive bool
		rest  time.Duration
	}{
		{1, 100, true, 10 * time.Second}, // the first look believes, however old the record is
		{1, 104, true, 6 * time.Second},
		{2, 109, true, 10 * time.Second}, // a sign of life
		{2, 118, true, time.Second},
		{2, 119, false, 0},
		{2, 500, false, 0},
		{3, 501, true, 10 * time.Second},
	} {
		if alive, rest := o.See("a", c.rev, at(c.sec)); alive != c.alive || rest != c.rest {
			t.Errorf("look %d: alive %t, rest %s", i, alive, rest)
		}
	}
	o.Forget("a")
	if alive, _ := o.See("a", 3, at(900)); !alive {
		t.Error("a forgotten record is not seen anew")
	}
	for i := range observed + 10 {
		o.See(time.Unix(int64(i), 0).String(), 1, at(1000+i))
	}
	if n := len(o.seen); n > observed {
		t.Errorf("%d keys are remembered", n)
	}
}
