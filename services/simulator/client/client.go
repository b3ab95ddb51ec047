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

// Press presses a button of a card as a person, and returns as Say does. The error is fault.NotFound for an unknown person, card or
// button, fault.Conflict when the card is disabled, and otherwise as of Say.
func (c *Client) Press(ctx context.Context, r PressRequest) (SayResult, error) {
	var out SayResult
	body, err := json.Marshal(r)
	if err != nil {
		return out, fault.Wrap(fault.Invalid, err, "press")
	}
	err = c.call(ctx, http.MethodPost, "/sim/press", nil, body, &out)
	return out, err
}

// Messages returns what the app sent to a person after a sequence number, oldest first, cards as they are by now. With wait > 0
// it waits up to that long, at most MaxWait, until there is something.
func (c *Client) Messages(ctx context.Context, user string, after uint64, wait time.Duration) ([]Message, error) {
	return c.messages(ctx, url.Values{"user": {user}, "after": {strconv.FormatUint(after, 10)}}, wait)
}

// Changes is Messages with the older cards whose Updated is after the number as well.
func (c *Client) Changes(ctx context.Context, user string, after uint64, wait time.Duration) ([]Message, error) {
	return c.messages(ctx, url.Values{"user": {user}, "after": {strconv.FormatUint(after, 10)}, "changes": {"1"}}, wait)
}

func (c *Client) messages(ctx context.Context, q url.Values, wait time.Duration) ([]Message, error) {
	if wait > 0 {
		q.Set("wait", strconv.FormatFloat(min(wait, MaxWait).Seconds(), 'f', -1, 64))
	}
	var out []Message
	err := c.call(ctx, http.MethodGet, "/sim/messages", q, nil, &out)
	return out, err
}

// File returns the content of a file that the app sent. The error is fault.NotFound for one that is unknown or too old.
func (c *Client) File(ctx context.Context, mediaID string) ([]byte, error) {
	path := "/sim/files/" + url.PathEscape(mediaID)
	resp, err := c.send(ctx, http.MethodGet, path, nil, nil)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return nil, refusal(path, resp)
	}
	data, err := io.ReadAll(resp.Body)
	return data, fault.Wrap(fault.Transient, err, "simulator: "+path)
}

// Users returns the people of the simulated company.
func (c *Client) Users(ctx context.Context) ([]User, error) {
	var out []User
	err := c.call(ctx, http.MethodGet, "/sim/users", nil, nil, &out)
	return out, err
}

func (c *Client) call(ctx context.Context, method, path string, q url.Values, body []byte, out any) error {
	resp, err := c.send(ctx, method, path, q, body)
	if err != nil {
		return err
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

func (c *Client) send(ctx context.Context, method, path string, q url.Values, body []byte) (*http.Response, error) {
	address := c.base + path
	if len(q) > 0 {
		address += "?" + q.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(body))
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "simulator")
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
		return nil, fault.Wrap(kind, err, "simulator")
	}
	return resp, nil
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
	case http.StatusConflict:
		kind = fault.Conflict
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
