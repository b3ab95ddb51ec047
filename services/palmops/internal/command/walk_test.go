package command

import (
	"regexp"
	"strings"
	"testing"

	dialog "palmops/services/dialog/app"
	"palmops/services/dialog/menu"
)

// timelessConfig is the shipped configuration without what depends on the hour of the day.
func timelessConfig(t testing.TB) string {
	t.Helper()
	dir := copyConfig(t)
	edit(t, dir, "policy.yaml", `    hours: {days: [mon-fri], from: "09:00", to: "18:00"}`+"\n", "")
	return dir
}

// walker goes to nodes of a menu as one person.
type walker struct {
	t    testing.TB
	dir  string
	user string
}

// at gives the last screen after the inputs.
func (w walker) at(inputs ...string) string {
	w.t.Helper()
	r := call(w.t, "", append([]string{"menu", "walk", "--config", w.dir, "--user", w.user, "--"}, inputs...)...)
	if r.code != ExitFine {
		w.t.Fatalf("%s %q: exit %d\n%s%s", w.user, inputs, r.code, r.out, r.err)
	}
	screens := r.screens()
	return screens[len(screens)-1]
}

// to gives the inputs that lead to a node, and false when the person does not see it.
func (w walker) to(n *menu.Node) (inputs []string, ok bool) {
	w.t.Helper()
	var nodes []*menu.Node
	for ; n.Parent != nil; n = n.Parent {
		nodes = append([]*menu.Node{n}, nodes...)
	}
	for i, node := range nodes {
		m := regexp.MustCompile(`(?m)^  (\d+)\. ` + regexp.QuoteMeta(node.Title.ZH) + `( |$)`).FindStringSubmatch(w.at(inputs...))
		if m == nil {
			return nil, false
		}
		inputs = append(inputs, m[1])
		if i < len(nodes)-1 {
			for range node.Steps { // the shipped lists ask only for lines of other lists
				inputs = append(inputs, "1")
			}
		}
	}
	return inputs, true
}

// TestEveryShippedNodeCanBeWalked: somebody of the simulator's company reaches each node of the shipped menu, and what it
// asks first is answered by the shipped answers.
func TestEveryShippedNodeCanBeWalked(t *testing.T) {
	t.Parallel()
	dir := timelessConfig(t)
	m, err := menu.Load(dir+"/menu.yaml", menu.BuildOptions{Nodes: dialog.NodeNames()})
	if err != nil {
		t.Fatal(err)
	}
	ids := m.IDs()
	if len(ids) != 55 {
		t.Errorf("%d nodes", len(ids))
	}
	for _, id := range ids {
		n, reached := m.Node(id), false
		for _, user := range []string{"lisi", "zhangsan", "wangwu", "zhaoliu", "sunqi", "qianba"} {
			w := walker{t, dir, user}
			inputs, ok := w.to(n)
			if !ok {
				continue
			}
			reached = true
			screen := w.at(inputs...)
			title := n.Target().Title.ZH
			if steps := n.Target().Steps; len(steps) > 0 && steps[0].Custom != nil && steps[0].Custom.Remote != nil {
				title = "1. " // a view brings a title of its own
			}
			if steps := n.Target().Steps; len(steps) == 1 && steps[0].Action != nil {
				title = "= " + steps[0].Action.Action // a report that asks nothing is ordered when it is entered
			}
			if !strings.Contains(screen, title) && n.Open == "" {
				t.Errorf("%s at %s %q sees\n%s", user, id, inputs, screen)
			}
			for _, bad := range []string{"没有可用的功能", "没有回应", "出错"} {
				if strings.Contains(screen, bad) {
					t.Errorf("%s at %s %q sees\n%s", user, id, inputs, screen)
				}
			}
			break
		}
		if !reached {
			t.Errorf("nobody reaches %s", id)
		}
	}
}

// TestWalkAsksTheDirectory: departments come from the simulator's company, as for policy test, with those above them.
func TestWalkAsksTheDirectory(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ user, sees, not string }{
		{"zhaoliu", "物流事业部", "平台事业部"},
		{"SunQi", "平台事业部", "物流事业部"},
		{"qianba", "零售事业部", "支付事业部"}, // of 零售运维组, which is below 零售事业部
		{"outsider", "没有可用的功能", "公共工具"},
	} {
		fine(t, "", "menu", "walk", "--config", localConfig, "--user", c.user, "--expect", c.sees)
		r := call(t, "", "menu", "walk", "--config", localConfig, "--user", c.user, "--expect", c.not)
		if r.code != ExitRefused {
			t.Errorf("%s sees %s:\n%s", c.user, c.not, r.out)
		}
	}
	// Flags win over the directory.
	fine(t, "", "menu", "walk", "--config", localConfig, "--user", "outsider", "--department", "5", "--expect", "物流事业部")
	fine(t, "", "menu", "walk", "--config", localConfig, "--user", "nobody", "--tag", "1", "--expect", "零售事业部")
}

// TestWalkOfARemoteNode: the view of the answers is shown, its lines are chosen by number, and its end sets the value.
func TestWalkOfARemoteNode(t *testing.T) {
	t.Parallel()
	dir := timelessConfig(t)
	w := walker{t, dir, "lisi"}
	first := w.at("/排障", "1")
	for _, want := range []string{"服务变慢怎么查", "所有接口都慢，还是只有个别接口慢？", "1. 所有接口都慢", "2. 只有个别接口慢"} {
		if !strings.Contains(first, want) {
			t.Errorf("no %q in\n%s", want, first)
		}
	}
	// As a step of a form: its end sets the value, and the next question comes.
	edit(t, dir, "menus/platform.yaml", "go: cidr", "remote: {zone: local, pool: k8s, action: drill.guide}")
	edit(t, dir, "answers.yaml", "    title: 服务变慢怎么查", "    done: true\n    value: 10.0.0.0/8")
	if got := (walker{t, dir, "sunqi"}).at("/开放端口", "1", "1", "8443"); !strings.Contains(got, "对 10.0.0.0/8 开放端口 8443") {
		t.Errorf("%s", got)
	}
	edit(t, dir, "answers.yaml", "drill.guide:", "drill.list.of:")
	r := call(t, "", "menu", "walk", "--config", dir, "--user", "lisi", "/排障", "1")
	if r.code != ExitRefused || !strings.Contains(r.err, "drill.guide") || !strings.Contains(r.err, "answers.yaml") {
		t.Errorf("%+v", r)
	}
}

// TestWalkOfTheDirectoryLists: departments and their members come from the answers.
func TestWalkOfTheDirectoryLists(t *testing.T) {
	t.Parallel()
	w := walker{t, timelessConfig(t), "lisi"}
	if got := w.at("/通讯录", "1"); !strings.Contains(got, "1. 零售事业部") || !strings.Contains(got, "2. 支付事业部") {
		t.Errorf("%s", got)
	}
	if got := w.at("/通讯录", "1", "1"); !strings.Contains(got, "张三  运维工程师") {
		t.Errorf("%s", got)
	}
}
