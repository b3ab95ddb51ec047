package token

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"hash"
	"strings"
	"time"

	"palmops/libs/fault"
)

// Digest is the hash of the HMAC and of the key derivation (Python: digest_method).
type Digest int

// The digests. The zero value is Python's default; new tokens should choose SHA256.
const (
	SHA1 Digest = iota
	SHA256
	SHA512
)

// String is the name hashlib uses: sha1, sha256, sha512.
func (d Digest) String() string {
	switch d {
	case SHA1:
		return "sha1"
	case SHA256:
		return "sha256"
	case SHA512:
		return "sha512"
	default:
		return "unknown"
	}
}

// new returns the constructor, nil for a value that is no Digest.
func (d Digest) new() func() hash.Hash {
	switch d {
	case SHA1:
		return sha1.New
	case SHA256:
		return sha256.New
	case SHA512:
		return sha512.New
	default:
		return nil
	}
}

// ParseDigest reads sha1, sha256 or sha512, in any case and with or without a hyphen before the number.
func ParseDigest(name string) (Digest, error) {
	plain := strings.Replace(strings.ToLower(name), "-", "", 1)
	for _, d := range []Digest{SHA1, SHA256, SHA512} {
		if d.String() == plain {
			return d, nil
		}
	}
	return 0, fault.New(fault.Invalid, "token: no digest %q; there are sha1, sha256, sha512", name)
}

// Derivation says how the key of the HMAC is made of a secret key and the salt (Python: key_derivation).
type Derivation int

// The derivations. The zero value is Python's default.
const (
	DjangoConcat Derivation = iota // digest(salt + "signer" + key)
	Concat                         // digest(salt + key)
	HMAC                           // HMAC(key, salt)
	None                           // the key itself; the salt plays no part
)

// String is Python's name: django-concat, concat, hmac, none.
func (d Derivation) String() string {
	switch d {
	case DjangoConcat:
		return "django-concat"
	case Concat:
		return "concat"
	case HMAC:
		return "hmac"
	case None:
		return "none"
	default:
		return "unknown"
	}
}

// ParseDerivation reads django-concat, concat, hmac or none, in any case.
func ParseDerivation(name string) (Derivation, error) {
	for _, d := range []Derivation{DjangoConcat, Concat, HMAC, None} {
		if d.String() == strings.ToLower(name) {
			return d, nil
		}
	}
	return 0, fault.New(fault.Invalid, "token: no key derivation %q; there are django-concat, concat, hmac, none", name)
}

// Python's default salts differ between the two families.
const (
	DefaultSignerSalt     = "itsdangerous.Signer"
	DefaultSerializerSalt = "itsdangerous"
)

// DefaultMaxInflated is the limit of an inflated payload unless Options say otherwise, in bytes.
const DefaultMaxInflated = 64 << 10

// AnyAge as a maximum age asks for none: however old, but still not from the future. Python's max_age=0, which only
// accepts a token of this very second, is time.Nanosecond here.
const AnyAge time.Duration = 0

// Options are what a signer or serializer may be told. The zero value does what Python does by default.
type Options struct {
	// Salt separates purposes: the same key under another salt is another key. Empty means DefaultSignerSalt or
	// DefaultSerializerSalt, unless EmptySalt is set. Text, as UTF-8.
	Salt string
	// EmptySalt makes the salt the empty text instead of the default.
	EmptySalt bool
	// Sep stands between the parts; "." when empty. No byte of it may be in A-Z a-z 0-9 - _ =.
	Sep string

	Derivation Derivation
	Digest     Digest

	// Fallbacks are tried in turn, with all keys, after the signature did not fit: a serializer's way to a new digest
	// or derivation (Python: fallback_signers). An expired signature is one that fits, so nothing is tried after it.
	// Signers have none.
	Fallbacks []Fallback

	// Now is the clock of the forms with a time; time.Now when nil. Whole seconds count. A time before 1970 is signed
	// as 1970-01-01.
	Now func() time.Time
	// Leeway is how far in the future a time may lie and still be believed, in whole seconds, the rest dropped.
	Leeway time.Duration
	// MaxInflated limits what a compressed payload may inflate to, in bytes; DefaultMaxInflated when zero.
	MaxInflated int
}

// Fallback is an older way to sign, see Options.
type Fallback struct {
	Derivation Derivation
	Digest     Digest
}

// complete fills in the defaults and refuses what cannot work.
func (o Options) complete(defaultSalt string) (Options, error) {
	if o.Salt == "" && !o.EmptySalt {
		o.Salt = defaultSalt
	} else if o.Salt != "" && o.EmptySalt {
		return o, fault.New(fault.Invalid, "token: Salt and EmptySalt exclude each other")
	}
	if o.Sep == "" {
		o.Sep = "."
	}
	if bytes.ContainsFunc([]byte(o.Sep), inBase64Alphabet) {
		return o, fault.New(fault.Invalid, "token: the separator %q may occur in a signature; letters, digits and -_= must not be used", o.Sep)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Leeway < 0 {
		return o, fault.New(fault.Invalid, "token: the leeway %s is negative", o.Leeway)
	}
	if o.MaxInflated == 0 {
		o.MaxInflated = DefaultMaxInflated
	}
	if o.MaxInflated < 0 {
		return o, fault.New(fault.Invalid, "token: the limit of %d inflated bytes is negative", o.MaxInflated)
	}
	return o, nil
}

func inBase64Alphabet(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' || r == '='
}

// noFallbacks refuses fallbacks where there is nothing that would try them.
func (o Options) noFallbacks() error {
	if len(o.Fallbacks) > 0 {
		return fault.New(fault.Invalid, "token: a signer has no fallbacks, only a serializer has")
	}
	return nil
}
