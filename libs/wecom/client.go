package wecom

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"palmops/libs/fault"
)

const (
	defaultBaseURL = "https://qyapi.weixin.qq.com"
	maxResponse    = 1 << 20          // bytes of an answer
	maxListing     = 16 << 20         // bytes of an answer that lists members, departments or tags
	callTimeout    = 10 * time.Second // of one HTTP exchange, when the context allows more
	uploadTimeout  = time.Minute      // of one upload, when the context allows more
	busyTries      = 3                // page 90313: errcode -1 may be tried three times
)

// ClientOptions say for which application a Client speaks.
type ClientOptions struct {
	BaseURL string // without a path; default https://qyapi.weixin.qq.com
	CorpID  string
	Secret  string
	AgentID int64
	HTTP    *http.Client     // default: one of its own; redirects are never followed, they would carry the token away
	Tokens  TokenCache       // default: in this process
	Now     func() time.Time // default time.Now
}

// Client calls the API for one application. It is safe for concurrent use.
type Client struct {
	base    string
	corpID  string
	secret  string
	agentID int64
	http    *http.Client
	uploads *http.Client // the same without its timeout, which is made for short calls
	tokens  TokenCache
	now     func() time.Time
	backoff func(try int) time.Duration

	local processTokens // stands in while tokens fails

	mu      sync.Mutex
	flight  *tokenFlight
	refused refusal
}

// NewClient makes a client. It does not connect.
func NewClient(o ClientOptions) *Client {
	c := &Client{
		base: strings.TrimRight(o.BaseURL, "/"), corpID: o.CorpID, secret: o.Secret, agentID: o.AgentID,
		http: &http.Client{}, tokens: o.Tokens, now: o.Now,
		backoff: func(try int) time.Duration { return time.Duration(try) * 150 * time.Millisecond },
	}
	if c.base == "" {
		c.base = defaultBaseURL
	}
	if c.now == nil {
		c.now = time.Now
	}
	c.local.now = c.now
	if c.tokens == nil {
		c.tokens = &c.local
	}
	if o.HTTP != nil {
		*c.http = *o.HTTP
	}
	c.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	uploads := *c.http
	uploads.Timeout = 0
	c.uploads = &uploads
	return c
}

// call is one function of the API: its path below /cgi-bin/, and what it takes. body is marshaled and posted unless nil;
// a form is posted as it is. effect says that the call does something, so that a lost answer leaves it open whether it
// was done. max is how many bytes the answer may have, maxResponse when 0.
type call struct {
	api    string
	query  url.Values
	body   any
	form   *form
	effect bool
	max    int64
}

// form is a body that is no JSON. It can be sent any number of times.
type form struct {
	contentType string
	parts       [][]byte // one after the other
}

func (f *form) open() (io.Reader, int64) {
	readers, size := make([]io.Reader, len(f.parts)), int64(0)
	for i, p := range f.parts {
		readers[i], size = bytes.NewReader(p), size+int64(len(p))
	}
	return io.MultiReader(readers...), size
}

// do makes a call with a token and decodes the answer into out. When WeCom no longer takes the token, it is fetched
// anew and the call made once more.
func (c *Client) do(ctx context.Context, k call, out any) error {
	stale := ""
	for {
		token, err := c.token(ctx, stale)
		if err != nil {
			return err
		}
		q := url.Values{"access_token": {token}}
		for key, values := range k.query {
			q[key] = values
		}
		err = c.patiently(ctx, k, q, out)
		var e *APIError
		if stale != "" || !errors.As(err, &e) || !e.tokenRejected() {
			return err
		}
		stale = token
		c.drop(ctx, token)
	}
}

// patiently makes a call, again after a pause while WeCom says that it is busy.
func (c *Client) patiently(ctx context.Context, k call, query url.Values, out any) error {
	for try := 1; ; try++ {
		err := c.exchange(ctx, k, query, out)
		var e *APIError
		if try == busyTries || !errors.As(err, &e) || e.Code != codeBusy {
			return err
		}
		pause := time.NewTimer(c.backoff(try))
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return err
		}
	}
}

// exchange is one request and its answer. No error of it holds the URL, for the URL holds the token or the secret.
func (c *Client) exchange(ctx context.Context, k call, query url.Values, out any) error {
	client, timeout := c.http, callTimeout
	if k.form != nil {
		client, timeout = c.uploads, uploadTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	// Once a connection is there, the request may be on its way, whatever becomes of the answer.
	var connected atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { connected.Store(true) },
	})
	lost := func(err error, what string) error {
		if k.effect && connected.Load() {
			return fault.Wrap(fault.Unknown, err, "wecom: "+k.api+": "+what)
		}
		return fault.Wrap(fault.Transient, err, "wecom: "+k.api+": "+what)
	}

	req, err := c.request(ctx, k, query)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return lost(withoutURL(err), "no answer")
	}
	defer func() { _ = resp.Body.Close() }() // read to its end, or not worth keeping
	limit := max(k.max, maxResponse)
	data, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	switch {
	case err != nil:
		return lost(err, "half an answer")
	// WeCom itself always says 200; anything else is from somebody in between.
	case resp.StatusCode == http.StatusTooManyRequests:
		return fault.New(fault.Transient, "wecom: %s: HTTP status %d", k.api, resp.StatusCode)
	case resp.StatusCode >= 300 && resp.StatusCode < 500:
		return fault.New(fault.Internal, "wecom: %s: HTTP status %d", k.api, resp.StatusCode)
	case resp.StatusCode != http.StatusOK:
		return lost(fmt.Errorf("HTTP status %d", resp.StatusCode), "no answer")
	case int64(len(data)) > limit:
		return unreadable(k, "the answer is too long")
	}
	var head struct {
		Code int    `json:"errcode"`
		Msg  string `json:"errmsg"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return unreadable(k, "the answer is not JSON")
	}
	if head.Code != 0 { // absent from some successes
		return &APIError{API: k.api, Code: head.Code, Msg: printable(head.Msg)}
	}
	if err := json.Unmarshal(data, out); err != nil {
		return unreadable(k, "the answer has another shape")
	}
	return nil
}

// request makes the HTTP request of a call.
func (c *Client) request(ctx context.Context, k call, query url.Values) (*http.Request, error) {
	method, contentType := http.MethodGet, ""
	var body io.Reader
	size := int64(0)
	switch {
	case k.form != nil:
		method, contentType = http.MethodPost, k.form.contentType
		body, size = k.form.open()
	case k.body != nil:
		data, err := json.Marshal(k.body)
		if err != nil {
			return nil, fault.Wrap(fault.Internal, err, "wecom: "+k.api)
		}
		method, contentType = http.MethodPost, "application/json"
		body, size = bytes.NewReader(data), int64(len(data))
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+"/cgi-bin/"+k.api+"?"+query.Encode(), body)
	if err != nil {
		return nil, fault.New(fault.Internal, "wecom: %s: the base URL is not one", k.api)
	}
	if body != nil {
		req.Header.Set("Content-Type", contentType)
		req.ContentLength = size // net/http cannot tell the length of joined readers, and WeCom takes no chunks
	}
	return req, nil
}

// unreadable is the error for an answer that came whole and says nothing: trying again would bring the same.
func unreadable(k call, what string) error {
	if k.effect {
		return fault.New(fault.Unknown, "wecom: %s: %s", k.api, what)
	}
	return fault.New(fault.Internal, "wecom: %s: %s", k.api, what)
}

// withoutURL takes the URL out of an error of net/http.
func withoutURL(err error) error {
	var e *url.Error
	if errors.As(err, &e) {
		return e.Err
	}
	return err
}
