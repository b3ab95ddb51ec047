package callback

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"palmops/libs/fault"
	"palmops/libs/wecom"
	"palmops/libs/wire"
)

// refusal says no. Its reason is a stable word, the label of the metric.
type refusal struct {
	status int
	reason string
	user   string // only of a message whose signature holds
	ref    string // the message's id, likewise
	err    error  // for the log, without message text or secrets; may be nil
}

func refused(status int, reason string) *refusal { return &refusal{status: status, reason: reason} }

// protocolRefusal maps an error of package wecom.
func protocolRefusal(err error) *refusal {
	r := &refusal{status: http.StatusBadRequest, reason: "malformed", err: err}
	var e *wecom.Error
	if errors.As(err, &e) {
		r.reason = e.Reason
	}
	switch {
	case fault.Is(err, fault.Denied):
		r.status = http.StatusForbidden
	case r.reason == wecom.ReasonOversized:
		r.status = http.StatusRequestEntityTooLarge
	}
	return r
}

// fresh holds a time in Unix seconds against now. The word it returns is empty when the two are no further apart than window.
func fresh(seconds int64, now time.Time, window time.Duration) string {
	age := now.Sub(time.Unix(seconds, 0))
	switch {
	case age > window:
		return "stale"
	case age < -window:
		return "early"
	}
	return ""
}

// queryTime checks the time that the query states.
func queryTime(q wecom.Query, now time.Time, window time.Duration) *refusal {
	seconds, err := strconv.ParseInt(q.Timestamp, 10, 64)
	if err != nil {
		return &refusal{status: http.StatusBadRequest, reason: wecom.ReasonQuery, err: err}
	}
	if word := fresh(seconds, now, window); word != "" {
		return refused(http.StatusForbidden, word)
	}
	return nil
}

// admit reads a decrypted message and checks it against the app it came for. It is pure.
func admit(app *App, opened wecom.Opened, q wecom.Query, now time.Time, window time.Duration) (wecom.Message, wire.Inbound, *refusal) {
	m, err := wecom.ParseMessage(opened.Plain)
	if err != nil {
		r := protocolRefusal(err)
		r.reason = "message_" + r.reason
		return m, wire.Inbound{}, r
	}
	user := strings.ToLower(m.FromUserName)
	no := func(status int, reason string) (wecom.Message, wire.Inbound, *refusal) {
		r := refused(status, reason)
		if validUser(m.FromUserName) {
			r.user, r.ref = user, wire.MessageID(app.Corp, app.AgentID, user, m.MsgID, opened.Plain)
		}
		return m, wire.Inbound{}, r
	}
	switch {
	// The envelope is not signed: its names prove nothing, but a foreign one shows that something is wrong.
	case m.ToUserName != app.Corp || opened.ToUserName != "" && opened.ToUserName != app.Corp:
		return no(http.StatusForbidden, "corp")
	case m.AgentID != 0 && m.AgentID != app.AgentID || opened.AgentID != "" && opened.AgentID != strconv.FormatInt(app.AgentID, 10):
		return no(http.StatusForbidden, "agent")
	case !validUser(m.FromUserName):
		return no(http.StatusBadRequest, "user")
	case m.MsgType == "":
		return no(http.StatusBadRequest, "message_type")
	}
	if word := fresh(m.CreateTime, now, window); word != "" {
		return no(http.StatusForbidden, "message_"+word)
	}
	sum := sha256.Sum256(opened.Encrypt)
	return m, wire.Inbound{
		V: wire.Version, ID: wire.MessageID(app.Corp, app.AgentID, user, m.MsgID, opened.Plain),
		Corp: app.Corp, App: app.Name, AgentID: app.AgentID, User: user,
		Type: m.MsgType, Text: m.Content, MsgID: m.MsgID,
		Event: m.Event, EventKey: m.EventKey, TaskID: m.TaskID, ResponseCode: m.ResponseCode,
		SentAt:   m.CreateTime,
		Envelope: wire.EnvelopeMark{Digest: hex.EncodeToString(sum[:]), Timestamp: q.Timestamp, Nonce: q.Nonce},
	}, nil
}

// exchanged reports whether a delivery is an earlier one, first, with its timestamp and nonce swapped or with digits
// moved from one to the other, which leaves the signature as it was. The same ciphertext under a signature of its own is
// a true redelivery: it takes the token to sign.
func exchanged(app *App, first wire.EnvelopeMark, q wecom.Query, encrypt string) bool {
	sum := sha256.Sum256([]byte(encrypt))
	if first.Digest != hex.EncodeToString(sum[:]) || first.Timestamp == q.Timestamp && first.Nonce == q.Nonce {
		return false
	}
	return strings.EqualFold(wecom.Signature(app.Token.Reveal(), first.Timestamp, first.Nonce, encrypt), q.Signature)
}

// validUser holds a sender's id against the syntax of user ids: 1 to 64 letters, digits and -_.@, and not a word that
// addresses everybody.
func validUser(id string) bool {
	if id == "" || len(id) > 64 || id[0] == '@' {
		return false
	}
	for i := range len(id) {
		c := id[i]
		if good := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-_.@", c) >= 0; !good {
			return false
		}
	}
	return true
}
