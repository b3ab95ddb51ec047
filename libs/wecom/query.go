package wecom

import (
	"crypto/sha1"
	"net/url"
	"strings"
)

// Query is what a callback's URL carries beside the body (page 90930).
type Query struct {
	Signature string // msg_signature: 40 hexadecimal digits, either case
	Timestamp string // Unix seconds: exactly 10 digits
	Nonce     string // 1 to 128 printable ASCII characters, no space
}

const maxNonce = 128

// ParseQuery takes msg_signature, timestamp and nonce out of a parsed query. Each must be there exactly once and
// have the shape that Query names; other keys are left alone. The shape matters: the signature is over the
// concatenation of sorted values, so that without it digits could be moved from the nonce to the timestamp.
// Errors: *Error with ReasonQuery.
func ParseQuery(v url.Values) (Query, error) {
	var q Query
	for _, p := range [...]struct {
		key string
		to  *string
	}{{"msg_signature", &q.Signature}, {"timestamp", &q.Timestamp}, {"nonce", &q.Nonce}} {
		values := v[p.key]
		if len(values) != 1 {
			return Query{}, refuse(CodeSignature, ReasonQuery, p.key+" is not there exactly once")
		}
		*p.to = values[0]
	}
	if _, err := q.check(); err != nil {
		return Query{}, err
	}
	return q, nil
}

// check holds q against the shape above, and decodes the signature.
func (q Query) check() (sum [sha1.Size]byte, err error) {
	if len(q.Signature) != 2*len(sum) {
		return sum, refuse(CodeSignature, ReasonQuery, "msg_signature is not 40 hexadecimal digits")
	}
	bad := byte(0)
	for i, s := 0, q.Signature; i < len(sum) && len(s) >= 2; i, s = i+1, s[2:] {
		high, low := unhex(s[0]), unhex(s[1])
		bad |= high | low
		sum[i] = high<<4 | low&15
	}
	switch {
	case bad > 15:
		err = refuse(CodeSignature, ReasonQuery, "msg_signature is not 40 hexadecimal digits")
	case !isTimestamp(q.Timestamp):
		err = refuse(CodeSignature, ReasonQuery, "timestamp is not 10 digits")
	case !isNonce(q.Nonce):
		err = refuse(CodeSignature, ReasonQuery, "nonce is not 1 to 128 printable characters")
	}
	return sum, err
}

func isTimestamp(s string) bool {
	if len(s) != 10 {
		return false
	}
	for i := range len(s) {
		if s[i]-'0' > 9 {
			return false
		}
	}
	return true
}

func isNonce(s string) bool {
	return len(s) >= 1 && len(s) <= maxNonce && isGraphic(s)
}

// isGraphic reports whether s is printable ASCII without spaces.
func isGraphic(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// hexDigits is the value of every hexadecimal digit, and 255 for what is none.
var hexDigits = func() (t [256]byte) {
	for c := range t {
		t[c] = 255
	}
	for v := range byte(16) {
		t["0123456789abcdef"[v]] = v
		t["0123456789ABCDEF"[v]] = v
	}
	return t
}()

func unhex(c byte) byte { return hexDigits[c] }

// EchoStr is the echostr of the GET check, from the query as it came. WeCom percent-encodes it, but a plain '+',
// which form decoding would turn into a space and so break the base64, stays a '+' here.
// Errors: *Error with ReasonQuery when echostr is absent, empty, there twice, or not decodable.
func EchoStr(rawQuery string) (string, error) {
	if len(rawQuery) > MaxBody {
		return "", refuse(CodeSignature, ReasonQuery, "the query is too long")
	}
	found := ""
	for pair := range strings.SplitSeq(rawQuery, "&") {
		key, value, _ := strings.Cut(pair, "=")
		if key, err := url.QueryUnescape(key); err != nil || key != "echostr" {
			continue
		}
		decoded, err := url.PathUnescape(value) // unlike QueryUnescape it leaves '+' alone
		if err != nil || decoded == "" {
			return "", refuse(CodeSignature, ReasonQuery, "echostr is empty or not percent-encoded")
		}
		if found != "" {
			return "", refuse(CodeSignature, ReasonQuery, "echostr is there more than once")
		}
		found = decoded
	}
	if found == "" {
		return "", refuse(CodeSignature, ReasonQuery, "echostr is absent")
	}
	return found, nil
}
