// Package callback is the door that WeCom knocks on: it turns a posted callback into a message on IN, and the reply
// to it into the answer of the same HTTP request where that comes in time.
//
// What is checked, in this order, and what a failure answers:
//
//	path and app 404 · method 405 · address of the peer 403 · callbacks in work 503 · query 400 · size 413 ·
//	envelope 400 · signature 403 · base64, padding and lengths 400 · receiver 403 · time of the query 403 ·
//	message 400 · corp and agent inside it 403 · sender 400 · time of the message 403
//
// Nothing of the content is looked at before its signature holds, and nothing that the signature does not cover is
// believed. The time inside the message counts besides the query's, because timestamp and nonce of the query can be
// exchanged without breaking the signature. A refusal has a fixed short body, is counted, leaves one log line and one
// line on AUDIT, and puts nothing on IN.
//
// A callback may come any number of times, to any gateway: its content names the message (wire.MessageID), the stream
// stores it once, and every delivery is answered with the same reply. A delivery whose signature is that of an earlier
// one although its timestamp or nonce is another is no redelivery but an exchanged one, and refused.
//
// To some events, a press on a card's button above all, WeCom takes no reply in words. Such a message is put on IN and
// answered with nothing at once; no gateway listens for the reply, which tells dialog to push it.
//
// An answer leaves within 4.5 s of the receipt whatever is down; when there is no reply by then, it says truthfully
// whether the message was accepted.
package callback
