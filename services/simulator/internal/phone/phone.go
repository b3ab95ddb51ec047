package phone

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"go.uber.org/zap"

	"palmops/libs/fault"
	"palmops/libs/wecom"
	"palmops/services/simulator/client"
)

// Limits of what a person can type.
const (
	MaxSay        = 64 << 10 // bytes; far above WeCom's 2048, so that bad input can be tried
	MaxDuplicates = 20
	laneLength    = 256 // messages of one person that wait to be carried
)

// Options are what a Phones needs. Everything without a default is required.
type Options struct {
	Directory *Directory
	Book      *Book
	Crypt     *wecom.Crypt
	CorpID    string
	AgentID   int64
	Callback  func() string // the app's callback address, asked at each attempt
	Form      wecom.Form    // of callbacks when the request names none
	Timeout   time.Duration // of one attempt; 0 means WeCom's 5 s
	Retries   int           // attempts after the first; WeCom's are 3
	Pause     time.Duration // before each of them; WeCom's is not documented; 0 means 1 s
	Now       func() time.Time
	Log       *zap.Logger
	Observe   func(client.Delivery) // called for each delivery; may be nil
	Files     Files                 // what the app uploaded; nil means nothing
}

// Files are the files that the app uploaded.
type Files interface {
	// Read returns the content of a file and its name; fault.NotFound when it is unknown or too old.
	Read(mediaID string) (name string, data []byte, err error)
}

// Phones are the phones of everybody. Make it with New; what people type is carried while Run runs.
type Phones struct {
	o      Options
	hub    *hub
	sender *sender
	lanes  map[string]chan *job // by user id as configured
	closed chan struct{}        // when Run has ended
}

// job is one message on its way to the app. first gets exactly one result, unless Run ends before.
type job struct {
	msgID     string // that of the message, or of the card that was pressed
	message   wecom.Message
	form      wecom.Form
	duplicate int
	first     chan client.SayResult
}

// New makes the phones.
func New(o Options) *Phones {
	if o.Timeout == 0 {
		o.Timeout = 5 * time.Second
	}
	if o.Pause == 0 {
		o.Pause = time.Second
	}
	p := &Phones{o: o, hub: newHub(), lanes: map[string]chan *job{}, closed: make(chan struct{})}
	o.Book.tell(func(m client.Message) { p.hub.publish(event{message: &m}) })
	for _, person := range o.Directory.people {
		p.lanes[person.User] = make(chan *job, laneLength)
	}
	p.sender = &sender{
		crypt: o.Crypt, corpID: o.CorpID, agentID: o.AgentID, callback: o.Callback, timeout: o.Timeout, now: o.Now,
		http: &http.Client{
			// No proxy and no redirects: a callback goes where the configuration says and nowhere else.
			Transport: &http.Transport{
				DialContext:         (&net.Dialer{Timeout: o.Timeout}).DialContext,
				MaxIdleConnsPerHost: 16,
				IdleConnTimeout:     10 * time.Second,
			},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
	return p
}

// Run carries messages until ctx ends. An attempt under way is given up then, as when WeCom's answer is lost.
func (p *Phones) Run(ctx context.Context) {
	defer close(p.closed)
	defer p.sender.http.CloseIdleConnections()
	var lanes sync.WaitGroup
	for _, lane := range p.lanes {
		lanes.Go(func() {
			for {
				select {
				case <-ctx.Done():
					return
				case j := <-lane:
					p.carry(ctx, j)
				}
			}
		})
	}
	lanes.Wait()
}

// carry delivers one message: attempts until one is answered or none is left.
func (p *Phones) carry(ctx context.Context, j *job) {
	out := client.SayResult{MsgID: j.msgID}
	shown := false
	for n := 1; n <= 1+p.o.Retries; n++ {
		if n > 1 && !pause(ctx, p.o.Pause) {
			return
		}
		copies := 1
		if n == 1 {
			copies += j.duplicate
		}
		answered := false
		for r := range p.attempts(ctx, j, n, copies) {
			out.Attempts++
			answered = answered || r.answered
			if r.reply != nil && !shown {
				shown = true
				out.Reply = p.show(j.message, r)
			}
			if r.delivery.Error != "" && out.Error == "" {
				out.Error = r.delivery.Error
			}
		}
		if n == 1 {
			j.first <- summary(out, answered, shown, p.o.Retries > 0)
		}
		if answered || ctx.Err() != nil {
			return
		}
	}
	p.o.Log.Warn("a message was not delivered", zap.String("msgid", j.msgID), zap.Int("attempts", out.Attempts))
}

// summary is what Say tells about the first attempt.
func summary(out client.SayResult, answered, shown, more bool) client.SayResult {
	switch {
	case shown:
		out.Status, out.Error = client.StatusAnswered, ""
	case answered && out.Error == "":
		out.Status = client.StatusAccepted
	default:
		out.Status = client.StatusFailed
		if !answered && more {
			out.Error += "，稍后会自动重新投递"
		}
	}
	return out
}

// attempts sends the given number of copies side by side and yields their ends in the order in which they come.
func (p *Phones) attempts(ctx context.Context, j *job, n, copies int) <-chan result {
	out := make(chan result, copies)
	var all sync.WaitGroup
	for c := range copies {
		all.Go(func() {
			r := p.sender.attempt(ctx, j.msgID, j.message, j.form)
			d := &r.delivery
			d.Attempt, d.Limit, d.Copy = n, 1+p.o.Retries, c
			p.delivered(*d)
			out <- r
		})
	}
	go func() {
		all.Wait()
		close(out)
	}()
	return out
}

// show puts a passive reply on the phone and returns its text.
func (p *Phones) show(m wecom.Message, r result) string {
	text := r.reply.Content
	if r.reply.MsgType != "text" && text == "" {
		text = "［" + r.reply.MsgType + " 类型的消息］"
	}
	shown, err := p.o.Book.Add(client.Message{
		User: m.FromUserName, Via: client.ViaPassive, MsgType: r.reply.MsgType, Text: Cut(text), ReplyTo: m.MsgID,
	})
	if err != nil {
		p.o.Log.Error("a passive reply could not be kept", zap.Error(err))
		return Cut(text)
	}
	return shown.Text
}

// Push shows a text that the app sent with message/send, and returns its msgid. An unknown person is fault.NotFound.
func (p *Phones) Push(user, msgType, text string) (string, error) {
	return p.push(client.Message{User: user, Via: client.ViaPush, MsgType: msgType, Text: Cut(text)})
}

func (p *Phones) push(m client.Message) (string, error) {
	person, ok := p.o.Directory.Person(m.User)
	if !ok {
		return "", fault.New(fault.NotFound, "push: no such person")
	}
	m.User = person.User
	shown, err := p.o.Book.Add(m)
	if err != nil {
		return "", fault.Wrap(fault.Internal, err, "push")
	}
	return shown.MsgID, nil
}

// Delivered lets those who watch see a call of the app's.
func (p *Phones) Delivered(d client.Delivery) { p.delivered(d) }

func (p *Phones) delivered(d client.Delivery) {
	p.hub.publish(event{delivery: &d})
	if p.o.Observe != nil {
		p.o.Observe(d)
	}
}

// Cut is what a phone shows of a text: at most wecom.MaxText bytes, whole characters, and no bytes that are not UTF-8.
func Cut(text string) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	if len(text) <= wecom.MaxText {
		return text
	}
	end := wecom.MaxText
	for !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end]
}

// pause waits; it is false when ctx ended before.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// Ready says whether a callback address is set.
func (p *Phones) Ready() error {
	if p.o.Callback() == "" {
		return errors.New("no callback address")
	}
	return nil
}
