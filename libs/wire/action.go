package wire

import (
	"encoding/json"
	"time"
)

// Action is one order to an executor, on ACT. Token is the signed Claims; Args are the canonical arguments
// (CanonicalArgs) whose digest the claims hold.
type Action struct {
	V     int             `json:"v"`
	ID    string          `json:"id"`
	Token string          `json:"token"`
	Args  json.RawMessage `json:"args"`
}

// Claims is what a token states. An executor believes nothing else.
type Claims struct {
	V         int      `json:"v"`
	ID        string   `json:"jti"` // action id; creating its record uses the token up
	Corp      string   `json:"corp"`
	App       string   `json:"app"`
	User      string   `json:"user"`
	Zone      string   `json:"zone"`
	Pool      string   `json:"pool"`
	Action    string   `json:"action"`
	ArgsHash  string   `json:"args_sha256"` // hex SHA-256 of the canonical arguments
	Approvals []string `json:"approvals,omitempty"`
	IssuedAt  int64    `json:"iat"` // Unix seconds
	Expires   int64    `json:"exp"` // Unix seconds; at the claim it must not have passed
	Read      bool     `json:"read,omitempty"`
	Title     string   `json:"title,omitempty"` // the action in the words of the menu, for texts to the user
	Lang      string   `json:"lang,omitempty"`  // of the user: zh when empty
	// Report says that nobody confirmed this order, since it changes nothing: an executor takes it only for an action
	// whose verb is a report.
	Report bool `json:"report,omitempty"`
	// Noop asks what the action would change, and for nothing to be changed.
	Noop bool `json:"noop,omitempty"`
}

// ClockSkew is how far the clocks of a dialog and an executor may differ: for so long after an action's Expires an executor
// whose clock is late may still take it up.
const ClockSkew = 30 * time.Second

// ActionCancel is the action by which a person stops one of their own: args {"id": action id}. It needs no entry in a
// catalog. An executor cancels what belongs to the same corp, app and user and was sent to the same zone and pool.
const ActionCancel = "palmops.cancel"

// Actions and questions that every executor offers besides; they need no entry in a catalog either.
const (
	// ActionLock keeps everybody else's changes out of an environment: args env, reason, and optionally name (one of the
	// environment's named locks; "" for the whole environment) and minutes (1 to MaxLockMinutes, DefaultLockMinutes when missing). Taking
	// one's own lock again renews it.
	ActionLock = "palmops.lock"
	// ActionUnlock gives a lock back: args env, optionally name, and force (bool) for somebody else's.
	ActionUnlock = "palmops.unlock"
	// ActionLocks is the question who holds what: optional arg env. Items have the value "<env>" or "<env>/<name>".
	ActionLocks = "palmops.locks"
	// ActionSettle is a person's verdict about an action in state unknown: args id, state (succeeded or failed), reason.
	ActionSettle = "palmops.settle"
)

// Limits of a lock.
const (
	DefaultLockMinutes = 60
	MaxLockMinutes     = 24 * 60
)

// States of an action.
const (
	StatePending   = "pending" // waits for a person
	StateQueued    = "queued"
	StateClaimed   = "claimed"
	StateRunning   = "running"
	StateSucceeded = "succeeded"
	StateFailed    = "failed"
	StateCanceled  = "canceled"
	StateTimeout   = "timeout"
	StateExpired   = "expired"
	StateRejected  = "rejected"
	StateUnknown   = "unknown"
)

// Final reports whether an action in this state has ended. An unknown one has ended as far as machines can tell.
func Final(state string) bool {
	switch state {
	case StateSucceeded, StateFailed, StateCanceled, StateTimeout, StateExpired, StateRejected, StateUnknown:
		return true
	}
	return false
}

// Record is the truth about one action, in the bucket ACTIONS under the action id. Only executors write it, and
// only by compare-and-set on its revision. It holds no secret and no output over 4 KiB.
type Record struct {
	V        int             `json:"v"`
	ID       string          `json:"id"`
	State    string          `json:"state"`
	Corp     string          `json:"corp"`
	App      string          `json:"app"`
	User     string          `json:"user"`
	Zone     string          `json:"zone"`
	Pool     string          `json:"pool"`
	Action   string          `json:"action"`
	Title    string          `json:"title,omitempty"`
	Args     json.RawMessage `json:"args,omitempty"`
	ArgsHash string          `json:"args_sha256"`
	Owner    string          `json:"owner,omitempty"` // executor instance
	Attempt  int             `json:"attempt,omitempty"`
	Step     string          `json:"step,omitempty"`    // last progress line
	Summary  string          `json:"summary,omitempty"` // safe text: what happened, what did not, what to do next
	Before   json.RawMessage `json:"before,omitempty"`  // what the kind read before its effect; the probe needs it
	IssuedAt int64           `json:"iat"`               // Unix seconds
	Expires  int64           `json:"exp"`               // Unix seconds
	Created  int64           `json:"created,omitempty"` // Unix milliseconds, as all below
	Started  int64           `json:"started,omitempty"`
	Ended    int64           `json:"ended,omitempty"`
	Lang     string          `json:"lang,omitempty"` // of the user
	Beat     int64           `json:"beat,omitempty"` // counts heartbeats: observers time its change by their own clock
	Noop     bool            `json:"noop,omitempty"`
	Report   bool            `json:"report,omitempty"`
	Parent   string          `json:"parent,omitempty"` // id of the workflow whose step this is; the person hears from the workflow
	Output   *File           `json:"output,omitempty"` // all that it printed, masked, when that is in the object store
	Image    *File           `json:"image,omitempty"`  // PNG to show in the chat
}

// Event is progress or the result of an action, on RES. Its Nats-Msg-Id is <id>:<state>:<rev>.
type Event struct {
	V        int    `json:"v"`
	ID       string `json:"id"`
	Corp     string `json:"corp"`
	App      string `json:"app"`
	User     string `json:"user"`
	Action   string `json:"action"`
	Title    string `json:"title,omitempty"`
	State    string `json:"state"`
	Rev      uint64 `json:"rev"` // revision of the record, or a counter for progress
	Text     string `json:"text,omitempty"`
	Output   string `json:"output,omitempty"`
	Executor string `json:"executor,omitempty"`
	At       int64  `json:"at"` // Unix milliseconds
	Lang     string `json:"lang,omitempty"`
	Noop     bool   `json:"noop,omitempty"`
	// Whole is all that the action printed when that is longer than Output, which holds its beginning then. It lies in
	// BucketOutputs, masked, before the event is sent.
	Whole *File `json:"whole,omitempty"`
	Image *File `json:"image,omitempty"` // PNG to show in the chat, in BucketOutputs
}

// Question asks a pool for a list or for current values: an Action that changes nothing, claims.read set.
type Question = Action

// Answer is what the pool says.
type Answer struct {
	V      int               `json:"v"`
	Items  []Item            `json:"items,omitempty"`  // a list
	Fields map[string]string `json:"fields,omitempty"` // or one thing's values
	Fault  *Fault            `json:"fault,omitempty"`
	AsOf   int64             `json:"as_of,omitempty"` // Unix milliseconds
	View   *View             `json:"view,omitempty"`  // or the state of a remote node
}

// View is what a node shows that is not written in YAML but in Go or by an executor. Such a node is a function of what was
// typed since it was entered. A remote one is asked a Question whose arguments are those of its source and, besides,
// "inputs" (what was typed, accepted inputs joined by - with the escapes of a session's path; "" at first) and "lang".
type View struct {
	Title  string   `json:"title,omitempty"`
	Body   []string `json:"body,omitempty"`
	Items  []Item   `json:"items,omitempty"`  // choices by number; the chosen Value becomes the next input
	Free   bool     `json:"free,omitempty"`   // any text may be typed as well
	Refuse string   `json:"refuse,omitempty"` // the newest input is not accepted, and why; all else is ignored then
	Done   bool     `json:"done,omitempty"`   // the node has ended with Value
	Value  string   `json:"value,omitempty"`
}

// Item is one line of a list: the value an action takes, and what a person reads.
type Item struct {
	Value  string `json:"value"`
	Label  string `json:"label,omitempty"` // Value when empty
	Detail string `json:"detail,omitempty"`
}
