package flow_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"palmops/libs/wire"
	"palmops/services/dialog/internal/flow"
	"palmops/services/dialog/menu"
	"palmops/services/dialog/policy"
)

var update = flag.Bool("update", false, "rewrite the golden files")

const local = "../../../../deployments/config/local/"

// world is what Step knows of the world, and how questions are answered in it.
type world struct {
	menu     *menu.Menu
	latest   *menu.Menu
	policy   *policy.Policy
	person   wire.Person
	identity flow.Identity
	fault    string // every question fails with it
	lists    map[string][]wire.Item
	fields   map[string]string
	asked    []string
	now, at  int64
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{identity: flow.Fresh, lists: map[string][]wire.Item{
		"k8s.namespaces":  {{Value: "pay"}, {Value: "shop"}},
		"k8s.deployments": {{Value: "api", Detail: "2/2"}, {Value: "web", Detail: "3/3"}},
	}, fields: map[string]string{"replicas": "3", "ready": "3", "resource_version": "7"}}
	var err error
	if w.menu, err = menu.Load(local + "menu.yaml"); err != nil {
		t.Fatal(err)
	}
	if w.policy, err = policy.Load(local + "policy.yaml"); err != nil {
		t.Fatal(err)
	}
	w.as("zhangsan")
	return w
}

func (w *world) as(user string) *world {
	w.person = wire.Person{User: user, Found: true, Active: true}
	return w
}

// step answers all questions of one step.
func (w *world) step(t testing.TB, s flow.Session, ev flow.Event) flow.Result {
	t.Helper()
	env := flow.Env{Person: w.person, Identity: w.identity, Rights: w.policy, Answers: map[string]flow.Answer{}, Latest: w.latest, Now: w.now}
	ev.At = w.at
	for range 8 {
		r := flow.Step(w.menu, s, ev, env)
		if r.Need == nil {
			return r
		}
		if r.Intent != nil || r.Screens != nil {
			t.Fatal("a result that needs an answer holds more than the question")
		}
		w.asked = append(w.asked, r.Need.Action)
		a := flow.Answer{Items: w.lists[r.Need.Action], Fields: w.fields}
		if w.fault != "" {
			a = flow.Answer{Fault: w.fault}
		}
		if _, twice := env.Answers[r.Need.Key]; twice {
			t.Fatalf("%s is asked twice in one step", r.Need.Key)
		}
		env.Answers[r.Need.Key] = a
	}
	t.Fatal("a step that does not stop asking")
	return flow.Result{}
}

// talk says one thing after the other, a second apart.
type talk struct {
	t    testing.TB
	w    *world
	s    flow.Session
	n    int64
	last flow.Result
}

func (c *talk) say(texts ...string) flow.Result {
	c.t.Helper()
	for _, text := range texts {
		c.n++
		c.last = c.w.step(c.t, c.s, flow.Event{ID: fmt.Sprintf("m%d", c.n), Type: "text", Text: text, SentAt: 1000 + c.n})
		c.s = c.last.Session
	}
	return c.last
}

// text is a screen as a person reads it, near enough.
func text(screens []wire.Screen) string {
	var b strings.Builder
	for _, s := range screens {
		for _, line := range append([]string{s.Note, s.Title}, s.Body...) {
			if line != "" {
				b.WriteString(line + "\n")
			}
		}
		for _, c := range s.Choices {
			b.WriteString(strings.TrimSpace(c.Key+". "+c.Label+"  "+c.Detail) + "\n")
		}
		if s.Pages > 0 {
			fmt.Fprintf(&b, "第 %d/%d 页\n", s.Page, s.Pages)
		}
		if s.Keys != "" {
			b.WriteString(s.Keys + "\n")
		}
	}
	return b.String()
}

func (c *talk) wants(parts ...string) {
	c.t.Helper()
	got := text(c.last.Screens)
	for _, p := range parts {
		if !strings.Contains(got, p) {
			c.t.Errorf("want %q in:\n%s", p, got)
		}
	}
}

func TestTheMainRoad(t *testing.T) {
	c := &talk{t: t, w: newWorld(t)}
	var b strings.Builder
	for _, said := range []string{"菜单", "1", "1", "1", "1", "2", "5", "1"} {
		c.say(said)
		fmt.Fprintf(&b, "> %s\n%s= path %s\n\n", said, text(c.last.Screens), c.s.Path())
	}
	if *update {
		if err := os.WriteFile("testdata/main.golden", []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/main.golden")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), b.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	intent := &flow.Intent{
		ID: wire.DeriveID("action", "m8", "retail-scale"), Node: "retail-scale", Zone: "local", Pool: "k8s", Action: "k8s.scale",
		Args:  map[string]any{"namespace": "shop", "deployment": "web", "replicas": int64(5), "from": int64(3)},
		Title: "shop/web 副本数 3 → 5", Expire: 120,
	}
	if diff := cmp.Diff(intent, c.last.Intent); diff != "" {
		t.Error(diff)
	}
	c.say("1")
	if c.last.Intent != nil {
		t.Error("the number of the confirm typed again orders again")
	}
	c.wants("没有再次执行", "1. 调整 POD 数")
}

func TestKeys(t *testing.T) {
	for _, c := range []struct {
		name  string
		say   []string
		path  string
		did   string
		wants []string
	}{
		{"any text opens", []string{"你好"}, "", flow.DidOpen, []string{"掌上运维", "1. 零售事业部"}},
		{"a bare number opens with a note", []string{"1"}, "", flow.DidOpen, []string{"会话已过期或尚未开始，请重新选择", "1. 零售事业部"}},
		{"full-width digits", []string{"x", "１", "　１ "}, "1-1", flow.DidChoose, []string{"1. 调整 POD 数"}},
		{"0 goes back", []string{"x", "1", "1", "0"}, "1", flow.DidBack, []string{"零售事业部", "1. Kubernetes 操作"}},
		{"返回 goes back", []string{"x", "1", "1", "返回"}, "1", flow.DidBack, nil},
		{"full-width 0 goes back", []string{"x", "1", "1", "０"}, "1", flow.DidBack, nil},
		{"back at the top", []string{"x", "0"}, "", flow.DidBack, []string{"已经在首页", "1. 零售事业部"}},
		{"00 goes home", []string{"x", "1", "1", "1", "1", "00"}, "", flow.DidHome, []string{"1. 零售事业部"}},
		{"首页 goes home", []string{"x", "1", "1", "首页"}, "", flow.DidHome, nil},
		{"菜单 goes home", []string{"x", "1", "1", "菜单"}, "", flow.DidHome, nil},
		{"help", []string{"x", "1", "？"}, "1", flow.DidHelp, []string{"使用帮助", "1. Kubernetes 操作"}},
		{"帮助", []string{"x", "1", "帮助"}, "1", flow.DidHelp, []string{"使用帮助"}},
		{"help opens as well", []string{"?"}, "", flow.DidHelp, []string{"使用帮助", "1. 零售事业部"}},
		{"out of range", []string{"x", "1", "9"}, "1", flow.DidRepeat, []string{"没有「9」这个选项", "1. Kubernetes 操作"}},
		{"leading zero is no choice", []string{"x", "01"}, "", flow.DidRepeat, []string{"没有「01」这个选项"}},
		{"huge number", []string{"x", "99999999999999999999"}, "", flow.DidRepeat, []string{"这个选项"}},
		{"letters", []string{"x", "web"}, "", flow.DidRepeat, []string{"没有「web」这个选项"}},
		{"empty", []string{"x", ""}, "", flow.DidRepeat, []string{"没有收到内容"}},
		{"emoji", []string{"x", "👍"}, "", flow.DidRepeat, []string{"没有「👍」这个选项"}},
		{"10,000 characters", []string{"x", strings.Repeat("长", 10000)}, "", flow.DidRepeat, []string{"没有「长长长长长长长长长长长长…」这个选项"}},
		{"no second page", []string{"x", "+"}, "", flow.DidPage, []string{"这里只有一页"}},
		{"input too large", []string{"x", "1", "1", "1", "1", "2", "21"}, "1-1-1-1-2", flow.DidRepeat, []string{"0 到 20", "输入新的副本数"}},
		{"input in letters", []string{"x", "1", "1", "1", "1", "2", "five"}, "1-1-1-1-2", flow.DidRepeat, []string{"整数"}},
		{"input with a plus", []string{"x", "1", "1", "1", "1", "2", "+1"}, "1-1-1-1-2", flow.DidRepeat, []string{"不要写加号"}},
		{"a plus alone at an input is no page", []string{"x", "1", "1", "1", "1", "2", "+"}, "1-1-1-1-2", flow.DidRepeat, []string{"加号"}},
		{"full-width input", []string{"x", "1", "1", "1", "1", "2", "１２"}, "1-1-1-1-2-12", flow.DidInput, []string{"shop/web：3 → 12"}},
		{"0 at an input goes back", []string{"x", "1", "1", "1", "1", "2", "0"}, "1-1-1-1", flow.DidBack, []string{"2. web  3/3"}},
		{"=0 is the value zero", []string{"x", "1", "1", "1", "1", "2", "＝0"}, "1-1-1-1-2-=0", flow.DidInput, []string{"shop/web：3 → 0"}},
		{"0 at a confirm goes back to the input", []string{"x", "1", "1", "1", "1", "2", "5", "0"}, "1-1-1-1-2", flow.DidBack, []string{"输入新的副本数"}},
		{"another number is no confirm", []string{"x", "1", "1", "1", "1", "2", "5", "5"}, "1-1-1-1-2-5", flow.DidRepeat, []string{"还没有执行", "shop/web：3 → 5"}},
		{"yes is no confirm", []string{"x", "1", "1", "1", "1", "2", "5", "确认"}, "1-1-1-1-2-5", flow.DidRepeat, []string{"还没有执行"}},
		{"full-width confirm", []string{"x", "1", "1", "1", "1", "2", "5", "１"}, "1-1", flow.DidConfirm, []string{"已受理 #"}},
		{"back from the accepted screen", []string{"x", "1", "1", "1", "1", "2", "5", "1", "0"}, "1-1", flow.DidBack, []string{"1. 调整 POD 数"}},
		{"a word after the accepted screen", []string{"x", "1", "1", "1", "1", "2", "5", "1", "好的"}, "1-1", flow.DidOpen, []string{"1. 调整 POD 数"}},
		{"help on the accepted screen", []string{"x", "1", "1", "1", "1", "2", "5", "1", "?"}, "1-1", flow.DidHelp, []string{"上一个操作已受理"}},
		{"a list to read", []string{"x", "1", "1", "2", "1"}, "1-1-2-1", flow.DidChoose, []string{"web  3/3"}},
		{"a list to read takes no number", []string{"x", "1", "1", "2", "1", "1"}, "1-1-2-1", flow.DidRepeat, []string{"只供查看"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := &talk{t: t, w: newWorld(t)}
			k.say(c.say...)
			if got := k.s.Path(); got != c.path || k.last.Did != c.did || !k.s.Open() {
				t.Errorf("path %q, did %q, open %t; want %q, %q", got, k.last.Did, k.s.Open(), c.path, c.did)
			}
			k.wants(c.wants...)
		})
	}
}

func TestExitEndsTheSession(t *testing.T) {
	for _, exit := range []string{"#", "退出", "＃"} {
		k := &talk{t: t, w: newWorld(t)}
		k.say("x", "1", "1", "1", "1", "2", exit)
		if k.s.Open() || k.s.SentAt == 0 || k.last.Did != flow.DidExit {
			t.Errorf("after %s: %+v", exit, k.s)
		}
		k.wants("已退出")
		k.say(exit)
		k.wants("没有进行中的会话")
	}
}

func many(n int) []wire.Item {
	items := make([]wire.Item, n)
	for i := range items {
		items[i] = wire.Item{Value: fmt.Sprintf("web-%03d", i+1)}
	}
	return items
}

func TestPaging(t *testing.T) {
	k := &talk{t: t, w: newWorld(t)}
	k.w.lists["k8s.deployments"] = many(20)
	k.say("x", "1", "1", "1", "1")
	k.wants("第 1/3 页", "8. web-008", "+ 下一页")
	k.say("9")
	k.wants("没有「9」这个选项")
	asked := len(k.w.asked)
	k.say("+")
	k.wants("第 2/3 页", "9. web-009", "- 上一页")
	k.say("＋", "下一页")
	k.wants("已经是最后一页", "20. web-020")
	k.say("-", "上一页", "-")
	k.wants("已经是第一页", "1. web-001")
	if len(k.w.asked) != asked || k.s.Path() != "1-1-1-1" {
		t.Errorf("paging asked %v, path %s", k.w.asked[asked:], k.s.Path())
	}
	k.say("20")
	if k.s.Hops[4].Text != "web-020" {
		t.Errorf("20 means %+v", k.s.Hops[4])
	}
}

func TestALongListIsCutAndSaysSo(t *testing.T) {
	k := &talk{t: t, w: newWorld(t)}
	k.w.lists["k8s.deployments"] = many(flow.MaxList + 50)
	k.say("x", "1", "1", "1", "1")
	k.wants("共 250 项，只显示前 200 项", "第 1/25 页")
}

// The list moves between the screen and the number: the number still means what was on the screen.
func TestANumberMeansWhatWasShown(t *testing.T) {
	k := &talk{t: t, w: newWorld(t)}
	k.say("x", "1", "1", "1", "1")
	k.wants("2. web")
	k.w.lists["k8s.deployments"] = []wire.Item{{Value: "aaa"}, {Value: "api"}, {Value: "web"}}
	k.say("2")
	if k.s.Hops[4].Text != "web" {
		t.Fatalf("2 became %+v", k.s.Hops[4])
	}
	k.say("0")
	k.wants("2. api", "3. web")
}

func TestAListThatCannotBeHadLosesNothing(t *testing.T) {
	k := &talk{t: t, w: newWorld(t)}
	k.say("x", "1", "1")
	k.w.fault = "列表暂时取不到（执行器没有应答），没有执行任何操作"
	k.say("1")
	if k.s.Path() != "1-1" || k.last.Reason != flow.ReasonNoAnswer {
		t.Errorf("path %s, reason %s", k.s.Path(), k.last.Reason)
	}
	k.wants("没有执行任何操作；稍后再次回复 1 重试", "1. 调整 POD 数")
	k.w.fault = ""
	k.say("1")
	k.wants("1. shop")
	k.say("1", "2")
	k.w.fields = map[string]string{"ready": "3"}
	k.say("5")
	k.wants("应答不完整", "输入新的副本数")
	k.w.fields = map[string]string{"replicas": "three"}
	k.say("5")
	k.wants("应答不完整")
}

func TestAMessageThatCameLateDoesNotAct(t *testing.T) {
	k := &talk{t: t, w: newWorld(t)}
	k.say("x", "1", "1", "1", "1", "2", "5")
	before := k.s
	r := k.w.step(t, k.s, flow.Event{ID: "late", Type: "text", Text: "1", SentAt: before.SentAt - 1})
	if r.Intent != nil || r.Reason != flow.ReasonLate || cmp.Diff(before, r.Session) != "" {
		t.Errorf("%+v", r)
	}
	if got := text(r.Screens); !strings.Contains(got, "较早的消息「1」现在才送达，没有执行") || !strings.Contains(got, "shop/web：3 → 5") {
		t.Error(got)
	}
	if r = k.w.step(t, before, flow.Event{ID: "same", Type: "text", Text: "1", SentAt: before.SentAt}); r.Intent == nil {
		t.Error("a message of the same second is not late")
	}
	closed := flow.Session{SentAt: before.SentAt}
	if r = k.w.step(t, closed, flow.Event{ID: "late", Type: "text", Text: "1", SentAt: before.SentAt - 1}); r.Session.Open() || r.Reason != flow.ReasonLate {
		t.Errorf("%+v", r)
	}
}

func TestAConfirmCountsOnlyInItsTime(t *testing.T) {
	k := &talk{t: t, w: newWorld(t)}
	k.w.now, k.w.at = 1_000_000, 999_000
	k.say("x", "1", "1", "1", "1", "2", "1")
	k.w.at = 999_500 // an impatient second 1, typed before the confirm was there
	if r := k.say("1"); r.Intent != nil || r.Reason != flow.ReasonUnseen {
		t.Errorf("%+v", r)
	}
	k.wants("早于确认页，没有执行", "shop/web：3 → 1")
	k.w.at, k.w.now = 1_005_000, 1_125_000
	if r := k.say("1"); r.Intent != nil || r.Reason != flow.ReasonLate {
		t.Errorf("%+v", r)
	}
	k.wants("耽搁太久，没有执行", "shop/web：3 → 1")
	k.w.now--
	if r := k.say("1"); r.Intent == nil {
		t.Error("the confirm does not count any more")
	}
}

func TestIdentity(t *testing.T) {
	k := &talk{t: t, w: newWorld(t)}
	k.say("x", "1", "1", "1", "1", "2", "5")
	k.w.identity = flow.Stale
	if r := k.say("1"); r.Intent != nil || r.Reason != flow.ReasonIdentity {
		t.Errorf("%+v", r)
	}
	k.wants("暂时无法核实你的身份，没有执行任何操作", "shop/web：3 → 5")
	k.w.identity = flow.Nobody
	if r := k.say("1"); r.Intent != nil || r.Session.Path() != "1-1-1-1-2-5" {
		t.Errorf("%+v", r)
	}
	k.wants("暂时无法核实你的身份")
	k.w.identity = flow.Fresh
	if r := k.say("1"); r.Intent == nil {
		t.Error("the session was lost")
	}
}

func TestPeopleSeeTheirOwn(t *testing.T) {
	k := &talk{t: t, w: newWorld(t).as("wangwu")}
	k.say("x")
	k.wants("1. 支付事业部")
	if strings.Contains(text(k.last.Screens), "零售") {
		t.Error("wangwu sees 零售事业部")
	}
	k.say("1", "1", "1")
	k.wants("1. pay")
	if strings.Contains(text(k.last.Screens), "shop") {
		t.Error("wangwu sees shop")
	}
	o := &talk{t: t, w: newWorld(t).as("outsider")}
	o.say("x")
	o.wants("没有可用的功能", "outsider")
	if o.s.Open() || o.last.Reason != flow.ReasonDenied {
		t.Errorf("%+v", o.last)
	}
}

func mustPolicy(t *testing.T, yaml string) *policy.Policy {
	t.Helper()
	p, err := policy.Parse("p.yaml", []byte(yaml))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestARightTakenAwayIsGoneAtTheNextStep(t *testing.T) {
	const head = "version: 1\nroles: {r: {users: [zhangsan]}}\ngrants:\n  - "
	for name, c := range map[string]struct{ policy, path, wants string }{
		"all":          {head + "{role: r, menu: [pay], actions: [k8s.scale]}\n", "", "1. 支付事业部"},
		"the action":   {head + "{role: r, menu: [retail], actions: [k8s.deployments], args: {namespace: [shop]}}\n", "1-1", "1. 查看部署"},
		"the value":    {head + "{role: r, menu: [retail], actions: [k8s.scale], args: {namespace: [other]}}\n", "1-1", "1. 调整 POD 数"},
		"another arg":  {head + "{role: r, menu: [retail], actions: [k8s.scale], args: {replicas: [4]}}\n", "1-1", "1. 调整 POD 数"},
		"whole person": {"version: 1\nroles: {r: {users: [lisi]}}\ngrants: [{role: r, menu: [pay], actions: [k8s.scale]}]\n", "", "没有可用的功能"},
	} {
		t.Run(name, func(t *testing.T) {
			k := &talk{t: t, w: newWorld(t)}
			k.say("x", "1", "1", "1", "1", "2", "5")
			k.w.policy = mustPolicy(t, c.policy)
			if r := k.say("1"); r.Intent != nil || r.Reason != flow.ReasonDenied || k.s.Path() != c.path {
				t.Errorf("path %q, %+v", k.s.Path(), r)
			}
			k.wants("没有执行任何操作", c.wants)
		})
	}
}

func TestALineThatIsNotAllowedAnyMoreIsNotShownAgain(t *testing.T) {
	const both = "version: 1\nroles: {r: {users: [zhangsan]}}\ngrants: [{role: r, menu: [retail, pay], actions: [k8s.*], args: {namespace: [shop, pay]}}]\n"
	k := &talk{t: t, w: newWorld(t)}
	k.w.policy = mustPolicy(t, both)
	k.say("x")
	k.wants("1. 零售事业部", "2. 支付事业部")
	k.w.policy = mustPolicy(t, strings.Replace(both, "retail, ", "", 1))
	if r := k.say("1"); r.Reason != flow.ReasonDenied || k.s.Path() != "" {
		t.Errorf("%+v", r)
	}
	k.wants("权限已变更，没有执行任何操作", "1. 支付事业部")
	k.say("1", "1", "1")
	k.wants("1. pay", "2. shop")
	k.w.policy = mustPolicy(t, "version: 1\nroles: {r: {users: [zhangsan]}}\ngrants: [{role: r, menu: [pay], actions: [k8s.*], args: {namespace: [shop]}}]\n")
	if r := k.say("1"); r.Reason != flow.ReasonDenied || k.s.Path() != "1-1-1" {
		t.Errorf("%+v", r)
	}
	k.wants("1. shop")
}

func TestOtherMenuRevision(t *testing.T) {
	k := &talk{t: t, w: newWorld(t)}
	k.say("x", "1", "1", "1", "1", "2", "5")
	data, err := os.ReadFile(local + "menu.yaml")
	if err != nil {
		t.Fatal(err)
	}
	newer, err := menu.Parse("menu.yaml", append(data, "# newer\n"...))
	if err != nil {
		t.Fatal(err)
	}
	old := *k
	old.w.latest = newer
	if r := old.say("1"); r.Intent == nil {
		t.Error("an open session does not finish on its own menu")
	}
	old.say("00")
	if old.s.Rev != newer.Rev {
		t.Error("home is not the newest menu")
	}
	k.w.menu, k.w.latest = newer, newer
	if r := k.say("1"); r.Intent != nil || r.Reason != flow.ReasonRevision || k.s.Rev != newer.Rev || len(k.s.Hops) != 0 {
		t.Errorf("%+v", r)
	}
	k.wants("菜单已更新，没有执行任何操作，请重新选择", "1. 零售事业部")
}

func TestOtherMessageTypes(t *testing.T) {
	k := &talk{t: t, w: newWorld(t)}
	k.say("x", "1", "1", "1", "1", "2", "5")
	before := k.s
	r := k.w.step(t, before, flow.Event{ID: "e", Type: "event", SentAt: before.SentAt + 5})
	if len(r.Screens) != 0 || cmp.Diff(before, r.Session) != "" {
		t.Errorf("an event: %+v", r)
	}
	r = k.w.step(t, before, flow.Event{ID: "i", Type: "image", Text: "1", SentAt: before.SentAt + 5})
	if r.Intent != nil || !strings.Contains(text(r.Screens), "只能处理文字消息") || r.Session.Path() != before.Path() {
		t.Errorf("an image: %+v", r)
	}
}

func TestListsAreMadeHarmless(t *testing.T) {
	k := &talk{t: t, w: newWorld(t)}
	k.w.lists["k8s.deployments"] = []wire.Item{
		{Value: ""}, {Value: "a\nb"}, {Value: strings.Repeat("x", 2000)}, {Value: "web", Label: "web\n1. 假的", Detail: "\u202e3/3"}, {Value: "web"},
	}
	k.say("x", "1", "1", "1", "1")
	want := []wire.Choice{{Key: "1", Label: "web 1. 假的", Detail: "3/3"}}
	if diff := cmp.Diff(want, k.last.Screens[0].Choices); diff != "" {
		t.Error(diff)
	}
}

func TestAnEmptyListSaysSo(t *testing.T) {
	k := &talk{t: t, w: newWorld(t)}
	k.w.lists["k8s.deployments"] = nil
	k.say("x", "1", "1", "1", "1")
	k.wants("这个命名空间里没有部署", "0 返回")
	k.say("1")
	k.wants("这里没有可选项")
	k.say("0")
	k.wants("1. shop")
}

const fromZero = `
version: 1
title: 老菜单
first: 0
items:
  - id: a
    title: 甲
    steps:
      - input: {param: size, type: enum, values: [小-号, 大\号], prompt: 选择大小}
      - input: {param: word, type: text, default: 无}
      - confirm: {text: "{{.size}} {{.word}}"}
      - action: {zone: z, pool: p, action: a.b, args: {size: $size, word: $word}, title: "{{.word}}"}
  - {id: b, title: 乙, steps: [{dynamic: {source: {zone: z, pool: p, action: a.list}}}]}
`

func TestAMenuThatCountsFromZero(t *testing.T) {
	w := newWorld(t)
	var err error
	if w.menu, err = menu.Parse("m.yaml", []byte(fromZero)); err != nil {
		t.Fatal(err)
	}
	w.policy = mustPolicy(t, "version: 1\nroles: {r: {users: [zhangsan]}}\ngrants: [{role: r, menu: [a, b], actions: [a.*]}]\n")
	k := &talk{t: t, w: w}
	k.say("x")
	k.wants("0. 甲", "1. 乙")
	k.say("0")
	k.wants("0. 小-号", "1. 大\\号", "返回 · 00 首页")
	k.say("1", "a-b\\c")
	k.wants("大\\号 a-b\\c", "1. 确认执行")
	if got, want := k.s.Path(), `0-1-a\-b\\c`; got != want {
		t.Errorf("path %s, want %s", got, want)
	}
	if diff := cmp.Diff([]string{"0", "1", `a-b\c`}, flow.SplitPath(k.s.Path())); diff != "" {
		t.Error(diff)
	}
	k.say("0")
	k.wants("还没有执行")
	k.say("返回", "=返回")
	k.wants("大\\号 返回")
	k.say("返回", "默认")
	k.wants("大\\号 无")
	if r := k.say("1"); r.Intent == nil || r.Intent.Args["word"] != "无" {
		t.Errorf("%+v", r.Intent)
	}
}
