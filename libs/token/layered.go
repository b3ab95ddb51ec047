package token

import "time"

// LayeredOptions are what a Layered is made of. Key lists are oldest first, as for NewSigner.
type LayeredOptions struct {
	PayloadKeys [][]byte // of the inner signature, over the payload
	StampKeys   [][]byte // of the outer signature, over payload, inner signature and time
	PayloadSalt string   // DefaultSerializerSalt when empty
	StampSalt   string   // DefaultSignerSalt when empty

	Derivation  Derivation       // of both layers
	Digest      Digest           // of both layers
	Now         func() time.Time // as in Options
	Leeway      time.Duration    // as in Options
	MaxInflated int              // as in Options
}

// Layered is two signatures around one payload, each under keys of its own:
// TimestampSigner(stamp keys).sign(URLSafeSerializer(payload keys).dumps(v)) in Python's words. Who holds one key list
// alone can neither make such a token nor make an old one young again.
type Layered struct {
	inner *Serializer
	outer *TimestampSigner
}

// NewLayered makes a Layered; errors as for NewSigner.
func NewLayered(o LayeredOptions) (*Layered, error) {
	common := Options{Derivation: o.Derivation, Digest: o.Digest, Now: o.Now, Leeway: o.Leeway, MaxInflated: o.MaxInflated}
	common.Salt = o.PayloadSalt
	inner, err := NewURLSafeSerializer(o.PayloadKeys, common)
	if err != nil {
		return nil, err
	}
	common.Salt = o.StampSalt
	outer, err := NewTimestampSigner(o.StampKeys, common)
	if err != nil {
		return nil, err
	}
	return &Layered{inner: inner, outer: outer}, nil
}

// Dumps returns v signed twice, with the time of now. It fails with fault.Invalid when v cannot be written as JSON.
func (l *Layered) Dumps(v any) (string, error) {
	text, err := l.inner.Dumps(v)
	if err != nil {
		return "", err
	}
	return string(l.outer.Sign([]byte(text))), nil
}

// Loads verifies the outer signature and the age, then the inner signature, and only then reads the payload into v.
// It returns when the token was signed. Errors and the meaning of maxAge as for TimedSerializer.Loads; a wrong inner
// signature is a plain ErrBadSignature.
func (l *Layered) Loads(text string, maxAge time.Duration, v any) (issued time.Time, err error) {
	value, issued, err := l.outer.Unsign([]byte(text), maxAge)
	if err != nil {
		return time.Time{}, err
	}
	payload, err := l.inner.signers[0].Unsign(value)
	if err != nil {
		return time.Time{}, err
	}
	if err := l.inner.payload.decode(payload, v); err != nil {
		return time.Time{}, err
	}
	return issued, nil
}
