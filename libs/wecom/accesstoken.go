package wecom

import (
	"context"
	"errors"
	"net/url"
	"sync"
	"time"

	"palmops/libs/fault"
)

// TokenCache keeps the access token of one application; processes may share one, since WeCom hands all of them the
// same token. An error of a method is not fatal: the client goes on with a token that it keeps itself.
type TokenCache interface {
	// Get returns the token while it is good.
	Get(ctx context.Context) (token string, ok bool, err error)
	// Put keeps a token for ttl.
	Put(ctx context.Context, token string, ttl time.Duration) error
	// Drop forgets the token if it is still this one: another caller may have replaced it.
	Drop(ctx context.Context, token string) error
}

var _ TokenCache = (*processTokens)(nil)

// processTokens keeps the token in this process.
type processTokens struct {
	now   func() time.Time
	mu    sync.Mutex
	value string
	until time.Time
}

func (p *processTokens) Get(context.Context) (string, bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.value == "" || !p.now().Before(p.until) {
		return "", false, nil
	}
	return p.value, true, nil
}

func (p *processTokens) Put(_ context.Context, token string, ttl time.Duration) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.value, p.until = token, p.now().Add(ttl)
	return nil
}

func (p *processTokens) Drop(_ context.Context, token string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.value == token {
		p.value = ""
	}
	return nil
}

// cached is the token that is at hand, unless it is stale.
func (c *Client) cached(ctx context.Context, stale string) (string, bool) {
	token, ok, err := c.tokens.Get(ctx)
	if err != nil {
		token, ok, _ = c.local.Get(ctx)
	}
	return token, ok && token != stale
}

// keep puts a token into the cache, or where it survives a cache that fails.
func (c *Client) keep(ctx context.Context, token string, ttl time.Duration) {
	if err := c.tokens.Put(ctx, token, ttl); err != nil {
		_ = c.local.Put(ctx, token, ttl)
	}
}

// drop forgets a token. Where the cache fails to, cached still passes it over.
func (c *Client) drop(ctx context.Context, token string) {
	_ = c.tokens.Drop(ctx, token)
	_ = c.local.Drop(ctx, token)
}

// tokenFlight is one fetch of a token, which all callers that come meanwhile wait for.
type tokenFlight struct {
	done      chan struct{}
	token     string
	err       error
	abandoned bool // the caller that fetched was called off, which is no reason for the others to give up
}

// refusal remembers that WeCom refused the credentials. Asking again and again gets the source address banned for an
// hour (page 90313, 45009 note 5).
type refusal struct {
	err   error
	until time.Time
}

const refusalPause = time.Minute

// token is the access token: the cached one unless it is stale, or a new one, fetched once however many callers wait.
func (c *Client) token(ctx context.Context, stale string) (string, error) {
	for {
		if token, ok := c.cached(ctx, stale); ok {
			return token, nil
		}
		c.mu.Lock()
		f := c.flight
		if f == nil {
			f = &tokenFlight{done: make(chan struct{})}
			c.flight = f
			c.mu.Unlock()
			c.fly(ctx, f, stale)
			return f.token, f.err
		}
		c.mu.Unlock()
		select {
		case <-f.done:
			if !f.abandoned {
				return f.token, f.err
			}
		case <-ctx.Done():
			return "", fault.Wrap(fault.Transient, ctx.Err(), "wecom: gettoken")
		}
	}
}

// fly fetches the token for everybody who waits for f.
func (c *Client) fly(ctx context.Context, f *tokenFlight, stale string) {
	defer func() {
		c.mu.Lock()
		c.flight = nil
		c.mu.Unlock()
		close(f.done)
	}()
	// Whoever was in flight before may have just put one there.
	token, ok := c.cached(ctx, stale)
	if ok {
		f.token = token
		return
	}
	c.mu.Lock()
	refused := c.refused
	c.mu.Unlock()
	if refused.err != nil && c.now().Before(refused.until) {
		f.err = refused.err
		return
	}
	f.token, f.err = c.fetch(ctx)
	f.abandoned = f.err != nil && ctx.Err() != nil
	var e *APIError
	if errors.As(f.err, &e) && e.FaultKind() != fault.Transient {
		c.mu.Lock()
		c.refused = refusal{err: f.err, until: c.now().Add(refusalPause)}
		c.mu.Unlock()
	}
}

// fetch asks WeCom for a token and keeps it.
func (c *Client) fetch(ctx context.Context) (string, error) {
	var out struct {
		Token   string `json:"access_token"`
		Expires int64  `json:"expires_in"`
	}
	credentials := url.Values{"corpid": {c.corpID}, "corpsecret": {c.secret}}
	if err := c.patiently(ctx, call{api: "gettoken"}, credentials, &out); err != nil {
		return "", err
	}
	if out.Token == "" || len(out.Token) > 512 || out.Expires < 0 || out.Expires > 7*24*3600 {
		return "", fault.New(fault.Internal, "wecom: gettoken: the answer holds no token")
	}
	// A tenth early, at most five minutes, so that a token does not expire on its way.
	ttl := time.Duration(out.Expires) * time.Second
	ttl -= min(ttl/10, 5*time.Minute)
	c.keep(ctx, out.Token, ttl)
	return out.Token, nil
}
