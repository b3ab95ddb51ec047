package wecom

import (
	"crypto/sha1"
	"encoding/hex"
)

// Signature is msg_signature as page 90968 defines it: the SHA-1 of the four values, sorted by their bytes and
// joined without a separator, in lower-case hexadecimal.
func Signature(token, timestamp, nonce, encrypt string) string {
	scratch := make([]byte, len(token)+len(timestamp)+len(nonce)+len(encrypt))
	sum := sign(scratch, token, timestamp, nonce, []byte(encrypt))
	return hex.EncodeToString(sum[:])
}

// sign computes the signature. It joins the values in scratch, which has room for them.
func sign(scratch []byte, token, timestamp, nonce string, encrypt []byte) [sha1.Size]byte {
	a, b, c := token, timestamp, nonce
	if less(b, a) {
		a, b = b, a
	}
	if less(c, b) {
		b, c = c, b
	}
	if less(b, a) {
		a, b = b, a
	}
	n, pending := 0, true
	for _, s := range [...]string{a, b, c} {
		if pending && less(encrypt, s) {
			n += copy(scratch[n:], encrypt)
			pending = false
		}
		n += copy(scratch[n:], s)
	}
	if pending {
		n += copy(scratch[n:], encrypt)
	}
	return sha1.Sum(scratch[:n])
}

// less orders by bytes. The first one decides nearly always.
func less[A, B ~string | ~[]byte](a A, b B) bool {
	if len(a) > 0 && len(b) > 0 && a[0] != b[0] {
		return a[0] < b[0]
	}
	return string(a) < string(b)
}
