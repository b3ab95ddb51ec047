package runner

import (
	"bytes"
	"context"
	"errors"
	"io"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"palmops/libs/fault"
	"palmops/libs/lang"
	"palmops/libs/wire"
	"palmops/services/executor/internal/kind"
	"palmops/services/executor/internal/life"
)

// outputs is the object store OUTPUTS, from which dialog and the gateway read.
type outputs struct{ objects jetstream.ObjectStore }

// How long one try to store an output may take, and how many there are. The action is done by then; only its report waits.
const (
	storeTimeout = 5 * time.Second
	storeTries   = 2
)

// put stores an object. Storing it again replaces it.
func (o outputs) put(ctx context.Context, name string, data []byte) (err error) {
	for range storeTries {
		try, cancel := context.WithTimeout(ctx, storeTimeout)
		_, err = o.objects.Put(try, jetstream.ObjectMeta{Name: name}, bytes.NewReader(data))
		cancel()
		if err == nil || ctx.Err() != nil {
			break
		}
	}
	return fault.Wrap(fault.Transient, err, "store "+name)
}

// head reads the beginning of an output, as an event holds it.
func (o outputs) head(ctx context.Context, f *wire.File) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	obj, err := o.objects.Get(ctx, f.Object)
	if err != nil {
		return "", fault.Wrap(fault.Transient, err, "read "+f.Object)
	}
	defer func() { _ = obj.Close() }() // the rest of it is not wanted
	buf := make([]byte, maxInline+1)
	n, err := io.ReadFull(obj, buf)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return "", fault.Wrap(fault.Transient, err, "read "+f.Object)
	}
	return head(string(buf[:n])), nil
}

// apply lets the kind act, keeps what it printed where nothing can lose it, and writes how it ended.
func (r *Runner) apply(ctx, wctx context.Context, h *hold) (life.Next, error) {
	rec, _ := h.state()
	w, k, err := r.workOf(rec)
	if err != nil { // begin has used the same
		return "", fault.Wrap(fault.Internal, err, "work")
	}
	limit := w.Timeout
	if until := h.deadline(); !until.IsZero() {
		limit = min(limit, time.Until(until))
	}
	actx, cancel := context.WithTimeout(wctx, limit)
	result := r.covered(langOf(rec), k.Apply(actx, w, rec.Before, h))
	cancel()
	ended := life.Ended{State: result.State, Step: h.newest()}
	ended.Output, ended.Image = r.stored(ctx, h, &result)
	ended.Text, ended.Now = result.Text, r.o.Now().UnixMilli()
	h.result = result
	next, err := h.insist(ctx, ended)
	if errors.Is(err, kind.ErrLost) {
		r.late(ctx, rec, result)
	}
	return next, err
}

// covered is a result without secrets, as all that leaves this executor.
func (r *Runner) covered(t lang.Tag, result kind.Result) kind.Result {
	result.Text = r.mask.Text(result.Text)
	result.Output = r.mask.Text(capped(t, result.Output))
	return result
}

// png is how every PNG begins.
const png = "\x89PNG\r\n\x1a\n"

// stored puts output and image of a result into the object store, before the record says that the action has ended: whoever
// tells the result, now or after a crash, finds them. What cannot be kept is said in the result.
func (r *Runner) stored(ctx context.Context, h *hold, result *kind.Result) (out, image *wire.File) {
	if result.Output == "" && result.Image == nil {
		return nil, nil
	}
	rec, _ := h.state()
	t := langOf(rec)
	if _, err := h.on(ctx, life.Beat{Step: h.newest()}); errors.Is(err, kind.ErrLost) {
		return nil, nil // the one who has the action now may have stored an output of its own
	}
	if result.Output != "" {
		f := &wire.File{Object: "out." + rec.ID, Name: texts.Say(t, "output.name", wire.ShortID(rec.ID)), Size: int64(len(result.Output))}
		if err := r.outputs.put(ctx, f.Object, []byte(result.Output)); err != nil {
			r.o.Log.Warn("output not stored", zap.String("action", rec.ID), zap.Error(err))
			h.output = beginning(t, result.Output)
		} else {
			out, h.output = f, head(result.Output)
			if result.Told {
				h.output = "\n" // shorter than the whole, which the event names therefore, and nothing to show
			}
		}
	}
	switch {
	case result.Image == nil:
	case len(result.Image) > wire.MaxImage || !bytes.HasPrefix(result.Image, []byte(png)):
		result.Text += texts.Say(t, "image.form")
		result.Image = nil
	default:
		f := &wire.File{Object: "img." + rec.ID + ".png", Name: texts.Say(t, "image.name", wire.ShortID(rec.ID)), Size: int64(len(result.Image))}
		if err := r.outputs.put(ctx, f.Object, result.Image); err != nil {
			r.o.Log.Warn("image not stored", zap.String("action", rec.ID), zap.Error(err))
			result.Text += texts.Say(t, "image.lost")
		} else {
			image = f
		}
	}
	return out, image
}

// shown adds to an event what the record knows about output and image. Output is what the one who did the work still has; ""
// asks for what was stored.
func (r *Runner) shown(ctx context.Context, ev *wire.Event, rec *wire.Record, output string) {
	ev.Output, ev.Image = output, rec.Image
	if rec.Output == nil {
		return
	}
	if output == "" {
		var err error
		if ev.Output, err = r.outputs.head(ctx, rec.Output); err != nil {
			r.o.Log.Warn("stored output not read; the person is told where it is", zap.String("action", rec.ID), zap.Error(err))
		}
	}
	if rec.Output.Size > int64(len(ev.Output)) {
		ev.Whole = rec.Output
	}
}
