// Package qyapi is the part of WeCom's API (qyapi.weixin.qq.com/cgi-bin) that palmops calls, with WeCom's own return codes:
// access tokens, sending messages, reading the directory, and the address lists.
//
// As at WeCom, every answer is a 200 with errcode and errmsg, also a refusal. Sources: developer.work.weixin.qq.com/document/path,
// pages 91039 (tokens), 90236 (message/send), 90196, 90208, 95350, 90216 (directory), 92521, 92520 (addresses), 90313 (codes).
package qyapi

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"palmops/services/simulator/client"
	"palmops/services/simulator/internal/phone"
)

// Return codes, page 90313. Only those that are given out here.
const (
	codeOK            = 0
	codeBusy          = -1
	codeSecret        = 40001 // wrong secret
	codeUserID        = 40003 // no user id
	codeMsgType       = 40008
	codeCorpID        = 40013
	codeToken         = 40014
	codeAgentID       = 40056
	codeParam         = 40058
	codeURL           = 40066 // no such path; the page has no code for it, this one is what WeChat's platforms answer
	codeTokenMissing  = 41001
	codeCorpIDMissing = 41002
	codeSecretMissing = 41004
	codeTokenExpired  = 42001
	codeNeedGet       = 43001
	codeNeedPost      = 43002
	codeContentEmpty  = 44004
	codeTooLong       = 45002
	codeJSON          = 47001
	codeNoUser        = 60111
	codeNoDepartment  = 60123
	codeNoReceiver    = 81013 // every receiver is unknown
	codeReceiverEmpty = 82001
	codeOtherAgent    = 301002 // the token is another app's
)

// maxBody is the largest request body, in bytes.
const maxBody = 1 << 20

// Phones show what the app sends. The implementation is *phone.Phones.
type Phones interface {
	// Push shows a message and returns its id; fault.NotFound when there is no such person.
	Push(user, msgType, text string) (msgID string, err error)
	// Delivered is told of each push for those who watch.
	Delivered(d client.Delivery)
}

// Options are what an API needs; all are required.
type Options struct {
	CorpID    string
	Secret    string
	AgentID   int64
	Directory *phone.Directory
	Phones    Phones
	Now       func() time.Time
}

// API answers /cgi-bin/. It is safe for concurrent use.
type API struct {
	o      Options
	tokens tokens
	sent   sentStore
	calls  map[string]call
}

// call is one API path.
type call struct {
	method string
	open   bool // needs no access token
	do     func(*http.Request) reply
}

// reply is the body of an answer; errcode and errmsg are added.
type reply struct {
	code   int
	msg    string // detail after the code's own text
	fields map[string]any
}

// New makes the API.
func New(o Options) *API {
	a := &API{o: o, tokens: tokens{now: o.Now}, sent: sentStore{now: o.Now, sent: map[[32]byte]sentMessage{}}}
	a.calls = map[string]call{
		"gettoken":              {http.MethodGet, true, a.getToken},
		"message/send":          {http.MethodPost, false, a.send},
		"user/get":              {http.MethodGet, false, a.user},
		"department/list":       {http.MethodGet, false, a.departments},
		"department/simplelist": {http.MethodGet, false, a.departmentIDs},
		"tag/list":              {http.MethodGet, false, func(*http.Request) reply { return ok("taglist", []any{}) }},
		"getcallbackip":         {http.MethodGet, false, func(*http.Request) reply { return ok("ip_list", []string{"127.0.0.1"}) }},
		"get_api_domain_ip":     {http.MethodGet, false, func(*http.Request) reply { return ok("ip_list", []string{"127.0.0.1"}) }},
	}
	return a
}

// Invalidate makes every access token invalid before its time, as WeCom may do.
func (a *API) Invalidate() { a.tokens.invalidate() }

// ServeHTTP answers one call.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	out := a.answer(w, r)
	if out.fields == nil {
		out.fields = map[string]any{}
	}
	out.fields["errcode"], out.fields["errmsg"] = out.code, message(out)
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	_ = json.NewEncoder(w).Encode(out.fields) // the client went away
}

func (a *API) answer(w http.ResponseWriter, r *http.Request) reply {
	c, known := a.calls[strings.TrimPrefix(r.URL.Path, "/cgi-bin/")]
	switch {
	case !known:
		return reply{code: codeURL}
	case r.Method != c.method && c.method == http.MethodGet && r.Method != http.MethodHead:
		return reply{code: codeNeedGet}
	case r.Method != c.method && c.method == http.MethodPost:
		return reply{code: codeNeedPost}
	}
	if !c.open {
		if code := a.tokens.check(r.URL.Query().Get("access_token")); code != codeOK {
			return reply{code: code}
		}
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	return c.do(r)
}

// readJSON decodes a request body; the code is that of the refusal, or codeOK. raw is the body as it came.
func readJSON(r *http.Request, out any) (raw []byte, code int) {
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
			return nil, codeTooLong
		}
		return nil, codeBusy
	}
	if err := json.Unmarshal(raw, out); err != nil {
		return nil, codeJSON
	}
	return raw, codeOK
}

func ok(name string, value any) reply { return reply{fields: map[string]any{name: value}} }

func message(r reply) string {
	text, known := messages[r.code]
	if !known {
		text = "error"
	}
	if r.msg != "" {
		text += ", " + r.msg
	}
	return text
}

// messages are the texts of the codes. Programs judge by the code; WeCom changes the texts.
var messages = map[int]string{
	codeOK:            "ok",
	codeBusy:          "system busy",
	codeSecret:        "invalid credential",
	codeUserID:        "invalid userid",
	codeMsgType:       "invalid message type",
	codeCorpID:        "invalid corpid",
	codeToken:         "invalid access_token",
	codeAgentID:       "invalid agentid",
	codeParam:         "invalid Request Parameter",
	codeURL:           "invalid url",
	codeTokenMissing:  "access_token missing",
	codeCorpIDMissing: "corpid missing",
	codeSecretMissing: "corpsecret missing",
	codeTokenExpired:  "access_token expired",
	codeNeedGet:       "require GET method",
	codeNeedPost:      "require POST method",
	codeContentEmpty:  "content empty",
	codeTooLong:       "msg content size out of limit",
	codeJSON:          "data format error",
	codeNoUser:        "userid not found",
	codeNoDepartment:  "invalid party id",
	codeNoReceiver:    "user & party & tag all invalid",
	codeReceiverEmpty: "user & party & tag all empty",
	codeOtherAgent:    "not allow to use this agentid",
}
