package command

import (
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestCheckHoldsUsesAgainstClasses: what only reads is asked, what prints much is a report, what changes something has a
// confirm; and an order's environment and locks are the catalog's.
func TestCheckHoldsUsesAgainstClasses(t *testing.T) {
	t.Parallel()
	const actions = `environments:
  prod: {locks: [db]}
  test: {}
actions:
  x.run: {kind: drill, verb: run, env: prod}
  x.list: {kind: drill, verb: list}
  x.guide: {kind: drill, verb: guide, settings: {guide: {text: x}}}
  x.show: {kind: command, verb: show, settings: {argv: [/bin/x]}}
`
	const (
		place   = "zone: local, pool: k8s, action: "
		confirm = "{confirm: {text: x}}, "
	)
	for name, c := range map[string]struct{ env, steps, says string }{
		"a change":                  {"", confirm + "{action: {" + place + "x.run, title: x}}", ""},
		"a change in its place":     {"prod", confirm + "{action: {" + place + "x.run, title: x}}", ""},
		"a change elsewhere":        {"test", confirm + "{action: {" + place + "x.run, title: x}}", `its env is "test", but`},
		"a change as a report":      {"", "{report: {" + place + "x.run, title: x}}", "x.run changes something and cannot be a report"},
		"a change as a list":        {"", "{dynamic: {prompt: x, source: {" + place + "x.run}}}", "x.run changes something and cannot be asked"},
		"a report":                  {"", "{report: {" + place + "x.show, title: x}}", ""},
		"a report behind a confirm": {"", confirm + "{action: {" + place + "x.show, title: x}}", ""},
		"a report as a list":        {"", "{dynamic: {prompt: x, source: {" + place + "x.show}}}", "x.show is a report and cannot be asked as a question"},
		"a list":                    {"test", "{dynamic: {prompt: x, source: {" + place + "x.list}}}", ""},
		"a list as a report":        {"", "{report: {" + place + "x.list, title: x}}", "x.list only reads and cannot be ordered"},
		"a view":                    {"", "{custom: {remote: {" + place + "x.guide}}}", ""},
		"a view as a list":          {"", "{dynamic: {prompt: x, source: {" + place + "x.guide}}}", "x.guide shows a view: it can only be a custom step"},
		"a list as a view":          {"", "{custom: {remote: {" + place + "x.list}}}", "x.list shows no view and cannot be a custom step"},
		"a lock":                    {"", confirm + "{action: {" + place + "palmops.lock, title: x, args: {env: prod, name: db, reason: y}}}", ""},
		"a lock of nothing":         {"", confirm + "{action: {" + place + "palmops.lock, title: x, args: {env: prod, name: web, reason: y}}}", `the environment prod of`},
		"a lock of nowhere":         {"", confirm + "{action: {" + place + "palmops.unlock, title: x, args: {env: stage}}}", `has no environment "stage"; there are: prod, test`},
		"the locks of nowhere":      {"", "{dynamic: {prompt: x, source: {" + place + "palmops.locks, args: {env: stage}}}}", `has no environment "stage"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := simpleConfig(t)
			edit(t, dir, "catalog.yaml", "actions:\n", actions)
			node := "  - id: extra\n    title: 附加\n"
			if c.env != "" {
				node += "    env: " + c.env + "\n"
			}
			const steps = "    steps: ["
			edit(t, dir, "menu.yaml", "  - id: pay\n", node+steps+c.steps+"]\n  - id: pay\n")
			if c.says == "" {
				fine(t, "", "check", "--config", dir)
				return
			}
			said := checked(t, "--config", dir)
			want := filepath.Join(dir, "menu.yaml") + ":" + strconv.Itoa(lineOf(t, dir, "menu.yaml", steps+c.steps)) + ": extra: "
			if !strings.Contains(said, want) || !strings.Contains(said, c.says) {
				t.Errorf("no %s … %s in\n%s", want, c.says, said)
			}
		})
	}
}
