package runner

import (
	"context"
	"errors"
	"time"

	"palmops/libs/wire"
	"palmops/services/executor/internal/kind"
	"palmops/services/executor/internal/life"
)

// late is for the owner that finds, with its work done, that the action is somebody else's by now. What it knows counts
// where everybody else had to say unknown. It waits until the other one has looked; was is the record as the work was done.
func (r *Runner) late(ctx context.Context, was *wire.Record, result kind.Result) {
	r.evidence(was, result)
	if result.State == wire.StateUnknown {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, r.o.Timing.Lease+r.o.Timing.Skew+2*r.o.Timing.Probe)
	defer cancel()
	defer context.AfterFunc(r.stopping, cancel)()
	ev := life.Late{State: result.State, Text: texts.Say(langOf(was), "late.known", result.Text), Attempt: was.Attempt, Now: r.o.Now().UnixMilli()}
	for offered := false; ; {
		rec, rev, err := r.store.get(ctx, was.ID)
		if err == nil && rec != nil && wire.Final(rec.State) {
			step := life.On(rec, ev)
			switch {
			case step.Write != nil:
				offered = true
				rev, err = r.store.put(ctx, step.Write, rev)
			case offered && rec.State == ev.State && rec.Summary == ev.Text:
				step.Write = rec // only the answer was lost
			default:
				return // what the other one found out counts; the evidence is in the audit
			}
			if err == nil {
				r.note(step.Write)
				// Lost, the record says it all the same.
				_ = r.tell(context.WithoutCancel(ctx), step.Write, rev, beginning(langOf(was), result.Output))
				return
			}
			if errors.Is(err, errMoved) {
				continue
			}
		}
		if kind.Pause(ctx, min(r.o.Timing.Beat, time.Second)/2) != nil {
			return
		}
	}
}
