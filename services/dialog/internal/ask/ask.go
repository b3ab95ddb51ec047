// Package ask signs what executors are asked to do, and asks them for lists and current values.
package ask

import (
	"context"
	"fmt"
	"strings"
	"time"

	"palmops/libs/fault"
	"palmops/libs/token"
	"palmops/libs/wire"
	"palmops/services/dialog/internal/flow"
	"palmops/services/dialog/internal/session"
)

const (
	// Patience is how long an executor may take for a list.
	Patience = time.Second
	// Valid is how long a question's token counts.
	Valid = 10 * time.Second
)

// Signer makes the tokens of every zone it has keys for. It is safe for concurrent use.
type Signer struct{ zones map[string]*token.Layered }

// NewSigner makes a signer; a zone that comes twice is an error of the kind Invalid.
func NewSigner(sets []token.KeySet, now func() time.Time) (*Signer, error) {
	s := &Signer{zones: map[string]*token.Layered{}}
	for _, set := range sets {
		if s.zones[set.Zone] != nil {
			return nil, fault.New(fault.Invalid, "zone %s has two key sets", set.Zone)
		}
		l, err := set.Layered(token.Options{Now: now})
		if err != nil {
			return nil, err
		}
		s.zones[set.Zone] = l
	}
	return s, nil
}

// Has reports whether there are keys for a zone.
func (s *Signer) Has(zone string) bool { return s.zones[zone] != nil }

// Sign makes an action of claims and arguments; V and ArgsHash are filled in. Errors: NotFound, no keys for the zone;
// Invalid, the arguments have no canonical form.
func (s *Signer) Sign(c wire.Claims, args map[string]any) (wire.Action, error) {
	layered := s.zones[c.Zone]
	if layered == nil {
		return wire.Action{}, fault.New(fault.NotFound, "no keys for zone %s", c.Zone)
	}
	canonical, err := wire.CanonicalArgs(args)
	if err != nil {
		return wire.Action{}, fault.Wrap(fault.Invalid, err, "sign "+c.Action)
	}
	c.V, c.ArgsHash = wire.Version, wire.ArgsHash(canonical)
	text, err := layered.Dumps(c)
	if err != nil {
		return wire.Action{}, fmt.Errorf("sign %s: %w", c.Action, err)
	}
	return wire.Action{V: wire.Version, ID: c.ID, Token: text, Args: canonical}, nil
}

// Read verifies a token that this side signed, of any age.
func (s *Signer) Read(zone, text string) (wire.Claims, error) {
	layered := s.zones[zone]
	if layered == nil {
		return wire.Claims{}, fault.New(fault.NotFound, "no keys for zone %s", zone)
	}
	var c wire.Claims
	_, err := layered.Loads(text, 0, &c)
	return c, err
}

// Bus asks over NATS.
type Bus interface {
	Ask(ctx context.Context, subject string, question, answer any) error
}

// Asker asks executors. It is safe for concurrent use.
type Asker struct {
	bus    Bus
	signer *Signer
	now    func() time.Time
}

// NewAsker makes an Asker.
func NewAsker(b Bus, signer *Signer, now func() time.Time) *Asker {
	return &Asker{bus: b, signer: signer, now: now}
}

// Ask asks one question for a person; id names it and must be new. A failure is an answer with a Fault that the person
// may read, and the error for the log.
func (a *Asker) Ask(ctx context.Context, w session.Who, id string, q flow.Question) (flow.Answer, error) {
	now := a.now()
	order, err := a.signer.Sign(wire.Claims{
		ID: id, Corp: w.Corp, App: w.App, User: w.User, Zone: q.Zone, Pool: q.Pool, Action: q.Action,
		IssuedAt: now.Unix(), Expires: now.Add(Valid).Unix(), Read: true,
	}, q.Args)
	if err != nil {
		return flow.Answer{Fault: sentence(q, "配置有误")}, err
	}
	ctx, cancel := context.WithTimeout(ctx, Patience)
	defer cancel()
	var answer wire.Answer
	if err := a.bus.Ask(ctx, wire.AskSubject(q.Zone, q.Pool, q.Action), order, &answer); err != nil {
		return flow.Answer{Fault: sentence(q, "执行器没有应答")}, err
	}
	if f := answer.Fault; f != nil {
		text := f.Text
		if text == "" {
			text = fault.KindText(fault.Kind(f.Kind))
		}
		return flow.Answer{Fault: strings.TrimRight(text, "。 ")}, fault.New(fault.Kind(f.Kind), "executor: %s", f.Kind)
	}
	return flow.Answer{Items: answer.Items, Fields: answer.Fields}, nil
}

func sentence(q flow.Question, why string) string {
	what := "当前值"
	if q.List {
		what = "列表"
	}
	return what + "暂时取不到（" + why + "），没有执行任何操作"
}
