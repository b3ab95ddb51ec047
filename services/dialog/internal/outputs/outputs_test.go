package outputs_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"palmops/libs/bus"
	"palmops/libs/bus/bustest"
	"palmops/libs/fault"
	"palmops/libs/wire"
	"palmops/services/dialog/internal/outputs"
)

func TestMain(m *testing.M) {
	// NATS' client leaves one behind when a small object is stored before the goroutine has begun; it holds nothing.
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/nats-io/nats.go/jetstream.(*jetStream).resetPendingAcksOnReconnect"))
}

func TestOutputs(t *testing.T) {
	srv := bustest.New(t)
	b := srv.Connect("dialog")
	s, err := outputs.New(t.Context(), b.JS)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := s.Size(t.Context(), "a"); n != 0 || err != nil {
		t.Errorf("%d %v", n, err)
	}
	if _, err := s.Page(t.Context(), "a", 0); !fault.Is(err, fault.NotFound) {
		t.Errorf("%v", err)
	}
	long := strings.Repeat("第一行，不短\n", 8_000) // more than one chunk
	for _, text := range []string{long, long, "other"} {
		if err := s.Put(t.Context(), "a", text); err != nil {
			t.Fatal(err)
		}
		got, err := all(t, s, "a")
		n, serr := s.Size(t.Context(), "a")
		if got != strings.TrimSuffix(text, "\n") || n != len(text) || errors.Join(err, serr) != nil {
			t.Errorf("%d bytes of %d, size %d, %v %v", len(got), len(text), n, err, serr)
		}
	}
	// The same once more writes nothing.
	before := messages(t, b)
	if err := s.Put(t.Context(), "a", "other"); err != nil || messages(t, b) != before {
		t.Errorf("%v, %d messages instead of %d", err, messages(t, b), before)
	}
	if err := s.Put(t.Context(), "b", strings.Repeat("x", outputs.Most+1)); !fault.Is(err, fault.Invalid) {
		t.Errorf("%v", err)
	}
	srv.Stop()
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	_, gerr := s.Page(gone, "a", 0)
	_, serr := s.Size(gone, "a")
	for _, err := range []error{gerr, serr, s.Put(gone, "a", "x")} {
		if !fault.Is(err, fault.Transient) {
			t.Errorf("without a server: %v", err)
		}
	}
}

// all is every page of an output, one after the other.
func all(t *testing.T, s *outputs.Store, action string) (string, error) {
	t.Helper()
	var lines []string
	for n := 0; ; n++ {
		page, err := s.Page(t.Context(), action, n)
		if err != nil || page.Cut {
			return "", err
		}
		if page.Page != n || page.Pages <= n {
			t.Fatalf("page %d: %+v", n, page)
		}
		if lines = append(lines, page.Lines...); n+1 == page.Pages {
			return strings.Join(lines, "\n"), nil
		}
	}
}

// What an executor has stored is read as well, and of a very long output only the beginning has pages.
func TestAVeryLongOutput(t *testing.T) {
	b := bustest.New(t).Connect("dialog")
	s, err := outputs.New(t.Context(), b.JS)
	if err != nil {
		t.Fatal(err)
	}
	objects, err := b.JS.ObjectStore(t.Context(), wire.BucketOutputs)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := objects.PutString(t.Context(), outputs.Name("a"), strings.Repeat("一二三四五六七八九\n", 8<<20/28)); err != nil {
		t.Fatal(err)
	}
	for n, want := range map[int]int{0: 0, 1000: 1000, 1 << 20: 1872} {
		page, err := s.Page(t.Context(), "a", n)
		if err != nil || !page.Cut || page.Page != want || page.Pages != 1873 || len(page.Lines) == 0 || page.Lines[0] != "一二三四五六七八九" {
			t.Errorf("%d: %d of %d, %d lines, %v", n, page.Page, page.Pages, len(page.Lines), err)
		}
	}
}

// messages is how much the store has written so far.
func messages(t *testing.T, b *bus.Bus) uint64 {
	t.Helper()
	st, err := b.JS.Stream(t.Context(), "OBJ_"+wire.BucketOutputs)
	if err != nil {
		t.Fatal(err)
	}
	return st.CachedInfo().State.LastSeq
}
