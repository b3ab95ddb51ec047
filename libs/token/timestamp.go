package token

import (
	"encoding/binary"
	"strconv"
	"time"
)

// maxUnix is the last second of the year 9999, beyond which Python has no dates.
const maxUnix = 253402300799

// maxTimeText is the length of the longest time in a token: eight bytes in base64.
const maxTimeText = 11

// TimestampSigner writes value + sep + time + sep + signature, the signature over all that stands before it.
type TimestampSigner struct {
	signer *Signer
	now    func() time.Time
	leeway int64 // seconds
}

// NewTimestampSigner makes a TimestampSigner; keys and errors as for NewSigner.
func NewTimestampSigner(keys [][]byte, o Options) (*TimestampSigner, error) {
	o, err := o.complete(DefaultSignerSalt)
	if err != nil {
		return nil, err
	}
	if err := o.noFallbacks(); err != nil {
		return nil, err
	}
	return newTimestampSigner(keys, o)
}

// newTimestampSigner is NewTimestampSigner with complete options.
func newTimestampSigner(keys [][]byte, o Options) (*TimestampSigner, error) {
	signer, err := newSigner(keys, o)
	if err != nil {
		return nil, err
	}
	return &TimestampSigner{signer: signer, now: o.Now, leeway: int64(o.Leeway / time.Second)}, nil
}

// Sign returns the value signed with the time of now, in memory of its own.
func (s *TimestampSigner) Sign(value []byte) []byte {
	sep, ring := s.signer.sep, s.signer.ring
	out := make([]byte, 0, len(value)+2*len(sep)+maxTimeText+ring.size)
	out = append(out, value...)
	out = append(out, sep...)
	out = appendTime(out, s.now().Unix())
	message := out
	out = append(out, sep...)
	return ring.appendSignature(out, message)
}

// Unsign returns the value under a good signature, as a part of signed (not a copy), and when it was signed, in UTC.
//
// maxAge is in whole seconds, the rest dropped: a token exactly that old is accepted; AnyAge asks for none; a negative
// one refuses every token. A time further in the future than the leeway is refused in every case. Errors:
// ErrBadSignature without a separator, ErrBadTimeSignature when signature or time are wrong, ErrSignatureExpired, with
// Payload and DateSigned, when they are right but too old or too new.
func (s *TimestampSigner) Unsign(signed []byte, maxAge time.Duration) (value []byte, at time.Time, err error) {
	sep := s.signer.sep
	stamped, signature, found := cutLast(signed, sep)
	if !found {
		return nil, time.Time{}, &Error{class: badSignature, reason: "no separator found"}
	}
	good := s.signer.ring.verify(stamped, signature)
	value, text, found := cutLast(stamped, sep)
	if !found {
		if !good {
			return nil, time.Time{}, &Error{class: badSignature, reason: "the signature does not match", Payload: stamped}
		}
		return nil, time.Time{}, &Error{class: badTimeSignature, reason: "the time is missing", Payload: stamped}
	}
	unix, readable := parseTime(text)
	switch {
	case !good && !readable:
		return nil, time.Time{}, &Error{class: badTimeSignature, reason: "the signature does not match", Payload: value}
	case !good:
		return nil, time.Time{}, &Error{class: badTimeSignature, reason: "the signature does not match", Payload: value, DateSigned: time.Unix(unix, 0).UTC()}
	case !readable:
		return nil, time.Time{}, &Error{class: badTimeSignature, reason: "the time is malformed", Payload: value}
	}
	at = time.Unix(unix, 0).UTC()
	if reason := s.age(unix, maxAge); reason != "" {
		return nil, time.Time{}, &Error{class: signatureExpired, reason: reason, Payload: value, DateSigned: at}
	}
	return value, at, nil
}

// Validate reports whether Unsign would succeed.
func (s *TimestampSigner) Validate(signed []byte, maxAge time.Duration) bool {
	_, _, err := s.Unsign(signed, maxAge)
	return err == nil
}

// age says what is wrong with the age of something signed at the given second, "" when nothing is. It counts in
// seconds, since a duration ends after 292 years.
func (s *TimestampSigner) age(unix int64, maxAge time.Duration) string {
	age := s.now().Unix() - unix
	switch limit := int64(maxAge / time.Second); {
	case age < -s.leeway:
		return "signed " + strconv.FormatInt(-age, 10) + " seconds in the future"
	case maxAge < 0 || maxAge != AnyAge && age > limit:
		return "signed " + strconv.FormatInt(age, 10) + " seconds ago, the limit is " + maxAge.String()
	default:
		return ""
	}
}

// appendTime appends a Unix time: big-endian without leading zero bytes, in base64. 1970-01-01 is the empty text.
func appendTime(dst []byte, unix int64) []byte {
	var number [8]byte
	binary.BigEndian.PutUint64(number[:], uint64(max(unix, 0)))
	start := 0
	for start < len(number) && number[start] == 0 {
		start++
	}
	return encoding.AppendEncode(dst, number[start:])
}

// parseTime reads what appendTime writes and nothing else.
func parseTime(text []byte) (int64, bool) {
	if len(text) > maxTimeText {
		return 0, false
	}
	var number [8]byte
	n, err := encoding.Decode(number[:], text)
	if err != nil {
		return 0, false
	}
	var unix uint64
	for _, b := range number[:n] {
		unix = unix<<8 | uint64(b)
	}
	if unix > maxUnix {
		return 0, false
	}
	var again [maxTimeText]byte
	if string(appendTime(again[:0], int64(unix))) != string(text) {
		return 0, false
	}
	return int64(unix), true
}
