package wecom

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"

	"palmops/libs/fault"
)

func TestExpiredTokenIsReplacedOnce(t *testing.T) {
	for _, code := range []int{42001, 40014} {
		f := newFakeAPI(t)
		f.on("getcallbackip", func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Get("access_token") == "T1" {
				fmt.Fprintf(w, `{"errcode":%d,"errmsg":"expired"}`, code)
				return
			}
			_, _ = io.WriteString(w, `{"errcode":0,"ip_list":["1.2.3.4"]}`)
		})
		c := f.client(t)
		ips, err := c.CallbackIPs(t.Context())
		if err != nil || len(ips) != 1 || ips[0] != "1.2.3.4" {
			t.Fatalf("%v, %v", ips, err)
		}
		if _, err := c.CallbackIPs(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(f.made()); got != "[getcallbackip T1 getcallbackip T2 getcallbackip T2]" {
			t.Errorf("calls %s", got)
		}
	}
}

func TestTokenThatNeverWorksIsReplacedOnlyOnce(t *testing.T) {
	f := newFakeAPI(t)
	f.on("getcallbackip", say(`{"errcode":42001,"errmsg":"expired"}`))
	_, err := f.client(t).CallbackIPs(t.Context())
	wantKind(t, err, fault.Transient)
	if n := f.fetched.Load(); n != 2 {
		t.Errorf("gettoken asked %d times, want 2", n)
	}
}

func TestTokenRunsOutByTheClock(t *testing.T) {
	f := newFakeAPI(t)
	f.on("getcallbackip", say(`{"ip_list":["1.2.3.4"]}`)) // an answer without errcode is a success
	now := time.Unix(1_800_000_000, 0)
	c := f.client(t, func(o *ClientOptions) { o.Now = func() time.Time { return now } })
	for _, step := range []struct {
		pass time.Duration
		want int64
	}{{0, 1}, {6899 * time.Second, 1}, {2 * time.Second, 2}} { // 7200 s less 5 minutes
		now = now.Add(step.pass)
		if _, err := c.CallbackIPs(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := f.fetched.Load(); n != step.want {
			t.Errorf("after %s more: gettoken asked %d times, want %d", step.pass, n, step.want)
		}
	}
}

func TestFiftyCallersFetchOneToken(t *testing.T) {
	f := newFakeAPI(t)
	const callers = 50
	asked, release := make(chan struct{}), make(chan struct{})
	f.token = func(w http.ResponseWriter, n int64) {
		if n == 1 {
			close(asked)
			<-release
		}
		fmt.Fprintf(w, `{"access_token":"T%d","expires_in":7200}`, n)
	}
	f.on("getcallbackip", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("access_token") == "T1" {
			_, _ = io.WriteString(w, `{"errcode":42001}`)
			return
		}
		_, _ = io.WriteString(w, `{"ip_list":["1.2.3.4"]}`)
	})
	c := f.client(t)
	var wg sync.WaitGroup
	call := func() {
		if _, err := c.CallbackIPs(t.Context()); err != nil {
			t.Error(err)
		}
	}
	wg.Go(call)
	<-asked
	for range callers - 1 {
		wg.Go(call)
	}
	close(release)
	wg.Wait()
	// One for all of them, and one more for all of them when it turned out to have expired.
	if n := f.fetched.Load(); n != 2 {
		t.Errorf("gettoken asked %d times, want 2", n)
	}
}

func TestCallerThatLeavesDoesNotTakeTheOthersAlong(t *testing.T) {
	f := newFakeAPI(t)
	asked, release := make(chan struct{}), make(chan struct{})
	defer close(release)
	f.token = func(w http.ResponseWriter, n int64) {
		if n == 1 {
			close(asked)
			<-release
		}
		fmt.Fprintf(w, `{"access_token":"T%d","expires_in":7200}`, n)
	}
	f.on("getcallbackip", say(`{"ip_list":["1.2.3.4"]}`))
	c := f.client(t)
	ctx, cancel := context.WithCancel(t.Context())
	first, second := make(chan error, 1), make(chan error, 1)
	go func() { _, err := c.CallbackIPs(ctx); first <- err }()
	<-asked
	go func() { _, err := c.CallbackIPs(t.Context()); second <- err }()
	cancel()
	wantKind(t, <-first, fault.Transient)
	if err := <-second; err != nil {
		t.Errorf("the second caller: %v", err)
	}
}

func TestRefusedCredentialsAreNotTriedAgainForAWhile(t *testing.T) {
	f := newFakeAPI(t)
	f.token = func(w http.ResponseWriter, _ int64) {
		_, _ = io.WriteString(w, `{"errcode":40001,"errmsg":"invalid credential"}`)
	}
	now := time.Unix(1_800_000_000, 0)
	c := f.client(t, func(o *ClientOptions) { o.Now = func() time.Time { return now } })
	for range 5 {
		_, err := c.CallbackIPs(t.Context())
		wantKind(t, err, fault.Denied)
	}
	if n := f.fetched.Load(); n != 1 {
		t.Errorf("gettoken asked %d times, want 1", n)
	}
	now = now.Add(refusalPause)
	_, err := c.CallbackIPs(t.Context())
	wantKind(t, err, fault.Denied)
	if n := f.fetched.Load(); n != 2 {
		t.Errorf("a minute later: gettoken asked %d times, want 2", n)
	}
}

// brokenTokens is a shared cache that is down.
type brokenTokens struct{}

func (brokenTokens) Get(context.Context) (string, bool, error) {
	return "", false, errors.New("cache down")
}

func (brokenTokens) Put(context.Context, string, time.Duration) error {
	return errors.New("cache down")
}

func (brokenTokens) Drop(context.Context, string) error { return errors.New("cache down") }

// sharedTokens are used by two clients.
type sharedTokens struct{ processTokens }

func TestTokenCacheMayBeSharedOrBroken(t *testing.T) {
	f := newFakeAPI(t)
	f.on("getcallbackip", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("access_token") == "T1" {
			_, _ = io.WriteString(w, `{"errcode":40014}`)
			return
		}
		_, _ = io.WriteString(w, `{"ip_list":["1.2.3.4"]}`)
	})
	c := f.client(t, func(o *ClientOptions) { o.Tokens = brokenTokens{} })
	for range 3 {
		if _, err := c.CallbackIPs(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if n := f.fetched.Load(); n != 2 {
		t.Errorf("with a broken cache: gettoken asked %d times, want 2", n)
	}
	shared := &sharedTokens{processTokens{now: time.Now}}
	use := func(o *ClientOptions) { o.Tokens = shared }
	for _, c := range []*Client{f.client(t, use), f.client(t, use)} {
		if _, err := c.CallbackIPs(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if n := f.fetched.Load(); n != 3 {
		t.Errorf("with a shared cache: gettoken asked %d times, want 3", n)
	}
	// Dropping what somebody else has replaced leaves the new one alone.
	if err := shared.Drop(t.Context(), "T1"); err != nil {
		t.Fatal(err)
	}
	if token, ok, _ := shared.Get(t.Context()); !ok || token != "T3" {
		t.Errorf("token %q, %v", token, ok)
	}
}

func TestBusyTokenEndpointIsTriedAgain(t *testing.T) {
	f := newFakeAPI(t)
	f.token = func(w http.ResponseWriter, n int64) {
		if n < 3 {
			_, _ = io.WriteString(w, `{"errcode":-1}`)
			return
		}
		_, _ = io.WriteString(w, `{"access_token":"T","expires_in":7200}`)
	}
	f.on("getcallbackip", say(`{"ip_list":["1.2.3.4"]}`))
	if _, err := f.client(t).CallbackIPs(t.Context()); err != nil {
		t.Error(err)
	}
	f = newFakeAPI(t)
	f.token = func(w http.ResponseWriter, _ int64) { _, _ = io.WriteString(w, `{"errcode":0}`) }
	_, err := f.client(t).CallbackIPs(t.Context())
	wantKind(t, err, fault.Internal)
}
