package mysql

import (
	"context"
	"encoding/json"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

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

func TestKill(t *testing.T) {
	k := newKind(t)
	v := newVictim(t).runs(t, "SELECT SLEEP(100)")
	w := work(verbKill, map[string]any{"id": v.text()})
	raw := prepare(t, k, w)
	if said, err := k.Plan(within(t), w, raw); err != nil || !strings.Contains(said, "SELECT SLEEP(100)") || !strings.Contains(said, "root@localhost") {
		t.Errorf("%q %v", said, err)
	}
	r := k.Apply(within(t), w, raw, &kindtest.Hand{})
	if r.State != wire.StateSucceeded || r.Text != "连接 "+v.text()+" 已断开。" {
		t.Errorf("%+v", r)
	}
	if err := <-v.done; err == nil || v.there(t) {
		t.Errorf("its statement ended with %v", err)
	}
	if r := k.Apply(within(t), w, raw, &kindtest.Hand{}); r.State != wire.StateFailed || !strings.Contains(r.Text, "自己结束") {
		t.Errorf("once more: %+v", r)
	}
	if r := k.Probe(within(t), w, raw); r.State != wire.StateUnknown || !strings.Contains(r.Text, "无法判断") {
		t.Errorf("%+v", r)
	}
}

func TestKillQuery(t *testing.T) {
	k := newKind(t)
	v := newVictim(t).runs(t, "UPDATE many SET id = id WHERE id >= 0 AND SLEEP(1) = 0")
	w := work(verbKillQuery, map[string]any{"id": v.text()})
	raw := prepare(t, k, w)
	if r := k.Probe(within(t), w, raw); r.State != wire.StateUnknown || !strings.Contains(r.Text, "仍在运行") {
		t.Errorf("%+v", r)
	}
	r := k.Apply(within(t), w, raw, &kindtest.Hand{})
	if r.State != wire.StateSucceeded || !strings.Contains(r.Text, "连接保留") {
		t.Errorf("%+v", r)
	}
	if err := <-v.done; number(err) != 1317 || !v.there(t) {
		t.Errorf("its statement ended with %v", err)
	}
	if r := k.Probe(within(t), w, raw); r.State != wire.StateUnknown || !strings.Contains(r.Text, "不在运行") {
		t.Errorf("%+v", r)
	}
	_, err := k.Prepare(within(t), w)
	if !fault.Is(err, fault.Conflict) || !strings.Contains(fault.Safe(err), "没有执行语句") {
		t.Errorf("an idle one: %v", err)
	}
}

// TestKillOfAnother: the connection is not the one that was seen, or does something else by now.
func TestKillOfAnother(t *testing.T) {
	k := newKind(t)
	v := newVictim(t).runs(t, "SELECT SLEEP(100)")
	fields := ask(t, k, verbProcess, map[string]any{"id": v.text()}).Fields
	good := map[string]any{"id": v.text(), "user": fields["user"], "digest": fields["digest"], "started": fields["started"]}
	prepare(t, k, work(verbKill, good))
	for name, value := range map[string]string{"user": "somebody", "digest": "0123456789abcdef", "started": "12345"} {
		args := map[string]any{}
		for n, a := range good {
			args[n] = a
		}
		args[name] = value
		_, err := k.Prepare(within(t), work(verbKill, args))
		if !fault.Is(err, fault.Conflict) || !strings.Contains(fault.Safe(err), "没有执行任何操作") {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, verb := range []string{verbKill, verbKillQuery} {
		v := newVictim(t).runs(t, "SELECT SLEEP(100)")
		w := work(verb, map[string]any{"id": v.text()})
		raw := prepare(t, k, w)
		if _, err := root(t).Exec("KILL QUERY " + v.text()); err != nil {
			t.Fatal(err)
		}
		<-v.done
		v.runs(t, "SELECT SLEEP(102)")
		if r := k.Apply(within(t), w, raw, &kindtest.Hand{}); r.State != wire.StateFailed || !strings.Contains(r.Text, "别的语句") || !v.there(t) {
			t.Errorf("%s: %+v", verb, r)
		}
	}
}

func TestKillOutsideTheBounds(t *testing.T) {
	k := newKind(t)
	v := newVictim(t)
	if _, err := v.conn.ExecContext(within(t), "USE hidden"); err != nil {
		t.Fatal(err)
	}
	v.runs(t, "SELECT SLEEP(100)")
	if _, err := k.Prepare(within(t), work(verbKill, map[string]any{"id": v.text()})); !fault.Is(err, fault.NotFound) {
		t.Errorf("%v", err)
	}
	for _, id := range []string{"", "0", "x", "99999999999999999999"} {
		if _, err := k.Prepare(within(t), work(verbKill, map[string]any{"id": id})); !fault.Is(err, fault.Invalid) {
			t.Errorf("%q: %v", id, err)
		}
	}
}

// TestProbeFences: an owner that stands still right before its request cannot make it any more once the probe has spoken.
func TestProbeFences(t *testing.T) {
	frozen, other := newKind(t), newKind(t)
	v := newVictim(t).runs(t, "SELECT SLEEP(100)")
	w := work(verbKill, map[string]any{"id": v.text()})
	raw := prepare(t, frozen, w)
	var verdict kind.Result
	// The leave is given, and while the owner stands still the probe of another executor decides.
	r := frozen.Apply(within(t), w, raw, &kindtest.Hand{Began: func() { verdict = other.Probe(within(t), w, raw) }})
	if verdict.State != wire.StateFailed || !strings.Contains(verdict.Text, "没有被断开") {
		t.Errorf("the verdict: %+v", verdict)
	}
	if r.State != wire.StateFailed || !v.there(t) {
		t.Errorf("the owner that was fenced: %+v", r)
	}
	second := work(verbKill, w.Args)
	if r := frozen.Apply(within(t), second, prepare(t, frozen, second), &kindtest.Hand{}); r.State != wire.StateSucceeded {
		t.Errorf("afterwards: %+v", r)
	}
}

// TestKillWaits: what takes long to be undone is followed, and the text is true when the waiting ends.
func TestKillWaits(t *testing.T) {
	for cause, want := range map[error]string{
		kind.ErrCanceled: wire.StateCanceled, kind.ErrStopping: wire.StateTimeout, context.DeadlineExceeded: wire.StateTimeout,
	} {
		k := newKind(t)
		c, err := k.killOf(work(verbKill, map[string]any{"id": strconv.Itoa(1)}))
		if err != nil {
			t.Fatal(err)
		}
		v := newVictim(t).runs(t, "SELECT SLEEP(100)")
		c.id = v.id
		ctx, cancel := context.WithCancelCause(context.Background())
		err = c.within(context.Background(), func(in *session) error {
			seen, _, err := c.look(within(t), in)
			c.base = before{ID: v.id, User: seen.User, Host: seen.Host, Digest: seen.Digest, QueryID: seen.QueryID, Booted: in.booted}
			time.AfterFunc(20*time.Millisecond, func() { cancel(cause) })
			// As after a KILL whose victim does not go.
			if r := c.follow(ctx, in, &kindtest.Hand{}); r.State != want || !strings.Contains(r.Text, "已要求终止") {
				t.Errorf("%v: %+v", cause, r)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
}

func TestSuite(t *testing.T) {
	var mu sync.Mutex
	var victims []*victim
	kill := func(t *testing.T) (catalog.Action, map[string]any) {
		v := newVictim(t).runs(t, "SELECT SLEEP(100)")
		mu.Lock()
		defer mu.Unlock()
		victims = append(victims, v)
		return whole(t, verbKill, "id: {type: string}", ""), map[string]any{"id": v.text()}
	}
	kindtest.Run(t, kindtest.Subject{
		New:    func(t *testing.T) kind.Kind { return newKind(t) },
		Change: kill,
		Effects: func(t *testing.T) int {
			mu.Lock()
			defer mu.Unlock()
			gone := 0
			for _, v := range victims {
				select {
				case err := <-v.done: // the test that it was for has ended, or it was killed
					v.done <- err
					gone++
				default:
					if !v.there(t) {
						gone++
					}
				}
			}
			return gone
		},
		Slow: func(t *testing.T) (catalog.Action, map[string]any) {
			return whole(t, verbQuery, "", "settings: {sql: SELECT SLEEP(100)}"), nil
		},
		Refused: func(t *testing.T) (catalog.Action, map[string]any) {
			return whole(t, verbKill, "id: {type: string}", ""), map[string]any{"id": "999999999"}
		},
		Leaky: func(t *testing.T) (catalog.Action, map[string]any) {
			return whole(t, verbQuery, "", "settings: {sql: \"SELECT '"+password+"'\"}"), nil
		},
		Secret: password,
		Bad: map[string]map[string]any{
			"no id": {}, "a number": {"id": int64(7)}, "more than digits": {"id": "7; KILL 8"}, "a digest that is none": {"id": "7", "digest": "' OR 1"},
		},
		Down: func(t *testing.T) kind.Kind {
			l, err := net.Listen("tcp", "127.0.0.1:0") // takes connections and says nothing
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = l.Close() })
			s := target(t)
			s.Address = l.Addr().String()
			return kindOf(t, s)
		},
		Absent: map[string]string{"Verbose": "a result has 1000 rows of cells of 48 columns at most"},
	})
}
