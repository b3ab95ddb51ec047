package phone

import (
	"bytes"
	"context"
	crand "crypto/rand"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"palmops/libs/wecom"
	"palmops/services/simulator/client"
)

// maxAnswer is the largest answer to a callback that is read, in bytes; WeCom's own limit is not documented.
const maxAnswer = 1 << 20

// sender makes single attempts. It keeps no state.
type sender struct {
	http     *http.Client
	crypt    *wecom.Crypt
	corpID   string
	agentID  int64
	callback func() string // where to, asked at each attempt
	timeout  time.Duration
	now      func() time.Time
}

// result is the end of one attempt. answered means a 200, after which nothing is sent again.
type result struct {
	answered bool
	reply    *wecom.Reply // nil when there was none to show
	delivery client.Delivery
}

// attempt encrypts a message anew, posts it, and judges the answer. It is reported under msgID: an event has none of its own.
func (s *sender) attempt(ctx context.Context, msgID string, m wecom.Message, form wecom.Form) (r result) {
	start := s.now()
	r = result{delivery: client.Delivery{Kind: client.KindCallback, User: m.FromUserName, MsgID: msgID, Form: form.String(), At: start}}
	d := &r.delivery
	defer func() { d.Millis = float64(s.now().Sub(start).Microseconds()) / 1000 }()

	target, body, err := s.seal(m, form)
	if err != nil {
		d.Outcome, d.Error = client.OutcomeSealNG, "这条消息无法加密成回调："+reason(err)
		return r
	}
	d.Bytes = len(body)
	limited, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(limited, http.MethodPost, target, bytes.NewReader(body))
	if err != nil {
		d.Outcome, d.Error = client.OutcomeSealNG, "回调地址不可用"
		return r
	}
	req.Header.Set("Content-Type", map[wecom.Form]string{wecom.FormXML: "text/xml", wecom.FormJSON: "application/json"}[form])
	req.Header.Set("User-Agent", "palmops-simulator")
	resp, err := s.http.Do(req)
	if err != nil {
		s.broken(ctx, d, err)
		return r
	}
	defer func() { _ = resp.Body.Close() }()
	d.HTTP = resp.StatusCode
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		s.broken(ctx, d, err)
		return r
	}
	d.ReplyBytes = len(answer)
	if resp.StatusCode != http.StatusOK {
		d.Outcome, d.Error = client.OutcomeStatus, fmt.Sprintf("应答状态 %d", resp.StatusCode)
		return r
	}
	r.answered = true
	if text := bytes.TrimSpace(answer); len(text) == 0 || bytes.EqualFold(text, []byte("success")) {
		d.Outcome = client.OutcomeEmpty
		return r
	}
	reply, err := s.open(answer, m)
	if err != nil {
		d.Outcome, d.Error = client.OutcomeReplyNG, "回复没有显示："+reason(err)
		return r
	}
	if m.MsgType == msgEvent {
		// A press may be answered with an update of its card (page 90241). WeCom's pages contradict each other about it, so no
		// app should count on it, and nothing else is shown either.
		d.Outcome, d.Error = client.OutcomeReplyNG, "按钮事件的当场答复没有显示：请用 update_template_card 更新卡片"
		return r
	}
	d.Outcome, r.reply = client.OutcomeReply, &reply
	return r
}

// seal returns the whole address with its query, and the body.
func (s *sender) seal(m wecom.Message, form wecom.Form) (target string, body []byte, err error) {
	nonce, err := newNonce()
	if err != nil {
		return "", nil, err
	}
	u, err := url.Parse(s.callback())
	if err != nil {
		return "", nil, err
	}
	stamp := strconv.FormatInt(s.now().Unix(), 10)
	q, body, err := s.crypt.SealCallback(form, s.corpID, strconv.FormatInt(s.agentID, 10), stamp, nonce, wecom.MarshalMessage(form, m))
	if err != nil {
		return "", nil, err
	}
	query := u.Query()
	query.Set("msg_signature", q.Signature)
	query.Set("timestamp", q.Timestamp)
	query.Set("nonce", q.Nonce)
	u.RawQuery = query.Encode()
	return u.String(), body, nil
}

// open verifies and reads a passive reply to m.
func (s *sender) open(answer []byte, m wecom.Message) (wecom.Reply, error) {
	plain, _, err := s.crypt.OpenReply(answer)
	if err != nil {
		return wecom.Reply{}, err
	}
	reply, err := wecom.ParseReply(plain)
	if err != nil {
		return wecom.Reply{}, err
	}
	if !strings.EqualFold(reply.ToUserName, m.FromUserName) || reply.FromUserName != m.ToUserName {
		return wecom.Reply{}, errors.New("收发双方与原消息不符")
	}
	return reply, nil
}

// broken notes an attempt that ended without an answer.
func (s *sender) broken(ctx context.Context, d *client.Delivery, err error) {
	switch {
	case ctx.Err() != nil:
		d.Outcome, d.Error = client.OutcomeConnect, "模拟器停止，投递中断"
	case errors.Is(err, context.DeadlineExceeded):
		d.Outcome, d.Error = client.OutcomeTimeout, fmt.Sprintf("%g 秒内没有应答", s.timeout.Seconds())
	default:
		d.Outcome, d.Error = client.OutcomeConnect, "连接不上或中途断开"
	}
}

// reason is the short form of an error for the page: the library's word where there is one, since its detail is for programmers.
func reason(err error) string {
	var e *wecom.Error
	if errors.As(err, &e) {
		return fmt.Sprintf("%s（%d %s）", e.Reason, int(e.Code), e.Code)
	}
	return err.Error()
}

// newNonce is a number of 9 or 10 digits, as WeCom's are.
func newNonce() (string, error) {
	n, err := crand.Int(crand.Reader, big.NewInt(2_000_000_000-100_000_000))
	if err != nil {
		return "", err
	}
	return strconv.FormatInt(n.Int64()+100_000_000, 10), nil
}
