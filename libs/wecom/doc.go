// Package wecom speaks the protocol of WeCom (企业微信) applications, in both directions:
// callbacks that WeCom posts to us, and calls that we make to its API.
//
// # Callbacks
//
// A [Crypt] holds the three secrets of one application. Its Open takes a posted callback apart in a fixed
// order, and nothing of a later step is looked at before the earlier one holds:
//
//  1. the envelope, by a strict scanner with a cap of [MaxBody] bytes;
//  2. the signature, in constant time;
//  3. standard base64 in its canonical spelling, AES-256-CBC, PKCS#7 padding to 32 bytes, frame lengths;
//  4. the receiver's id, which is the corp id for an application and empty for an AI bot.
//
// What comes out is read with [ParseMessage], an answer is written with [TextReply] and sealed with Crypt.Reply.
// SealCallback, SealEcho, OpenReply, [MarshalMessage] and [ParseReply] are WeCom's own side, for simulators and tests.
//
// Both envelopes exist: XML, which applications get, and JSON, which AI bots get ([Form]).
// A reply is written in the form the question had.
//
// Two things are the caller's to know. The signature covers the token, the timestamp, the nonce and the ciphertext
// as a sorted set, so that timestamp and nonce can be exchanged without breaking it: freshness needs the CreateTime
// of the message as well, and a store against replays must be keyed on the content, never on timestamp and nonce.
// And it does not cover ToUserName and AgentID of the envelope: only those inside the message may be trusted.
//
// Every refusal is an [*Error] with the return code of WeCom's own crypto library and a word for metrics.
//
// # API
//
// A [Client] sends messages, cards with buttons and files, and reads the directory, for one application. It keeps the
// access token, fetches it once however many callers wait, replaces it once when WeCom no longer takes it, and sorts
// failures into the kinds of package fault: a refusal by WeCom is an [*APIError], and a request whose answer was lost is
// fault.Unknown, never a failure that invites a second try. Uploads are the exception: a second one is no harm.
//
// Sources: developer.work.weixin.qq.com/document/path, pages 90930, 90238, 90968 (callbacks), 90239, 90240, 90241
// (messages, events, replies), 90307 (codes), 101033 (AI bot), 91039, 90236, 94888, 90253, 90313 (API),
// 90196, 90200, 90208, 95350, 90213, 90216 (directory).
package wecom

// Limits of the protocol, in bytes.
const (
	MaxBody = 64 << 10 // a callback body, and a message inside one; ours, WeCom names none
	MaxText = 2048     // the content of a text or markdown message and of a text reply; WeCom cuts what is beyond
)

// Form is the notation of an envelope and of the message inside it.
type Form int

// The two forms. A callback's first byte that is not white space decides: '<' or '{'.
const (
	FormXML Form = iota
	FormJSON
)

// String is the form's name in lower case.
func (f Form) String() string {
	if f == FormJSON {
		return "json"
	}
	return "xml"
}
