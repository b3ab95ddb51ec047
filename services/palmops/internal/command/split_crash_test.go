package command

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"palmops/libs/wire"
)

// answered fails unless every message was answered exactly once: directly, or by a push. Count is how many were sent.
func (s *split) answered(ctx context.Context, count int) {
	s.t.Helper()
	s.quiet(ctx)
	late := 0
	for _, text := range s.pushes(ctx, 0) {
		if strings.Contains(text, pushed) {
			late++
		}
	}
	if s.direct+late != count {
		s.t.Errorf("%d messages got %d direct answers and %d pushed ones:\n%q", count, s.direct, late, s.pushes(ctx, 0))
	}
}

// TestSplitDialogsKilled: before each step one of the dialogs is killed and started again, and the other one is killed with
// the step in its hands or about to come.
func TestSplitDialogsKilled(t *testing.T) {
	t.Parallel()
	ctx, s := guard(t), newSplit(t)
	before, _ := s.generation(ctx, "web")
	var list string
	steps := []struct {
		text func() string
		want string
	}{
		{func() string { return "菜单" }, "1. 零售事业部"},
		{func() string { return "1" }, "1. Kubernetes 操作"},
		{func() string { return "1" }, "1. 调整 POD 数"},
		{func() string { return "1" }, "1. shop"},
		{func() string { return "1" }, "web"},
		{func() string { return number(t, list, "web") }, "新的副本数"},
		{func() string { return "5" }, "→ 5"},
		{func() string { return "1" }, "已受理"},
	}
	sent := 0
	for i, step := range steps {
		s.quiet(ctx)
		s.dialogs[i%2].kill()
		s.dialogs[i%2] = s.spawn("dialog")
		// Both are frozen while the message arrives: one of them has it in its hands unread, or gets it next.
		s.freezeDialogs()
		after := s.last(ctx)
		plain, _ := s.outside.Typed("zhangsan", step.text())
		answer := s.post(ctx, plain)
		sent++
		other := (i + 1) % 2
		s.dialogs[other].kill()
		s.dialogs[i%2].thaw()
		s.dialogs[other] = s.spawn("dialog")
		list = s.answer(ctx, after, <-answer, step.want)
	}
	s.page.hear(ctx, "zhangsan", 0, "5/5")
	s.answered(ctx, sent)
	if now, replicas := s.generation(ctx, "web"); now != before+1 || replicas != 5 {
		t.Errorf("the deployment was changed %d times, to %d replicas", now-before, replicas)
	}
}

// burst is ten messages of one person, sent one after the other without waiting for an answer, with one dialog killed in the
// middle of them. It fails unless the replies were given in the order of the messages, and counts the answers to each.
func (s *split) burst(ctx context.Context, kill func()) (direct, late []int) {
	s.t.Helper()
	texts := strings.Split("甲乙丙丁戊己庚辛壬癸", "")
	quoted := func(answer string) int {
		return slices.IndexFunc(texts, func(text string) bool { return strings.Contains(answer, "「"+text+"」") })
	}
	given := make(chan *nats.Msg, 1024)
	sub, err := s.bus.NC.ChanSubscribe("reply.>", given)
	if err != nil {
		s.t.Fatal(err)
	}
	after := s.last(ctx)
	ends := make([]<-chan posted, len(texts))
	for i, text := range texts {
		if i == len(texts)/2 {
			kill()
		}
		plain, _ := s.outside.Typed("zhangsan", text)
		ends[i] = s.post(ctx, plain)
	}
	direct, late = make([]int, len(texts)), make([]int, len(texts))
	for i, end := range ends {
		switch p := <-end; {
		case p.err != nil:
			s.t.Errorf("%s: %v", texts[i], p.err)
		case p.text == "" || strings.HasPrefix(p.text, slow):
		case quoted(p.text) != i:
			s.t.Errorf("%s was answered with\n%s", texts[i], p.text)
		default:
			direct[i]++
		}
	}
	s.quiet(ctx)
	newest := -1
	for _, text := range s.pushes(ctx, after) {
		i := quoted(text)
		if i < 0 || i < newest {
			s.t.Errorf("out of order, after %d answers: %s", newest+1, text)
			continue
		}
		late[i]++
		newest = i
	}
	if err := sub.Unsubscribe(); err != nil {
		s.t.Fatal(err)
	}
	newest = -1
	for len(given) > 0 { // a reply may be given twice, but none before those to earlier messages
		i := quoted(string((<-given).Data))
		if i > newest+1 {
			s.t.Errorf("the reply to %s was given before the one to %s", texts[i], texts[newest+1])
		}
		newest = max(newest, i)
	}
	if newest != len(texts)-1 {
		s.t.Errorf("the last reply is the one to message %d of %d", newest+1, len(texts))
	}
	return direct, late
}

// TestSplitOrderOfABurst: a dialog is killed with some of ten messages in its hands or about to come, and the other one goes on.
func TestSplitOrderOfABurst(t *testing.T) {
	t.Parallel()
	ctx, s := guard(t), newSplit(t)
	s.say(ctx, "菜单", "1. 零售事业部")
	for victim := range s.dialogs {
		s.quiet(ctx) // so that the kill falls on messages of the burst, unread
		s.freezeDialogs()
		direct, late := s.burst(ctx, func() {
			s.dialogs[victim].kill()
			s.dialogs[1-victim].thaw()
		})
		t.Logf("answered directly %v, by push %v", direct, late)
		for i := range direct {
			if direct[i]+late[i] != 1 {
				t.Errorf("message %d was answered %d times", i+1, direct[i]+late[i])
			}
		}
		s.dialogs[victim] = s.spawn("dialog")
	}
}

// TestSplitBurstWithAKillAnywhere: the same with dialogs at work, so that the kill falls anywhere in the work on a message.
func TestSplitBurstWithAKillAnywhere(t *testing.T) {
	t.Parallel()
	ctx, s := guard(t), newSplit(t)
	s.say(ctx, "菜单", "1. 零售事业部")
	for round := range 4 {
		victim := round % 2
		direct, late := s.burst(ctx, s.dialogs[victim].kill)
		t.Logf("answered directly %v, by push %v", direct, late)
		for i := range direct {
			if direct[i]+late[i] != 1 {
				t.Errorf("message %d was answered %d times", i+1, direct[i]+late[i])
			}
		}
		s.dialogs[victim] = s.spawn("dialog")
	}
}

// given sends a message and stops everything at the moment at which its reply has left the dialog and has not reached the
// gateway: both are frozen then. Pushed is the newest message on OUT.
func (s *split) given(ctx context.Context, text string) (answer <-chan posted, pushed uint64) {
	s.t.Helper()
	s.quiet(ctx)
	pushed = s.stream(ctx, wire.StreamOut).LastSeq
	replies := make(chan *nats.Msg, 64)
	sub, err := s.bus.NC.ChanSubscribe("reply.>", replies)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = sub.Unsubscribe() }()
	plain, _ := s.outside.Typed("zhangsan", text)
	s.freezeDialogs()
	answer = s.post(ctx, plain)
	s.gateway.freeze()
	s.thawDialogs()
	select {
	case <-replies:
	case <-ctx.Done():
		s.t.Fatal("no reply was given")
	}
	s.freezeDialogs()
	return answer, pushed
}

// TestSplitDialogKilledAfterTheReplyWasTaken: WeCom has the reply as the passive one, and the dialog dies before it could note
// that. The message comes again to the next dialog; its answer must not be pushed as well.
func TestSplitDialogKilledAfterTheReplyWasTaken(t *testing.T) {
	t.Parallel()
	ctx, s := guard(t), newSplit(t)
	s.say(ctx, "菜单", "1. 零售事业部")
	answer, before := s.given(ctx, "?")
	s.gateway.thaw()
	if end := <-answer; end.err != nil || !strings.Contains(end.text, "使用帮助") {
		t.Fatalf("answered with %+v", end)
	}
	if s.stream(ctx, wire.StreamOut).LastSeq != before {
		t.Fatal("the dialogs were frozen too late")
	}
	for i, d := range s.dialogs {
		d.kill()
		s.dialogs[i] = s.spawn("dialog")
	}
	s.quiet(ctx)
	if now := s.stream(ctx, wire.StreamOut).LastSeq; now != before {
		t.Errorf("the answer was given directly and pushed too: %q", s.pushes(ctx, 0))
	}
}

// TestSplitGatewayFrozenWithTheReply: a gateway that stands still for a second lets the dialog push the reply; when it goes on it
// must not give the same reply directly.
func TestSplitGatewayFrozenWithTheReply(t *testing.T) {
	t.Parallel()
	ctx, s := guard(t), newSplit(t)
	s.say(ctx, "菜单", "1. 零售事业部")
	answer, before := s.given(ctx, "?")
	s.thawDialogs()
	s.until(ctx, "the dialog pushes", func() bool { return s.stream(ctx, wire.StreamOut).LastSeq > before })
	s.gateway.thaw()
	end := <-answer
	s.quiet(ctx)
	if end.err != nil || strings.Contains(end.text, "使用帮助") {
		t.Errorf("the reply was pushed, and then the callback was answered with %+v", end)
	}
	if got := s.pushes(ctx, 0); len(got) != 1 || !strings.Contains(got[0], "使用帮助") {
		t.Errorf("pushed: %q", got)
	}
}

// TestSplitGatewayKilledBeforeTheAnswer: a message is on IN and its gateway is killed. The answer is pushed once; WeCom's
// redelivery, to the next gateway, is answered with nothing.
func TestSplitGatewayKilledBeforeTheAnswer(t *testing.T) {
	t.Parallel()
	ctx, s := guard(t), newSplit(t)
	s.say(ctx, "菜单", "1. 零售事业部")
	s.quiet(ctx)
	after := s.last(ctx)
	s.freezeDialogs()
	plain, _ := s.outside.Typed("zhangsan", "1")
	answer := s.post(ctx, plain)
	s.gateway.kill()
	if end := <-answer; end.err == nil {
		t.Fatalf("a killed gateway answered %q", end.text)
	}
	s.gateway = s.spawn("gateway")
	s.thawDialogs()
	if got := s.page.hear(ctx, "zhangsan", after, "1. Kubernetes 操作"); !strings.Contains(got, "「1」"+pushed) {
		t.Errorf("the answer does not say what it answers:\n%s", got)
	}
	s.quiet(ctx)
	once := s.stream(ctx, wire.StreamOut).LastSeq
	for range 2 {
		if text, err := s.outside.Post(ctx, plain); err != nil || text != "" {
			t.Errorf("the redelivery was answered with %q, %v", text, err)
		}
	}
	s.say(ctx, "1", "1. 调整 POD 数") // one step further, not two
	s.quiet(ctx)
	if got := s.pushes(ctx, after); len(got) != 1 {
		t.Errorf("pushed: %q", got)
	}
	if now := s.stream(ctx, wire.StreamOut).LastSeq; now != once {
		t.Errorf("%d more messages went out", now-once)
	}
}

// TestSplitExecutorKilled: the executor that waits for pods is killed. The other one tells the person, unasked, what became of
// the action, and does not do it again.
func TestSplitExecutorKilled(t *testing.T) {
	t.Parallel()
	ctx, s := guard(t), newSplit(t)
	before, _ := s.generation(ctx, "stuck")
	s.road(ctx, "stuck", "2")
	after := s.last(ctx)
	id := actionID.FindString(s.say(ctx, "1", "已受理 #"))
	s.until(ctx, "the action begins", func() bool { now, _ := s.generation(ctx, "stuck"); return now > before })
	owner := slices.IndexFunc(s.executors[:], func(p *proc) bool {
		_, body := p.get(ctx, "/metrics")
		return strings.Contains(body, "\npalmops_executor_running 1\n")
	})
	if owner < 0 {
		t.Fatal("no executor has the action")
	}
	s.executors[owner].kill()
	told := s.page.hear(ctx, "zhangsan", after, "1 → 2 已生效")
	if !strings.Contains(told, id) || !strings.Contains(told, "1/2") {
		t.Errorf("the person was told\n%s", told)
	}
	s.quiet(ctx)
	if ends := results(s.pushes(ctx, after)); len(ends) != 1 {
		t.Errorf("%d results: %q", len(ends), ends)
	}
	if now, replicas := s.generation(ctx, "stuck"); now != before+1 || replicas != 2 {
		t.Errorf("the deployment was changed %d times, to %d replicas", now-before, replicas)
	}
}

// TestSplitConfirmDeliveredFiveTimes: the confirm comes in five envelopes at once while a dialog and an executor are killed.
func TestSplitConfirmDeliveredFiveTimes(t *testing.T) {
	t.Parallel()
	ctx, s := guard(t), newSplit(t)
	before, _ := s.generation(ctx, "web")
	s.road(ctx, "web", "5")
	after, orders := s.last(ctx), s.stream(ctx, wire.StreamAct).LastSeq
	plain, _ := s.outside.Typed("zhangsan", "1")
	first := s.post(ctx, plain)
	copies := make(chan posted, 4)
	for range cap(copies) {
		go func() {
			text, err := s.outside.Post(ctx, plain)
			copies <- posted{text, err}
		}()
	}
	s.dialogs[0].kill()
	s.until(ctx, "the order is on ACT", func() bool { return s.stream(ctx, wire.StreamAct).LastSeq > orders })
	s.executors[0].kill()
	answers := []posted{<-first}
	for range cap(copies) {
		answers = append(answers, <-copies)
	}
	s.until(ctx, "the end of the action is told", func() bool { return len(results(s.pushes(ctx, after))) > 0 })
	s.quiet(ctx)
	ids := map[string]int{}
	count := func(text string) {
		if strings.Contains(text, "已受理") {
			ids[actionID.FindString(text)]++
		}
	}
	for _, a := range answers {
		if a.err != nil {
			t.Errorf("a delivery was not answered: %v", a.err)
		}
		count(a.text)
	}
	for _, text := range s.pushes(ctx, 0) {
		count(text)
	}
	ends := results(s.pushes(ctx, after))
	if len(ends) != 1 || len(ids) != 1 || ids[actionID.FindString(ends[0])] == 0 {
		t.Fatalf("accepted: %v, results: %q", ids, ends)
	}
	if now := s.stream(ctx, wire.StreamAct).LastSeq; now != orders+1 {
		t.Errorf("%d orders", now-orders)
	}
	now, replicas := s.generation(ctx, "web")
	// An executor killed between its note that it begins and the change itself leaves nothing done, and the person must have
	// been told so.
	if undone := strings.Contains(ends[0], "没有被修改"); undone && now != before || !undone && (now != before+1 || replicas != 5) {
		t.Errorf("the deployment was changed %d times, to %d replicas, and the person was told\n%s", now-before, replicas, ends[0])
	}
	t.Logf("accepted: %v, the end: %s", ids, ends[0])
	if text, err := s.outside.Post(ctx, plain); err != nil || text != "" && ids[actionID.FindString(text)] == 0 {
		t.Errorf("a redelivery was answered with %q, %v", text, err)
	}
	s.quiet(ctx)
	if now := results(s.pushes(ctx, after)); len(now) != 1 {
		t.Errorf("results after it: %q", now)
	}
}
