package session_test

import (
	"errors"
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
		Who: zhang, ID: id, Place: place(seq), From: l, By: l.Now.Add(time.Minute), SentAt: int64(seq), Path: "1-2", Rev: "abc",
		Timeout: time.Minute, Reply: []byte("reply to " + id),
	}
	if state != "" {
		c.State = []byte(state)
	}
	return c
}

func commit(t *testing.T, s *session.Store, c session.Commit, want session.Outcome) []byte {
	t.Helper()
	got, reply, _, err := s.Commit(t.Context(), c)
	if err != nil || got != want {
		t.Fatalf("commit of %s: %s, %v; want %s", c.ID, got, err, want)
	}
	return reply
}

func TestAStepIsStoredWhole(t *testing.T) {
	each(t, func(t *testing.T, s *session.Store, rdb *redis.Client) {
		l := load(t, s, "a", 7)
		if l.State != nil || l.SentAt != 0 || l.Reply != nil || l.Behind || l.Now.IsZero() {
			t.Errorf("nothing is stored, but %+v", l)
		}
		commit(t, s, step(l, "a", 7, "state 1"), session.Stored)
		l = load(t, s, "b", 8)
		if string(l.State) != "state 1" || l.SentAt != 7 || l.Reply != nil || l.Behind {
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

func TestRepliesAndTheirMarks(t *testing.T) {
	each(t, func(t *testing.T, s *session.Store, rdb *redis.Client) {
		ctx := t.Context()
		want := func(id, reply, marks string) {
			t.Helper()
			if r, m, err := s.Reply(ctx, zhang, id); string(r) != reply || m != marks || err != nil {
				t.Errorf("reply to %s: %q %q %v", id, r, m, err)
			}
			l := load(t, s, id, 9)
			if string(l.Reply) != reply || l.Marks != marks {
				t.Errorf("reply to %s as loaded: %q %q", id, l.Reply, l.Marks)
			}
		}
		if err := errors.Join(s.SetReply(ctx, zhang, "a", []byte("x"), "m"), s.Mark(ctx, zhang, "a", "m")); err != nil {
			t.Fatal(err)
		}
		want("a", "", "")
		commit(t, s, step(load(t, s, "a", 1), "a", 1, "state"), session.Stored)
		want("a", "reply to a", "")
		if err := s.Mark(ctx, zhang, "a", "o"); err != nil {
			t.Fatal(err)
		}
		want("a", "reply to a", "o")
		if err := s.SetReply(ctx, zhang, "a", []byte("changed"), "op"); err != nil {
			t.Fatal(err)
		}
		want("a", "changed", "op")
		if l := load(t, s, "b", 2); string(l.State) != "state" || l.Reply != nil || l.Marks != "" {
			t.Errorf("%+v", l)
		}
		if ttl := rdb.PTTL(ctx, "palmops:{ww1:ops:zhangsan}:last").Val(); ttl <= 0 || ttl > session.LastKept {
			t.Errorf("the changed reply lives %s", ttl)
		}
		// The message before the newest one is kept for as long as it may be delivered again.
		commit(t, s, step(load(t, s, "b", 2), "b", 2, ""), session.Stored)
		want("a", "changed", "op")
		want("b", "reply to b", "")
		if err := errors.Join(s.Mark(ctx, zhang, "a", "opg"), s.Mark(ctx, zhang, "unknown", "x")); err != nil {
			t.Fatal(err)
		}
		want("a", "changed", "opg")
		if ttl := rdb.PTTL(ctx, "palmops:{ww1:ops:zhangsan}:before").Val(); ttl <= 0 || ttl > session.BeforeKept {
			t.Errorf("an older reply lives %s", ttl)
		}
		c := step(load(t, s, "a", 1), "a", 1, "again")
		o, reply, marks, err := s.Commit(ctx, c)
		if o != session.Before || string(reply) != "changed" || marks != "opg" || err != nil {
			t.Errorf("%s %q %q %v", o, reply, marks, err)
		}
	})
}

func TestNotices(t *testing.T) {
	each(t, func(t *testing.T, s *session.Store, _ *redis.Client) {
		ctx := t.Context()
		told, err := s.Told(ctx, zhang, "x")
		if told || err != nil {
			t.Error(told, err)
		}
		if err := s.SetTold(ctx, zhang, "x", time.Minute); err != nil {
			t.Fatal(err)
		}
		if told, err := s.Told(ctx, session.Who{Corp: "ww1", App: "ops", User: "zhangsan"}, "x"); !told || err != nil {
			t.Error(told, err)
		}
	})
}

// The memo and the person outlive the session, its end, and the memo also every commit that says nothing of it.
func TestWhatOutlivesASession(t *testing.T) {
	each(t, func(t *testing.T, s *session.Store, rdb *redis.Client) {
		const key = "palmops:{ww1:ops:zhangsan}:memo"
		c := step(load(t, s, "a", 1), "a", 1, "state")
		c.Memo, c.Person = []byte("memo"), []byte("person")
		commit(t, s, c, session.Stored)
		if err := rdb.PExpire(t.Context(), key, time.Hour).Err(); err != nil { // a long time has passed
			t.Fatal(err)
		}
		l := load(t, s, "b", 2)
		if string(l.Memo) != "memo" || string(l.Person) != "person" {
			t.Errorf("%+v", l)
		}
		load0 := l
		commit(t, s, step(l, "b", 2, ""), session.Stored)
		if l = load(t, s, "c", 3); string(l.Memo) != "memo" || l.Person != nil || l.State != nil {
			t.Errorf("%+v", l)
		}
		if ttl := rdb.PTTL(t.Context(), key).Val(); ttl <= 24*time.Hour || ttl > session.MemoKept {
			t.Errorf("the memo lives %s", ttl)
		}
		c = step(l, "c", 3, "")
		c.From, c.Memo = load0, []byte("not this one")
		commit(t, s, c, session.Moved)
		if l = load(t, s, "c", 3); string(l.Memo) != "memo" {
			t.Errorf("a refused step changed the memo: %q", l.Memo)
		}
	})
}

func TestIdsWithSpacesAreRefused(t *testing.T) {
	s := session.New(sessiontest.Patient(t, redistest.New(t).URL()))
	for _, id := range []string{"", "a b", "a\nb"} {
		if _, _, _, err := s.Commit(t.Context(), step(session.Loaded{Now: time.Now()}, id, 1, "s")); !fault.Is(err, fault.Invalid) {
			t.Errorf("%q: %v", id, err)
		}
	}
}

// What another version has packed is not there, but how far it went counts.
func TestWhatCannotBeRead(t *testing.T) {
	each(t, func(t *testing.T, s *session.Store, rdb *redis.Client) {
		const key = "palmops:{ww1:ops:zhangsan}:last"
		commit(t, s, step(load(t, s, "a", 5), "a", 5, "state"), session.Stored)
		for _, text := range []string{"s1/5 a g\nd1234rubbish", "s1/5 a \n", "s1/5 a \np\xff", "s1/5 a \nd"} {
			if err := rdb.Set(t.Context(), key, text, time.Minute).Err(); err != nil {
				t.Fatal(err)
			}
			l := load(t, s, "b", 6)
			if l.State != nil || l.Reply != nil || l.Person != nil || l.Behind {
				t.Errorf("%q: %+v", text, l)
			}
			if l := load(t, s, "x", 4); !l.Behind {
				t.Errorf("%q: a message from before it counts", text)
			}
		}
		commit(t, s, step(load(t, s, "b", 6), "b", 6, "new"), session.Stored)
		for _, text := range []string{"", "rubbish", "a b", "\n\n"} {
			if err := rdb.Set(t.Context(), key, text, time.Minute).Err(); err != nil {
				t.Fatal(err)
			}
			commit(t, s, step(load(t, s, "c", 7), "c", 7, "new"), session.Stored)
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
						out, _, _, err := s.Commit(t.Context(), step(l, id, seq, "state "+id))
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
			c := step(session.Loaded{Now: time.Now()}, "a", 1, fmt.Sprint(i))
			c.Who = w
			commit(t, s, c, session.Stored)
		}
		for i, w := range ids {
			if l, err := s.Load(ctx, w, "b", place(2)); string(l.State) != fmt.Sprint(i) || err != nil {
				t.Errorf("%+v holds %q, %v", w, l.State, err)
			}
		}
		for _, k := range rdb.Keys(ctx, "*").Val() {
			if strings.Count(k, "{") != 1 || strings.Count(k, "}") != 1 {
				t.Errorf("key %s", k)
			}
		}
	})
}
