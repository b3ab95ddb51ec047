package converse

import (
	"context"

	"go.uber.org/zap"

	"palmops/libs/bus"
	"palmops/libs/fault"
	"palmops/libs/wire"
)

// finish does what the record still lacks: the order first, the answer last.
func (c *Converser) finish(ctx context.Context, in wire.Inbound, rec *record) error {
	if rec.Order != nil && !rec.is(ordered) {
		err := c.send(ctx, in, *rec.Order)
		if err == nil {
			c.mark(ctx, in, rec, ordered)
			return c.deliver(ctx, in, rec)
		}
		kind, short := fault.KindOf(err), "#"+wire.ShortID(rec.Order.ID)
		again := kind == fault.Transient || kind == fault.Unknown
		if again && c.Now().Unix() <= rec.Order.Expires {
			return err // the message comes again, and with it the same order under the same id
		}
		c.Log.Error("order not handed over", zap.String("id", in.ID), zap.String("action", rec.Order.ID), zap.Error(err))
		screen := notice(texts.Say(rec.Lang, "order.refused_title", short), rec.Order.Title, texts.Say(rec.Lang, "order.refused_body"))
		if again { // no executor takes it up any more; whether one did nobody here can say
			screen = notice(texts.Say(rec.Lang, "order.lost_title", short), rec.Order.Title, texts.Say(rec.Lang, "order.lost_body"))
		}
		rec.Screens = []wire.Screen{screen}
		rec.marks += ordered
		if err := c.Store.SetReply(ctx, who(in), in.ID, rec.encode(), rec.marks); err != nil {
			c.Log.Warn("reply not replaced", zap.String("id", in.ID), zap.Error(err))
		}
	}
	return c.deliver(ctx, in, rec)
}

// mark notes what is done of a record. A mark that is lost makes a redelivery do the same again, which changes nothing.
func (c *Converser) mark(ctx context.Context, in wire.Inbound, rec *record, mark string) {
	rec.marks += mark
	if err := c.Store.Mark(ctx, who(in), in.ID, rec.marks); err != nil {
		c.Log.Warn("reply not marked", zap.String("id", in.ID), zap.Error(err))
	}
}

func (c *Converser) send(ctx context.Context, in wire.Inbound, o order) error {
	args, err := wire.ParseArgs(o.Args)
	if err != nil {
		return fault.Wrap(fault.Internal, err, "stored order")
	}
	act, err := c.Signer.Sign(wire.Claims{
		ID: o.ID, Corp: in.Corp, App: in.App, User: in.User, Zone: o.Zone, Pool: o.Pool, Action: o.Action,
		IssuedAt: o.IssuedAt, Expires: o.Expires, Title: o.Title, Lang: string(o.Lang),
		Report: o.Report, Noop: o.Noop,
	}, args)
	if err != nil {
		return err
	}
	ack, err := c.Bus.Publish(ctx, wire.ActSubject(o.Zone, o.Pool, o.Action, o.ID), o.ID, act)
	if err != nil || ack.Duplicate { // an earlier try, or another process, has handed it over and said so
		return err
	}
	c.m.orders.Inc()
	detail := map[string]string{"zone": o.Zone, "pool": o.Pool, "action": o.Action, "node": o.Node, "message": in.ID, "args_sha256": wire.ArgsHash(o.Args)}
	switch {
	case o.Noop:
		detail["as"] = "noop"
	case o.Report:
		detail["as"] = "report"
	}
	c.Audit.Write(wire.AuditLine{
		Corp: in.Corp, App: in.App, User: in.User, What: "action", Ref: o.ID, Verdict: wire.StateQueued,
		Detail: detail,
	})
	return nil
}

// deliver gives the reply to a gateway that still holds WeCom's request, else it pushes. To the press of a button WeCom
// takes no reply, so that no gateway is asked.
func (c *Converser) deliver(ctx context.Context, in wire.Inbound, rec *record) error {
	if rec.is(given) || rec.is(pushed) {
		return nil
	}
	if !press(in) && c.offer(ctx, in, rec) {
		c.m.replies.WithLabelValues("passive").Inc()
		if len(rec.Screens) > 0 {
			c.mark(ctx, in, rec, given)
		}
		return nil
	}
	out := wire.LateReply(in, rec.reply(in.ID, who(in)))
	if press(in) {
		out.InReplyTo, out.SaidText, out.SentAt = "", "", 0 // it could not have come otherwise, and is not late
		if rec.Pressed != "" && in.ResponseCode != "" {
			out.Card = &wire.CardUpdate{ResponseCode: in.ResponseCode, Label: rec.Pressed}
		}
	}
	if len(out.Screens) == 0 && out.Card == nil {
		c.m.replies.WithLabelValues("none").Inc()
		return nil
	}
	if _, err := c.Bus.Publish(ctx, wire.OutSubject(in.Corp, in.App, in.User), out.ID, out); err != nil {
		return err
	}
	c.m.replies.WithLabelValues("push").Inc()
	c.mark(ctx, in, rec, pushed)
	return nil
}

// offer reports whether a gateway gives the reply to WeCom. One that cannot, as with a card, says so at once.
func (c *Converser) offer(ctx context.Context, in wire.Inbound, rec *record) bool {
	ctx, cancel := context.WithTimeout(ctx, replyPatience)
	defer cancel()
	var taken wire.ReplyTaken
	offer := rec.reply(in.ID, who(in))
	offer.By = c.Now().Add(replyPatience).UnixMilli()
	err := c.Bus.Ask(ctx, wire.ReplySubject(in.Corp, in.App, in.ID), offer, &taken)
	if err != nil && !bus.NobodyListens(err) && len(offer.Screens) > 0 {
		c.Log.Info("no gateway confirmed the reply; it is pushed", zap.String("id", in.ID), zap.Error(err))
	}
	return err == nil && taken.Passive
}
