package session_test

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"palmops/libs/fault"
	"palmops/libs/redistest"
	"palmops/services/dialog/internal/session"
	"palmops/services/dialog/internal/session/sessiontest"
)

// A frozen Redis answers nobody within the timeout, and does not apply later what its author has given up.
func TestAFrozenRedis(t *testing.T) {
	r := redistest.New(t)
	s := session.New(sessiontest.Client(t, r.URL()))
	l := load(t, s, "a", 1)
	r.Freeze()
	c := step(l, "a", 1, "state")
	c.By = l.Now.Add(session.Timeout)
	if _, _, _, err := s.Commit(t.Context(), c); !fault.Is(err, fault.Unknown) {
		t.Errorf("commit: %v", err)
	}
	if _, err := s.Load(t.Context(), zhang, "a", place(1)); !fault.Is(err, fault.Transient) {
		t.Errorf("load: %v", err)
	}
	sessiontest.Wait(t, "the commit's time to pass", func(context.Context) bool { return time.Now().After(c.By.Add(time.Second)) })
	r.Thaw()
	sessiontest.Wait(t, "redis to answer", func(ctx context.Context) bool { return s.Ready(ctx) == nil })
	if l := load(t, s, "a", 1); l.State != nil || l.Reply != nil || l.Behind {
		t.Errorf("the commit was applied after its time: %+v", l)
	}
}

func TestARedisThatDied(t *testing.T) {
	r := redistest.New(t)
	s := session.New(sessiontest.Client(t, r.URL()))
	commit(t, s, step(load(t, s, "a", 1), "a", 1, "state"), session.Stored)
	r.Kill()
	if _, err := s.Load(t.Context(), zhang, "b", place(2)); !fault.Is(err, fault.Transient) {
		t.Errorf("load: %v", err)
	}
	if err := s.Ready(t.Context()); !fault.Is(err, fault.Transient) {
		t.Errorf("ready: %v", err)
	}
	r.Restart()
	sessiontest.Wait(t, "redis to answer", func(ctx context.Context) bool { return s.Ready(ctx) == nil })
	if l := load(t, s, "b", 2); !bytes.Equal(l.State, []byte("state")) {
		t.Errorf("%+v", l)
	}
}

func TestTheURLIsNotQuoted(t *testing.T) {
	_, err := session.Options("redis://user:geheim@host/0/%zz")
	if !fault.Is(err, fault.Invalid) || strings.Contains(err.Error(), "geheim") {
		t.Errorf("got %v", err)
	}
}

func TestClientsNeverWaitLong(t *testing.T) {
	o, err := session.Options("redis://:geheim@localhost:6379/3")
	if err != nil {
		t.Fatal(err)
	}
	if !o.ContextTimeoutEnabled || o.MaxRetries != -1 || o.DB != 3 || o.Password != "geheim" ||
		max(o.DialTimeout, o.ReadTimeout, o.WriteTimeout, o.PoolTimeout) != session.Timeout {
		t.Errorf("dial %s, read %s, write %s, pool %s, retries %d", o.DialTimeout, o.ReadTimeout, o.WriteTimeout, o.PoolTimeout, o.MaxRetries)
	}
}
