package catalog

import (
	"errors"
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
	"palmops/libs/lang/langtest"
	"palmops/libs/wire"
)

const local = "../../../deployments/config/local/catalog.yaml"

func TestTheLocalCatalog(t *testing.T) {
	t.Parallel()
	c, err := Load(local)
	if err != nil {
		t.Fatal(err)
	}
	if c.Zone != "local" || c.Pool != "k8s" || c.Concurrency != 32 || c.LongestTimeout() != 11*time.Minute {
		t.Errorf("%+v", c)
	}
	var names []string
	for _, a := range c.Actions() {
		names = append(names, a.Name)
		target := map[string]string{KindKubernetes: "practice", KindDrill: ""}[a.Kind]
		if a.Line == 0 || a.Target != target || a.Read != (a.Verb != VerbScale && a.Verb != VerbRestart && a.Verb != VerbRun) {
			t.Errorf("%+v", a)
		}
	}
	if want := []string{
		"drill.guide", "drill.list", "drill.run", "drill.state",
		"k8s.browse", "k8s.deployment", "k8s.deployments", "k8s.namespaces", "k8s.restart", "k8s.scale",
	}; !slices.Equal(names, want) {
		t.Errorf("actions %v", names)
	}
	scale, _ := c.Action("k8s.scale")
	if p, ok := scale.Param("namespace"); !ok || !slices.Equal(p.Allow, []string{"shop", "pay", "logi", "plat"}) {
		t.Errorf("namespace is bounded by %v", p.Allow)
	}
}

func TestEveryMistakeIsReportedAtOnceWithItsLine(t *testing.T) {
	t.Parallel()
	_, err := Decode("c.yaml", []byte(`version: 2
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
`))
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
		`c.yaml:23: action k8s.scale: namespace "kube-system" is not among those of the cluster practice`,
		"c.yaml:24: action k8s.scale: parameter deployment needs allow or pattern: an unbounded text is no permission",
		"c.yaml:25: action k8s.scale: parameter replicas: min is greater than max",
		"c.yaml:26: action k8s.scale: parameter from must have the type int",
		"c.yaml:27: action k8s.scale: the verb takes no parameter force",
		`c.yaml:28: action "K8S delete": a name is words of a-z 0-9 joined by . - or _, at most 63 bytes`,
		`c.yaml:30: action K8S delete: kubernetes has no verb "delete"; there are browse, deployment, deployments, namespaces, restart, scale`,
		`c.yaml:33: action other.thing: no kind "shell"; there are drill, kubernetes`,
		`c.yaml:35: action other.thing: there is no cluster "nowhere"`,
		"c.yaml:36: action k8s.deployment: target must name one of the clusters",
		"c.yaml:40: action k8s.deployment: parameter namespace cannot be optional",
		"c.yaml:40: action k8s.deployment: parameter namespace: min and max are for ints",
		"c.yaml:41: action k8s.deployment: parameter deployment: pattern is neither action-id, dns-label, dns-name, line nor a regular expression: error parsing regexp: unexpected ): `a)|(b`",
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
		_, err := Decode("c.yaml", []byte(text))
		var ps conf.Problems
		if !errors.As(err, &ps) || len(ps) == 0 || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
	if _, err := Load(filepath.Join(t.TempDir(), "none.yaml")); !fault.Is(err, fault.Invalid) {
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
	c, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Clusters["x"].Kubeconfig; got != filepath.Join(dir, "kube/config") {
		t.Error(got)
	}
	if c.Concurrency != DefaultConcurrency || c.LongestTimeout() != MinTimeout {
		t.Errorf("defaults: %+v", c)
	}
}

func TestArguments(t *testing.T) {
	t.Parallel()
	c, err := Load(local)
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

func TestTexts(t *testing.T) {
	t.Parallel()
	langtest.Check(t, texts, ".")
}

// drills is a catalog without clusters.
const drills = `version: 1
zone: a
pool: b
actions:
`

func TestDrillsNeedNoCluster(t *testing.T) {
	t.Parallel()
	c, err := Decode("c.yaml", []byte(drills+`
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
`))
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
	if len(list.Settings.Items) != 2 || list.Settings.Delay != 500*time.Millisecond || state.Settings.Fields["version"] != "1.4" {
		t.Errorf("%+v, %+v", list, state)
	}
	if root := g.Settings.Guide; root.Title != (lang.Words{ZH: "慢", EN: "slow"}) || len(root.Answers) != 2 || root.Answers[0].Then.Value != "everything" {
		t.Errorf("%+v", root)
	}
	for args, want := range map[string]fault.Kind{"": "", "all": "", strings.Repeat("x", MaxInputs+1): fault.Invalid} {
		if err := g.Check(map[string]any{NodeInputs: args, NodeLang: "en"}, lang.Chinese); fault.KindOf(err) != want {
			t.Errorf("inputs of %d bytes: %v", len(args), err)
		}
	}
	if err := g.Check(map[string]any{NodeLang: "fr"}, lang.Chinese); !fault.Is(err, fault.Denied) {
		t.Errorf("an unknown language: %v", err)
	}
}

func TestMistakesInDrills(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"  d: {kind: drill, verb: run, target: practice}":                           "c.yaml:5: action d: a drill has no target",
		"  d: {kind: drill, verb: run, settings: {delay: 1s}}":                      "takes no setting delay",
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
		"  d: {kind: kubernetes, verb: namespaces}":                                 "names no cluster",
		"  d: {kind: drill, verb: guide, settings: {guide: {title: x}}}":            "ends with text or a value",
		"  d: {kind: drill, verb: guide, settings: {guide: {text: x, ask: y}}}":     "a question without answers",
		"  d: {kind: drill, verb: guide, settings: {guide: {text: {fr: x}}}}":       "no language",
		"  d: {kind: drill, verb: guide, settings: {guide: {text: [x]}}}":           "a text",
		"  d: {kind: drill, verb: guide, settings: {guide: {answers: [{key: a}]}}}": "need a question",
		"  d:\n    kind: drill\n    verb: guide\n    settings:\n      guide:\n        ask: x\n        answers:\n        - {key: a, say: x, then: {text: y}}\n        - {key: a, say: x, then: {text: y}}": "c.yaml:13: action d: answer \"a\"",
		"  d: {kind: drill, verb: guide, settings: {guide: {ask: x, answers: [{key: a, say: \"x\\ny\", then: {text: x}}]}}}":                                                                              "one line",
		"  d: {kind: drill, verb: guide, settings: {guide: {ask: x, answers: [{key: a, say: x, then: {title: x, text: x}}]}}}":                                                                            "only the first place",
	} {
		_, err := Decode("c.yaml", []byte(drills+text+"\n"))
		if err == nil || !strings.Contains(err.Error(), want) || !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestTheBuiltInAction(t *testing.T) {
	t.Parallel()
	c, err := Decode("c.yaml", []byte(drills+"  d: {kind: drill, verb: run}\n"))
	if err != nil {
		t.Fatal(err)
	}
	a, ok := c.Action(wire.ActionCancel)
	if !ok || a.Kind != KindBuiltIn || a.Read || len(c.Actions()) != 1 {
		t.Fatalf("%+v, %t", a, ok)
	}
	for id, want := range map[string]fault.Kind{wire.DeriveID("x"): "", "lock.local.x": fault.Invalid, "short": fault.Invalid} {
		if err := a.Check(map[string]any{"id": id}, lang.Chinese); fault.KindOf(err) != want {
			t.Errorf("%s: %v", id, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	data, err := os.ReadFile(local)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte("version: 1\nactions:\n  ? [a]\n  : {}\n"))
	f.Add([]byte("targets: {clusters: {a: null}}\nactions: {a: null}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Decode("c.yaml", data)
		if (c == nil) == (err == nil) {
			t.Fatalf("%v, %v", c, err)
		}
		if err != nil && !fault.Is(err, fault.Invalid) {
			t.Fatalf("%v", err)
		}
	})
}
