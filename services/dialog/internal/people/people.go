// Package people finds out who somebody is: from the gateway's directory, with a short memory that lies beside the session.
package people

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"palmops/libs/fault"
	"palmops/libs/wire"
	"palmops/services/dialog/internal/flow"
	"palmops/services/dialog/internal/session"
)

// How old knowledge may be. Within Current the directory is not asked again, which bounds how long a right that was
// taken away in the directory still works. When the directory does not answer, ForActing is the oldest knowledge that an
// order may rest on, ForLooking the oldest that shows a menu.
const (
	Current    = 4 * time.Second
	ForActing  = 60 * time.Second
	ForLooking = 10 * time.Minute

	// Patience is how long the directory may take.
	Patience = 600 * time.Millisecond
)

// Directory asks the gateway.
type Directory interface {
	Ask(ctx context.Context, subject string, question, answer any) error
}

// People is safe for concurrent use.
type People struct {
	dir Directory
	now func() time.Time
}

// New makes a People.
func New(dir Directory, now func() time.Time) *People { return &People{dir: dir, now: now} }

// entry is what is remembered of a person whose user id is known. It is kept for everybody who talks: names are short.
type entry struct {
	User        string  `json:"u"`
	Found       bool    `json:"f,omitempty"`
	Name        string  `json:"n,omitempty"`
	Departments []int64 `json:"d,omitempty"`
	Tags        []int64 `json:"t,omitempty"`
	Active      bool    `json:"a,omitempty"`
	At          int64   `json:"o"` // Unix milliseconds
}

// Find says who a person is and how sure that is. Known is what an earlier Find gave back to be remembered, nil for
// nothing; the new one comes back. The error says why the directory failed; it may come with knowledge that is old enough
// to be Stale or young enough to be Fresh all the same.
func (p *People) Find(ctx context.Context, w session.Who, known []byte) (person wire.Person, id flow.Identity, remember []byte, err error) {
	before, age := p.recall(w, known)
	if before != nil && age <= Current {
		return *before, flow.Fresh, known, nil
	}
	person, err = p.ask(ctx, w)
	if err == nil {
		remember, _ = json.Marshal(entry{ // plain fields always have a JSON form
			User: person.User, Found: person.Found, Name: person.Name, Departments: person.Departments, Tags: person.Tags, Active: person.Active,
			At: p.now().UnixMilli(),
		})
		return person, flow.Fresh, remember, nil
	}
	switch {
	case before != nil && age <= ForActing:
		return *before, flow.Fresh, known, err
	case before != nil && age <= ForLooking:
		return *before, flow.Stale, known, err
	}
	return wire.Person{User: w.User}, flow.Nobody, nil, err
}

func (p *People) recall(w session.Who, known []byte) (*wire.Person, time.Duration) {
	var e entry
	if known == nil || json.Unmarshal(known, &e) != nil || !strings.EqualFold(e.User, w.User) {
		return nil, 0
	}
	person := wire.Person{
		V: wire.Version, User: e.User, Found: e.Found, Name: e.Name, Departments: e.Departments, Tags: e.Tags, Active: e.Active,
	}
	// Clocks of replicas differ a little; an entry from the future is as old as it is early.
	return &person, p.now().Sub(time.UnixMilli(e.At)).Abs()
}

func (p *People) ask(ctx context.Context, w session.Who) (wire.Person, error) {
	ctx, cancel := context.WithTimeout(ctx, Patience)
	defer cancel()
	var person wire.Person
	if err := p.dir.Ask(ctx, wire.DirSubject(w.Corp, w.App), wire.PersonQuery{V: wire.Version, User: w.User}, &person); err != nil {
		return wire.Person{}, err
	}
	if f := person.Fault; f != nil {
		return wire.Person{}, fault.New(fault.Transient, "directory: %s", f.Kind)
	}
	if person.Found && !strings.EqualFold(person.User, w.User) {
		return wire.Person{}, fault.New(fault.Internal, "directory: the answer is about somebody else")
	}
	person.User = strings.ToLower(w.User)
	return person, nil
}
