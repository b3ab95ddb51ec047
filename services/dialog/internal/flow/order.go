package flow

import (
	"palmops/libs/wire"
	"palmops/services/dialog/menu"
)

// unready says why a confirm does not count, "" when it does: typed, it runs something. Expires is in milliseconds.
func (t *turn) unready(wants string, expires int64) string {
	if t.env.Identity != Fresh {
		t.why = ReasonIdentity
		return t.say("confirm.identity", wants)
	}
	return t.untimely(wants, expires)
}

// untimely says why an answer to the confirm came at the wrong time, "" when it did not. Expires is in milliseconds.
func (t *turn) untimely(wants string, expires int64) string {
	switch {
	case t.ev.At > 0 && t.ev.At < t.s.Screen.At:
		// Typed before the confirm was on the screen: an impatient second 1 must not confirm what nobody has read. The two
		// times are of two machines; who reads before answering is later by more than their clocks differ.
		t.why = ReasonUnseen
		return t.say("confirm.unseen", wants)
	case t.overdue(expires):
		t.why = ReasonLate
		return t.say("confirm.late", wants)
	}
	return ""
}

// overdue reports whether an order that this message gives would have expired already. Expires is in milliseconds.
func (t *turn) overdue(expires int64) bool { return t.ev.At > 0 && t.env.Now-t.ev.At >= expires }

// order gives the order behind the confirm one stands at.
func (t *turn) order(p place, wants string) Result {
	act := action(p)
	if act == nil {
		return t.restart()
	}
	if note := t.unready(wants, act.Expires.Milliseconds()); note != "" {
		return t.again(note)
	}
	intent, note := t.intent(p, act, t.s.Screen)
	switch {
	case intent == nil && t.why == ReasonNoAnswer:
		return t.again(note)
	case intent == nil:
		return t.refused(t.s.Hops, note)
	}
	return t.leave(intent, t.s.Hops, "")
}

// dryRun asks what the order behind the confirm would change. The confirm stays as it is: it is what one goes on with.
// It changes nothing, so that it needs no code and no fresh look at who somebody is.
func (t *turn) dryRun(p place, typed string) Result {
	t.did = DidDryRun
	act := action(p)
	if act == nil {
		return t.restart()
	}
	if note := t.untimely(clean(typed, 12), act.Expires.Milliseconds()); note != "" {
		return t.again(note)
	}
	intent, note := t.intent(p, act, t.s.Screen)
	switch {
	case intent == nil && t.why == ReasonNoAnswer:
		return t.again(note)
	case intent == nil:
		return t.refused(t.s.Hops, note)
	}
	intent.Noop, intent.ID = true, wire.DeriveID("action", t.ev.ID, p.node.ID, "noop")
	t.remember(intent, t.s.Hops)
	t.extra = []wire.Screen{{
		Kind: wire.ScreenAccepted, Title: t.say("noop.title", wire.ShortID(intent.ID)),
		Body: append([]string{intent.Title, t.say("noop.body")}, t.waits(intent)...),
	}}
	r := t.again("")
	r.Intent = intent
	return r
}

// reported is the report that one stands at: everything before it is answered.
func reported(p place) *menu.Action {
	if step := p.current(); step != nil && step.Action != nil && step.Action.Report {
		return step.Action
	}
	return nil
}

// report orders the report at the end of hops. It changes nothing, so that nobody is asked before, and rights that were
// true some minutes ago are good enough, as they are for lists.
func (t *turn) report(p place, hops []Hop, act *menu.Action, note string) Result {
	t.did = DidReport
	if t.overdue(act.Expires.Milliseconds()) {
		t.why = ReasonLate
		return t.stay(t.join(note, t.say("report.late")))
	}
	intent, failed := t.intent(p, act, Shown{})
	switch {
	case intent == nil && t.why == ReasonNoAnswer:
		return t.stay(t.join(note, failed))
	case intent == nil:
		return t.refused(hops, t.join(note, failed))
	}
	intent.Report = true
	return t.leave(intent, hops, note)
}

// intent is the order that a road ends in. It is nil, with the reason in words and in t.why, when it cannot be made of what
// is known (ReasonNoAnswer) or is not allowed.
func (t *turn) intent(p place, act *menu.Action, sh Shown) (*Intent, string) {
	args, err := act.Values(p.params, sh.Current)
	if err == nil {
		_, err = wire.CanonicalArgs(args)
	}
	title, terr := act.Title.Text(t.lang, t.data(p, sh))
	if err != nil || terr != nil {
		t.why = ReasonNoAnswer
		return nil, t.say("order.incomplete")
	}
	t.frozen = nil
	if !t.judge(t.rights.Decide(p.node, args)) {
		return nil, t.refusal("denied.note")
	}
	return &Intent{
		ID: wire.DeriveID("action", t.ev.ID, p.node.ID), Node: p.node.ID, Zone: act.Zone, Pool: act.Pool, Action: act.Action,
		Args: args, Title: clean(title, maxTitle), Lang: t.lang, Expire: int64(act.Expires.Seconds()),
	}, ""
}

// refused shows the list that holds the road, with the reason why nothing was ordered.
func (t *turn) refused(hops []Hop, note string) Result {
	holder := hops[:lastNode(hops)]
	return t.show(holder[:t.allowed(holder)], nil, note)
}

// leave goes from the road to the list that holds it, and gives the road's order.
func (t *turn) leave(intent *Intent, hops []Hop, note string) Result {
	t.remember(intent, hops)
	t.s.Rev, t.s.Hops, t.s.Ahead, t.s.Under = t.m.Rev, hops[:lastNode(hops)], nil, nil
	t.s.Screen = Shown{Kind: wire.ScreenAccepted}
	return t.accepted(intent, note, t.say("accepted.keys", t.backWord()))
}

// accepted says that an order was taken, and gives it.
func (t *turn) accepted(intent *Intent, note, keys string) Result {
	r := t.keep(wire.Screen{
		Kind: wire.ScreenAccepted, Title: t.say("accepted.title", wire.ShortID(intent.ID)), Note: note,
		Body: append([]string{intent.Title, t.say("accepted.body")}, t.waits(intent)...), Keys: keys,
	})
	r.Intent = intent
	return r
}
