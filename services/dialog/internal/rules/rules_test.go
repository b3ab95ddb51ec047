package rules_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"palmops/services/dialog/internal/rules"
	"palmops/services/dialog/internal/session/sessiontest"
	"palmops/services/dialog/menu"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const policyText = "version: 1\nroles: {r: {users: [u]}}\ngrants: [{role: r, menu: [a], actions: [x.*]}]\n"

func menuText(title string) string {
	return "version: 1\ntitle: " + title + "\nitems: [{id: a, title: a, steps: [{dynamic: {source: {zone: z, pool: p, action: x.list}}}]}]\n"
}

type files struct {
	t   *testing.T
	dir string
}

func (f files) write(name, text string) string {
	f.t.Helper()
	path := filepath.Join(f.dir, name)
	if err := os.WriteFile(path+".new", []byte(text), 0o644); err != nil {
		f.t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		f.t.Fatal(err)
	}
	return path
}

func TestOnlyWholePairsCount(t *testing.T) {
	f := files{t, t.TempDir()}
	m, p := f.write("menu.yaml", menuText("one")), f.write("policy.yaml", policyText)
	var refuse error
	r, err := rules.New(m, p, func(*menu.Menu) error { return refuse }, zap.NewNop(), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	one, first := r.Menu(), r.Policy()
	for name, spoil := range map[string]func(){
		"menu":   func() { f.write("menu.yaml", "version: 1\n") },
		"policy": func() { f.write("policy.yaml", "version: 1\n") },
		"each other": func() {
			f.write("policy.yaml", "version: 1\nroles: {r: {users: [u]}}\ngrants: [{role: r, menu: [gone], actions: [x.*]}]\n")
		},
		"check":   func() { refuse = errors.New("no keys") },
		"no file": func() { _ = os.Remove(p) },
	} {
		f.write("menu.yaml", menuText("two"))
		spoil()
		if err := r.Reload(); err == nil || r.Menu() != one || r.Policy() != first {
			t.Errorf("%s: %v, menu %s", name, err, r.Menu().Title)
		}
		f.write("policy.yaml", policyText)
		refuse = nil
	}
	f.write("menu.yaml", menuText("two"))
	if err := r.Reload(); err != nil || r.Menu().Title != "two" || r.Policy() == first {
		t.Errorf("%v, menu %s", err, r.Menu().Title)
	}
	if r.Revision(one.Rev) != one || r.Revision(r.Menu().Rev) != r.Menu() || r.Revision("unknown") != nil {
		t.Error("revisions")
	}
	for i := range rules.Kept {
		f.write("menu.yaml", menuText(fmt.Sprint("n", i)))
		if err := r.Reload(); err != nil {
			t.Fatal(err)
		}
	}
	if r.Revision(one.Rev) != nil {
		t.Error("revisions are kept for ever")
	}
}

func TestNewNeedsGoodFiles(t *testing.T) {
	f := files{t, t.TempDir()}
	if _, err := rules.New(f.write("menu.yaml", "version: 1\n"), f.write("policy.yaml", policyText), nil, zap.NewNop(), prometheus.NewRegistry()); err == nil {
		t.Error("a wrong menu is taken")
	}
}

func TestChangesAreSeen(t *testing.T) {
	f := files{t, t.TempDir()}
	m, p := f.write("menu.yaml", menuText("one")), f.write("policy.yaml", policyText)
	core, logs := observer.New(zap.ErrorLevel)
	r, err := rules.New(m, p, nil, zap.New(core), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); r.Run(ctx) }()
	f.write("menu.yaml", menuText("two"))
	sessiontest.Wait(t, "the new menu", func(context.Context) bool { return r.Menu().Title == "two" })
	f.write("menu.yaml", "version: 1\n")
	sessiontest.Wait(t, "the mistake to be logged", func(context.Context) bool { return logs.Len() == 1 })
	if r.Menu().Title != "two" {
		t.Error("a wrong menu counts")
	}
	if err := os.Chtimes(m, time.Now(), time.Now().Add(time.Hour)); err != nil { // looked at again, still wrong
		t.Fatal(err)
	}
	sessiontest.Wait(t, "the mistake to be logged again", func(context.Context) bool { return logs.Len() == 2 })
	cancel()
	<-done
}
