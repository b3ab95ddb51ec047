// Package sessiontest is what tests around sessions need: a client as the dialog makes it, waiting for something, and
// how much Redis holds.
package sessiontest

import (
	"context"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"palmops/services/dialog/internal/session"
)

// Patience is the hang guard of waits in tests; nothing is timed by it.
const Patience = 30 * time.Second

// Client is a client as the dialog makes it; it is closed when the test ends.
func Client(t testing.TB, url string) *redis.Client { return client(t, url, session.Timeout) }

// Patient is a client for tests that are not about time: a busy machine may keep Redis from answering for a while.
func Patient(t testing.TB, url string) *redis.Client { return client(t, url, Patience) }

func client(t testing.TB, url string, timeout time.Duration) *redis.Client {
	t.Helper()
	o, err := session.Options(url)
	if err != nil {
		t.Fatal(err)
	}
	o.DialTimeout, o.ReadTimeout, o.WriteTimeout, o.PoolTimeout = timeout, timeout, timeout, timeout
	c := redis.NewClient(o)
	t.Cleanup(func() { _ = c.Close() }) // fails only when it is closed already
	return c
}

// Wait waits until done says true, asking it again and again.
func Wait(t testing.TB, what string, done func(context.Context) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), Patience)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !done(ctx) {
		select {
		case <-ctx.Done():
			t.Fatalf("waited %s for %s", Patience, what)
		case <-tick.C:
		}
	}
}

// Used is what Redis uses, without the buffers of connections, which sessions do not add to, in bytes.
func Used(t testing.TB, rdb *redis.Client) int {
	t.Helper()
	info, err := rdb.Info(t.Context(), "memory").Result()
	if err != nil {
		t.Fatal(err)
	}
	number := func(name string) int {
		_, rest, _ := strings.Cut(info, "\n"+name+":")
		n, err := strconv.Atoi(strings.TrimSpace(strings.SplitN(rest, "\n", 2)[0]))
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	return number("used_memory") - number("mem_clients_normal")
}
