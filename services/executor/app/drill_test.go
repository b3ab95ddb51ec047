package app

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"palmops/libs/wire"
)

// send orders an action of the local catalog.
func (s *site) send(name, action string, args map[string]any) (id string) {
	s.t.Helper()
	id = wire.DeriveID(name)
	_, err := s.bus.Publish(s.t.Context(), wire.ActSubject("local", "k8s", action, id), id, s.order(id, action, false, args))
	s.check(err)
	return id
}

// result waits for the next final event on a subscription.
func (s *site) result(res *nats.Subscription) wire.Event {
	s.t.Helper()
	for {
		msg, err := res.NextMsg(hang)
		s.check(err)
		var ev wire.Event
		s.check(json.Unmarshal(msg.Data, &ev))
		if wire.Final(ev.State) {
			return ev
		}
	}
}

// TestDrills goes the whole way with actions that touch nothing: a run with output, one that is cancelled, and questions.
func TestDrills(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	res, err := s.bus.NC.SubscribeSync("res.>")
	s.check(err)
	s.check(s.bus.NC.Flush())
	run := s.send("run", "drill.run", map[string]any{"lines": 3, "service": "web-1"})
	if ev := s.result(res); ev.ID != run || ev.State != wire.StateSucceeded || ev.Output != "1 演练输出\n2 演练输出\n3 演练输出" || !strings.Contains(ev.Text, "service=web-1") {
		t.Errorf("run %+v", ev)
	}
	long := s.send("long", "drill.run", map[string]any{"seconds": 600})
	kv, err := s.bus.JS.KeyValue(t.Context(), wire.BucketActions)
	s.check(err)
	watch, err := kv.Watch(t.Context(), long)
	s.check(err)
	for e := range watch.Updates() {
		var rec wire.Record
		if e == nil {
			continue
		}
		s.check(json.Unmarshal(e.Value(), &rec))
		if rec.State == wire.StateRunning {
			break
		}
	}
	s.check(watch.Stop())
	stop := s.send("stop", wire.ActionCancel, map[string]any{"id": long})
	for range 2 {
		switch ev := s.result(res); {
		case ev.ID == long && ev.State == wire.StateCanceled && strings.Contains(ev.Text, "演练已取消"):
		case ev.ID == stop && ev.State == wire.StateSucceeded && strings.Contains(ev.Text, "已取消 #"+wire.ShortID(long)):
		default:
			t.Errorf("event %+v", ev)
		}
	}
	if a := s.ask("drill.list", map[string]any{"count": 3, "parent": "rack"}); len(a.Items) != 3 || a.Items[2].Value != "rack-0003" {
		t.Errorf("list %+v", a)
	}
	if a := s.ask("drill.state", nil); a.Fields["version"] != "1.4.2" {
		t.Errorf("state %+v", a)
	}
	if a := s.ask("drill.guide", map[string]any{"inputs": "all-release", "lang": "en"}); a.View == nil || a.View.Title != "What to do when a service is slow" || len(a.View.Body) != 4 {
		t.Errorf("guide %+v", a.View)
	}
	if a := s.ask("k8s.browse", map[string]any{"inputs": "shop-web", "lang": "zh"}); a.View == nil || a.View.Title != "shop/web" || a.View.Body[0] != "副本数：3" {
		t.Errorf("browse %+v", a.View)
	}
}
