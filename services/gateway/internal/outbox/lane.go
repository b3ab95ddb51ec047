package outbox

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"

	"palmops/libs/bus"
	"palmops/libs/fault"
	"palmops/libs/wecom"
	"palmops/libs/wire"
	"palmops/services/gateway/internal/render"
)

// lane is one lane's place: a message that failed in the middle goes on with the step that failed.
type lane struct {
	*Outbox
	id    string
	steps []step // that are left to do
	shows bool   // there is something to show at all
}

// push sends one message. The kind of its error settles the message; the consumer logs it.
func (l *lane) push(ctx context.Context, m *bus.Msg) error {
	var out wire.Outbound
	if err := json.Unmarshal(m.Data, &out); err != nil {
		return l.give(out, fault.Wrap(fault.Invalid, err, "outbound message"))
	}
	app, ok := l.apps[key(out.Corp, out.App)]
	switch {
	case !ok:
		return l.give(out, fault.New(fault.NotFound, "no app %q of corp %q is configured here", out.App, out.Corp))
	case out.User == "" || len(out.User) > 64 || out.User[0] == '@' || strings.Contains(out.User, "|"):
		return l.give(out, fault.New(fault.Invalid, "the receiver is not one person"))
	}
	if l.id != out.ID || out.ID == "" {
		l.id, l.steps = out.ID, plan(app.Cards, out)
		l.shows = len(l.steps) > 0
		l.update(ctx, app, out)
	}
	for len(l.steps) > 0 {
		instead, err := l.do(ctx, m, app, out, &l.steps[0])
		if err != nil {
			return l.give(out, patience(err, m.Delivered))
		}
		l.steps = append(instead, l.steps[1:]...)
		if err := m.Working(); err != nil {
			return fault.Wrap(fault.Transient, err, "keep the message")
		}
	}
	if l.shows {
		l.metrics.Replies.WithLabelValues(app.Name, "push").Inc()
	}
	return nil
}

// do does one step, or says which steps shall be done instead.
func (l *lane) do(ctx context.Context, m *bus.Msg, app App, out wire.Outbound, s *step) (instead []step, err error) {
	switch {
	case s.file != nil:
		return l.file(ctx, m, app, out, s)
	case s.card == nil:
		return nil, l.send(ctx, app, out, wecom.OutMessage{MsgType: wecom.TypeText, Text: s.text})
	}
	err = l.send(ctx, app, out, wecom.OutMessage{MsgType: wecom.TypeCard, Card: s.card})
	switch {
	case err == nil:
		l.metrics.Cards.WithLabelValues(app.Name, "sent").Inc()
	case cardRefused(err):
		l.metrics.Cards.WithLabelValues(app.Name, "refused").Inc()
		return s.instead, nil
	}
	return nil, err
}

// codeNoCallback is WeCom's word for an app without a callback URL, where a press could go nowhere.
const codeNoCallback = 43012

// cardRefused reports whether a message was refused for what it is, not for whom it is to or when it came: as a text it
// may be taken. Codes that no list holds count as such, since a text is tried in the same breath.
func cardRefused(err error) bool {
	var api *wecom.APIError
	if !errors.As(err, &api) {
		return fault.Is(err, fault.Invalid)
	}
	kind := api.FaultKind()
	return kind == fault.Invalid || kind == fault.Internal || api.Code == codeNoCallback
}

// update makes the card that was pressed dead. It is tried once: a card that stays alive does no harm, since a second press
// is judged by dialog.
func (l *lane) update(ctx context.Context, app App, out wire.Outbound) {
	if out.Card == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, updateFor)
	defer cancel()
	err := app.Sender.UpdateCard(ctx, []string{out.User}, out.Card.ResponseCode, render.Line(out.Card.Label))
	if err == nil {
		l.metrics.Cards.WithLabelValues(app.Name, "updated").Inc()
		return
	}
	l.metrics.Cards.WithLabelValues(app.Name, "not_updated").Inc()
	l.refused(out, "card", err)
}

// patience makes an unexplained failure final when it has come often enough.
func patience(err error, tries uint64) error {
	limit := uint64(maxTries)
	var api *wecom.APIError
	if errors.As(err, &api) {
		limit = maxRefusals
	}
	if fault.Is(err, fault.Internal) && tries >= limit {
		return fault.Wrap(fault.Invalid, err, "given up")
	}
	return err
}

// send sends one message to the person that out is for.
func (l *lane) send(ctx context.Context, app App, out wire.Outbound, m wecom.OutMessage) error {
	m.ToUser, m.DuplicateCheck = out.User, sameFor
	res, err := app.Sender.Send(ctx, m)
	switch named := func(id string) bool { return strings.EqualFold(id, out.User) }; {
	case err == nil && slices.ContainsFunc(res.InvalidUser, named):
		err = fault.New(fault.NotFound, "WeCom knows no such receiver in the app's visible range")
	case err == nil && slices.ContainsFunc(res.Unlicensed, named):
		err = fault.New(fault.Denied, "the receiver has no licence for the interface")
	}
	return l.counted(app, err)
}

// counted counts a call of the API that a message needs, and gives it the pause that its error asks for.
func (l *lane) counted(app App, err error) error {
	var api *wecom.APIError
	switch {
	case err == nil:
		l.metrics.Pushes.WithLabelValues(app.Name, "ok").Inc()
	case errors.As(err, &api):
		l.metrics.Pushes.WithLabelValues(app.Name, strconv.Itoa(api.Code)).Inc()
		if api.Code == codeBusy {
			return bus.Later(busyFor, err)
		}
	default:
		l.metrics.Pushes.WithLabelValues(app.Name, string(fault.KindOf(err))).Inc()
	}
	return err
}

// give leaves an audit line for a message that is given up; one that comes again leaves none.
func (l *lane) give(out wire.Outbound, err error) error {
	if bus.Settle(err) == bus.Drop {
		l.refused(out, "push", err)
	}
	return err
}

// refused leaves an audit line for what was not done.
func (l *lane) refused(out wire.Outbound, what string, err error) {
	reason := string(fault.KindOf(err))
	var api *wecom.APIError
	if errors.As(err, &api) {
		reason = "errcode_" + strconv.Itoa(api.Code)
	}
	l.trail.Write(wire.AuditLine{
		At: l.now().UnixMilli(), Corp: out.Corp, App: out.App, User: out.User, What: what, Ref: out.ID, Verdict: "refused", Reason: reason,
	})
}
