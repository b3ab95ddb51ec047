package workflow_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"palmops/libs/fault"
	"palmops/libs/lang"
	"palmops/libs/wire"
	"palmops/services/executor/catalog"
	"palmops/services/executor/internal/kind"
	"palmops/services/executor/internal/kind/workflow"
)

// practice is the kind of the steps: set writes a line into a file, look reads.
var practice = catalog.Spec{Name: "practice", Verbs: map[string]catalog.Verb{
	"set": {Class: catalog.Change, Open: true}, "look": {Class: catalog.Report, Open: true}, "list": {Class: catalog.Question},
}}

const catalogText = `
version: 1
zone: local
pool: k8s
actions:
  set:
    kind: practice
    verb: set
    timeout: 30s
    params:
      what: {type: string, pattern: dns-label}
      to: {type: int, min: 0, max: 9}
      loud: {type: bool, optional: true}
  look: {kind: practice, verb: look, timeout: 10s, params: {what: {type: string, pattern: dns-label}}}
  list: {kind: practice, verb: list}
  never: {kind: practice, verb: set, timeout: 10s, when: {days: [mon], from: "03:00", to: "03:01"}, params: {what: {type: string, pattern: dns-label}}}
  closed:
    kind: workflow
    verb: run
    params: {}
    settings: {steps: [{name: a, action: never, args: {what: a}}]}
  release:
    kind: workflow
    verb: run
    timeout: 5m
    params:
      to: {type: int, min: 0, max: 20}
      name: {type: string, pattern: dns-label, optional: true}
    settings:
      steps:
        - {name: a, title: {zh: 第一, en: first}, action: set, args: {what: a, to: "${to}", loud: true}, undo: {action: set, args: {what: a-back, to: 0}}}
        - {name: b, title: {zh: 第二, en: second}, action: set, args: {what: b, to: "${to}"}, undo: {action: set, args: {what: b-back, to: 0}}}
        - {name: c, title: {zh: 第三, en: third}, action: set, args: {what: c, to: 3}}
        - {name: look, title: {zh: 查看, en: look}, action: look, args: {what: "x${name}"}, on_failure: continue}
`

func decode(t *testing.T, text string) (*catalog.Catalog, error) {
	t.Helper()
	return catalog.Decode("c.yaml", []byte(text), catalog.Kinds{practice, workflow.Spec()})
}

func whole(t *testing.T) *catalog.Catalog {
	t.Helper()
	c, err := decode(t, catalogText)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// steps is the practice kind. What a step ends as is told by its thing; everything else succeeds.
type steps struct {
	dir  string
	ends map[string]string                       // thing → state
	gate func(ctx context.Context, point string) // points: "<thing> before", "<thing> after"
	mu   sync.Mutex
}

func thing(args map[string]any) string { return fmt.Sprint(args["what"]) }

func (s *steps) Answer(context.Context, kind.Query) (wire.Answer, error) { return wire.Answer{}, nil }

func (s *steps) Target(q kind.Query) string {
	if q.Action.Class == catalog.Report {
		return ""
	}
	return "thing/" + thing(q.Args)
}

func (s *steps) Prepare(_ context.Context, w kind.Work) (json.RawMessage, error) {
	if s.ends[thing(w.Args)] == "refused" {
		return nil, fault.WithText(fault.New(fault.NotFound, "gone"), "目标不存在，没有执行任何操作。")
	}
	return nil, nil
}

func (s *steps) Apply(ctx context.Context, w kind.Work, _ json.RawMessage, hand kind.Hand) kind.Result {
	what := thing(w.Args)
	at := func(point string) {
		if s.gate != nil {
			s.gate(ctx, what+" "+point)
		}
	}
	hand.Progress("做 " + what)
	at("before")
	state := s.ends[what]
	if state == "" {
		state = wire.StateSucceeded
	}
	if err := hand.Step(ctx); err != nil || ctx.Err() != nil {
		if context.Cause(ctx) == kind.ErrCanceled {
			return kind.Canceled("取消，没有做 " + what)
		}
		return kind.Failed("没有做 " + what)
	}
	if state != wire.StateFailed && w.Action.Class == catalog.Change {
		s.mu.Lock()
		write(s.dir, what)
		s.mu.Unlock()
	}
	at("after")
	return kind.Result{State: state, Text: state + " 做 " + what, Output: "printed by " + what}
}

func (s *steps) Plan(_ context.Context, w kind.Work, _ json.RawMessage) (string, error) {
	if w.Lang == lang.English {
		return "would do " + thing(w.Args), nil
	}
	return "会做 " + thing(w.Args), nil
}

func (s *steps) Probe(_ context.Context, w kind.Work, _ json.RawMessage) kind.Result {
	if strings.Contains(effects(s.dir), " "+thing(w.Args)+" ") {
		return kind.Ended("已生效 " + thing(w.Args))
	}
	return kind.Failed("没有生效 " + thing(w.Args))
}

func (s *steps) Secrets() []string { return nil }

func (s *steps) Close() {}

// write adds an effect and does not come back before it is on the disk.
func write(dir, what string) {
	f, err := os.OpenFile(filepath.Join(dir, "effects"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err == nil {
		_, err = fmt.Fprintf(f, " %s \n", what)
	}
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		panic(err) // a test that cannot count is none
	}
}

// effects are the things that were done, in order, each between spaces.
func effects(dir string) string {
	data, _ := os.ReadFile(filepath.Join(dir, "effects")) // missing means none
	return strings.ReplaceAll(string(data), "\n", "")
}

func done(dir string) string { return strings.Join(strings.Fields(effects(dir)), " ") }
