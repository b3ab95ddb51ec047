package app

import (
	"fmt"
	"time"

	"palmops/libs/wire"
	"palmops/services/dialog/internal/flow"
	"palmops/services/dialog/menu"
	"palmops/services/dialog/policy"
)

// Answers say what executors would answer when a menu is walked offline: by action, a list or the fields of one thing.
type Answers map[string]struct {
	Items  []wire.Item
	Fields map[string]string
}

// Walk is what a walk showed at one input.
type Walk struct {
	Input   string
	Screens []wire.Screen
	// Action is the order that a confirm would have sent, with its arguments; "" when there was none.
	Action string
	Args   map[string]any
}

// WalkMenu plays inputs against a menu and a policy with the code that serves real conversations, without any executor,
// bus or store. The menu is opened first. Errors: an action that the answers do not cover.
func WalkMenu(m *menu.Menu, p *policy.Policy, person wire.Person, answers Answers, inputs []string) ([]Walk, error) {
	var s flow.Session
	now := time.Now().Unix()
	var out []Walk
	for i, text := range append([]string{"菜单"}, inputs...) {
		env := flow.Env{Person: person, Identity: flow.Fresh, Rights: p, Answers: map[string]flow.Answer{}}
		ev := flow.Event{ID: fmt.Sprint(i), Type: "text", Text: text, SentAt: now}
		r := flow.Step(m, s, ev, env)
		for r.Need != nil {
			a, ok := answers[r.Need.Action]
			if !ok {
				return out, fmt.Errorf("the menu asks for %s at %s, and the answers have no such entry", r.Need.Action, r.Need.Node)
			}
			env.Answers[r.Need.Key] = flow.Answer{Items: a.Items, Fields: a.Fields}
			r = flow.Step(m, s, ev, env)
		}
		s = r.Session
		w := Walk{Input: text, Screens: r.Screens}
		if r.Intent != nil {
			w.Action, w.Args = r.Intent.Action, r.Intent.Args
		}
		out = append(out, w)
	}
	return out, nil
}
