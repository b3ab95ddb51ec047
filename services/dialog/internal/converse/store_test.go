package converse_test

import (
	"context"
	"strings"
	"testing"

	"palmops/libs/bus"
	"palmops/libs/wire"
	"palmops/services/dialog/internal/session/sessiontest"
)

func TestAWordOfTheStore(t *testing.T) {
	for _, how := range []string{"frozen", "killed"} {
		t.Run(how, func(t *testing.T) {
			s := newStage(t)
			s.passive = true
			s.say(toConfirm...)
			if how == "frozen" {
				s.redis.Freeze()
			} else {
				s.redis.Kill()
			}
			m := s.message("0")
			for m.Delivered = 1; m.Delivered < 3; m.Delivered++ {
				if err := s.handle(m); bus.Settle(err) != bus.Again {
					t.Fatalf("delivery %d: %v", m.Delivered, err)
				}
			}
			if err := s.handle(m); err != nil {
				t.Fatal(err)
			}
			last := screens(s.replies[len(s.replies)-1].Screens)
			if !strings.Contains(last, "会话存储暂时不可用") || !strings.Contains(last, "没有执行任何操作") {
				t.Error(last)
			}
			// A confirm whose first delivery was somebody else's: nobody can be sure.
			c := s.message("１")
			c.Delivered = 3
			if err := s.handle(c); err != nil {
				t.Fatal(err)
			}
			if last := screens(s.replies[len(s.replies)-1].Screens); !strings.Contains(last, "不能确定") {
				t.Error(last)
			}
			// A confirm that failed here each time surely did nothing.
			c = s.message("1")
			for c.Delivered = 1; c.Delivered < 3; c.Delivered++ {
				if err := s.handle(c); err == nil {
					t.Fatal("no error")
				}
			}
			if err := s.handle(c); err != nil {
				t.Fatal(err)
			}
			if last := screens(s.replies[len(s.replies)-1].Screens); !strings.Contains(last, "没有执行任何操作") {
				t.Error(last)
			}
			if how == "frozen" {
				s.redis.Thaw()
			} else {
				s.redis.Restart()
			}
			sessiontest.Wait(t, "redis to answer", func(ctx context.Context) bool { return s.store.Ready(ctx) == nil })
			if acts := stored[wire.Action](s, wire.StreamAct); len(acts) != 0 {
				t.Errorf("orders %+v", acts)
			}
			s.say("1")
			if acts := stored[wire.Action](s, wire.StreamAct); len(acts) != 1 {
				t.Errorf("the conversation did not go on: %s", screens(s.replies[len(s.replies)-1].Screens))
			}
		})
	}
}
