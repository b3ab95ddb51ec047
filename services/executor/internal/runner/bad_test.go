package runner

import (
	"encoding/json"
	"strings"
	"testing"

	"palmops/libs/bus"
	"palmops/libs/fault"
	"palmops/libs/token"
	"palmops/libs/wire"
)

// TestBadInput sends what must not run through the real bus: each ends in the right state, with a sentence that helps, a line
// in the audit, and no effect.
func TestBadInput(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.executor("one", DefaultTiming(), &book{dir: w.dir})
	foreign, err := token.NewKeySet("local", strings.NewReader(strings.Repeat("not random at all, sixty-four bytes ", 3)))
	w.check(err)
	other, err := foreign.Layered(token.Options{})
	w.check(err)
	claims := func(change func(c *wire.Claims)) func(id string) wire.Action {
		return func(id string) wire.Action {
			c := w.claims(id)
			change(&c)
			return w.order(c, scaleArgs("web"))
		}
	}
	args := func(change func(a map[string]any)) func(id string) wire.Action {
		return func(id string) wire.Action {
			a := scaleArgs("web")
			change(a)
			return w.order(w.claims(id), a)
		}
	}
	tampered := func(change func(a *wire.Action)) func(id string) wire.Action {
		return func(id string) wire.Action {
			a := w.order(w.claims(id), scaleArgs("web"))
			change(&a)
			return a
		}
	}
	long := func(n int) json.RawMessage { return json.RawMessage(`{"deployment":"` + strings.Repeat("a", n) + `"}`) }
	const nothing = "没有执行任何操作"
	for name, c := range map[string]struct {
		state, reason, text string // no state: nobody can be told
		recorded            bool
		order               func(id string) wire.Action
	}{
		"tampered token": {wire.StateRejected, "signature", "签名无法验证", false, tampered(func(a *wire.Action) { a.Token = a.Token[:len(a.Token)-4] + "AAAA" })},
		"foreign keys": {wire.StateRejected, "signature", "签名无法验证", false, func(id string) wire.Action {
			a := w.order(w.claims(id), scaleArgs("web"))
			c := w.claims(id)
			c.ArgsHash = wire.ArgsHash(a.Args)
			a.Token, err = other.Dumps(c)
			w.check(err)
			return a
		}},
		"no token":            {"", "signature", "", false, tampered(func(a *wire.Action) { a.Token = "" })},
		"exchanged arguments": {wire.StateRejected, "args_digest", "参数与签名不符", true, tampered(func(a *wire.Action) { a.Args = json.RawMessage(`{"deployment":"web","namespace":"pay","replicas":5}`) })},
		"expired":             {wire.StateExpired, "expired", "已过有效期", true, claims(func(c *wire.Claims) { c.IssuedAt, c.Expires = c.IssuedAt-200, c.IssuedAt-80 })},
		"early":               {wire.StateRejected, "early", "请检查服务器时钟", true, claims(func(c *wire.Claims) { c.IssuedAt, c.Expires = c.IssuedAt+600, c.Expires+600 })},
		"valid for too long":  {wire.StateRejected, "lifetime", "有效期过长", true, claims(func(c *wire.Claims) { c.Expires += 90000 })},
		"another zone":        {wire.StateRejected, "zone", "错误的区域", true, claims(func(c *wire.Claims) { c.Zone = "west" })},
		"another pool":        {wire.StateRejected, "pool", "错误的执行器", true, claims(func(c *wire.Claims) { c.Pool = "mysql" })},
		"unknown action":      {wire.StateRejected, "action", "不提供这个操作", true, claims(func(c *wire.Claims) { c.Action = "k8s.destroy" })},
		"a question":          {wire.StateRejected, "read", "不允许这样使用", true, claims(func(c *wire.Claims) { c.Action = "k8s.namespaces" })},
		"unconfirmed":         {wire.StateRejected, "report", "必须先确认", true, claims(func(c *wire.Claims) { c.Report = true })},
		"missing argument":    {wire.StateRejected, "args", "deployment", true, args(func(a map[string]any) { delete(a, "deployment") })},
		"extra argument":      {wire.StateRejected, "args", "force", true, args(func(a map[string]any) { a["force"] = true })},
		"wrong type":          {wire.StateRejected, "args", "replicas", true, args(func(a map[string]any) { a["replicas"] = "5" })},
		"below range":         {wire.StateRejected, "args", "replicas", true, args(func(a map[string]any) { a["replicas"] = int64(-1) })},
		"above range":         {wire.StateRejected, "args", "replicas", true, args(func(a map[string]any) { a["replicas"] = int64(2000) })},
		"not allowed":         {wire.StateRejected, "args", "namespace", true, args(func(a map[string]any) { a["namespace"] = "kube-system" })},
		"shell signs":         {wire.StateRejected, "args", "deployment", true, args(func(a map[string]any) { a["deployment"] = "web; rm -rf / #$(reboot)`id`|&" })},
		"line breaks":         {wire.StateRejected, "args", "deployment", true, args(func(a map[string]any) { a["deployment"] = "web\n--all" })},
		"an option":           {wire.StateRejected, "args", "deployment", true, args(func(a map[string]any) { a["deployment"] = "--all" })},
		"a long argument":     {wire.StateRejected, "args", "deployment", true, args(func(a map[string]any) { a["deployment"] = strings.Repeat("a", 16000) })},
		"a long token":        {"", "size", "", false, tampered(func(a *wire.Action) { a.Token = strings.Repeat("A", 20000) })},
		"almost 1 MiB":        {"", "size", "", false, tampered(func(a *wire.Action) { a.Args = long(1000 << 10) })},
	} {
		id := wire.DeriveID("bad", name)
		was := w.audit.count("refused", c.reason)
		w.send(c.order(id), id)
		w.drained()
		if c.state != "" {
			if ev := w.ends(id); ev.State != c.state || !strings.Contains(ev.Text, c.text) || !strings.Contains(ev.Text, nothing) || len(ev.Text) > 600 {
				t.Errorf("%s: %+v", name, ev)
			}
		}
		if n := w.audit.count("refused", c.reason); n != was+1 {
			t.Errorf("%s: %d audit lines with the reason %s, want one", name, n-was, c.reason)
		}
		_, err := w.kv.Get(t.Context(), id)
		if recorded := err == nil; recorded != c.recorded {
			t.Errorf("%s: recorded is %t (%v)", name, recorded, err)
		}
		w.effects(id, 0)
	}
	// What is larger than the bus takes does not even leave whoever orders it.
	big := wire.Action{V: 1, ID: "toolarge1", Args: long(1 << 20)}
	if _, err := w.bus.Publish(t.Context(), wire.ActSubject("local", "k8s", "k8s.scale", "toolarge1"), "toolarge1", big); !fault.Is(err, fault.Invalid) || bus.Settle(err) != bus.Drop {
		t.Errorf("1 MiB: %v", err)
	}
	// Replayed, once it has run: the same result is told again, and nothing is done.
	id := wire.DeriveID("bad", "replayed")
	good := w.order(w.claims(id), scaleArgs("web"))
	w.send(good, id)
	first := w.ends(id)
	w.send(good, id+"-replayed")
	if again := w.ends(id); first.State != wire.StateSucceeded || again.State != wire.StateSucceeded || again.Rev != first.Rev {
		t.Errorf("%+v, then %+v", first, again)
	}
	w.effects(id, 1)
}

func (a *auditLines) count(verdict, reason string) (n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, l := range a.lines {
		if l.Verdict == verdict && l.Reason == reason {
			n++
		}
	}
	return n
}
