package callback

import "palmops/libs/wecom"

// answerable reports whether WeCom shows a passive text reply to a message: to everything a person says, and to the events
// of its list (page 90241). For a press on a card's button it takes nothing but an update of the card, and "sys" is nobody.
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
