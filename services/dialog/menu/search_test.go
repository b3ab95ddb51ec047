package menu

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"palmops/libs/lang"
)

// grown makes a menu of nodes by hand: what Build does behind the reading.
func grown(items ...*Node) *Menu {
	m := &Menu{File: "menu.yaml", Title: lang.Words{ZH: "掌上运维"}, First: 1, PageSize: 8, Root: &Node{Items: items}, nodes: map[string]*Node{}}
	at := 0
	var number func(n *Node)
	number = func(n *Node) {
		n.Index, at = at, at+1
		for _, below := range n.Items {
			below.Parent = n
			below.path = append(append([]string{}, n.path...), below.ID)
			m.nodes[below.ID] = below
			number(below)
		}
	}
	m.Root.Title = m.Title
	number(m.Root)
	m.search = newIndex(m)
	return m
}

func titled(id, zh, en string, items ...*Node) *Node {
	return &Node{ID: id, Title: lang.Words{ZH: zh, EN: en}, Items: items}
}

func retail() *Menu {
	restart := titled("restart", "Kubernetes 重启", "Kubernetes restart")
	scale := titled("scale", "调整 POD 数", "Scale pods")
	scale.Alias = []string{"扩容", "ｈＰＡ"} // 扩容 is kr as well
	link := titled("go", "去调整", "")
	link.Link = scale
	return grown(
		titled("retail", "零售事业部", "Retail", titled("rk8s", "Kubernetes 操作", "", scale, restart, titled("long", "重（长）庆", ""))),
		titled("pay", "支付事业部", "", titled("pk8s", "Kubernetes 操作", "", titled("pay-restart", "重启", ""), link)),
		titled("green", "绿色通道", ""),
	)
}

func TestSearch(t *testing.T) {
	m := retail()
	for query, want := range map[string]string{
		"重启": "pay-restart restart", "重启 ": "pay-restart restart", "kr": "scale restart", "KR": "scale restart", "ｋｒ": "scale restart", "kcq": "restart pay-restart go", "kzq": "restart pay-restart",
		"chongqi": "pay-restart restart", "zhongqi": "pay-restart restart", "chongq": "pay-restart restart", "cqi": "pay-restart restart long", "重qi": "pay-restart restart",
		"chong qi": "pay-restart restart long", "kubernetes重启": "restart", "Kubernetes 重启": "restart pay-restart", "restart": "restart", "零售 重启": "restart", "重启 零售": "restart",
		"支付 重启": "pay-restart", "lskcq": "restart", "lsybkcq": "", "lssybkcq": "restart", "zhifu chongqi": "pay-restart", "zfcq": "pay-restart", "retail restart": "restart",
		"扩容": "scale", "kuorong": "scale", "hpa": "scale", "tzps": "scale", "tiaozhengpod": "scale", "pods": "scale", "tzpods": "scale", "sp": "scale",
		"去调整": "go", "qtz": "go", "tiaozheng": "scale go", "lvse": "green", "lstd": "green", "changqing": "long", "zhongchang": "long", "重长庆": "long", "重（长": "long",
		"": "", "  ": "", "xyz": "", "零售 零售": "retail", "支付 kubernetes 重启": "pay-restart", "\xff重启": "pay-restart restart", "。": "",
	} {
		var got []string
		for _, n := range m.Search(query, nil, 100) {
			got = append(got, n.ID)
		}
		if s := strings.Join(got, " "); s != want {
			t.Errorf("%q finds %q, want %q", query, s, want)
		}
	}
}

func TestSearchAsksOnlyAboutHits(t *testing.T) {
	m := retail()
	asked := 0
	got := m.Search("重启", func(n *Node) bool { asked++; return n.ID == "restart" }, 5)
	if len(got) != 1 || got[0].ID != "restart" || asked != 2 {
		t.Errorf("%d nodes after %d questions", len(got), asked)
	}
	if got := m.Search("重启", nil, 1); len(got) != 1 || got[0].ID != "pay-restart" {
		t.Errorf("the best one is %v", got)
	}
	if m.Search("重启", nil, 0) != nil || (&Menu{}).Search("重启", nil, 1) != nil {
		t.Error("something was found where nothing can be")
	}
}

func TestFilter(t *testing.T) {
	for query, passes := range map[string]bool{"": true, "we": true, "WEB 3": true, "shangdian": true, "sd": true, "web x": false, "绿": false} {
		if NewFilter(query).Passes("web-7f", "商店（3/3）") != passes {
			t.Errorf("%q passes: %v", query, !passes)
		}
	}
}

// typed are ways in which a title is written: its characters, one reading of each, and its initials.
func typed(t *rapid.T, title string) (pinyin, initials string) {
	_, glyphs := newScript().read(title)
	for _, g := range glyphs {
		form := rapid.SampledFrom(g.forms).Draw(t, "form")
		if len(g.forms) > 1 {
			form = rapid.SampledFrom(g.forms[1:]).Draw(t, "reading")
		}
		if g.loose && rapid.Bool().Draw(t, "left out") {
			form = ""
		}
		pinyin += form
		if g.start {
			initials += form[:utf8.RuneLen([]rune(form)[0])]
		}
	}
	return pinyin, initials
}

func TestEveryNodeIsFound(t *testing.T) {
	titles := rapid.StringOfN(rapid.RuneFrom([]rune("重启调整数据库长乐绿了行 ABkr8-（）·零售")), 1, 30, -1)
	rapid.Check(t, func(t *rapid.T) {
		var items []*Node
		for i := range rapid.IntRange(1, 12).Draw(t, "nodes") {
			n := titled(fmt.Sprint("n", i), "重"+titles.Draw(t, "zh"), titles.Draw(t, "en")+"x")
			if i > 0 && rapid.Bool().Draw(t, "below") {
				items[len(items)-1].Items = append(items[len(items)-1].Items, n)
				continue
			}
			items = append(items, n)
		}
		m := grown(items...)
		has := func(n *Node, query string) {
			for _, hit := range m.Search(query, nil, 1000) {
				if hit == n {
					return
				}
			}
			t.Fatalf("%q does not find %q %q", query, n.Title.ZH, n.Title.EN)
		}
		for _, n := range m.nodes {
			for _, title := range []string{n.Title.ZH, n.Title.EN} {
				has(n, title)
				has(n, strings.ToUpper(title))
				pinyin, initials := typed(t, title)
				has(n, pinyin)
				has(n, initials)
			}
		}
	})
}

func TestSearchNeverPanics(t *testing.T) {
	m := retail()
	rapid.Check(t, func(t *rapid.T) {
		query := rapid.OneOf(rapid.String(), rapid.StringOf(rapid.RuneFrom([]rune("kcqlsz 重启零售８é")))).Draw(t, "query")
		seen := map[*Node]bool{}
		for _, n := range m.Search(query, nil, 100) {
			if n == nil || seen[n] {
				t.Fatalf("%q gives %v", query, n)
			}
			seen[n] = true
		}
	})
}

// wide is a menu of about n nodes with titles as people write them.
func wide(n int) *Menu {
	things := []string{"Kubernetes 重启", "调整 POD 数", "数据库 慢查询", "清理缓存", "查看日志", "主机磁盘", "证书到期", "切换流量", "回滚版本", "Redis 大键"}
	english := []string{"Kubernetes restart", "Scale pods", "Slow queries", "Clear cache", "Logs", "Disks", "Certificates", "Switch traffic", "Roll back", "Redis big keys"}
	var tops []*Node
	for i := 0; len(tops)*101 < n; i++ {
		top := titled(fmt.Sprint("t", i), fmt.Sprintf("第%d事业部", i), fmt.Sprint("Division ", i))
		for j := range 10 {
			group := titled(fmt.Sprintf("g%d-%d", i, j), fmt.Sprintf("系统%d 操作", j), "")
			for k := range 9 {
				group.Items = append(group.Items, titled(fmt.Sprintf("n%d-%d-%d", i, j, k), fmt.Sprint(things[k], j), english[k]))
			}
			top.Items = append(top.Items, group)
		}
		tops = append(tops, top)
	}
	return grown(tops...)
}

func BenchmarkSearch10000(b *testing.B) {
	m := wide(10000)
	for _, query := range []string{"重启", "kr", "chongqi", "k", "第9 重启", "dsybkcq", "nothing"} {
		b.Run(query, func(b *testing.B) {
			for b.Loop() {
				m.Search(query, func(*Node) bool { return true }, 20)
			}
		})
	}
}

func BenchmarkIndex10000(b *testing.B) {
	m := wide(10000)
	for b.Loop() {
		newIndex(m)
	}
}
