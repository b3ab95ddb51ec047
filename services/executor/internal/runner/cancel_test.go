package runner

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"palmops/libs/bus"
	"palmops/libs/wire"
	"palmops/services/executor/catalog"
	"palmops/services/executor/internal/kind"
)

// cancel orders that an action be cancelled, by a user, and returns the cancellation's id.
func (w *world) cancel(target, user string) string {
	w.t.Helper()
	id := wire.DeriveID("cancel", target, user, time.Now().String())
	c := w.claims(id)
	c.Action, c.User, c.Title = wire.ActionCancel, user, ""
	_, err := w.bus.Publish(w.t.Context(), wire.ActSubject("local", "k8s", wire.ActionCancel, id), id, w.order(c, map[string]any{"id": target}))
	w.check(err)
	return id
}

// events waits until all the actions have been reported, and gives their last reports by id.
func (w *world) events(ids ...string) map[string]wire.Event {
	w.t.Helper()
	got := map[string]wire.Event{}
	for {
		missing := false
		for _, id := range ids {
			_, there := got[id]
			missing = missing || !there
		}
		if !missing {
			return got
		}
		ev := w.event()
		got[ev.ID] = ev
	}
}

// listens waits until an executor hears of cancellations.
func (w *world) listens(name string) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), hang)
	defer cancel()
	t := time.NewTicker(10 * time.Millisecond)
	defer t.Stop()
	for {
		var a stopAnswer
		err := w.bus.Ask(ctx, stopSubject("local", "k8s", name), stopRequest{}, &a)
		if err == nil {
			return
		}
		if !bus.NobodyListens(err) {
			w.t.Fatal(err)
		}
		<-t.C
	}
}

// patient is a kind whose work goes on until it is told to stop.
func patient(dir string) (k *book, begun chan string) {
	begun = make(chan string, 64)
	return &book{dir: dir, apply: func(ctx context.Context, w kind.Work, hand kind.Hand) (kind.Result, bool) {
		hand.Progress("4/5 就绪")
		begun <- w.ID
		<-ctx.Done()
		if !errors.Is(context.Cause(ctx), kind.ErrCanceled) {
			return kind.TimedOut("没有等到取消"), true
		}
		if hand.Step(ctx) == nil {
			return kind.Ended("取消之后仍被允许执行"), true
		}
		return kind.Canceled("已经提交，不会自动恢复。"), true
	}}, begun
}

func TestCancelWhatRunsHereOrElsewhere(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	k, begun := patient(w.dir)
	w.executor("one", DefaultTiming(), k, func(o *Options) { o.Workers = 16 })
	const n = 16
	var ids []string
	for i := range n {
		id := wire.DeriveID("patient", fmt.Sprint(i))
		ids = append(ids, id)
		w.send(w.order(w.claims(id), scaleArgs(fmt.Sprint("web-", i))), id)
		<-begun
	}
	w.executor("two", DefaultTiming(), k)
	w.listens("two")
	by := map[string]bool{}
	for _, id := range ids { // who takes a cancellation is chance
		c := w.cancel(id, "zhangsan")
		got := w.events(id, c)
		if ev := got[id]; ev.State != wire.StateCanceled || ev.Text != "已经提交，不会自动恢复。" || ev.Executor != "one" {
			t.Errorf("target %+v", ev)
		}
		want := fmt.Sprintf("已取消 #%s，停在：4/5 就绪。已经提交，不会自动恢复。", wire.ShortID(id))
		if ev := got[c]; ev.State != wire.StateSucceeded || ev.Text != want || ev.Action != wire.ActionCancel {
			t.Errorf("cancellation %+v, want %s", ev, want)
		}
		by[got[c].Executor] = true
	}
	if !by["one"] || !by["two"] {
		t.Errorf("cancellations were carried by %v only", by)
	}
	w.drained()
	if rec := w.state(ids[0], wire.StateCanceled); rec.Owner != "one" || rec.Attempt != 1 || rec.Step != "4/5 就绪" {
		t.Errorf("record %+v", rec)
	}
}

// TestCancelWaitsForNoWorker: the pool does one action at a time, the executor has one worker, and both are taken.
func TestCancelWaitsForNoWorker(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var err error
	w.cat, err = catalog.Decode("c.yaml", []byte(strings.Replace(catalogText, "pool: k8s", "pool: k8s\nconcurrency: 1", 1)), catalog.Kinds{practice})
	w.check(err)
	k, begun := patient(w.dir)
	w.executor("one", DefaultTiming(), k, func(o *Options) { o.Workers = 1 })
	id := wire.DeriveID("alone")
	w.send(w.order(w.claims(id), scaleArgs("web")), id)
	<-begun
	got := w.events(id, w.cancel(id, "zhangsan"))
	if got[id].State != wire.StateCanceled {
		t.Errorf("%+v", got)
	}
	w.drained()
}

func TestCancelBeforeTheWork(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first, locked, reading := wire.DeriveID("first"), wire.DeriveID("locked"), wire.DeriveID("reading")
	k, begun := patient(w.dir)
	inside := make(chan struct{}, 1)
	k.before = func(ctx context.Context) error {
		k.mu.Lock()
		busy := k.applied > 0
		k.mu.Unlock()
		if busy {
			inside <- struct{}{}
			<-ctx.Done()
		}
		return ctx.Err()
	}
	w.executor("one", DefaultTiming(), k)
	w.send(w.order(w.claims(first), scaleArgs("web")), first)
	<-begun
	w.send(w.order(w.claims(locked), scaleArgs("web")), locked)
	w.state(locked, wire.StateClaimed)
	w.send(w.order(w.claims(reading), scaleArgs("api")), reading)
	<-inside
	for _, id := range []string{locked, reading} {
		c := w.cancel(id, "zhangsan")
		got := w.events(id, c)
		if ev := got[id]; ev.State != wire.StateCanceled || ev.Text != "已按要求取消，没有执行任何操作。" {
			t.Errorf("target %+v", ev)
		}
		if ev := got[c]; ev.State != wire.StateSucceeded || !strings.Contains(ev.Text, "已取消 #"+wire.ShortID(id)) || !strings.Contains(ev.Text, "没有执行任何操作") {
			t.Errorf("cancellation %+v", ev)
		}
	}
	w.events(first, w.cancel(first, "zhangsan"))
	w.drained()
	if k.applied != 1 {
		t.Errorf("%d actions were applied", k.applied)
	}
}

// TestCancelBeforeTheOrder: what was cancelled before any executor had seen it does not run when it comes, but only if the
// same person wanted that.
func TestCancelBeforeTheOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.executor("one", DefaultTiming(), &book{dir: w.dir})
	mine, others := wire.DeriveID("mine"), wire.DeriveID("others")
	for id, user := range map[string]string{mine: "zhangsan", others: "mallory"} {
		c := w.cancel(id, user)
		if ev := w.events(c)[c]; ev.State != wire.StateSucceeded || !strings.Contains(ev.Text, "还没有开始，没有执行任何操作") {
			t.Errorf("cancellation %+v", ev)
		}
	}
	for _, id := range []string{mine, others} {
		w.send(w.order(w.claims(id), scaleArgs("web")), id)
	}
	got := w.events(mine, others)
	if ev := got[mine]; ev.State != wire.StateCanceled || ev.Title == "" || !strings.Contains(ev.Text, "没有执行任何操作") {
		t.Errorf("%+v", ev)
	}
	if ev := got[others]; ev.State != wire.StateSucceeded || ev.User != "zhangsan" {
		t.Errorf("a forged cancellation counts: %+v", ev)
	}
	w.drained()
	w.effects(mine, 0)
	w.effects(others, 1)
	if rec := w.state(mine, wire.StateCanceled); rec.Action != "k8s.scale" || rec.ArgsHash == "" {
		t.Errorf("record %+v", rec)
	}
}

func TestCancelIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	k, begun := patient(w.dir)
	w.executor("one", DefaultTiming(), k)
	running := wire.DeriveID("running")
	w.send(w.order(w.claims(running), scaleArgs("web")), running)
	<-begun
	foreign := w.cancel(running, "mallory")
	if ev := w.events(foreign)[foreign]; ev.State != wire.StateFailed || !strings.Contains(ev.Text, "不是你发起的操作，没有取消它") {
		t.Errorf("%+v", ev)
	}
	again := w.cancel(foreign, "mallory")
	if ev := w.events(again)[again]; ev.State != wire.StateFailed || !strings.Contains(ev.Text, "本身就是一次取消") {
		t.Errorf("%+v", ev)
	}
	w.state(running, wire.StateRunning)
	// A stop request by anybody on the bus does nothing without the record of a cancellation.
	var a stopAnswer
	for _, by := range []string{"", running, foreign} {
		w.check(w.bus.Ask(t.Context(), stopSubject("local", "k8s", "one"), stopRequest{ID: running, By: by}, &a))
		if a.Held {
			t.Errorf("stopped by %q", by)
		}
	}
	w.state(running, wire.StateRunning)
	first := w.cancel(running, "zhangsan")
	w.events(running, first)
	late := w.cancel(running, "zhangsan")
	if ev := w.events(late)[late]; ev.State != wire.StateSucceeded || !strings.Contains(ev.Text, "已经结束，无需取消：已取消") {
		t.Errorf("%+v", ev)
	}
	w.drained()
}

// TestCancelComesTooLate: the work is done before it can stop, and says so.
func TestCancelComesTooLate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	begun := make(chan struct{})
	k := &book{dir: w.dir}
	k.apply = func(ctx context.Context, wk kind.Work, hand kind.Hand) (kind.Result, bool) {
		_ = hand.Step(ctx)
		k.effect(wk.ID)
		close(begun)
		<-ctx.Done()
		return kind.Ended("已写入"), true
	}
	w.executor("one", DefaultTiming(), k)
	id := wire.DeriveID("late")
	w.send(w.order(w.claims(id), scaleArgs("web")), id)
	<-begun
	c := w.cancel(id, "zhangsan")
	got := w.events(id, c)
	if got[id].State != wire.StateSucceeded || !strings.Contains(got[c].Text, "已经结束，无需取消：成功") {
		t.Errorf("%+v", got)
	}
}

// TestCancelWithASilentOwner: what has not begun is ended without its owner, what runs is not.
func TestCancelWithASilentOwner(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	timing := DefaultTiming()
	timing.Ask, timing.Lease = 500*time.Millisecond, time.Hour
	w.executor("one", timing, &book{dir: w.dir})
	for state, want := range map[string]string{
		wire.StateRunning: "执行器没有应答，取消没有送达",
		wire.StateClaimed: "还没有开始，没有执行任何操作",
	} {
		id := wire.DeriveID("ghost", state)
		data, err := json.Marshal(wire.Record{
			V: 1, ID: id, State: state, Corp: "wwcorp", App: "ops", User: "zhangsan", Zone: "local", Pool: "k8s", Action: "k8s.scale", Owner: "ghost", Attempt: 1, Beat: 1,
		})
		w.check(err)
		_, err = w.kv.Create(t.Context(), id, data)
		w.check(err)
		c := w.cancel(id, "zhangsan")
		ev := w.events(c)[c]
		if !strings.Contains(ev.Text, want) || (ev.State == wire.StateFailed) != (state == wire.StateRunning) {
			t.Errorf("%s: %+v", state, ev)
		}
		if state == wire.StateRunning {
			w.state(id, wire.StateRunning)
			continue
		}
		if rec := w.state(id, wire.StateCanceled); rec.Owner != "one" {
			t.Errorf("record %+v", rec)
		}
	}
}

// TestKilledWhileCancelled: the owner has been told and is killed before it stopped.
func TestKilledWhileCancelled(t *testing.T) {
	t.Parallel()
	for gate, want := range map[string]struct {
		state   string
		effects int
	}{"before": {wire.StateFailed, 0}, "after": {wire.StateSucceeded, 1}} {
		t.Run(gate, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			cmd := w.child(gate, quick())
			id := wire.DeriveID("killed while cancelled", gate)
			w.send(w.order(w.claims(id), scaleArgs("web")), id)
			w.reached()
			c := w.cancel(id, "zhangsan")
			w.state(c, wire.StateRunning)
			w.check(cmd.Process.Signal(syscall.SIGKILL))
			_ = cmd.Wait() // killed
			w.executor("heir", quick(), &book{dir: w.dir, self: "heir"})
			got := w.events(id, c)
			if got[id].State != want.state {
				t.Errorf("target %+v", got[id])
			}
			// The child had the cancellation as well: whoever looks after it finds the target ended or not yet.
			if ev := got[c]; ev.State != wire.StateUnknown && ev.State != wire.StateSucceeded || !strings.Contains(ev.Text, wire.ShortID(id)) {
				t.Errorf("cancellation %+v", ev)
			}
			w.drained()
			w.effects(id, want.effects)
		})
	}
}

// TestACancellationWhoseOwnerDies: whoever looks after it says what became of the target, and does not cancel anew.
func TestACancellationWhoseOwnerDies(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.executor("one", quick(), &book{dir: w.dir})
	w.watched("one")
	put := func(rec wire.Record) {
		rec.V, rec.Corp, rec.App, rec.User, rec.Zone, rec.Pool, rec.Attempt, rec.Beat = 1, "wwcorp", "ops", "zhangsan", "local", "k8s", 1, 1
		data, err := encode(rec)
		w.check(err)
		_, err = w.kv.Put(t.Context(), rec.ID, data)
		w.check(err)
	}
	want := map[string]string{
		wire.StateCanceled:  "已取消 #%s。没有执行任何操作。",
		wire.StateSucceeded: "#%s 已经结束，无需取消：成功。",
		wire.StateClaimed:   "#%s 可能已经收到取消，也可能没有，它现在的状态是：准备中。",
	}
	var ids []string
	text := map[string]string{}
	for state, sentence := range want {
		target, id := wire.DeriveID("target", state), wire.DeriveID("orphan", state)
		put(wire.Record{ID: target, State: state, Action: "k8s.scale", Owner: "ghost", Summary: "没有执行任何操作。"})
		args, err := wire.CanonicalArgs(map[string]any{"id": target})
		w.check(err)
		put(wire.Record{ID: id, State: wire.StateRunning, Action: wire.ActionCancel, Args: args, Owner: "ghost"})
		ids, text[id] = append(ids, id), fmt.Sprintf(sentence, wire.ShortID(target))
	}
	for id, ev := range w.events(ids...) {
		state := wire.StateSucceeded
		if strings.Contains(ev.Text, "结果未知") {
			state = wire.StateUnknown
		}
		if ev.State != state || !strings.Contains(ev.Text, text[id]) || ev.Executor != "one" {
			t.Errorf("%+v, want %s", ev, text[id])
		}
	}
	w.state(wire.DeriveID("target", wire.StateClaimed), wire.StateClaimed)
}
