package qyapi_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"palmops/libs/fault"
	"palmops/libs/wecom"
	"palmops/services/simulator/client"
	"palmops/services/simulator/internal/phone"
)

const goodCard = `{"card_type":"button_interaction","task_id":"act_1-a@b","source":{"desc":"掌上运维"},
"main_title":{"title":"确认执行","desc":"shop/web"},"quote_area":{"quote_text":"引用"},"sub_title_text":"3 → 5",
"horizontal_content_list":[{"keyname":"环境","value":"生产"},{"keyname":"单独"}],"card_action":{"type":0},
"button_list":[{"text":"1 确认执行","style":1,"key":"1"},{"text":"0 返回","style":2,"key":"0"},{"type":1,"text":"文档","url":"https://example.com"}]}`

const goodNotice = `{"card_type":"text_notice","main_title":{"title":"通知"},"emphasis_content":{"title":"100","desc":"数"},
"jump_list":[{"type":1,"title":"看","url":"https://example.com"}],"card_action":{"type":1,"url":"https://example.com"}}`

// cards is an API in front of real phones.
type cards struct {
	*world
	book *phone.Book
}

func newCards(t *testing.T) cards {
	t.Helper()
	w := newWorld(t)
	clock := func() time.Time { return w.now }
	book, _, err := phone.OpenBook("", clock)
	if err != nil {
		t.Fatal(err)
	}
	crypt, err := wecom.NewCrypt("TestToken", "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG", corp)
	if err != nil {
		t.Fatal(err)
	}
	w.make(phone.New(phone.Options{
		Directory: w.directory, Book: book, Crypt: crypt, CorpID: corp, AgentID: agent, Callback: func() string { return "" }, Now: clock,
		Observe: w.Delivered,
	}), w.directory)
	return cards{w, book}
}

func (w cards) messages(user string) []client.Message {
	all, _ := w.book.After(user, 0)
	return all
}

func card(to, body string) string {
	return fmt.Sprintf(`{"touser":%q,"msgtype":"template_card","agentid":1000002,"template_card":%s,"enable_duplicate_check":1}`, to, body)
}

func (w cards) update(code int, body string) map[string]any {
	w.t.Helper()
	return w.wantCode(code, "POST", "message/update_template_card?access_token="+w.token(), body)
}

func TestSendCard(t *testing.T) {
	w := newCards(t)
	out := w.send(0, card("ZhangSan|menshi|nobody", goodCard))
	code, _ := out["response_code"].(string)
	if code == "" || out["msgid"] == "" || out["invaliduser"] != "nobody" {
		t.Fatalf("%v", out)
	}
	if again := w.send(0, card("ZhangSan|menshi|nobody", goodCard)); again["response_code"] != code || again["msgid"] != out["msgid"] {
		t.Errorf("%v", again)
	}
	w.send(42014, card("lisi", goodCard)) // the task id is used up for the whole app
	got := w.messages("zhangsan")
	if len(got) != 1 || got[0].Card == nil {
		t.Fatalf("%+v", got)
	}
	want := client.Card{
		TaskID: "act_1-a@b", CardType: "button_interaction", Title: "确认执行", Body: "掌上运维\nshop/web\n引用\n3 → 5\n环境：生产\n单独\n文档",
		Buttons: []client.Button{{Key: "1", Text: "1 确认执行"}, {Key: "0", Text: "0 返回"}},
	}
	if fmt.Sprint(*got[0].Card) != fmt.Sprint(want) {
		t.Errorf("%+v", *got[0].Card)
	}
	if plain := w.messages("menshi"); len(plain) != 1 || plain[0].Card != nil {
		t.Errorf("%+v", plain)
	}
	if out = w.send(0, card("zhangsan", goodNotice)); out["response_code"] != nil {
		t.Errorf("a notice without a menu: %v", out)
	}
	out = w.send(0, card("zhangsan", strings.Replace(goodNotice, "{", `{"task_id":"m","action_menu":{"desc":"d","action_list":[{"text":"t","key":"k"}]},`, 1)))
	if out["response_code"] == nil {
		t.Errorf("a notice with a menu: %v", out)
	}
}

func TestCardRefusals(t *testing.T) {
	w := newCards(t)
	buttons := func(list string) string {
		return `{"card_type":"button_interaction","task_id":"x","button_list":[` + list + `]}`
	}
	notice := func(rest string) string {
		return `{"card_type":"text_notice","sub_title_text":"x","card_action":{"type":1,"url":"u"},` + rest + `}`
	}
	const one = `{"text":"t","key":"k"}`
	with := func(field string) string {
		return `{"card_type":"button_interaction","task_id":"x","button_list":[` + one + `],` + field + `}`
	}
	for body, code := range map[string]int{
		`null`:                             42031,
		`{}`:                               42031,
		`{"card_type":"vote_interaction"}`: 42031,
		`{"card_type":"text_notice"}`:      42033,
		`{"card_type":"text_notice","sub_title_text":"x"}`:                                    42045,
		`{"card_type":"text_notice","sub_title_text":"x","card_action":{"type":0}}`:           42045,
		`{"card_type":"text_notice","sub_title_text":"x","card_action":{"type":1}}`:           42028,
		`{"card_type":"text_notice","sub_title_text":"x","card_action":{"type":2}}`:           42030,
		notice(`"action_menu":{"action_list":[` + one + `]}`):                                 42014,
		notice(`"task_id":"x","action_menu":{"action_list":[` + one + `,` + one + `]}`):       42051,
		notice(`"task_id":"x","action_menu":{}`):                                              40058,
		notice(`"task_id":"x","action_menu":{"action_list":[{"text":"t"}]}`):                  42039,
		notice(`"jump_list":[{"type":1,"title":"t"}]`):                                        42028,
		notice(`"jump_list":[{"type":1,"url":"u"}]`):                                          42033,
		notice(`"jump_list":[{"title":"t"},{"title":"t"},{"title":"t"},{"title":"t"}]`):       42042,
		notice(`"horizontal_content_list":[{"value":"v"}]`):                                   42027,
		notice(`"horizontal_content_list":[{"keyname":"k","type":1}]`):                        42028,
		notice(`"horizontal_content_list":[{"keyname":"k","type":2}]`):                        42029,
		notice(`"horizontal_content_list":[{"keyname":"k","type":2,"media_id":"m"}]`):         40007,
		notice(`"horizontal_content_list":[{"keyname":"k","type":3,"userid":"nobody"}]`):      42050,
		notice(`"horizontal_content_list":[` + strings.Repeat(`{"keyname":"k"},`, 6) + `{}]`): 42035,
		buttons(``): 40058,
		buttons(strings.Repeat(one+",", 6) + one):                                        40058,
		buttons(one + "," + one):                                                         42039,
		buttons(`{"text":"t"}`):                                                          42039,
		buttons(`{"text":"t","key":"` + strings.Repeat("k", 1025) + `"}`):                42039,
		buttons(`{"key":"k"}`):                                                           42038,
		buttons(`{"text":"t","key":"k","style":5}`):                                      40058,
		buttons(`{"text":"t","type":1}`):                                                 42028,
		`{"card_type":"button_interaction","button_list":[` + one + `]}`:                 42014,
		`{"card_type":"button_interaction","task_id":"a b","button_list":[` + one + `]}`: 42014,
		`{"card_type":"button_interaction","task_id":"","button_list":[` + one + `]}`:    42014,
		`{"card_type":"button_interaction","task_id":"` + strings.Repeat("x", 129) + `","button_list":[` + one + `]}`: 42014,
		with(`"button_selection":{"option_list":[{"id":"1","text":"t"}]}`):                                            42043,
		with(`"button_selection":{"question_key":"q"}`):                                                               42037,
		with(`"button_selection":{"question_key":"q","option_list":[{"text":"t"}]}`):                                  42040,
		with(`"button_selection":{"question_key":"q","option_list":[{"id":"1"}]}`):                                    42041,
		with(`"button_list":"many"`): 47001,
	} {
		w.send(code, card("lisi", body))
	}
	if got := w.messages("lisi"); len(got) != 0 {
		t.Errorf("%+v", got)
	}
	w.send(0, card("lisi", buttons(`{"text":"t","key":"`+strings.Repeat("k", 1024)+`"}`)))
}

func TestUpdateCard(t *testing.T) {
	w := newCards(t)
	code := w.send(0, card("zhangsan|lisi|menshi", goodCard))["response_code"]
	body := func(rest string) string { return fmt.Sprintf(`{"agentid":1000002,"response_code":%q,%s}`, code, rest) }
	const button = `"button":{"replace_name":"已确认"}`
	for request, code := range map[string]int{
		body(button):                                  82001,
		body(button + `,"userids":["nobody"]`):        81013,
		body(button + `,"userids":["wangwu"]`):        81013,
		body(`"userids":["lisi"]`):                    40058,
		body(`"userids":["lisi"],"button":{}`):        40058,
		body(`"userids":["lisi"],"template_card":{}`): 42031,
		body(`"userids":["lisi"],"template_card":` + strings.Replace(goodCard, "act_1", "act_2", 1)): 42016,
		body(`"userids":"lisi",` + button):                                          47001,
		strings.Replace(body(button), "1000002", "7", 1):                            301002,
		`{"agentid":1000002,"userids":["lisi"],` + button + `}`:                     60140,
		`{"agentid":1000002,"userids":["lisi"],"response_code":"x",` + button + `}`: 60140,
	} {
		w.update(code, request)
	}
	w.deliveries = nil
	out := w.update(0, body(`"userids":["ZhangSan","Nobody","wangwu","menshi"],`+button))
	if fmt.Sprint(out["invaliduser"]) != "[nobody wangwu]" {
		t.Errorf("%v", out)
	}
	if c := w.messages("zhangsan")[0].Card; !c.Disabled || c.Label != "已确认" || c.Title != "确认执行" {
		t.Errorf("%+v", c)
	}
	if c := w.messages("lisi")[0].Card; c.Disabled {
		t.Errorf("%+v", c)
	}
	w.update(60140, body(`"userids":["lisi"],`+button))
	if n := len(w.deliveries); n != 2 || w.deliveries[0].Outcome != client.OutcomeUpdated {
		t.Errorf("%+v", w.deliveries)
	}
}

// A whole card in the place of the old one: with other buttons, and at last with none that works.
func TestUpdateWithACard(t *testing.T) {
	w := newCards(t)
	first := w.send(0, card("lisi", goodCard))["response_code"]
	next := `{"card_type":"button_interaction","main_title":{"title":"第二步"},"button_list":[{"text":"好","key":"ok"}]`
	w.update(0, fmt.Sprintf(`{"agentid":1000002,"atall":1,"response_code":%q,"template_card":%s}}`, first, next))
	if c := w.messages("lisi")[0].Card; c.Disabled || c.Title != "第二步" || c.TaskID != "act_1-a@b" || !slices.Equal(c.Buttons, []client.Button{{Key: "ok", Text: "好"}}) {
		t.Fatalf("%+v", c)
	}
	_, code, err := w.pushed("again")
	if err != nil {
		t.Fatal(err)
	}
	w.update(0, fmt.Sprintf(`{"agentid":1000002,"tagids":[1],"partyids":[2],"response_code":%q,"template_card":%s,"replace_text":"完成"}}`, code, next))
	if c := w.messages("lisi")[1].Card; !c.Disabled || c.Label != "完成" {
		t.Errorf("%+v", c)
	}
}

// pushed sends one more card to lisi.
func (w cards) pushed(task string) (id, code string, err error) {
	out := w.send(0, card("lisi", strings.Replace(goodCard, "act_1-a@b", task, 1)))
	id, ok1 := out["msgid"].(string)
	code, ok2 := out["response_code"].(string)
	if !ok1 || !ok2 {
		err = fault.New(fault.Internal, "answer %v", out)
	}
	return id, code, err
}

// upload posts a form with one part.
func (w *world) upload(code int, kind, field, name string, data []byte) map[string]any {
	w.t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	part, err := form.CreateFormFile(field, name)
	if err == nil {
		_, err = part.Write(data)
	}
	if err == nil {
		err = form.Close()
	}
	if err != nil {
		w.t.Fatal(err)
	}
	rec := httptest.NewRecorder()
	req := httptest.NewRequest(http.MethodPost, "/cgi-bin/media/upload?type="+kind+"&access_token="+w.token(), &body)
	req.Header.Set("Content-Type", form.FormDataContentType())
	w.api.ServeHTTP(rec, req)
	var out map[string]any
	if err := json.Unmarshal(rec.Body.Bytes(), &out); err != nil || out["errcode"] != float64(code) {
		w.t.Errorf("%s %s of %d bytes: %s, want %d", kind, name, len(data), rec.Body, code)
	}
	return out
}

func TestMedia(t *testing.T) {
	w := newWorld(t)
	text := []byte("第一行\n第二行\n")
	out := w.upload(0, "file", "media", "日志 2026/11.txt", text)
	id, _ := out["media_id"].(string)
	if id == "" || out["type"] != "file" || out["created_at"] != "1800000000" {
		t.Fatalf("%v", out)
	}
	rec := httptest.NewRecorder()
	w.api.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/cgi-bin/media/get?media_id="+id+"&access_token="+w.token(), nil))
	if !bytes.Equal(rec.Body.Bytes(), text) || !strings.HasPrefix(rec.Header().Get("Content-Disposition"), "attachment") {
		t.Errorf("%q %v", rec.Body, rec.Header())
	}
	send := func(code int, id string) {
		t.Helper()
		w.send(code, fmt.Sprintf(`{"touser":"lisi","msgtype":"file","agentid":1000002,"file":{"media_id":%q}}`, id))
	}
	send(0, id)
	if got := strings.Join(w.shown, ","); got != "lisi file 11.txt" {
		t.Errorf("%s", got)
	}
	png := append([]byte("\x89PNG\r\n\x1a\n"), make([]byte, 20)...)
	image, _ := w.upload(0, "image", "media", "a.png", png)["media_id"].(string)
	for id, code := range map[string]int{image: 0, id: 40007, "": 41006} {
		w.send(code, fmt.Sprintf(`{"touser":"lisi","msgtype":"image","agentid":1000002,"image":{"media_id":%q}}`, id))
	}
	if got := w.shown[len(w.shown)-1]; got != "lisi image a.png" {
		t.Errorf("%s", got)
	}
	w.upload(0, "voice", "media", "a.amr", []byte("#!AMR\n12345"))
	w.upload(0, "video", "media", "a.mp4", append([]byte("\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom"), 0))
	for _, c := range []struct {
		code  int
		kind  string
		field string
		size  int
	}{
		{40005, "", "media", 10},
		{40005, "page", "media", 10},
		{44001, "file", "other", 10},
		{44001, "file", "media", 0},
		{40006, "file", "media", 5},
		{0, "file", "media", 6},
		{0, "file", "media", 20 << 20},
		{45001, "file", "media", 20<<20 + 1},
		{45001, "voice", "media", 2<<20 + 1},
		{45001, "file", "media", 22 << 20},
		{40004, "image", "media", 100},
		{40004, "voice", "media", 100},
		{40004, "video", "media", 100},
	} {
		w.upload(c.code, c.kind, c.field, "name", make([]byte, c.size))
	}
	w.wantCode(44001, "POST", "media/upload?type=file&access_token="+w.token(), "no form")
	w.wantCode(43002, "GET", "media/upload?type=file&access_token="+w.token(), "")
	w.wantCode(41001, "POST", "media/upload?type=file", "")
	w.wantCode(41006, "GET", "media/get?access_token="+w.token(), "")
	w.wantCode(40007, "GET", "media/get?media_id=x&access_token="+w.token(), "")
	send(41006, "")
	send(40007, "x")
	send(40007, image) // of another type
	w.now = w.now.Add(72 * time.Hour)
	send(40007, id)
	w.wantCode(40007, "GET", "media/get?media_id="+id+"&access_token="+w.token(), "")
}

func FuzzUpdateCard(f *testing.F) {
	f.Add([]byte(`{"agentid":1000002,"userids":["lisi"],"response_code":"CODE","button":{"replace_name":"x"}}`))
	f.Add([]byte(`{"agentid":1000002,"atall":1,"response_code":"CODE","template_card":` + goodCard + `}`))
	f.Add([]byte(`{"agentid":1000002,"partyids":[1,-1],"tagids":[9],"response_code":"CODE","template_card":{"card_type":"text_notice"}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		w := newCards(t)
		code, _ := w.send(0, card("lisi", goodCard))["response_code"].(string)
		body = bytes.ReplaceAll(body, []byte("CODE"), []byte(code))
		out := w.call("POST", "message/update_template_card?access_token="+w.token(), string(body))
		got := w.messages("lisi")
		if changed := got[0].Updated != 0; changed != (out["errcode"] == float64(0)) || len(got) != 1 {
			t.Fatalf("%v, and then %+v", out, got)
		}
	})
}

func FuzzUpload(f *testing.F) {
	f.Add("file", "multipart/form-data; boundary=x", []byte("--x\r\nContent-Disposition: form-data; name=\"media\"; filename=\"a\"\r\n\r\n0123456789\r\n--x--\r\n"))
	f.Add("image", "multipart/form-data; boundary=x", []byte("--x\r\nContent-Disposition: form-data; name=\"media\"\r\n\r\n--x"))
	f.Fuzz(func(t *testing.T, kind, contentType string, body []byte) {
		w := newWorld(t)
		req := httptest.NewRequest(http.MethodPost, "/cgi-bin/media/upload", bytes.NewReader(body))
		q := req.URL.Query()
		q.Set("type", kind)
		q.Set("access_token", w.token())
		req.URL.RawQuery = q.Encode()
		req.Header.Set("Content-Type", contentType)
		rec := httptest.NewRecorder()
		w.api.ServeHTTP(rec, req)
		var out struct {
			Code int    `json:"errcode"`
			ID   string `json:"media_id"`
		}
		if err := json.Unmarshal(rec.Body.Bytes(), &out); err != nil || (out.Code == 0) != (out.ID != "") {
			t.Fatalf("%s, %v", rec.Body, err)
		}
	})
}
