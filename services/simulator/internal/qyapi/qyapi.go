// Package qyapi is the part of WeCom's API (qyapi.weixin.qq.com/cgi-bin) that palmops calls, with WeCom's own return codes:
// access tokens, sending and updating messages, uploading files, reading the directory, and the address lists.
//
// As at WeCom, every answer but that of media/get is a 200 with errcode and errmsg, also a refusal. Sources:
// developer.work.weixin.qq.com/document/path, pages 91039 (tokens), 90236 (message/send), 94888 (update_template_card), 90253, 90254 (media),
// 90196, 90200, 90201, 90208, 95350, 90216, 90213 (directory), 92521, 92520 (addresses), 90313 (codes).
package qyapi

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"palmops/services/simulator/client"
	"palmops/services/simulator/internal/media"
	"palmops/services/simulator/internal/phone"
)

// maxBody is the largest request body, in bytes.
const maxBody = 1 << 20

// Phones show what the app sends. The implementation is *phone.Phones.
type Phones interface {
	// Push shows a text and returns its id; fault.NotFound when there is no such person.
	Push(user, msgType, text string) (msgID string, err error)
	// PushFile shows a file or, with the kind client.KindImage, an image, as Push does.
	PushFile(user, kind string, f client.File) (msgID string, err error)
	// PushCard shows a card to people, with a response code when answer is set; fault.Conflict when its task id has been used.
	PushCard(users []string, c client.Card, answer bool) (msgID, responseCode string, err error)
	// UpdateCard uses up a response code and changes the card for people, nil for all; missing are those who do not have it, in lower
	// case. fault.Expired for a bad code, fault.NotFound when nobody has the card, or the error of change.
	UpdateCard(responseCode string, users []string, change func(taskID string, c client.Card) (client.Card, error)) (missing []string, err error)
	// Delivered is told of each push for those who watch.
	Delivered(d client.Delivery)
}

// Media keeps what the app uploads. The implementation is *media.Store.
type Media interface {
	Put(kind, name string, data []byte) (media.File, error)
	Stat(id string) (media.File, bool)
	Read(id string) (name string, data []byte, err error)
}

// Options are what an API needs; all but Sent are required.
type Options struct {
	CorpID    string
	Secret    string
	AgentID   int64
	Directory *phone.Directory
	Phones    Phones
	Media     Media
	Now       func() time.Time
	Sent      string // a file that remembers messages with a duplicate check; "" keeps them in memory
}

// API answers /cgi-bin/. It is safe for concurrent use.
type API struct {
	o      Options
	tokens tokens
	sent   *sentStore
	calls  map[string]call
}

// call is one API path.
type call struct {
	method string
	do     func(*http.Request) reply
	open   bool  // needs no access token
	most   int64 // bytes of a request body; 0 means maxBody
}

// reply is the body of an answer; errcode and errmsg are added.
type reply struct {
	code   int
	msg    string // detail after the code's own text
	fields map[string]any
	file   func(http.ResponseWriter) // writes the whole answer instead
}

// New makes the API. The error is about the file Sent.
func New(o Options) (*API, error) {
	sent, err := openSent(o.Sent, o.Now)
	if err != nil {
		return nil, err
	}
	a := &API{o: o, tokens: tokens{now: o.Now}, sent: sent}
	get := func(do func(*http.Request) reply) call { return call{method: http.MethodGet, do: do} }
	post := func(do func(*http.Request) reply) call { return call{method: http.MethodPost, do: do} }
	addresses := get(func(*http.Request) reply { return ok("ip_list", []string{"127.0.0.1"}) })
	a.calls = map[string]call{
		"gettoken":                     {method: http.MethodGet, do: a.getToken, open: true},
		"message/send":                 post(a.send),
		"message/update_template_card": post(a.updateCard),
		"media/upload":                 {method: http.MethodPost, do: a.upload, most: maxFile + maxBody},
		"media/get":                    get(a.download),
		"user/get":                     get(a.user),
		"user/simplelist":              get(a.userNames),
		"user/list":                    get(a.users),
		"department/list":              get(a.departments),
		"department/simplelist":        get(a.departmentIDs),
		"tag/list":                     get(a.tags),
		"tag/get":                      get(a.tag),
		"getcallbackip":                addresses,
		"get_api_domain_ip":            addresses,
	}
	return a, nil
}

// Invalidate makes every access token invalid before its time, as WeCom may do.
func (a *API) Invalidate() { a.tokens.invalidate() }

// ServeHTTP answers one call.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	out := a.answer(w, r)
	if out.file != nil {
		out.file(w)
		return
	}
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
	r.Body = http.MaxBytesReader(w, r.Body, max(c.most, maxBody))
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
