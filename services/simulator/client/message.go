package client

import (
	"slices"
	"strings"
	"time"
)

// How a message came about (Message.Via).
const (
	ViaPassive = "passive" // the app answered the callback itself
	ViaPush    = "push"    // the app called message/send
	ViaUser    = "user"    // the person typed it; only in the event stream, never in Messages
)

// What a message is (Message.Kind).
const (
	KindText = "text" // markdown and all that is not one of the others as well
	KindCard = "card" // a template card: Card
	KindFile = "file" // a file: File
	// KindImage is a picture: File; /sim/images/MEDIA_ID shows it.
	KindImage = "image"
)

// Message is one message of a chat between a person and the app.
type Message struct {
	Seq     uint64    `json:"seq"` // rising over all people, with gaps; survives a restart
	User    string    `json:"user"`
	Via     string    `json:"via"`
	Kind    string    `json:"kind"`
	MsgType string    `json:"msgtype"` // text, markdown, template_card, file, image; other types of passive replies keep their name
	Text    string    `json:"text"`    // what the phone shows: of a text at most 2048 bytes, of a card all that can be read on it, of a file or an image its name
	At      time.Time `json:"at"`      // when it was shown
	MsgID   string    `json:"msgid"`
	ReplyTo string    `json:"reply_to,omitempty"` // passive only: the MsgID of what the person had said
	Updated uint64    `json:"updated,omitempty"`  // when it was last changed, among the numbers of Seq; 0 when never
	Card    *Card     `json:"card,omitempty"`
	File    *File     `json:"file,omitempty"`
}

// Card is a template card as the phone shows it now.
type Card struct {
	TaskID   string   `json:"task_id,omitempty"`
	CardType string   `json:"card_type"` // button_interaction, text_notice, …
	Title    string   `json:"title,omitempty"`
	Body     string   `json:"body,omitempty"`  // everything else that can be read above the buttons, in lines
	Buttons  []Button `json:"buttons"`         // in their order; never nil
	Disabled bool     `json:"disabled"`        // its buttons can no longer be pressed
	Label    string   `json:"label,omitempty"` // stands in the place of the buttons when the card is disabled
}

// Button is one button of a card.
type Button struct {
	Key  string `json:"key"`
	Text string `json:"text"`
}

// Text is all that can be read on the card, in lines.
func (c Card) Text() string {
	lines := []string{c.Title, c.Body}
	if c.Disabled {
		lines = append(lines, c.Label)
	} else {
		for _, b := range c.Buttons {
			lines = append(lines, b.Text)
		}
	}
	return strings.Join(slices.DeleteFunc(lines, func(s string) bool { return s == "" }), "\n")
}

// File is a file or an image that the app sent; Client.File has its content for three days.
type File struct {
	Name    string `json:"name"`
	Size    int64  `json:"size"` // bytes
	MediaID string `json:"media_id"`
}

// SayRequest is something a person types.
type SayRequest struct {
	User      string `json:"user"`
	Text      string `json:"text"`                // at most 64 KiB of UTF-8; WeCom's own limit is smaller
	Duplicate int    `json:"duplicate,omitempty"` // further copies sent at the same time, each in an envelope of its own; 0 to 20
	Form      string `json:"form,omitempty"`      // xml or json; empty means the configured one
}

// PressRequest is a person who presses a button of a card.
type PressRequest struct {
	User      string `json:"user"`
	TaskID    string `json:"task_id"`
	Key       string `json:"key"`
	Duplicate int    `json:"duplicate,omitempty"` // as in SayRequest
	Form      string `json:"form,omitempty"`      // as in SayRequest
}

// The outcomes of a SayRequest.
const (
	StatusAnswered = "answered" // a passive reply came: Reply
	StatusAccepted = "accepted" // an empty 200: a push may follow
	StatusFailed   = "failed"   // the first attempt failed: Error; redeliveries may follow
	StatusWaiting  = "waiting"  // an earlier message of this person is still being delivered
)

// SayResult says what became of the first delivery attempt. Redeliveries go on in the background.
type SayResult struct {
	MsgID    string `json:"msgid"` // of a press, that of the card
	Status   string `json:"status"`
	Attempts int    `json:"attempts"` // callbacks sent so far, copies included
	Reply    string `json:"reply,omitempty"`
	Error    string `json:"error,omitempty"`
}

// Department is one department of the simulated company.
type Department struct {
	ID   int64  `json:"id"`
	Name string `json:"name"`
}

// User is one person of the simulated company.
type User struct {
	User        string       `json:"user"`
	Name        string       `json:"name"`
	Position    string       `json:"position,omitempty"`
	Departments []Department `json:"departments"`
	Tags        []string     `json:"tags,omitempty"`  // names
	Plain       bool         `json:"plain,omitempty"` // the phone shows no cards
}

// What a Delivery was.
const (
	KindCallback = "callback" // an encrypted callback to the app
	KindPush     = "push"     // the app's call of message/send or message/update_template_card
)

// The outcomes of a Delivery.
const (
	OutcomeReply   = "reply"     // 200 with a passive reply
	OutcomeEmpty   = "empty"     // 200 without one
	OutcomeTimeout = "timeout"   // no answer in time
	OutcomeConnect = "connect"   // no connection, or it broke
	OutcomeStatus  = "status"    // an answer other than 200
	OutcomeReplyNG = "bad_reply" // 200 with a reply that cannot be verified or read
	OutcomeSealNG  = "unsent"    // the message could not be put into an envelope
	OutcomeShown   = "shown"     // a push that was shown
	OutcomeUpdated = "updated"   // a card that was shown before was changed
	OutcomeDouble  = "duplicate" // a push not shown again, by its duplicate check
)

// Delivery is one thing that went over the wire, for those who watch.
type Delivery struct {
	Kind       string    `json:"kind"`
	User       string    `json:"user"`
	MsgID      string    `json:"msgid"`
	Attempt    int       `json:"attempt,omitempty"` // from 1
	Limit      int       `json:"limit,omitempty"`   // attempts at most
	Copy       int       `json:"copy,omitempty"`    // from 1 for the copies of SayRequest.Duplicate
	Form       string    `json:"form,omitempty"`    // xml or json
	Bytes      int       `json:"bytes"`             // of the request body
	ReplyBytes int       `json:"reply_bytes,omitempty"`
	HTTP       int       `json:"http,omitempty"` // status, 0 when none came
	Outcome    string    `json:"outcome"`
	Error      string    `json:"error,omitempty"`
	At         time.Time `json:"at"` // when it was sent
	Millis     float64   `json:"ms"` // until its end
}
