package command

import (
	"bytes"
	"context"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"palmops/libs/obs"
	"palmops/services/palmops/internal/local"
	"palmops/services/palmops/internal/story"
	"palmops/services/simulator/client"
)

// stage is the whole system in this process, with its bus open to commands.
type stage struct {
	t      *testing.T
	data   string
	stack  *local.Stack
	phones story.Phones
}

func newStage(t *testing.T, change func(*local.Options)) *stage {
	t.Helper()
	s := &stage{t: t, data: t.TempDir()}
	o := local.Options{
		ConfigDir: copyConfig(t), DataDir: s.data, Gateway: "127.0.0.1:0", Simulator: "127.0.0.1:0", Practice: "127.0.0.1:0", NATSListen: "127.0.0.1:0",
		Log: zap.NewNop(), Registry: obs.NewRegistry(),
	}
	if change != nil {
		change(&o)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var err error
	if s.stack, err = local.New(ctx, o); err != nil {
		cancel()
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.stack.Run(ctx) }()
	s.phones.Client = client.New(s.stack.PageURL(), nil)
	t.Cleanup(func() {
		s.phones.Client.Close()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return s
}

// palmops runs a command against the stage's bus.
func (s *stage) palmops(args ...string) (code int, out string) {
	s.t.Helper()
	var b bytes.Buffer
	code = Main(s.t.Context(), Streams{In: strings.NewReader(""), Out: &b, Err: &b}, append(args, "--nats", s.stack.NATSURL()))
	return code, b.String()
}

func (s *stage) play(lines string) {
	s.t.Helper()
	st, err := story.Parse("part", []byte("-- story --\n"+lines))
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(s.t.Context(), 2*time.Minute)
	defer cancel()
	if err := story.Play(ctx, s.phones, st, func(string) {}); err != nil {
		s.t.Fatal(err)
	}
}

// TestDoctorAndActions looks at a healthy system, follows an action through list, show and cancel, and asks the doctor again.
func TestDoctorAndActions(t *testing.T) {
	s := newStage(t, nil)
	// Executors announce themselves a moment after the stack is up, and the menu counts a moment after dialog is.
	for {
		code, out := s.palmops("doctor")
		if code == ExitFine && strings.Contains(out, "are offered") {
			if !regexp.MustCompile(`ok    pool local/k8s +1 executor online, \d+ actions, 0 in work, 0 waiting`).MatchString(out) || !strings.HasSuffix(out, "0 failures, 0 warnings\n") {
				t.Errorf("doctor says\n%s", out)
			}
			break
		}
		if t.Context().Err() != nil {
			t.Fatalf("doctor ended with %d:\n%s", code, out)
		}
	}
	if code, out := s.palmops("actions", "list"); code != ExitFine || out != "no actions\n" {
		t.Errorf("%d: %s", code, out)
	}
	s.play("zhangsan> 00\nzhangsan> [公共工具]\nzhangsan> [演练]\nzhangsan> 600\nzhangsan> 默认\nzhangsan> 1\n  已受理\nzhangsan< later\n  演练进行中\n")
	code, out := s.palmops("actions", "list", "--state", "running", "--user", "ZhangSan", "--pool", "local/k8s")
	m := regexp.MustCompile(`(?m)^([0-9a-z]{26})  .*  running  zhangsan  local/k8s  drill\.run  演练 600 秒`).FindStringSubmatch(out)
	if code != ExitFine || m == nil {
		t.Fatalf("%d:\n%s", code, out)
	}
	id := m[1]
	if code, out := s.palmops("actions", "show", strings.ToUpper(id[:6])); code != ExitFine || !strings.Contains(out, id) || !strings.Contains(out, `"seconds":600`) {
		t.Errorf("%d:\n%s", code, out)
	}
	keys := filepath.Join(s.data, "keys", "local.json")
	if code, out := s.palmops("actions", "cancel", id[:6], "--keys", keys); code != ExitFine || !strings.Contains(out, "Cancelled #"+strings.ToUpper(id[:6])) {
		t.Errorf("%d:\n%s", code, out)
	}
	s.play("zhangsan< later\n  已取消\n")
	if code, out := s.palmops("actions", "list", "--state", "canceled"); code != ExitFine || !strings.Contains(out, id) {
		t.Errorf("%d:\n%s", code, out)
	}
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"actions", "cancel", id, "--keys", keys}, ExitRefused, "has ended already: canceled"},
		{[]string{"actions", "cancel", id}, ExitFailed, "--keys"},
		{[]string{"actions", "show", "zzzzzz"}, ExitRefused, "no record"},
		{[]string{"actions", "show", "a"}, ExitFailed, "at least 4"},
		{[]string{"actions", "list", "--limit", "0"}, ExitFailed, "1 to 1000"},
		{[]string{"actions", "list", "--limit", "1001"}, ExitFailed, "1 to 1000"},
		{[]string{"actions", "list", "--limit", "1"}, ExitFine, "1 more"},
	} {
		if code, out := s.palmops(c.args...); code != c.code || !strings.Contains(out, c.says) {
			t.Errorf("%v: %d:\n%s", c.args, code, out)
		}
	}
}

// TestDoctorMissesExecutors has nobody to do anything, and a Redis that is not there.
func TestDoctorMissesExecutors(t *testing.T) {
	s := newStage(t, func(o *local.Options) { o.NoExecutor = true })
	s.play("zhangsan> 00\nzhangsan> [公共工具]\nzhangsan> [演练]\nzhangsan> 600\n  ! 已受理\n")
	code, out := s.palmops("doctor", "--redis", "redis://:geheim@127.0.0.1:1/0")
	for _, want := range []string{"no executor of pool local/k8s is online", "FAIL  redis"} {
		if code != ExitRefused || !strings.Contains(out, want) {
			t.Errorf("doctor ended with %d, without %q:\n%s", code, want, out)
		}
	}
	if strings.Contains(out, "geheim") {
		t.Error("the doctor shows a password")
	}
}
