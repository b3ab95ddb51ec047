package command

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"palmops/libs/wire"
)

// truthful are the sentences for a message that the session store kept from being worked on.
func truthful(text string) bool {
	return strings.Contains(text, "会话存储暂时不可用") && (strings.Contains(text, "没有执行任何操作") || strings.Contains(text, "不能确定"))
}

// TestSplitRedisFrozen: while Redis is frozen a number and an impatient confirm are answered with what is true of them, and
// afterwards the conversation stands where it stood.
func TestSplitRedisFrozen(t *testing.T) {
	t.Parallel()
	ctx, s := guard(t), newSplit(t)
	before, _ := s.generation(ctx, "web")
	s.ask(ctx, "web")
	s.quiet(ctx)
	orders := s.stream(ctx, wire.StreamAct).LastSeq
	s.redis.Freeze()
	for _, text := range []string{"5", "1"} {
		if got := s.say(ctx, text, "会话存储"); !truthful(got) {
			t.Errorf("%s was answered with\n%s", text, got)
		}
	}
	s.redis.Thaw()
	s.quiet(ctx)
	if now := s.stream(ctx, wire.StreamAct).LastSeq; now != orders {
		t.Errorf("%d orders came out of a frozen store", now-orders)
	}
	s.say(ctx, "?", "新的副本数")
	s.say(ctx, "5", "3 → 5")
	s.redis.Freeze()
	if got := s.say(ctx, "1", "会话存储"); !truthful(got) {
		t.Errorf("the confirm was answered with\n%s", got)
	}
	s.redis.Thaw()
	s.quiet(ctx)
	if now := s.stream(ctx, wire.StreamAct).LastSeq; now != orders {
		t.Errorf("%d orders came out of a frozen store", now-orders)
	}
	s.say(ctx, "?", "3 → 5")
	after := s.last(ctx)
	s.say(ctx, "1", "已受理")
	s.page.hear(ctx, "zhangsan", after, "5/5")
	if now, replicas := s.generation(ctx, "web"); now != before+1 || replicas != 5 {
		t.Errorf("the deployment was changed %d times, to %d replicas", now-before, replicas)
	}
}

// TestSplitNATSStopped: without NATS a message is told to be not accepted; afterwards the same processes go on, also with an
// action that was under way.
func TestSplitNATSStopped(t *testing.T) {
	t.Parallel()
	ctx, s := guard(t), newSplit(t)
	all := []*proc{s.gateway, s.dialogs[0], s.dialogs[1], s.executors[0], s.executors[1]}
	ready := func(want int) {
		t.Helper()
		s.until(ctx, fmt.Sprintf("every service answers /readyz with %d", want), func() bool {
			return !slices.ContainsFunc(all, func(p *proc) bool { status, _ := p.get(ctx, "/readyz"); return status != want })
		})
	}
	outage := func(during func()) {
		t.Helper()
		s.nats.kill()
		ready(http.StatusServiceUnavailable)
		during()
		s.nats.start()
		ready(http.StatusOK)
		s.until(ctx, "the test is connected again", func() bool { return s.bus.Ready(ctx) == nil })
	}
	s.say(ctx, "菜单", "1. 零售事业部")
	s.say(ctx, "1", "1. Kubernetes 操作")
	s.quiet(ctx)
	outage(func() {
		for range 2 {
			plain, _ := s.outside.Typed("zhangsan", "1")
			text, err := s.outside.Post(ctx, plain)
			if err != nil || !strings.HasPrefix(text, "未受理：") || !strings.Contains(text, "什么都没有执行") {
				t.Errorf("without NATS: %q %v", text, err)
			}
		}
	})
	s.say(ctx, "1", "1. 调整 POD 数") // one step further
	before, _ := s.generation(ctx, "web")
	s.road(ctx, "web", "5")
	after := s.last(ctx)
	id := actionID.FindString(s.say(ctx, "1", "已受理 #"))
	s.until(ctx, "the action begins", func() bool { now, _ := s.generation(ctx, "web"); return now > before })
	outage(func() {})
	s.page.hear(ctx, "zhangsan", after, "5/5")
	s.say(ctx, "菜单", "1. 零售事业部")
	s.quiet(ctx)
	if ends := results(s.pushes(ctx, 0)); len(ends) != 1 || actionID.FindString(ends[0]) != id {
		t.Errorf("the results of %s: %q", id, ends)
	}
	if now, replicas := s.generation(ctx, "web"); now != before+1 || replicas != 5 {
		t.Errorf("the deployment was changed %d times, to %d replicas", now-before, replicas)
	}
	for _, p := range all {
		select {
		case <-p.done:
			t.Error("a process ended")
		default:
		}
	}
}
