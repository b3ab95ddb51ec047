package app_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"palmops/libs/conf"
	"palmops/libs/wecom"
	"palmops/services/simulator/client"
)

// qyapi calls the API of a simulator as an app does.
type qyapi struct {
	t     *testing.T
	base  string
	token string
	agent int64
}

func newQyapi(t *testing.T, base string, c conf.WeCom) qyapi {
	t.Helper()
	_, body := get(t, fmt.Sprintf("%s/cgi-bin/gettoken?corpid=%s&corpsecret=%s", base, c.CorpID, c.CorpSecret.Reveal()), nil)
	var out struct {
		Token string `json:"access_token"`
	}
	if err := json.Unmarshal([]byte(body), &out); err != nil || out.Token == "" {
		t.Fatalf("%s, %v", body, err)
	}
	return qyapi{t, base, out.Token, c.AgentID}
}

func (q qyapi) post(path, contentType string, body io.Reader) map[string]any {
	q.t.Helper()
	hc := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := hc.Post(q.base+"/cgi-bin/"+path+"access_token="+q.token, contentType, body)
	if err != nil {
		q.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var out map[string]any
	if err := json.NewDecoder(resp.Body).Decode(&out); err != nil || out["errcode"] != 0.0 {
		q.t.Fatalf("%s: %v, %v", path, out, err)
	}
	return out
}

func (q qyapi) json(path string, body map[string]any) map[string]any {
	q.t.Helper()
	body["agentid"] = q.agent
	data, err := json.Marshal(body)
	if err != nil {
		q.t.Fatal(err)
	}
	return q.post(path+"?", "application/json", bytes.NewReader(data))
}

func (q qyapi) upload(name, content string) string {
	q.t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	part, err := form.CreateFormFile("media", name)
	if err == nil {
		_, err = io.WriteString(part, content)
	}
	if err == nil {
		err = form.Close()
	}
	if err != nil {
		q.t.Fatal(err)
	}
	id, _ := q.post("media/upload?type=file&", form.FormDataContentType(), &body)["media_id"].(string)
	return id
}

// events is a gateway that answers nothing and hands on what it gets.
func events(t *testing.T, c conf.WeCom) (string, <-chan wecom.Message) {
	t.Helper()
	crypt, err := wecom.NewCrypt(c.Token.Reveal(), c.EncodingAESKey.Reveal(), c.CorpID)
	if err != nil {
		t.Fatal(err)
	}
	out := make(chan wecom.Message, 16)
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		var opened wecom.Opened
		q, err := wecom.ParseQuery(r.URL.Query())
		if err == nil {
			opened, err = crypt.Open(q, body)
		}
		m, err2 := wecom.ParseMessage(opened.Plain)
		if err != nil || err2 != nil {
			t.Error(err, err2)
			return
		}
		out <- m
	}))
	t.Cleanup(s.Close)
	return s.URL, out
}

// The shipped company: a card is pressed in the terminal and then disabled, a file is fetched, and both outlive a restart.
func TestCardAndFile(t *testing.T) {
	o := local(t, t.TempDir())
	var pressed <-chan wecom.Message
	o.Config.Callback, pressed = events(t, o.Credentials)
	a, stop := start(t, o)
	base := "http://" + a.Addr()
	c := client.New(base, nil)
	defer c.Close()
	api := newQyapi(t, base, o.Credentials)
	send := func(rest map[string]any) map[string]any {
		rest["totag"] = "1" // 值班: zhangsan and lisi
		return api.json("message/send", rest)
	}
	send(map[string]any{"msgtype": "template_card", "template_card": map[string]any{
		"card_type": "button_interaction", "task_id": "act-1", "main_title": map[string]any{"title": "确认执行", "desc": "3 → 5"},
		"button_list": []map[string]any{{"text": "1 确认执行", "key": "1"}, {"text": "0 返回", "key": "0"}},
	}})
	id := api.upload("web.log", "line 1\nline 2\n")
	send(map[string]any{"msgtype": "file", "file": map[string]any{"media_id": id}})

	// What was there before is passed over but can be pressed, and what comes then is shown with its buttons.
	in, typed := io.Pipe()
	var out bytes.Buffer
	talked := make(chan error, 1)
	go func() { talked <- c.Talk(t.Context(), in, &out, "zhangsan") }()
	say := func(line string) {
		t.Helper()
		if _, err := io.WriteString(typed, line+"\n"); err != nil {
			t.Fatal(err)
		}
	}
	say("/press 1")
	press := <-pressed
	if press.Event != "template_card_event" || press.FromUserName != "zhangsan" || press.TaskID != "act-1" || press.EventKey != "1" {
		t.Fatalf("%+v", press)
	}
	api.json("message/update_template_card", map[string]any{
		"userids": []string{"zhangsan"}, "response_code": press.ResponseCode, "button": map[string]any{"replace_name": "已确认"},
	})
	say("/press 1") // too late
	say("/user lisi")
	say("/press 0")
	if press = <-pressed; press.FromUserName != "lisi" || press.EventKey != "0" {
		t.Fatalf("%+v", press)
	}
	say("/user wangwu")
	say("/press 1") // has no card
	say("hello")
	if m := <-pressed; m.Content != "hello" || m.FromUserName != "wangwu" { // so the line before it has been dealt with
		t.Fatalf("%+v", m)
	}
	api.json("message/send", map[string]any{"touser": "wangwu", "msgtype": "template_card", "template_card": map[string]any{
		"card_type": "button_interaction", "task_id": "act-2", "main_title": map[string]any{"title": "回滚"}, "button_list": []map[string]any{{"text": "好", "key": "ok"}},
	}})
	api.json("message/send", map[string]any{"touser": "wangwu", "msgtype": "file", "file": map[string]any{"media_id": id}})
	if err := typed.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-talked; err != nil {
		t.Fatal(err)
	}
	at := 0
	for _, want := range []string{"现在是 张三（zhangsan）", "按钮已经失效", "现在是 李四（lisi）", "现在是 王五（wangwu）", "还没有收到带按钮的卡片", "回滚\n\n[ok] 好", "［文件］web.log（14 字节）"} {
		i := strings.Index(out.String()[at:], want)
		if i < 0 {
			t.Fatalf("no %q after byte %d of\n%s", want, at, out.String())
		}
		at += i + len(want)
	}
	stop()

	again, _ := start(t, o)
	c2 := client.New("http://"+again.Addr(), nil)
	defer c2.Close()
	for user, disabled := range map[string]bool{"zhangsan": true, "lisi": false} {
		got, err := c2.Messages(t.Context(), user, 0, 0)
		if err != nil || len(got) != 2 || got[0].Card.Disabled != disabled || got[1].File.MediaID != id {
			t.Errorf("%+v, %v", got, err)
		}
	}
	if data, err := c2.File(t.Context(), id); err != nil || string(data) != "line 1\nline 2\n" {
		t.Errorf("%q, %v", data, err)
	}
	// The response code of the other press is still good.
	newQyapi(t, "http://"+again.Addr(), o.Credentials).json("message/update_template_card", map[string]any{
		"userids": []string{"lisi"}, "response_code": press.ResponseCode, "button": map[string]any{"replace_name": "已返回"},
	})
}
