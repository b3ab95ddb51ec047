package callback

import "palmops/libs/wecom"

// What a person reads instead of a reply: what happened, what was not done, what to do next.
const (
	textSlow       = "已收到，处理比平时慢，回复会稍后发来，请不要重复发送。"
	textUnaccepted = "未受理：消息总线不可用，什么都没有执行，请稍后重发。"
	textUnsure     = "不能确定是否已受理：消息总线没有应答。请先等 1 分钟：收到回复则以回复为准；没有回复再重新发送，在此之前请勿重复操作。"
)

// answerable reports whether WeCom shows a passive text reply to a message: to everything a person says, and to the events
// of its list (page 90241). A card's button is not among them, and "sys" is nobody.
func answerable(m *wecom.Message) bool {
	if m.FromUserName == "sys" {
		return false
	}
	if m.MsgType != "event" {
		return true
	}
	switch m.Event {
	case "subscribe", "enter_agent", "LOCATION", "click", "view", "view_miniprogram", "scancode_waitmsg", "template_card_menu_event":
		return true
	}
	return false
}

// waits reports whether a person did something and now waits for an answer. Of the other events, such as entering the app,
// a notice that the answer is late or that nothing was accepted would be noise.
func waits(m *wecom.Message) bool {
	if !answerable(m) {
		return false
	}
	switch m.Event {
	case "", "click", "scancode_waitmsg", "template_card_menu_event":
		return true
	}
	return false
}
