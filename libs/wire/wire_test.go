package wire

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

var update = flag.Bool("update", false, "write the golden files anew; only for added fields")

// samples hold every envelope with every field set, so that a renamed or lost field shows.
var samples = map[string]any{
	"inbound": Inbound{
		V: 1, ID: "0a1b2c3d4e5f6g7h8j9k0m1n2p", Corp: "wwpalmops00000001", App: "ops", AgentID: 1000002, User: "zhangsan",
		Type: "text", Text: "1", MsgID: "7310000000000000001", Event: "click", EventKey: "menu", TaskID: "task-1", ResponseCode: "rc",
		SentAt: 1795400000, ReceivedAt: 1795400000123, ReplyBy: 1795400002623,
		Envelope: EnvelopeMark{Digest: "d0", Timestamp: "1795400000", Nonce: "123456789"},
	},
	"reply": Reply{V: 1, ID: "0a1b", Corp: "wwpalmops00000001", App: "ops", User: "zhangsan", Screens: []Screen{{
		Kind: ScreenMenu, Title: "掌上运维", Note: "请回复数字", Body: []string{"一行"}, Choices: []Choice{{Key: "1", Label: "零售事业部", Detail: "2 项"}},
		Page: 1, Pages: 2, Keys: "0 返回 · # 退出", Card: "c-1",
	}}, By: 1795400000523, Lang: "en"},
	"reply_taken":  ReplyTaken{V: 1, Passive: true},
	"said_query":   SaidQuery{V: 1, ID: "0a1b", Corp: "wwpalmops00000001", App: "ops", User: "zhangsan"},
	"said":         Said{V: 1, Reply: &Reply{V: 1, ID: "0a1b"}, Pushed: true},
	"outbound":     Outbound{V: 1, ID: "x:reply", Corp: "wwpalmops00000001", App: "ops", User: "zhangsan", Screens: []Screen{{Kind: ScreenNotice, Title: "t"}}, InReplyTo: "x", SaidText: "1", SentAt: 1795400000, Card: &CardUpdate{ResponseCode: "rc", Label: "已选 1"}, File: &File{Object: "o", Name: "输出.txt", Size: 9}, Image: &File{Object: "i", Name: "图.png", Size: 8}, Lang: "en"},
	"person_query": PersonQuery{V: 1, User: "zhangsan", List: ListMembers, In: 2},
	"person":       Person{V: 1, User: "zhangsan", Found: true, Name: "张三", Departments: []int64{2, 1}, Tags: []int64{7}, Active: true, Fault: &Fault{Kind: "transient", Text: "稍后"}},
	"action":       Action{V: 1, ID: "0a1b", Token: "p.s.t.s", Args: json.RawMessage(`{"namespace":"shop","replicas":5}`)},
	"claims":       Claims{V: 1, ID: "0a1b", Corp: "wwpalmops00000001", App: "ops", User: "zhangsan", Zone: "local", Pool: "k8s", Action: "k8s.scale", ArgsHash: "ab", Approvals: []string{"lisi"}, IssuedAt: 1795400000, Expires: 1795400120, Read: true, Title: "shop/web 3 → 5", Lang: "en", Report: true, Noop: true},
	"record":       Record{V: 1, ID: "0a1b", State: StateRunning, Corp: "c", App: "ops", User: "zhangsan", Zone: "local", Pool: "k8s", Action: "k8s.scale", Title: "t", Args: json.RawMessage(`{}`), ArgsHash: "ab", Owner: "e1", Attempt: 1, Step: "3/5", Summary: "s", Before: json.RawMessage(`{"replicas":3}`), IssuedAt: 1, Expires: 2, Created: 3, Started: 4, Ended: 5, Beat: 6, Lang: "en", Noop: true, Report: true, Parent: "p0", Output: &File{Object: "o", Name: "n.txt", Size: 9}, Image: &File{Object: "i", Name: "n.png", Size: 8}},
	"event":        Event{V: 1, ID: "0a1b", Corp: "c", App: "ops", User: "zhangsan", Action: "k8s.scale", Title: "t", State: StateSucceeded, Rev: 9, Text: "5/5", Output: "o", Executor: "e1", At: 1795400001000, Lang: "en", Noop: true, Whole: &File{Object: "o", Name: "n.txt", Size: 9}, Image: &File{Object: "i", Name: "n.png", Size: 8}},
	"answer":       Answer{V: 1, Items: []Item{{Value: "web", Label: "web", Detail: "3/3 就绪"}}, Fields: map[string]string{"replicas": "3"}, Fault: &Fault{Kind: "not_found", Text: "没有"}, AsOf: 1795400001000, View: &View{Title: "t", Body: []string{"b"}, Items: []Item{{Value: "1"}}, Free: true, Refuse: "r", Done: true, Value: "v"}},
	"offer": Offer{V: 1, Zone: "local", Pool: "k8s", Instance: "e1", Version: "1.0.0", Digest: "d0", Actions: []OfferedAction{{
		Name: "k8s.scale", Class: "change", Kind: "kubernetes", Verb: "scale", Env: "prod",
		Params: []OfferedParam{{Name: "replicas", Type: "int", Optional: true, Allow: []string{"a"}, Pattern: "dns-label", Min: new(int64), Max: new(int64)}},
	}}},
	"audit": AuditLine{V: 1, At: 1795400001000, Service: "gateway", Instance: "g1", Corp: "c", App: "ops", User: "zhangsan", What: "callback", Ref: "0a1b", Verdict: "refused", Reason: "signature", Detail: map[string]string{"remote": "192.0.2.1"}},
}

func TestEnvelopesAreFrozen(t *testing.T) {
	for name, v := range samples {
		path := filepath.Join("testdata", name+".json")
		got, err := json.MarshalIndent(v, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, '\n')
		if *update {
			if err := os.WriteFile(path, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s changed its form:\n%s\nwant\n%s", name, got, want)
		}
		back := reflect.New(reflect.TypeOf(v))
		if err := json.Unmarshal(want, back.Interface()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		again, _ := json.Marshal(back.Elem().Interface())
		first, _ := json.Marshal(v)
		if !bytes.Equal(again, first) {
			t.Errorf("%s: the golden reads back as %s", name, again)
		}
		assertFilled(t, name, reflect.ValueOf(v))
	}
}

// assertFilled fails for a field the sample left empty: the golden could not freeze it.
func assertFilled(t *testing.T, name string, v reflect.Value) {
	t.Helper()
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if v.Field(i).IsZero() {
			t.Errorf("%s: the sample sets no %s", name, f.Name)
		}
	}
}

func TestNewerEnvelopesAreRead(t *testing.T) {
	data, err := os.ReadFile("testdata/inbound.json")
	if err != nil {
		t.Fatal(err)
	}
	newer := strings.Replace(string(data), `"v": 1`, `"v": 2, "added_later": {"x": [1]}`, 1)
	var in Inbound
	if err := json.Unmarshal([]byte(newer), &in); err != nil || in.Text != "1" || in.V != 2 {
		t.Errorf("version 2: %v %+v", err, in)
	}
	var old Inbound
	if err := json.Unmarshal([]byte(`{"v":0,"id":"x","text":"1"}`), &old); err != nil || old.Text != "1" || old.Envelope != (EnvelopeMark{}) {
		t.Errorf("version 0: %v %+v", err, old)
	}
}

func TestTokenIsOneSafeSubjectToken(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.String().Draw(t, "a"), rapid.String().Draw(t, "b")
		x, y := Token(a), Token(b)
		if x == "" || strings.ContainsAny(x, " .*>\r\n\t\x00") {
			t.Fatalf("Token(%q) = %q", a, x)
		}
		//nolint:staticcheck // EqualFold folds more letters than Token does
		if lowered := strings.ToLower(a) == strings.ToLower(b); (x == y) != lowered {
			t.Fatalf("%q and %q become %q and %q", a, b, x, y)
		}
	})
	if got := Token("Li.Si_1-x"); got != "li=2Esi_1-x" {
		t.Errorf("got %q", got)
	}
}

func TestOneUserOneLane(t *testing.T) {
	seen := map[int]bool{}
	for _, u := range []string{"zhangsan", "lisi", "wangwu", "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p", "q", "r", "s"} {
		p := Partition("c", "ops", u, InPartitions)
		if p != Partition("c", "ops", strings.ToUpper(u), InPartitions) || p < 0 || p >= InPartitions {
			t.Errorf("%s: lane %d", u, p)
		}
		if !strings.HasPrefix(InSubject("c", "ops", u), strings.TrimSuffix(InLane(p), ">")) {
			t.Errorf("%s is outside its lane: %s", u, InSubject("c", "ops", u))
		}
		seen[p] = true
	}
	if len(seen) < 8 {
		t.Errorf("22 users share %d lanes", len(seen))
	}
}

func drawArgs(t *rapid.T) map[string]any {
	return rapid.MapOfN(rapid.StringMatching(`[a-z_<>&.]{1,6}`), rapid.OneOf(
		rapid.Map(rapid.String(), func(s string) any { return s }),
		rapid.Map(rapid.Int64(), func(i int64) any { return i }),
		rapid.Map(rapid.Bool(), func(b bool) any { return b }),
	), 0, 6).Draw(t, "args")
}

func TestCanonicalArgsRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		args := drawArgs(t)
		raw, err := CanonicalArgs(args)
		if err != nil {
			t.Fatal(err)
		}
		back, err := ParseArgs(raw)
		if err != nil {
			t.Fatalf("%s: %v", raw, err)
		}
		if len(args) != 0 && !reflect.DeepEqual(args, back) {
			t.Fatalf("%v became %v", args, back)
		}
	})
}

func TestParseArgsRefusesOtherForms(t *testing.T) {
	for _, raw := range []string{
		``, `null`, `[]`, `{"a":1.5}`, `{"a":1e3}`, `{"a":null}`, `{"a":{}}`, `{"a":[1]}`, `{"b":1,"a":2}`, `{"a":1,"a":2}`, `{ "a":1}`,
		`{"a":1} `, `{"a":1}{}`, `{"a":01}`, `{"a":-0}`, `{"a":99999999999999999999}`, `{"a":"\u0041"}`, `{"":1}`, "{\"a\":\"\xff\"}",
		`{"a":"` + strings.Repeat("x", MaxArgs) + `"}`,
	} {
		if got, err := ParseArgs(json.RawMessage(raw)); err == nil {
			t.Errorf("%.40q was read as %v", raw, got)
		}
	}
	room := MaxArgs - len(`{"a":""}`)
	for n, ok := range map[int]bool{room: true, room + 1: false} {
		if _, err := CanonicalArgs(map[string]any{"a": strings.Repeat("x", n)}); (err == nil) != ok {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	for _, bad := range []any{1.5, nil, []string{}, "\xff"} {
		if _, err := CanonicalArgs(map[string]any{"a": bad}); err == nil {
			t.Errorf("%v was accepted", bad)
		}
	}
}

func FuzzParseArgs(f *testing.F) {
	f.Add([]byte(`{"namespace":"shop","replicas":5}`))
	f.Add([]byte(`{"a":"\u2028<>&"}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		args, err := ParseArgs(raw)
		if err != nil {
			return
		}
		again, err := CanonicalArgs(args)
		if err != nil || !bytes.Equal(again, raw) {
			t.Fatalf("%q was read but is written as %q (%v)", raw, again, err)
		}
	})
}

func TestMessageIDIgnoresTheEnvelopeOnly(t *testing.T) {
	base := MessageID("c", 1, "zhangsan", "77", []byte("a"))
	same := []string{MessageID("c", 1, "ZhangSan", "77", []byte("b"))}
	other := []string{
		MessageID("c2", 1, "zhangsan", "77", nil), MessageID("c", 2, "zhangsan", "77", nil), MessageID("c", 1, "lisi", "77", nil),
		MessageID("c", 1, "zhangsan", "78", nil), MessageID("c", 1, "zhangsan", "", []byte("a")), MessageID("c", 1, "zhangsan", "0", []byte("b")),
		MessageID("c", 11, "zhangsan", "77", nil), MessageID("c1", 1, "zhangsan", "77", nil),
	}
	for _, id := range same {
		if id != base {
			t.Error("the same message got another id")
		}
	}
	for i, id := range other {
		if id == base || len(id) != 26 {
			t.Errorf("case %d: %q", i, id)
		}
	}
	if got := ShortID(base); len(got) != 6 || got != strings.ToUpper(base[:6]) {
		t.Errorf("short id %q", got)
	}
}

func TestFinal(t *testing.T) {
	for state, want := range map[string]bool{
		StatePending: false, StateQueued: false, StateClaimed: false, StateRunning: false, StateSucceeded: true, StateFailed: true,
		StateCanceled: true, StateTimeout: true, StateExpired: true, StateRejected: true, StateUnknown: true, "": false,
	} {
		if Final(state) != want {
			t.Errorf("%s: %v", state, !want)
		}
	}
}
