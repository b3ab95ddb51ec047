package callback

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"
	"go.uber.org/zap"

	"palmops/libs/lang"
	"palmops/libs/wecom"
	"palmops/libs/wire"
	"palmops/services/gateway/internal/render"
)

// receive takes a posted callback from the first check to the end of its answer.
func (h *Handler) receive(c *gin.Context) {
	app, q, leave := h.enter(c)
	if app == nil {
		return
	}
	handedOver := false
	defer func() {
		if !handedOver {
			leave()
		}
	}()
	opened, m, in, r := h.open(c, app, q)
	if r != nil {
		h.refuse(c, app, r)
		return
	}
	received := c.MustGet(keyReceived).(time.Time)
	x := &exchange{h: h, app: app, in: in, query: q, encrypt: string(opened.Encrypt), received: received, silent: !answerable(&m)}
	a := answer{h: h, c: c, app: app, message: &m, user: in.User, form: opened.Form, nonce: q.Nonce}
	end, reply, ended := h.converse(c.Request.Context(), x)
	switch {
	case !ended: // the bus hangs; the exchange keeps its place among the callbacks in work until it lets go
		handedOver = true
		h.running.Go(func() {
			x.wait()
			leave()
		})
		a.notice(end)
	case end == swapped:
		x.settle(false, false)
		h.refuse(c, app, &refusal{status: http.StatusForbidden, reason: "exchanged", user: in.User, ref: in.ID})
	case end == replied:
		a.reply(x, reply)
	default:
		x.settle(false, false) // first, so that dialog finds nobody and pushes at once
		if end == slow && x.repeated {
			end = unknownReply
		}
		a.notice(end)
	}
	h.Log.Debug("callback answered", zap.String("app", app.Name), zap.String("id", in.ID), zap.String("type", in.Type),
		zap.Int("end", int(end)), zap.Duration("took", time.Since(received)))
}

// converse runs the exchange for as long as an answer can still leave in time. When ended is false it goes on, and what it
// ends with no longer matters.
func (h *Handler) converse(gone context.Context, x *exchange) (end ending, reply *wire.Reply, ended bool) {
	x.done = make(chan struct{})
	h.running.Go(func() {
		defer close(x.done)
		defer func() {
			if p := recover(); p != nil {
				h.panicked(x.app.Name)
				x.end, x.reply = unsure, nil
			}
		}()
		x.end, x.reply = x.run(gone)
	})
	limit := time.NewTimer(time.Until(x.received.Add(answerBy)))
	defer limit.Stop()
	select {
	case <-x.done:
		return x.end, x.reply, true
	case <-limit.C:
	}
	if x.accepted.Load() {
		return slow, nil, false
	}
	return unsure, nil, false
}

// answer writes what WeCom gets.
type answer struct {
	h       *Handler
	c       *gin.Context
	app     *App
	message *wecom.Message
	user    string // lower case
	form    wecom.Form
	nonce   string
}

// reply answers with dialog's reply if one passive text holds it. A longer one goes by push as a whole, so that its parts
// stay in order, and so does one with a card, which WeCom takes by push only.
func (a *answer) reply(x *exchange, r *wire.Reply) {
	tag := lang.Of(r.Lang)
	a.h.tongues.note(r.Corp, r.App, r.User, tag)
	parts := render.Parts(render.Text(r.Screens, tag), wecom.MaxText)
	// What is written to a connection that WeCom has given up reaches nobody. Looked at before writing: afterwards a closed
	// connection only says that WeCom has read its answer.
	gone := a.c.Request.Context().Err() != nil
	label, passive := "passive", true
	switch {
	case len(parts) == 0:
		label = "empty"
	case len(parts) > 1 || a.app.Cards && hasCard(r.Screens, tag):
		label, passive = "push", false
	}
	a.h.Metrics.Callbacks.WithLabelValues(a.app.Name, label).Inc()
	// Dialog hears the yes while the answer is being written, not after it: a process that dies right behind the answer must
	// have it noted, or the reply would be pushed as well. A yes that turns out wrong is mended by pushing from here; a death in
	// between breaks the connection, so that WeCom delivers again and is answered then.
	taken := passive && !gone
	x.settle(taken, !passive)
	var err error
	if label == "passive" {
		err = a.text(parts[0])
	} else {
		err = a.h.write(a.c, http.StatusOK, "", nil)
	}
	a.h.sent(a.app, err)
	switch {
	case taken && err != nil && len(r.Screens) > 0 && x.confirm:
		a.h.push(x, r)
	case taken && err == nil && len(parts) == 1:
		a.h.Metrics.Replies.WithLabelValues(a.app.Name, "passive").Inc()
	}
}

func hasCard(screens []wire.Screen, tag lang.Tag) bool {
	return slices.ContainsFunc(screens, func(s wire.Screen) bool {
		_, ok := render.Card(s, tag)
		return ok
	})
}

// push stores a reply on OUT as dialog would, under the id that dialog would use.
func (h *Handler) push(x *exchange, r *wire.Reply) {
	ctx, cancel := context.WithTimeout(context.Background(), h.Publish)
	defer cancel()
	out := wire.LateReply(x.in, *r)
	out.Lang = r.Lang
	if _, err := h.Bus.Publish(ctx, wire.OutSubject(r.Corp, r.App, r.User), out.ID, out); err != nil {
		h.Log.Error("a reply that could not be written could not be pushed either", zap.String("app", x.app.Name), zap.String("id", r.ID), zap.Error(err))
	}
}

// notice answers without a reply: with a sentence where a person waits for one. Where nobody does, an accepted message is
// answered with nothing, and one that was not with an error, so that WeCom may try again.
func (a *answer) notice(end ending) {
	label, text := "slow", "wait.slow"
	switch end {
	case unaccepted:
		label, text = "unaccepted", "wait.unaccepted"
	case unsure:
		label, text = "unsure", "wait.unsure"
	case handed:
		label = "push"
	case unknownReply:
		label = "empty"
	}
	a.h.Metrics.Callbacks.WithLabelValues(a.app.Name, label).Inc()
	var err error
	switch {
	case waits(a.message) && end != unknownReply:
		err = a.text(texts.Say(a.h.tongues.of(a.app.Corp, a.app.Name, a.user), text))
	case end == slow || end == handed || end == unknownReply:
		err = a.h.write(a.c, http.StatusOK, "", nil)
	default:
		err = a.h.write(a.c, http.StatusServiceUnavailable, "text/plain; charset=utf-8", []byte("unavailable\n"))
	}
	a.h.sent(a.app, err)
}

// text writes an encrypted passive reply. It errs when WeCom surely has not got it.
func (a *answer) text(text string) error {
	now := a.h.Now().Unix()
	inner := wecom.TextReply(a.form, a.message.FromUserName, a.app.Corp, now, text)
	body, err := a.app.Crypt.Reply(a.form, strconv.FormatInt(now, 10), a.nonce, inner)
	if err != nil {
		a.h.Log.Error("reply cannot be sealed", zap.String("app", a.app.Name), zap.Error(err))
		_ = a.h.write(a.c, http.StatusOK, "", nil) // empty; the reply goes by push
		return err
	}
	contentType := "application/xml; charset=utf-8"
	if a.form == wecom.FormJSON {
		contentType = "application/json; charset=utf-8"
	}
	return a.h.write(a.c, http.StatusOK, contentType, body)
}
