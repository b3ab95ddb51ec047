package ask

import (
	"fmt"
	"time"

	"palmops/libs/fault"
	"palmops/libs/token"
	"palmops/libs/wire"
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
