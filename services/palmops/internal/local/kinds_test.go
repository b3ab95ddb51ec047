package local

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"palmops/services/palmops/internal/story"
)

const samplesDir = "../../../../deployments/config/samples/"

// patience is a guard against waiting for ever and no measure of anything.
const patience = time.Minute

// shipped is a shipped sample as a configuration: its catalog, menu and policy take the place of the local ones.
type shipped struct {
	kind  string
	swaps []string          // pairs of old and new: what names servers of somewhere else names those of the test
	files map[string]string // secrets beside the catalog
}

// start runs a stack with the sample.
func (s shipped) start(t *testing.T, change ...func(*Options)) *running {
	t.Helper()
	return start(t, func(o *Options) {
		for _, c := range change {
			c(o)
		}
		for _, name := range []string{"catalog.yaml", "menu.yaml", "policy.yaml"} {
			data, err := os.ReadFile(filepath.Join(samplesDir, s.kind, name))
			if err != nil {
				t.Fatal(err)
			}
			for i := 0; i+1 < len(s.swaps); i += 2 {
				data = bytes.ReplaceAll(data, []byte(s.swaps[i]), []byte(s.swaps[i+1]))
			}
			s.write(t, o.ConfigDir, name, string(data))
		}
		for name, data := range s.files {
			s.write(t, o.ConfigDir, name, data)
		}
		all, err := os.ReadFile(filepath.Join(o.ConfigDir, "catalog.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		for _, far := range []string{".example", "10.20.0"} {
			if bytes.Contains(all, []byte(far)) {
				t.Fatalf("the catalog still names a server of somewhere else: %s", far)
			}
		}
	})
}

func (s shipped) write(t *testing.T, dir, name, data string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o600); err != nil {
		t.Fatal(err)
	}
}

// plays plays a story of testdata/kinds.
func (r *running) plays(t *testing.T, name string) {
	t.Helper()
	data, err := os.ReadFile("../../testdata/kinds/" + name + ".txtar")
	if err != nil {
		t.Fatal(err)
	}
	r.tell(t, name, string(data))
}

// tell plays a story.
func (r *running) tell(t *testing.T, name, text string) {
	t.Helper()
	if !strings.Contains(text, "-- story --") {
		text = "-- story --\n" + text
	}
	st, err := story.Parse(name, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := story.Play(ctx, r.phones, st, func(line string) { t.Log(line) }); err != nil {
		t.Fatal(err)
	}
}

// hears waits for a text that comes to a phone after seq, and gives all that came.
func (r *running) hears(t *testing.T, user string, after int64, text string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	all := ""
	for !strings.Contains(all, text) {
		texts, last, err := r.phones.Heard(ctx, user, after)
		if err != nil {
			t.Fatalf("%s expected %q, got\n%s\n(%v)", user, text, all, err)
		}
		after = last
		all += strings.Join(texts, "\n") + "\n"
	}
	return all
}

// says types a text and gives what the phone had before.
func (r *running) says(t *testing.T, user, text string) (before int64) {
	t.Helper()
	before, err := r.phones.Last(t.Context(), user)
	if err == nil {
		err = r.phones.Say(t.Context(), user, text)
	}
	if err != nil {
		t.Fatal(err)
	}
	return before
}

// until asks again and again until something is so: for what other programs do and nobody tells.
func until(t *testing.T, what string, so func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	late := time.After(patience)
	for !so() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("%s: it does not come to that", what)
		}
	}
}
