package callback

import (
	"errors"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gin-gonic/gin"
	"go.uber.org/zap"
	"golang.org/x/time/rate"

	"palmops/libs/bus"
	"palmops/libs/conf"
	"palmops/libs/wecom"
	"palmops/libs/wire"
	"palmops/services/gateway/internal/metrics"
)

// App is one WeCom application whose callbacks are taken.
type App struct {
	Name    string // in the path, in subjects and in metrics: [a-z0-9_-]
	Corp    string
	AgentID int64
	Token   conf.Secret
	Crypt   *wecom.Crypt
	Cards   bool // whether screens that ask for it go out as cards, which are never passive
}

// Addresses decides who may call.
type Addresses interface{ Contains(netip.Addr) bool }

// Trail keeps audit lines; it never blocks.
type Trail interface {
	Write(line wire.AuditLine)
}

// Options are what a Handler needs; all of them are required.
type Options struct {
	Apps           []App
	Allow          Addresses
	TrustedProxies []string      // addresses and ranges whose X-Forwarded-For is believed; none when empty
	Window         time.Duration // how far the times of a callback may be from now, either way
	Passive        time.Duration // from the receipt, how long a passive reply is waited for
	Publish        time.Duration // how long the stream may take to store the message
	MaxInFlight    int           // callbacks in work at once
	Bus            *bus.Bus
	Trail          Trail
	Metrics        *metrics.Set
	Log            *zap.Logger
	Now            func() time.Time
}

const (
	prefix, suffix = "/wecom/", "/callback"
	// answerBy is when an answer leaves at the latest, counted from the receipt: WeCom gives up after 5 s.
	answerBy = 4200 * time.Millisecond
	// maxDiscard is how many bytes of an oversized body are read for nothing, within the server's read timeout.
	maxDiscard = 4 << 20
)

// Handler serves GET and POST of /wecom/<app>/callback.
type Handler struct {
	Options
	engine   *gin.Engine
	apps     map[string]*App
	slots    chan struct{}
	recorder *rate.Limiter
	tongues  tongues
	running  sync.WaitGroup
	stopped  chan struct{} // closed by Wait
	stop     sync.Once
}

// New builds the handler. Errors: a trusted proxy that is no address or range.
func New(o Options) (*Handler, error) {
	gin.SetMode(gin.ReleaseMode) // the other modes write to standard output
	h := &Handler{
		Options: o, engine: gin.New(), apps: map[string]*App{}, slots: make(chan struct{}, o.MaxInFlight),
		// Strangers can cause refusals without end. All are counted; logged and audited one by one only up to this rate.
		recorder: rate.NewLimiter(50, 500), stopped: make(chan struct{}),
	}
	for i := range o.Apps {
		h.apps[o.Apps[i].Name] = &o.Apps[i]
	}
	h.engine.RedirectTrailingSlash = false
	h.engine.HandleMethodNotAllowed = true
	h.engine.RemoteIPHeaders = []string{"X-Forwarded-For"}
	if err := h.engine.SetTrustedProxies(o.TrustedProxies); err != nil {
		return nil, err
	}
	h.engine.Use(h.guard)
	h.engine.GET(prefix+":app"+suffix, h.verify)
	h.engine.POST(prefix+":app"+suffix, h.receive)
	h.engine.NoRoute(h.other)
	h.engine.NoMethod(h.other)
	return h, nil
}

// ServeHTTP answers one request.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) { h.engine.ServeHTTP(w, r) }

// Wait returns when nothing is in work any more.
func (h *Handler) Wait() {
	h.stop.Do(func() { close(h.stopped) })
	h.running.Wait()
}

// guard is around every request: time, metrics, and a last resort against panics, which shows neither content nor cause.
func (h *Handler) guard(c *gin.Context) {
	received := time.Now()
	c.Set(keyReceived, received)
	label := metrics.NoApp
	if app := h.appOf(c.Request.URL.Path); app != nil {
		label = app.Name
	}
	defer func() {
		if p := recover(); p != nil {
			if err, ok := p.(error); ok && errors.Is(err, http.ErrAbortHandler) {
				panic(p) // net/http's own way to drop a connection
			}
			h.panicked(label)
			if !c.Writer.Written() {
				_ = h.write(c, http.StatusInternalServerError, "text/plain; charset=utf-8", []byte("error\n"))
			}
		}
		h.Metrics.Seconds.WithLabelValues(label).Observe(time.Since(received).Seconds())
	}()
	c.Next()
}

// panicked notes a panic, without its value: that can hold what was being worked on.
func (h *Handler) panicked(app string) {
	h.Metrics.Panics.Inc()
	h.Metrics.Callbacks.WithLabelValues(app, "panic").Inc()
	h.Log.Error("panic in a callback", zap.String("app", app), zap.ByteString("stack", debug.Stack()))
}

const keyReceived = "received"

// appOf is the app that a path names, or nil.
func (h *Handler) appOf(path string) *App {
	name, ok := strings.CutPrefix(path, prefix)
	if !ok {
		return nil
	}
	if name, ok = strings.CutSuffix(name, suffix); !ok {
		return nil
	}
	return h.apps[name]
}

// other answers what is no callback at all.
func (h *Handler) other(c *gin.Context) {
	app := h.appOf(c.Request.URL.Path)
	if app == nil {
		h.refuse(c, nil, refused(http.StatusNotFound, "path"))
		return
	}
	c.Header("Allow", "GET, POST")
	h.refuse(c, app, refused(http.StatusMethodNotAllowed, "method"))
}

// enter does the checks that GET and POST share: app, address of the peer, callbacks in work, shape of the query. A
// caller that got an app must call leave.
func (h *Handler) enter(c *gin.Context) (app *App, q wecom.Query, leave func()) {
	app = h.appOf(c.Request.URL.Path)
	if app == nil {
		h.refuse(c, nil, refused(http.StatusNotFound, "path"))
		return nil, q, nil
	}
	if peer, err := netip.ParseAddr(c.ClientIP()); err != nil || !h.Allow.Contains(peer) {
		h.refuse(c, app, refused(http.StatusForbidden, "address"))
		return nil, q, nil
	}
	select {
	case h.slots <- struct{}{}:
		h.Metrics.InFlight.Inc()
		leave = func() { <-h.slots; h.Metrics.InFlight.Dec() }
	default:
		h.refuse(c, app, refused(http.StatusServiceUnavailable, "busy"))
		return nil, q, nil
	}
	values, err := url.ParseQuery(c.Request.URL.RawQuery)
	if err != nil {
		err = errors.New("the query cannot be read") // the error quotes it
	} else {
		q, err = wecom.ParseQuery(values)
	}
	if err != nil {
		leave()
		h.refuse(c, app, &refusal{status: http.StatusBadRequest, reason: wecom.ReasonQuery, err: err})
		return nil, q, nil
	}
	return app, q, leave
}

// verify answers the GET by which WeCom tries a callback URL: the decrypted echostr and nothing else.
func (h *Handler) verify(c *gin.Context) {
	app, q, leave := h.enter(c)
	if app == nil {
		return
	}
	defer leave()
	echo, err := wecom.EchoStr(c.Request.URL.RawQuery)
	if err != nil {
		h.refuse(c, app, protocolRefusal(err))
		return
	}
	plain, err := app.Crypt.VerifyURL(q, echo)
	if err != nil {
		h.refuse(c, app, protocolRefusal(err))
		return
	}
	if r := queryTime(q, h.Now(), h.Window); r != nil {
		h.refuse(c, app, r)
		return
	}
	h.Metrics.Callbacks.WithLabelValues(app.Name, "echo").Inc()
	h.sent(app, h.write(c, http.StatusOK, "text/plain; charset=utf-8", plain))
}

// open reads a POST's body and takes it apart as far as the signature and the times reach.
func (h *Handler) open(c *gin.Context, app *App, q wecom.Query) (opened wecom.Opened, m wecom.Message, in wire.Inbound, r *refusal) {
	body, err := io.ReadAll(io.LimitReader(c.Request.Body, wecom.MaxBody+1))
	switch {
	case err != nil: // it ended early, or came too slowly
		return opened, m, in, refused(http.StatusBadRequest, "body")
	case len(body) > wecom.MaxBody:
		// A sender that is cut off while it writes does not see the answer, so some of the rest is read and thrown away.
		_, _ = io.CopyN(io.Discard, c.Request.Body, maxDiscard)
		return opened, m, in, refused(http.StatusRequestEntityTooLarge, wecom.ReasonOversized)
	}
	if opened, err = app.Crypt.Open(q, body); err != nil {
		return opened, m, in, protocolRefusal(err)
	}
	now := h.Now()
	if r = queryTime(q, now, h.Window); r != nil {
		return opened, m, in, r
	}
	m, in, r = admit(app, opened, q, now, h.Window)
	in.ReceivedAt, in.ReplyBy = now.UnixMilli(), now.Add(h.Passive).UnixMilli()
	return opened, m, in, r
}

// refuse answers no, counts it, and records it as far as the rate of records allows.
func (h *Handler) refuse(c *gin.Context, app *App, r *refusal) {
	line := wire.AuditLine{At: h.Now().UnixMilli(), What: "callback", Verdict: "refused", Reason: r.reason, User: r.user, Ref: r.ref}
	label := metrics.NoApp
	if app != nil {
		label, line.Corp, line.App = app.Name, app.Corp, app.Name
	}
	h.Metrics.Refused.WithLabelValues(label, r.reason).Inc()
	h.Metrics.Callbacks.WithLabelValues(label, "refused").Inc()
	if h.recorder.Allow() {
		remote := c.ClientIP()
		line.Detail = map[string]string{"remote": remote}
		h.Trail.Write(line)
		h.Log.Warn("callback refused", zap.String("reason", r.reason), zap.String("app", label), zap.String("remote", remote),
			zap.Int("status", r.status), zap.String("ref", r.ref), zap.NamedError("why", r.err))
	} else {
		h.Metrics.Unrecorded.Inc()
	}
	h.sent(app, h.write(c, r.status, "text/plain; charset=utf-8", []byte("refused\n")))
}

// write sends a whole answer and reports whether it has left this process.
func (h *Handler) write(c *gin.Context, status int, contentType string, body []byte) error {
	if len(body) > 0 {
		c.Header("Content-Type", contentType)
	}
	c.Header("Content-Length", strconv.Itoa(len(body)))
	c.Writer.WriteHeader(status)
	c.Writer.WriteHeaderNow()
	if _, err := c.Writer.Write(body); err != nil {
		return err
	}
	// gin's own Flush hides the error.
	var w http.ResponseWriter = c.Writer
	if u, ok := w.(interface{ Unwrap() http.ResponseWriter }); ok {
		w = u.Unwrap()
	}
	return http.NewResponseController(w).Flush()
}

// sent notes an answer that nobody took.
func (h *Handler) sent(app *App, err error) {
	if err != nil {
		label := metrics.NoApp
		if app != nil {
			label = app.Name
		}
		h.Log.Debug("answer not delivered", zap.String("app", label), zap.Error(err))
	}
}
