package command

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"palmops/libs/fault"
	"palmops/libs/wire"
	"palmops/services/executor/catalog"
	"palmops/services/executor/internal/kind"
	"palmops/services/executor/internal/kind/kindtest"
)

func decode(settings string) (*catalog.Catalog, error) {
	return catalog.Decode("c.yaml", []byte("version: 1\nzone: a\npool: b\nactions:\n  x:\n    kind: command\n"+settings+"\n"), catalog.Kinds{Spec()})
}

func TestMistakes(t *testing.T) {
	t.Parallel()
	run := func(settings string) string { return "    verb: run\n    settings: {" + settings + "}" }
	const a = "    params: {a: {type: string, pattern: line}}\n"
	for text, want := range map[string]string{
		"    verb: run":                                                                    "c.yaml:5: action x: argv must hold 1 to 64 elements",
		run("argv: []"):                                                                    "c.yaml:8: action x: argv must hold 1 to 64",
		run("argv: [systemctl]"):                                                           "c.yaml:8: action x: the program must be an absolute path",
		run("argv: [/usr/../bin/ls]"):                                                      "absolute path",
		run("argv: [/bin/]"):                                                               "absolute path",
		run("argv: [/bin/sh, -c, ls]"):                                                     "/bin/sh is a shell",
		run("argv: [/usr/bin/bash]"):                                                       "is a shell",
		run("argv: [/bin/x, '${a}']"):                                                      `there is no parameter "a"`,
		run("argv: [/bin/x, '$a']"):                                                        "a $ begins",
		run("argv: [/bin/x, '${a']"):                                                       "a $ begins",
		run("argv: [/bin/x, \"a\\0b\"]"):                                                   "holds a NUL",
		a + run("argv: ['/bin/${a}']"):                                                     "the program itself cannot be a parameter",
		a + run("argv: [/bin/x]"):                                                          "the parameter a has no place",
		run("argv: [/bin/x], command: y"):                                                  "command",
		run("argv: [/bin/x], user: 'a b'"):                                                 "neither a name nor uid:gid",
		run("argv: [/bin/x], user: ':5'"):                                                  "neither a name nor uid:gid",
		run("argv: [/bin/x], dir: tmp"):                                                    "dir \"tmp\" is not an absolute path",
		run("argv: [/bin/x], env: {1A: b}"):                                                "c.yaml:8: action x: env: \"1A\" is no variable",
		run("argv: [/bin/x], env: {PALMOPS_ACTION: b}"):                                    "is no variable",
		run("argv: [/bin/x], env: {A: b}, env_files: {A: f}"):                              "is in env as well",
		run("argv: [/bin/x], env_files: {A: ''}"):                                          "names no file",
		run("argv: [/bin/x], exit: {256: done}"):                                           "no code from 0 to 255",
		run("argv: [/bin/x], exit: {03: done}"):                                            "no code from 0 to 255",
		run("argv: [/bin/x], exit: {x: done}"):                                             "no code from 0 to 255",
		run("argv: [/bin/x], exit: {3: good}"):                                             `"good" must be done, nothing or unknown`,
		run("argv: [/bin/x], exit: {3: {means: done, text: x}}"):                           "text",
		run("argv: [/bin/x], exit: {3: {means: done, say: \"a\\nb\"}}"):                    "one line",
		run("argv: [/bin/x], probe: {}"):                                                   "argv or read, one of them",
		run("argv: [/bin/x], probe: {argv: [/bin/y], read: [/bin/y]}"):                     "argv or read, one of them",
		run("argv: [/bin/x], probe: {argv: [y]}"):                                          "absolute path",
		run("argv: [/bin/x], probe: {argv: [/bin/y], same: nothing}"):                      "same belongs to read",
		run("argv: [/bin/x], probe: {read: [/bin/y], same: done}"):                         "must be nothing or unknown",
		run("argv: [/bin/x], on: ''"):                                                      "on is empty",
		run("argv: [/bin/x], on: '${u}'"):                                                  `no parameter "u"`,
		run("argv: [/bin/x], look: ''"):                                                    "look must be one line",
		run("argv: [/bin/x], grace: 11s"):                                                  "grace must be at most 10s",
		run("argv: [/bin/x], nice: 20"):                                                    "nice must be 0 to 19",
		run("argv: [/bin/x], nice: -1"):                                                    "nice must be 0 to 19",
		"    verb: show\n    settings: {argv: [/bin/x], probe: {argv: [/bin/y]}}":          "the verb show takes no setting probe",
		"    verb: list\n    settings: {argv: [/bin/x], progress: x}":                      "the verb list takes no setting progress",
		"    verb: fields\n    settings: {argv: [/bin/x], grace: 1s}":                      "the verb fields takes no setting grace",
		"    verb: run\n    settings:\n      argv:\n      - /bin/x\n      - a\n      - $b": "c.yaml:12: action x: \"$b\"",
	} {
		if _, err := decode(text); err == nil || !strings.Contains(err.Error(), want) || !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// TestIdentify: who a command may be, for an executor that is root and for one that is not.
func TestIdentify(t *testing.T) {
	t.Parallel()
	const me = 4711
	for _, c := range []struct {
		who  string
		root bool
		euid int
		want string // uid, "own", or a part of the refusal
	}{
		{"", false, me, "own"},
		{"", true, me, "own"},
		{"", false, 0, "the executor is root"},
		{"", true, 0, "own"},
		{"4711:4711", false, me, "own"},
		{"4712:4712", false, me, "cannot become"},
		{"4712:4712", false, 0, "4712"},
		{"0:0", true, me, "cannot become"},
		{"0:0", false, 0, "needs root: true"},
		{"0:0", true, 0, "0"},
		{"root", false, 0, "needs root: true"},
		{"no-such-user-here", false, 0, "no-such-user-here"},
		{"987654321", false, 0, "uid:gid"},
		{"1:99999999999", false, 0, "no id"},
	} {
		got, err := identify(c.who, c.root, c.euid)
		switch {
		case c.want == "own":
			if err != nil || got.cred != nil || got.name == "" {
				t.Errorf("%+v: %+v, %v", c, got, err)
			}
		case err != nil:
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("%+v: %v", c, err)
			}
		case got.cred == nil || strconv.Itoa(int(got.cred.Uid)) != c.want:
			t.Errorf("%+v: %+v", c, got)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	for settings, want := range map[string]string{
		"user: no-such-user-here":                                    "c.yaml:5: action x: user no-such-user-here",
		"root: true, user: root, env_files: {TOKEN: /nowhere/token}": "/nowhere/token",
	} {
		c, err := decode("    verb: run\n    settings: {argv: [/bin/x], " + settings + "}")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := New(c); err == nil || !strings.Contains(err.Error(), want) || !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", settings, err)
		}
	}
}

// TestAnotherUser: an executor that is root gives its rights away; any other one runs as itself.
func TestAnotherUser(t *testing.T) {
	t.Parallel()
	user, want := "65534:65534", "uid=65534"
	if uid := os.Geteuid(); uid != 0 {
		user, want = strconv.Itoa(uid)+":"+strconv.Itoa(os.Getegid()), "uid="+strconv.Itoa(uid)
	}
	s := newSite(t, "  id: {kind: command, verb: show, settings: {argv: [/usr/bin/id], user: '"+user+"'}}\n")
	r := s.apply(t.Context(), s.work("id", nil), &kindtest.Hand{})
	if r.State != wire.StateSucceeded || !strings.HasPrefix(r.Output, want) || strings.Contains(r.Output, "(root)") && os.Geteuid() == 0 {
		t.Errorf("%+v", r)
	}
}

// TestTheSample holds the README's sample against a systemctl that keeps its units in files.
func TestTheSample(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(readme), "```yaml\n")
	sample, _, closed := strings.Cut(rest, "```")
	if !found || !closed {
		t.Fatal("the README has no sample")
	}
	if _, err := catalog.Decode("README.md", []byte(sample), catalog.Kinds{Spec()}); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	systemctl := filepath.Join(dir, "systemctl")
	build(t, systemctl)
	if os.Geteuid() == 0 {
		sample = strings.ReplaceAll(sample, "user: palmops-units", "root: true")
	} else {
		sample = strings.ReplaceAll(sample, "user: palmops-units", "nice: 1")
	}
	sample = strings.ReplaceAll(sample, "/usr/bin/systemctl", systemctl)
	sample = strings.ReplaceAll(sample, "app.service]", "missing.service]")
	c, err := catalog.Decode(filepath.Join(dir, "catalog.yaml"), []byte(sample), catalog.Kinds{Spec()})
	if err != nil {
		t.Fatal(err)
	}
	k, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	s := &site{t: t, dir: dir, cat: c, k: k}
	unit := map[string]any{"unit": "nginx.service"}
	w := s.work("unit.restart", unit)
	before, err := k.Prepare(t.Context(), w)
	if err != nil {
		t.Fatal(err)
	}
	if r := k.Probe(t.Context(), w, before); r.State != wire.StateUnknown {
		t.Errorf("before the restart: %s %q", r.State, r.Text)
	}
	if r := k.Apply(t.Context(), w, before, &kindtest.Hand{}); r.State != wire.StateSucceeded {
		t.Errorf("%s %q %q", r.State, r.Text, r.Output)
	}
	if r := k.Probe(t.Context(), w, before); r.State != wire.StateSucceeded {
		t.Errorf("after the restart: %s %q", r.State, r.Text)
	}
	if r := s.apply(t.Context(), s.work("unit.status", unit), &kindtest.Hand{}); r.State != wire.StateSucceeded || !strings.Contains(r.Output, "nginx.service: started 1 times") {
		t.Errorf("%s %q %q", r.State, r.Text, r.Output)
	}
	// A unit that fails to start has been stopped all the same: nothing is claimed.
	if err := os.WriteFile(filepath.Join(dir, "broken"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if r := s.apply(t.Context(), s.work("unit.restart", unit), &kindtest.Hand{}); r.State != wire.StateUnknown || !strings.Contains(r.Text, "exit code 1") {
		t.Errorf("%s %q", r.State, r.Text)
	}
	if r := s.apply(t.Context(), s.work("unit.restart", map[string]any{"unit": "missing.service"}), &kindtest.Hand{}); r.State != wire.StateFailed || !strings.Contains(r.Text, "exit code 5") {
		t.Errorf("%s %q", r.State, r.Text)
	}
	if target := k.Target(kind.Query{Action: w.Action, Args: unit}); target != "command/unit/nginx.service" {
		t.Error(target)
	}
}

// build makes a systemctl that knows its units by files beside it.
func build(t *testing.T, path string) {
	t.Helper()
	const script = `#!/bin/sh
cd "$(/usr/bin/dirname "$0")" || exit 9
verb=$1
for unit; do :; done
n=$(/usr/bin/wc -l <"$unit.starts" 2>/dev/null || echo 0)
case $verb$unit in restartmissing*) echo "Unit $unit not found." >&2; exit 5;; esac
case $verb in
restart) [ ! -e broken ] || { echo "Job for $unit failed." >&2; exit 1; }; echo start >>"$unit.starts";;
show) echo "ActiveEnterTimestampMonotonic=$n";;
status) echo "$unit: started $n times";;
*) exit 9;;
esac
`
	if err := os.WriteFile(path, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := exec.Command(path, "status", "x").Run(); err != nil {
		t.Fatal(err)
	}
}
