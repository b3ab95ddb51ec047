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
		"claimed too often":      {rec(wire.StateClaimed, "y", MaxAttempts), Delivered{Born: born, Self: "x", GivenUp: "given up"}, Tell, wire.StateFailed, "y"},
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

func TestCancels(t *testing.T) {
	t.Parallel()
	mine := wire.Record{ID: "a", Corp: "c", App: "o", User: "zhang", Zone: "z", Pool: "p", Lang: "en"}
	rec := func(state, owner string, change func(r *wire.Record)) *wire.Record {
		r := mine
		r.Action, r.ArgsHash, r.State, r.Owner, r.Attempt, r.Beat = "k8s.scale", "h", state, owner, 1, 7
		if change != nil {
			change(&r)
		}
		return &r
	}
	void := func(user string) *wire.Record {
		by := mine
		by.User = user
		return On(nil, Canceled{By: by, Self: "y", Text: "taken back", Now: 5}).Write
	}
	if v := void("zhang"); !Void(v) || v.State != wire.StateCanceled || v.Summary != "taken back" || v.Ended != 5 || v.Owner != "y" {
		t.Errorf("void record %+v", v)
	}
	for name, c := range map[string]struct {
		rec  *wire.Record
		next Next
		user string // of the canceled record that is written, "" for none
	}{
		"nothing yet":          {nil, Tell, "zhang"},
		"void already":         {void("zhang"), Tell, ""},
		"void by another":      {void("li"), Tell, "zhang"},
		"claimed":              {rec(wire.StateClaimed, "y", nil), Tell, "zhang"},
		"given back":           {rec(wire.StateClaimed, "", nil), Tell, "zhang"},
		"running":              {rec(wire.StateRunning, "y", nil), Carry, ""},
		"ended":                {rec(wire.StateSucceeded, "y", nil), Tell, ""},
		"of another person":    {rec(wire.StateClaimed, "y", func(r *wire.Record) { r.User = "li" }), Carry, ""},
		"of another app":       {rec(wire.StateClaimed, "y", func(r *wire.Record) { r.App = "x" }), Carry, ""},
		"of another corp":      {rec(wire.StateClaimed, "y", func(r *wire.Record) { r.Corp = "x" }), Carry, ""},
		"sent to another pool": {rec(wire.StateClaimed, "y", func(r *wire.Record) { r.Pool = "x" }), Carry, ""},
		"another's, ended":     {rec(wire.StateSucceeded, "y", func(r *wire.Record) { r.User = "li" }), Carry, ""},
	} {
		s := On(c.rec, Canceled{By: mine, Self: "x", Text: "taken back", Now: 9})
		switch {
		case s.Next != c.next || s.Create != (c.rec == nil):
			t.Errorf("%s: %+v", name, s)
		case c.user == "" && s.Write != nil:
			t.Errorf("%s: writes %+v", name, s.Write)
		case c.user != "" && (s.Write == nil || s.Write.State != wire.StateCanceled || s.Write.User != c.user || s.Write.Owner != "x" || s.Write.Summary != "taken back" || s.Write.Lang != "en"):
			t.Errorf("%s: writes %+v", name, s.Write)
		}
	}
	// The order that comes after its cancellation, and one of another person under the same id.
	born := *rec("", "", nil)
	for user, want := range map[string]string{"zhang": wire.StateCanceled, "li": wire.StateClaimed} {
		b := born
		b.User = user
		s := On(void("zhang"), Delivered{Born: b, Self: "x", Now: 9})
		if s.Write == nil || s.Write.State != want || s.Write.User != user || s.Write.Action != "k8s.scale" || s.Create || Void(s.Write) {
			t.Errorf("%s: %+v, %+v", user, s, s.Write)
		}
		if want == wire.StateCanceled && (s.Next != Tell || s.Write.Summary != "taken back") {
			t.Errorf("%+v", s)
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
				ID: "a", Action: rapid.SampledFrom([]string{"k", "k", "k", ""}).Draw(t, "action"), ArgsHash: "h", State: state.Draw(t, "state"), Owner: rapid.SampledFrom([]string{"", "x", "y"}).Draw(t, "owner"),
				Noop:    rapid.Bool().Draw(t, "noop"),
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
			Canceled{By: wire.Record{ID: "a"}, Self: "z"},
			Beat{Step: "s"},
			Planned{Text: "p"},
			Late{State: to, Attempt: rapid.IntRange(0, 9).Draw(t, "late")},
			Settled{State: to},
			Fenced{},
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
		if Void(rec) && wire.Final(rec.State) && !s.Create && s.Write.Beat > rec.Beat {
			return // its order has come
		}
		if rec.Noop && s.Write.State == wire.StateRunning && rec.State != wire.StateRunning {
			t.Fatal("a dry run is begun")
		}
		if rec.State == wire.StateUnknown && !s.Create {
			switch ev.(type) {
			case Late, Settled:
				if s.Write.State != to || to == wire.StateUnknown || s.Next != Tell {
					t.Fatalf("unknown became %+v", s)
				}
				return
			case Fenced:
				return
			}
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

// TestVerdicts: unknown becomes certain by the one who began the work, or by a person; nothing else is overruled.
func TestVerdicts(t *testing.T) {
	t.Parallel()
	for _, state := range []string{wire.StateClaimed, wire.StateRunning, wire.StateSucceeded, wire.StateFailed, wire.StateTimeout, wire.StateUnknown} {
		rec := &wire.Record{ID: "a", Action: "k", State: state, Owner: "heir", Attempt: 2, Beat: 7}
		for name, c := range map[string]struct {
			ev   Event
			good bool
		}{
			"late":                {Late{State: wire.StateTimeout, Attempt: 1, Text: "t"}, true},
			"late, unsure":        {Late{State: wire.StateUnknown, Attempt: 1, Text: "t"}, false},
			"not late":            {Late{State: wire.StateSucceeded, Attempt: 2, Text: "t"}, false},
			"settled":             {Settled{State: wire.StateFailed, Text: "t"}, true},
			"settled as canceled": {Settled{State: wire.StateCanceled, Text: "t"}, false},
		} {
			s := On(rec, c.ev)
			if good := c.good && state == wire.StateUnknown; (s.Write != nil) != good || good && (s.Next != Tell || s.Write.Summary != "t" || s.Write.Beat != 8) {
				t.Errorf("%s of %s: %+v", name, state, s)
			}
		}
	}
	if s := On(&wire.Record{State: wire.StateUnknown, Beat: 1, Summary: "u"}, Fenced{}); s.Write == nil || s.Write.State != wire.StateUnknown || s.Write.Beat != 2 || s.Write.Summary != "u" {
		t.Errorf("%+v", s)
	}
}

// TestDryRunsNeverBegin also not by a shell that asks for it.
func TestDryRunsNeverBegin(t *testing.T) {
	t.Parallel()
	rec := &wire.Record{ID: "a", Action: "k", State: wire.StateClaimed, Owner: "x", Noop: true}
	if s := On(rec, Prepared{}); s.Write != nil || s.Next != Carry {
		t.Errorf("%+v", s)
	}
	if s := On(rec, Planned{Text: "p", Now: 3}); s.Write == nil || s.Write.State != wire.StateSucceeded || s.Write.Started != 0 || s.Write.Summary != "p" || s.Next != Tell {
		t.Errorf("%+v", s)
	}
	rec.Noop = false
	if s := On(rec, Planned{Text: "p"}); s.Write != nil {
		t.Errorf("%+v", s)
	}
	if s := On(rec, Delivered{Born: wire.Record{ID: "a", Action: "k", Noop: true}}); s.Next != Discard {
		t.Errorf("%+v", s)
	}
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
