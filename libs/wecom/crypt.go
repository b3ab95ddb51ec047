package wecom

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha1"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"sync"
)

const (
	padSize    = 32     // PKCS#7 is to two AES blocks
	frameHead  = 16 + 4 // random bytes, then the length of the message
	aesKeyText = 43
)

// Crypt seals and opens the callbacks of one application. It is safe for concurrent use.
type Crypt struct {
	token     string
	receiveID string
	receiver  []byte // the same
	block     cipher.Block
	iv        [aes.BlockSize]byte
	workers   sync.Pool // of *worker
}

// NewCrypt takes the three values of the callback settings: the token (1 to 64 printable characters), the
// EncodingAESKey (43 characters of base64; the two spare bits of the last one are ignored, because the console
// hands out keys in which they are set), and the id that frames are addressed to: the corp id for an application,
// empty for an AI bot. Errors: *Error with ReasonAESKey or ReasonSettings; it names no value.
func NewCrypt(token, encodingAESKey, receiveID string) (*Crypt, error) {
	if token == "" || len(token) > 64 || !isGraphic(token) {
		return nil, refuse(CodeSHA1, ReasonSettings, "the token is not 1 to 64 printable characters")
	}
	if len(receiveID) > 128 || !isGraphic(receiveID) {
		return nil, refuse(CodeReceiveID, ReasonSettings, "the receiver id is not at most 128 printable characters")
	}
	if len(encodingAESKey) != aesKeyText {
		return nil, refuse(CodeAESKey, ReasonAESKey, "the EncodingAESKey has not 43 characters")
	}
	key, err := base64.RawStdEncoding.DecodeString(encodingAESKey)
	if err != nil || len(key) != 32 { // shorter when line breaks were among the 43
		return nil, refuse(CodeAESKey, ReasonAESKey, "the EncodingAESKey is not base64")
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, &Error{Code: CodeAESKey, Reason: ReasonAESKey, Err: err}
	}
	c := &Crypt{token: token, receiveID: receiveID, receiver: []byte(receiveID), block: block}
	copy(c.iv[:], key)
	c.workers.New = c.newWorker
	return c, nil
}

// Opened is a callback whose signature, padding, lengths and receiver are in order.
type Opened struct {
	Form                Form
	ToUserName, AgentID string // from the envelope, which is not signed: for logs, not for decisions
	Encrypt             []byte // the ciphertext as it came, in base64; as a rule a part of the body
	Plain               []byte // the message, for ParseMessage
	Random              []byte // the 16 random bytes before it, different in every encryption
}

// Open takes a posted callback apart; the package comment tells the order. Of the result only Encrypt may alias body.
// Errors: *Error; fault.Denied for a wrong signature or a foreign receiver, fault.Invalid otherwise.
func (c *Crypt) Open(q Query, body []byte) (Opened, error) {
	sum, err := q.check()
	if err != nil {
		return Opened{}, err
	}
	form, v, err := scanEnvelope(body, openFields)
	if err != nil {
		return Opened{}, err
	}
	random, plain, err := c.open(sum, q, v.encrypt)
	if err != nil {
		return Opened{}, err
	}
	to := c.receiveID // the same as a rule, and then it needs no string of its own
	if string(v.toUserName) != to {
		to = string(v.toUserName)
	}
	return Opened{
		Form: form, ToUserName: to, AgentID: string(v.agentID), Encrypt: v.encrypt, Plain: plain, Random: random,
	}, nil
}

// VerifyURL answers the GET check by which WeCom tries a callback URL: the result is the body to send, as it is,
// without quotes or a line end, within one second. echostr is what EchoStr returned. Errors: as Open's.
func (c *Crypt) VerifyURL(q Query, echostr string) ([]byte, error) {
	sum, err := q.check()
	if err != nil {
		return nil, err
	}
	if len(echostr) > MaxBody {
		return nil, refuse(CodeParse, ReasonOversized, "echostr is too long")
	}
	_, plain, err := c.open(sum, q, []byte(echostr))
	return plain, err
}

// open checks the signature over encrypt, which sum is said to be, and decrypts it.
func (c *Crypt) open(sum [sha1.Size]byte, q Query, encrypt []byte) (random, plain []byte, err error) {
	w := c.workers.Get().(*worker)
	defer c.workers.Put(w)
	want := w.sign(c.token, q.Timestamp, q.Nonce, encrypt)
	if subtle.ConstantTimeCompare(sum[:], want[:]) != 1 {
		return nil, nil, &Error{Code: CodeSignature, Reason: ReasonSignature}
	}
	return c.decrypt(w, encrypt)
}

// Decrypt is the message inside a ciphertext in base64, without regard to any signature.
// Errors: *Error with ReasonBase64, ReasonBlockSize, ReasonPadding, ReasonLength or ReasonReceiveID.
func (c *Crypt) Decrypt(b64 string) ([]byte, error) {
	w := c.workers.Get().(*worker)
	defer c.workers.Put(w)
	_, plain, err := c.decrypt(w, []byte(b64))
	return plain, err
}

// decrypt returns two parts of one new buffer.
func (c *Crypt) decrypt(w *worker, b64 []byte) (random, plain []byte, err error) {
	buf := make([]byte, decodedSize(len(b64)))
	n, ok := decodeBase64(buf, b64)
	if !ok {
		return nil, nil, refuse(CodeBase64Decode, ReasonBase64, "not canonical base64")
	}
	buf = buf[:n:n]
	if n == 0 || n%padSize != 0 {
		return nil, nil, refuse(CodeDecrypt, ReasonBlockSize, "the ciphertext is not whole blocks of 32 bytes")
	}
	w.decryptBlocks(c, buf)
	pad, ok := padding(buf)
	if !ok {
		return nil, nil, refuse(CodeBuffer, ReasonPadding, "the padding is not PKCS#7 to 32 bytes")
	}
	buf = buf[:n-pad]
	if len(buf) < frameHead {
		return nil, nil, refuse(CodeBuffer, ReasonLength, "the frame is shorter than its head")
	}
	rest := buf[frameHead:]
	// Compared as 64 bits, so that no length can wrap around.
	size := uint64(binary.BigEndian.Uint32(buf[16:frameHead]))
	if size > uint64(len(rest)) {
		return nil, nil, refuse(CodeBuffer, ReasonLength, "the message is longer than its frame")
	}
	if subtle.ConstantTimeCompare(rest[size:], c.receiver) != 1 {
		return nil, nil, &Error{Code: CodeReceiveID, Reason: ReasonReceiveID}
	}
	return buf[:16:16], rest[:size:size], nil
}

// worker is what opening takes beside the secrets, kept from one call to the next: a decrypter, of which each carries a
// copy of the key schedule, and room to join what is signed.
type worker struct {
	mode   cipher.BlockMode
	signed []byte
}

func (c *Crypt) newWorker() any {
	return &worker{mode: cipher.NewCBCDecrypter(c.block, c.iv[:]), signed: make([]byte, 1024)}
}

// sign is the signature as a digest.
func (w *worker) sign(token, timestamp, nonce string, encrypt []byte) [sha1.Size]byte {
	signed := w.signed
	if size := len(token) + len(timestamp) + len(nonce) + len(encrypt); size > len(signed) {
		signed = make([]byte, size) // rare, and not worth keeping
	}
	return sign(signed, token, timestamp, nonce, encrypt)
}

// decryptBlocks undoes AES-CBC in place.
func (w *worker) decryptBlocks(c *Crypt, buf []byte) {
	// What the standard library's decrypter has beside BlockMode; crypto/tls relies on it too.
	mode, ok := w.mode.(interface{ SetIV(iv []byte) })
	if !ok {
		cipher.NewCBCDecrypter(c.block, c.iv[:]).CryptBlocks(buf, buf)
		return
	}
	mode.SetIV(c.iv[:])
	w.mode.CryptBlocks(buf, buf)
}

// padding is how many of buf's last bytes are PKCS#7 padding. The work does not depend on the bytes.
func padding(buf []byte) (int, bool) {
	last := buf[len(buf)-padSize:]
	pad := int(last[padSize-1])
	wrong := 0
	for i, b := range last {
		inside := subtle.ConstantTimeLessOrEq(padSize-i, pad)
		same := subtle.ConstantTimeByteEq(b, byte(pad))
		wrong |= inside &^ same
	}
	wrong |= 1 &^ subtle.ConstantTimeLessOrEq(1, pad)
	wrong |= 1 &^ subtle.ConstantTimeLessOrEq(pad, padSize)
	return pad, wrong == 0
}
