package local

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"

	"palmops/libs/obs"
	"palmops/services/palmops/internal/story"
	"palmops/services/simulator/client"
)

func TestMain(m *testing.M) {
	// A conversation waits more than it works; by themselves only as many would go on at once as there are processors.
	flag.Parse()
	if err := flag.Set("test.parallel", "4"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}

const configDir = "../../../../deployments/config/local"

// running is a stack that serves in the background of a test.
type running struct {
	*Stack
	phones story.Phones
	config string
	stop   func()
}

// start runs a stack on free ports, with its own copy of the shipped configuration.
func start(t testing.TB, change func(*Options)) *running {
	t.Helper()
	config := t.TempDir()
	if err := os.CopyFS(config, os.DirFS(configDir)); err != nil {
		t.Fatal(err)
	}
	o := Options{
		ConfigDir: config, DataDir: t.TempDir(), Gateway: "127.0.0.1:0", Simulator: "127.0.0.1:0", Practice: "127.0.0.1:0",
		Log: testLog(t), Registry: obs.NewRegistry(),
	}
	if change != nil {
		change(&o)
	}
	ctx, cancel := context.WithCancel(context.Background())
	s, err := New(ctx, o)
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	c := client.New(s.PageURL(), nil)
	r := &running{Stack: s, config: config, phones: story.Phones{Client: c}}
	stopped := false
	r.stop = func() {
		if stopped {
			return
		}
		stopped = true
		c.Close()
		cancel()
		if err := <-done; err != nil {
			t.Errorf("stop: %v", err)
		}
	}
	r.phones.Config = func(ctx context.Context, name string, data []byte) error {
		if err := os.WriteFile(filepath.Join(r.config, filepath.FromSlash(name)), data, 0o600); err != nil {
			return err
		}
		return s.Reload(ctx)
	}
	t.Cleanup(r.stop)
	return r
}

func testLog(t testing.TB) *zap.Logger {
	if !testing.Verbose() {
		return zap.NewNop()
	}
	log, err := obs.NewLogger(os.Stderr, "info", false)
	if err != nil {
		t.Fatal(err)
	}
	return log
}

// overlay puts the archive's files under config/ in place before the world begins.
func overlay(t *testing.T, dir string, st story.Story) {
	t.Helper()
	for name, data := range st.Files {
		if file, ok := strings.CutPrefix(name, "config/"); ok {
			path := filepath.Join(dir, filepath.FromSlash(file))
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestStories plays every conversation of testdata/stories, each in a world of its own.
func TestStories(t *testing.T) {
	files, err := filepath.Glob("../../testdata/stories/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no stories: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			t.Parallel()
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			st, err := story.Parse(filepath.Base(file), data)
			if err != nil {
				t.Fatal(err)
			}
			r := start(t, func(o *Options) { overlay(t, o.ConfigDir, st) })
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			if err := story.Play(ctx, r.phones, st, func(line string) { t.Log(line) }); err != nil {
				t.Error(err)
			}
		})
	}
}
