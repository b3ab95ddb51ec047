package qyapi

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"palmops/services/simulator/client"
	"palmops/services/simulator/internal/phone"
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
	Check    int                       `json:"enable_duplicate_check"`
	Interval *int                      `json:"duplicate_check_interval"` // seconds; default 1800, at most 4 h
}

const (
	maxUsers        = 1000
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
	agent, err := strconv.ParseInt(strings.Trim(string(m.AgentID), `"`), 10, 64)
	switch {
	case err != nil || agent <= 0:
		return reply{code: codeAgentID}
	case agent != a.o.AgentID:
		return reply{code: codeOtherAgent}
	}
	content, code := m.content()
	if code != codeOK {
		return reply{code: code}
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
	id, fresh, code := a.show(raw, m.Check == 1, interval, to, m.MsgType, content)
	if code != codeOK {
		return reply{code: code}
	}
	if !fresh {
		d.Outcome = client.OutcomeDouble
	}
	d.MsgID, d.Millis = id, float64(a.o.Now().Sub(start).Microseconds())/1000
	for _, user := range to {
		d.User = user
		a.o.Phones.Delivered(d)
	}
	out.fields["msgid"] = id
	return out
}

// content is the text of the message, or the code of the refusal.
func (m sendRequest) content() (string, int) {
	part := m.Text
	switch m.MsgType {
	case "text":
	case "markdown":
		part = m.Markdown
	default:
		return "", codeMsgType
	}
	if part == nil || part.Content == "" {
		return "", codeContentEmpty
	}
	return part.Content, codeOK
}

// receivers are the people that a message is for, each once, in a reply that names the others.
// A reply with a code is the refusal.
func (a *API) receivers(m sendRequest) ([]string, reply) {
	if m.ToUser == "" && m.ToParty == "" && m.ToTag == "" {
		return nil, reply{code: codeReceiverEmpty}
	}
	var to, badUsers, badParties []string
	add := func(p phone.Person) {
		if !slices.Contains(to, p.User) {
			to = append(to, p.User)
		}
	}
	people := a.o.Directory.People()
	if m.ToUser == "@all" {
		for _, p := range people {
			add(p)
		}
		m.ToParty, m.ToTag = "", "" // ignored with @all
	} else {
		names := split(m.ToUser)
		if len(names) > maxUsers {
			return nil, reply{code: codeParam, msg: fmt.Sprintf("more than %d users", maxUsers)}
		}
		for _, name := range names {
			if p, known := a.o.Directory.Person(name); known {
				add(p)
			} else {
				badUsers = append(badUsers, strings.ToLower(name))
			}
		}
	}
	for _, text := range split(m.ToParty) {
		id, err := strconv.ParseInt(text, 10, 64)
		if _, known := a.o.Directory.Department(id); err != nil || !known {
			badParties = append(badParties, text)
			continue
		}
		for _, d := range a.o.Directory.Under(id) {
			for _, p := range people {
				if slices.Contains(p.Departments, d.ID) {
					add(p)
				}
			}
		}
	}
	out := reply{fields: map[string]any{
		"invaliduser": strings.Join(badUsers, "|"), "invalidparty": strings.Join(badParties, "|"), "invalidtag": m.ToTag, "unlicenseduser": "",
	}}
	if len(to) == 0 {
		out.code = codeNoReceiver
	}
	return to, out
}

func split(list string) []string {
	return slices.DeleteFunc(strings.Split(list, "|"), func(s string) bool { return s == "" })
}

// sentMessage is a message that was shown, and how long the same request is not shown again.
type sentMessage struct {
	id  string
	end time.Time
}

// sentStore remembers requests with a duplicate check. One lock over the whole of a send, so that two equal requests at the
// same time are one message.
type sentStore struct {
	now func() time.Time

	mu    sync.Mutex
	sent  map[[32]byte]sentMessage
	prune time.Time // when ended ones are next thrown out
}

// show puts a message on the phones. fresh is false when the same request was shown within the interval.
func (a *API) show(raw []byte, check bool, interval time.Duration, to []string, msgType, content string) (id string, fresh bool, code int) {
	s := &a.sent
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	key := digest(raw)
	if check {
		if now.After(s.prune) {
			maps.DeleteFunc(s.sent, func(_ [32]byte, old sentMessage) bool { return !now.Before(old.end) })
			s.prune = now.Add(10 * time.Second)
		}
		if old, is := s.sent[key]; is && now.Before(old.end) {
			return old.id, false, codeOK
		}
	}
	for _, user := range to {
		msgID, err := a.o.Phones.Push(user, msgType, content)
		if err != nil {
			return "", false, codeBusy
		}
		if id == "" {
			id = msgID // one msgid for one call, also to several people
		}
	}
	if check {
		s.sent[key] = sentMessage{id: id, end: now.Add(interval)}
	}
	return id, true, codeOK
}

// digest identifies a request; white space between its tokens does not count.
func digest(raw []byte) [32]byte {
	var b bytes.Buffer
	if json.Compact(&b, raw) != nil {
		return sha256.Sum256(raw)
	}
	return sha256.Sum256(b.Bytes())
}
