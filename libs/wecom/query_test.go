package wecom

import (
	"net/url"
	"strings"
	"testing"

	"palmops/libs/fault"
)

func TestNewCryptRefusesBadSettings(t *testing.T) {
	for _, tc := range []struct {
		name, token, key, id string
		reason               string
		code                 Code
	}{
		{"short key", "t", vectorKey[1:], "", ReasonAESKey, CodeAESKey},
		{"long key", "t", vectorKey + "=", "", ReasonAESKey, CodeAESKey},
		{"key with a line end", "t", vectorKey[:42] + "\n", "", ReasonAESKey, CodeAESKey},
		{"key with a dash", "t", "-" + vectorKey[1:], "", ReasonAESKey, CodeAESKey},
		{"no token", "", vectorKey, "", ReasonSettings, CodeSHA1},
		{"token with a space", "a b", vectorKey, "", ReasonSettings, CodeSHA1},
		{"long id", "t", vectorKey, strings.Repeat("x", 129), ReasonSettings, CodeReceiveID},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := NewCrypt(tc.token, tc.key, tc.id)
			wantRefusal(t, err, tc.reason, tc.code)
		})
	}
	// All four spellings of the last character are the same key.
	for _, last := range "ABCD" {
		c, err := NewCrypt(vectorToken, vectorKey[:42]+string(last), vectorCorp)
		if err != nil {
			t.Fatalf("last character %c: %v", last, err)
		}
		if _, err := c.Decrypt(vectorEcho); err != nil {
			t.Errorf("last character %c: %v", last, err)
		}
	}
}

func TestQueryShape(t *testing.T) {
	good := url.Values{"msg_signature": {vectorSign}, "timestamp": {vectorTime}, "nonce": {vectorNonce}, "other": {"1", "2"}}
	if q, err := ParseQuery(good); err != nil || q != (Query{vectorSign, vectorTime, vectorNonce}) {
		t.Fatalf("%+v, %v", q, err)
	}
	for name, change := range map[string]func(url.Values){
		"no signature":       func(v url.Values) { v.Del("msg_signature") },
		"two signatures":     func(v url.Values) { v.Add("msg_signature", vectorSign) },
		"two timestamps":     func(v url.Values) { v.Add("timestamp", vectorTime) },
		"two nonces":         func(v url.Values) { v.Add("nonce", vectorNonce) },
		"no nonce":           func(v url.Values) { v.Del("nonce") },
		"short signature":    func(v url.Values) { v.Set("msg_signature", vectorSign[1:]) },
		"foreign signature":  func(v url.Values) { v.Set("msg_signature", "g"+vectorSign[1:]) },
		"moved digits":       func(v url.Values) { v.Set("timestamp", "91409659813"); v.Set("nonce", "137262314") },
		"nine digits":        func(v url.Values) { v.Set("timestamp", "140965958") },
		"signed timestamp":   func(v url.Values) { v.Set("timestamp", "-140965958") },
		"wide timestamp":     func(v url.Values) { v.Set("timestamp", "14096595８9") },
		"empty nonce":        func(v url.Values) { v.Set("nonce", "") },
		"long nonce":         func(v url.Values) { v.Set("nonce", strings.Repeat("1", 129)) },
		"nonce with a space": func(v url.Values) { v.Set("nonce", "1 2") },
		"nonce not ASCII":    func(v url.Values) { v.Set("nonce", "随机") },
	} {
		t.Run(name, func(t *testing.T) {
			v := url.Values{}
			for key, values := range good {
				v[key] = append([]string(nil), values...)
			}
			change(v)
			_, err := ParseQuery(v)
			wantRefusal(t, err, ReasonQuery, CodeSignature)
			if fault.KindOf(err) != fault.Invalid {
				t.Errorf("kind %s", fault.KindOf(err))
			}
		})
	}
}

func TestEchoStrFromTheRawQuery(t *testing.T) {
	for _, tc := range []struct{ raw, want string }{
		{"echostr=a%2Bb", "a+b"},
		{"echostr=a+b%3D%3D&nonce=1", "a+b=="},
		{"x=%zz&echostr=a%2Fb==", "a/b=="},
		{"echo%73tr=a", "a"},
		{"", ""},
		{"echostr=", ""},
		{"echostr", ""},
		{"echostr=a&echostr=a", ""},
		{"echostr=a&echo%73tr=b", ""},
		{"echostr=%zz", ""},
		{"xechostr=a", ""},
	} {
		got, err := EchoStr(tc.raw)
		if got != tc.want {
			t.Errorf("EchoStr(%q) = %q, want %q", tc.raw, got, tc.want)
		}
		if tc.want == "" {
			wantRefusal(t, err, ReasonQuery, CodeSignature)
		}
	}
}
