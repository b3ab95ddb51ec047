package rules_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"palmops/libs/bus/bustest"
	"palmops/libs/lang"
	"palmops/libs/wire"
	"palmops/services/dialog/internal/revision"
	"palmops/services/dialog/internal/rules"
	"palmops/services/dialog/internal/session/sessiontest"
	"palmops/services/dialog/menu"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const policyText = "version: 1\nroles: {r: {users: [u]}}\ngrants: [{role: r, menu: [a], actions: [x.*]}]\n"

func menuText(title string) string {
	return "version: 1\ntitle: " + title + "\nitems: [{id: a, title: a, steps: [{dynamic: {source: {zone: z, pool: p, action: x.list}}}]}]\n"
}

// replica is one dialog's files and rules, on a bus that it shares with others.
type replica struct {
	t      *testing.T
	dir    string
	store  *revision.Store
	refuse error
	reg    *prometheus.Registry
	logs   *observer.ObservedLogs
	log    *zap.Logger
	*rules.Rules
}

func newStore(t *testing.T) *revision.Store {
	t.Helper()
	kv, err := bustest.New(t).Connect("dialog").JS.CreateOrUpdateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: wire.BucketRequests})
	if err != nil {
		t.Fatal(err)
	}
	return revision.New(kv)
}

func newReplica(t *testing.T, store *revision.Store, title string) *replica {
	t.Helper()
	core, logs := observer.New(zap.ErrorLevel)
	r := &replica{t: t, dir: t.TempDir(), store: store, logs: logs, log: zap.New(core)}
	r.write("menu.yaml", menuText(title))
	r.write("policy.yaml", policyText)
	return r
}

// age makes the files as old as deployed ones are.
func (r *replica) age() *replica { return r.touch(-time.Hour) }

// touch sets when the files were written, from now. File systems keep times coarsely.
func (r *replica) touch(ago time.Duration) *replica {
	for _, name := range []string{"menu.yaml", "policy.yaml"} {
		at := time.Now().Add(ago)
		if err := os.Chtimes(filepath.Join(r.dir, name), at, at); err != nil {
			r.t.Fatal(err)
		}
	}
	return r
}

func (r *replica) write(name, text string) {
	r.t.Helper()
	path := filepath.Join(r.dir, name)
	if err := os.WriteFile(path+".new", []byte(text), 0o644); err != nil {
		r.t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		r.t.Fatal(err)
	}
}

func (r *replica) make() error {
	var err error
	r.reg = prometheus.NewRegistry()
	r.Rules, err = rules.New(r.t.Context(), rules.Options{
		Menu: filepath.Join(r.dir, "menu.yaml"), Policy: filepath.Join(r.dir, "policy.yaml"), Check: func(*menu.Menu) error { return r.refuse },
		Store: r.store, Instance: r.dir, Log: r.log, Registry: r.reg, Now: time.Now,
	})
	return err
}

// start makes the rules and runs them until the test ends or stop is called.
func (r *replica) start() (stop func()) {
	r.t.Helper()
	if err := r.make(); err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); r.Run(ctx) }()
	stop = func() { cancel(); <-done }
	r.t.Cleanup(stop)
	return stop
}

func (r *replica) title() string { return r.Menu().Title.In(lang.Chinese) }

func (r *replica) awaits(title string) {
	r.t.Helper()
	sessiontest.Wait(r.t, "the menu "+title, func(context.Context) bool { return r.title() == title })
}

func (r *replica) gauge() float64 {
	r.t.Helper()
	n, err := testutil.GatherAndCount(r.reg, "palmops_dialog_reload_ok")
	if err != nil || n != 1 {
		r.t.Fatal(n, err)
	}
	families, _ := r.reg.Gather()
	for _, f := range families {
		if f.GetName() == "palmops_dialog_reload_ok" {
			return f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	return -1
}

func TestOnlyWholePairsCount(t *testing.T) {
	r := newReplica(t, newStore(t), "one")
	if err := r.make(); err != nil {
		t.Fatal(err)
	}
	one, first := r.Menu(), r.Policy()
	for name, spoil := range map[string]func(){
		"menu":   func() { r.write("menu.yaml", "version: 1\n") },
		"policy": func() { r.write("policy.yaml", "version: 1\n") },
		"each other": func() {
			r.write("policy.yaml", "version: 1\nroles: {r: {users: [u]}}\ngrants: [{role: r, menu: [gone], actions: [x.*]}]\n")
		},
		"check":   func() { r.refuse = errors.New("no keys") },
		"no file": func() { _ = os.Remove(filepath.Join(r.dir, "policy.yaml")) },
	} {
		r.write("menu.yaml", menuText("two"))
		spoil()
		if err := r.Reload(t.Context()); err == nil || r.Menu() != one || r.Policy() != first || r.gauge() != 0 {
			t.Errorf("%s: %v, menu %s, gauge %v", name, err, r.title(), r.gauge())
		}
		r.write("policy.yaml", policyText)
		r.refuse = nil
	}
	r.write("menu.yaml", menuText("two"))
	if err := r.Reload(t.Context()); err != nil || r.title() != "two" || r.Policy() == first || r.gauge() != 1 {
		t.Errorf("%v, menu %s", err, r.title())
	}
	if got, err := r.Revision(t.Context(), one.Rev); got != one || err != nil {
		t.Error("the old menu is gone", err)
	}
	for _, rev := range []string{"", "unknown", "a b", "*"} {
		if got, err := r.Revision(t.Context(), rev); got != nil || err != nil {
			t.Errorf("%q: %v %v", rev, got, err)
		}
	}
}

func TestNewNeedsGoodFiles(t *testing.T) {
	r := newReplica(t, newStore(t), "one")
	r.write("menu.yaml", "version: 1\n")
	if err := r.make(); err == nil {
		t.Error("a wrong menu is taken")
	}
}

func TestChangesAreSeen(t *testing.T) {
	r := newReplica(t, newStore(t), "one")
	r.start()
	r.write("menu.yaml", menuText("two"))
	r.awaits("two")
	r.write("menu.yaml", "version: 1\n")
	sessiontest.Wait(t, "the mistake to be logged", func(context.Context) bool { return r.logs.Len() == 1 })
	if r.title() != "two" || r.gauge() != 0 {
		t.Error("a wrong menu counts")
	}
	r.write("menu.yaml", "version: 1\ntitle: three\nitems: [{include: more/a.yaml}]\n")
	sessiontest.Wait(t, "the missing file to be logged", func(context.Context) bool { return r.logs.Len() == 2 })
	if err := os.Mkdir(filepath.Join(r.dir, "more"), 0o755); err != nil {
		t.Fatal(err)
	}
	part := "version: 1\nitems: [{id: a, title: %s, steps: [{dynamic: {source: {zone: z, pool: p, action: x.list}}}]}]\n"
	r.write("more/a.yaml", fmt.Sprintf(part, "a"))
	r.awaits("three")
	r.write("more/a.yaml", fmt.Sprintf(part, "b"))
	sessiontest.Wait(t, "the included file", func(context.Context) bool { return r.Menu().Node("a").Title.ZH == "b" })
}

func TestReplicasSwitchTogether(t *testing.T) {
	store := newStore(t)
	a, b := newReplica(t, store, "one"), newReplica(t, store, "one")
	a.start()
	b.start()
	a.write("menu.yaml", menuText("two"))
	a.awaits("two")
	b.awaits("two")
	one := menuRev(t, b, "one")
	if m, err := b.Revision(t.Context(), one); err != nil || m.Title.ZH != "one" {
		t.Error("open sessions lose their menu", err)
	}
}

// menuRev finds the revision of a title in the store.
func menuRev(t *testing.T, r *replica, title string) string {
	t.Helper()
	list, err := r.store.List(t.Context(), revision.Menu)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		if m, err := r.Revision(t.Context(), e.Rev); err == nil && m.Title.ZH == title {
			return e.Rev
		}
	}
	t.Fatalf("no revision is titled %s", title)
	return ""
}

// A dialog that starts with files of yesterday follows; one with new files leads.
func TestWhoLeadsAtTheStart(t *testing.T) {
	store := newStore(t)
	a := newReplica(t, store, "one").age()
	a.start()
	a.write("menu.yaml", menuText("two"))
	a.awaits("two")
	old := newReplica(t, store, "one").age()
	old.start()
	old.awaits("two")
	fresh := newReplica(t, store, "three").age() // never seen before: a release
	fresh.start()
	for _, r := range []*replica{a, old, fresh} {
		r.awaits("three")
	}
	back := newReplica(t, store, "one").touch(time.Second) // seen, but written just now: somebody put it back
	back.start()
	for _, r := range []*replica{a, old, fresh, back} {
		r.awaits("one")
	}
}

func TestRollbackReachesAllAndStays(t *testing.T) {
	store := newStore(t)
	a, b := newReplica(t, store, "one").age(), newReplica(t, store, "one").age()
	stop := a.start()
	b.start()
	a.write("menu.yaml", menuText("two"))
	b.awaits("two")
	n, _, err := store.Now(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	n.Menu, n.At = menuRev(t, b, "one"), time.Now().UnixMilli()
	if _, err := store.Set(t.Context(), n); err != nil {
		t.Fatal(err)
	}
	a.awaits("one")
	b.awaits("one")
	stop()
	a.age() // holds "two"
	a.start()
	if a.title() != "one" {
		t.Error("a restart undid the rollback")
	}
	if err := a.Reload(t.Context()); err != nil { // somebody wants the file to count
		t.Fatal(err)
	}
	b.awaits("two")
	if _, err := store.Set(t.Context(), n); err == nil {
		t.Error("a decision that rests on an old state was taken")
	}
}

func TestWhatCannotBeBuiltChangesNothing(t *testing.T) {
	store := newStore(t)
	r := newReplica(t, store, "one")
	r.start()
	n, _, err := store.Now(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	n.Menu, n.At = "nosuch", time.Now().UnixMilli()
	if _, err := store.Set(t.Context(), n); err != nil {
		t.Fatal(err)
	}
	sessiontest.Wait(t, "the log", func(context.Context) bool { return r.logs.Len() == 1 })
	if r.title() != "one" || r.gauge() != 0 {
		t.Error(r.title(), r.gauge())
	}
	r.write("menu.yaml", menuText("two"))
	r.awaits("two")
	if r.gauge() != 1 {
		t.Error("the gauge stays down")
	}
}
