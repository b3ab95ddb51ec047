package wecom

import (
	"bytes"
	"crypto/cipher"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"net/url"
	"strings"
	"sync"
	"testing"

	"palmops/libs/fault"
)

// The public sample of WeCom's own library. The key's last character has spare bits set.
const (
	vectorToken = "QDG6eK"
	vectorKey   = "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C"
	vectorCorp  = "wx5823bf96d3bd56c7"
	vectorTime  = "1409659589"
	vectorNonce = "263014780"
	vectorSign  = "5c45ff5e21c57e6ad56bac8758b79b1d9ac89fd3"
	vectorEcho  = "P9nAzCzyDtyTWESHep1vC5X9xho/qYX3Zpb4yKa9SKld1DsH3Iyt3tP3zNdtp+4RPcs8TgAE7OaBO+FZXvnaqQ=="
	vectorPlain = "1616140317555161061"
)

func newCrypt(t testing.TB, receiveID string) *Crypt {
	t.Helper()
	c, err := NewCrypt(vectorToken, vectorKey, receiveID)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// wantRefusal checks that err is an *Error with this reason and, where it is not zero, this code.
func wantRefusal(t testing.TB, err error, reason string, code Code) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("error %v is no *Error; want %s", err, reason)
	}
	if e.Reason != reason || code != 0 && e.Code != code {
		t.Errorf("refused with %s (%d): %v; want %s (%d)", e.Reason, e.Code, err, reason, code)
	}
	if e.Code > CodeSignature || e.Code < CodeBuild {
		t.Errorf("code %d is not in the official table", e.Code)
	}
	for _, secret := range []string{vectorToken, vectorKey, vectorPlain} {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("the error tells a secret: %v", err)
		}
	}
}

func TestPublicVector(t *testing.T) {
	c := newCrypt(t, vectorCorp)
	if got := Signature(vectorToken, vectorTime, vectorNonce, vectorEcho); got != vectorSign {
		t.Fatalf("signature %s, want %s", got, vectorSign)
	}
	// As it stands in the URL of the sample, and with the plus signs left as they are.
	base := "msg_signature=" + vectorSign + "&timestamp=" + vectorTime + "&nonce=" + vectorNonce + "&echostr="
	for _, raw := range []string{base + url.QueryEscape(vectorEcho), base + vectorEcho} {
		values, err := url.ParseQuery(raw)
		if err != nil {
			t.Fatal(err)
		}
		q, err := ParseQuery(values)
		if err != nil {
			t.Fatal(err)
		}
		echostr, err := EchoStr(raw)
		if err != nil {
			t.Fatal(err)
		}
		plain, err := c.VerifyURL(q, echostr)
		if err != nil {
			t.Fatal(err)
		}
		if string(plain) != vectorPlain {
			t.Errorf("echo %q, want %q", plain, vectorPlain)
		}
		q.Signature = strings.ToUpper(q.Signature)
		if _, err := c.VerifyURL(q, echostr); err != nil {
			t.Errorf("signature in capitals: %v", err)
		}
	}
	plain, err := c.Decrypt(vectorEcho)
	if err != nil || string(plain) != vectorPlain {
		t.Errorf("Decrypt: %q, %v", plain, err)
	}
	_, err = newCrypt(t, "wx0000000000000000").VerifyURL(Query{vectorSign, vectorTime, vectorNonce}, vectorEcho)
	wantRefusal(t, err, ReasonReceiveID, CodeReceiveID)
	if fault.KindOf(err) != fault.Denied {
		t.Errorf("kind %s", fault.KindOf(err))
	}
}

// sealRaw encrypts a whole frame as it is given, padding included.
func sealRaw(c *Crypt, frame []byte) string {
	out := make([]byte, len(frame))
	cipher.NewCBCEncrypter(c.block, c.iv[:]).CryptBlocks(out, frame)
	return base64.StdEncoding.EncodeToString(out)
}

// frame is random bytes, a length, and a body, padded to 32 bytes.
func frame(length uint32, body string) []byte {
	b := make([]byte, frameHead, 256)
	binary.BigEndian.PutUint32(b[16:], length)
	b = append(b, body...)
	pad := padSize - len(b)%padSize
	return append(b, bytes.Repeat([]byte{byte(pad)}, pad)...)
}

func TestDecryptRefusesEveryBrokenFrame(t *testing.T) {
	c := newCrypt(t, vectorCorp)
	withPad := func(pad ...byte) []byte { // 64 bytes whose end is pad
		b := frame(2, "hi"+vectorCorp)
		return append(b[:64-len(pad):64-len(pad)], pad...)
	}
	good := frame(2, "hi"+vectorCorp)
	if plain, err := c.Decrypt(sealRaw(c, good)); err != nil || string(plain) != "hi" {
		t.Fatalf("the good frame: %q, %v", plain, err)
	}
	short := append(make([]byte, 16), bytes.Repeat([]byte{16}, 16)...)
	full := bytes.Repeat([]byte{32}, 32)
	for _, tc := range []struct {
		name   string
		b64    string
		reason string
		code   Code
	}{
		{"empty", "", ReasonBlockSize, CodeDecrypt},
		{"17 bytes", base64.StdEncoding.EncodeToString(make([]byte, 17)), ReasonBlockSize, CodeDecrypt},
		{"16 bytes", base64.StdEncoding.EncodeToString(make([]byte, 16)), ReasonBlockSize, CodeDecrypt},
		{"48 bytes", base64.StdEncoding.EncodeToString(make([]byte, 48)), ReasonBlockSize, CodeDecrypt},
		{"pad 0", sealRaw(c, withPad(0)), ReasonPadding, CodeBuffer},
		{"pad 33", sealRaw(c, withPad(bytes.Repeat([]byte{33}, 33)...)), ReasonPadding, CodeBuffer},
		{"pad 255", sealRaw(c, withPad(bytes.Repeat([]byte{255}, 40)...)), ReasonPadding, CodeBuffer},
		{"pad of unlike bytes", sealRaw(c, withPad(3, 4, 4, 4)), ReasonPadding, CodeBuffer},
		{"nothing but padding", sealRaw(c, full), ReasonLength, CodeBuffer},
		{"no head", sealRaw(c, short), ReasonLength, CodeBuffer},
		{"length beyond", sealRaw(c, frame(uint32(len(vectorCorp)+3), "hi"+vectorCorp)), ReasonLength, CodeBuffer},
		{"length 0xFFFFFFF0", sealRaw(c, frame(0xFFFFFFF0, "hi"+vectorCorp)), ReasonLength, CodeBuffer},
		{"length 0xFFFFFFFF", sealRaw(c, frame(0xFFFFFFFF, "hi"+vectorCorp)), ReasonLength, CodeBuffer},
		{"length 0x80000000", sealRaw(c, frame(0x80000000, "hi"+vectorCorp)), ReasonLength, CodeBuffer},
		{"length short by one", sealRaw(c, frame(1, "hi"+vectorCorp)), ReasonReceiveID, CodeReceiveID},
		{"no receiver", sealRaw(c, frame(2, "hi")), ReasonReceiveID, CodeReceiveID},
		{"receiver and more", sealRaw(c, frame(2, "hi"+vectorCorp+"x")), ReasonReceiveID, CodeReceiveID},
		{"half a receiver", sealRaw(c, frame(2, "hi"+vectorCorp[:9])), ReasonReceiveID, CodeReceiveID},
		{"not base64", strings.Repeat("!", 44), ReasonBase64, CodeBase64Decode},
		{"no base64 padding", strings.TrimRight(vectorEcho, "="), ReasonBase64, CodeBase64Decode},
		{"URL alphabet", strings.ReplaceAll(vectorEcho, "+", "-"), ReasonBase64, CodeBase64Decode},
		{"spare bits", strings.Replace(vectorEcho, "Q==", "R==", 1), ReasonBase64, CodeBase64Decode},
		{"a line break", vectorEcho[:76] + "\n" + vectorEcho[76:], ReasonBase64, CodeBase64Decode},
		{"a carriage return at the end", vectorEcho + "\r", ReasonBase64, CodeBase64Decode},
		{"more after the padding", vectorEcho + "AAAA", ReasonBase64, CodeBase64Decode},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := c.Decrypt(tc.b64)
			wantRefusal(t, err, tc.reason, tc.code)
		})
	}
}

func TestEveryPaddingLengthIsRead(t *testing.T) {
	for _, id := range []string{"", vectorCorp} {
		c := newCrypt(t, id)
		for n := range 70 {
			want := bytes.Repeat([]byte{'x'}, n)
			b64, err := c.Encrypt(want)
			if err != nil {
				t.Fatal(err)
			}
			got, err := c.Decrypt(b64)
			if err != nil || !bytes.Equal(got, want) {
				t.Fatalf("%d bytes for %q: %q, %v", n, id, got, err)
			}
		}
	}
}

func TestSealAndOpenInBothForms(t *testing.T) {
	for _, form := range []Form{FormXML, FormJSON} {
		for _, id := range []string{vectorCorp, ""} {
			c := newCrypt(t, id)
			plain := []byte("<xml>你好 ]]> 👋</xml>")
			q, body, err := c.SealCallback(form, vectorCorp, "1000002", vectorTime, vectorNonce, plain)
			if err != nil {
				t.Fatal(err)
			}
			o, err := c.Open(q, body)
			if err != nil {
				t.Fatalf("%s: %v", form, err)
			}
			encrypt := string(o.Encrypt)
			before := bytes.Clone(body)
			clear(body) // but for Encrypt, the result must not live in it
			if o.Form != form || o.ToUserName != vectorCorp || o.AgentID != "1000002" || !bytes.Equal(o.Plain, plain) {
				t.Errorf("%s: %+v", form, o)
			}
			if len(o.Random) != 16 || !bytes.Contains(before, []byte(encrypt)) {
				t.Errorf("%s: random %x", form, o.Random)
			}

			reply, err := c.Reply(form, vectorTime, vectorNonce, plain)
			if err != nil {
				t.Fatal(err)
			}
			inside, got, err := c.OpenReply(reply)
			if err != nil || got != form || !bytes.Equal(inside, plain) {
				t.Errorf("%s: reply %q, %s, %v", form, inside, got, err)
			}
			broken := bytes.Replace(reply, []byte(vectorNonce), []byte("263014781"), 1)
			_, _, err = c.OpenReply(broken)
			wantRefusal(t, err, ReasonSignature, CodeSignature)

			q, echostr, err := c.SealEcho(vectorTime, vectorNonce, "42")
			if err != nil {
				t.Fatal(err)
			}
			if echo, err := c.VerifyURL(q, echostr); err != nil || string(echo) != "42" {
				t.Errorf("echo %q, %v", echo, err)
			}
		}
	}
}

func TestSealRefusesWhatCannotBeSealed(t *testing.T) {
	c := newCrypt(t, vectorCorp)
	_, err := c.Reply(FormXML, "12", vectorNonce, nil)
	wantRefusal(t, err, ReasonBuild, CodeBuild)
	_, err = c.Reply(FormJSON, vectorTime, "", nil)
	wantRefusal(t, err, ReasonBuild, CodeBuild)
	_, _, err = c.SealCallback(FormXML, "", "", vectorTime, "a b", nil)
	wantRefusal(t, err, ReasonBuild, CodeBuild)
	_, _, err = c.SealEcho(vectorTime, vectorNonce, strings.Repeat("x", MaxBody+1))
	wantRefusal(t, err, ReasonOversized, CodeEncrypt)
}

func TestOpenRefusesBeforeItLooksFurther(t *testing.T) {
	c := newCrypt(t, vectorCorp)
	q, body, err := c.SealCallback(FormXML, vectorCorp, "1", vectorTime, vectorNonce, []byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	other := q
	other.Signature = vectorSign
	_, err = c.Open(other, body)
	wantRefusal(t, err, ReasonSignature, CodeSignature)
	if fault.KindOf(err) != fault.Denied {
		t.Errorf("kind %s", fault.KindOf(err))
	}
	// A ciphertext that no base64 decoder takes is a wrong signature first.
	_, err = c.Open(other, []byte("<xml><Encrypt>!!</Encrypt></xml>"))
	wantRefusal(t, err, ReasonSignature, CodeSignature)
	// And signed it is base64 that is wrong.
	signed := Query{Signature(vectorToken, vectorTime, vectorNonce, "!!"), vectorTime, vectorNonce}
	_, err = c.Open(signed, []byte("<xml><Encrypt>!!</Encrypt></xml>"))
	wantRefusal(t, err, ReasonBase64, CodeBase64Decode)
	// Exchanging timestamp and nonce keeps the signature, which is why freshness cannot rest on it.
	q, body, err = c.SealCallback(FormXML, vectorCorp, "1", vectorTime, "1584392382", []byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	q.Timestamp, q.Nonce = q.Nonce, q.Timestamp
	if _, err := c.Open(q, body); err != nil {
		t.Errorf("the documented ambiguity is gone: %v", err)
	}
	_, err = c.Open(Query{}, body)
	wantRefusal(t, err, ReasonQuery, CodeSignature)
	_, err = c.VerifyURL(q, strings.Repeat("A", MaxBody+1))
	wantRefusal(t, err, ReasonOversized, CodeParse)
}

func TestCryptIsSafeForConcurrentUse(t *testing.T) {
	c := newCrypt(t, vectorCorp)
	var wg sync.WaitGroup
	for n := range 8 {
		wg.Go(func() {
			want := strings.Repeat("x", n*17)
			for range 100 {
				q, body, err := c.SealCallback(Form(n%2), vectorCorp, "1", vectorTime, vectorNonce, []byte(want))
				if err != nil {
					t.Error(err)
					return
				}
				if o, err := c.Open(q, body); err != nil || string(o.Plain) != want {
					t.Errorf("%q, %v", o.Plain, err)
					return
				}
			}
		})
	}
	wg.Wait()
}

func TestLongMessagesAreSealedAndOpened(t *testing.T) {
	c := newCrypt(t, vectorCorp)
	plain := bytes.Repeat([]byte("长"), 15000)
	q, body, err := c.SealCallback(FormXML, vectorCorp, "1", vectorTime, vectorNonce, plain)
	if err != nil {
		t.Fatal(err)
	}
	if len(body) > MaxBody {
		t.Fatalf("the body has %d bytes", len(body))
	}
	if o, err := c.Open(q, body); err != nil || !bytes.Equal(o.Plain, plain) {
		t.Errorf("%d bytes, %v", len(o.Plain), err)
	}
}

func TestOpenReplyRefusals(t *testing.T) {
	c := newCrypt(t, vectorCorp)
	const signature = "<MsgSignature>" + vectorSign + "</MsgSignature>"
	const stamp = "<TimeStamp>" + vectorTime + "</TimeStamp><Nonce>" + vectorNonce + "</Nonce>"
	for _, tc := range []struct {
		body, reason string
		code         Code
	}{
		{"", ReasonTruncated, CodeParse},
		{"<xml/>", ReasonQuery, CodeSignature},
		{"<xml>" + signature + stamp + "</xml>", ReasonMissing, CodeParse},
		{"<xml>" + signature + signature + stamp + "</xml>", ReasonDuplicate, CodeParse},
		{"<xml><Encrypt>" + vectorEcho[4:] + "</Encrypt>" + signature + stamp + "</xml>", ReasonSignature, CodeSignature},
	} {
		_, _, err := c.OpenReply([]byte(tc.body))
		wantRefusal(t, err, tc.reason, tc.code)
	}
	// An AI bot's library may write the timestamp as a string.
	body := `{"encrypt":"` + vectorEcho + `","msgsignature":"` + vectorSign + `","timestamp":"` + vectorTime + `","nonce":"` + vectorNonce + `"}`
	if plain, form, err := c.OpenReply([]byte(body)); err != nil || form != FormJSON || string(plain) != vectorPlain {
		t.Errorf("%q, %s, %v", plain, form, err)
	}
}

func TestEveryCodeHasItsOfficialMeaning(t *testing.T) {
	seen := map[string]bool{}
	for code := CodeSignature; code >= CodeBuild; code-- {
		s := code.String()
		if s == "" || strings.HasPrefix(s, "code ") || seen[s] {
			t.Errorf("%d: %q", code, s)
		}
		seen[s] = true
	}
	if Code(0).String() != "成功" || Code(-1).String() != "code -1" {
		t.Error("the rest of the table")
	}
	inner := errors.New("inner")
	if !errors.Is(&Error{Code: CodeParse, Reason: ReasonMalformed, Err: inner}, inner) {
		t.Error("the chain is broken")
	}
}
