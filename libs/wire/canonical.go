package wire

import (
	"bytes"
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// MaxArgs is the largest canonical form of arguments, in bytes.
const MaxArgs = 16 << 10

// CanonicalArgs writes arguments in the one form whose digest goes into a token: a flat JSON object with sorted keys,
// values string, integer or boolean, integers in decimal, strings valid UTF-8 with no escapes beyond what JSON
// demands and U+2028/9, no white space. Anything else is an error: no floats, no null, no nesting.
func CanonicalArgs(args map[string]any) (json.RawMessage, error) {
	for k, v := range args {
		switch x := v.(type) {
		case string:
			if !utf8.ValidString(x) {
				return nil, fmt.Errorf("argument %q is not UTF-8", k)
			}
		case bool, int, int64:
		default:
			return nil, fmt.Errorf("argument %q has type %T; only text, whole numbers and booleans are allowed", k, v)
		}
		if k == "" || !utf8.ValidString(k) {
			return nil, fmt.Errorf("argument name %q is not allowed", k)
		}
	}
	if args == nil {
		args = map[string]any{}
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(args); err != nil { // maps are written with sorted keys
		return nil, err
	}
	out := bytes.TrimSuffix(b.Bytes(), []byte("\n"))
	if len(out) > MaxArgs {
		return nil, fmt.Errorf("arguments take %d bytes, the limit is %d", len(out), MaxArgs)
	}
	return out, nil
}

// ParseArgs reads arguments and refuses any text that is not their canonical form, so that what was signed is
// what is run. Numbers come back as int64.
func ParseArgs(raw json.RawMessage) (map[string]any, error) {
	if len(raw) > MaxArgs {
		return nil, fmt.Errorf("arguments take %d bytes, the limit is %d", len(raw), MaxArgs)
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var args map[string]any
	if err := dec.Decode(&args); err != nil {
		return nil, fmt.Errorf("arguments: %w", err)
	}
	for k, v := range args {
		if n, ok := v.(json.Number); ok {
			i, err := strconv.ParseInt(n.String(), 10, 64)
			if err != nil {
				return nil, fmt.Errorf("argument %q: %s is not a whole number", k, n)
			}
			args[k] = i
		}
	}
	again, err := CanonicalArgs(args)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(again, raw) {
		return nil, fmt.Errorf("arguments are not in canonical form")
	}
	return args, nil
}

// ArgsHash is the digest of canonical arguments that goes into the claims: SHA-256, lower-case hex.
func ArgsHash(canonical json.RawMessage) string {
	sum := sha256.Sum256(canonical)
	return hex.EncodeToString(sum[:])
}

var idEncoding = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

// DeriveID makes a 26-character id (130 of the 256 bits of a SHA-256, Crockford's alphabet in lower case) that is the
// same whenever the parts are: a step that is worked on twice orders the same action.
func DeriveID(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	return idEncoding.EncodeToString(h.Sum(nil))[:26]
}

// ShortID is the form of an action id that people read and type: its first six characters, in capitals.
func ShortID(id string) string {
	if len(id) > 6 {
		id = id[:6]
	}
	return strings.ToUpper(id)
}

// MessageID names an inbound message: by MsgId where WeCom gives one (the user belongs to the key, since reuse across
// users was seen), else by the whole decrypted text. The envelope plays no part: a redelivery may come in another one.
func MessageID(corp string, agentID int64, user, msgID string, plain []byte) string {
	key := "msg:" + msgID
	if msgID == "" || msgID == "0" {
		sum := sha256.Sum256(plain)
		key = "sum:" + hex.EncodeToString(sum[:])
	}
	return DeriveID(corp, strconv.FormatInt(agentID, 10), strings.ToLower(user), key)
}
