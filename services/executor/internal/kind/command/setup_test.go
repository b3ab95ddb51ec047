package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"palmops/libs/conf"
	"palmops/libs/lang"
	"palmops/services/executor/catalog"
	"palmops/services/executor/internal/kind"
	"palmops/services/executor/internal/kind/kindtest"
)

// programVar makes the test's own program one of the programs that commands run here.
const programVar = "TEST_PROGRAM"

func TestMain(m *testing.M) {
	if what := variable(programVar); what != "" {
		os.Exit(testProgram(what, os.Args[1:]))
	}
	goleak.VerifyTestMain(m)
}

func variable(name string) string {
	value, err := conf.Env(name)
	if err != nil {
		panic(err)
	}
	return value
}

// testProgram is what a command runs.
func testProgram(what string, args []string) int {
	note := func(file, line string) {
		f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			panic(err)
		}
		defer f.Close()
		fmt.Fprintln(f, line)
	}
	again := func(what string, apart bool) {
		cmd := exec.Command(os.Args[0], args...)
		cmd.Env = []string{programVar + "=" + what, marker + "=" + variable(marker)}
		cmd.Stdout = os.Stdout
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: apart}
		if err := cmd.Start(); err != nil {
			panic(err)
		}
	}
	forever := func() int {
		signal.Ignore(syscall.SIGTERM)
		note(args[0], strconv.Itoa(os.Getpid()))
		fmt.Println("pid", os.Getpid())
		<-time.After(hang)
		return 9 // nobody ended it
	}
	switch what {
	case "show": // what it was given
		dir, _ := os.Getwd()
		in, _ := io.ReadAll(os.Stdin)
		group, _ := syscall.Getpgid(0)
		_ = json.NewEncoder(os.Stdout).Encode(given{Args: os.Args, Env: os.Environ(), Dir: dir, Stdin: string(in), Leads: group == os.Getpid(), UID: os.Getuid()})
	case "exit": // with a code, after an effect or none
		n, _ := strconv.Atoi(args[0])
		if len(args) > 1 && args[1] != "" {
			note(args[1], "effect")
		}
		return n
	case "append", "append and hang":
		note(args[0], "effect")
		if what == "append and hang" {
			fmt.Println("half way")
			<-time.After(hang)
		}
	case "count": // lines of a file
		data, _ := os.ReadFile(args[0])
		fmt.Println(strings.Count(string(data), "\n"))
	case "family": // does not want to end, and has children that do not either, one of them far away
		again("child", false)
		again("child", true)
		return forever()
	case "child":
		return forever()
	case "leave": // ends, and leaves somebody behind who holds its output
		again("child", true)
		again("child", false)
		for { // until both run
			if data, _ := os.ReadFile(args[0]); strings.Count(string(data), "\n") == 2 {
				return 0
			}
			<-time.After(time.Millisecond)
		}
	case "flood":
		line := strings.Repeat("x", 1023) + "\n"
		for range kind.MaxOutput/1024 + 1000 {
			fmt.Print(line)
		}
	case "executor": // that dies in the middle: the catalog, and a file for what it has prepared
		c, err := catalog.Load(args[0], catalog.Kinds{Spec()})
		if err != nil {
			panic(err)
		}
		k, err := New(c)
		if err != nil {
			panic(err)
		}
		a, _ := c.Action("family")
		w := kind.Work{ID: args[1], Action: a, Timeout: hang, Lang: lang.English}
		before, err := k.Prepare(context.Background(), w)
		if err != nil {
			panic(err)
		}
		fmt.Println(string(before))
		k.Apply(context.Background(), w, before, &kindtest.Hand{})
	case "token":
		fmt.Println("token is", variable("TOKEN"))
	}
	return 0
}

// given is what a program was given.
type given struct {
	Args, Env  []string
	Dir, Stdin string
	Leads      bool
	UID        int
}

// hang is a guard against waiting for ever and no measure of anything.
const hang = 60 * time.Second

// site is a catalog of commands and the kind for it.
type site struct {
	t   *testing.T
	dir string
	cat *catalog.Catalog
	k   *Kind
}

// self is the test's own program.
func self(t *testing.T) string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// newSite makes a catalog of actions. SELF, DIR and ROOT in the text are the test's own program, a folder of the test, and the
// leave to run as root, which tests in a container do.
func newSite(t *testing.T, actions string) *site {
	t.Helper()
	s := &site{t: t, dir: t.TempDir()}
	root := "root: false"
	if os.Geteuid() == 0 {
		root = "root: true"
	}
	if err := os.WriteFile(filepath.Join(s.dir, "token"), []byte("s3cret-value\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	text := "version: 1\nzone: a\npool: b\nactions:\n" + strings.NewReplacer("SELF", self(t), "DIR", s.dir, "ROOT", root).Replace(actions)
	file := filepath.Join(s.dir, "catalog.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var err error
	if s.cat, err = catalog.Load(file, catalog.Kinds{Spec()}); err != nil {
		t.Fatal(err)
	}
	if s.k, err = New(s.cat); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.k.Close)
	return s
}

func (s *site) action(name string) catalog.Action {
	s.t.Helper()
	a, ok := s.cat.Action(name)
	if !ok {
		s.t.Fatalf("no action %s", name)
	}
	return a
}

func (s *site) work(name string, args map[string]any) kind.Work {
	s.t.Helper()
	a := s.action(name)
	if err := a.Check(args, lang.English); err != nil {
		s.t.Fatal(err)
	}
	return kind.Work{ID: "id-" + s.t.Name(), Action: a, Args: args, Timeout: hang, Lang: lang.English}
}

func (s *site) apply(ctx context.Context, w kind.Work, h kind.Hand) kind.Result {
	s.t.Helper()
	before, err := s.k.Prepare(ctx, w)
	if err != nil {
		s.t.Fatal(err)
	}
	return s.k.Apply(ctx, w, before, h)
}

func (s *site) file(name string) string { return filepath.Join(s.dir, name) }

// lines are those of a file; none without the file.
func (s *site) lines(name string) []string {
	s.t.Helper()
	data, err := os.ReadFile(s.file(name))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		s.t.Fatal(err)
	}
	return strings.Fields(string(data))
}

// gone waits until a process has ended. One that nobody has reaped yet has ended as well.
func gone(t *testing.T, pid int) {
	t.Helper()
	for end := time.Now().Add(hang); alive(pid); {
		if time.Now().After(end) {
			t.Errorf("process %d goes on", pid)
			_ = syscall.Kill(pid, syscall.SIGKILL)
			return
		}
	}
}

func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, after, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(after, "Z") && !strings.HasPrefix(after, "X")
}
