package command

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	simulator "palmops/services/simulator/app"
)

// policyConfig is a folder with a menu, a policy and a company of this test's own.
func policyConfig(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"menu.yaml": `version: 1
title: {zh: 菜单, en: Menu}
items:
  - id: shop
    title: {zh: 商城, en: Shop}
    items:
      - id: shop-scale
        title: {zh: 扩缩容, en: Scale}
        env: prod
        steps:
          - dynamic: {param: namespace, prompt: p, source: {zone: local, pool: k8s, action: k8s.namespaces}}
          - input: {param: replicas, type: int, min: 0, max: 50, prompt: p, example: "5"}
          - confirm: {text: x}
          - action: {zone: local, pool: k8s, action: k8s.scale, args: {namespace: $namespace, replicas: $replicas, cluster: east}, title: x}
      - id: shop-page
        title: 值班表
        steps: [{dynamic: {prompt: p, lines: [one]}}]
  - id: pay
    title: 支付
    items:
      - {id: pay-link, title: x, link: shop-scale}
      - id: pay-scale
        title: 扩缩容
        steps:
          - confirm: {text: x}
          - action: {zone: local, pool: k8s, action: k8s.scale, args: {namespace: pay}, title: x}
  - {id: mine, title: x, open: tasks}
`,
		"policy.yaml": `version: 1
roles:
  ops: {departments: [2], not_users: [lazy]}
  pay: {users: [paul]}
  duty: {tags: [7]}
grants:
  - {role: ops, menu: [shop], actions: [k8s.*], env: [prod], args: {replicas: {max: 20}}, hours: {days: [mon-fri], from: "09:00", to: "18:00"}}
  - {role: duty, menu: [shop], actions: [k8s.*], env: [prod]}
  - {role: pay, menu: [pay], actions: [k8s.scale]}
freezes:
  - {name: sale, from: 2026-11-10 00:00, to: 2026-11-12 00:00, reason: 双十一, env: [prod]}
`,
		"simulator.yaml": `departments:
  - {id: 1, name: Company}
  - {id: 2, name: Ops, parent: 1}
  - {id: 3, name: Night, parent: 2}
tags:
  - {id: 7, name: Duty, people: [Olga]}
people:
  - {user: nina, name: Nina, departments: [3]}
  - {user: lazy, name: Lazy, departments: [2]}
  - {user: olga, name: Olga, departments: [1]}
  - {user: paul, name: Paul, departments: [1]}
`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestPolicyTestExplains(t *testing.T) {
	dir := policyConfig(t)
	for _, c := range []struct {
		args string
		code int
		says []string
	}{
		{
			"--user Nina --action k8s.scale --node shop --arg namespace=a --arg replicas=20 --at 2026-11-23T17:59:59+08:00", ExitFine,
			[]string{
				"person   nina Nina, departments 1 2 3, tags none\n", "simulator.yaml says\n", "time     Mon 2026-11-23 17:59:59 Asia/Shanghai\n",
				"roles    yes  ops: in department 2 or below it, line 3\n", "node     shop-scale  Shop / Scale\n", "environment prod\n",
				"cluster=east, written in the menu\n", "replicas=20\n", "yes  grant in line 7, role ops: allows it\n",
				"no   grant in line 8, role duty: the person does not have this role\n", "1 grant of other roles about other things; --all shows them\n",
				"freeze sale in line 11: it ended at 2026-11-12 00:00\n", "=> allowed: role ops, granted in line 7\n", "\nverdict  allowed\n",
			},
		},
		{
			"--user nina --action k8s.scale --node shop --arg namespace=a --arg replicas=20 --at 2026-11-23T18:00:00+08:00", ExitRefused,
			[]string{"no   grant in line 7, role ops: it is outside its hours, mon tue wed thu fri 09:00 to 18:00 Asia/Shanghai\n", "\nverdict  refused\n"},
		},
		{
			"--user nina --action k8s.scale --node shop --arg namespace=a --arg replicas=21 --at 2026-11-23T10:00:00+08:00", ExitRefused,
			[]string{`no   grant in line 7, role ops: argument replicas is "21"; it may be at most 20` + "\n"},
		},
		{
			"--user nina --action k8s.scale --node shop --at 2026-11-23T10:00:00+08:00", ExitRefused,
			[]string{"replicas not given\n", "argument replicas is missing; it may be at most 20\n"},
		},
		{
			"--user olga --action k8s.scale --node shop --at 2026-11-11T10:00:00+08:00 --all", ExitRefused,
			[]string{
				"person   olga Olga, departments 1, tags 7\n", "yes  duty: has tag 7, line 5\n", "no   ops: none of its users, departments and tags, line 3\n",
				"yes  grant in line 8, role duty: allows it\n", "no   grant in line 9, role pay: the person does not have this role\n",
				"stop freeze sale in line 11: it counts until 2026-11-12 00:00\n", "=> refused: frozen by sale until 2026-11-12 00:00\n",
			},
		},
		{
			"--user lazy --action k8s.scale --all", ExitRefused,
			[]string{"no   ops: not_users names lazy, line 3\n", "verdict  refused, at 0 of 2 nodes\n"},
		},
		{"--user nobody --action k8s.scale", ExitRefused, []string{"person   nobody is not in the directory\n", "roles    none\n", "=> refused: not in the directory\n"}},
		{"--user paul --action k8s.scale", ExitFine, []string{"node     pay-scale", "namespace=pay, written in the menu\n", "verdict  allowed, at 1 of 2 nodes\n"}},
		{"--user paul --action k8s.scale --arg namespace=shop", ExitRefused, []string{"=> refused: the menu itself sets namespace to pay here\n"}},
		{"--user paul --action k8s.scale --arg replicas=1", ExitRefused, []string{"=> refused: k8s.scale has no argument replicas here\n"}},
		{"--user paul --node pay-link", ExitRefused, []string{"node     shop-scale"}},
		{"--user paul --node shop-page", ExitRefused, []string{"shows something, and needs no action\n", "=> refused: the person's grants are not about this"}},
		{"--user nina --node shop-page --at 2026-11-23T10:00:00+08:00", ExitRefused, []string{`its env is prod, the node's is ""`}},
		// Who the flags describe, the directory is not asked about.
		{"--user stranger --tag 7 --node shop-scale --at 2026-11-23T23:00:00Z", ExitFine, []string{"person   stranger, departments none, tags 7\n", "as the flags say\n"}},
		{"--user stranger --department 1 --node shop-scale", ExitRefused, []string{"departments 1, tags none\n"}},
		{"--user stranger --department 2 --department 9 --node shop-scale --arg replicas=1 --arg namespace=x --at 2026-11-27T09:00:00+08:00", ExitFine, []string{"departments 2 9"}},
	} {
		r := call(t, "", append([]string{"policy", "test", "--config", dir}, strings.Fields(c.args)...)...)
		wantErr := ""
		if c.code == ExitRefused {
			wantErr = "refused: "
		}
		if r.code != c.code || !strings.HasPrefix(r.err, wantErr) || c.code == ExitFine && r.err != "" {
			t.Errorf("%s: exit %d, said %q\n%s", c.args, r.code, r.err, r.out)
		}
		for _, want := range c.says {
			if !strings.Contains(r.out, want) {
				t.Errorf("%s: no %q in\n%s", c.args, want, r.out)
			}
		}
	}
}

func TestPolicyTestRefusesBadUsage(t *testing.T) {
	dir := policyConfig(t)
	for args, says := range map[string]string{
		"--action k8s.scale":                                       "--user is missing",
		"--user nina":                                              "--action or --node is missing",
		"--user nina --action k8s.nothing":                         `about the action "k8s.nothing"`,
		"--user nina --node gone":                                  `no item with the id "gone"`,
		"--user nina --node mine":                                  "nothing to do at mine",
		"--user nina --node shop-page --action k8s.scale":          `about the action "k8s.scale"`,
		"--user nina --action k8s.scale --arg replicas":            "name=value",
		"--user nina --action k8s.scale --arg =1":                  "name=value",
		"--user nina --action k8s.scale --arg a=1 --arg a=2":       "each name once",
		"--user nina --action k8s.scale --arg namespce=a":          "no node here gives its action such an argument",
		"--user nina --action k8s.scale --at noon":                 "--at:",
		"--user nina --action k8s.scale --department two":          "--department",
		"--user nina --action k8s.scale --tag 0":                   "--tag",
		"--user nina --action k8s.scale surplus":                   `unexpected argument "surplus"`,
		"--user nina --action k8s.scale --config none":             "menu.yaml: no such file",
		"--user nina --action k8s.scale --policy none/policy.yaml": "policy.yaml: no such file",
	} {
		call(t, "", append([]string{"policy", "test", "--config", dir}, strings.Fields(args)...)...).refused(t, ExitFailed, "palmops policy test: ", says)
	}
	data, err := os.ReadFile(filepath.Join(dir, "policy.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for from, to := range map[string]string{"actions: [k8s.scale]": "actions: [K8S]", "menu: [pay]": "menu: [gone]"} {
		wrong := filepath.Join(dir, "wrong.yaml")
		if err := os.WriteFile(wrong, []byte(strings.Replace(string(data), from, to, 1)), 0o600); err != nil {
			t.Fatal(err)
		}
		call(t, "", "policy", "test", "--config", dir, "--policy", wrong, "--user", "nina", "--action", "k8s.scale").refused(t, ExitFailed, wrong+":9: ")
	}
	// A folder of a real company has no simulator; its gateway says where the directory is.
	if err := os.Remove(filepath.Join(dir, "simulator.yaml")); err != nil {
		t.Fatal(err)
	}
	call(t, "", "policy", "test", "--config", dir, "--user", "nina", "--action", "k8s.scale").refused(t, ExitFailed, "gateway.yaml: no such file", "--department or --tag")
}

// TestPolicyTestAsksTheDirectory: with an app's secret in the environment WeCom's API is asked, which here is the simulator's.
func TestPolicyTestAsksTheDirectory(t *testing.T) {
	dir := policyConfig(t)
	o, err := simulator.Load(filepath.Join(localConfig, "simulator.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	o.Config.Listen, o.Config.Cluster.Listen, o.StateDir = "127.0.0.1:0", "127.0.0.1:0", ""
	o.Config.Departments = []simulator.Department{{ID: 1, Name: "Company"}, {ID: 2, Name: "Ops", Parent: 1}, {ID: 3, Name: "Night", Parent: 2}}
	o.Config.People = []simulator.Person{{User: "nina", Name: "Nina", Departments: []int64{3}}, {User: "olga", Name: "Olga", Departments: []int64{1}}}
	o.Config.Tags = []simulator.Tag{{ID: 7, Name: "Duty", People: []string{"olga"}}}
	o.Log, o.Registry = zap.NewNop(), prometheus.NewRegistry()
	box, err := simulator.New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- box.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	edit(t, dir, "policy.yaml", "duty: {tags: [7]}", "duty: {tags: [7, 8]}")
	gateway := "apps: [{name: ops, credentials: wecom.env}]\nallow: {static: [127.0.0.1]}\napi_base: http://" + box.Addr() + "\n"
	env, err := os.ReadFile(filepath.Join(localConfig, "wecom.env"))
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"gateway.yaml": gateway, "wecom.env": string(env)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("WECOM_CORP_SECRET", o.Credentials.CorpSecret.Reveal())
	run := func(args ...string) result {
		return call(t, "", append([]string{"policy", "test", "--config", dir, "--action", "k8s.scale", "--node", "shop", "--arg", "namespace=a", "--arg", "replicas=1", "--at", "2026-11-23 10:00"}, args...)...)
	}
	for user, want := range map[string]struct {
		code int
		says string
	}{
		"nina":    {ExitFine, "person   nina Nina, departments 1 2 3, tags none\n"},
		"Olga":    {ExitFine, "person   olga Olga, departments 1, tags 7\n"},
		"unknown": {ExitRefused, "person   unknown is not in the directory\n"},
	} {
		r := run("--user", user)
		if r.code != want.code || !strings.Contains(r.out, want.says) || !strings.Contains(r.out, "as the directory at http://"+box.Addr()+" says to the app ops\n") {
			t.Errorf("%s: %+v", user, r)
		}
		if noted := strings.Contains(r.out, "the directory has no tag 8, which the policy names\n"); noted != (want.code == ExitFine) {
			t.Errorf("%s: the missing tag is noted: %s\n%s", user, strconv.FormatBool(noted), r.out)
		}
	}
	run("--user", "nina", "--app", "other").refused(t, ExitFailed, `has no app "other"`)
}
