package people_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"palmops/libs/wire"
	"palmops/services/dialog/internal/flow"
	"palmops/services/dialog/internal/people"
	"palmops/services/dialog/internal/session"
)

// world is a directory, what is remembered, and a clock.
type world struct {
	now    time.Time
	person wire.Person
	down   error
	asked  int
	memory []byte
}

func (w *world) Ask(_ context.Context, subject string, _, answer any) error {
	w.asked++
	if subject != wire.DirSubject("c", "a") {
		return errors.New("wrong subject " + subject)
	}
	*answer.(*wire.Person) = w.person
	return w.down
}

func (w *world) clock() time.Time { return w.now }

func (w *world) find(t *testing.T) (wire.Person, flow.Identity, error) {
	person, id, remember, err := people.New(w, w.clock).Find(t.Context(), zhang, w.memory)
	w.memory = remember
	return person, id, err
}

var zhang = session.Who{Corp: "c", App: "a", User: "zhangsan"}

func TestHowOldKnowledgeMayBe(t *testing.T) {
	w := &world{now: time.Unix(1000, 0), person: wire.Person{V: 1, User: "ZhangSan", Found: true, Name: "张三", Departments: []int64{1, 7}, Tags: []int64{3}, Active: true}}
	known := w.person
	known.User = "zhangsan"
	find := func(want flow.Identity, asked int, failing bool) {
		t.Helper()
		w.asked = 0
		person, got, err := w.find(t)
		if got != want || w.asked != asked || (err != nil) != failing {
			t.Errorf("identity %d, asked %d times, error %v; want %d, %d, %t", got, w.asked, err, want, asked, failing)
		}
		who := known
		if got == flow.Nobody {
			who = wire.Person{User: "zhangsan"}
		}
		if diff := cmp.Diff(who, person); diff != "" {
			t.Error(diff)
		}
	}
	find(flow.Fresh, 1, false)
	find(flow.Fresh, 0, false)
	w.now = w.now.Add(people.Current)
	find(flow.Fresh, 0, false)
	w.now = w.now.Add(time.Millisecond)
	find(flow.Fresh, 1, false)
	w.down = errors.New("no directory")
	w.now = w.now.Add(people.ForActing)
	find(flow.Fresh, 1, true)
	w.now = w.now.Add(time.Millisecond)
	find(flow.Stale, 1, true)
	w.now = w.now.Add(people.ForLooking - people.ForActing - time.Millisecond)
	find(flow.Stale, 1, true)
	w.now = w.now.Add(time.Millisecond)
	find(flow.Nobody, 1, true)
	w.down = nil
	find(flow.Fresh, 1, false)
	w.now = w.now.Add(-time.Hour) // another replica's clock
	w.down = errors.New("no directory")
	find(flow.Nobody, 1, true)
}

func TestADirectoryThatSaysItFailed(t *testing.T) {
	for name, answer := range map[string]wire.Person{
		"fault":    {Fault: &wire.Fault{Kind: "transient"}, Found: true, Active: true, User: "zhangsan"},
		"mistaken": {User: "lisi", Found: true, Active: true},
	} {
		w := &world{now: time.Unix(1000, 0), person: answer}
		if _, id, err := w.find(t); id != flow.Nobody || err == nil || w.memory != nil {
			t.Errorf("%s: %d, %v, remembered %s", name, id, err, w.memory)
		}
	}
}

func TestAStrangerIsKnownToBeOne(t *testing.T) {
	w := &world{now: time.Unix(1000, 0), person: wire.Person{User: "zhangsan"}}
	if p, id, err := w.find(t); id != flow.Fresh || p.Found || err != nil {
		t.Errorf("%+v, %d, %v", p, id, err)
	}
}

func TestMemoryThatLies(t *testing.T) {
	for _, memory := range []string{"{", `{"u":"lisi","f":true,"a":true,"o":1000000}`, `{"person":{"user":"zhangsan","found":true},"at":1000000}`} {
		w := &world{now: time.Unix(1000, 0), memory: []byte(memory), down: errors.New("no directory")}
		if _, id, _ := w.find(t); id != flow.Nobody {
			t.Errorf("%s makes %d", memory, id)
		}
	}
}
