package token

import (
	"errors"
	"time"
)

// Serializer writes values as signed JSON. Loads and Dumps are as encoding/json has them: v is any value to write,
// and a pointer to read into.
type Serializer struct {
	signers []*Signer // the first signs
	payload payloadCoder
}

// NewSerializer is Python's Serializer: JSON as it is (with Python's spaces and escapes), a separator, a signature.
// Keys, oldest first, and errors as for NewSigner.
func NewSerializer(keys [][]byte, o Options) (*Serializer, error) {
	o, err := o.complete(DefaultSerializerSalt)
	if err != nil {
		return nil, err
	}
	return newSerializer(keys, o, plainPayload{})
}

// NewURLSafeSerializer is Python's URLSafeSerializer: compact JSON in base64, compressed where that is shorter, with
// nothing but letters, digits, "-", "_" and the separator in it.
func NewURLSafeSerializer(keys [][]byte, o Options) (*Serializer, error) {
	o, err := o.complete(DefaultSerializerSalt)
	if err != nil {
		return nil, err
	}
	return newSerializer(keys, o, &urlSafePayload{maxInflated: o.MaxInflated})
}

func newSerializer(keys [][]byte, o Options, payload payloadCoder) (*Serializer, error) {
	s := &Serializer{payload: payload}
	for _, way := range o.ways() {
		signer, err := newSigner(keys, way)
		if err != nil {
			return nil, err
		}
		s.signers = append(s.signers, signer)
	}
	return s, nil
}

// Dumps returns v signed. It fails with fault.Invalid when v cannot be written as JSON.
func (s *Serializer) Dumps(v any) (string, error) {
	payload, err := s.payload.encode(v)
	if err != nil {
		return "", err
	}
	return string(s.signers[0].Sign(payload)), nil
}

// Loads verifies text and reads its payload into v. Errors: ErrBadSignature, then v is untouched; ErrBadPayload when
// what was signed cannot be read, then v may be filled in part.
func (s *Serializer) Loads(text string, v any) error {
	signed := []byte(text)
	var last error
	for _, signer := range s.signers {
		payload, err := signer.Unsign(signed)
		if err == nil {
			return s.payload.decode(payload, v)
		}
		last = err
	}
	return last
}

// TimedSerializer writes values as signed JSON with the time of signing.
type TimedSerializer struct {
	signers []*TimestampSigner // the first signs
	payload payloadCoder
}

// NewTimedSerializer is Python's TimedSerializer, NewSerializer with a time.
func NewTimedSerializer(keys [][]byte, o Options) (*TimedSerializer, error) {
	o, err := o.complete(DefaultSerializerSalt)
	if err != nil {
		return nil, err
	}
	return newTimedSerializer(keys, o, plainPayload{})
}

// NewURLSafeTimedSerializer is Python's URLSafeTimedSerializer, NewURLSafeSerializer with a time.
func NewURLSafeTimedSerializer(keys [][]byte, o Options) (*TimedSerializer, error) {
	o, err := o.complete(DefaultSerializerSalt)
	if err != nil {
		return nil, err
	}
	return newTimedSerializer(keys, o, &urlSafePayload{maxInflated: o.MaxInflated})
}

func newTimedSerializer(keys [][]byte, o Options, payload payloadCoder) (*TimedSerializer, error) {
	s := &TimedSerializer{payload: payload}
	for _, way := range o.ways() {
		signer, err := newTimestampSigner(keys, way)
		if err != nil {
			return nil, err
		}
		s.signers = append(s.signers, signer)
	}
	return s, nil
}

// Dumps returns v signed with the time of now. It fails with fault.Invalid when v cannot be written as JSON.
func (s *TimedSerializer) Dumps(v any) (string, error) {
	payload, err := s.payload.encode(v)
	if err != nil {
		return "", err
	}
	return string(s.signers[0].Sign(payload)), nil
}

// Loads verifies text and its age, as TimestampSigner.Unsign does and with the same errors, reads its payload into v
// and returns when it was signed. ErrBadPayload means that signature and age are right, but what was signed cannot be read;
// v may then be filled in part.
func (s *TimedSerializer) Loads(text string, maxAge time.Duration, v any) (time.Time, error) {
	signed := []byte(text)
	var last error
	for _, signer := range s.signers {
		payload, at, err := signer.Unsign(signed, maxAge)
		if err == nil {
			if err := s.payload.decode(payload, v); err != nil {
				return time.Time{}, err
			}
			return at, nil
		}
		last = err
		if errors.Is(err, ErrSignatureExpired) {
			break // the signature did fit; another signer has nothing to add
		}
	}
	return time.Time{}, last
}

// ways are the options of each signer a serializer tries, its own first.
func (o Options) ways() []Options {
	fallbacks := o.Fallbacks
	o.Fallbacks = nil
	all := []Options{o}
	for _, f := range fallbacks {
		o.Derivation, o.Digest = f.Derivation, f.Digest
		all = append(all, o)
	}
	return all
}
