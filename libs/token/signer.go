package token

import "bytes"

// Signer writes value + sep + signature.
type Signer struct {
	ring *keyring
	sep  []byte
}

// NewSigner makes a Signer of secret keys, oldest first: the last one signs, and all verify, the last one first.
// It fails with fault.Invalid when there is no key, a key is empty, or an option cannot work.
func NewSigner(keys [][]byte, o Options) (*Signer, error) {
	o, err := o.complete(DefaultSignerSalt)
	if err != nil {
		return nil, err
	}
	if err := o.noFallbacks(); err != nil {
		return nil, err
	}
	return newSigner(keys, o)
}

// newSigner is NewSigner with complete options.
func newSigner(keys [][]byte, o Options) (*Signer, error) {
	ring, err := newKeyring(keys, o.Salt, o.Derivation, o.Digest)
	if err != nil {
		return nil, err
	}
	return &Signer{ring: ring, sep: []byte(o.Sep)}, nil
}

// Sign returns the signed value in memory of its own. The value may be any bytes, the separator among them.
func (s *Signer) Sign(value []byte) []byte {
	out := make([]byte, 0, len(value)+len(s.sep)+s.ring.size)
	out = append(out, value...)
	out = append(out, s.sep...)
	return s.ring.appendSignature(out, value)
}

// Unsign returns the value under a good signature, as a part of signed (not a copy). Otherwise ErrBadSignature, its
// Payload nil when there is no separator.
func (s *Signer) Unsign(signed []byte) ([]byte, error) {
	value, signature, found := cutLast(signed, s.sep)
	if !found {
		return nil, &Error{class: badSignature, reason: "no separator found"}
	}
	if !s.ring.verify(value, signature) {
		return nil, &Error{class: badSignature, reason: "the signature does not match", Payload: value}
	}
	return value, nil
}

// Validate reports whether Unsign would succeed.
func (s *Signer) Validate(signed []byte) bool {
	_, err := s.Unsign(signed)
	return err == nil
}

// cutLast cuts text around the last sep. The parts keep no spare capacity, so that appending to one leaves the rest alone.
func cutLast(text, sep []byte) (before, after []byte, found bool) {
	i := bytes.LastIndex(text, sep)
	if i < 0 {
		return nil, nil, false
	}
	return text[:i:i], text[i+len(sep):], true
}
