package wecom

import (
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
)

// Encrypt is the ciphertext of plain in base64: framed with 16 fresh random bytes, its length and the receiver's id.
// Errors: *Error with ReasonOversized when plain is longer than MaxBody.
func (c *Crypt) Encrypt(plain []byte) (string, error) {
	if len(plain) > MaxBody {
		return "", refuse(CodeEncrypt, ReasonOversized, "the message is too long to be encrypted")
	}
	size := frameHead + len(plain) + len(c.receiveID)
	pad := padSize - size%padSize
	buf := make([]byte, frameHead, size+pad)
	_, _ = rand.Read(buf[:16]) // documented never to fail
	binary.BigEndian.PutUint32(buf[16:], uint32(len(plain)))
	buf = append(buf, plain...)
	buf = append(buf, c.receiveID...)
	for range pad {
		buf = append(buf, byte(pad))
	}
	cipher.NewCBCEncrypter(c.block, c.iv[:]).CryptBlocks(buf, buf)
	return base64.StdEncoding.EncodeToString(buf), nil
}

// Reply seals the inside of a passive reply, for instance a TextReply, into the envelope that answers a callback of
// that form. The timestamp is ours to choose (10 digits); so is the nonce, except that an AI bot wants the callback's own.
// Errors: *Error with ReasonBuild for a timestamp or nonce of another shape, and as Encrypt.
func (c *Crypt) Reply(form Form, timestamp, nonce string, plain []byte) ([]byte, error) {
	encrypt, signature, err := c.seal(timestamp, nonce, plain)
	if err != nil {
		return nil, err
	}
	b := make([]byte, 0, len(encrypt)+len(nonce)+256)
	if form == FormJSON {
		// The documentation shows the timestamp as a number.
		b = append(append(b, `{"encrypt":"`...), encrypt...)
		b = append(append(b, `","msgsignature":"`...), signature...)
		b = append(append(b, `","timestamp":`...), timestamp...)
		b = appendJSONString(append(b, `,"nonce":`...), nonce)
		return append(b, '}'), nil
	}
	b = append(append(b, `<xml><Encrypt><![CDATA[`...), encrypt...)
	b = append(append(b, `]]></Encrypt><MsgSignature><![CDATA[`...), signature...)
	b = append(append(b, `]]></MsgSignature><TimeStamp>`...), timestamp...)
	b = appendCDATA(append(b, `</TimeStamp><Nonce>`...), nonce)
	return append(b, `</Nonce></xml>`...), nil
}

// SealCallback is WeCom's side of Open: the query and the body of a POST that carries plain, for instance what
// MarshalMessage wrote. Errors: as Reply's.
func (c *Crypt) SealCallback(form Form, toUserName, agentID, timestamp, nonce string, plain []byte) (q Query, body []byte, err error) {
	encrypt, signature, err := c.seal(timestamp, nonce, plain)
	if err != nil {
		return Query{}, nil, err
	}
	b := make([]byte, 0, len(encrypt)+len(toUserName)+len(agentID)+128)
	if form == FormJSON {
		b = appendJSONString(append(b, `{"tousername":`...), toUserName)
		b = append(append(b, `,"encrypt":"`...), encrypt...)
		b = appendJSONString(append(b, `","agentid":`...), agentID)
		b = append(b, '}')
	} else {
		b = appendCDATA(append(b, `<xml><ToUserName>`...), toUserName)
		b = append(append(b, `</ToUserName><Encrypt><![CDATA[`...), encrypt...)
		b = appendCDATA(append(b, `]]></Encrypt><AgentID>`...), agentID)
		b = append(b, `</AgentID></xml>`...)
	}
	return Query{Signature: signature, Timestamp: timestamp, Nonce: nonce}, b, nil
}

// SealEcho is WeCom's side of VerifyURL. echostr still needs percent-encoding. Errors: as Reply's.
func (c *Crypt) SealEcho(timestamp, nonce, msg string) (q Query, echostr string, err error) {
	encrypt, signature, err := c.seal(timestamp, nonce, []byte(msg))
	if err != nil {
		return Query{}, "", err
	}
	return Query{Signature: signature, Timestamp: timestamp, Nonce: nonce}, encrypt, nil
}

// seal encrypts plain and signs the result.
func (c *Crypt) seal(timestamp, nonce string, plain []byte) (encrypt, signature string, err error) {
	if !isTimestamp(timestamp) {
		return "", "", refuse(CodeBuild, ReasonBuild, "the timestamp is not 10 digits")
	}
	if !isNonce(nonce) {
		return "", "", refuse(CodeBuild, ReasonBuild, "the nonce is not 1 to 128 printable characters")
	}
	if encrypt, err = c.Encrypt(plain); err != nil {
		return "", "", err
	}
	return encrypt, Signature(c.token, timestamp, nonce, encrypt), nil
}

// replyFields are the parts of a passive reply's envelope.
var replyFields = []flatField{{xml: "Encrypt"}, {xml: "MsgSignature"}, {xml: "TimeStamp"}, {xml: "Nonce"}}

// OpenReply is WeCom's side of Reply: what is inside a passive reply, and the form of its envelope. The signature is
// that in the envelope. Errors: as Open's.
func (c *Crypt) OpenReply(body []byte) (plain []byte, form Form, err error) {
	var v [4][]byte
	if form, err = scanFlat(body, replyFields, v[:]); err != nil {
		return nil, form, err
	}
	q := Query{Signature: string(v[1]), Timestamp: string(v[2]), Nonce: string(v[3])}
	sum, err := q.check()
	if err != nil {
		return nil, form, err
	}
	if len(v[0]) == 0 {
		return nil, form, refuse(CodeParse, ReasonMissing, "no Encrypt")
	}
	_, plain, err = c.open(sum, q, v[0])
	return plain, form, err
}
