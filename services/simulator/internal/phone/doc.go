// Package phone is the phones of the simulated company and the part of WeCom between them and the app: who the people are,
// what was said and shown, and the sender that carries what a person types or presses to the app's callback address.
//
// The sender does what WeCom does (developer.work.weixin.qq.com/document/path, pages 90930 and 90238): an attempt has 5 s, and one
// that got no answer, or an answer other than 200, is followed by up to three more. Each attempt is encrypted anew, with
// another nonce and the timestamp of its own; MsgId and CreateTime stay. An answer with an encrypted reply is verified
// as WeCom verifies it, and shown once however many attempts were answered.
//
// A template card that the app sends is shown with its buttons, and a press on one of them is carried like a message, as the event
// template_card_event with a fresh response code. The app uses that code, or the one it got when it sent the card, for one update of the card
// within 72 h (page 94888).
//
// Messages of one person are carried one after the other, and those of different people side by side. What was said and shown
// is kept in a file and survives a restart; deliveries under way do not.
package phone
