package local

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

func connect(t *testing.T, m *memoryRedis) *redis.Client {
	t.Helper()
	opts, err := redis.ParseURL(m.url())
	if err != nil {
		t.Fatal(err)
	}
	c := redis.NewClient(opts)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func reopen(t *testing.T, dir string) (*memoryRedis, *redis.Client) {
	t.Helper()
	m, err := startRedis(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.close() })
	return m, connect(t, m)
}

// TestJournalBringsBackWhatWasThere kills the store without a farewell: what was written is there again, expiry and
// scripts included, also after a line that was cut off.
func TestJournalBringsBackWhatWasThere(t *testing.T) {
	dir := t.TempDir()
	ctx := context.Background()
	_, c := reopen(t, dir)
	script := redis.NewScript(`redis.call('HSET', KEYS[1], 'path', ARGV[1], 'at', redis.call('TIME')[1]); redis.call('PEXPIRE', KEYS[1], 600000); return redis.call('HGET', KEYS[1], 'at')`)
	var at string
	for i := range 3 { // the first by its text, the others by its digest
		v, err := script.Run(ctx, c, []string{"s"}, fmt.Sprint("1-", i)).Text()
		if err != nil {
			t.Fatal(err)
		}
		at = v
	}
	for _, cmd := range [][]any{{"SET", "r", "零售 <&>\n", "PX", 600000}, {"SET", "gone", "x", "PX", 1}, {"SET", "deleted", "x"}, {"DEL", "deleted"}, {"SET", "r", "anew", "XX", "KEEPTTL"}, {"SET", "packed", "d\x9c\xff\x00\n"}} {
		if err := c.Do(ctx, cmd...).Err(); err != nil {
			t.Fatalf("%v: %v", cmd, err)
		}
	}
	path := filepath.Join(dir, "journal.jsonl")
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(`{"t":1,"c":["SET","torn`); err != nil {
		t.Fatal(err)
	}
	_ = f.Close()

	for range 2 { // the second time from the file that the first has written anew
		_, c = reopen(t, dir)
		got, err := c.HGetAll(ctx, "s").Result()
		if err != nil || got["path"] != "1-2" || got["at"] != at {
			t.Fatalf("session %v (at %s): %v", got, at, err)
		}
		if v, err := c.Get(ctx, "r").Result(); err != nil || v != "anew" {
			t.Errorf("reply %q %v", v, err)
		}
		if v, err := c.Get(ctx, "packed").Result(); err != nil || v != "d\x9c\xff\x00\n" { // sessions are no text
			t.Errorf("packed %q %v", v, err)
		}
		for _, key := range []string{"s", "r"} {
			if ttl := c.PTTL(ctx, key).Val(); ttl <= 0 || ttl > 10*time.Minute {
				t.Errorf("%s lives for %s", key, ttl)
			}
		}
		if n := c.Exists(ctx, "gone", "deleted", "torn").Val(); n != 0 {
			t.Errorf("%d keys came back that were not there", n)
		}
		if err := c.EvalSha(ctx, script.Hash(), []string{"other"}, "x").Err(); err != nil {
			t.Errorf("the script is not known any more: %v", err)
		}
	}
}

// TestJournalIsWrittenAnew: it does not grow for ever, and loses nothing on the way.
func TestJournalIsWrittenAnew(t *testing.T) {
	dir := t.TempDir()
	ctx := context.Background()
	m, _ := reopen(t, dir)
	m.journal.mu.Lock()
	m.journal.compact = 4 << 10
	m.journal.mu.Unlock()
	var wg sync.WaitGroup
	for w := range 4 {
		c := connect(t, m)
		wg.Go(func() {
			for i := range 200 {
				if err := c.Set(ctx, fmt.Sprint("k", w), i, time.Hour).Err(); err != nil {
					t.Error(err)
				}
				m.journal.mu.Lock()
				m.journal.compact = min(m.journal.compact, 4<<10)
				m.journal.mu.Unlock()
			}
		})
	}
	wg.Wait()
	if info, err := os.Stat(filepath.Join(dir, "journal.jsonl")); err != nil || info.Size() > 8<<10 {
		t.Errorf("the journal was not written anew: %v %v", info.Size(), err)
	}
	_, c := reopen(t, dir)
	for w := range 4 {
		if v := c.Get(ctx, fmt.Sprint("k", w)).Val(); v != "199" {
			t.Errorf("k%d is %q", w, v)
		}
	}
}
