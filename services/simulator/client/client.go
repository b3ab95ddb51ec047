// Package client is how other programs use the simulator: the JSON forms of its /sim interface, an HTTP client for
// them, and a terminal in which one person of the simulated company chats with the app.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"palmops/libs/fault"
)

// How a message came about (Message.Via).
const (
	ViaPassive = "passive" // the app answered the callback itself
	ViaPush    = "push"    // the app called message/send
	ViaUser    = "user"    // the person typed it; only in the event stream, never in Messages
)

// Message is one message of a chat between a person and the app.
type Message struct {
	Seq     uint64    `json:"seq"` // rising over all people, with gaps; survives a restart
	User    string    `json:"user"`
	Via     string    `json:"via"`
	MsgType string    `json:"msgtype"` // text or markdown; other types of passive replies keep their name
	Text    string    `json:"text"`    // what the phone shows: at most 2048 bytes of it when it came from the app
	At      time.Time `json:"at"`      // when it was shown
	MsgID   string    `json:"msgid"`
	ReplyTo string    `json:"reply_to,omitempty"` // passive only: the MsgID of what the person had said
}

// SayRequest is something a person types.
type SayRequest struct {
	User      string `json:"user"`
	Text      string `json:"text"`                // at most 64 KiB of UTF-8; WeCom's own limit is smaller
	Duplicate int    `json:"duplicate,omitempty"` // further copies sent at the same time, each in an envelope of its own; 0 to 20
	Form      string `json:"form,omitempty"`      // xml or json; empty means the configured one
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
	MsgID    string `json:"msgid"`
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
}

// What a Delivery was.
const (
	KindCallback = "callback" // an encrypted callback to the app
	KindPush     = "push"     // the app's call of message/send
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

// MaxWait is the longest a Messages call may wait for something new.
const MaxWait = 30 * time.Second

// Client talks to one simulator. It is safe for concurrent use.
type Client struct {
	base string
	http *http.Client
}

// New makes a client for the simulator at base, for example http://127.0.0.1:8090. A nil hc is a client of its own
// that uses no proxy: the simulator is near.
func New(base string, hc *http.Client) *Client {
	if hc == nil {
		hc = &http.Client{Transport: &http.Transport{Proxy: nil, IdleConnTimeout: 30 * time.Second}}
	}
	return &Client{base: strings.TrimRight(base, "/"), http: hc}
}

// Close gives up idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Say types a text as a person. It returns once the first delivery attempt has ended, after about 5 s at the latest.
// The error is fault.NotFound for an unknown person, fault.Invalid for a bad request, fault.Transient when the simulator
// is busy, and fault.Unknown when it did not answer.
func (c *Client) Say(ctx context.Context, r SayRequest) (SayResult, error) {
	var out SayResult
	body, err := json.Marshal(r)
	if err != nil {
		return out, fault.Wrap(fault.Invalid, err, "say")
	}
	err = c.call(ctx, http.MethodPost, "/sim/say", nil, body, &out)
	return out, err
}

// Messages returns what the app sent to a person after a sequence number, oldest first. With wait > 0 it waits up to
// that long, at most MaxWait, until there is something.
func (c *Client) Messages(ctx context.Context, user string, after uint64, wait time.Duration) ([]Message, error) {
	q := url.Values{"user": {user}, "after": {strconv.FormatUint(after, 10)}}
	if wait > 0 {
		q.Set("wait", strconv.FormatFloat(min(wait, MaxWait).Seconds(), 'f', -1, 64))
	}
	var out []Message
	err := c.call(ctx, http.MethodGet, "/sim/messages", q, nil, &out)
	return out, err
}

// Users returns the people of the simulated company.
func (c *Client) Users(ctx context.Context) ([]User, error) {
	var out []User
	err := c.call(ctx, http.MethodGet, "/sim/users", nil, nil, &out)
	return out, err
}

func (c *Client) call(ctx context.Context, method, path string, q url.Values, body []byte, out any) error {
	address := c.base + path
	if len(q) > 0 {
		address += "?" + q.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(body))
	if err != nil {
		return fault.Wrap(fault.Invalid, err, "simulator")
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		kind := fault.Unknown
		if method == http.MethodGet {
			kind = fault.Transient
		}
		return fault.Wrap(kind, err, "simulator")
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return refusal(path, resp)
	}
	if err := json.NewDecoder(resp.Body).Decode(out); err != nil {
		return fault.Wrap(fault.Unknown, err, "simulator: answer of "+path)
	}
	return nil
}

// refusal turns an answer other than 200 into an error; the body is {"error": "…"}.
func refusal(path string, resp *http.Response) error {
	kind := fault.Internal
	switch resp.StatusCode {
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge:
		kind = fault.Invalid
	case http.StatusForbidden:
		kind = fault.Denied
	case http.StatusNotFound:
		kind = fault.NotFound
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		kind = fault.Transient
	}
	var body struct {
		Error string `json:"error"`
	}
	text := resp.Status
	if data, err := io.ReadAll(io.LimitReader(resp.Body, 4<<10)); err == nil && json.Unmarshal(data, &body) == nil && body.Error != "" {
		text = body.Error
	}
	return fault.WithText(fault.New(kind, "simulator: %s: %s", path, text), text)
}

// name is how a person appears in front of a line in a terminal.
func (u User) name() string {
	if u.Name == "" {
		return u.User
	}
	return fmt.Sprintf("%s（%s）", u.Name, u.User)
}
