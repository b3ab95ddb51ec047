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
	"palmops/services/simulator/internal/media"
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

func (p *phones) PushFile(user, kind string, f client.File) (string, error) {
	return p.Push(user, kind, f.Name)
}

func (p *phones) PushCard(users []string, c client.Card, _ bool) (string, string, error) {
	id, err := p.Push(strings.Join(users, "+"), c.CardType, c.Text())
	return id, "code", err
}

func (p *phones) UpdateCard(string, []string, func(string, client.Card) (client.Card, error)) ([]string, error) {
	return nil, fault.New(fault.Expired, "no card is kept here")
}

func (p *phones) Delivered(d client.Delivery) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.deliveries = append(p.deliveries, d)
}

type world struct {
	*phones
	t         *testing.T
	api       *qyapi.API
	directory *phone.Directory
	now       time.Time
	sent      string // file
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{phones: &phones{}, t: t, now: time.Unix(1_800_000_000, 0)}
	w.make(w.phones, phone.NewDirectory(
		[]phone.Person{
			{User: "zhangsan", Name: "张三", Position: "运维", Departments: []int64{2}},
			{User: "lisi", Name: "李四", Departments: []int64{2}, Leads: []int64{2}},
			{User: "wangwu", Name: "王五", Departments: []int64{3}},
			{User: "menshi", Name: "门市", Departments: []int64{5}, Plain: true},
		},
		[]phone.Department{{ID: 1, Name: "公司"}, {ID: 2, ParentID: 1, Name: "零售"}, {ID: 3, ParentID: 1, Name: "支付"}, {ID: 5, ParentID: 2, Name: "门店"}},
		[]phone.Tag{{ID: 1, Name: "值班", Users: []string{"lisi", "wangwu"}}, {ID: 7, Name: "空"}},
	))
	return w
}

// make makes the API; what it takes in is kept in memory.
func (w *world) make(p qyapi.Phones, d *phone.Directory) {
	w.t.Helper()
	clock := func() time.Time { return w.now }
	files, err := media.Open("", clock)
	if err != nil {
		w.t.Fatal(err)
	}
	w.directory = d
	w.api, err = qyapi.New(qyapi.Options{CorpID: corp, Secret: secret, AgentID: agent, Phones: p, Media: files, Now: clock, Directory: d, Sent: w.sent})
	if err != nil {
		w.t.Fatal(err)
	}
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
	out = w.send(0, `{"totag":"1|9","msgtype":"text","agentid":1000002,"text":{"content":"tag"}}`)
	if out["invalidtag"] != "9" {
		t.Errorf("%v", out)
	}
	want := "zhangsan text 你好,lisi text 你好,zhangsan markdown **b**,lisi markdown **b**,wangwu markdown **b**,menshi markdown **b**," +
		"zhangsan text party,lisi text party,menshi text party,lisi text tag,wangwu text tag"
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
	if out = w.wantCode(0, "GET", "tag/list?access_token="+token, ""); fmt.Sprint(out["taglist"]) != "[map[tagid:1 tagname:值班] map[tagid:7 tagname:空]]" {
		t.Errorf("%v", out)
	}
	if out = w.wantCode(0, "GET", "tag/get?tagid=1&access_token="+token, ""); fmt.Sprint(out["tagname"], out["userlist"], out["partylist"]) != "值班[map[name:李四 userid:lisi] map[name:王五 userid:wangwu]] []" {
		t.Errorf("%v", out)
	}
	if out = w.wantCode(0, "GET", "tag/get?tagid=7&access_token="+token, ""); fmt.Sprint(out["userlist"]) != "[]" {
		t.Errorf("%v", out)
	}
	w.wantCode(41017, "GET", "tag/get?access_token="+token, "")
	w.wantCode(40068, "GET", "tag/get?tagid=2&access_token="+token, "")
	for query, want := range map[string]string{
		"department_id=1": "[]", "department_id=1&fetch_child=1": "[zhangsan lisi wangwu menshi]", "department_id=2&fetch_child=0": "[zhangsan lisi]",
		"department_id=2&fetch_child=1": "[zhangsan lisi menshi]", "department_id=5": "[menshi]",
	} {
		for _, path := range []string{"user/simplelist", "user/list"} {
			out = w.wantCode(0, "GET", path+"?"+query+"&access_token="+token, "")
			ids := []any{}
			list, _ := out["userlist"].([]any)
			for _, one := range list {
				user, _ := one.(map[string]any)
				ids = append(ids, user["userid"])
				if _, whole := user["position"]; whole != (path == "user/list") || user["name"] == "" {
					t.Errorf("%s: %v", path, user)
				}
			}
			if fmt.Sprint(ids) != want {
				t.Errorf("%s?%s: %v, want %s", path, query, ids, want)
			}
		}
	}
	w.wantCode(60123, "GET", "user/list?department_id=77&access_token="+token, "")
	w.wantCode(40058, "GET", "user/simplelist?access_token="+token, "")
	w.wantCode(40058, "GET", "user/simplelist?department_id=2&fetch_child=2&access_token="+token, "")
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
	f.Add([]byte(`{"touser":"lisi","msgtype":"template_card","agentid":1000002,"template_card":` + goodCard + `}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		w := newWorld(t)
		out := w.call("POST", "message/send?access_token="+w.token(), string(body))
		if out["errcode"] == float64(0) && len(w.shown) == 0 {
			t.Fatal("success, and nothing was shown")
		}
	})
}
