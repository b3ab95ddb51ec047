package qyapi_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"palmops/libs/fault"
	"palmops/libs/wecom"
	"palmops/services/simulator/client"
	"palmops/services/simulator/internal/phone"
	"palmops/services/simulator/internal/qyapi"
)

const (
	corp   = "wwtestcorp"
	secret = "test-secret"
	agent  = 1000002
)

// phones note what was shown.
type phones struct {
	mu         sync.Mutex
	shown      []string
	deliveries []client.Delivery
	broken     bool
}

func (p *phones) Push(user, msgType, text string) (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.broken {
		return "", fault.New(fault.Internal, "the disk is full")
	}
	p.shown = append(p.shown, user+" "+msgType+" "+text)
	return fmt.Sprintf("id%d", len(p.shown)), nil
}

func (p *phones) Delivered(d client.Delivery) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.deliveries = append(p.deliveries, d)
}

type world struct {
	*phones
	t   *testing.T
	api *qyapi.API
	now time.Time
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{phones: &phones{}, t: t, now: time.Unix(1_800_000_000, 0)}
	w.api = qyapi.New(qyapi.Options{
		CorpID: corp, Secret: secret, AgentID: agent, Phones: w.phones, Now: func() time.Time { return w.now },
		Directory: phone.NewDirectory(
			[]phone.Person{
				{User: "zhangsan", Name: "张三", Position: "运维", Departments: []int64{2}},
				{User: "lisi", Name: "李四", Departments: []int64{2}, Leads: []int64{2}},
				{User: "wangwu", Name: "王五", Departments: []int64{3}},
			},
			[]phone.Department{{ID: 1, Name: "公司"}, {ID: 2, ParentID: 1, Name: "零售"}, {ID: 3, ParentID: 1, Name: "支付"}, {ID: 5, ParentID: 2, Name: "门店"}},
		),
	})
	return w
}

// call makes one call and returns the answer's fields.
func (w *world) call(method, path, body string) map[string]any {
	w.t.Helper()
	rec := httptest.NewRecorder()
	w.api.ServeHTTP(rec, httptest.NewRequest(method, "/cgi-bin/"+path, strings.NewReader(body)))
	var out map[string]any
	if err := json.Unmarshal(rec.Body.Bytes(), &out); err != nil || rec.Code != http.StatusOK {
		w.t.Errorf("%s: %d %q", path, rec.Code, rec.Body)
	}
	if msg, ok := out["errmsg"].(string); !ok || msg == "" || msg == "error" {
		w.t.Errorf("%s: errmsg %v", path, out["errmsg"])
	}
	return out
}

func (w *world) token() string {
	w.t.Helper()
	out := w.call("GET", "gettoken?corpid="+corp+"&corpsecret="+secret, "")
	text, _ := out["access_token"].(string)
	if text == "" || len(text) > 512 {
		w.t.Errorf("%v", out)
	}
	return text
}

func (w *world) wantCode(code int, method, path, body string) map[string]any {
	w.t.Helper()
	out := w.call(method, path, body)
	if out["errcode"] != float64(code) {
		w.t.Errorf("%s %s %.80s: errcode %v, want %d", method, path, body, out["errcode"], code)
	}
	return out
}

func (w *world) send(code int, body string) map[string]any {
	w.t.Helper()
	return w.wantCode(code, "POST", "message/send?access_token="+w.token(), body)
}

func TestTokens(t *testing.T) {
	w := newWorld(t)
	w.wantCode(41002, "GET", "gettoken", "")
	w.wantCode(41004, "GET", "gettoken?corpid="+corp, "")
	w.wantCode(40013, "GET", "gettoken?corpid=ww&corpsecret="+secret, "")
	w.wantCode(40001, "GET", "gettoken?corpid="+corp+"&corpsecret=x", "")
	w.wantCode(43001, "POST", "gettoken?corpid="+corp+"&corpsecret="+secret, "{}")
	w.wantCode(41001, "GET", "getcallbackip", "")
	w.wantCode(40014, "GET", "getcallbackip?access_token=x", "")

	first := w.token()
	if again := w.token(); again != first {
		t.Error("a living token is not given again")
	}
	w.now = w.now.Add(7000 * time.Second)
	second := w.token()
	if second == first {
		t.Error("a token that ends in 200 s is given again")
	}
	w.wantCode(0, "GET", "getcallbackip?access_token="+first, "")
	w.now = w.now.Add(200 * time.Second)
	w.wantCode(42001, "GET", "getcallbackip?access_token="+first, "")
	w.wantCode(0, "GET", "getcallbackip?access_token="+second, "")
	w.api.Invalidate()
	w.wantCode(40014, "GET", "getcallbackip?access_token="+second, "")
	if third := w.token(); third == second {
		t.Error("an invalidated token is given again")
	}
}

func TestSend(t *testing.T) {
	w := newWorld(t)
	out := w.send(0, `{"touser":"ZhangSan|lisi|Nobody|zhangsan","msgtype":"text","agentid":1000002,"text":{"content":"你好"}}`)
	if out["invaliduser"] != "nobody" || out["msgid"] != "id1" {
		t.Errorf("%v", out)
	}
	w.send(0, `{"touser":"@all","msgtype":"markdown","agentid":"1000002","markdown":{"content":"**b**"}}`)
	w.send(0, `{"toparty":"2|99","msgtype":"text","agentid":1000002,"text":{"content":"party"}}`)
	want := "zhangsan text 你好,lisi text 你好,zhangsan markdown **b**,lisi markdown **b**,wangwu markdown **b**,zhangsan text party,lisi text party"
	if got := strings.Join(w.shown, ","); got != want {
		t.Errorf("shown %s", got)
	}
	if len(w.deliveries) != len(w.shown) {
		t.Errorf("%d deliveries", len(w.deliveries))
	}
}

func TestSendRefusals(t *testing.T) {
	w := newWorld(t)
	for body, code := range map[string]int{
		`{"touser":"nobody","msgtype":"text","agentid":1000002,"text":{"content":"x"}}`: 81013,
		`{"msgtype":"text","agentid":1000002,"text":{"content":"x"}}`:                   82001,
		`{"touser":"lisi","msgtype":"text","agentid":1000003,"text":{"content":"x"}}`:   301002,
		`{"touser":"lisi","msgtype":"text","text":{"content":"x"}}`:                     40056,
		`{"touser":"lisi","msgtype":"text","agentid":"many","text":{"content":"x"}}`:    40056,
		`{"touser":"lisi","msgtype":"smoke","agentid":1000002,"text":{"content":"x"}}`:  40008,
		`{"touser":"lisi","msgtype":"text","agentid":1000002,"text":{"content":""}}`:    44004,
		`{"touser":"lisi","msgtype":"text","agentid":1000002}`:                          44004,
		`{"touser":"lisi",`: 47001,
		`{"touser":"lisi","msgtype":"text","agentid":1000002,"text":{"content":"x"},"enable_duplicate_check":1,"duplicate_check_interval":14401}`: 40058,
		`{"touser":"` + strings.Repeat("x|", 1001) + `","msgtype":"text","agentid":1000002,"text":{"content":"x"}}`:                               40058,
		`{"touser":"lisi","msgtype":"text","agentid":1000002,"text":{"content":"` + strings.Repeat("x", 1<<20) + `"}}`:                            45002,
	} {
		w.send(code, body)
	}
	w.wantCode(43002, "GET", "message/send?access_token="+w.token(), "")
	w.wantCode(40014, "POST", "message/send?access_token=x", "{}")
	w.wantCode(40066, "GET", "message/unknown", "")
	w.wantCode(40066, "GET", "", "")
	w.broken = true
	w.send(-1, `{"touser":"lisi","msgtype":"text","agentid":1000002,"text":{"content":"x"}}`)
	if len(w.shown) != 0 {
		t.Errorf("shown %v", w.shown)
	}
}

func TestDuplicateCheck(t *testing.T) {
	w := newWorld(t)
	body := `{"touser":"lisi","msgtype":"text","agentid":1000002,"text":{"content":"x"},"enable_duplicate_check":1,"duplicate_check_interval":60}`
	first := w.send(0, body)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			if again := w.send(0, " "+body); again["msgid"] != first["msgid"] {
				t.Errorf("%v", again)
			}
		})
	}
	all.Wait()
	w.send(0, strings.Replace(body, `"x"`, `"y"`, 1))
	if got := strings.Join(w.shown, ","); got != "lisi text x,lisi text y" {
		t.Errorf("shown %s", got)
	}
	w.now = w.now.Add(time.Minute)
	w.send(0, body)
	plain := `{"touser":"lisi","msgtype":"text","agentid":1000002,"text":{"content":"z"}}`
	w.send(0, plain)
	w.send(0, plain)
	if len(w.shown) != 5 {
		t.Errorf("shown %v", w.shown)
	}
}

func TestDirectory(t *testing.T) {
	w := newWorld(t)
	token := w.token()
	out := w.wantCode(0, "GET", "user/get?userid=ZHANGSAN&access_token="+token, "")
	if got := fmt.Sprint(out["userid"], out["name"], out["department"], out["main_department"], out["direct_leader"], out["is_leader_in_dept"], out["status"]); got != "zhangsan张三[2] 2 [lisi] [0] 1" {
		t.Errorf("%s", got)
	}
	w.wantCode(60111, "GET", "user/get?userid=nobody&access_token="+token, "")
	w.wantCode(40003, "GET", "user/get?access_token="+token, "")
	out = w.wantCode(0, "GET", "department/simplelist?access_token="+token, "")
	if got := fmt.Sprint(out["department_id"]); strings.Count(got, "parentid") != 4 {
		t.Errorf("%s", got)
	}
	out = w.wantCode(0, "GET", "department/list?id=2&access_token="+token, "")
	if got := fmt.Sprint(out["department"]); !strings.Contains(got, "department_leader:[lisi]") || !strings.Contains(got, "门店") || strings.Contains(got, "支付") {
		t.Errorf("%s", got)
	}
	w.wantCode(60123, "GET", "department/list?id=77&access_token="+token, "")
	w.wantCode(40058, "GET", "department/simplelist?id=x&access_token="+token, "")
	if out = w.wantCode(0, "GET", "tag/list?access_token="+token, ""); fmt.Sprint(out["taglist"]) != "[]" {
		t.Errorf("%v", out)
	}
	for _, path := range []string{"getcallbackip", "get_api_domain_ip"} {
		if out = w.wantCode(0, "GET", path+"?access_token="+token, ""); fmt.Sprint(out["ip_list"]) != "[127.0.0.1]" {
			t.Errorf("%v", out)
		}
	}
}

// The project's own client understands all of it, and renews a token that was taken back.
func TestWithOurClient(t *testing.T) {
	w := newWorld(t)
	server := httptest.NewServer(w.api)
	defer server.Close()
	hc := &http.Client{Transport: &http.Transport{}}
	defer hc.CloseIdleConnections()
	c := wecom.NewClient(wecom.ClientOptions{BaseURL: server.URL, CorpID: corp, Secret: secret, AgentID: agent, HTTP: hc})
	res, err := c.Send(t.Context(), wecom.OutMessage{ToUser: "zhangsan", Text: "hello"})
	if err != nil || res.MsgID != "id1" {
		t.Fatalf("%+v, %v", res, err)
	}
	w.api.Invalidate()
	u, err := c.User(t.Context(), "lisi")
	if err != nil || u.Name != "李四" || len(u.Departments) != 1 || u.Departments[0] != 2 {
		t.Fatalf("%+v, %v", u, err)
	}
	if _, err := c.User(t.Context(), "nobody"); !fault.Is(err, fault.NotFound) {
		t.Errorf("%v", err)
	}
	d, err := c.Departments(t.Context())
	if err != nil || len(d) != 4 {
		t.Errorf("%+v, %v", d, err)
	}
	ips, err := c.CallbackIPs(t.Context())
	if err != nil || len(ips) != 1 || ips[0] != "127.0.0.1" {
		t.Errorf("%v, %v", ips, err)
	}
	if len(w.shown) != 1 {
		t.Errorf("%v", w.shown)
	}
}

func FuzzSend(f *testing.F) {
	f.Add([]byte(`{"touser":"lisi","msgtype":"text","agentid":1000002,"text":{"content":"x"}}`))
	f.Add([]byte(`{"touser":1,"agentid":{}}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, body []byte) {
		w := newWorld(t)
		out := w.call("POST", "message/send?access_token="+w.token(), string(body))
		if out["errcode"] == float64(0) && len(w.shown) == 0 {
			t.Fatal("success, and nothing was shown")
		}
	})
}
