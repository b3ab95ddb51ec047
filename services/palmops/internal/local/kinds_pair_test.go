package local

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"palmops/libs/wire"
)

// pair is two people who order a change of one thing at the same moment. Each has walked to the confirm already.
type pair struct {
	*running
	first, second string
}

// confirms confirms what the first one's phone shows, and waits until it is at work; then the second one does the same and must
// be told for whom to wait. It gives what the second phone had before that.
func (p pair) confirms(t *testing.T, first, second string, atWork func()) (firstFrom, secondFrom int64) {
	t.Helper()
	firstFrom = p.says(t, p.first, first)
	id := accepted.FindStringSubmatch(p.hears(t, p.first, firstFrom, "已受理 #"))
	if id == nil {
		t.Fatal("there is no number")
	}
	atWork()
	secondFrom = p.says(t, p.second, second)
	if said := p.hears(t, p.second, secondFrom, "正在等待"); !strings.Contains(said, "正在等待 #"+id[1]) {
		t.Errorf("%s is told\n%s\ninstead of #%s", p.second, said, id[1])
	}
	return firstFrom, secondFrom
}

var accepted = regexp.MustCompile(`已受理 #([0-9A-Z]+)`)

func arrives(t *testing.T, g *gate) {
	t.Helper()
	select {
	case <-g.came:
	case <-time.After(patience):
		t.Fatal("the call does not come")
	}
}

// TestTwoCallsOfOneObject: the second call is made when the first has been answered.
func TestTwoCallsOfOneObject(t *testing.T) {
	b := newBalancer(t)
	p := pair{shipped{kind: "http", swaps: b.swaps(), files: map[string]string{"lb.token": balancerToken + "\n"}}.start(t), "zhangsan", "lisi"}
	for _, who := range []string{p.first, p.second} {
		p.tell(t, "walk", who+"> 菜单\n"+who+"> [负载均衡]\n"+who+"> [主机]\n"+who+"> [web-1]\n"+who+"> [摘除]\n  请确认\n")
	}
	g := b.hold("web-1")
	first, second := p.confirms(t, "1", "1", func() { arrives(t, g) })
	if calls, _ := b.seen(); len(calls) != 0 {
		t.Errorf("carried out already: %q", calls)
	}
	close(g.leave)
	p.hears(t, p.first, first, "已摘除")
	p.hears(t, p.second, second, "已摘除")
	if calls, most := b.seen(); len(calls) != 2 || most != 1 {
		t.Errorf("%q, %d at once", calls, most)
	}
}

// TestTwoReleases: a workflow never runs twice at once, and its steps keep others from their targets.
func TestTwoReleases(t *testing.T) {
	b := newBalancer(t)
	restart := script(t, "restart-app", "exit 0\n")
	p := pair{shipped{
		kind: "workflow", swaps: append(b.swaps(), "/opt/palmops/bin/restart-app", restart, "user: palmops-deploy", asMyself()),
		files: map[string]string{"lb.token": balancerToken + "\n"},
	}.start(t), "zhangsan", "lisi"}
	code := regexp.MustCompile(`请输入 (\d{4}) 确认执行`)
	var codes []string
	for _, who := range []string{p.first, p.second} {
		p.tell(t, "walk", who+"> 菜单\n"+who+"> [发布]\n"+who+"> [摘流重启]\n")
		from := p.says(t, who, "1")
		codes = append(codes, code.FindStringSubmatch(p.hears(t, who, from, "确认执行"))[1])
	}
	g := b.hold("web-1")
	first, second := p.confirms(t, codes[0], codes[1], func() { arrives(t, g) })
	close(g.leave)
	p.hears(t, p.first, first, "全部 3 步已完成")
	p.hears(t, p.second, second, "全部 3 步已完成")
	calls, most := b.seen()
	if strings.Join(calls, ",") != "web-1 draining,web-1 active,web-1 draining,web-1 active" || most != 1 {
		t.Errorf("%q, %d at once", calls, most)
	}
}

// TestTwoKillsOfOneConnection: the database stands still while the first one is at work. The second one finds nothing to end, and says so.
func TestTwoKillsOfOneConnection(t *testing.T) {
	db, s := orders(t, "dba: {tags: [2]}", "dba: {users: [wangwu, lisi]}")
	do(t, db, "SET GLOBAL log_output = 'TABLE'; SET GLOBAL general_log = ON")
	slow := connects(t, db)
	slow.runs("SELECT SLEEP(1000), 'nightly report'")
	busy(t, db, slow, "User sleep")
	p := pair{s.start(t), "wangwu", "lisi"}
	for _, who := range []string{p.first, p.second} {
		p.tell(t, "walk", who+"> 菜单\n"+who+"> [订单数据库]\n"+who+"> [正在运行]\n  nightly report\n"+who+`> {(\d+)\. [^\n]*nightly report}`+"\n"+who+"> [终止语句]\n  请确认\n")
	}
	if err := db.Freeze(); err != nil {
		t.Fatal(err)
	}
	first, second := p.confirms(t, "1", "1", func() {
		until(t, "the first one's lock", func() bool { return strings.Contains(p.everything(t), " $KV."+wire.BucketActions+".lock.") })
	})
	if err := db.Thaw(); err != nil {
		t.Fatal(err)
	}
	p.hears(t, p.first, first, "的语句已终止")
	if said := p.hears(t, p.second, second, "失败 #"); !strings.Contains(said, "没有执行任何操作") {
		t.Errorf("the second one is told %s", said)
	}
	if got := do(t, db, "SELECT COUNT(*) FROM mysql.general_log WHERE argument LIKE 'KILL QUERY%'"); got != "1" {
		t.Errorf("the database was told %s times", got)
	}
}
