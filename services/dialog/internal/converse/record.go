package converse

import (
	"encoding/json"
	"strings"

	"palmops/libs/lang"
	"palmops/libs/wire"
	"palmops/services/dialog/internal/flow"
	"palmops/services/dialog/internal/session"
)

// record is what is stored of a message that was worked on: everything a redelivery needs to finish the rest. It is kept
// for everybody who talks: names are short.
type record struct {
	Screens []wire.Screen `json:"s,omitempty"`
	Lang    lang.Tag      `json:"l,omitempty"`
	Pressed string        `json:"p,omitempty"` // what shall stand on the card whose button was pressed
	Order   *order        `json:"o,omitempty"`

	marks string // what of it is done; stored beside it
}

// Marks of a record.
const (
	ordered = "o" // the order was stored on ACT. Until then the reply, which calls it accepted, is nobody's to see
	given   = "g" // a gateway said that WeCom has the reply
	pushed  = "p" // the reply was stored on OUT, so that it must not be given to WeCom as well
)

// order is a confirmed intent without its token, which is made when it is sent: tokens are not kept in Redis.
type order struct {
	ID       string          `json:"id"`
	Node     string          `json:"node"`
	Zone     string          `json:"zone"`
	Pool     string          `json:"pool"`
	Action   string          `json:"action"`
	Args     json.RawMessage `json:"args"` // canonical
	Title    string          `json:"title"`
	Lang     lang.Tag        `json:"lang,omitempty"`
	IssuedAt int64           `json:"iat"` // Unix seconds
	Expires  int64           `json:"exp"` // Unix seconds
	Report   bool            `json:"report,omitempty"`
	Noop     bool            `json:"noop,omitempty"`
}

func (r *record) is(mark string) bool { return strings.Contains(r.marks, mark) }

// sayable reports whether the reply may be told: it is true.
func (r *record) sayable() bool { return r.Order == nil || r.is(ordered) }

// reply is the record as the answer to its message.
func (r *record) reply(id string, w session.Who) wire.Reply {
	screens := r.Screens
	if screens == nil {
		screens = []wire.Screen{}
	}
	return wire.Reply{V: wire.Version, ID: id, Corp: w.Corp, App: w.App, User: w.User, Screens: screens, Lang: string(r.Lang)}
}

func (r *record) encode() []byte {
	raw, _ := json.Marshal(r) // plain fields and valid raw JSON always have a JSON form
	return raw
}

func decodeRecord(raw []byte, marks string) (*record, bool) {
	r := record{marks: marks}
	if err := json.Unmarshal(raw, &r); err != nil {
		return nil, false
	}
	return &r, true
}

func who(in wire.Inbound) session.Who { return session.Who{Corp: in.Corp, App: in.App, User: in.User} }

// press reports whether the message is a button that was pressed.
func press(in wire.Inbound) bool { return in.Type == "event" && in.Event == flow.EventCard }
