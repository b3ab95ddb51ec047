package token

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// FuzzUnsign: no input makes a panic, and what is taken is exactly what signing its value again gives.
func FuzzUnsign(f *testing.F) {
	for _, s := range []string{
		"", ".", "..", "...", "my string.wh6tMHxLgJqB6oY1uT73iMlyrOA", "my string.wh6tMHxLgJqB6oY1uT73iMlyrOB", "my string.X14QAA.UExTLmjQn4_xJOp62LFK22209UE",
		"my string.X14QAA==.UExTLmjQn4_xJOp62LFK22209UE", "v.!!!!.x", "中文.\n.\x00", strings.Repeat("A", 100), "v.AAAAAAAAAAAA.s", "v.____________.s",
	} {
		f.Add([]byte(s))
	}
	plain, err := NewSigner(vectorKey, Options{})
	if err != nil {
		f.Fatal(err)
	}
	timed, err := NewTimestampSigner(vectorKey, Options{Now: vectorClock})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, signed []byte) {
		before := bytes.Clone(signed)
		if value, err := plain.Unsign(signed); err == nil && !bytes.Equal(plain.Sign(value), signed) || err != nil && ClassOf(err) != "BadSignature" {
			t.Errorf("%q is taken for %q, %v", signed, value, err)
		}
		value, at, err := timed.Unsign(signed, AnyAge)
		switch {
		case err == nil:
			again, err := NewTimestampSigner(vectorKey, Options{Now: func() time.Time { return at }})
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(again.Sign(value), signed) {
				t.Errorf("%q is taken for %q of %s", signed, value, at)
			}
		case ClassOf(err) == "" || ClassOf(err) == "BadPayload":
			t.Errorf("%q: %v", signed, err)
		}
		if !bytes.Equal(signed, before) {
			t.Errorf("%q was written into", before)
		}
		if unix, ok := parseTime(signed); ok && string(appendTime(nil, unix)) != string(signed) {
			t.Errorf("%q is taken for the time %d", signed, unix)
		}
	})
}

// FuzzLoads: whatever stands under a good signature makes no panic; what is read is UTF-8 JSON within the limit and can be
// written and read again without a change.
func FuzzLoads(f *testing.F) {
	for _, s := range []string{
		``, `{}`, `"中文"`, `"\ud83d\ude00"`, `"\ud800"`, `"\u`, `"\\u12`, `[1.5e-7,-0]`, `NaN`, `e30`, `e30=`, `.e30`, `.eJxTShwmQAkAKU5MDQ`, `.eJxTShwmQAkAKU5MDA`,
		"{\"a\":\"\x7f\xff\"}", `{"a":1,"a":2}`, strings.Repeat("[", 200), `eyJpZCI6NSwibmFtZSI6IumbtuWUriDwn5qAIn0`,
	} {
		f.Add([]byte(s))
	}
	signer, err := NewSigner(vectorKey, Options{Salt: DefaultSerializerSalt})
	if err != nil {
		f.Fatal(err)
	}
	const limit = 4096
	var serializers []*Serializer
	for _, construct := range []func([][]byte, Options) (*Serializer, error){NewSerializer, NewURLSafeSerializer} {
		s, err := construct(vectorKey, Options{MaxInflated: limit})
		if err != nil {
			f.Fatal(err)
		}
		serializers = append(serializers, s)
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		for _, s := range serializers {
			if err := s.Loads(string(payload), new(any)); ClassOf(err) != "BadSignature" && err != nil {
				t.Fatalf("unsigned: %v", err)
			}
			var value json.RawMessage
			if err := s.Loads(string(signer.Sign(payload)), &value); err != nil {
				if ClassOf(err) != "BadPayload" {
					t.Fatalf("signed: %v", err)
				}
				continue
			}
			if !utf8.Valid(value) || !json.Valid(value) || len(value) > max(limit, len(payload)) {
				t.Fatalf("%q read as %q", payload, value)
			}
			text, err := s.Dumps(value)
			if err != nil {
				if len(value) > limit {
					continue
				}
				t.Fatalf("%q cannot be written again: %v", value, err)
			}
			var before, after any
			if err := json.Unmarshal(value, &before); err != nil {
				continue // a number beyond float64
			}
			if err := s.Loads(text, &after); err != nil {
				t.Fatalf("%q cannot be read again: %v", text, err)
			}
			one, _ := json.Marshal(before)
			two, _ := json.Marshal(after)
			if !bytes.Equal(one, two) {
				t.Fatalf("%q became %q", one, two)
			}
		}
	})
}

// FuzzParseKeySet: what is taken is valid and survives being written.
func FuzzParseKeySet(f *testing.F) {
	f.Add([]byte(vectorKeySet))
	f.Add([]byte(`{"zone":"a","payload":[""],"stamp":null}`))
	f.Add([]byte(`{}{}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		k, err := ParseKeySet(text)
		if err != nil {
			return
		}
		again, err := json.Marshal(k)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ParseKeySet(again); err != nil {
			t.Fatalf("%s: %v", again, err)
		}
		if _, err := k.Layered(Options{}); err != nil {
			t.Fatal(err)
		}
	})
}
