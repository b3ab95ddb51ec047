package phone

import (
	"context"
	"fmt"
	"time"
	"unicode/utf8"

	"palmops/libs/fault"
	"palmops/libs/wecom"
	"palmops/services/simulator/client"
)

// What a press looks like to the app (page 90240).
const (
	msgEvent  = "event"
	eventCard = "template_card_event"
)

// Say types a text on somebody's phone and waits for the end of the first delivery attempt, at most a little longer than an
// attempt may take. Errors: fault.NotFound for an unknown person, fault.Invalid for a request out of limits,
// fault.Transient when too many messages of the person wait, fault.Internal when the message could not be kept.
func (p *Phones) Say(ctx context.Context, r client.SayRequest) (client.SayResult, error) {
	var none client.SayResult
	person, form, err := p.request(r.User, r.Form, r.Duplicate)
	if err != nil {
		return none, err
	}
	switch {
	case len(r.Text) > MaxSay:
		return none, invalid(fmt.Sprintf("消息超过 %d 字节", MaxSay))
	case !utf8.ValidString(r.Text):
		return none, invalid("消息不是 UTF-8 文本")
	}
	said, err := p.o.Book.Add(client.Message{User: person.User, Via: client.ViaUser, MsgType: "text", Text: r.Text})
	if err != nil {
		return none, fault.Wrap(fault.Internal, err, "say")
	}
	return p.deliver(ctx, &job{
		msgID: said.MsgID,
		message: wecom.Message{
			ToUserName: p.o.CorpID, FromUserName: person.User, CreateTime: said.At.Unix(), MsgType: "text",
			AgentID: p.o.AgentID, MsgID: said.MsgID, Content: r.Text,
		},
		form: form, duplicate: r.Duplicate, first: make(chan client.SayResult, 1),
	}), nil
}

// Press presses a button on somebody's phone and waits as Say does. The event carries a response code of its own. A card may be pressed
// again until it is disabled, as in WeCom. Errors: fault.NotFound for an unknown person, card or button, fault.Conflict when
// the card is disabled, otherwise as of Say.
func (p *Phones) Press(ctx context.Context, r client.PressRequest) (client.SayResult, error) {
	var none client.SayResult
	person, form, err := p.request(r.User, r.Form, r.Duplicate)
	if err != nil {
		return none, err
	}
	now := p.o.Now()
	c := newCode(now)
	pressed, err := p.o.Book.press(person.User, r.TaskID, r.Key, c)
	if err != nil {
		return none, err
	}
	return p.deliver(ctx, &job{
		msgID: pressed.MsgID,
		message: wecom.Message{
			ToUserName: p.o.CorpID, FromUserName: person.User, CreateTime: now.Unix(), MsgType: msgEvent, AgentID: p.o.AgentID,
			Event: eventCard, EventKey: r.Key, TaskID: r.TaskID, CardType: pressed.Card.CardType, ResponseCode: c.Code,
		},
		form: form, duplicate: r.Duplicate, first: make(chan client.SayResult, 1),
	}), nil
}

// request checks what every request has.
func (p *Phones) request(user, formName string, duplicate int) (person Person, form wecom.Form, err error) {
	person, ok := p.o.Directory.Person(user)
	if !ok {
		return person, form, fault.WithText(fault.New(fault.NotFound, "say: no such person"), "没有这个人，什么都没有发送。")
	}
	switch formName {
	case "":
		form = p.o.Form
	case wecom.FormXML.String():
		form = wecom.FormXML
	case wecom.FormJSON.String():
		form = wecom.FormJSON
	default:
		return person, form, invalid("form 只能是 xml 或 json")
	}
	if duplicate < 0 || duplicate > MaxDuplicates {
		return person, form, invalid(fmt.Sprintf("duplicate 只能是 0 到 %d", MaxDuplicates))
	}
	if lane := p.lanes[person.User]; len(lane) == cap(lane) {
		return person, form, fault.WithText(fault.New(fault.Transient, "say: the lane is full"), "这个人有太多消息在等待投递，本条没有发送。请稍后重试。")
	}
	return person, form, nil
}

// deliver puts a job into its person's lane and waits for the end of its first attempt.
func (p *Phones) deliver(ctx context.Context, j *job) client.SayResult {
	out := client.SayResult{MsgID: j.msgID, Status: client.StatusWaiting}
	timer := time.NewTimer(p.o.Timeout + 250*time.Millisecond)
	defer timer.Stop()
	select {
	case p.lanes[j.message.FromUserName] <- j:
	case <-timer.C: // others filled the lane since
		out.Status, out.Error = client.StatusFailed, "这个人有太多消息在等待投递，本条没有发送"
		return out
	case <-p.closed:
		out.Status, out.Error = client.StatusFailed, "模拟器正在停止，本条没有发送"
		return out
	}
	select {
	case res := <-j.first:
		return res
	case <-timer.C:
	case <-ctx.Done():
	case <-p.closed:
	}
	return out
}

func invalid(text string) error {
	return fault.WithText(fault.New(fault.Invalid, "say: %s", text), text+"，什么都没有发送。")
}
