package callback

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"palmops/libs/wecom"
	"palmops/libs/wire"
)

// torn is a connection that takes the header and breaks under the body.
type torn struct{ *httptest.ResponseRecorder }

func (torn) Write([]byte) (int, error) { return 0, errors.New("connection reset by peer") }

// A reply that dialog was told is on its way, and that could not be written, goes out by push.
func TestAReplyThatCannotBeWrittenIsPushed(t *testing.T) {
	b := newBench(t)
	plain := wecom.MarshalMessage(wecom.FormXML, wecom.Message{
		ToUserName: corp, FromUserName: "zhangsan", CreateTime: b.now.Unix(), MsgType: "text", AgentID: agent, MsgID: "1", Content: "一二三四五六七八九十一二三四五六七八九十多",
	})
	query, body, err := b.seal(wecom.FormXML, plain)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	sub, err := b.h.Bus.NC.SubscribeSync(wire.OutSubject(corp, "ops", "zhangsan"))
	if err != nil {
		t.Fatal(err)
	}
	req := httptest.NewRequest(http.MethodPost, "/wecom/ops/callback?"+query, strings.NewReader(string(body)))
	b.h.ServeHTTP(torn{httptest.NewRecorder()}, req)
	msg, err := sub.NextMsgWithContext(ctx)
	if err != nil {
		t.Fatal(err)
	}
	var out wire.Outbound
	if err := json.Unmarshal(msg.Data, &out); err != nil {
		t.Fatal(err)
	}
	if out.ID != out.InReplyTo+":reply" || out.User != "zhangsan" || len(out.Screens) != 1 || !strings.HasSuffix(out.SaidText, "十…") {
		t.Errorf("pushed %+v", out)
	}
}
