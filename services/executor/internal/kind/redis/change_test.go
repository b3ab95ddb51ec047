package redis

import (
	"encoding/json"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"

	"palmops/libs/fault"
	"palmops/libs/wire"
	"palmops/services/executor/catalog"
	"palmops/services/executor/internal/kind"
	"palmops/services/executor/internal/kind/kindtest"
)

func prepare(t *testing.T, k *Kind, w kind.Work) json.RawMessage {
	t.Helper()
	raw, err := k.Prepare(within(t), w)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestKillClient(t *testing.T) {
	t.Parallel()
	k, root := newKind(t)
	v, other := newVictim(t, root), newVictim(t, root)
	f := ask(t, k, verbClient, map[string]any{"id": v.text()}).Fields
	good := map[string]any{"id": v.text(), "addr": f["addr"], "since": f["since"]}
	for name, value := range map[string]string{"addr": "10.0.0.1:5", "since": "12345"} {
		args := map[string]any{"id": v.text(), name: value}
		if _, err := k.Prepare(within(t), work(verbKill, args)); !fault.Is(err, fault.Conflict) {
			t.Errorf("%s: %v", name, err)
		}
	}
	w := work(verbKill, good)
	raw := prepare(t, k, w)
	if said, err := k.Plan(within(t), w, raw); err != nil || !strings.Contains(said, "将断开 cache 的连接 "+v.text()) {
		t.Errorf("%q %v", said, err)
	}
	if r := k.Apply(within(t), w, raw, &kindtest.Hand{}); r.State != wire.StateSucceeded || v.there(t, root) || !other.there(t, root) {
		t.Errorf("%+v", r)
	}
	if r := k.Apply(within(t), w, raw, &kindtest.Hand{}); r.State != wire.StateFailed || !strings.Contains(r.Text, "自己断开") {
		t.Errorf("once more: %+v", r)
	}
	if r := k.Probe(within(t), w, raw); r.State != wire.StateUnknown || !strings.Contains(r.Text, "无法判断") {
		t.Errorf("%+v", r)
	}
}

// TestProbeFences: an owner that stands still right before its request cannot make it any more once the probe has spoken.
func TestProbeFences(t *testing.T) {
	t.Parallel()
	s, root := start(t)
	frozen, other := kindOf(t, target(t, s)), kindOf(t, target(t, s))
	v := newVictim(t, root)
	w := work(verbKill, map[string]any{"id": v.text()})
	raw := prepare(t, frozen, w)
	var verdict kind.Result
	r := frozen.Apply(within(t), w, raw, &kindtest.Hand{Began: func() { verdict = other.Probe(within(t), w, raw) }})
	if verdict.State != wire.StateFailed || r.State == wire.StateSucceeded || !v.there(t, root) {
		t.Errorf("the verdict: %+v, the owner: %+v", verdict, r)
	}
	set := fixed(t, verbWrite, "SET, shop:a, 1", "", nil)
	raw = prepare(t, frozen, set)
	r = frozen.Apply(within(t), set, raw, &kindtest.Hand{Began: func() { verdict = other.Probe(within(t), set, raw) }})
	if n := root.Exists(within(t), "shop:a").Val(); verdict.State != wire.StateUnknown || r.State != wire.StateUnknown || n != 0 {
		t.Errorf("the verdict: %+v, the owner: %+v, %d keys", verdict, r, n)
	}
}

func TestWrite(t *testing.T) {
	t.Parallel()
	k, root := newKind(t)
	params := "key: {type: string, pattern: line}, value: {type: string, pattern: line}, ttl: {type: int, min: 1, max: 100}"
	args := map[string]any{"key": "a b\"c", "value": "x' EX 1", "ttl": int64(50)}
	w := fixed(t, verbWrite, `SET, "shop:${key}", "${value}", EX, "${ttl}"`, params, args)
	raw := prepare(t, k, w)
	if said, err := k.Plan(within(t), w, raw); err != nil || said != `将在 cache 上执行：SET "shop:a b\"c" "x' EX 1" EX 50（键现在的类型：不存在）` {
		t.Errorf("%q %v", said, err)
	}
	if r := k.Apply(within(t), w, raw, &kindtest.Hand{}); r.State != wire.StateSucceeded || !strings.HasSuffix(r.Text, "，返回 OK") {
		t.Errorf("%+v", r)
	}
	if got := root.Get(within(t), `shop:a b"c`).Val(); got != "x' EX 1" {
		t.Errorf("%q", got)
	}
	wrong := fixed(t, verbWrite, `HSET, "shop:a b\"c", f, v`, "", nil)
	if r := k.Apply(within(t), wrong, prepare(t, k, wrong), &kindtest.Hand{}); r.State != wire.StateFailed || !strings.Contains(r.Text, "WRONGTYPE") {
		t.Errorf("%+v", r)
	}
}

// TestLostAnswer: the server takes the request and does not answer.
func TestLostAnswer(t *testing.T) {
	t.Parallel()
	s, _ := start(t)
	k := kindOf(t, target(t, s))
	w := fixed(t, verbWrite, "SET, shop:a, 1", "", nil)
	raw := prepare(t, k, w)
	r := k.Apply(within(t), w, raw, &kindtest.Hand{Began: s.Freeze})
	s.Thaw()
	if r.State != wire.StateUnknown || !strings.Contains(r.Text, "无法") {
		t.Errorf("%+v", r)
	}
	s.Kill()
	if r := k.Apply(within(t), w, raw, &kindtest.Hand{}); r.State != wire.StateFailed || !strings.Contains(r.Text, "暂时不可用") {
		t.Errorf("%+v", r)
	}
	if r := k.Probe(within(t), w, raw); r.State != wire.StateUnknown {
		t.Errorf("%+v", r)
	}
}

func TestSuiteKill(t *testing.T) {
	t.Parallel()
	s, root := start(t)
	if err := root.Set(within(t), "leak", password, 0).Err(); err != nil {
		t.Fatal(err)
	}
	frozen, _ := start(t)
	c := target(t, frozen)
	var mu sync.Mutex
	victims := map[int64]victim{} // a connection may be used again
	kindtest.Run(t, kindtest.Subject{
		New: func(t *testing.T) kind.Kind {
			k, err := New(map[string]Server{"cache": target(t, s), "frozen": c})
			if err != nil {
				t.Fatal(err)
			}
			return k
		},
		Change: func(t *testing.T) (catalog.Action, map[string]any) {
			mu.Lock()
			defer mu.Unlock()
			v := newVictim(t, root)
			victims[v.id] = v
			return whole(t, verbKill, "id: {type: string}", ""), map[string]any{"id": v.text()}
		},
		Effects: func(t *testing.T) int {
			mu.Lock()
			defer mu.Unlock()
			gone := 0
			for _, v := range victims {
				if !v.there(t, root) {
					gone++
				}
			}
			return gone
		},
		Slow: func(t *testing.T) (catalog.Action, map[string]any) {
			frozen.Freeze()
			t.Cleanup(frozen.Thaw)
			a := whole(t, verbInfo, "", "")
			a.Target = "frozen"
			return a, nil
		},
		Refused: func(t *testing.T) (catalog.Action, map[string]any) {
			return whole(t, verbKill, "id: {type: string}", ""), map[string]any{"id": "999999999"}
		},
		Leaky: func(t *testing.T) (catalog.Action, map[string]any) {
			return whole(t, verbCommand, "", "settings: {argv: [GET, leak]}"), nil
		},
		Secret: password,
		Bad:    map[string]map[string]any{"no id": {}, "a number": {"id": int64(7)}, "more than a number": {"id": "7\r\nFLUSHALL"}},
		Down: func(t *testing.T) kind.Kind {
			c := target(t, s)
			c.Addresses = []string{silent(t)}
			return kindOf(t, c)
		},
		Absent: map[string]string{"Verbose": "a reply has 1000 lines of 400 columns at most"},
	})
}

func TestSuiteWrite(t *testing.T) {
	t.Parallel()
	s, root := start(t)
	n := 0
	absent := "see the suite of kill-client"
	kindtest.Run(t, kindtest.Subject{
		New: func(t *testing.T) kind.Kind { return kindOf(t, target(t, s)) },
		Change: func(t *testing.T) (catalog.Action, map[string]any) {
			n++
			return whole(t, verbWrite, "n: {type: int, min: 0, max: 999}", `settings: {argv: [SADD, shop:seen, "${n}"]}`), map[string]any{"n": int64(n)}
		},
		Effects: func(t *testing.T) int {
			count, err := root.SCard(within(t), "shop:seen").Result()
			if err != nil && err != redis.Nil {
				t.Fatal(err)
			}
			return int(count)
		},
		Bad:    map[string]map[string]any{"too much": {"n": int64(1000)}, "a text": {"n": strconv.Itoa(7)}},
		Absent: map[string]string{"Slow": absent, "Refused": "a write refuses nothing that it reads", "Verbose": absent, "Leaky": absent, "Down": absent},
	})
}
