package phone_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"palmops/libs/fault"
	"palmops/libs/wecom"
	"palmops/services/simulator/client"
	"palmops/services/simulator/internal/phone"
)

func accept(_ *gateway, _ http.ResponseWriter, _ *http.Request, _ callback) {}

func confirmCard(task string) client.Card {
	return client.Card{
		TaskID: task, CardType: "button_interaction", Title: "确认执行", Body: "shop/web\n3 → 5",
		Buttons: []client.Button{{Key: "1", Text: "1 确认执行"}, {Key: "0", Text: "0 返回"}},
	}
}

func disable(label string) func(string, client.Card) (client.Card, error) {
	return func(_ string, c client.Card) (client.Card, error) {
		c.Disabled, c.Label = true, label
		return c, nil
	}
}

func TestPressAndUpdate(t *testing.T) {
	for _, form := range []string{"xml", "json"} {
		t.Run(form, func(t *testing.T) {
			g := newGateway(t, accept)
			w := newWorld(t, g.server.URL, nil)
			msgID, sendCode, err := w.PushCard([]string{"zhangsan", "LiSi"}, confirmCard("a-1"), true)
			if err != nil || sendCode == "" {
				t.Fatalf("%q, %v", sendCode, err)
			}
			before := w.messages(t, "zhangsan")
			if len(before) != 1 || before[0].Kind != client.KindCard || before[0].MsgType != "template_card" || before[0].MsgID != msgID ||
				before[0].Text != "确认执行\nshop/web\n3 → 5\n1 确认执行\n0 返回" || before[0].Card.Disabled || before[0].Card.Buttons[0].Key != "1" {
				t.Fatalf("%+v", before)
			}
			press := func() (client.SayResult, wecom.Message) {
				res, err := w.client.Press(t.Context(), client.PressRequest{User: "ZhangSan", TaskID: "a-1", Key: "1", Form: form})
				if err != nil || res.Status != client.StatusAccepted || res.MsgID != msgID {
					t.Fatalf("%+v, %v", res, err)
				}
				all := g.all()
				return res, all[len(all)-1].message
			}
			_, first := press()
			if first.MsgType != "event" || first.Event != "template_card_event" || first.EventKey != "1" || first.TaskID != "a-1" || first.MsgID != "" ||
				first.CardType != "button_interaction" || first.FromUserName != "zhangsan" || first.ToUserName != corp || first.AgentID != agent || first.CreateTime == 0 {
				t.Errorf("%+v", first)
			}
			_, second := press()
			if first.ResponseCode == "" || first.ResponseCode == second.ResponseCode || first.ResponseCode == sendCode {
				t.Error("a response code is not fresh")
			}
			missing, err := w.UpdateCard(first.ResponseCode, []string{"zhangsan", "laoren"}, disable("已确认"))
			if err != nil || !slices.Equal(missing, []string{"laoren"}) {
				t.Fatalf("%v, %v", missing, err)
			}
			if _, err := w.UpdateCard(first.ResponseCode, []string{"zhangsan"}, disable("x")); !fault.Is(err, fault.Expired) {
				t.Errorf("a used code: %v", err)
			}
			after := w.messages(t, "zhangsan")
			if len(after) != 1 || !after[0].Card.Disabled || after[0].Card.Label != "已确认" || after[0].Text != "确认执行\nshop/web\n3 → 5\n已确认" || after[0].Seq != before[0].Seq || after[0].Updated <= before[0].Seq {
				t.Errorf("%+v", after)
			}
			if others := w.messages(t, "lisi"); others[0].Card.Disabled {
				t.Error("the card of another person changed, too")
			}
			if _, err := w.client.Press(t.Context(), client.PressRequest{User: "zhangsan", TaskID: "a-1", Key: "1"}); !fault.Is(err, fault.Conflict) {
				t.Errorf("a disabled card: %v", err)
			}
			if _, err := w.UpdateCard(sendCode, nil, disable("全部")); err != nil { // the code of the sending is still good, and nil is everybody
				t.Error(err)
			}
			if others := w.messages(t, "lisi"); !others[0].Card.Disabled || others[0].Card.Label != "全部" {
				t.Errorf("%+v", others[0].Card)
			}
			if n := len(g.all()); n != 2 {
				t.Errorf("%d callbacks", n)
			}
		})
	}
}

// A press that is not answered is sent again with the same response code.
func TestPressIsRedelivered(t *testing.T) {
	calls := 0
	g := newGateway(t, func(_ *gateway, w http.ResponseWriter, _ *http.Request, _ callback) {
		if calls++; calls == 1 {
			w.WriteHeader(http.StatusBadGateway)
		}
	})
	w := newWorld(t, g.server.URL, nil)
	if _, _, err := w.PushCard([]string{"lisi"}, confirmCard("b"), true); err != nil {
		t.Fatal(err)
	}
	res, err := w.client.Press(t.Context(), client.PressRequest{User: "lisi", TaskID: "b", Key: "0"})
	if err != nil || res.Status != client.StatusFailed || !strings.Contains(res.Error, "502") {
		t.Fatalf("%+v, %v", res, err)
	}
	first, second := recv(t, g.came, "the first attempt"), recv(t, g.came, "the second attempt")
	if first.message.ResponseCode != second.message.ResponseCode || first.message.CreateTime != second.message.CreateTime || first.body == second.body {
		t.Errorf("%+v\n%+v", first.message, second.message)
	}
	for i, want := range []string{client.OutcomeStatus, client.OutcomeEmpty} {
		if d := recv(t, w.deliveries, "a delivery"); d.Outcome != want || d.Attempt != i+1 || d.MsgID != res.MsgID {
			t.Errorf("%+v", d)
		}
	}
}

// The answer to a press is no message.
func TestReplyToAPressIsNotShown(t *testing.T) {
	g := newGateway(t, echo)
	w := newWorld(t, g.server.URL, nil)
	if _, _, err := w.PushCard([]string{"lisi"}, confirmCard("c"), true); err != nil {
		t.Fatal(err)
	}
	res, err := w.client.Press(t.Context(), client.PressRequest{User: "lisi", TaskID: "c", Key: "0"})
	if err != nil || res.Status != client.StatusFailed || res.Error == "" || res.Attempts != 1 {
		t.Fatalf("%+v, %v", res, err)
	}
	if got := w.messages(t, "lisi"); len(got) != 1 {
		t.Errorf("%+v", got)
	}
}

func TestPressRefusals(t *testing.T) {
	g := newGateway(t, accept)
	w := newWorld(t, g.server.URL, nil)
	if _, _, err := w.PushCard([]string{"lisi", "laoren"}, confirmCard("d"), true); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		request client.PressRequest
		kind    fault.Kind
	}{
		"unknown person": {client.PressRequest{User: "nobody", TaskID: "d", Key: "1"}, fault.NotFound},
		"another's card": {client.PressRequest{User: "zhangsan", TaskID: "d", Key: "1"}, fault.NotFound},
		"unknown card":   {client.PressRequest{User: "lisi", TaskID: "e", Key: "1"}, fault.NotFound},
		"no card":        {client.PressRequest{User: "lisi", Key: "1"}, fault.NotFound},
		"unknown button": {client.PressRequest{User: "lisi", TaskID: "d", Key: "7"}, fault.NotFound},
		"unknown form":   {client.PressRequest{User: "lisi", TaskID: "d", Key: "1", Form: "yaml"}, fault.Invalid},
		"too many":       {client.PressRequest{User: "lisi", TaskID: "d", Key: "1", Duplicate: 21}, fault.Invalid},
		"a plain phone":  {client.PressRequest{User: "laoren", TaskID: "d", Key: "1"}, fault.NotFound},
	} {
		if _, err := w.client.Press(t.Context(), c.request); !fault.Is(err, c.kind) {
			t.Errorf("%s: %v", name, err)
		}
	}
	resp, err := http.Post(w.base+"/sim/press", "application/json", strings.NewReader("[]"))
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusBadRequest {
		t.Errorf("%d", resp.StatusCode)
	}
	http.DefaultClient.CloseIdleConnections()
	if n := len(g.all()); n != 0 {
		t.Errorf("%d callbacks for refused requests", n)
	}
}

// A phone that shows no cards shows that there was one, before and after an update.
func TestPlainPhone(t *testing.T) {
	g := newGateway(t, accept)
	w := newWorld(t, g.server.URL, nil)
	_, code, err := w.PushCard([]string{"laoren"}, confirmCard("f"), true)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := w.PushCard([]string{"lisi"}, confirmCard("f"), true); !fault.Is(err, fault.Conflict) {
		t.Errorf("the same task id again: %v", err)
	}
	if missing, err := w.UpdateCard(code, []string{"laoren"}, disable("x")); err != nil || len(missing) != 0 {
		t.Errorf("%v, %v", missing, err)
	}
	got := w.messages(t, "laoren")
	if len(got) != 1 || got[0].Kind != client.KindText || got[0].Card != nil || !strings.Contains(got[0].Text, "请在企业微信中查看") {
		t.Errorf("%+v", got)
	}
}

func TestUpdateRefusals(t *testing.T) {
	g := newGateway(t, accept)
	now := time.Now()
	clock := func() time.Time { return now }
	book, _, err := phone.OpenBook("", clock)
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, g.server.URL, func(o *phone.Options) { o.Now, o.Book = clock, book })
	_, code, err := w.PushCard([]string{"lisi"}, confirmCard("g"), true)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.UpdateCard("", []string{"lisi"}, disable("x")); !fault.Is(err, fault.Expired) {
		t.Errorf("%v", err)
	}
	if _, err := w.UpdateCard(code, []string{"zhangsan"}, disable("x")); !fault.Is(err, fault.NotFound) {
		t.Errorf("%v", err)
	}
	no := errors.New("no")
	if _, err := w.UpdateCard(code, []string{"lisi"}, func(string, client.Card) (client.Card, error) { return client.Card{}, no }); !errors.Is(err, no) {
		t.Errorf("%v", err)
	}
	now = now.Add(72*time.Hour - time.Second)
	if _, err := w.UpdateCard(code, []string{"lisi"}, disable("x")); err != nil {
		t.Errorf("after refusals, at the end of its life: %v", err)
	}
	_, code, err = w.PushCard([]string{"lisi"}, confirmCard("h"), true)
	if err != nil {
		t.Fatal(err)
	}
	now = now.Add(72 * time.Hour)
	if _, err := w.UpdateCard(code, []string{"lisi"}, disable("x")); !fault.Is(err, fault.Expired) {
		t.Errorf("too late: %v", err)
	}
	if _, _, err := w.PushCard([]string{"nobody"}, confirmCard("i"), true); !fault.Is(err, fault.NotFound) {
		t.Errorf("%v", err)
	}
	if _, code, err := w.PushCard([]string{"lisi"}, client.Card{CardType: "text_notice", Title: "x"}, false); err != nil || code != "" {
		t.Errorf("%q, %v", code, err)
	}
}

// Changes and event stream tell of an update; the plain list after the card does not.
func TestWatchingAnUpdate(t *testing.T) {
	g := newGateway(t, accept)
	w := newWorld(t, g.server.URL, nil)
	_, code, err := w.PushCard([]string{"lisi"}, confirmCard("j"), true)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Push("lisi", "text", "later"); err != nil {
		t.Fatal(err)
	}
	seen := w.messages(t, "lisi")
	last := seen[1].Seq
	got := make(chan []client.Message, 1)
	go func() {
		m, err := w.client.Changes(t.Context(), "lisi", last, client.MaxWait)
		if err != nil {
			t.Error(err)
		}
		got <- m
	}()
	next := events(t, w.base, strconv.FormatUint(last, 10))
	if e := recv(t, next, "the end of the past"); e.name != "live" {
		t.Errorf("%+v", e)
	}
	if _, err := w.UpdateCard(code, []string{"lisi"}, disable("好")); err != nil {
		t.Fatal(err)
	}
	if m := recv(t, got, "the change"); len(m) != 1 || !m[0].Card.Disabled || m[0].Seq != seen[0].Seq || m[0].Updated <= last {
		t.Errorf("%+v", m)
	}
	for _, e := range []sse{recv(t, next, "the change"), recv(t, events(t, w.base, strconv.FormatUint(last, 10)), "the change that was missed")} {
		var m client.Message
		if err := json.Unmarshal([]byte(e.data), &m); err != nil || e.name != "message" || e.id != strconv.FormatUint(m.Updated, 10) || m.Seq != seen[0].Seq || !m.Card.Disabled {
			t.Errorf("%+v, %v", e, err)
		}
	}
	if m, err := w.client.Messages(t.Context(), "lisi", last, 0); err != nil || len(m) != 0 {
		t.Errorf("%+v, %v", m, err)
	}
	resp, err := http.Get(w.base + "/sim/messages?user=lisi&changes=2")
	if err != nil || resp.StatusCode != http.StatusBadRequest {
		t.Errorf("%v, %v", resp, err)
	}
	_ = resp.Body.Close()
	http.DefaultClient.CloseIdleConnections()
}

type files map[string]string

func (f files) Read(id string) (string, []byte, error) {
	if text, ok := f[id]; ok {
		return "日志 \"1\"\n.txt", []byte(text), nil
	}
	return "", nil, fault.New(fault.NotFound, "no such file")
}

func TestFiles(t *testing.T) {
	g := newGateway(t, accept)
	w := newWorld(t, g.server.URL, func(o *phone.Options) { o.Files = files{"ID": "<script>"} })
	if _, err := w.PushFile("LISI", client.KindFile, client.File{Name: "日志.txt", Size: 8, MediaID: "ID"}); err != nil {
		t.Fatal(err)
	}
	got := w.messages(t, "lisi")
	if len(got) != 1 || got[0].Kind != client.KindFile || got[0].MsgType != "file" || got[0].Text != "日志.txt" || *got[0].File != (client.File{Name: "日志.txt", Size: 8, MediaID: "ID"}) {
		t.Fatalf("%+v", got)
	}
	if data, err := w.client.File(t.Context(), "ID"); err != nil || string(data) != "<script>" {
		t.Errorf("%q, %v", data, err)
	}
	if _, err := w.client.File(t.Context(), "../users"); !fault.Is(err, fault.NotFound) {
		t.Errorf("%v", err)
	}
	if _, err := w.PushFile("nobody", client.KindFile, client.File{}); !fault.Is(err, fault.NotFound) {
		t.Errorf("%v", err)
	}
	resp, err := http.Get(w.base + "/sim/files/ID")
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil || string(body) != "<script>" {
		t.Errorf("%q, %v", body, err)
	}
	_ = resp.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	h := resp.Header
	if h.Get("Content-Type") != "application/octet-stream" || h.Get("X-Content-Type-Options") != "nosniff" || !strings.HasPrefix(h.Get("Content-Disposition"), "attachment; filename") {
		t.Errorf("%v", h)
	}
}

// An image is shown as what it is; nothing else is shown at all.
func TestImages(t *testing.T) {
	g := newGateway(t, accept)
	const picture = "\x89PNG\r\n\x1a\n and more"
	w := newWorld(t, g.server.URL, func(o *phone.Options) { o.Files = files{"ID": picture, "PAGE": "<html><script>"} })
	if _, err := w.PushFile("LISI", client.KindImage, client.File{Name: "cpu.png", Size: 8, MediaID: "ID"}); err != nil {
		t.Fatal(err)
	}
	if got := w.messages(t, "lisi"); len(got) != 1 || got[0].Kind != client.KindImage || got[0].MsgType != "image" || got[0].Text != "cpu.png" || got[0].File.MediaID != "ID" {
		t.Fatalf("%+v", got)
	}
	defer http.DefaultClient.CloseIdleConnections()
	for id, want := range map[string]int{"ID": http.StatusOK, "PAGE": http.StatusNotFound, "NONE": http.StatusNotFound} {
		resp, err := http.Get(w.base + "/sim/images/" + id)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil || resp.StatusCode != want || (want == http.StatusOK) != (string(body) == picture) {
			t.Errorf("%s: %d %q %v", id, resp.StatusCode, body, err)
		}
		if h := resp.Header; want == http.StatusOK && (h.Get("Content-Type") != "image/png" || h.Get("X-Content-Type-Options") != "nosniff" || !strings.HasPrefix(h.Get("Content-Security-Policy"), "sandbox")) {
			t.Errorf("%v", h)
		}
	}
}
