package revision_test

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"palmops/libs/bus/bustest"
	"palmops/libs/fault"
	"palmops/libs/wire"
	"palmops/services/dialog/internal/revision"
	"palmops/services/dialog/menu"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newStore(t *testing.T) *revision.Store {
	t.Helper()
	kv, err := bustest.New(t).Connect("dialog").JS.CreateOrUpdateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: wire.BucketRequests})
	if err != nil {
		t.Fatal(err)
	}
	return revision.New(kv)
}

func TestRevisionsNeverChange(t *testing.T) {
	s := newStore(t)
	b := revision.Bundle{Root: "menu.yaml", Files: menu.Files{"menu.yaml": []byte("a: 中文\n"), "sub/b.yaml": {0xff, 0}}, At: 5, By: "d1"}
	if err := s.Put(t.Context(), revision.Menu, "r1", b); err != nil {
		t.Fatal(err)
	}
	if err := s.Put(t.Context(), revision.Menu, "r1", revision.Bundle{Root: "other"}); err != nil {
		t.Fatal(err)
	}
	got, err := s.Get(t.Context(), revision.Menu, "r1")
	if err != nil || cmp.Diff(&b, got) != "" {
		t.Error(err, cmp.Diff(&b, got))
	}
	for _, rev := range []string{"r2", "", "a b", ">", "*", "../x"} {
		if got, err := s.Get(t.Context(), revision.Menu, rev); got != nil || err != nil {
			t.Errorf("%q: %v %v", rev, got, err)
		}
	}
}

func TestTheLimitOfARevision(t *testing.T) {
	s := newStore(t)
	noise := make([]byte, revision.MaxStored*3/8) // random bytes as hex and base64 do not get smaller again than they were
	_, _ = rand.Read(noise)
	fits := revision.Bundle{Root: "m", Files: menu.Files{"m": []byte(hex.EncodeToString(noise))}}
	if err := s.Put(t.Context(), revision.Menu, "r1", fits); err != nil {
		t.Error(err)
	}
	more := make([]byte, revision.MaxStored)
	_, _ = rand.Read(more)
	if err := s.Put(t.Context(), revision.Menu, "r2", revision.Bundle{Root: "m", Files: menu.Files{"m": more}}); !fault.Is(err, fault.Invalid) {
		t.Error(err)
	}
	text := make([]byte, 2<<20) // a large file of text is small
	for i := range text {
		text[i] = "title: 掌上运维\n"[i%20]
	}
	if err := s.Put(t.Context(), revision.Menu, "r3", revision.Bundle{Root: "m", Files: menu.Files{"m": text}}); err != nil {
		t.Error(err)
	}
	if got, err := s.Get(t.Context(), revision.Menu, "r3"); err != nil || len(got.Files["m"]) != len(text) {
		t.Error(err)
	}
}

func TestOnlyOneDecisionCounts(t *testing.T) {
	s := newStore(t)
	if _, ok, err := s.Now(t.Context()); ok || err != nil {
		t.Fatal(ok, err)
	}
	n, err := s.Set(t.Context(), revision.Now{Menu: "a", Policy: "p", At: 1, By: "d", Why: "start"})
	if err != nil || n.Rev == 0 {
		t.Fatal(n, err)
	}
	if _, err := s.Set(t.Context(), revision.Now{Menu: "b"}); !fault.Is(err, fault.Conflict) {
		t.Error("a second beginning", err)
	}
	m := n
	m.Menu = "c"
	if m, err = s.Set(t.Context(), m); err != nil || m.Rev <= n.Rev {
		t.Error(m, err)
	}
	if _, err := s.Set(t.Context(), n); !fault.Is(err, fault.Conflict) {
		t.Error("an old state was written over a new one", err)
	}
	got, ok, err := s.Now(t.Context())
	if err != nil || !ok || got != m {
		t.Error(got, ok, err)
	}
}

func TestListAndPrune(t *testing.T) {
	s := newStore(t)
	for i := range revision.Kept + 3 {
		if err := s.Put(t.Context(), revision.Menu, fmt.Sprint("r", i), revision.Bundle{Root: "m", Files: menu.Files{"m": []byte("1234")}, By: "d"}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Set(t.Context(), revision.Now{Menu: "r0", Policy: "p"}); err != nil {
		t.Fatal(err)
	}
	list, err := s.List(t.Context(), revision.Menu)
	if err != nil || len(list) != revision.Kept+3 || list[0].Rev != fmt.Sprint("r", revision.Kept+2) || list[0].Bytes != 4 || list[0].By != "d" {
		t.Fatal(err, len(list), list[0])
	}
	if err := s.Prune(t.Context()); err != nil {
		t.Fatal(err)
	}
	list, err = s.List(t.Context(), revision.Menu)
	if err != nil || len(list) != revision.Kept+1 || !list[revision.Kept].Current || list[revision.Kept].Rev != "r0" {
		t.Error(err, len(list), list[len(list)-1])
	}
}
