package converse_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"palmops/libs/fault"
	"palmops/libs/lang"
	"palmops/libs/token"
	"palmops/libs/wire"
	"palmops/services/dialog/internal/flow"
)

// What is remembered of a person survives the end of the session and the restart of the dialog; the language reaches the
// reply, the questions, and the order.
func TestTheLanguageOfAPerson(t *testing.T) {
	s := newStage(t)
	s.passive = true
	s.say("x")
	if s.replies[0].Lang != "zh" {
		t.Errorf("%+v", s.replies[0])
	}
	s.say("english", "#")
	if got := s.last(); !strings.Contains(got, "Left") {
		t.Error(got)
	}
	s.conv = s.converser()
	s.say(append(slices.Clone(toConfirm), "1")...)
	r := s.replies[len(s.replies)-1]
	if r.Lang != "en" || strings.Contains(screens(r.Screens), "已受理") || !strings.Contains(screens(r.Screens), "shop/web replicas 3 → 5") {
		t.Errorf("%+v", r)
	}
	for _, a := range s.asked {
		if a.t != lang.English {
			t.Errorf("%s was asked in %s", a.q.Action, a.t)
		}
	}
	layered, err := keys.Layered(token.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var c wire.Claims
	if _, err := layered.Loads(stored[wire.Action](s, wire.StreamAct)[0].Token, time.Minute, &c); err != nil || c.Lang != "en" {
		t.Errorf("%+v %v", c, err)
	}
	// Redelivered, by a new process: the same reply in the same language.
	if rep := s.said("m10"); rep == nil || rep.Lang != "en" {
		t.Errorf("%+v", rep)
	}
	// An order that cannot be handed over is told in it as well.
	s.say("00")
	s.say(toConfirm[1:]...)
	s.faults["act."] = fault.New(fault.Invalid, "refused")
	s.say("1")
	if got := s.last(); !strings.Contains(got, "was not accepted") {
		t.Error(got)
	}
}

func TestOrdersAreFoundAgain(t *testing.T) {
	s := newStage(t)
	s.passive = true
	s.say(append(slices.Clone(toConfirm), "1", "#")...)
	id := stored[wire.Action](s, wire.StreamAct)[0].ID
	s.conv = s.converser()
	plain := s.answer
	s.answer = func(q flow.Question) (flow.Answer, error) {
		switch q.What {
		case flow.AskTasks:
			return flow.Answer{Tasks: []flow.Task{{ID: q.Tasks[0], State: wire.StateSucceeded, Output: 5}}}, nil
		case flow.AskOutput:
			return flow.Answer{Output: flow.OutputPage{Lines: []string{"第一行", "第二行"}, Pages: 1}}, nil
		}
		return plain(q)
	}
	s.say("我的任务")
	if got := s.last(); !strings.Contains(got, "#"+wire.ShortID(id)) || !strings.Contains(got, "已完成") {
		t.Error(got)
	}
	s.say("1", "1")
	if got := s.last(); !strings.Contains(got, "第二行") {
		t.Error(got)
	}
	for _, a := range s.asked {
		if a.q.What == flow.AskTasks && !slices.Equal(a.q.Tasks, []string{id}) {
			t.Errorf("asked for %v", a.q.Tasks)
		}
	}
	// Somebody else has no orders.
	s.settle(s.inbound(wire.Inbound{Type: "text", Text: "我的任务", User: "lisi"}))
	if got := s.last(); strings.Contains(got, wire.ShortID(id)) {
		t.Error(got)
	}
}

// What the directory said is handed from one step to the next.
func TestThePersonIsRemembered(t *testing.T) {
	s := newStage(t)
	s.passive = true
	s.say("x", "1", "#", "x")
	for i, known := range s.known {
		want := ""
		if i > 0 {
			want = "seen " + string(rune('0'+i))
		}
		if string(known) != want {
			t.Errorf("step %d knew %q", i, known)
		}
	}
}

func TestNodesInGo(t *testing.T) {
	s := newStage(t)
	s.passive = true
	s.say("x", "2", "1", "10.1.2.3/24")
	if got := s.last(); !strings.Contains(got, "10.1.2.0") {
		t.Error(got)
	}
}

func TestNodesOfAnExecutor(t *testing.T) {
	s := newStage(t)
	s.passive = true
	s.answer = func(q flow.Question) (flow.Answer, error) {
		if q.What != flow.AskView {
			t.Errorf("asked for %s", q.What)
		}
		return flow.Answer{View: &wire.View{Title: "at " + q.Args["inputs"].(string), Items: []wire.Item{{Value: "shop"}}}}, nil
	}
	s.say("x", "2", "2", "1")
	if got := s.last(); !strings.Contains(got, "at shop") {
		t.Error(got)
	}
}

// A menu that open sessions walk through and that cannot be read right now must not end them.
func TestAMenuThatCannotBeRead(t *testing.T) {
	s := newStage(t)
	s.passive = true
	s.say("x", "1")
	s.faults["revision"] = fault.New(fault.Transient, "no bus")
	m := s.message("1")
	if err := s.handle(m); !fault.Is(err, fault.Transient) || len(s.replies) != 2 {
		t.Fatalf("%v, %d replies", err, len(s.replies))
	}
	delete(s.faults, "revision")
	s.settle(m)
	if got := s.last(); !strings.Contains(got, "调整 POD 数") {
		t.Error(got)
	}
}
