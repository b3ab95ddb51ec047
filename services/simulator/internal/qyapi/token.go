package qyapi

import (
	crand "crypto/rand"
	"crypto/subtle"
	"net/http"
	"slices"
	"sync"
	"time"
)

const (
	tokenLife = 7200 * time.Second
	// tokenRenew is how long before its end a token is no longer given out again: page 91039 has gettoken return the same
	// token while it lives, and a caller must have time to use it.
	tokenRenew = 10 * time.Minute
)

// token is one access token and its end.
type token struct {
	text string
	end  time.Time
}

// tokens are the access tokens of the app. Those given out earlier stay good until their own end. Ended ones are remembered for a
// while, so that they are refused as expired and not as foreign.
type tokens struct {
	now func() time.Time

	mu    sync.Mutex
	given []token // oldest first
}

// give returns a token and how long it lives.
func (t *tokens) give() (string, time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	t.given = slices.DeleteFunc(t.given, func(k token) bool { return now.Sub(k.end) > tokenLife })
	if n := len(t.given); n > 0 && t.given[n-1].end.Sub(now) > tokenRenew {
		return t.given[n-1].text, t.given[n-1].end.Sub(now)
	}
	k := token{text: crand.Text() + crand.Text(), end: now.Add(tokenLife)}
	t.given = append(t.given, k)
	return k.text, tokenLife
}

// check is codeOK for a token that lives.
func (t *tokens) check(text string) int {
	if text == "" {
		return codeTokenMissing
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, k := range t.given {
		if subtle.ConstantTimeCompare([]byte(k.text), []byte(text)) == 0 {
			continue
		}
		if !t.now().Before(k.end) {
			return codeTokenExpired
		}
		return codeOK
	}
	return codeToken
}

func (t *tokens) invalidate() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.given = nil
}

func (a *API) getToken(r *http.Request) reply {
	q := r.URL.Query()
	corp, secret := q.Get("corpid"), q.Get("corpsecret")
	switch {
	case corp == "":
		return reply{code: codeCorpIDMissing}
	case secret == "":
		return reply{code: codeSecretMissing}
	case corp != a.o.CorpID:
		return reply{code: codeCorpID}
	case subtle.ConstantTimeCompare([]byte(secret), []byte(a.o.Secret)) == 0:
		return reply{code: codeSecret}
	}
	text, life := a.tokens.give()
	return reply{fields: map[string]any{"access_token": text, "expires_in": int(life.Seconds())}}
}
