package runner

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"palmops/libs/wire"
	"palmops/services/executor/internal/envlock"
	"palmops/services/executor/internal/kind"
)

// TestReasonsInTheAuditHaveNoSecrets: people type them.
func TestReasonsInTheAuditHaveNoSecrets(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r, h, _ := w.parent(wire.DeriveID("reasons"), &book{dir: w.dir}, DefaultTiming())
	rec, _ := h.state()
	const reason = "set password=hunter2-hunter2"
	(&settling{builtIn{r, rec}}).audit(rec, reason)
	(&locking{builtIn: builtIn{r, rec}}).audit(envlock.Lock{Env: "prod", Reason: reason}, nil, "locked")
	if !w.audit.has(wire.StateRunning, "set password=****") || !w.audit.has("locked", "set password=****") {
		t.Errorf("%+v", w.audit.lines)
	}
}

// TestALockIsReportedAsItWasWritten: whoever finds a dead owner's lock later says until when that one holds.
func TestALockIsReportedAsItWasWritten(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r, h, ctx := w.parent(wire.DeriveID("late lock"), &book{dir: w.dir}, DefaultTiming())
	began := time.Date(2026, 3, 2, 9, 0, 0, 0, r.zone())
	r.o.Now = func() time.Time { return began }
	rec, _ := h.state()
	c := &locking{builtIn: builtIn{r, rec}}
	work := kind.Work{ID: rec.ID, Args: map[string]any{"env": "prod", "reason": "release", "minutes": int64(60)}, Timeout: time.Minute}
	before, err := c.Prepare(ctx, work)
	w.check(err)
	var b lockBefore
	w.check(json.Unmarshal(before, &b))
	next, _ := c.next(work, b.Lock)
	_, err = r.store.write(ctx, envlock.Key("local", "prod", ""), next, b.Rev)
	w.check(err)
	r.o.Now = func() time.Time { return began.Add(25 * time.Minute) }
	if got := c.Probe(ctx, work, before); got.State != wire.StateSucceeded || !strings.Contains(got.Text, "10:00") {
		t.Errorf("%s %q", got.State, got.Text)
	}
}
