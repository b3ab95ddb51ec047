package token

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// The vectors are what itsdangerous 2.1.2 gives for the key "secret-key" at vectorTime; the first is in the public tests of
// other implementations as well.
var (
	vectorKey  = [][]byte{[]byte("secret-key")}
	vectorTime = time.Unix(1_600_000_000, 0).UTC()
)

func vectorClock() time.Time { return vectorTime }

func TestSignerVectors(t *testing.T) {
	for _, c := range []struct{ digest, derivation, want string }{
		{"sha1", "django-concat", "my string.wh6tMHxLgJqB6oY1uT73iMlyrOA"},
		{"sha1", "concat", "my string.WVn1orytePdJMO-gerBb0CoxFMs"},
		{"sha1", "hmac", "my string.pFgSwq6wOZqq2WMqgkxNLVn16QY"},
		{"sha1", "none", "my string.jdP_vbFmmLI4saUm2wcIut0z2MQ"},
		{"sha256", "django-concat", "my string.PVHY4OzY_ekIpRd3A5G0vzTkhg8wSod5E3p90JgBCKw"},
		{"sha256", "concat", "my string.Dy-9UM0Xc6N5vpsCbSzG_vONu5By2MVMAFiUIbDPNrw"},
		{"sha256", "hmac", "my string.9gNXlg5H__tL4eudpMDWVAk9FCr72htCAUx80xrV9gM"},
		{"sha256", "none", "my string.0A34Z7kdl36oAXGceNspSDf1wOz0IS0ASArypw7_Lms"},
		{"sha512", "django-concat", "my string.Xu9Up4-UV7C46bh-AlQk86olom2irJLJJ2wMMe5j5iuv4WKBgByR3wT3sWE3Pt6fqdqEANrO7sTwUvupadyPow"},
		{"sha512", "concat", "my string.uN9hGAaR1vJR2OKYxVYOCFgGYWIRT6PYOUPNUF-ng-zFbIKORLK-2dwwHjVCpTf64248wI76D0v6ogIIiLrJFQ"},
		{"sha512", "hmac", "my string.nsAw-w5Qa8n6cHt_tKHHbOD5qYsZBId9hnCzFixRQyWM-YrA7JIX9JXrbLyIQCrQ7YTCOb5ngpxeRZqBsQTv0w"},
		{"sha512", "none", "my string.qJHjotUhWU574NS17M217h7iTHDRw2gaA1zvNvpiPUaOgLs3jzymtz8W0aurGesd4Ra8Y5EzeDOF8Rcfje-UZQ"},
	} {
		t.Run(c.digest+"/"+c.derivation, func(t *testing.T) {
			digest, err := ParseDigest(c.digest)
			if err != nil {
				t.Fatal(err)
			}
			derivation, err := ParseDerivation(c.derivation)
			if err != nil {
				t.Fatal(err)
			}
			signer, err := NewSigner(vectorKey, Options{Digest: digest, Derivation: derivation})
			if err != nil {
				t.Fatal(err)
			}
			if got := string(signer.Sign([]byte("my string"))); got != c.want {
				t.Errorf("signed %s, want %s", got, c.want)
			}
			value, err := signer.Unsign([]byte(c.want))
			if err != nil || string(value) != "my string" || !signer.Validate([]byte(c.want)) {
				t.Errorf("unsigned %q, %v", value, err)
			}
			if signer.Validate([]byte(c.want + "A")) {
				t.Error("a longer signature is good too")
			}
		})
	}
}

func TestTimestampSignerVector(t *testing.T) {
	signer, err := NewTimestampSigner(vectorKey, Options{Now: vectorClock})
	if err != nil {
		t.Fatal(err)
	}
	const want = "my string.X14QAA.UExTLmjQn4_xJOp62LFK22209UE"
	if got := string(signer.Sign([]byte("my string"))); got != want {
		t.Errorf("signed %s, want %s", got, want)
	}
	value, at, err := signer.Unsign([]byte(want), time.Second)
	if err != nil || string(value) != "my string" || at != vectorTime {
		t.Errorf("unsigned %q of %s, %v", value, at, err)
	}
}

func TestSerializerVectors(t *testing.T) {
	type record struct {
		ID   int    `json:"id"`
		Name string `json:"name"`
		OK   bool   `json:"ok"`
		N    *int   `json:"n"`
	}
	value := record{ID: 5, Name: "零售 🚀", OK: true}
	o := Options{Now: vectorClock}
	plain, err := NewSerializer(vectorKey, o)
	if err != nil {
		t.Fatal(err)
	}
	urlSafe, err := NewURLSafeSerializer(vectorKey, o)
	if err != nil {
		t.Fatal(err)
	}
	for want, s := range map[string]*Serializer{
		`{"id": 5, "name": "\u96f6\u552e \ud83d\ude80", "ok": true, "n": null}.2cfqkEQeyINRHiik6yH31CZk3AQ`: plain,
		`eyJpZCI6NSwibmFtZSI6IumbtuWUriDwn5qAIiwib2siOnRydWUsIm4iOm51bGx9.LgBX-tcpO-3rrb0n54S5zX1U-yw`:      urlSafe,
	} {
		if got, err := s.Dumps(value); err != nil || got != want {
			t.Errorf("%s, %v, want %s", got, err, want)
		}
		var back record
		if err := s.Loads(want, &back); err != nil || back != value {
			t.Errorf("%+v, %v, want %+v", back, err, value)
		}
	}
	timed, err := NewTimedSerializer(vectorKey, o)
	if err != nil {
		t.Fatal(err)
	}
	urlSafeTimed, err := NewURLSafeTimedSerializer(vectorKey, o)
	if err != nil {
		t.Fatal(err)
	}
	for want, s := range map[string]*TimedSerializer{
		`{"id": 5, "name": "\u96f6\u552e \ud83d\ude80", "ok": true, "n": null}.X14QAA.fs_n-qH6lEnxlZWvg3htF6f1BwE`: timed,
		`eyJpZCI6NSwibmFtZSI6IumbtuWUriDwn5qAIiwib2siOnRydWUsIm4iOm51bGx9.X14QAA.sw3mRbTpLFwEk97yfR4oRyw4ZnM`:      urlSafeTimed,
	} {
		if got, err := s.Dumps(value); err != nil || got != want {
			t.Errorf("%s, %v, want %s", got, err, want)
		}
		var back record
		if at, err := s.Loads(want, time.Minute, &back); err != nil || back != value || at != vectorTime {
			t.Errorf("%+v of %s, %v, want %+v", back, at, err, value)
		}
	}
}

func TestCompressedVector(t *testing.T) {
	s, err := NewURLSafeSerializer(vectorKey, Options{})
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Repeat("a", 200)
	var got string
	if err := s.Loads(".eJxTShwmQAkAKU5MDQ.3zZCsCBJ9Tl8wSW0YHtAQO6deyo", &got); err != nil || got != want {
		t.Errorf("%q, %v", got, err)
	}
	text, err := s.Dumps(want)
	if err != nil || !strings.HasPrefix(text, ".") || len(text) > 60 {
		t.Errorf("not compressed: %q, %v", text, err)
	}
}

const vectorKeySet = `{"zone":"local","payload":["AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8","ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8"],"stamp":["QEFCQ0RFRkdISUpLTE1OT1BRUlNUVVZXWFlaW1xdXl8","YGFiY2RlZmdoaWprbG1ub3BxcnN0dXZ3eHl6e3x9fn8"]}`

// TestKeySetVector is the Python program in the comment of KeySet, run once.
func TestKeySetVector(t *testing.T) {
	k, err := ParseKeySet([]byte(vectorKeySet))
	if err != nil {
		t.Fatal(err)
	}
	layered, err := k.Layered(Options{Now: vectorClock})
	if err != nil {
		t.Fatal(err)
	}
	const want = "eyJqdGkiOiJhMSIsInpvbmUiOiJsb2NhbCJ9.4SZIcOhpjdY85v4mMQ6_Ag1eWyhpeQZNSqM27Z_DFwc.X14QAA.jWmm3Jnp7WByO4cFTEeq1hvbntUA-9TIXE0x-Hah8js"
	claims := map[string]any{"jti": "a1", "zone": "local"}
	if got, err := layered.Dumps(claims); err != nil || got != want {
		t.Errorf("%s, %v, want %s", got, err, want)
	}
	var back map[string]any
	if at, err := layered.Loads(want, time.Second, &back); err != nil || at != vectorTime || !cmp.Equal(back, claims) {
		t.Errorf("%v of %s, %v", back, at, err)
	}
	if again, err := json.Marshal(k); err != nil || string(again) != vectorKeySet {
		t.Errorf("written back: %s, %v", again, err)
	}
}
