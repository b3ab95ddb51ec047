package app

import (
	"strings"
	"testing"

	"palmops/libs/wire"
)

// TestWhoIsInProd goes the whole way of a lock: taken by an order, seen by a question, given back.
func TestWhoIsInProd(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	res, err := s.bus.NC.SubscribeSync("res.>")
	s.check(err)
	s.check(s.bus.NC.Flush())
	if a := s.ask(wire.ActionLocks, nil); a.Fault != nil || len(a.Items) != 0 {
		t.Errorf("%+v", a)
	}
	s.send("take", wire.ActionLock, map[string]any{"env": "prod", "reason": "发布 2.4"})
	if ev := s.result(res); ev.State != wire.StateSucceeded {
		t.Fatalf("%+v", ev)
	}
	if a := s.ask(wire.ActionLocks, map[string]any{"env": "prod"}); a.Fault != nil || len(a.Items) != 1 || a.Items[0].Value != "prod" || !strings.Contains(a.Items[0].Detail, "：发布 2.4") {
		t.Errorf("%+v", a)
	}
	if a := s.ask(wire.ActionLocks, map[string]any{"env": "moon"}); a.Fault == nil || !strings.Contains(a.Fault.Text, "没有环境 moon") {
		t.Errorf("%+v", a)
	}
	s.send("give", wire.ActionUnlock, map[string]any{"env": "prod"})
	if ev := s.result(res); ev.State != wire.StateSucceeded {
		t.Fatalf("%+v", ev)
	}
	if a := s.ask(wire.ActionLocks, nil); a.Fault != nil || len(a.Items) != 0 {
		t.Errorf("%+v", a)
	}
}
