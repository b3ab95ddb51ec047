package token

import (
	"crypto/hmac"
	"crypto/rand"
	"hash"
	"strings"
	"testing"
	"time"
)

var benchValue = []byte(strings.Repeat("eyJqdGkiOiJhMSIs", 16)) // 256 bytes, about the claims of one action

var benchDigests = []Digest{SHA1, SHA256, SHA512}

func benchSigner(b *testing.B, digest Digest) *TimestampSigner {
	b.Helper()
	signer, err := NewTimestampSigner(vectorKey, Options{Digest: digest})
	if err != nil {
		b.Fatal(err)
	}
	return signer
}

// signAndUnsign is the work that is measured.
func signAndUnsign(b *testing.B, signer *TimestampSigner) {
	if _, _, err := signer.Unsign(signer.Sign(benchValue), time.Minute); err != nil {
		b.Fatal(err)
	}
}

// bareHMAC is what a program without this package does: a new HMAC of the key, the value, the sum.
func bareHMAC(b *testing.B, newHash func() hash.Hash, sum []byte) {
	mac := hmac.New(newHash, vectorKey[0])
	mac.Write(benchValue)
	if len(mac.Sum(sum[:0])) == 0 {
		b.Fatal("no sum")
	}
}

// reusedHMAC is the least an HMAC can cost: its state is kept and nothing else is done.
func reusedHMAC(b *testing.B, mac hash.Hash, sum []byte) {
	mac.Reset()
	mac.Write(benchValue)
	if len(mac.Sum(sum[:0])) == 0 {
		b.Fatal("no sum")
	}
}

func BenchmarkTimestampSigner(b *testing.B) {
	for _, digest := range benchDigests {
		b.Run(digest.String(), func(b *testing.B) {
			signer := benchSigner(b, digest)
			b.ReportAllocs()
			for b.Loop() {
				signAndUnsign(b, signer)
			}
		})
	}
}

func BenchmarkBareHMAC(b *testing.B) {
	for _, digest := range benchDigests {
		b.Run(digest.String(), func(b *testing.B) {
			sum := make([]byte, 0, 64)
			b.ReportAllocs()
			for b.Loop() {
				bareHMAC(b, digest.new(), sum)
			}
		})
		b.Run(digest.String()+"-reused", func(b *testing.B) {
			mac, sum := hmac.New(digest.new(), vectorKey[0]), make([]byte, 0, 64)
			b.ReportAllocs()
			for b.Loop() {
				reusedHMAC(b, mac, sum)
			}
		})
	}
}

// BenchmarkTimestampSignerRatio measures sign and unsign and the bare HMACs in turn, in small shares of one run, so that
// whatever else the machine does falls on all of them alike. It reports sign+unsign as a multiple of one new HMAC ("x-bare") and of
// one HMAC whose state is kept ("x-reused", at best 2).
func BenchmarkTimestampSignerRatio(b *testing.B) {
	const share = 64
	for _, digest := range benchDigests {
		b.Run(digest.String(), func(b *testing.B) {
			signer := benchSigner(b, digest)
			mac, sum := hmac.New(digest.new(), vectorKey[0]), make([]byte, 0, 64)
			var signed, bare, reused time.Duration
			for b.Loop() {
				start := time.Now()
				for range share {
					signAndUnsign(b, signer)
				}
				afterSign := time.Now()
				for range share {
					bareHMAC(b, digest.new(), sum)
				}
				afterBare := time.Now()
				for range share {
					reusedHMAC(b, mac, sum)
				}
				reused += time.Since(afterBare)
				bare += afterBare.Sub(afterSign)
				signed += afterSign.Sub(start)
			}
			b.ReportMetric(float64(signed)/float64(bare), "x-bare")
			b.ReportMetric(float64(signed)/float64(reused), "x-reused")
			b.ReportMetric(float64(signed.Nanoseconds())/float64(b.N*share), "ns/sign+unsign")
		})
	}
}

func BenchmarkLayered(b *testing.B) {
	k, err := NewKeySet("local", rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	l, err := k.Layered(Options{})
	if err != nil {
		b.Fatal(err)
	}
	claims := map[string]any{"jti": "0123456789abcdefghjkmnpqrs", "zone": "local", "args": strings.Repeat("f", 64), "exp": 1_790_000_000}
	b.Run("dumps", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := l.Dumps(claims); err != nil {
				b.Fatal(err)
			}
		}
	})
	text, err := l.Dumps(claims)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("loads", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var back map[string]any
			if _, err := l.Loads(text, time.Minute, &back); err != nil {
				b.Fatal(err)
			}
		}
	})
}
