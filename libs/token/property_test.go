package token

import (
	"bytes"
	"compress/zlib"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"palmops/libs/fault"
)

func drawOptions(t *rapid.T) Options {
	return Options{
		Salt:       rapid.StringN(0, 12, -1).Draw(t, "salt"),
		Sep:        rapid.SampledFrom([]string{"", ":", "!!", "。"}).Draw(t, "sep"),
		Digest:     rapid.SampledFrom([]Digest{SHA1, SHA256, SHA512}).Draw(t, "digest"),
		Derivation: rapid.SampledFrom([]Derivation{DjangoConcat, Concat, HMAC, None}).Draw(t, "derivation"),
		Now:        vectorClock,
	}
}

func drawKeys(t *rapid.T, label string) [][]byte {
	return rapid.SliceOfNDistinct(rapid.SliceOfN(rapid.Byte(), 1, 200), 1, 4, func(k []byte) string { return string(bytes.TrimRight(k, "\x00")) }).Draw(t, label)
}

// change draws a text that differs from the given one in one character: another one, one more, or one less.
func change(t *rapid.T, text []byte) []byte {
	at := rapid.IntRange(0, len(text)-1).Draw(t, "at")
	c := rapid.Byte().Draw(t, "char")
	switch rapid.IntRange(0, 2).Draw(t, "how") {
	case 0:
		if c == text[at] {
			c ^= 1
		}
		changed := bytes.Clone(text)
		changed[at] = c
		return changed
	case 1:
		return append(append(bytes.Clone(text[:at]), c), text[at:]...)
	default:
		return append(bytes.Clone(text[:at]), text[at+1:]...)
	}
}

func TestAnyChangeOfASignedValueIsRefused(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o, keys := drawOptions(t), drawKeys(t, "keys")
		value := rapid.SliceOf(rapid.Byte()).Draw(t, "value")
		signer, err := NewSigner(keys, o)
		if err != nil {
			t.Fatal(err)
		}
		signed := signer.Sign(value)
		if got, err := signer.Unsign(signed); err != nil || !bytes.Equal(got, value) {
			t.Fatalf("%q, %v", got, err)
		}
		changed := change(t, signed)
		if got, err := signer.Unsign(changed); !errors.Is(err, ErrBadSignature) && !bytes.Equal(changed, signed) {
			t.Fatalf("%q is taken for %q (%v)", changed, got, err)
		}
		timed, err := NewTimestampSigner(keys, o)
		if err != nil {
			t.Fatal(err)
		}
		signed = timed.Sign(value)
		if got, at, err := timed.Unsign(signed, time.Second); err != nil || !bytes.Equal(got, value) || at != vectorTime {
			t.Fatalf("%q of %s, %v", got, at, err)
		}
		changed = change(t, signed)
		if got, _, err := timed.Unsign(changed, AnyAge); !errors.Is(err, ErrBadSignature) && !bytes.Equal(changed, signed) {
			t.Fatalf("%q is taken for %q (%v)", changed, got, err)
		}
	})
}

func TestAnyChangeOfATokenIsRefused(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := drawOptions(t)
		l, err := NewLayered(LayeredOptions{
			PayloadKeys: drawKeys(t, "payload keys"), StampKeys: drawKeys(t, "stamp keys"),
			PayloadSalt: o.Salt, StampSalt: "stamp", Digest: o.Digest, Derivation: o.Derivation, Now: o.Now,
		})
		if err != nil {
			t.Fatal(err)
		}
		value := strings.Repeat(rapid.String().Draw(t, "value"), rapid.IntRange(1, 30).Draw(t, "times"))
		text, err := l.Dumps(value)
		if err != nil {
			t.Fatal(err)
		}
		var back string
		if at, err := l.Loads(text, time.Second, &back); err != nil || back != value || at != vectorTime {
			t.Fatalf("%q of %s, %v", back, at, err)
		}
		changed := string(change(t, []byte(text)))
		back = "untouched"
		if _, err := l.Loads(changed, AnyAge, &back); changed != text && (!errors.Is(err, ErrBadSignature) || back != "untouched") {
			t.Fatalf("%q is taken (%v)", changed, err)
		}
	})
}

// TestEveryCharacterOfAToken tries all other characters at all places of one token of each form, which a drawn change would miss.
func TestEveryCharacterOfAToken(t *testing.T) {
	urlSafe, err := NewURLSafeTimedSerializer(vectorKey, Options{Now: vectorClock})
	if err != nil {
		t.Fatal(err)
	}
	for _, value := range []string{"v", strings.Repeat("v", 100)} {
		text, err := urlSafe.Dumps(value)
		if err != nil {
			t.Fatal(err)
		}
		for i := range text {
			for c := range 256 {
				changed := text[:i] + string([]byte{byte(c)}) + text[i+1:]
				var back string
				if _, err := urlSafe.Loads(changed, AnyAge, &back); changed != text && !errors.Is(err, ErrBadSignature) {
					t.Fatalf("%q is taken (%v)", changed, err)
				}
			}
		}
	}
}

func TestKeyListsVerifyWhatAnyOfThemSigned(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o, keys := drawOptions(t), drawKeys(t, "keys")
		all, err := NewURLSafeSerializer(keys, o)
		if err != nil {
			t.Fatal(err)
		}
		which := rapid.IntRange(0, len(keys)-1).Draw(t, "signed with")
		one, err := NewURLSafeSerializer(keys[which:which+1], o)
		if err != nil {
			t.Fatal(err)
		}
		text, err := one.Dumps(42)
		if err != nil {
			t.Fatal(err)
		}
		var v int
		if err := all.Loads(text, &v); err != nil || v != 42 {
			t.Fatalf("signed with key %d of %d: %v", which, len(keys), err)
		}
		newest, err := all.Dumps(42)
		if err != nil {
			t.Fatal(err)
		}
		if err := one.Loads(newest, &v); (err == nil) != (which == len(keys)-1) {
			t.Fatalf("key %d of %d takes what the last signed: %v", which, len(keys), err)
		}
	})
}

func TestSaltsSeparate(t *testing.T) {
	texts := map[string]string{}
	salts := []Options{{}, {Salt: "a"}, {Salt: "as"}, {EmptySalt: true}, {Salt: DefaultSignerSalt}}
	for _, o := range salts {
		for name, construct := range map[string]func([][]byte, Options) (*Serializer, error){"plain": NewSerializer, "urlsafe": NewURLSafeSerializer} {
			s, err := construct(vectorKey, o)
			if err != nil {
				t.Fatal(err)
			}
			text, err := s.Dumps(1)
			if err != nil {
				t.Fatal(err)
			}
			var v int
			for other := range texts {
				if err := s.Loads(other, &v); !errors.Is(err, ErrBadSignature) && !strings.HasPrefix(texts[other], o.Salt+"|") {
					t.Errorf("%s under %q takes what was signed under %s", name, o.Salt, texts[other])
				}
			}
			texts[text] = o.Salt + "|" + name
		}
	}
	if len(texts) != 2*len(salts) {
		t.Errorf("%d different tokens under %d salts", len(texts), len(salts))
	}
}

func TestConstructorsRefuse(t *testing.T) {
	good := [][]byte{[]byte("k")}
	for name, c := range map[string]struct {
		keys [][]byte
		o    Options
	}{
		"no keys":             {nil, Options{}},
		"an empty key":        {[][]byte{{}}, Options{}},
		"an empty key before": {[][]byte{nil, []byte("k")}, Options{}},
		"a letter":            {good, Options{Sep: "x"}},
		"a digit":             {good, Options{Sep: "0"}},
		"a hyphen":            {good, Options{Sep: "-"}},
		"an underscore":       {good, Options{Sep: "_"}},
		"an equals sign":      {good, Options{Sep: "="}},
		"a letter beside":     {good, Options{Sep: "!a"}},
		"no such digest":      {good, Options{Digest: 3}},
		"negative digest":     {good, Options{Digest: -1}},
		"no such derivation":  {good, Options{Derivation: 4}},
		"negative leeway":     {good, Options{Leeway: -1}},
		"negative limit":      {good, Options{MaxInflated: -1}},
		"two salts":           {good, Options{Salt: "a", EmptySalt: true}},
	} {
		_, signer := NewSigner(c.keys, c.o)
		_, timestamp := NewTimestampSigner(c.keys, c.o)
		_, serializer := NewSerializer(c.keys, c.o)
		_, urlSafe := NewURLSafeSerializer(c.keys, c.o)
		_, timed := NewTimedSerializer(c.keys, c.o)
		_, urlSafeTimed := NewURLSafeTimedSerializer(c.keys, c.o)
		for _, err := range []error{signer, timestamp, serializer, urlSafe, timed, urlSafeTimed} {
			if !fault.Is(err, fault.Invalid) || ClassOf(err) != "" {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	withFallback := Options{Fallbacks: []Fallback{{None, SHA1}}}
	_, signer := NewSigner(good, withFallback)
	_, timestamp := NewTimestampSigner(good, withFallback)
	_, serializer := NewSerializer(good, Options{Fallbacks: []Fallback{{None, 9}}})
	_, noStamp := NewLayered(LayeredOptions{PayloadKeys: good})
	_, noPayload := NewLayered(LayeredOptions{StampKeys: good})
	for i, err := range []error{signer, timestamp, serializer, noStamp, noPayload} {
		if !fault.Is(err, fault.Invalid) {
			t.Errorf("case %d: %v", i, err)
		}
	}
}

func TestKeysAreCopied(t *testing.T) {
	for _, derivation := range []Derivation{DjangoConcat, Concat, HMAC, None} {
		key := []byte("a key")
		signer, err := NewSigner([][]byte{key}, Options{Derivation: derivation})
		if err != nil {
			t.Fatal(err)
		}
		before := signer.Sign([]byte("v"))
		clear(key)
		if after := signer.Sign([]byte("v")); !bytes.Equal(before, after) {
			t.Errorf("%s: the signer changed with its caller's memory", derivation)
		}
	}
}

func TestManyAtOnce(t *testing.T) {
	k := mustKeySet(t)
	l := mustLayered(t, k, Options{})
	var all sync.WaitGroup
	for worker := range 8 {
		all.Go(func() {
			for i := range 100 {
				want := map[string]string{"worker": strings.Repeat("w", worker*30), "i": strings.Repeat("零", i)}
				text, err := l.Dumps(want)
				if err != nil {
					t.Error(err)
					return
				}
				var got map[string]string
				if _, err := l.Loads(text, time.Minute, &got); err != nil || got["i"] != want["i"] || got["worker"] != want["worker"] {
					t.Errorf("%v, %v", got, err)
					return
				}
			}
		})
	}
	all.Wait()
}

func TestUnsignedValuesDoNotReachIntoTheSignature(t *testing.T) {
	signer, err := NewTimestampSigner(vectorKey, Options{Now: vectorClock})
	if err != nil {
		t.Fatal(err)
	}
	signed := signer.Sign([]byte("value"))
	want := string(signed)
	value, _, err := signer.Unsign(signed, AnyAge)
	if err != nil {
		t.Fatal(err)
	}
	_ = append(value, "overwritten"...)
	if string(signed) != want {
		t.Errorf("appending to the value changed the token to %q", signed)
	}
}

func TestInflatedSizeIsCapped(t *testing.T) {
	value := strings.Repeat("a", 1000)
	big, err := NewURLSafeSerializer(vectorKey, Options{})
	if err != nil {
		t.Fatal(err)
	}
	text, err := big.Dumps(value)
	if err != nil {
		t.Fatal(err)
	}
	for limit, fits := range map[int]bool{1001: false, 1002: true, 1003: true} {
		s, err := NewURLSafeSerializer(vectorKey, Options{MaxInflated: limit})
		if err != nil {
			t.Fatal(err)
		}
		var v string
		if err := s.Loads(text, &v); (err == nil) != fits || !fits && ClassOf(err) != "BadPayload" {
			t.Errorf("limit %d: %v", limit, err)
		}
		if _, err := s.Dumps(value); (err == nil) != fits {
			t.Errorf("limit %d: writing %v", limit, err)
		}
		if again, err := s.Dumps(json.Number("1")); err != nil || s.Loads(again, new(int)) != nil {
			t.Errorf("limit %d: after a refusal: %v", limit, err)
		}
	}
}

// TestTheDotMustPay: one byte saved is eaten by the dot, two are worth it, as in Python.
func TestTheDotMustPay(t *testing.T) {
	s, err := NewURLSafeSerializer(vectorKey, Options{})
	if err != nil {
		t.Fatal(err)
	}
	seen := map[int]bool{} // bytes saved by compression
	for unique := range 60 {
		for repeated := range 20 {
			var value strings.Builder
			for i := range unique {
				value.WriteByte(byte('0' + i))
			}
			text := value.String() + strings.Repeat("z", repeated)
			if strings.Contains(text, `\`) {
				continue
			}
			var compressed bytes.Buffer
			w := zlib.NewWriter(&compressed)
			if _, err := w.Write([]byte(`"` + text + `"`)); err != nil {
				t.Fatal(err)
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			saved := len(text) + 2 - compressed.Len()
			signed, err := s.Dumps(text)
			if err != nil {
				t.Fatal(err)
			}
			if dotted := signed[0] == '.'; dotted != (saved >= 2) {
				t.Fatalf("%d bytes saved: %s", saved, signed)
			}
			seen[saved] = true
		}
	}
	for saved := range 4 {
		if !seen[saved] {
			t.Errorf("no text saved %d bytes", saved)
		}
	}
}
