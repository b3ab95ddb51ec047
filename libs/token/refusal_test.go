package token

import (
	"bytes"
	"compress/zlib"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"palmops/libs/fault"
)

// holdAgainst loads every text on both sides. Whatever Python refuses we must refuse, with the same class, and with
// the payload and the date it reports. What Python takes and we refuse must be named in stricter, by its index; a text
// in respelt may be something else to Python, which overlooks what was done to its signature.
func holdAgainst(t *testing.T, p *python, s setup, texts []string, stricter map[int]error, respelt map[int]bool) {
	t.Helper()
	p.t = t
	items := make([]pyDoItem, len(texts))
	for i, text := range texts {
		items[i] = pyLoads(text)
	}
	verify := s.ours(t)
	for i, theirs := range p.ask(s.request(items)) {
		_, _, err := verify.loads(texts[i])
		if want, named := stricter[i]; named {
			if ClassOf(err) != ClassOf(want) {
				t.Errorf("%q: %v, want %v", texts[i], err, want)
			}
			if theirs.Class == ClassOf(want) {
				t.Errorf("%q: Python says %s too; this is no place where we are stricter", texts[i], theirs.Class)
			}
			continue
		}
		if respelt[i] {
			if !errors.Is(err, ErrBadSignature) || errors.Is(err, ErrSignatureExpired) {
				t.Errorf("%q: %v, want the signature refused", texts[i], err)
			}
			continue
		}
		if got := ClassOf(err); got != theirs.Class {
			t.Errorf("%q: ours %q (%v), Python %q", texts[i], got, err, theirs.Class)
			continue
		}
		if err == nil {
			continue
		}
		var e *Error
		if !errors.As(err, &e) {
			t.Fatalf("%q: %T is no *Error", texts[i], err)
		}
		if !bytes.Equal(e.Payload, theirs.Payload) {
			t.Errorf("%q: payload %q, Python %q", texts[i], e.Payload, theirs.Payload)
		}
		if !e.DateSigned.IsZero() && e.DateSigned.Unix() != deref(theirs.Date) {
			t.Errorf("%q: signed at %s, Python %d", texts[i], e.DateSigned, deref(theirs.Date))
		}
		if e.DateSigned.IsZero() && theirs.Date != nil && errors.Is(err, ErrSignatureExpired) {
			t.Errorf("%q: no date, Python %d", texts[i], *theirs.Date)
		}
	}
}

// isRespelt reports that two texts differ only in what Python's base64 decoder overlooks in the signature: foreign
// characters, padding, spare bits.
func isRespelt(text, original string) bool {
	cut, cutOriginal := strings.LastIndexByte(text, '.'), strings.LastIndexByte(original, '.')
	if cut < 0 || text[:cut] != original[:cutOriginal] {
		return false
	}
	var known strings.Builder
	for _, c := range []byte(text[cut+1:]) {
		if c != '=' && inBase64Alphabet(rune(c)) {
			known.WriteByte(c)
		}
	}
	got, err := encoding.DecodeString(known.String())
	want, _ := encoding.DecodeString(original[cutOriginal+1:])
	return err == nil && bytes.Equal(got, want)
}

func TestTamperedTokensFailWithPythonsClasses(t *testing.T) {
	p := startPython(t)
	for _, class := range classes {
		for _, digest := range []Digest{SHA1, SHA256, SHA512} {
			t.Run(class+"/"+digest.String(), func(t *testing.T) {
				seed := rand.Uint64()
				t.Cleanup(func() {
					if t.Failed() {
						t.Logf("seed %d", seed)
					}
				})
				r := rand.New(rand.NewPCG(seed, 0))
				hour := int64(3600)
				s := setup{
					class: class, keys: [][]byte{[]byte("k1"), []byte("k2")}, now: interopNow, maxAge: &hour,
					Options: Options{Digest: digest}, stampKeys: [][]byte{[]byte("s1"), []byte("s2")},
				}
				var texts []string
				respelt := map[int]bool{}
				for range 200 {
					signing := s
					switch r.IntN(6) {
					case 0:
						signing.keys = [][]byte{[]byte("k3")}
					case 1:
						signing.Salt = "other"
					case 2:
						signing.now += r.Int64N(10_000) - 8000 // too old, in the future, or neither
					}
					original, err := signing.ours(t).dumps(randomValue(r, class))
					if err != nil {
						t.Fatal(err)
					}
					text := tamper(r, original)
					respelt[len(texts)] = text != original && isRespelt(text, original)
					texts = append(texts, text)
				}
				texts = append(texts, "", ".", "..", "...", "a", "a.b", "a.b.c", ".a.b.c", "中文.时间.签名", "\x00.\xff.\xfe", strings.Repeat(".", 1000))
				holdAgainst(t, p, s, texts, nil, respelt)
			})
		}
	}
}

// tamper changes a token a little, a lot, or not at all.
func tamper(r *rand.Rand, text string) string {
	b := []byte(text)
	at := r.IntN(len(b))
	const chars = "ABab019-_=.!~ \n\x00\xff"
	switch c := chars[r.IntN(len(chars))]; r.IntN(8) {
	case 0:
		return text
	case 1:
		b[at] = c
	case 2:
		b = append(b[:at:at], append([]byte{c}, b[at:]...)...)
	case 3:
		b = append(b[:at], b[at+1:]...)
	case 4:
		b = b[:at]
	case 5:
		b = b[at:]
	case 6:
		parts := strings.Split(text, ".")
		r.Shuffle(len(parts), func(i, j int) { parts[i], parts[j] = parts[j], parts[i] })
		return strings.Join(parts[r.IntN(2)%len(parts):], ".")
	default:
		b[len(b)-1] = c
	}
	return string(b)
}

// TestWhatIsSignedButMalformed: the key holder signs strange payloads and times. Python's class, unless we are stricter.
func TestWhatIsSignedButMalformed(t *testing.T) {
	p := startPython(t)
	key := [][]byte{[]byte("secret")}
	b64 := func(s string) string { return encoding.EncodeToString([]byte(s)) }
	deflate := func(s string) string {
		var b bytes.Buffer
		w := zlib.NewWriter(&b)
		if _, err := w.Write([]byte(s)); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	long := `"` + strings.Repeat("a", 1000) + `"`
	seconds := func(n uint64) string { return b64(string(binary.BigEndian.AppendUint64(nil, n))) }

	for _, c := range []struct {
		class    string
		payloads []string         // good or refused alike
		stricter map[string]error // taken by Python
	}{
		{"Serializer", []string{
			`{}`, ` {"a" : 1} `, `"\u4e2d"`, ``, `{`, `{} {}`, `{"a":1,}`, `'a'`, `nul`, "\xff", "\"\xff\"", "\"a\nb\"", "\ufeff{}", `01`, `"\x"`,
		}, map[string]error{
			`NaN`: ErrBadPayload, `[Infinity,-Infinity]`: ErrBadPayload, `"\ud800"`: ErrBadPayload, `{"\udc00\ud800":1}`: ErrBadPayload,
		}},
		{"URLSafeSerializer", []string{
			b64(`{}`), b64(`{`), b64("\xff"), "", "A", ".", ".A", "." + b64("not zlib"), "." + b64(deflate(long)),
			"." + b64(deflate(`1`)), "." + b64(deflate(`{`)), "." + b64(deflate(long)[:20]), "." + b64(deflate(long)[:len(deflate(long))-1]),
			"." + b64(deflate(long)[:len(deflate(long))-1]+"!"), "..", b64(`"中文 😀"`),
			b64(`{}`) + "!", b64(`{}`) + "\n", "ZTF", // padded by length, these miss Python's padding too
		}, map[string]error{
			b64(`{}`) + "=": ErrBadPayload, b64(`{}`) + "!!!!": ErrBadPayload, "e3\n\n\n\n0": ErrBadPayload, "e31": ErrBadPayload,
			"." + b64(deflate(long)+"trailing"): ErrBadPayload, "." + b64(deflate(`"`+strings.Repeat("a", DefaultMaxInflated-1)+`"`)): ErrBadPayload,
		}},
		{"TimestampSigner", []string{
			"v", "v." + b64("\x6a\xb0\x00\x00"), "v." + b64("ninebytes"), "v.A", "v.", ".", "v." + strings.Repeat("A", 100),
		}, map[string]error{
			"v." + b64("\x00\x6a\xb0\x00\x00"): ErrBadTimeSignature, "v." + b64("\x6a\xb0\x00\x00") + "==": ErrBadTimeSignature, "v.!!!!": ErrBadTimeSignature, "v.AAAA!!!!": ErrBadTimeSignature,
			"v.arAAAB": ErrBadTimeSignature, "v." + seconds(maxUnix + 1)[4:]: ErrBadTimeSignature, "v." + seconds(1<<63): ErrBadTimeSignature,
			"v." + b64("\x7a\xb0\x00\x00"): ErrSignatureExpired,
		}},
	} {
		t.Run(c.class, func(t *testing.T) {
			salt := DefaultSerializerSalt
			if c.class == "TimestampSigner" {
				salt = DefaultSignerSalt
			}
			signer, err := NewSigner(key, Options{Salt: salt})
			if err != nil {
				t.Fatal(err)
			}
			var texts []string
			stricter := map[int]error{}
			for _, payload := range c.payloads {
				texts = append(texts, string(signer.Sign([]byte(payload))))
			}
			for payload, want := range c.stricter {
				stricter[len(texts)] = want
				texts = append(texts, string(signer.Sign([]byte(payload))))
			}
			holdAgainst(t, p, setup{class: c.class, keys: key, now: interopNow}, texts, stricter, nil)
		})
	}
}

func TestAgeIsJudgedAsInPython(t *testing.T) {
	p := startPython(t)
	for _, class := range []string{"TimestampSigner", "TimedSerializer", "URLSafeTimedSerializer", "Layered"} {
		t.Run(class, func(t *testing.T) {
			var texts []string
			base := setup{class: class, keys: [][]byte{[]byte("k")}, stampKeys: [][]byte{[]byte("s")}}
			value := `"dGV4dA=="`
			if base.signsBytes() {
				value = "dGV4dA=="
			}
			for _, at := range []int64{0, 1, 255, 256, interopNow - 61, interopNow - 60, interopNow - 59, interopNow, interopNow + 1, interopNow + 60, maxUnix} {
				signing := base
				signing.now = at
				text, err := signing.ours(t).dumps(value)
				if err != nil {
					t.Fatal(err)
				}
				texts = append(texts, text)
			}
			for _, maxAge := range []int64{0, 1, 59, 60, 61, interopNow, interopNow * 10} {
				s := base
				s.now, s.maxAge = interopNow, &maxAge
				holdAgainst(t, p, s, texts, nil, nil)
			}
			s := base
			s.now = interopNow
			last := len(texts) - 1 // without max_age Python believes the future
			holdAgainst(t, p, s, texts, map[int]error{last - 2: ErrSignatureExpired, last - 1: ErrSignatureExpired, last: ErrSignatureExpired}, nil)
		})
	}
}

func TestLeewayAndNegativeAge(t *testing.T) {
	now := time.Unix(1000, 0)
	clock := func() time.Time { return now }
	signer, err := NewTimestampSigner([][]byte{[]byte("k")}, Options{Now: clock, Leeway: 5*time.Second + 999*time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	signed := signer.Sign([]byte("v"))
	for _, c := range []struct {
		now    int64
		maxAge time.Duration
		want   error
	}{
		{1000, AnyAge, nil},
		{995, AnyAge, nil},
		{995, time.Second, nil},
		{994, AnyAge, ErrSignatureExpired},
		{994, time.Hour, ErrSignatureExpired},
		{1001, 1500 * time.Millisecond, nil},
		{1002, 1500 * time.Millisecond, ErrSignatureExpired},
		{1000, time.Nanosecond, nil},
		{1001, time.Nanosecond, ErrSignatureExpired},
		{1000, -1, ErrSignatureExpired},
		{1000, -time.Hour, ErrSignatureExpired},
		{maxUnix, AnyAge, nil},
		{maxUnix, 1<<63 - 1, ErrSignatureExpired},
		{0, AnyAge, ErrSignatureExpired},
	} {
		now = time.Unix(c.now, 0)
		value, at, err := signer.Unsign(signed, c.maxAge)
		if !errors.Is(err, c.want) || signer.Validate(signed, c.maxAge) != (c.want == nil) {
			t.Errorf("at %d, %s: %v, want %v", c.now, c.maxAge, err, c.want)
		}
		if c.want == nil && (string(value) != "v" || at != time.Unix(1000, 0).UTC()) {
			t.Errorf("at %d: %q signed at %s", c.now, value, at)
		}
		var e *Error
		if errors.As(err, &e) && (string(e.Payload) != "v" || e.DateSigned != time.Unix(1000, 0).UTC() || e.FaultKind() != fault.Expired) {
			t.Errorf("at %d: %+v", c.now, e)
		}
	}
	now = time.Unix(-5, 0) // before all tokens
	early := signer.Sign([]byte("v"))
	if _, at, err := signer.Unsign(early, AnyAge); err != nil || at.Unix() != 0 {
		t.Errorf("signed in 1969: %s, %v", at, err)
	}
}

func TestExpiryStopsTheFallback(t *testing.T) {
	now := time.Unix(1000, 0)
	o := Options{Now: func() time.Time { return now }}
	oldWay, err := NewURLSafeTimedSerializer([][]byte{[]byte("k")}, o)
	if err != nil {
		t.Fatal(err)
	}
	text, err := oldWay.Dumps("v")
	if err != nil {
		t.Fatal(err)
	}
	now = now.Add(time.Minute)
	for _, fallbacks := range [][]Fallback{{{DjangoConcat, SHA1}}, {{DjangoConcat, SHA1}, {None, SHA512}}, {{None, SHA512}, {DjangoConcat, SHA1}}} {
		o.Digest, o.Fallbacks = SHA256, fallbacks
		serializer, err := NewURLSafeTimedSerializer([][]byte{[]byte("k")}, o)
		if err != nil {
			t.Fatal(err)
		}
		var v string
		if _, err := serializer.Loads(text, time.Second, &v); ClassOf(err) != "SignatureExpired" {
			t.Errorf("%v: %v", fallbacks, err)
		}
		if at, err := serializer.Loads(text, time.Hour, &v); err != nil || v != "v" || at.Unix() != 1000 {
			t.Errorf("%v: %q %s %v", fallbacks, v, at, err)
		}
		if _, err := serializer.Loads(text[1:], time.Hour, &v); ClassOf(err) != "BadTimeSignature" {
			t.Errorf("%v: %v", fallbacks, err)
		}
	}
}

func TestNoErrorTextShowsWhatItIsAbout(t *testing.T) {
	const secret, content = "SECRETKEY", "CONTENT"
	serializer, err := NewURLSafeTimedSerializer([][]byte{[]byte(secret)}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	text, err := serializer.Dumps(map[string]any{"n": content})
	if err != nil {
		t.Fatal(err)
	}
	var into struct{ N int }
	_, misfit := serializer.Loads(text, AnyAge, &into)
	_, forged := serializer.Loads(text+"A", AnyAge, &into)
	_, old := serializer.Loads(text, -1, &into)
	_, noKey := NewSigner([][]byte{[]byte(secret), nil}, Options{})
	for _, err := range []error{misfit, forged, old, noKey} {
		if err == nil {
			t.Fatal("there must be an error")
		}
		for _, shown := range []string{err.Error(), fmt.Sprintf("%v", err)} {
			for _, hidden := range []string{secret, content, text, text[:10], base64.StdEncoding.EncodeToString([]byte(content))} {
				if strings.Contains(shown, hidden) {
					t.Errorf("%q shows %q", shown, hidden)
				}
			}
		}
	}
	if !strings.Contains(misfit.Error(), "field N") || ClassOf(misfit) != "BadPayload" {
		t.Errorf("a field of the wrong type: %v", misfit)
	}
}
