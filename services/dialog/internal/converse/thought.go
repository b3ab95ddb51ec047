package converse

import (
	"context"
	"encoding/json"
	"time"

	"go.uber.org/zap"

	"palmops/libs/fault"
	"palmops/libs/lang"
	"palmops/libs/wire"
	"palmops/services/dialog/internal/flow"
	"palmops/services/dialog/internal/session"
	"palmops/services/dialog/menu"
)

// thought is one step of flow on its way.
type thought struct {
	*Converser
	in       wire.Inbound
	known    []byte // of the person
	session  flow.Session
	memo     flow.Memo
	latest   *menu.Menu
	remember []byte // of the person, for the next time
}

func (c *Converser) newThought(in wire.Inbound, loaded session.Loaded) *thought {
	th := &thought{Converser: c, in: in, known: loaded.Person, latest: c.Rules.Menu()}
	if loaded.State != nil {
		if err := json.Unmarshal(loaded.State, &th.session); err != nil {
			c.Log.Warn("session cannot be read; it starts again", zap.String("id", in.ID), zap.Error(err))
			th.session = flow.Session{}
		}
	}
	th.session.SentAt = max(th.session.SentAt, loaded.SentAt)
	if loaded.Memo != nil {
		if err := json.Unmarshal(loaded.Memo, &th.memo); err != nil {
			c.Log.Warn("memo cannot be read; it starts again", zap.String("id", in.ID), zap.Error(err))
			th.memo = flow.Memo{}
		}
	}
	return th
}

// tongue is the language of the person, as far as that is known before the step.
func (th *thought) tongue() lang.Tag {
	if th.memo.Lang != "" {
		return lang.Of(string(th.memo.Lang))
	}
	return lang.Of(string(th.latest.Language))
}

// think makes the step and asks what it needs on the way. It returns the menu the result belongs to. Errors: Transient,
// the menu of the session cannot be read now.
func (th *thought) think(ctx context.Context) (flow.Result, *menu.Menu, error) {
	m, err := th.Rules.Revision(ctx, th.session.Rev)
	if err != nil {
		return flow.Result{}, nil, err
	}
	if m == nil {
		m = th.latest
	}
	var person wire.Person
	var identity flow.Identity
	person, identity, th.remember, err = th.People.Find(ctx, who(th.in), th.known)
	if err != nil {
		th.Log.Warn("directory", zap.String("id", th.in.ID), zap.Error(err))
	}
	now := th.Now()
	rights := map[*menu.Menu]flow.Rights{}
	env := flow.Env{
		Person: person, Identity: identity, Answers: map[string]flow.Answer{}, Latest: th.latest, Memo: th.memo, Nodes: th.Nodes,
		Now: now.UnixMilli(), Online: th.Online,
		Rights: func(m *menu.Menu) flow.Rights { // one policy for the whole step, whatever is reloaded meanwhile
			if rights[m] == nil {
				rights[m] = th.Rules.Rights(m)(person, now)
			}
			return rights[m]
		},
	}
	ev := flow.Event{
		ID: th.in.ID, Type: th.in.Type, Text: th.in.Text, Event: th.in.Event, Key: th.in.EventKey, Card: th.in.TaskID,
		SentAt: th.in.SentAt, At: th.in.ReceivedAt,
	}
	res := flow.Step(m, th.session, ev, env)
	for range maxQuestions {
		if res.Need == nil {
			break
		}
		env.Answers[res.Need.Key] = th.ask(ctx, *res.Need)
		res = flow.Step(m, th.session, ev, env)
	}
	for range maxQuestions { // a menu whose screens need more than that does not exist
		if res.Need == nil {
			break
		}
		env.Answers[res.Need.Key] = flow.Answer{Fault: texts.Say(th.tongue(), "need.much")}
		res = flow.Step(m, th.session, ev, env)
	}
	if res.Session.Rev == th.latest.Rev {
		m = th.latest
	}
	return res, m, nil
}

func (th *thought) ask(ctx context.Context, q flow.Question) flow.Answer {
	// What is left after the question must be enough to store the step and to answer.
	if by, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, by.Add(-session.Timeout))
		defer cancel()
	}
	id := wire.DeriveID("question", th.in.ID, q.Key, th.Now().Format(time.RFC3339Nano))
	answer, err := th.Asker.Ask(ctx, who(th.in), th.tongue(), id, q)
	result := "ok"
	if err != nil {
		result = string(fault.KindOf(err))
		th.Log.Warn("question", zap.String("id", th.in.ID), zap.String("what", q.What), zap.String("zone", q.Zone), zap.String("pool", q.Pool),
			zap.String("action", q.Action), zap.String("kind", result), zap.Error(err))
	}
	th.m.questions.WithLabelValues(q.What, q.Zone, q.Pool, result).Inc()
	return answer
}
