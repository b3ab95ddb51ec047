package phone

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"time"

	"go.uber.org/zap"

	"palmops/libs/fault"
	"palmops/services/simulator/client"
)

// maxRequest is the largest body of /sim/say: a text of MaxSay may be written with six bytes for each of its own.
const maxRequest = 6*MaxSay + 4<<10

// firstEvents is how many messages a new watcher of /sim/events is told.
const firstEvents = 300

// Handler serves the simulator's own interface:
//
//	GET  /sim/users                               people
//	GET  /sim/messages?user=U&after=SEQ&wait=S    what the app sent to a person; waits up to S seconds for something
//	                                              with &changes=1 also the older cards that changed after SEQ
//	POST /sim/say      {"user","text"}            a person types (client.SayRequest, client.SayResult)
//	POST /sim/press    {"user","task_id","key"}   a person presses a button of a card (client.PressRequest, client.SayResult)
//	GET  /sim/files/ID                            downloads a file that the app sent
//	GET  /sim/images/ID                           shows an image that the app sent
//	GET  /sim/events                              server-sent events «message» and «delivery» of all people; «live» after the past ones
//
// A refusal is {"error": "…"} with 400, 403, 404, 405, 409, 413, 429 or 500.
func (p *Phones) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /sim/users", func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, p.o.Directory.users()) })
	mux.HandleFunc("GET /sim/messages", p.serveMessages)
	mux.HandleFunc("POST /sim/say", serveRequest(p, `{"user","text"}`, p.Say))
	mux.HandleFunc("POST /sim/press", serveRequest(p, `{"user","task_id","key"}`, p.Press))
	mux.HandleFunc("GET /sim/files/{id}", p.serveFile)
	mux.HandleFunc("GET /sim/images/{id}", p.serveImage)
	mux.HandleFunc("GET /sim/events", p.serveEvents)
	return mux
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the client went away
}

func refuse(w http.ResponseWriter, status int, text string) {
	answer(w, status, map[string]string{"error": text})
}

// serveRequest decodes a request of the named form and answers with what do makes of it.
func serveRequest[R any](p *Phones, form string, do func(context.Context, R) (client.SayResult, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
		if err != nil {
			if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
				refuse(w, http.StatusRequestEntityTooLarge, "请求太大，什么都没有发送。")
				return
			}
			refuse(w, http.StatusBadRequest, "请求没有读完，什么都没有发送。")
			return
		}
		var req R
		if err := json.Unmarshal(body, &req); err != nil {
			refuse(w, http.StatusBadRequest, "请求不是 "+form+" 形式的 JSON，什么都没有发送。")
			return
		}
		res, err := do(r.Context(), req)
		if err != nil {
			p.refuse(w, err)
			return
		}
		answer(w, http.StatusOK, res)
	}
}

// refuse answers with the status of an error's kind; what is nobody's mistake goes to the log.
func (p *Phones) refuse(w http.ResponseWriter, err error) {
	status := http.StatusInternalServerError
	switch fault.KindOf(err) {
	case fault.NotFound:
		status = http.StatusNotFound
	case fault.Invalid:
		status = http.StatusBadRequest
	case fault.Conflict:
		status = http.StatusConflict
	case fault.Transient:
		status = http.StatusTooManyRequests
	default:
		p.o.Log.Error("a request failed", zap.Error(err))
	}
	refuse(w, status, fault.Safe(err))
}

// serveFile gives a file away for saving, never for showing: the app decides what is in it, and it comes from the page's own address.
func (p *Phones) serveFile(w http.ResponseWriter, r *http.Request) {
	if p.o.Files == nil {
		refuse(w, http.StatusNotFound, "没有这个文件。")
		return
	}
	name, data, err := p.o.Files.Read(r.PathValue("id"))
	if err != nil {
		p.refuse(w, err)
		return
	}
	w.Header().Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": name}))
	give(w, "application/octet-stream", data)
}

// serveImage shows an image, and nothing that is none: see serveFile.
func (p *Phones) serveImage(w http.ResponseWriter, r *http.Request) {
	if p.o.Files == nil {
		refuse(w, http.StatusNotFound, "没有这张图片。")
		return
	}
	_, data, err := p.o.Files.Read(r.PathValue("id"))
	if err != nil {
		p.refuse(w, err)
		return
	}
	kind := http.DetectContentType(data)
	if kind != "image/png" && kind != "image/jpeg" {
		refuse(w, http.StatusNotFound, "这个文件不是图片。")
		return
	}
	give(w, kind, data)
}

// give writes content that somebody else has made.
func give(w http.ResponseWriter, kind string, data []byte) {
	h := w.Header()
	h.Set("Content-Type", kind)
	h.Set("Content-Security-Policy", "sandbox; default-src 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Length", strconv.Itoa(len(data)))
	_, _ = w.Write(data) // the client went away
}

func (p *Phones) serveMessages(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	person, ok := p.o.Directory.Person(q.Get("user"))
	if !ok {
		refuse(w, http.StatusNotFound, "没有这个人。")
		return
	}
	after, err := parseOr(q.Get("after"), 0, func(s string) (uint64, error) { return strconv.ParseUint(s, 10, 64) })
	if err != nil {
		refuse(w, http.StatusBadRequest, "after 应为非负整数。")
		return
	}
	wait, err := parseOr(q.Get("wait"), 0, func(s string) (float64, error) { return strconv.ParseFloat(s, 64) })
	if err != nil || !(wait >= 0 && wait <= client.MaxWait.Seconds()) {
		refuse(w, http.StatusBadRequest, fmt.Sprintf("wait 应为 0 到 %g 之间的秒数。", client.MaxWait.Seconds()))
		return
	}
	look := p.o.Book.After
	switch q.Get("changes") {
	case "", "0":
	case "1":
		look = p.o.Book.Changes
	default:
		refuse(w, http.StatusBadRequest, "changes 应为 0 或 1。")
		return
	}
	timer := time.NewTimer(time.Duration(wait * float64(time.Second)))
	defer timer.Stop()
	for {
		messages, changed := look(person.User, after)
		if len(messages) > 0 || wait == 0 {
			answer(w, http.StatusOK, messages)
			return
		}
		select {
		case <-changed:
		case <-timer.C:
			wait = 0 // one last look
		case <-r.Context().Done():
			return
		}
	}
}

func parseOr[T any](text string, def T, parse func(string) (T, error)) (T, error) {
	if text == "" {
		return def, nil
	}
	return parse(text)
}

// serveEvents streams what happens. A message carries its Seq as the event's id, or its Updated when it is told again because it
// changed, so that a browser that comes again with Last-Event-ID gets what it missed; deliveries are told without one.
func (p *Phones) serveEvents(w http.ResponseWriter, r *http.Request) {
	after, err := parseOr(r.Header.Get("Last-Event-ID"), 0, func(s string) (uint64, error) { return strconv.ParseUint(s, 10, 64) })
	if err != nil {
		refuse(w, http.StatusBadRequest, "Last-Event-ID 应为非负整数。")
		return
	}
	events, deliveries, leave := p.hub.watch()
	defer leave()
	h := w.Header()
	h.Set("Content-Type", "text/event-stream; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	out := http.NewResponseController(w)
	send := func(name, id string, body any) bool {
		data, err := json.Marshal(body)
		if err != nil {
			return false
		}
		if id != "" {
			id = "id: " + id + "\n"
		}
		_, err = fmt.Fprintf(w, "%sevent: %s\ndata: %s\n\n", id, name, data)
		return err == nil
	}
	message := func(m client.Message) bool {
		after = max(m.Seq, m.Updated)
		return send("message", strconv.FormatUint(after, 10), m)
	}
	if r.Header.Get("Last-Event-ID") == "" {
		for _, d := range deliveries {
			if !send("delivery", "", d) {
				return
			}
		}
	}
	for _, m := range p.o.Book.Last(after, firstEvents) {
		if !message(m) {
			return
		}
	}
	if !send("live", "", struct{}{}) {
		return
	}
	beat := time.NewTicker(15 * time.Second) // keeps middle boxes from closing a quiet stream
	defer beat.Stop()
	for ok := true; ok; {
		if out.Flush() != nil {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-beat.C:
			_, err := io.WriteString(w, ": quiet\n\n")
			ok = err == nil
		case e, open := <-events:
			switch {
			case !open:
				return
			case e.delivery != nil:
				ok = send("delivery", "", *e.delivery)
			case max(e.message.Seq, e.message.Updated) > after:
				ok = message(*e.message)
			}
		}
	}
}
