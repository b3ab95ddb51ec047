package flow_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"palmops/libs/wire"
	"palmops/services/dialog/internal/flow"
	"palmops/services/dialog/menu"
	"palmops/services/dialog/node"
	"palmops/services/dialog/node/cidr"
	"palmops/services/dialog/policy"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// noon is a Monday in Shanghai.
var noon = time.Date(2026, 11, 23, 4, 0, 0, 0, time.UTC).UnixMilli()

// world is what Step knows of the world, and how questions are answered in it.
type world struct {
	menu     *menu.Menu
	latest   *menu.Menu
	policy   *policy.Policy
	bound    map[*menu.Menu]*policy.Bound
	person   wire.Person
	identity flow.Identity
	fault    string // every question fails with it
	lists    map[string][]wire.Item
	fields   map[string]string
	tasks    map[string]flow.Task
	everyone flow.Task // what is said of tasks that are not in tasks
	output   string
	view     func(inputs []string) wire.View
	asOf     int64
	memo     flow.Memo
	asked    []flow.Question
	now, at  int64
}

func newWorld(t testing.TB) *world {
	t.Helper()
	return worldOf(t, "testdata/retail.yaml", "testdata/policy.yaml")
}

func richWorld(t testing.TB) *world {
	t.Helper()
	w := worldOf(t, "testdata/rich.yaml", "testdata/rich-policy.yaml")
	w.now = noon
	w.lists["k.clusters"] = []wire.Item{{Value: "a1"}, {Value: "b1"}}
	w.lists["k.namespaces"] = []wire.Item{{Value: "pay"}, {Value: "shop"}}
	w.lists["k.deployments"] = []wire.Item{{Value: "api", Detail: "2/2"}, {Value: "db"}, {Value: "job"}, {Value: "web", Detail: "3/3"}, {Value: "x,y"}}
	w.lists["k.nodes"] = []wire.Item{{Value: "n1"}, {Value: "n2"}}
	w.lists["members 7"] = []wire.Item{{Value: "lisi", Label: "李四"}, {Value: "zhangsan", Label: "张三"}}
	w.view = func(inputs []string) wire.View { return wire.View{} }
	return w
}

func worldOf(t testing.TB, menuFile, policyFile string) *world {
	t.Helper()
	w := &world{identity: flow.Fresh, lists: map[string][]wire.Item{
		"k8s.namespaces":  {{Value: "pay"}, {Value: "shop"}},
		"k8s.deployments": {{Value: "api", Detail: "2/2"}, {Value: "web", Detail: "3/3"}},
	}, fields: map[string]string{"replicas": "3", "ready": "3", "resource_version": "7"}, bound: map[*menu.Menu]*policy.Bound{}}
	var err error
	if w.menu, err = menu.Load(menuFile, menu.BuildOptions{}); err != nil {
		t.Fatal(err)
	}
	if w.policy, err = policy.Load(policyFile); err != nil {
		t.Fatal(err)
	}
	return w.as("zhangsan")
}

func (w *world) as(user string) *world {
	w.person = wire.Person{User: user, Name: user, Found: true, Active: true}
	return w
}

func (w *world) grant(t testing.TB, yaml string) {
	t.Helper()
	p, err := policy.Parse("p.yaml", []byte(yaml))
	if err != nil {
		t.Fatal(err)
	}
	w.policy, w.bound = p, map[*menu.Menu]*policy.Bound{}
}

func (w *world) rights(m *menu.Menu) flow.Rights {
	if w.bound[m] == nil {
		w.bound[m] = w.policy.Bind(m)
	}
	return w.bound[m].For(w.person, time.UnixMilli(w.now))
}

func (w *world) env() flow.Env {
	return flow.Env{
		Person: w.person, Identity: w.identity, Rights: w.rights, Answers: map[string]flow.Answer{}, Latest: w.latest, Memo: w.memo,
		Nodes: map[string]node.Node{"cidr": cidr.Node}, Now: w.now,
	}
}

func (w *world) answer(q flow.Question) flow.Answer {
	if w.fault != "" {
		return flow.Answer{Fault: w.fault}
	}
	switch q.What {
	case flow.AskTasks:
		a := flow.Answer{}
		for _, id := range q.Tasks {
			task, ok := w.tasks[id]
			if !ok {
				task = w.everyone
			}
			task.ID = id
			if task.State == "" {
				task.State = wire.StateQueued
			}
			a.Tasks = append(a.Tasks, task)
		}
		return a
	case flow.AskOutput:
		return flow.Answer{Output: pageOf(w.output, q.Page)}
	case flow.AskView:
		v := w.view(wire.SplitInputs(q.Args["inputs"].(string)))
		return flow.Answer{View: &v}
	case flow.AskDirectory:
		return flow.Answer{Items: w.lists[fmt.Sprint(q.Directory, " ", q.In)], AsOf: w.asOf}
	}
	return flow.Answer{Items: w.lists[q.Action], Fields: w.fields, AsOf: w.asOf}
}

// pageOf is one page of a text, with twenty lines or one long one on each.
func pageOf(text string, page int) (out flow.OutputPage) {
	var pages [][]string
	for _, line := range strings.Split(text, "\n") {
		if last := len(pages) - 1; last < 0 || len(pages[last]) == 20 || len(strings.Join(pages[last], "\n"))+len(line) >= 900 {
			pages = append(pages, nil)
		}
		pages[len(pages)-1] = append(pages[len(pages)-1], line)
	}
	if text == "" {
		return out
	}
	page = min(page, len(pages)-1)
	return flow.OutputPage{Lines: pages[page], Page: page, Pages: len(pages), Cut: strings.HasSuffix(text, "CUT")}
}

// step answers all questions of one step.
func (w *world) step(t testing.TB, s flow.Session, ev flow.Event) flow.Result {
	t.Helper()
	env := w.env()
	if ev.At == 0 {
		ev.At = w.at
	}
	for range 8 {
		r := flow.Step(w.menu, s, ev, env)
		if r.Need == nil {
			return r
		}
		if r.Intent != nil || r.Screens != nil || r.Memo != nil {
			t.Fatal("a result that needs an answer holds more than the question")
		}
		w.asked = append(w.asked, *r.Need)
		if _, twice := env.Answers[r.Need.Key]; twice {
			t.Fatalf("%s is asked twice in one step", r.Need.Key)
		}
		env.Answers[r.Need.Key] = w.answer(*r.Need)
	}
	t.Fatal("a step that does not stop asking")
	return flow.Result{}
}

// talk says one thing after the other, a second apart.
type talk struct {
	t    testing.TB
	w    *world
	s    flow.Session
	n    int64
	last flow.Result
}

func (c *talk) say(texts ...string) flow.Result {
	c.t.Helper()
	for _, text := range texts {
		c.send(flow.Event{Type: "text", Text: text})
	}
	return c.last
}

func (c *talk) press(card, key string) flow.Result {
	c.t.Helper()
	return c.send(flow.Event{Type: "event", Event: flow.EventCard, Card: card, Key: key})
}

func (c *talk) send(ev flow.Event) flow.Result {
	c.t.Helper()
	c.n++
	ev.ID, ev.SentAt = fmt.Sprintf("m%d", c.n), 1000+c.n
	c.last = c.w.step(c.t, c.s, ev)
	c.s = c.last.Session
	if c.last.Memo != nil {
		c.w.memo = *c.last.Memo
	}
	return c.last
}

// text is a screen as a person reads it, near enough.
func text(screens []wire.Screen) string {
	var b strings.Builder
	for _, s := range screens {
		for _, line := range append([]string{s.Note, s.Title}, s.Body...) {
			if line != "" {
				b.WriteString(line + "\n")
			}
		}
		for _, c := range s.Choices {
			b.WriteString(strings.TrimSpace(c.Key+". "+c.Label+"  "+c.Detail) + "\n")
		}
		if s.Pages > 0 {
			fmt.Fprintf(&b, "第 %d/%d 页\n", s.Page, s.Pages)
		}
		if s.Keys != "" {
			b.WriteString(s.Keys + "\n")
		}
	}
	return b.String()
}

func (c *talk) wants(parts ...string) {
	c.t.Helper()
	got := text(c.last.Screens)
	for _, p := range parts {
		if not, ok := strings.CutPrefix(p, "! "); ok {
			if strings.Contains(got, not) {
				c.t.Errorf("want no %q in:\n%s", not, got)
			}
		} else if !strings.Contains(got, p) {
			c.t.Errorf("want %q in:\n%s", p, got)
		}
	}
}

// play holds a conversation: lines that begin with > are said, the lines behind them must be on the screens that come,
// those that begin with ! must not. A line = names what the step did, @ the path.
func (c *talk) play(script string) {
	c.t.Helper()
	for line := range strings.Lines(script) {
		switch line = strings.TrimSpace(line); {
		case line == "":
		case strings.HasPrefix(line, ">"):
			c.say(strings.TrimPrefix(strings.TrimPrefix(line, ">"), " "))
		case strings.HasPrefix(line, "="):
			if did := strings.TrimSpace(line[1:]); did != strings.TrimSpace(c.last.Did+" "+c.last.Reason) {
				c.t.Errorf("did %s %s, want %s, on:\n%s", c.last.Did, c.last.Reason, did, text(c.last.Screens))
			}
		case strings.HasPrefix(line, "@"):
			if path := strings.TrimSpace(line[1:]); path != c.s.Path() {
				c.t.Errorf("path %s, want %s, on:\n%s", c.s.Path(), path, text(c.last.Screens))
			}
		default:
			c.wants(line)
		}
	}
}

// same says what of two sessions is not the same place.
func same(a, b flow.Session) string {
	return cmp.Diff(append([]flow.Hop{}, a.Hops...), append([]flow.Hop{}, b.Hops...)) + cmp.Diff(a.Screen.Kind, b.Screen.Kind) + cmp.Diff(a.Screen.Room, b.Screen.Room)
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
