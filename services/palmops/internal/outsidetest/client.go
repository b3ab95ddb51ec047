// Package outsidetest is WeCom as seen from outside, for tests. It knows the callback URL and the credentials of a
// wecom.env, and shares no code with the services: what it does is written down in WeCom's pages 90930, 90968 and 90238.
package outsidetest

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// Client posts encrypted callbacks and reads the passive replies. It is safe for concurrent use.
type Client struct {
	t        testing.TB
	callback string
	corp     string
	agent    string
	token    string
	key      []byte
	msgID    atomic.Int64
	http     *http.Client
}

// New reads the credentials; callback is the app's callback URL.
func New(t testing.TB, callback, env string) *Client {
	t.Helper()
	data, err := os.ReadFile(env)
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]string{}
	for _, line := range strings.Split(string(data), "\n") {
		if k, v, ok := strings.Cut(line, "="); ok && !strings.HasPrefix(line, "#") {
			values[k] = v
		}
	}
	key, err := base64.StdEncoding.DecodeString(values["WECOM_ENCODING_AES_KEY"] + "=")
	if err != nil {
		t.Fatal(err)
	}
	c := &Client{
		t: t, callback: callback, corp: values["WECOM_CORP_ID"], agent: values["WECOM_AGENT_ID"], token: values["WECOM_TOKEN"], key: key,
		http: &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 64}},
	}
	c.msgID.Store(time.Now().UnixNano())
	return c
}

// Sign is the signature over the parts and the token.
func (c *Client) Sign(parts ...string) string {
	parts = append(parts, c.token)
	slices.Sort(parts)
	sum := sha1.Sum([]byte(strings.Join(parts, "")))
	return hex.EncodeToString(sum[:])
}

// Encrypt is the ciphertext of a frame for the corp.
func (c *Client) Encrypt(plain string) string {
	frame := make([]byte, 20)
	_, _ = rand.Read(frame[:16])
	binary.BigEndian.PutUint32(frame[16:], uint32(len(plain)))
	frame = append(append(frame, plain...), c.corp...)
	pad := 32 - len(frame)%32
	frame = append(frame, bytes.Repeat([]byte{byte(pad)}, pad)...)
	block, err := aes.NewCipher(c.key)
	if err != nil {
		c.t.Fatal(err)
	}
	cipher.NewCBCEncrypter(block, c.key[:16]).CryptBlocks(frame, frame)
	return base64.StdEncoding.EncodeToString(frame)
}

func (c *Client) decrypt(text string) (string, error) {
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(raw) == 0 || len(raw)%16 != 0 {
		return "", fmt.Errorf("not a ciphertext of %d bytes (%w)", len(raw), err)
	}
	block, err := aes.NewCipher(c.key)
	if err != nil {
		return "", err
	}
	cipher.NewCBCDecrypter(block, c.key[:16]).CryptBlocks(raw, raw)
	raw = raw[:len(raw)-int(raw[len(raw)-1])]
	n := binary.BigEndian.Uint32(raw[16:20])
	if from := string(raw[20+n:]); from != c.corp {
		return "", fmt.Errorf("receiveid %q", from)
	}
	return string(raw[20 : 20+n]), nil
}

// Typed is a text message as WeCom writes it, and its id.
func (c *Client) Typed(user, text string) (plain, id string) {
	id = strconv.FormatInt(c.msgID.Add(1), 10)
	var esc bytes.Buffer
	_ = xml.EscapeText(&esc, []byte(text))
	return fmt.Sprintf("<xml><ToUserName><![CDATA[%s]]></ToUserName><FromUserName><![CDATA[%s]]></FromUserName><CreateTime>%d</CreateTime><MsgType><![CDATA[text]]></MsgType><Content>%s</Content><MsgId>%s</MsgId><AgentID>%s</AgentID></xml>",
		c.corp, user, time.Now().Unix(), esc.String(), id, c.agent), id
}

// Post delivers a decrypted message in a new envelope and returns the passive reply's text, "" for an empty answer.
func (c *Client) Post(ctx context.Context, plain string) (string, error) {
	stamp, nonce, enc := strconv.FormatInt(time.Now().Unix(), 10), rand.Text()[:10], c.Encrypt(plain)
	body := fmt.Sprintf("<xml><ToUserName><![CDATA[%s]]></ToUserName><AgentID><![CDATA[%s]]></AgentID><Encrypt><![CDATA[%s]]></Encrypt></xml>", c.corp, c.agent, enc)
	return c.postRaw(ctx, url.Values{"msg_signature": {c.Sign(stamp, nonce, enc)}, "timestamp": {stamp}, "nonce": {nonce}}, body)
}

func (c *Client) postRaw(ctx context.Context, query url.Values, body string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.callback+"?"+query.Encode(), strings.NewReader(body))
	if err != nil {
		return "", err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return "", err
	}
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("status %d", resp.StatusCode)
	}
	if len(data) == 0 {
		return "", nil
	}
	var envelope struct {
		Encrypt, MsgSignature, TimeStamp, Nonce string
	}
	if err := xml.Unmarshal(data, &envelope); err != nil {
		return "", err
	}
	if c.Sign(envelope.TimeStamp, envelope.Nonce, envelope.Encrypt) != envelope.MsgSignature {
		return "", fmt.Errorf("the reply's signature is wrong")
	}
	inner, err := c.decrypt(envelope.Encrypt)
	if err != nil {
		return "", err
	}
	var reply struct{ ToUserName, FromUserName, MsgType, Content string }
	if err := xml.Unmarshal([]byte(inner), &reply); err != nil {
		return "", err
	}
	if reply.FromUserName != c.corp || reply.MsgType != "text" {
		return "", fmt.Errorf("reply from %q of type %q", reply.FromUserName, reply.MsgType)
	}
	return reply.Content, nil
}

// Say is a new message that must be answered at once.
func (c *Client) Say(ctx context.Context, user, text string) string {
	c.t.Helper()
	plain, _ := c.Typed(user, text)
	reply, err := c.Post(ctx, plain)
	if err != nil {
		c.t.Fatalf("%s says %q: %v", user, text, err)
	}
	return reply
}

// Check makes the GET check of the callback URL and returns the status and the answer.
func (c *Client) Check(ctx context.Context, msg string) (status int, answer string, err error) {
	stamp, nonce, echo := strconv.FormatInt(time.Now().Unix(), 10), rand.Text()[:10], c.Encrypt(msg)
	query := url.Values{"msg_signature": {c.Sign(stamp, nonce, echo)}, "timestamp": {stamp}, "nonce": {nonce}, "echostr": {echo}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.callback+"?"+query.Encode(), nil)
	if err != nil {
		return 0, "", err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(body), err
}

// Close gives up idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }
