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
	if rec.Order != nil && !rec.Ordered {
		if err := c.send(ctx, in, *rec.Order); err != nil {
			kind, short := fault.KindOf(err), "#"+wire.ShortID(rec.Order.ID)
			again := kind == fault.Transient || kind == fault.Unknown
			if again && c.Now().Unix() <= rec.Order.Expires {
				return err // the message comes again, and with it the same order under the same id
			}
			c.Log.Error("order not handed over", zap.String("id", in.ID), zap.String("action", rec.Order.ID), zap.Error(err))
			if again { // no executor takes it up any more; whether one did nobody here can say
				rec.Reply = c.reply(in, notice(short+" 没有收到受理回执", rec.Order.Title,
					"消息总线不可用，已超过有效期。没有收到结果消息就是没有执行；请核对目标状态后重新发起。"))
			} else {
				rec.Reply = c.reply(in, notice(short+" 没有受理", rec.Order.Title, "操作没有能够签发，没有执行。请联系管理员。"))
			}
		}
		rec.Ordered = true
		if err := c.Store.SetReply(ctx, who(in), in.ID, rec.encode()); err != nil {
			c.Log.Warn("reply not marked", zap.String("id", in.ID), zap.Error(err))
		}
	}
	return c.deliver(ctx, in, rec)
}

func (c *Converser) send(ctx context.Context, in wire.Inbound, o order) error {
	args, err := wire.ParseArgs(o.Args)
	if err != nil {
		return fault.Wrap(fault.Internal, err, "stored order")
	}
	act, err := c.Signer.Sign(wire.Claims{
		ID: o.ID, Corp: in.Corp, App: in.App, User: in.User, Zone: o.Zone, Pool: o.Pool, Action: o.Action,
		IssuedAt: o.IssuedAt, Expires: o.Expires, Title: o.Title,
	}, args)
	if err != nil {
		return err
	}
	ack, err := c.Bus.Publish(ctx, wire.ActSubject(o.Zone, o.Pool, o.Action, o.ID), o.ID, act)
	if err != nil || ack.Duplicate { // an earlier try, or another process, has handed it over and said so
		return err
	}
	c.m.orders.Inc()
	c.Audit.Write(wire.AuditLine{
		Corp: in.Corp, App: in.App, User: in.User, What: "action", Ref: o.ID, Verdict: wire.StateQueued,
		Detail: map[string]string{"zone": o.Zone, "pool": o.Pool, "action": o.Action, "node": o.Node, "message": in.ID, "args_sha256": wire.ArgsHash(o.Args)},
	})
	return nil
}

// deliver gives the reply to a gateway that still holds WeCom's request, else it pushes.
func (c *Converser) deliver(ctx context.Context, in wire.Inbound, rec *record) error {
	if rec.Given || rec.Pushed {
		return nil
	}
	actx, cancel := context.WithTimeout(ctx, replyPatience)
	defer cancel()
	var taken wire.ReplyTaken
	offer := rec.Reply
	offer.By = c.Now().Add(replyPatience).UnixMilli()
	err := c.Bus.Ask(actx, wire.ReplySubject(in.Corp, in.App, in.ID), offer, &taken)
	switch {
	case err == nil && taken.Passive:
		c.m.replies.WithLabelValues("passive").Inc()
		rec.Given = true
		if len(rec.Reply.Screens) > 0 {
			if err := c.Store.SetReply(ctx, who(in), in.ID, rec.encode()); err != nil {
				c.Log.Warn("reply not marked", zap.String("id", in.ID), zap.Error(err))
			}
		}
		return nil
	case len(rec.Reply.Screens) == 0:
		c.m.replies.WithLabelValues("none").Inc()
		return nil
	case err != nil && !bus.NobodyListens(err):
		c.Log.Info("no gateway confirmed the reply; it is pushed", zap.String("id", in.ID), zap.Error(err))
	}
	out := wire.LateReply(in, rec.Reply)
	if _, err := c.Bus.Publish(ctx, wire.OutSubject(in.Corp, in.App, in.User), out.ID, out); err != nil {
		return err
	}
	c.m.replies.WithLabelValues("push").Inc()
	rec.Pushed = true
	if err := c.Store.SetReply(ctx, who(in), in.ID, rec.encode()); err != nil {
		c.Log.Warn("reply not marked", zap.String("id", in.ID), zap.Error(err))
	}
	return nil
}
