package qyapi_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"palmops/libs/fault"
	"palmops/libs/wecom"
)

// The project's own client sends and updates cards, uploads and sends files, and reads lists and tags.
func TestCardsWithOurClient(t *testing.T) {
	w := newCards(t)
	server := httptest.NewServer(w.api)
	defer server.Close()
	hc := &http.Client{Transport: &http.Transport{}}
	defer hc.CloseIdleConnections()
	c := wecom.NewClient(wecom.ClientOptions{BaseURL: server.URL, CorpID: corp, Secret: secret, AgentID: agent, HTTP: hc})
	m := wecom.OutMessage{ToUser: "lisi|nobody", MsgType: wecom.TypeCard, DuplicateCheck: time.Hour, Card: &wecom.Card{
		TaskID: "t-1", Title: "确认", Desc: "shop/web", SubTitle: "3 → 5", Buttons: []wecom.CardButton{{Text: "1 确认", Key: "1"}, {Text: "0 返回", Key: "0"}},
	}}
	first, err := c.Send(t.Context(), m)
	if err != nil || first.ResponseCode == "" || fmt.Sprint(first.InvalidUser) != "[nobody]" {
		t.Fatalf("%+v, %v", first, err)
	}
	if again, err := c.Send(t.Context(), m); err != nil || again.MsgID != first.MsgID || again.ResponseCode != first.ResponseCode {
		t.Errorf("%+v, %v", again, err)
	}
	m.ToUser = "zhangsan"
	if _, err := c.Send(t.Context(), m); !fault.Is(err, fault.Invalid) {
		t.Errorf("a task id twice: %v", err)
	}
	if err := c.UpdateCard(t.Context(), []string{"lisi"}, first.ResponseCode, "已确认"); err != nil {
		t.Error(err)
	}
	if err := c.UpdateCard(t.Context(), []string{"lisi"}, first.ResponseCode, "已确认"); !fault.Is(err, fault.Expired) {
		t.Errorf("a code twice: %v", err)
	}
	const text = "第一行\n"
	id, err := c.Upload(t.Context(), wecom.TypeFile, "日志.txt", strings.NewReader(text), int64(len(text)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Send(t.Context(), wecom.OutMessage{ToUser: "lisi", MsgType: wecom.TypeFile, MediaID: id}); err != nil {
		t.Error(err)
	}
	got := w.messages("lisi")
	if len(got) != 2 || got[0].Text != "确认\nshop/web\n3 → 5\n已确认" || got[1].File.Name != "日志.txt" || got[1].File.Size != int64(len(text)) {
		t.Errorf("%+v", got)
	}
	if _, err := c.Send(t.Context(), wecom.OutMessage{ToUser: "lisi", MsgType: wecom.TypeFile, MediaID: "x"}); !fault.Is(err, fault.Expired) {
		t.Errorf("an unknown file: %v", err)
	}
	members, err := c.Members(t.Context(), 2, true)
	if err != nil || fmt.Sprint(members) != "[{zhangsan 张三} {lisi 李四} {menshi 门市}]" {
		t.Errorf("%v, %v", members, err)
	}
	departments, err := c.NamedDepartments(t.Context(), 2)
	if err != nil || len(departments) != 2 || departments[1].Name != "门店" || departments[1].ParentID != 2 {
		t.Errorf("%v, %v", departments, err)
	}
	tags, err := c.Tags(t.Context())
	if err != nil || fmt.Sprint(tags) != "[{1 值班} {7 空}]" {
		t.Errorf("%v, %v", tags, err)
	}
	tagged, err := c.Tagged(t.Context(), 1)
	if err != nil || fmt.Sprint(tagged.Members) != "[{lisi 李四} {wangwu 王五}]" {
		t.Errorf("%v, %v", tagged, err)
	}
	if _, err := c.Tagged(t.Context(), 9); !fault.Is(err, fault.NotFound) {
		t.Errorf("%v", err)
	}
}
