package catalog_test

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"palmops/libs/conf"
	"palmops/libs/fault"
	"palmops/libs/lang"
	"palmops/libs/wire"
	"palmops/services/executor/app"
	"palmops/services/executor/catalog"
	"palmops/services/executor/internal/kind/drill"
	"palmops/services/executor/internal/kind/kubernetes"
)

// kinds are enough to try everything that a catalog does; the kinds' own settings are tested with them.
var kinds = catalog.Kinds{kubernetes.Spec(), drill.Spec()}

func decode(text string) (*catalog.Catalog, error) {
	return catalog.Decode("c.yaml", []byte(text), kinds)
}

const local = "../../../deployments/config/local/catalog.yaml"

func TestTheLocalCatalog(t *testing.T) {
	t.Parallel()
	all := app.Kinds()
	c, err := catalog.Load(local, all)
	if err != nil {
		t.Fatal(err)
	}
	if c.Zone != "local" || c.Pool != "k8s" || c.Concurrency != 32 || c.LongestTimeout() < 11*time.Minute || c.Digest == "" || c.Timezone.String() != "Asia/Shanghai" {
		t.Errorf("%+v", c)
	}
	classes := map[string]catalog.Class{}
	for _, a := range c.Actions() {
		classes[a.Name] = a.Class
		i := slices.IndexFunc(all, func(s catalog.Spec) bool { return s.Name == a.Kind })
		if spec := all[i]; a.Line == 0 || (a.Target == "") != (spec.Targets == "") || a.Class != spec.Verbs[a.Verb].Class || a.PerTarget < 1 {
			t.Errorf("%+v", a)
		}
	}
	for name, want := range map[string]catalog.Class{
		"drill.guide": catalog.Question, "drill.list": catalog.Question, "drill.run": catalog.Change, "drill.state": catalog.Question,
		"k8s.browse": catalog.Question, "k8s.deployment": catalog.Question, "k8s.deployments": catalog.Question, "k8s.namespaces": catalog.Question,
		"k8s.restart": catalog.Change, "k8s.scale": catalog.Change,
	} {
		if classes[name] != want {
			t.Errorf("%s is a %q", name, classes[name])
		}
	}
	scale, _ := c.Action("k8s.scale")
	if p, ok := scale.Param("namespace"); !ok || !slices.Equal(p.Allow, []string{"shop", "pay", "logi", "plat"}) {
		t.Errorf("namespace is bounded by %v", p.Allow)
	}
}

func TestEveryMistakeIsReportedAtOnceWithItsLine(t *testing.T) {
	t.Parallel()
	_, err := decode(`version: 2
zone: Local
pool: k8s
concurrency: 0
targets:
  clusters:
    practice:
      server: ftp://127.0.0.1
      namespaces: [shop, shop, Pay]
    both:
      server: http://127.0.0.1:1
      in_cluster: true
      namespaces: [shop]
    none: {}
actions:
  k8s.scale:
    kind: kubernetes
    verb: scale
    timeout: 1h
    read: true
    target: practice
    params:
      namespace: {type: string, allow: [kube-system]}
      deployment: {type: string}
      replicas: {type: int, min: 5, max: 2}
      from: {type: string, optional: true}
      force: {type: bool}
  K8S delete:
    kind: kubernetes
    verb: delete
    target: practice
  other.thing:
    kind: shell
    verb: run
    target: nowhere
  k8s.deployment:
    kind: kubernetes
    verb: deployment
    params:
      namespace: {type: string, optional: true, min: 1}
      deployment: {type: string, pattern: "a)|(b"}
  k8s.scale2:
    kind: kubernetes
    verb: scale
    target: practice
    params:
      namespace: {type: string}
      deployment: {type: string, pattern: dns-label}
      replicas: {type: int, min: 0, allow: ["1"]}
  k8s.spaces:
    kind: kubernetes
    verb: namespaces
    target: nowhere
`)
	var ps conf.Problems
	if !errors.As(err, &ps) {
		t.Fatalf("%v", err)
	}
	var got []string
	for _, p := range ps {
		got = append(got, p.Error())
	}
	want := []string{
		"c.yaml:1: version must be 1",
		"c.yaml:2: zone must be 1 to 63 of a-z 0-9 - _",
		"c.yaml:4: concurrency must be 1 to 1024",
		"c.yaml:8: cluster practice: server must be an http or https URL without credentials",
		`c.yaml:9: cluster practice: namespace shop is named twice`,
		`c.yaml:9: cluster practice: "Pay" is not the name of a namespace`,
		"c.yaml:10: cluster both: exactly one of kubeconfig, in_cluster and server must say how to reach it",
		"c.yaml:14: cluster none: exactly one of kubeconfig, in_cluster and server must say how to reach it",
		"c.yaml:14: cluster none: namespaces must name at least one namespace that may be touched",
		"c.yaml:19: action k8s.scale: timeout must be 1s to 30m0s",
		"c.yaml:20: action k8s.scale: read must be false, since the verb scale says so",
		`c.yaml:23: action k8s.scale: namespace "kube-system" is not among those of the target`,
		"c.yaml:24: action k8s.scale: parameter deployment needs allow or pattern: an unbounded text is no permission",
		"c.yaml:25: action k8s.scale: parameter replicas: min is greater than max",
		"c.yaml:26: action k8s.scale: parameter from must have the type int",
		"c.yaml:27: action k8s.scale: the verb takes no parameter force",
		`c.yaml:28: action "K8S delete": a name is words of a-z 0-9 joined by . - or _, at most 63 bytes`,
		`c.yaml:30: action K8S delete: kubernetes has no verb "delete"; there are ` + strings.Join(slices.Sorted(maps.Keys(kubernetes.Spec().Verbs)), ", "),
		`c.yaml:33: action other.thing: no kind "shell"; there are drill, kubernetes`,
		"c.yaml:36: action k8s.deployment: target must name one of targets.clusters",
		`c.yaml:53: action k8s.spaces: targets.clusters has no "nowhere"`,
		"c.yaml:40: action k8s.deployment: parameter namespace cannot be optional",
		"c.yaml:40: action k8s.deployment: parameter namespace: min and max are for ints",
		"c.yaml:41: action k8s.deployment: parameter deployment: pattern is neither action-id, dns-label, dns-name, line, lines, place nor a regular expression: error parsing regexp: unexpected ): `a)|(b`",
		"c.yaml:49: action k8s.scale2: parameter replicas: allow and pattern are for strings",
		"c.yaml:49: action k8s.scale2: parameter replicas needs min and max: an unbounded number is no permission",
	}
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if !fault.Is(err, fault.Invalid) {
		t.Errorf("kind %s", fault.KindOf(err))
	}
}

// TestMistakesInWhatEveryKindShares: environments, locks, hours and the like.
func TestMistakesInWhatEveryKindShares(t *testing.T) {
	t.Parallel()
	const tail = "actions:\n  d: {kind: drill, verb: run, "
	for text, want := range map[string]string{
		"timezone: Local\n" + tail + "}":             `c.yaml:4: timezone "Local" is not a name`,
		"timezone: ''\n" + tail + "}":                `c.yaml:4: timezone "" is not a name`,
		tail + "when: {}}":                           "c.yaml:5: action d: when needs days, from or to",
		tail + "when: []}":                           "c.yaml:5: action d: when is empty",
		tail + "when: null}":                         "c.yaml:5: action d: when needs",
		tail + "when: 5}":                            "c.yaml:5: ",
		tail + "when: {days: []}}":                   "days is empty",
		tail + "when: {days: [mon-fry]}}":            `day "mon-fry" is not one of mon`,
		tail + "when: {from: '24:00'}}":              `from "24:00" is not a time of day`,
		tail + "when: {to: '9:00'}}":                 `to "9:00" is not a time of day`,
		tail + "when: {from: '09:00', to: '09:00'}}": "from 09:00 to the same are none",
		tail + "when: {hours: 5}}":                   "hours",
		"actions:\n  d:\n    kind: drill\n    verb: run\n    when:\n    - {days: [sat]}\n    - {days: [sat,\n      sum]}": `c.yaml:11: action d: when: day "sum"`,
		tail + "env: prod}": `there is no environment "prod"`,
		"environments: {prod: {}}\n" + tail + "env: prod, locks: [db]}":                `lock "db" is none of its environment's`,
		"environments: {prod: {locks: [db]}}\n" + tail + "env: prod, locks: [db, db]}": "or there twice",
		"environments: {prod: {locks: [a, a]}}\n" + tail + "}":                         "c.yaml:4: environment prod: lock",
		"environments: {Prod: {}}\n" + tail + "}":                                      `environment "Prod"`,
		"mask: ['x*']\n" + tail + "}":                                                  "matches the empty text",
		"mask: ['(']\n" + tail + "}":                                                   "is no regular expression",
		tail + "per_target: 0}":                                                        "per_target must be 1 to 16",
		tail + "probe: never}":                                                         "probe must be kind or none",
		"targets: {robots: {a: {}}}\n" + tail + "}":                                    `no kind works on "robots"`,
	} {
		_, err := decode("version: 1\nzone: a\npool: b\n" + text + "\n")
		if err == nil || !strings.Contains(err.Error(), want) || !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestWhenAnActionMayRun(t *testing.T) {
	t.Parallel()
	c, err := decode(`version: 1
zone: a
pool: b
environments: {prod: {title: {zh: 生产, en: production}, locks: [db]}}
mask: ['sid=\S+']
actions:
  always: {kind: drill, verb: run, env: prod, locks: [db], per_target: 4, probe: none}
  work: {kind: drill, verb: run, when: {days: [mon-fri], from: "09:00", to: "18:00"}}
  night: {kind: drill, verb: run, when: [{days: [sat, sun]}, {from: "22:00", to: "06:00"}]}
`)
	if err != nil {
		t.Fatal(err)
	}
	open := func(at time.Time) (out []string) {
		for _, a := range c.Actions() {
			if a.OpenAt(at) {
				out = append(out, a.Name)
			}
		}
		return out
	}
	// 2026-11-23 is a Monday; Shanghai is 8 hours ahead of UTC.
	for at, want := range map[time.Time][]string{
		time.Date(2026, 11, 23, 0, 59, 59, 0, time.UTC): {"always"},
		time.Date(2026, 11, 23, 1, 0, 0, 0, time.UTC):   {"always", "work"},
		time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC):  {"always"},
		time.Date(2026, 11, 23, 14, 0, 0, 0, time.UTC):  {"always", "night"},
		time.Date(2026, 11, 27, 16, 0, 0, 0, time.UTC):  {"always", "night"},
		time.Date(2026, 11, 28, 5, 0, 0, 0, time.UTC):   {"always", "night"},
	} {
		if got := open(at); !slices.Equal(got, want) {
			t.Errorf("%s: %v", at, got)
		}
	}
	a, _ := c.Action("always")
	if a.Env != "prod" || !slices.Equal(a.Locks, []string{"db"}) || a.PerTarget != 4 || !a.Blind || len(c.Mask) != 1 || c.Environments["prod"].Title.EN != "production" {
		t.Errorf("%+v, %+v", a, c)
	}
	if !(catalog.Action{}).OpenAt(time.Time{}) {
		t.Error("an action of no catalog is closed")
	}
}

func TestFormMistakes(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                                 "",
		"version: 1\nversion: 1":           ":2: ",
		"version: 1\nzones: local":         ":2: ",
		"version: one":                     ":1: ",
		"version: 1\nactions: {a: 5}":      ":2: ",
		"version: 1\n---\nversion: 1":      "",
		"version: &v 1\nconcurrency: *v\n": ":1: ",
	} {
		_, err := decode(text)
		var ps conf.Problems
		if !errors.As(err, &ps) || len(ps) == 0 || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
	if _, err := catalog.Load(filepath.Join(t.TempDir(), "none.yaml"), kinds); !fault.Is(err, fault.Invalid) {
		t.Errorf("no file: %v", err)
	}
}

func TestKubeconfigIsNearTheCatalog(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "c.yaml")
	text := "version: 1\nzone: a\npool: b\ntargets: {clusters: {x: {kubeconfig: kube/config, namespaces: [shop]}}}\nactions: {k8s.namespaces: {kind: kubernetes, verb: namespaces}}\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := catalog.Load(path, kinds)
	if err != nil {
		t.Fatal(err)
	}
	if got := catalog.Targets[kubernetes.Cluster](c, kubernetes.Targets)["x"].Kubeconfig; got != filepath.Join(dir, "kube/config") {
		t.Error(got)
	}
	if c.Concurrency != catalog.DefaultConcurrency || c.LongestTimeout() != catalog.MinTimeout {
		t.Errorf("defaults: %+v", c)
	}
}

func TestArguments(t *testing.T) {
	t.Parallel()
	c, err := catalog.Load(local, app.Kinds())
	if err != nil {
		t.Fatal(err)
	}
	scale, _ := c.Action("k8s.scale")
	good := func() map[string]any {
		return map[string]any{"namespace": "shop", "deployment": "web", "replicas": int64(20), "from": int64(0)}
	}
	for name, x := range map[string]struct {
		key  string
		v    any
		want fault.Kind
		text string
	}{
		"good":               {"from", int64(3), "", ""},
		"optional left out":  {"from", nil, "", ""},
		"missing":            {"namespace", nil, fault.Invalid, "缺少参数 namespace"},
		"extra":              {"cluster", "prod", fault.Invalid, "多出参数 cluster"},
		"long name":          {strings.Repeat("x", 9999), "y", fault.Invalid, "多出参数 x"},
		"foreign namespace":  {"namespace", "kube-system", fault.Denied, "不在允许范围内"},
		"upper case":         {"deployment", "Web", fault.Invalid, "格式不对"},
		"line feed":          {"deployment", "web\n", fault.Invalid, "格式不对"},
		"long":               {"deployment", strings.Repeat("a", 300), fault.Invalid, "太长"},
		"long label":         {"deployment", strings.Repeat("a", 64), fault.Invalid, "格式不对"},
		"below":              {"replicas", int64(-1), fault.Invalid, "不能小于 0"},
		"above":              {"replicas", int64(21), fault.Invalid, "不能大于 20"},
		"text for a number":  {"replicas", "5", fault.Invalid, "类型不对"},
		"number for a text":  {"deployment", int64(5), fault.Invalid, "类型不对"},
		"boolean for a text": {"namespace", true, fault.Invalid, "类型不对"},
		"a float":            {"replicas", 5.5, fault.Invalid, "类型不对"},
	} {
		args := good()
		if x.v == nil {
			delete(args, x.key)
		} else {
			args[x.key] = x.v
		}
		err := scale.Check(args, lang.Chinese)
		if fault.KindOf(err) != x.want || x.want != "" && (!strings.Contains(fault.Safe(err), x.text) || !strings.Contains(fault.Safe(err), "没有执行任何操作") || len(fault.Safe(err)) > 400) {
			t.Errorf("%s: %v: %s", name, err, fault.Safe(err))
		}
		if err := scale.Check(args, lang.English); x.want != "" && !strings.Contains(fault.Safe(err), ". Nothing was done.") {
			t.Errorf("%s in English: %s", name, fault.Safe(err))
		}
	}
}

// drills is a catalog without clusters.
const drills = `version: 1
zone: a
pool: b
actions:
`

func TestDrillsNeedNoCluster(t *testing.T) {
	t.Parallel()
	c, err := decode(drills + `
  d.run:
    kind: drill
    verb: run
    params:
      seconds: {type: int, optional: true, max: 30}
      lines: {type: int, optional: true}
      note: {type: string, pattern: line}
      on: {type: bool, optional: true}
  d.list: {kind: drill, verb: list, settings: {items: [web, api], delay: 500ms}}
  d.state: {kind: drill, verb: state, settings: {fields: {version: "1.4"}}}
  d.guide:
    kind: drill
    verb: guide
    settings:
      guide:
        title: {zh: 慢, en: slow}
        ask: which?
        answers:
          - key: all
            say: {zh: 全部, en: all}
            then: {value: everything}
          - {key: one, say: one, then: {text: look}}
`)
	if err != nil {
		t.Fatal(err)
	}
	run, _ := c.Action("d.run")
	for name, x := range map[string]struct {
		args map[string]any
		want fault.Kind
	}{
		"all":            {map[string]any{"seconds": int64(30), "lines": int64(20000), "note": "中文 a-b", "on": true}, ""},
		"least":          {map[string]any{"note": "x"}, ""},
		"too long":       {map[string]any{"seconds": int64(31), "note": "x"}, fault.Invalid},
		"too many lines": {map[string]any{"lines": int64(20001), "note": "x"}, fault.Invalid},
		"negative":       {map[string]any{"lines": int64(-1), "note": "x"}, fault.Invalid},
		"two lines":      {map[string]any{"note": "x\ny"}, fault.Invalid},
		"undeclared":     {map[string]any{"note": "x", "other": "y"}, fault.Invalid},
	} {
		if err := run.Check(x.args, lang.Chinese); fault.KindOf(err) != x.want {
			t.Errorf("%s: %v", name, err)
		}
	}
	list, _ := c.Action("d.list")
	state, _ := c.Action("d.state")
	g, _ := c.Action("d.guide")
	set := func(a catalog.Action) drill.Settings {
		s, _ := a.Settings.(drill.Settings)
		return s
	}
	if len(set(list).Items) != 2 || set(list).Delay != 500*time.Millisecond || set(state).Fields["version"] != "1.4" {
		t.Errorf("%+v, %+v", list, state)
	}
	if root := set(g).Guide; root.Title != (lang.Words{ZH: "慢", EN: "slow"}) || len(root.Answers) != 2 || root.Answers[0].Then.Value != "everything" {
		t.Errorf("%+v", root)
	}
	for args, want := range map[string]fault.Kind{"": "", "all": "", strings.Repeat("x", catalog.MaxInputs+1): fault.Invalid} {
		if err := g.Check(map[string]any{catalog.NodeInputs: args, catalog.NodeLang: "en"}, lang.Chinese); fault.KindOf(err) != want {
			t.Errorf("inputs of %d bytes: %v", len(args), err)
		}
	}
	if err := g.Check(map[string]any{catalog.NodeLang: "fr"}, lang.Chinese); !fault.Is(err, fault.Denied) {
		t.Errorf("an unknown language: %v", err)
	}
}

func TestMistakesInDrills(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"  d: {kind: drill, verb: run, target: practice}":                           "c.yaml:5: action d: drill has no targets",
		"  d: {kind: drill, verb: run, settings: {delay: 1s}}":                      "the verb run takes no settings",
		"  d: {kind: drill, verb: list, settings: {delay: 2m}}":                     "delay must be at most",
		"  d: {kind: drill, verb: list, settings: {items: [a, a]}}":                 "there twice",
		"  d: {kind: drill, verb: list, settings: {wrong: 1}}":                      "wrong",
		"  d: {kind: drill, verb: guide}":                                           "must hold the guide",
		"  d: {kind: drill, verb: guide, params: {inputs: {type: string}}}":         "takes no parameter inputs",
		"  d: {kind: drill, verb: run, params: {lines: {type: string}}}":            "must have the type int",
		"  d: {kind: drill, verb: run, params: {seconds: {type: int, max: 601}}}":   "must not be above 600",
		"  d: {kind: drill, verb: run, params: {x: {type: float}}}":                 "the type must be",
		"  d: {kind: drill, verb: run, params: {x: {type: string}}}":                "needs allow or pattern",
		"  d: {kind: drill, verb: run, params: {x: {type: int, min: 3, max: 2}}}":   "min is greater than max",
		"  palmops.cancel: {kind: drill, verb: run}":                                "built in",
		"  d: {kind: palmops, verb: cancel}":                                        "no kind",
		"  d: {kind: kubernetes, verb: namespaces}":                                 "must name one of targets.clusters",
		"  d: {kind: drill, verb: guide, settings: {guide: {title: x}}}":            "ends with text or a value",
		"  d: {kind: drill, verb: guide, settings: {guide: {text: x, ask: y}}}":     "a question without answers",
		"  d: {kind: drill, verb: guide, settings: {guide: {text: {fr: x}}}}":       "no language",
		"  d: {kind: drill, verb: guide, settings: {guide: {text: [x]}}}":           "a text",
		"  d: {kind: drill, verb: guide, settings: {guide: {answers: [{key: a}]}}}": "need a question",
		"  d:\n    kind: drill\n    verb: guide\n    settings:\n      guide:\n        ask: x\n        answers:\n        - {key: a, say: x, then: {text: y}}\n        - {key: a, say: x, then: {text: y}}": "c.yaml:13: action d: answer \"a\"",
		"  d: {kind: drill, verb: guide, settings: {guide: {ask: x, answers: [{key: a, say: \"x\\ny\", then: {text: x}}]}}}":                                                                              "one line",
		"  d: {kind: drill, verb: guide, settings: {guide: {ask: x, answers: [{key: a, say: x, then: {title: x, text: x}}]}}}":                                                                            "only the first place",
	} {
		_, err := decode(drills + text + "\n")
		if err == nil || !strings.Contains(err.Error(), want) || !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestTheBuiltInAction(t *testing.T) {
	t.Parallel()
	c, err := decode(drills + "  d: {kind: drill, verb: run}\n")
	if err != nil {
		t.Fatal(err)
	}
	a, ok := c.Action(wire.ActionCancel)
	if !ok || a.Kind != catalog.KindBuiltIn || a.Class != catalog.Change || len(c.Actions()) != 1 {
		t.Fatalf("%+v, %t", a, ok)
	}
	for id, want := range map[string]fault.Kind{wire.DeriveID("x"): "", "lock.local.x": fault.Invalid, "short": fault.Invalid} {
		if err := a.Check(map[string]any{"id": id}, lang.Chinese); fault.KindOf(err) != want {
			t.Errorf("%s: %v", id, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, data := range shipped(f) {
		f.Add(data)
	}
	all := app.Kinds()
	f.Add([]byte("version: 1\nactions:\n  ? [a]\n  : {}\n"))
	f.Add([]byte("targets: {clusters: {a: null}}\nactions: {a: null}"))
	f.Add([]byte("targets: {\"\": {a: null}}\nactions: {a: null}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := catalog.Decode("c.yaml", data, all)
		if (c == nil) == (err == nil) {
			t.Fatalf("%v, %v", c, err)
		}
		if err != nil && !fault.Is(err, fault.Invalid) {
			t.Fatalf("%v", err)
		}
	})
}
