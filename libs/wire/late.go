package wire

import "strings"

// saidMost is how much of a message is repeated to say which one a late reply belongs to, in characters.
const saidMost = 20

// LateReply is the push of a reply that was not given to WeCom directly. Whoever makes it, dialog or a gateway, it has the
// same id, so that it is stored once.
func LateReply(in Inbound, r Reply) Outbound {
	said := strings.Join(strings.Fields(in.Text), " ")
	if runes := []rune(said); len(runes) > saidMost {
		said = string(runes[:saidMost]) + "…"
	}
	return Outbound{
		V: Version, ID: in.ID + ":reply", Corp: in.Corp, App: in.App, User: in.User, Screens: r.Screens,
		InReplyTo: in.ID, SaidText: said, SentAt: in.SentAt, Lang: r.Lang,
	}
}
