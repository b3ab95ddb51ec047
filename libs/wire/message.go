package wire

// Inbound is one decrypted message or event from a person, as the gateway publishes it on IN.
type Inbound struct {
	V int `json:"v"`
	// ID names the message in every envelope and after every restart: MessageID of what WeCom sent.
	// It is the Nats-Msg-Id, and actions and replies derive theirs from it.
	ID      string `json:"id"`
	Corp    string `json:"corp"`
	App     string `json:"app"`
	AgentID int64  `json:"agent_id,omitempty"`
	User    string `json:"user"` // lower case
	Type    string `json:"type"` // WeCom's MsgType: text, event, image…
	Text    string `json:"text,omitempty"`
	MsgID   string `json:"msg_id,omitempty"`

	Event        string `json:"event,omitempty"`
	EventKey     string `json:"event_key,omitempty"`
	TaskID       string `json:"task_id,omitempty"`
	ResponseCode string `json:"response_code,omitempty"`

	SentAt     int64 `json:"sent_at"`     // WeCom's CreateTime, Unix seconds
	ReceivedAt int64 `json:"received_at"` // gateway's clock, Unix milliseconds
	ReplyBy    int64 `json:"reply_by"`    // until then the gateway can still answer passively, Unix milliseconds

	// Envelope is the fingerprint of the delivery that was accepted: SHA-256 over the ciphertext, then timestamp
	// and nonce. A later delivery with the same ciphertext and another timestamp or nonce is an exchanged one.
	Envelope EnvelopeMark `json:"envelope,omitzero"`
}

// EnvelopeMark is what a gateway needs to tell a redelivery from a tampered replay.
type EnvelopeMark struct {
	Digest    string `json:"digest,omitempty"` // hex SHA-256 of the Encrypt text
	Timestamp string `json:"timestamp,omitempty"`
	Nonce     string `json:"nonce,omitempty"`
}

// Kinds of screens.
const (
	ScreenMenu     = "menu"     // numbered choices
	ScreenInput    = "input"    // a value is asked for
	ScreenConfirm  = "confirm"  // the last question before an action
	ScreenNotice   = "notice"   // a statement, nothing is asked
	ScreenAccepted = "accepted" // an action was queued
	ScreenProgress = "progress" // an action goes on
	ScreenResult   = "result"   // an action ended
)

// Screen is what a person shall see, with no knowledge of message types or byte limits: the gateway renders it.
type Screen struct {
	Kind    string   `json:"kind"`
	Title   string   `json:"title,omitempty"`
	Note    string   `json:"note,omitempty"` // one line shown first: why this screen comes (again)
	Body    []string `json:"body,omitempty"` // lines
	Choices []Choice `json:"choices,omitempty"`
	Page    int      `json:"page,omitempty"` // from 1; 0 when there is only one
	Pages   int      `json:"pages,omitempty"`
	Keys    string   `json:"keys,omitempty"` // last line: the keys that work here
	// Card is the task id under which this screen may go out as a template card with its choices as buttons; "" for text
	// only. A press on a button is the event template_card_event with this TaskID and the choice's key as EventKey.
	Card string `json:"card,omitempty"`
}

// Choice is one numbered line.
type Choice struct {
	Key    string `json:"key"`
	Label  string `json:"label"`
	Detail string `json:"detail,omitempty"`
}

// Reply is dialog's answer to one inbound message.
type Reply struct {
	V       int      `json:"v"`
	ID      string   `json:"id"` // of the inbound message
	Corp    string   `json:"corp"`
	App     string   `json:"app"`
	User    string   `json:"user"`
	Screens []Screen `json:"screens"`
	// By is until when dialog waits to hear that WeCom has the reply, Unix milliseconds; 0 in what is kept. After it dialog
	// pushes, so that a gateway which sees the reply later must not give it to WeCom as well.
	By   int64  `json:"by,omitempty"`
	Lang string `json:"lang,omitempty"` // of the person: zh when empty
}

// ReplyTaken is a gateway's answer to a Reply: whether WeCom has it, or is being given it, as the passive reply.
// When nobody says Passive, dialog publishes the reply on OUT.
type ReplyTaken struct {
	V       int  `json:"v"`
	Passive bool `json:"passive"`
}

// SaidQuery asks dialog for the reply to a message that was delivered again.
type SaidQuery struct {
	V    int    `json:"v"`
	ID   string `json:"id"`
	Corp string `json:"corp"`
	App  string `json:"app"`
	User string `json:"user"`
}

// Said is the answer: the reply when there is one. Without one the message is still being worked on, or was
// answered longer ago than replies are kept. Pushed says that the person has the reply, or will have it, by push,
// so that giving it to WeCom as well would show it twice.
type Said struct {
	V      int    `json:"v"`
	Reply  *Reply `json:"reply,omitempty"`
	Pushed bool   `json:"pushed,omitempty"`
}

// Outbound is a message to push to a person, on OUT. ID is its Nats-Msg-Id.
type Outbound struct {
	V       int      `json:"v"`
	ID      string   `json:"id"`
	Corp    string   `json:"corp"`
	App     string   `json:"app"`
	User    string   `json:"user"`
	Screens []Screen `json:"screens"`
	// InReplyTo, SaidText and SentAt are set on a reply that came too late for the passive answer, so that the
	// person can tell which of their messages it answers.
	InReplyTo string `json:"in_reply_to,omitempty"`
	SaidText  string `json:"said_text,omitempty"`
	SentAt    int64  `json:"sent_at,omitempty"` // Unix seconds
	// Card is a card that was pressed and shall not be pressed again; it is updated before the screens are sent.
	Card *CardUpdate `json:"card,omitempty"`
	// File is sent after the screens.
	File *File `json:"file,omitempty"`
	// Image, a PNG of at most MaxImage bytes, is shown before the screens.
	Image *File  `json:"image,omitempty"`
	Lang  string `json:"lang,omitempty"` // of the person: zh when empty
}

// CardUpdate makes the buttons of a pressed card dead.
type CardUpdate struct {
	ResponseCode string `json:"response_code"` // of the press; good for one update
	Label        string `json:"label"`         // what stands on the button from then on
}

// MaxImage is how large an image may be that WeCom shows in the chat: 10 MB.
const MaxImage = 10 << 20

// File is a file to send: Object is its name in the object store BucketOutputs.
type File struct {
	Object string `json:"object"`
	Name   string `json:"name"` // as the person sees it
	Size   int64  `json:"size"` // bytes
}

// PersonQuery asks the gateway's directory for a member, answered with a Person; or with List set for a list of the
// directory, answered with an Answer.
type PersonQuery struct {
	V    int    `json:"v"`
	User string `json:"user"`
	List string `json:"list,omitempty"` // ListMembers or ListDepartments
	In   int64  `json:"in,omitempty"`   // department, with all below it; 0 for all
}

// Lists of the directory. A member's Value is the user id, Label the name; a department's Value is its id in decimal.
const (
	ListMembers     = "members"
	ListDepartments = "departments"
)

// Person is a member of the corp as its directory knows them. Found is false for a stranger; Fault says why the
// directory could not be asked.
type Person struct {
	V           int     `json:"v"`
	User        string  `json:"user"` // lower case
	Found       bool    `json:"found"`
	Name        string  `json:"name,omitempty"`
	Departments []int64 `json:"departments,omitempty"` // own departments and all above them
	Tags        []int64 `json:"tags,omitempty"`
	Active      bool    `json:"active"`
	Fault       *Fault  `json:"fault,omitempty"`
}

// Fault is an error on the wire: a kind of libs/fault by name and a sentence that a user may read.
type Fault struct {
	Kind string `json:"kind"`
	Text string `json:"text,omitempty"`
}
