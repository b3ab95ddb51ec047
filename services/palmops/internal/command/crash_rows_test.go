package command

import (
	"bytes"
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"palmops/libs/wire"
	"palmops/services/palmops/internal/survey"
)

// The crash table, and where each of its rows is shown with processes that are killed (kill -9) or frozen (SIGSTOP):
//
//	Dialog before the order leaves, or before its acknowledgement   TestSplitDialogKilledAtTheOrder
//	… and the bus has forgotten the id when it comes again          TestSplitOrderAgainAfterTheBusForgot
//	Dialog after publish, before the reply                          TestSplitDialogKilledAtTheOrder
//	… after the reply was taken, before that was noted              TestSplitDialogKilledAfterTheReplyWasTaken
//	Dialog anywhere                                                 TestSplitDialogsKilled, TestSplitOrderOfABurst, TestSplitBurstWithAKillAnywhere
//	Executor before Create … after the result, before publish, ack  TestCrashPoints in services/executor/internal/runner
//	… as the person sees it                                         TestSplitExecutorKilled
//	Gateway before the answer; frozen with the reply                TestSplitGatewayKilledBeforeTheAnswer, TestSplitGatewayFrozenWithTheReply
//	Gateway after WeCom has a push, before its answer, or the ack   TestSplitGatewayKilledAfterThePush
//	NATS killed; frozen                                             TestSplitNATSStopped, TestSplitNATSFrozen
//	Redis frozen; killed while an action runs                       TestSplitRedisFrozen, TestSplitRedisKilledWhileAnActionRuns
//	everything at once                                              TestKilledBetweenAnyTwoNumbers, TestKilledWhileAnActionRuns
//	anything, any time, one after the other                         TestSplitLoop

// ordering is one way to have something ordered.
type ordering struct {
	name    string
	walk    func(ctx context.Context, s *split, to string) (text string) // up to the message that orders, which it returns
	receipt string
	changes int64
}

var orderings = []ordering{
	{"a change", func(ctx context.Context, s *split, to string) string {
		s.road(ctx, "web", to)
		return "1"
	}, "已受理 #", 1},
	{"a dry run", func(ctx context.Context, s *split, to string) string {
		s.ask(ctx, "web")
		return number(s.t, s.say(ctx, to, "→ "+to), "试运行")
	}, "已受理试运行 #", 0},
	{"a report", func(ctx context.Context, s *split, _ string) string {
		s.say(ctx, "菜单", "1. 零售事业部")
		s.say(ctx, "/最近事件", "1. 最近事件")
		return "1"
	}, "已受理 #", 0},
}

// TestSplitDialogKilledAtTheOrder: the dialog that has a message in its hands dies before the order is on ACT, when it is there and the
// dialog does not know, and when it knows and has not replied. The next dialog takes up what is missing, and nothing else.
func TestSplitDialogKilledAtTheOrder(t *testing.T) {
	t.Parallel()
	for _, o := range orderings {
		t.Run(o.name, func(t *testing.T) {
			t.Parallel()
			ctx, s := guard(t), newSplit(t)
			s.dialogs[1].kill() // the other one has the message for certain
			to := []string{"4", "5", "6"}
			for i, moment := range []struct {
				name, words    string
				gone, onStream bool
			}{
				{"before it leaves", "HPUB act.", false, false},
				{"before its acknowledgement", "HPUB act.", true, true},
				{"before the reply", "PUB reply.", false, true},
			} {
				g := newGate(t, s.nats.URL())
				s.dialogs[0].kill()
				s.dialogs[0] = s.spawnFrom(s.config, "dialog", "NATS_URL="+g.url)
				text := o.walk(ctx, s, to[i])
				s.quiet(ctx)
				after, orders := s.last(ctx), s.stream(ctx, wire.StreamAct).LastSeq
				before, _ := s.generation(ctx, "web")
				g.shutAt(moment.words, moment.gone)
				plain, _ := s.outside.Typed("zhangsan", text)
				answer := s.post(ctx, plain)
				g.reached(ctx, s.dialogs[0], func() {
					if moment.onStream {
						s.until(ctx, "the order is on ACT", func() bool { return s.stream(ctx, wire.StreamAct).LastSeq > orders })
					}
				})
				if now := s.stream(ctx, wire.StreamAct).LastSeq; !moment.onStream && now != orders {
					t.Errorf("%s: the dialog was killed too late", moment.name)
				}
				s.dialogs[0] = s.spawn("dialog")
				direct := s.direct
				receipt := s.answer(ctx, after, <-answer, o.receipt)
				id := actionID.FindString(receipt)
				s.until(ctx, "the end is told", func() bool { return len(results(s.pushes(ctx, after))) > 0 })
				s.quiet(ctx)
				receipts, all := s.direct-direct, s.pushes(ctx, after)
				for _, text := range all {
					if strings.Contains(text, o.receipt) {
						receipts++
					}
				}
				if ends := results(all); receipts != 1 || len(ends) != 1 || actionID.FindString(ends[0]) != id {
					t.Errorf("%s: %s was accepted %d times, and told was %q", moment.name, id, receipts, all)
				}
				if now := s.stream(ctx, wire.StreamAct).LastSeq; now != orders+1 {
					t.Errorf("%s: %d orders", moment.name, now-orders)
				}
				if now, _ := s.generation(ctx, "web"); now != before+o.changes {
					t.Errorf("%s: the deployment was changed %d times", moment.name, now-before)
				}
			}
		})
	}
}

// TestSplitOrderAgainAfterTheBusForgot: the dialog dies before it learns that its order is on ACT. Until the next one sends the order
// again it was done and has left the stream, and the bus was killed, so that it does not know the id any more. The second copy finds
// the record of the first and does nothing.
func TestSplitOrderAgainAfterTheBusForgot(t *testing.T) {
	t.Parallel()
	ctx, s := guard(t), newSplit(t)
	s.dialogs[1].kill()
	g := newGate(t, s.nats.URL())
	s.dialogs[0].kill()
	s.dialogs[0] = s.spawnFrom(s.config, "dialog", "NATS_URL="+g.url)
	s.road(ctx, "web", "5")
	s.quiet(ctx)
	before, _ := s.generation(ctx, "web")
	after, orders := s.last(ctx), s.stream(ctx, wire.StreamAct).LastSeq
	g.shutAt("HPUB act.", true)
	plain, _ := s.outside.Typed("zhangsan", "1")
	answer := s.post(ctx, plain)
	g.reached(ctx, s.dialogs[0], func() {
		s.until(ctx, "the order is done", func() bool {
			state := s.stream(ctx, wire.StreamAct)
			return state.LastSeq > orders && state.Msgs == 0
		})
	})
	s.nats.kill()
	s.nats.start()
	s.until(ctx, "the test is connected again", func() bool { return s.bus.Ready(ctx) == nil })
	s.dialogs[0] = s.spawn("dialog")
	<-answer // the outage may have fallen upon it
	s.until(ctx, "the end is told", func() bool { return len(results(s.pushes(ctx, after))) > 0 })
	s.until(ctx, "the message is done with", func() bool { return s.idle(ctx) })
	s.quiet(ctx)
	copies := s.stream(ctx, wire.StreamAct).LastSeq - orders
	t.Logf("%d copies of the order", copies)
	if copies != 2 {
		t.Errorf("%d copies of the order: the bus did not forget, and this test shows nothing", copies)
	}
	if ends := results(s.pushes(ctx, after)); len(ends) != 1 {
		t.Errorf("%d results: %q", len(ends), ends)
	}
	if now, replicas := s.generation(ctx, "web"); now != before+1 || replicas != 5 {
		t.Errorf("the deployment was changed %d times, to %d replicas", now-before, replicas)
	}
}

// idle reports whether every message of IN has been worked on; after a crash of the bus its consumers are not there at once.
func (s *split) idle(ctx context.Context) bool {
	s.t.Helper()
	st, err := s.bus.JS.Stream(ctx, wire.StreamIn)
	if err != nil {
		return false
	}
	newest, last := uint64(0), st.CachedInfo().State.LastSeq
	all := st.ListConsumers(ctx)
	for c := range all.Info() {
		newest = max(newest, c.AckFloor.Stream)
	}
	return all.Err() == nil && newest >= last
}

// TestSplitNATSFrozen: a bus that does not answer and does not say so either. Every message is answered in time by what is true
// of it, and afterwards it is one step, whether the bus had it or not.
func TestSplitNATSFrozen(t *testing.T) {
	t.Parallel()
	ctx, s := guard(t), newSplit(t)
	before, _ := s.generation(ctx, "web")
	s.road(ctx, "web", "5")
	s.quiet(ctx)
	after := s.last(ctx)
	plain, _ := s.outside.Typed("zhangsan", "1")
	s.nats.freeze()
	for range 2 {
		text, err := s.outside.Post(ctx, plain) // it gives up after WeCom's 5 s
		if err != nil || !strings.HasPrefix(text, "不能确定是否已受理") && !strings.HasPrefix(text, "未受理") {
			t.Errorf("with a frozen bus: %q %v", text, err)
		}
	}
	s.nats.thaw()
	s.until(ctx, "the test is connected", func() bool { return s.bus.Ready(ctx) == nil })
	for accepted := false; !accepted; { // the person, or WeCom, tries again
		text, err := s.outside.Post(ctx, plain)
		accepted = err == nil && !strings.HasPrefix(text, "不能确定是否已受理") && !strings.HasPrefix(text, "未受理")
		if ctx.Err() != nil {
			t.Fatalf("never accepted again: %q %v", text, err)
		}
	}
	s.page.hear(ctx, "zhangsan", after, "5/5")
	s.quiet(ctx)
	if ends := results(s.pushes(ctx, after)); len(ends) != 1 {
		t.Errorf("%d results: %q", len(ends), ends)
	}
	if now, replicas := s.generation(ctx, "web"); now != before+1 || replicas != 5 {
		t.Errorf("the deployment was changed %d times, to %d replicas", now-before, replicas)
	}
}

// TestSplitRedisKilledWhileAnActionRuns: an action under way does not need the sessions: it ends, and its end is told, while Redis is
// away; operators see and cancel actions. What the person types meanwhile is answered with what is true.
func TestSplitRedisKilledWhileAnActionRuns(t *testing.T) {
	t.Parallel()
	ctx, s := guard(t), newSplit(t)
	before, _ := s.generation(ctx, "stuck")
	s.road(ctx, "stuck", "2")
	after := s.last(ctx)
	id := actionID.FindString(s.say(ctx, "1", "已受理 #"))
	s.until(ctx, "the action begins", func() bool { now, _ := s.generation(ctx, "stuck"); return now > before })
	s.redis.Kill()
	if got := s.say(ctx, "我的任务", "会话存储"); !truthful(got) {
		t.Errorf("without Redis: %s", got)
	}
	key := s.record(ctx, id, wire.StateRunning)
	if got := s.palmops(ctx, "actions", "show", key); !strings.Contains(got, wire.StateRunning) {
		t.Errorf("actions show says\n%s", got)
	}
	s.palmops(ctx, "actions", "cancel", key, "--keys", filepath.Join(s.config, "keys", "local.json"))
	told := s.page.hear(ctx, "zhangsan", after, "已取消")
	if !strings.Contains(told, id) || !strings.Contains(told, "1 → 2") {
		t.Errorf("told was\n%s", told)
	}
	s.redis.Restart()
	s.say(ctx, "菜单", "1. 零售事业部")
	s.quiet(ctx)
	if now, replicas := s.generation(ctx, "stuck"); now != before+1 || replicas != 2 {
		t.Errorf("the deployment was changed %d times, to %d replicas", now-before, replicas)
	}
}

// record waits until the action with a short id is in a state, and returns its whole id.
func (s *split) record(ctx context.Context, short, state string) (id string) {
	s.t.Helper()
	s.until(ctx, short+" is "+state, func() bool {
		for _, rec := range s.records(ctx) {
			if "#"+wire.ShortID(rec.ID) == short && rec.State == state {
				id = rec.ID
			}
		}
		return id != ""
	})
	return id
}

// palmops runs an operator's command against the running system, and returns what it says.
func (s *split) palmops(ctx context.Context, args ...string) string {
	s.t.Helper()
	var out, fault bytes.Buffer
	args = append(args[:2:2], append([]string{"--nats", s.nats.URL()}, args[2:]...)...)
	if code := Main(ctx, Streams{In: strings.NewReader(""), Out: &out, Err: &fault}, args); code != ExitFine {
		s.t.Errorf("palmops %s ended with %d: %s%s", strings.Join(args, " "), code, &out, &fault)
	}
	return out.String()
}

// longGuard is guard for a test of many parts.
func longGuard(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// records are all records of actions.
func (s *split) records(ctx context.Context) []wire.Record {
	s.t.Helper()
	all, err := survey.Records(ctx, s.bus, func(*wire.Record) bool { return true })
	if err != nil {
		s.t.Fatal(err)
	}
	return all
}
