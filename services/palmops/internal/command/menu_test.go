package command

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

func walk(t testing.TB, args ...string) result {
	t.Helper()
	return call(t, "", append([]string{"menu", "walk", "--config", localConfig}, args...)...)
}

// screens cuts a walk's output into what each input showed, the opening first.
func (r result) screens() []string {
	return strings.Split(strings.TrimPrefix(r.out, "> "), "\n> ")
}

func TestWalkPrintsEveryScreenAndTheOrder(t *testing.T) {
	t.Parallel()
	r := walk(t, "1", "1", "1", "1", "2", "5", "1", "--expect", "已受理", "--expect", "shop/web 副本数 3 → 5")
	if r.code != ExitFine || r.err != "" {
		t.Fatalf("%+v", r)
	}
	screens := r.screens()
	if len(screens) != 8 {
		t.Fatalf("%d screens:\n%s", len(screens), r.out)
	}
	for i, want := range []string{
		"菜单\n", "1\n", "1. 调整 POD 数", "1. shop", "2. web  3/3 就绪", "输入新的副本数", "shop/web：3 → 5",
		"= k8s.scale deployment=web from=3 namespace=shop replicas=5\n",
	} {
		if !strings.Contains(screens[i], want) {
			t.Errorf("screen %d has no %q:\n%s", i, want, screens[i])
		}
		if i < 7 && strings.Contains(screens[i], "= k8s.") {
			t.Errorf("screen %d sends an order:\n%s", i, screens[i])
		}
	}
}

func TestWalkExpect(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args []string
		code int
	}{
		{[]string{"--expect", "零售事业部"}, ExitFine},
		{[]string{"--expect", "零售事业部", "1", "1"}, ExitRefused}, // it was on a screen before the last one
		{[]string{"1", "--expect", "Kubernetes 操作"}, ExitFine},
		{[]string{"--expect", "Kubernetes 操作", "1", "--expect", "没有这个"}, ExitRefused},
		{[]string{"--expect", "没有这个", "1", "--expect", "Kubernetes 操作"}, ExitRefused},
		{[]string{"1", "0", "--expect", "1. 零售事业部"}, ExitFine},                         // back
		{[]string{"1", "1", "00", "--expect", "1. 零售事业部"}, ExitFine},                   // home
		{[]string{"1", "1", "1", "1", "2", "--expect", "不能", "--", "-1"}, ExitRefused}, // after -- nothing is a flag
		{[]string{"1", "1", "1", "1", "2", "--expect", "超出范围", "--", "-1"}, ExitFine},  // and the number is not taken
		{[]string{"1", "1", "1", "1", "2", "+3", "--expect", "不要写加号"}, ExitFine},       // a target is absolute
		{[]string{"1", "1", "1", "1", "2", "21", "--expect", "超出范围"}, ExitFine},
		{[]string{"1", "1", "1", "1", "2", "20", "1", "--expect", "replicas=20"}, ExitFine},            // the order is a part of the screen
		{[]string{"1", "1", "1", "1", "2", "20", "0", "--expect", "replicas=20"}, ExitRefused},         // no confirm, no order
		{[]string{"1", "1", "2", "1", "--expect", "web  3/3 就绪"}, ExitFine},                            // a list to read
		{[]string{"1", "1", "1", "2", "--expect", "= k8s"}, ExitRefused},                               // pay is not on the list
		{[]string{"--user", "LiSi", "1", "1", "1", "1", "1", "0", "--expect", "1. api"}, ExitFine},     // user ids have no case
		{[]string{"--user", "wangwu", "1", "1", "1", "1", "1", "=0", "--expect", "pay/api"}, ExitFine}, // another branch, another namespace
		{[]string{"--user", "wangwu", "--expect", "零售"}, ExitRefused},
	} {
		r := walk(t, c.args...)
		if r.code != c.code {
			t.Errorf("%q: exit %d\n%s%s", c.args, r.code, r.out, r.err)
		}
		if c.code == ExitRefused && (!strings.HasPrefix(r.err, "expected ") || r.out == "") {
			t.Errorf("%q: %q", c.args, r.err)
		}
	}
}

func TestWalkOfAnOutsiderShowsNothing(t *testing.T) {
	t.Parallel()
	for _, user := range []string{"outsider", "nobody-knows"} {
		r := walk(t, "--user", user, "1", "1", "1", "1", "2", "5", "1", "--expect", "没有可用的功能")
		if r.code != ExitFine || len(r.screens()) != 8 {
			t.Errorf("%+v", r)
		}
		for _, hidden := range []string{"事业部", "Kubernetes", "调整", "shop", "web", "= k8s", "请确认"} {
			if strings.Contains(r.out, hidden) {
				t.Errorf("%s sees %q:\n%s", user, hidden, r.out)
			}
		}
	}
}

func TestWalkAsMemberOfADepartment(t *testing.T) {
	t.Parallel()
	dir := simpleConfig(t)
	edit(t, dir, "policy.yaml", "users: [wangwu]", "departments: [12]")
	args := []string{"menu", "walk", "--config", dir, "--user", "newcomer", "--expect", "支付事业部"}
	fine(t, "", append(args, "--department", "7", "--department", "12")...)
	for _, d := range [][]string{nil, {"--department", "1"}, {"--department", "120"}} {
		if r := call(t, "", append(args, d...)...); r.code != ExitRefused {
			t.Errorf("%q: %+v", d, r)
		}
	}
	for _, d := range []string{"12abc", "12 ", "0xc", "十二", ""} {
		call(t, "", append(args, "--department", d)...).refused(t, ExitFailed, "--department")
	}
}

// TestWalkWithoutAnAnswer: what the answers do not cover is said, after the screens up to there.
func TestWalkWithoutAnAnswer(t *testing.T) {
	t.Parallel()
	dir := simpleConfig(t)
	edit(t, dir, "answers.yaml", "k8s.deployments:", "k8s.pods:")
	args := []string{"menu", "walk", "--config", dir, "1", "1", "1"}
	fine(t, "", args...)
	r := call(t, "", append(args, "1", "2", "--expect", "shop")...)
	if r.code != ExitRefused || !strings.Contains(r.out, "1. shop") {
		t.Errorf("%+v", r)
	}
	for _, want := range []string{filepath.Join(dir, "answers.yaml"), "k8s.deployments", "retail-scale"} {
		if !strings.Contains(r.err, want) {
			t.Errorf("no %q in %q", want, r.err)
		}
	}
	short := filepath.Join(t.TempDir(), "short.yaml")
	if err := os.WriteFile(short, []byte("k8s.namespaces:\n  items: [{value: shop, label: 商城}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r = walk(t, "--answers", short, "1", "1", "1", "--expect", "商城")
	if r.code != ExitFine {
		t.Errorf("%+v", r)
	}
}

// TestWalkOfBrokenFiles: a walk names every mistake of the files it needs, and walks nowhere.
func TestWalkOfBrokenFiles(t *testing.T) {
	t.Parallel()
	dir := simpleConfig(t)
	edit(t, dir, "menu.yaml", "page_size:", "pagesize:")
	edit(t, dir, "policy.yaml", "- role: retail-lead", "- role: retail-boss")
	edit(t, dir, "answers.yaml", "fields:", "feilds:")
	said := call(t, "", "menu", "walk", "--config", dir, "1").refused(t, ExitRefused)
	for file, at := range map[string]string{"menu.yaml": "pagesize:", "policy.yaml": "retail-boss", "answers.yaml": "feilds:"} {
		if want := filepath.Join(dir, file) + ":" + strconv.Itoa(lineOf(t, dir, file, at)) + ": "; !strings.Contains(said, want) {
			t.Errorf("no %s in\n%s", want, said)
		}
	}
	empty := t.TempDir()
	call(t, "", "menu", "walk", "--config", empty).refused(t, ExitRefused,
		filepath.Join(empty, "menu.yaml")+": no such file", filepath.Join(empty, "policy.yaml")+": no such file", filepath.Join(empty, "answers.yaml")+": no such file")
}

func TestWalkTurnsPages(t *testing.T) {
	t.Parallel()
	dir := simpleConfig(t)
	edit(t, dir, "menu.yaml", "page_size: 8", "page_size: 1")
	r := call(t, "", "menu", "walk", "--config", dir, "1", "1", "+", "-", "+", "--expect", "查看部署", "--expect", "第 2/2 页")
	if screens := r.screens(); r.code != ExitFine || len(screens) != 6 || !strings.Contains(screens[4], "第 1/2 页") {
		t.Errorf("%+v", r)
	}
}
