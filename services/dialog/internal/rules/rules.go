// Package rules holds the menu and the policy that count right now, and reads them again when their files change.
//
// A new pair is built completely and checked before one atomic swap makes it count. A wrong file changes nothing: the
// old pair goes on. Older menus stay, so that open sessions finish on the menu they started with.
package rules

import (
	"context"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"palmops/libs/conf"
	"palmops/services/dialog/menu"
	"palmops/services/dialog/policy"
)

// Kept is how many menu revisions are kept for open sessions, the newest ones.
const Kept = 32

// Poll is how often the files are looked at.
const Poll = time.Second

// Rules is safe for concurrent use.
type Rules struct {
	menuFile, policyFile string
	check                func(*menu.Menu) error
	log                  *zap.Logger
	ok, when             prometheus.Gauge

	now atomic.Pointer[set]

	mu    sync.Mutex // one load at a time
	marks [2]mark    // of the files as last tried
}

type set struct {
	menu   *menu.Menu
	policy *policy.Policy
	menus  []*menu.Menu // the newest first
}

type mark struct {
	info os.FileInfo
}

func (m mark) same(o mark) bool {
	if m.info == nil || o.info == nil {
		return m.info == o.info
	}
	return os.SameFile(m.info, o.info) && m.info.ModTime().Equal(o.info.ModTime()) && m.info.Size() == o.info.Size()
}

// New reads both files. Check may refuse a menu, for instance because of a zone without keys; its error is reported
// beside the files' own. The error is of type conf.Problems.
func New(menuFile, policyFile string, check func(*menu.Menu) error, log *zap.Logger, reg prometheus.Registerer) (*Rules, error) {
	r := &Rules{
		menuFile: menuFile, policyFile: policyFile, check: check, log: log.Named("rules"),
		ok: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "palmops_dialog_reload_ok", Help: "1 when the menu and policy files on disk are the ones that count.",
		}),
		when: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "palmops_dialog_reload_seconds", Help: "When menu and policy were last taken over, Unix time.",
		}),
	}
	reg.MustRegister(r.ok, r.when)
	if err := r.Reload(); err != nil {
		return nil, err
	}
	return r, nil
}

// Menu is the menu that counts.
func (r *Rules) Menu() *menu.Menu { return r.now.Load().menu }

// Policy is the policy that counts.
func (r *Rules) Policy() *policy.Policy { return r.now.Load().policy }

// Revision finds a menu that sessions may still walk through, nil when it is not kept any more.
func (r *Rules) Revision(rev string) *menu.Menu {
	for _, m := range r.now.Load().menus {
		if m.Rev == rev {
			return m
		}
	}
	return nil
}

// Reload reads both files now. On an error, of type conf.Problems, nothing has changed.
func (r *Rules) Reload() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.marks = r.look()
	return r.load()
}

// Run reloads when a file has changed, until ctx ends.
func (r *Rules) Run(ctx context.Context) {
	tick := time.NewTicker(Poll)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		r.poll()
	}
}

func (r *Rules) poll() {
	r.mu.Lock()
	defer r.mu.Unlock()
	marks := r.look()
	if marks[0].same(r.marks[0]) && marks[1].same(r.marks[1]) {
		return
	}
	r.marks = marks
	if err := r.load(); err != nil {
		r.log.Error("menu and policy not taken over; the old ones go on", zap.Error(err))
		return
	}
	r.log.Info("menu and policy taken over", zap.String("menu", r.Menu().Rev))
}

func (r *Rules) look() (marks [2]mark) {
	for i, f := range []string{r.menuFile, r.policyFile} {
		if info, err := os.Stat(f); err == nil {
			marks[i].info = info
		}
	}
	return marks
}

func (r *Rules) load() error {
	var ps conf.Problems
	m, err := menu.Load(r.menuFile)
	ps.Merge(r.menuFile, err)
	p, err := policy.Load(r.policyFile)
	ps.Merge(r.policyFile, err)
	if m != nil && p != nil {
		ps.Merge(r.policyFile, p.Validate(m))
	}
	if m != nil && r.check != nil {
		ps.Merge(r.menuFile, r.check(m))
	}
	if err := ps.Err(); err != nil {
		r.ok.Set(0)
		return err
	}
	next := &set{menu: m, policy: p, menus: []*menu.Menu{m}}
	if old := r.now.Load(); old != nil {
		for _, o := range old.menus {
			if o.Rev != m.Rev && len(next.menus) < Kept {
				next.menus = append(next.menus, o)
			}
		}
	}
	r.now.Store(next)
	r.ok.Set(1)
	r.when.SetToCurrentTime()
	return nil
}
