package kubernetes

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"palmops/libs/lang"
	"palmops/services/executor/catalog"
	"palmops/services/executor/internal/kind"
	"palmops/services/executor/internal/kind/kindtest"
)

// everything is a catalog with an action for each verb, called k8s.<verb>.
func everything(t *testing.T, server string) *catalog.Catalog {
	t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "version: 1\nzone: a\npool: b\ntargets: {clusters: {practice: {server: %q, namespaces: [shop, pay, gone], nodes: true}}}\nactions:\n", server)
	for verb, v := range Spec().Verbs {
		fmt.Fprintf(&b, "  k8s.%s:\n    kind: kubernetes\n    verb: %s\n", verb, verb)
		if len(v.Params) > 0 {
			b.WriteString("    params:\n")
		}
		for _, p := range v.Params {
			more := ""
			if p.Optional {
				more = ", optional: true"
			}
			switch p.Name {
			case argDeployment, argStatefulSet, argPod, argNode:
				more += ", pattern: dns-name"
			case argReplicas:
				more += ", min: 0, max: 20"
			}
			fmt.Fprintf(&b, "      %s: {type: %s%s}\n", p.Name, p.Type, more)
		}
	}
	c, err := catalog.Decode("c.yaml", []byte(b.String()), catalog.Kinds{Spec()})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// suite makes the parts of a Subject that are the same for every action.
type suite struct {
	f *fakeAPI
}

func (s suite) subject() kindtest.Subject {
	return kindtest.Subject{
		New: func(t *testing.T) kind.Kind { return newKind(t, s.f.srv.URL) },
		Down: func(t *testing.T) kind.Kind {
			return newKind(t, closedPort(t))
		},
		Absent: map[string]string{},
	}
}

func (s suite) does(verb string, args map[string]any, first ...func()) func(*testing.T) (catalog.Action, map[string]any) {
	return func(t *testing.T) (catalog.Action, map[string]any) {
		for _, do := range first {
			do()
		}
		a, ok := everything(t, s.f.srv.URL).Action("k8s." + verb)
		if !ok {
			t.Fatalf("no action for %s", verb)
		}
		copied := map[string]any{}
		for k, v := range args {
			copied[k] = v
		}
		return a, copied
	}
}

const noSecrets = "credentials are held by client-go and appear in no answer"

func TestSuiteScale(t *testing.T) {
	t.Parallel()
	s := suite{newFakeAPI(t)}
	sub := s.subject()
	n := int64(3)
	sub.Change = func(t *testing.T) (catalog.Action, map[string]any) {
		s.f.mu.Lock()
		s.f.auto = true
		s.f.mu.Unlock()
		n = 8 - int64(*s.f.get("shop/web").Spec.Replicas) // 3, 5, 3, …
		return s.does(verbScale, map[string]any{"namespace": "shop", "deployment": "web", "replicas": n})(t)
	}
	sub.Slow = func(t *testing.T) (catalog.Action, map[string]any) {
		a, args := sub.Change(t)
		s.f.mu.Lock()
		s.f.auto = false
		s.f.mu.Unlock()
		return a, args
	}
	sub.Effects = func(*testing.T) int { return s.f.count("PUT") }
	sub.Refused = s.does(verbScale, map[string]any{"namespace": "shop", "deployment": "web", "replicas": int64(5), "from": int64(9)})
	sub.Bad = map[string]map[string]any{
		"another namespace": {"namespace": "kube-system", "deployment": "web", "replicas": int64(1)},
		"a path for a name": {"namespace": "shop", "deployment": "../web", "replicas": int64(1)},
		"too many":          {"namespace": "shop", "deployment": "web", "replicas": int64(21)},
		"no number":         {"namespace": "shop", "deployment": "web"},
	}
	sub.Absent["Verbose"], sub.Absent["Leaky"] = "a scale prints nothing", noSecrets
	kindtest.Run(t, sub)
}

func TestSuiteDeletePod(t *testing.T) {
	t.Parallel()
	s := suite{newFakeAPI(t)}
	sub := s.subject()
	args := map[string]any{"namespace": "shop", "pod": "web-1"}
	again := func(auto bool) func() {
		return func() {
			s.f.mu.Lock()
			s.f.auto = auto
			s.f.mu.Unlock()
			s.f.addPod("shop", "web-1", "n1", "ReplicaSet")
		}
	}
	sub.Change = s.does(verbDeletePod, args, again(true))
	sub.Slow = s.does(verbDeletePod, args, again(false))
	sub.Effects = func(*testing.T) int { return s.f.count("DELETE") }
	sub.Refused = s.does(verbDeletePod, map[string]any{"namespace": "shop", "pod": "web-1", "uid": "another"}, again(true))
	sub.Bad = map[string]map[string]any{"a shell": {"namespace": "shop", "pod": "web; rm -rf /"}, "no pod": {"namespace": "shop"}}
	sub.Absent["Verbose"], sub.Absent["Leaky"] = "a deletion prints nothing", noSecrets
	kindtest.Run(t, sub)
}

func TestSuiteDrain(t *testing.T) {
	t.Parallel()
	s := suite{newFakeAPI(t)}
	s.f.addNode("n1")
	sub := s.subject()
	args := map[string]any{"node": "n1"}
	again := func(auto bool) func() {
		return func() {
			s.f.mu.Lock()
			s.f.auto = auto
			s.f.mu.Unlock()
			s.f.addPod("shop", "web-1", "n1", "ReplicaSet")
			s.f.addPod("kube-system", "proxy-1", "n1", "DaemonSet")
		}
	}
	sub.Change = s.does(verbDrain, args, again(true))
	sub.Slow = s.does(verbDrain, args, again(false))
	sub.Effects = func(*testing.T) int {
		s.f.mu.Lock()
		defer s.f.mu.Unlock()
		return s.f.evictions
	}
	sub.Refused = s.does(verbDrain, args, again(true), func() { s.f.addPod("shop", "lonely", "n1", "") })
	sub.Bad = map[string]map[string]any{"no node": {}, "a grace too long": {"node": "n1", "grace": int64(100000)}}
	sub.Absent["Verbose"], sub.Absent["Leaky"] = "a drain prints nothing", noSecrets
	kindtest.Run(t, sub)
}

func TestSuiteLogs(t *testing.T) {
	t.Parallel()
	s := suite{newFakeAPI(t)}
	s.f.addPod("shop", "web-1", "n1", "ReplicaSet")
	line := strings.Repeat("x", 1023) + "\n"
	s.f.logs = func(w http.ResponseWriter, r *http.Request, pod string) {
		switch r.URL.Query().Get("tailLines") {
		case "5000":
			for range 10 << 10 {
				if _, err := w.Write([]byte(line)); err != nil {
					return
				}
			}
		case "7": // never ends
			_, _ = w.Write([]byte("begun\n"))
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		default:
			_, _ = w.Write([]byte("one\ntwo\n"))
		}
	}
	sub := s.subject()
	args := func(tail int64) map[string]any {
		return map[string]any{"namespace": "shop", "pod": "web-1", "tail": tail}
	}
	sub.Slow = s.does(verbLogs, args(7))
	sub.Verbose = s.does(verbLogs, args(5000))
	sub.Refused = s.does(verbLogs, map[string]any{"namespace": "shop", "pod": "gone"})
	sub.Down = nil
	sub.Absent["Change"], sub.Absent["Down"], sub.Absent["Leaky"] = "a report changes nothing", "goes with Change", noSecrets
	kindtest.Run(t, sub)
}

// reportOn makes a report, and returns it.
func reportOn(t *testing.T, k *Kind, verb string, tag lang.Tag, args map[string]any) kind.Result {
	t.Helper()
	w := kind.Work{ID: "a", Action: action(verb), Args: args, Timeout: time.Minute, Lang: tag}
	raw, err := k.Prepare(within60(t), w)
	if err != nil {
		t.Fatal(err)
	}
	return k.Apply(within60(t), w, raw, &kindtest.Hand{})
}
