package app

import (
	"fmt"
	"time"

	"palmops/libs/wire"
	"palmops/services/dialog/internal/flow"
	"palmops/services/dialog/menu"
	"palmops/services/dialog/policy"
)

// Answers say what executors would answer when a menu is walked offline: by action, a list, the fields of one thing, or
// the page of a remote node. The lists of the directory are those under wire.ListMembers and wire.ListDepartments.
type Answers map[string]struct {
	Items  []wire.Item
	Fields map[string]string
	View   *wire.View
}

// Walk is what a walk showed at one input.
type Walk struct {
	Input   string
	Screens []wire.Screen
	// Action is the order that would have been sent, with its arguments; "" when there was none.
	Action string
	Args   map[string]any
	Noop   bool // it is a dry run
}

// WalkMenu plays inputs against a menu and a policy with the code that serves real conversations, without any executor,
// bus or store; orders stay queued. The menu is opened first. Errors: an action that the answers do not cover.
func WalkMenu(m *menu.Menu, p *policy.Policy, person wire.Person, answers Answers, inputs []string) ([]Walk, error) {
	var s flow.Session
	var memo flow.Memo
	now := time.Now()
	bound := p.Bind(m)
	rights := func(*menu.Menu) flow.Rights { return bound.For(person, now) }
	var out []Walk
	for i, text := range append([]string{"菜单"}, inputs...) { //lang:word
		env := flow.Env{
			Person: person, Identity: flow.Fresh, Rights: rights, Answers: map[string]flow.Answer{}, Memo: memo, Nodes: DefaultNodes(),
			Now: now.UnixMilli(),
		}
		ev := flow.Event{ID: fmt.Sprint(i), Type: "text", Text: text, SentAt: now.Unix()}
		r := flow.Step(m, s, ev, env)
		for r.Need != nil {
			a, err := answers.to(*r.Need)
			if err != nil {
				return out, err
			}
			env.Answers[r.Need.Key] = a
			r = flow.Step(m, s, ev, env)
		}
		s = r.Session
		if r.Memo != nil {
			memo = *r.Memo
		}
		w := Walk{Input: text, Screens: r.Screens}
		if r.Intent != nil {
			w.Action, w.Args, w.Noop = r.Intent.Action, r.Intent.Args, r.Intent.Noop
		}
		out = append(out, w)
	}
	return out, nil
}

func (answers Answers) to(q flow.Question) (flow.Answer, error) {
	name := q.Action
	switch q.What {
	case flow.AskTasks:
		var a flow.Answer
		for _, id := range q.Tasks {
			a.Tasks = append(a.Tasks, flow.Task{ID: id, State: wire.StateQueued})
		}
		return a, nil
	case flow.AskOutput:
		return flow.Answer{}, nil
	case flow.AskDirectory:
		name = q.Directory
	}
	a, ok := answers[name]
	if !ok {
		return flow.Answer{}, fmt.Errorf("the menu asks for %s at %s, and the answers have no such entry", name, q.Node)
	}
	if q.What == flow.AskView && a.View == nil {
		return flow.Answer{}, fmt.Errorf("the menu asks for a page from %s at %s, and the answers have no view there", name, q.Node)
	}
	return flow.Answer{Items: a.Items, Fields: a.Fields, View: a.View}, nil
}
