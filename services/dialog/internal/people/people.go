// Package people finds out who somebody is: from the gateway's directory, with a short memory in Redis.
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

// Memory keeps what the directory said.
type Memory interface {
	Person(ctx context.Context, w session.Who) ([]byte, error)
	SetPerson(ctx context.Context, w session.Who, person []byte, kept time.Duration) error
}

// People is safe for concurrent use.
type People struct {
	dir Directory
	mem Memory
	now func() time.Time
}

// New makes a People.
func New(dir Directory, mem Memory, now func() time.Time) *People {
	return &People{dir: dir, mem: mem, now: now}
}

type entry struct {
	Person wire.Person `json:"person"`
	At     int64       `json:"at"` // Unix milliseconds
}

// Find says who a person is and how sure that is. The error says why the directory or the memory failed; it may come
// with knowledge that is old enough to be Stale or young enough to be Fresh all the same.
func (p *People) Find(ctx context.Context, w session.Who) (wire.Person, flow.Identity, error) {
	known, age, err := p.remember(ctx, w)
	if known != nil && age <= Current {
		return *known, flow.Fresh, nil
	}
	person, aerr := p.ask(ctx, w)
	if aerr == nil {
		raw, _ := json.Marshal(entry{Person: person, At: p.now().UnixMilli()}) // plain fields always have a JSON form
		return person, flow.Fresh, p.mem.SetPerson(ctx, w, raw, ForLooking)
	}
	if err == nil {
		err = aerr
	}
	switch {
	case known != nil && age <= ForActing:
		return *known, flow.Fresh, err
	case known != nil && age <= ForLooking:
		return *known, flow.Stale, err
	}
	return wire.Person{User: w.User}, flow.Nobody, err
}

func (p *People) remember(ctx context.Context, w session.Who) (*wire.Person, time.Duration, error) {
	raw, err := p.mem.Person(ctx, w)
	if raw == nil || err != nil {
		return nil, 0, err
	}
	var e entry
	if err := json.Unmarshal(raw, &e); err != nil || !strings.EqualFold(e.Person.User, w.User) {
		return nil, 0, nil
	}
	// Clocks of replicas differ a little; an entry from the future is as old as it is early.
	return &e.Person, p.now().Sub(time.UnixMilli(e.At)).Abs(), nil
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
