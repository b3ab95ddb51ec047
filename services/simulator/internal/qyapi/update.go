package qyapi

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"palmops/libs/fault"
	"palmops/services/simulator/client"
)

// updateRequest is the body of message/update_template_card, page 94888: either Button or Card.
type updateRequest struct {
	Users   []string        `json:"userids"`
	Parties []int64         `json:"partyids"`
	Tags    []int64         `json:"tagids"`
	All     int             `json:"atall"`
	AgentID json.RawMessage `json:"agentid"`
	Code    string          `json:"response_code"`
	Button  *struct {
		Name string `json:"replace_name"`
	} `json:"button"`
	Card *templateCard `json:"template_card"`
}

// errOtherTask means that an update names a task that is not the card's.
var errOtherTask = errors.New("the task id is not the card's")

func (a *API) updateCard(r *http.Request) reply {
	start := a.o.Now()
	var m updateRequest
	raw, code := readJSON(r, &m)
	if code != codeOK {
		return reply{code: code}
	}
	if code := a.agent(m.AgentID); code != codeOK {
		return reply{code: code}
	}
	change, refused := a.change(m)
	if refused.code != codeOK {
		return refused
	}
	to := audience{directory: a.o.Directory}
	switch {
	case m.All == 1:
		to.add(a.o.Directory.People()...)
	case len(m.Users)+len(m.Parties)+len(m.Tags) == 0:
		return reply{code: codeReceiverEmpty}
	default:
		if out := tooMany(len(m.Users), len(m.Parties), len(m.Tags)); out.code != codeOK {
			return out
		}
		to.users(m.Users)
		to.parties(decimal(m.Parties))
		to.tags(decimal(m.Tags))
	}
	users := to.people
	if m.All == 1 {
		users = nil
	} else if len(users) == 0 {
		return reply{code: codeNoReceiver}
	}
	missing, err := a.o.Phones.UpdateCard(m.Code, users, change)
	switch {
	case errors.Is(err, errOtherTask):
		return reply{code: codeTaskUnknown}
	case fault.Is(err, fault.Expired):
		return reply{code: codeResponse}
	case fault.Is(err, fault.NotFound):
		return reply{code: codeNoReceiver}
	case err != nil:
		return reply{code: codeBusy}
	}
	reached := slices.DeleteFunc(to.people, func(user string) bool { return slices.Contains(missing, strings.ToLower(user)) })
	a.delivered(client.Delivery{Kind: client.KindPush, Bytes: len(raw), HTTP: http.StatusOK, Outcome: client.OutcomeUpdated, At: start}, reached)
	bad := append(to.badUsers, missing...)
	if bad == nil {
		bad = []string{}
	}
	return ok("invaliduser", bad)
}

// change is what an update does to a card, or the refusal.
func (a *API) change(m updateRequest) (func(string, client.Card) (client.Card, error), reply) {
	switch {
	case m.Card != nil:
		task := m.Card.TaskID
		if task == "" {
			m.Card.TaskID = "-" // the card keeps its own
		}
		next, refused := a.shown(m.Card)
		if refused.code != codeOK {
			return nil, refused
		}
		return func(taskID string, _ client.Card) (client.Card, error) {
			if task != "" && task != taskID {
				return client.Card{}, errOtherTask
			}
			next.TaskID = taskID
			return next, nil
		}, reply{}
	case m.Button == nil || m.Button.Name == "":
		return nil, reply{code: codeParam, msg: "button.replace_name or template_card"}
	}
	return func(_ string, c client.Card) (client.Card, error) {
		c.Disabled, c.Label = true, m.Button.Name
		return c, nil
	}, reply{}
}

func decimal(ids []int64) []string {
	out := make([]string, len(ids))
	for i, id := range ids {
		out[i] = strconv.FormatInt(id, 10)
	}
	return out
}
