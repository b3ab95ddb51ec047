// Package archtest holds the import law of the repository: who may import whom, as data with reasons.
//
// Its result must not be cached (run it with -count=1): the packages it lists are invisible to the test cache.
package archtest

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

type pkg struct {
	ImportPath, Dir string
	Imports         []string
	TestImports     []string
	XTestImports    []string
	GoFiles         []string
}

// rule says what the packages that match from may import besides the standard library. Within, rules are tried in
// order and the first match counts.
type rule struct {
	from string
	may  string
	why  string
}

var laws = []rule{
	{`^palmops/libs/lang$`, `^go\.yaml\.in/yaml/v4$`, "words are the floor, and so are"},
	{`^palmops/libs/hours$`, `^$`, "times of the week, and nothing else"},
	{`^palmops/libs/fault$`, `^palmops/libs/lang$`, "the kinds, which have a sentence each"},
	{`^palmops/libs/(wire|token|wecom)$`, `^palmops/libs/fault$`, "protocols are pure: no bus, no logger, no configuration"},
	{`^palmops/libs/conf$`, `^(palmops/libs/fault|go\.yaml\.in/yaml/v4)$`, "configuration knows files and the environment only"},
	{`^palmops/libs/obs$`, `^(palmops/libs/fault|go\.uber\.org/zap.*|github\.com/prometheus/.*)$`, "logging and metrics only"},
	{`^palmops/libs/run$`, `^(palmops/libs/(fault|obs)|go\.uber\.org/zap|github\.com/prometheus/.*)$`, "life cycle only"},
	{`^palmops/libs/bus$`, `^(palmops/libs/(fault|wire)|go\.uber\.org/zap|github\.com/nats-io/nats\.go.*)$`, "the one place that speaks NATS for all"},
	{`^palmops/libs/audit$`, `^(palmops/libs/(bus|fault|wire)|go\.uber\.org/zap|github\.com/prometheus/.*)$`, "audit lines over the bus"},
	{`^palmops/libs/bus/bustest$`, `^(palmops/libs/(bus|fault|looptest|wire)|github\.com/nats-io/nats-server/v2/server)$`, "a server for tests"},
	{`^palmops/services/dialog/internal/flow$`, `^palmops/(libs/(fault|lang|wire)|services/dialog/(menu|node|policy))$`, "the conversation is a pure function"},
	{`^palmops/services/dialog/node(/.*)?$`, `^palmops/(libs/(lang|wire)|services/dialog/node)$`, "nodes in Go are pure functions"},
	{`^palmops/services/dialog/(menu|policy)$`, `^(palmops/libs/(fault|lang|wire|conf|hours)|palmops/services/dialog/(menu|policy)|go\.yaml\.in/yaml/v4|github\.com/(expr-lang/expr|mozillazg/go-pinyin).*)$`, "shown core: no socket, no logger"},
	{`^palmops/services/executor/internal/(guard|life)$`, `^palmops/(libs/(fault|lang|wire|token)|services/executor/catalog)$`, "the last judge and the life of an action are pure"},
	{`^palmops/services/executor/catalog$`, `^(palmops/libs/(fault|lang|wire|conf|hours)|go\.yaml\.in/yaml/v4)$`, "shown core: no socket, no logger"},
	{`^palmops/services/gateway/internal/(render|allow)$`, `^palmops/libs/(fault|lang|wire)$`, "pure parts of the door"},
}

// impure are standard packages that a pure core must not touch.
var impure = map[string]string{
	`^palmops/services/dialog/internal/flow$`:                    `^(net|net/http|os|os/exec|database/sql)$`,
	`^palmops/services/executor/internal/(guard|life)$`:          `^(net|net/http|os|os/exec|database/sql)$`,
	`^palmops/services/gateway/internal/render$`:                 `^(net|net/http|os|os/exec)$`,
	`^palmops/libs/(wire|token|fault)$`:                          `^(net|net/http|os|os/exec)$`,
	`^palmops/services/[a-z]+/app$`:                              `^(flag|os/signal)$`,
	`^palmops/services/(dialog/(menu|policy)|executor/catalog)$`: `^(net|net/http|os/exec)$`,
}

// drawers are package names that say nothing.
var drawers = regexp.MustCompile(`/(common|utils?|helpers?|types|misc|shared|base)(/|$)`)

func TestImportLaw(t *testing.T) {
	pkgs := list(t)
	for _, p := range pkgs {
		if drawers.MatchString(p.ImportPath) {
			t.Errorf("%s: the name says nothing about what is inside", p.ImportPath)
		}
		if law := lawFor(p.ImportPath); law != nil {
			for _, imp := range p.Imports {
				if !standard(imp) && !regexp.MustCompile(law.may).MatchString(imp) {
					t.Errorf("%s imports %s: %s", p.ImportPath, imp, law.why)
				}
			}
		}
		for from, bad := range impure {
			if !regexp.MustCompile(from).MatchString(p.ImportPath) {
				continue
			}
			for _, imp := range p.Imports {
				if regexp.MustCompile(bad).MatchString(imp) {
					t.Errorf("%s imports %s: technology belongs at the edge", p.ImportPath, imp)
				}
			}
		}
		checkServices(t, p)
	}
	for _, law := range laws {
		if !matchesAny(law.from, pkgs) {
			t.Errorf("no package matches %s any more: delete the law or mend it", law.from)
		}
	}
}

func lawFor(path string) *rule {
	for i := range laws {
		if regexp.MustCompile(laws[i].from).MatchString(path) {
			return &laws[i]
		}
	}
	return nil
}

func matchesAny(from string, pkgs []pkg) bool {
	for _, p := range pkgs {
		if regexp.MustCompile(from).MatchString(p.ImportPath) {
			return true
		}
	}
	return false
}

// checkServices: services meet only in libs, and only palmops may hold several of them.
func checkServices(t *testing.T, p pkg) {
	own := service(p.ImportPath)
	all := append(append(append([]string{}, p.Imports...), p.TestImports...), p.XTestImports...)
	for _, imp := range all {
		other := service(imp)
		if other == "" || other == own {
			continue
		}
		if own == "" {
			t.Errorf("%s imports %s: libs know no service", p.ImportPath, imp)
		} else if own != "palmops" {
			t.Errorf("%s imports %s: services never import each other", p.ImportPath, imp)
		}
	}
	for _, imp := range p.Imports {
		if strings.HasSuffix(imp, "test") && strings.HasPrefix(imp, "palmops/libs/") && !strings.HasSuffix(p.ImportPath, "test") {
			t.Errorf("%s imports %s: test servers belong to tests", p.ImportPath, imp)
		}
		if imp == "log" || imp == "log/slog" || imp == "gopkg.in/yaml.v3" || imp == "github.com/pkg/errors" {
			t.Errorf("%s imports %s: use zap, go.yaml.in/yaml and errors", p.ImportPath, imp)
		}
	}
}

func service(path string) string {
	rest, ok := strings.CutPrefix(path, "palmops/services/")
	if !ok {
		return ""
	}
	name, _, _ := strings.Cut(rest, "/")
	return name
}

func standard(imp string) bool {
	first, _, _ := strings.Cut(imp, "/")
	return !strings.Contains(first, ".") && first != "palmops"
}

// TestMainsAreAParagraph keeps wiring out of main and files readable in a sitting.
func TestMainsAreAParagraph(t *testing.T) {
	for _, p := range list(t) {
		for _, f := range p.GoFiles {
			data, err := os.ReadFile(filepath.Join(p.Dir, f))
			if err != nil {
				t.Fatal(err)
			}
			lines := strings.Count(string(data), "\n")
			limit := 500
			if f == "main.go" {
				limit = 80
			}
			if lines > limit {
				t.Errorf("%s/%s has %d lines, the limit is %d: which second idea is in it?", p.ImportPath, f, lines, limit)
			}
			if strings.Contains(string(data), "os.Getenv(") && p.ImportPath != "palmops/libs/conf" {
				t.Errorf("%s/%s reads the environment: only libs/conf may", p.ImportPath, f)
			}
		}
	}
}

func list(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Dir,Imports,TestImports,XTestImports,GoFiles", "work")
	cmd.Dir = "../.."
	cmd.Env = append(os.Environ(), "GOWORK=")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var pkgs []pkg
	for dec := json.NewDecoder(out); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		pkgs = append(pkgs, p)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	if len(pkgs) < 20 {
		t.Fatalf("only %d packages listed: the law was not applied", len(pkgs))
	}
	return pkgs
}
