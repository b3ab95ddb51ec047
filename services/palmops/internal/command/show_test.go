package command

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

func TestMenuShowAsText(t *testing.T) {
	t.Parallel()
	dir := timelessConfig(t)
	all := fine(t, "", "menu", "show", "--config", dir)
	for _, want := range []string{"零售事业部", "支付事业部", "物流事业部", "平台事业部", "公共工具", "我的任务", "retail-scale"} {
		if !strings.Contains(all, want) {
			t.Errorf("no %q in\n%s", want, all)
		}
	}
	if n := strings.Count(all, "\n"); n < 46 {
		t.Errorf("%d lines for 45 nodes:\n%s", n, all)
	}
	if got := fine(t, "", "menu", "show", "--config", "nowhere", "--menu", filepath.Join(dir, "menu.yaml")); got != all {
		t.Errorf("by --menu it is\n%s", got)
	}
	english := fine(t, "", "menu", "show", "--config", dir, "--lang", "en")
	if strings.Contains(english, "零售") || !strings.Contains(english, "Retail") {
		t.Errorf("in English it is\n%s", english)
	}
}

// TestMenuShowForSomebody: only what the person sees now, whom the directory or the flags describe.
func TestMenuShowForSomebody(t *testing.T) {
	t.Parallel()
	dir := timelessConfig(t)
	for _, c := range []struct {
		flags     string
		sees, not []string
	}{
		{"--user zhangsan", []string{"retail-scale", "retail-switch", "members"}, []string{"pay-scale", "logistics", "platform-dns"}},
		{"--user WangWu", []string{"pay-scale", "pay-release"}, []string{"retail-scale", "logistics"}},
		{"--user zhaoliu", []string{"logistics-device-reboot", "cidr"}, []string{"retail-scale", "pay-scale", "platform-dns"}},
		{"--user sunqi", []string{"platform-maintenance", "platform-port"}, []string{"retail-scale", "logistics-scale"}},
		{"--user qianba", []string{"retail-deployments"}, []string{"retail-scale", "retail-restart", "pay-scale"}},
		{"--user outsider", nil, []string{"retail", "pay", "common", "members"}},
		{"--user nobody --department 6", []string{"platform-dns"}, []string{"logistics-scale"}},
		{"--user nobody --tag 1", []string{"retail-browse"}, []string{"retail-scale"}},
	} {
		out := fine(t, "", append([]string{"menu", "show", "--config", dir}, strings.Fields(c.flags)...)...)
		for _, id := range c.sees {
			if !shows(out, id) {
				t.Errorf("%s: no %s in\n%s", c.flags, id, out)
			}
		}
		for _, id := range c.not {
			if shows(out, id) {
				t.Errorf("%s: %s is in\n%s", c.flags, id, out)
			}
		}
	}
}

// shows reports whether a drawing names a node.
func shows(drawing, id string) bool {
	return regexp.MustCompile(`(^|[^\w-])` + regexp.QuoteMeta(id) + `([^\w-]|$)`).MatchString(drawing)
}

func TestMenuShowAsPicture(t *testing.T) {
	t.Parallel()
	dir := timelessConfig(t)
	mermaid := fine(t, "", "menu", "show", "--config", dir, "--format", "mermaid", "--user", "lisi")
	if !strings.HasPrefix(mermaid, "flowchart") && !strings.HasPrefix(mermaid, "graph") {
		t.Errorf("no flowchart:\n%s", mermaid)
	}
	if !strings.Contains(mermaid, "零售事业部") || strings.Contains(mermaid, "物流事业部") {
		t.Errorf("not what lisi sees:\n%s", mermaid)
	}
	svg := fine(t, "", "menu", "show", "--config", dir, "--format", "svg")
	if !strings.HasPrefix(strings.TrimSpace(svg), "<svg") && !strings.HasPrefix(svg, "<?xml") {
		t.Errorf("no SVG:\n%.200s", svg)
	}
	for d := xml.NewDecoder(strings.NewReader(svg)); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("the SVG is no XML: %v", err)
		}
	}
	if !strings.Contains(svg, "物流事业部") {
		t.Error("the picture has no 物流事业部")
	}
	call(t, "", "menu", "show", "--config", dir, "--format", "png").refused(t, ExitFailed, "text", "mermaid", "svg", "png")
}

func TestMenuShowOfBrokenFiles(t *testing.T) {
	t.Parallel()
	dir := simpleConfig(t)
	edit(t, dir, "menu.yaml", "page_size:", "pagesize:")
	at := filepath.Join(dir, "menu.yaml") + ":" + strconv.Itoa(lineOf(t, dir, "menu.yaml", "pagesize:")) + ": "
	call(t, "", "menu", "show", "--config", dir).refused(t, ExitRefused, at)
	call(t, "", "menu", "diff", filepath.Join(localConfig, "menu.yaml"), filepath.Join(dir, "menu.yaml")).refused(t, ExitRefused, at)
	dir = simpleConfig(t)
	edit(t, dir, "policy.yaml", "menu: [retail]", "menu: [retial]")
	call(t, "", "menu", "show", "--config", dir, "--user", "zhangsan").refused(t, ExitRefused, filepath.Join(dir, "policy.yaml")+":", "retial")
	fine(t, "", "menu", "show", "--config", dir) // needs no policy
}

// TestMenuDiffOfFiles: every kind of change, in one line each, in the order of the new menu.
func TestMenuDiffOfFiles(t *testing.T) {
	t.Parallel()
	before, after := simpleConfig(t), simpleConfig(t)
	old, changed := filepath.Join(before, "menu.yaml"), filepath.Join(after, "menu.yaml")
	if out := fine(t, "", "menu", "diff", old, old); out != "no difference\n" {
		t.Errorf("%q", out)
	}
	edit(t, after, "menu.yaml", "page_size: 8", "page_size: 9")
	edit(t, after, "menu.yaml", "title: 零售事业部", "title: 新零售事业部")
	edit(t, after, "menu.yaml", "max: 20", "max: 10")
	edit(t, after, "menu.yaml", "- id: pay-deployments", "- id: pay-list")
	edit(t, after, "menu.yaml", "  - id: pay\n", "  - {id: mine, title: 我的任务, open: tasks}\n  - id: pay\n")
	out := fine(t, "", "menu", "diff", old, changed)
	lines := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
	for i, want := range []string{
		"changed the menu: page_size: 8 → 9",
		"renamed retail: ",
		"changed retail-scale: ",
		"added mine: ",
		"added pay-list: ",
		"removed pay-deployments: ",
	} {
		if i >= len(lines) || !strings.Contains(lines[i], want) {
			t.Errorf("line %d is not %s:\n%s", i+1, want, out)
		}
	}
	if len(lines) != 6 || !strings.Contains(lines[2], "20 → 10") || !strings.Contains(lines[1], "零售事业部 → 新零售事业部") {
		t.Errorf("%s", out)
	}
	call(t, "", "menu", "diff", old).refused(t, ExitFailed, "two menus are needed")
}

func TestMenuCommandsNeedABus(t *testing.T) {
	t.Setenv("NATS_URL", "")
	for _, args := range [][]string{{"menu", "revisions"}, {"menu", "rollback", "abc"}, {"menu", "diff", "abc", "def"}, {"menu", "show", "--rev", "abc"}} {
		call(t, "", args...).refused(t, ExitFailed, "--nats or NATS_URL")
	}
	call(t, "", "menu", "rollback").refused(t, ExitFailed, "palmops menu revisions")
}

func TestSchemaIsJSON(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"menu", "policy", "catalog"} {
		var doc map[string]any
		if err := json.Unmarshal([]byte(fine(t, "", "schema", name)), &doc); err != nil || doc["$schema"] == nil {
			t.Errorf("%s: %v, %v", name, doc["$schema"], err)
		}
	}
	for _, args := range [][]string{{"schema"}, {"schema", "gateway"}, {"schema", "menu", "policy"}} {
		call(t, "", args...).refused(t, ExitFailed, "menu, policy or catalog")
	}
}
