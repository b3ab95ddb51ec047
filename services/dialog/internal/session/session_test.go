package session_test

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"go.uber.org/goleak"

	"palmops/libs/fault"
	"palmops/libs/redistest"
	"palmops/services/dialog/internal/session"
	"palmops/services/dialog/internal/session/sessiontest"
)

func TestMain(m *testing.M) {
	logging.Disable() // the client's own lines about connections that the tests cut
	goleak.VerifyTestMain(m)
}

var zhang = session.Who{Corp: "ww1", App: "ops", User: "ZhangSan"}

func place(seq uint64) session.Place { return session.Place{Stream: "s1", Seq: seq} }

// each runs a test on a real Redis and on the embedded one that stands in for it on a laptop.
func each(t *testing.T, test func(t *testing.T, s *session.Store, rdb *redis.Client)) {
	t.Run("redis", func(t *testing.T) {
		c := sessiontest.Patient(t, redistest.New(t).URL())
		test(t, session.New(c), c)
	})
	t.Run("miniredis", func(t *testing.T) {
		c := redis.NewClient(&redis.Options{Addr: miniredis.RunT(t).Addr()})
		t.Cleanup(func() { _ = c.Close() })
		test(t, session.New(c), c)
	})
}

func load(t *testing.T, s *session.Store, id string, seq uint64) session.Loaded {
	t.Helper()
	l, err := s.Load(t.Context(), zhang, id, place(seq))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// step is a commit as the dialog makes it after a load.
func step(l session.Loaded, id string, seq uint64, state string) session.Commit {
	c := session.Commit{
		Who: zhang, ID: id, Place: place(seq), Ver: l.Ver, By: l.Now.Add(time.Minute), SentAt: int64(seq), Path: "1-2", Rev: "abc",
		Timeout: time.Minute, Reply: []byte("reply to " + id),
	}
	if state != "" {
		c.State = []byte(state)
	}
	return c
}

func commit(t *testing.T, s *session.Store, c session.Commit, want session.Outcome) []byte {
	t.Helper()
	got, reply, err := s.Commit(t.Context(), c)
	if err != nil || got != want {
		t.Fatalf("commit of %s: %s, %v; want %s", c.ID, got, err, want)
	}
	return reply
}

func TestAStepIsStoredWhole(t *testing.T) {
	each(t, func(t *testing.T, s *session.Store, rdb *redis.Client) {
		l := load(t, s, "a", 7)
		if l.State != nil || l.Ver != "" || l.SentAt != 0 || l.Reply != nil || l.Behind || l.Now.IsZero() {
			t.Errorf("nothing is stored, but %+v", l)
		}
		commit(t, s, step(l, "a", 7, "state 1"), session.Stored)
		l = load(t, s, "b", 8)
		if string(l.State) != "state 1" || l.Ver == "" || l.SentAt != 7 || l.Reply != nil || l.Behind {
			t.Errorf("%+v", l)
		}
		h, err := rdb.HGetAll(t.Context(), "palmops:{ww1:ops:zhangsan}:session").Result()
		if err != nil || h["path"] != "1-2" || h["rev"] != "abc" {
			t.Errorf("%v %v", h, err)
		}
		if ttl := rdb.PTTL(t.Context(), "palmops:{ww1:ops:zhangsan}:session").Val(); ttl <= 0 || ttl > time.Minute {
			t.Errorf("the session lives %s", ttl)
		}
	})
}

func TestAMessageCountsOnce(t *testing.T) {
	each(t, func(t *testing.T, s *session.Store, rdb *redis.Client) {
		l := load(t, s, "a", 7)
		commit(t, s, step(l, "a", 7, "state 1"), session.Stored)
		if again := load(t, s, "a", 7); string(again.Reply) != "reply to a" || !again.Behind {
			t.Errorf("%+v", again)
		}
		if reply := commit(t, s, step(l, "a", 7, "state 2"), session.Before); string(reply) != "reply to a" {
			t.Errorf("got %q", reply)
		}
		commit(t, s, step(load(t, s, "b", 8), "b", 8, ""), session.Stored) // exit
		old := load(t, s, "old", 6)
		if !old.Behind || old.State != nil || old.SentAt != 8 {
			t.Errorf("%+v", old)
		}
		if reply := commit(t, s, step(old, "old", 6, "state 3"), session.Before); reply != nil {
			t.Errorf("got %q", reply)
		}
		if n := rdb.Exists(t.Context(), "palmops:{ww1:ops:zhangsan}:session").Val(); n != 0 {
			t.Error("the session outlived its exit")
		}
		// A stream that was made anew counts from 1 again.
		fresh := session.Place{Stream: "s2", Seq: 1}
		l, err := s.Load(t.Context(), zhang, "n", fresh)
		if err != nil || l.Behind {
			t.Errorf("%+v %v", l, err)
		}
		c := step(l, "n", 1, "state 4")
		c.Place = fresh
		commit(t, s, c, session.Stored)
	})
}

func TestASessionThatMovedIsNotOverwritten(t *testing.T) {
	each(t, func(t *testing.T, s *session.Store, rdb *redis.Client) {
		first := load(t, s, "a", 1)
		commit(t, s, step(first, "a", 1, "state 1"), session.Stored)
		late := load(t, s, "c", 3)
		commit(t, s, step(load(t, s, "b", 2), "b", 2, "state 2"), session.Stored)
		commit(t, s, step(late, "c", 3, "state 3"), session.Moved)
		if err := rdb.Del(t.Context(), "palmops:{ww1:ops:zhangsan}:session").Err(); err != nil { // as if it had expired
			t.Fatal(err)
		}
		commit(t, s, step(late, "c", 3, "state 3"), session.Moved)
		l := load(t, s, "c", 3)
		if l.State != nil || l.SentAt != 2 {
			t.Errorf("%+v", l)
		}
		commit(t, s, step(l, "c", 3, "state 3"), session.Stored)
	})
}

func TestACommitPastItsTimeIsRefused(t *testing.T) {
	each(t, func(t *testing.T, s *session.Store, _ *redis.Client) {
		l := load(t, s, "a", 1)
		c := step(l, "a", 1, "state 1")
		c.By = l.Now.Add(-time.Microsecond)
		commit(t, s, c, session.TooOld)
		if l := load(t, s, "a", 1); l.State != nil || l.Reply != nil {
			t.Errorf("%+v", l)
		}
	})
}

func TestTimeouts(t *testing.T) {
	each(t, func(t *testing.T, s *session.Store, rdb *redis.Client) {
		const key = "palmops:{ww1:ops:zhangsan}:session"
		c := step(load(t, s, "a", 1), "a", 1, "state")
		c.Fixed, c.Timeout = true, time.Hour
		commit(t, s, c, session.Stored)
		c = step(load(t, s, "b", 2), "b", 2, "state")
		c.Fixed, c.Timeout = true, 2*time.Hour
		commit(t, s, c, session.Stored)
		if ttl := rdb.PTTL(t.Context(), key).Val(); ttl > time.Hour {
			t.Errorf("fixed, but it lives %s", ttl)
		}
		c = step(load(t, s, "c", 3), "c", 3, "state")
		c.Timeout = 2 * time.Hour
		commit(t, s, c, session.Stored)
		if ttl := rdb.PTTL(t.Context(), key).Val(); ttl <= time.Hour {
			t.Errorf("sliding, but it lives %s", ttl)
		}
	})
}

func TestRepliesPeopleNotices(t *testing.T) {
	each(t, func(t *testing.T, s *session.Store, rdb *redis.Client) {
		ctx := t.Context()
		if err := s.SetReply(ctx, zhang, "a", []byte("x")); err != nil {
			t.Fatal(err)
		}
		if r, err := s.Reply(ctx, zhang, "a"); r != nil || err != nil {
			t.Errorf("a reply that was never stored: %q %v", r, err)
		}
		commit(t, s, step(load(t, s, "a", 1), "a", 1, "state"), session.Stored)
		if err := s.SetReply(ctx, zhang, "a", []byte("changed")); err != nil {
			t.Fatal(err)
		}
		if r, err := s.Reply(ctx, zhang, "a"); string(r) != "changed" || err != nil {
			t.Errorf("%q %v", r, err)
		}
		if ttl := rdb.PTTL(ctx, "palmops:{ww1:ops:zhangsan}:reply:a").Val(); ttl <= 0 {
			t.Errorf("the changed reply lives %s", ttl)
		}
		if p, err := s.Person(ctx, zhang); p != nil || err != nil {
			t.Errorf("%q %v", p, err)
		}
		if err := s.SetPerson(ctx, zhang, []byte("p"), time.Minute); err != nil {
			t.Fatal(err)
		}
		if p, err := s.Person(ctx, session.Who{Corp: "ww1", App: "ops", User: "zhangsan"}); string(p) != "p" || err != nil {
			t.Errorf("%q %v", p, err)
		}
		told, err := s.Told(ctx, zhang, "x")
		if told || err != nil {
			t.Error(told, err)
		}
		if err := s.SetTold(ctx, zhang, "x", time.Minute); err != nil {
			t.Fatal(err)
		}
		if told, err := s.Told(ctx, zhang, "x"); !told || err != nil {
			t.Error(told, err)
		}
	})
}

// Many replicas work on the messages of one person at once, in any order: the last one wins, each counts at most once.
func TestRaces(t *testing.T) {
	each(t, func(t *testing.T, s *session.Store, _ *redis.Client) {
		const messages, replicas = 20, 4
		var mu sync.Mutex
		stored := map[uint64]int{}
		var wg sync.WaitGroup
		for range replicas {
			wg.Go(func() {
				for seq := uint64(1); seq <= messages; seq++ {
					id := fmt.Sprint(seq)
					for again := true; again; {
						l, err := s.Load(t.Context(), zhang, id, place(seq))
						if err != nil {
							t.Error(err)
							return
						}
						out, _, err := s.Commit(t.Context(), step(l, id, seq, "state "+id))
						if err != nil {
							t.Error(err)
							return
						}
						if out == session.Stored {
							mu.Lock()
							stored[seq]++
							mu.Unlock()
						}
						again = out == session.Moved
					}
				}
			})
		}
		wg.Wait()
		for seq, n := range stored {
			if n != 1 {
				t.Errorf("message %d counted %d times", seq, n)
			}
		}
		if l := load(t, s, "x", messages+1); string(l.State) != fmt.Sprintf("state %d", messages) {
			t.Errorf("the last state is %s", l.State)
		}
	})
}

// A frozen Redis answers nobody within the timeout, and does not apply later what its author has given up.
func TestAFrozenRedis(t *testing.T) {
	r := redistest.New(t)
	s := session.New(sessiontest.Client(t, r.URL()))
	l := load(t, s, "a", 1)
	r.Freeze()
	c := step(l, "a", 1, "state")
	c.By = l.Now.Add(session.Timeout)
	if _, _, err := s.Commit(t.Context(), c); !fault.Is(err, fault.Unknown) {
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

func TestKeysOfStrangeIdsStayApart(t *testing.T) {
	each(t, func(t *testing.T, s *session.Store, rdb *redis.Client) {
		ctx := t.Context()
		ids := []session.Who{
			{Corp: "c", App: "a:b", User: "u"},
			{Corp: "c:a", App: "b", User: "u"},
			{Corp: "c", App: "a", User: "b:u"},
			{Corp: "c", App: "a", User: "}{"},
			{Corp: "c", App: "a", User: "%7D%7B"},
		}
		for i, w := range ids {
			if err := s.SetPerson(ctx, w, []byte(fmt.Sprint(i)), time.Minute); err != nil {
				t.Fatal(err)
			}
		}
		for i, w := range ids {
			if p, err := s.Person(ctx, w); string(p) != fmt.Sprint(i) || err != nil {
				t.Errorf("%+v holds %q, %v", w, p, err)
			}
		}
		for _, k := range rdb.Keys(ctx, "*").Val() {
			if strings.Count(k, "{") != 1 || strings.Count(k, "}") != 1 {
				t.Errorf("key %s", k)
			}
		}
	})
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
