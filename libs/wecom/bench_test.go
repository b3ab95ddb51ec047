package wecom

import (
	"crypto/cipher"
	"crypto/sha1"
	"encoding/base64"
	"slices"
	"strings"
	"testing"
	"time"
)

// sealed is a callback that carries a message of 200 bytes.
func sealed(t testing.TB, c *Crypt, form Form) (Query, []byte) {
	t.Helper()
	m := MarshalMessage(form, Message{
		ToUserName: vectorCorp, FromUserName: "zhangsan", CreateTime: 1409659589, MsgType: "text",
		AgentID: 1000002, MsgID: "4561255354251345929",
	})
	content := strings.Repeat("x", 16)
	if form == FormXML {
		m = []byte(strings.Replace(string(m), "</xml>", "<Content>"+content+"</Content></xml>", 1))
	}
	if len(m) < 200 {
		m = append(m, strings.Repeat(" ", 200-len(m))...)
	}
	m = m[:min(len(m), 200)] // Open does not read it
	q, body, err := c.SealCallback(form, vectorCorp, "1000002", vectorTime, vectorNonce, m)
	if err != nil {
		t.Fatal(err)
	}
	return q, body
}

// bareCrypto is what no implementation can do without: SHA-1 over what is signed, and AES-CBC.
type bareCrypto struct {
	signed, cipher, plain []byte
	mode                  cipher.BlockMode
	iv                    []byte
}

func newBareCrypto(t testing.TB, c *Crypt, body []byte) *bareCrypto {
	t.Helper()
	env, err := ScanEnvelope(body)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := base64.StdEncoding.DecodeString(string(env.Encrypt))
	if err != nil {
		t.Fatal(err)
	}
	return &bareCrypto{
		signed: []byte(vectorTime + vectorNonce + vectorToken + string(env.Encrypt)),
		cipher: raw, plain: make([]byte, len(raw)),
		mode: cipher.NewCBCDecrypter(c.block, c.iv[:]), iv: c.iv[:],
	}
}

var sink byte

func (b *bareCrypto) run() {
	sum := sha1.Sum(b.signed)
	b.mode.(interface{ SetIV([]byte) }).SetIV(b.iv)
	b.mode.CryptBlocks(b.plain, b.cipher)
	sink = sum[0] ^ b.plain[0]
}

func BenchmarkBareCrypto(b *testing.B) {
	c := newCrypt(b, vectorCorp)
	_, body := sealed(b, c, FormXML)
	bare := newBareCrypto(b, c, body)
	b.ReportAllocs()
	for b.Loop() {
		bare.run()
	}
}

func BenchmarkOpen(b *testing.B) {
	for _, form := range []Form{FormXML, FormJSON} {
		b.Run(form.String(), func(b *testing.B) {
			c := newCrypt(b, vectorCorp)
			q, body := sealed(b, c, form)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.Open(q, body); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkOpenRatio measures Open and the bare crypto in turns within one run, and reports the quotient of what the
// fastest tenth of the turns took: other work on the machine only ever adds to a turn.
func BenchmarkOpenRatio(b *testing.B) {
	c := newCrypt(b, vectorCorp)
	q, body := sealed(b, c, FormXML)
	bare := newBareCrypto(b, c, body)
	const turn = 16
	var ours, theirs []time.Duration
	for b.Loop() {
		start := time.Now()
		for range turn {
			bare.run()
		}
		middle := time.Now()
		for range turn {
			if _, err := c.Open(q, body); err != nil {
				b.Fatal(err)
			}
		}
		theirs = append(theirs, middle.Sub(start))
		ours = append(ours, time.Since(middle))
	}
	slices.Sort(ours)
	slices.Sort(theirs)
	each := func(d []time.Duration) float64 { return float64(d[len(d)/10]) / turn }
	b.ReportMetric(each(ours)/each(theirs), "ratio")
	b.ReportMetric(each(ours), "open-ns")
	b.ReportMetric(each(theirs), "bare-ns")
}

func BenchmarkParseMessage(b *testing.B) {
	m := messageSamples[0]
	for form, plain := range map[Form]string{FormXML: m.xml, FormJSON: m.json} {
		b.Run(form.String(), func(b *testing.B) {
			data := []byte(plain)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := ParseMessage(data); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func TestOpenAllocatesTwice(t *testing.T) {
	c := newCrypt(t, vectorCorp)
	for _, form := range []Form{FormXML, FormJSON} {
		q, body := sealed(t, c, form)
		n := testing.AllocsPerRun(200, func() {
			if _, err := c.Open(q, body); err != nil {
				t.Fatal(err)
			}
		})
		if n > 2 {
			t.Errorf("%s: %v allocations, want at most 2", form, n)
		}
	}
}
