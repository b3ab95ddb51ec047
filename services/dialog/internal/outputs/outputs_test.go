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

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestOutputs(t *testing.T) {
	srv := bustest.New(t)
	b := srv.Connect("dialog")
	objects, err := b.JS.ObjectStore(t.Context(), wire.BucketOutputs)
	if err != nil {
		t.Fatal(err)
	}
	s := outputs.New(objects)
	if n, err := s.Size(t.Context(), "a"); n != 0 || err != nil {
		t.Errorf("%d %v", n, err)
	}
	if _, err := s.Get(t.Context(), "a"); !fault.Is(err, fault.NotFound) {
		t.Errorf("%v", err)
	}
	long := strings.Repeat("第一行，不短\n", 30_000) // more than one chunk
	for _, text := range []string{long, long, "other"} {
		if err := s.Put(t.Context(), "a", text); err != nil {
			t.Fatal(err)
		}
		got, err := s.Get(t.Context(), "a")
		n, serr := s.Size(t.Context(), "a")
		if got != text || n != len(text) || errors.Join(err, serr) != nil {
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
	_, gerr := s.Get(gone, "a")
	_, serr := s.Size(gone, "a")
	for _, err := range []error{gerr, serr, s.Put(gone, "a", "x")} {
		if !fault.Is(err, fault.Transient) {
			t.Errorf("without a server: %v", err)
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
