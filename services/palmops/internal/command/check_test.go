package command

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// edit replaces the first occurrence of old in a file of a configuration.
func edit(t testing.TB, dir, file, old, replacement string) {
	t.Helper()
	path := filepath.Join(dir, file)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(data), old) {
		t.Fatalf("%s has no %q", file, old)
	}
	if err := os.WriteFile(path, []byte(strings.Replace(string(data), old, replacement, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
}

// lineOf is the line on which a text begins that a file holds exactly once, or for the first time when it is marked with ^.
func lineOf(t testing.TB, dir, file, part string) int {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, file))
	if err != nil {
		t.Fatal(err)
	}
	part, first := strings.CutPrefix(part, "^")
	if n := strings.Count(string(data), part); n != 1 && (n == 0 || !first) {
		t.Fatalf("%s holds %q %d times", file, part, n)
	}
	return 1 + strings.Count(string(data[:strings.Index(string(data), part)]), "\n")
}

// checked runs check on a broken folder and holds the count in the last line against the lines before it.
func checked(t testing.TB, args ...string) string {
	t.Helper()
	said := call(t, "", append([]string{"check"}, args...)...).refused(t, ExitRefused)
	lines := strings.Split(strings.TrimSuffix(said, "\n"), "\n")
	want := fmt.Sprintf("%d mistakes", len(lines)-1)
	if len(lines) == 2 {
		want = "1 mistake"
	}
	if last, _, _ := strings.Cut(lines[len(lines)-1], " so far: "); last != want {
		t.Errorf("the last line is not %q:\n%s", want, said)
	}
	return said
}

// shippedAnswer is what check says of a configuration without a mistake and without a warning.
var shippedAnswer = regexp.MustCompile(`\Aok: [0-9]{2,} menu nodes, revision [0-9a-f]{12}; [0-9]{2,} actions in 1 catalog; 0 warnings\n\z`)

func TestCheckTheShippedConfiguration(t *testing.T) {
	t.Parallel()
	r := call(t, "", "check", "--config", localConfig)
	if r.code != ExitFine || r.err != "" || !shippedAnswer.MatchString(r.out) {
		t.Errorf("%+v", r)
	}
	dir := copyConfig(t)
	named := fine(t, "", "check", "--config", "nowhere", "--menu", filepath.Join(dir, "menu.yaml"),
		"--policy", filepath.Join(dir, "policy.yaml"), "--catalog", filepath.Join(dir, "catalog.yaml"))
	if named != r.out {
		t.Errorf("%q and %q", named, r.out)
	}
}

// broken is one mistake, made in a copy of the shipped configuration.
type broken struct {
	name, file, old, with string
	at                    string // where the mistake must be reported: the line of this text
	below                 int    // lines below it
	in                    string // file of the report, when it is another one
	says                  string
}

// deploymentList is a step of testdata/simple/menu.yaml that asks for the deployment, up to the next step.
const deploymentList = `dynamic:
                  param: deployment
                  prompt: 选择部署（就绪/副本数）
                  source: {zone: local, pool: k8s, action: k8s.deployments, args: {namespace: $namespace}}
                  empty: 这个命名空间里没有部署
`

func mistakes() []broken {
	const order = "^- action:" // the line below is the first one of what an action says
	return []broken{
		{name: "menu, unknown key", file: "menu.yaml", old: "page_size:", with: "pagesize:", at: "pagesize:", says: `no key "pagesize"`},
		{name: "menu, unknown key of a step", file: "menu.yaml", old: "expires: 120s", with: "expire: 120s", at: "expire: 120s", says: `no key "expire"`},
		{name: "menu, id twice", file: "menu.yaml", old: "- id: pay\n", with: "- id: retail\n", at: "- id: retail\n    title: 支付事业部", says: `"retail" is already used`},
		{name: "menu, action without confirm", file: "menu.yaml", old: "- confirm:", with: "- confirms:", at: "- confirms:", says: `no key "confirms"`},
		{name: "menu, unknown param", file: "menu.yaml", old: "replicas: $replicas", with: "replicas: $replica", at: "replicas: $replica,", says: `no earlier step sets the param "replica"`},
		{name: "menu, no YAML", file: "menu.yaml", old: "first: 1", with: "first: 1: 2", at: "first: 1: 2", says: "mapping values are not allowed"},
		{name: "menu, no such action", file: "menu.yaml", old: "action: k8s.namespaces", with: "action: k8s.namespacez", at: "k8s.namespacez", says: `has no action "k8s.namespacez"`},
		{name: "menu, no such order", file: "menu.yaml", old: "action: k8s.scale", with: "action: k8s.grow", at: order, below: 1, says: `retail-scale: `},
		{name: "menu, text for a number", file: "menu.yaml", old: "replicas: $replicas", with: "replicas: $deployment", at: order, below: 1, says: `"replicas" of k8s.scale must be int, the menu gives text`},
		{name: "menu, text of the answer for a number", file: "menu.yaml", old: `"$current.replicas:int"`, with: `"$current.replicas"`, at: order, below: 1, says: `"from" of k8s.scale must be int, the menu gives text`},
		{name: "menu, number for a text", file: "menu.yaml", old: "deployment: $deployment, replicas", with: "deployment: 5, replicas", at: order, below: 1, says: `"deployment" of k8s.scale must be string, the menu gives int`},
		{name: "menu, bool for a number", file: "menu.yaml", old: "replicas: $replicas", with: "replicas: true", at: order, below: 1, says: `must be int, the menu gives bool`},
		{name: "menu, missing argument", file: "menu.yaml", old: "args: {namespace: $namespace}", with: "args: {}", at: "args: {}", says: `k8s.deployments needs the argument "namespace"`},
		{name: "menu, missing argument of the order", file: "menu.yaml", old: "replicas: $replicas, ", with: "", at: order, below: 1, says: `k8s.scale needs the argument "replicas"`},
		{name: "menu, unknown argument", file: "menu.yaml", old: "args: {namespace: $namespace}", with: "args: {namespace: $namespace, color: red}", at: "color: red", says: `k8s.deployments knows no argument "color"`},
		{name: "menu, question ordered", file: "menu.yaml", old: "action: k8s.scale", with: "action: k8s.deployment", at: order, below: 1, says: `k8s.deployment only reads and cannot be ordered`},
		{name: "menu, order asked", file: "menu.yaml", old: "action: k8s.namespaces", with: "action: k8s.scale", at: "^action: k8s.scale", says: `k8s.scale changes something and cannot be asked`},
		{name: "menu, unknown zone", file: "menu.yaml", old: "{zone: local, pool: k8s, action: k8s.namespaces}", with: "{zone: remote, pool: k8s, action: k8s.namespaces}", at: "zone: remote", says: `no catalog serves zone "remote", pool "k8s"`},
		{name: "menu, unknown pool", file: "menu.yaml", old: "{zone: local, pool: k8s, action: k8s.namespaces}", with: "{zone: local, pool: mysql, action: k8s.namespaces}", at: "pool: mysql", says: `no catalog serves zone "local", pool "mysql"`},
		{name: "menu, a number below", file: "menu.yaml", old: "min: 0, max: 20", with: "min: -1, max: 20", at: order, below: 1, says: `the menu offers -1 for the argument "replicas" of k8s.scale, the catalog begins at 0`},
		{name: "menu, a number above", file: "menu.yaml", old: "min: 0, max: 20", with: "min: 0, max: 21", at: order, below: 1, says: `the menu offers 21 for the argument "replicas" of k8s.scale, the catalog ends at 20`},
		{name: "menu, a number without an end", file: "menu.yaml", old: "min: 0, max: 20", with: "min: 0", at: order, below: 1, says: `for the argument "replicas" of k8s.scale, the catalog ends at 20`},
		{name: "menu, a written number above", file: "menu.yaml", old: "replicas: $replicas", with: "replicas: 21", at: order, below: 1, says: `the menu offers 21`},
		{name: "catalog, a narrower range", file: "catalog.yaml", old: "{type: int, min: 0, max: 20}", with: "{type: int, min: 1, max: 20}", at: order, below: 1, in: "menu.yaml", says: `the menu offers 0 for the argument "replicas" of k8s.scale, the catalog begins at 1`},
		{name: "menu, lines for a name", file: "menu.yaml", old: deploymentList, with: "input: {param: deployment, type: lines, prompt: p}\n", at: order, below: 1, says: `retail-scale: deployment may have several lines, which the catalog refuses for the argument "deployment" of k8s.scale`},
		{name: "menu, several for a number", file: "menu.yaml", old: "input: {param: replicas, type: int, min: 0, max: 20, prompt: 输入新的副本数, example: \"5\"}", with: `dynamic: {param: replicas, prompt: p, multi: true, lines: ["1", "2"]}`, at: order, below: 1, says: `"replicas" of k8s.scale must be int, the menu gives text`},
		{name: "menu, several for a name", file: "menu.yaml", old: deploymentList, with: "dynamic: {param: deployment, prompt: p, multi: true, lines: [api, web]}\n", at: order, below: 1, says: `several lines of deployment can be chosen, such as "api,web", which the catalog refuses`},
		{name: "menu, a table's line", file: "menu.yaml", old: deploymentList, with: "dynamic: {param: deployment, prompt: p, lines: [api, Web_1]}\n", at: order, below: 1, says: `deployment offers "Web_1", which the catalog refuses`},
		{name: "menu, a line of one of the lists", file: "menu.yaml", old: deploymentList, with: "dynamic: {param: deployment, prompt: p, table: {by: $namespace, lists: {shop: [api], pay: [web, we b]}}}\n", at: order, below: 1, says: `deployment offers "we b", which the catalog refuses`},
		{name: "menu, an enum's value", file: "menu.yaml", old: deploymentList, with: "input: {param: deployment, type: enum, prompt: p, values: [api, API]}\n", at: order, below: 1, says: `deployment offers "API", which the catalog refuses`},
		{name: "menu, a default", file: "menu.yaml", old: deploymentList, with: "input: {param: deployment, type: text, prompt: p, default: Web}\n", at: order, below: 1, says: `the default of deployment is "Web", which the catalog refuses`},
		{name: "menu, an example", file: "menu.yaml", old: deploymentList, with: "input: {param: deployment, type: text, prompt: p, example: my web}\n", at: order, below: 1, says: `the example of deployment is "my web", which the catalog refuses`},
		{name: "menu, a written value", file: "menu.yaml", old: "args: {namespace: $namespace}", with: "args: {namespace: logi}", at: "args: {namespace: logi}", says: `the menu gives "logi", which the catalog refuses for the argument "namespace" of k8s.deployments`},
		{name: "policy, unknown key", file: "policy.yaml", old: "roles:", with: "rolls:", at: "rolls:", says: `no key "rolls"`},
		{name: "policy, unknown node", file: "policy.yaml", old: "menu: [retail]", with: "menu: [retial]", at: "retial", says: `has no item with the id "retial"`},
		{name: "policy, unknown role", file: "policy.yaml", old: "- role: retail-lead", with: "- role: retail-boss", at: "retail-boss", says: `there is no role "retail-boss"`},
		{name: "policy, action nobody offers", file: "policy.yaml", old: "k8s.scale]", with: "k8s.grow]", at: "^- role:", says: `no catalog offers an action "k8s.grow"`},
		{name: "policy, beginning nobody offers", file: "policy.yaml", old: "[k8s.*]", with: "[k8.*]", at: "- role: retail-lead", says: `no catalog offers an action "k8.*"`},
		{name: "policy, argument nobody has", file: "policy.yaml", old: "args: {namespace: [pay]}", with: "args: {namspace: [pay]}", at: "- role: pay-operator", says: `no action of this grant has an argument "namspace"`},
		{name: "catalog, unknown key", file: "catalog.yaml", old: "timeout: 60s", with: "timout: 60s", at: "timout: 60s", says: "timout"},
		{name: "catalog, unknown verb", file: "catalog.yaml", old: "verb: scale", with: "verb: grow", at: "verb: grow", says: `no verb "grow"`},
		{name: "catalog, unknown kind", file: "catalog.yaml", old: "kind: kubernetes\n    verb: scale", with: "kind: docker\n    verb: scale", at: "kind: docker", says: `no kind "docker"`},
		{name: "catalog, a question that changes", file: "catalog.yaml", old: "verb: scale", with: "verb: scale\n    read: true", at: "verb: scale", below: 1, says: "read must be false"},
		{name: "catalog, unbounded", file: "catalog.yaml", old: "{type: int, min: 0, max: 20}", with: "{type: int, min: 0}", at: "{type: int, min: 0}", says: "needs min and max"},
		{name: "catalog, action taken away", file: "catalog.yaml", old: "k8s.deployment:", with: "k8s.deploy:", at: "^confirm:", below: 1, in: "menu.yaml", says: `has no action "k8s.deployment"`},
		{name: "catalog, of another zone", file: "catalog.yaml", old: "zone: local", with: "zone: far", at: "^{zone: local", in: "menu.yaml", says: `no catalog serves zone "local", pool "k8s"`},
		{name: "catalog, wrong parameter type", file: "catalog.yaml", old: "replicas: {type: int, min: 0, max: 20}", with: "replicas: {type: string, pattern: dns-label}", at: "{type: string, pattern: dns-label}\n      from:", says: "must have the type int"},
	}
}

// TestCheckReportsTheLine: each mistake is found, in its file, on its line.
func TestCheckReportsTheLine(t *testing.T) {
	t.Parallel()
	for _, c := range mistakes() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := simpleConfig(t)
			edit(t, dir, c.file, c.old, c.with)
			in := c.file
			if c.in != "" {
				in = c.in
			}
			want := fmt.Sprintf("%s:%d: ", filepath.Join(dir, in), lineOf(t, dir, in, c.at)+c.below)
			said := checked(t, "--config", dir)
			for line := range strings.Lines(said) {
				if strings.HasPrefix(line, want) && strings.Contains(line, c.says) {
					return
				}
			}
			t.Errorf("no line begins with %s and says %s:\n%s", want, c.says, said)
		})
	}
}

// TestCheckReportsEverythingAtOnce: mistakes in three files, several in each, come in one run.
func TestCheckReportsEverythingAtOnce(t *testing.T) {
	t.Parallel()
	dir := simpleConfig(t)
	edit(t, dir, "menu.yaml", "page_size: 8", "page_size: 80")
	edit(t, dir, "menu.yaml", "title: 零售事业部", "titel: 零售事业部")
	edit(t, dir, "menu.yaml", "max: 20", "max: many")
	edit(t, dir, "policy.yaml", "- role: retail-lead", "- role: retail-boss")
	edit(t, dir, "policy.yaml", "actions: [k8s.*]", "actions: []")
	edit(t, dir, "catalog.yaml", "concurrency: 32", "concurrency: 0")
	edit(t, dir, "catalog.yaml", "verb: scale", "verb: grow")
	said := checked(t, "--config", dir)
	for _, c := range []struct{ file, at, says string }{
		{"menu.yaml", "page_size: 80", "page_size is 80"},
		{"menu.yaml", "titel:", `no key "titel"`},
		{"menu.yaml", "max: many", "max must be a whole number"},
		{"policy.yaml", "retail-boss", `no role "retail-boss"`},
		{"policy.yaml", "actions: []", "actions is empty"},
		{"catalog.yaml", "concurrency: 0", "concurrency must be 1 to"},
		{"catalog.yaml", "verb: grow", `no verb "grow"`},
	} {
		want := fmt.Sprintf("%s:%d: ", filepath.Join(dir, c.file), lineOf(t, dir, c.file, c.at))
		found := false
		for line := range strings.Lines(said) {
			found = found || strings.HasPrefix(line, want) && strings.Contains(line, c.says)
		}
		if !found {
			t.Errorf("no %s%s in\n%s", want, c.says, said)
		}
	}
}

// TestCheckBetweenFilesReportsEverythingAtOnce: files that are right by themselves, and do not fit each other.
func TestCheckBetweenFilesReportsEverythingAtOnce(t *testing.T) {
	t.Parallel()
	dir := simpleConfig(t)
	edit(t, dir, "menu.yaml", "action: k8s.namespaces", "action: k8s.spaces")
	edit(t, dir, "menu.yaml", "replicas: $replicas", "replicas: $deployment, color: red")
	edit(t, dir, "policy.yaml", "menu: [pay]", "menu: [pay, gone]")
	edit(t, dir, "policy.yaml", "k8s.scale]", "k8s.grow]")
	said := checked(t, "--config", dir)
	for _, want := range []string{`no action "k8s.spaces"`, `"replicas" of k8s.scale must be int`, `no argument "color"`, `id "gone"`, `an action "k8s.grow"`, "\n5 mistakes\n"} {
		if !strings.Contains(said, want) {
			t.Errorf("no %s in\n%s", want, said)
		}
	}
}

func TestCheckMissingFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	said := checked(t, "--config", dir)
	for _, file := range []string{"menu.yaml", "policy.yaml", "catalog.yaml"} {
		if !strings.Contains(said, filepath.Join(dir, file)+": no such file or directory\n") {
			t.Errorf("no %s in\n%s", file, said)
		}
	}
	dir = simpleConfig(t)
	if err := os.WriteFile(filepath.Join(dir, "menu.yaml"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if said := checked(t, "--config", dir); !strings.HasPrefix(said, filepath.Join(dir, "menu.yaml")+": ") {
		t.Errorf("%s", said)
	}
}

// TestCheckSeveralCatalogs: every pool has its own, and one only.
func TestCheckSeveralCatalogs(t *testing.T) {
	t.Parallel()
	dir := simpleConfig(t)
	first, second := filepath.Join(dir, "catalog.yaml"), filepath.Join(dir, "second.yaml")
	data, err := os.ReadFile(first)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(second, data, 0o600); err != nil {
		t.Fatal(err)
	}
	both := []string{"--config", dir, "--catalog", first, "--catalog", second}
	if said := checked(t, both...); !strings.Contains(said, second+": "+first+` serves zone "local", pool "k8s" already`) {
		t.Errorf("%s", said)
	}
	edit(t, dir, "second.yaml", "pool: k8s", "pool: k8s-2")
	edit(t, dir, "menu.yaml", "{zone: local, pool: k8s, ", "{zone: local, pool: k8s-2, ")
	if out := fine(t, "", append([]string{"check"}, both...)...); !strings.HasSuffix(out, "8 actions in 2 catalogs; 0 warnings\n") {
		t.Errorf("%q", out)
	}
}

// TestCheckLeavesOptionalArgumentsOpen: a menu need not give what the catalog calls optional.
func TestCheckLeavesOptionalArgumentsOpen(t *testing.T) {
	t.Parallel()
	dir := simpleConfig(t)
	edit(t, dir, "menu.yaml", `, from: "$current.replicas:int"`, "")
	fine(t, "", "check", "--config", dir)
}

// TestCheckTakesWhatTheCatalogTakes: the edges of a range, every value of an enum, and lines where breaks are allowed.
func TestCheckTakesWhatTheCatalogTakes(t *testing.T) {
	t.Parallel()
	const pattern = "deployment: {type: string, pattern: dns-label}\n      replicas"
	for _, c := range []struct{ catalog, menu string }{
		{"", "input: {param: deployment, type: enum, prompt: p, values: [api, web-1]}"},
		{"", "input: {param: deployment, type: dns_label, prompt: p, default: web, example: api}"},
		{"", "dynamic: {param: deployment, prompt: p, table: {by: $namespace, lists: {shop: [api], pay: [web]}}}"},
		{"'(?s)x.*'", "input: {param: deployment, type: lines, prompt: p, default: \"x\\ny\"}"},
		{`'[a-z\s]+'`, "input: {param: deployment, type: lines, prompt: p}"},
		{`'[a-z]+(\n[a-z]+)*'`, "input: {param: deployment, type: lines, prompt: p}"},
		{"'[a-z,]+'", "dynamic: {param: deployment, prompt: p, multi: true, lines: [api, web]}"},
	} {
		dir := simpleConfig(t)
		if c.catalog != "" {
			edit(t, dir, "catalog.yaml", pattern, "deployment: {type: string, pattern: "+c.catalog+"}\n      replicas")
			edit(t, dir, "catalog.yaml", "      deployment: {type: string, pattern: dns-label}\n", "      deployment: {type: string, pattern: "+c.catalog+"}\n")
		}
		for range 2 { // the value is not wrong for what is asked before the order either
			edit(t, dir, "menu.yaml", deploymentList, c.menu+"\n")
		}
		fine(t, "", "check", "--config", dir)
	}
}
