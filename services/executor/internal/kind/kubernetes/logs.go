package kubernetes

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"palmops/libs/fault"
	"palmops/libs/wire"
	"palmops/services/executor/internal/kind"
)

// Limits of what a log shows in the text of its result.
const (
	lastLines   = 10
	shortOutput = 600 // bytes that the chat shows whole
	maxLine     = 240 // runes
	maxLineRead = 64 << 10
)

// defaultContainer names the container that kubectl takes when it is told none.
const defaultContainer = "kubectl.kubernetes.io/default-container"

// logs reads the newest lines of one container.
func (r *report) logs(ctx context.Context, hand kind.Hand) (kind.Result, error) {
	p := &corev1.Pod{}
	if err := r.insist(ctx, r.retry, func() error { return r.fetch(ctx, podRes, r.ns, r.name, p) }); err != nil {
		return kind.Result{}, err
	}
	container, err := r.container(p)
	if err != nil {
		return kind.Result{}, err
	}
	o := corev1.PodLogOptions{Container: container}
	o.Previous, _ = r.work.Args[argPrevious].(bool)
	tail, given := integer(r.work.Args, argTail)
	if !given {
		tail = defaultTail
	}
	o.TailLines = &tail
	if minutes, given := integer(r.work.Args, argSince); given {
		seconds := minutes * 60
		o.SinceSeconds = &seconds
	}
	stream, cancel, err := r.open(ctx, &o)
	if err != nil {
		return kind.Result{}, r.unread(err)
	}
	defer cancel()
	defer func() { _ = stream.Close() }() // only read
	all, last := &kind.Capture{}, &ending{}
	_, err = io.Copy(io.MultiWriter(all, last), stream)
	var res kind.Result
	dropped := int64(0)
	res.Output, dropped = all.Text()
	n := last.count()
	if err != nil {
		if ctx.Err() == nil {
			err = decided{fault.WithText(fault.Wrap(fault.Transient, err, r.what()), r.say("logs.cut", r.what(), n))}
		}
		return res, err
	}
	res.State = wire.StateSucceeded
	name := r.what() + "[" + container + "]"
	if n == 0 {
		res.Text = r.say("logs.empty", name)
		return res, nil
	}
	res.Text = r.say("logs.done", name, n)
	if dropped > 0 {
		res.Text += r.say("logs.dropped", dropped)
	}
	if n <= lastLines && len(res.Output) <= shortOutput {
		return res, nil // the chat shows all of it below
	}
	lines, room := last.lines(), maxText-len(res.Text)-len(r.say("logs.newest", lastLines))
	from := len(lines)
	for from > 0 && room > len(lines[from-1]) {
		from--
		room -= len(lines[from]) + 1
	}
	res.Text += r.say("logs.newest", len(lines)-from) + "\n" + strings.Join(lines[from:], "\n")
	res.Told = true
	return res, nil
}

// container is the one that was asked for, or the pod's default.
func (r *report) container(p *corev1.Pod) (string, error) {
	var names []string
	for _, c := range slices.Concat(p.Spec.Containers, p.Spec.InitContainers) {
		names = append(names, c.Name)
	}
	wanted := text(r.work.Args, argContainer)
	if wanted == "" {
		wanted = p.Annotations[defaultContainer]
	}
	switch {
	case len(names) > 0 && (wanted == "" || text(r.work.Args, argContainer) == "" && !slices.Contains(names, wanted)):
		return names[0], nil
	case !slices.Contains(names, wanted):
		return "", decided{fault.WithText(fault.New(fault.NotFound, "%s has no container %s", r.what(), wanted),
			r.say("logs.container", r.what(), wanted, some(names, 5)))}
	}
	return wanted, nil
}

// open begins to read. The answer must begin in time; the rest may take as long as the work.
func (r *report) open(ctx context.Context, o *corev1.PodLogOptions) (io.ReadCloser, context.CancelFunc, error) {
	late := errors.New("the log did not begin in time")
	sctx, cancel := context.WithCancelCause(ctx)
	timer := time.AfterFunc(requestTimeout, func() { cancel(late) })
	stream, err := r.on(r.core.Get(), podRes, r.ns).Name(r.name).SubResource("log").VersionedParams(o, r.params).Stream(sctx)
	if !timer.Stop() && err == nil {
		err = errors.Join(late, stream.Close())
	}
	end := func() { cancel(nil) }
	if err != nil {
		end()
		return nil, nil, err
	}
	return stream, end, nil
}

// unread says why there is nothing to read, in the cluster's own words: a container that has not begun, or has no predecessor.
func (r *report) unread(err error) error {
	if !apierrors.IsBadRequest(err) {
		return err
	}
	why := ""
	var status apierrors.APIStatus
	if errors.As(err, &status) {
		why = quote(status.Status().Message)
	}
	return decided{fault.WithText(fault.Wrap(fault.Conflict, err, r.what()), r.say("logs.unread", r.what(), why))}
}

// ending keeps the last lines of what is written to it, each cut to what a phone shows. It never fails.
type ending struct {
	kept []string
	part []byte
	n    int
}

func (e *ending) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		line, after, whole := strings.Cut(string(rest[:min(len(rest), maxLineRead)]), "\n")
		if room := maxLineRead - len(e.part); room > 0 {
			e.part = append(e.part, line[:min(len(line), room)]...)
		}
		if whole {
			e.flush()
		}
		rest = rest[len(rest[:min(len(rest), maxLineRead)])-len(after):]
	}
	return len(p), nil
}

func (e *ending) flush() {
	line := []rune(plain(string(e.part)))
	if len(line) > maxLine {
		line = append(line[:maxLine-1], '…')
	}
	e.kept = append(e.kept, string(line))
	if len(e.kept) > lastLines {
		e.kept = slices.Delete(e.kept, 0, 1)
	}
	e.part = e.part[:0]
	e.n++
}

// count is how many lines there were.
func (e *ending) count() int {
	if len(e.part) > 0 {
		return e.n + 1
	}
	return e.n
}

func (e *ending) lines() []string {
	if len(e.part) > 0 {
		e.flush()
	}
	return e.kept
}

var _ io.Writer = (*ending)(nil)
