package command

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"palmops/libs/bus/bustest"
	"palmops/libs/redistest"
)

// says waits until what the process said matches a pattern as many times as wanted.
func (p *proc) says(ctx context.Context, pattern string, times int) {
	p.t.Helper()
	re := regexp.MustCompile(pattern)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for len(re.FindAllString(p.output(), -1)) < times {
		select {
		case <-tick.C:
		case <-p.done:
			p.t.Fatalf("the process ended before it said %s %d times:\n%s", pattern, times, p.output())
		case <-ctx.Done():
			p.t.Fatalf("the process never said %s %d times:\n%s", pattern, times, p.output())
		}
	}
}

func (p *proc) hangup() {
	p.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		p.t.Fatal(err)
	}
}

const (
	retailTitle = "title: {zh: 零售事业部, en: Retail}"
	newTitle    = "title: {zh: 新零售事业部, en: Retail}"
)

// TestHangupReloadsTheWhole: SIGHUP of `palmops run` takes a changed menu over; a wrong one is refused with file and line in
// the log, and the old one serves.
func TestHangupReloadsTheWhole(t *testing.T) {
	t.Parallel()
	ctx := guard(t)
	w := newWhole(t, "REDIS_URL=", "PALMOPS_LOG=info")
	w.say(ctx, "zhangsan", "菜单", "1. 零售事业部")
	edit(t, w.config, "menus/retail.yaml", retailTitle, newTitle)
	w.proc.hangup()
	w.proc.says(ctx, `(?m)reloaded\s*$`, 1)
	w.say(ctx, "lisi", "菜单", "1. 新零售事业部")

	edit(t, w.config, "menus/retail.yaml", newTitle, "titel: {zh: 又一个, en: Another}")
	line := lineOf(t, w.config, "menus/retail.yaml", "titel:")
	w.proc.hangup()
	w.proc.says(ctx, "not reloaded; the old configuration goes on", 1)
	w.proc.says(ctx, regexp.QuoteMeta(fmt.Sprintf("retail.yaml:%d: ", line)), 1)
	w.say(ctx, "lisi", "退出", "退出")
	w.say(ctx, "lisi", "菜单", "1. 新零售事业部")

	edit(t, w.config, "menus/retail.yaml", "titel: {zh: 又一个, en: Another}", retailTitle)
	w.proc.hangup()
	w.proc.says(ctx, `(?m)reloaded\s*$`, 2)
	w.say(ctx, "lisi", "退出", "退出")
	w.say(ctx, "lisi", "菜单", "1. 零售事业部")
}

// lonelyDialog is a dialog as a process of its own, with the bus it stores its revisions on.
type lonelyDialog struct {
	config, nats string
	proc         *proc
}

func newLonelyDialog(t *testing.T) *lonelyDialog {
	t.Helper()
	d := &lonelyDialog{config: copyConfig(t), nats: bustest.New(t).URL()}
	fine(t, "", "keys", "init", "--dir", filepath.Join(d.config, "keys"))
	d.proc = spawn(t, `"serving"`, []string{"NATS_URL=" + d.nats, "REDIS_URL=" + redistest.New(t).URL()},
		"dialog", "--config", filepath.Join(d.config, "dialog.yaml"), "--admin", "127.0.0.1:0")
	return d
}

// current is the revision that counts, as the command line lists it.
func current(t testing.TB, nats string) string {
	t.Helper()
	out := fine(t, "", "menu", "revisions", "--nats", nats)
	m := regexp.MustCompile(`(?m)^\* ([0-9a-f]{12})  `).FindAllStringSubmatch(out, -1)
	if len(m) != 1 {
		t.Fatalf("not one revision counts:\n%s", out)
	}
	return m[0][1]
}

// TestHangupReloadsADialog: SIGHUP of a dialog of its own, right and wrong, and what the command line then finds on the bus.
func TestHangupReloadsADialog(t *testing.T) {
	t.Parallel()
	ctx, d := guard(t), newLonelyDialog(t)
	first := current(t, d.nats)
	edit(t, d.config, "menus/retail.yaml", retailTitle, newTitle)
	d.proc.hangup()
	d.proc.says(ctx, `"reloaded"`, 1)
	second := current(t, d.nats)
	if second == first {
		t.Fatal("the change made no revision")
	}
	edit(t, d.config, "menus/retail.yaml", newTitle, "titel: x")
	d.proc.hangup()
	d.proc.says(ctx, "not reloaded; the old configuration goes on", 1)
	d.proc.says(ctx, regexp.QuoteMeta(fmt.Sprintf("retail.yaml:%d: ", lineOf(t, d.config, "menus/retail.yaml", "titel:"))), 1)
	if now := current(t, d.nats); now != second {
		t.Errorf("%s counts after a wrong file, not %s", now, second)
	}
	if _, body := d.proc.get(ctx, "/metrics"); !strings.Contains(body, "\npalmops_dialog_reload_ok 0\n") {
		t.Error("the gauge does not say that the newest files are refused")
	}

	out := fine(t, "", "menu", "diff", "--nats", d.nats, first, second)
	if want := "renamed retail: "; strings.Count(out, "\n") != 1 || !strings.Contains(out, want) || !strings.Contains(out, "retail.yaml:") {
		t.Errorf("the difference is\n%s", out)
	}
	// A revision against a file, and one that is drawn.
	if out := fine(t, "", "menu", "diff", "--nats", d.nats, first, localConfig+"/menu.yaml"); out != "no difference\n" {
		t.Errorf("the shipped menu differs from the first revision:\n%s", out)
	}
	for rev, title := range map[string]string{first: "零售事业部", second: "新零售事业部"} {
		if out := fine(t, "", "menu", "show", "--nats", d.nats, "--rev", rev); !regexp.MustCompile(`(?m)[ .▸]` + title).MatchString(out) {
			t.Errorf("revision %s is\n%s", rev, out)
		}
	}
	call(t, "", "menu", "diff", "--nats", d.nats, first, "nosuchrevision").refused(t, ExitRefused, "nosuchrevision")
	call(t, "", "menu", "show", "--nats", d.nats, "--rev", "nosuchrevision").refused(t, ExitRefused, "nosuchrevision")
}

// TestRollbackRefusals: an unknown revision, and one that the policy does not fit, change nothing and end with 2.
func TestRollbackRefusals(t *testing.T) {
	t.Parallel()
	ctx, d := guard(t), newLonelyDialog(t)
	first := current(t, d.nats)
	call(t, "", "menu", "rollback", "--nats", d.nats, "000000000000").refused(t, ExitRefused, `"000000000000"`)
	call(t, "", "menu", "rollback", "--nats", d.nats, "../rules.now").refused(t, ExitRefused, "rules.now")

	edit(t, d.config, "menu.yaml", "items:\n", "items:\n  - {id: extra, title: {zh: 新的, en: New}, open: tasks}\n")
	edit(t, d.config, "policy.yaml", "menu: [common]", "menu: [common, extra]")
	d.proc.hangup()
	d.proc.says(ctx, `"reloaded"`, 1)
	second := current(t, d.nats)
	call(t, "", "menu", "rollback", "--nats", d.nats, first).refused(t, ExitRefused, "policy.yaml:", `"extra"`)
	if now := current(t, d.nats); now != second {
		t.Errorf("%s counts, not %s", now, second)
	}

	edit(t, d.config, "policy.yaml", "menu: [common, extra]", "menu: [common]")
	d.proc.hangup()
	d.proc.says(ctx, `"reloaded"`, 2)
	if out := fine(t, "", "menu", "rollback", "--nats", d.nats, first); !strings.Contains(out, "menu "+first+" counts instead of "+second) {
		t.Errorf("%q", out)
	}
	if now := current(t, d.nats); now != first {
		t.Errorf("%s counts, not %s", now, first)
	}
	d.proc.says(ctx, `"why":"rollback"`, 1)
}

// TestRevisionsWhereNoDialogRan: the command line says so and fails, whatever it was asked.
func TestRevisionsWhereNoDialogRan(t *testing.T) {
	t.Parallel()
	nats := bustest.New(t).URL()
	for _, args := range [][]string{{"menu", "revisions"}, {"menu", "rollback", "000000000000"}} {
		if r := call(t, "", append(args, "--nats", nats)...); r.code == ExitFine || r.out != "" || r.err == "" {
			t.Errorf("%q: %+v", args, r)
		}
	}
}

// TestSplitMenuRevisions: two dialogs with files of their own serve the same menu. What changes in one folder, and what the
// command line rolls back, counts in both and after restarts; an open session ends on the menu it began with.
func TestSplitMenuRevisions(t *testing.T) {
	t.Parallel()
	ctx, s := guard(t), newSplit(t)
	other := copyConfig(t)
	keys, err := os.ReadFile(filepath.Join(s.config, "keys", "local.json"))
	if err == nil {
		err = os.MkdirAll(filepath.Join(other, "keys"), 0o700)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(other, "keys", "local.json"), keys, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	s.dialogs[1].kill()
	s.dialogs[1] = s.spawnFrom(other, "dialog")
	first := current(t, s.nats.URL())

	edit(t, s.config, "menus/retail.yaml", retailTitle, newTitle)
	for _, d := range s.dialogs {
		d.says(ctx, `"menu and policy taken over".*"why":"file"`, 1)
	}
	second := current(t, s.nats.URL())
	if second == first {
		t.Fatal("the change made no revision")
	}
	s.eachServes(ctx, "1. 新零售事业部")

	s.say(ctx, "退出", "】")
	s.say(ctx, "菜单", "1. 新零售事业部")
	s.say(ctx, "1", "1. Kubernetes 操作")
	fine(t, "", "menu", "rollback", "--nats", s.nats.URL(), first)
	for _, d := range s.dialogs {
		d.says(ctx, `"menu and policy taken over".*"why":"rollback"`, 1)
	}
	s.dialogs[1].kill() // the session goes on at the other one
	s.say(ctx, "0", "1. 新零售事业部")
	s.dialogs[1] = s.spawnFrom(other, "dialog")
	s.dialogs[0].kill()
	s.dialogs[1].kill()
	s.dialogs[0], s.dialogs[1] = s.spawn("dialog"), s.spawnFrom(other, "dialog")
	if now := current(t, s.nats.URL()); now != first {
		t.Errorf("%s counts after the restarts, not %s", now, first)
	}
	s.say(ctx, "1", "1. Kubernetes 操作")
	s.say(ctx, "0", "1. 新零售事业部")
	s.eachServes(ctx, "1. 零售事业部")
}

// eachServes lets each dialog alone answer a new conversation.
func (s *split) eachServes(ctx context.Context, want string) {
	s.t.Helper()
	for i := range s.dialogs {
		other := s.dialogs[1-i]
		other.freeze()
		s.say(ctx, "退出", "】")
		s.say(ctx, "菜单", want)
		other.thaw()
	}
}
