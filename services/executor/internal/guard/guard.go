// Package guard is the last judge: does this message order something that this executor may do, now?
//
// It is pure. What it believes is the token: two signatures, then the claims inside, then the digest of the arguments, and
// last its own catalog. The time of judging is an argument.
//
// Times. The claims' expiry counts to the second and has no leeway: an order that waited past it does not run. A clock that
// runs behind the signer's makes a token look as if it came from the future; up to Leeway of that is forgiven.
package guard

import (
	"bytes"
	"compress/zlib"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"regexp"
	"strings"
	"time"

	"palmops/libs/fault"
	"palmops/libs/lang"
	"palmops/libs/token"
	"palmops/libs/wire"
	"palmops/services/executor/catalog"
)

//go:embed texts.yaml
var textsFile []byte

var texts = lang.MustLoad(textsFile)

// Limits.
const (
	Leeway           = 30 * time.Second // a token may be this far in the future
	MaxLifetime      = 24 * time.Hour   // of an order, from issue to expiry: as long as ACT keeps it
	QuestionLifetime = 10 * time.Second // of a question
	MaxMessage       = 64 << 10         // bytes of an order or question
	MaxToken         = 16 << 10         // bytes of a token
)

// Reason is a stable word for why something was refused, for metrics and audit.
type Reason string

// The reasons, in the order in which they are looked for.
const (
	Size      Reason = "size"      // the message or its token is too large
	Form      Reason = "form"      // not an order at all
	Signature Reason = "signature" // not signed by this zone's keys
	Payload   Reason = "payload"   // signed, but no claims inside
	ID        Reason = "id"        // the claims are for another action id, or the id is none
	Zone      Reason = "zone"
	Pool      Reason = "pool"
	Early     Reason = "early"    // from the future
	Lifetime  Reason = "lifetime" // valid for longer than any order may be
	Expired   Reason = "expired"
	Digest    Reason = "args_digest" // the arguments are not the ones that were signed
	Unknown   Reason = "action"      // not in the catalog
	Read      Reason = "read"        // a question on the way of orders, or the reverse
	Report    Reason = "report"      // an order that nobody confirmed, for an action that changes something
	Args      Reason = "args"        // outside the catalog's bounds
	Hours     Reason = "hours"       // a change at a time at which the catalog allows none
)

// Order is an order or question that holds.
type Order struct {
	Claims wire.Claims
	Action catalog.Action
	Args   map[string]any // as wire.ParseArgs gives them
	Raw    json.RawMessage
}

// Refusal says why a message does not hold. It is an error of the kinds Invalid, Denied or Expired, and has a text for the user.
type Refusal struct {
	Reason Reason
	// Claims are proven when Proven is set. Otherwise they hold at most ID, Corp, App, User and Lang as the message itself
	// claims them: good for telling somebody that it was refused, and for nothing else.
	Claims wire.Claims
	Proven bool
	// Raw are the arguments that were signed; nil unless the digest holds.
	Raw json.RawMessage

	err error
}

func (r *Refusal) Error() string { return string(r.Reason) + ": " + r.err.Error() }

func (r *Refusal) Unwrap() error { return r.err }

// State is the state that a refused order ends in.
func (r *Refusal) State() string {
	if r.Reason == Expired {
		return wire.StateExpired
	}
	return wire.StateRejected
}

// Guard judges messages for one zone's pool. It is safe for concurrent use.
type Guard struct {
	cat *catalog.Catalog
	tok *token.Layered
}

// New makes a guard. It fails with Invalid when the keys are another zone's or unusable.
func New(cat *catalog.Catalog, keys token.KeySet) (*Guard, error) {
	if keys.Zone != cat.Zone {
		return nil, fault.New(fault.Invalid, "the keys are for zone %q, the catalog for %q", keys.Zone, cat.Zone)
	}
	// Seen from the end of time no token is from the future: the guard judges times itself, after both signatures.
	end := time.Unix(253402300799, 0)
	tok, err := keys.Layered(token.Options{Now: func() time.Time { return end }})
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "token keys")
	}
	return &Guard{cat: cat, tok: tok}, nil
}

// Order judges a message from ACT at a time. A non-nil error is a *Refusal.
func (g *Guard) Order(data []byte, now time.Time) (Order, error) {
	return g.judge(data, now, false)
}

// Question judges a question at a time. A non-nil error is a *Refusal.
func (g *Guard) Question(data []byte, now time.Time) (Order, error) {
	return g.judge(data, now, true)
}

// actionID is the form of ids that name a record. It has no dot, which sets locks apart.
var actionID = regexp.MustCompile(`\A[0-9A-Za-z_-]{8,64}\z`)

func (g *Guard) judge(data []byte, now time.Time, question bool) (Order, error) {
	if len(data) > MaxMessage {
		return Order{}, refuse(Size, wire.Claims{}, fault.Invalid, "refuse.size", "%d bytes, the limit is %d", len(data), MaxMessage)
	}
	var msg wire.Action
	if err := json.Unmarshal(data, &msg); err != nil {
		return Order{}, refuse(Form, wire.Claims{}, fault.Invalid, "refuse.form", "not an order: %w", err)
	}
	claims, issued, err := g.open(msg)
	if err != nil {
		return Order{}, err
	}
	o := Order{Claims: claims, Raw: msg.Args}
	var no *Refusal
	for _, check := range []func() *Refusal{
		func() *Refusal { return g.place(msg, claims, question) },
		func() *Refusal { return times(claims, issued, now, question) },
		func() *Refusal { return g.content(&o, question) },
		func() *Refusal { return open(o, now) },
	} {
		if no = check(); no != nil {
			no.Proven, no.Claims = true, claims
			if wire.ArgsHash(msg.Args) == claims.ArgsHash {
				no.Raw = msg.Args
			}
			return Order{}, no
		}
	}
	return o, nil
}

// open verifies both signatures and reads the claims.
func (g *Guard) open(msg wire.Action) (wire.Claims, time.Time, error) {
	if len(msg.Token) > MaxToken {
		return wire.Claims{}, time.Time{}, refuse(Size, wire.Claims{}, fault.Invalid, "refuse.size", "the token has %d bytes, the limit is %d", len(msg.Token), MaxToken)
	}
	var claims wire.Claims
	issued, err := g.tok.Loads(msg.Token, token.AnyAge, &claims)
	switch {
	case errors.Is(err, token.ErrBadSignature):
		return wire.Claims{}, time.Time{}, refuse(Signature, hearsay(msg), fault.Denied, "refuse.signature", "%w", err)
	case err != nil:
		return wire.Claims{}, time.Time{}, refuse(Payload, wire.Claims{}, fault.Invalid, "refuse.form", "%w", err)
	}
	return claims, issued, nil
}

func (g *Guard) place(msg wire.Action, c wire.Claims, question bool) *Refusal {
	switch {
	case c.ID != msg.ID || !question && !actionID.MatchString(c.ID):
		return refuse(ID, c, fault.Denied, "refuse.id", "the message and its token differ in the action id")
	case c.Zone != g.cat.Zone:
		return refuse(Zone, c, fault.Denied, "refuse.zone", "the token is for zone %q", c.Zone)
	case c.Pool != g.cat.Pool:
		return refuse(Pool, c, fault.Denied, "refuse.pool", "the token is for pool %q", c.Pool)
	}
	return nil
}

func times(c wire.Claims, stamped, now time.Time, question bool) *Refusal {
	life := MaxLifetime
	if question {
		life = QuestionLifetime
	}
	const centuries = int64(1) << 40 // seconds; beyond it the arithmetic of time.Unix is not to be trusted
	if c.IssuedAt < 0 || c.Expires < 0 || c.IssuedAt > centuries || c.Expires > centuries {
		return refuse(Lifetime, c, fault.Invalid, "refuse.validity", "issue time or expiry is out of range")
	}
	issued, expires := time.Unix(c.IssuedAt, 0), time.Unix(c.Expires, 0)
	switch {
	case issued.After(now.Add(Leeway)) || stamped.After(now.Add(Leeway)):
		return refuse(Early, c, fault.Expired, "refuse.early", "issued at %s, stamped at %s", issued.UTC(), stamped.UTC())
	case expires.Before(issued) || expires.Sub(issued) > life:
		return refuse(Lifetime, c, fault.Denied, "refuse.lifetime", "valid for %s, the limit is %s", expires.Sub(issued), life)
	case now.After(expires):
		return refuse(Expired, c, fault.Expired, "refuse.expired", "expired at %s", expires.UTC())
	}
	return nil
}

func (g *Guard) content(o *Order, question bool) *Refusal {
	c := o.Claims
	if wire.ArgsHash(o.Raw) != c.ArgsHash {
		return refuse(Digest, c, fault.Denied, "refuse.digest", "the arguments are not the ones that were signed")
	}
	var known bool
	if o.Action, known = g.cat.Action(c.Action); !known {
		return refuse(Unknown, c, fault.Denied, "refuse.unknown", "the catalog has no such action")
	}
	if read := o.Action.Class == catalog.Question; c.Read != question || read != question {
		return refuse(Read, c, fault.Denied, "refuse.read", "read-only: claims %t, catalog %t, question %t", c.Read, read, question)
	}
	if c.Report && o.Action.Class != catalog.Report {
		return refuse(Report, c, fault.Denied, "refuse.report", "ordered as a report, but its class is %s", o.Action.Class)
	}
	if question && c.Noop {
		return refuse(Read, c, fault.Denied, "refuse.read", "a question has no dry run")
	}
	var err error
	if o.Args, err = wire.ParseArgs(o.Raw); err != nil {
		return refuse(Args, c, fault.Invalid, "refuse.args", "%w", err)
	}
	if err := o.Action.Check(o.Args, lang.Of(c.Lang)); err != nil {
		return &Refusal{Reason: Args, err: err}
	}
	return nil
}

// open keeps changes to the catalog's hours. A dry run may be asked for at any time.
func open(o Order, now time.Time) *Refusal {
	if o.Action.Class != catalog.Change || o.Claims.Noop || o.Action.OpenAt(now) {
		return nil
	}
	t := lang.Of(o.Claims.Lang)
	return &Refusal{Reason: Hours, err: fault.WithText(
		fault.New(fault.Denied, "%s is not open at %s", o.Action.Name, now.UTC()), texts.Say(t, "refuse.hours", openHours(o.Action, t)),
	)}
}

// refuse makes a refusal; key is the sentence that says why, in the language of the claims.
func refuse(reason Reason, c wire.Claims, kind fault.Kind, key, format string, args ...any) *Refusal {
	t := lang.Of(c.Lang)
	text := texts.Say(t, "refuse.nothing", texts.Say(t, key))
	if reason == Expired {
		text = texts.Say(t, "refuse.again", texts.Say(t, key))
	}
	return &Refusal{Reason: reason, Claims: c, err: fault.WithText(fault.New(kind, format, args...), text)}
}

// hearsay reads who a message says it is from, with no proof at all.
func hearsay(msg wire.Action) wire.Claims {
	body, packed := strings.CutPrefix(msg.Token, ".") // the dot means zlib
	payload, _, _ := strings.Cut(body, ".")
	text, err := base64.RawURLEncoding.DecodeString(payload)
	if err != nil {
		return wire.Claims{}
	}
	if packed {
		z, err := zlib.NewReader(bytes.NewReader(text))
		if err != nil {
			return wire.Claims{}
		}
		if text, err = io.ReadAll(io.LimitReader(z, MaxToken)); err != nil {
			return wire.Claims{}
		}
	}
	var c wire.Claims
	if err := json.Unmarshal(text, &c); err != nil || c.ID != msg.ID || !actionID.MatchString(c.ID) || c.Corp == "" || c.User == "" {
		return wire.Claims{}
	}
	return wire.Claims{ID: c.ID, Corp: c.Corp, App: c.App, User: c.User, Lang: c.Lang}
}
