package token

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

// perSetup is how many random payloads each class × digest × derivation × salt carries in each direction.
const perSetup = 500

// interopNow is the time of all interop tests; their tokens are not older than an hour.
const interopNow = 1_790_000_000

func TestPythonReadsOursAndWeReadPythons(t *testing.T) {
	p := startPython(t)
	oldest, middle, newest := []byte("the oldest key"), []byte("the key between"), []byte("密钥 of today, longer than a block of any digest: "+strings.Repeat("0123456789", 13))
	stamps := [][][]byte{{[]byte("old stamp")}, {[]byte("old stamp"), []byte("邮戳")}}
	for _, class := range classes {
		for _, digest := range []Digest{SHA1, SHA256, SHA512} {
			for _, derivation := range []Derivation{DjangoConcat, Concat, HMAC, None} {
				for _, salt := range []Options{{}, {Salt: "审批 salt"}, {EmptySalt: true}} {
					if class == "Layered" && salt.EmptySalt {
						continue // its options have no such thing
					}
					o := salt
					o.Digest, o.Derivation = digest, derivation
					name := fmt.Sprintf("%s/%s/%s/salt=%s,empty=%t", class, digest, derivation, o.Salt, o.EmptySalt)
					t.Run(name, func(t *testing.T) {
						p.t = t
						seed := rand.Uint64()
						defer func() {
							if t.Failed() {
								t.Logf("seed %d", seed)
							}
						}()
						r := rand.New(rand.NewPCG(seed, 0))
						n := perSetup
						if o.EmptySalt { // a variation of the salt, not a setup of its own
							n = 20
						}
						values := make([]string, n)
						for i := range values {
							values[i] = randomValue(r, class)
						}
						// Signed with the middle key by the other side of a rotation; both must still take it.
						signing := setup{class: class, keys: [][]byte{oldest, middle}, now: interopNow - r.Int64N(3600), Options: o, stampKeys: stamps[0], stampSalt: o.Salt}
						hour := int64(3600)
						verifying := setup{class: class, keys: [][]byte{oldest, middle, newest}, now: interopNow, maxAge: &hour, Options: o, stampKeys: stamps[1], stampSalt: o.Salt}
						bothWays(t, p, signing, verifying, values)
					})
				}
			}
		}
	}
}

func TestLargePayloadsBothWays(t *testing.T) {
	p := startPython(t)
	r := rand.New(rand.NewPCG(7, 7))
	for _, class := range classes {
		var values []string
		for _, size := range []int{1, 1000, 20_000, 60_000} {
			for _, text := range []string{
				strings.Repeat("a", size), strings.Repeat("零售事业部 重启 ", size/20+1), strings.Repeat("🚀", size/4+1), randomText(r, size/4+1),
			} {
				if strings.HasSuffix(class, "Signer") {
					values = append(values, base64.StdEncoding.EncodeToString([]byte(text)))
				} else {
					values = append(values, `{"输出":[`+quote(text)+`]}`)
				}
			}
		}
		s := setup{class: class, keys: [][]byte{[]byte("k")}, now: interopNow, Options: Options{Digest: SHA256, MaxInflated: 1 << 20}, stampKeys: [][]byte{[]byte("s")}}
		t.Run(class, func(t *testing.T) {
			p.t = t
			bothWays(t, p, s, s, values)
		})
	}
}

func TestSeparatorsAndFallbacksBothWays(t *testing.T) {
	p := startPython(t)
	r := rand.New(rand.NewPCG(8, 8))
	for _, class := range classes[:len(classes)-1] { // Layered has neither
		for _, sep := range []string{".", ":", "!!", "/ ", "。"} {
			t.Run(class+sep, func(t *testing.T) {
				p.t = t
				values := make([]string, 40)
				for i := range values {
					values[i] = randomValue(r, class)
				}
				signing := setup{class: class, keys: [][]byte{[]byte("k")}, now: interopNow, Options: Options{Sep: sep}}
				verifying := signing
				if !strings.HasSuffix(class, "Signer") {
					verifying.Digest, verifying.Derivation = SHA512, HMAC
					verifying.Fallbacks = []Fallback{{None, SHA256}, {DjangoConcat, SHA1}}
				}
				bothWays(t, p, signing, verifying, values)
			})
		}
	}
}

// bothWays signs every value on both sides, holds the tokens against each other, and reads each on the other side.
func bothWays(t *testing.T, p *python, signing, verifying setup, values []string) {
	t.Helper()
	our := signing.ours(t)
	ask := make([]pyDoItem, 0, len(values))
	for _, v := range values {
		ask = append(ask, pyDumps(v))
	}
	theirs := p.ask(signing.request(ask))
	ask = ask[:0]
	for i, v := range values {
		mine, err := our.dumps(v)
		if err != nil {
			t.Fatalf("value %s: %v", v, err)
		}
		compressed := signing.urlSafe() && (mine[0] == '.' || theirs[i].Token[0] == '.')
		if !compressed && mine != string(theirs[i].Token) {
			t.Fatalf("value %s:\nours   %q\nPython %q", v, mine, theirs[i].Token)
		}
		ask = append(ask, pyLoads(mine))
	}
	their := p.ask(verifying.request(ask))
	verify := verifying.ours(t)
	for i, v := range values {
		want := v
		if !signing.signsBytes() {
			compact, err := encodeJSON(json.RawMessage(v), compactJSON)
			if err != nil {
				t.Fatal(err)
			}
			want = string(compact)
		}
		var at *int64
		if signing.hasTime() {
			at = &signing.now
		}
		switch got := their[i]; {
		case got.Value == nil:
			t.Fatalf("Python refuses ours: %s %q", got.Class, *ask[i].Loads)
		case *got.Value != want || !equal(got.Time, at):
			t.Fatalf("Python reads %s at %v, want %s at %v", *got.Value, deref(got.Time), want, deref(at))
		}
		value, when, err := verify.loads(string(theirs[i].Token))
		if err != nil {
			t.Fatalf("we refuse Python's %q: %v", theirs[i].Token, err)
		}
		if !signing.signsBytes() {
			compact, err := encodeJSON(json.RawMessage(value), compactJSON)
			if err != nil {
				t.Fatal(err)
			}
			value = string(compact)
		}
		if value != want || !equal(when, at) {
			t.Fatalf("we read %s at %v, want %s at %v", value, deref(when), want, deref(at))
		}
	}
}

func equal(a, b *int64) bool { return deref(a) == deref(b) }

func deref(n *int64) int64 {
	if n == nil {
		return math.MinInt64
	}
	return *n
}

// randomValue is base64 of random bytes for a signer, JSON for a serializer.
func randomValue(r *rand.Rand, class string) string {
	if !strings.HasSuffix(class, "Signer") {
		return randomJSON(r, 3)
	}
	b := make([]byte, r.IntN(60))
	for i := range b {
		if b[i] = byte(r.Uint32()); r.IntN(4) == 0 {
			b[i] = '.'
		}
	}
	return base64.StdEncoding.EncodeToString(b)
}

func quote(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err) // a string always has a JSON form
	}
	return string(b)
}

var alphabet = []rune("aZ09 .-_=+/\\\"'<>&\b\f\n\r\t\x00\x1f\x7f\u0080\u00e9\u2028\u2029\ufffd\uffff零售事业部调整镜像𠮷😀👩‍🚀")

func randomText(r *rand.Rand, n int) string {
	var b strings.Builder
	for range n {
		if r.IntN(3) > 0 {
			b.WriteRune(alphabet[r.IntN(len(alphabet))])
			continue
		}
		c := rune(r.IntN(0x10FFFF + 1))
		if c >= 0xD800 && c <= 0xDFFF {
			c = '中'
		}
		b.WriteRune(c)
	}
	return b.String()
}

// randomJSON writes a random value; keys are in no order but never twice.
func randomJSON(r *rand.Rand, depth int) string {
	kinds := 9
	if depth == 0 {
		kinds = 7
	}
	switch r.IntN(kinds) {
	case 0:
		return []string{"null", "true", "false"}[r.IntN(3)]
	case 1:
		return fmt.Sprint(r.IntN(2000) - 1000)
	case 2:
		return fmt.Sprint(int64(r.Uint64()))
	case 3: // beyond 64 bits, and spellings that are not Go's
		return []string{"123456789012345678901234567890", "1.0", "0.0", "-0.5", "2.5e-07"}[r.IntN(5)]
	case 4:
		f := r.NormFloat64() * math.Pow(10, float64(r.IntN(60)-30))
		b, err := json.Marshal(f)
		if err != nil {
			panic(err) // neither NaN nor infinite
		}
		return string(b)
	case 5, 6:
		return quote(randomText(r, r.IntN(12)))
	case 7:
		items := make([]string, r.IntN(5))
		for i := range items {
			items[i] = randomJSON(r, depth-1)
		}
		return "[" + strings.Join(items, ",") + "]"
	default:
		var fields []string
		seen := map[string]bool{}
		for range r.IntN(5) {
			key := randomText(r, r.IntN(5))
			if !seen[key] {
				seen[key] = true
				fields = append(fields, quote(key)+":"+randomJSON(r, depth-1))
			}
		}
		return "{" + strings.Join(fields, ",") + "}"
	}
}
