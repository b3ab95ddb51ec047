package token

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"palmops/libs/fault"
)

// The salts under which a zone's keys sign: what one purpose signed is worth nothing for another.
const (
	PayloadSalt = "palmops.claims"
	StampSalt   = "palmops.stamp"
)

// The limits of a KeySet.
const (
	MinKeyBytes = 32       // of a decoded key
	MaxKeyBytes = 1 << 10  // of a decoded key
	MaxKeys     = 16       // in one list: verifying a forgery costs one HMAC for each
	maxKeySet   = 64 << 10 // bytes of a key file
	maxZone     = 63       // bytes of a zone's name
)

// KeySet is the key file of one zone: what dialog signs with and the executors of the zone verify with.
//
//	{"zone":"local","payload":["…"],"stamp":["…"]}
//
// Each key is base64url without padding, and means the bytes it decodes to, MinKeyBytes to MaxKeyBytes of them. Lists
// are oldest first: the last key signs, all verify. In Python:
//
//	keys = lambda texts: [base64.urlsafe_b64decode(t + "=" * (-len(t) % 4)) for t in texts]
//	inner = URLSafeSerializer(keys(f["payload"]), salt="palmops.claims", signer_kwargs={"digest_method": hashlib.sha256})
//	outer = TimestampSigner(keys(f["stamp"]), salt="palmops.stamp", digest_method=hashlib.sha256)
//	claims = inner.loads(outer.unsign(token, max_age=120).decode())
//
// Printing a KeySet with the fmt package does not show the keys; encoding it as JSON does.
type KeySet struct {
	Zone    string   `json:"zone"`
	Payload []string `json:"payload"`
	Stamp   []string `json:"stamp"`
}

// ParseKeySet reads a key file. It refuses unknown fields, anything after the object, and whatever Validate refuses,
// with fault.Invalid and without quoting a key.
func ParseKeySet(text []byte) (KeySet, error) {
	if len(text) > maxKeySet {
		return KeySet{}, fault.New(fault.Invalid, "key set: %d bytes, the limit is %d", len(text), maxKeySet)
	}
	var k KeySet
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&k); err != nil {
		return KeySet{}, fault.New(fault.Invalid, `key set: not of the form {"zone":"…","payload":["…"],"stamp":["…"]} near byte %d`, dec.InputOffset())
	}
	if rest := bytes.TrimSpace(text[dec.InputOffset():]); len(rest) > 0 {
		return KeySet{}, fault.New(fault.Invalid, "key set: something follows the object at byte %d", dec.InputOffset())
	}
	if err := k.Validate(); err != nil {
		return KeySet{}, err
	}
	return k, nil
}

// NewKeySet makes a set with one fresh pair of keys. Random must be crypto/rand.Reader outside tests.
func NewKeySet(zone string, random io.Reader) (KeySet, error) {
	k := KeySet{Zone: zone}
	if err := k.addPair(random); err != nil {
		return KeySet{}, err
	}
	if err := k.Validate(); err != nil {
		return KeySet{}, err
	}
	return k, nil
}

// Rotated returns a set with a fresh pair of keys added as the newest, and only the newest keep (at least 1) of each
// list. Verifiers must have it before signers use it, and the old pair must stay until the last token it signed is too old.
func (k KeySet) Rotated(random io.Reader, keep int) (KeySet, error) {
	if keep < 1 || keep > MaxKeys {
		return KeySet{}, fault.New(fault.Invalid, "key set: cannot keep %d keys, only 1 to %d", keep, MaxKeys)
	}
	if err := k.Validate(); err != nil {
		return KeySet{}, err
	}
	next := KeySet{Zone: k.Zone, Payload: slices.Clone(k.Payload), Stamp: slices.Clone(k.Stamp)}
	if err := next.addPair(random); err != nil {
		return KeySet{}, err
	}
	next.Payload = next.Payload[max(0, len(next.Payload)-keep):]
	next.Stamp = next.Stamp[max(0, len(next.Stamp)-keep):]
	if err := next.Validate(); err != nil {
		return KeySet{}, err
	}
	return next, nil
}

func (k *KeySet) addPair(random io.Reader) error {
	var pair [2 * MinKeyBytes]byte
	if _, err := io.ReadFull(random, pair[:]); err != nil {
		return fault.Wrap(fault.Internal, err, "key set: read random bytes")
	}
	k.Payload = append(k.Payload, encoding.EncodeToString(pair[:MinKeyBytes]))
	k.Stamp = append(k.Stamp, encoding.EncodeToString(pair[MinKeyBytes:]))
	return nil
}

// Validate refuses, with fault.Invalid, a zone that is not 1 to 63 of a-z 0-9 - _, an empty or too long list, a key
// that is not canonical base64url or of the wrong length, and a key that occurs twice in the set.
func (k KeySet) Validate() error {
	_, _, err := k.decode()
	return err
}

// decode checks the set and returns the keys as bytes.
func (k KeySet) decode() (payload, stamp [][]byte, err error) {
	if k.Zone == "" || len(k.Zone) > maxZone || strings.Trim(k.Zone, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
		return nil, nil, fault.New(fault.Invalid, "key set: the zone must be 1 to %d of a-z 0-9 - _", maxZone)
	}
	seen := map[string]string{} // key text to where it stands
	list := func(name string, texts []string) ([][]byte, error) {
		if len(texts) == 0 || len(texts) > MaxKeys {
			return nil, fault.New(fault.Invalid, "key set of zone %s: %d %s keys, there must be 1 to %d", k.Zone, len(texts), name, MaxKeys)
		}
		keys := make([][]byte, 0, len(texts))
		for i, text := range texts {
			where := fmt.Sprintf("%s key %d", name, i+1)
			key, ok := decodeBase64([]byte(text))
			if !ok {
				return nil, fault.New(fault.Invalid, "key set of zone %s: %s is not base64url without padding", k.Zone, where)
			}
			if len(key) < MinKeyBytes || len(key) > MaxKeyBytes {
				return nil, fault.New(fault.Invalid, "key set of zone %s: %s has %d bytes, there must be %d to %d", k.Zone, where, len(key), MinKeyBytes, MaxKeyBytes)
			}
			if first, twice := seen[text]; twice {
				return nil, fault.New(fault.Invalid, "key set of zone %s: %s is the same as %s", k.Zone, where, first)
			}
			seen[text] = where
			keys = append(keys, key)
		}
		return keys, nil
	}
	if payload, err = list("payload", k.Payload); err != nil {
		return nil, nil, err
	}
	if stamp, err = list("stamp", k.Stamp); err != nil {
		return nil, nil, err
	}
	return payload, stamp, nil
}

// Layered makes the signer and verifier of the zone's tokens: SHA-256, PayloadSalt and StampSalt, and everything else as
// in Python. Of o only Now, Leeway and MaxInflated may be set; fault.Invalid otherwise.
func (k KeySet) Layered(o Options) (*Layered, error) {
	if o.Salt != "" || o.EmptySalt || o.Sep != "" || o.Derivation != DjangoConcat || o.Digest != SHA1 || len(o.Fallbacks) > 0 {
		return nil, fault.New(fault.Invalid, "key set of zone %s: salt, separator, derivation and digest are fixed", k.Zone)
	}
	payload, stamp, err := k.decode()
	if err != nil {
		return nil, err
	}
	return NewLayered(LayeredOptions{
		PayloadKeys: payload, StampKeys: stamp, PayloadSalt: PayloadSalt, StampSalt: StampSalt,
		Digest: SHA256, Now: o.Now, Leeway: o.Leeway, MaxInflated: o.MaxInflated,
	})
}

// String names the zone and counts the keys.
func (k KeySet) String() string {
	return fmt.Sprintf("key set of zone %s (%d payload, %d stamp)", k.Zone, len(k.Payload), len(k.Stamp))
}

// GoString is String, so that %#v shows no key either.
func (k KeySet) GoString() string { return k.String() }
