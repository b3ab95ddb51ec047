package wecom

import (
	"context"
	"strings"
	"time"
	"unicode/utf8"

	"palmops/libs/fault"
)

// The message types that Send knows.
const (
	TypeText     = "text"
	TypeMarkdown = "markdown"
	TypeCard     = "template_card"
	TypeFile     = "file"
	TypeImage    = "image"
)

// maxDuplicateCheck is the longest interval that WeCom takes.
const maxDuplicateCheck = 4 * time.Hour

// OutMessage is a message from the application to members (page 90236).
type OutMessage struct {
	ToUser  string // user ids, at most 1000, joined by '|'
	MsgType string // TypeText, also when empty, TypeMarkdown, which only the WeCom client shows, TypeCard, TypeFile or TypeImage
	Text    string // of a text and of markdown: 1 to MaxText bytes of UTF-8
	Card    *Card  // of a TypeCard
	MediaID string // of a TypeFile or TypeImage: what Upload returned, at most 3 days ago
	// DuplicateCheck makes WeCom swallow the same message when it is sent again within this time: whole seconds, at
	// most 4 h, 0 for never. It is what makes a second try safe after fault.Unknown.
	DuplicateCheck time.Duration
}

// SendResult is WeCom's answer to a message that at least one member gets.
type SendResult struct {
	MsgID        string
	ResponseCode string   // of an interactive card, for one UpdateCard within 72 h
	InvalidUser  []string // user ids that got nothing, in lower case
	Unlicensed   []string // user ids without a licence for the application
}

type sendRequest struct {
	ToUser         string    `json:"touser"`
	MsgType        string    `json:"msgtype"`
	AgentID        int64     `json:"agentid"`
	Text           *sendText `json:"text,omitempty"`
	Markdown       *sendText `json:"markdown,omitempty"`
	Card           *sendCard `json:"template_card,omitempty"`
	File           *sendFile `json:"file,omitempty"`
	Image          *sendFile `json:"image,omitempty"`
	DuplicateCheck int       `json:"enable_duplicate_check,omitempty"`
	Interval       int64     `json:"duplicate_check_interval,omitempty"`
}

type sendText struct {
	Content string `json:"content"`
}

type sendFile struct {
	MediaID string `json:"media_id"`
}

// Send sends a message. Errors: fault.Invalid when m breaks the limits above; *APIError when WeCom refused, with
// nothing sent; fault.Transient when the request did not leave; fault.Unknown when the answer was lost, and the message
// may have arrived.
func (c *Client) Send(ctx context.Context, m OutMessage) (SendResult, error) {
	r := sendRequest{ToUser: m.ToUser, MsgType: m.MsgType, AgentID: c.agentID}
	if err := r.fill(m); err != nil {
		return SendResult{}, err
	}
	switch {
	case m.ToUser == "" || strings.Count(m.ToUser, "|") >= 1000:
		return SendResult{}, fault.New(fault.Invalid, "wecom: a message has 1 to 1000 receivers")
	case m.DuplicateCheck < 0 || m.DuplicateCheck > maxDuplicateCheck:
		return SendResult{}, fault.New(fault.Invalid, "wecom: duplicates are found within at most %s", maxDuplicateCheck)
	case m.DuplicateCheck > 0:
		r.DuplicateCheck, r.Interval = 1, max(1, int64(m.DuplicateCheck/time.Second))
	}
	var out struct {
		MsgID        string `json:"msgid"`
		ResponseCode string `json:"response_code"`
		InvalidUser  string `json:"invaliduser"`
		Unlicensed   string `json:"unlicenseduser"`
	}
	if err := c.do(ctx, call{api: "message/send", body: r, effect: true}, &out); err != nil {
		return SendResult{}, err
	}
	return SendResult{
		MsgID: out.MsgID, ResponseCode: out.ResponseCode,
		InvalidUser: splitList(out.InvalidUser), Unlicensed: splitList(out.Unlicensed),
	}, nil
}

// fill puts the content of m into the request, and checks it.
func (r *sendRequest) fill(m OutMessage) error {
	switch m.MsgType {
	case TypeText, "":
		r.MsgType, r.Text = TypeText, &sendText{m.Text}
	case TypeMarkdown:
		r.Markdown = &sendText{m.Text}
	case TypeCard:
		card, err := m.Card.encode()
		r.Card = card
		return err
	case TypeFile, TypeImage:
		if m.MediaID == "" {
			return fault.New(fault.Invalid, "wecom: a file is sent by its media id")
		}
		media := &sendFile{m.MediaID}
		if m.MsgType == TypeImage {
			r.Image = media
		} else {
			r.File = media
		}
		return nil
	default:
		return fault.New(fault.Invalid, "wecom: messages of type %q are not sent", m.MsgType)
	}
	switch {
	case m.Text == "" || len(m.Text) > MaxText:
		return fault.New(fault.Invalid, "wecom: a text has 1 to %d bytes, not %d", MaxText, len(m.Text))
	case !utf8.ValidString(m.Text):
		return fault.New(fault.Invalid, "wecom: the text is not UTF-8")
	}
	return nil
}

// splitList takes a list apart that is joined by '|'.
func splitList(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, "|")
}
