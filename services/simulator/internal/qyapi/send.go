package qyapi

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"palmops/libs/fault"
	"palmops/services/simulator/client"
)

// sendRequest is the body of message/send, page 90236, as far as it is understood here.
type sendRequest struct {
	ToUser   string                    `json:"touser"`
	ToParty  string                    `json:"toparty"`
	ToTag    string                    `json:"totag"`
	MsgType  string                    `json:"msgtype"`
	AgentID  json.RawMessage           `json:"agentid"` // a number; WeCom takes it in quotes as well
	Text     *struct{ Content string } `json:"text"`
	Markdown *struct{ Content string } `json:"markdown"`
	Card     *templateCard             `json:"template_card"`
	File     *mediaRef                 `json:"file"`
	Image    *mediaRef                 `json:"image"`
	Check    int                       `json:"enable_duplicate_check"`
	Interval *int                      `json:"duplicate_check_interval"` // seconds; default 1800, at most 4 h
}

// mediaRef names something that was uploaded.
type mediaRef struct {
	MediaID string `json:"media_id"`
}

const (
	defaultInterval = 1800 * time.Second
	maxInterval     = 4 * time.Hour
)

func (a *API) send(r *http.Request) reply {
	start := a.o.Now()
	var m sendRequest
	raw, code := readJSON(r, &m)
	if code != codeOK {
		return reply{code: code}
	}
	if code := a.agent(m.AgentID); code != codeOK {
		return reply{code: code}
	}
	what, refused := a.content(m)
	if refused.code != codeOK {
		return refused
	}
	interval := defaultInterval
	if m.Interval != nil {
		interval = time.Duration(*m.Interval) * time.Second
	}
	if interval <= 0 || interval > maxInterval || m.Check < 0 || m.Check > 1 {
		return reply{code: codeParam, msg: "duplicate check"}
	}
	to, out := a.receivers(m)
	if out.code != codeOK {
		return out
	}
	d := client.Delivery{Kind: client.KindPush, Bytes: len(raw), HTTP: http.StatusOK, Outcome: client.OutcomeShown, At: start}
	sent, fresh, code := a.show(raw, m.Check == 1, interval, to, what)
	if code != codeOK {
		return reply{code: code}
	}
	if !fresh {
		d.Outcome = client.OutcomeDouble
	}
	d.MsgID = sent.ID
	a.delivered(d, to)
	out.fields["msgid"] = sent.ID
	if sent.ResponseCode != "" {
		out.fields["response_code"] = sent.ResponseCode
	}
	return out
}

// agent judges the agentid of a request.
func (a *API) agent(text json.RawMessage) int {
	agent, err := strconv.ParseInt(strings.Trim(string(text), `"`), 10, 64)
	switch {
	case err != nil || agent <= 0:
		return codeAgentID
	case agent != a.o.AgentID:
		return codeOtherAgent
	}
	return codeOK
}

// delivered tells those who watch of a call that reached people. d.At is when it came.
func (a *API) delivered(d client.Delivery, to []string) {
	d.Millis = float64(a.o.Now().Sub(d.At).Microseconds()) / 1000
	for _, user := range to {
		d.User = user
		a.o.Phones.Delivered(d)
	}
}

// content is what a message shows: a text of a type, a card, or a file, which may be an image.
type content struct {
	msgType string
	text    string
	card    *client.Card
	answer  bool // the card gets a response code
	file    *client.File
}

// content is what m shows, or the refusal.
func (a *API) content(m sendRequest) (content, reply) {
	out := content{msgType: m.MsgType}
	part := m.Text
	switch m.MsgType {
	case "text":
	case "markdown":
		part = m.Markdown
	case "template_card":
		if m.Card != nil {
			m.Card.Replace = "" // only an update has it
		}
		card, refused := a.shown(m.Card)
		out.card, out.answer = &card, refused.code == codeOK && (card.CardType == cardButtons || m.Card.ActionMenu != nil)
		return out, refused
	case "file", "image":
		ref := m.File
		if m.MsgType == "image" {
			ref = m.Image
		}
		if ref == nil || ref.MediaID == "" {
			return out, reply{code: codeMediaMissing}
		}
		f, known := a.o.Media.Stat(ref.MediaID)
		if !known || f.Kind != m.MsgType {
			return out, reply{code: codeMediaID}
		}
		out.file = &client.File{Name: f.Name, Size: f.Size, MediaID: f.ID}
		return out, reply{}
	default:
		return out, reply{code: codeMsgType}
	}
	if part == nil || part.Content == "" {
		return out, reply{code: codeContentEmpty}
	}
	out.text = part.Content
	return out, reply{}
}

// show puts a message on the phones. fresh is false when the same request was shown within the interval.
func (a *API) show(raw []byte, check bool, interval time.Duration, to []string, what content) (out sentMessage, fresh bool, code int) {
	a.sent.mu.Lock()
	defer a.sent.mu.Unlock()
	key := digest(raw)
	if check {
		if old, is := a.sent.find(key); is {
			return old, false, codeOK
		}
	}
	out, err := a.push(to, what)
	if err == nil && check {
		err = a.sent.keep(key, out, interval)
	}
	switch {
	case fault.Is(err, fault.Conflict):
		return out, false, codeTaskID
	case err != nil:
		return out, false, codeBusy
	}
	return out, true, codeOK
}

// push shows something to people; the msgid is one for one call, also to several of them.
func (a *API) push(to []string, what content) (out sentMessage, err error) {
	if what.card != nil {
		out.ID, out.ResponseCode, err = a.o.Phones.PushCard(to, *what.card, what.answer)
		return out, err
	}
	for _, user := range to {
		var id string
		if what.file != nil {
			id, err = a.o.Phones.PushFile(user, what.msgType, *what.file)
		} else {
			id, err = a.o.Phones.Push(user, what.msgType, what.text)
		}
		if err != nil {
			return out, err
		}
		if out.ID == "" {
			out.ID = id
		}
	}
	return out, nil
}
