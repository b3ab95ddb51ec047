package wire

// AuditLine is one line on AUDIT. It names, never quotes: no secret, no token text, no message text.
type AuditLine struct {
	V        int               `json:"v"`
	At       int64             `json:"at"` // Unix milliseconds
	Service  string            `json:"service"`
	Instance string            `json:"instance,omitempty"`
	Corp     string            `json:"corp"`
	App      string            `json:"app,omitempty"`
	User     string            `json:"user,omitempty"`
	What     string            `json:"what"`             // callback, step, action, question, state, push
	Ref      string            `json:"ref,omitempty"`    // message id or action id
	Verdict  string            `json:"verdict"`          // ok, refused, or the new state
	Reason   string            `json:"reason,omitempty"` // stable word, as in the metrics
	Detail   map[string]string `json:"detail,omitempty"`
}
