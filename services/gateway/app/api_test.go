package app

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"palmops/libs/wecom"
	"palmops/libs/wire"
)

// api is WeCom's API, as far as the gateway calls it.
type api struct {
	*httptest.Server
	sent chan map[string]any
}

func newAPI(t *testing.T) *api {
	t.Helper()
	a := &api{sent: make(chan map[string]any, 64)}
	mux := http.NewServeMux()
	answer := func(w http.ResponseWriter, v any) { _ = json.NewEncoder(w).Encode(v) }
	mux.HandleFunc("GET /cgi-bin/gettoken", func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("corpid") != testCorp || r.FormValue("corpsecret") != testSecret {
			answer(w, map[string]any{"errcode": 40001, "errmsg": "invalid credential"})
			return
		}
		answer(w, map[string]any{"errcode": 0, "errmsg": "ok", "access_token": "TOKEN", "expires_in": 7200})
	})
	mux.HandleFunc("POST /cgi-bin/message/send", func(w http.ResponseWriter, r *http.Request) {
		var m map[string]any
		if err := json.NewDecoder(r.Body).Decode(&m); err != nil || r.URL.Query().Get("access_token") != "TOKEN" {
			answer(w, map[string]any{"errcode": 40014})
			return
		}
		a.sent <- m
		answer(w, map[string]any{"errcode": 0, "msgid": "m1"})
	})
	mux.HandleFunc("GET /cgi-bin/user/get", func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("userid") != "lisi" {
			answer(w, map[string]any{"errcode": 60111, "errmsg": "userid not found"})
			return
		}
		answer(w, map[string]any{"errcode": 0, "userid": "LiSi", "name": "李四", "department": []int{2}, "status": 1})
	})
	mux.HandleFunc("GET /cgi-bin/department/simplelist", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, map[string]any{"errcode": 0, "department_id": []map[string]int{{"id": 1, "parentid": 0}, {"id": 2, "parentid": 1}}})
	})
	mux.HandleFunc("GET /cgi-bin/tag/list", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, map[string]any{"errcode": 0, "taglist": []map[string]any{{"tagid": 7, "tagname": "值班"}}})
	})
	mux.HandleFunc("GET /cgi-bin/tag/get", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, map[string]any{"errcode": 0, "tagname": "值班", "userlist": []any{}, "partylist": []int{1}})
	})
	mux.HandleFunc("GET /cgi-bin/user/simplelist", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, map[string]any{"errcode": 0, "userlist": []map[string]any{{"userid": "LiSi", "name": "李四"}}})
	})
	mux.HandleFunc("POST /cgi-bin/message/update_template_card", func(w http.ResponseWriter, r *http.Request) {
		var m map[string]any
		if err := json.NewDecoder(r.Body).Decode(&m); err != nil {
			t.Error(err)
		}
		a.sent <- m
		answer(w, map[string]any{"errcode": 0})
	})
	mux.HandleFunc("POST /cgi-bin/media/upload", func(w http.ResponseWriter, r *http.Request) {
		_, head, err := r.FormFile("media")
		if err != nil {
			t.Error(err)
			return
		}
		a.sent <- map[string]any{"upload": head.Filename, "bytes": head.Size}
		answer(w, map[string]any{"errcode": 0, "type": "file", "media_id": "m9", "created_at": "1380000000"})
	})
	a.Server = httptest.NewServer(mux)
	t.Cleanup(a.Close)
	return a
}

func (a *api) next(t *testing.T) map[string]any {
	t.Helper()
	select {
	case m := <-a.sent:
		return m
	case <-time.After(hang):
		t.Fatal("nothing is sent")
		return nil
	}
}

// A reply that is too late, and one that is too long, reach the person by message/send, once.
func TestRepliesGoByPush(t *testing.T) {
	w := newWorld(t)
	a := newAPI(t)
	g := w.start(func(o *Options) { o.Config.APIBase = a.URL; o.Config.PassiveBudget = conf100ms })
	gate := make(chan struct{})
	w.dialog(func(in wire.Inbound) []wire.Screen {
		if in.Text == "long" {
			return []wire.Screen{{Body: strings.Split(strings.Repeat("一行很长的输出\n", 200), "\n")}}
		}
		return echo(in)
	}, gate)
	m := w.text("zhangsan", "1")
	if got := g.post(w.seal(wecom.FormXML, m)); !strings.Contains(got.text, "已收到") {
		t.Fatalf("%v", got)
	}
	gate <- struct{}{}
	sent := a.next(t)
	text, _ := sent["text"].(map[string]any)
	want := fmt.Sprintf("「1」的回复（%s 发）\n你说：1", time.Unix(m.CreateTime, 0).In(time.FixedZone("", 8*3600)).Format("15:04:05"))
	if text["content"] != want || sent["touser"] != "zhangsan" || sent["agentid"] != float64(testAgent) || sent["msgtype"] != "text" ||
		sent["enable_duplicate_check"] != float64(1) || sent["duplicate_check_interval"] != float64(60) {
		t.Errorf("%v", sent)
	}
	close(gate)
	g.post(w.seal(wecom.FormXML, w.text("zhangsan", "long")))
	for part := 1; part <= 3; part++ {
		text, _ := a.next(t)["text"].(map[string]any)
		if content, _ := text["content"].(string); !strings.HasPrefix(content, fmt.Sprintf("(%d/3)\n", part)) {
			t.Errorf("part %d: %.40q", part, content)
		}
	}
	eventually(t, "both are counted", func() bool { return g.count("replies_total", "way", "push") == 2 })
	eventually(t, "OUT is empty", func() bool { return len(messages[wire.Outbound](w, wire.StreamOut)) == 0 })
	if len(a.sent) != 0 {
		t.Error("sent more than once")
	}
	g.noSecrets("TOKEN", "很长的输出")
}

func TestTheDirectoryIsServed(t *testing.T) {
	w := newWorld(t)
	a := newAPI(t)
	g := w.start(func(o *Options) { o.Config.APIBase = a.URL })
	ask := func(user string) (p wire.Person, err error) {
		ctx, cancel := context.WithTimeout(w.ctx, hang)
		defer cancel()
		err = w.bus.Ask(ctx, wire.DirSubject(testCorp, "ops"), wire.PersonQuery{V: wire.Version, User: user}, &p)
		return p, err
	}
	eventually(t, "somebody answers", func() bool { _, err := ask("lisi"); return err == nil })
	for user, want := range map[string]wire.Person{
		"lisi":     {V: 1, User: "lisi", Found: true, Name: "李四", Departments: []int64{1, 2}, Tags: []int64{7}, Active: true},
		"outsider": {V: 1, User: "outsider"},
	} {
		p, err := ask(user)
		if diff := cmp.Diff(want, p); err != nil || diff != "" {
			t.Errorf("%v %s", err, diff)
		}
	}
	ctx, cancel := context.WithTimeout(w.ctx, hang)
	defer cancel()
	var list wire.Answer
	if err := w.bus.Ask(ctx, wire.DirSubject(testCorp, "ops"), wire.PersonQuery{V: wire.Version, List: wire.ListMembers}, &list); err != nil ||
		len(list.Items) != 1 || list.Items[0] != (wire.Item{Value: "lisi", Label: "李四"}) || list.AsOf == 0 {
		t.Errorf("%+v %v", list, err)
	}
	a.Close()
	if p, err := ask("lisi"); err != nil || p.Found || p.Fault == nil || p.Fault.Kind != "transient" {
		t.Errorf("%+v %v", p, err)
	}
	g.noSecrets("TOKEN")
}
