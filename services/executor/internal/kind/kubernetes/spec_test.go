package kubernetes

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"palmops/libs/fault"
	"palmops/services/executor/catalog"
	"palmops/services/executor/internal/kind"
)

const head = `version: 1
zone: a
pool: b
targets:
  clusters:
    one: {server: "http://127.0.0.1:1", namespaces: [shop]}
    two: {kubeconfig: kube/config, context: prod, namespaces: [shop, pay], nodes: true}
actions:
`

func decode(text string) (*catalog.Catalog, error) {
	return catalog.Decode("/conf/c.yaml", []byte(text), catalog.Kinds{Spec()})
}

func TestSpec(t *testing.T) {
	t.Parallel()
	c, err := decode(head + `  drain: {kind: kubernetes, verb: drain, target: two, params: {node: {type: string, pattern: dns-name}}, settings: {unmanaged: true, local_data: true}}
  describe: {kind: kubernetes, verb: describe, target: one, params: {node: {type: string, pattern: dns-name}}}
  either:
    kind: kubernetes
    verb: describe
    target: one
    params: {namespace: {type: string, optional: true}, pod: {type: string, pattern: dns-name, optional: true}, node: {type: string, pattern: dns-name, optional: true}}
`)
	if err != nil {
		t.Fatal(err)
	}
	two, _ := catalog.Target[Cluster](c, Targets, "two")
	if two.Context != "prod" || two.Kubeconfig != "/conf/kube/config" || !two.Nodes {
		t.Errorf("%+v", two)
	}
	a, _ := c.Action("drain")
	if a.Settings != (DrainSettings{Unmanaged: true, LocalData: true}) || a.Class != catalog.Change {
		t.Errorf("%+v", a)
	}
	if !json.Valid(Spec().Schema) {
		t.Error("the schema is no JSON")
	}
}

func TestSpecRefuses(t *testing.T) {
	t.Parallel()
	const node = "params: {node: {type: string, pattern: dns-name}}"
	for want, action := range map[string]string{
		"c.yaml:9: action x: cordon changes nodes, and cluster one does not say nodes: true":   "{kind: kubernetes, verb: cordon, target: one, " + node + "}",
		"c.yaml:9: action x: drain changes nodes, and cluster one does not say nodes: true":    "{kind: kubernetes, verb: drain, target: one, " + node + "}",
		"c.yaml:9: action x: the verb cordon takes no settings":                                "{kind: kubernetes, verb: cordon, target: two, " + node + ", settings: {a: b}}",
		"c.yaml:9: action x: status needs one of the parameters deployment, statefulset, or":   "{kind: kubernetes, verb: status, target: two, params: {namespace: {type: string}}}",
		"c.yaml:9: action x: describe needs one of the parameters deployment, statefulset":     "{kind: kubernetes, verb: describe, target: two, params: {namespace: {type: string}, pod: {type: string, pattern: dns-name}, node: {type: string, pattern: dns-name, optional: true}}}",
		"c.yaml:9: action x: describe needs the parameter namespace":                           "{kind: kubernetes, verb: describe, target: two, params: {pod: {type: string, pattern: dns-name}}}",
		"c.yaml:9: action x: parameter pod needs allow or pattern: an unbounded text":          "{kind: kubernetes, verb: delete-pod, target: two, params: {namespace: {type: string}, pod: {type: string}}}",
		"c.yaml:9: action x: parameter tail must not be above 5000":                            "{kind: kubernetes, verb: logs, target: two, params: {namespace: {type: string}, pod: {type: string, pattern: dns-name}, tail: {type: int, max: 6000}}}",
		"c.yaml:9: action x: parameter replicas needs min and max: an unbounded number is no ": "{kind: kubernetes, verb: scale-statefulset, target: two, params: {namespace: {type: string}, statefulset: {type: string, pattern: dns-name}, replicas: {type: int}}}",
	} {
		_, err := decode(head + "  x: " + action + "\n")
		if err == nil || !strings.Contains(err.Error(), strings.TrimPrefix(want, "c.yaml")) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	for want, target := range map[string]string{
		"context is one of a kubeconfig, and there is none": `{server: "http://a", context: c, namespaces: [shop]}`,
		"exactly one of kubeconfig, in_cluster and server":  `{server: "http://a", in_cluster: true, namespaces: [shop]}`,
		"server must be an http or https URL without":       `{server: "http://me:secret@a", namespaces: [shop]}`,
		"namespaces must name at least one":                 `{server: "http://a"}`,
		"namespace shop is named twice":                     `{server: "http://a", namespaces: [shop, shop]}`,
	} {
		_, err := decode("version: 1\nzone: a\npool: b\ntargets: {clusters: {one: " + target + "}}\nactions: {x: {kind: kubernetes, verb: namespaces}}\n")
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// TestContexts: one kubeconfig, two clusters.
func TestContexts(t *testing.T) {
	t.Parallel()
	one, two := newFakeAPI(t), newFakeAPI(t)
	two.add("shop", "only-here", 1)
	path := filepath.Join(t.TempDir(), "kubeconfig")
	text := fmt.Sprintf("apiVersion: v1\nkind: Config\ncurrent-context: first\nclusters: [{name: a, cluster: {server: %q}}, {name: b, cluster: {server: %q}}]\n"+
		"contexts: [{name: first, context: {cluster: a, user: u}}, {name: second, context: {cluster: b, user: u}}]\nusers: [{name: u, user: {}}]\n", one.srv.URL, two.srv.URL)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	clusters := map[string]Cluster{
		"current": {Name: "current", Kubeconfig: path, Namespaces: []string{"shop"}},
		"second":  {Name: "second", Kubeconfig: path, Context: "second", Namespaces: []string{"shop"}},
	}
	k, err := New(clusters)
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	for name, want := range map[string]int{"current": 2, "second": 3} {
		a := action(verbDeployments)
		a.Target = name
		got, err := k.Answer(within60(t), kind.Query{Action: a, Args: map[string]any{"namespace": "shop"}})
		if err != nil || len(got.Items) != want {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	if _, err := New(map[string]Cluster{"x": {Name: "x", Kubeconfig: path, Context: "none", Namespaces: []string{"shop"}}}); !fault.Is(err, fault.Invalid) {
		t.Errorf("a context that is not there: %v", err)
	}
}

// TestReadmeSample: what the README shows can be copied.
func TestReadmeSample(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, sample, _ := strings.Cut(string(data), "```yaml\n")
	sample, _, found := strings.Cut(sample, "```")
	if _, err := decode(sample); err != nil || !found {
		t.Error(err)
	}
	for verb := range Spec().Verbs {
		if !strings.Contains(string(data), verb) {
			t.Errorf("the README does not know %s", verb)
		}
	}
}
