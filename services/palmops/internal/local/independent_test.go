package local

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"palmops/services/palmops/internal/outsidetest"
)

// TestIndependentClient has the main conversation over the callback alone; the result comes by push to the phone.
func TestIndependentClient(t *testing.T) {
	r := start(t, nil)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	c := outsidetest.New(t, r.CallbackURL(), filepath.Join(configDir, "wecom.env"))

	defer c.Close()

	if code, body, err := c.Check(ctx, "1616140317555161061"); err != nil || code != 200 || body != "1616140317555161061" {
		t.Fatalf("URL check: %d %q %v", code, body, err)
	}

	for _, step := range []struct{ say, want string }{
		{"菜单", "1. 零售事业部"},
		{"1", "1. Kubernetes 操作"},
		{"1", "1. 调整 POD 数"},
		{"1", "1. shop"},
		{"1", "4. web  3/3"},
		{"4", "新的副本数"},
		{"５", "shop/web：3 → 5"},
	} {
		if got := c.Say(ctx, "zhangsan", step.say); !strings.Contains(got, step.want) {
			t.Fatalf("%q: want %q in\n%s", step.say, step.want, got)
		}
	}
	// The confirm is delivered three times, as WeCom does when it gets no answer: one action, the same answer.
	confirm, _ := c.Typed("zhangsan", "1")
	replies := make(chan string, 3)
	for range cap(replies) {
		go func() {
			reply, err := c.Post(ctx, confirm)
			if err != nil {
				reply = err.Error()
			}
			replies <- reply
		}()
	}
	first := <-replies
	if !strings.Contains(first, "已受理 #") {
		t.Fatalf("confirm: %s", first)
	}
	for range cap(replies) - 1 {
		if other := <-replies; other != first {
			t.Errorf("the same message got another answer:\n%s\n%s", first, other)
		}
	}
	texts, last, err := r.phones.Heard(ctx, "zhangsan", 0)
	if err != nil || len(texts) != 1 || !strings.Contains(texts[0], "3 → 5") || !strings.Contains(texts[0], "5/5") {
		t.Fatalf("pushed: %q %v", texts, err)
	}
	// And once more, late: still the same answer, still no second effect and no second result.
	if late, err := c.Post(ctx, confirm); err != nil || late != first {
		t.Errorf("late redelivery: %q %v", late, err)
	}
	if got := c.Say(ctx, "zhangsan", "菜单"); !strings.Contains(got, "零售事业部") {
		t.Errorf("afterwards: %s", got)
	}
	if now, err := r.phones.Last(ctx, "zhangsan"); err != nil || now != last {
		t.Errorf("something more was pushed: %d, was %d (%v)", now, last, err)
	}
}
