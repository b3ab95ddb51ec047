package converse

import (
	"encoding/json"

	"palmops/libs/wire"
	"palmops/services/dialog/internal/session"
)

// record is what is stored of a message that was worked on: everything a redelivery needs to finish the rest.
type record struct {
	Reply wire.Reply `json:"reply"`
	Order *order     `json:"order,omitempty"`
	// Ordered: the order was stored on ACT. Until then the reply, which calls it accepted, is nobody's to see.
	Ordered bool `json:"ordered,omitempty"`
	// Given: a gateway said that WeCom has the reply.
	Given bool `json:"given,omitempty"`
	// Pushed: the reply was stored on OUT, so that it must not be given to WeCom as well.
	Pushed bool `json:"pushed,omitempty"`
}

// order is a confirmed intent without its token, which is made when it is sent: tokens are not kept in Redis.
type order struct {
	ID       string          `json:"id"`
	Node     string          `json:"node"`
	Zone     string          `json:"zone"`
	Pool     string          `json:"pool"`
	Action   string          `json:"action"`
	Args     json.RawMessage `json:"args"` // canonical
	Title    string          `json:"title"`
	IssuedAt int64           `json:"iat"` // Unix seconds
	Expires  int64           `json:"exp"` // Unix seconds
}

// sayable reports whether the reply may be told: it is true.
func (r *record) sayable() bool { return r.Order == nil || r.Ordered }

func (r *record) encode() []byte {
	raw, _ := json.Marshal(r) // plain fields and valid raw JSON always have a JSON form
	return raw
}

func decodeRecord(raw []byte) (*record, bool) {
	var r record
	if err := json.Unmarshal(raw, &r); err != nil {
		return nil, false
	}
	return &r, true
}

func who(in wire.Inbound) session.Who { return session.Who{Corp: in.Corp, App: in.App, User: in.User} }
