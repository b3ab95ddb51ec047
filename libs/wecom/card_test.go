package wecom

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"palmops/libs/fault"
)

// posted keeps the body of a call as a generic value and answers with body.
func posted(t *testing.T, got *map[string]any, body string) func(http.ResponseWriter, *http.Request) {
	t.Helper()
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s %s", r.Method, r.Header.Get("Content-Type"))
		}
		if err := json.NewDecoder(r.Body).Decode(got); err != nil {
			t.Error(err)
		}
		_, _ = io.WriteString(w, body)
	}
}

func wantJSON(t *testing.T, got any, want string) {
	t.Helper()
	var sb strings.Builder
	enc := json.NewEncoder(&sb)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(got); err != nil || strings.TrimSpace(sb.String()) != want {
		t.Errorf("got %s, want %s (%v)", sb.String(), want, err)
	}
}

func confirmCard() *Card {
	return &Card{TaskID: "c_1-a@B", Title: "请确认", Desc: "shop/web", SubTitle: "3 → 5\n0 返回", Buttons: []CardButton{{"1 确认执行", "1"}, {"2 取消", "2"}}}
}

func TestSendWritesACard(t *testing.T) {
	f := newFakeAPI(t)
	var got map[string]any
	f.on("message/send", posted(t, &got, `{"errcode":0,"msgid":"m1","response_code":"rc"}`))
	res, err := f.client(t).Send(t.Context(), OutMessage{ToUser: "zhangsan", MsgType: TypeCard, Card: confirmCard(), DuplicateCheck: time.Minute})
	if err != nil || res.MsgID != "m1" || res.ResponseCode != "rc" {
		t.Errorf("%+v %v", res, err)
	}
	wantJSON(t, got, `{"agentid":1000002,"duplicate_check_interval":60,"enable_duplicate_check":1,"msgtype":"template_card","template_card":`+
		`{"button_list":[{"key":"1","style":1,"text":"1 确认执行"},{"key":"2","style":1,"text":"2 取消"}],"card_type":"button_interaction",`+
		`"main_title":{"desc":"shop/web","title":"请确认"},"sub_title_text":"3 → 5\n0 返回","task_id":"c_1-a@B"},"touser":"zhangsan"}`)
}

func TestSendCutsTheTextsOfACard(t *testing.T) {
	f := newFakeAPI(t)
	var got struct {
		Card sendCard `json:"template_card"`
	}
	f.on("message/send", func(w http.ResponseWriter, r *http.Request) {
		if err := json.NewDecoder(r.Body).Decode(&got); err != nil {
			t.Error(err)
		}
		_, _ = io.WriteString(w, `{"errcode":0}`)
	})
	long := strings.Repeat("长", 500)
	c := &Card{TaskID: strings.Repeat("t", 128), Title: long, Desc: long, SubTitle: long, Buttons: []CardButton{{long, strings.Repeat("k", 1024)}}}
	if _, err := f.client(t).Send(t.Context(), OutMessage{ToUser: "a", MsgType: TypeCard, Card: c}); err != nil {
		t.Fatal(err)
	}
	for _, v := range []struct {
		is  string
		max int
	}{{got.Card.Main.Title, 36}, {got.Card.Main.Desc, 44}, {got.Card.SubTitle, 160}, {got.Card.Buttons[0].Text, 10}} {
		if utf8.RuneCountInString(v.is) != v.max || !strings.HasSuffix(v.is, "长…") {
			t.Errorf("%q has not %d characters", v.is, v.max)
		}
	}
}

func TestCardsThatWeComWouldRefuseAreNotSent(t *testing.T) {
	c := newFakeAPI(t).client(t) // any request would fail the test
	for name, change := range map[string]func(*Card){
		"no task":           func(c *Card) { c.TaskID = "" },
		"long task":         func(c *Card) { c.TaskID = strings.Repeat("x", 129) },
		"task with a space": func(c *Card) { c.TaskID = "a b" },
		"task in Chinese":   func(c *Card) { c.TaskID = "任务" },
		"no title":          func(c *Card) { c.Title = "" },
		"title not UTF-8":   func(c *Card) { c.Title = "\xff" },
		"lines not UTF-8":   func(c *Card) { c.SubTitle = "\xff" },
		"no buttons":        func(c *Card) { c.Buttons = nil },
		"seven buttons": func(c *Card) {
			c.Buttons = nil
			for i := range 7 {
				c.Buttons = append(c.Buttons, CardButton{"b", fmt.Sprint(i)})
			}
		},
		"button without text": func(c *Card) { c.Buttons[0].Text = "" },
		"button not UTF-8":    func(c *Card) { c.Buttons[0].Text = "\xff" },
		"no key":              func(c *Card) { c.Buttons[0].Key = "" },
		"long key":            func(c *Card) { c.Buttons[0].Key = strings.Repeat("k", 1025) },
		"same key":            func(c *Card) { c.Buttons[0].Key = c.Buttons[1].Key },
	} {
		card := confirmCard()
		change(card)
		if _, err := c.Send(t.Context(), OutMessage{ToUser: "a", MsgType: TypeCard, Card: card}); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, m := range []OutMessage{{ToUser: "a", MsgType: TypeCard}, {MsgType: TypeCard, Card: confirmCard()}, {ToUser: "a", MsgType: TypeFile}} {
		_, err := c.Send(t.Context(), m)
		wantKind(t, err, fault.Invalid)
	}
}

func TestUpdateCard(t *testing.T) {
	f := newFakeAPI(t)
	var got map[string]any
	f.on("message/update_template_card", posted(t, &got, `{"errcode":0,"errmsg":"ok","invaliduser":["x"]}`))
	c := f.client(t)
	if err := c.UpdateCard(t.Context(), []string{"zhangsan"}, "rc", "已选 1 确认执行这个操作"); err != nil {
		t.Fatal(err)
	}
	wantJSON(t, got, `{"agentid":1000002,"button":{"replace_name":"已选 1 确认执行…"},"response_code":"rc","userids":["zhangsan"]}`)
	f.on("message/update_template_card", say(`{"errcode":60140,"errmsg":"invalid response code"}`))
	wantKind(t, c.UpdateCard(t.Context(), []string{"a"}, "rc", "x"), fault.Expired)
	f.on("message/update_template_card", hangUp)
	wantKind(t, c.UpdateCard(t.Context(), []string{"a"}, "rc", "x"), fault.Unknown)
	n := len(f.made())
	for _, bad := range []struct {
		users      []string
		code, name string
	}{{nil, "rc", "x"}, {make([]string, 1001), "rc", "x"}, {[]string{"a"}, "", "x"}, {[]string{"a"}, "rc", ""}, {[]string{"a"}, "rc", "\xff"}} {
		wantKind(t, c.UpdateCard(t.Context(), bad.users, bad.code, bad.name), fault.Invalid)
	}
	if len(f.made()) != n {
		t.Error("a call without sense was made")
	}
}

// Whatever is cut has at most so many characters, all of them whole, and begins as before.
func TestCut(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, n := rapid.String().Draw(t, "s"), rapid.IntRange(1, 20).Draw(t, "n")
		got := Cut(s, n)
		switch size := utf8.RuneCountInString(s); {
		case size <= n && got != s:
			t.Fatalf("%q became %q", s, got)
		case size > n && (utf8.RuneCountInString(got) != n || !utf8.ValidString(got) || !strings.HasPrefix(s, strings.TrimSuffix(got, "…"))):
			t.Fatalf("%q became %q", s, got)
		}
	})
}
