package token

import (
	"crypto/hmac"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"hash"
	"sync"

	"palmops/libs/fault"
)

// encoding is base64 as itsdangerous writes it. Reading goes through decodeBase64, which is stricter.
var encoding = base64.RawURLEncoding

// decodeBase64 decodes text and refuses every spelling but the one encoding it again gives: Go's decoder skips line
// ends and ignores spare bits, Python's ignores whatever it does not know.
func decodeBase64(text []byte) ([]byte, bool) {
	out := make([]byte, encoding.DecodedLen(len(text)))
	n, err := encoding.Strict().Decode(out, text)
	if err != nil || encoding.EncodedLen(n) != len(text) { // shorter when line ends were skipped
		return nil, false
	}
	return out[:n], true
}

// keyring makes and checks signatures under one salt, derivation and digest. Keys are derived once; the HMAC states
// with the key already absorbed are kept in pools, since that is half the work of a short HMAC.
type keyring struct {
	pools []*sync.Pool // of *mac, one per key, newest first
	size  int          // length of a signature as text
}

// mac is one HMAC state and the room for its results.
type mac struct {
	hash hash.Hash
	sum  [sha512.Size]byte
	text [(sha512.Size*8 + 5) / 6]byte
}

// newKeyring derives the keys, given oldest first.
func newKeyring(keys [][]byte, salt string, derivation Derivation, digest Digest) (*keyring, error) {
	if len(keys) == 0 {
		return nil, fault.New(fault.Invalid, "token: there is no key")
	}
	newHash := digest.new()
	if newHash == nil {
		return nil, fault.New(fault.Invalid, "token: no digest %d", int(digest))
	}
	ring := &keyring{size: encoding.EncodedLen(newHash().Size())}
	for i := len(keys) - 1; i >= 0; i-- {
		if len(keys[i]) == 0 {
			return nil, fault.New(fault.Invalid, "token: key %d of %d is empty", i+1, len(keys))
		}
		key, err := deriveKey(keys[i], salt, derivation, newHash)
		if err != nil {
			return nil, err
		}
		ring.pools = append(ring.pools, &sync.Pool{New: func() any { return &mac{hash: hmac.New(newHash, key)} }})
	}
	return ring, nil
}

func deriveKey(secret []byte, salt string, derivation Derivation, newHash func() hash.Hash) ([]byte, error) {
	var h hash.Hash
	switch derivation {
	case DjangoConcat:
		h = newHash()
		h.Write([]byte(salt + "signer"))
		h.Write(secret)
	case Concat:
		h = newHash()
		h.Write([]byte(salt))
		h.Write(secret)
	case HMAC:
		h = hmac.New(newHash, secret)
		h.Write([]byte(salt))
	case None:
		return append([]byte(nil), secret...), nil
	default:
		return nil, fault.New(fault.Invalid, "token: no key derivation %d", int(derivation))
	}
	return h.Sum(nil), nil
}

// signature writes the signature of message as text into m and returns it; it is valid until m is used again.
func (m *mac) signature(message []byte, size int) []byte {
	m.hash.Reset()
	m.hash.Write(message)
	encoding.Encode(m.text[:], m.hash.Sum(m.sum[:0]))
	return m.text[:size]
}

// appendSignature appends the newest key's signature of message to dst. message may be dst itself.
func (k *keyring) appendSignature(dst, message []byte) []byte {
	m := k.pools[0].Get().(*mac)
	dst = append(dst, m.signature(message, k.size)...)
	k.pools[0].Put(m)
	return dst
}

// verify reports whether signature is that of message under any of the keys, newest first. It compares text with
// text, so that a signature has exactly one spelling, and takes the same time wherever they differ.
func (k *keyring) verify(message, signature []byte) bool {
	if len(signature) != k.size {
		return false
	}
	for _, pool := range k.pools {
		m := pool.Get().(*mac)
		same := subtle.ConstantTimeCompare(m.signature(message, k.size), signature) == 1
		pool.Put(m)
		if same {
			return true
		}
	}
	return false
}
