package app_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"palmops/libs/wire"
	"palmops/services/dialog/internal/flow"
	"palmops/services/dialog/internal/session/sessiontest"
)

// A list of any length and content, asked once and then shown with its age, also when the executor is late or never answers.
func TestAListThatGrowsOld(t *testing.T) {
	s := newStage(t)
	for i := range 5000 {
		s.services = append(s.services, wire.Item{Value: fmt.Sprintf("svc-%04d", i), Label: fmt.Sprintf("<b>服务&%04d</b>", i)})
	}
	s.dialog()
	s.say("zhangsan", "菜单")
	open := []string{"2", "3"}
	s.wants(s.sayAll("zhangsan", open...), "1. <b>服务&0000</b>", "共 5000 项")
	s.say("zhangsan", "00")
	s.say("lisi", "菜单")
	s.wants(s.sayAll("lisi", open...), "1. <b>服务&0000</b>")
	if n := s.count("k8s.services"); n != 1 {
		t.Errorf("asked %d times", n)
	}

	slow := make(chan struct{})
	s.set(func() { s.ahead, s.slow = 2*time.Minute, slow })
	s.wants(s.sayAll("zhangsan", open...), "1. <b>服务&0000</b>", "列表取自 2 分钟前")
	s.set(func() { s.services, s.slow = []wire.Item{{Value: "new"}}, nil })
	close(slow)
	sessiontest.Wait(t, "the new list", func(context.Context) bool { return s.count("k8s.services") == 2 })
	s.say("zhangsan", "00")
	sessiontest.Wait(t, "the new list to count", func(context.Context) bool {
		got := s.sayAll("zhangsan", open...)
		s.say("zhangsan", "00")
		return strings.Contains(got, "1. new") && !strings.Contains(got, "列表取自")
	})

	s.set(func() { s.ahead, s.silent = 5*time.Minute, true })
	s.wants(s.sayAll("zhangsan", open...), "1. new", "列表取自 3 分钟前")
	s.say("zhangsan", "00")
	s.set(func() { s.ahead = time.Hour })
	s.wants(s.sayAll("zhangsan", open...), "列表暂时取不到（执行器没有应答），没有执行任何操作")
}

func TestNodesAndTheDirectory(t *testing.T) {
	s := newStage(t)
	s.services = []wire.Item{{Value: "web"}}
	s.dialog()
	s.say("zhangsan", "菜单")
	s.wants(s.sayAll("zhangsan", "2", "1", "10.1.2.3/24"), "10.1.2.0/24")
	s.say("zhangsan", "00")
	s.wants(s.sayAll("zhangsan", "2", "2"), "at: in zh", "1. ns-a")
	s.wants(s.say("zhangsan", "2"), `at:ns\-b in zh`) // the - of a value as in a session's path
	s.say("zhangsan", "00")
	s.wants(s.sayAll("zhangsan", "2", "3", "1"), "1. 李四", "2. 张三")
	s.wants(s.sayAll("zhangsan", "1", "1"), "已受理 #")
	acts := s.acts()
	if len(acts) != 1 {
		t.Fatalf("%d orders", len(acts))
	}
	if c, args := s.open(acts[0]); c.Action != "drill.run" || args["item"] != "web" || args["reason"] != "lisi" {
		t.Errorf("%+v %v", c, args)
	}
}

// ordered walks to an order and returns its claims.
func (s *stage) ordered(user string) wire.Claims {
	s.t.Helper()
	s.sayAll(user, toConfirm...)
	s.say(user, "1")
	acts := s.acts()
	c, _ := s.open(acts[len(acts)-1])
	return c
}

func (s *stage) record(rec wire.Record) {
	s.t.Helper()
	kv, err := s.bus.JS.KeyValue(s.t.Context(), wire.BucketActions)
	if err != nil {
		s.t.Fatal(err)
	}
	raw, err := json.Marshal(rec)
	if err != nil {
		s.t.Fatal(err)
	}
	if _, err := kv.Create(s.t.Context(), rec.ID, raw); err != nil {
		s.t.Fatal(err)
	}
}

func (s *stage) result(c wire.Claims, output string) {
	s.t.Helper()
	ev := wire.Event{
		V: 1, ID: c.ID, Corp: corp, App: appID, User: c.User, Action: c.Action, Title: c.Title, State: wire.StateSucceeded, Rev: 3, Output: output, Lang: c.Lang,
	}
	if _, err := s.bus.Publish(s.t.Context(), wire.ResSubject(corp, appID, c.ID), c.ID, ev); err != nil {
		s.t.Fatal(err)
	}
}

// All of a long output can be read on the phone, first line and last, and it comes as a file as well.
func TestALongOutputIsReadToItsEnd(t *testing.T) {
	s := newStage(t)
	s.dialog()
	c := s.ordered("zhangsan")
	s.record(wire.Record{V: 1, ID: c.ID, Corp: corp, App: appID, User: "zhangsan", State: wire.StateSucceeded, Title: c.Title})
	var lines []string
	for i := range 1000 {
		lines = append(lines, fmt.Sprintf("第 %04d 行 输出", i))
	}
	output := strings.Join(lines, "\n")
	s.result(c, output+"\n")
	o := s.pushed()
	s.wants(shown(o.Screens), "已完成", lines[0], "输出共 1000 行（20 KB）：回复 我的任务 查看全部")
	objects, err := s.bus.JS.ObjectStore(t.Context(), wire.BucketOutputs)
	if err != nil {
		t.Fatal(err)
	}
	if o.File == nil || o.File.Size != int64(len(output)) {
		t.Fatalf("%+v", o.File)
	}
	if whole, err := objects.GetString(t.Context(), o.File.Object); whole != output || err != nil {
		t.Errorf("%d bytes of %d, %v", len(whole), len(output), err)
	}
	s.wants(s.say("zhangsan", "我的任务"), "#"+wire.ShortID(c.ID), "已完成")
	s.wants(s.say("zhangsan", "1"), "查看输出")
	page := s.say("zhangsan", "1")
	s.wants(page, lines[0])
	for n := 0; !strings.Contains(page, lines[len(lines)-1]); n++ {
		if n > 100 {
			t.Fatalf("the last line does not come: %s", page)
		}
		page = s.say("zhangsan", "+")
	}
}

// An order that is somebody else's by its record tells nothing, whatever is remembered of a person.
func TestTheTasksOfSomebodyElse(t *testing.T) {
	s := newStage(t)
	s.dialog()
	c := s.ordered("zhangsan")
	s.wants(s.say("zhangsan", "我的任务"), "排队中")
	s.record(wire.Record{V: 1, ID: c.ID, Corp: corp, App: appID, User: "lisi", State: wire.StateSucceeded, Title: "secret", Summary: "secret"})
	s.result(wire.Claims{ID: c.ID, User: "lisi", Action: c.Action}, strings.Repeat("secret\n", 100))
	s.pushed() // to lisi
	got := s.sayAll("zhangsan", "我的任务", "1")
	s.wants(got, "已过期")
	if strings.Contains(got, "secret") || strings.Contains(got, "查看输出") {
		t.Error(got)
	}
}

// The language of a person: in the menu, at the executor, and in the result; it survives the session and every dialog.
func TestALanguageIsKept(t *testing.T) {
	s := newStage(t)
	_, stop, _ := s.dialog()
	s.wants(s.sayAll("zhangsan", "菜单", "English"), "Retail")
	s.wants(s.say("zhangsan", "#"), "Left")
	stop()
	s.redis.Restart() // and with it nothing is lost
	s.dialog()
	sessiontest.Wait(t, "redis to answer", func(ctx context.Context) bool {
		return sessiontest.Patient(t, s.redis.URL()).Ping(ctx).Err() == nil
	})
	s.wants(s.say("zhangsan", "hello"), "1. Retail")
	s.sayAll("zhangsan", toConfirm[1:]...)
	s.wants(s.say("zhangsan", "1"), "shop/web replicas 3 → 5")
	c, _ := s.open(s.acts()[0])
	if c.Lang != "en" || c.Title != "shop/web replicas 3 → 5" {
		t.Errorf("%+v", c)
	}
	for _, q := range s.asked {
		if q.Lang != "en" {
			t.Errorf("asked in %q", q.Lang)
		}
	}
	s.result(c, strings.Repeat("line\n", 30))
	o := s.pushed()
	if o.Lang != "en" {
		t.Errorf("%+v", o)
	}
	s.wants(shown(o.Screens), "Done #", "The output has 30 lines")
	s.wants(s.say("wangwu", "菜单"), "支付事业部")
	s.wants(s.sayAll("zhangsan", "中文", "00"), "零售事业部")
}

// A press that two dialogs get, and get again under another envelope: one step, one push, one update of the card.
func TestAPressReachesTwoDialogs(t *testing.T) {
	s := newStage(t)
	for range 2 {
		s.dialog()
	}
	s.sayAll("zhangsan", "菜单", "卡片")
	s.sayAll("zhangsan", toConfirm[1:]...)
	in := s.publish(wire.Inbound{
		User: "zhangsan", Type: "event", Event: flow.EventCard, EventKey: "1", TaskID: s.card, ResponseCode: "rc",
	})
	for _, envelope := range []string{"again", "and again"} {
		if _, err := s.bus.Publish(t.Context(), wire.InSubject(corp, appID, in.User), envelope, in); err != nil {
			t.Fatal(err)
		}
	}
	o := s.pushed()
	if o.Card == nil || o.Card.ResponseCode != "rc" || o.InReplyTo != "" {
		t.Errorf("%+v", o)
	}
	s.wants(shown(o.Screens), "已受理")
	id := s.send("zhangsan", "?")
	if o := s.pushed(); o.InReplyTo != id {
		t.Errorf("pushed besides: %+v", o)
	}
	if n := len(s.acts()); n != 1 {
		t.Errorf("%d orders", n)
	}
}
